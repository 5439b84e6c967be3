//! Egress: recording or streaming a room.

use serde::Deserialize;

/// A kind of egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// `room`: all participants, mixed.
    Room,
    /// `participant`: each participant.
    Participant,
    /// `tracks`: each track.
    Tracks,
}

/// Egress that a request configures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRequest {
    /// The kind.
    pub kind: Egress,
    /// The members that the request sets, by LiveKit's names.
    pub members: Vec<&'static str>,
}

impl Egress {
    /// The name in a rule.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Participant => "participant",
            Self::Tracks => "tracks",
        }
    }

    /// The path in a request.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Room => "room_config.egress.room",
            Self::Participant => "room_config.egress.participant",
            Self::Tracks => "room_config.egress.tracks",
        }
    }

    /// The members that `client_may_set` can list, by LiveKit's names. The other members (storage, streams, addresses
    /// and rooms) are refused for every rule.
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
