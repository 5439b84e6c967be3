//! Limits routes to clients on this machine. A loopback listener isn't enough: a proxy on this machine may forward requests of
//! others, and a web page whose domain resolves to this machine may send some.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses requests of other machines.
pub(crate) async fn only(request: Request, next: Next) -> Response {
    match problem(request.headers()) {
        None => next.run(request).await,
        Some(problem) => (StatusCode::FORBIDDEN, problem).into_response(),
    }
}

fn problem(headers: &HeaderMap) -> Option<&'static str> {
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Some("this is for this machine only, and not behind a proxy\n");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_loopback = host.parse::<Authority>().is_ok_and(|host| LOOPBACK.contains(&host.host()));
    (!is_loopback).then_some("this is for this machine only: use 127.0.0.1 or localhost as the host\n")
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "via"];

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        all.iter().map(parse).collect()
    }

    #[test]
    fn only_requests_for_a_loopback_host_that_no_proxy_forwards_are_answered() {
        let own = ("host", "127.0.0.1:3000");
        for all in [vec![own], vec![("host", "localhost:3000")], vec![("host", "[::1]:3000")]] {
            assert_eq!(problem(&headers(&all)), None, "{all:?}");
        }
        for all in [
            vec![],
            vec![("host", "evil.example")],
            vec![("host", "127.0.0.1.evil.example:3000")],
            vec![("host", "192.168.1.5:3000")],
            vec![own, ("x-forwarded-for", "1.2.3.4")],
            vec![own, ("forwarded", "for=1.2.3.4")],
            vec![own, ("via", "1.1 proxy")],
        ] {
            assert!(problem(&headers(&all)).is_some(), "{all:?}");
        }
    }
}
