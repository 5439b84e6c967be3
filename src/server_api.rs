//! LiveKit's server API, called with the operator's keys.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::domain::{Identity, RoomName, ServerUrl};
use crate::keys::LiveKitKeys;
use crate::mint::{self, Token};
use crate::requests::{self, Answer, RequestError};
use crate::url;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerApiError {
    /// There is no response.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server refuses the call.
    #[error("{server} returned {status}: {reason}")]
    Refused {
        /// The server's URL.
        server: String,
        /// The status.
        status: StatusCode,
        /// The error's code and text, as the server sent them.
        reason: String,
    },
}

/// Removes a participant from a room. Their tokens with an earlier `nbf` than `void_before`, in seconds since 1970, are void,
/// if the server supports it: LiveKit Cloud does.
///
/// # Errors
/// If the server is unreachable or refuses the call, for example because the participant isn't in the room.
pub async fn remove_participant(
    keys: &LiveKitKeys,
    room: &RoomName,
    identity: &Identity,
    void_before: u64,
    now: u64,
) -> Result<(), ServerApiError> {
    let token = mint::server_api_token(room, keys, now);
    let body = json!({ "room": room.as_str(), "identity": identity.as_str(), "revoke_token_ts": void_before.to_string() });
    let shown = url::shown(&keys.server.http_url()).into_owned();
    let Answer { status, body, .. } = room_service(keys, "RemoveParticipant", &token, &body).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        let reason = "a response that is not of LiveKit's server API".to_owned();
        return if answer.is_object() {
            Ok(())
        } else {
            Err(ServerApiError::Refused { server: shown, status, reason })
        };
    }
    // A server may repeat the request.
    let text = |member: &str| {
        let text = answer.get(member).and_then(Value::as_str).unwrap_or_default();
        text.replace(token.expose(), "…")
    };
    Err(ServerApiError::Refused {
        server: shown,
        status,
        reason: format!("{} {}", text("code"), text("msg")),
    })
}

/// The response to a request for the participants of a room, as a test of the keys. A token in the response is left out.
///
/// # Errors
/// If the server is unreachable.
pub async fn list_participants(
    keys: &LiveKitKeys,
    room: &RoomName,
    now: u64,
) -> Result<Answer, ServerApiError> {
    let token = mint::server_api_token(room, keys, now);
    let body = json!({ "room": room.as_str() });
    let answer = room_service(keys, "ListParticipants", &token, &body).await?;
    let text = String::from_utf8_lossy(&answer.body).replace(token.expose(), "…");
    Ok(Answer { body: text.into_bytes(), ..answer })
}

async fn room_service(
    keys: &LiveKitKeys,
    method: &str,
    token: &Token,
    body: &Value,
) -> Result<Answer, ServerApiError> {
    let server = keys.server.http_url();
    let url = format!("{server}/twirp/livekit.RoomService/{method}");
    let bearer = format!("Bearer {}", token.expose());
    let headers = [(CONTENT_TYPE.as_str(), "application/json"), (AUTHORIZATION.as_str(), bearer.as_str())];
    Ok(requests::send_to(&url::shown(&server), Method::POST, &url, &headers, body.to_string()).await?)
}

/// Asks a server whether it accepts a token for joining, without joining.
///
/// # Errors
/// If the server is unreachable or doesn't accept the token.
pub async fn validate(server: &ServerUrl, token: &str) -> Result<(), ServerApiError> {
    let shown = url::shown(&server.http_url()).into_owned();
    let encoded: String =
        percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC).collect();
    let url = format!("{}/rtc/validate?access_token={encoded}", server.http_url());
    let Answer { status, body, .. } =
        requests::send_to(&shown, Method::GET, &url, &[], String::new()).await?;
    if status.is_success() {
        return Ok(());
    }
    let text: String = String::from_utf8_lossy(&body).trim().chars().take(300).collect();
    Err(ServerApiError::Refused { server: shown, status, reason: text.replace(token, "…") })
}
