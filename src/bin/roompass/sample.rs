//! The curl command that tries the endpoint: as the first caller that curl can be, for a room that it may have, in the
//! first dialect that is served.

use roompass::auth::{Caller, CallerKind};
use roompass::config::{Config, Dialect};
use roompass::dialect::{Row, Sample, SampleValues};
use roompass::domain::Provider;
use roompass::policy::{Rule, Template};
use serde_json::Value;

/// The command, or why there's none. `everyone` is the caller that every request counts as, if one is given.
///
/// # Errors
/// Where curl can be no caller.
pub(crate) fn curl(url: &str, config: &Config, everyone: Option<&Caller>) -> Result<String, &'static str> {
    let (caller, credential) = match everyone {
        Some(caller) => (caller.clone(), ""),
        None => config
            .callers
            .iter()
            .find_map(|caller| Some((Caller::anonymous(&caller.name), credential(&caller.kind)?)))
            .ok_or(GATEWAY_ALONE)?,
    };
    let row = Row::of(dialect(&config.dialects));
    let sandbox = config.sandbox.ids.first().filter(|_| row.dialect == Dialect::Sandbox).map(String::as_str);
    let of_caller = || config.policy.rules().iter().filter(|rule| rule.callers.contains(&caller.name));
    let unconditional = of_caller().find(|rule| rule.when.unmet_by(&caller, sandbox).is_none());
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

/// The standard if it's served, or else the first of those whose tokens can be signed without an account anywhere, or
/// the first.
fn dialect(served: &[Dialect]) -> Dialect {
    let without_account = || served.iter().find(|dialect| Row::of(**dialect).provider == Provider::LiveKit);
    let standard = served.iter().find(|dialect| **dialect == Dialect::Standard);
    standard.or_else(without_account).or(served.first()).copied().unwrap_or(Dialect::Standard)
}

/// The credential, from the shell's own variables.
fn credential(kind: &CallerKind) -> Option<&'static str> {
    match kind {
        CallerKind::Anonymous => Some(""),
        CallerKind::ApiKey => Some(r#" -H "X-API-Key: $KEY""#),
        CallerKind::Jwt(_) => Some(r#" -H "Authorization: Bearer $TOKEN""#),
        CallerKind::Gateway(_) => None,
    }
}

/// One name for all purposes: what the rule gives where the client can't choose.
fn one_name(rule: Option<&Rule>, caller: &Caller) -> String {
    let free = |rule: &&Rule| may_set(rule, "participant_identity") || may_set(rule, "participant_name");
    let own = rule.filter(|rule| !free(rule)).and_then(|rule| {
        let lasting = Some(&rule.identity).filter(|identity| !identity.is_random());
        lasting.or(rule.participant_name.as_ref())
    });
    own.map_or_else(|| "Ada".into(), |own| filled(own, caller))
}

/// The rule's own identity, or number 7.
fn identity(rule: Option<&Rule>, caller: &Caller) -> String {
    let own = rule.filter(|rule| !may_set(rule, "participant_identity") && !rule.identity.is_random());
    own.map_or_else(|| "7".into(), |rule| filled(&rule.identity, caller))
}

/// A room that the rule opens for the caller, or none where it gives one by itself, or else what it would
/// have to look like.
fn room(rule: &Rule, caller: &Caller) -> Option<String> {
    let hello = |pattern: &dyn ToString| pattern.to_string().replace('*', "hello");
    let known = rule.rooms.iter().find_map(|pattern| {
        let room = Template::try_from(hello(pattern)).ok()?.fill(caller, |_| {}).ok()?;
        (pattern.matches(&room, caller) == Ok(true)).then_some(room)
    });
    match (known, &rule.default_room) {
        (None, None) => rule.rooms.first().map(|pattern| to_be_filled(&hello(pattern))),
        (known, _) => known,
    }
}

/// The same, where a request always has one.
fn some_room(rule: Option<&Rule>, caller: &Caller) -> String {
    let own = |rule: &Rule| rule.default_room.as_ref().map(|room| filled(room, caller));
    rule.and_then(|rule| room(rule, caller).or_else(|| own(rule))).unwrap_or_else(|| "hello".into())
}

/// What the rule says of the caller, or what it would have to look like.
fn filled(template: &Template, caller: &Caller) -> String {
    template.fill(caller, |_| {}).unwrap_or_else(|_| to_be_filled(&template.to_string()))
}

fn to_be_filled(text: &str) -> String {
    text.replace('{', "<").replace('}', ">")
}

fn may_set(rule: &Rule, path: &str) -> bool {
    rule.client_may_set.iter().any(|field| field.path() == path)
}

/// Inside single quotes, for the shell.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

const GATEWAY_ALONE: &str =
    "Only a gateway authenticates callers, and there is none here: use --caller FILE to try it.";
