//! The outermost layer: the headers of every response, the body of errors, and the log line and the metrics of each request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Level;

use super::cors::DisallowedOrigin;
use super::{ProblemKind, Refusal, RequestId, Surroundings, request_id};
use crate::auth::Caller;
use crate::dialect::{ErrorDetails, WriteError};
use crate::domain::{Ask, Pass, readable};
use crate::metrics::{self, Issued, Metrics, Outcome};
use crate::mint::Token;
use crate::policy::{Decision, Denial};

/// The log fields of a token request: the caller, what was requested, and what was granted, without the tokens. If a
/// request has two asks, each field has the values of both.
#[derive(Debug, Default)]
pub(super) struct Audit {
    dialect: &'static str,
    policy_version: String,
    caller: String,
    subject: String,
    api_key: String,
    asked_room: String,
    skipped: String,
    left_out: String,
    rule: String,
    project: String,
    room: String,
    identity: String,
    grants: String,
    login: String,
    ttl_seconds: u64,
    token_sha256: String,
    /// The rule of each token, for metrics.
    token_rules: Vec<String>,
    /// The age of the keys that signed, for metrics.
    keys_age: Option<u64>,
}

impl Audit {
    /// The fields of a request in this dialect, which this version of the policy decides.
    pub(super) fn by_policy(version: Option<&str>, dialect: &'static str) -> Self {
        Self { policy_version: version.unwrap_or_default().to_owned(), dialect, ..Self::default() }
    }

    pub(super) fn record_caller(&mut self, caller: &Caller, api_key: Option<&str>) {
        api_key.unwrap_or_default().clone_into(&mut self.api_key);
        self.caller.clone_from(&caller.name);
        caller.subject.as_deref().unwrap_or_default().clone_into(&mut self.subject);
    }

    pub(super) fn record_ask(&mut self, ask: &Ask) {
        // A login has no room. It must not replace the room of an earlier ask.
        if let Some(room) = ask.room() {
            room.as_str().clone_into(&mut self.asked_room);
        }
    }

    /// Returns the decision's outcome. For a denial, records why each rule was skipped. Rules that were skipped because
    /// the token lacks a claim that the issuer left out are recorded always: the caller may get less than it should.
    pub(super) fn record_decision(&mut self, decision: Decision<'_>) -> Result<Pass, Denial> {
        for (rule, why) in decision.skipped.iter().filter(|(_, why)| why.is_for_a_left_out_claim()) {
            append(&mut self.left_out, &format!("{rule}: {why}"));
        }
        if decision.outcome.is_err() {
            let rules = decision.skipped.iter().map(|(rule, why)| format!("{rule}: {why}"));
            self.skipped = rules.collect::<Vec<_>>().join("; ");
        }
        decision.outcome
    }

    /// Records tokens that were signed with keys of this age.
    pub(super) fn record_tokens(
        &mut self,
        tokens: &[(&'static str, Vec<Pass>, Token)],
        keys_age: Option<u64>,
    ) {
        self.keys_age = keys_age;
        for (_, passes, token) in tokens {
            let mut rules = String::new();
            for pass in passes {
                self.record_pass(pass);
                append(&mut rules, &pass.rule);
            }
            self.token_rules.push(rules);
            append(&mut self.token_sha256, &token.fingerprint());
        }
    }

    fn record_pass(&mut self, pass: &Pass) {
        append(&mut self.rule, &pass.rule);
        append(&mut self.project, pass.project.as_str());
        append(&mut self.identity, pass.identity.as_str());
        self.ttl_seconds = self.ttl_seconds.max(pass.ttl.duration().as_secs());
        if let Some(room) = pass.room() {
            append(&mut self.room, room.room.as_str());
            append(&mut self.grants, &serde_json::to_string(&room.grants).unwrap_or_default());
        }
        if let Some(service) = pass.login() {
            append(&mut self.login, service.as_str());
        }
    }

    fn is_granted(&self) -> bool {
        !self.token_sha256.is_empty()
    }

    fn issued(&self) -> Issued<'_> {
        Issued {
            rules: &self.token_rules,
            caller: &self.caller,
            dialect: self.dialect,
            project: &self.project,
            keys_age: self.keys_age,
        }
    }
}

/// Appends a value to a field, unless the field has that value.
fn append(field: &mut String, value: &str) {
    if field.is_empty() {
        value.clone_into(field);
    } else if field != value {
        *field = format!("{field}, {value}");
    }
}

fn non_empty(field: &str) -> Option<&str> {
    Some(field).filter(|field| !field.is_empty())
}

/// A request extension: the client's address, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// A response extension: the error format of the dialect, if it has its own.
#[derive(Clone, Copy)]
pub(super) struct ErrorFormat(pub(super) WriteError);

/// Creates the request's context and ID, runs the request, writes the error body if it was refused, and adds the
/// headers, the log line and the metrics.
pub(super) async fn finish(
    State((surroundings, metrics)): State<(Surroundings, Metrics)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = request.extensions_mut().remove().unwrap_or_else(surroundings);
    let id = request.extensions_mut().remove().unwrap_or_else(|| RequestId(readable(context.randomness)));
    let now = context.now;
    request.extensions_mut().insert(context);
    let client = request.extensions_mut().remove().map(|ClientAddress(address)| address);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let mut response = next.run(request).await;
    let refusal = response.extensions_mut().remove::<Arc<Refusal>>();
    if let Some(refusal) = &refusal {
        write_refusal(refusal, &id, &mut response);
    }
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(&id.0) {
        headers.insert(request_id::HEADER, id);
    }

    let disallowed_origin = response.extensions_mut().remove().map(|DisallowedOrigin(origin)| origin);
    let audit = response.extensions_mut().remove::<Arc<Audit>>();
    let audit = audit.as_deref();
    let granted = audit.filter(|audit| audit.is_granted());
    let refused = audit.filter(|audit| !audit.is_granted());
    let duration = started.elapsed();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // A macro, because tracing needs the level at compile time.
    macro_rules! line {
        ($level:expr, $message:literal) => {
            tracing::event!(
                $level,
                status = response.status().as_u16(),
                method = method.as_str(),
                path,
                code = refusal.as_ref().map(|refusal| refusal.code()),
                cause = refusal.as_ref().map(ToString::to_string),
                caller = audit.and_then(|audit| non_empty(&audit.caller)),
                api_key = audit.and_then(|audit| non_empty(&audit.api_key)),
                subject = refused.and_then(|audit| non_empty(&audit.subject)),
                skipped = refused.and_then(|audit| non_empty(&audit.skipped)),
                left_out_claims = granted.and_then(|audit| non_empty(&audit.left_out)),
                rule = granted.map(|audit| audit.rule.as_str()),
                project = granted.map(|audit| audit.project.as_str()),
                room = granted.map_or_else(
                    || refused.and_then(|audit| non_empty(&audit.asked_room)),
                    |audit| non_empty(&audit.room)
                ),
                identity = granted.map(|audit| audit.identity.as_str()),
                grants = granted.and_then(|audit| non_empty(&audit.grants)),
                login = granted.and_then(|audit| non_empty(&audit.login)),
                ttl_seconds = granted.map(|audit| audit.ttl_seconds),
                token_sha256 = granted.map(|audit| audit.token_sha256.as_str()),
                disallowed_origin = disallowed_origin.as_deref(),
                client_address = client.map(|address| address.to_string()),
                policy_version = audit.and_then(|audit| non_empty(&audit.policy_version)),
                duration_ms,
                request_id = id.0.as_str(),
                $message
            )
        };
    }
    match response.status().as_u16() {
        500.. => line!(Level::ERROR, "request failed"),
        400.. => line!(Level::WARN, "request refused"),
        _ if disallowed_origin.is_some() && method == Method::OPTIONS => {
            line!(Level::WARN, "preflight from a disallowed origin");
        }
        _ if granted.is_some() => line!(Level::INFO, "token issued"),
        _ => line!(Level::INFO, "request completed"),
    }
    let outcome = match &refusal {
        Some(refusal) => {
            let ProblemKind { code, status, .. } = refusal.kind();
            Some(Outcome::Refused { code, status: status.as_u16() })
        }
        None => granted.map(|audit| Outcome::Issued(audit.issued())),
    };
    if let Some(outcome) = outcome {
        metrics.request(&metrics::Request { now, duration, outcome });
    }
    response
}

fn write_refusal(refusal: &Refusal, id: &RequestId, response: &mut Response) {
    let problem = refusal.problem(id);
    let (content_type, body) = match response.extensions_mut().remove() {
        Some(ErrorFormat(write)) => {
            let reply = write(&ErrorDetails { status: response.status(), detail: &problem.detail });
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

/// The response header with an error's code, for dialects whose error bodies have no code.
pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");
