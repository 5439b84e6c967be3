//! Asks each LiveKit server whether it accepts a token that is signed with these keys. The token is for the server's API, for
//! an unused room, and is sent to this server only.

use axum::http::StatusCode;
use roompass::domain::{Limits, RoomName};
use roompass::keys::{LiveKitKeys, Projects};
use roompass::requests::{Answer, RequestError};
use roompass::server_api::{self, ServerApiError};
use roompass::url;
use serde_json::Value;

use super::clock::Asked;
use super::report::{Entry, Report};

/// Checks the servers of all projects.
pub(super) async fn check(projects: &Projects, report: &mut Report) {
    let mut checked: Vec<(&str, &str)> = Vec::new();
    for keys in projects.iter() {
        let Ok(livekit) = keys.livekit() else { continue };
        if !checked.contains(&(livekit.server.as_str(), &livekit.api_key)) {
            checked.push((livekit.server.as_str(), &livekit.api_key));
            check_one(livekit, report).await;
        }
    }
}

async fn check_one(keys: &LiveKitKeys, report: &mut Report) {
    let Ok(room) = RoomName::parse(ROOM, &Limits::default()) else { return };
    let server = url::shown(keys.server.as_str()).into_owned();
    let asked = Asked::now();
    let answered = server_api::list_participants(keys, &room, roompass::system::context().now).await;
    report.add(match &answered {
        Ok(answer) => of_answer(&server, &keys.api_key, answer),
        Err(ServerApiError::Request(RequestError::Unreachable { reason, .. })) => Entry::found(
            format!("LiveKit server {server}: unreachable"),
            format!("Clients that are sent there may not reach it either: {reason}"),
            "Compare LIVEKIT_URL with the URL of your project in LiveKit Cloud, or start your server, such as with `livekit-server --dev`.",
        ),
        Err(error) => Entry::found(
            format!("LiveKit server {server}: not checked"),
            error.to_string(),
            "Fix the cause, and run doctor again.",
        ),
    });
    if let Some(entry) =
        answered.ok().and_then(|answer| asked.compare(&format!("LiveKit server {server}"), &answer))
    {
        report.add(entry);
    }
}

fn of_answer(server: &str, api_key: &str, answer: &Answer) -> Entry {
    let text = String::from_utf8_lossy(&answer.body);
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_its_error =
        json.get("code").is_some_and(Value::is_string) && json.get("msg").is_some_and(Value::is_string);
    let is_unauthorized = answer.status == StatusCode::UNAUTHORIZED;
    if is_unauthorized && text.starts_with("invalid API key") {
        return Entry::found(
            format!("LiveKit server {server}: unknown API key {api_key}"),
            "The server refuses every token of this key: it is of another project or server, or was deleted.",
            "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET to a pair of this server, or LIVEKIT_URL to the server of this pair.",
        );
    }
    if is_unauthorized && text.contains("signature") {
        return Entry::found(
            format!("LiveKit server {server}: LIVEKIT_API_SECRET is wrong"),
            format!("The server knows the API key {api_key}, and refuses the signature."),
            format!("Set LIVEKIT_API_SECRET to the secret of {api_key}, or create a new pair."),
        );
    }
    if is_unauthorized && (text.contains("expired") || text.contains("not valid yet")) {
        return Entry::found(
            format!("LiveKit server {server}: the token's times are refused"),
            "The server accepts the keys, but its clock differs from this machine's by more than a minute.",
            "Synchronise both clocks by NTP.",
        );
    }
    if (answer.status.is_success() && json.is_object()) || is_its_error {
        return Entry::Fine(format!("LiveKit server {server}: accepts tokens of API key {api_key}"));
    }
    Entry::found(
        format!("LiveKit server {server}: not a LiveKit server"),
        format!("It returned {} without a response of LiveKit's server API.", answer.status),
        "Set LIVEKIT_URL to the URL of your project in LiveKit Cloud, or of your server, without a path.",
    )
}

const ROOM: &str = "roompass-doctor";
