//! The outcome of a request: its response's last headers, and its one line in the log.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Level;

use super::{Refusal, RequestId, Surroundings, request_id};
use crate::auth::Caller;
use crate::dialect::{Refuse, Refused};
use crate::domain::{Ask, Pass, readable};
use crate::mint::Token;
use crate::policy::{Decision, Denial};

/// What the log says of a request for tokens: who asked, for what, and what was given. Everything but the tokens. Of two
/// asks in one request, each field has both.
#[derive(Debug, Default)]
pub(super) struct Audit {
    caller: String,
    subject: String,
    asked_room: String,
    skipped: String,
    rule: String,
    room: String,
    identity: String,
    grants: String,
    login: String,
    ttl_seconds: u64,
    token_sha256: String,
}

impl Audit {
    pub(super) fn is_by(&mut self, caller: &Caller) {
        self.caller.clone_from(&caller.name);
        caller.subject.as_deref().unwrap_or_default().clone_into(&mut self.subject);
    }

    pub(super) fn is_for(&mut self, ask: &Ask) {
        // A login is for no room, and may be asked for behind one.
        if let Some(room) = ask.room() {
            room.as_str().clone_into(&mut self.asked_room);
        }
    }

    /// The outcome of a decision. Of a denial, it's noted why rules were skipped.
    pub(super) fn decided(&mut self, decision: Decision) -> Result<Pass, Denial> {
        if decision.outcome.is_err() {
            let rules = decision.skipped.iter().map(|(rule, why)| format!("{rule}: {why}"));
            self.skipped = rules.collect::<Vec<_>>().join("; ");
        }
        decision.outcome
    }

    pub(super) fn granted(&mut self, tokens: &[(&'static str, Vec<Pass>, Token)]) {
        for (_, passes, token) in tokens {
            for pass in passes {
                self.add(pass);
            }
            add(&mut self.token_sha256, &token.fingerprint());
        }
    }

    fn add(&mut self, pass: &Pass) {
        add(&mut self.rule, &pass.rule);
        add(&mut self.identity, pass.identity.as_str());
        self.ttl_seconds = self.ttl_seconds.max(pass.ttl.duration().as_secs());
        if let Some(room) = pass.room() {
            add(&mut self.room, room.room.as_str());
            add(&mut self.grants, &serde_json::to_string(&room.grants).unwrap_or_default());
        }
        if let Some(service) = pass.login() {
            add(&mut self.login, service.as_str());
        }
    }

    fn is_granted(&self) -> bool {
        !self.token_sha256.is_empty()
    }
}

/// One more, unless it's the same.
fn add(texts: &mut String, text: &str) {
    if texts.is_empty() {
        text.clone_into(texts);
    } else if texts != text {
        *texts = format!("{texts}, {text}");
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// How a dialect's clients read errors, where it isn't the one shape that all the others have.
#[derive(Clone, Copy)]
pub(super) struct ErrorShape(pub(super) Refuse);

/// The outermost layer: takes the request's time and randomness, names it, writes a refusal in its dialect's shape, marks
/// the response as not to be stored or guessed at, and writes one line.
pub(super) async fn written(
    State(surroundings): State<Surroundings>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = surroundings();
    let id = request.extensions_mut().remove().unwrap_or_else(|| RequestId(readable(context.randomness)));
    request.extensions_mut().insert(context);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let mut response = next.run(request).await;
    let refusal = response.extensions_mut().remove::<Arc<Refusal>>();
    if let Some(refusal) = &refusal {
        write(refusal, &id, &mut response);
    }
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(&id.0) {
        headers.insert(request_id::HEADER, id);
    }

    let audit = response.extensions_mut().remove::<Arc<Audit>>();
    let audit = audit.as_deref();
    let granted = audit.filter(|audit| audit.is_granted());
    let refused = audit.filter(|audit| !audit.is_granted());
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // A macro, because a level is part of what the tracing library fixes at compile time.
    macro_rules! line {
        ($level:expr, $message:literal) => {
            tracing::event!(
                $level,
                status = response.status().as_u16(),
                method = method.as_str(),
                path,
                code = refusal.as_ref().map(|refusal| refusal.code()),
                cause = refusal.as_ref().map(ToString::to_string),
                caller = audit.and_then(|audit| given(&audit.caller)),
                subject = refused.and_then(|audit| given(&audit.subject)),
                skipped = refused.and_then(|audit| given(&audit.skipped)),
                rule = granted.map(|audit| audit.rule.as_str()),
                room = granted.map_or_else(
                    || refused.and_then(|audit| given(&audit.asked_room)),
                    |audit| given(&audit.room)
                ),
                identity = granted.map(|audit| audit.identity.as_str()),
                grants = granted.and_then(|audit| given(&audit.grants)),
                login = granted.and_then(|audit| given(&audit.login)),
                ttl_seconds = granted.map(|audit| audit.ttl_seconds),
                token_sha256 = granted.map(|audit| audit.token_sha256.as_str()),
                duration_ms,
                request_id = id.0.as_str(),
                $message
            )
        };
    }
    match response.status().as_u16() {
        500.. => line!(Level::ERROR, "request failed"),
        400.. => line!(Level::WARN, "request refused"),
        _ if granted.is_some() => line!(Level::INFO, "token issued"),
        _ => line!(Level::INFO, "request completed"),
    }
    response
}

fn write(refusal: &Refusal, id: &RequestId, response: &mut Response) {
    let problem = refusal.problem(id);
    let (content_type, body) = match response.extensions_mut().remove() {
        Some(ErrorShape(shape)) => {
            let reply = shape(&Refused { status: response.status(), detail: &problem.detail });
            (reply.content_type, reply.body)
        }
        None => ("application/problem+json", serde_json::to_vec(&problem).unwrap_or_default()),
    };
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(ERROR_CODE, HeaderValue::from_static(problem.code));
    if let Some(challenge) = refusal.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
}

/// The response header with an error's code, for dialects whose errors have no place for it.
pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");
