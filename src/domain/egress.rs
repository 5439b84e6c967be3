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

impl Egress {
    /// Its path in a request.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Room => "room_config.egress.room",
            Self::Participant => "room_config.egress.participant",
            Self::Tracks => "room_config.egress.tracks",
        }
    }
}
