//! The template of LiveKit's `token-server-node`: the standard's fields, another path, status and error.

use axum::http::StatusCode;
use serde_json::json;

use super::{Asking, BadRequest, Given, Refused, Reply, Route, standard};
use crate::domain::PassRequest;

pub(super) const ROUTES: [Route; 1] = [Route { path: "/createToken", read, write, refuse: Some(refuse) }];

fn read(asking: &Asking<'_>) -> Result<PassRequest, BadRequest> {
    standard::parse(asking.body, asking.limits)
}

fn write(given: &Given<'_>) -> Reply {
    let body = json!({ "server_url": given.server.as_str(), "participant_token": given.token.expose() });
    Reply::json(StatusCode::OK, &body)
}

fn refuse(refused: &Refused<'_>) -> Reply {
    Reply::json(refused.status, &json!({ "message": refused.detail }))
}
