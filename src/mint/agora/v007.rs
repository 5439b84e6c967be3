//! Version 007: `007`, and in base64 of zlib a signature and what is signed: the app, when, for how long, a salt, and
//! the services it's for. How zlib packs it is up to the packer, so two tokens that say the same may look different.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use miniz_oxide::deflate::compress_to_vec_zlib;
use sha2::Sha256;

use super::{Issue, put_privileges, put_text, seconds};
use crate::domain::Ttl;
use crate::domain::agora::{Account, ChannelName, ChatUser, RtmUser};
use crate::mint::Token;

/// One of Agora's products, what one may do there, and where and as whom.
pub(super) struct Service {
    kind: u16,
    privileges: Vec<u16>,
    fields: Vec<u8>,
}

impl Service {
    pub(super) fn rtc(channel: &ChannelName, user: &Account, privileges: &[u16]) -> Self {
        Self { kind: RTC, privileges: privileges.to_vec(), fields: texts(&[channel.as_str(), user.as_str()]) }
    }

    pub(super) fn rtm(user: &RtmUser) -> Self {
        Self { kind: RTM, privileges: vec![LOGIN], fields: texts(&[user.as_str()]) }
    }

    pub(super) fn chat_user(user: &ChatUser) -> Self {
        Self { kind: CHAT, privileges: vec![CHAT_USER], fields: texts(&[user.as_str()]) }
    }
}

/// A token for these services, ascending by kind. It ends when its privileges do.
pub(super) fn token(issue: &Issue<'_>, ttl: Ttl, services: &[Service]) -> Token {
    let expire = seconds(ttl);
    let mut packed = Vec::new();
    for Service { kind, privileges, fields } in services {
        let privileges: Vec<_> = privileges.iter().map(|privilege| (*privilege, expire)).collect();
        put_service(&mut packed, *kind, &privileges, fields);
    }
    Token(text(&signed(issue, expire, services.len(), &packed)).into())
}

fn put_service(out: &mut Vec<u8>, kind: u16, privileges: &[(u16, u32)], fields: &[u8]) {
    out.extend(kind.to_le_bytes());
    put_privileges(out, privileges);
    out.extend(fields);
}

fn signed(Issue { keys, at, salt }: &Issue<'_>, expire: u32, count: usize, services: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, keys.app_id.as_bytes());
    for number in [at, &expire, salt] {
        body.extend(number.to_le_bytes());
    }
    body.extend(u16::try_from(count).expect("a token has a handful of services").to_le_bytes());
    body.extend(services);

    let key = hmac(&at.to_le_bytes(), keys.expose_certificate().as_bytes());
    let key = hmac(&salt.to_le_bytes(), &key);
    let mut payload = Vec::new();
    put_text(&mut payload, &hmac(&key, &body));
    payload.extend(body);
    payload
}

fn text(payload: &[u8]) -> String {
    format!("007{}", BASE64_STANDARD.encode(compress_to_vec_zlib(payload, LEVEL)))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn texts(texts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        put_text(&mut out, text.as_bytes());
    }
    out
}

const RTC: u16 = 1;
const RTM: u16 = 2;
const CHAT: u16 = 5;
const LOGIN: u16 = 1;
const CHAT_USER: u16 = 1;
/// zlib's own default.
const LEVEL: u8 = 6;

#[cfg(test)]
mod tests {
    use super::super::tests::{Fields, Permissions, issued, keys, vectors};
    use super::*;

    #[test]
    fn every_known_answer_is_ours_too_once_inflated() {
        let mut count = 0;
        for vector in vectors().iter().filter(|vector| vector.version == "007") {
            let mut services = Vec::new();
            for service in &vector.services {
                let fields = match &service.fields {
                    Fields::Channel { channel, user } => texts(&[channel, user]),
                    Fields::User { user_id, permissions } => {
                        let mut fields = texts(&[user_id]);
                        if let Some(permissions) = permissions {
                            put_permissions(&mut fields, permissions);
                        }
                        fields
                    }
                    Fields::Room { room_uuid, user_uuid, role } => {
                        let mut fields = texts(&[room_uuid, user_uuid]);
                        fields.extend(role.to_le_bytes());
                        fields
                    }
                    Fields::None {} => Vec::new(),
                };
                let privileges: Vec<_> = service.privileges.iter().map(|(key, end)| (*key, *end)).collect();
                put_service(&mut services, service.kind, &privileges, &fields);
            }
            let keys = keys(vector);
            let issue = issued(&keys, vector.issue_ts.unwrap(), vector.salt);
            let payload = signed(&issue, vector.expire.unwrap(), vector.services.len(), &services);
            assert_eq!(payload, vector.payload(), "{}", vector.id);
            count += 1;
        }
        assert_eq!(count, 36);
    }

    /// Only in others' tokens: kinds of resources, and what may be done with which of them.
    fn put_permissions(out: &mut Vec<u8>, permissions: &Permissions) {
        let count = |length: usize| u16::try_from(length).unwrap().to_le_bytes();
        out.extend(count(permissions.len()));
        let number = |text: &String| text.parse::<u16>().unwrap().to_le_bytes();
        for (kind, permissions) in permissions {
            out.extend(number(kind));
            out.extend(count(permissions.len()));
            for (permission, resources) in permissions {
                out.extend(number(permission));
                out.extend(count(resources.len()));
                for resource in resources {
                    put_text(out, resource.as_bytes());
                }
            }
        }
    }
}
