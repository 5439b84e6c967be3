//! The router, its layers in order, and the one place that turns errors into responses. Decisions are made in
//! [`crate::policy`].
//!
//! | module | its one job |
//! |---|---|
//! | `endpoint` | the only path from a request to a token |
//! | `body` | a body's media type, encoding and size |
//! | `cors` | which web pages may read responses |
//! | `host` | the `Host` header, when only this machine is served |
//! | `problem` | every error's status, code and title |
//! | `refusal` | which problem each refusal is, and its text for the client |
//! | `outcome` | the headers of every response, its log line, and its metrics |
//! | `request_id` | a request's ID, in its response and in the log |

mod body;
mod cors;
mod endpoint;
mod host;
mod outcome;
mod problem;
mod refusal;
mod request_id;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;

pub use body::ReadBodyBy;
pub use host::Hosts;
pub use outcome::ClientAddress;
pub use problem::{PROBLEM_KINDS, ProblemKind};
pub use refusal::Refusal;
pub use request_id::RequestId;

use crate::auth::{CallerKind, Callers, CredentialHeaders};
use crate::dialect::{PathMatching, Routes};
use crate::domain::{Context, Project};
use crate::keys::{Keys, KeysError};
use crate::metrics::Metrics;
use crate::mint::{Mint, Settings};
use crate::policy::Policy;
use roompass_core::config::{Config, Dialect};

/// A request extension: the function was invoked with an event that is not an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct UnreadableEvent;

/// A request extension: no valid policy could be read at run time, or the last one expired, and why.
#[derive(Debug, Clone)]
pub struct PolicyUnavailable(pub Arc<str>);

/// A request extension: the signing keys can't be refreshed for this request, and why. They are not tried again.
#[derive(Debug, Clone)]
pub struct KeysFailed(pub KeysError);

/// What the endpoint needs for each stage of a request.
pub(crate) struct Stages {
    routes: Routes,
    callers: Arc<Callers>,
    policy: Policy,
    policy_version: String,
    /// The projects whose keys may sign tokens.
    projects: Vec<Project>,
    keys: Arc<Keys>,
    mint: Mint,
    metrics: Metrics,
    settings: Settings,
    sandboxes: Vec<String>,
    dialects: Vec<Dialect>,
    /// The token routes, as the 404 response lists them.
    served: Arc<str>,
}

/// Returns the time and the source of randomness for one request.
pub type Surroundings = fn() -> Context;

/// Which spellings of a path are served. A gateway that authenticates callers decides by the exact path. If one is
/// configured, no other spelling may reach the same route.
#[must_use]
pub fn path_matching(config: &Config) -> PathMatching {
    let has_gateway = config.callers.iter().any(|caller| matches!(caller.kind, CallerKind::Gateway(_)));
    if has_gateway { PathMatching::Exact } else { PathMatching::ExtraSlashes }
}

/// The whole service: the same in Lambda, locally and in tests.
pub fn router(config: Config, keys: Keys, mint: Mint, surroundings: Surroundings) -> Router {
    let callers = Callers::new(config.callers.clone());
    router_for(callers, Hosts::Any, config, keys, mint, surroundings)
}

/// The same service with other callers than the configured ones, and with a check of the `Host` header. For local use.
pub fn router_for(
    callers: Callers,
    hosts: Hosts,
    config: Config,
    keys: Keys,
    mint: Mint,
    surroundings: Surroundings,
) -> Router {
    router_of((callers.into(), keys.into()), hosts, config, mint, surroundings, Metrics::default())
}

/// The same service with callers and keys that another service has too.
pub(crate) fn router_of(
    (callers, keys): (Arc<Callers>, Arc<Keys>),
    hosts: Hosts,
    config: Config,
    mint: Mint,
    surroundings: Surroundings,
    metrics: Metrics,
) -> Router {
    let credential_headers = CredentialHeaders::of(&config.callers);
    let matching = path_matching(&config);
    let Config { version, http, cors, limits, dialects, sandbox, agora, policy, .. } = config;
    let routes = Routes::new(&dialects, http.base_path.as_str(), matching);
    let served: Vec<_> = routes.served().map(|(method, path)| format!("{method} {path}")).collect();
    let stages = Stages {
        routes,
        callers,
        projects: policy.projects(),
        policy,
        policy_version: version,
        keys,
        mint,
        metrics: metrics.clone(),
        settings: Settings { limits, agora_version: agora.token_version },
        sandboxes: sandbox.ids,
        dialects,
        served: served.join(", ").into(),
    };
    // The first layer is the outermost one. They are one layer to axum, which would box each of several.
    let layers = (
        from_fn_with_state((surroundings, metrics), outcome::finish),
        option_layer((hosts != Hosts::Any).then(|| from_fn(host::must_be_this_machine))),
        from_fn_with_state(Arc::from(cors.origins.clone()), cors::finish),
        cors::layer(&cors, &credential_headers),
        CatchPanicLayer::custom(panicked),
    );
    Router::new().fallback(endpoint::answer).layer(layers).with_state(Arc::new(stages))
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::Panicked.into_response()
}
