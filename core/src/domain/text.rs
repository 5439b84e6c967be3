//! Strings with a maximum length: the names of rooms and participants, and metadata.

use super::generated::{Randomness, readable};
use super::{InvalidField, Limits};

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, field: $field:literal, limit: $limit:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The field's name in a request.
            pub const FIELD: &str = $field;

            /// Parses any string that isn't empty or too long, and keeps it unchanged.
            ///
            /// # Errors
            /// If it is empty or too long.
            pub fn parse(text: impl Into<String>, limits: &Limits) -> Result<Self, InvalidField> {
                let text = text.into();
                if text.is_empty() {
                    return Err(InvalidField::new($field, "must not be empty"));
                }
                if text.len() > limits.$limit {
                    return Err(InvalidField::too_long($field, text.len(), limits.$limit));
                }
                Ok(Self(text))
            }

            /// The string, unchanged.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

bounded_text!(
    /// The name of a room. Never empty (LiveKit reads an empty grant as "any room"), at most 256 bytes
    /// (`limit.max_room_name_length` on the server).
    RoomName, field: "room_name", limit: max_room_name_length
);
bounded_text!(
    /// A participant's identity, unique in a room: a second participant with the same identity disconnects the
    /// first. Never empty, at most 256 bytes (`limit.max_participant_identity_length` on the server).
    Identity, field: "participant_identity", limit: max_participant_identity_length
);
bounded_text!(
    /// The name that other participants see. At most 256 bytes (`limit.max_participant_name_length` on the server,
    /// which checks it only on later updates, so it is checked here).
    ParticipantName, field: "participant_name", limit: max_participant_name_length
);
bounded_text!(
    /// Free text about a participant that other participants see. At most 512 KiB (`limit.max_metadata_size` on the
    /// server).
    Metadata, field: "participant_metadata", limit: max_metadata_size
);

impl RoomName {
    /// An unguessable name for a new room: `room-` and 100 random bits.
    #[must_use]
    pub fn generated(randomness: Randomness) -> Self {
        Self(format!("room-{}", readable(randomness)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_empty() {
        assert_eq!(
            RoomName::parse("", &Limits::default()).unwrap_err().to_string(),
            "room_name must not be empty"
        );
        assert!(Identity::parse("", &Limits::default()).is_err());
    }

    #[test]
    fn limits_count_bytes_and_not_characters() {
        let limits = Limits::default();
        assert!(RoomName::parse("é".repeat(128), &limits).is_ok());
        assert_eq!(
            RoomName::parse("é".repeat(128) + "x", &limits).unwrap_err().to_string(),
            "room_name is 257 bytes long in UTF-8; at most 256 are allowed"
        );
        assert!(Metadata::parse("x".repeat(512 * 1024), &limits).is_ok());
        assert!(Metadata::parse("x".repeat(512 * 1024 + 1), &limits).is_err());
    }

    #[test]
    fn a_lowered_limit_is_enforced() {
        let limits = Limits { max_participant_name_length: 3, ..Limits::default() };
        assert!(ParticipantName::parse("abc", &limits).is_ok());
        assert!(ParticipantName::parse("abcd", &limits).is_err());
    }

    #[test]
    fn a_generated_name_fits_the_lowest_limit() {
        let lowest = 32;
        assert!(RoomName::generated(|bytes| bytes.fill(7)).as_str().len() <= lowest);
    }
}
