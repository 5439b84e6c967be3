//! API keys, for servers that ask on behalf of their users. Only a key's hash is kept; a key is 200 random bits, which
//! nobody can guess from its hash, so a fast hash does.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::{Randomness, readable};

/// A key's hash: what is kept of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyHash([u8; 32]);

/// A key that is kept: its name, its hash, and when it ends, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptApiKey {
    name: String,
    hash: ApiKeyHash,
    expires: Option<u64>,
}

impl ApiKeyHash {
    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// As it's kept: `sha256:` and 64 hexadecimal digits.
impl fmt::Display for ApiKeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKeyHash")
    }
}

/// A new key.
#[must_use]
pub fn new_key(randomness: Randomness) -> String {
    format!("{PREFIX}{}{}", readable(randomness), readable(randomness))
}

/// Reads `ROOMPASS_API_KEYS`: an object of name and hash, or name and `{"hash": .., "expires": "2027-01-01T00:00:00Z"}`.
/// What is wrong with it never shows a hash, or a key that stands where its name should.
///
/// # Errors
/// Where it's anything else.
pub fn kept(members: &Map<String, Value>) -> Result<Vec<KeptApiKey>, String> {
    members
        .iter()
        .map(|(name, value)| match one(name, value) {
            _ if name.starts_with(PREFIX) || name.starts_with("sha256:") => Err(WRONG_WAY_ROUND.to_owned()),
            Some(kept) => Ok(kept),
            None => Err(mistake(name)),
        })
        .collect()
}

fn one(name: &str, value: &Value) -> Option<KeptApiKey> {
    let (hash, expires) = match value {
        Value::String(hash) => (hash, None),
        Value::Object(members) if members.keys().all(|key| key == "hash" || key == "expires") => {
            let expires = match members.get("expires") {
                None | Some(Value::Null) => None,
                Some(time) => Some(seconds(time.as_str()?)?),
            };
            (
                match members.get("hash")? {
                    Value::String(hash) => hash,
                    _ => return None,
                },
                expires,
            )
        }
        _ => return None,
    };
    Some(KeptApiKey { name: name.to_owned(), hash: ApiKeyHash::parse(hash)?, expires })
}

fn seconds(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn mistake(name: &str) -> String {
    format!(
        "has a key {name:?} that is neither \"sha256:…\" with 64 hexadecimal digits, nor {{\"hash\": …, \"expires\": \"2027-01-01T00:00:00Z\"}}"
    )
}

/// The kept key that was presented, if one is and it hasn't ended: its name, and when it ends. Every kept key is compared, each in
/// constant time.
pub(crate) fn recognised<'a>(
    kept: &'a [KeptApiKey],
    presented: &str,
    now: u64,
) -> Option<(&'a str, Option<u64>)> {
    let presented = ApiKeyHash::of(presented);
    let mut found = None;
    for key in kept {
        if bool::from(key.hash.0.ct_eq(&presented.0)) {
            found = Some(key);
        }
    }
    found
        .filter(|key| key.expires.is_none_or(|expires| now < expires))
        .map(|key| (key.name.as_str(), key.expires))
}

const PREFIX: &str = "rpk_";
const WRONG_WAY_ROUND: &str = "has a key or a hash where its name belongs: write \"name\": \"sha256:…\", as `roompass api-key name` prints it, and never the key itself";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Vec<KeptApiKey>, String> {
        kept(value.as_object().unwrap())
    }

    #[test]
    fn a_key_is_recognised_by_its_hash_until_it_ends() {
        let (one, other) = (
            new_key(crate::domain::operating_system_randomness),
            new_key(crate::domain::operating_system_randomness),
        );
        let kept = read(&json!({
            "backend": ApiKeyHash::of(&one).to_string(),
            "batch": {"hash": ApiKeyHash::of(&other).to_string(), "expires": "1970-01-01T00:16:40Z"},
        }))
        .unwrap();
        assert_eq!(recognised(&kept, &one, 5_000), Some(("backend", None)));
        assert_eq!(recognised(&kept, &other, 999), Some(("batch", Some(1_000))));
        assert_eq!(recognised(&kept, &other, 1_000), None);
        for wrong in ["", "rpk_", &one[..one.len() - 1], &ApiKeyHash::of(&one).to_string()] {
            assert_eq!(recognised(&kept, wrong, 0), None);
        }
    }

    #[test]
    fn a_mistake_names_the_key_and_shows_no_hash() {
        let short = "sha256:cafe";
        for value in [
            json!(short),
            json!(5),
            json!({"hash": short}),
            json!({"expires": "2027-01-01T00:00:00Z"}),
            json!({"hash": format!("sha256:{}", "a".repeat(64)), "expires": "soon"}),
            json!(format!("sha256:{}", "é".repeat(32))),
            json!(format!("sha256:{}", "+f".repeat(32))),
        ] {
            let mistake = read(&json!({ "backend": value })).unwrap_err();
            assert!(mistake.contains("\"backend\"") && !mistake.contains("cafe"), "{mistake}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_its_name_is_a_mistake_that_does_not_show_it() {
        let hash = ApiKeyHash::of("rpk_canary").to_string();
        for value in
            [json!({"rpk_canary": "web"}), json!({"rpk_canary": hash}), json!({hash.as_str(): "web"})]
        {
            let mistake = read(&value).unwrap_err();
            assert!(mistake.contains("where its name belongs"), "{mistake}");
            assert!(!mistake.contains("canary") && !mistake.contains(&hash), "{mistake}");
        }
    }
}
