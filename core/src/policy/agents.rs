//! Which agents a rule lets a client dispatch.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::members::Members;
use crate::domain::AgentDispatch;

/// An agent that may be dispatched, once and without other members: its name, or
/// `{ name = "..", deployments = [..], client_may_set = [..], max = 2 }` for more than that. The name "*" is any agent,
/// and the deployment "*" any deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    name: String,
    deployments: Vec<String>,
    members: Members,
    max: usize,
}

impl Allowed {
    /// Whether it's this agent, in any deployment.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.name == ANY || self.name == name
    }

    /// Whether it's this agent, in this deployment if one is asked for.
    #[must_use]
    pub fn covers(&self, name: &str, deployment: Option<&str>) -> bool {
        self.names(name) && deployment.is_none_or(|asked| self.has_deployment(asked))
    }

    /// Whether the client may set this member of the dispatch.
    #[must_use]
    pub fn lets_client_set(&self, member: &str) -> bool {
        self.members.contains(member)
    }

    /// How many times a request may dispatch each agent that this entry covers.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// Whether it covers all that another entry covers, so that the other is never used after it.
    pub(super) fn covers_all_of(&self, other: &Self) -> bool {
        self.names(&other.name) && other.deployments.iter().all(|deployment| self.has_deployment(deployment))
    }

    fn has_deployment(&self, deployment: &str) -> bool {
        self.deployments.iter().any(|allowed| allowed == ANY || allowed == deployment)
    }
}

impl fmt::Display for Allowed {
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

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            name: String,
            #[serde(default)]
            deployments: Vec<String>,
            #[serde(default)]
            client_may_set: Vec<String>,
            #[serde(default = "once", deserialize_with = "within_the_cap")]
            max: usize,
        }

        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Allowed;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "an agent's name, or { name = \"..\", deployments = [..], client_may_set = [..], max = 1 }",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Allowed, E> {
                let (deployments, members) = (Vec::new(), Members::default());
                Ok(Allowed { name: name.to_owned(), deployments, members, max: once() })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Allowed, A::Error> {
                let Table { name, deployments, client_may_set, max } =
                    Table::deserialize(MapAccessDeserializer::new(table))?;
                let members = Members::parse(&client_may_set, AgentDispatch::MEMBERS)?;
                Ok(Allowed { name, deployments, members, max })
            }
        }

        deserializer.deserialize_any(Written)
    }
}

fn once() -> usize {
    1
}

fn within_the_cap<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let max = usize::deserialize(deserializer)?;
    if (1..=AgentDispatch::MAX).contains(&max) {
        return Ok(max);
    }
    Err(de::Error::custom(format_args!("must be 1 to {}", AgentDispatch::MAX)))
}

const ANY: &str = "*";
