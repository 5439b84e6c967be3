//! What AWS puts around a request, taken off: the stage in front of its path, and the id that Lambda gave it.

use std::fmt::Write;

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
    let path = escaped(served_path(&event));
    let id = event.lambda_context_ref().map(|context| RequestId(context.request_id.clone()));
    let (mut head, body) = event.into_parts();
    let path_and_query = match head.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(path_and_query) = path_and_query.parse::<PathAndQuery>() {
        head.uri = Uri::from(path_and_query);
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

/// The path as it was before HTTP APIs decoded it; others leave it as it is. What can't stand in an encoded path is
/// encoded again, and what can is left alone.
fn escaped(path: &str) -> String {
    let bytes = path.as_bytes();
    bytes.iter().enumerate().fold(String::with_capacity(bytes.len()), |mut text, (at, byte)| {
        let encodes = |digits: &[u8]| digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
        let literal = byte.is_ascii_alphanumeric()
            || b"/-._~!$&'()*+,;=:@".contains(byte)
            || (*byte == b'%' && bytes.get(at + 1..at + 3).is_some_and(encodes));
        if literal {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_was_decoded_is_encoded_again_and_any_other_is_left_alone() {
        for (given, served) in [
            ("/getToken", "/getToken"),
            ("/agora/rtm/a%20b%2Fc/", "/agora/rtm/a%20b%2Fc/"),
            ("/agora/rtm/a b?c#d/", "/agora/rtm/a%20b%3Fc%23d/"),
            ("/100%/50%2", "/100%25/50%252"),
            ("/é\n", "/%C3%A9%0A"),
            ("", ""),
        ] {
            assert_eq!(escaped(given), served);
            assert_eq!(escaped(served), served, "encoded once is enough");
        }
    }
}
