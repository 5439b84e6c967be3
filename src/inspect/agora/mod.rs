//! The content of Agora tokens, with Agora's names for services, privileges and permissions.

mod parse;

pub(super) use parse::{v006, v007};

use crate::mint::agora::layout::{
    CHAT, CHAT_USER, JOIN_CHANNEL, PUBLISH_AUDIO, PUBLISH_DATA, PUBLISH_VIDEO, RTC, RTM, RTM_LOGIN,
    RTM_LOGIN_006,
};

/// An Agora token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgoraToken {
    /// `006` or `007`.
    pub version: &'static str,
    /// The app ID.
    pub app_id: String,
    /// The time of issue, in seconds since 1970. A 006 token contains this time plus a day; the day is subtracted here.
    pub issued: u64,
    /// The expiry, in seconds since 1970. For a 006 token, that of its privileges, if all have the same.
    pub ends: Option<u64>,
    /// A random number, which makes tokens of the same second different.
    pub salt: u32,
    /// The services.
    pub services: Vec<AgoraService>,
}

/// A service in a token: one of Agora's products, with the holder's privileges in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgoraService {
    /// The service type. A 006 token has none, so it is derived from the privileges.
    pub kind: u16,
    /// The channel or room, if the service has one.
    pub channel: Option<Name>,
    /// The holder's user, if the service has users.
    pub user: Option<Name>,
    /// The holder's role, in Flexible Classroom.
    pub role: Option<i16>,
    /// The permissions, in Signaling 2.
    pub permissions: Vec<Permission>,
    /// The privileges, in the token's order.
    pub privileges: Vec<Privilege>,
}

/// The name of a channel or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The name itself, in a 007 token.
    Known(String),
    /// The name's CRC-32: a 006 token has no names.
    Checksum(u32),
}

/// A privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    /// The number.
    pub number: u16,
    /// The expiry, in seconds since 1970. `None` if the privilege doesn't expire.
    pub ends: Option<u64>,
}

/// A permission for some resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The type of the resources.
    pub resource: u16,
    /// The number of the permission.
    pub number: u16,
    /// The names of the resources.
    pub names: Vec<String>,
}

impl AgoraService {
    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            RTC => "rtc",
            RTM => "rtm",
            STREAMING => "streaming",
            FPA => "fpa",
            CHAT => "chat",
            FCDN => "fcdn",
            APAAS => "apaas",
            _ => "rtm2",
        }
    }

    /// A privilege's name, if it is known.
    #[must_use]
    pub fn privilege_name(&self, number: u16) -> Option<&'static str> {
        Some(match (self.kind, number) {
            (RTC, JOIN_CHANNEL) => "join_channel",
            (RTC, PUBLISH_AUDIO) => "publish_audio",
            (RTC, PUBLISH_VIDEO) => "publish_video",
            (RTC, PUBLISH_DATA) => "publish_data",
            (RTM, RTM_LOGIN | RTM_LOGIN_006) | (FPA | RTM2, 1) => "login",
            (STREAMING, 1) => "publish_mix_stream",
            (STREAMING, 2) => "publish_raw_stream",
            (CHAT, CHAT_USER) | (APAAS, 2) => "user",
            (CHAT, 2) | (APAAS, 3) => "app",
            (FCDN, 1) => "publish",
            (FCDN, 2) => "play",
            (APAAS, 1) => "room_user",
            _ => return None,
        })
    }
}

impl Name {
    /// Whether this name matches any channel.
    #[must_use]
    pub fn is_any_channel(&self) -> bool {
        match self {
            Self::Known(name) => name.trim_matches(' ').is_empty() || name.contains('*'),
            Self::Checksum(sum) => *sum == EMPTY_NAME,
        }
    }

    /// Whether this name matches any user.
    #[must_use]
    pub fn is_any_user(&self) -> bool {
        match self {
            Self::Known(name) => name.trim_matches(['0', ' ']).is_empty() || name.contains('*'),
            Self::Checksum(sum) => *sum == EMPTY_NAME,
        }
    }
}

impl Permission {
    /// The name of the resource type, if it is known.
    #[must_use]
    pub fn resource_name(&self) -> Option<&'static str> {
        ["message_channels", "stream_channels", "group_channels", "server_groups", "users"]
            .get(usize::from(self.resource))
            .copied()
    }

    /// The permission's name, if it is known.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        ["read", "write"].get(usize::from(self.number)).copied()
    }
}

/// The CRC-32 of an empty name.
const EMPTY_NAME: u32 = 0;

const STREAMING: u16 = 3;
const FPA: u16 = 4;
const FCDN: u16 = 6;
const APAAS: u16 = 7;
const RTM2: u16 = 8;
