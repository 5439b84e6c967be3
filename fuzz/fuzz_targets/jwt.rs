//! With any request headers, a caller is authenticated only by a token with the issuer's signature and valid claims, or
//! by a configured API key. A second implementation checks signatures by a shared secret.
//!
//! The first byte selects how the rest is presented (`Shown`). The second selects whether the rest is a token's header
//! and claims, each on its own line, or changes to a valid token.

#![no_main]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use libfuzzer_sys::fuzz_target;
use roompass::auth::{ApiKeyHash, AuthError, Caller, CallerKeys, Callers};
use roompass::config::Config;
use roompass::keys::Keys;
use roompass_fuzz::{at, signing_keys, value, wait_for};
use serde_json::{Map, Value, json};
use sha2::Sha256;

fuzz_target!(|input: &[u8]| {
    let [how, form, rest @ ..] = input else { return };
    let shown = Shown::ALL[usize::from(how.wrapping_sub(b'0')) % Shown::ALL.len()];
    let issuer = &*ISSUER;
    let (name, value) = match shown {
        Shown::Text => ("authorization", rest.to_vec()),
        Shown::Key => ("x-api-key", rest.to_vec()),
        _ => {
            let Some((header, claims)) = parts(*form, rest, shown) else { return };
            let token = issuer.token(shown, &header, &claims, rest);
            ("authorization", [b"Bearer ", token.as_bytes()].concat())
        }
    };
    let Ok(value) = HeaderValue::from_bytes(&value) else { return };
    let mut head = head();
    head.headers.insert(name, value.clone());
    match wait_for(issuer.callers.identify(&head, &issuer.keys, &at(NOW))) {
        Ok(caller) => issuer.must_be_known(&caller, value.as_bytes(), shown),
        Err(AuthError::Refused(_) | AuthError::NoCredential(_)) => {
            assert!(!is_plainly_good(shown, *form, rest))
        }
        Err(other) => panic!("{other}"),
    }
});

/// How a credential is presented.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Any text in `Authorization`.
    Text,
    /// A token, signed with the shared secret.
    BySecret,
    /// A token, signed with a similar secret.
    ByNearSecret,
    /// A token, signed with the other issuer's public key as the secret.
    ByPublicKey,
    /// A token, signed with the key of the issuer that has a key set.
    ByKey,
    /// A token, signed with another key.
    ByOtherKey,
    /// A token without a signature.
    Unsigned,
    /// A token, signed with the shared secret, with one bit changed.
    Changed,
    /// A token, signed with the issuer's key, with one bit changed.
    ChangedByKey,
    /// Any text in `X-API-Key`.
    Key,
}

impl Shown {
    const ALL: [Self; 10] = [
        Self::Text,
        Self::BySecret,
        Self::ByNearSecret,
        Self::ByPublicKey,
        Self::ByKey,
        Self::ByOtherKey,
        Self::Unsigned,
        Self::Changed,
        Self::ChangedByKey,
        Self::Key,
    ];

    fn is_by_key(self) -> bool {
        matches!(self, Self::ByKey | Self::ByOtherKey | Self::ChangedByKey)
    }
}

/// A header and claims.
fn parts(form: u8, rest: &[u8], shown: Shown) -> Option<(Vec<u8>, Vec<u8>)> {
    if is_text(form) {
        let mut lines = rest.splitn(2, |byte| *byte == b'\n');
        return Some((lines.next()?.to_vec(), lines.next()?.to_vec()));
    }
    let mut bytes = Unstructured::new(rest);
    let mut changed = |mut good: Value, names: &[&str]| {
        let members = good.as_object_mut()?;
        for _ in 0..bytes.int_in_range(0..=3).ok()? {
            let name = *bytes.choose(names).ok()?;
            match bytes.ratio(1, 6).ok()? {
                true => members.remove(name),
                false => members.insert(name.to_owned(), value(&mut bytes, &WORDS, 2).ok()?),
            };
        }
        Some(good.to_string().into_bytes())
    };
    let header = changed(good_header(shown), &HEADER)?;
    Some((header, changed(good_claims(shown), &CLAIMS)?))
}

fn is_text(form: u8) -> bool {
    form & 1 == 0
}

fn good_header(shown: Shown) -> Value {
    json!({"alg": if shown.is_by_key() { "ES256" } else { "HS256" }, "kid": "key", "typ": "JWT"})
}

fn good_claims(shown: Shown) -> Value {
    let issuer = if shown.is_by_key() { ISSUER.url.as_str() } else { SHARING };
    json!({"iss": issuer, "aud": "calls", "sub": "ada", "exp": NOW + 600, "iat": NOW})
}

/// A valid header and valid claims.
fn is_plainly_good(shown: Shown, form: u8, rest: &[u8]) -> bool {
    let good = format!("{}\n{}", good_header(shown), good_claims(shown));
    matches!(shown, Shown::BySecret | Shown::ByKey) && is_text(form) && rest == good.as_bytes()
}

/// The issuers' keys, and the verifier.
struct Issuer {
    callers: Callers,
    keys: Keys,
    url: String,
    pair: EcdsaKeyPair,
    other: EcdsaKeyPair,
}

impl Issuer {
    fn token(&self, shown: Shown, header: &[u8], claims: &[u8], rest: &[u8]) -> String {
        let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let by = |pair: &EcdsaKeyPair| {
            let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
            signature.as_ref().to_vec()
        };
        let signature = match shown {
            Shown::BySecret | Shown::Changed => hs256(SECRET.as_bytes(), &signed),
            Shown::ByNearSecret => {
                let near = [&SECRET[1..], "SHARED", "", &SECRET.to_uppercase(), &format!("{SECRET}\n")]
                    [rest.len() % 5]
                    .to_owned();
                hs256(near.as_bytes(), &signed)
            }
            Shown::ByPublicKey => hs256(self.pair.public_key().as_ref(), &signed),
            Shown::ByKey | Shown::ChangedByKey => by(&self.pair),
            Shown::ByOtherKey => by(&self.other),
            Shown::Unsigned | Shown::Text | Shown::Key => Vec::new(),
        };
        let mut token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into_bytes();
        if let (Shown::Changed | Shown::ChangedByKey, [.., high, low, bit]) = (shown, rest) {
            let at = usize::from(u16::from_be_bytes([*high, *low])) % token.len();
            token[at] ^= 1 << (bit % 7);
        }
        String::from_utf8_lossy(&token).into_owned()
    }

    /// Asserts that this credential authenticates this caller.
    fn must_be_known(&self, caller: &Caller, value: &[u8], shown: Shown) {
        let value = str::from_utf8(value).expect("a credential is plain text");
        if caller.name == "backend" {
            let key = value.split_once([' ', '\t']).map_or(value, |(_, key)| key.trim_start_matches(' '));
            assert!(key == API_KEY || value == API_KEY, "{value:?} is no key");
            return;
        }
        let token = value.split_once(' ').map(|(_, token)| token.trim_start_matches(' ')).expect("a bearer");
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("a signature");
        let issuer = match caller.name.as_str() {
            "sharing" => {
                assert_eq!(signature, hs256(SECRET.as_bytes(), signed), "it is not signed with the secret");
                SHARING
            }
            "signing" => {
                // Each ECDSA signature has a second valid form, so only the signed part must be unchanged.
                assert!(
                    shown == Shown::ByKey || shown == Shown::ChangedByKey,
                    "it is not signed with the key"
                );
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
                key.verify(signed.as_bytes(), &signature).expect("signed with the key");
                &self.url
            }
            other => panic!("{other} is no caller"),
        };
        must_fit(caller, signed, issuer);
    }
}

/// Asserts that a token meets the caller's configuration.
fn must_fit(caller: &Caller, signed: &str, issuer: &str) {
    let object = |part: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64");
        serde_json::from_slice::<Map<String, Value>>(&bytes).expect("an object")
    };
    let (header, claims) = signed.split_once('.').expect("a header and claims");
    let (header, claims) = (object(header), object(claims));
    assert_eq!(header["alg"], if issuer == SHARING { "HS256" } else { "ES256" });
    assert!(!header.contains_key("crit") && !header.contains_key("b64"));
    assert_eq!(claims["iss"], issuer);
    let ours = |one: &Value| one == "calls" || (one == "more" && issuer == SIGNING);
    let audience = &claims["aud"];
    assert!(ours(audience) || audience.as_array().is_some_and(|all| all.iter().any(ours)));
    let time = |claim: &str| claims.get(claim).map(|time| time.as_f64().expect("a number"));
    #[expect(clippy::cast_precision_loss, reason = "the time is a small number")]
    let now = NOW as f64;
    assert!(time("exp").expect("the token has an expiry") > now - 61.0, "an expired token was accepted");
    assert!(
        ["nbf", "iat"].into_iter().filter_map(time).all(|begins| begins < now + 61.0),
        "it begins in the future"
    );
    assert_eq!(caller.subject.as_deref(), claims["sub"].as_str());
    assert!(caller.subject.as_ref().is_some_and(|subject| !subject.is_empty()));
    assert_eq!((caller.issuer.as_deref(), &caller.claims), (Some(issuer), &claims));
}

fn hs256(secret: &[u8], signed: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn head() -> Parts {
    Request::new(()).into_parts().0
}

/// Serves the key set on the loopback interface until the process ends.
static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let [pair, other] =
        [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let [x, y] = [x, y].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "key", "x": x, "y": y}]}).to_string();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let place = listener.local_addr().expect("the listener has an address");
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4_096]);
            let size = set.len();
            let _ = write!(
                connection,
                "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{set}"
            );
        }
    });
    let config = format!(
        r#"
        [[caller]]
        name = "sharing"
        kind = "jwt"
        issuer = "{SHARING}"
        audience = "calls"
        algorithms = ["HS256"]
        secret = "SHARED"

        [[caller]]
        name = "signing"
        kind = "jwt"
        issuer = "{SIGNING}"
        audience = ["calls", "more"]
        algorithms = ["ES256"]
        jwks_url = "http://{place}/keys"

        [[caller]]
        name = "backend"
        kind = "api-key"
        "#
    );
    let config = Config::parse(&config, "fuzz.toml").expect("a valid policy");
    let stored = json!({ "backend": ApiKeyHash::of(API_KEY).to_string() });
    let members = json!({ "SHARED": SECRET, "ROOMPASS_API_KEYS": stored });
    let members = members.as_object().expect("an object");
    let keys = CallerKeys::read(members, &[], &roompass::config::shared_secrets(&config));
    Issuer {
        callers: Callers::new(config.callers),
        keys: Keys::given(signing_keys(), keys),
        url: SIGNING.into(),
        pair,
        other,
    }
});

const NOW: u64 = 1_800_000_000;
const SHARING: &str = "https://sharing.example";
const SIGNING: &str = "https://signing.example";
const SECRET: &str = "a secret of thirty-two bytes, or more";
const API_KEY: &str = "rpk_0123456789abcdefghjkmnpqrstvwxyz01234567";
const HEADER: [&str; 8] = ["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c"];
const CLAIMS: [&str; 9] = ["iss", "aud", "sub", "exp", "nbf", "iat", "azp", "team", "claims"];
const WORDS: [&str; 20] = [
    SHARING,
    SIGNING,
    "calls",
    "more",
    "ada",
    "HS256",
    "ES256",
    "RS256",
    "none",
    "None",
    "HS512",
    "JWT",
    "at+jwt",
    "key",
    "other",
    "exp",
    "b64",
    "jwk",
    "1800000600",
    "",
];
