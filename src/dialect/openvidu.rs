//! The application servers of OpenVidu's tutorials, in two states: the earlier one answers a JSON string, today's an
//! object of one member.

use axum::http::StatusCode;
use serde_json::json;

use super::{Asking, BadRequest, Given, Refused, Reply, Route, members, text};
use crate::domain::{Identity, PassRequest, RoomName};

pub(super) const ROUTES: [Route; 2] = [
    Route { path: "/token", read, write: write_text, refuse: Some(refuse_text) },
    Route { path: "/openvidu/token", read, write: write_object, refuse: Some(refuse_object) },
];

/// Two fields, and both must be there. The one name is the participant's identity in OpenVidu.
fn read(asking: &Asking<'_>) -> Result<PassRequest, BadRequest> {
    let mut members = members(asking.body)?;
    let mut given = |field| text(field, members.remove(field));
    let (Some(room), Some(called)) = (given("roomName")?, given("participantName")?) else {
        return Err(BadRequest::Missing("roomName and participantName"));
    };
    Ok(PassRequest {
        room: Some(RoomName::parse(room, asking.limits)?),
        called: Some(Identity::parse(called, asking.limits)?),
        ..PassRequest::default()
    })
}

fn write_text(given: &Given<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!(given.token.expose()))
}

fn refuse_text(refused: &Refused<'_>) -> Reply {
    Reply::json(refused.status, &json!(refused.detail))
}

/// Its Android client takes no other member.
fn write_object(given: &Given<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "token": given.token.expose() }))
}

fn refuse_object(refused: &Refused<'_>) -> Reply {
    Reply::json(refused.status, &json!({ "errorMessage": refused.detail }))
}
