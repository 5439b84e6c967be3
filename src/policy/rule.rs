//! One rule of the policy, as it's written in `roompass.toml`.

use serde::Deserialize;

use super::RoomPattern;
use crate::auth::Caller;
use crate::domain::{Attributes, Grants, Identity, Metadata, ParticipantName, RoomConfig, RoomName, Ttl};

/// `[[rule]]`: who may have what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `name`: what the log calls it.
    pub name: String,
    /// `callers`: the callers it's for, by name.
    pub callers: Vec<String>,
    /// `rooms`: patterns for the rooms it opens, asked for or generated.
    pub rooms: Vec<RoomPattern>,
    /// `client_may_set`: the fields, besides the room, that a request may set. None unless set.
    #[serde(default)]
    pub client_may_set: Vec<ClientField>,
    /// `ttl`: how long the token can be used to join, as "10m" (the default). 1 second to 24 hours.
    #[serde(default)]
    pub ttl: Ttl,
    /// `[rule.grants]`: what its holder may do in the room. LiveKit's defaults unless set.
    #[serde(default)]
    pub grants: Grants,
}

impl Rule {
    pub(super) fn is_for(&self, caller: &Caller, room: &RoomName) -> bool {
        self.callers.contains(&caller.name) && self.rooms.iter().any(|pattern| pattern.matches(room.as_str()))
    }
}

/// A field that a rule can let the client set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientField {
    /// `participant_identity`
    ParticipantIdentity,
    /// `participant_name`
    ParticipantName,
    /// `participant_metadata`
    ParticipantMetadata,
    /// `participant_attributes`
    ParticipantAttributes,
    /// `room_config`, but for egress
    RoomConfig,
}

impl ClientField {
    /// Its name in a request and in the rule.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ParticipantIdentity => Identity::FIELD,
            Self::ParticipantName => ParticipantName::FIELD,
            Self::ParticipantMetadata => Metadata::FIELD,
            Self::ParticipantAttributes => Attributes::FIELD,
            Self::RoomConfig => RoomConfig::FIELD,
        }
    }
}
