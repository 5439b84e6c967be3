//! The dialects of LiveKit's and OpenVidu's samples, through the router: what their snapshots can't show.

use axum::Router;
use axum::http::Method;
use roompass::config::Dialect;
use roompass::dialect::TABLE;
use serde_json::{Value, json};

use crate::support::{Answer, OPEN, SANDBOX, claims, request, send, service};

/// All of them, for every caller.
fn open() -> Router {
    served(OPEN)
}

fn served(policy: &str) -> Router {
    let dialects = r#"
        dialects = ["standard", "sandbox", "token-server", "quickstart", "meet", "use-token", "openvidu"]
        sandbox.ids = ["my-app-1abc2d", "other"]
    "#;
    service(&format!("{dialects}{policy}"))
}

const SANDBOX_V1: &str = "/api/sandbox/connection-details";
const SANDBOX_V2: &str = "/api/v2/sandbox/connection-details";
const EVERY_PATH: [&str; 7] = [
    SANDBOX_V1,
    SANDBOX_V2,
    "/createToken",
    "/quickstart/token",
    "/api/connection-details",
    "/token",
    "/openvidu/token",
];

async fn ask(service: &Router, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = [json].into_iter().chain(headers.iter().copied()).collect();
    send(service, request(Method::POST, path, &headers, body.to_string())).await
}

const OURS: (&str, &str) = ("x-sandbox-id", SANDBOX);

fn seconds(claims: &Value) -> u64 {
    claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap()
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
async fn openvidus_servers_need_both_fields() {
    for path in ["/token", "/openvidu/token"] {
        for body in [
            json!({}),
            json!({"roomName": "r"}),
            json!({"participantName": "Ada"}),
            json!({"roomName": "", "participantName": "Ada"}),
            json!({"roomName": "r", "participantName": ""}),
            json!({"roomName": null, "participantName": null}),
        ] {
            let answer = ask(&open(), path, &[], &body).await;
            let refused = (answer.status.as_u16(), answer.header("x-error-code"), answer.minted);
            assert_eq!(refused, (400, "missing_field", 0), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn a_sandbox_response_fits_the_buffer_of_small_devices() {
    let body = json!({"roomName": "standup", "participantName": "Ada"});
    let answer = ask(&open(), SANDBOX_V1, &[OURS], &body).await;
    assert_eq!(answer.status.as_u16(), 200, "the ESP32 client accepts no other status");
    assert!(answer.body.len() < 2_048, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn with_an_identity_from_the_rule_the_participant_name_is_only_a_name() {
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

#[tokio::test]
async fn grants_and_a_lifetime_are_never_ignored() {
    let listing =
        OPEN.replace("\"room_config\"]", "\"room_config\", \"grants\", \"grants.room_admin\", \"ttl\"]");
    let (closed, open) = (open(), served(&listing));
    for path in EVERY_PATH.into_iter().chain(["/getToken", "/api/token"]) {
        let with = |members: Value| {
            let mut body = json!({"room_name": "r", "roomName": "r", "participantName": "Ada"});
            body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            body
        };
        for (members, field) in [
            (json!({"grants": {"can_publish": false}}), "grants"),
            (json!({"grants": {"roomAdmin": true}}), "grants"),
            (json!({"ttl": 60}), "ttl"),
            (json!({"ttl": "10m"}), "ttl"),
        ] {
            let answer = ask(&closed, path, &[OURS], &with(members.clone())).await;
            assert_eq!((answer.status.as_u16(), answer.minted), (403, 0), "{path} {members}");
            let text = String::from_utf8(answer.body).unwrap();
            assert!(text.contains(&format!("The field {field} can't be set by the client")), "{path} {text}");
        }
        for members in [json!({"grants": {"canPublish": "no"}}), json!({"grants": []}), json!({"ttl": "60"})]
        {
            let answer = ask(&open, path, &[OURS], &with(members.clone())).await;
            assert_eq!((answer.status.as_u16(), answer.minted), (400, 0), "{path} {members}");
        }
        let chosen = json!({"grants": {"canPublish": false, "room_admin": true}, "ttl": 60});
        let answer = ask(&open, path, &[OURS], &with(chosen)).await;
        let body = String::from_utf8(answer.body).unwrap();
        let token = body.split('"').find(|part| part.starts_with("eyJ")).unwrap();
        let claims = claims(token);
        assert_eq!(
            (&claims["video"]["canPublish"], &claims["video"]["roomAdmin"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(seconds(&claims), 60, "{path}");
        let answer = ask(&closed, path, &[OURS], &with(json!({"grants": {}, "ttl": null}))).await;
        assert!(answer.status.is_success(), "{path}");
    }
}

#[tokio::test]
async fn a_denied_caller_gets_nothing_on_any_route() {
    let denied = served(&format!("{OPEN}[[deny]]\ncallers = [\"anyone\"]\n"));
    let posted = EVERY_PATH.into_iter().chain(["/getToken", "/api/token"]).map(|path| (Method::POST, path));
    let fetched = [
        "/api/connection-details?roomName=r&participantName=Ada",
        "/api/livekit/token?identity=a&roomName=r",
    ];
    for (method, path) in posted.chain(fetched.map(|path| (Method::GET, path))) {
        let body = json!({"room_name": "r", "roomName": "r", "participantName": "Ada"}).to_string();
        let headers = [("content-type", "application/json"), OURS];
        let answer = send(&denied, request(method, path, &headers, body)).await;
        assert_eq!((answer.status.as_u16(), answer.minted), (403, 0), "{path}");
        assert!(answer.header("x-error-code") == "denied", "{path}");
    }
}

#[tokio::test]
async fn a_head_request_never_signs_a_token() {
    for path in
        ["/api/connection-details?roomName=r&participantName=Ada", "/api/livekit/token?identity=a&roomName=r"]
    {
        let answer = send(&open(), request(Method::GET, path, &[], "")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.minted, answer.header("cache-control")),
            (200, 1, "no-store")
        );
        let answer = send(&open(), request(Method::HEAD, path, &[], "")).await;
        assert_eq!((answer.status.as_u16(), answer.minted), (405, 0), "{path}");
    }
}

#[tokio::test]
async fn a_requested_region_never_changes_the_domain_of_the_server() {
    for (region, expected) in [
        ("", Some("wss://test.livekit.cloud")),
        ("eu", Some("wss://test.eu.production.livekit.cloud")),
        ("us-west-2b", Some("wss://test.us-west-2b.production.livekit.cloud")),
        ("EU", None),
        ("evil.example.com%2F", None),
        ("a.b", None),
        ("x%40evil.example.com%3A443%2F", None),
        ("%00", None),
        ("eu&region=us", None),
    ] {
        let path = format!("/api/connection-details?roomName=r&participantName=Ada&region={region}");
        let answer = send(&open(), request(Method::GET, &path, &[], "")).await;
        if let Some(server) = expected {
            assert_eq!(answer.json()["serverUrl"], server, "{region}");
        } else {
            let refused = (answer.status.as_u16(), answer.header("x-error-code"), answer.minted);
            assert_eq!(refused, (400, "invalid_field", 0), "{region}");
        }
    }
}

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
async fn a_route_of_a_dialect_that_is_not_served_is_a_404_that_names_it() {
    let config =
        "[[caller]]\nname = 'a'\nkind = 'anonymous'\n[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = ['*']\n";
    for (base_path, served) in [("", Dialect::Standard), ("/calls", Dialect::Standard), ("", Dialect::Agora)]
    {
        let settings = format!("dialects = ['{}']\nhttp.base_path = '{base_path}'\n", served.as_str());
        let service = service(&(settings + config));
        for row in TABLE.iter().filter(|row| row.dialect != served) {
            for route in row.routes {
                let path = route.path.replace(['{', '}'], "");
                let answer =
                    send(&service, request(route.method.clone(), &format!("{base_path}{path}"), &[], ""))
                        .await;
                let problem = answer.refused(404, "not_found");
                let expected = format!(
                    "This is a route of the dialect {:?}, which is not served. ",
                    row.dialect.as_str()
                );
                assert!(problem["detail"].as_str().unwrap().starts_with(&expected), "{path}: {problem}");
            }
        }
        for path in ["//", "/getTokens", "/agora", "/healthz/x"] {
            let answer = send(&service, request(Method::GET, &format!("{base_path}{path}"), &[], "")).await;
            let problem = answer.refused(404, "not_found");
            assert!(
                problem["detail"].as_str().unwrap().starts_with("Request tokens at "),
                "{path}: {problem}"
            );
        }
    }
}

#[tokio::test]
async fn each_policy_of_the_document_on_migration_gives_the_grants_of_its_system() {
    let document = include_str!("../../docs/migrate.md");
    let development = include_str!("../../src/bin/roompass/development.toml");
    let blocks = document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = |dialects: &str| {
        blocks.clone().find(|block| block.starts_with(dialects) && block.contains("[[rule]]")).unwrap()
    };
    let token_server = block("dialects = [\"token-server\"]").replace("\"api-key\"", "\"anonymous\"");
    let sandbox_id = &[("x-sandbox-id", "my-app-1abc2d")];
    for (config, path, headers, own_metadata) in [
        (
            block("dialects = [\"standard\", \"sandbox\"]"),
            "/api/v2/sandbox/connection-details",
            &sandbox_id[..],
            true,
        ),
        (&token_server, "/createToken", &[], true),
        (
            block("dialects = [\"meet\"]"),
            "/api/connection-details?roomName=1&participantName=Ada",
            &[],
            false,
        ),
        (
            block("dialects = [\"use-token\"]"),
            "/api/livekit/token?identity=ada&name=Ada&metadata=m&roomName=1",
            &[],
            true,
        ),
        (block("dialects = [\"openvidu\"]"), "/openvidu/token", &[], false),
        (development, "/quickstart/token", &[], true),
    ] {
        let room = if path.contains("sandbox") { "demo-1" } else { "1" };
        let (standard, camel) =
            (json!({"room_name": room}), json!({"roomName": room, "participantName": "Ada"}));
        let body = if path.contains("openvidu") || path.contains("quickstart") { camel } else { standard };
        let answer = if path.contains('?') {
            send(&service(config), request(Method::GET, path, headers, "")).await
        } else {
            ask(&service(config), path, headers, &body).await
        };
        assert!(answer.status.is_success(), "{path}: {}", String::from_utf8_lossy(&answer.body));
        let token = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(body) => ["participant_token", "participantToken", "accessToken", "token"]
                .iter()
                .find_map(|member| body[member].as_str())
                .unwrap()
                .to_owned(),
            Err(_) => String::from_utf8(answer.body).unwrap(),
        };
        let mut expected = json!({"roomJoin": true, "room": room});
        if own_metadata {
            expected["canUpdateOwnMetadata"] = true.into();
        }
        assert_eq!(claims(&token)["video"], expected, "{path}");
    }
}
