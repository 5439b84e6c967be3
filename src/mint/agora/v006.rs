//! Version 006: `006`, the app ID and, in base64, the signature, the checksums of both names, and the signed message.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::layout::DAY;
use super::{Issue, hmac, put_privileges, put_text, seconds};
use crate::domain::Ttl;
use crate::mint::Token;

/// Signs a token with these privileges, sorted by number, which all expire after `ttl`. The token's own expiry is
/// always a day after issue, as in the official builders.
pub(super) fn token(issue: &Issue<'_>, ttl: Ttl, channel: &str, user: &str, privileges: &[u16]) -> Token {
    let expiry = issue.at + seconds(ttl);
    let privileges: Vec<_> = privileges.iter().map(|privilege| (*privilege, expiry)).collect();
    Token(signed(issue, channel, user, &privileges).into())
}

fn signed(
    Issue { keys, at, salt }: &Issue<'_>,
    channel: &str,
    user: &str,
    privileges: &[(u16, u32)],
) -> String {
    let mut message = Vec::new();
    message.extend(salt.to_le_bytes());
    message.extend((at + DAY).to_le_bytes());
    put_privileges(&mut message, privileges);

    let signed = [keys.app_id.as_bytes(), channel.as_bytes(), user.as_bytes(), &message].concat();
    let mut content = Vec::new();
    put_text(&mut content, &hmac(keys.expose_certificate().as_bytes(), &signed));
    content.extend(crc32(channel.as_bytes()).to_le_bytes());
    content.extend(crc32(user.as_bytes()).to_le_bytes());
    put_text(&mut content, &message);
    format!("006{}{}", keys.app_id, BASE64_STANDARD.encode(content))
}

/// The CRC-32 of IEEE 802.3, without a table, because names are short.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{issued, keys, vectors};
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn each_test_vector_is_reproduced_byte_for_byte() {
        let mut count = 0;
        for vector in vectors().iter().filter(|vector| vector.version == "006") {
            let user = vector.user();
            let (channel, user) = match &vector.channel {
                Some(channel) => (channel.as_str(), user.as_str()),
                None => (user.as_str(), ""),
            };
            let keys = keys(vector);
            let at = vector.ts_field.unwrap() - DAY;
            let issue = issued(&keys, at, vector.salt);
            let token = signed(&issue, channel, user, &vector.privileges());
            assert_eq!(token, vector.expected, "{}", vector.id);
            count += 1;
        }
        assert_eq!(count, 15);
    }
}
