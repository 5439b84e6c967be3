//! The one path from a request to a token. Every dialect goes through it: LiveKit's all in one way, and Agora's, of
//! which one request may ask for two tokens.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, PRAGMA};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodFilter;
use serde_json::json;

use super::outcome::{Asked, ErrorShape, Minted};
use super::{Refusal, Stages, body};
use crate::auth::{AuthError, Caller};
use crate::dialect::agora;
use crate::dialect::{Asking, BadRequest, Given, Refuse, Reply, Route};
use crate::domain::wall_clock;
use crate::keys::{KeysError, SigningKeys};
use crate::mint;

/// A route of one of LiveKit's dialects.
pub(super) async fn livekit(
    route: &'static Route,
    State(stages): State<Arc<Stages>>,
    request: Request,
) -> Response {
    let mut asked = Asked::default();
    let answer = token(route, &stages, request, &mut asked).await;
    in_shape(answer, route.refuse, asked)
}

async fn token(
    route: &Route,
    stages: &Stages,
    request: Request,
    asked: &mut Asked,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    body::must_be_json(&head.headers)?;
    let (caller, keyless) = stages.caller(&head).await?;
    asked.is_by(&caller);
    let body = body::read(body).await?;
    let asking =
        Asking { headers: &head.headers, body: &body, limits: &stages.limits, sandboxes: &stages.sandboxes };
    let request = (route.read)(&asking)?;
    asked.is_for(&request);
    let pass = asked.told(stages.policy.explain(&caller, request, wall_clock()))?;
    let keys = stages.keys(keyless).await?;
    let keys = keys.livekit()?;
    let token = mint::livekit(&pass, keys, &stages.limits, wall_clock())?;
    let reply = (route.write)(&Given { server: &keys.server, pass: &pass, token: &token });
    Ok((axum::Extension(Minted::new(&pass, &token)), reply).into_response())
}

/// A route of Agora's. All that one request asks for is decided before anything is signed.
pub(super) async fn agora(
    route: &'static agora::Route,
    State(stages): State<Arc<Stages>>,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    request: Request,
) -> Response {
    let mut asked = Asked::default();
    let answer = tokens(route, &stages, path, request, &mut asked).await;
    with_agoras_headers(in_shape(answer, Some(agora::refuse), asked))
}

async fn tokens(
    route: &agora::Route,
    stages: &Stages,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    request: Request,
    asked: &mut Asked,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    if route.method == MethodFilter::POST {
        body::must_be_json(&head.headers)?;
    }
    let (caller, keyless) = stages.caller(&head).await?;
    asked.is_by(&caller);
    let Path(path) = path.map_err(|_| BadRequest::Path)?;
    let query = head.uri.query().unwrap_or_default();
    let body = body::read(body).await?;
    let asking = agora::Asking { path: &path, query, body: &body, limits: &stages.limits };
    let decided = (route.read)(&asking)?.into_iter().map(|(member, wanted)| {
        // Each half of what is wanted notes in it what it was asked, one after the other.
        let asked = RefCell::new(&mut *asked);
        let decided = wanted.try_map(
            |request| {
                asked.borrow_mut().is_for(&request);
                asked.borrow_mut().told(stages.policy.explain(&caller, request, wall_clock()))
            },
            |request| asked.borrow_mut().told(stages.policy.explain_login(&caller, request, wall_clock())),
        );
        decided.map(|given| (member, given))
    });
    let given = decided.collect::<Result<Vec<_>, _>>()?;
    let keys = stages.keys(keyless).await?;
    let signed = given.iter().map(|(member, given)| {
        let token =
            mint::agora(given, stages.agora.token_version, keys.agora()?, wall_clock(), stages.randomness)?;
        Ok((*member, token))
    });
    let tokens = signed.collect::<Result<Vec<_>, Refusal>>()?;
    let minted = Minted::by_agora(given.iter().zip(&tokens).map(|((_, given), (_, token))| (given, token)));
    Ok((axum::Extension(minted), agora::write(&tokens)).into_response())
}

/// The same, and an error in the dialect's own shape, if it has one.
fn in_shape(answer: Result<Response, Refusal>, shape: Option<Refuse>, asked: Asked) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(Arc::new(asked));
    if let Some(shape) = shape {
        response.extensions_mut().insert(ErrorShape(shape));
    }
    response
}

/// What its own service says of how long an answer may be kept.
fn with_agoras_headers(response: Response) -> Response {
    let headers = [
        (CACHE_CONTROL, "private, no-cache, no-store, must-revalidate"),
        (EXPIRES, "-1"),
        (PRAGMA, "no-cache"),
    ];
    (headers, response).into_response()
}

/// That there are no keys, where that's known already.
type Keyless = Option<KeysError>;

impl Stages {
    /// Who asks. Where somebody else has to be asked for that, the secret is read meanwhile if it has to be: one after
    /// the other could take longer than a client waits.
    async fn caller(&self, head: &Parts) -> Result<(Caller, Keyless), AuthError> {
        let now = wall_clock();
        let mut caller = pin!(self.callers.identify(head, &self.keys, now));
        if let Poll::Ready(caller) = poll_fn(|context| Poll::Ready(caller.as_mut().poll(context))).await {
            return Ok((caller?, None));
        }
        let (caller, keys) = tokio::join!(caller, self.keys.signing(now));
        Ok((caller?, keys.err()))
    }

    /// The keys as they are by now.
    async fn keys(&self, keyless: Keyless) -> Result<Arc<SigningKeys>, KeysError> {
        match keyless {
            Some(error) => Err(error),
            None => self.keys.signing(wall_clock()).await,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        (self.status, [content_type], self.body).into_response()
    }
}

/// That the token service is there: clients of Agora's ask before anything else.
pub(super) async fn ping() -> Response {
    with_agoras_headers(Reply::json(StatusCode::OK, &json!({ "message": "pong" })).into_response())
}
