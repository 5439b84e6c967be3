//! The sample curl command: a request of the first caller without a gateway, for a room that it may join, in a served
//! dialect.

use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{Config, Dialect};
use roompass::dialect::{Row, Sample, SampleValues};
use roompass::domain::Provider;
use roompass::policy::{Rule, Template};
use serde_json::Value;

use crate::check::may_set;

/// The command. `always` is the caller that every request counts as, if there is one.
///
/// # Errors
/// If only the gateway authenticates callers.
pub(crate) fn curl(url: &str, config: &Config, always: Option<&Caller>) -> Result<String, &'static str> {
    let (caller, credential) = match always {
        Some(caller) => (caller.clone(), String::new()),
        None => config
            .callers
            .iter()
            .find_map(|caller| Some((Caller::anonymous(&caller.name), credential(caller)?)))
            .ok_or(ONLY_GATEWAY)?,
    };
    let row = Row::of(dialect(&config.dialects));
    let sandbox = config.sandbox.ids.first().filter(|_| row.dialect == Dialect::Sandbox).map(String::as_str);
    let of_caller = || config.policy.rules().iter().filter(|rule| rule.callers.contains(&caller.name));
    let unconditional = of_caller().find(|rule| rule.when.first_unmet(&caller, sandbox).is_none());
    let rule = unconditional.or(of_caller().next());
    let Sample { path, header, body } = (row.sample)(&SampleValues {
        room: rule.and_then(|rule| room(rule, &caller)).as_deref(),
        some_room: &some_room(rule, &caller),
        name: rule.filter(|rule| may_set(rule, "participant_name")).map(|_| "Ada"),
        one_name: &one_name(rule, &caller),
        identity: &identity(rule, &caller),
        publishes: rule.is_none_or(|rule| rule.grants.can_publish != Some(false)),
        sandbox,
    });
    let Some(members) = body else { return Ok(format!("curl '{url}{path}'{credential}")) };
    let header = header.map_or_else(String::new, |(name, value)| format!(" -H '{name}: {}'", quoted(&value)));
    let members = members.into_iter().map(|(name, text)| format!("\"{name}\": {}", Value::from(text)));
    let body = quoted(&members.collect::<Vec<_>>().join(", "));
    Ok(format!(
        "curl -X POST {url}{path} -H 'Content-Type: application/json'{header}{credential} -d '{{{body}}}'"
    ))
}

/// The standard dialect; if it isn't served, the first LiveKit dialect, because LiveKit needs no account; otherwise the
/// first.
fn dialect(served: &[Dialect]) -> Dialect {
    let of_livekit = || served.iter().find(|dialect| Row::of(**dialect).provider == Provider::LiveKit);
    let standard = served.iter().find(|dialect| **dialect == Dialect::Standard);
    standard.or_else(of_livekit).or(served.first()).copied().unwrap_or(Dialect::Standard)
}

/// The option for a credential in a shell variable.
fn credential(caller: &CallerConfig) -> Option<String> {
    let header = |default: &str, value: &str| {
        let name = caller.credential_header.as_ref().map_or(default, |name| name.as_str());
        format!(r#" -H "{name}: {value}""#)
    };
    match caller.kind {
        CallerKind::Anonymous => Some(String::new()),
        CallerKind::ApiKey => Some(header("X-API-Key", "$KEY")),
        CallerKind::Jwt(_) => Some(header("Authorization", "Bearer $TOKEN")),
        CallerKind::Gateway(_) => None,
    }
}

/// The name for dialects with one name for a participant: the rule's, if clients may not choose it.
fn one_name(rule: Option<&Rule>, caller: &Caller) -> String {
    let may_choose =
        |rule: &&Rule| may_set(rule, "participant_identity") || may_set(rule, "participant_name");
    let own = rule.filter(|rule| !may_choose(rule)).and_then(|rule| {
        let identity = Some(&rule.identity).filter(|identity| !identity.is_random());
        identity.or(rule.participant_name.as_ref())
    });
    own.map_or_else(|| "Ada".into(), |own| filled(own, caller))
}

/// The rule's identity, or 7 if clients may choose one.
fn identity(rule: Option<&Rule>, caller: &Caller) -> String {
    let own = rule.filter(|rule| !may_set(rule, "participant_identity") && !rule.identity.is_random());
    own.map_or_else(|| "7".into(), |rule| filled(&rule.identity, caller))
}

/// A room that matches the rule's patterns. Without one, the pattern with placeholders, or none if the rule has a default.
fn room(rule: &Rule, caller: &Caller) -> Option<String> {
    let hello = |pattern: &dyn ToString| pattern.to_string().replace('*', "hello");
    let known = rule.rooms.iter().find_map(|pattern| {
        let room = Template::try_from(hello(pattern)).ok()?.fill(caller, |_| {}).ok()?;
        (pattern.matches(&room, caller) == Ok(true)).then_some(room)
    });
    match (known, &rule.default_room) {
        (None, None) => rule.rooms.first().map(|pattern| with_placeholders(&hello(pattern))),
        (known, _) => known,
    }
}

/// A room for dialects that require one.
fn some_room(rule: Option<&Rule>, caller: &Caller) -> String {
    let own = |rule: &Rule| rule.default_room.as_ref().map(|room| filled(room, caller));
    rule.and_then(|rule| room(rule, caller).or_else(|| own(rule))).unwrap_or_else(|| "hello".into())
}

/// The filled template, or the template with placeholders if the caller lacks a claim.
fn filled(template: &Template, caller: &Caller) -> String {
    template.fill(caller, |_| {}).unwrap_or_else(|_| with_placeholders(&template.to_string()))
}

fn with_placeholders(text: &str) -> String {
    text.replace('{', "<").replace('}', ">")
}

/// Escapes single quotes for the shell.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

const ONLY_GATEWAY: &str =
    "Only a gateway authenticates callers, and there is none here: use --caller FILE to try it.";
