//! What a request asks for, in any dialect: a list of asks. Each gets one decision. What the client left out,
//! or sent empty, is absent.

use serde::{Deserialize, Serialize};

use super::{Attributes, Identity, Metadata, ParticipantName, RoomConfig, RoomName, Ttl};

/// One thing that a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// To join a room.
    Room(Box<RoomAsk>),
    /// To log in to a service, into no room.
    Login(LoginAsk),
}

/// What a client asks for that wants to join a room.
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
    /// How the room is set up, should it not exist yet.
    pub room_config: Option<RoomConfig>,
    /// In dialects with one name for both: the identity where the rule lets the client choose it, else the name.
    pub called: Option<Identity>,
    /// What to do in the room, in dialects that ask.
    pub role: Option<Role>,
    /// The sandbox that the request came through, in the dialect that has them.
    pub sandbox_id: Option<String>,
    /// How long the token should last, in dialects that can ask.
    pub ttl: Option<Ttl>,
    /// How long it lasts in this dialect where neither the request nor the rule says so.
    pub usual_ttl: Ttl,
}

/// What a client asks for that wants to log in to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginAsk {
    /// The service.
    pub service: LoginService,
    /// The user's identity there.
    pub identity: Identity,
    /// How long the token should last.
    pub ttl: Option<Ttl>,
    /// How long it lasts where neither the request nor the rule says so.
    pub usual_ttl: Ttl,
}

/// What a participant does in a room. A client may ask for less than its rule gives, never for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends and receives.
    Publisher,
    /// Only receives.
    Subscriber,
}

/// A service of Agora's beside its rooms. A login there is bound to no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginService {
    /// `rtm`: signaling, once called real-time messaging.
    Rtm,
    /// `chat`: chat, as a user of it.
    Chat,
}

impl Ask {
    /// The room that it names, if it names one.
    #[must_use]
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Room(ask) => ask.room.as_ref(),
            Self::Login(_) => None,
        }
    }

    /// The same, with the dialect's usual lifetime.
    #[must_use]
    pub fn lasting_usually(mut self, usual_ttl: Ttl) -> Self {
        match &mut self {
            Self::Room(ask) => ask.usual_ttl = usual_ttl,
            Self::Login(ask) => ask.usual_ttl = usual_ttl,
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
    /// Its name in the policy and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtm => "rtm",
            Self::Chat => "chat",
        }
    }
}
