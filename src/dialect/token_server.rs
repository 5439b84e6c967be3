//! The template of LiveKit's `token-server-node`: the standard's fields, another path, status and error.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::{Granted, Refused, Reply, Route, Row, standard};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::TokenServer,
    routes: &[Route { method: Method::POST, path: PATH, read: standard::read, write, refuse: Some(refuse) }],
    sample: |wishes| standard::sample(PATH, wishes),
    ..standard::ROW
};

const PATH: &str = "/createToken";

fn write(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::OK, &standard::body(granted))
}

fn refuse(refused: &Refused<'_>) -> Reply {
    Reply::json(refused.status, &json!({ "message": refused.detail }))
}
