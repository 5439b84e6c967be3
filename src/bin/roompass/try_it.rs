//! The curl command that tries the endpoint: as the first caller that curl can be, for a room that it may have.

use roompass::auth::{Caller, CallerKind};
use roompass::config::{Config, Dialect};
use roompass::dialect::standard;
use roompass::policy::{Rule, Template};
use serde_json::Value;

/// The command, or why there's none. `somebody` is who everybody is taken for.
///
/// # Errors
/// Where curl can be no caller, or LiveKit's standard route isn't served.
pub(crate) fn curl(url: &str, config: &Config, somebody: Option<&Caller>) -> Result<String, &'static str> {
    if !config.dialects.contains(&Dialect::Standard) {
        return Err(OTHER_DIALECTS);
    }
    let (caller, credential) = match somebody {
        Some(caller) => (caller.clone(), ""),
        None => config
            .callers
            .iter()
            .find_map(|caller| Some((Caller::anonymous(&caller.name), credential(&caller.kind)?)))
            .ok_or(GATEWAY_ALONE)?,
    };
    let of_caller = || config.rules.iter().filter(|rule| rule.callers.contains(&caller.name));
    let unconditional = of_caller().find(|rule| rule.when.unmet_by(&caller, None).is_none());
    let wishes = unconditional.or(of_caller().next()).map_or_else(String::new, |rule| wishes(rule, &caller));
    let body = format!("{{{wishes}}}").replace('\'', r"'\''");
    let [path, _] = standard::PATHS;
    Ok(format!("curl -X POST {url}{path} -H 'Content-Type: application/json'{credential} -d '{body}'"))
}

/// What shows who asks, from the shell's own variables.
fn credential(kind: &CallerKind) -> Option<&'static str> {
    match kind {
        CallerKind::Anonymous => Some(""),
        CallerKind::ApiKey => Some(r#" -H "X-API-Key: $KEY""#),
        CallerKind::Jwt(_) => Some(r#" -H "Authorization: Bearer $TOKEN""#),
        CallerKind::Gateway(_) => None,
    }
}

/// The members of a request that the rule gives what it asks for.
fn wishes(rule: &Rule, caller: &Caller) -> String {
    let named = rule.client_may_set.iter().any(|field| field.path() == "participant_name");
    let wishes = [
        room(rule, caller).map(|room| ("room_name", room)),
        named.then(|| ("participant_name", "Ada".into())),
    ];
    let members = wishes.into_iter().flatten();
    members.map(|(field, text)| format!("\"{field}\": {}", Value::from(text))).collect::<Vec<_>>().join(", ")
}

/// A room that the rule opens for whoever the caller is, or none where it gives one by itself, or else what it would
/// have to look like.
fn room(rule: &Rule, caller: &Caller) -> Option<String> {
    let hello = |pattern: &dyn ToString| pattern.to_string().replace('*', "hello");
    let known = rule.rooms.iter().find_map(|pattern| {
        let room = Template::try_from(hello(pattern)).ok()?.fill(caller, |_| {}).ok()?;
        (pattern.matches(&room, caller) == Ok(true)).then_some(room)
    });
    match (known, &rule.default_room) {
        (None, None) => rule.rooms.first().map(|pattern| hello(pattern).replace('{', "<").replace('}', ">")),
        (known, _) => known,
    }
}

const GATEWAY_ALONE: &str =
    "Only a gateway says who asks, and there's none here: be somebody with --caller FILE, to try it.";
const OTHER_DIALECTS: &str =
    "It isn't LiveKit's standard endpoint: docs/migrate.md has the routes of the other dialects.";
