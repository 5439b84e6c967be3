//! `roompass explain`: what would this caller get for this request, and by which rule?

mod agora;
mod asked;
mod livekit;

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{ConfigError, Environment};
use roompass::domain::{operating_system_randomness, wall_clock};
use roompass::http::Refusal;
use roompass::keys::Deployment;
use roompass::policy::{PassedOver, Policy as Rules};
use serde_json::{Map, Value, json};

use crate::development::{self, Policy};
use crate::screen::Page;
use crate::somebody::{self, NotSomebody};
use asked::{Asked, NotAsked, Told};

#[derive(Args)]
pub(crate) struct Options {
    /// A file with the caller's claims, as their JWT has them
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// Which [[caller]] it is, where the claims' iss doesn't say
    #[arg(long = "as", value_name = "NAME")]
    named: Option<String>,
    /// Where it's asked, as the client does, below the base path and with the query; without one, /getToken
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The header X-Sandbox-ID
    #[arg(long, value_name = "ID")]
    sandbox: Option<String>,
    /// A file with the request's body; without one, a request that asks for nothing
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Why nothing could be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Somebody(#[from] NotSomebody),
    #[error(transparent)]
    Request(#[from] NotAsked),
    #[error("say who asks: --caller and a file of claims, or --as and the name of an anonymous caller")]
    NoCaller,
}

/// A decision, as it's printed, and the code to end with: 0 for a pass, 3 where it's refused.
pub(crate) struct Explained {
    pub(crate) page: Page,
    pub(crate) code: u8,
}

/// What there is to say, for people and for programs.
struct Shown {
    page: Page,
    members: Map<String, Value>,
    refusal: Option<Refusal>,
}

/// The decision, the rule, each rule passed over and why, and what the token would say.
///
/// # Errors
/// Where the configuration, the caller or the request can't be used.
pub(crate) fn run(options: &Options) -> Result<Explained, ExplainError> {
    let (config, policy) = development::load(&Environment::of_this_process(Deployment::Local)?)?;
    let caller = caller(options, &config.callers, policy)?;
    let body = options.request.as_deref().map(somebody::object).transpose()?.map(Value::Object);
    let body = body.map_or_else(String::new, |body| body.to_string());
    let told =
        Told { path: options.path.as_deref(), sandbox: options.sandbox.as_deref(), body: body.as_bytes() };
    let asked = asked::read(&told, &config)?;
    let now = wall_clock();
    let refused = options.caller.is_some().then(|| refused_anyway(&caller, &config.callers, now)).flatten();
    let rules = Rules::new(config.rules, config.limits.clone(), operating_system_randomness);
    let shown = match asked {
        Asked::LiveKit(request) => livekit::shown(rules.explain(&caller, *request, now), &config.limits, now),
        Asked::Agora(wanted) => agora::shown(wanted, &rules, &caller, config.agora.token_version, now),
    };
    let code = if shown.refusal.is_some() { REFUSED } else { 0 };
    let page = if options.json {
        let mut page = Page::default();
        page.json(&as_json(&caller, policy, refused, shown));
        page
    } else {
        as_text(&caller, policy, refused.as_deref(), &shown)
    };
    Ok(Explained { page, code })
}

/// Why a token with the caller's claims isn't accepted, whatever the rules say.
fn refused_anyway(caller: &Caller, callers: &[CallerConfig], now: u64) -> Option<String> {
    callers.iter().find(|config| config.name == caller.name)?.refuses(&caller.claims, now)
}

fn caller(options: &Options, callers: &[CallerConfig], policy: Policy) -> Result<Caller, ExplainError> {
    let anonymous = callers.iter().find(|caller| caller.kind == CallerKind::Anonymous);
    Ok(match (&options.caller, &options.named) {
        (Some(_), _) if policy == Policy::Development => return Err(NotSomebody::NobodyConfigured.into()),
        (Some(file), named) => somebody::caller(file, named.as_deref(), callers)?,
        (None, Some(name)) if callers.iter().any(|caller| caller.name == *name) => Caller::anonymous(name),
        (None, Some(name)) => return Err(NotSomebody::Unknown(name.clone()).into()),
        (None, None) => Caller::anonymous(&anonymous.ok_or(ExplainError::NoCaller)?.name),
    })
}

fn as_json(caller: &Caller, policy: Policy, token_refused: Option<String>, shown: Shown) -> Value {
    let mut answer = shown.members;
    answer.insert("caller".into(), caller.name.clone().into());
    answer.extend(token_refused.map(|why| ("token_refused".to_owned(), why.into())));
    if policy == Policy::Development {
        answer.insert("policy".into(), "development".into());
    }
    match &shown.refusal {
        None => answer.extend([("decision".to_owned(), "pass".into())]),
        Some(refusal) => answer.extend(refusal_as_json(refusal)),
    }
    Value::Object(answer)
}

fn as_text(caller: &Caller, policy: Policy, token_refused: Option<&str>, shown: &Shown) -> Page {
    let subject = caller.subject.as_ref().map_or_else(String::new, |subject| format!(", {subject}"));
    let mut page = Page::default();
    if policy == Policy::Development {
        page.line(
            "policy       development, as `cargo run` has it: no [[caller]] is configured, so in Lambda every request \
             is refused",
        );
    }
    page.line(format!("caller       {}{subject}", caller.name));
    if let Some(why) = token_refused {
        page.line(format!("note         such a token is refused in any case: {why}"));
    }
    page.add(&shown.page);
    page
}

fn say_passed_over(page: &mut Page, rules: &[(String, PassedOver)]) {
    for (rule, why) in rules {
        page.line(format!("passed over  {rule}: {why}"));
    }
}

fn passed_over_as_json(rules: &[(String, PassedOver)]) -> (String, Value) {
    let rules = rules.iter().map(|(rule, why)| json!({ "rule": rule, "why": why.to_string() }));
    ("passed_over".to_owned(), rules.collect())
}

fn say_refusal(page: &mut Page, refusal: &Refusal) {
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

/// What it ends with where the request is refused: neither a mistake's code nor a wrong option's.
const REFUSED: u8 = 3;
