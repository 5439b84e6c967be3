//! The dialects of LiveKit's and OpenVidu's samples, through the router: each one's requests, answers and errors, whole.

use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, OPEN, claims, request, send, service};

/// All of them, for every caller.
fn open() -> Router {
    served(OPEN)
}

fn served(policy: &str) -> Router {
    let dialects = r#"
        dialects = ["standard", "sandbox", "token-server", "quickstart", "openvidu"]
        sandbox.ids = ["my-app-1abc2d", "other"]
    "#;
    service(&format!("{dialects}{policy}"))
}

const SANDBOX_V1: &str = "/api/sandbox/connection-details";
const SANDBOX_V2: &str = "/api/v2/sandbox/connection-details";
const EVERY_PATH: [&str; 6] =
    [SANDBOX_V1, SANDBOX_V2, "/createToken", "/quickstart/token", "/token", "/openvidu/token"];

async fn ask(service: &Router, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = [json].into_iter().chain(headers.iter().copied()).collect();
    send(service, request(Method::POST, path, &headers, body.to_string())).await
}

const OURS: (&str, &str) = ("x-sandbox-id", "my-app-1abc2d");

fn seconds(claims: &Value) -> u64 {
    claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap()
}

fn members(answer: &Answer) -> Vec<String> {
    answer.json().as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn the_sandbox_answers_its_first_version_as_small_devices_read_it() {
    let answer =
        ask(&open(), SANDBOX_V1, &[OURS], &json!({"roomName": "standup", "participantName": "Ada"})).await;
    assert_eq!(answer.status.as_u16(), 200, "the ESP32 client takes no other");
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.len() < 2_048, "{} bytes", answer.body.len());
    assert_eq!(members(&answer), ["participantName", "participantToken", "roomName", "serverUrl"]);
    let details = answer.json();
    assert_eq!(details["serverUrl"], "wss://test.livekit.cloud");
    assert_eq!(
        (details["roomName"].as_str(), details["participantName"].as_str()),
        (Some("standup"), Some("Ada"))
    );
    let claims = claims(details["participantToken"].as_str().unwrap());
    assert_eq!((&claims["video"]["room"], &claims["name"]), (&json!("standup"), &json!("Ada")));
    assert_eq!(seconds(&claims), 900, "15 minutes");
}

#[tokio::test]
async fn the_sandbox_answers_its_second_version_in_snake_case_and_generates_what_is_missing() {
    let answer = ask(&open(), SANDBOX_V2, &[OURS], &json!({})).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(members(&answer), ["participant_name", "participant_token", "room_name", "server_url"]);
    let details = answer.json();
    let claims = claims(details["participant_token"].as_str().unwrap());
    assert_eq!(claims["video"]["room"], details["room_name"]);
    assert_eq!(claims["sub"], details["participant_name"], "the request names no participant");
    assert!(details["room_name"].as_str().unwrap().starts_with("room-"));

    let all = json!({"room_name": "r", "participant_identity": "i", "participant_name": "n",
        "participant_metadata": "m", "participant_attributes": {"k": "v"}, "room_config": {"max_participants": 2}});
    let answer = ask(&open(), SANDBOX_V2, &[("X-SANDBOX-ID", "other")], &all).await;
    let claims = self::claims(answer.json()["participant_token"].as_str().unwrap());
    assert_eq!(
        (&claims["sub"], &claims["metadata"], &claims["attributes"]["k"]),
        (&json!("i"), &json!("m"), &json!("v"))
    );
    assert_eq!(claims["roomConfig"]["maxParticipants"], 2);
}

#[tokio::test]
async fn a_sandbox_that_is_not_listed_is_refused() {
    for headers in [
        &[][..],
        &[("x-sandbox-id", "")],
        &[("x-sandbox-id", "MY-APP-1ABC2D")],
        &[("x-sandbox-id", "another")],
        &[("x-sandbox-id", "*")],
        &[OURS, ("x-sandbox-id", "other")],
    ] {
        for path in [SANDBOX_V1, SANDBOX_V2] {
            let problem = ask(&open(), path, headers, &json!({})).await.refused(403, "unknown_sandbox");
            assert!(!problem.to_string().contains("1abc2d"), "the list isn't shown");
        }
    }
}

#[tokio::test]
async fn a_rule_can_be_for_one_sandbox() {
    let service = served(
        r#"
        [[caller]]
        name = "anyone"
        kind = "anonymous"
        [[rule]]
        name = "demo"
        callers = ["anyone"]
        when = { sandbox_id = "my-app-1abc2d" }
        rooms = ["demo-*"]
        default_room = "demo-{random}"
        ttl = "2m"
        "#,
    );
    let answer = ask(&service, SANDBOX_V2, &[OURS], &json!({})).await;
    let claims = claims(answer.json()["participant_token"].as_str().unwrap());
    assert!((120..=121).contains(&seconds(&claims)), "the rule's own lifetime");
    ask(&service, SANDBOX_V2, &[("x-sandbox-id", "other")], &json!({})).await.refused(403, "no_rule");
    ask(&service, "/getToken", &[OURS], &json!({})).await.refused(403, "no_rule");
}

#[tokio::test]
async fn the_token_server_reads_both_casings_and_answers_200() {
    for body in [
        json!({"room_name": "r", "participant_identity": "i", "participant_name": "n"}),
        json!({"roomName": "r", "participantIdentity": "i", "participantName": "n"}),
    ] {
        let answer = ask(&open(), "/createToken", &[], &body).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(members(&answer), ["participant_token", "server_url"]);
        let claims = claims(answer.json()["participant_token"].as_str().unwrap());
        assert_eq!(
            (&claims["sub"], &claims["name"], &claims["video"]["room"]),
            (&json!("i"), &json!("n"), &json!("r"))
        );
        assert_eq!(seconds(&claims), 600);
    }
    let answer = ask(&open(), "/createToken", &[], &json!({})).await;
    let claims = claims(answer.json()["participant_token"].as_str().unwrap());
    assert!(claims["sub"].as_str().unwrap().starts_with("user-"), "generated");
    let answer = ask(&open(), "/createToken", &[], &json!({"room_name": 5})).await;
    refused_as(&answer, 400, "invalid_field", &json!({"message": "The field room_name must be a string."}));
}

#[tokio::test]
async fn the_quickstart_answers_the_bare_token() {
    for (body, room, identity) in [
        (json!({"roomName": "r", "participantName": "ada"}), "r", "ada"),
        (json!({}), "demo-room", "demo-user"),
        (json!({"roomName": "", "participantName": null}), "demo-room", "demo-user"),
    ] {
        let answer = ask(&open(), "/quickstart/token", &[], &body).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        let claims = claims(std::str::from_utf8(&answer.body).unwrap());
        assert_eq!((&claims["video"]["room"], &claims["sub"]), (&json!(room), &json!(identity)));
    }
    ask(&open(), "/quickstart/token", &[], &json!({"roomName": ["x"]})).await.refused(400, "invalid_field");
}

#[tokio::test]
async fn openvidus_earlier_servers_answer_a_json_string() {
    let ordinary = json!({"roomName": "r", "participantName": "Ada"});
    let answer = ask(&open(), "/token", &[], &ordinary).await;
    assert_eq!(answer.status.as_u16(), 200);
    let claims = claims(answer.json().as_str().unwrap());
    assert_eq!((&claims["video"]["room"], &claims["sub"]), (&json!("r"), &json!("Ada")));
    for body in incomplete() {
        let answer = ask(&open(), "/token", &[], &body).await;
        refused_as(&answer, 400, "missing_field", &json!("roomName and participantName are required"));
    }
}

#[tokio::test]
async fn openvidus_servers_of_today_answer_one_member() {
    let ordinary = json!({"roomName": "r", "participantName": "Ada"});
    let answer = ask(&open(), "/openvidu/token", &[], &ordinary).await;
    assert_eq!(answer.status.as_u16(), 200, "its iOS client takes no other");
    assert_eq!(members(&answer), ["token"], "its Android client takes no other");
    assert_eq!(claims(answer.json()["token"].as_str().unwrap())["sub"], "Ada");
    for body in incomplete() {
        let answer = ask(&open(), "/openvidu/token", &[], &body).await;
        let message = json!({"errorMessage": "roomName and participantName are required"});
        refused_as(&answer, 400, "missing_field", &message);
    }
}

fn incomplete() -> [Value; 6] {
    [
        json!({}),
        json!({"roomName": "r"}),
        json!({"participantName": "Ada"}),
        json!({"roomName": "", "participantName": "Ada"}),
        json!({"roomName": "r", "participantName": ""}),
        json!({"roomName": null, "participantName": null}),
    ]
}

#[tokio::test]
async fn a_policy_that_names_people_itself_shows_openvidus_name_and_keeps_the_identity() {
    let service = served(
        r#"
        [[caller]]
        name = "anyone"
        kind = "anonymous"
        [[rule]]
        name = "named"
        callers = ["anyone"]
        rooms = ["*"]
        identity = "guest-{random}"
        client_may_set = ["participant_name"]
        "#,
    );
    for path in ["/token", "/quickstart/token"] {
        let answer = ask(&service, path, &[], &json!({"roomName": "r", "participantName": "Ada"})).await;
        let token = String::from_utf8(answer.body).unwrap();
        let claims = claims(token.trim_matches('"'));
        assert_eq!(claims["name"], "Ada", "{path}");
        assert!(claims["sub"].as_str().unwrap().starts_with("guest-"), "{path}");
    }
}

/// Asserts an error in a dialect's own shape, with the code and the request's id in headers, and that nothing was minted.
fn refused_as(answer: &Answer, status: u16, code: &str, body: &Value) {
    assert_eq!(answer.status.as_u16(), status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("x-error-code"), code);
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json(), *body);
}

#[tokio::test]
async fn in_every_dialect_a_caller_without_a_rule_is_refused_in_its_own_shape() {
    let strict = r#"
        [[caller]]
        name = "anyone"
        kind = "anonymous"
        [[rule]]
        name = "lobby"
        callers = ["anyone"]
        rooms = ["lobby"]
        client_may_set = ["participant_identity"]
    "#;
    let body = json!({"roomName": "board", "participantName": "Ada"});
    let words = "No rule opens this room to this caller.";
    for (policy, status, code) in
        [("", 403, "no_callers_configured"), (KEYED, 401, "no_credential"), (strict, 403, "room_not_allowed")]
    {
        let service = served(policy);
        for path in EVERY_PATH {
            let answer = ask(&service, path, &[OURS], &body).await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
            assert_eq!(answer.header("x-error-code"), code, "{path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("eyJ"), "nothing was minted");
            if code != "room_not_allowed" {
                continue;
            }
            match path {
                "/token" => refused_as(&answer, 403, code, &json!(words)),
                "/openvidu/token" => refused_as(&answer, 403, code, &json!({ "errorMessage": words })),
                "/createToken" => refused_as(&answer, 403, code, &json!({ "message": words })),
                _ => {
                    answer.refused(403, code);
                }
            }
        }
    }
}

const KEYED: &str = r#"
    [[caller]]
    name = "backend"
    kind = "api-key"
    [[rule]]
    name = "all"
    callers = ["backend"]
    rooms = ["*"]
"#;

#[tokio::test]
async fn only_the_dialects_that_are_listed_are_served() {
    let standard_alone = service(OPEN);
    for path in EVERY_PATH {
        ask(&standard_alone, path, &[OURS], &json!({})).await.refused(404, "not_found");
    }
    let no_standard = service(&format!("dialects = [\"openvidu\"]\n{OPEN}"));
    ask(&no_standard, "/getToken", &[], &json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn every_dialect_wants_json_by_post_and_reads_nothing_twice() {
    for path in EVERY_PATH {
        send(&open(), request(Method::GET, path, &[], "")).await.refused(405, "method_not_allowed");
        let form = [("content-type", "application/x-www-form-urlencoded"), OURS];
        let answer = send(&open(), request(Method::POST, path, &form, "roomName=r")).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-error-code")), (415, "unsupported_media_type"));
        let json = [("content-type", "application/json"), OURS];
        for body in ["{", "[]", r#"{"roomName": "a", "roomName": "b", "participantName": "c"}"#] {
            let answer = send(&open(), request(Method::POST, path, &json, body)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("x-error-code")),
                (400, "invalid_body"),
                "{path} {body}"
            );
        }
    }
}
