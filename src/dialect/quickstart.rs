//! The server of LiveKit's quickstart for Node: a room and a name in, a bare token out.

use axum::http::{Method, StatusCode};

use super::fields::{members, text};
use super::{
    Asks, BadRequest, Granted, Participant, Presence, Received, Reply, Route, Row, openvidu, standard,
};
use crate::domain::{Identity, RoomAsk, RoomName};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::Quickstart,
    routes: &[Route { method: Method::POST, path: PATH, read, write, refuse: None }],
    room: Presence::Always,
    participant: Participant::ByOneName,
    sample: |wishes| openvidu::sample(PATH, wishes),
    ..standard::ROW
};

const PATH: &str = "/quickstart/token";

/// Two fields. Where one isn't given, it's the same for every client: the quickstart's own default.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut members = members(received.body)?;
    let mut given = |field| text(field, members.remove(field));
    let room = given("roomName")?.unwrap_or_else(|| "demo-room".into());
    let called = given("participantName")?.unwrap_or_else(|| "demo-user".into());
    let ask = RoomAsk {
        room: Some(RoomName::parse(room, received.limits)?),
        called: Some(Identity::parse(called, received.limits)?),
        ..RoomAsk::default()
    };
    Ok(vec![("token", ask.into())])
}

fn write(granted: &Granted<'_>) -> Reply {
    Reply::text(StatusCode::OK, granted.token())
}
