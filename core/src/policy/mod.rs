//! The rules of `roompass.toml`, which decide what a caller may have. The first rule that matches decides. A request
//! without a matching rule is denied.
//!
//! | module | its one job |
//! |---|---|
//! | `rule` | a `[[rule]]` |
//! | `condition`, `source`, `placeholder`, `template`, `pattern` | a rule's conditions on a caller's values, and its templates for them |
//! | `agents`, `egress`, `members` | the agents and the egress that a rule allows |
//! | `room_settings` | the room's settings that a rule makes |
//! | `check`, `identities` | mistakes and notes that depend on callers and other rules |
//! | `offer` | whether a rule matches, and what it offers |
//! | `grant`, `compound` | what a request asks for in addition |
//! | `deny` | a `[[deny]]` |
//! | `denial` | why a request is denied |

mod agents;
mod check;
mod compound;
mod condition;
mod denial;
mod deny;
mod egress;
mod grant;
mod identities;
mod members;
mod offer;
mod pattern;
mod placeholder;
mod room_settings;
mod rule;
mod source;
mod template;

pub(crate) use check::{mistakes, mistakes_in_denied};
pub use compound::AgentProblem;
pub use condition::Conditions;
pub use denial::Denial;
pub use deny::{Deny, Time};
pub use identities::notes as identity_notes;
pub use offer::Skipped;
pub use pattern::{OpenRooms, RoomPattern};
pub use placeholder::FillError;
pub use room_settings::{RoomSettings, RuleAgent, RuleEgress, Timeout};
pub(crate) use rule::RULE_KEYS;
pub use rule::{ClientField, Rule};
pub use source::ValueSource;
pub use template::Template;

use deny::{Denied, Known};
use offer::Offered;

use crate::caller::{Caller, CallerConfig};
use crate::domain::{Ask, Context, Limits, Pass, Project, RoomName};

/// The rules in order, and the limits of their values.
#[derive(Debug, Clone)]
pub struct Policy {
    denied: Denied,
    rules: Vec<Rule>,
    limits: Limits,
}

/// The decision on one ask.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The names of the rules before the deciding rule, in order, each with the reason that it didn't match.
    pub skipped: Vec<(&'a str, Skipped)>,
    /// The pass, or the reason for the denial.
    pub outcome: Result<Pass, Denial>,
}

impl Policy {
    /// A policy of rules and entries that [`mistakes`] and [`mistakes_in_denied`] have checked.
    pub(crate) fn new(denied: Vec<Deny>, rules: Vec<Rule>, callers: &[CallerConfig], limits: Limits) -> Self {
        Self { denied: Denied::new(denied, callers), rules, limits }
    }

    /// The entries of `[[deny]]` in order.
    #[must_use]
    pub fn denied(&self) -> &[Deny] {
        self.denied.entries()
    }

    /// The rules in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The projects whose keys may sign tokens, each once; `default` if there are no rules.
    #[must_use]
    pub fn projects(&self) -> Vec<Project> {
        let mut projects: Vec<_> = self.rules.iter().flat_map(Rule::possible_projects).collect();
        projects.sort();
        projects.dedup();
        if projects.is_empty() { vec![Project::default()] } else { projects }
    }

    /// Decides one ask: the first rule that matches decides, unless an entry of `[[deny]]` is for the request, or for what
    /// the rule gives.
    #[must_use]
    pub fn decide(&self, caller: &Caller, ask: Ask, context: &Context) -> Decision<'_> {
        let sandbox_id = ask.sandbox_id().map(str::to_owned);
        let known = |identity: Option<&str>, room: Option<&str>| {
            let sandbox_id = sandbox_id.as_deref();
            self.denied.check(&Known { caller, sandbox_id, identity, room, now: context.now })
        };
        if let Err(denial) = known(ask.identity(), ask.room().map(RoomName::as_str)) {
            return Decision { skipped: Vec::new(), outcome: Err(denial) };
        }
        let mut decision = self.decide_by_rules(caller, ask, context);
        decision.outcome = decision.outcome.and_then(|pass| {
            let identity = Some(pass.identity.as_str());
            known(identity, pass.room().map(|room| room.room.as_str()))?;
            if let Some(room) = pass.room().filter(|room| !room.grants.destination_room.is_empty()) {
                known(identity, Some(&room.grants.destination_room))?;
            }
            Ok(pass)
        });
        decision
    }

    fn decide_by_rules(&self, caller: &Caller, ask: Ask, context: &Context) -> Decision<'_> {
        let mut skipped = Vec::new();
        for rule in &self.rules {
            match rule.offer(caller, &ask, &self.limits, context.randomness) {
                Ok(offered) => {
                    let outcome = match offered {
                        Some(offered) => rule.grant(offered, caller, ask, &self.limits, context.now),
                        None => Err(Denial::without_offer(rule, &ask)),
                    };
                    return Decision { skipped, outcome };
                }
                Err(why) => skipped.push((rule.name.as_str(), why)),
            }
        }
        let outcome = Err(Denial::no_match(&ask, &skipped));
        Decision { skipped, outcome }
    }
}

/// The project of the passes for one request. Its keys sign all tokens of the response.
///
/// # Errors
/// If the passes are for different projects.
pub fn one_project<'a>(passes: impl IntoIterator<Item = &'a Pass>) -> Result<Project, Denial> {
    let mut passes = passes.into_iter();
    let Some(first) = passes.next() else { return Ok(Project::default()) };
    match passes.find(|pass| pass.project != first.project) {
        None => Ok(first.project.clone()),
        Some(other) => {
            let of_rules = [first, other].map(|pass| (pass.project.clone(), pass.rule.clone()));
            Err(Denial::SeveralProjects { of_rules })
        }
    }
}

#[cfg(test)]
mod tests;
