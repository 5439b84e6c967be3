//! What a caller may have: the rules of `roompass.toml`, in order; the first that matches decides. What no rule allows
//! is refused. Knows nothing of HTTP and cryptography.
//!
//! | module | its one job |
//! |---|---|
//! | `rule` | one rule, as it's written |
//! | `condition`, `source`, `template`, `pattern` | what a rule asks of a caller, and makes of its values |
//! | `agents`, `egress`, `members` | what a rule lets a client dispatch and record |
//! | `check`, `identities` | mistakes and notes that only several rules together show |
//! | `offer` | whether a rule matches, and what it gives by itself |
//! | `grant`, `compound` | what a request asks for beyond that, if the rule lets it |
//! | `denial` | why nothing is given |

mod agents;
mod check;
mod compound;
mod condition;
mod denial;
mod egress;
mod grant;
mod identities;
mod members;
mod offer;
mod pattern;
mod rule;
mod source;
mod template;

pub(crate) use check::mistakes;
pub use compound::AgentProblem;
pub use condition::{Condition, Conditions};
pub use denial::Denial;
pub use identities::notes as identity_notes;
pub use offer::Skipped;
pub use pattern::RoomPattern;
pub use rule::{ClientField, Rule};
pub use source::Source;
pub use template::{Template, Unfit};

use offer::Offered;

use crate::caller::Caller;
use crate::domain::{Ask, Context, Limits, Pass};

/// The rules, in their order, and the limits of what they make.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    limits: Limits,
}

/// What is decided on one ask.
#[derive(Debug)]
pub struct Decision {
    /// The rules before the one that decided, in their order, each with why it didn't match.
    pub skipped: Vec<(String, Skipped)>,
    /// The pass, or why there's none.
    pub outcome: Result<Pass, Denial>,
}

impl Policy {
    /// A policy of rules that [`mistakes`] has checked.
    pub(crate) fn new(rules: Vec<Rule>, limits: Limits) -> Self {
        Self { rules, limits }
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the first rule that matches gives for an ask.
    #[must_use]
    pub fn decide(&self, caller: &Caller, ask: Ask, context: &Context) -> Decision {
        let mut skipped = Vec::new();
        for rule in &self.rules {
            match rule.offer(caller, &ask, &self.limits, context.randomness) {
                Ok(offered) => {
                    let outcome = match offered {
                        Some(offered) => rule.grant(offered, caller, ask, &self.limits, context.now),
                        None => Err(Denial::nothing_offered(rule, &ask)),
                    };
                    return Decision { skipped, outcome };
                }
                Err(why) => skipped.push((rule.name.clone(), why)),
            }
        }
        let outcome = Err(Denial::no_match(&ask, &skipped));
        Decision { skipped, outcome }
    }
}

#[cfg(test)]
mod tests;
