use base64::prelude::BASE64_STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::agora::TokenVersion;
use crate::domain::{
    Access, Context, Grants, Identity, Limits, LoginService, Pass, Provider, RoomName, RoomPass, ServerUrl,
    Ttl,
};
use crate::keys::{AgoraKeys, Deployment, LiveKitKeys, SigningKeys};
use crate::mint::agora::crc32;
use crate::mint::{self, Settings};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../../tests/vectors/agora.json")).unwrap()
}

fn agora(text: &str) -> AgoraToken {
    match read(text).unwrap() {
        Inspected::Agora(token) => token,
        Inspected::Jwt(_) => panic!("{text}"),
    }
}

fn known(name: Option<&Name>) -> Value {
    match name {
        Some(Name::Known(name)) => name.as_str().into(),
        Some(Name::Checksum(_)) => panic!("a 007 token holds names"),
        None => Value::Null,
    }
}

/// A service in the format of the test vectors, where an expiry is relative to the time of issue.
fn as_in_vectors(service: &AgoraService, issued: u64) -> Value {
    let expiry = |privilege: &Privilege| privilege.ends.map_or(0, |end| end - issued);
    let privileges: Map<_, _> = service
        .privileges
        .iter()
        .map(|privilege| (privilege.number.to_string(), expiry(privilege).into()))
        .collect();
    let mut object = json!({"type": service.kind, "name": service.name(), "privileges": privileges});
    let (channel, user) = match service.name() {
        "rtc" => ("channel", "uid"),
        "apaas" => ("room_uuid", "user_uuid"),
        "streaming" | "fcdn" => ("channel", "account"),
        _ => ("", "user_id"),
    };
    for (name, value) in [(channel, &service.channel), (user, &service.user)] {
        if value.is_some() {
            object[name] = known(value.as_ref());
        }
    }
    if let Some(role) = service.role {
        object["role"] = role.into();
    }
    for Permission { resource, number, names } in &service.permissions {
        object["permissions"][resource.to_string()][number.to_string()] = names.clone().into();
    }
    object
}

#[test]
fn each_test_vector_is_decoded_to_its_input() {
    for vector in vectors() {
        let token = agora(vector["expected"].as_str().unwrap());
        assert_eq!(vector["app_id"], token.app_id, "{vector}");
        assert_eq!(vector["salt"], token.salt, "{vector}");
        assert_eq!(vector["version"], token.version, "{vector}");
        if token.version == "007" {
            assert_eq!(vector["issue_ts"], token.issued, "{vector}");
            assert_eq!(vector["expire"], token.ends.unwrap() - token.issued, "{vector}");
            let services: Vec<_> =
                token.services.iter().map(|service| as_in_vectors(service, token.issued)).collect();
            assert_eq!(vector["services"], Value::from(services), "{vector}");
        } else {
            assert_eq!(vector["ts_field"], token.issued + 86_400, "{vector}");
            let end = vector["privilege_expire"].as_u64().filter(|end| *end != 0);
            assert_eq!(token.ends, end, "{vector}");
            let [service] = &token.services[..] else { panic!("{vector}") };
            let is_rtm = vector["kind"] == "rtm";
            assert_eq!(service.name(), if is_rtm { "rtm" } else { "rtc" }, "{vector}");
            assert_eq!(service.channel.is_none(), is_rtm);
            let any_user = vector["uid"] == 0;
            assert_eq!(service.user.as_ref().unwrap().is_any_user(), any_user, "{vector}");
            assert_eq!(vector["privileges"], as_in_vectors(&without_names(service), 0)["privileges"]);
        }
    }
}

fn without_names(service: &AgoraService) -> AgoraService {
    AgoraService { channel: None, user: None, ..service.clone() }
}

#[test]
fn each_privilege_in_the_test_vectors_has_a_name() {
    for vector in vectors() {
        for service in agora(vector["expected"].as_str().unwrap()).services {
            for Privilege { number, .. } in &service.privileges {
                assert!(service.privilege_name(*number).is_some(), "{service:?}");
            }
            assert!(service.permissions.iter().all(|permission| permission.name().is_some()));
            assert!(service.permissions.iter().all(|permission| permission.resource_name().is_some()));
        }
    }
}

#[test]
fn a_wildcard_is_detected() {
    let name = |text: &str| Name::Known(text.to_owned());
    for any in ["", " ", "*", "room*"] {
        assert!(name(any).is_any_channel() && name(any).is_any_user(), "{any:?}");
    }
    assert!(name("0").is_any_user() && !name("0").is_any_channel());
    assert!(!name("ada").is_any_user() && !name("ada").is_any_channel());
    assert!(Name::Checksum(0).is_any_user() && !Name::Checksum(1).is_any_channel());
}

fn keys() -> AgoraKeys {
    AgoraKeys::new("970CA35de60c44645bbae8a215061b33".into(), "5CFd2fd1755d40ecb72977518be15d3b".into())
        .unwrap()
}

fn pass(room: &str, identity: &str, may_publish: bool, seconds: u64) -> Pass {
    let room = RoomPass {
        room: RoomName::parse(room, &Limits::default()).unwrap(),
        name: None,
        metadata: None,
        attributes: None,
        room_config: None,
        agora_uid_zero: false,
        grants: Grants { can_publish: Some(may_publish), ..Grants::default() },
    };
    Pass { access: Access::Room(Box::new(room)), ..login(LoginService::Rtm, identity, seconds) }
}

fn login(service: LoginService, identity: &str, seconds: u64) -> Pass {
    Pass {
        caller: "anyone".into(),
        rule: "open".into(),
        project: crate::domain::Project::default(),
        identity: Identity::parse(identity, &Limits::default()).unwrap(),
        ttl: Ttl::seconds(seconds).unwrap(),
        access: Access::Login(service),
    }
}

/// The token that the server would issue for these passes.
fn minted(passes: &[Pass], agora_version: TokenVersion, keys: &SigningKeys, now: u64) -> String {
    let provider = if keys.agora().is_ok() { Provider::Agora } else { Provider::LiveKit };
    let settings = Settings { limits: Limits::default(), agora_version };
    let context = Context { now, randomness: crate::system::randomness };
    mint::token(passes, provider, keys, &settings, &context).unwrap().expose().to_owned()
}

/// A service as the server writes it: all privileges have the same expiry.
fn service(kind: u16, channel: Option<&str>, user: &str, privileges: &[u16], end: u64) -> AgoraService {
    let name = |text: &str| Name::Known(text.to_owned());
    AgoraService {
        kind,
        channel: channel.map(name),
        user: Some(name(user)),
        role: None,
        permissions: Vec::new(),
        privileges: privileges.iter().map(|&number| Privilege { number, ends: Some(end) }).collect(),
    }
}

const NAME: &str = "[a-zA-Z0-9 !#$%&()+:;<=.>?@\\[\\]^_{}|~,-]{1,64}";

proptest! {
    #[test]
    fn an_issued_token_is_decoded_to_its_passes_and_has_no_wildcard(
        room in NAME, user in NAME, chatter in "[a-z1-9_.-]{1,64}",
        may_publish: bool, seconds in 1_u64..=86_400, now in 0_u64..4_294_000_000,
    ) {
        prop_assume!(!room.trim_matches(' ').is_empty() && !user.trim_matches(['0', ' ']).is_empty());
        let keys = keys();
        let read = |given: &[Pass], version| {
            agora(&minted(given, version, &keys.clone().into(), now))
        };
        let channel = || pass(&room, &user, may_publish, seconds);
        let signaling = || login(LoginService::Rtm, &user, seconds);
        let chat = login(LoginService::Chat, &chatter, seconds);
        let (v007, v006) = (TokenVersion::V007, TokenVersion::V006);
        let end = now + seconds;
        let call: &[u16] = if may_publish { &[1, 2, 3, 4] } else { &[1] };
        let in_call = || service(1, Some(&room), &user, call, end);
        let in_signaling = || service(2, None, &user, &[1], end);
        for (token, services) in [
            (read(&[channel()], v007), vec![in_call()]),
            (read(&[signaling()], v007), vec![in_signaling()]),
            (read(&[channel(), signaling()], v007), vec![in_call(), in_signaling()]),
            (read(&[chat], v006), vec![service(5, None, &chatter, &[1], end)]),
        ] {
            prop_assert!(token.salt != 0);
            let salt = token.salt;
            let app_id = keys.app_id.clone();
            let expected = AgoraToken { version: "007", app_id, issued: now, ends: Some(end), salt, services };
            prop_assert_eq!(&token, &expected);
            prop_assert!(!token.services.iter().any(has_wildcard));
        }
        let checksum = |text: &str| Some(Name::Checksum(crc32(text.as_bytes())));
        for (token, kind, channel, user, privileges) in [
            (read(&[channel()], v006), 1, checksum(&room), checksum(&user), call),
            (read(&[signaling()], v006), 2, None, checksum(&user), &[1000]),
        ] {
            let expected = AgoraService { channel, user, ..service(kind, None, "", privileges, end) };
            prop_assert_eq!((token.issued, token.ends, &token.app_id), (now, Some(end), &keys.app_id));
            prop_assert!(!has_wildcard(&expected));
            prop_assert_eq!(token.services, vec![expected]);
        }
    }

    #[test]
    fn any_text_is_decoded_or_refused(text in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let packed = compress_to_vec_zlib(&bytes, 1);
        let signed: Vec<u8> = [&[32, 0][..], &[7; 32], &bytes].concat();
        let signed_and_packed = compress_to_vec_zlib(&signed, 1);
        for content in [&bytes, &packed, &signed, &signed_and_packed] {
            let content = BASE64_STANDARD.encode(content);
            let _ = read(&format!("007{content}"));
            let _ = read(&format!("006970CA35de60c44645bbae8a215061b33{content}"));
            let _ = read(&format!("{content}.{content}.{content}"));
        }
        for version in ["", "006", "007", "."] {
            let _ = read(&format!("{version}{text}"));
        }
    }
}

fn has_wildcard(service: &AgoraService) -> bool {
    service.channel.as_ref().is_some_and(Name::is_any_channel)
        || service.user.as_ref().is_some_and(Name::is_any_user)
}

fn livekit_token() -> String {
    let server = ServerUrl::parse("wss://x").unwrap();
    let keys = LiveKitKeys::new(
        server,
        "key".into(),
        "a secret of thirty-two bytes or more".into(),
        Deployment::Lambda,
    )
    .unwrap();
    minted(&[pass("room", "ada", true, 60)], TokenVersion::V007, &keys.into(), 1_800_000_000)
}

#[test]
fn livekit_claims_are_decoded() {
    let token = livekit_token();
    let Inspected::Jwt(jwt) = read(&format!(" {token}\n")).unwrap() else { panic!("{token}") };
    assert!(jwt.is_for_livekit());
    assert_eq!(jwt.claims["sub"], "ada");
    assert_eq!(jwt.claims["video"], json!({"roomJoin": true, "room": "room", "canPublish": true}));
    assert!(jwt.time("exp").unwrap() - jwt.time("nbf").unwrap() >= 60);
}

#[test]
fn a_truncated_token_is_refused() {
    let vectors = vectors().into_iter().map(|vector| vector["expected"].as_str().unwrap().to_owned());
    for token in vectors.chain([livekit_token()]) {
        assert!(read(&token).is_ok());
        for length in 0..token.len() {
            assert!(read(&token[..length]).is_err(), "{token} {length}");
        }
        assert!(read(&format!("{token}A")).is_err());
    }
}

#[test]
fn a_decompression_bomb_is_refused() {
    let bomb = compress_to_vec_zlib(&vec![0; 50_000_000], 9);
    let error = read(&format!("007{}", BASE64_STANDARD.encode(bomb))).unwrap_err();
    assert_eq!(error, Unreadable::Agora("the decompressed content is too large"));
}

#[test]
fn an_invalid_token_gets_a_specific_error_that_never_quotes_it() {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, claims) = (part(json!({"alg": "HS256"})), part(json!({"canary": 1})));
    let signature = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    let none = part(json!({"alg": "none"}));
    for (text, message) in [
        (
            "",
            "not a token: a LiveKit token has three dot-separated parts, an Agora token starts with 006 or 007",
        ),
        (
            "canary",
            "not a token: a LiveKit token has three dot-separated parts, an Agora token starts with 006 or 007",
        ),
        (
            "005canary",
            "not a token: a LiveKit token has three dot-separated parts, an Agora token starts with 006 or 007",
        ),
        ("a.b", "invalid LiveKit token: expected three dot-separated parts; the token may be truncated"),
        (
            "canary.b.c",
            "invalid LiveKit token: the header is not a JSON object in base64; the token may be truncated",
        ),
        (
            &format!("{header}.[].{signature}"),
            "invalid LiveKit token: the claims are not a JSON object in base64; the token may be truncated",
        ),
        (
            &format!("{header}.{claims}."),
            "invalid LiveKit token: the signature has the wrong length; the token may be truncated",
        ),
        (
            &format!("{none}.{claims}."),
            "invalid LiveKit token: the header has no signing algorithm; the token may be truncated",
        ),
        ("006canary", "invalid Agora token: the app ID is incomplete; the token may be truncated"),
        ("007canary!", "invalid Agora token: the content is not base64; the token may be truncated"),
        ("007Y2FuYXJ5", "invalid Agora token: the content is not valid zlib; the token may be truncated"),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(
        matches!(read(&format!("{header}.{claims}.{signature}")), Ok(Inspected::Jwt(jwt)) if !jwt.is_for_livekit())
    );
}

#[test]
fn an_unknown_service_is_reported_by_its_number() {
    let mut payload = [&[32, 0][..], &[7; 32], &[0, 0]].concat();
    payload.extend([0; 12]);
    payload.extend([1, 0, 9, 0, 0, 0]);
    let text = format!("007{}", BASE64_STANDARD.encode(compress_to_vec_zlib(&payload, 1)));
    assert_eq!(read(&text), Err(Unreadable::UnknownService(9)));
}
