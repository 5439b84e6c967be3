//! What may be recorded of a room, or streamed.

use serde::Deserialize;

/// A kind of egress: what is recorded or streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// `room`: everything, mixed.
    Room,
    /// `participant`: each participant.
    Participant,
    /// `tracks`: each track.
    Tracks,
}

/// Egress that a request sets up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRequest {
    /// What is to be recorded.
    pub kind: Egress,
    /// The members that the request sets, by LiveKit's names.
    pub members: Vec<&'static str>,
}

impl Egress {
    /// Its name in a rule.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Participant => "participant",
            Self::Tracks => "tracks",
        }
    }

    /// Its path in a request.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Room => "room_config.egress.room",
            Self::Participant => "room_config.egress.participant",
            Self::Tracks => "room_config.egress.tracks",
        }
    }

    /// The members of its request that a rule can let the client set, by LiveKit's names. The others are refused
    /// whatever the rule: they name storages, streams, addresses and rooms.
    #[must_use]
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::Room => &[
                "layout",
                "audio_only",
                "audio_mixing",
                "video_only",
                "file_outputs",
                "segment_outputs",
                "image_outputs",
                "file",
                "segments",
                "preset",
                "advanced",
            ],
            Self::Participant => &["file_outputs", "segment_outputs", "preset", "advanced"],
            Self::Tracks => &["filepath", "disable_manifest"],
        }
    }
}
