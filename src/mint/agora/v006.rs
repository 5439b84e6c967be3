//! Version 006: `006`, the app's id, and in base64 a signature, two checksums, and what is signed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Issue, LONGEST, put_privileges, put_text, seconds};
use crate::domain::Ttl;
use crate::mint::Token;

/// A token with these privileges, ascending, which all end when the lifetime does. The token itself says that it ends a
/// day after its issue, as the official builders' do.
pub(super) fn token(issue: &Issue<'_>, ttl: Ttl, channel: &str, user: &str, privileges: &[u16]) -> Token {
    let end = issue.at + seconds(ttl);
    let privileges: Vec<_> = privileges.iter().map(|privilege| (*privilege, end)).collect();
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
    message.extend((at + LONGEST).to_le_bytes());
    put_privileges(&mut message, privileges);

    let mut signature = Hmac::<Sha256>::new_from_slice(keys.expose_certificate().as_bytes())
        .expect("HMAC takes a key of any length");
    for part in [keys.app_id.as_bytes(), channel.as_bytes(), user.as_bytes(), &message] {
        signature.update(part);
    }

    let mut content = Vec::new();
    put_text(&mut content, &signature.finalize().into_bytes());
    content.extend(crc32(channel.as_bytes()).to_le_bytes());
    content.extend(crc32(user.as_bytes()).to_le_bytes());
    put_text(&mut content, &message);
    format!("006{}{}", keys.app_id, BASE64_STANDARD.encode(content))
}

/// The CRC-32 of IEEE 802.3. Names are short, so it goes bit by bit.
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
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn every_known_answer_is_ours_too_byte_for_byte() {
        let mut count = 0;
        for vector in vectors().iter().filter(|vector| vector.version == "006") {
            let user = vector.user();
            let (channel, user) = match &vector.channel {
                Some(channel) => (channel.as_str(), user.as_str()),
                None => (user.as_str(), ""),
            };
            let keys = keys(vector);
            let at = vector.ts_field.unwrap() - LONGEST;
            let issue = issued(&keys, at, vector.salt);
            let token = signed(&issue, channel, user, &vector.privileges());
            assert_eq!(token, vector.expected, "{}", vector.id);
            count += 1;
        }
        assert_eq!(count, 15);
    }
}
