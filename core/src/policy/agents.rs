//! The agents that a rule allows a client to dispatch.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::members::Members;
use crate::domain::AgentDispatch;

/// An entry of `agents`: an agent's name, which allows one dispatch without other members, or a table
/// `{ name = "..", deployments = [..], client_may_set = [..], max = 2 }`. The name "*" is any agent, and the deployment
/// "*" any deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAgent {
    name: String,
    deployments: Vec<String>,
    members: Members,
    max: usize,
}

impl AllowedAgent {
    /// Whether it covers this agent in some deployment.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.name == ANY || self.name == name
    }

    /// Whether it covers this agent in the requested deployment, if any.
    #[must_use]
    pub fn covers(&self, name: &str, deployment: Option<&str>) -> bool {
        self.names(name) && deployment.is_none_or(|asked| self.has_deployment(asked))
    }

    /// Whether the client may set this member of the dispatch.
    #[must_use]
    pub fn allows_member(&self, member: &str) -> bool {
        self.members.contains(member)
    }

    /// The maximum number of dispatches in a request of each agent that this entry covers.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// Whether it covers everything that another entry covers, so that a later entry like that is never used.
    pub(super) fn covers_all_of(&self, other: &Self) -> bool {
        self.names(&other.name) && other.deployments.iter().all(|deployment| self.has_deployment(deployment))
    }

    fn has_deployment(&self, deployment: &str) -> bool {
        self.deployments.iter().any(|allowed| allowed == ANY || allowed == deployment)
    }
}

impl fmt::Display for AllowedAgent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (", self.name)?;
        if !self.deployments.is_empty() {
            write!(formatter, "deployments {}; ", self.deployments.join(", "))?;
        }
        if !self.members.is_empty() {
            write!(formatter, "{}; ", self.members)?;
        }
        write!(formatter, "max {})", self.max)
    }
}

impl<'de> Deserialize<'de> for AllowedAgent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct AgentTable {
            name: String,
            #[serde(default)]
            deployments: Vec<String>,
            #[serde(default)]
            client_may_set: Vec<String>,
            #[serde(default = "once", deserialize_with = "up_to_max_agents")]
            max: usize,
        }

        struct AgentVisitor;

        impl<'de> Visitor<'de> for AgentVisitor {
            type Value = AllowedAgent;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "an agent's name, or { name = \"..\", deployments = [..], client_may_set = [..], max = 1 }",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<AllowedAgent, E> {
                let (deployments, members) = (Vec::new(), Members::default());
                Ok(AllowedAgent { name: name.to_owned(), deployments, members, max: once() })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<AllowedAgent, A::Error> {
                let AgentTable { name, deployments, client_may_set, max } =
                    AgentTable::deserialize(MapAccessDeserializer::new(table))?;
                let members = Members::parse(&client_may_set, AgentDispatch::MEMBERS)?;
                Ok(AllowedAgent { name, deployments, members, max })
            }
        }

        deserializer.deserialize_any(AgentVisitor)
    }
}

fn once() -> usize {
    1
}

fn up_to_max_agents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let max = usize::deserialize(deserializer)?;
    if (1..=AgentDispatch::MAX).contains(&max) {
        return Ok(max);
    }
    Err(de::Error::custom(format_args!("must be 1 to {}", AgentDispatch::MAX)))
}

const ANY: &str = "*";
