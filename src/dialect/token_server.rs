//! LiveKit's `token-server-node` template: the standard fields with a different path, status and error format.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::{ErrorDetails, Granted, Reply, Route, Row, standard};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::TokenServer,
    routes: &[Route {
        method: Method::POST,
        path: PATH,
        read: standard::read,
        write,
        write_error: Some(write_error),
    }],
    sample: |values| standard::sample(PATH, values),
    ..standard::ROW
};

const PATH: &str = "/createToken";

fn write(granted: &Granted<'_>) -> Reply {
    Reply::json(StatusCode::OK, &standard::body(granted))
}

fn write_error(error: &ErrorDetails<'_>) -> Reply {
    Reply::json(error.status, &json!({ "message": error.detail }))
}
