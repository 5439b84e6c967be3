//! LiveKit's quickstart server for Node: a request has a room and a name, the response is the token as plain text.

use axum::http::{Method, StatusCode};

use super::fields::{choices, members, text};
use super::{
    Asks, BadRequest, Granted, Participant, Presence, Received, Reply, Route, Row, openvidu, standard,
};
use crate::domain::{GrantsAsk, Identity, RoomAsk, RoomField, RoomName, Ttl};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::Quickstart,
    routes: &[Route { method: Method::POST, path: PATH, read, write, write_error: None }],
    room: Presence::Always,
    room_field: RoomField("roomName"),
    participant: Participant::ByOneName,
    sample: |values| openvidu::sample(PATH, values),
    ..standard::ROW
};

const PATH: &str = "/quickstart/token";

/// A field that isn't set gets the quickstart's own default, which is the same for all clients.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut members = members(received.body)?;
    let mut field = |name| text(name, members.remove(name));
    let room = field("roomName")?.unwrap_or_else(|| "demo-room".into());
    let called = field("participantName")?.unwrap_or_else(|| "demo-user".into());
    let (grants, ttl) = choices(members.remove(GrantsAsk::FIELD), members.get(Ttl::FIELD))?;
    let ask = RoomAsk {
        grants,
        ttl,
        room: Some(RoomName::parse(room, received.limits)?),
        name_or_identity: Some(Identity::parse(called, received.limits)?),
        ..RoomAsk::default()
    };
    Ok(vec![("token", ask.into())])
}

fn write(granted: &Granted<'_>) -> Reply {
    Reply::text(StatusCode::OK, granted.token())
}
