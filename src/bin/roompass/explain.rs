//! `roompass explain`: what would this caller get for this request, and by which rule?

use std::path::PathBuf;

use clap::Args;
use roompass::auth::{Caller, CallerKind};
use roompass::config::{Config, ConfigError, Environment};
use roompass::dialect::{BadRequest, standard};
use roompass::domain::{Pass, operating_system_randomness, wall_clock};
use roompass::http::Refusal;
use roompass::mint;
use roompass::policy::{Explanation, Policy as Rules};
use serde_json::{Map, Value, json};

use crate::development::{self, Policy};
use crate::somebody::{self, NotSomebody};

#[derive(Args)]
pub(crate) struct Options {
    /// A file with the caller's claims, as their JWT has them
    #[arg(long, value_name = "FILE")]
    caller: Option<PathBuf>,
    /// Which [[caller]] it is, where the claims' iss doesn't say
    #[arg(long = "as", value_name = "NAME")]
    named: Option<String>,
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
    #[error("the request can't be used: {0}")]
    Request(#[from] BadRequest),
    #[error("say who asks: --caller and a file of claims, or --as and the name of an anonymous caller")]
    NoCaller,
}

/// A decision, as it's printed, and the code to end with: 0 for a pass, 3 where it's refused.
pub(crate) struct Explained {
    pub(crate) text: String,
    pub(crate) code: u8,
}

/// The decision, the rule, each rule passed over and why, and what the token would say.
///
/// # Errors
/// Where the configuration, the caller or the request can't be used.
pub(crate) fn run(options: &Options) -> Result<Explained, ExplainError> {
    let (Config { callers, rules, limits, .. }, policy) =
        development::load(&Environment::of_this_process()?)?;
    let anonymous = callers.iter().find(|caller| caller.kind == CallerKind::Anonymous);
    let caller = match (&options.caller, &options.named) {
        (Some(_), _) if policy == Policy::Development => return Err(NotSomebody::NobodyConfigured.into()),
        (Some(file), named) => somebody::caller(file, named.as_deref(), &callers)?,
        (None, Some(name)) if callers.iter().any(|caller| caller.name == *name) => Caller::anonymous(name),
        (None, Some(name)) => return Err(NotSomebody::Unknown(name.clone()).into()),
        (None, None) => Caller::anonymous(&anonymous.ok_or(ExplainError::NoCaller)?.name),
    };
    let body = options.request.as_deref().map(somebody::object).transpose()?.map(Value::Object);
    let body = body.map_or_else(String::new, |body| body.to_string());
    let request = standard::parse(body.as_bytes(), &limits)?;
    let now = wall_clock();
    let explained = Rules::new(rules, limits, operating_system_randomness).explain(&caller, request, now);
    let code = if explained.decision.is_ok() { 0 } else { REFUSED };
    let text = if options.json {
        format!("{:#}\n", as_json(&caller, policy, explained))
    } else {
        as_text(&caller, policy, explained)
    };
    Ok(Explained { text, code })
}

fn as_json(caller: &Caller, policy: Policy, Explanation { passed_over, decision }: Explanation) -> Value {
    let passed_over: Vec<_> =
        passed_over.iter().map(|(rule, why)| json!({ "rule": rule, "why": why.to_string() })).collect();
    let mut answer = json!({ "caller": caller.name, "passed_over": passed_over });
    if policy == Policy::Development {
        answer["policy"] = "development".into();
    }
    match decision {
        Ok(pass) => {
            answer["decision"] = "pass".into();
            answer["rule"] = pass.rule.clone().into();
            answer["ttl_seconds"] = pass.ttl.duration().as_secs().into();
            let grants = pass.grants.spelled_out();
            answer["grants"] = grants
                .into_iter()
                .map(|(name, value, _)| (name.to_owned(), value.into()))
                .collect::<Map<_, Value>>()
                .into();
            answer["claims"] = mint::livekit_claims(&pass, API_KEY);
        }
        Err(denial) => {
            answer["decision"] = "refused".into();
            answer["detail"] = denial.to_string().into();
            answer["code"] = Refusal::from(denial).code().into();
        }
    }
    answer
}

fn as_text(caller: &Caller, policy: Policy, Explanation { passed_over, decision }: Explanation) -> String {
    let subject = caller.subject.as_ref().map_or_else(String::new, |subject| format!(", {subject}"));
    let mut lines = Vec::new();
    if policy == Policy::Development {
        lines.push(
            "policy       development, as `cargo run` has it: no [[caller]] is configured, so in Lambda every request \
             is refused"
                .to_owned(),
        );
    }
    lines.push(format!("caller       {}{subject}", caller.name));
    lines.extend(passed_over.iter().map(|(rule, why)| format!("passed over  {rule}: {why}")));
    match decision {
        Ok(pass) => lines.extend(of_pass(&pass)),
        Err(denial) => {
            lines.push(format!("refused      {denial}"));
            lines.push(format!("code         {}", Refusal::from(denial).code()));
        }
    }
    lines.join("\n") + "\n"
}

fn of_pass(pass: &Pass) -> Vec<String> {
    let mut lines = vec![
        format!("decided by   {}", pass.rule),
        format!("room         {}", pass.room.as_str()),
        format!("identity     {}", pass.identity.as_str()),
        format!("for          {}", pass.ttl),
    ];
    lines.extend(pass.grants.spelled_out().into_iter().map(|(name, value, default)| {
        format!("grant        {name} = {value}{}", if default { " (LiveKit's default)" } else { "" })
    }));
    lines.push(format!("the token says, besides nbf and exp\n{:#}", mint::livekit_claims(pass, API_KEY)));
    lines
}

/// What it ends with where the request is refused: neither a mistake's code nor a wrong option's.
const REFUSED: u8 = 3;
/// Stands for the key that would sign.
const API_KEY: &str = "(the API key)";
