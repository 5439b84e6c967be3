//! The development token server ("sandbox") of LiveKit's cloud, in both of its versions. The JavaScript, Android and
//! C++ clients can be pointed at another server's; the ESP32 client speaks the first version alone.
//!
//! A sandbox's id is in the application and no secret: it chooses rules, and proves nothing.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::{Asks, BadRequest, Granted, Received, Reply, Route, Row, Sample, Wishes, standard};
use crate::domain::{RoomAsk, Ttl};
use roompass_core::config::Dialect;

/// The header that names the sandbox.
pub const SANDBOX_ID: &str = "x-sandbox-id";

pub(super) const ROW: Row = Row {
    dialect: Dialect::Sandbox,
    routes: &[
        Route { method: Method::POST, path: V2, read, write: write_v2, refuse: None },
        Route {
            method: Method::POST,
            path: "/api/sandbox/connection-details",
            read,
            write: write_v1,
            refuse: None,
        },
    ],
    usual_ttl: Ttl::minutes(15),
    label: "the sandbox's routes",
    detail: |config| Some(format!("ids {}", config.sandbox.ids.join(", "))),
    sample,
    ..standard::ROW
};

const V2: &str = "/api/v2/sandbox/connection-details";

/// The standard's fields, asked for through a sandbox that is configured.
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

/// The ESP32 client reads exactly these four, with exactly this status.
fn write_v1(granted: &Granted<'_>) -> Reply {
    let (room, name) = names(granted);
    let (server, token) = (granted.server(), granted.token());
    let body =
        json!({ "serverUrl": server, "participantToken": token, "roomName": room, "participantName": name });
    Reply::json(StatusCode::OK, &body)
}

/// The room's name and the participant's, which is the identity where there's no other.
fn names<'a>(granted: &'a Granted<'_>) -> (&'a str, &'a str) {
    let Some((pass, room)) = granted.pass().and_then(|pass| Some((pass, pass.room()?))) else {
        return ("", "");
    };
    (room.room.as_str(), room.name.as_ref().map_or(pass.identity.as_str(), |name| name.as_str()))
}

fn sample(wishes: &Wishes<'_>) -> Sample {
    let header = wishes.sandbox.map(|id| ("X-Sandbox-ID", id.to_owned()));
    Sample { header, ..standard::sample(V2, wishes) }
}
