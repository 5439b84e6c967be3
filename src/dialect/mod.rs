//! Wire formats. Each is a row in one table: what it reads into asks, how it writes tokens and errors, and what its
//! clients expect. It knows nothing of callers, rules and keys.
//!
//! | module | its clients |
//! |---|---|
//! | [`standard`] | every LiveKit client SDK's own token source |
//! | [`sandbox`] | clients of LiveKit's development token server |
//! | [`token_server`], [`quickstart`] | clients of LiveKit's sample servers for Node |
//! | [`openvidu`] | clients of OpenVidu's tutorials |
//! | [`agora`] | clients of the Agora community's token service |
//!
//! `routes` finds the route of a request, `fields` reads members of JSON bodies.

pub mod agora;
mod fields;
pub mod openvidu;
pub mod quickstart;
mod routes;
pub mod sandbox;
pub mod standard;
pub mod token_server;

pub use routes::{Found, PathParameters, Routes};

use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::Value;

use crate::domain::{Ask, InvalidField, Limits, Pass, Provider, ServerUrl, Ttl};
use crate::json::JsonError;
use roompass_core::config::{Config, Dialect};

use crate::mint::Token;

/// The dialects, one row each.
pub static TABLE: [Row; 6] =
    [standard::ROW, sandbox::ROW, token_server::ROW, quickstart::ROW, openvidu::ROW, agora::ROW];

/// What there is to say of a dialect.
pub struct Row {
    /// Its name in the configuration.
    pub dialect: Dialect,
    /// Whose tokens it gives.
    pub provider: Provider,
    /// Its routes, below the base path.
    pub routes: &'static [Route],
    /// A path that says that the service is there, and what it returns.
    pub ping: Option<Ping>,
    /// How long a token lasts where neither the request nor the rule says so.
    pub usual_ttl: Ttl,
    /// Whose routes these are, where that lifetime isn't [`Ttl::DEFAULT`].
    pub label: &'static str,
    /// Whether a request can leave the room out.
    pub room: Presence,
    /// How a request names its participant.
    pub participant: Participant,
    /// Headers of every response, errors too.
    pub headers: &'static [(HeaderName, &'static str)],
    /// What the configuration adds, for people.
    pub detail: fn(&Config) -> Option<String>,
    /// A request that shows how it's called.
    pub sample: fn(&Wishes<'_>) -> Sample,
}

/// A path, and what it returns to every client.
pub type Ping = (&'static str, fn() -> Reply);

/// One place where a dialect answers, below the base path.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with the names of its parameters in braces.
    pub path: &'static str,
    /// What a request there asks for.
    pub read: fn(&Received<'_>) -> Result<Asks, BadRequest>,
    /// The response, with the tokens.
    pub write: fn(&Granted<'_>) -> Reply,
    /// An error, where its clients read one of their own shape.
    pub refuse: Option<Refuse>,
}

/// An error in a dialect's own shape.
pub type Refuse = fn(&Refused<'_>) -> Reply;

/// What a request asks for. Each ask has the member of the response that its token goes into; asks of one member go into
/// one token.
pub type Asks = Vec<(&'static str, Ask)>;

/// Whether requests have something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always, or they're refused or completed by the dialect.
    Always,
    /// Where the client likes.
    Optional,
}

/// How requests name their participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Participant {
    /// By an identity and a name, both optional.
    Optional,
    /// By one name, which is the identity where the rule lets the client choose it, else the name.
    ByOneName,
    /// By an identity, always.
    ByIdentity,
}

/// A request, as far as a dialect looks at it.
pub struct Received<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The parameters in its path, decoded.
    pub path: &'a PathParameters,
    /// Its query, as it was sent.
    pub query: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// How long its fields may be.
    pub limits: &'a Limits,
    /// `[sandbox] ids`: the sandboxes that are served.
    pub sandboxes: &'a [String],
}

/// What a request is given.
pub struct Granted<'a> {
    /// Where to connect, for LiveKit's tokens.
    pub server: Option<&'a ServerUrl>,
    /// The tokens, each with its member of the response and the passes in it; one at least.
    pub tokens: &'a [(&'static str, Vec<Pass>, Token)],
}

impl Granted<'_> {
    /// The only token of a dialect that asks once, or the first.
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

/// What a sample request should ask for.
pub struct Wishes<'a> {
    /// A room that the caller may have; none where the rule gives one by itself.
    pub room: Option<&'a str>,
    /// The same, where the dialect's requests always have one.
    pub some_room: &'a str,
    /// The name for others to see, where the rule lets the client set it.
    pub name: Option<&'a str>,
    /// The one name, in dialects with one.
    pub one_name: &'a str,
    /// The identity, in dialects that always have one.
    pub identity: &'a str,
    /// Whether the rule lets the caller publish.
    pub publishes: bool,
    /// `[sandbox] ids`.
    pub sandbox: Option<&'a str>,
}

/// A request that shows how a dialect is called.
pub struct Sample {
    /// Its path, below the base path.
    pub path: String,
    /// A header of its own.
    pub header: Option<(&'static str, String)>,
    /// The members of its body; none where it's a GET.
    pub body: Option<Vec<(&'static str, String)>>,
}

impl Row {
    /// A dialect's row.
    ///
    /// # Panics
    /// Where the table lacks it, which a test shows that it doesn't.
    #[must_use]
    pub fn of(dialect: Dialect) -> &'static Self {
        TABLE.iter().find(|row| row.dialect == dialect).expect("each dialect has a row")
    }

    /// What a request at a route of this dialect asks for.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn asks(&self, route: &Route, received: &Received<'_>) -> Result<Asks, BadRequest> {
        let asks = (route.read)(received)?.into_iter();
        Ok(asks.map(|(member, ask)| (member, ask.lasting_usually(self.usual_ttl))).collect())
    }
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
    #[error("The function was invoked with an event that is not an HTTP request.")]
    Event,
    /// The path can't be read.
    #[error("The path must be percent-encoded UTF-8.")]
    Path,
    /// Fields are missing.
    #[error("{0} are required")]
    Missing(&'static str),
    /// The sandbox isn't one that is served.
    #[error("The header X-Sandbox-ID must name one of [sandbox] ids.")]
    UnknownSandbox,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_one_row_and_its_routes_have_paths_of_their_own() {
        for row in &TABLE {
            assert_eq!(TABLE.iter().filter(|other| other.dialect == row.dialect).count(), 1);
            assert!(std::ptr::eq(Row::of(row.dialect), row));
        }
        let mut paths: Vec<_> = TABLE.iter().flat_map(|row| row.routes).map(|route| route.path).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }
}
