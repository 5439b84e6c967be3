//! The application servers of OpenVidu's tutorials, in two states: the earlier one returns a JSON string, today's an
//! object of one member.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::fields::{members, text};
use super::{
    Asks, BadRequest, Granted, Participant, Presence, Received, Refused, Reply, Route, Row, Sample, Wishes,
    standard,
};
use crate::domain::{Identity, RoomAsk, RoomName};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::Openvidu,
    routes: &[
        Route { method: Method::POST, path: "/token", read, write: write_text, refuse: Some(refuse_text) },
        Route { method: Method::POST, path: TODAY, read, write: write_object, refuse: Some(refuse_object) },
    ],
    room: Presence::Always,
    participant: Participant::ByOneName,
    sample: |wishes| sample(TODAY, wishes),
    ..standard::ROW
};

const TODAY: &str = "/openvidu/token";

/// Two fields, and both must be there. The one name is the participant's identity in OpenVidu.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut members = members(received.body)?;
    let mut given = |field| text(field, members.remove(field));
    let (Some(room), Some(called)) = (given("roomName")?, given("participantName")?) else {
        return Err(BadRequest::Missing("roomName and participantName"));
    };
    let ask = RoomAsk {
        room: Some(RoomName::parse(room, received.limits)?),
        called: Some(Identity::parse(called, received.limits)?),
        ..RoomAsk::default()
    };
    Ok(vec![("token", ask.into())])
}

fn write_text(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!(granted.token()))
}

fn refuse_text(refused: &Refused<'_>) -> Reply {
    Reply::json(refused.status, &json!(refused.detail))
}

/// Its Android client takes no other member.
fn write_object(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "token": granted.token() }))
}

fn refuse_object(refused: &Refused<'_>) -> Reply {
    Reply::json(refused.status, &json!({ "errorMessage": refused.detail }))
}

/// Both fields, as a request always has them.
pub(super) fn sample(path: &str, wishes: &Wishes<'_>) -> Sample {
    let room = wishes.room.unwrap_or(wishes.some_room).to_owned();
    let body = vec![("roomName", room), ("participantName", wishes.one_name.to_owned())];
    Sample { path: path.to_owned(), header: None, body: Some(body) }
}
