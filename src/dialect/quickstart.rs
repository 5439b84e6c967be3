//! The server of LiveKit's quickstart for Node: a room and a name in, a bare token out.

use axum::http::StatusCode;

use super::{Asking, BadRequest, Given, Reply, Route, members, text};
use crate::domain::{Identity, PassRequest, RoomName};

pub(super) const ROUTES: [Route; 1] = [Route { path: "/quickstart/token", read, write, refuse: None }];

/// Two fields. Where one isn't given, it's the same for everybody: the quickstart's own default.
fn read(asking: &Asking<'_>) -> Result<PassRequest, BadRequest> {
    let mut members = members(asking.body)?;
    let mut given = |field| text(field, members.remove(field));
    let room = given("roomName")?.unwrap_or_else(|| "demo-room".into());
    let called = given("participantName")?.unwrap_or_else(|| "demo-user".into());
    Ok(PassRequest {
        room: Some(RoomName::parse(room, asking.limits)?),
        called: Some(Identity::parse(called, asking.limits)?),
        ..PassRequest::default()
    })
}

fn write(given: &Given<'_>) -> Reply {
    Reply::text(StatusCode::OK, given.token.expose())
}
