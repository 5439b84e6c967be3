//! Agora's routes, through the router: what its clients request, what they get, and what is refused.

use axum::Router;
use axum::http::Method;
use roompass::inspect::{self, Inspected, Name};
use serde_json::{Value, json};

use crate::lambda_events::{event, invoke_on};
use crate::log::logged;
use crate::support::{APP_ID, Answer, OPEN, agora_secret, request, send, service, service_stored_in};

/// With Agora's keys alone.
fn served(policy: &str) -> Router {
    let config = format!("dialects = [\"agora\"]\n{policy}");
    service_stored_in(&config, || Ok(agora_secret().to_string().as_str().into()))
}

/// Every request is allowed.
fn open() -> Router {
    served(&(OPEN.to_owned() + "agora_logins = [\"rtm\", \"chat\"]\nmax_ttl = \"24h\"\n"))
}

async fn get(service: &Router, path: &str) -> Answer {
    send(service, request(Method::GET, &format!("/agora{path}"), &[], "")).await
}

async fn post(service: &Router, body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    send(service, request(Method::POST, "/agora/getToken", &json, body.to_string())).await
}

/// A service in a token of version 007: its kind, its privileges with their seconds, and its texts.
type Service = (u16, Vec<(u16, u64)>, Vec<String>);

fn services(token: &str) -> Vec<Service> {
    let Ok(Inspected::Agora(token)) = inspect::read(token) else { panic!("not an Agora token") };
    assert_eq!(token.app_id, APP_ID);
    assert!(token.issued > 1_700_000_000 && token.salt > 0);
    let seconds = |ends: Option<u64>| ends.unwrap() - token.issued;
    let services = token.services.iter().map(|service| {
        let privileges = service.privileges.iter().map(|one| (one.number, seconds(one.ends))).collect();
        let names = [&service.channel, &service.user].into_iter().flatten().map(|name| match name {
            Name::Known(name) => name.clone(),
            Name::Checksum(_) => panic!("a 006 token"),
        });
        (service.kind, privileges, names.collect())
    });
    services.collect()
}

fn rtc(privileges: &[u16], seconds: u64, channel: &str, user: &str) -> Service {
    let privileges = privileges.iter().map(|privilege| (*privilege, seconds)).collect();
    (1, privileges, vec![channel.to_owned(), user.to_owned()])
}

fn login(kind: u16, seconds: u64, user: &str) -> Service {
    (kind, vec![(1, seconds)], vec![user.to_owned()])
}

/// The tokens of an answer that is exactly as its clients read it.
fn tokens(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status.as_u16(), 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_agoras_headers(answer);
    let members = answer.json();
    let members = members.as_object().unwrap();
    members.iter().map(|(name, token)| (name.clone(), token.as_str().unwrap().to_owned())).collect()
}

fn assert_agoras_headers(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "private, no-cache, no-store, must-revalidate");
    assert_eq!((answer.header("expires"), answer.header("pragma")), ("-1", "no-cache"));
    assert!(!answer.header("x-request-id").is_empty());
}

/// Asserts an error in the shape that its clients read, and that no token was signed. Returns its text.
fn refused(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("x-error-code"), code);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_agoras_headers(answer);
    let body = answer.json();
    let words = body["error"].as_str().unwrap().to_owned();
    assert_eq!(answer.minted, 0);
    assert_eq!(body, json!({ "error": words, "message": words, "status": status }));
    words
}

#[tokio::test]
async fn each_route_returns_the_members_that_its_clients_read() {
    let all = &[1, 2, 3, 4];
    for (path, expected) in [
        ("/rtc/standup/1/uid/4294967295/", vec![("rtcToken", rtc(all, 3_600, "standup", "4294967295"))]),
        ("/rtc/a%20b/2/userAccount/ada/?expiry=60", vec![("rtcToken", rtc(&[1], 60, "a b", "ada"))]),
        ("/rtc/r/subscriber/userAccount/7/?expiry=86400&x", vec![("rtcToken", rtc(&[1], 86_400, "r", "7"))]),
        ("/rtm/ada/?expiry=", vec![("rtmToken", login(2, 3_600, "ada"))]),
        (
            "/rte/standup/subscriber/userAccount/ada/bob/",
            vec![("rtcToken", rtc(&[1], 3_600, "standup", "ada")), ("rtmToken", login(2, 3_600, "bob"))],
        ),
    ] {
        let answer = get(&open(), path).await;
        let read: Vec<_> =
            tokens(&answer).into_iter().map(|(name, token)| (name, services(&token))).collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(name, service)| (name.to_owned(), vec![service])).collect();
        assert_eq!(read, expected, "{path}");
    }
}

#[tokio::test]
async fn wildcard_users_and_unlimited_lifetimes_are_refused() {
    let too_long = "c".repeat(65);
    for (path, words) in [
        ("/rtc/c/publisher/uid/00/", "The field uid must be a whole number from 1"),
        ("/rtc/c/publisher/uid/007/", "The field uid must be a whole number from 1"),
        ("/rtc/c/publisher/uid/+7/", "The field uid must be a whole number from 1"),
        ("/rtc/c/publisher/uid/-1/", "The field uid must be a whole number from 1"),
        ("/rtc/c/publisher/uid/4294967296/", "The field uid must be a whole number from 1"),
        ("/rtc/c/publisher/uid/*/", "The field uid must be a whole number from 1"),
        ("/rtc/c/publisher/userAccount/*/", "The field uid must contain only letters"),
        ("/rtc/c/publisher/userAccount/0/", "The field uid must not be 0 or blank"),
        ("/rtc/c/publisher/userAccount/%20/", "The field uid must not be 0 or blank"),
        ("/rtc/*/publisher/uid/7/", "The field channel must contain only letters"),
        ("/rtc/a*/publisher/uid/7/", "The field channel must contain only letters"),
        ("/rtc/a%2Fb/publisher/uid/7/", "The field channel must contain only letters"),
        ("/rtc/%C3%A9/publisher/uid/7/", "The field channel must contain only letters"),
        ("/rtc/%20/publisher/uid/7/", "The field channel must not be blank"),
        (&format!("/rtc/{too_long}/publisher/uid/7/"), "The field channel is 65 bytes long"),
        ("/rtc/c/host/uid/7/", "The field role must be publisher (or 1) or subscriber (or 2)."),
        ("/rtc/c/Publisher/uid/7/", "The field role must be"),
        ("/rtc/c/publisher/account/7/", "The field tokenType must be uid or userAccount."),
        (
            "/rtc/c/publisher/uid/7/?expiry=0",
            "The field expiry must be a whole number of seconds from 1 to 86400",
        ),
        ("/rtc/c/publisher/uid/7/?expiry=86401", "The field expiry must be"),
        ("/rtc/c/publisher/uid/7/?expiry=-1", "The field expiry must be"),
        ("/rtc/c/publisher/uid/7/?expiry=1e3", "The field expiry must be"),
        ("/rtc/c/publisher/uid/7/?expiry=99999999999999999999", "The field expiry must be"),
        ("/rtc/c/publisher/uid/7/?expiry=60&expiry=90", "The field expiry is sent more than once."),
        ("/rtm/*/", "The field uid must contain only letters"),
        ("/chat/account/*/", "The field uid must contain only letters"),
        (&format!("/rtm/{too_long}/"), "The field uid is 65 bytes long"),
        ("/rte/c/publisher/uid/7/*/", "The field rtmuid must contain only letters"),
    ] {
        let answer = get(&open(), path).await;
        let said = refused(&answer, 400, "invalid_field");
        assert!(said.starts_with(words), "{path}: {said}");
    }
    refused(&get(&open(), "/rtc/%FF/publisher/uid/7/").await, 400, "invalid_path");
    for (body, words) in [
        (json!({}), "The field tokenType must be rtc, rtm, chat"),
        (json!({"tokenType": "chatApp", "uid": "ada"}), "The field tokenType must be"),
        (json!({"tokenType": "chat"}), "The field uid must not be empty"),
        (json!({"tokenType": "chat", "uid": ""}), "The field uid must not be empty"),
        (json!({"tokenType": "rtm", "uid": ["ada"]}), "The field uid must be a string"),
        (json!({"tokenType": "rtc", "uid": "7"}), "The field channel must not be empty"),
        (json!({"tokenType": "rtc", "channel": "c", "uid": 1.5}), "The field uid must be a string"),
        (json!({"tokenType": "rtc", "channel": "c", "uid": -7}), "The field uid"),
        (
            json!({"tokenType": "rtm", "uid": "ada", "expire": "60"}),
            "The field expire must be a whole number",
        ),
        (json!({"tokenType": "rtm", "uid": "ada", "expire": 0}), "The field expire must be a whole number"),
        (
            json!({"tokenType": "rtm", "uid": "ada", "expire": 86_401}),
            "The field expire must be a whole number",
        ),
    ] {
        let answer = post(&open(), &body).await;
        let said = refused(&answer, 400, "invalid_field");
        assert!(said.starts_with(words), "{body}: {said}");
    }
}

const MEMBERS: &str = r#"
    [[caller]]
    name = "anyone"
    kind = "anonymous"
    [[rule]]
    name = "audience"
    callers = ["anyone"]
    rooms = ["hall-*"]
    client_may_set = ["participant_identity"]
    agora_logins = ["rtm"]
    max_ttl = "2h"
    grants.can_publish = false
"#;

#[tokio::test]
async fn the_rules_are_the_same_as_for_rooms() {
    let service = served(MEMBERS);
    let token = &tokens(&get(&service, "/rtc/hall-1/subscriber/uid/7/?expiry=7200").await)[0].1;
    assert_eq!(services(token), [rtc(&[1], 7_200, "hall-1", "7")]);
    for (path, code) in [
        ("/rtc/board/subscriber/uid/7/", "room_not_allowed"),
        ("/rtc/hall-1/publisher/uid/7/", "publishing_not_allowed"),
        ("/rtc/hall-1/subscriber/uid/7/?expiry=7201", "ttl_too_long"),
        ("/rte/hall-1/publisher/uid/7/", "publishing_not_allowed"),
        ("/rte/board/subscriber/uid/7/", "room_not_allowed"),
    ] {
        refused(&get(&service, path).await, 403, code);
    }
    refused(&post(&service, &json!({"tokenType": "chat", "uid": "ada"})).await, 403, "login_not_allowed");

    let named =
        served(&MEMBERS.replace("client_may_set = [\"participant_identity\"]", "identity = \"kiosk\""));
    let token = &tokens(&get(&named, "/rtc/hall-1/subscriber/userAccount/kiosk/").await)[0].1;
    assert_eq!(services(token), [rtc(&[1], 3_600, "hall-1", "kiosk")]);
    for path in
        ["/rtc/hall-1/subscriber/uid/7/", "/rtm/ada/", "/rte/hall-1/subscriber/userAccount/kiosk/ada/"]
    {
        refused(&get(&named, path).await, 403, "field_not_allowed");
    }

    let deaf = served(&MEMBERS.replace("can_publish = false", "can_subscribe = false"));
    refused(&get(&deaf, "/rtc/hall-1/subscriber/uid/7/").await, 403, "grants_not_enforceable");
    let microphone =
        served(&MEMBERS.replace("can_publish = false", "can_publish_sources = [\"microphone\"]"));
    let token = &tokens(&get(&microphone, "/rtc/hall-1/publisher/uid/7/").await)[0].1;
    assert_eq!(services(token), [rtc(&[1, 2, 4], 3_600, "hall-1", "7")]);
}

#[tokio::test]
async fn uid_0_is_refused_unless_the_rule_allows_it_and_only_for_channels() {
    let allowed = "\nagora_uid_zero = true\n";
    let rules =
        [OPEN.to_owned(), MEMBERS.to_owned(), MEMBERS.replace("participant_identity", "participant_name")];
    for rule in &rules {
        let rule = format!("agora.token_version = \"007\"\n{rule}").replace("grants.can_publish = false", "");
        for path in ["/rtc/hall-1/publisher/uid/0/", "/rte/hall-1/publisher/uid/0/ada/"] {
            let said = refused(&get(&served(&rule), path).await, 403, "field_not_allowed");
            assert!(
                said.starts_with("The field uid is 0, whose token is valid for any user: rule "),
                "{said}"
            );
            assert!(said.ends_with(" does not set agora_uid_zero = true."), "{said}");
        }
        for uid in [json!(0), json!("0")] {
            let body = json!({"tokenType": "rtc", "channel": "hall-1", "uid": uid});
            refused(&post(&served(&rule), &body).await, 403, "field_not_allowed");
            let answer = post(&served(&(rule.clone() + allowed)), &body).await;
            assert_eq!(services(&tokens(&answer)[0].1), [rtc(&[1], 3_600, "hall-1", "")]);
        }
        let service = served(&(rule + allowed));
        let token = &tokens(&get(&service, "/rtc/hall-1/publisher/uid/0/").await)[0].1;
        assert_eq!(services(token), [rtc(&[1, 2, 3, 4], 3_600, "hall-1", "")]);
        for path in [
            "/rtc/hall-1/publisher/uid/00/",
            "/rtc/hall-1/publisher/userAccount/0/",
            "/rtc/hall-1/publisher/uid/*/",
            "/rtm/0/",
            "/chat/account/0/",
            "/rte/hall-1/publisher/uid/0/",
            "/rte/hall-1/publisher/uid/0/0/",
            "/rte/hall-1/publisher/uid/7/0/",
        ] {
            refused(&get(&service, path).await, 400, "invalid_field");
        }
        for kind in ["rtm", "chat", "rte"] {
            let body = json!({"tokenType": kind, "channel": "hall-1", "uid": "0"});
            refused(&post(&service, &body).await, 400, "invalid_field");
        }
    }
    let both = served(&format!("{OPEN}agora_logins = [\"rtm\"]{allowed}"));
    let both = tokens(&get(&both, "/rte/hall-1/subscriber/uid/0/ada/").await);
    assert_eq!(services(&both[0].1), [rtc(&[1], 3_600, "hall-1", "")]);
    assert_eq!(services(&both[1].1), [login(2, 3_600, "ada")]);
    refused(
        &get(&served(&(MEMBERS.to_owned() + allowed)), "/rtc/board/publisher/uid/0/").await,
        403,
        "room_not_allowed",
    );
}

#[tokio::test]
async fn a_006_token_for_uid_0_has_the_checksum_of_an_empty_user() {
    let service = served(&format!("agora.token_version = \"006\"\n{OPEN}agora_uid_zero = true\n"));
    let token = &tokens(&get(&service, "/rtc/hall-1/publisher/uid/0/").await)[0].1;
    let Ok(Inspected::Agora(token)) = inspect::read(token) else { panic!("not an Agora token") };
    assert_eq!((token.version, &token.services[0].user), ("006", &Some(Name::Checksum(0))));
    assert!(!token.services[0].channel.as_ref().unwrap().is_any_channel());
}

#[tokio::test]
async fn the_identity_0_of_a_rule_is_never_uid_0() {
    let rule = MEMBERS
        .replace("client_may_set = [\"participant_identity\"]", "identity = \"0\"\nagora_uid_zero = true");
    let service = served(&rule);
    refused(&get(&service, "/rtc/hall-1/subscriber/userAccount/0/").await, 400, "invalid_field");
    let service = served(&rule.replace("agora_uid_zero = true", ""));
    refused(&get(&service, "/rtc/hall-1/subscriber/uid/0/").await, 403, "field_not_allowed");
}

#[tokio::test]
async fn a_caller_without_a_rule_gets_no_token_on_any_route() {
    let keyed = "[[caller]]\nname = \"b\"\nkind = \"api-key\"\n[[rule]]\nname = \"r\"\ncallers = [\"b\"]\nrooms = [\"*\"]";
    for (policy, status, code) in [("", 403, "no_callers_configured"), (keyed, 401, "no_credential")] {
        let service = served(policy);
        for path in [
            "/rtc/c/publisher/uid/7/",
            "/rtm/ada/",
            "/chat/account/ada/",
            "/rte/c/publisher/uid/7/ada/",
            "/rtc/*/x/y/0/",
        ] {
            refused(&get(&service, path).await, status, code);
        }
        refused(&post(&service, &json!({})).await, status, code);
        assert_eq!(get(&service, "/ping").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn the_log_has_the_room_of_a_request_whose_login_is_refused() {
    let service = served(&MEMBERS.replace("agora_logins = [\"rtm\"]", ""));
    let log = logged(async {
        let answer = get(&service, "/rte/hall-1/subscriber/uid/7/").await;
        refused(&answer, 403, "login_not_allowed");
    });
    let log = log.await;
    assert!(log.contains("code=\"login_not_allowed\"") && log.contains(" room=\"hall-1\" "), "{log}");
}

/// A HEAD would make a token that no client gets.
#[tokio::test]
async fn another_method_is_refused_with_the_allowed_one_and_no_token_is_signed() {
    for (path, allow, others) in [
        ("/agora/rtc/c/publisher/uid/7/", "GET", [Method::HEAD, Method::POST, Method::PUT]),
        ("/agora/rtm/ada", "GET", [Method::HEAD, Method::POST, Method::DELETE]),
        ("/agora/getToken", "POST", [Method::HEAD, Method::GET, Method::PUT]),
        ("/agora/ping", "GET, HEAD", [Method::POST, Method::PUT, Method::DELETE]),
    ] {
        for method in others {
            let mut answer = None;
            let log = logged(async {
                answer = Some(send(&open(), request(method.clone(), path, &[], "")).await);
            });
            let log = log.await;
            let answer = answer.unwrap();
            let found = (answer.status.as_u16(), answer.header("x-error-code"), answer.header("allow"));
            assert_eq!(found, (405, "method_not_allowed", allow), "{method} {path}");
            assert!(log.contains("request refused") && !log.contains("token issued"), "{log}");
        }
    }
    assert_eq!(send(&open(), request(Method::HEAD, "/agora/ping", &[], "")).await.status.as_u16(), 200);
}

#[tokio::test]
async fn without_agora_keys_the_livekit_dialects_still_work() {
    let livekit = service(&format!("dialects = [\"standard\", \"agora\"]\n{OPEN}"));
    let answer = get(&livekit, "/rtc/c/publisher/uid/7/").await;
    refused(&answer, 503, "agora_not_configured");
    assert_eq!(answer.header("retry-after"), "", "waiting doesn't help");
    assert_eq!(crate::support::post(&livekit, json!({})).await.status.as_u16(), 201);
    let agora = served(&OPEN.replace("[[caller]]", "[cors]\n[[caller]]"));
    assert_eq!(send(&agora, request(Method::GET, "/healthz", &[], "")).await.status.as_u16(), 200);
}

#[tokio::test]
async fn old_sdks_get_version_006_where_there_is_one() {
    let service =
        served(&format!("agora.token_version = \"006\"\n{OPEN}agora_logins = [\"rtm\", \"chat\"]\n"));
    for (path, member) in [("/rtc/c/publisher/uid/7/", "rtcToken"), ("/rtm/ada/", "rtmToken")] {
        let answer = get(&service, path).await;
        assert!(answer.json()[member].as_str().unwrap().starts_with(&format!("006{APP_ID}")), "{path}");
    }
    let chat = post(&service, &json!({"tokenType": "chat", "uid": "ada"})).await;
    assert!(chat.json()["token"].as_str().unwrap().starts_with("007"));
}

#[tokio::test]
async fn a_preflight_of_the_web_samples_is_allowed() {
    let service = served(&format!("cors.origins = [\"https://a.example\"]\n{OPEN}"));
    let headers = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-requested-with"),
    ];
    let preflight = request(Method::OPTIONS, "/agora/rtc/c/publisher/uid/7/", &headers, "");
    let answer = send(&service, preflight).await;
    assert_eq!(answer.status.as_u16(), 204);
    assert!(answer.header("access-control-allow-headers").contains("x-requested-with"));
}

#[tokio::test]
async fn behind_every_gateway_the_path_and_the_query_arrive_as_they_were_sent() {
    // HTTP APIs decode the path, and the others leave it as it was sent.
    let (sent, decoded) = ("a%20b%7Cc", "a b|c");
    let (sent_twice, decoded_once) = ("50%2520off", "50%20off");
    for (source, channel, said) in [
        ("http-api", decoded, decoded),
        ("http-api-stage", decoded, decoded),
        ("function-url", sent, decoded),
        ("rest-api", sent, decoded),
        ("alb", sent, decoded),
        ("http-api", decoded_once, "50%20off"),
        ("function-url", sent_twice, "50%20off"),
        ("rest-api", sent_twice, "50%20off"),
    ] {
        let path = format!("/agora/rtc/{channel}/publisher/uid/7/");
        let mut event: Value = serde_json::from_str(&event(source)).unwrap();
        event["body"] = Value::Null;
        if event.get("rawPath").is_some() {
            let stage = if source == "http-api-stage" { "/prod" } else { "" };
            event["rawPath"] = json!(format!("{stage}{path}"));
            event["rawQueryString"] = json!("expiry=600");
            event["requestContext"]["http"]["method"] = json!("GET");
        } else {
            event["path"] = json!(path);
            event["queryStringParameters"] = json!({"expiry": "600"});
            event["httpMethod"] = json!("GET");
        }
        let answer = invoke_on(open(), &event.to_string()).await;
        assert_eq!(answer["statusCode"], 200, "{source}: {answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let token = body["rtcToken"].as_str().unwrap();
        assert_eq!(services(token), [rtc(&[1, 2, 3, 4], 600, said, "7")], "{source}");
    }
}

#[tokio::test]
async fn a_login_is_logged_with_its_service() {
    let line = logged(async {
        get(&open(), "/rtm/ada/").await;
    })
    .await;
    assert!(line.contains(" login=\"rtm\""), "{line}");
}

#[tokio::test]
async fn a_whole_number_in_a_body_may_be_written_with_a_fraction_of_zero() {
    let body = json!({ "tokenType": "rtc", "channel": "c", "uid": 7.0, "expire": 60.0 });
    let [(_, token)] = tokens(&post(&open(), &body).await).try_into().unwrap();
    assert_eq!(services(&token), [rtc(&[1], 60, "c", "7")]);
    let body = json!({ "tokenType": "rtc", "channel": "c", "uid": 7.5 });
    let words = refused(&post(&open(), &body).await, 400, "invalid_field");
    assert_eq!(words, "The field uid must be a string or a whole number.");
}
