//! LiveKit's standard token endpoint, which all client SDKs support (`TokenSource.endpoint`). A request has six
//! optional fields; the response has a server URL and a token.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::fields::{choices, members, text};
use super::{
    Asks, BadRequest, Granted, Participant, Presence, Received, Reply, Route, Row, Sample, SampleValues,
};
use crate::domain::{
    Attributes, GrantsAsk, Identity, InvalidField, Limits, Metadata, ParticipantName, Provider, RoomAsk,
    RoomConfig, RoomField, RoomName, Ttl,
};
use roompass_core::config::Dialect;

/// The paths of the standard endpoint. LiveKit's documentation uses the first, its starter applications the second.
pub const PATHS: [&str; 2] = ["/getToken", "/api/token"];

pub(super) const ROW: Row = Row {
    dialect: Dialect::Standard,
    provider: Provider::LiveKit,
    routes: &[
        Route { method: Method::POST, path: PATHS[0], read, write, write_error: None },
        Route { method: Method::POST, path: PATHS[1], read, write, write_error: None },
    ],
    ping: None,
    usual_ttl: Ttl::DEFAULT,
    label: "",
    room: Presence::Optional,
    room_field: RoomField(RoomName::FIELD),
    participant: Participant::Optional,
    headers: &[],
    detail: |_| None,
    sample: |values| sample(PATHS[0], values),
};

pub(super) fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    Ok(vec![("participant_token", parse(received.body, received.limits)?.into())])
}

fn write(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::CREATED, &body(granted))
}

pub(super) fn body(granted: &Granted<'_>) -> Value {
    json!({ "server_url": granted.server(), "participant_token": granted.token() })
}

/// An example request with the fields that the rule lets the client set.
pub(super) fn sample(path: &str, values: &SampleValues<'_>) -> Sample {
    let members = [("room_name", values.room), ("participant_name", values.name)].into_iter();
    let body = members.filter_map(|(member, value)| Some((member, value?.to_owned()))).collect();
    Sample { path: path.to_owned(), header: None, body: Some(body) }
}

/// Parses a request body. Absent, null and empty fields count as not set, and unknown members are ignored. Field names
/// are in snake case or, from older clients, in camel case.
///
/// # Errors
/// If the body isn't a JSON object, or a field has the wrong type, is too long, or would put a secret in the token.
pub fn parse(body: &[u8], limits: &Limits) -> Result<RoomAsk, BadRequest> {
    let mut members = members(body)?;
    let mut field = |snake: &'static str, camel: &str| take(&mut members, snake, camel);
    let room = text(RoomName::FIELD, field(RoomName::FIELD, "roomName")?)?;
    let identity = text(Identity::FIELD, field(Identity::FIELD, "participantIdentity")?)?;
    let name = text(ParticipantName::FIELD, field(ParticipantName::FIELD, "participantName")?)?;
    let metadata = text(Metadata::FIELD, field(Metadata::FIELD, "participantMetadata")?)?;
    let attributes = field(Attributes::FIELD, "participantAttributes")?.map(strings).transpose()?;
    let room_config = field(RoomConfig::FIELD, "roomConfig")?;
    let (grants, ttl) = choices(members.remove(GrantsAsk::FIELD), members.get(Ttl::FIELD))?;
    Ok(RoomAsk {
        room: room.map(|text| RoomName::parse(text, limits)).transpose()?,
        identity: identity.map(|text| Identity::parse(text, limits)).transpose()?,
        name: name.map(|text| ParticipantName::parse(text, limits)).transpose()?,
        metadata: metadata.map(|text| Metadata::parse(text, limits)).transpose()?,
        attributes: attributes.map(|pairs| Attributes::parse(pairs, limits)).transpose()?.flatten(),
        room_config: room_config.map(RoomConfig::parse).transpose()?.flatten(),
        grants,
        ttl,
        ..RoomAsk::default()
    })
}

/// Removes a field in both spellings, and returns its value.
fn take(
    members: &mut Map<String, Value>,
    snake: &'static str,
    camel: &str,
) -> Result<Option<Value>, InvalidField> {
    let is_set = |value: &Value| !value.is_null() && value != "";
    let first = members.remove(snake).filter(is_set);
    let second = members.remove(camel).filter(is_set);
    match (first, second) {
        (Some(first), Some(second)) if first != second => Err(InvalidField::new(
            snake,
            format!("is also sent as {camel} with a different value; send only one"),
        )),
        (first, second) => Ok(first.or(second)),
    }
}

/// An object of strings. Members that are null are ignored.
fn strings(value: Value) -> Result<BTreeMap<String, String>, InvalidField> {
    let Value::Object(members) = value else {
        return Err(InvalidField::wrong_type(Attributes::FIELD, "an object whose values are strings"));
    };
    members
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            _ => Err(InvalidField::wrong_type(Attributes::FIELD, "an object whose values are strings")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(body: &Value) -> RoomAsk {
        parse(body.to_string().as_bytes(), &Limits::default()).unwrap()
    }

    fn refused(body: &str) -> String {
        parse(body.as_bytes(), &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn absent_null_and_empty_count_as_not_set() {
        assert_eq!(parse(b"", &Limits::default()), Ok(RoomAsk::default()));
        for body in [
            json!({}),
            json!({"room_name": null, "participant_identity": null, "participant_name": null,
                   "participant_metadata": null, "participant_attributes": null, "room_config": null}),
            json!({"room_name": "", "participantIdentity": "", "participant_name": "", "participantMetadata": "",
                   "participant_attributes": {}, "room_config": {}}),
            json!({"room_config": {"agents": [{}]}, "participant_attributes": {"left_out": null}}),
            json!({"something": "else", "roomname": "x", "RoomName": "y"}),
        ] {
            assert_eq!(parsed(&body), RoomAsk::default(), "{body}");
        }
    }

    #[test]
    fn both_spellings_mean_the_same() {
        let snake = json!({"room_name": "r", "participant_identity": "i", "participant_name": "n",
            "participant_metadata": "m", "participant_attributes": {"k": "v"},
            "room_config": {"max_participants": 2}});
        let camel = json!({"roomName": "r", "participantIdentity": "i", "participantName": "n",
            "participantMetadata": "m", "participantAttributes": {"k": "v"},
            "roomConfig": {"maxParticipants": 2}});
        assert_eq!(parsed(&snake), parsed(&camel));
        assert_eq!(parsed(&snake).room.unwrap().as_str(), "r");
    }

    #[test]
    fn a_field_in_both_spellings_must_have_one_value() {
        assert_eq!(parsed(&json!({"room_name": "r", "roomName": "r"})).room.unwrap().as_str(), "r");
        assert_eq!(parsed(&json!({"room_name": "", "roomName": "r"})).room.unwrap().as_str(), "r");
        assert_eq!(
            refused(r#"{"room_name": "r", "roomName": "q"}"#),
            "The field room_name is also sent as roomName with a different value; send only one."
        );
    }

    #[test]
    fn a_wrong_type_is_refused_without_echoing_the_value() {
        for (body, message) in [
            (r#"{"room_name": 5}"#, "The field room_name must be a string."),
            (r#"{"roomName": ["x"]}"#, "The field room_name must be a string."),
            (r#"{"participant_name": {}}"#, "The field participant_name must be a string."),
            (
                r#"{"participant_attributes": []}"#,
                "The field participant_attributes must be an object whose values are strings.",
            ),
            (
                r#"{"participant_attributes": {"age": 5}}"#,
                "The field participant_attributes must be an object whose values are strings.",
            ),
            (r#"{"room_config": "x"}"#, "The field room_config must be an object."),
            ("[]", "The body must be a JSON object."),
            (
                "{\"room_name\":\n5",
                "The body is not valid JSON, or has a duplicate member (line 2, column 1).",
            ),
        ] {
            assert_eq!(refused(body), message);
        }
    }

    proptest! {
        #[test]
        fn strings_are_parsed_byte_for_byte(room in any_text(256), identity in any_text(256), metadata in any_text(2000)) {
            let request = parsed(&json!({"room_name": room, "participantIdentity": identity, "participant_metadata": metadata}));
            prop_assert_eq!(request.room.as_ref().map(RoomName::as_str), Some(room.as_str()));
            prop_assert_eq!(request.identity.as_ref().map(Identity::as_str), Some(identity.as_str()));
            prop_assert_eq!(request.metadata.as_ref().map(Metadata::as_str), Some(metadata.as_str()));
        }

        #[test]
        fn any_body_is_parsed_or_refused(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&body, &Limits::default());
        }
    }

    fn any_text(bytes: usize) -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 1..=bytes / 4).prop_map(|chars| chars.into_iter().collect())
    }
}
