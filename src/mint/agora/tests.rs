use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use miniz_oxide::inflate::decompress_to_vec_zlib;
use serde::Deserialize;

use super::*;
use crate::domain::{Identity, Limits, Randomness, RoomName};

/// A test vector, from `tests/vectors`.
#[derive(Deserialize)]
pub(super) struct Vector {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) version: String,
    app_id: String,
    app_certificate: String,
    pub(super) channel: Option<String>,
    uid: Option<u32>,
    account: Option<String>,
    role: Option<String>,
    pub(super) issue_ts: Option<u32>,
    pub(super) ts_field: Option<u32>,
    pub(super) salt: u32,
    pub(super) expire: Option<u32>,
    privilege_expire: serde_json::Value,
    #[serde(default)]
    privileges: BTreeMap<u16, u32>,
    #[serde(default)]
    pub(super) services: Vec<VectorService>,
    pub(super) expected: String,
    payload_hex: String,
}

#[derive(Deserialize)]
pub(super) struct VectorService {
    #[serde(rename = "type")]
    pub(super) kind: u16,
    pub(super) privileges: BTreeMap<u16, u32>,
    #[serde(flatten)]
    pub(super) fields: ServiceFields,
}

pub(super) type Permissions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ServiceFields {
    Channel {
        channel: String,
        #[serde(alias = "uid", alias = "account")]
        user: String,
    },
    User {
        user_id: String,
        permissions: Option<Permissions>,
    },
    Room {
        room_uuid: String,
        user_uuid: String,
        role: i16,
    },
    None {},
}

impl Vector {
    /// The user as the official builders encode it: user 0 is an empty string.
    pub(super) fn user(&self) -> String {
        match (self.uid, &self.account) {
            (Some(0), _) | (None, None) => String::new(),
            (Some(uid), _) => uid.to_string(),
            (None, Some(account)) => account.clone(),
        }
    }

    pub(super) fn privileges(&self) -> Vec<(u16, u32)> {
        self.privileges.iter().map(|(privilege, end)| (*privilege, *end)).collect()
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&self.payload_hex[at..at + 2], 16).unwrap();
        (0..self.payload_hex.len()).step_by(2).map(digit).collect()
    }
}

pub(super) fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../tests/vectors/agora.json")).unwrap()
}

pub(super) fn keys(vector: &Vector) -> AgoraKeys {
    AgoraKeys::new(vector.app_id.clone(), vector.app_certificate.clone()).unwrap()
}

pub(super) fn issued(keys: &AgoraKeys, at: u32, salt: u32) -> Issue<'_> {
    Issue { keys, at, salt }
}

fn pass(room: &str, identity: &str, grants: Grants, seconds: u64) -> Pass {
    let room = RoomName::parse(room, &Limits::default()).unwrap();
    let room = RoomPass {
        room,
        name: None,
        metadata: None,
        attributes: None,
        room_config: None,
        agora_uid_zero: false,
        grants,
    };
    of(identity, seconds, Access::Room(Box::new(room)))
}

/// The same pass for uid 0, which its rule allows.
fn with_uid_zero(pass: Pass) -> Pass {
    let Access::Room(room) = pass.access else { panic!("a login has no uid 0") };
    Pass { access: Access::Room(Box::new(RoomPass { agora_uid_zero: true, ..*room })), ..pass }
}

fn login(identity: &str, seconds: u64) -> Pass {
    of(identity, seconds, Access::Login(LoginService::Rtm))
}

fn of(identity: &str, seconds: u64, access: Access) -> Pass {
    Pass {
        caller: "anyone".into(),
        rule: "open".into(),
        project: crate::domain::Project::default(),
        identity: Identity::parse(identity, &Limits::default()).unwrap(),
        ttl: ttl(seconds),
        access,
    }
}

type Minted = Result<Token, MintError>;

fn rtc(pass: &Pass, version: TokenVersion, keys: &AgoraKeys, now: u64, randomness: Randomness) -> Minted {
    token(std::slice::from_ref(pass), version, keys, &Context { now, randomness })
}

fn rtm(login: &Pass, version: TokenVersion, keys: &AgoraKeys, now: u64, randomness: Randomness) -> Minted {
    token(std::slice::from_ref(login), version, keys, &Context { now, randomness })
}

fn chat_user(login: &Pass, keys: &AgoraKeys, now: u64, randomness: Randomness) -> Minted {
    let login = Pass { access: Access::Login(LoginService::Chat), ..login.clone() };
    token(&[login], TokenVersion::V006, keys, &Context { now, randomness })
}

fn rtc_and_rtm(pass: &Pass, login: &Pass, keys: &AgoraKeys, now: u64, randomness: Randomness) -> Minted {
    token(&[pass.clone(), login.clone()], TokenVersion::V007, keys, &Context { now, randomness })
}

fn ttl(seconds: u64) -> Ttl {
    Ttl::seconds(seconds).unwrap()
}

fn may_publish(may: bool) -> Grants {
    Grants { can_publish: Some(may), ..Grants::default() }
}

thread_local! {
    static SALT: Cell<u32> = const { Cell::new(0) };
}

fn pinned(bytes: &mut [u8]) {
    bytes.copy_from_slice(&SALT.get().to_le_bytes());
}

fn inflated(token: &Token) -> Vec<u8> {
    use base64::Engine;
    let packed = base64::prelude::BASE64_STANDARD.decode(token.expose().strip_prefix("007").unwrap());
    decompress_to_vec_zlib(&packed.unwrap()).unwrap()
}

/// Skips vectors with a lifetime over a day, or with several lifetimes.
#[test]
fn each_test_vector_that_a_policy_can_grant_is_reproduced_from_a_pass() {
    let mut refused = Vec::new();
    let mut same = 0;
    for vector in vectors() {
        let one_expiry = vector.version == "006" || vector.privilege_expire == vector.expire.unwrap();
        let lifetime = match (&*vector.version, vector.issue_ts) {
            ("006", Some(at)) => vector.privilege_expire.as_u64().unwrap().checked_sub(at.into()),
            ("006", None) => None,
            _ => vector.expire.map(u64::from),
        };
        let lifetime = lifetime.filter(|seconds| one_expiry && (1..=86_400).contains(seconds));
        let Some(lifetime) = lifetime else { continue };
        let now = vector.issue_ts.unwrap().into();
        let keys = keys(&vector);
        let grants = may_publish(vector.role.as_deref() == Some("publisher"));
        let user = vector.uid.map(|uid| uid.to_string()).or(vector.account.clone()).unwrap_or_default();
        let version = if vector.version == "006" { TokenVersion::V006 } else { TokenVersion::V007 };
        SALT.set(vector.salt);
        let token = match &*vector.kind {
            "rtc_uid" | "rtc_account" => {
                let pass = pass(vector.channel.as_deref().unwrap(), &user, grants, lifetime);
                let pass = if vector.uid == Some(0) { with_uid_zero(pass) } else { pass };
                rtc(&pass, version, &keys, now, pinned)
            }
            "rtm" => rtm(&login(&user, lifetime), version, &keys, now, pinned),
            "chat_user" => chat_user(&login(&user, lifetime), &keys, now, pinned),
            "rtc_rtm" => {
                let pass = pass(vector.channel.as_deref().unwrap(), &user, grants, lifetime);
                rtc_and_rtm(&pass, &login(&user, lifetime + 1), &keys, now, pinned)
            }
            _ => continue,
        };
        match (token, version) {
            (Ok(token), TokenVersion::V006) => {
                assert_eq!(token.expose(), vector.expected, "{}", vector.id);
            }
            (Ok(token), TokenVersion::V007) => {
                assert_eq!(inflated(&token), vector.payload(), "{}", vector.id);
            }
            (Err(_), _) => {
                refused.push(vector.id);
                continue;
            }
        }
        same += 1;
    }
    assert_eq!(
        refused,
        [
            "gen-007-09-rtc_uid",     // channel *
            "gen-006-10-rtc_account", // account 0
            "gen-006-12-rtc_account", // characters that Agora doesn't allow
        ]
    );
    assert_eq!(same, 20);
}

#[test]
fn a_version_is_006_or_007() {
    let version = |text: &str| serde_json::from_str::<TokenVersion>(text);
    assert_eq!(version("\"007\"").unwrap(), TokenVersion::V007);
    assert_eq!(version("\"006\"").unwrap(), TokenVersion::V006);
    assert!(version("\"005\"").is_err());
}

#[test]
fn grants_become_exactly_these_privileges() {
    let of = |grants: Grants| rtc_privileges(&grants).unwrap();
    assert_eq!(of(Grants::default()), [1, 2, 3, 4]);
    assert_eq!(of(may_publish(true)), [1, 2, 3, 4]);
    assert_eq!(of(may_publish(false)), [1]);
    assert_eq!(of(Grants { can_publish_data: Some(false), ..Grants::default() }), [1, 2, 3]);
    assert_eq!(of(Grants { can_publish_data: Some(true), ..may_publish(false) }), [1]);
    let sources =
        |sources: &[TrackSource]| Grants { can_publish_sources: sources.to_vec(), ..Grants::default() };
    assert_eq!(of(sources(&[TrackSource::Microphone])), [1, 2, 4]);
    assert_eq!(of(sources(&[TrackSource::ScreenShareAudio])), [1, 2, 4]);
    assert_eq!(of(sources(&[TrackSource::Camera])), [1, 3, 4]);
    assert_eq!(of(sources(&[TrackSource::ScreenShare, TrackSource::Microphone])), [1, 2, 3, 4]);
    let cannot_subscribe = Grants { can_subscribe: Some(false), ..Grants::default() };
    assert_eq!(rtc_privileges(&cannot_subscribe), Err(MintError::Unenforceable("can_subscribe")));
}

#[test]
fn a_wildcard_is_not_signed() {
    let keys = keys(&vectors()[0]);
    let assert_refused = |room: &str, identity: &str| {
        let pass = pass(room, identity, Grants::default(), 60);
        let login = login(identity, 60);
        let minted = [
            rtc(&pass, TokenVersion::V007, &keys, 1, crate::system::randomness),
            rtc(&pass, TokenVersion::V006, &keys, 1, crate::system::randomness),
            rtc_and_rtm(&pass, &login, &keys, 1, crate::system::randomness),
        ];
        for minted in minted {
            assert!(matches!(minted, Err(MintError::NotForAgora(_))), "{room:?} {identity:?}");
        }
    };
    for wild in ["*", " ", "room*", "a/b", "é"] {
        assert_refused(wild, "ada");
    }
    for wild in ["0", "00", "*", " ", "ada*"] {
        assert_refused("room", wild);
        for minted in [
            rtm(&login(wild, 60), TokenVersion::V007, &keys, 1, crate::system::randomness),
            rtm(&login(wild, 60), TokenVersion::V006, &keys, 1, crate::system::randomness),
            chat_user(&login(wild, 60), &keys, 1, crate::system::randomness),
        ] {
            assert!(matches!(minted, Err(MintError::NotForAgora(_))), "{wild:?}");
        }
    }
}

#[test]
fn each_token_has_its_own_salt_which_is_never_0() {
    let keys = keys(&vectors()[0]);
    let pass = pass("room", "ada", Grants::default(), 60);
    let tokens: HashSet<_> = (0..100)
        .map(|_| {
            rtc(&pass, TokenVersion::V007, &keys, 1, crate::system::randomness).unwrap().expose().to_owned()
        })
        .collect();
    assert_eq!(tokens.len(), 100);
    assert_eq!(Issue::new(&keys, &Context { now: 1, randomness: |bytes| bytes.fill(0) }).unwrap().salt, 1);
}

#[test]
fn a_time_out_of_range_is_not_signed() {
    let keys = keys(&vectors()[0]);
    for (now, possible) in [(0, true), (4_294_880_895, true), (4_294_880_896, false), (u64::MAX, false)] {
        let token = rtm(&login("ada", 86_400), TokenVersion::V006, &keys, now, crate::system::randomness);
        assert_eq!(token.is_ok(), possible, "{now}");
    }
}
