//! The application servers of OpenVidu's tutorials, in two versions: the older one returns a JSON string, the current
//! one an object with one member.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::fields::{choices, members, text};
use super::{
    Asks, BadRequest, ErrorDetails, Granted, Participant, Presence, Received, Reply, Route, Row, Sample,
    SampleValues, standard,
};
use crate::domain::{GrantsAsk, Identity, RoomAsk, RoomField, RoomName, Ttl};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::Openvidu,
    routes: &[
        Route {
            method: Method::POST,
            path: "/token",
            read,
            write: write_text,
            write_error: Some(write_error_text),
        },
        Route {
            method: Method::POST,
            path: CURRENT,
            read,
            write: write_object,
            write_error: Some(write_error_object),
        },
    ],
    room: Presence::Always,
    room_field: RoomField("roomName"),
    participant: Participant::ByOneName,
    sample: |values| sample(CURRENT, values),
    ..standard::ROW
};

const CURRENT: &str = "/openvidu/token";

/// Both fields are required. In OpenVidu, `participantName` is the participant's identity.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut members = members(received.body)?;
    let mut field = |name| text(name, members.remove(name));
    let (Some(room), Some(called)) = (field("roomName")?, field("participantName")?) else {
        return Err(BadRequest::Missing("roomName and participantName"));
    };
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

fn write_text(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!(granted.token()))
}

fn write_error_text(error: &ErrorDetails<'_>) -> Reply {
    Reply::json(error.status, &json!(error.detail))
}

/// OpenVidu's Android client accepts only this member.
fn write_object(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!({ "token": granted.token() }))
}

fn write_error_object(error: &ErrorDetails<'_>) -> Reply {
    Reply::json(error.status, &json!({ "errorMessage": error.detail }))
}

/// An example request with both fields.
pub(super) fn sample(path: &str, values: &SampleValues<'_>) -> Sample {
    let room = values.room.unwrap_or(values.some_room).to_owned();
    let body = vec![("roomName", room), ("participantName", values.one_name.to_owned())];
    Sample { path: path.to_owned(), header: None, body: Some(body) }
}
