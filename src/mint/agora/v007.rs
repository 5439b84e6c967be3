//! Version 007: `007` and, compressed with zlib and in base64, the signature and the signed body: the app ID, the time
//! of issue, the lifetime, a salt and the services. Compressors differ, so equal bodies can give different tokens.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;

use super::layout::{CHAT, CHAT_USER, RTC, RTM, RTM_LOGIN};
use super::{Issue, hmac, put_privileges, put_text, seconds};
use crate::domain::Ttl;
use crate::domain::agora::{ChannelName, ChannelUser, ChatUser, RtmUser};
use crate::mint::Token;

/// A service in a token: its type, its privileges, and its channel and user, already encoded.
pub(super) struct ServiceEntry {
    kind: u16,
    privileges: Vec<u16>,
    fields: Vec<u8>,
}

impl ServiceEntry {
    pub(super) fn rtc(channel: &ChannelName, user: &ChannelUser, privileges: &[u16]) -> Self {
        let fields = texts(&[channel.as_str(), user.in_token()]);
        Self { kind: RTC, privileges: privileges.to_vec(), fields }
    }

    pub(super) fn rtm(user: &RtmUser) -> Self {
        Self { kind: RTM, privileges: vec![RTM_LOGIN], fields: texts(&[user.as_str()]) }
    }

    pub(super) fn chat_user(user: &ChatUser) -> Self {
        Self { kind: CHAT, privileges: vec![CHAT_USER], fields: texts(&[user.as_str()]) }
    }
}

/// Signs a token for these services, which are sorted by kind. The token and its privileges expire together.
pub(super) fn token(issue: &Issue<'_>, ttl: Ttl, services: &[ServiceEntry]) -> Token {
    let expire = seconds(ttl);
    let mut packed = Vec::new();
    for ServiceEntry { kind, privileges, fields } in services {
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
    body.extend(u16::try_from(count).expect("a token has at most two services").to_le_bytes());
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

fn texts(texts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        put_text(&mut out, text.as_bytes());
    }
    out
}

/// zlib's default.
const LEVEL: u8 = 6;

#[cfg(test)]
mod tests {
    use super::super::tests::{Permissions, ServiceFields, issued, keys, vectors};
    use super::*;

    #[test]
    fn each_test_vector_is_reproduced_before_compression() {
        let mut count = 0;
        for vector in vectors().iter().filter(|vector| vector.version == "007") {
            let mut services = Vec::new();
            for service in &vector.services {
                let fields = match &service.fields {
                    ServiceFields::Channel { channel, user } => texts(&[channel, user]),
                    ServiceFields::User { user_id, permissions } => {
                        let mut fields = texts(&[user_id]);
                        if let Some(permissions) = permissions {
                            put_permissions(&mut fields, permissions);
                        }
                        fields
                    }
                    ServiceFields::Room { room_uuid, user_uuid, role } => {
                        let mut fields = texts(&[room_uuid, user_uuid]);
                        fields.extend(role.to_le_bytes());
                        fields
                    }
                    ServiceFields::None {} => Vec::new(),
                };
                let privileges: Vec<_> =
                    service.privileges.iter().map(|(key, expiry)| (*key, *expiry)).collect();
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

    /// Encodes permissions, which are only in tokens of other servers.
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
