//! One router, one ordered list of layers, and one place that turns errors into responses. Knows nothing of how
//! anything is decided.
//!
//! | module | its one job |
//! |---|---|
//! | `endpoint` | the one path from a request to a token |
//! | `body` | a body's media type, encoding and size |
//! | `cors` | which web pages may read responses |
//! | `host` | requests for this machine alone |
//! | `refusal` | each refusal's status, code and text |
//! | `outcome` | a response's last headers, and its line in the log |
//! | `request_id` | a request's name, in its response and in the log |

mod body;
mod cors;
mod endpoint;
mod host;
mod outcome;
mod refusal;
mod request_id;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

pub use host::Hosts;
pub use refusal::{KINDS, Kind, Refusal};
pub use request_id::RequestId;

use crate::auth::Callers;
use crate::dialect::Routes;
use crate::domain::Context;
use crate::keys::Keys;
use crate::mint::Settings;
use crate::policy::Policy;
use roompass_core::config::{Config, Dialect};

/// In the extensions of what stands for an event of AWS's that no HTTP request made.
#[derive(Debug, Clone, Copy)]
pub struct UnreadableEvent;

/// The stages that a request passes, as configured.
pub(crate) struct Stages {
    routes: Routes,
    callers: Callers,
    policy: Policy,
    keys: Keys,
    settings: Settings,
    sandboxes: Vec<String>,
    dialects: Vec<Dialect>,
    /// The routes to tokens, in words.
    served: Arc<str>,
}

/// Where a request's time and randomness come from.
pub type Surroundings = fn() -> Context;

/// The whole service: the same in Lambda, on a laptop and in tests.
pub fn router(config: Config, keys: Keys, surroundings: Surroundings) -> Router {
    let callers = Callers::new(config.callers.clone());
    router_for(callers, Hosts::Any, config, keys, surroundings)
}

/// The same, for other callers than the configured ones, and for some hosts alone: for a developer who tries a policy.
pub fn router_for(
    callers: Callers,
    hosts: Hosts,
    config: Config,
    keys: Keys,
    surroundings: Surroundings,
) -> Router {
    let Config { http, cors, limits, dialects, sandbox, agora, policy, .. } = config;
    let routes = Routes::new(&dialects, http.base_path.as_str());
    let served: Vec<_> = routes.served().map(|(method, path)| format!("{method} {path}")).collect();
    let stages = Stages {
        routes,
        callers,
        policy,
        keys,
        settings: Settings { limits, agora_version: agora.token_version },
        sandboxes: sandbox.ids,
        dialects,
        served: served.join(", ").into(),
    };
    // The last layer is the outermost: what leaves has been through all of them.
    Router::new()
        .fallback(endpoint::answer)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors::layer(&cors))
        .layer(from_fn(cors::preflight_without_content))
        .layer(from_fn_with_state(hosts, host::must_be_served))
        .layer(from_fn_with_state(surroundings, outcome::written))
        .with_state(Arc::new(stages))
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::Panicked.into_response()
}
