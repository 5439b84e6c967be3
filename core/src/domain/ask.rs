//! What a request asks for, in any dialect: a list of asks with one decision each. Fields that the client omitted or
//! sent empty are absent.

use serde::{Deserialize, Serialize};

use super::{Attributes, GrantsAsk, Identity, Metadata, ParticipantName, RoomConfig, RoomName, Ttl};

/// One thing that a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// To join a room.
    Room(Box<RoomAsk>),
    /// To log in to a service, without a room.
    Login(LoginAsk),
}

/// A request to join a room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomAsk {
    /// The room to join.
    pub room: Option<RoomName>,
    /// The participant's identity.
    pub identity: Option<Identity>,
    /// The participant's name, which others see.
    pub name: Option<ParticipantName>,
    /// Free text that others see.
    pub metadata: Option<Metadata>,
    /// Attributes that others see.
    pub attributes: Option<Attributes>,
    /// Settings of the room, if it doesn't exist yet.
    pub room_config: Option<RoomConfig>,
    /// In dialects with one field for both: the identity if the rule lets the client set it, otherwise the name.
    pub name_or_identity: Option<Identity>,
    /// The identity is Agora's uid 0, so the token would be valid for any user.
    pub agora_uid_zero: bool,
    /// The role in the room, in dialects that have one.
    pub role: Option<Role>,
    /// The sandbox ID of the request, in the sandbox's dialect.
    pub sandbox_id: Option<String>,
    /// The grants that the request asks for.
    pub grants: Option<GrantsAsk>,
    /// The requested lifetime of the token.
    pub ttl: Option<Ttl>,
    /// Whether the dialect's own protocol has a lifetime. In other dialects rules must list `ttl`.
    pub has_own_ttl: bool,
    /// The dialect's lifetime, if neither the request nor the rule sets one.
    pub default_ttl: Ttl,
    /// The dialect's name for the room's field.
    pub room_field: RoomField,
}

/// The name of the room's field in a request. `room_name` by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomField(pub &'static str);

impl RoomField {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl Default for RoomField {
    fn default() -> Self {
        Self(RoomName::FIELD)
    }
}

/// A request to log in to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginAsk {
    /// The service.
    pub service: LoginService,
    /// The user's identity there.
    pub identity: Identity,
    /// The requested lifetime of the token.
    pub ttl: Option<Ttl>,
    /// The dialect's lifetime, if neither the request nor the rule sets one.
    pub default_ttl: Ttl,
}

/// A participant's role in a room. It can only reduce the rule's grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Publishes and subscribes.
    Publisher,
    /// Only subscribes.
    Subscriber,
}

/// One of Agora's services without rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginService {
    /// `rtm`: Signaling, formerly real-time messaging.
    Rtm,
    /// `chat`: Chat, as one of its users.
    Chat,
}

impl Ask {
    /// The requested room, if any.
    #[must_use]
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Room(ask) => ask.room.as_ref(),
            Self::Login(_) => None,
        }
    }

    /// The requested identity, if any. In dialects with one field for both, the name counts too.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        let identity = match self {
            Self::Room(ask) => ask.identity.as_ref().or(ask.name_or_identity.as_ref()),
            Self::Login(ask) => Some(&ask.identity),
        };
        identity.map(Identity::as_str)
    }

    /// The sandbox ID of the request, if any.
    #[must_use]
    pub fn sandbox_id(&self) -> Option<&str> {
        match self {
            Self::Room(ask) => ask.sandbox_id.as_deref(),
            Self::Login(_) => None,
        }
    }

    /// The same ask, with the dialect's default lifetime and its name for the room's field.
    #[must_use]
    pub fn in_dialect(mut self, default_ttl: Ttl, room_field: RoomField) -> Self {
        match &mut self {
            Self::Room(ask) => {
                ask.default_ttl = default_ttl;
                ask.room_field = room_field;
            }
            Self::Login(ask) => ask.default_ttl = default_ttl,
        }
        self
    }
}

impl From<RoomAsk> for Ask {
    fn from(ask: RoomAsk) -> Self {
        Self::Room(Box::new(ask))
    }
}

impl LoginService {
    /// The name in the policy and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtm => "rtm",
            Self::Chat => "chat",
        }
    }
}
