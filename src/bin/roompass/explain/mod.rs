//! `roompass explain`: the decision on a caller's request, with the rule and the token.

mod agora;
mod livekit;
mod request;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerConfig};
use roompass::config::{Config, ConfigError};
use roompass::domain::{Ask, Context, LoginService, Pass, Provider, RoomName};
use roompass::http::Refusal;
use roompass::mint::Settings;
use roompass::policy::{Decision, Denial, Rule, Skipped};
use serde_json::{Map, Value, json};

use crate::caller_file::{self, InvalidCallerFile};
use crate::config_option::ConfigOption;
use crate::development::{self, PolicySource};
use crate::screen::Page;
pub(crate) use request::{ExplainedRequest, InvalidRequest, asks};

#[derive(Args)]
pub(crate) struct ExplainOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// A file with the caller's claims, as their JWT has them
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// The [[caller]] that the claims are for, if their iss doesn't match exactly one
    #[arg(long = "as", value_name = "NAME")]
    named: Option<String>,
    /// The request's path without the base path, with its query; /getToken by default
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The header X-Sandbox-ID
    #[arg(long, value_name = "ID")]
    sandbox: Option<String>,
    /// A file with the request's body; an empty body by default
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no decision to explain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    CallerFile(#[from] InvalidCallerFile),
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    #[error(
        "no caller given: use --caller with a file of claims, or --as with the name of an anonymous caller"
    )]
    NoCaller,
}

/// The printed decision, and the exit code: 0 for a token, 3 for a refusal.
pub(crate) struct Explanation {
    pub(crate) page: Page,
    pub(crate) code: u8,
}

/// The decision on one ask.
struct DecidedAsk {
    /// The member of the response that has its token.
    member: &'static str,
    /// The service, if the ask is for a login.
    login: Option<LoginService>,
    requested: RequestedRoom,
    skipped: Vec<SkippedRule>,
    /// Why elements of the caller's lists open no room, one sentence each.
    skipped_elements: Vec<String>,
    outcome: Result<Pass, Denial>,
}

/// The room that a request names.
enum RequestedRoom {
    Named(RoomName),
    Unnamed,
    /// The request is for a service without rooms.
    NotForARoom,
}

/// A rule that was skipped.
struct SkippedRule {
    rule: String,
    why: Skipped,
    /// The rooms that it opens to this caller, if the request is for another one or for none.
    rooms: Vec<String>,
}

/// The outcome, as text and as JSON members.
struct Outcome {
    page: Page,
    members: Map<String, Value>,
    refusal: Option<Refusal>,
}

/// Explains the decision: the rule, the skipped rules with the reasons, and the content of the token.
///
/// # Errors
/// If the configuration, the caller or the request is invalid.
pub(crate) fn run(options: &ExplainOptions) -> Result<Explanation, ExplainError> {
    let (config, policy) = development::load(&options.config.environment()?)?;
    let caller = caller(options, &config.callers, policy)?;
    let body = options.request.as_deref().map(caller_file::object).transpose()?.map(Value::Object);
    let body = body.map_or_else(String::new, |body| body.to_string());
    let (path, sandbox) = (options.path.as_deref(), options.sandbox.as_deref());
    let request = ExplainedRequest { path, sandbox, body: body.as_bytes() };
    let context = roompass::system::context();
    let token_error =
        options.caller.as_ref().and_then(|_| caller_file::token_error(&caller, &config.callers, context.now));
    let outcome = outcome(&config, &caller, &request, &context)?;
    let code = if outcome.refusal.is_some() { REFUSED } else { 0 };
    let page = if options.json {
        let mut page = Page::default();
        page.json(&as_json(&caller, policy, token_error, outcome));
        page
    } else {
        as_text(&caller, policy, token_error.as_deref(), &outcome)
    };
    Ok(Explanation { page, code })
}

/// The decision on a caller's request, as JSON.
///
/// # Errors
/// If the request is invalid.
pub(crate) fn json_of(
    config: &Config,
    caller: &Caller,
    request: &ExplainedRequest<'_>,
    context: &Context,
) -> Result<Value, InvalidRequest> {
    let outcome = outcome(config, caller, request, context)?;
    Ok(as_json(caller, PolicySource::Configured, None, outcome))
}

fn outcome(
    config: &Config,
    caller: &Caller,
    request: &ExplainedRequest<'_>,
    context: &Context,
) -> Result<Outcome, InvalidRequest> {
    let (provider, asks) = asks(request, config)?;
    let settings = Settings { limits: config.limits.clone(), agora_version: config.agora.token_version };
    let decided = asks.into_iter().map(|(member, ask)| {
        let (login, requested) = match &ask {
            Ask::Room(ask) => (None, ask.room.clone().map_or(RequestedRoom::Unnamed, RequestedRoom::Named)),
            Ask::Login(ask) => (Some(ask.service), RequestedRoom::NotForARoom),
        };
        let Decision { skipped, outcome } = config.policy.decide(caller, ask, context);
        let considered = config.policy.rules().get(..=skipped.len()).unwrap_or(config.policy.rules());
        let skipped_elements = skipped_elements(considered, caller);
        let skipped = skipped.into_iter().map(|(rule, why)| {
            let rooms = rooms(config.policy.rules(), caller, rule, &why);
            SkippedRule { rule: rule.to_owned(), why, rooms }
        });
        DecidedAsk { member, login, requested, skipped: skipped.collect(), skipped_elements, outcome }
    });
    let decided: Vec<_> = decided.collect();
    Ok(match provider {
        Provider::LiveKit => livekit::outcome(decided, &settings, context),
        Provider::Agora => agora::outcome(&decided, &settings, context),
    })
}

/// The rooms that a skipped rule opens to this caller, if it was skipped because of the room.
fn rooms(rules: &[Rule], caller: &Caller, name: &str, why: &Skipped) -> Vec<String> {
    let is_about_room = matches!(why, Skipped::OtherRoom(_) | Skipped::NoRoom);
    let rule = rules.iter().find(|rule| is_about_room && rule.name == name);
    let patterns = rule.into_iter().flat_map(|rule| &rule.rooms);
    patterns.filter_map(|pattern| pattern.open_rooms(caller).ok()).flat_map(|open| open.rooms).collect()
}

/// Why elements of the caller's lists open no room, by the rules for this caller.
fn skipped_elements(rules: &[Rule], caller: &Caller) -> Vec<String> {
    let rules = rules.iter().filter(|rule| rule.callers.contains(&caller.name));
    let open = rules.flat_map(|rule| &rule.rooms).filter_map(|pattern| pattern.open_rooms(caller).ok());
    let mut reasons: Vec<_> = open.flat_map(|open| open.skipped).collect();
    let mut seen = BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    reasons
}

fn caller(
    options: &ExplainOptions,
    callers: &[CallerConfig],
    policy: PolicySource,
) -> Result<Caller, ExplainError> {
    if options.caller.is_some() && policy == PolicySource::Development {
        return Err(InvalidCallerFile::NoCallers.into());
    }
    let selected = caller_file::selected(options.caller.as_deref(), options.named.as_deref(), callers)?;
    selected.ok_or(ExplainError::NoCaller)
}

fn as_json(caller: &Caller, policy: PolicySource, token_error: Option<String>, outcome: Outcome) -> Value {
    let mut members = outcome.members;
    members.insert("caller".into(), caller.name.clone().into());
    members.extend(token_error.map(|why| ("token_refused".to_owned(), why.into())));
    if policy == PolicySource::Development {
        members.insert("policy".into(), "development".into());
    }
    match &outcome.refusal {
        None => members.extend([("decision".to_owned(), "pass".into())]),
        Some(refusal) => members.extend(refusal_as_json(refusal)),
    }
    Value::Object(members)
}

fn as_text(caller: &Caller, policy: PolicySource, token_error: Option<&str>, outcome: &Outcome) -> Page {
    let subject = caller.subject.as_ref().map_or_else(String::new, |subject| format!(", {subject}"));
    let mut page = Page::default();
    if policy == PolicySource::Development {
        page.line(
            "policy       development, as for `serve`: no [[caller]] is configured, so in Lambda every request is refused",
        );
    }
    page.line(format!("caller       {}{subject}", caller.name));
    if let Some(why) = token_error {
        page.line(format!("note         a token with these claims is not accepted: {why}"));
    }
    page.add(&outcome.page);
    page
}

fn print_skipped(page: &mut Page, decided: &DecidedAsk) {
    match &decided.requested {
        RequestedRoom::Named(room) => page.line(format!("requested    room {:?}", room.as_str())),
        RequestedRoom::Unnamed => page.line("requested    no room"),
        RequestedRoom::NotForARoom => {}
    }
    for SkippedRule { rule, why, rooms } in &decided.skipped {
        page.line(format!("skipped      {rule}: {why}"));
        if !rooms.is_empty() {
            page.line(format!("             its rooms for this caller: {}", rooms.join(", ")));
        }
    }
    for reason in &decided.skipped_elements {
        page.line(format!("note         skipped in a list: {reason}"));
    }
}

fn skipped_as_json(decided: &DecidedAsk) -> Vec<(String, Value)> {
    let rules = decided.skipped.iter().map(|SkippedRule { rule, why, rooms }| {
        let mut members = json!({ "rule": rule, "why": why.to_string() });
        if !rooms.is_empty() {
            members["rooms"] = json!(rooms);
        }
        members
    });
    let mut members = vec![("skipped".to_owned(), rules.collect())];
    if !decided.skipped_elements.is_empty() {
        members.push(("skipped_elements".to_owned(), json!(decided.skipped_elements)));
    }
    match &decided.requested {
        RequestedRoom::Named(room) => members.push(("requested_room".to_owned(), room.as_str().into())),
        RequestedRoom::Unnamed => members.push(("requested_room".to_owned(), Value::Null)),
        RequestedRoom::NotForARoom => {}
    }
    members
}

/// The project, unless it is the default.
fn print_project(page: &mut Page, pass: &Pass) {
    if !pass.project.is_default() {
        page.line(format!("project      {}", pass.project));
    }
}

fn print_refusal(page: &mut Page, refusal: &Refusal) {
    page.line(format!("refused      {refusal}"));
    page.line(format!("code         {}", refusal.code()));
}

fn refusal_as_json(refusal: &Refusal) -> [(String, Value); 3] {
    [
        ("decision".to_owned(), "refused".into()),
        ("detail".to_owned(), refusal.to_string().into()),
        ("code".to_owned(), refusal.code().into()),
    ]
}

/// The exit code for a refused request. It differs from those for an error and for an invalid option.
const REFUSED: u8 = 3;
