//! API keys, for servers that request tokens for their users. Only hashes are stored. A key has 200 random bits, so a fast
//! hash is enough: a key can't be found from its hash.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::caller_keys::{API_KEYS, ApiKeyLookup};
use crate::domain::{MalformedSecret, READABLE_LENGTH, Randomness, is_readable, readable};

/// The SHA-256 of a key, which is stored in place of the key.
#[derive(PartialEq, Eq)]
pub struct ApiKeyHash([u8; 32]);

/// The stored keys, and the mistakes in the other entries.
#[derive(Debug, Default)]
pub(super) struct ApiKeys {
    stored: Vec<StoredApiKey>,
    mistakes: Vec<MalformedSecret>,
}

#[derive(Debug)]
struct StoredApiKey {
    name: String,
    hash: ApiKeyHash,
    /// In seconds since 1970.
    expires: Option<u64>,
}

impl ApiKeyHash {
    /// The hash of a key.
    #[must_use]
    pub fn of(key: impl AsRef<[u8]>) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key.as_ref()).as_ref());
        Self(hash)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut hash).ok()?;
        Some(Self(hash))
    }
}

/// The stored form: `sha256:` and 64 hexadecimal digits.
impl fmt::Display for ApiKeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKeyHash")
    }
}

/// Makes a new key.
#[must_use]
pub fn new_key(randomness: Randomness) -> String {
    format!("{PREFIX}{}{}", readable(randomness), readable(randomness))
}

impl ApiKeys {
    /// Reads `ROOMPASS_API_KEYS`: an object of name and hash, or name and `{"hash": .., "expires": "2027-01-01T00:00:00Z"}`.
    /// An invalid entry doesn't affect the others. Its mistake never shows a hash, or a key that was written as a name.
    pub(super) fn read(members: &Map<String, Value>) -> Self {
        let mut keys = Self::default();
        for (name, value) in members {
            match StoredApiKey::read(name, value) {
                Ok(key) => keys.stored.push(key),
                Err(problem) => keys.mistakes.push(MalformedSecret::new(API_KEYS, problem)),
            }
        }
        keys.without_duplicates()
    }

    /// No keys, because `ROOMPASS_API_KEYS` has the wrong type.
    pub(super) fn unreadable(problem: &str) -> Self {
        Self { stored: Vec::new(), mistakes: vec![MalformedSecret::new(API_KEYS, problem)] }
    }

    /// Removes keys that share a hash: their name would be ambiguous.
    fn without_duplicates(mut self) -> Self {
        let mut names: BTreeMap<[u8; 32], Vec<String>> = BTreeMap::new();
        for key in &self.stored {
            names.entry(key.hash.0).or_default().push(key.name.clone());
        }
        for names in names.into_values().filter(|names| names.len() > 1) {
            self.stored.retain(|key| !names.contains(&key.name));
            let problem = format!(
                "has one hash under {} names ({}): give each key one name",
                names.len(),
                names.join(", ")
            );
            self.mistakes.push(MalformedSecret::new(API_KEYS, problem));
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    pub(super) fn mistakes(&self) -> &[MalformedSecret] {
        &self.mistakes
    }

    pub(super) fn contains(&self, hash: &ApiKeyHash) -> bool {
        self.stored.iter().any(|key| key.hash == *hash)
    }

    /// Looks up a key. Every stored key is compared, each in constant time. A string that `new_key` can't make is unknown,
    /// even if its hash is stored.
    pub(super) fn look_up(&self, presented: &str, now: u64) -> ApiKeyLookup<'_> {
        if !is_well_formed(presented) {
            return ApiKeyLookup::Unknown;
        }
        let presented = ApiKeyHash::of(presented);
        let mut found = None;
        for key in &self.stored {
            if bool::from(key.hash.0.ct_eq(&presented.0)) {
                found = Some(key);
            }
        }
        match (found, self.mistakes.first()) {
            (Some(key), _) if key.expires.is_none_or(|expires| now < expires) => {
                ApiKeyLookup::Known { name: &key.name, expires: key.expires }
            }
            (None, Some(mistake)) => ApiKeyLookup::Unreadable(mistake),
            _ => ApiKeyLookup::Unknown,
        }
    }
}

impl StoredApiKey {
    fn read(name: &str, value: &Value) -> Result<Self, String> {
        if name.starts_with(PREFIX) || name.starts_with("sha256:") {
            return Err(KEY_AS_NAME.to_owned());
        }
        if name.trim().is_empty() {
            return Err("has a key without a name".to_owned());
        }
        let key = Self::parse(name, value).ok_or_else(|| {
            format!(
                "has a key {name:?} that is neither \"sha256:…\" with 64 hexadecimal digits, nor {{\"hash\": …, \"expires\": \"2027-01-01T00:00:00Z\"}}"
            )
        })?;
        if is_placeholder(&key.hash) {
            return Err(format!(
                "has a key {name:?} with the hash of an empty or short string: make a key with `roompass api-key {name}`"
            ));
        }
        Ok(key)
    }

    fn parse(name: &str, value: &Value) -> Option<Self> {
        let (hash, expires) = match value {
            Value::String(hash) => (hash.as_str(), None),
            Value::Object(members) if members.keys().all(|key| key == "hash" || key == "expires") => {
                let expires = match members.get("expires") {
                    None | Some(Value::Null) => None,
                    Some(time) => Some(seconds(time.as_str()?)?),
                };
                (members.get("hash")?.as_str()?, expires)
            }
            _ => return None,
        };
        Some(Self { name: name.to_owned(), hash: ApiKeyHash::parse(hash)?, expires })
    }
}

fn seconds(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Whether [`new_key`] can have made this string.
fn is_well_formed(text: &str) -> bool {
    let random = text.strip_prefix(PREFIX).unwrap_or_default();
    random.len() == 2 * READABLE_LENGTH && random.bytes().all(is_readable)
}

/// Whether a hash is the hash of a placeholder: an unset variable, a single character or a common word. `look_up` would
/// never accept it, so it's reported when the secret is read.
fn is_placeholder(hash: &ApiKeyHash) -> bool {
    let characters = (0..=u8::MAX).map(|byte| ApiKeyHash::of([byte]));
    let words = PLACEHOLDERS.into_iter().map(ApiKeyHash::of);
    words.chain(characters).any(|known| known == *hash)
}

const PREFIX: &str = "rpk_";
const PLACEHOLDERS: [&str; 12] =
    ["", PREFIX, "rpk", "\r\n", "null", "undefined", "none", "key", "secret", "password", "test", "changeme"];
const KEY_AS_NAME: &str = "has a key or a hash in place of a name: write \"name\": \"sha256:…\", as `roompass api-key name` prints it, and never the key itself";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_with_a_character_that_new_keys_never_have_is_unknown() {
        let key = format!("{PREFIX}{}", "i".repeat(2 * READABLE_LENGTH));
        let keys = read(&json!({"backend": ApiKeyHash::of(&key).to_string()}));
        assert_eq!(keys.look_up(&key, 0), ApiKeyLookup::Unknown);
    }

    fn read(value: &Value) -> ApiKeys {
        ApiKeys::read(value.as_object().unwrap())
    }

    fn mistakes(value: &Value) -> Vec<String> {
        read(value).mistakes().iter().map(ToString::to_string).collect()
    }

    fn hash_of(text: &str) -> String {
        ApiKeyHash::of(text).to_string()
    }

    fn known(name: &str, expires: Option<u64>) -> ApiKeyLookup<'_> {
        ApiKeyLookup::Known { name, expires }
    }

    #[test]
    fn a_key_is_known_by_its_hash_until_it_expires() {
        let (one, other) = (new_key(crate::system::randomness), new_key(crate::system::randomness));
        let keys = read(&json!({
            "backend": hash_of(&one),
            "batch": {"hash": hash_of(&other), "expires": "1970-01-01T00:16:40Z"},
        }));
        assert_eq!(keys.look_up(&one, 5_000), known("backend", None));
        assert_eq!(keys.look_up(&other, 999), known("batch", Some(1_000)));
        assert_eq!(keys.look_up(&other, 1_000), ApiKeyLookup::Unknown);
        for wrong in
            ["", "rpk_", &one[..one.len() - 1], &hash_of(&one), &format!("{one} "), &one.to_uppercase()]
        {
            assert_eq!(keys.look_up(wrong, 0), ApiKeyLookup::Unknown);
        }
    }

    #[test]
    fn a_malformed_key_is_never_accepted_even_if_its_hash_is_stored() {
        let key = new_key(crate::system::randomness);
        for text in [
            "",
            " ",
            "x",
            "secret",
            "rpk_",
            "Bearer",
            &key[4..],
            &format!("{key}0"),
            &key.replace("rpk_", "RPK_"),
        ] {
            let mut keys = ApiKeys::default();
            let hash = ApiKeyHash::of(text);
            keys.stored.push(StoredApiKey { name: "web".into(), hash, expires: None });
            assert_eq!(keys.look_up(text, 0), ApiKeyLookup::Unknown, "{text:?}");
        }
    }

    #[test]
    fn the_hash_of_an_empty_or_short_string_is_a_mistake() {
        for text in ["", "\n", " ", "x", "0", "rpk_", "undefined", "null", "changeme"] {
            for stored in [json!(hash_of(text)), json!({"hash": hash_of(text)})] {
                assert_eq!(
                    mistakes(&json!({ "web": stored })),
                    [
                        "ROOMPASS_API_KEYS has a key \"web\" with the hash of an empty or short string: make a key with `roompass api-key web`"
                    ],
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn one_hash_under_two_names_is_a_mistake_and_neither_is_known() {
        let (twice, once) = (new_key(crate::system::randomness), new_key(crate::system::randomness));
        let stored = json!({
            "a": hash_of(&twice), "b": {"hash": hash_of(&twice), "expires": "2027-01-01T00:00:00Z"}, "c": hash_of(&once),
        });
        assert_eq!(
            mistakes(&stored),
            ["ROOMPASS_API_KEYS has one hash under 2 names (a, b): give each key one name"]
        );
        let keys = read(&stored);
        assert!(matches!(keys.look_up(&twice, 0), ApiKeyLookup::Unreadable(_)));
        assert_eq!(keys.look_up(&once, 0), known("c", None));
    }

    #[test]
    fn a_mistake_names_the_key_shows_no_hash_and_does_not_affect_other_keys() {
        let short = "sha256:cafe";
        let good = new_key(crate::system::randomness);
        for value in [
            json!(short),
            json!(5),
            json!({"hash": short}),
            json!({"hash": null}),
            json!({"expires": "2027-01-01T00:00:00Z"}),
            json!({"hash": format!("sha256:{}", "a".repeat(64)), "expires": "soon"}),
            json!({"hash": format!("sha256:{}", "a".repeat(64)), "expire": "2027-01-01T00:00:00Z"}),
            json!(format!("sha256:{}", "é".repeat(32))),
            json!(format!("sha256:{}", "+f".repeat(32))),
        ] {
            let keys = read(&json!({ "backend": value, "web": hash_of(&good) }));
            let [mistake] = keys.mistakes() else { panic!("{value}") };
            let mistake = mistake.to_string();
            assert!(mistake.contains("\"backend\"") && !mistake.contains("cafe"), "{mistake}");
            assert_eq!(keys.look_up(&good, 0), known("web", None), "{value}");
            let unknown = new_key(crate::system::randomness);
            assert!(
                matches!(keys.look_up(&unknown, 0), ApiKeyLookup::Unreadable(_)),
                "it may be the backend key"
            );
        }
        assert_eq!(mistakes(&json!({" ": hash_of(&good)})), ["ROOMPASS_API_KEYS has a key without a name"]);
    }

    #[test]
    fn a_key_in_place_of_its_name_is_a_mistake_that_does_not_show_it() {
        let hash = hash_of("rpk_canary");
        for value in
            [json!({"rpk_canary": "web"}), json!({"rpk_canary": hash}), json!({hash.as_str(): "web"})]
        {
            let [mistake] = &mistakes(&value)[..] else { panic!("{value}") };
            assert!(mistake.contains("in place of a name"), "{mistake}");
            assert!(!mistake.contains("canary") && !mistake.contains(&hash), "{mistake}");
        }
    }
}
