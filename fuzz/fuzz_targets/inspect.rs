//! Any token is either parsed or refused. The parsed content of a JWT equals its parts. The parsed content of an Agora
//! token can be written again, with the same bytes.
//!
//! The first byte selects the format of the rest: `=` any text, `7` the content of a 007 token, `z` the compressed
//! content of a 007 token, `6` the content of a 006 token, `j` a JWT's header, claims and signature, each on its own line.

#![no_main]

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use roompass::inspect::{AgoraService, AgoraToken, Inspected, Name, Permission, read};
use roompass_fuzz::APP_ID;
use serde_json::{Map, Value};

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    match kind {
        b'7' if rest.len() <= usize::from(u16::MAX) => {
            if let Some(token) = agora(&format!("007{}", BASE64_STANDARD.encode(packed(rest)))) {
                must_be_written_again(&token, rest);
            }
        }
        b'z' => {
            agora(&format!("007{}", BASE64_STANDARD.encode(rest)));
        }
        b'6' => {
            if let Some(token) = agora(&format!("006{APP_ID}{}", BASE64_STANDARD.encode(rest))) {
                must_be_006(&token, rest);
            }
        }
        b'j' => must_be_a_jwt(rest),
        _ => {
            if let Ok(text) = str::from_utf8(rest) {
                must_be_read_or_refused(text);
            }
        }
    }
});

/// Asserts that a string is parsed, or refused in one line that doesn't contain it.
fn must_be_read_or_refused(text: &str) -> Option<Inspected> {
    match read(text) {
        Ok(token) => Some(token),
        Err(refused) => {
            let line = refused.to_string();
            assert!(line.is_ascii() && !line.contains('\n'));
            None
        }
    }
}

fn agora(text: &str) -> Option<AgoraToken> {
    match must_be_read_or_refused(text)? {
        Inspected::Agora(token) => {
            for service in &token.services {
                assert!(!service.name().is_empty());
                for privilege in &service.privileges {
                    let _ = service.privilege_name(privilege.number);
                }
                for name in [&service.channel, &service.user].into_iter().flatten() {
                    let wildcard =
                        matches!(name, Name::Known(name) if name.contains('*') || name.trim().is_empty());
                    assert!(
                        !wildcard || (name.is_any_channel() && name.is_any_user()) || !is_plain(name),
                        "{name:?}"
                    );
                }
            }
            Some(token)
        }
        Inspected::Jwt(_) => panic!("the input begins with an Agora version"),
    }
}

/// Whether the only white space that the name can contain is ASCII.
fn is_plain(name: &Name) -> bool {
    matches!(name, Name::Known(name) if name.is_ascii())
}

/// Asserts that the content of a 007 token is the same after it is parsed and written. If the input has redundant
/// bytes, the parsed content is the same.
fn must_be_written_again(token: &AgoraToken, content: &[u8]) {
    let written = written(token, &content[..34]);
    if token.services.iter().all(|service| service.permissions.is_empty() && service.name() != "rtm2") {
        assert_eq!(written, content);
    }
    let again = agora(&format!("007{}", BASE64_STANDARD.encode(packed(&written))));
    assert_eq!(again.as_ref(), Some(token));
}

fn written(token: &AgoraToken, signature: &[u8]) -> Vec<u8> {
    let seconds =
        |end: u64, since: u64| u32::try_from(end - since).expect("parsed from 32 bits").to_le_bytes();
    let count = |count: usize| u16::try_from(count).expect("parsed from 16 bits").to_le_bytes();
    let mut out = signature.to_vec();
    let put = |out: &mut Vec<u8>, text: &str| {
        out.extend(count(text.len()));
        out.extend(text.bytes());
    };
    put(&mut out, &token.app_id);
    out.extend(u32::try_from(token.issued).expect("32 bits").to_le_bytes());
    out.extend(seconds(token.ends.expect("a 007 token ends"), token.issued));
    out.extend(token.salt.to_le_bytes());
    out.extend(count(token.services.len()));
    for AgoraService { kind, channel, user, role, permissions, privileges } in &token.services {
        out.extend(kind.to_le_bytes());
        out.extend(count(privileges.len()));
        for privilege in privileges {
            out.extend(privilege.number.to_le_bytes());
            out.extend(privilege.ends.map_or([0; 4], |end| seconds(end, token.issued)));
        }
        for name in [channel, user].into_iter().flatten() {
            let Name::Known(name) = name else { panic!("a 007 token holds names") };
            put(&mut out, name);
        }
        out.extend(role.iter().flat_map(|role| role.to_le_bytes()));
        if *kind == 8 {
            out.extend(count(permissions.len()));
            for Permission { resource, number, names } in permissions {
                out.extend(resource.to_le_bytes());
                out.extend(count(1));
                out.extend(number.to_le_bytes());
                out.extend(count(names.len()));
                names.iter().for_each(|name| put(&mut out, name));
            }
        }
    }
    out
}

/// Asserts that the fields of a 006 token are at their known offsets.
fn must_be_006(token: &AgoraToken, content: &[u8]) {
    let at = |place: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| content[place + byte]));
    assert_eq!((token.version, token.app_id.as_str()), ("006", APP_ID));
    let [service] = &token.services[..] else { panic!("a 006 token is for one service") };
    let (first, second) = (Some(Name::Checksum(at(34))), Some(Name::Checksum(at(38))));
    let names = if service.name() == "rtm" { (None, first) } else { (first, second) };
    assert_eq!((&service.channel, &service.user), (&names.0, &names.1));
    assert_eq!((token.salt, token.issued), (at(44), u64::from(at(48).saturating_sub(86_400))));
    assert_eq!(content.len(), 54 + 6 * service.privileges.len());
}

fn must_be_a_jwt(parts: &[u8]) {
    let mut lines = parts.splitn(3, |byte| *byte == b'\n');
    let parts = [lines.next(), lines.next(), lines.next()].map(Option::unwrap_or_default);
    let text = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let Some(token) = must_be_read_or_refused(&text) else { return };
    let Inspected::Jwt(token) = token else { panic!("the input is a JWT") };
    let object =
        |part: &[u8]| serde_json::from_slice::<Map<String, Value>>(part).expect("an accepted part is JSON");
    assert_eq!(token.claims, object(parts[1]));
    let algorithm = object(parts[0])["alg"].as_str().expect("the header has an algorithm").to_owned();
    assert!(algorithm != "none" && !parts[2].is_empty());
    for claim in ["exp", "nbf", "iat"] {
        let _ = token.time(claim);
    }
    let _ = token.is_for_livekit();
}

/// zlib without compression, as one stored block.
fn packed(content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len()).expect("one block holds it");
    let (a, b) = content.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend(size.to_le_bytes());
    out.extend((!size).to_le_bytes());
    out.extend(content);
    out.extend((b << 16 | a).to_be_bytes());
    out
}
