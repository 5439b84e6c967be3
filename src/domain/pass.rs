//! What somebody asks for, and what they get.

use serde::{Deserialize, Serialize};

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
    /// In dialects with one name for both: who to be there, where the rule lets the client say so, and else the name to
    /// be shown.
    pub called: Option<Identity>,
    /// What to do there, in dialects that ask.
    pub role: Option<Role>,
    /// The sandbox that it's asked through, in the dialect that has them.
    pub sandbox_id: Option<String>,
    /// How long the token should last, in dialects that can ask.
    pub ttl: Option<Ttl>,
    /// How long it lasts in this dialect where neither the request nor the rule says so.
    pub usual_ttl: Ttl,
}

/// What somebody does in a room. A client may ask for less than its rule gives, never for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends and receives.
    Publisher,
    /// Receives alone.
    Subscriber,
}

/// What a client asks for that wants to log in to a service, and into no room.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginRequest {
    /// The service.
    pub service: LoginService,
    /// Who to be there.
    pub identity: Identity,
    /// How long the token should last.
    pub ttl: Option<Ttl>,
    /// How long it lasts where neither the request nor the rule says so.
    pub usual_ttl: Ttl,
}

/// One of Agora's tokens, by what it opens: asked for, or given.
#[derive(Debug, Clone, PartialEq)]
pub enum AgoraToken<Channel, Login> {
    /// A channel, which is Agora's word for a room.
    Channel(Channel),
    /// A service besides.
    Login(Login),
    /// A channel, and signaling with the same token.
    Both(Channel, Login),
}

impl<C, L> AgoraToken<C, L> {
    /// The same, borrowed.
    pub fn as_ref(&self) -> AgoraToken<&C, &L> {
        match self {
            Self::Channel(one) => AgoraToken::Channel(one),
            Self::Login(other) => AgoraToken::Login(other),
            Self::Both(one, other) => AgoraToken::Both(one, other),
        }
    }

    /// Its parts, of which it has one or both.
    pub fn parts(self) -> (Option<C>, Option<L>) {
        match self {
            Self::Channel(one) => (Some(one), None),
            Self::Login(other) => (None, Some(other)),
            Self::Both(one, other) => (Some(one), Some(other)),
        }
    }

    /// What each part becomes, if each does.
    ///
    /// # Errors
    /// The first part's that doesn't.
    pub fn try_map<C2, L2, E>(
        self,
        channel: impl FnOnce(C) -> Result<C2, E>,
        login: impl FnOnce(L) -> Result<L2, E>,
    ) -> Result<AgoraToken<C2, L2>, E> {
        Ok(match self {
            Self::Channel(one) => AgoraToken::Channel(channel(one)?),
            Self::Login(other) => AgoraToken::Login(login(other)?),
            Self::Both(one, other) => AgoraToken::Both(channel(one)?, login(other)?),
        })
    }
}

/// A service of Agora's besides its rooms. A login there is bound to no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginService {
    /// `rtm`: signaling, once called real-time messaging.
    Rtm,
    /// `chat`: chat, as a user of it.
    Chat,
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

/// What a rule gives a caller who asks for no room: a login at one of the provider's other services. Only
/// [`crate::policy`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The caller's name in the configuration.
    pub caller: String,
    /// The rule that gave it.
    pub rule: String,
    /// The service.
    pub service: LoginService,
    /// Who its holder is there.
    pub identity: Identity,
    /// How long it can be used to log in.
    pub ttl: Ttl,
}
