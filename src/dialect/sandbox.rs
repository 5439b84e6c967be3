//! The development token server ("sandbox") of LiveKit Cloud, in both of its versions. The JavaScript, Android and C++
//! clients can be configured to use another server; the ESP32 client supports only the first version.
//!
//! A sandbox ID is part of the application and is not a secret. Rules can match it, but it authenticates no caller.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::{Asks, BadRequest, Granted, Received, Reply, Route, Row, Sample, SampleValues, standard};
use crate::domain::{RoomAsk, Ttl};
use roompass_core::config::Dialect;

/// The header for the sandbox ID.
pub const SANDBOX_ID: &str = "x-sandbox-id";

pub(super) const ROW: Row = Row {
    dialect: Dialect::Sandbox,
    routes: &[
        Route { method: Method::POST, path: V2, read, write: write_v2, write_error: None },
        Route {
            method: Method::POST,
            path: "/api/sandbox/connection-details",
            read,
            write: write_v1,
            write_error: None,
        },
    ],
    usual_ttl: Ttl::minutes(15),
    label: "the sandbox's routes",
    detail: |config| Some(format!("ids {}", config.sandbox.ids.join(", "))),
    sample,
    ..standard::ROW
};

const V2: &str = "/api/v2/sandbox/connection-details";

/// The fields of the standard endpoint, with the ID of a configured sandbox.
fn read(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut ids = received.headers.get_all(SANDBOX_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return Err(BadRequest::UnknownSandbox);
    };
    let known = received.sandboxes.iter().find(|known| known.as_bytes() == id.as_bytes());
    let known = known.ok_or(BadRequest::UnknownSandbox)?;
    let ask = standard::parse(received.body, received.limits)?;
    Ok(vec![("participant_token", RoomAsk { sandbox_id: Some(known.clone()), ..ask }.into())])
}

fn write_v2(granted: &Granted<'_>) -> Reply {
    let (room, name) = names(granted);
    let (server, token) = (granted.server(), granted.token());
    let body = json!({ "server_url": server, "participant_token": token, "room_name": room, "participant_name": name });
    Reply::json(StatusCode::OK, &body)
}

/// The ESP32 client requires exactly these four members and this status.
pub(super) fn write_v1(granted: &Granted<'_>) -> Reply {
    let (room, name) = names(granted);
    let (server, token) = (granted.server(), granted.token());
    let body =
        json!({ "serverUrl": server, "participantToken": token, "roomName": room, "participantName": name });
    Reply::json(StatusCode::OK, &body)
}

/// The room name, and the participant name or, if it isn't set, the identity.
fn names<'a>(granted: &'a Granted<'_>) -> (&'a str, &'a str) {
    let Some((pass, room)) = granted.pass().and_then(|pass| Some((pass, pass.room()?))) else {
        return ("", "");
    };
    (room.room.as_str(), room.name.as_ref().map_or(pass.identity.as_str(), |name| name.as_str()))
}

fn sample(values: &SampleValues<'_>) -> Sample {
    let header = values.sandbox.map(|id| ("X-Sandbox-ID", id.to_owned()));
    Sample { header, ..standard::sample(V2, values) }
}
