//! Mistakes that a rule's own text doesn't show: rules that can never give a pass, rules that are never reached, and
//! rules that could give two people one identity.

use serde_json::{Map, Value};

use super::condition::Condition;
use super::source::Source;
use super::template::{Part, Template};
use super::{RoomPattern, Rule, identities};
use crate::caller::{Caller, CallerConfig, CallerKind};

/// What is wrong with a rule, and the key in it that says so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) key: &'static str,
    pub(crate) problem: String,
}

impl Mistake {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }
}

/// The first mistake of each rule that has one, by the rule's position. `sandboxes` are those that requests may name, if
/// any are served.
pub(crate) fn mistakes(
    rules: &[Rule],
    callers: &[CallerConfig],
    sandboxes: Option<&[String]>,
) -> impl Iterator<Item = (usize, Mistake)> {
    rules.iter().enumerate().filter_map(move |(position, rule)| {
        let earlier = &rules[..position];
        let Mistake { key, problem } = impossible(rule, callers)
            .or_else(|| unreachable_entry(rule))
            .or_else(|| rule.when.on(&Source::SandboxId).and_then(|is| never_asked_through(is, sandboxes)))
            .or_else(|| earlier.iter().find_map(|other| clash(rule, other)))
            .or_else(|| {
                let shared =
                    rules[..=position].iter().find_map(|other| identities::shared(rule, other, callers));
                shared.map(|problem| Mistake::new("identity", problem))
            })?;
        Some((position, Mistake::new(key, format!("rule {:?} {problem}", rule.name))))
    })
}

/// Why the rule could never give a pass.
fn impossible(rule: &Rule, callers: &[CallerConfig]) -> Option<Mistake> {
    let known = |name: &String| callers.iter().any(|caller| caller.name == *name);
    if let Some(unknown) = rule.callers.iter().find(|name| !known(name)) {
        return Some(Mistake::new(
            "callers",
            format!("is for caller {unknown:?}, and no [[caller]] has that name"),
        ));
    }
    if rule.name.is_empty() {
        return Some(Mistake::new("name", "needs a name"));
    }
    if rule.callers.is_empty() {
        return Some(Mistake::new("callers", "is for no caller: callers must list at least one"));
    }
    if let (Some(ttl), Some(max_ttl)) = (rule.ttl, rule.max_ttl)
        && max_ttl < ttl
    {
        return Some(Mistake::new("max_ttl", format!("has a ttl of {ttl} over its max_ttl of {max_ttl}")));
    }
    let named = callers.iter().filter(|caller| rule.callers.contains(&caller.name));
    let sources = sources(rule);
    for caller in named {
        let name = &caller.name;
        if rule.within_credential && !caller.shows_an_end() {
            let problem =
                format!("is within_credential, and the credential of caller {name:?} has no expiry");
            return Some(Mistake::new("within_credential", problem));
        }
        if let Some((key, source)) = sources.iter().find(|(_, source)| !may_have(caller, source)) {
            return Some(Mistake::new(
                key,
                format!("asks for {{{source}}}, which caller {name:?} never has"),
            ));
        }
    }
    if let Some((source, condition)) = never_met(rule, callers) {
        let problem = format!("is unreachable: no caller of it ever has {source} {condition}");
        return Some(Mistake::new("when", problem));
    }
    let sample = sample(sources.iter().map(|(_, source)| *source));
    let default_room = rule.default_room.as_ref().and_then(|room| room.fill(&sample, |_| {}).ok())?;
    let opens = |pattern: &RoomPattern| pattern.matches(&default_room, &sample) == Ok(true);
    if rule.rooms.iter().any(opens) {
        return None;
    }
    Some(Mistake::new("default_room", "has a default_room that does not match rooms"))
}

/// A condition that no caller of a rule can meet, by what the callers themselves must be.
fn never_met<'a>(rule: &'a Rule, callers: &[CallerConfig]) -> Option<(&'a Source, &'a Condition)> {
    let named: Vec<_> = callers.iter().filter(|caller| rule.callers.contains(&caller.name)).collect();
    rule.when
        .iter()
        .find(|(source, condition)| !named.iter().any(|caller| may_meet(caller, source, condition)))
}

/// Whether a caller can meet a condition. Its subject and its issuer are strings; of a token, the issuer and the required
/// claims are known.
fn may_meet(caller: &CallerConfig, source: &Source, condition: &Condition) -> bool {
    let issuer = match &caller.kind {
        CallerKind::Jwt(issuer) => Some(issuer),
        _ => None,
    };
    match (source, issuer) {
        (Source::Issuer, Some(issuer)) => condition.holds_for(&issuer.issuer.as_str().into()),
        (Source::Claim(path), Some(issuer)) => match path.as_slice() {
            [name] => issuer.required_claims.get(name).is_none_or(|value| condition.holds_for(value)),
            _ => true,
        },
        (Source::Issuer | Source::Subject, _) => condition.may_hold_for_a_string(),
        _ => true,
    }
}

/// An entry of `agents` or `egress` that an earlier one decides before.
fn unreachable_entry(rule: &Rule) -> Option<Mistake> {
    let agents = rule.agents.iter().enumerate().find_map(|(position, entry)| {
        let earlier = rule.agents[..position].iter().find(|earlier| earlier.covers_all_of(entry))?;
        let problem =
            format!("has an unreachable entry in agents: {entry} comes after {earlier}, which covers it");
        Some(Mistake::new("agents", problem))
    });
    let egress = || {
        rule.egress.iter().enumerate().find_map(|(position, entry)| {
            let mut earlier = rule.egress[..position].iter();
            earlier.find(|earlier| earlier.kind() == entry.kind())?;
            Some(Mistake::new("egress", format!("lists {} twice in egress", entry.kind().name())))
        })
    };
    agents.or_else(egress)
}

/// Why no sandbox that can be asked through is what a rule says it is.
fn never_asked_through(is: &Condition, sandboxes: Option<&[String]>) -> Option<Mistake> {
    let ids = match is {
        Condition::Equal(id) => std::slice::from_ref(id),
        Condition::OneOf(ids) => ids,
        Condition::Contains(_) => {
            return Some(Mistake::new("when", "needs a list as sandbox_id, which is a string"));
        }
    };
    let unknown = ids.iter().find(|id| !sandboxes.unwrap_or_default().iter().any(|known| *id == known))?;
    let why = match sandboxes {
        Some(_) => "which [sandbox] ids doesn't list",
        None => "and dialects doesn't list \"sandbox\"",
    };
    Some(Mistake::new("when", format!("is for the sandbox {unknown}, {why}")))
}

/// Whether a caller of this kind can have something that a rule asks for.
fn may_have(caller: &CallerConfig, source: &Source) -> bool {
    if *source == Source::SandboxId {
        return true;
    }
    match &caller.kind {
        CallerKind::Anonymous => false,
        CallerKind::ApiKey => *source == Source::Subject,
        CallerKind::Gateway(via) => *source != Source::Issuer || via.has_issuer(),
        CallerKind::Jwt(_) => true,
    }
}

/// Why two rules can't both stand, `other` being the earlier.
fn clash(rule: &Rule, other: &Rule) -> Option<Mistake> {
    if rule.name == other.name {
        return Some(Mistake::new("name", "has the same name as an earlier rule"));
    }
    let opens_all = other.rooms.iter().any(RoomPattern::is_any)
        || (!rule.rooms.is_empty()
            && rule.rooms.iter().all(|room| other.rooms.contains(room))
            && (other.default_room.is_some() || rule.default_room.is_none()));
    let covers =
        rule.callers.iter().all(|name| other.callers.contains(name)) && other.when.covers(&rule.when);
    let logs_in = rule.agora_logins.is_none() || other.agora_logins.is_some();
    let refuses_all = other.rooms.is_empty() && other.agora_logins.is_none();
    if covers && (refuses_all || (opens_all && logs_in && fits_whenever(other, rule))) {
        let problem =
            format!("is unreachable: rule {:?} before it decides every request that it matches", other.name);
        return Some(Mistake::new("name", problem));
    }
    None
}

/// Whether one rule's texts fit each caller that another's fit: they ask nothing of the caller, or what the other's ask.
fn fits_whenever(one: &Rule, another: &Rule) -> bool {
    let anothers: Vec<_> = templates(another).collect();
    templates(one).all(|written| {
        let asks = written.2.parts().iter().any(|part| matches!(part, Part::Caller(_)));
        !asks || anothers.contains(&written)
    })
}

/// All that the rule asks of a caller, each with the key that asks.
fn sources(rule: &Rule) -> Vec<(&'static str, &Source)> {
    placeholders(rule).chain(rule.when.sources().map(|source| ("when", source))).collect()
}

fn placeholders(rule: &Rule) -> impl Iterator<Item = (&'static str, &Source)> {
    let rooms = rule.rooms.iter().map(|room| ("rooms", room.head()));
    let templates = templates(rule).map(|(key, _, text)| (key, text.parts()));
    rooms.chain(templates).flat_map(|(key, parts)| parts.iter().map(move |part| (key, part))).filter_map(
        |(key, part)| match part {
            Part::Caller(source) => Some((key, source)),
            _ => None,
        },
    )
}

/// The texts that the rule makes, each with its key, and of an attribute with its name.
fn templates(rule: &Rule) -> impl Iterator<Item = (&'static str, &str, &Template)> {
    let single = [
        ("default_room", rule.default_room.as_ref()),
        ("identity", Some(&rule.identity)),
        ("participant_name", rule.participant_name.as_ref()),
        ("participant_metadata", rule.participant_metadata.as_ref()),
    ];
    let single = single.into_iter().filter_map(|(key, text)| Some((key, "", text?)));
    let attributes = rule.participant_attributes.iter();
    single.chain(attributes.map(|(name, text)| ("participant_attributes", name.as_str(), text)))
}

/// A caller who has them all, each with another value.
fn sample<'a>(sources: impl Iterator<Item = &'a Source>) -> Caller {
    let mut caller = Caller {
        issuer: Some("\u{1}iss".into()),
        subject: Some("\u{1}sub".into()),
        ..Caller::anonymous("sample")
    };
    for source in sources {
        if let Source::Claim(path) = source {
            insert(&mut caller.claims, path, &source.to_string());
        }
    }
    caller
}

fn insert(claims: &mut Map<String, Value>, path: &[String], value: &str) {
    match path {
        [] => {}
        [name] => {
            claims.insert(name.clone(), format!("\u{1}{value}").into());
        }
        [name, rest @ ..] => {
            if let Value::Object(inner) = claims.entry(name.clone()).or_insert_with(|| Map::new().into()) {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
