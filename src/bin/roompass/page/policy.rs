//! The policy that is edited in the page: its mistakes, its notes, and saving it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use roompass::config::read_policy;
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

/// Saves a text without mistakes in its file, unless the file was changed since its text was loaded.
pub(super) async fn save(State(page): State<Arc<TryPage>>, body: Bytes) -> Response {
    let text = text(&body);
    let loaded = parsed(&body).get("loaded").and_then(Value::as_str).unwrap_or_default().to_owned();
    let file = page.file().display().to_string();
    if let Err(error) = page.config_with(&text) {
        return answer(&json!({ "saved": false, "mistakes": mistakes(&error) }));
    }
    // A new file has no text that could be lost.
    if page.file().exists() && !read_policy(page.file()).is_ok_and(|current| current == loaded) {
        let error = format!("{file} was changed since its text was loaded. Load the page again to edit it");
        return answer(&json!({ "saved": false, "error": error }));
    }
    match std::fs::write(page.file(), &text) {
        Ok(()) => answer(&json!({ "saved": true, "file": file })),
        Err(error) => answer(&json!({ "saved": false, "error": error.to_string() })),
    }
}

fn text(body: &Bytes) -> String {
    parsed(body).get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
}
