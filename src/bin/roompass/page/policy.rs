//! The policy that is edited in the page: its mistakes, its notes, and saving it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{TryPage, answer, mistakes, parsed};
use crate::check;

/// The mistakes in a text, or the summary of its policy.
pub(super) async fn check(State(page): State<Arc<TryPage>>, body: Bytes) -> Response {
    let text = text(&body);
    match page.config_with(&text) {
        Ok(config) => {
            let notes = if config.callers.is_empty() { Vec::new() } else { check::notes(&config) };
            answer(&json!({ "mistakes": [], "notes": notes, "version": config.version }))
        }
        Err(error) => answer(&json!({ "mistakes": mistakes(&error) })),
    }
}

/// Saves a text without mistakes in its file.
pub(super) async fn save(State(page): State<Arc<TryPage>>, body: Bytes) -> Response {
    let text = text(&body);
    if let Err(error) = page.config_with(&text) {
        return answer(&json!({ "saved": false, "mistakes": mistakes(&error) }));
    }
    match std::fs::write(&page.file, &text) {
        Ok(()) => answer(&json!({ "saved": true, "file": page.file.display().to_string() })),
        Err(error) => answer(&json!({ "saved": false, "error": error.to_string() })),
    }
}

fn text(body: &Bytes) -> String {
    parsed(body).get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
}
