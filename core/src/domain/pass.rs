//! What a rule gives a caller: everything that a token says.

use super::{
    Attributes, Grants, Identity, LoginService, Metadata, ParticipantName, RoomConfig, RoomName, Ttl,
};

/// What a rule gives for one ask. Only [`crate::policy`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The caller's name in the configuration.
    pub caller: String,
    /// The rule that gave it.
    pub rule: String,
    /// Who its holder is there.
    pub identity: Identity,
    /// How long it can be used.
    pub ttl: Ttl,
    /// What it opens.
    pub opens: Opens,
}

/// What a pass opens.
#[derive(Debug, Clone, PartialEq)]
pub enum Opens {
    /// A room.
    Room(Box<RoomPass>),
    /// A service, and no room.
    Login(LoginService),
}

/// One room, and what its holder may do there.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomPass {
    /// The room.
    pub room: RoomName,
    /// The participant's name, which others see.
    pub name: Option<ParticipantName>,
    /// Free text that others see.
    pub metadata: Option<Metadata>,
    /// Attributes that others see.
    pub attributes: Option<Attributes>,
    /// How the room is set up, should it not exist yet.
    pub room_config: Option<RoomConfig>,
    /// What its holder may do in the room.
    pub grants: Grants,
}

impl Pass {
    /// The room that it opens, if it opens one.
    #[must_use]
    pub fn room(&self) -> Option<&RoomPass> {
        match &self.opens {
            Opens::Room(room) => Some(room),
            Opens::Login(_) => None,
        }
    }

    /// The service that it's a login for, if it is one.
    #[must_use]
    pub fn login(&self) -> Option<LoginService> {
        match self.opens {
            Opens::Room(_) => None,
            Opens::Login(service) => Some(service),
        }
    }
}
