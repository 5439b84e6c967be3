//! Notes about a valid configuration.

use std::collections::BTreeSet;

use roompass::auth::{Caller, CallerConfig, CallerKind};
use roompass::config::{Config, warnings};
use roompass::dialect::{Participant, Presence, Row};
use roompass::domain::{Provider, RoomName};
use roompass::policy::{RoomPattern, Rule, identity_notes};

use super::reaching;

/// All notes about a configuration, each once.
pub(crate) fn notes(config: &Config) -> Vec<String> {
    let Config { callers, policy, dialects, .. } = config;
    let rules = policy.rules();
    let mut notes: Vec<_> = warnings::of_config(config).into_iter().collect();
    for rule in rules {
        notes.extend(rule_identity_notes(rule, callers));
        notes.extend(literal_text_notes(rule));
        let rows = reaching(rule, dialects);
        if rows.iter().any(|row| row.room == Presence::Optional)
            && rule.default_room.is_none()
            && !rule.rooms.iter().any(matches_a_generated_room)
        {
            notes.push(format!(
                "rule {:?} needs a room in the request: it has no default_room, and room-{{random}} does not match rooms",
                rule.name
            ));
        }
        if rule.grants.room_create {
            let name = &rule.name;
            notes.push(format!("rule {name:?} grants room_create, which also allows deleting any room"));
        }
        notes.extend(dialect_notes(rule, &rows));
    }
    notes.extend(identity_notes(rules, callers));
    notes.extend(open_route_note(callers));
    for caller in
        callers.iter().filter(|caller| !rules.iter().any(|rule| rule.callers.contains(&caller.name)))
    {
        notes.push(format!("no rule lists caller {:?}, so its requests are refused", caller.name));
    }
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    notes
}

/// Notes about an identity or grants that clients choose, and about an identity that all participants share.
fn rule_identity_notes(rule: &Rule, callers: &[CallerConfig]) -> Vec<String> {
    // A server with an API key requests tokens for its users, and has to choose their identity and grants.
    let named = callers.iter().filter(|caller| rule.callers.contains(&caller.name));
    let choosing =
        named.filter(|caller| caller.kind != CallerKind::ApiKey).map(|caller| caller.name.as_str());
    let choosing: Vec<_> = choosing.collect();
    let mut notes = Vec::new();
    if may_set(rule, "participant_identity") && !choosing.is_empty() {
        notes.push(format!(
            "rule {:?} lets clients of {} choose their identity, including that of another person",
            rule.name,
            choosing.join(" and ")
        ));
    }
    let grants =
        rule.client_may_set.iter().map(|field| field.path()).filter(|path| path.starts_with("grants."));
    let grants: Vec<_> = grants.collect();
    if !grants.is_empty() && !choosing.is_empty() {
        notes.push(format!(
            "rule {:?} lets clients of {} ask for more than the rule gives: {}",
            rule.name,
            choosing.join(" and "),
            grants.join(", ")
        ));
    }
    if rule.identity.is_constant() {
        notes.push(format!(
            "rule {:?} gives every caller one identity, {:?}: a second participant with it disconnects the first",
            rule.name,
            rule.identity.to_string()
        ));
    }
    notes
}

/// Notes about text that is literal here, but has a meaning in other systems.
fn literal_text_notes(rule: &Rule) -> Vec<String> {
    let rooms = rule.rooms.iter().map(ToString::to_string);
    let rooms = rooms.filter(|room| room.contains(".*") || room.contains(['%', '?']));
    let rooms = rooms.map(|room| {
        format!("rule {:?} has the room pattern {room:?}: only * matches other text, and everything else is literal", rule.name)
    });
    let conditions = rule.when.to_string();
    let wildcard = conditions.contains('*').then(|| {
        format!("rule {:?} has a * in when ({conditions}): conditions compare whole values, and * is literal there", rule.name)
    });
    rooms.chain(wildcard).collect()
}

/// A note that routes without the gateway's authorizer are open.
fn open_route_note(callers: &[CallerConfig]) -> Option<String> {
    let named = |is: fn(&CallerKind) -> bool| {
        callers.iter().find(|caller| is(&caller.kind)).map(|caller| &caller.name)
    };
    let gateway = named(|kind| matches!(kind, CallerKind::Gateway(_)))?;
    let anonymous = named(|kind| *kind == CallerKind::Anonymous)?;
    Some(format!(
        "caller {gateway:?} is authenticated by the gateway, and caller {anonymous:?} is anonymous: a request on a route \
         without the gateway's authorizer counts as {anonymous:?}"
    ))
}

/// Notes about dialects whose clients are always refused by this rule.
fn dialect_notes(rule: &Rule, rows: &[&Row]) -> Vec<String> {
    let name = &rule.name;
    let mut notes = Vec::new();
    let named = |participant| {
        let rows = rows.iter().filter(move |row| row.participant == participant);
        rows.map(|row| row.dialect.as_str()).collect::<Vec<_>>().join(" and ")
    };
    let (by_one_name, by_identity) = (named(Participant::ByOneName), named(Participant::ByIdentity));
    if !by_one_name.is_empty() && !may_set(rule, "participant_identity") && !may_set(rule, "participant_name")
    {
        notes.push(format!(
            "rule {name:?} refuses nearly every name that clients of {by_one_name} send: its client_may_set lists neither \
             participant_identity nor participant_name"
        ));
    }
    let refuses_identities =
        !may_set(rule, "participant_identity") && rule.identity.is_random() && !rule.agora_uid_zero;
    if !by_identity.is_empty() && refuses_identities {
        notes.push(format!(
            "rule {name:?} refuses every client of {by_identity}: they send an identity, but the rule neither sets one nor \
             lists participant_identity in client_may_set"
        ));
    }
    let of_agora = rows.iter().any(|row| row.provider == Provider::Agora);
    if of_agora && rule.agora_uid_zero {
        notes.push(format!(
            "rule {name:?} sets agora_uid_zero: a token for uid 0 is valid for any user, so its holder can join the channel \
             as any other participant"
        ));
    }
    if of_agora && rule.grants.can_subscribe == Some(false) {
        notes.push(format!(
            "rule {name:?} never gives an Agora token for a channel: every such token includes the right to subscribe \
             (grants_not_enforceable)"
        ));
    }
    notes
}

pub(crate) fn may_set(rule: &Rule, path: &str) -> bool {
    rule.client_may_set.iter().any(|field| field.path() == path)
}

/// Whether a pattern matches the rooms that are generated for a rule without a `default_room`.
fn matches_a_generated_room(pattern: &RoomPattern) -> bool {
    let generated = RoomName::generated(roompass::system::randomness);
    pattern.matches(generated.as_str(), &Caller::anonymous("anyone")) == Ok(true)
}
