//! A request of a LiveKit dialect with any body is either parsed or refused. The parsed request equals the body byte
//! for byte, is within the limits, and contains no secret.
//!
//! The first byte selects the route. If the second is `0`, the rest is the body. Otherwise its bits lower the limits,
//! generate the body from the rest, and change the sandbox header.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use axum::http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use roompass::config::Dialect;
use roompass::dialect::{PathParameters, Received, Row};
use roompass::domain::{Ask, Attributes, Limits, RoomAsk, RoomConfig};
use roompass_fuzz::{members, texts};
use serde_json::{Map, Value};

fuzz_target!(|input: &[u8]| {
    let [route, options, rest @ ..] = input else { return };
    let rows = DIALECTS.into_iter().map(Row::of);
    let all = rows.flat_map(|row| row.routes.iter().map(move |route| (row, route))).collect::<Vec<_>>();
    let (row, route) = all[usize::from(*route) % all.len()];
    let limits = if options & 1 == 0 { Limits::default() } else { lowest() };
    let body = if options & 2 == 0 {
        rest.to_vec()
    } else {
        let Ok(members) = members(&mut Unstructured::new(rest), &WORDS, 5) else { return };
        Value::Object(members).to_string().into_bytes()
    };
    let mut headers = HeaderMap::new();
    for id in [&["s"][..], &[], &["s", "s"], &["other"]][usize::from(options >> 2 & 3)] {
        headers.append("x-sandbox-id", HeaderValue::from_static(id));
    }
    let received = Received {
        headers: &headers,
        path: &PathParameters::default(),
        query: "",
        body: &body,
        limits: &limits,
        sandboxes: &["s".to_owned()],
    };
    match row.asks(route, &received) {
        Ok(asks) => {
            assert!(
                !route.path.contains("sandbox") || options >> 2 & 3 == 0,
                "accepted without a sandbox ID"
            );
            let [(_, Ask::Room(ask))] = &asks[..] else { panic!("not a request for one room: {asks:?}") };
            assert_eq!(ask.default_ttl, row.usual_ttl);
            must_be_what_was_sent(route.path, ask, &body, &limits);
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});

fn must_be_what_was_sent(path: &str, request: &RoomAsk, body: &[u8], limits: &Limits) {
    let said: Map<String, Value> = match body {
        [] => Map::new(),
        body => serde_json::from_slice(body).expect("an accepted body is a JSON object"),
    };
    let own = ["/quickstart/token", "/token", "/openvidu/token"].contains(&path);
    let usual = |text| Some(text).filter(|_| path == "/quickstart/token");
    let (room, identity, name, metadata, called) = if own {
        let room = text(&said, "roomName", "roomName").or(usual("demo-room"));
        let called = text(&said, "participantName", "participantName").or(usual("demo-user"));
        assert!(room.is_some() && called.is_some(), "a required field is missing");
        (room, None, None, None, called)
    } else {
        (
            text(&said, "room_name", "roomName"),
            text(&said, "participant_identity", "participantIdentity"),
            text(&said, "participant_name", "participantName"),
            text(&said, "participant_metadata", "participantMetadata"),
            None,
        )
    };
    assert_eq!(request.room.as_ref().map(|room| room.as_str()), room);
    assert_eq!(request.identity.as_ref().map(|identity| identity.as_str()), identity);
    assert_eq!(request.name.as_ref().map(|name| name.as_str()), name);
    assert_eq!(request.metadata.as_ref().map(|metadata| metadata.as_str()), metadata);
    assert_eq!(request.name_or_identity.as_ref().map(|called| called.as_str()), called);
    for (text, limit) in [
        (room, limits.max_room_name_length),
        (identity, limits.max_participant_identity_length),
        (name, limits.max_participant_name_length),
        (metadata, limits.max_metadata_size),
        (called, limits.max_participant_identity_length),
    ] {
        assert!(text.is_none_or(|text| text.len() <= limit), "longer than its limit");
    }
    assert_eq!((request.role, request.ttl), (None, None));

    let attributes: BTreeMap<_, _> = request.attributes.iter().flat_map(Attributes::iter).collect();
    let asked = if own { None } else { member(&said, "participant_attributes", "participantAttributes") };
    let asked = asked
        .map_or_else(Map::new, |asked| asked.as_object().expect("an accepted member is an object").clone());
    assert_eq!(attributes.len(), asked.values().filter(|value| !value.is_null()).count());
    assert!(attributes.iter().all(|(key, value)| asked.get(*key).and_then(Value::as_str) == Some(value)));
    let size: usize = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(size <= limits.max_attributes_size);

    if let Some(config) = &request.room_config {
        must_be_safe(config, member(&said, "room_config", "roomConfig").expect("the body has room_config"));
    }
}

/// Asserts that the settings contain only text from the request, and no secret.
fn must_be_safe(config: &RoomConfig, asked: &Value) {
    let sent = texts(asked);
    let config = serde_json::to_value(config.as_livekit()).expect("the settings are JSON in the token");
    for text in texts(&config) {
        let folded = text.to_ascii_lowercase().replace('_', "");
        let named = sent.iter().any(|sent| sent.to_ascii_lowercase().replace('_', "") == folded);
        // In protobuf's JSON, 64-bit numbers and the values of enumerations are strings.
        let by_number = text.parse::<i64>().is_ok()
            || text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
        assert!(named || by_number, "{text:?} was never sent");
    }
    must_hold_no_secret(&config);
}

fn must_hold_no_secret(config: &Value) {
    match config {
        Value::Object(members) => {
            for (name, value) in members {
                assert!(!SECRETS.contains(&name.as_str()), "{name} would be in the token");
                // The client chooses the names of tags and attributes.
                if name != "tags" && name != "attributes" {
                    must_hold_no_secret(value);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(must_hold_no_secret),
        _ => {}
    }
}

/// A member that is set, by either spelling of its name.
fn member<'a>(said: &'a Map<String, Value>, snake: &str, camel: &str) -> Option<&'a Value> {
    let given = |name| said.get(name).filter(|value| !value.is_null() && *value != "");
    given(snake).or_else(|| given(camel))
}

fn text<'a>(said: &'a Map<String, Value>, snake: &str, camel: &str) -> Option<&'a str> {
    member(said, snake, camel).map(|value| value.as_str().expect("an accepted member is a string"))
}

/// The lowest limits that can be configured.
fn lowest() -> Limits {
    Limits {
        max_room_name_length: 32,
        max_participant_identity_length: 32,
        max_participant_name_length: 1,
        max_metadata_size: 0,
        max_attributes_size: 3,
        max_token_size: 1_024,
    }
}

const DIALECTS: [Dialect; 5] =
    [Dialect::Standard, Dialect::Sandbox, Dialect::TokenServer, Dialect::Quickstart, Dialect::Openvidu];
/// The members of LiveKit's messages that contain storage credentials or stream addresses, as named in a token.
const SECRETS: [&str; 8] = ["s3", "gcp", "azure", "aliOSS", "storage", "stream", "streamOutputs", "urls"];
const WORDS: [&str; 66] = [
    "room_name",
    "roomName",
    "participant_identity",
    "participantIdentity",
    "participant_name",
    "participantName",
    "participant_metadata",
    "participantMetadata",
    "participant_attributes",
    "participantAttributes",
    "room_config",
    "roomConfig",
    "name",
    "empty_timeout",
    "emptyTimeout",
    "departureTimeout",
    "maxParticipants",
    "max_participants",
    "metadata",
    "egress",
    "room",
    "participant",
    "tracks",
    "agents",
    "agent_name",
    "agentName",
    "deployment",
    "attributes",
    "restartPolicy",
    "minPlayoutDelay",
    "maxPlayoutDelay",
    "syncStreams",
    "sync_streams",
    "tags",
    "layout",
    "audioOnly",
    "videoOnly",
    "customBaseUrl",
    "roomName",
    "file",
    "fileOutputs",
    "file_outputs",
    "segmentOutputs",
    "segment_outputs",
    "imageOutputs",
    "streamOutputs",
    "stream_outputs",
    "stream",
    "urls",
    "filepath",
    "fileType",
    "disableManifest",
    "preset",
    "advanced",
    "storage",
    "s3",
    "S3",
    "gcp",
    "azure",
    "aliOSS",
    "ali_oss",
    "secret",
    "webhooks",
    "r",
    "é\u{0}\u{1f600}",
    "",
];
