//! CORS, by the Fetch standard: which web pages may read responses. Credentials (cookies) are never allowed, because
//! bearer tokens don't need them.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{outcome, request_id};
use roompass_core::config::{Cors, Origin};

/// Responds to preflight requests, which have no credential, and adds CORS headers to every response, including errors.
pub(super) fn layer(cors: &Cors) -> CorsLayer {
    let headers = ALLOWED_HEADERS.into_iter().chain(cors.headers.iter().map(|header| header.0.clone()));
    CorsLayer::new()
        .allow_origin(origins(&cors.origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers.collect::<Vec<_>>())
        .expose_headers([request_id::HEADER, outcome::ERROR_CODE, RETRY_AFTER])
        .max_age(Duration::from_mins(10))
}

/// Sets the status of preflight responses to 204, because they have no body.
pub(super) async fn preflight_without_content(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
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

const ALLOWED_HEADERS: [HeaderName; 5] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("x-sandbox-id"),
];
