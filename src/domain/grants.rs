//! What somebody may do in a room, by LiveKit's own names.

use serde::{Deserialize, Serialize};

/// `[rule.grants]`: LiveKit's video grants, besides `room_join` and `room`, which every pass has. What isn't written
/// has LiveKit's default: publish, subscribe and data yes, everything else no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "LiveKit's own list of permissions, each on or off")]
pub struct Grants {
    /// `can_publish`: send tracks. Yes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// `can_subscribe`: receive tracks. Yes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// `can_publish_data`: send data messages. As `can_publish` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// `can_publish_sources`: which kinds of tracks may be sent; all unless set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<TrackSource>,
    /// `can_update_own_metadata`: change one's own name, metadata and attributes. No unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// `room_admin`: mute and remove others, in this room. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub room_admin: bool,
    /// `room_create`: create and delete rooms, any room. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub room_create: bool,
    /// `room_list`: list rooms. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub room_list: bool,
    /// `room_record`: start and stop recordings. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub room_record: bool,
    /// `ingress_admin`: manage ingresses. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub ingress_admin: bool,
    /// `hidden`: be in the room unseen. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// `recorder`: be shown as a recorder. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub recorder: bool,
    /// `agent`: be an agent. No unless set.
    #[serde(skip_serializing_if = "is_false")]
    pub agent: bool,
}

/// A kind of track that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackSource {
    /// `camera`
    Camera,
    /// `microphone`
    Microphone,
    /// `screen_share`
    ScreenShare,
    /// `screen_share_audio`
    ScreenShareAudio,
}

impl TrackSource {
    /// LiveKit's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::ScreenShare => "screen_share",
            Self::ScreenShareAudio => "screen_share_audio",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
