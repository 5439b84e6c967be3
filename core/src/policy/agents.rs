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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<AllowedAgent, String> {
        #[derive(Deserialize)]
        struct File {
            agent: AllowedAgent,
        }
        let file: Result<File, _> = toml::from_str(&format!("agent = {text}"));
        file.map(|file| file.agent).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_name_alone_allows_one_dispatch_without_other_members() {
        let tutor = entry("'tutor'").unwrap();
        assert_eq!((tutor.max(), tutor.to_string().as_str()), (1, "tutor (max 1)"));
        assert!(tutor.covers("tutor", None));
        assert!(!tutor.covers("tutor", Some("eu")) && !tutor.covers("scribe", None));
        assert!(AgentDispatch::MEMBERS.iter().all(|member| !tutor.allows_member(member)));
    }

    #[test]
    fn a_table_allows_what_it_lists() {
        let tutor =
            entry("{ name = 'tutor', deployments = ['eu', 'us'], client_may_set = ['metadata'], max = 3 }")
                .unwrap();
        assert_eq!(tutor.max(), 3);
        assert_eq!(tutor.to_string(), "tutor (deployments eu, us; may set metadata; max 3)");
        assert!(tutor.covers("tutor", Some("us")) && !tutor.covers("tutor", Some("as")));
        for member in AgentDispatch::MEMBERS {
            assert_eq!(tutor.allows_member(member), *member == "metadata", "{member}");
        }
        let any = entry("{ name = '*', deployments = ['*'] }").unwrap();
        assert!(any.covers("scribe", Some("as")));
        for max in [0, AgentDispatch::MAX + 1] {
            let error = entry(&format!("{{ name = 'tutor', max = {max} }}")).unwrap_err();
            assert!(error.contains("must be 1 to 8"), "{error}");
        }
    }

    #[test]
    fn an_entry_covers_another_if_it_allows_its_name_and_all_of_its_deployments() {
        let covers = |one: &str, other: &str| entry(one).unwrap().covers_all_of(&entry(other).unwrap());
        assert!(covers("'tutor'", "'tutor'"));
        assert!(covers("'*'", "'tutor'"));
        assert!(!covers("'tutor'", "'*'"));
        assert!(!covers("'*'", "{ name = 'tutor', deployments = ['eu'] }"));
        let two = "{ name = 'tutor', deployments = ['eu', 'us'] }";
        assert!(covers(two, "{ name = 'tutor', deployments = ['us'] }"));
        assert!(!covers("{ name = 'tutor', deployments = ['us'] }", two));
        assert!(covers("{ name = '*', deployments = ['*'] }", two));
    }
}
