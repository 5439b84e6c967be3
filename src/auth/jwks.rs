//! An issuer's key set: fetched when it's needed, kept while it's good, and never with a task of its own.
//!
//! One request fetches it. Those whose key isn't known wait for that one and share what came of it; those whose key is
//! known don't wait. Known keys serve for a day while the issuer is down. A key that isn't known asks for the set anew,
//! at most once in 30 seconds, failures counted. A set that is empty or broken never replaces a good one.

use std::sync::{Mutex, MutexGuard, PoisonError};
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

use super::fetch::{FetchError, Fetcher};
use super::issuer::{Algorithm, Issuer, KeyPlace, safe};
use crate::json;
use crate::turn::Turns;

/// The key sets' cache for one issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    turns: Turns,
    /// Never locked while anything is waited for.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<Jwk>,
    /// When the keys were fetched, in seconds since 1970.
    fetched: Option<u64>,
    /// When a fetch last failed, or was last begun for a key that a fresh set doesn't hold.
    tried: Option<u64>,
    /// Why the last fetch failed, if it did.
    failure: Option<String>,
}

/// What is to be done for a token's key.
enum Need {
    /// Nothing: this is what there is to say.
    Nothing(Result<DecodingKey, NoKey>),
    /// It's known, but the set is old.
    NewSet(DecodingKey),
    /// It isn't known.
    TheKey,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKey {
    /// The issuer has no such key for such a signature.
    #[error("the issuer has no such key")]
    Unknown,
    /// Nobody can say whether it has.
    #[error("the issuer's keys can't be had: {0}")]
    Unavailable(String),
}

impl KeySet {
    /// The key of this name, or the only one for this algorithm where the token names none.
    pub(super) async fn key(
        &self,
        issuer: &Issuer,
        id: Option<&str>,
        algorithm: Algorithm,
        fetcher: &Fetcher,
        now: u64,
    ) -> Result<DecodingKey, NoKey> {
        let need = self.state().by_this_clock(now).need(id, algorithm, now);
        let turn = match need {
            Need::Nothing(said) => return said,
            Need::NewSet(known) => match self.turns.free() {
                Some(turn) => Some(turn),
                None => return Ok(known),
            },
            Need::TheKey => self.turns.next().await,
        };
        if let Some(turn) = turn {
            let answer = tokio::time::timeout(TIME, fetch(issuer, fetcher)).await;
            let answer = answer.unwrap_or_else(|_| Err(FetchError::new("no answer in time")));
            self.state().has_tried(answer, now);
            turn.end();
        }
        self.state().says(id, algorithm, now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A clock that was put back says nothing of how old the set is: it counts as one that has just grown old.
    fn by_this_clock(&mut self, now: u64) -> &Self {
        if self.fetched.is_some_and(|fetched| fetched > now.saturating_add(LEEWAY)) {
            self.fetched = Some(now.saturating_sub(FRESH));
        }
        self
    }

    fn need(&self, id: Option<&str>, algorithm: Algorithm, now: u64) -> Need {
        let known = self.find(id, algorithm).filter(|_| self.is_younger(KEPT, now));
        match known {
            Some(key) if self.is_younger(FRESH, now) => Need::Nothing(Ok(key)),
            _ if self.tried.is_some_and(|tried| now.abs_diff(tried) < BETWEEN_TRIES) => {
                Need::Nothing(self.says(id, algorithm, now))
            }
            Some(key) => Need::NewSet(key),
            None => Need::TheKey,
        }
    }

    /// What can be said of a key by the set there is, and by what came of the last try for another.
    fn says(&self, id: Option<&str>, algorithm: Algorithm, now: u64) -> Result<DecodingKey, NoKey> {
        match (self.find(id, algorithm).filter(|_| self.is_younger(KEPT, now)), &self.failure) {
            (Some(key), _) => Ok(key),
            // Only a set that was had can say so: the key may be one that the failed try would have brought.
            (None, None) => Err(NoKey::Unknown),
            (None, Some(reason)) => Err(NoKey::Unavailable(reason.clone())),
        }
    }

    fn has_tried(&mut self, answer: Result<Vec<Jwk>, FetchError>, now: u64) {
        match answer {
            Ok(keys) => {
                let tried = self.is_younger(FRESH, now).then_some(now);
                *self = Self { keys, fetched: Some(now), tried, failure: None };
            }
            Err(error) => {
                if self.is_younger(KEPT, now) {
                    tracing::warn!(cause = %error, "an issuer's keys can't be fetched; those that are known serve on");
                }
                self.tried = Some(now);
                self.failure = Some(error.to_string());
            }
        }
    }

    fn is_younger(&self, age: u64, now: u64) -> bool {
        self.fetched.is_some_and(|fetched| now.abs_diff(fetched) < age)
    }

    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| fits(key, algorithm));
        let key = match id {
            Some(id) => fitting.find(|key| key.common.key_id.as_deref() == Some(id))?,
            None => fitting.next().filter(|_| fitting.next().is_none())?,
        };
        DecodingKey::from_jwk(key).ok()
    }
}

async fn fetch(issuer: &Issuer, fetcher: &Fetcher) -> Result<Vec<Jwk>, FetchError> {
    let place = match &issuer.keys {
        KeyPlace::Discovered(place) => discovered(issuer, place, &fetcher.get(place).await?)?,
        KeyPlace::At(place) => place.clone(),
        KeyPlace::Shared(_) => return Err(FetchError::new("the issuer has no key set")),
    };
    let set = json::object(&fetcher.get(&place).await?)
        .map_err(|error| FetchError::new(format!("the key set {error}")))?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        return Err(FetchError::new("the key set has no keys"));
    };
    if keys.len() > MAX_KEYS {
        return Err(FetchError::new(format!("the key set has over {MAX_KEYS} keys")));
    }
    // Keys of other kinds, and for other purposes, stand beside those that can verify.
    let usable =
        |key: &Jwk| issuer.algorithms.iter().any(|algorithm| fits(key, *algorithm)) && can_verify(key);
    let keys = keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).filter(usable);
    let keys: Vec<Jwk> = keys.collect();
    if keys.is_empty() { Err(FetchError::new("the key set has no usable key")) } else { Ok(keys) }
}

/// Where an issuer's OpenID configuration, found at a place, says that its keys are: over https, or on this machine for
/// an issuer that is there itself.
fn discovered(issuer: &Issuer, found_at: &Uri, configuration: &[u8]) -> Result<Uri, FetchError> {
    let configuration = json::object(configuration)
        .map_err(|error| FetchError::new(format!("the OpenID configuration {error}")))?;
    if configuration.get("issuer").and_then(Value::as_str) != Some(issuer.issuer.as_str()) {
        return Err(FetchError::new("the OpenID configuration is another issuer's"));
    }
    let place = configuration.get("jwks_uri").and_then(Value::as_str).and_then(safe);
    place
        .filter(|place| place.scheme() == Some(&Scheme::HTTPS) || found_at.scheme() == Some(&Scheme::HTTP))
        .ok_or_else(|| FetchError::new("the OpenID configuration has no https jwks_uri"))
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

/// For how many seconds a set is taken as it is, and kept while the issuer is down.
const FRESH: u64 = 600;
const KEPT: u64 = 24 * 3600;
/// How many seconds pass between two tries.
const BETWEEN_TRIES: u64 = 30;
/// How far two requests' times may be apart without the clock having been put back.
const LEEWAY: u64 = 60;
const MAX_KEYS: usize = 32;
/// How long the set is waited for, with the configuration that tells where it is. With the time that a process may take
/// to start, it's within the three seconds after which a client is told to try again; the signing keys are read meanwhile.
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
    fn an_issuer_over_https_never_sends_anybody_to_keys_over_http() {
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
    }
}
