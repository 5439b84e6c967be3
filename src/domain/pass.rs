//! What somebody asks for, and what they get.

use super::{Attributes, Grants, Identity, Metadata, ParticipantName, RoomConfig, RoomName, Ttl};

/// What a client asks for, in any dialect. What it left out, or sent empty, is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PassRequest {
    /// The room to join.
    pub room: Option<RoomName>,
    /// Who to be there.
    pub identity: Option<Identity>,
    /// The name to be shown.
    pub name: Option<ParticipantName>,
    /// Free text to be seen with.
    pub metadata: Option<Metadata>,
    /// Attributes to be seen with.
    pub attributes: Option<Attributes>,
    /// How the room is set up, should it not exist yet.
    pub room_config: Option<RoomConfig>,
    /// How long the token should last, in dialects that can ask.
    pub ttl: Option<Ttl>,
}

/// What a rule gives a caller: everything a token says. Only [`crate::policy`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The caller's name in the configuration.
    pub caller: String,
    /// The rule that gave it.
    pub rule: String,
    /// The one room it opens.
    pub room: RoomName,
    /// Who its holder is there.
    pub identity: Identity,
    /// The name to be shown.
    pub name: Option<ParticipantName>,
    /// Free text to be seen with.
    pub metadata: Option<Metadata>,
    /// Attributes to be seen with.
    pub attributes: Option<Attributes>,
    /// How the room is set up, should it not exist yet.
    pub room_config: Option<RoomConfig>,
    /// What its holder may do there.
    pub grants: Grants,
    /// How long it can be used to join.
    pub ttl: Ttl,
}
