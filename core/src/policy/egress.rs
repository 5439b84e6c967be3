//! The egress that a rule allows a client to request.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::members::Members;
use crate::domain::Egress;

/// An entry of `egress`: a kind such as "room", or a table `{ kind = "room", client_may_set = [..] }` with members that
/// the client may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedEgress {
    kind: Egress,
    members: Members,
}

impl AllowedEgress {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Egress {
        self.kind
    }

    /// Whether the client may set this member of the request.
    #[must_use]
    pub fn allows_member(&self, member: &str) -> bool {
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
        struct EgressTable {
            kind: Egress,
            #[serde(default)]
            client_may_set: Vec<String>,
        }

        struct EgressVisitor;

        impl<'de> Visitor<'de> for EgressVisitor {
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
                let EgressTable { kind, client_may_set } =
                    EgressTable::deserialize(MapAccessDeserializer::new(table))?;
                Ok(AllowedEgress { kind, members: Members::parse(&client_may_set, kind.members())? })
            }
        }

        deserializer.deserialize_any(EgressVisitor)
    }
}
