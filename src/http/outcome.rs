//! What came of a request: the answer's last touches, and its one line in the log.

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

use super::{Refusal, RequestId, request_id};
use crate::auth::Caller;
use crate::dialect::{Refuse, Refused};
use crate::domain::{AgoraToken, Login, Pass, PassRequest, Randomness, RoomName, readable};
use crate::mint::Token;
use crate::policy::{Denial, Explanation};

/// What is remembered of a token: everything but the token.
#[derive(Debug, Clone)]
pub(super) struct Minted(Arc<Audit>);

/// What the log says of them, each a text: of two that one request asked for, both.
#[derive(Debug, Default)]
struct Audit {
    caller: String,
    rule: String,
    room: String,
    identity: String,
    grants: String,
    login: String,
    ttl_seconds: u64,
    token_sha256: String,
}

impl Minted {
    /// A token of LiveKit's.
    pub(super) fn new(pass: &Pass, token: &Token) -> Self {
        let mut audit = Audit::default();
        audit.add_pass(pass);
        audit.add_token(token);
        Self(Arc::new(audit))
    }

    /// Tokens of Agora's that one request asked for.
    pub(super) fn by_agora<'a>(
        tokens: impl Iterator<Item = (&'a AgoraToken<Pass, Login>, &'a Token)>,
    ) -> Self {
        let mut audit = Audit::default();
        for (given, token) in tokens {
            match given {
                AgoraToken::Channel(pass) => audit.add_pass(pass),
                AgoraToken::Login(login) => audit.add_login(login),
                AgoraToken::Both(pass, login) => {
                    audit.add_pass(pass);
                    audit.add_login(login);
                }
            }
            audit.add_token(token);
        }
        Self(Arc::new(audit))
    }
}

impl Audit {
    fn add_pass(&mut self, pass: &Pass) {
        add(&mut self.caller, &pass.caller);
        add(&mut self.rule, &pass.rule);
        add(&mut self.room, pass.room.as_str());
        add(&mut self.identity, pass.identity.as_str());
        add(&mut self.grants, &serde_json::to_string(&pass.grants).unwrap_or_default());
        self.ttl_seconds = self.ttl_seconds.max(pass.ttl.duration().as_secs());
    }

    fn add_login(&mut self, login: &Login) {
        add(&mut self.caller, &login.caller);
        add(&mut self.rule, &login.rule);
        add(&mut self.identity, login.identity.as_str());
        add(&mut self.login, login.service.as_str());
        self.ttl_seconds = self.ttl_seconds.max(login.ttl.duration().as_secs());
    }

    fn add_token(&mut self, token: &Token) {
        add(&mut self.token_sha256, &token.fingerprint());
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

/// Who asked and for what, as far as that was known when nothing came of it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    caller: String,
    subject: String,
    room: String,
    passed_over: String,
}

impl Asked {
    pub(super) fn is_by(&mut self, caller: &Caller) {
        self.caller.clone_from(&caller.name);
        caller.subject.as_deref().unwrap_or_default().clone_into(&mut self.subject);
    }

    pub(super) fn is_for(&mut self, request: &PassRequest) {
        let room = request.room.as_ref().map(RoomName::as_str);
        room.unwrap_or_default().clone_into(&mut self.room);
    }

    /// The decision, once it's noted why rules were passed over if it's a denial.
    pub(super) fn told<Given>(&mut self, explained: Explanation<Given>) -> Result<Given, Denial> {
        if explained.decision.is_err() {
            let rules = explained.passed_over.iter().map(|(rule, why)| format!("{rule}: {why}"));
            self.passed_over = rules.collect::<Vec<_>>().join("; ");
        }
        explained.decision
    }
}

/// How a dialect's clients read errors, where it isn't the one shape that all the others have.
#[derive(Clone, Copy)]
pub(super) struct ErrorShape(pub(super) Refuse);

/// The outermost layer: names the request, tells a refusal in the one shape that all have, marks the answer as not to
/// be stored or guessed at, and writes one line.
pub(super) async fn told(State(randomness): State<Randomness>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request.extensions_mut().remove().unwrap_or_else(|| RequestId(readable(randomness)));
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let mut response = next.run(request).await;
    let refusal = response.extensions_mut().remove::<Arc<Refusal>>();
    if let Some(refusal) = &refusal {
        tell(refusal, &id, &mut response);
    }
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(&id.0) {
        headers.insert(request_id::HEADER, id);
    }

    let minted = response.extensions_mut().remove::<Minted>();
    let audit = minted.as_ref().map(|minted| minted.0.as_ref());
    let asked = response.extensions_mut().remove::<Arc<Asked>>().filter(|_| audit.is_none());
    let of_asked = |text: fn(&Asked) -> &String| asked.as_deref().and_then(|asked| given(text(asked)));
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
                caller = audit.map(|audit| audit.caller.as_str()).or_else(|| of_asked(|asked| &asked.caller)),
                subject = of_asked(|asked| &asked.subject),
                passed_over = asked.as_deref().and_then(|asked| given(&asked.passed_over)),
                rule = audit.map(|audit| audit.rule.as_str()),
                room = audit.and_then(|audit| given(&audit.room)).or_else(|| of_asked(|asked| &asked.room)),
                identity = audit.map(|audit| audit.identity.as_str()),
                grants = audit.and_then(|audit| given(&audit.grants)),
                login = audit.and_then(|audit| given(&audit.login)),
                ttl_seconds = audit.map(|audit| audit.ttl_seconds),
                token_sha256 = audit.map(|audit| audit.token_sha256.as_str()),
                duration_ms,
                request_id = id.0.as_str(),
                $message
            )
        };
    }
    match response.status().as_u16() {
        500.. => line!(Level::ERROR, "failed"),
        400.. => line!(Level::WARN, "refused"),
        _ if audit.is_some() => line!(Level::INFO, "minted"),
        _ => line!(Level::INFO, "answered"),
    }
    response
}

fn tell(refusal: &Refusal, id: &RequestId, response: &mut Response) {
    let problem = refusal.problem(id);
    let (content_type, body) = match response.extensions_mut().remove() {
        Some(ErrorShape(write)) => {
            let reply = write(&Refused { status: response.status(), detail: &problem.detail });
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
