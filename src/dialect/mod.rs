//! Wire formats. A dialect reads an HTTP request into what the policy decides on, and writes tokens and errors the way
//! its clients read them. It knows nothing of callers, rules and keys.
//!
//! | module | speaks to |
//! |---|---|
//! | [`standard`] | every LiveKit client SDK's own token source |
//! | [`sandbox`] | clients of LiveKit's development token server |
//! | [`token_server`], [`quickstart`] | clients of LiveKit's sample servers for Node |
//! | [`openvidu`] | clients of OpenVidu's tutorials |
//! | [`agora`] | clients of the Agora community's token service |

pub mod agora;
pub mod openvidu;
pub mod quickstart;
pub mod sandbox;
pub mod standard;
pub mod token_server;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::config::Dialect;
use crate::domain::{InvalidField, Limits, Pass, PassRequest, Ttl};
use crate::json::{self, JsonError};
use crate::keys::ServerUrl;
use crate::mint::Token;

/// A dialect's routes to LiveKit's tokens. Each is a POST.
#[must_use]
pub fn routes(dialect: Dialect) -> &'static [Route] {
    match dialect {
        Dialect::Standard => &standard::ROUTES,
        Dialect::Sandbox => &sandbox::ROUTES,
        Dialect::TokenServer => &token_server::ROUTES,
        Dialect::Quickstart => &quickstart::ROUTES,
        Dialect::Openvidu => &openvidu::ROUTES,
        Dialect::Agora => &[],
    }
}

/// How long a token lasts in a dialect where neither the request nor the rule says so.
#[must_use]
pub fn usual_ttl(dialect: Dialect) -> Ttl {
    match dialect {
        Dialect::Sandbox => sandbox::USUAL_TTL,
        Dialect::Agora => agora::USUAL_TTL,
        Dialect::Standard | Dialect::TokenServer | Dialect::Quickstart | Dialect::Openvidu => Ttl::DEFAULT,
    }
}

/// One place where a dialect of LiveKit's is spoken, below the base path.
pub struct Route {
    /// Where it answers.
    pub path: &'static str,
    /// What a request there asks for.
    pub read: fn(&Asking<'_>) -> Result<PassRequest, BadRequest>,
    /// The answer, with the token.
    pub write: fn(&Given<'_>) -> Reply,
    /// An error, where its clients read one of their own shape.
    pub refuse: Option<Refuse>,
}

/// An error in a dialect's own shape.
pub type Refuse = fn(&Refused<'_>) -> Reply;

/// A request, as far as a dialect looks at it.
pub struct Asking<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// How long its fields may be.
    pub limits: &'a Limits,
    /// `[sandbox] ids`: the sandboxes that may be asked through.
    pub sandboxes: &'a [String],
}

/// What a request is given.
pub struct Given<'a> {
    /// Where to connect.
    pub server: &'a ServerUrl,
    /// What the policy gives.
    pub pass: &'a Pass,
    /// The token that says so.
    pub token: &'a Token,
}

/// Why a request is given nothing.
pub struct Refused<'a> {
    /// The status, which stays as it is in every dialect.
    pub status: StatusCode,
    /// What is wrong, for people.
    pub detail: &'a str,
}

/// What goes back to the client.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// JSON. Older Dart reads it as Latin-1 unless the character set is named.
    #[must_use]
    pub fn json(status: StatusCode, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { status, content_type: "application/json; charset=utf-8", body }
    }

    /// A text as it is.
    #[must_use]
    pub fn text(status: StatusCode, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.as_bytes().to_vec() }
    }
}

/// A request that its dialect can't read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The body as a whole can't be read.
    #[error("The body {0}.")]
    Body(#[from] JsonError),
    /// One field is wrong.
    #[error("The field {0}.")]
    Field(#[from] InvalidField),
    /// It isn't a request.
    #[error("The function was called with an event that isn't an HTTP request's.")]
    Event,
    /// The path can't be read.
    #[error("The path must be percent-encoded UTF-8.")]
    Path,
    /// Fields are missing.
    #[error("{0} are required")]
    Missing(&'static str),
    /// The sandbox isn't one that may be asked through.
    #[error("The header X-Sandbox-ID must name one of the sandboxes that [sandbox] ids lists.")]
    UnknownSandbox,
}

/// A body's members. No body is an empty one.
fn members(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    if body.is_empty() { Ok(Map::new()) } else { json::object(body) }
}

/// A member's text, if there is one that isn't empty.
fn text(field: &'static str, value: Option<Value>) -> Result<Option<String>, InvalidField> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(InvalidField::wrong_type(field, "a string")),
    }
}
