//! The endpoint that the hook `useToken` of LiveKit's React components calls, as their examples served it.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::fields::{in_a_url, query_parameter};
use super::{
    Asks, BadRequest, Granted, Participant, Presence, Received, Reply, Route, Row, Sample, SampleValues,
    standard,
};
use crate::domain::{Identity, Metadata, ParticipantName, RoomAsk, RoomField, RoomName};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::UseToken,
    routes: &[Route { method: Method::GET, path: PATH, read, write, write_error: None }],
    room: Presence::Always,
    room_field: RoomField("roomName"),
    participant: Participant::ByIdentity,
    sample,
    ..standard::ROW
};

const PATH: &str = "/api/livekit/token";

/// `identity` and `roomName` are required: the hook always sends them.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let field = |name| query_parameter(received.query, name).map(|text| text.filter(|text| !text.is_empty()));
    let (Some(identity), Some(room)) = (field("identity")?, field("roomName")?) else {
        return Err(BadRequest::Missing("identity and roomName"));
    };
    let (name, metadata) = (field("name")?, field("metadata")?);
    let ask = RoomAsk {
        room: Some(RoomName::parse(room, received.limits)?),
        identity: Some(Identity::parse(identity, received.limits)?),
        name: name.map(|name| ParticipantName::parse(name, received.limits)).transpose()?,
        metadata: metadata.map(|text| Metadata::parse(text, received.limits)).transpose()?,
        ..RoomAsk::default()
    };
    Ok(vec![("accessToken", ask.into())])
}

fn write(granted: &Granted<'_>) -> Reply {
    let identity = granted.pass().map_or("", |pass| pass.identity.as_str());
    Reply::json(StatusCode::OK, &json!({ "identity": identity, "accessToken": granted.token() }))
}

fn sample(values: &SampleValues<'_>) -> Sample {
    let (room, identity) = (values.room.unwrap_or(values.some_room), values.identity);
    let path = format!("{PATH}?identity={}&roomName={}", in_a_url(identity), in_a_url(room));
    Sample { path, header: None, body: None }
}
