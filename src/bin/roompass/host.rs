//! For whom a request says that it is, by its `Host`. A page of a stranger's whose name is made to mean this machine
//! (DNS rebinding) is of one origin with what answers here, so that no rule on origins stops it; its `Host` gives it
//! away.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Passes a request on that is for this machine by a name of its own, or for the address that is listened on, whatever
/// the port. Any other is answered 421.
pub(crate) async fn of_this_machine(
    State(address): State<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| is_ours(host, address.ip())) {
        return next.run(request).await;
    }
    tracing::warn!(status = 421, code = CODE, host, "refused");
    let problem = json!({
        "type": format!("urn:roompass:problem:{CODE}"),
        "title": "This is for another host",
        "status": 421,
        "detail": "This machine is asked by localhost, 127.0.0.1 or [::1] while everybody is let in.",
        "code": CODE,
    });
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::MISDIRECTED_REQUEST, headers, [("x-error-code", CODE)], problem.to_string()).into_response()
}

fn is_ours(host: &str, address: IpAddr) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|ours| host.eq_ignore_ascii_case(ours))
        || ip.is_ok_and(|ip| ip == address)
}

const CODE: &str = "wrong_host";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_goes_by_its_own_names_and_the_address_that_is_listened_on() {
        let is_ours = |host| is_ours(host, IpAddr::from([127, 0, 0, 2]));
        for host in
            ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:3000", "127.0.0.2:1"]
        {
            assert!(is_ours(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:127",
            "127.0.0.1.evil.example",
            "127.0.0.3",
            "[::2]",
            "evil localhost",
        ] {
            assert!(!is_ours(host), "{host}");
        }
    }
}
