//! Whether rules keep people apart: an identity that two people could get would let the one end the other's connection,
//! or pass for the other.

use super::Rule;
use super::source::Source;
use super::template::{Part, Template};
use crate::caller::{CallerConfig, CallerKind};

/// Why callers of two authorities could get one identity by these rules, if they could: two rules, or one twice.
pub(super) fn shared(rule: &Rule, other: &Rule, callers: &[CallerConfig]) -> Option<String> {
    let mut pairs = pairs(rule, other, callers);
    let (one, another) = pairs.find(|(one, another)| {
        one.authority() != another.authority() && !apart((&rule.identity, one), (&other.identity, another))
    })?;
    let with = if rule.name == other.name { String::new() } else { format!(", with rule {:?}", other.name) };
    let known = [one, another].into_iter().find(|caller| caller.kind != CallerKind::Anonymous)?;
    Some(format!(
        "could give callers {:?} and {:?} one identity{with}: {} and {} may be equal for two people of two issuers. Begin \
         each identity with a string of its own, as \"{}:{{sub}}\", or hold the issuer, as \"{{iss}}|{{sub}}\"",
        one.name, another.name, rule.identity, other.identity, known.name,
    ))
}

/// Rules that could give two people of one authority one identity, in a sentence each. The authority decides whether such
/// people exist, so each is a note and no mistake.
#[must_use]
pub fn notes(rules: &[Rule], callers: &[CallerConfig]) -> Vec<String> {
    let alone = rules.iter().filter_map(alone);
    let together = rules
        .iter()
        .enumerate()
        .flat_map(|(at, rule)| rules[..at].iter().filter_map(move |other| together(rule, other, callers)));
    alone.chain(together).collect()
}

/// A rule by which two people of one caller could get one identity.
fn alone(rule: &Rule) -> Option<String> {
    let identity = &rule.identity;
    if identity.is_constant() || identity.is_random() || is_of_one_subject(identity) {
        return None;
    }
    Some(format!(
        "rule {:?} makes the identity {identity} without {{sub}}: two people with equal claims get one identity, and \
         the second disconnects the first. Use {{sub}} unless the issuer keeps these claims unique",
        rule.name
    ))
}

/// Two rules by which two people of one authority could get one identity.
fn together(rule: &Rule, other: &Rule, callers: &[CallerConfig]) -> Option<String> {
    let (mine, theirs) = (&rule.identity, &other.identity);
    let same_people = mine == theirs && is_of_one_subject(mine);
    if same_people || (mine.is_constant() && theirs.is_constant()) {
        return None;
    }
    let mut pairs = pairs(rule, other, callers);
    let (one, _) = pairs.find(|(one, another)| {
        one.authority() == another.authority() && !apart((mine, one), (theirs, another))
    })?;
    Some(format!(
        "rules {:?} and {:?} could give two people of caller {:?} one identity, {theirs} and {mine}: begin each with a \
         text of its own",
        other.name, rule.name, one.name
    ))
}

/// Each caller of the one rule with each of the other.
fn pairs<'a>(
    rule: &'a Rule,
    other: &'a Rule,
    callers: &'a [CallerConfig],
) -> impl Iterator<Item = (&'a CallerConfig, &'a CallerConfig)> {
    let of = |rule: &'a Rule| callers.iter().filter(|caller| rule.callers.contains(&caller.name));
    of(rule).flat_map(move |one| of(other).map(move |another| (one, another)))
}

/// Whether it differs for each subject of an authority.
fn is_of_one_subject(identity: &Template) -> bool {
    identity.parts().contains(&Part::Caller(Source::Subject))
}

/// Whether the two never make the same text for two people: both are random, or they begin differently, or both hold
/// the issuer at the same place. What is random in one alone can be seen in a room, and taken for the other's.
fn apart((one, caller): (&Template, &CallerConfig), (other, another): (&Template, &CallerConfig)) -> bool {
    let (first, second) = (beginning(one, caller), beginning(other, another));
    (one.is_random() && other.is_random())
        || (!first.starts_with(&second) && !second.starts_with(&first))
        || (one == other && one.parts().contains(&Part::Caller(Source::Issuer)))
}

/// What every text of a template begins with: literals, and the issuer where the caller has only one.
fn beginning(template: &Template, caller: &CallerConfig) -> String {
    let known = |part: &Part| match (part, &caller.kind) {
        (Part::Literal(literal), _) => Some(literal.clone()),
        (Part::Caller(Source::Issuer), CallerKind::Jwt(issuer)) => Some(issuer.issuer.clone()),
        _ => None,
    };
    template.parts().iter().map_while(known).collect()
}
