//! Checks whether a rule allows the agents and the egress of a request, with every member that they set.

use std::collections::BTreeMap;

use super::{Denial, Rule};
use crate::domain::{AgentDispatch, Egress, RoomConfig};

/// Why agents are refused. The message is "The field {this} of rule ..".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentProblem {
    /// The rule doesn't list this agent.
    #[error("room_config.agents[{index}] dispatches an agent that is not listed in agents")]
    Name {
        /// The agent's index in the request.
        index: usize,
    },
    /// The entry has no name, and the rule's `agents` doesn't cover an agent without one.
    #[error("room_config.agents[{index}] sets {sets}, but has no agent_name, and is not listed in agents")]
    Nameless {
        /// The agent's index in the request.
        index: usize,
        /// What the entry sets: its deployment, and the names of its other members.
        sets: String,
    },
    /// The rule lists the agent, but not in this deployment.
    #[error(
        "room_config.agents[{index}].deployment is not listed in deployments of this agent's entry in agents"
    )]
    Deployment {
        /// The agent's index in the request.
        index: usize,
    },
    /// The request dispatches the agent more often than the rule allows.
    #[error("room_config.agents[{index}] repeats an agent: max is {max} in this agent's entry in agents")]
    Repeated {
        /// The index of the first dispatch over the maximum.
        index: usize,
        /// The maximum.
        max: usize,
    },
    /// The request dispatches more agents than any rule allows.
    #[error(
        "room_config.agents has {count} agents; at most {} are allowed, regardless of agents",
        AgentDispatch::MAX
    )]
    TooMany {
        /// The number of agents.
        count: usize,
    },
}

impl AgentProblem {
    /// The path in the request.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::Name { index } | Self::Nameless { index, .. } | Self::Repeated { index, .. } => {
                format!("room_config.agents[{index}]")
            }
            Self::Deployment { index } => format!("room_config.agents[{index}].deployment"),
            Self::TooMany { .. } => "room_config.agents".to_owned(),
        }
    }
}

/// Checks the agents. The first entry of `agents` that covers an agent's name and deployment decides.
pub(super) fn agents(rule: &Rule, config: &RoomConfig) -> Result<(), Denial> {
    let denied = |problem| Denial::AgentNotAllowed { problem, rule: rule.name.clone() };
    let count = config.agents().count();
    if count > AgentDispatch::MAX {
        return Err(denied(AgentProblem::TooMany { count }));
    }
    let mut dispatched = BTreeMap::new();
    for agent in config.agents() {
        let index = agent.index;
        let covers =
            |(_, entry): &(usize, &super::agents::AllowedAgent)| entry.covers(agent.name, agent.deployment);
        let Some((position, entry)) = rule.agents.iter().enumerate().find(covers) else {
            return Err(denied(unlisted(rule, &agent)));
        };
        let times = dispatched.entry((position, agent.name)).or_insert(0);
        *times += 1;
        if *times > entry.max() {
            return Err(denied(AgentProblem::Repeated { index, max: entry.max() }));
        }
        if let Some(member) = agent.members.into_iter().find(|member| !entry.allows_member(member)) {
            return Err(Denial::MemberNotAllowed {
                field: format!("room_config.agents[{index}].{member}"),
                member,
                list: "this agent's entry in agents",
                rule: rule.name.clone(),
            });
        }
    }
    Ok(())
}

/// Why no entry of the rule's `agents` covers this agent.
fn unlisted(rule: &Rule, agent: &AgentDispatch<'_>) -> AgentProblem {
    let index = agent.index;
    if agent.name.is_empty() {
        let deployment = agent.deployment.map(|name| format!("deployment {:?}", shortened(name)));
        let members = agent.members.iter().map(|member| (*member).to_owned());
        let sets = deployment.into_iter().chain(members).collect::<Vec<_>>().join(", ");
        AgentProblem::Nameless { index, sets }
    } else if rule.agents.iter().any(|entry| entry.names(agent.name)) {
        AgentProblem::Deployment { index }
    } else {
        AgentProblem::Name { index }
    }
}

/// The beginning of a name from the client, for a message.
fn shortened(name: &str) -> String {
    let end = name.floor_char_boundary(MAX_SHOWN);
    if end < name.len() { format!("{}…", &name[..end]) } else { name.to_owned() }
}

/// The maximum length of a client's name in a message, in bytes.
const MAX_SHOWN: usize = 64;

/// Checks that the rule's `egress` lists each kind, with the members that the request sets.
pub(super) fn egress(rule: &Rule, config: &RoomConfig) -> Result<(), Denial> {
    for requested in config.egress() {
        let rule_name = || rule.name.clone();
        let Some(entry) = rule.egress.iter().find(|entry| entry.kind() == requested.kind) else {
            return Err(Denial::EgressNotAllowed { field: requested.kind.path(), rule: rule_name() });
        };
        if let Some(member) = requested.members.into_iter().find(|member| !entry.allows_member(member)) {
            return Err(Denial::MemberNotAllowed {
                field: format!("{}.{member}", requested.kind.path()),
                member,
                list: match requested.kind {
                    Egress::Room => "the room entry in egress",
                    Egress::Participant => "the participant entry in egress",
                    Egress::Tracks => "the tracks entry in egress",
                },
                rule: rule_name(),
            });
        }
    }
    Ok(())
}
