//! Roompass issues LiveKit and Agora access tokens: it authenticates the caller, decides by a written policy what the
//! caller may have, and mints a join token.
//!
//! There is one way through, front to back, and no other path to a token:
//!
//! ```text
//! HTTP event ─ dialect ─► PassRequest ─ auth ─► Caller ─ policy ─► Pass ─ mint (with keys) ─► token ─ dialect ─► HTTP response
//! ```
//!
//! | module | its one job |
//! |---|---|
//! | [`http`] | the router, its layers in order, and the one place that turns a refusal into a response |
//! | [`lambda`] | what AWS puts around a request, taken off: the event, stage prefixes, request ids |
//! | [`dialect`] | a wire format to a [`domain::PassRequest`], and a token back to that wire format |
//! | [`auth`] | a request's head to a [`auth::Caller`] |
//! | [`policy`] | a caller and what it asks for to a [`domain::Pass`], or a denial |
//! | [`keys`] | the secret store to the keys that sign, and to what API keys and shared secrets are known by |
//! | [`mint`] | a pass and keys to a token |
//! | [`domain`] | the words the stages share, each built only by a `parse` that enforces its limits |
//! | [`config`] | `roompass.toml` and the environment |
//! | [`inspect`] | what is inside any token, for people: nothing here decides by it |
//! | [`escape`] | text from outside, safe to print |
//! | [`json`] | JSON in which no member appears twice |
//! | [`log`] | the log, for people and for machines |
//! | `refreshing` | the one cache: a value that is fetched, refreshed, used while refreshing fails, and expires |
//! | [`url`] | URLs, shown without what may be a secret |
//!
//! A stage never reaches back, and knows nothing of the stages beyond its neighbours. The head of a request is judged
//! before its body is read, so that a stranger costs next to nothing. While an issuer is waited for, the keys that sign
//! are read too if they have to be.

pub mod auth;
pub mod config;
pub mod dialect;
pub mod http;
#[cfg(feature = "inspect")]
pub mod inspect;
pub mod json;
pub mod keys;
pub mod lambda;
pub mod log;
pub mod mint;
mod refreshing;
pub mod system;

pub use roompass_core::{domain, escape, policy, url};
