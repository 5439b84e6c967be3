//! The standard endpoint, through the router: what its snapshots can't show.

use crate::log::logged;
use crate::support::{
    OPEN, agora_secret, keys, pinned_context, post, request, send, service, service_by, service_stored_in,
};
use axum::http::{Method, StatusCode};
use roompass::keys::StoreError;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

#[tokio::test]
async fn omitted_fields_get_generated_values_that_differ_each_time() {
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
async fn an_invalid_field_is_named_and_no_token_is_signed() {
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
async fn a_refusal_names_the_field_that_the_rule_does_not_allow() {
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
async fn the_root_is_a_short_text_for_people_and_monitors() {
    for method in [Method::GET, Method::HEAD] {
        let answer = send(&service(OPEN), request(method, "/", &[], "")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, "text/plain; charset=utf-8")
        );
    }
}

#[tokio::test]
async fn another_path_is_not_found() {
    for path in [
        "/",
        "/gettoken",
        "/getToken;/",
        "/../getToken",
        "/getToken/x",
        "/api",
        "/api/token2",
        "/%67etToken%00",
    ] {
        send(&service(OPEN), request(Method::POST, path, &[], "{}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn extra_slashes_are_ignored_unless_a_gateway_authenticates_callers() {
    let gateway = format!("[[caller]]\nname = \"edge\"\nkind = \"gateway\"\nvia = \"lambda\"\n{OPEN}");
    for base_path in ["", "/v1/calls"] {
        let config = format!("http.base_path = \"{base_path}\"\ncors.origins = [\"*\"]\n");
        let (lenient, exact) = (service(&format!("{config}{OPEN}")), service(&format!("{config}{gateway}")));
        let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
        for path in ["/getToken/", "//getToken", "/api//token/", "//api/token//"] {
            let path = format!("{base_path}{path}");
            send(&lenient, request(Method::POST, &path, &[], "")).await.claims();
            send(&exact, request(Method::POST, &path, &[], "")).await.refused(404, "not_found");
            let other = send(&lenient, request(Method::GET, &path, &[], "")).await;
            other.refused(405, "method_not_allowed");
            assert_eq!(other.header("allow"), "POST");
            send(&exact, request(Method::GET, &path, &[], "")).await.refused(404, "not_found");
            let answer = send(&lenient, request(Method::OPTIONS, &path, &preflight, "")).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
            let log = logged(async {
                send(&lenient, request(Method::POST, &path, &[], "")).await.claims();
            });
            let log = log.await;
            assert!(log.contains(&format!(" path=\"{path}\" ")), "{log}");
        }
        for path in ["/healthz/", "//healthz"] {
            let path = format!("{base_path}{path}");
            let healthy = send(&lenient, request(Method::GET, &path, &[], "")).await;
            assert_eq!(healthy.status, StatusCode::OK);
            send(&exact, request(Method::GET, &path, &[], "")).await.refused(404, "not_found");
        }
        send(&exact, request(Method::POST, &format!("{base_path}/getToken"), &[], "")).await.claims();
    }
    let in_base_path = service(&format!("http.base_path = \"/v1/calls\"\n{OPEN}"));
    send(&in_base_path, request(Method::POST, "//v1//calls/getToken", &[], "")).await.claims();
}

#[tokio::test]
async fn a_base_path_prefixes_every_path() {
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
async fn a_body_over_one_mebibyte_is_refused() {
    let service = service(OPEN);
    let body = |size: usize| format!("{{\"unknown\":\"{}\"}}", "x".repeat(size - 14));
    assert_eq!(body(1_048_576).len(), 1_048_576);
    post(&service, body(1_048_576)).await.claims();
    post(&service, body(1_048_577)).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn the_clients_request_id_is_ignored() {
    let headers = [("x-request-id", "canary")];
    let service = service_by(OPEN, pinned_context, |_| keys());
    let answer = send(&service, request(Method::POST, "/getToken", &headers, "")).await;
    assert_eq!(answer.header("x-request-id"), "77777777777777777777");
}

#[tokio::test]
async fn without_keys_every_request_is_refused_with_a_retry_after() {
    let answers: [fn() -> _; 4] = [
        || Err(StoreError::Missing("canary".into())),
        || Err(StoreError::Denied("canary".into())),
        || Err(StoreError::Unavailable("canary".into())),
        || Ok("{\"LIVEKIT_URL\": \"canary\"}".into()),
    ];
    for answer in answers {
        let service = service_stored_in(OPEN, answer);
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
async fn health_needs_the_keys_of_one_served_dialect() {
    let agora_alone = || Ok(agora_secret().to_string().as_str().into());
    let service = service_stored_in(OPEN, agora_alone);
    let health = send(&service, request(Method::GET, "/healthz", &[], "")).await;
    health.refused(503, "livekit_not_configured");
    let both = format!("dialects = [\"standard\", \"agora\"]\n{OPEN}");
    let service = service_stored_in(&both, agora_alone);
    assert_eq!(send(&service, request(Method::GET, "/healthz", &[], "")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn health_is_the_version_when_keys_are_available() {
    let answer = send(&service(""), request(Method::GET, "/healthz", &[], "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let version = roompass::config::Config::version_of("");
    assert_eq!(
        answer.json(),
        json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "policy_version": version})
    );
}

#[tokio::test]
async fn a_panic_is_a_500_without_details() {
    let config = format!("[cors]\norigins = [\"*\"]\n{OPEN}");
    let service = service_stored_in(&config, || panic!("canary"));
    let answer = post(&service, "").await;
    assert!(!answer.refused(500, "internal_error").to_string().contains("canary"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn a_request_without_a_room_and_without_a_default_is_told_the_field_of_its_dialect() {
    let config = "dialects = [\"standard\", \"token-server\", \"openvidu\", \"agora\"]\n".to_owned()
        + &crate::support::OPEN.replace("rooms = [\"*\"]", "rooms = [\"lobby\", \"hall-*\"]");
    let service = service(&config);
    for body in ["", "{}", "{\"room_name\": \"\"}", "{\"roomName\": null}"] {
        let answer = post(&service, body).await;
        let mut problem = answer.refused(400, "missing_field");
        problem.as_object_mut().unwrap().remove("request_id");
        assert_eq!(
            problem,
            json!({
                "type": "urn:roompass:problem:missing_field",
                "title": "Missing field",
                "status": 400,
                "detail": "The field room_name is required: no rule for this caller has a default room.",
                "code": "missing_field",
                "field": "room_name",
            })
        );
    }
    post(&service, json!({"room_name": "other"})).await.refused(403, "room_not_allowed");
    for (path, body, field) in [
        ("/createToken", "{}", "room_name is required"),
        ("/openvidu/token", "{\"participantName\": \"Ada\"}", "roomName and participantName are required"),
        ("/agora/getToken", "{\"tokenType\": \"rtc\", \"uid\": \"7\"}", "The field channel must not be"),
    ] {
        let answer = send(&service, request(Method::POST, path, &[], body)).await;
        assert_eq!((answer.status.as_u16(), answer.minted), (400, 0), "{path}");
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains(field), "{text}");
    }
}
