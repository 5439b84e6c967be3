//! The rules that a token endpoint is tested against: attacks on authentication, and on what callers may have.
//! They are drawn from RFC 8725, 7519, 6750 and 9457, and the OWASP API Security Top 10.

mod claims;
mod claims_of_providers;
mod http;
mod key_sets;
mod permissions;
mod several_keys;
mod token_keys;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, request, send, service, service_with};

/// Members may have any room, as themselves.
const MEMBERS: &str =
    "\n[[rule]]\nname = \"members\"\ncallers = [\"app\"]\nrooms = [\"*\"]\nidentity = \"{sub}\"\n";

/// A caller whose tokens this issuer signs with these algorithms.
fn jwt_caller(issuer: &str, algorithms: &str) -> String {
    format!(
        "\n[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"{issuer}\"\naudience = \"calls\"\nalgorithms = {algorithms}\n"
    )
}

fn members(issuer: &str, algorithms: &str) -> Router {
    service(&(jwt_caller(issuer, algorithms) + MEMBERS))
}

/// A service that shares secrets with issuers and keeps API keys.
fn service_with_secrets(config: &str, secrets: &[(&str, &str)], api_keys: &Value) -> Router {
    let mut members = json!({ "ROOMPASS_API_KEYS": api_keys });
    for (name, secret) in secrets {
        members[*name] = json!(secret);
    }
    service_with(config, &members)
}

async fn post_with(service: &Router, headers: &[(&str, &str)]) -> Answer {
    send(service, request(Method::POST, "/getToken", headers, "")).await
}

async fn post_token(service: &Router, token: &str) -> Answer {
    post_with(service, &[("authorization", &format!("Bearer {token}"))]).await
}

fn assert_accepted(answer: &Answer, what: &str) -> Value {
    assert_eq!(answer.status, StatusCode::CREATED, "{what}: {}", String::from_utf8_lossy(&answer.body));
    answer.claims()
}

/// Asserts the one response to every invalid credential: the same bytes for every cause.
fn assert_invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {}", String::from_utf8_lossy(&answer.body));
    let mut problem = answer.refused(401, "invalid_credential");
    problem.as_object_mut().unwrap().remove("request_id");
    assert_eq!(
        problem,
        json!({
            "type": "urn:roompass:problem:invalid_credential",
            "title": "Invalid credential",
            "status": 401,
            "detail": "The token or key is not accepted or has expired. The log has the cause under this request ID.",
            "code": "invalid_credential",
        }),
        "{what}"
    );
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}");
    assert_eq!(answer.header("retry-after"), "", "{what}");
}

fn assert_unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
    answer.refused(503, "verification_unavailable");
    assert_eq!((answer.header("retry-after"), answer.header("www-authenticate")), ("5", ""), "{what}");
}
