//! Checks that two people can't get the same identity. With the same identity, one could impersonate the other or end
//! the other's connection.

use super::Rule;
use super::placeholder::Placeholder;
use super::source::ValueSource;
use super::template::{Segment, Template};
use crate::caller::{CallerConfig, CallerKind};

/// Why callers of two authorities could get the same identity by these rules, if they could. `rule` and `other` may be
/// the same rule.
pub(super) fn shared_identity(rule: &Rule, other: &Rule, callers: &[CallerConfig]) -> Option<String> {
    let mut pairs = pairs(rule, other, callers);
    let (one, another) = pairs.find(|(one, another)| {
        !one.has_same_authority_as(another)
            && !always_differ((&rule.identity, one), (&other.identity, another))
    })?;
    let with = if rule.name == other.name { String::new() } else { format!(", with rule {:?}", other.name) };
    let known = [one, another].into_iter().find(|caller| caller.kind != CallerKind::Anonymous)?;
    Some(format!(
        "could give callers {:?} and {:?} the same identity{with}: {} and {} may be equal for two people of different \
         issuers. Start each identity with a different prefix, such as \"{}:{{sub}}\", or include the issuer, as in \
         \"{{iss}}|{{sub}}\"",
        one.name, another.name, rule.identity, other.identity, known.name,
    ))
}

/// Rules that could give two people of one authority the same identity, one sentence each. Only the authority knows
/// whether such people exist, so these are notes and not mistakes.
#[must_use]
pub fn notes(rules: &[Rule], callers: &[CallerConfig]) -> Vec<String> {
    let of_one = rules.iter().filter_map(note_on_rule);
    let of_two = rules.iter().enumerate().flat_map(|(at, rule)| {
        rules[..at].iter().filter_map(move |other| note_on_rules(rule, other, callers))
    });
    of_one.chain(of_two).collect()
}

/// A note if a rule could give two people of one caller the same identity.
fn note_on_rule(rule: &Rule) -> Option<String> {
    let identity = &rule.identity;
    if identity.is_constant() || identity.is_random() || contains_subject(identity) {
        return None;
    }
    Some(format!(
        "rule {:?} makes the identity {identity} without {{sub}}: two people with equal claims get the same identity, \
         and the second disconnects the first. Use {{sub}} unless these claims are unique at the issuer",
        rule.name
    ))
}

/// A note if two rules could give two people of one authority the same identity.
fn note_on_rules(rule: &Rule, other: &Rule, callers: &[CallerConfig]) -> Option<String> {
    let (mine, theirs) = (&rule.identity, &other.identity);
    let same_people = mine == theirs && contains_subject(mine);
    if same_people || (mine.is_constant() && theirs.is_constant()) {
        return None;
    }
    let mut pairs = pairs(rule, other, callers);
    let (one, _) = pairs.find(|(one, another)| {
        one.has_same_authority_as(another) && !always_differ((mine, one), (theirs, another))
    })?;
    Some(format!(
        "rules {:?} and {:?} could give two people of caller {:?} the same identity, with {theirs} and {mine}: start each \
         with a different prefix",
        other.name, rule.name, one.name
    ))
}

/// Each caller of one rule with each caller of the other.
fn pairs<'a>(
    rule: &'a Rule,
    other: &'a Rule,
    callers: &'a [CallerConfig],
) -> impl Iterator<Item = (&'a CallerConfig, &'a CallerConfig)> {
    let of = |rule: &'a Rule| callers.iter().filter(|caller| rule.callers.contains(&caller.name));
    of(rule).flat_map(move |one| of(other).map(move |another| (one, another)))
}

/// Whether the identity differs for each subject of an authority.
fn contains_subject(identity: &Template) -> bool {
    identity.segments().contains(&Segment::Caller(Placeholder::One(ValueSource::Subject)))
}

/// Whether two templates never make the same identity for two people: both are random, their prefixes differ, or they
/// are equal and contain the issuer. One random template isn't enough, because others in the room can see its
/// identities.
fn always_differ(
    (one, caller): (&Template, &CallerConfig),
    (other, another): (&Template, &CallerConfig),
) -> bool {
    let (first, second) = (fixed_prefix(one, caller), fixed_prefix(other, another));
    (one.is_random() && other.is_random())
        || (!first.starts_with(&second) && !second.starts_with(&first))
        || (one == other && one.segments().contains(&Segment::Caller(Placeholder::One(ValueSource::Issuer))))
}

/// The fixed prefix of a template: literals, and the issuer if it is known.
fn fixed_prefix(template: &Template, caller: &CallerConfig) -> String {
    let known = |segment: &Segment| match (segment, &caller.kind) {
        (Segment::Literal(literal), _) => Some(literal.clone()),
        (Segment::Caller(Placeholder::One(ValueSource::Issuer)), CallerKind::Jwt(issuer)) => {
            Some(issuer.issuer.first().to_owned())
        }
        _ => None,
    };
    template.segments().iter().map_while(known).collect()
}
