//! Roompass issues LiveKit and Agora access tokens: it authenticates the caller, decides by a policy file which access
//! the caller gets, and signs a token for it.
//!
//! All requests go through the same handler, `http::endpoint::answer`, and only it issues tokens. A request in ten
//! steps, with the function of each:
//!
//! 1. [`lambda::answer`] turns a Lambda event into an HTTP request, with the gateway's verified claims as an extension.
//! 2. `http::outcome::finish` is the outermost layer of [`http::router`]. It sets the request ID and logs the request. If
//!    the policy is read at run time, [`reload::Reloading::router`] is in front of it: it chooses the router of the current
//!    version, which then handles the whole request.
//! 3. [`dialect::Routes::find`] finds the route.
//! 4. [`auth::Callers::identify`] authenticates the request by its head and returns the [`auth::Caller`].
//! 5. `http::body::read` reads the body, up to its size limit.
//! 6. [`dialect::Row::asks`] parses the request into a list of [`domain::Ask`]s.
//! 7. [`policy::Policy::decide`] returns a [`domain::Pass`] or a denial for each ask.
//! 8. [`keys::Keys::signing`] returns the signing keys of the passes' project, and refreshes them if they are stale.
//! 9. [`mint::token`] signs the passes.
//! 10. [`dialect::Route::write`] writes the response.
//!
//! An error at any step is a [`http::Refusal`], which becomes the response.
//!
//! | module | its one job |
//! |---|---|
//! | [`http`] | the router, its layers in order, and the one place that turns errors into responses |
//! | [`lambda`] | the AWS parts of a request: events, stage prefixes, request IDs, authorizers |
//! | [`dialect`] | the table of wire formats: routes, parsing and writing |
//! | [`auth`] | authentication: from a request's head to a [`auth::Caller`] |
//! | [`keys`] | the signing keys and the callers' keys, from the secret store |
//! | [`mint`] | signs passes with the keys |
//! | [`config`] | loads the configuration from the environment and `roompass.toml`, for the programs and `reload` |
//! | `inspect` | decodes any token, for people; not in the Lambda function |
//! | [`json`] | parses JSON, and refuses duplicate members |
//! | [`log`] | the log, as text for people or as JSON |
//! | [`metrics`] | counts tokens, refusals and fetches, for CloudWatch or Prometheus |
//! | [`reload`] | reads the policy at run time, and makes a router of each version |
//! | `refreshing` | the one cache: fetches a value, refreshes it, keeps it while refreshing fails, and expires it |
//! | `requests` | sends requests for the command; not in the Lambda function |
//! | `server_api` | calls LiveKit's server API with the operator's keys, and checks a token there, for people; not in the Lambda function |
//! | [`system`] | the system's time and randomness |
//! | `web_client` | the HTTPS client, for `auth`, `keys` and `requests` |
//!
//! The core crate makes the decisions, without I/O: [`domain`], [`policy`], [`escape`] and [`url`] are its modules.
//!
//! Each step depends only on the results of earlier steps. The caller is authenticated before the body is read, so an
//! unauthenticated request costs little. If authentication waits for a fetch, stale signing keys are refreshed at the
//! same time.

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
pub mod metrics;
pub mod mint;
mod refreshing;
pub mod reload;
#[cfg(feature = "local")]
pub mod requests;
#[cfg(feature = "local")]
pub mod server_api;
pub mod system;
mod web_client;

pub use roompass_core::{domain, escape, policy, url};
