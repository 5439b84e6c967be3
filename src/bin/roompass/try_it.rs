//! The curl command that tries the endpoint: as the first caller that curl can be, for a room that it may have, in the
//! first dialect that is served.

use roompass::auth::{Caller, CallerKind};
use roompass::config::{Config, Dialect};
use roompass::dialect;
use roompass::domain::agora::Uid;
use roompass::policy::{Rule, Template};
use serde_json::Value;

/// The command, or why there's none. `somebody` is who everybody is taken for.
///
/// # Errors
/// Where curl can be no caller.
pub(crate) fn curl(url: &str, config: &Config, somebody: Option<&Caller>) -> Result<String, &'static str> {
    let (caller, credential) = match somebody {
        Some(caller) => (caller.clone(), ""),
        None => config
            .callers
            .iter()
            .find_map(|caller| Some((Caller::anonymous(&caller.name), credential(&caller.kind)?)))
            .ok_or(GATEWAY_ALONE)?,
    };
    let dialect = dialect(&config.dialects);
    let sandbox = config.sandbox.ids.first().filter(|_| dialect == Dialect::Sandbox).map(String::as_str);
    let of_caller = || config.rules.iter().filter(|rule| rule.callers.contains(&caller.name));
    let unconditional = of_caller().find(|rule| rule.when.unmet_by(&caller, sandbox).is_none());
    let rule = unconditional.or(of_caller().next());
    if dialect == Dialect::Agora {
        let path = agoras_path(rule, &caller);
        return Ok(format!("curl '{url}{path}'{credential}"));
    }
    let body = match dialect {
        Dialect::Openvidu | Dialect::Quickstart => named_wishes(rule, &caller),
        _ => rule.map_or_else(String::new, |rule| wishes(rule, &caller)),
    };
    let sandbox = sandbox.map_or_else(String::new, |id| format!(" -H 'X-Sandbox-ID: {}'", quoted(id)));
    let path = path(dialect);
    let body = quoted(&body);
    Ok(format!(
        "curl -X POST {url}{path} -H 'Content-Type: application/json'{sandbox}{credential} -d '{{{body}}}'"
    ))
}

/// The standard if it's served, or else the first of those whose tokens can be signed without an account anywhere, or
/// Agora's.
fn dialect(served: &[Dialect]) -> Dialect {
    let livekits = || served.iter().find(|dialect| **dialect != Dialect::Agora);
    let standard = served.iter().find(|dialect| **dialect == Dialect::Standard);
    standard.or_else(livekits).copied().unwrap_or(Dialect::Agora)
}

/// Where it answers: the first place, and OpenVidu's of today.
fn path(dialect: Dialect) -> &'static str {
    let routes = dialect::routes(dialect);
    let route = if dialect == Dialect::Openvidu { routes.last() } else { routes.first() };
    route.map_or("", |route| route.path)
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
    members([
        ("room_name", room(rule, caller)),
        ("participant_name", may_set(rule, "participant_name").then(|| "Ada".into())),
    ])
}

/// The same, where a request names its room and its participant, and the one name is for all purposes.
fn named_wishes(rule: Option<&Rule>, caller: &Caller) -> String {
    let free = |rule: &&Rule| may_set(rule, "participant_identity") || may_set(rule, "participant_name");
    let own = rule.filter(|rule| !free(rule)).and_then(|rule| {
        let lasting = Some(&rule.identity).filter(|identity| !identity.is_random());
        lasting.or(rule.participant_name.as_ref())
    });
    let name = own.map_or_else(|| "Ada".into(), |own| filled(own, caller));
    members([("roomName", Some(some_room(rule, caller))), ("participantName", Some(name))])
}

/// A request for the rule's own user of Agora's, or number 7.
fn agoras_path(rule: Option<&Rule>, caller: &Caller) -> String {
    let own = rule.filter(|rule| !may_set(rule, "participant_identity") && !rule.identity.is_random());
    let own = own.map(|rule| &rule.identity);
    let user = own.map_or_else(|| "7".into(), |own| filled(own, caller));
    let kind = if Uid::parse(&*user).is_ok() { "uid" } else { "userAccount" };
    let publishes = rule.is_none_or(|rule| rule.grants.can_publish != Some(false));
    let wanted = if publishes { "publisher" } else { "subscriber" };
    let channel = some_room(rule, caller);
    format!("/agora/rtc/{}/{wanted}/{kind}/{}/", in_a_path(&channel), in_a_path(&user))
}

fn members(wishes: [(&str, Option<String>); 2]) -> String {
    let members = wishes.into_iter().filter_map(|(field, wish)| Some((field, wish?)));
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
        (None, None) => rule.rooms.first().map(|pattern| to_be_filled(&hello(pattern))),
        (known, _) => known,
    }
}

/// The same, where a request can't go without.
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

/// Percent-encoded, but for what is to be filled in; nothing is left that a shell or curl would read as its own.
fn in_a_path(part: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:@!$&()+,;=<>|".contains(byte);
    part.bytes().fold(String::new(), |path, byte| {
        if plain(&byte) {
            path + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            format!("{path}%{byte:02X}")
        }
    })
}

const GATEWAY_ALONE: &str =
    "Only a gateway says who asks, and there's none here: be somebody with --caller FILE, to try it.";
