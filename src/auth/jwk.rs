//! A key of an issuer's key set (RFC 7517, RFC 7518, RFC 8037): the algorithms that it verifies, if there are any. Keys of
//! other types and for other uses are not read.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::Algorithm;

/// A public key that can verify tokens.
#[derive(Debug)]
pub(super) struct PublicKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The members that are read. A member of another type makes the key unusable.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicKey {
    /// Reads a JWK. None if it is not a valid public key for one of these algorithms.
    pub(super) fn read(jwk: &Value, allowed: &[Algorithm]) -> Option<Self> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        let (fitting, key) = jwk.public_key()?;
        let algorithms: Vec<_> = allowed.iter().copied().filter(|one| fitting.contains(one)).collect();
        let algorithms: Vec<_> = algorithms.into_iter().filter(|one| jwk.is_for(*one)).collect();
        let is_usable = !algorithms.is_empty() && jwk.is_for_verifying();
        is_usable.then_some(Self { id: jwk.kid, algorithms, key })
    }

    /// The key, if it is for this algorithm and has this ID. Without an ID, every key for the algorithm.
    pub(super) fn matching(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let has_id = id.is_none() || self.id.as_deref() == id;
        (has_id && self.algorithms.contains(&algorithm)).then_some(&self.key)
    }
}

impl Jwk {
    /// The key, and the algorithms for its type, curve and size.
    fn public_key(&self) -> Option<(&'static [Algorithm], DecodingKey)> {
        let x = self.x.as_deref();
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (self.n.as_deref()?, self.e.as_deref()?);
                let is_valid = bits(n) >= 2_048 && is_odd(n) && is_odd(e) && (2..=33).contains(&bits(e));
                Some((&RSA, DecodingKey::from_rsa_components(n, e).ok().filter(|_| is_valid)?))
            }
            ("EC", Some("P-256")) => {
                let key = DecodingKey::from_ec_components(x?, self.y.as_deref()?).ok()?;
                Some((&[Algorithm::ES256], point(key, &ECDSA_P256_SHA256_FIXED)?))
            }
            ("EC", Some("P-384")) => {
                let key = DecodingKey::from_ec_components(x?, self.y.as_deref()?).ok()?;
                Some((&[Algorithm::ES384], point(key, &ECDSA_P384_SHA384_FIXED)?))
            }
            ("OKP", Some("Ed25519")) => {
                let key = DecodingKey::from_ed_components(x?).ok()?;
                Some((&[Algorithm::EdDSA], point(key, &ED25519)?))
            }
            _ => None,
        }
    }

    /// Whether `alg` is this algorithm or unset.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.alg.as_deref().is_none_or(|name| Algorithm::parse(name) == Some(algorithm))
    }

    fn is_for_verifying(&self) -> bool {
        self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"))
    }
}

/// The key, if it is a point on the algorithm's curve.
fn point(key: DecodingKey, algorithm: &'static dyn VerificationAlgorithm) -> Option<DecodingKey> {
    let is_point = ParsedPublicKey::new(algorithm, key.try_get_as_bytes().ok()?).is_ok();
    is_point.then_some(key)
}

fn is_odd(number: &str) -> bool {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    bytes.last().is_some_and(|last| last & 1 == 1)
}

fn bits(number: &str) -> usize {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    significant.clone().next().map_or(0, |first| significant.count() * 8 - first.leading_zeros() as usize)
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

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
        let can_verify = |jwk: &Value| PublicKey::read(jwk, &[Algorithm::RS256, Algorithm::EdDSA]).is_some();
        let rsa = |n: &[u8], e: &[u8]| {
            let [n, e] = [n, e].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
            can_verify(&json!({"kty": "RSA", "n": n, "e": e}))
        };
        let modulus = [0xff; 256];
        assert!(rsa(&modulus, &[1, 0, 1]) && rsa(&modulus, &[3]));
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[0xff; 5]] {
            assert!(!rsa(&modulus, exponent), "{exponent:?}");
        }
        assert!(!rsa(&[&modulus[1..], &[0xfe]].concat(), &[1, 0, 1]), "it's even");
        assert!(!rsa(&modulus[1..], &[1, 0, 1]), "it's short");
        let ed = |x: &[u8]| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(x);
            can_verify(&json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
        };
        assert!(!ed(&[7; 31]) && !ed(&[]) && !ed(&[7; 33]));
    }
}
