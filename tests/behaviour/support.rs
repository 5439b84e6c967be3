//! What the tests share: a service as its users configure it, and answers as its clients read them.

use std::cell::Cell;
use std::future::ready;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::BodyExt;
use livekit_api::access_token::TokenVerifier;
use roompass::config::{Config, KeyAges};
use roompass::domain::{Context, Pass, Provider};
use roompass::http::{Surroundings, router};
use roompass::keys::{
    Deployment, Keys, Secret, SecretRules, SecretStore, SigningKeys, StoreError, StoredSecret,
};
use roompass::mint::{self, MintError, Settings, Token};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::log;

pub(crate) const API_KEY: &str = "APItest";
pub(crate) const API_SECRET: &str = "a secret that is long enough to be one";
pub(crate) const APP_ID: &str = "970ca35de60c44645bbae8a215061b33";

/// Every request is allowed.
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
    let Secret { projects, malformed, callers, .. } = rules(config).read(&secret.to_string()).unwrap();
    assert!(malformed.is_empty(), "{malformed:?}");
    Keys::given(projects, callers)
}

/// A secret store whose `fetch` returns what the function returns.
struct Store<F>(F);

impl<F: Fn() -> Result<StoredSecret, StoreError> + Send + Sync> SecretStore for Store<F> {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        Box::pin(ready((self.0)()))
    }
}

/// The keys of a secret store, read for this configuration.
pub(crate) fn keys_stored_in(
    config: &Config,
    fetch: impl Fn() -> Result<StoredSecret, StoreError> + Send + Sync + 'static,
) -> Keys {
    Keys::stored_in(Box::new(Store(fetch)), rules(config), KeyAges::default())
}

/// How the function reads its secret.
pub(crate) fn rules(config: &Config) -> SecretRules {
    SecretRules {
        deployment: Deployment::Lambda,
        server: None,
        shared: roompass::config::shared_secrets(config),
    }
}

/// The whole secret of a service with Agora alone.
pub(crate) fn agora_secret() -> Value {
    json!({ "AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": "5cfd2fd1755d40ecb72977518be15d3b" })
}

/// Callers with an API key may have any room.
pub(crate) const KEYED: &str = r#"
[[caller]]
name = "backend"
kind = "api-key"

[[rule]]
name = "all"
callers = ["backend"]
rooms = ["*"]
"#;

/// A sandbox that is served.
pub(crate) const SANDBOX: &str = "my-app-1abc2d";

pub(crate) fn service(config: &str) -> Router {
    service_by(config, roompass::system::context, |_| keys())
}

/// A service whose secret has LiveKit's members and these.
pub(crate) fn service_with(config: &str, members: &Value) -> Router {
    service_by(config, roompass::system::context, |config| keys_with(config, members))
}

/// A service that reads its secret from a store.
pub(crate) fn service_stored_in(
    config: &str,
    fetch: impl Fn() -> Result<StoredSecret, StoreError> + Send + Sync + 'static,
) -> Router {
    service_by(config, roompass::system::context, |config| keys_stored_in(config, fetch))
}

/// A service with a clock and randomness of the test's own.
pub(crate) fn service_by(
    config: &str,
    surroundings: Surroundings,
    keys: impl FnOnce(&Config) -> Keys,
) -> Router {
    let config = Config::parse(config, "test.toml").unwrap();
    let keys = keys(&config);
    router(config, keys, mint, surroundings)
}

/// Always the same second, and every random byte is a seven.
pub(crate) fn pinned_context() -> Context {
    Context { now: 1_900_000_000, randomness: |bytes| bytes.fill(7) }
}

tokio::task_local! {
    /// How many tokens the request of this task was issued.
    static MINTED: Cell<usize>;
}

/// Signs as the programs do, and counts the tokens. Panics outside `counted`, which makes the response a 500.
pub(crate) fn mint(
    passes: &[Pass],
    provider: Provider,
    keys: &SigningKeys,
    settings: &Settings,
    context: &Context,
) -> Result<Token, MintError> {
    let token = mint::token(passes, provider, keys, settings, context)?;
    MINTED.with(|minted| minted.set(minted.get() + 1));
    Ok(token)
}

/// Sends one request, and returns its answer with the number of tokens that were signed for it.
pub(crate) async fn counted<T>(answer: impl Future<Output = T>) -> (T, usize) {
    MINTED.scope(Cell::new(0), async { (answer.await, MINTED.with(Cell::get)) }).await
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// How many tokens were signed for it.
    pub(crate) minted: usize,
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
        self.issued();
        claims(self.json()["participant_token"].as_str().unwrap())
    }

    /// Asserts that this has a token.
    pub(crate) fn issued(&self) {
        assert_eq!(self.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.minted, 1);
    }

    /// Asserts that this is an error in the common shape, and that no token was signed.
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
        assert_eq!(self.minted, 0);
        problem
    }
}

pub(crate) fn claims(token: &str) -> Value {
    TokenVerifier::with_api_key(API_KEY, API_SECRET).verify(token).unwrap();
    unverified_claims(token)
}

pub(crate) fn unverified_claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Sends a request. No token may be signed for one that is refused, in any dialect.
pub(crate) async fn send(service: &Router, request: Request<Body>) -> Answer {
    log::listen();
    let (response, minted) = counted(service.clone().oneshot(request)).await;
    let (head, body) = response.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    assert!(head.status.is_success() || minted == 0, "{minted} tokens signed for a {}", head.status);
    Answer { status: head.status, headers: head.headers, body, minted }
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
