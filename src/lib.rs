//! Roompass issues LiveKit and Agora access tokens: it authenticates the caller, decides by a written policy what the
//! caller may have, and mints a join token.
//!
//! There is one way through, front to back, and no other path to a token. A request in ten steps, each one function:
//!
//! 1. [`lambda::answer`] takes an event apart, and puts what its gateway verified into the request's extensions.
//! 2. [`http::router`] adds the layers around the one handler, `http::endpoint::answer`; a request ID and the log first.
//! 3. [`dialect::Routes::find`] finds the route in the table of dialects.
//! 4. [`auth::Callers::identify`] authenticates the request's head: the [`auth::Caller`], or a 401.
//! 5. `http::body::read` reads the body, which is limited.
//! 6. [`dialect::Row::asks`] reads what is asked for: a list of [`domain::Ask`]s.
//! 7. [`policy::Policy::decide`] decides each one: a [`domain::Pass`], or a denial.
//! 8. [`keys::Keys::signing`] has the keys, refreshed if they're stale.
//! 9. [`mint::token`] signs the passes.
//! 10. The dialect's `write` makes the response; of a [`http::Refusal`], its one `into_response` does.
//!
//! | module | its one job |
//! |---|---|
//! | [`http`] | the router, its layers in order, and the one place that turns a refusal into a response |
//! | [`lambda`] | what AWS puts around a request: the event, stage prefixes, request IDs, authorizers |
//! | [`dialect`] | one table of wire formats: routes, what each reads and writes |
//! | [`auth`] | a request's head to a [`auth::Caller`] |
//! | [`keys`] | the secret store to the keys that sign, and to what callers' credentials are checked with |
//! | [`mint`] | passes and keys to a token |
//! | [`config`] | the environment and the file that it names: the top, which only the programs use |
//! | `inspect` | what is inside any token, for people; not in the function |
//! | [`json`] | JSON in which no member appears twice |
//! | [`log`] | the log, for people and for machines |
//! | `refreshing` | the one cache: a value that is fetched, refreshed, used while refreshing fails, and expires |
//! | [`system`] | the system's time and randomness |
//!
//! The core crate has what is decided, without I/O: [`domain`], [`policy`], [`escape`] and [`url`] are its.
//!
//! A stage never reaches back, and knows nothing of the stages beyond its neighbours. The head of a request is judged
//! before its body is read, so that an unauthenticated request costs next to nothing. While an issuer is waited for, the
//! keys that sign are read too if they have to be.

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
