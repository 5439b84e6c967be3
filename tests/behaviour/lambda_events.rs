//! Whole Lambda events in, whole Lambda answers out, as the runtime hands them over.

use crate::support::{OPEN, claims, counted, service};
use axum::Router;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_http::{Context, LambdaEvent};
use serde_json::{Deserializer, Value, json};

async fn invoke(config: &str, event: &str) -> Value {
    invoke_on(service(config), event).await
}

/// The function's answer to an event. No token may be signed for a request that is refused, in any dialect.
pub(crate) async fn invoke_on(service: Router, event: &str) -> Value {
    let mut context = Context::default();
    context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into();
    // As the runtime reads it, which fails the invocation where it can't.
    let payload = serde_path_to_error::deserialize(&mut Deserializer::from_slice(event.as_bytes())).unwrap();
    let answer = roompass::lambda::answer(service, LambdaEvent { payload, context });
    let (Ok(answer), minted) = counted(answer).await;
    let answer = serde_json::to_value(answer).unwrap();
    let status = answer["statusCode"].as_u64().unwrap();
    assert!((200..300).contains(&status) || minted == 0, "{minted} tokens signed for a {status}");
    assert!(status != 201 || minted == 1, "{minted} tokens signed for a 201");
    answer
}

pub(crate) fn event(name: &str) -> String {
    std::fs::read_to_string(format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn body(answer: &Value) -> Value {
    assert_eq!(answer["isBase64Encoded"], false);
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn header<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer["headers"]
        .get(name)
        .or_else(|| answer["multiValueHeaders"][name].get(0))
        .map_or("", |value| value.as_str().unwrap())
}

#[tokio::test]
async fn every_event_source_gets_a_token() {
    for source in [
        "http-api",
        "http-api-base64",
        "http-api-stage",
        "rest-api",
        "rest-api-stage-named-api",
        "function-url",
        "alb",
        "alb-multi-value-headers",
    ] {
        let answer = invoke(OPEN, &event(source)).await;
        assert_eq!(answer["statusCode"], 201, "{source}: {answer}");
        assert_eq!(header(&answer, "content-type"), "application/json; charset=utf-8", "{source}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{source}");
        assert_eq!(header(&answer, "x-request-id"), "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "{source}");
        let claims = claims(body(&answer)["participant_token"].as_str().unwrap());
        assert_eq!(
            (&claims["video"]["room"], &claims["sub"]),
            (&json!("standup"), &json!("ada")),
            "{source}"
        );
    }
}

#[tokio::test]
async fn every_sample_event_gets_its_status_and_code() {
    for (name, status, code) in [
        ("http-api-empty-body", 201, None),
        ("healthz", 200, None),
        ("refused-invalid-json", 400, Some("invalid_body")),
        ("refused-invalid-field", 400, Some("invalid_field")),
        ("refused-credentials", 400, Some("invalid_field")),
        ("refused-token-too-large", 400, Some("token_too_large")),
        ("refused-path", 404, Some("not_found")),
        ("refused-method", 405, Some("method_not_allowed")),
        ("refused-media-type", 415, Some("unsupported_media_type")),
    ] {
        let answer = invoke(OPEN, &event(name)).await;
        assert_eq!(answer["statusCode"], status, "{name}: {answer}");
        if let Some(code) = code {
            assert_eq!(header(&answer, "content-type"), "application/problem+json", "{name}");
            assert_eq!(body(&answer)["code"], code, "{name}");
            assert_eq!(body(&answer)["request_id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "{name}");
        }
    }
}

#[tokio::test]
async fn a_preflight_event_is_granted_to_the_configured_origin() {
    let answer =
        invoke(&format!("[cors]\norigins = [\"https://app.example.com\"]\n{OPEN}"), &event("preflight"))
            .await;
    assert_eq!(answer["statusCode"], 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://app.example.com");
}

#[tokio::test]
async fn every_sample_event_has_its_test() {
    let tested = include_str!("lambda_events.rs");
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(name == "README" || tested.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[tokio::test]
async fn with_the_default_configuration_every_event_is_refused() {
    for source in ["http-api", "rest-api", "function-url", "alb"] {
        let answer = invoke(include_str!("../../roompass.toml"), &event(source)).await;
        assert_eq!(answer["statusCode"], 403, "{source}");
        assert_eq!(body(&answer)["code"], "no_callers_configured", "{source}");
    }
}

#[tokio::test]
async fn a_base_path_works_behind_a_stage() {
    let config = format!("[http]\nbase_path = \"/calls\"\n{OPEN}");
    let mut event: Value = serde_json::from_str(&event("http-api-stage")).unwrap();
    event["rawPath"] = json!("/prod/calls/getToken");
    assert_eq!(invoke(&config, &event.to_string()).await["statusCode"], 201);
}

#[tokio::test]
async fn the_size_of_a_body_is_measured_after_base64() {
    for (size, status) in [(1_048_576, 201), (1_048_577, 413)] {
        let mut event: Value = serde_json::from_str(&event("http-api-base64")).unwrap();
        let body = format!("{{\"unknown\":\"{}\"}}", "x".repeat(size - 14));
        event["body"] = json!(BASE64_STANDARD.encode(body));
        assert_eq!(invoke(OPEN, &event.to_string()).await["statusCode"], status, "{size} bytes");
    }
}
