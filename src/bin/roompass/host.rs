//! For whom a request says that it is, by its `Host`. A page of a stranger's whose name is made to mean this machine
//! (DNS rebinding) is of one origin with what answers here, so that no rule on origins stops it; its `Host` gives it
//! away.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use roompass::url;
use serde_json::json;

/// Passes a request on that is for this machine by a name of its own or by an address, whatever the port: an address is
/// nobody's to give a meaning to, and an emulated phone has one of its own for this machine. Any other is answered 421.
pub(crate) async fn of_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_ours) {
        return next.run(request).await;
    }
    tracing::warn!(status = 421, code = CODE, host = host.map(url::shown).as_deref(), "refused");
    let problem = json!({
        "type": format!("urn:roompass:problem:{CODE}"),
        "title": "This is for another host",
        "status": 421,
        "detail": "This machine is asked by localhost or by an address while everybody is let in.",
        "code": CODE,
    });
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::MISDIRECTED_REQUEST, headers, [("x-error-code", CODE)], problem.to_string()).into_response()
}

fn is_ours(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address || host.eq_ignore_ascii_case("localhost")
}

const CODE: &str = "wrong_host";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_goes_by_its_own_name_and_by_addresses() {
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:3000",
            "10.0.2.2:3000",
        ] {
            assert!(is_ours(host), "{host}");
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
            assert!(!is_ours(host), "{host}");
        }
    }
}
