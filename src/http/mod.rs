//! One router, one ordered list of layers, and one place that turns errors into responses. Knows nothing of how
//! anything is decided.

mod body;
mod cors;
mod endpoint;
mod outcome;
mod refusal;
mod request_id;

use std::any::Any;
use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, on, post};
use axum::{Extension, Router, extract::State};
use tower_http::catch_panic::CatchPanicLayer;

pub use refusal::Refusal;
pub use request_id::RequestId;

use crate::auth::Callers;
use crate::config::{Agora, Config, Dialect};
use crate::dialect::{self, BadRequest, agora};
use crate::domain::{Limits, Randomness, wall_clock};
use crate::keys::Keys;
use crate::policy::Policy;

/// In the extensions of what stands for an event of AWS's that no HTTP request made.
#[derive(Debug, Clone, Copy)]
pub struct UnreadableEvent;

/// The stages that a request passes, as configured.
pub(crate) struct Stages {
    callers: Callers,
    policy: Policy,
    keys: Keys,
    limits: Limits,
    sandboxes: Vec<String>,
    agora: Agora,
    randomness: Randomness,
    dialects: Vec<Dialect>,
    /// Where tokens are had, in words.
    served: Arc<str>,
}

/// The whole service: the same in Lambda, on a laptop and in tests.
pub fn router(config: Config, keys: Keys, randomness: Randomness) -> Router {
    let callers = Callers::new(config.callers.clone());
    router_for(callers, config, keys, randomness)
}

/// The same, for other callers than the configured ones: for a developer who is to be somebody.
pub fn router_for(callers: Callers, config: Config, keys: Keys, randomness: Randomness) -> Router {
    let Config { http, cors, limits, dialects, sandbox, agora, rules, .. } = config;
    let policy = Policy::new(rules, limits.clone(), randomness);
    let below = |path: &str| format!("{}{path}", http.base_path.as_str());
    let livekits = || dialects.iter().flat_map(|dialect| dialect::routes(*dialect));
    let agoras = dialects.contains(&Dialect::Agora).then(|| format!("GET {}", below("/agora/rtc/…")));
    let served: Vec<_> =
        livekits().map(|route| format!("POST {}", below(route.path))).chain(agoras).collect();
    let served = Arc::from(served.join(", "));

    let mut routes = Router::new().route(&below("/healthz"), get(health));
    for route in livekits() {
        routes = routes.route(
            &below(route.path),
            post(async move |state, request| endpoint::livekit(route, state, request).await),
        );
    }
    if dialects.contains(&Dialect::Agora) {
        routes = routes.route(&below(agora::PING), get(endpoint::ping));
        for route in &agora::ROUTES {
            let answer = async move |state, path, request| endpoint::agora(route, state, path, request).await;
            routes = routes.route(&below(route.path), on(route.method, answer));
        }
    }
    let sandboxes = sandbox.ids;
    let stages = Stages { callers, policy, keys, limits, sandboxes, agora, randomness, dialects, served };
    // The last layer is the outermost: what leaves has been through all of them.
    routes
        .fallback(nowhere)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors::layer(&cors))
        .layer(from_fn(cors::preflight_without_content))
        .layer(from_fn_with_state(randomness, outcome::told))
        .with_state(Arc::new(stages))
}

/// Says whether tokens can be signed, in one dialect that is served at least: 200 with the version, or 503.
async fn health(State(stages): State<Arc<Stages>>) -> Result<Response, Refusal> {
    let keys = stages.keys.signing(wall_clock()).await?;
    keys.sign_for(&stages.dialects)?;
    let body = serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    Ok((body::JSON, body.to_string()).into_response())
}

/// Nothing is at this path; or there was no path, since what called isn't a request.
async fn nowhere(
    State(stages): State<Arc<Stages>>,
    unreadable: Option<Extension<UnreadableEvent>>,
) -> Refusal {
    match unreadable {
        Some(_) => BadRequest::Event.into(),
        None => Refusal::NotFound { served: stages.served.clone() },
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::Panicked.into_response()
}
