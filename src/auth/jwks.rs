//! An issuer's key set: fetched when it's needed, fresh for 10 minutes, used for a day while the issuer is unreachable.
//! A key that the set lacks has it fetched again, at most once in 30 seconds, failures counted. A set that is empty or
//! broken never replaces a good one.

use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use axum::http::Uri;
use axum::http::uri::Scheme;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use serde_json::Value;

use super::fetch::{FetchError, Fetcher, Unusable};
use super::{Algorithm, Issuer, KeyPlace};
use crate::domain::Context;
use crate::json;
use crate::refreshing::{Missing, Refresh, Refreshing, Schedule};
use crate::url::has_userinfo;
use roompass_core::caller::safe_url;

/// The cache for one issuer's key set.
#[derive(Debug)]
pub(super) struct KeySet(Refreshing<UsableKeys>);

/// The keys of a set that can verify the issuer's tokens.
#[derive(Debug, Default)]
struct UsableKeys(Vec<Jwk>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKey {
    /// The issuer has no such key for such a signature.
    #[error("the issuer has no such key")]
    Unknown,
    /// Whether it has is unknown now.
    #[error(transparent)]
    Unavailable(#[from] FetchError),
}

impl Default for KeySet {
    fn default() -> Self {
        Self(Refreshing::new(Schedule {
            name: "issuer key",
            refresh_after: FRESH,
            max_age: KEPT,
            retry: BETWEEN_TRIES..=BETWEEN_TRIES,
            retry_missing: BETWEEN_TRIES,
            patience: TIME,
            patience_without: TIME,
        }))
    }
}

impl KeySet {
    /// The key of this name, or the only one for this algorithm where the token names none.
    pub(super) async fn key(
        &self,
        issuer: &Issuer,
        id: Option<&str>,
        algorithm: Algorithm,
        fetcher: &Fetcher,
        context: &Context,
    ) -> Result<DecodingKey, NoKey> {
        let pick = |keys: &mut UsableKeys| keys.find(id, algorithm);
        let got = self.0.get(context, pick, async || fetch(issuer, fetcher).await).await;
        got.map_err(|missing| match missing {
            Missing::Absent => NoKey::Unknown,
            Missing::Failed(error) => NoKey::Unavailable(error),
        })
    }
}

impl Refresh for UsableKeys {
    type Error = FetchError;

    fn replace(&mut self, fetched: Self) -> Result<(), FetchError> {
        *self = fetched;
        Ok(())
    }
}

impl UsableKeys {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| fits(key, algorithm));
        let key = match id {
            Some(id) => fitting.find(|key| key.common.key_id.as_deref() == Some(id))?,
            None => fitting.next().filter(|_| fitting.next().is_none())?,
        };
        DecodingKey::from_jwk(key).ok()
    }
}

async fn fetch(issuer: &Issuer, fetcher: &Fetcher) -> Result<UsableKeys, FetchError> {
    let place = match &issuer.keys {
        KeyPlace::Discovered(place) => discovered(issuer, place, &fetcher.get(place).await?)?,
        KeyPlace::At(place) => place.clone(),
        KeyPlace::Shared(_) => return Err(FetchError::Unusable(Unusable::SharedSecret)),
    };
    let set = json::object(&fetcher.get(&place).await?)
        .map_err(|error| FetchError::Unusable(Unusable::KeySet(error)))?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        return Err(FetchError::Unusable(Unusable::NoKeys));
    };
    if keys.len() > MAX_KEYS {
        return Err(FetchError::Unusable(Unusable::TooManyKeys(MAX_KEYS)));
    }
    // Keys of other kinds, and for other purposes, stand beside those that can verify.
    let usable =
        |key: &Jwk| issuer.algorithms.iter().any(|algorithm| fits(key, *algorithm)) && can_verify(key);
    let keys = keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).filter(usable);
    let keys: Vec<Jwk> = keys.collect();
    if keys.is_empty() { Err(FetchError::Unusable(Unusable::NoUsableKey)) } else { Ok(UsableKeys(keys)) }
}

/// Where an issuer's OpenID configuration, found at a place, says that its keys are: over https, or on this machine for
/// an issuer that is there itself.
fn discovered(issuer: &Issuer, found_at: &Uri, configuration: &[u8]) -> Result<Uri, FetchError> {
    let configuration =
        json::object(configuration).map_err(|error| FetchError::Unusable(Unusable::Configuration(error)))?;
    if configuration.get("issuer").and_then(Value::as_str) != Some(issuer.issuer.as_str()) {
        return Err(FetchError::Unusable(Unusable::OtherIssuer));
    }
    let place = configuration.get("jwks_uri").and_then(Value::as_str);
    if place.is_some_and(has_userinfo) {
        return Err(FetchError::Unusable(Unusable::KeySetWithUserinfo));
    }
    let place = place.and_then(safe_url);
    place
        .filter(|place| place.scheme() == Some(&Scheme::HTTPS) || found_at.scheme() == Some(&Scheme::HTTP))
        .ok_or(FetchError::Unusable(Unusable::NoKeySet))
}

/// Whether a key may verify such a signature: of the right kind, large enough, and not said to be for anything else.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let of_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(rsa), A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512) => {
            bits(&rsa.n) >= 2_048
        }
        (AlgorithmParameters::EllipticCurve(curve), A::ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), A::ES384) => curve.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), A::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let common = &key.common;
    of_kind
        && common.key_algorithm.is_none_or(|named| name(named).as_deref() == Some(algorithm.name()))
        && common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

/// Whether it's a public key at all, and not only says so: one that can't verify anything mustn't take the place of one
/// that can.
fn can_verify(key: &Jwk) -> bool {
    let is_point = |algorithm: &'static dyn VerificationAlgorithm| {
        let key = DecodingKey::from_jwk(key).ok();
        let point = key.as_ref().and_then(|key| key.try_get_as_bytes().ok());
        point.is_some_and(|point| ParsedPublicKey::new(algorithm, point).is_ok())
    };
    match &key.algorithm {
        AlgorithmParameters::RSA(rsa) => is_odd(&rsa.n) && is_odd(&rsa.e) && (2..=33).contains(&bits(&rsa.e)),
        AlgorithmParameters::EllipticCurve(point) => match point.curve {
            EllipticCurve::P256 => is_point(&ECDSA_P256_SHA256_FIXED),
            EllipticCurve::P384 => is_point(&ECDSA_P384_SHA384_FIXED),
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(_) => is_point(&ED25519),
        _ => false,
    }
}

fn is_odd(number: &str) -> bool {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    bytes.last().is_some_and(|last| last & 1 == 1)
}

fn name(algorithm: KeyAlgorithm) -> Option<String> {
    serde_json::to_value(algorithm).ok()?.as_str().map(str::to_owned)
}

fn bits(number: &str) -> usize {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    significant.clone().next().map_or(0, |first| significant.count() * 8 - first.leading_zeros() as usize)
}

/// How long a set is fresh, and used while the issuer is unreachable.
const FRESH: Duration = Duration::from_mins(10);
const KEPT: Duration = Duration::from_hours(24);
/// How many seconds pass between two tries.
const BETWEEN_TRIES: u64 = 30;
const MAX_KEYS: usize = 32;
/// How long the set is waited for, with the configuration that tells where it is. With the time that a process may take
/// to start, it's within the three seconds after which the client's retry hint applies; the signing keys are read meanwhile.
const TIME: Duration = Duration::from_millis(1_700);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_modulus_is_as_long_as_from_its_highest_bit_that_is_set() {
        for (first, bytes, long) in
            [(0x80, 256, 2_048), (0x7f, 256, 2_047), (0x01, 257, 2_049), (0, 256, 2_040)]
        {
            let mut modulus = vec![0xff; bytes];
            modulus[0] = first;
            assert_eq!(bits(&BASE64_URL_SAFE_NO_PAD.encode(modulus)), long);
        }
        assert_eq!(bits(""), 0);
    }

    #[test]
    fn a_key_that_can_verify_nothing_is_none() {
        let rsa = |n: &[u8], e: &[u8]| {
            let [n, e] = [n, e].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
            can_verify(&serde_json::from_value(json!({"kty": "RSA", "n": n, "e": e})).unwrap())
        };
        let modulus = [0xff; 256];
        assert!(rsa(&modulus, &[1, 0, 1]) && rsa(&modulus, &[3]));
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[0xff; 5]] {
            assert!(!rsa(&modulus, exponent), "{exponent:?}");
        }
        assert!(!rsa(&[&modulus[1..], &[0xfe]].concat(), &[1, 0, 1]), "it's even");
        let ed = |x: &[u8]| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(x);
            can_verify(&serde_json::from_value(json!({"kty": "OKP", "crv": "Ed25519", "x": x})).unwrap())
        };
        assert!(!ed(&[7; 31]) && !ed(&[]) && !ed(&[7; 33]));
    }

    #[test]
    fn an_issuer_over_https_never_uses_keys_over_http() {
        let keys_of = |issuer: &str, jwks_uri: &str| {
            let found_at: Uri = format!("{issuer}/.well-known/openid-configuration").parse().unwrap();
            let configured = Issuer {
                issuer: issuer.to_owned(),
                audience: vec!["calls".into()],
                algorithms: vec![Algorithm::RS256],
                keys: KeyPlace::Discovered(found_at.clone()),
                typ: None,
                required_claims: serde_json::Map::new(),
            };
            let said = json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
            discovered(&configured, &found_at, said.as_bytes()).map_err(|error| error.to_string())
        };
        let refused = Err("the OpenID configuration has no https jwks_uri".to_owned());
        for here in ["http://127.0.0.1:8080/keys", "http://localhost/keys", "http://[::1]/keys"] {
            assert_eq!(keys_of("https://login.example.com", here), refused, "{here}");
            assert_eq!(keys_of("http://127.0.0.1:8080", here), Ok(here.parse().unwrap()));
        }
        let keys = "https://keys.example.com/keys";
        for issuer in ["https://login.example.com", "http://127.0.0.1:8080"] {
            assert_eq!(keys_of(issuer, keys), Ok(keys.parse().unwrap()));
        }
        assert_eq!(keys_of("http://127.0.0.1:8080", "http://keys.example.com/keys"), refused);
        for userinfo in ["https://user:canary@keys.example.com/keys", "https://canary@keys.example.com"] {
            let error = "the OpenID configuration's jwks_uri contains a user name or password";
            assert_eq!(keys_of("https://login.example.com", userinfo), Err(error.to_owned()));
        }
    }
}
