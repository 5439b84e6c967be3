//! What a rule gives a caller: the content of a token.

use super::{
    Attributes, Grants, Identity, LoginService, Metadata, ParticipantName, Project, RoomConfig, RoomName, Ttl,
};

/// What a rule gives for one ask. Only [`crate::policy`] creates one.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The caller's name in the configuration.
    pub caller: String,
    /// The name of the rule that gave it.
    pub rule: String,
    /// The project whose keys sign the token.
    pub project: Project,
    /// The participant's or user's identity.
    pub identity: Identity,
    /// The token's lifetime.
    pub ttl: Ttl,
    /// The room or service that it gives access to.
    pub access: Access,
}

/// What a pass gives access to.
#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    /// A room.
    Room(Box<RoomPass>),
    /// A service without rooms.
    Login(LoginService),
}

/// A room, and the participant's permissions there.
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
    /// Settings of the room, if it doesn't exist yet.
    pub room_config: Option<RoomConfig>,
    /// The identity is Agora's uid 0: the token is valid for any user.
    pub agora_uid_zero: bool,
    /// The participant's permissions.
    pub grants: Grants,
}

impl Pass {
    /// The room, if it is for a room.
    #[must_use]
    pub fn room(&self) -> Option<&RoomPass> {
        match &self.access {
            Access::Room(room) => Some(room),
            Access::Login(_) => None,
        }
    }

    /// The service, if it is a login.
    #[must_use]
    pub fn login(&self) -> Option<LoginService> {
        match self.access {
            Access::Room(_) => None,
            Access::Login(service) => Some(service),
        }
    }
}
