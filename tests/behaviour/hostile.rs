//! What a hostile client, or anyone who may call the function, can put into an event: it's always answered, never with
//! a failure of ours, and what is minted was allowed.

use std::sync::LazyLock;

use axum::Router;
use percent_encoding::NON_ALPHANUMERIC;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::lambda_events::{event, invoke_on};
use crate::support::{OPEN, claims, service};

const SOURCES: [&str; 5] =
    ["http-api", "http-api-stage", "rest-api", "function-url", "alb-multi-value-headers"];

/// Made once: it's thousands of requests.
static OPEN_TO_ALL: LazyLock<Router> = LazyLock::new(|| {
    service(&format!(
        "dialects = [\"standard\", \"sandbox\", \"token-server\", \"quickstart\", \"meet\", \"use-token\", \"openvidu\", \"agora\"]\nsandbox.ids = [\"s\"]\n{OPEN}"
    ))
});

fn open() -> Router {
    OPEN_TO_ALL.clone()
}

fn sample(source: &str) -> Value {
    serde_json::from_str(&event(source)).unwrap()
}

/// Asserts that it's a whole answer, and not a failure: 200 or 201 with a token, or a 4xx. (Agora's keys aren't there, and
/// its routes say so with a 503.) Gives the status.
fn assert_answered(answer: &Value, what: &str) -> u64 {
    let status = answer["statusCode"].as_u64().unwrap();
    let code =
        ["headers", "multiValueHeaders"].map(|headers| answer[headers]["x-error-code"].to_string()).concat();
    let expected = matches!(status, 200 | 201 | 204 | 400..=499) || code.contains("agora_not_configured");
    assert!(expected, "{what}: {answer}");
    assert_eq!(answer["isBase64Encoded"], false, "{what}");
    status
}

#[tokio::test]
async fn a_header_that_http_cannot_hold_does_no_harm() {
    for source in SOURCES {
        for (name, value) in [
            ("user-agent", "caf\u{e9} \u{1D11E}"),
            ("x-other", "line\r\nbreak: yes"),
            ("x-null", "\0"),
            ("na me", "x"),
            ("", "x"),
            ("h\u{e9}", "x"),
            ("host", "a b:99999999@[::"),
            ("HOST", ""),
            ("x-forwarded-proto", "://"),
        ] {
            let mut event = sample(source);
            for (key, value) in [("headers", json!(value)), ("multiValueHeaders", json!([value]))] {
                if let Some(headers) = event[key].as_object_mut() {
                    headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
                    headers.insert(name.to_owned(), value);
                }
            }
            let answer = invoke_on(open(), &event.to_string()).await;
            assert_eq!(assert_answered(&answer, name), 201, "{source} {name:?} {value:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_http_cannot_hold_is_refused_and_never_left_out() {
    let config = OPEN.replace("[[caller]]", "[[caller]]\nname = \"b\"\nkind = \"api-key\"\n[[caller]]");
    for source in SOURCES {
        let mut event = sample(source);
        for (key, value) in [("headers", json!("k\u{e9}y")), ("multiValueHeaders", json!(["k\u{e9}y"]))] {
            if event[key].is_object() {
                event[key]["x-api-key"] = value;
            }
        }
        let answer = invoke_on(service(&config), &event.to_string()).await;
        assert_eq!(answer["statusCode"], 401, "{source}: {answer}");
    }
}

#[tokio::test]
async fn several_credentials_stay_several_through_every_gateway() {
    let config = OPEN.replace("[[caller]]", "[[caller]]\nname = \"b\"\nkind = \"api-key\"\n[[caller]]");
    for source in ["rest-api", "alb-multi-value-headers"] {
        let mut event = sample(source);
        event["multiValueHeaders"]["X-API-Key"] = json!(["one", "other"]);
        if event["headers"].is_object() {
            event["headers"]["X-API-Key"] = json!("other");
        }
        let answer = invoke_on(service(&config), &event.to_string()).await;
        assert_eq!(answer["statusCode"], 400, "{source}: {answer}");
        assert!(answer["body"].as_str().unwrap().contains("several_credentials"), "{source}");
    }
    for several in [json!({"x": ["y"]}), json!({"Authorization": [], "x": ["y"]})] {
        let mut event = sample("http-api");
        event["multiValueHeaders"] = several;
        event["headers"] = json!({"authorization": "Bearer x.y.z"});
        assert_eq!(invoke_on(service(&config), &event.to_string()).await["statusCode"], 400);
    }
    let mut event = sample("http-api");
    event["headers"]["X-API-Key"] = json!("one");
    event["headers"]["x-api-key"] = json!("other");
    assert_eq!(invoke_on(service(&config), &event.to_string()).await["statusCode"], 400);
}

#[tokio::test]
async fn a_path_or_query_of_any_kind_is_answered() {
    let long = "x".repeat(70_000);
    for path in [
        "",
        "/",
        "getToken",
        "//",
        "/..",
        "/../getToken",
        "@evil:99999/",
        "/\0",
        "/a b",
        "/%",
        "/%ff",
        "/?#",
        "/é",
        &long,
    ] {
        for query in ["", "a=b", "%", "é", "a b", "#", "\0", &long] {
            for source in SOURCES {
                let mut event = sample(source);
                let key = if event.get("rawPath").is_some() { "rawPath" } else { "path" };
                event[key] = json!(path);
                event["rawQueryString"] = json!(query);
                event["queryStringParameters"] = json!({ query: query });
                let answer = invoke_on(open(), &event.to_string()).await;
                assert_answered(&answer, &format!("{source} {path:.20} {query:.20}"));
            }
        }
    }
}

#[tokio::test]
async fn a_stage_of_any_length_is_answered() {
    let mut event = sample("http-api");
    event["requestContext"]["stage"] = json!("s".repeat(70_000));
    assert_eq!(invoke_on(open(), &event.to_string()).await["statusCode"], 400);
}

#[tokio::test]
async fn what_a_client_makes_long_is_shortened_in_the_error() {
    let mut event = sample("http-api");
    event["body"] = json!(json!({"room_config": {"tags": {"\u{7f}".repeat(300_000): 5}}}).to_string());
    let answer = invoke_on(open(), &event.to_string()).await;
    assert_eq!(answer["statusCode"], 400);
    assert!(answer["body"].as_str().unwrap().len() < 2_000);
}

#[tokio::test]
async fn a_parameter_without_a_value_is_no_parameter() {
    for source in SOURCES {
        for parameters in ["queryStringParameters", "multiValueQueryStringParameters"] {
            let mut event = sample(source);
            event[parameters] = json!({ "a": [], "": [] });
            let answer = invoke_on(open(), &event.to_string()).await;
            assert_answered(&answer, &format!("{source} {parameters}"));
        }
    }
}

#[tokio::test]
async fn an_event_that_is_not_a_request_is_a_400() {
    let mut broken = sample("http-api-base64");
    broken["body"] = json!("not base64!");
    let mut odd_method = sample("http-api");
    odd_method["requestContext"]["http"]["method"] = json!("P OST");
    for event in [
        json!(null),
        json!([]),
        json!("x"),
        json!(1),
        json!({}),
        json!({"Records": []}),
        json!({"version": "2.0"}),
        json!({"requestContext": 5}),
        broken,
        odd_method,
    ] {
        let answer = invoke_on(open(), &event.to_string()).await;
        assert_eq!(answer["statusCode"], 400, "{event}: {answer}");
        let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(problem["code"], "invalid_event", "{event}");
        assert_eq!(problem["request_id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    }
}

fn odd_text() -> impl Strategy<Value = String> {
    let known = vec![
        "",
        "/",
        "/getToken",
        "/token",
        "/agora/rtc/c/publisher/uid/7/",
        "/healthz",
        "application/json",
        "{}",
        "[[[[",
        r#"{"room_name":"r"}"#,
        "POST",
        "GET",
        "OPTIONS",
        "Bearer a.b.c",
        "s",
        "%FF",
        "*",
        "a@b:c",
        "\0",
        "é",
        "8AA=",
    ];
    prop_oneof![prop::sample::select(known).prop_map(str::to_owned), any::<String>()]
}

fn odd_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        odd_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(odd_text(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// The places in an event that a change may go to.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    if let Value::Object(members) = value {
        for (name, inner) in members {
            places(inner, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// A sample event with random changes, sent to a service that allows every request.
    #[test]
    fn every_event_gets_a_response_and_a_token_has_only_what_was_requested(
        source in prop::sample::select(&SOURCES[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_value()), 1..4),
    ) {
        let mut event = sample(source);
        for (place, value) in changes {
            let mut found = Vec::new();
            places(&event, "", &mut found);
            *event.pointer_mut(place.get::<String>(&found)).unwrap() = value;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(invoke_on(open(), &event.to_string()));
        if assert_answered(&answer, &event.to_string()) == 201 {
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            let said = claims(body["participant_token"].as_str().unwrap());
            prop_assert!(!said["video"]["room"].as_str().unwrap().is_empty());
            prop_assert!(!said["sub"].as_str().unwrap().is_empty());
        }
    }

    /// Any bytes at all as the body of each route.
    #[test]
    fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..300), route in 0..9_usize) {
        use base64::Engine;
        let paths = [
            "/getToken", "/api/token", "/createToken", "/quickstart/token", "/token", "/openvidu/token",
            "/api/v2/sandbox/connection-details", "/api/connection-details", "/agora/getToken",
        ];
        let mut event = sample("http-api-base64");
        event["rawPath"] = json!(paths[route]);
        event["headers"]["x-sandbox-id"] = json!("s");
        event["body"] = json!(base64::prelude::BASE64_STANDARD.encode(body));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_answered(&runtime.block_on(invoke_on(open(), &event.to_string())), &event.to_string());
    }
}

proptest! {
    /// Any text as the query of the routes that read one: a response, and what was sent if there is a token.
    #[test]
    fn any_query_is_answered(query in any::<String>(), room in "[^\u{0}]{1,20}", route in 0..2_usize) {
        let path = ["/api/connection-details", "/api/livekit/token"][route];
        let encoded = |text: &str| percent_encoding::percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
        let named = format!("roomName={}&participantName=&identity=ada", encoded(&room));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for query in [&query, &named] {
            let mut event = sample("http-api");
            event["rawPath"] = json!(path);
            event["requestContext"]["http"]["method"] = json!("GET");
            event["rawQueryString"] = json!(query);
            let answer = runtime.block_on(invoke_on(open(), &event.to_string()));
            assert_answered(&answer, &event.to_string());
            if query == &named && answer["statusCode"] == 200 {
                let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                let token = body["participantToken"].as_str().or(body["accessToken"].as_str()).unwrap();
                prop_assert_eq!(&claims(token)["video"]["room"], &room);
            }
        }
    }
}

#[tokio::test]
async fn an_event_that_json_values_cannot_hold_is_a_400() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let sample = event("http-api");
    let with = |member: &str| sample.replacen('{', &format!("{{{member},"), 1);
    for event in [
        with(r#""x":"\ud800""#),
        with(r#""\udc00":1"#),
        with(r#""x":"\ud800\u0041""#),
        with(r#""x":1e999"#),
        with(r#""x":-1e999"#),
        with(&format!(r#""x":{}"#, "9".repeat(400))),
        with(&format!(r#""x":{}"#, deep(200))),
        with(&format!(r#""x":{}"#, deep(100_000))),
        with(r#""rawPath":"/healthz""#),
        r#""\ud800""#.to_owned(),
        "1e999".to_owned(),
        deep(1_000_000),
        sample.replace("\\\"standup\\\"", r"\ud800"),
    ] {
        let answer = invoke_on(open(), &event).await;
        let shown: String = event.chars().take(80).collect();
        assert_eq!(answer["statusCode"], 400, "{shown}: {answer}");
        let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(problem["code"], "invalid_event", "{shown}");
        assert_eq!(problem["request_id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    }
}

#[tokio::test]
async fn a_body_with_a_lone_surrogate_or_an_infinite_number_is_a_400() {
    for body in [r#"{"room_name":"\ud800"}"#, r#"{"x":1e999}"#] {
        let mut event = sample("http-api");
        event["body"] = json!(body);
        let answer = invoke_on(open(), &event.to_string()).await;
        assert_eq!(answer["statusCode"], 400, "{answer}");
        assert!(answer["body"].as_str().unwrap().contains("invalid_body"), "{answer}");
    }
}
