//! What came of a request: the answer's last touches, and its one line in the log.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Level;

use super::{Refusal, RequestId, request_id};
use crate::domain::{Pass, Randomness, readable};
use crate::mint::Token;

/// What is remembered of a token: everything but the token.
#[derive(Debug, Clone)]
pub(super) struct Minted(Arc<Audit>);

#[derive(Debug)]
struct Audit {
    caller: String,
    rule: String,
    room: String,
    identity: String,
    grants: String,
    ttl_seconds: u64,
    token_sha256: String,
}

impl Minted {
    pub(super) fn new(pass: &Pass, token: &Token) -> Self {
        Self(Arc::new(Audit {
            caller: pass.caller.clone(),
            rule: pass.rule.clone(),
            room: pass.room.as_str().to_owned(),
            identity: pass.identity.as_str().to_owned(),
            grants: serde_json::to_string(&pass.grants).unwrap_or_default(),
            ttl_seconds: pass.ttl.duration().as_secs(),
            token_sha256: token.fingerprint(),
        }))
    }
}

/// The outermost layer: names the request, tells a refusal in the one shape that all have, marks the answer as not to
/// be stored or guessed at, and writes one line.
pub(super) async fn told(State(randomness): State<Randomness>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request.extensions_mut().remove().unwrap_or_else(|| RequestId(readable(randomness)));
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let mut response = next.run(request).await;
    let refusal = response.extensions_mut().remove::<Arc<Refusal>>();
    if let Some(refusal) = &refusal {
        tell(refusal, &id, &mut response);
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(&id.0) {
        headers.insert(request_id::HEADER, id);
    }

    let minted = response.extensions_mut().remove::<Minted>();
    let audit = minted.as_ref().map(|minted| minted.0.as_ref());
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // A macro, because a level is part of what the tracing library fixes at compile time.
    macro_rules! line {
        ($level:expr, $message:literal) => {
            tracing::event!(
                $level,
                status = response.status().as_u16(),
                method = method.as_str(),
                path = path.get(..MAX_PATH).unwrap_or(&path),
                code = refusal.as_ref().map(|refusal| refusal.code()),
                cause = refusal.as_ref().map(ToString::to_string),
                caller = audit.map(|audit| audit.caller.as_str()),
                rule = audit.map(|audit| audit.rule.as_str()),
                room = audit.map(|audit| audit.room.as_str()),
                identity = audit.map(|audit| audit.identity.as_str()),
                grants = audit.map(|audit| audit.grants.as_str()),
                ttl_seconds = audit.map(|audit| audit.ttl_seconds),
                token_sha256 = audit.map(|audit| audit.token_sha256.as_str()),
                duration_ms,
                request_id = id.0.as_str(),
                $message
            )
        };
    }
    match response.status().as_u16() {
        500.. => line!(Level::ERROR, "failed"),
        400.. => line!(Level::WARN, "refused"),
        _ if audit.is_some() => line!(Level::INFO, "minted"),
        _ => line!(Level::INFO, "answered"),
    }
    response
}

fn tell(refusal: &Refusal, id: &RequestId, response: &mut Response) {
    let problem = serde_json::to_vec(&refusal.problem(id)).unwrap_or_default();
    *response.body_mut() = Body::from(problem);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(challenge) = refusal.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
}

/// How much of a path the log keeps, in bytes.
const MAX_PATH: usize = 200;
