//! The connection details of LiveKit's own web applications: `GET` as LiveKit Meet requests them, `POST` as the agent
//! starter applications did before they used the standard endpoint.

use axum::http::Method;

use super::fields::{in_a_url, query_parameter};
use super::{
    Asks, BadRequest, ErrorDetails, Granted, Received, Reply, Route, Row, Sample, SampleValues, sandbox,
    standard,
};
use crate::domain::{InvalidField, Metadata, ParticipantName, RoomAsk, RoomField, RoomName, ServerUrl};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::Meet,
    routes: &[
        Route {
            method: Method::GET,
            path: PATH,
            read,
            write: write_with_region,
            write_error: Some(write_error),
        },
        Route {
            method: Method::POST,
            path: PATH,
            read: standard::read,
            write: sandbox::write_v1,
            write_error: Some(write_error),
        },
    ],
    room_field: RoomField("roomName"),
    sample,
    ..standard::ROW
};

const PATH: &str = "/api/connection-details";

/// Both names must be in the query, as in LiveKit Meet. Its client may send an empty `participantName`.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let field = |name| query_parameter(received.query, name);
    let room = field("roomName")?.filter(|room| !room.is_empty());
    let (Some(room), Some(name)) = (room, field("participantName")?) else {
        return Err(BadRequest::Missing("roomName and participantName"));
    };
    region(received.query)?;
    let is_set = |text: &String| !text.is_empty();
    let name = Some(name).filter(is_set);
    let metadata = field("metadata")?.filter(is_set);
    let ask = RoomAsk {
        room: Some(RoomName::parse(room, received.limits)?),
        name: name.map(|name| ParticipantName::parse(name, received.limits)).transpose()?,
        metadata: metadata.map(|text| Metadata::parse(text, received.limits)).transpose()?,
        ..RoomAsk::default()
    };
    Ok(vec![("participantToken", ask.into())])
}

/// The server of the requested region, if the server is a LiveKit Cloud project.
fn write_with_region(granted: &Granted<'_>) -> Reply {
    let region = region(granted.query).ok().flatten();
    let server = granted.server.zip(region).map(|(server, region)| server.in_region(&region));
    sandbox::write_v1(&Granted { server: server.as_ref().or(granted.server), ..*granted })
}

/// LiveKit Meet shows this text to its user.
fn write_error(error: &ErrorDetails<'_>) -> Reply {
    Reply::text(error.status, error.detail)
}

/// The region in the query. It becomes a part of a host name.
fn region(query: &str) -> Result<Option<String>, InvalidField> {
    let region = query_parameter(query, "region")?.filter(|region| !region.is_empty());
    match region {
        Some(region) if !ServerUrl::is_region(&region) => {
            Err(InvalidField::new("region", "must have 1 to 32 lower-case letters, digits and hyphens"))
        }
        region => Ok(region),
    }
}

fn sample(values: &SampleValues<'_>) -> Sample {
    let (room, name) = (values.room.unwrap_or(values.some_room), values.name.unwrap_or_default());
    let path = format!("{PATH}?roomName={}&participantName={}", in_a_url(room), in_a_url(name));
    Sample { path, header: None, body: None }
}
