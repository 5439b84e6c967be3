//! What the tests share: a service as its users configure it, and answers as its clients read them.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::BodyExt;
use livekit_api::access_token::TokenVerifier;
use roompass::config::{Config, KeyAges};
use roompass::http::router;
use roompass::keys::{Deployment, Keys, Secret, SecretRules, SecretStore};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::log;

pub(crate) const API_KEY: &str = "APItest";
pub(crate) const API_SECRET: &str = "a secret that is long enough to be one";

/// Anyone may have anything: what a request asks for is all that decides.
pub(crate) const OPEN: &str = r#"
[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "open"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes", "room_config"]
agents = [{ name = "*", deployments = ["*"], client_may_set = ["metadata", "attributes", "restart_policy"], max = 8 }]
"#;

pub(crate) fn keys() -> Keys {
    keys_with(&Config::parse("", "test.toml").unwrap(), &json!({}))
}

/// The keys of a secret with LiveKit's members and these, read for this configuration.
pub(crate) fn keys_with(config: &Config, members: &Value) -> Keys {
    let mut secret = json!({
        "LIVEKIT_URL": "wss://test.livekit.cloud", "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET,
    });
    secret.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let Secret { signing, callers } = rules(config).read(&secret.to_string()).unwrap();
    Keys::given(signing.unwrap(), callers)
}

/// Keys that are read from a store.
pub(crate) fn stored_in(store: impl SecretStore + 'static) -> Keys {
    let config = Config::parse("", "test.toml").unwrap();
    Keys::stored_in(Box::new(store), rules(&config), KeyAges::default())
}

/// How the function reads its secret.
pub(crate) fn rules(config: &Config) -> SecretRules {
    SecretRules {
        deployment: Deployment::Lambda,
        server: None,
        shared: roompass::config::shared_secrets(config),
    }
}

pub(crate) fn service(config: &str) -> Router {
    router(Config::parse(config, "test.toml").unwrap(), keys(), roompass::system::context)
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The claims of the token in it, verified as a LiveKit server does.
    pub(crate) fn claims(&self) -> Value {
        assert_eq!(self.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&self.body));
        claims(self.json()["participant_token"].as_str().unwrap())
    }

    /// Asserts that this is an error in the one shape, and that nothing was minted.
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let problem = self.json();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:roompass:problem:{code}"));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(
            !problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty()
        );
        for token_key in ["server_url", "serverUrl", "participant_token", "participantToken", "token"] {
            assert!(
                problem.get(token_key).is_none(),
                "a client that never looks at the status would take it"
            );
        }
        assert!(!String::from_utf8_lossy(&self.body).contains("eyJ"), "nothing was minted");
        problem
    }
}

pub(crate) fn claims(token: &str) -> Value {
    TokenVerifier::with_api_key(API_KEY, API_SECRET).verify(token).unwrap();
    said_by(token)
}

/// What a token says, without a look at its signature.
pub(crate) fn said_by(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(crate) async fn send(service: &Router, request: Request<Body>) -> Answer {
    log::listen();
    let response = service.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// The ordinary request of a client SDK.
pub(crate) async fn post(service: &Router, body: impl ToString) -> Answer {
    let headers = [("content-type", "application/json")];
    send(service, request(Method::POST, "/getToken", &headers, body.to_string())).await
}
