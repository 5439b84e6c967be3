//! CORS: which web pages may read responses.

use crate::log::logged;
use crate::support::{Answer, OPEN, request, send, service};
use axum::http::{Method, StatusCode};

const APP: &str = "https://app.example.com";

fn for_app() -> axum::Router {
    service(&format!(
        "[cors]\norigins = [\"{APP}\", \"http://localhost:5173\"]\nheaders = [\"x-tenant\"]\n{OPEN}"
    ))
}

async fn preflight(service: &axum::Router, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    send(service, request(Method::OPTIONS, path, &headers, "")).await
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential() {
    let without_callers = service(&format!("[cors]\norigins = [\"{APP}\"]"));
    for service in [for_app(), without_callers] {
        let answer = preflight(&service, "/getToken", APP).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        assert!(
            answer
                .header("access-control-allow-headers")
                .contains("authorization,content-type,x-api-key,x-requested-with,x-sandbox-id")
        );
        assert_eq!(answer.header("access-control-allow-methods"), "GET,POST");
        assert_eq!(answer.header("access-control-max-age"), "600");
        assert!(answer.header("vary").to_lowercase().contains("origin"));
    }
    assert!(
        preflight(&for_app(), "/getToken", APP)
            .await
            .header("access-control-allow-headers")
            .ends_with("x-tenant")
    );
}

#[tokio::test]
async fn an_allowed_origin_is_echoed_on_successes_and_errors() {
    for (method, path, body, status) in [
        (Method::POST, "/getToken", "", 201),
        (Method::POST, "/getToken", "{", 400),
        (Method::GET, "/getToken", "", 405),
        (Method::POST, "/nowhere", "", 404),
        (Method::GET, "/healthz", "", 200),
    ] {
        let answer =
            send(&for_app(), request(method, path, &[("origin", "http://localhost:5173")], body)).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:5173");
        assert_eq!(answer.header("access-control-expose-headers"), "x-request-id,x-error-code,retry-after");
        assert!(answer.header("vary").to_lowercase().contains("origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn no_other_origin_is_granted_anything() {
    for origin in [
        "null",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "https://example.com",
        "*",
        "",
    ] {
        let answer = preflight(&for_app(), "/getToken", origin).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        let answer = send(&for_app(), request(Method::POST, "/getToken", &[("origin", origin)], "")).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    let no_origins = preflight(&service(OPEN), "/getToken", APP).await;
    assert_eq!(no_origins.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn any_origin_never_comes_with_credentials() {
    let service = service(&format!("[cors]\norigins = [\"*\"]\n{OPEN}"));
    let answer = preflight(&service, "/getToken", "https://anything.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn a_disallowed_origin_is_logged_with_the_request_and_with_its_preflight() {
    let own = ("host", "app.other.example");
    for (origin, shown) in [
        ("https://other.example", "https://other.example"),
        ("null", "null"),
        ("https://app.example.com/", "https://app.example.com/"),
    ] {
        let field = format!(" disallowed_origin=\"{shown}\" ");
        let line = logged(async { drop(preflight(&for_app(), "/getToken", origin).await) }).await;
        assert!(line.contains(" WARN preflight from a disallowed origin status=204 "), "{line}");
        assert!(line.contains(&field), "{line}");
        let sent = request(Method::POST, "/getToken", &[("origin", origin), own], "");
        let line =
            logged(async { assert_eq!(send(&for_app(), sent).await.status, StatusCode::CREATED) }).await;
        assert!(line.contains(" INFO token issued ") && line.contains(&field), "{line}");
    }
    let long = format!("https://{}.example", "a".repeat(5_000));
    let line = logged(async { drop(preflight(&for_app(), "/getToken", &long).await) }).await;
    assert!(line.len() < 3_000 && line.contains("disallowed_origin=\"https://aaa"), "{line}");
    for headers in [
        vec![],
        vec![("origin", APP)],
        vec![("origin", "https://app.other.example"), own],
        vec![("origin", "http://localhost:3000"), ("host", "localhost:3000")],
    ] {
        let sent = request(Method::POST, "/getToken", &headers, "");
        let line = logged(async { drop(send(&for_app(), sent).await) }).await;
        assert!(line.contains(" token issued ") && !line.contains("disallowed_origin"), "{line}");
    }
    let line = logged(async { drop(preflight(&for_app(), "/getToken", APP).await) }).await;
    assert!(line.contains(" request completed ") && !line.contains("disallowed_origin"), "{line}");
}
