//! The maximum sizes of fields and tokens, in bytes.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// `[limits]`: maximum sizes in bytes of UTF-8. The defaults are a LiveKit server's (the keys of the same names under
/// `limit:` in its configuration), and can only be lowered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `max_room_name_length`: 32 to 256 bytes; 256 unless set.
    #[serde(deserialize_with = "within::<_, 32, 256>")]
    pub max_room_name_length: usize,
    /// `max_participant_identity_length`: 32 to 256 bytes; 256 unless set.
    #[serde(deserialize_with = "within::<_, 32, 256>")]
    pub max_participant_identity_length: usize,
    /// `max_participant_name_length`: 1 to 256 bytes; 256 unless set.
    #[serde(deserialize_with = "within::<_, 1, 256>")]
    pub max_participant_name_length: usize,
    /// `max_metadata_size`: 0 to 524288 bytes (512 KiB); 524288 unless set.
    #[serde(deserialize_with = "within::<_, 0, 524_288>")]
    pub max_metadata_size: usize,
    /// `max_attributes_size`: the keys and values of all attributes together, 0 to 65536 bytes (64 KiB); 65536
    /// unless set.
    #[serde(deserialize_with = "within::<_, 0, 65_536>")]
    pub max_attributes_size: usize,
    /// `max_token_size`: the whole signed token, 1024 to 1048576 bytes; 16384 (16 KiB) unless set. Browsers carry the
    /// token in a URL, and proxies refuse long ones.
    #[serde(deserialize_with = "within::<_, 1_024, 1_048_576>")]
    pub max_token_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_room_name_length: 256,
            max_participant_identity_length: 256,
            max_participant_name_length: 256,
            max_metadata_size: 512 * 1024,
            max_attributes_size: 64 * 1024,
            max_token_size: 16 * 1024,
        }
    }
}

/// A number of bytes between two bounds. The lower bound allows a generated name.
fn within<'de, D: Deserializer<'de>, const MIN: usize, const MAX: usize>(
    value: D,
) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(value)?;
    if (MIN..=MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(D::Error::custom(format_args!("must be {MIN} to {MAX} bytes")))
    }
}
