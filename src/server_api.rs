//! LiveKit's server API and other requests of the `roompass` command.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use crate::domain::{Identity, RoomName, ServerUrl};
use crate::keys::LiveKitKeys;
use crate::log::with_causes;
use crate::mint::{self, Token};
use crate::url;
use crate::web_client;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerApiError {
    /// The system's TLS roots can't be read.
    #[error("cannot read the system's TLS roots: {0}")]
    TlsRoots(#[from] std::io::Error),
    /// The server is unreachable, or doesn't respond in time.
    #[error("{server} is unreachable: {reason}")]
    Unreachable {
        /// The server's URL.
        server: String,
        /// Why, with all causes.
        reason: String,
    },
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

/// A response, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Vec<u8>,
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
    send_to(&url::shown(&server), Method::POST, &url, &headers, body.to_string()).await
}

/// The response of a server to any request.
///
/// # Errors
/// If the URL is invalid, or the server is unreachable.
pub async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, ServerApiError> {
    send_to(&url::shown(url), method, url, headers, body).await
}

/// The response to a request. An error names this server.
async fn send_to(
    server: &str,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, ServerApiError> {
    let request = Request::builder().method(method).uri(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Body::from(body)).map_err(|error| ServerApiError::Unreachable {
        server: server.to_owned(),
        reason: error.to_string(),
    })?;
    call(request, server).await
}

/// Asks a server whether it accepts a token for joining, without joining.
///
/// # Errors
/// If the server is unreachable or doesn't accept the token.
pub async fn validate(server: &ServerUrl, token: &str) -> Result<(), ServerApiError> {
    let shown = url::shown(&server.http_url()).into_owned();
    let encoded: String =
        percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC).collect();
    let request = Request::get(format!("{}/rtc/validate?access_token={encoded}", server.http_url()))
        .body(Body::empty());
    let request = request
        .map_err(|error| ServerApiError::Unreachable { server: shown.clone(), reason: error.to_string() })?;
    let Answer { status, body, .. } = call(request, &shown).await?;
    if status.is_success() {
        return Ok(());
    }
    let text: String = String::from_utf8_lossy(&body).trim().chars().take(300).collect();
    Err(ServerApiError::Refused { server: shown, status, reason: text.replace(token, "…") })
}

/// The text of a URL's response.
///
/// # Errors
/// If the URL is unreachable, or the response is not a success.
pub async fn get(url: &str) -> Result<String, ServerApiError> {
    let shown = url::shown(url).into_owned();
    let Answer { status, body, .. } = send(Method::GET, url, &[], String::new()).await?;
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    if status.is_success() {
        Ok(text)
    } else {
        Err(ServerApiError::Refused { server: shown, status, reason: text })
    }
}

async fn call(request: Request<Body>, server: &str) -> Result<Answer, ServerApiError> {
    let unreachable = |reason: String| ServerApiError::Unreachable { server: server.to_owned(), reason };
    let client = web_client::client()?;
    let call = async {
        let response = client.request(request).await.map_err(|error| unreachable(with_causes(&error)))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_SIZE).collect().await;
        let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Ok::<_, ServerApiError>(Answer { status: head.status, headers: head.headers, body })
    };
    let answered = tokio::time::timeout(TIMEOUT, call).await;
    answered.map_err(|_| unreachable("no response within 10 seconds".to_owned()))?
}

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_SIZE: usize = 64 * 1024;
