//! Wire formats, one row each in one table: how requests are parsed, how tokens and errors are written, and what its
//! clients expect. Independent of callers, rules and keys.
//!
//! | module | its clients |
//! |---|---|
//! | [`standard`] | all LiveKit client SDKs |
//! | [`sandbox`] | clients of LiveKit's development token server |
//! | [`token_server`], [`quickstart`] | clients of LiveKit's sample servers for Node |
//! | [`meet`] | LiveKit Meet, and earlier agent starter applications |
//! | [`use_token`] | the hook `useToken` of LiveKit's React components |
//! | [`openvidu`] | clients of OpenVidu's tutorials |
//! | [`agora`] | clients of the Agora community's token service |
//!
//! `routes` finds the route of a request, `fields` parses the members of JSON bodies and the parameters of queries.

pub mod agora;
mod fields;
pub mod meet;
pub mod openvidu;
pub mod quickstart;
mod routes;
pub mod sandbox;
pub mod standard;
pub mod token_server;
pub mod use_token;

pub use routes::{Found, PathMatching, PathParameters, Routes};

use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::Value;

use crate::domain::{Ask, InvalidField, Limits, Pass, Provider, RoomField, ServerUrl, Ttl};
use crate::json::JsonError;
use crate::mint::Token;
use roompass_core::config::{Config, Dialect};

/// The table of dialects.
pub static TABLE: [Row; 8] = [
    standard::ROW,
    sandbox::ROW,
    token_server::ROW,
    quickstart::ROW,
    meet::ROW,
    use_token::ROW,
    openvidu::ROW,
    agora::ROW,
];

/// A dialect.
pub struct Row {
    /// Its name in the configuration.
    pub dialect: Dialect,
    /// Whose tokens it returns.
    pub provider: Provider,
    /// Its routes, below the base path.
    pub routes: &'static [Route],
    /// A route that responds whenever the service runs, if clients of the dialect use one.
    pub ping: Option<Ping>,
    /// A token's lifetime if neither the request nor the rule sets one.
    pub usual_ttl: Ttl,
    /// The routes as named in texts about their lifetime, if it differs from [`Ttl::DEFAULT`].
    pub label: &'static str,
    /// Whether requests name a room.
    pub room: Presence,
    /// The name of the room's field in a request.
    pub room_field: RoomField,
    /// How requests name the participant.
    pub participant: Participant,
    /// Headers of every response, including errors.
    pub headers: &'static [(HeaderName, &'static str)],
    /// The dialect's settings, as text for people.
    pub detail: fn(&Config) -> Option<String>,
    /// Creates an example request.
    pub sample: fn(&SampleValues<'_>) -> Sample,
}

/// A path, and the response to every client.
pub type Ping = (&'static str, fn() -> Reply);

/// A route that returns tokens.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the base path, with parameters in braces.
    pub path: &'static str,
    /// Parses a request.
    pub read: fn(&Received<'_>) -> Result<Asks, BadRequest>,
    /// Writes the response with the tokens.
    pub write: fn(&Granted<'_>) -> Reply,
    /// Writes an error, if the dialect has its own error format.
    pub write_error: Option<WriteError>,
}

/// Writes an error in a dialect's own format.
pub type WriteError = fn(&ErrorDetails<'_>) -> Reply;

/// The asks of a request, each with the response member for its token. Asks with the same member share one token.
pub type Asks = Vec<(&'static str, Ask)>;

/// Whether a request has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always: the dialect refuses a request without it, or uses a default.
    Always,
    /// The client may omit it.
    Optional,
}

/// How requests name the participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Participant {
    /// By an identity and a name, both optional.
    Optional,
    /// By one name: it becomes the identity if the rule lets the client set that, otherwise the participant name.
    ByOneName,
    /// By an identity, which is required.
    ByIdentity,
}

/// The parts of a request that dialects parse.
pub struct Received<'a> {
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The path parameters, decoded.
    pub path: &'a PathParameters,
    /// The query string, not decoded.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// `[limits]`: the maximum lengths of fields.
    pub limits: &'a Limits,
    /// `[sandbox] ids`.
    pub sandboxes: &'a [String],
}

/// What a response is written from.
#[derive(Clone, Copy)]
pub struct Granted<'a> {
    /// The URL to connect to, for LiveKit tokens.
    pub server: Option<&'a ServerUrl>,
    /// The request's query string, not decoded.
    pub query: &'a str,
    /// The tokens, each with its response member and the passes in it. At least one.
    pub tokens: &'a [(&'static str, Vec<Pass>, Token)],
}

impl Granted<'_> {
    /// The first token; LiveKit's dialects have only one.
    fn token(&self) -> &str {
        self.tokens.first().map_or("", |(_, _, token)| token.expose())
    }

    fn pass(&self) -> Option<&Pass> {
        self.tokens.first().and_then(|(_, passes, _)| passes.first())
    }

    fn server(&self) -> &str {
        self.server.map_or("", ServerUrl::as_str)
    }
}

/// What an error is written from.
pub struct ErrorDetails<'a> {
    /// The HTTP status, which dialects don't change.
    pub status: StatusCode,
    /// The error and how to fix it, for people.
    pub detail: &'a str,
}

/// A response.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// The values that an example request may use.
pub struct SampleValues<'a> {
    /// A room that the caller may join. `None` if the rule has a default room.
    pub room: Option<&'a str>,
    /// A room, for dialects whose requests must have one.
    pub some_room: &'a str,
    /// The participant name, if the rule lets the client set it.
    pub name: Option<&'a str>,
    /// The name, for [`Participant::ByOneName`].
    pub one_name: &'a str,
    /// The identity, for [`Participant::ByIdentity`].
    pub identity: &'a str,
    /// Whether the rule lets the caller publish.
    pub publishes: bool,
    /// One of `[sandbox] ids`.
    pub sandbox: Option<&'a str>,
}

/// An example request.
pub struct Sample {
    /// The path, below the base path.
    pub path: String,
    /// A header that the dialect needs.
    pub header: Option<(&'static str, String)>,
    /// The members of the JSON body. `None` for a GET.
    pub body: Option<Vec<(&'static str, String)>>,
}

impl Row {
    /// A dialect's row.
    ///
    /// # Panics
    /// If the dialect has no row; a test shows that each has one.
    #[must_use]
    pub fn of(dialect: Dialect) -> &'static Self {
        TABLE.iter().find(|row| row.dialect == dialect).expect("each dialect has a row")
    }

    /// Parses a request at a route of this dialect.
    ///
    /// # Errors
    /// If the request is invalid.
    pub fn asks(&self, route: &Route, received: &Received<'_>) -> Result<Asks, BadRequest> {
        let asks = (route.read)(received)?.into_iter();
        Ok(asks.map(|(member, ask)| (member, ask.in_dialect(self.usual_ttl, self.room_field))).collect())
    }
}

impl Reply {
    /// A JSON response. Older Dart clients decode JSON as Latin-1 if `Content-Type` has no charset.
    #[must_use]
    pub fn json(status: StatusCode, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { status, content_type: "application/json; charset=utf-8", body }
    }

    /// A plain text response.
    #[must_use]
    pub fn text(status: StatusCode, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.as_bytes().to_vec() }
    }
}

/// Why a request is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The body is not a JSON object.
    #[error("The body {0}.")]
    Body(#[from] JsonError),
    /// A field is invalid.
    #[error("The field {0}.")]
    Field(#[from] InvalidField),
    /// The event is not an HTTP request.
    #[error("The function was invoked with an event that is not an HTTP request.")]
    Event,
    /// The path has invalid percent-encoding.
    #[error("The path must be percent-encoded UTF-8.")]
    Path,
    /// Required fields are missing.
    #[error("{0} are required")]
    Missing(&'static str),
    /// The sandbox is unknown.
    #[error("The header X-Sandbox-ID must be one of [sandbox] ids.")]
    UnknownSandbox,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_one_row_and_each_path_and_method_one_route() {
        for row in &TABLE {
            assert_eq!(TABLE.iter().filter(|other| other.dialect == row.dialect).count(), 1);
            assert!(std::ptr::eq(Row::of(row.dialect), row));
        }
        let routes = TABLE.iter().flat_map(|row| row.routes);
        let mut routes: Vec<_> = routes.map(|route| (route.path, route.method.as_str())).collect();
        let count = routes.len();
        routes.sort_unstable();
        routes.dedup();
        assert_eq!(routes.len(), count);
    }
}
