//! The only path from a request to a token, for all dialects.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::outcome::{Audit, ErrorFormat};
use super::{KeysFailed, PolicyUnavailable, Refusal, Stages, UnreadableEvent, body};
use crate::auth::{AuthError, Caller};
use crate::dialect::{BadRequest, Found, Granted, PathParameters, Received, Reply, Route, Row};
use crate::domain::{Context, Project, Provider};
use crate::keys::{KeysError, SigningKeys};
use crate::policy;
use crate::refreshing::alone_or_with;

/// The handler of every request: tokens, pings, health checks and unknown routes.
pub(super) async fn answer(
    State(stages): State<Arc<Stages>>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Response {
    if request.extensions().get::<UnreadableEvent>().is_some() {
        return Refusal::from(BadRequest::Event).into_response();
    }
    let found = stages.routes.find(request.method(), request.uri().path());
    // The policy may serve other routes.
    if !matches!(found, Found::Token(..) | Found::Ping(..))
        && let Err(refusal) = must_have_policy(request.extensions())
    {
        return refusal.into_response();
    }
    match found {
        Found::Token(row, route, path) => {
            let has_policy = must_have_policy(request.extensions()).is_ok();
            let version = has_policy.then_some(stages.policy_version.as_str());
            let mut audit = Audit::by_policy(version, row.dialect.as_str());
            let result = tokens((row, route, path), &stages, &context, request, &mut audit).await;
            let mut response = with_headers(row, result.into_response());
            response.extensions_mut().insert(Arc::new(audit));
            if let Some(write) = route.write_error {
                response.extensions_mut().insert(ErrorFormat(write));
            }
            response
        }
        Found::Ping(row, reply) => with_headers(row, reply().into_response()),
        Found::Health => health(&stages, &context).await.into_response(),
        Found::OtherMethod(allowed) => {
            let mut response = Refusal::MethodNotAllowed.into_response();
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            response
        }
        // For other methods, the 404 with the routes says more than a 405.
        Found::Nothing
            if request.uri().path() == "/" && [Method::GET, Method::HEAD].contains(request.method()) =>
        {
            about(&stages).into_response()
        }
        Found::Nothing => {
            let dialect = stages.routes.unserved_dialect(request.uri().path());
            Refusal::NotFound { served: stages.served.clone(), dialect }.into_response()
        }
    }
}

async fn tokens(
    (row, route, path): (&Row, &Route, PathParameters),
    stages: &Stages,
    context: &Context,
    request: Request,
    audit: &mut Audit,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    must_have_policy(&head.extensions)?;
    if route.method == Method::POST {
        body::must_be_json(&head.headers)?;
    }
    let failed = head.extensions.get().map(|KeysFailed(error)| error.clone());
    let (caller, keys_error) = stages.caller(&head, failed, context).await?;
    audit.record_caller(&caller, stages.callers.api_key_name(&caller));
    if !path.are_utf8() {
        return Err(BadRequest::Path.into());
    }
    let body = body::read(body, head.extensions.get().copied()).await?;
    let query = head.uri.query().unwrap_or_default();
    let (limits, sandboxes) = (&stages.settings.limits, stages.sandboxes.as_slice());
    let received = Received { headers: &head.headers, path: &path, query, body: &body, limits, sandboxes };
    let mut granted: Vec<(&'static str, Vec<_>)> = Vec::new();
    for (member, ask) in row.asks(route, &received)? {
        audit.record_ask(&ask);
        let pass = audit.record_decision(stages.policy.decide(&caller, ask, context))?;
        match granted.iter_mut().find(|(known, _)| *known == member) {
            Some((_, passes)) => passes.push(pass),
            None => granted.push((member, vec![pass])),
        }
    }
    let project = policy::one_project(granted.iter().flat_map(|(_, passes)| passes))?;
    let keys = stages.keys(&project, keys_error, context).await?;
    let signed = granted.into_iter().map(|(member, passes)| {
        let token = (stages.mint)(&passes, row.provider, &keys, &stages.settings, context)?;
        Ok((member, passes, token))
    });
    let tokens = signed.collect::<Result<Vec<_>, Refusal>>()?;
    let keys_age = || stages.keys.age(&project, context.now);
    audit.record_tokens(&tokens, stages.metrics.are_recorded().then(keys_age).flatten());
    let server = match row.provider {
        Provider::LiveKit => Some(&keys.livekit()?.server),
        Provider::Agora => None,
    };
    Ok((route.write)(&Granted { server, query, tokens: &tokens }).into_response())
}

/// What this endpoint is, for people who open it in a browser.
fn about(stages: &Stages) -> Reply {
    let text = format!(
        "Roompass issues access tokens for LiveKit and Agora rooms.\n\nToken routes: {}\nHealth check: GET /healthz\n\
         Documentation: README.md and the folder docs in the repository of this deployment\n",
        stages.served
    );
    Reply { status: StatusCode::OK, content_type: "text/plain; charset=utf-8", body: text.into_bytes() }
}

/// Before the policy is read, no request is decided.
fn must_have_policy(extensions: &Extensions) -> Result<(), Refusal> {
    match extensions.get() {
        Some(PolicyUnavailable(cause)) => Err(Refusal::PolicyUnavailable(cause.clone())),
        None => Ok(()),
    }
}

/// Returns 200 and the versions if a project of the rules has keys for at least one of the served dialects, otherwise 503.
async fn health(stages: &Stages, context: &Context) -> Result<Response, Refusal> {
    let projects = stages.keys.projects(context).await?;
    let providers = stages.dialects.iter().map(|dialect| Row::of(*dialect).provider);
    let mut missing = None;
    let keys = stages.projects.iter().map(|project| projects.get(project));
    for (keys, provider) in
        keys.flat_map(|keys| providers.clone().map(move |provider| (keys.clone(), provider)))
    {
        match keys.sign_for(provider) {
            Ok(()) => {
                let body = serde_json::json!({
                    "status": "ok",
                    "version": env!("CARGO_PKG_VERSION"),
                    "policy_version": stages.policy_version,
                });
                return Ok(Reply::json(StatusCode::OK, &body).into_response());
            }
            Err(not_configured) => missing = missing.or(Some(not_configured)),
        }
    }
    Err(missing.map_or(Refusal::Panicked, Refusal::from))
}

fn with_headers(row: &Row, mut response: Response) -> Response {
    for (name, value) in row.headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Stages {
    /// Authenticates the caller. If that needs a fetch, such as an issuer's keys, stale signing keys are refreshed at
    /// the same time. Also returns that refresh's error, if it failed.
    async fn caller(
        &self,
        head: &Parts,
        failed: Option<KeysError>,
        context: &Context,
    ) -> Result<(Caller, Option<KeysError>), AuthError> {
        let caller = self.callers.identify(head, &*self.keys, context);
        if failed.is_some() {
            return Ok((caller.await?, failed));
        }
        let (caller, keys) = alone_or_with(caller, self.keys.projects(context)).await;
        Ok((caller?, keys.and_then(Result::err)))
    }

    /// A project's signing keys. An error of this same request is returned again, without another attempt.
    async fn keys(
        &self,
        project: &Project,
        error: Option<KeysError>,
        context: &Context,
    ) -> Result<Arc<SigningKeys>, KeysError> {
        match error {
            Some(error) => Err(error),
            None => self.keys.signing(project, context).await,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        (self.status, [content_type], self.body).into_response()
    }
}
