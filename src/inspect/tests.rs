use base64::prelude::BASE64_STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::agora::TokenVersion;
use crate::domain::{
    Context, Grants, Identity, Limits, LoginService, Opens, Pass, Provider, RoomName, RoomPass, ServerUrl,
    Ttl,
};
use crate::keys::{AgoraKeys, Deployment, LiveKitKeys, SigningKeys};
use crate::mint::{self, Settings, crc32};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../../tests/vectors/agora.json")).unwrap()
}

fn agora(text: &str) -> Agora {
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

/// A service in the words of the known answers, where ends are relative to the token's issue.
fn in_their_words(service: &Service, issued: u64) -> Value {
    let ends = |privilege: &Privilege| privilege.ends.map_or(0, |end| end - issued);
    let privileges: Map<_, _> = service
        .privileges
        .iter()
        .map(|privilege| (privilege.number.to_string(), ends(privilege).into()))
        .collect();
    let mut words = json!({"type": service.kind, "name": service.name(), "privileges": privileges});
    let (channel, user) = match service.name() {
        "rtc" => ("channel", "uid"),
        "apaas" => ("room_uuid", "user_uuid"),
        "streaming" | "fcdn" => ("channel", "account"),
        _ => ("", "user_id"),
    };
    for (name, value) in [(channel, &service.channel), (user, &service.user)] {
        if value.is_some() {
            words[name] = known(value.as_ref());
        }
    }
    if let Some(role) = service.role {
        words["role"] = role.into();
    }
    for Permission { resource, number, names } in &service.permissions {
        words["permissions"][resource.to_string()][number.to_string()] = names.clone().into();
    }
    words
}

#[test]
fn every_known_answer_is_read_as_what_went_into_it() {
    for vector in vectors() {
        let token = agora(vector["expected"].as_str().unwrap());
        assert_eq!(vector["app_id"], token.app_id, "{vector}");
        assert_eq!(vector["salt"], token.salt, "{vector}");
        assert_eq!(vector["version"], token.version, "{vector}");
        if token.version == "007" {
            assert_eq!(vector["issue_ts"], token.issued, "{vector}");
            assert_eq!(vector["expire"], token.ends.unwrap() - token.issued, "{vector}");
            let services: Vec<_> =
                token.services.iter().map(|service| in_their_words(service, token.issued)).collect();
            assert_eq!(vector["services"], Value::from(services), "{vector}");
        } else {
            assert_eq!(vector["ts_field"], token.issued + 86_400, "{vector}");
            let end = vector["privilege_expire"].as_u64().filter(|end| *end != 0);
            assert_eq!(token.ends, end, "{vector}");
            let [service] = &token.services[..] else { panic!("{vector}") };
            let of_rtm = vector["kind"] == "rtm";
            assert_eq!(service.name(), if of_rtm { "rtm" } else { "rtc" }, "{vector}");
            assert_eq!(service.channel.is_none(), of_rtm);
            let any_user = vector["uid"] == 0;
            assert_eq!(service.user.as_ref().unwrap().is_any_user(), any_user, "{vector}");
            assert_eq!(vector["privileges"], in_their_words(&without_names(service), 0)["privileges"]);
        }
    }
}

fn without_names(service: &Service) -> Service {
    Service { channel: None, user: None, ..service.clone() }
}

#[test]
fn every_privilege_of_the_known_answers_has_a_name() {
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
fn a_wildcard_is_told() {
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
        grants: Grants { can_publish: Some(may_publish), ..Grants::default() },
    };
    Pass { opens: Opens::Room(Box::new(room)), ..login(LoginService::Rtm, identity, seconds) }
}

fn login(service: LoginService, identity: &str, seconds: u64) -> Pass {
    Pass {
        caller: "anyone".into(),
        rule: "open".into(),
        identity: Identity::parse(identity, &Limits::default()).unwrap(),
        ttl: Ttl::seconds(seconds).unwrap(),
        opens: Opens::Login(service),
    }
}

/// The token of these passes, as the server would issue it.
fn minted(passes: &[Pass], agora_version: TokenVersion, keys: &SigningKeys, now: u64) -> String {
    let provider = if keys.agora().is_ok() { Provider::Agora } else { Provider::LiveKit };
    let settings = Settings { limits: Limits::default(), agora_version };
    let context = Context { now, randomness: crate::system::randomness };
    mint::token(passes, provider, keys, &settings, &context).unwrap().expose().to_owned()
}

/// What a service of ours holds: its kind, its channel, its user, and its privileges, which end together.
fn service(kind: u16, channel: Option<&str>, user: &str, privileges: &[u16], end: u64) -> Service {
    let name = |text: &str| Name::Known(text.to_owned());
    Service {
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
    fn what_is_built_is_read_and_never_a_wildcard(
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
            let said = Agora { version: "007", app_id, issued: now, ends: Some(end), salt, services };
            prop_assert_eq!(&token, &said);
            prop_assert!(!token.services.iter().any(is_wild));
        }
        let checksum = |text: &str| Some(Name::Checksum(crc32(text.as_bytes())));
        for (token, kind, channel, user, privileges) in [
            (read(&[channel()], v006), 1, checksum(&room), checksum(&user), call),
            (read(&[signaling()], v006), 2, None, checksum(&user), &[1000]),
        ] {
            let said = Service { channel, user, ..service(kind, None, "", privileges, end) };
            prop_assert_eq!((token.issued, token.ends, &token.app_id), (now, Some(end), &keys.app_id));
            prop_assert!(!is_wild(&said));
            prop_assert_eq!(token.services, vec![said]);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
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

fn is_wild(service: &Service) -> bool {
    service.channel.as_ref().is_some_and(Name::is_any_channel)
        || service.user.as_ref().is_some_and(Name::is_any_user)
}

fn of_livekit() -> String {
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
fn livekits_claims_are_read() {
    let token = of_livekit();
    let Inspected::Jwt(jwt) = read(&format!(" {token}\n")).unwrap() else { panic!("{token}") };
    assert!(jwt.is_for_livekit());
    assert_eq!(jwt.claims["sub"], "ada");
    assert_eq!(jwt.claims["video"], json!({"roomJoin": true, "room": "room", "canPublish": true}));
    assert!(jwt.time("exp").unwrap() - jwt.time("nbf").unwrap() >= 60);
}

#[test]
fn a_token_that_was_cut_off_is_refused() {
    let known = vectors().into_iter().map(|vector| vector["expected"].as_str().unwrap().to_owned());
    for token in known.chain([of_livekit()]) {
        assert!(read(&token).is_ok());
        for length in 0..token.len() {
            assert!(read(&token[..length]).is_err(), "{token} {length}");
        }
        assert!(read(&format!("{token}A")).is_err());
    }
}

#[test]
fn a_token_that_inflates_without_end_is_refused() {
    let bomb = compress_to_vec_zlib(&vec![0; 50_000_000], 9);
    let error = read(&format!("007{}", BASE64_STANDARD.encode(bomb))).unwrap_err();
    assert_eq!(error, Unreadable::Agora("content is larger than a token's"));
}

#[test]
fn what_is_no_token_is_told_apart_and_never_quoted() {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, claims) = (part(json!({"alg": "HS256"})), part(json!({"canary": 1})));
    let signature = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    let none = part(json!({"alg": "none"}));
    for (text, message) in [
        (
            "",
            "this is no token: LiveKit's have three parts with dots between them, Agora's begin with 006 or 007",
        ),
        (
            "canary",
            "this is no token: LiveKit's have three parts with dots between them, Agora's begin with 006 or 007",
        ),
        (
            "005canary",
            "this is no token: LiveKit's have three parts with dots between them, Agora's begin with 006 or 007",
        ),
        ("a.b", "this looks like a LiveKit token, and its parts aren't three: it may be truncated"),
        (
            "canary.b.c",
            "this looks like a LiveKit token, and its header is no JSON object in base64: it may be truncated",
        ),
        (
            &format!("{header}.[].{signature}"),
            "this looks like a LiveKit token, and its claims are no JSON object in base64: it may be truncated",
        ),
        (
            &format!("{header}.{claims}."),
            "this looks like a LiveKit token, and its signature has another length: it may be truncated",
        ),
        (
            &format!("{none}.{claims}."),
            "this looks like a LiveKit token, and its header names no algorithm that signs: it may be truncated",
        ),
        ("006canary", "this looks like an Agora token, and its app ID isn't whole: it may be truncated"),
        ("007canary!", "this looks like an Agora token, and its content is no base64: it may be truncated"),
        (
            "007Y2FuYXJ5",
            "this looks like an Agora token, and its content can't be inflated: it may be truncated",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(
        matches!(read(&format!("{header}.{claims}.{signature}")), Ok(Inspected::Jwt(jwt)) if !jwt.is_for_livekit())
    );
}

#[test]
fn a_service_of_the_future_is_named_by_its_number() {
    let mut payload = [&[32, 0][..], &[7; 32], &[0, 0]].concat();
    payload.extend([0; 12]);
    payload.extend([1, 0, 9, 0, 0, 0]);
    let text = format!("007{}", BASE64_STANDARD.encode(compress_to_vec_zlib(&payload, 1)));
    assert_eq!(read(&text), Err(Unreadable::UnknownService(9)));
}
