//! A whole Lambda event with any content gets a complete response and never a 5xx status. Each issued token is for one
//! room and one identity.
//!
//! The first byte selects a sample event, and the rest changes it. An input that starts like a JSON value is
//! the event's text.

#![no_main]

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use axum::Router;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use lambda_http::{Context, LambdaEvent};
use libfuzzer_sys::fuzz_target;
use roompass::config::Config;
use roompass::http::router;
use roompass::inspect::{self, Inspected};
use roompass_fuzz::{OPEN, keys, surroundings, value, wait_for};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| {
    let event: Option<Box<RawValue>> = match input {
        [b'{' | b'[' | b'"' | b'0'..=b'9', ..] => serde_json::from_slice(input).ok(),
        [sample, rest @ ..] => changed(usize::from(*sample), &mut Unstructured::new(rest))
            .ok()
            .and_then(|event| to_raw_value(&event).ok()),
        [] => None,
    };
    let Some(event) = event else { return };
    let mut context = Context::default();
    context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into();
    let router = if event.get().contains("\"authorizer\"") { GATEWAY.clone() } else { SERVICE.clone() };
    let Ok(answer) = wait_for(roompass::lambda::answer(router, LambdaEvent { payload: event, context }));
    must_be_whole(&serde_json::to_value(answer).expect("the response is JSON"));
});

fn must_be_whole(answer: &Value) {
    let status = answer["statusCode"].as_u64().expect("the response has a status");
    assert!(matches!(status, 200 | 201 | 204 | 400..=499), "{answer}");
    let header = |name: &str| {
        let one = answer["headers"].get(name).or_else(|| answer["multiValueHeaders"][name].get(0));
        one.and_then(Value::as_str).unwrap_or_default()
    };
    assert_eq!(answer["isBase64Encoded"], false, "{answer}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{answer}");
    assert!(header("cache-control").contains("no-store"), "{answer}");
    assert!(!header("x-request-id").is_empty(), "{answer}");
    let body = answer["body"].as_str().unwrap_or_default();
    if status >= 400 {
        assert!(!header("x-error-code").is_empty() && !body.contains("eyJ"), "{answer}");
    }
    let json = if header("content-type").contains("json") && !body.is_empty() {
        serde_json::from_str(body).expect("a JSON body")
    } else {
        json!(body)
    };
    must_open_one_room(&json, &answer["headers"]);
}

/// Asserts that each token in a response is for one room and one identity.
fn must_open_one_room(body: &Value, answer: &Value) {
    match body {
        Value::Object(members) => members.values().for_each(|value| must_open_one_room(value, answer)),
        Value::String(text) if text.starts_with("eyJ") => {
            let claims = text.split('.').nth(1).and_then(|claims| BASE64_URL_SAFE_NO_PAD.decode(claims).ok());
            let claims: Value =
                serde_json::from_slice(&claims.expect("a token")).expect("the token has claims");
            assert!(
                claims["video"]["room"].as_str().is_some_and(|room| !room.is_empty()),
                "{claims} {answer}"
            );
            assert!(claims["sub"].as_str().is_some_and(|sub| !sub.is_empty()), "{claims} {answer}");
            assert!(claims["exp"].as_u64() > claims["nbf"].as_u64(), "{claims}");
        }
        Value::String(text) if text.starts_with("007eJ") => {
            let Ok(Inspected::Agora(token)) = inspect::read(text) else {
                panic!("the token can't be read: {text}")
            };
            for service in token.services {
                assert!(service.channel.is_none_or(|channel| !channel.is_any_channel()));
                assert!(service.user.is_some_and(|user| !user.is_any_user()));
                assert!(service.privileges.iter().all(|privilege| privilege.ends.is_some()));
            }
        }
        _ => {}
    }
}

/// A sample event with some changes.
fn changed(sample: usize, bytes: &mut Unstructured<'_>) -> Result<Value> {
    let mut event = SAMPLES[sample % SAMPLES.len()].clone();
    for _ in 0..bytes.int_in_range(0..=4)? {
        let mut found = Vec::new();
        places(&event, "", &mut found);
        let place = bytes.choose(&found)?.clone();
        let value = match place.rsplit('/').next() {
            Some("rawPath" | "path") => json!(path(bytes)?),
            Some("body") => body(bytes)?,
            _ => value(bytes, &WORDS, 3)?,
        };
        match event.pointer_mut(&place) {
            // Sometimes adds a member instead.
            Some(Value::Object(members)) if bytes.ratio(2, 3)? => {
                let name =
                    if bytes.ratio(1, 8)? { bytes.arbitrary()? } else { (*bytes.choose(&WORDS)?).to_owned() };
                members.insert(name, value);
            }
            Some(changed) => *changed = value,
            None => {}
        }
    }
    Ok(event)
}

fn path(bytes: &mut Unstructured<'_>) -> Result<String> {
    let mut path = (*bytes.choose(&PATHS)?).to_owned();
    for _ in 0..bytes.int_in_range(0..=4)? {
        match bytes.ratio(1, 4)? {
            true => path += bytes.arbitrary()?,
            false => path += bytes.choose(&WORDS)?,
        }
    }
    Ok(path)
}

fn body(bytes: &mut Unstructured<'_>) -> Result<Value> {
    let members = Value::Object(roompass_fuzz::members(bytes, &FIELDS, 3)?).to_string();
    Ok(match bytes.int_in_range(0..=4)? {
        0 => value(bytes, &WORDS, 2)?,
        1 => BASE64_STANDARD.encode(members).into(),
        _ => members.into(),
    })
}

/// The paths in an event that can be changed.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    if let Value::Object(members) = value {
        for (name, inner) in members {
            places(inner, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }
    }
}

fn service(callers: &str) -> Router {
    let dialects =
        r#"["standard", "sandbox", "token-server", "quickstart", "meet", "use-token", "openvidu", "agora"]"#;
    let text = format!("dialects = {dialects}\nsandbox.ids = [\"s\"]\ncors.origins = [\"*\"]\n{callers}");
    router(
        Config::parse(&text, "fuzz.toml").expect("a valid policy"),
        keys(),
        roompass::mint::token,
        surroundings,
    )
}

/// A policy that is open to all callers.
static SERVICE: LazyLock<Router> = LazyLock::new(|| service(OPEN));

/// A policy for callers that a gateway has verified.
static GATEWAY: LazyLock<Router> = LazyLock::new(|| {
    let vias = ["jwt", "lambda", "iam", "cognito"];
    let callers = vias
        .map(|via| format!("[[caller]]\nname = \"{via}\"\nkind = \"gateway\"\nvia = \"{via}\"\n"))
        .concat();
    let rules = vias.map(|via| {
        format!("[[rule]]\nname = \"{via}\"\ncallers = [\"{via}\"]\nrooms = [\"*\"]\nidentity = \"{via}:{{sub}}\"\nagora_logins = [\"rtm\"]\n")
    });
    service(&(callers + &rules.concat()))
});

static SAMPLES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../events/http-api.json"),
        include_str!("../../events/http-api-base64.json"),
        include_str!("../../events/http-api-stage.json"),
        include_str!("../../events/rest-api.json"),
        include_str!("../../events/function-url.json"),
        include_str!("../../events/alb.json"),
        include_str!("../../events/alb-multi-value-headers.json"),
        include_str!("../../events/preflight.json"),
        include_str!("../../tests/gateway/http-api-jwt.json"),
        include_str!("../../tests/gateway/http-api-lambda.json"),
        include_str!("../../tests/gateway/http-api-iam.json"),
        include_str!("../../tests/gateway/rest-api-cognito.json"),
        include_str!("../../tests/gateway/rest-api-lambda.json"),
        include_str!("../../tests/gateway/rest-api-iam.json"),
        include_str!("../../tests/gateway/function-url-iam.json"),
    ];
    texts.iter().map(|text| serde_json::from_str(text).expect("a sample is JSON")).collect()
});

const PATHS: [&str; 20] = [
    "/getToken",
    "/api/token",
    "/createToken",
    "/quickstart/token",
    "/token",
    "/openvidu/token",
    "/api/v2/sandbox/connection-details",
    "/api/sandbox/connection-details",
    "/agora/getToken",
    "/agora/rtc/c/publisher/uid/7/",
    "/agora/rtc/",
    "/agora/rtm/",
    "/agora/rte/c/subscriber/userAccount/ada/",
    "/agora/ping",
    "/healthz",
    "/prod/getToken",
    "/",
    "",
    "//",
    "/..",
];
const WORDS: [&str; 56] = [
    "headers",
    "multiValueHeaders",
    "requestContext",
    "authorizer",
    "claims",
    "jwt",
    "lambda",
    "iam",
    "fields",
    "http",
    "method",
    "stage",
    "version",
    "2.0",
    "1.0",
    "$default",
    "prod",
    "rawPath",
    "rawQueryString",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "isBase64Encoded",
    "body",
    "cookies",
    "content-type",
    "Content-Type",
    "application/json",
    "content-encoding",
    "gzip",
    "identity",
    "x-sandbox-id",
    "s",
    "host",
    "authorization",
    "Bearer a.b.c",
    "x-api-key",
    "origin",
    "https://a.example",
    "access-control-request-method",
    "GET",
    "POST",
    "OPTIONS",
    "P OST",
    "expiry=600",
    "sub",
    "principalId",
    "elb",
    "é\u{0}",
    "%FF",
    "*",
    "/",
    "0",
    "[a b]",
    "{}",
    "requestId",
    "",
];
const FIELDS: [&str; 31] = [
    "room_name",
    "roomName",
    "participant_identity",
    "participantName",
    "participantIdentity",
    "participant_metadata",
    "participant_attributes",
    "room_config",
    "name",
    "metadata",
    "agents",
    "agent_name",
    "egress",
    "tracks",
    "file",
    "filepath",
    "max_participants",
    "tags",
    "tokenType",
    "channel",
    "role",
    "uid",
    "expire",
    "rtc",
    "rtm",
    "rte",
    "publisher",
    "1",
    "ada",
    "é\u{0}",
    "",
];
