//! Mistakes that depend on callers and other rules: rules that can never give a pass, unreachable rules, and rules that
//! could give two people the same identity.

use serde_json::{Map, Value};

use super::placeholder::Placeholder;
use super::source::ValueSource;
use super::template::Template;
use super::{Deny, RoomPattern, Rule, identities};
use crate::caller::{Caller, CallerConfig, CallerKind};
use crate::condition::Condition;
use crate::domain::Project;
use crate::suggestion::{did_you_mean, suggestion};

/// A mistake in a rule, and the key that has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidRule {
    pub(crate) key: &'static str,
    pub(crate) problem: String,
}

impl InvalidRule {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }
}

/// The first mistake of each rule, with the rule's position. `sandboxes` are the accepted sandbox IDs, if the sandbox's
/// dialect is served.
pub(crate) fn mistakes(
    rules: &[Rule],
    callers: &[CallerConfig],
    sandboxes: Option<&[String]>,
) -> impl Iterator<Item = (usize, InvalidRule)> {
    rules.iter().enumerate().filter_map(move |(position, rule)| {
        let earlier = &rules[..position];
        let InvalidRule { key, problem } = impossible(rule, callers)
            .or_else(|| unreachable_entry(rule))
            .or_else(|| {
                rule.when
                    .get(&ValueSource::SandboxId)
                    .and_then(|condition| unknown_sandbox(condition, sandboxes))
            })
            .or_else(|| earlier.iter().find_map(|other| conflict(rule, other)))
            .or_else(|| {
                let mut others = rules[..=position].iter();
                let shared = others.find_map(|other| identities::shared_identity(rule, other, callers));
                shared.map(|problem| InvalidRule::new("identity", problem))
            })?;
        Some((position, InvalidRule::new(key, format!("rule {:?} {problem}", rule.name))))
    })
}

/// The mistake of each entry of `[[deny]]` that has one, with the entry's position.
pub(crate) fn mistakes_in_denied(
    denied: &[Deny],
    callers: &[CallerConfig],
    sandboxes: Option<&[String]>,
) -> impl Iterator<Item = (usize, InvalidRule)> {
    denied.iter().enumerate().filter_map(move |(position, entry)| {
        let (key, problem) = entry.mistake(callers, sandboxes)?;
        Some((position, InvalidRule::new(key, problem)))
    })
}

/// Why the rule can never give a pass.
fn impossible(rule: &Rule, callers: &[CallerConfig]) -> Option<InvalidRule> {
    let known = |name: &String| callers.iter().any(|caller| caller.name == *name);
    if let Some(unknown) = rule.callers.iter().find(|name| !known(name)) {
        return Some(InvalidRule::new(
            "callers",
            format!(
                "has the unknown caller {unknown:?}: no [[caller]] has that name{}",
                like(unknown, callers)
            ),
        ));
    }
    if rule.name.is_empty() {
        return Some(InvalidRule::new("name", "needs a name"));
    }
    if rule.callers.is_empty() {
        return Some(InvalidRule::new("callers", "has no callers: list at least one"));
    }
    if let (Some(ttl), Some(max_ttl)) = (rule.ttl, rule.max_ttl)
        && max_ttl < ttl
    {
        return Some(InvalidRule::new(
            "max_ttl",
            format!("has a ttl of {ttl}, longer than its max_ttl of {max_ttl}"),
        ));
    }
    if let Some(mistake) = misplaced(rule).or_else(|| mistaken_text(rule)).or_else(|| mistaken_project(rule))
    {
        return Some(mistake);
    }
    let named = callers.iter().filter(|caller| rule.callers.contains(&caller.name));
    for caller in named {
        let name = &caller.name;
        if rule.within_credential && !caller.credential_may_expire() {
            let problem =
                format!("sets within_credential, but the credential of caller {name:?} has no expiry");
            return Some(InvalidRule::new("within_credential", problem));
        }
        let unusable = placeholders(rule)
            .find(|(_, placeholder)| !placeholder.can_be_filled(|source| can_have(caller, source)));
        let unusable = unusable.map(|(key, placeholder)| (key, placeholder.to_string()));
        let in_when = || rule.when.sources().find(|source| !can_have(caller, source));
        if let Some((key, value)) = unusable.or_else(|| in_when().map(|source| ("when", source.to_string())))
        {
            return Some(InvalidRule::new(key, format!("uses {{{value}}}, which caller {name:?} never has")));
        }
    }
    if let Some((source, condition)) = never_met(rule, callers) {
        let problem = format!("is unreachable: no caller in callers can have {source} {condition}");
        return Some(InvalidRule::new("when", problem));
    }
    let sample = sample(placeholders(rule).map(|(_, placeholder)| placeholder), rule.when.sources());
    let default_room = rule.default_room.as_ref().and_then(|room| room.fill(&sample, |_| {}).ok())?;
    let matches = |pattern: &RoomPattern| pattern.matches(&default_room, &sample) == Ok(true);
    if rule.rooms.iter().any(matches) {
        return None;
    }
    Some(InvalidRule::new("default_room", "has a default_room that does not match rooms"))
}

/// The suggestion of a caller's name.
pub(super) fn like(unknown: &str, callers: &[CallerConfig]) -> String {
    did_you_mean(suggestion(unknown, callers.iter().map(|caller| caller.name.as_str())))
}

/// A condition that no caller of a rule can meet.
fn never_met<'a>(rule: &'a Rule, callers: &[CallerConfig]) -> Option<(&'a ValueSource, &'a Condition)> {
    let named: Vec<_> = callers.iter().filter(|caller| rule.callers.contains(&caller.name)).collect();
    rule.when
        .iter()
        .find(|(source, condition)| !named.iter().any(|caller| can_meet(caller, source, condition)))
}

/// Whether a caller can meet a condition. Subjects and issuers are strings. A token's issuer and required claims are
/// known from the configuration.
fn can_meet(caller: &CallerConfig, source: &ValueSource, condition: &Condition) -> bool {
    let issuer = match &caller.kind {
        CallerKind::Jwt(issuer) => Some(issuer),
        _ => None,
    };
    match (source, issuer) {
        (ValueSource::Issuer, Some(issuer)) => condition.holds_for(&issuer.issuer.first().into()),
        (ValueSource::Claim(path), Some(issuer)) => match path.as_slice() {
            [name] => {
                let required = issuer.required_claims.get(name).and_then(Condition::values);
                required.is_none_or(|values| values.iter().any(|value| condition.holds_for(value)))
            }
            _ => true,
        },
        (ValueSource::Issuer | ValueSource::Subject, _) => condition.can_hold_for_a_string(),
        _ => true,
    }
}

/// An entry of `agents` or `egress` that is never used because of an earlier one.
fn unreachable_entry(rule: &Rule) -> Option<InvalidRule> {
    let agents = rule.agents.iter().enumerate().find_map(|(position, entry)| {
        let earlier = rule.agents[..position].iter().find(|earlier| earlier.covers_all_of(entry))?;
        let problem =
            format!("has an unreachable entry in agents: {entry} comes after {earlier}, which covers it");
        Some(InvalidRule::new("agents", problem))
    });
    let egress = || {
        rule.egress.iter().enumerate().find_map(|(position, entry)| {
            let mut earlier = rule.egress[..position].iter();
            earlier.find(|earlier| earlier.kind() == entry.kind())?;
            Some(InvalidRule::new("egress", format!("lists {} twice in egress", entry.kind().name())))
        })
    };
    agents.or_else(egress)
}

/// Why no accepted sandbox ID meets a rule's condition.
pub(super) fn unknown_sandbox(condition: &Condition, sandboxes: Option<&[String]>) -> Option<InvalidRule> {
    let ids = match condition {
        Condition::Equal(id) => std::slice::from_ref(id),
        Condition::OneOf(ids) => ids,
        Condition::Contains(_) | Condition::ContainsWord(_) => {
            return Some(InvalidRule::new("when", "requires sandbox_id to be a list, but it is a string"));
        }
    };
    let unknown = ids.iter().find(|id| !sandboxes.unwrap_or_default().iter().any(|known| *id == known))?;
    let why = match sandboxes {
        Some(_) => "[sandbox] ids does not list it",
        None => "dialects does not list \"sandbox\"",
    };
    Some(InvalidRule::new("when", format!("requires sandbox {unknown}, but {why}")))
}

/// Whether a caller of this kind can have a value that a rule uses.
pub(super) fn can_have(caller: &CallerConfig, source: &ValueSource) -> bool {
    if *source == ValueSource::SandboxId {
        return true;
    }
    match &caller.kind {
        CallerKind::Anonymous => false,
        CallerKind::ApiKey => *source == ValueSource::Subject,
        CallerKind::Gateway(via) => *source != ValueSource::Issuer || via.has_issuer(),
        CallerKind::Jwt(_) => true,
    }
}

/// The conflict between a rule and an earlier one, if there is one.
fn conflict(rule: &Rule, earlier: &Rule) -> Option<InvalidRule> {
    if rule.name == earlier.name {
        return Some(InvalidRule::new("name", "has the same name as an earlier rule"));
    }
    let covers_rooms = earlier.rooms.iter().any(RoomPattern::is_any)
        || (!rule.rooms.is_empty()
            && rule.rooms.iter().all(|room| earlier.rooms.contains(room))
            && (earlier.default_room.is_some() || rule.default_room.is_none()));
    let covers_callers =
        rule.callers.iter().all(|name| earlier.callers.contains(name)) && earlier.when.covers(&rule.when);
    let covers_logins = rule.agora_logins.is_none() || earlier.agora_logins.is_some();
    let denies_all = earlier.rooms.is_empty() && earlier.agora_logins.is_none();
    if covers_callers
        && (denies_all || (covers_rooms && covers_logins && fills_for_all_callers_of(earlier, rule)))
    {
        let problem =
            format!("is unreachable: the earlier rule {:?} matches all of its requests", earlier.name);
        return Some(InvalidRule::new("name", problem));
    }
    None
}

/// Whether the rule's templates can be filled for every caller for which the other's can: they don't use the caller's
/// values, or the other rule has the same templates. A project must also be in the rule's `projects`.
fn fills_for_all_callers_of(rule: &Rule, other: &Rule) -> bool {
    let others: Vec<_> = templates(other).collect();
    let has_projects_of_other = rule.project.as_ref().is_none_or(Template::is_constant)
        || other.projects.iter().all(|name| rule.projects.contains(name));
    let are_filled = templates(rule).all(|template| {
        template.2.placeholders().all(Placeholder::is_always_filled) || others.contains(&template)
    });
    has_projects_of_other && are_filled
}

/// A placeholder that its key must not have.
fn misplaced(rule: &Rule) -> Option<InvalidRule> {
    templates(rule).find_map(|(key, _, template)| {
        template.placeholders().find_map(|placeholder| {
            let problem = match placeholder {
                Placeholder::First(..) if key == "identity" => {
                    "has alternatives (|) in identity, which could give two people the same identity: use one value, \
                     such as {sub}"
                }
                Placeholder::First(..) if key == "default_room" => {
                    "has alternatives (|) in default_room, which could send a caller to the room of another: use one \
                     value"
                }
                Placeholder::First(..) if key == "project" => {
                    "has alternatives (|) in project, which could send a caller to the project of another: use one value"
                }
                Placeholder::Each(_) if key != "default_room" => {
                    return Some(InvalidRule::new(
                        key,
                        format!("has the list {{{placeholder}}} in {key}: only rooms and default_room may have lists"),
                    ));
                }
                _ => return None,
            };
            Some(InvalidRule::new(key, problem))
        })
    })
}

/// A `project` that is no project's name, or could be any.
fn mistaken_project(rule: &Rule) -> Option<InvalidRule> {
    let projects = &rule.projects;
    if let Some(twice) = projects.iter().enumerate().find(|(at, name)| projects[..*at].contains(name)) {
        return Some(InvalidRule::new("projects", format!("lists {} twice in projects", twice.1)));
    }
    let Some(project) = &rule.project else {
        let problem = "has projects, but no project: add project, such as project = \"{claims.region}\"";
        return (!projects.is_empty()).then(|| InvalidRule::new("projects", problem));
    };
    let problem = if project.is_random() {
        format!("has project = \"{project}\": {{random}} is not the name of a project")
    } else if project.is_constant() {
        match Project::parse(project.to_string()) {
            Err(invalid) => format!("has project = \"{project}\", which is not valid: {invalid}"),
            Ok(name) if !projects.is_empty() && !projects.contains(&name) => {
                format!("has project = \"{project}\", which projects does not list")
            }
            Ok(_) => return None,
        }
    } else if projects.is_empty() {
        format!(
            "has project = \"{project}\": list the projects that it may be in projects, such as projects = [\"eu\"]"
        )
    } else {
        let impossible = projects.iter().find(|name| !project.can_begin_and_end_as(name.as_str()))?;
        let problem = format!("lists {impossible} in projects, which project = \"{project}\" never is");
        return Some(InvalidRule::new("projects", problem));
    };
    Some(InvalidRule::new("project", problem))
}

/// A text that is meant as JSON, and in which values can't be escaped.
fn mistaken_text(rule: &Rule) -> Option<InvalidRule> {
    let metadata = rule.participant_metadata.iter().map(|text| ("participant_metadata", text));
    let attributes = rule.participant_attributes.values().map(|text| ("participant_attributes", text));
    let room = rule.room_config.texts().map(|text| ("room_config", text));
    metadata.chain(attributes).chain(room).find_map(|(key, text)| {
        Some(InvalidRule::new(key, format!("has a text in {key} that {}", text.text_mistake()?)))
    })
}

/// The rule's placeholders, each with its key.
fn placeholders(rule: &Rule) -> impl Iterator<Item = (&'static str, &Placeholder)> {
    let rooms =
        rule.rooms.iter().flat_map(|room| room.placeholders().map(|placeholder| ("rooms", placeholder)));
    let templates = templates(rule)
        .flat_map(|(key, _, text)| text.placeholders().map(move |placeholder| (key, placeholder)));
    rooms.chain(templates)
}

/// The rule's templates, each with its key. The name is an attribute's, or empty.
fn templates(rule: &Rule) -> impl Iterator<Item = (&'static str, &str, &Template)> {
    let single = [
        ("default_room", rule.default_room.as_ref()),
        ("project", rule.project.as_ref()),
        ("identity", Some(&rule.identity)),
        ("participant_name", rule.participant_name.as_ref()),
        ("participant_metadata", rule.participant_metadata.as_ref()),
    ];
    let single = single.into_iter().filter_map(|(key, text)| Some((key, "", text?)));
    let attributes = rule.participant_attributes.iter();
    let room = rule.room_config.templates().map(|text| ("room_config", "", text));
    single.chain(attributes.map(|(name, text)| ("participant_attributes", name.as_str(), text))).chain(room)
}

/// A caller who has all of these values, each different. A list has one element.
fn sample<'a>(
    placeholders: impl Iterator<Item = &'a Placeholder>,
    sources: impl Iterator<Item = &'a ValueSource>,
) -> Caller {
    let mut caller = Caller {
        issuer: Some("\u{1}iss".into()),
        subject: Some("\u{1}sub".into()),
        ..Caller::anonymous("sample")
    };
    let text = |source: &ValueSource| Value::from(format!("\u{1}{source}"));
    let values = placeholders.flat_map(|placeholder| {
        let value = move |source| match placeholder {
            Placeholder::Each(_) => (source, Value::Array(vec![text(source)])),
            _ => (source, text(source)),
        };
        placeholder.sources().iter().map(value)
    });
    let conditions = sources.map(|source| (source, text(source)));
    for (source, value) in conditions.chain(values) {
        if let ValueSource::Claim(path) = source {
            insert(&mut caller.claims, path, value);
        }
    }
    caller
}

fn insert(claims: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            claims.insert(name.clone(), value);
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
