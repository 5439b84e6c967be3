//! An issuer's key set: fetched when first needed, fresh for 10 minutes, used for a day while the issuer is unreachable.
//! An unknown key causes a new fetch, at most one in 30 seconds, including failed ones. An invalid or empty set never
//! replaces a valid one.

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

impl Default for KeySet {
    fn default() -> Self {
        Self(Refreshing::new(Schedule {
            name: "issuer key",
            refresh_after: REFRESH_AFTER,
            max_age: MAX_AGE,
            retry: RETRY..=RETRY,
            retry_missing: RETRY,
            timeout: TIMEOUT,
            timeout_without_value: TIMEOUT,
        }))
    }
}

impl KeySet {
    /// The key with this ID. For a token without a `kid`, the only key for this algorithm.
    pub(super) async fn key(
        &self,
        issuer: &Issuer,
        id: Option<&str>,
        algorithm: Algorithm,
        fetcher: &Fetcher,
        context: &Context,
    ) -> Result<DecodingKey, Missing<FetchError>> {
        let pick = |keys: &mut UsableKeys| keys.find(id, algorithm);
        self.0.get(context, pick, async || fetch(issuer, fetcher).await).await
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
        let mut candidates = self.0.iter().filter(|key| is_for(key, algorithm));
        let key = match id {
            Some(id) => candidates.find(|key| key.common.key_id.as_deref() == Some(id))?,
            None => candidates.next().filter(|_| candidates.next().is_none())?,
        };
        DecodingKey::from_jwk(key).ok()
    }
}

async fn fetch(issuer: &Issuer, fetcher: &Fetcher) -> Result<UsableKeys, FetchError> {
    let url = match &issuer.keys {
        KeyPlace::Discovered(url) => jwks_uri(issuer, url, &fetcher.get(url).await?)?,
        KeyPlace::At(url) => url.clone(),
        KeyPlace::Shared(_) => return Err(Unusable::SharedSecret.into()),
    };
    let set = json::object(&fetcher.get(&url).await?).map_err(Unusable::KeySet)?;
    let Some(Value::Array(keys)) = set.get("keys") else { return Err(Unusable::NoKeys.into()) };
    if keys.len() > MAX_KEYS {
        return Err(Unusable::TooManyKeys(MAX_KEYS).into());
    }
    // A set may also have keys of other types and for other uses.
    let is_usable =
        |key: &Jwk| issuer.algorithms.iter().any(|algorithm| is_for(key, *algorithm)) && can_verify(key);
    let keys = keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).filter(is_usable);
    let keys: Vec<Jwk> = keys.collect();
    if keys.is_empty() { Err(Unusable::NoUsableKey.into()) } else { Ok(UsableKeys(keys)) }
}

/// The `jwks_uri` of an OpenID configuration that was fetched from a URL. It must be https; http to this machine is allowed
/// if the configuration was fetched over http.
fn jwks_uri(issuer: &Issuer, fetched_from: &Uri, configuration: &[u8]) -> Result<Uri, Unusable> {
    let configuration = json::object(configuration).map_err(Unusable::Configuration)?;
    if configuration.get("issuer").and_then(Value::as_str) != Some(issuer.issuer.as_str()) {
        return Err(Unusable::OtherIssuer);
    }
    let url = configuration.get("jwks_uri").and_then(Value::as_str);
    if url.is_some_and(has_userinfo) {
        return Err(Unusable::KeySetWithUserinfo);
    }
    let may_be_http = fetched_from.scheme() == Some(&Scheme::HTTP);
    let url = url.and_then(safe_url).filter(|url| may_be_http || url.scheme() == Some(&Scheme::HTTPS));
    url.ok_or(Unusable::NoKeySet)
}

/// Whether a key is for this algorithm: its type, curve and size, and its `alg`, `use` and `key_ops`.
fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let has_type = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(rsa), A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512) => {
            bits(&rsa.n) >= 2_048
        }
        (AlgorithmParameters::EllipticCurve(curve), A::ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), A::ES384) => curve.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), A::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let common = &key.common;
    has_type
        && common.key_algorithm.is_none_or(|named| name(named).as_deref() == Some(algorithm.name()))
        && common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

/// Whether the key is a valid public key. A set without any mustn't replace a valid one.
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

const REFRESH_AFTER: Duration = Duration::from_mins(10);
const MAX_AGE: Duration = Duration::from_hours(24);
/// Seconds between two fetches after a failure, or for an unknown key.
const RETRY: u64 = 30;
const MAX_KEYS: usize = 32;
/// For the OpenID configuration and the key set together: a 503 is returned within three seconds, including a cold start.
/// The signing keys are fetched at the same time.
const TIMEOUT: Duration = Duration::from_millis(1_700);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_length_of_a_modulus_is_counted_from_its_highest_set_bit() {
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
    fn an_invalid_public_key_is_ignored() {
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
            let url: Uri = format!("{issuer}/.well-known/openid-configuration").parse().unwrap();
            let configured = Issuer {
                issuer: issuer.to_owned(),
                audience: vec!["calls".into()],
                algorithms: vec![Algorithm::RS256],
                keys: KeyPlace::Discovered(url.clone()),
                typ: None,
                required_claims: serde_json::Map::new(),
            };
            let configuration = json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
            super::jwks_uri(&configured, &url, configuration.as_bytes()).map_err(|error| error.to_string())
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
