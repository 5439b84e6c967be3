//! CORS, by the Fetch standard: which web pages may read responses. Credentials (cookies) are never allowed, because
//! bearer tokens don't need them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{outcome, request_id};
use crate::auth::CredentialHeaders;
use roompass_core::config::{Cors, Origin};

/// Responds to preflight requests, which have no credential, and adds CORS headers to every response, including errors.
pub(super) fn layer(cors: &Cors, credentials: &CredentialHeaders) -> CorsLayer {
    let mut headers = ALLOWED_HEADERS.to_vec();
    for header in credentials.custom().chain(cors.headers.iter().map(|header| &header.0)) {
        if !headers.contains(header) {
            headers.push(header.clone());
        }
    }
    CorsLayer::new()
        .allow_origin(origins(&cors.origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers)
        .expose_headers([request_id::HEADER, outcome::ERROR_CODE, RETRY_AFTER])
        .max_age(Duration::from_mins(10))
}

/// A response extension: the origin of the request's page, which is not allowed to read the response.
#[derive(Clone)]
pub(super) struct DisallowedOrigin(pub(super) String);

/// Sets the status of preflight responses to 204, because they have no body. Records an origin that isn't allowed.
pub(super) async fn finish(State(allowed): State<Arc<[Origin]>>, request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let disallowed = disallowed(&allowed, request.headers());
    let mut response = next.run(request).await;
    if let Some(origin) = disallowed {
        response.extensions_mut().insert(origin);
    }
    if preflight && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

fn origins(configured: &[Origin]) -> AllowOrigin {
    if configured.contains(&Origin::Any) {
        return AllowOrigin::any();
    }
    let configured = configured.to_vec();
    AllowOrigin::predicate(move |sent, _| configured.iter().any(|origin| origin.matches(sent)))
}

/// The origin that a browser sent, if it isn't allowed. A page of this server's own origin needs no permission.
fn disallowed(allowed: &[Origin], headers: &HeaderMap) -> Option<DisallowedOrigin> {
    let origin = headers.get(ORIGIN)?;
    let is_own = headers.get(HOST).is_some_and(|host| is_origin_of(origin, host));
    let is_allowed = is_own || allowed.iter().any(|allowed| allowed.matches(origin));
    (!is_allowed).then(|| DisallowedOrigin(String::from_utf8_lossy(origin.as_bytes()).into_owned()))
}

/// Whether an origin is this host, with any scheme: a proxy may end TLS.
fn is_origin_of(origin: &HeaderValue, host: &HeaderValue) -> bool {
    let scheme_ends = origin.as_bytes().windows(3).position(|bytes| bytes == b"://");
    scheme_ends.is_some_and(|end| origin.as_bytes()[end + 3..] == *host.as_bytes())
}

const ALLOWED_HEADERS: [HeaderName; 5] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("x-sandbox-id"),
];
