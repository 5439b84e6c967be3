//! What AWS puts around a request, taken off: the stage in front of its path, and the id that Lambda gave it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

use crate::http::RequestId;

/// A request as it comes from API Gateway (HTTP and REST APIs), a Function URL or a load balancer, to one as it comes
/// from anywhere. What the event says besides stays in its extensions.
#[must_use]
pub fn into_http(event: lambda_http::Request) -> Request {
    let path = served_path(&event).parse::<PathAndQuery>();
    let id = event.lambda_context_ref().map(|context| RequestId(context.request_id.clone()));
    let (mut head, body) = event.into_parts();
    if let Ok(path) = path {
        head.uri = Uri::from(path);
    }
    if let Some(id) = id {
        head.extensions.insert(id);
    }
    Request::from_parts(head, Body::from(body.to_vec()))
}

/// The path as the client of the stage sees it. HTTP APIs put the stage in front of the path, REST APIs don't.
fn served_path(event: &lambda_http::Request) -> &str {
    let path = event.raw_http_path();
    match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let stage = context.stage.as_deref().unwrap_or_default();
            let below = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
            below.filter(|below| below.starts_with('/')).unwrap_or(path)
        }
        _ => path,
    }
}
