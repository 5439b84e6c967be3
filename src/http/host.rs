//! Checks a request's `Host` header, against DNS rebinding: a web page whose domain resolves to this machine has the
//! same origin as this server, so CORS doesn't apply to it. Its `Host` header is still its own domain.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Refusal;
use crate::url;

/// Which `Host` headers are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// All.
    Any,
    /// `localhost` or any IP address, with any port. DNS rebinding needs a domain name, so addresses are safe; an
    /// emulated phone reaches this machine at an address of its own.
    ThisMachine,
}

/// Refuses requests with a `Host` header other than [`Hosts::ThisMachine`] accepts.
pub(super) async fn must_be_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_this_machine(host) {
        return next.run(request).await;
    }
    Refusal::WrongHost(url::shown(host).into_owned()).into_response()
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_localhost_or_an_address() {
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:3000",
            "10.0.2.2:3000",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:127",
            "127.0.0.1.evil.example",
            "127.1",
            "evil localhost",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
