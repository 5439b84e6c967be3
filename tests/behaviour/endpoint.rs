//! The standard endpoint, through the router: what goes in and what comes out, whole.

use crate::support::{API_KEY, OPEN, post, request, send, service, stored_in};
use axum::http::{Method, StatusCode};
use roompass::config::Config;
use roompass::domain::Context;
use roompass::http::router;
use roompass::keys::{SecretStore, StoreError, StoredSecret};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::future::{Future, ready};
use std::pin::Pin;

#[tokio::test]
async fn the_answer_is_exactly_what_the_standard_says() {
    for path in ["/getToken", "/api/token"] {
        let answer =
            send(&service(OPEN), request(Method::POST, path, &[("content-type", "application/json")], "{}"))
                .await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(!answer.header("x-request-id").is_empty());
        let members: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["participant_token", "server_url"]);
        assert_eq!(answer.json()["server_url"], "wss://test.livekit.cloud");
    }
}

#[tokio::test]
async fn what_is_asked_for_is_in_the_token_and_nothing_else_is() {
    let answer = post(
        &service(OPEN),
        json!({
            "room_name": "standup", "participant_identity": "ada", "participant_name": "Ada",
            "participant_metadata": "{\"a\":1}", "participant_attributes": {"hand": "raised", "empty": ""},
            "room_config": {"agents": [{"agent_name": "notetaker", "deployment": "blue"}], "empty_timeout": 30, "tags": {}},
        }),
    )
    .await;
    let mut claims = answer.claims();
    let (exp, nbf) = (claims["exp"].take().as_u64().unwrap(), claims["nbf"].take().as_u64().unwrap());
    assert_eq!(exp - nbf, 600, "ten minutes");
    assert_eq!(
        claims,
        json!({
            "iss": API_KEY, "sub": "ada", "name": "Ada", "exp": null, "nbf": null,
            "video": {"roomJoin": true, "room": "standup"},
            "metadata": "{\"a\":1}", "attributes": {"hand": "raised", "empty": ""},
            "roomConfig": {"agents": [{"agentName": "notetaker", "deployment": "blue"}], "emptyTimeout": 30},
        })
    );
}

#[tokio::test]
async fn what_is_left_out_is_generated_and_different_each_time() {
    let service = service(OPEN);
    let mut seen = HashSet::new();
    for body in ["", "{}", r#"{"room_name": "", "participant_identity": null}"#] {
        let claims = post(&service, body).await.claims();
        let (room, identity) = (claims["video"]["room"].as_str().unwrap(), claims["sub"].as_str().unwrap());
        assert!(room.starts_with("room-") && room.len() == 25, "{room}");
        assert!(identity.starts_with("user-") && identity.len() == 25, "{identity}");
        for absent in ["name", "metadata", "attributes", "roomConfig"] {
            assert!(claims.get(absent).is_none(), "{absent}");
        }
        assert!(seen.insert(room.to_owned()) && seen.insert(identity.to_owned()));
    }
}

#[tokio::test]
async fn the_rule_decides_the_lifetime_and_the_grants() {
    let config = OPEN.to_owned()
        + r#"ttl = "2h"
        grants = { can_publish = false, can_publish_data = true, can_publish_sources = ["camera", "screen_share"],
          can_update_own_metadata = true, room_admin = true, hidden = true }"#;
    let claims = post(&service(&config), json!({"room_name": "r"})).await.claims();
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 7_200);
    assert_eq!(
        claims["video"],
        json!({"roomJoin": true, "room": "r", "canPublish": false, "canPublishData": true,
               "canPublishSources": ["camera", "screen_share"], "canUpdateOwnMetadata": true,
               "roomAdmin": true, "hidden": true})
    );
}

#[tokio::test]
async fn every_sdks_wire_body_gets_a_token() {
    let mut read = BTreeMap::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let fixture: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            read.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), fixture);
        }
    }
    for sdk in ["js", "swift", "android", "flutter", "unity", "cpp", "rust", "esp32"] {
        assert!(
            read.contains_key(&format!("{sdk}-nothing")) && read.contains_key(&format!("{sdk}-everything")),
            "{sdk}"
        );
    }
    for (name, fixture) in read {
        let headers = [("content-type", fixture["content_type"].as_str().unwrap())];
        let body = fixture["body"].to_string();
        let claims = send(&service(OPEN), request(Method::POST, "/getToken", &headers, body)).await.claims();
        if !name.ends_with("-everything") {
            assert!(claims["video"]["room"].as_str().unwrap().starts_with("room-"), "{name}");
            assert!(claims.get("roomConfig").is_none(), "{name}");
            continue;
        }
        assert_eq!(claims["video"]["room"], "standup", "{name}");
        assert_eq!(claims["name"], "Ada Lovelace", "{name}");
        if name == "esp32-everything" {
            continue;
        }
        assert_eq!(claims["sub"], "ada", "{name}");
        assert_eq!(claims["metadata"], "{\"role\":\"host\"}", "{name}");
        assert_eq!(claims["attributes"], json!({"hand": "raised"}), "{name}");
        let agents =
            json!([{"agentName": "notetaker", "metadata": "{\"lang\":\"de\"}", "deployment": "blue"}]);
        assert_eq!(claims["roomConfig"], json!({ "agents": agents }), "{name}");
    }
}

#[tokio::test]
async fn a_field_that_cannot_be_used_is_named_and_nothing_is_minted() {
    let service = service(OPEN);
    let long = |bytes: usize| "x".repeat(bytes);
    for (body, field, detail) in [
        (
            json!({"room_name": long(257)}),
            "room_name",
            "The field room_name is 257 bytes long in UTF-8; at most 256 are allowed.",
        ),
        (
            json!({"roomName": "é".repeat(129)}),
            "room_name",
            "The field room_name is 258 bytes long in UTF-8; at most 256 are allowed.",
        ),
        (
            json!({"participant_identity": long(257)}),
            "participant_identity",
            "The field participant_identity is 257 bytes long in UTF-8; at most 256 are allowed.",
        ),
        (
            json!({"participant_name": long(257)}),
            "participant_name",
            "The field participant_name is 257 bytes long in UTF-8; at most 256 are allowed.",
        ),
        (
            json!({"participant_metadata": long(524_289)}),
            "participant_metadata",
            "The field participant_metadata is 524289 bytes long in UTF-8; at most 524288 are allowed.",
        ),
        (
            json!({"participant_attributes": {"k": long(65_536)}}),
            "participant_attributes",
            "The field participant_attributes is 65537 bytes long in UTF-8; at most 65536 are allowed.",
        ),
        (
            json!({"participant_attributes": {"canary": 1}}),
            "participant_attributes",
            "The field participant_attributes must be an object whose values are strings.",
        ),
        (json!({"room_name": {"canary": 1}}), "room_name", "The field room_name must be a string."),
        (
            json!({"room_config": {"agents": [{"metadata": 1}]}}),
            "room_config.agents[0].metadata",
            "The field room_config.agents[0].metadata must be a string.",
        ),
        (
            json!({"room_config": {"egress": {"room": {"stream_outputs": [{"urls": ["rtmp://canary"]}]}}}}),
            "room_config.egress.room.stream_outputs",
            "The field room_config.egress.room.stream_outputs is not allowed: anyone who holds the token could read the credentials or the stream's address.",
        ),
    ] {
        let problem = post(&service, &body).await.refused(400, "invalid_field");
        assert_eq!((&problem["field"], &problem["detail"]), (&field.into(), &detail.into()));
        assert!(!problem.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_refused() {
    let service = service(OPEN);
    for body in ["{", "[]", "null", "\"x\"", "{\"a\":1,\"a\":2}", "{\"room_name\":\"\\ud800\"}", " ", "{}{}"]
    {
        post(&service, body).await.refused(400, "invalid_body");
    }
    let headers = [("content-type", "application/json")];
    let invalid_utf8 = b"{\"room_name\":\"\xff\"}".to_vec();
    send(&service, request(Method::POST, "/getToken", &headers, invalid_utf8))
        .await
        .refused(400, "invalid_body");
}

#[tokio::test]
async fn a_token_that_would_be_too_long_for_a_url_is_refused_before_it_is_signed() {
    let service = service(OPEN);
    let body =
        json!({"participant_metadata": "m".repeat(20_000), "participant_attributes": {"k": "v".repeat(500)}});
    let problem = post(&service, body).await.refused(400, "token_too_large");
    assert_eq!(problem["field"], "participant_metadata");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("participant_metadata (20002 bytes) and participant_attributes (508 bytes)"),
        "{detail}"
    );
    post(&service, json!({"participant_metadata": "m".repeat(11_000)})).await.claims();
}

#[tokio::test]
async fn limits_can_be_lowered() {
    let lower = |limit: &str| service(&format!("[limits]\n{limit}\n{OPEN}"));
    let name = json!({"participant_name": "Ada Lovelace"});
    post(&lower("max_participant_name_length = 12"), &name).await.claims();
    post(&lower("max_participant_name_length = 11"), &name).await.refused(400, "invalid_field");
    let metadata = json!({"participant_metadata": "m".repeat(1000)});
    post(&lower("max_token_size = 1024"), &metadata).await.refused(400, "token_too_large");
}

#[tokio::test]
async fn what_the_rule_does_not_allow_is_refused_by_name() {
    let service = service(
        r#"
        [[caller]]
        name = "anyone"
        kind = "anonymous"
        [[rule]]
        name = "demo"
        callers = ["anyone"]
        rooms = ["demo-*", "room-*"]
        client_may_set = ["participant_name", "room_config"]
        "#,
    );
    post(&service, json!({"room_name": "demo-1", "participant_name": "Ada"})).await.claims();
    post(&service, "").await.claims();
    post(&service, json!({"room_name": "board"})).await.refused(403, "room_not_allowed");
    for field in ["participant_identity", "participant_metadata"] {
        let problem = post(&service, json!({"room_name": "demo-1", field: "x"}))
            .await
            .refused(403, "field_not_allowed");
        assert_eq!(problem["field"], field);
    }
    let problem =
        post(&service, json!({"participant_attributes": {"a": "b"}})).await.refused(403, "field_not_allowed");
    assert_eq!(problem["field"], "participant_attributes");
    let egress = json!({"room_config": {"egress": {"tracks": {"filepath": "x"}}}});
    let problem = post(&service, egress).await.refused(403, "egress_not_allowed");
    assert_eq!(problem["field"], "room_config.egress.tracks");
}

#[tokio::test]
async fn with_no_callers_configured_every_request_is_refused() {
    let service = service("");
    for body in ["", "{}", "{", r#"{"room_name": "r"}"#] {
        let problem = post(&service, body).await.refused(403, "no_callers_configured");
        assert_eq!(
            problem["detail"],
            "Every request is refused. Add a [[caller]] and a [[rule]] to roompass.toml, and deploy."
        );
    }
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_allowed() {
    for (path, allow) in [("/getToken", "POST"), ("/api/token", "POST"), ("/healthz", "GET, HEAD")] {
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = send(&service(OPEN), request(method, path, &[], "")).await;
            answer.refused(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), allow);
        }
    }
    send(&service(OPEN), request(Method::GET, "/getToken?room_name=r", &[], ""))
        .await
        .refused(405, "method_not_allowed");
    send(&service(OPEN), request(Method::POST, "/healthz", &[], "")).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn another_path_is_not_found() {
    for path in ["/", "/gettoken", "/getToken/", "/getToken/x", "/api", "/api/token2", "/%67etToken%00"] {
        send(&service(OPEN), request(Method::POST, path, &[], "{}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_base_path_stands_in_front_of_every_path() {
    let service = service(&format!("[http]\nbase_path = \"/v1/calls\"\n{OPEN}"));
    for path in ["/v1/calls/getToken", "/v1/calls/api/token"] {
        send(&service, request(Method::POST, path, &[], "")).await.claims();
    }
    assert_eq!(
        send(&service, request(Method::GET, "/v1/calls/healthz", &[], "")).await.status,
        StatusCode::OK
    );
    for path in ["/getToken", "/v1/getToken", "/healthz"] {
        send(&service, request(Method::POST, path, &[], "")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_media_type_must_be_json() {
    let service = service(OPEN);
    for media_type in [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=UTF-8",
        "application/json ; charset=\"utf-8\"",
        "application/json, application/json",
    ] {
        send(&service, request(Method::POST, "/getToken", &[("content-type", media_type)], "{}"))
            .await
            .claims();
    }
    send(&service, request(Method::POST, "/getToken", &[], "{}")).await.claims();
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
        "application/json, text/plain",
    ] {
        send(&service, request(Method::POST, "/getToken", &[("content-type", media_type)], "{}"))
            .await
            .refused(415, "unsupported_media_type");
    }
    send(&service, request(Method::POST, "/getToken", &[("content-encoding", "identity")], "{}"))
        .await
        .claims();
    for coding in ["gzip", "br", "identity, gzip"] {
        send(&service, request(Method::POST, "/getToken", &[("content-encoding", coding)], "{}"))
            .await
            .refused(415, "unsupported_content_encoding");
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_unread() {
    let service = service(OPEN);
    let body = |size: usize| format!("{{\"unknown\":\"{}\"}}", "x".repeat(size - 14));
    assert_eq!(body(1_048_576).len(), 1_048_576);
    post(&service, body(1_048_576)).await.claims();
    post(&service, body(1_048_577)).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn errors_are_one_shape() {
    insta::assert_json_snapshot!(
        post(&pinned(), json!({"room_name": 5})).await.json(),
        @r#"
    {
      "code": "invalid_field",
      "detail": "The field room_name must be a string.",
      "field": "room_name",
      "request_id": "77777777777777777777",
      "status": 400,
      "title": "Invalid field",
      "type": "urn:roompass:problem:invalid_field"
    }
    "#
    );
}

fn pinned_context() -> Context {
    Context { randomness: |bytes| bytes.fill(7), ..roompass::system::context() }
}

/// A service whose every random byte is a seven.
fn pinned() -> axum::Router {
    router(Config::parse(OPEN, "test.toml").unwrap(), crate::support::keys(), pinned_context)
}

#[tokio::test]
async fn the_request_id_is_ours_and_never_the_clients() {
    let headers = [("x-request-id", "canary")];
    let answer = send(&pinned(), request(Method::POST, "/getToken", &headers, "")).await;
    assert_eq!(answer.header("x-request-id"), "77777777777777777777");
}

/// A store whose every answer is the same.
struct Store(fn() -> Result<StoredSecret, StoreError>);

impl SecretStore for Store {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        Box::pin(ready((self.0)()))
    }
}

#[tokio::test]
async fn without_keys_no_request_gets_a_token_and_each_may_try_again() {
    for answer in [
        || Err(StoreError::Missing("canary".into())),
        || Err(StoreError::Denied("canary".into())),
        || Err(StoreError::Unavailable("canary".into())),
        || Ok("{\"LIVEKIT_URL\": \"canary\"}".into()),
    ] {
        let keys = stored_in(Store(answer));
        let service = router(Config::parse(OPEN, "test.toml").unwrap(), keys, roompass::system::context);
        for request in
            [request(Method::POST, "/getToken", &[], ""), request(Method::GET, "/healthz", &[], "")]
        {
            let answer = send(&service, request).await;
            let problem = answer.refused(503, "keys_unavailable");
            assert_eq!(answer.header("retry-after"), "5");
            assert!(!problem.to_string().contains("canary"));
        }
    }
}

#[tokio::test]
async fn with_agoras_keys_alone_no_request_gets_a_livekit_token_and_trying_again_does_not_help() {
    let keys = stored_in(Store(|| Ok(AGORA_ALONE.into())));
    let service = router(Config::parse(OPEN, "test.toml").unwrap(), keys, roompass::system::context);
    let answer = post(&service, "").await;
    let problem = answer.refused(503, "livekit_not_configured");
    assert_eq!(
        problem["detail"],
        "Add LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to the secret, or to the environment when running locally."
    );
    assert_eq!(answer.header("retry-after"), "");
    let health = send(&service, request(Method::GET, "/healthz", &[], "")).await;
    health.refused(503, "livekit_not_configured");
    let both = Config::parse(&format!("dialects = [\"standard\", \"agora\"]\n{OPEN}"), "test.toml").unwrap();
    let service = router(both, stored_in(Store(|| Ok(AGORA_ALONE.into()))), roompass::system::context);
    assert_eq!(send(&service, request(Method::GET, "/healthz", &[], "")).await.status, StatusCode::OK);
}

const AGORA_ALONE: &str = r#"{"AGORA_APP_ID": "0123456789abcdef0123456789abcdef", "AGORA_APP_CERTIFICATE": "c0ffee00c0ffee00c0ffee00c0ffee00"}"#;

#[tokio::test]
async fn health_is_the_version_when_keys_are_available() {
    let answer = send(&service(""), request(Method::GET, "/healthz", &[], "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(answer.json(), json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn a_defect_of_ours_is_a_500_that_shows_nothing() {
    let keys = stored_in(Store(|| panic!("canary")));
    let config = format!("[cors]\norigins = [\"*\"]\n{OPEN}");
    let service = router(Config::parse(&config, "test.toml").unwrap(), keys, roompass::system::context);
    let answer = post(&service, "").await;
    assert!(!answer.refused(500, "internal_error").to_string().contains("canary"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}
