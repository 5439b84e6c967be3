//! Asks a LiveKit server whether it accepts a token.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use roompass::server_api;
use serde_json::{Value, json};

use super::{TryPage, parsed};

/// Asks the server that the token is for. Only servers that this program has keys for are asked.
pub(super) async fn answer(State(page): State<Arc<TryPage>>, body: Bytes) -> Response {
    let wanted = parsed(&body);
    let text = |member: &str| wanted.get(member).and_then(Value::as_str).unwrap_or_default();
    let Some(server) = page.server(text("server")) else {
        return super::answer(
            &json!({ "accepted": false, "answer": "this program has no keys for that server" }),
        );
    };
    super::answer(&match server_api::validate(&server, text("token")).await {
        Ok(()) => json!({ "accepted": true, "answer": format!("{} accepts the token", server.as_str()) }),
        Err(error) => json!({ "accepted": false, "answer": error.to_string() }),
    })
}
