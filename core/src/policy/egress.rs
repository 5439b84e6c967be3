//! Which egress a rule lets a client set up.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::members::Members;
use crate::domain::Egress;

/// Egress that may be set up: its kind, as "room", or `{ kind = "room", client_may_set = [..] }` where the client may
/// set members of its request too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedEgress {
    kind: Egress,
    members: Members,
}

impl AllowedEgress {
    /// What may be recorded.
    #[must_use]
    pub fn kind(&self) -> Egress {
        self.kind
    }

    /// Whether the client may set this member of the request.
    #[must_use]
    pub fn lets_client_set(&self, member: &str) -> bool {
        self.members.contains(member)
    }
}

impl fmt::Display for AllowedEgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.name())?;
        if self.members.is_empty() { Ok(()) } else { write!(formatter, " ({})", self.members) }
    }
}

impl<'de> Deserialize<'de> for AllowedEgress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            kind: Egress,
            #[serde(default)]
            client_may_set: Vec<String>,
        }

        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = AllowedEgress;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "\"room\", \"participant\", \"tracks\", or { kind = \"..\", client_may_set = [..] }",
                )
            }

            fn visit_str<E: de::Error>(self, kind: &str) -> Result<AllowedEgress, E> {
                let kind = Egress::deserialize(kind.into_deserializer())?;
                Ok(AllowedEgress { kind, members: Members::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<AllowedEgress, A::Error> {
                let Table { kind, client_may_set } = Table::deserialize(MapAccessDeserializer::new(table))?;
                Ok(AllowedEgress { kind, members: Members::parse(&client_may_set, kind.members())? })
            }
        }

        deserializer.deserialize_any(Written)
    }
}
