//! `credential_header`: callers whose credential is in another header than `Authorization`.

use axum::Router;
use axum::http::{Method, StatusCode};
use roompass::auth::{ApiKeyHash, new_key};
use roompass::config::Config;
use serde_json::json;

use crate::issuer::{Issuer, Key};
use crate::support::{Answer, request, send, service, service_with};

const RULE: &str = "\n[[rule]]\nname = \"all\"\ncallers = [CALLERS]\nrooms = [\"*\"]\nidentity = \"ID\"\n";
const SIGV4: &str = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0a";

fn jwt(name: &str, issuer: &str, header: Option<&str>) -> String {
    let header = header.map_or_else(String::new, |header| format!("credential_header = \"{header}\"\n"));
    format!(
        "\n[[caller]]\nname = \"{name}\"\nkind = \"jwt\"\nissuer = \"{issuer}\"\naudience = \"calls\"\nalgorithms = [\"ES256\"]\n{header}"
    )
}

fn keyed(header: &str) -> String {
    format!("\n[[caller]]\nname = \"backend\"\nkind = \"api-key\"\ncredential_header = \"{header}\"\n")
}

const ANYONE: &str = "\n[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n";

fn rules(named: &str) -> String {
    let of = |callers: &str, id: &str| RULE.replace("CALLERS", callers).replace("ID", id);
    let guests = of("\"anyone\"", "guest:{random}").replace("\"all\"", "\"guests\"");
    of(named, "{iss}|{sub}") + &guests
}

async fn posted(service: &Router, headers: &[(&str, &str)]) -> Answer {
    send(service, request(Method::POST, "/getToken", headers, "")).await
}

#[tokio::test]
async fn the_credential_is_read_from_the_callers_header_beside_the_platforms_own() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let service =
        service(&(jwt("app", &issuer.url, Some("X-Forwarded-Authorization")) + ANYONE + &rules("\"app\"")));
    let bearer = format!("Bearer {}", key.token(&issuer.claims()));
    let custom = ("x-forwarded-authorization", bearer.as_str());
    for beside in [
        vec![],
        vec![("authorization", SIGV4)],
        vec![("authorization", "Bearer the-platforms-own")],
        vec![("authorization", "Bearer the-platforms-own"), ("x-api-key", "of a usage plan")],
        vec![("x-api-key", "of a usage plan")],
    ] {
        let answer = posted(&service, &[vec![custom], beside.clone()].concat()).await;
        assert_eq!(answer.claims()["sub"], format!("{}|ada", issuer.url), "{beside:?}");
    }
    let guest = posted(&service, &[("authorization", SIGV4), ("x-forwarded-authorization", "")]).await;
    assert!(guest.claims()["sub"].as_str().unwrap().starts_with("guest:"));
}

#[tokio::test]
async fn a_credential_in_any_header_never_becomes_a_weaker_caller() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let good = format!("Bearer {}", key.token(&issuer.claims()));
    let moved = jwt("app", &issuer.url, Some("x-auth"));
    let tokens = service(&format!("{moved}{ANYONE}{}", rules("\"app\"")));
    let backends = RULE
        .replace("\"all\"", "\"backends\"")
        .replace("CALLERS", "\"backend\"")
        .replace("ID", "backend:{sub}");
    let both = format!("{moved}{}{ANYONE}{}{backends}", keyed("x-key"), rules("\"app\""));
    let both = service(&both);
    for service in [&tokens, &both] {
        for headers in [
            [("x-auth", "Bearer x.y.z")],
            [("x-auth", "Bearer undefined")],
            [("x-auth", "Bearer")],
            [("x-auth", &good["Bearer ".len()..])],
            [("x-auth", "Basic YTpi")],
            [("x-auth", SIGV4)],
            [("authorization", &good)],
            [("authorization", "Bearer x.y.z")],
            [("x-api-key", "rpk_x")],
        ] {
            posted(service, &headers).await.refused(401, "invalid_credential");
        }
        posted(service, &[("x-auth", &good), ("x-auth", &good)]).await.refused(400, "several_credentials");
    }
    for headers in [[("x-key", "rpk_x")], [("x-key", &*good)], [("x-key", "null")]] {
        posted(&both, &headers).await.refused(401, "invalid_credential");
    }
    posted(&both, &[("x-auth", &good), ("x-key", "rpk_x")]).await.refused(400, "several_credentials");
}

#[tokio::test]
async fn two_credentials_in_headers_that_are_both_read_are_refused() {
    let key = Key::new("k", "ES256");
    let (one, other) = (Issuer::with(&[&key]).await, Issuer::with(&[&key]).await);
    let callers = jwt("app", &one.url, None) + &jwt("edge", &other.url, Some("x-auth"));
    let service = service(&(callers + ANYONE + &rules("\"app\", \"edge\"")));
    let of = |issuer: &Issuer| format!("Bearer {}", key.token(&issuer.claims()));
    let (of_one, of_other) = (of(&one), of(&other));
    assert_eq!(posted(&service, &[("authorization", &of_one)]).await.status, StatusCode::CREATED);
    assert_eq!(
        posted(&service, &[("x-auth", &of_other), ("authorization", SIGV4)]).await.status,
        StatusCode::CREATED
    );
    posted(&service, &[("authorization", &of_one), ("x-auth", &of_other)])
        .await
        .refused(400, "several_credentials");
    posted(&service, &[("x-api-key", "rpk_x"), ("x-auth", &of_other)])
        .await
        .refused(400, "several_credentials");
    for wrong_header in [("authorization", &of_other), ("x-auth", &of_one)] {
        posted(&service, &[(wrong_header.0, wrong_header.1)]).await.refused(401, "invalid_credential");
    }
}

#[tokio::test]
async fn an_api_key_in_its_own_header_has_a_scheme_or_none() {
    let key = new_key(|bytes| bytes.fill(7));
    let secret = json!({"ROOMPASS_API_KEYS": {"web": ApiKeyHash::of(&key).to_string()}});
    let config = keyed("X-Backend-Key") + ANYONE + &rules("\"backend\"").replace("{iss}|", "user:");
    let service = service_with(&config, &secret);
    for value in [key.clone(), format!("Bearer {key}"), format!("ApiKey {key}")] {
        let line = crate::log::logged(async {
            let answer = posted(&service, &[("x-backend-key", &value), ("authorization", SIGV4)]).await;
            assert_eq!(answer.claims()["sub"], "user:web");
        });
        let line = line.await;
        assert!(line.contains(" token issued ") && line.contains(" api_key=\"web\" "), "{line}");
        assert!(!line.contains(&key), "{line}");
    }
    posted(&service, &[("x-api-key", &key)]).await.refused(401, "invalid_credential");
}

#[tokio::test]
async fn a_request_without_a_credential_is_told_the_header() {
    let moved = jwt("app", "https://login.example.com/", Some("X-Auth"));
    let rule = RULE.replace("CALLERS", "\"app\"").replace("ID", "{sub}");
    let only = posted(&service(&format!("{moved}{rule}")), &[]).await;
    assert_eq!(only.refused(401, "no_credential")["detail"], "Send x-auth with a token or key.");
    let both = moved + "\n[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n" + &rule;
    assert_eq!(
        posted(&service(&both), &[]).await.refused(401, "no_credential")["detail"],
        "Send Authorization: Bearer with a token, or X-API-Key with a key, or x-auth with a token or key."
    );
}

#[tokio::test]
async fn preflights_allow_each_credential_header_once() {
    let config = format!(
        "[cors]\norigins = [\"https://app.example.com\"]\nheaders = [\"x-tenant\", \"x-auth\"]\n{}{}",
        jwt("app", "https://login.example.com/", Some("X-Auth")),
        keyed("X-Auth"),
    );
    let headers = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-auth"),
    ];
    let answer = send(&service(&config), request(Method::OPTIONS, "/getToken", &headers, "")).await;
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "authorization,content-type,x-api-key,x-requested-with,x-sandbox-id,x-auth,x-tenant"
    );
}

#[test]
fn a_mistake_in_credential_header_is_reported_with_its_line() {
    let mistake = |caller: &str| Config::parse(caller, "x.toml").unwrap_err().to_string();
    let gateway =
        "[[caller]]\nname = \"g\"\nkind = \"gateway\"\nvia = \"jwt\"\ncredential_header = \"x-auth\"\n";
    assert!(
        mistake(gateway).starts_with(
            "x.toml:5:1: caller \"g\": credential_header is only for kind = \"jwt\" and kind = \"api-key\""
        ),
        "{}",
        mistake(gateway)
    );
    for (header, problem) in [
        ("Authorization", "remove it, and both are read"),
        ("Cookie", "must not be cookie, which has another meaning"),
        ("x auth", "must be the name of a header"),
    ] {
        assert!(mistake(&keyed(header)).contains(problem), "{}", mistake(&keyed(header)));
    }
    let two = keyed("x-one")
        + &keyed("x-two").replace("backend", "other")
        + &keyed("x-one").replace("backend", "third");
    let mistake = mistake(&two);
    assert!(
        mistake.contains("caller \"third\" is unreachable") && !mistake.contains("\"other\" is"),
        "{mistake}"
    );
}
