//! Which agents a rule lets a client dispatch.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::fmt;

/// An agent that may be dispatched: its name, or `{ name = "..", deployments = [..] }` where the client may choose a
/// deployment too. The name "*" is any agent, and the deployment "*" any deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    name: String,
    deployments: Vec<String>,
}

impl Allowed {
    /// Whether it's this agent, in this deployment if one is asked for.
    #[must_use]
    pub fn covers(&self, name: &str, deployment: Option<&str>) -> bool {
        let is = |allowed: &str, asked: &str| allowed == "*" || allowed == asked;
        is(&self.name, name)
            && deployment.is_none_or(|asked| self.deployments.iter().any(|allowed| is(allowed, asked)))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if self.deployments.is_empty() {
            Ok(())
        } else {
            write!(formatter, " ({})", self.deployments.join(", "))
        }
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
        }

        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Allowed;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an agent's name, or { name = \"..\", deployments = [..] }")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Allowed, E> {
                Ok(Allowed { name: name.to_owned(), deployments: Vec::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Allowed, A::Error> {
                let Table { name, deployments } = Table::deserialize(MapAccessDeserializer::new(table))?;
                Ok(Allowed { name, deployments })
            }
        }

        deserializer.deserialize_any(Written)
    }
}
