//! The one path from a request to a token. Every dialect goes through it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::outcome::Minted;
use super::{Refusal, Stages, body};
use crate::dialect::standard as dialect;
use crate::mint;

/// LiveKit's standard token endpoint.
pub(super) async fn standard(
    State(stages): State<Arc<Stages>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    body::must_be_json(&head.headers)?;
    let caller = stages.callers.identify(&head, &stages.keys, now()).await?;
    let request = dialect::parse(&body::read(body).await?, &stages.limits)?;
    let pass = stages.policy.decide(&caller, request, now())?;
    let keys = stages.keys.current().await?;
    let livekit = keys.livekit()?;
    let token = mint::livekit(&pass, livekit, &stages.limits)?;
    let answer = dialect::answer(&livekit.server, &token);
    let minted = axum::Extension(Minted::new(&pass, &token));
    Ok((StatusCode::CREATED, body::JSON, minted, answer).into_response())
}

/// Seconds since 1970, by the wall clock: a frozen process's other clocks may stand still.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
