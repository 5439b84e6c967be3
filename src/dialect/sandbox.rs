//! The development token server ("sandbox") of LiveKit's cloud, in both of its versions. The JavaScript, Android and
//! C++ clients can be pointed at another server's; the ESP32 client speaks the first version alone.
//!
//! A sandbox's id is in the application and no secret: it chooses rules, and proves nothing.

use axum::http::StatusCode;
use serde_json::json;

use super::{Asking, BadRequest, Given, Reply, Route, standard};
use crate::domain::{PassRequest, Ttl};

/// The header that names the sandbox.
pub const SANDBOX_ID: &str = "x-sandbox-id";

pub(super) const USUAL_TTL: Ttl = Ttl::minutes(15);

pub(super) const ROUTES: [Route; 2] = [
    Route { path: "/api/v2/sandbox/connection-details", read, write: write_v2, refuse: None },
    Route { path: "/api/sandbox/connection-details", read, write: write_v1, refuse: None },
];

/// The standard's fields, asked for through a sandbox that is configured.
fn read(asking: &Asking<'_>) -> Result<PassRequest, BadRequest> {
    let mut ids = asking.headers.get_all(SANDBOX_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return Err(BadRequest::UnknownSandbox);
    };
    let known = asking.sandboxes.iter().find(|known| known.as_bytes() == id.as_bytes());
    let known = known.ok_or(BadRequest::UnknownSandbox)?;
    let request = standard::parse(asking.body, asking.limits)?;
    Ok(PassRequest { sandbox_id: Some(known.clone()), usual_ttl: USUAL_TTL, ..request })
}

fn write_v2(given: &Given<'_>) -> Reply {
    let (room, name) = names(given);
    let (server, token) = (given.server.as_str(), given.token.expose());
    let body = json!({ "server_url": server, "participant_token": token, "room_name": room, "participant_name": name });
    Reply::json(StatusCode::OK, &body)
}

/// The ESP32 client reads exactly these four, with exactly this status.
fn write_v1(given: &Given<'_>) -> Reply {
    let (room, name) = names(given);
    let (server, token) = (given.server.as_str(), given.token.expose());
    let body =
        json!({ "serverUrl": server, "participantToken": token, "roomName": room, "participantName": name });
    Reply::json(StatusCode::OK, &body)
}

/// The room's name and the participant's, who is called by the identity where nothing else is known.
fn names<'a>(given: &'a Given<'_>) -> (&'a str, &'a str) {
    let pass = given.pass;
    (pass.room.as_str(), pass.name.as_ref().map_or(pass.identity.as_str(), |name| name.as_str()))
}
