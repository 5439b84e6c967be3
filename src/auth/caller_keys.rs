//! The keys that verify callers: hashes of API keys, and secrets that issuers share with this service. They never sign.
//! An invalid member of the secret doesn't affect the others.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::IssuerNames;
use super::api_key::{ApiKeyHash, ApiKeys};
use crate::domain::MalformedSecret;
use crate::json;

/// API keys and shared secrets, always from one version of the secret.
#[derive(Debug, Default)]
pub struct CallerKeys {
    api_keys: ApiKeys,
    /// The shared secrets that callers name, where the secret has them, by name.
    shared: BTreeMap<String, Result<SecretString, MalformedSecret>>,
}

/// A secret that an issuer shares with this service, as a `[[caller]]` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSecret {
    /// The name of the secret's member or of the environment variable.
    pub name: String,
    /// The issuer that signs with this secret.
    pub issuer: IssuerNames,
}

/// The result of looking up an API key.
#[derive(Debug, PartialEq, Eq)]
pub enum ApiKeyLookup<'a> {
    /// The key is stored and hasn't expired.
    Known {
        /// The name of the key.
        name: &'a str,
        /// When it expires, in seconds since 1970.
        expires: Option<u64>,
    },
    /// The key is unknown or expired.
    Unknown,
    /// The key isn't among the valid entries, but an invalid entry may be this key.
    Unreadable(&'a MalformedSecret),
}

impl CallerKeys {
    /// Reads a secret's members. `shared` lists the secrets that callers name; other members are ignored. `signing` lists
    /// the keys that sign, each with its name: a shared secret must not be equal to one.
    #[must_use]
    pub fn read(members: &Map<String, Value>, signing: &[(String, &str)], shared: &[SharedSecret]) -> Self {
        let api_keys = match members.get(API_KEYS) {
            None | Some(Value::Null) => ApiKeys::default(),
            Some(Value::Object(stored)) => ApiKeys::read(stored),
            Some(_) => ApiKeys::unreadable("must be an object of names and hashes"),
        };
        let named = shared.iter().filter_map(|one| {
            let value = members.get(&one.name).filter(|value| !value.is_null())?;
            Some((one.name.clone(), one.read(value, members, (signing, shared), &api_keys)))
        });
        let shared = named.collect();
        Self { api_keys, shared }
    }

    /// Reads the environment variables that replace a secret: `ROOMPASS_API_KEYS`, and one for each shared secret.
    ///
    /// # Errors
    /// If a variable is invalid.
    pub fn from_environment(
        signing: &[(String, &str)],
        shared: &[SharedSecret],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, MalformedSecret> {
        let names = shared.iter().map(|one| one.name.as_str());
        let texts = names.filter_map(|name| Some((name.to_owned(), variable(name)?.into())));
        let mut members: Map<String, Value> = texts.collect();
        if let Some(stored) = variable(API_KEYS) {
            let stored = json::object(stored.as_bytes());
            let stored = stored.map_err(|error| MalformedSecret::new(API_KEYS, error.to_string()))?;
            members.insert(API_KEYS.to_owned(), Value::Object(stored));
        }
        let keys = Self::read(&members, signing, shared);
        let mistake = keys.mistakes().next().cloned();
        mistake.map_or(Ok(keys), Err)
    }

    /// Whether no API key is stored.
    #[must_use]
    pub fn has_no_api_keys(&self) -> bool {
        self.api_keys.is_empty()
    }

    /// The mistakes in the secret, for the log.
    pub fn mistakes(&self) -> impl Iterator<Item = &MalformedSecret> {
        let shared = self.shared.values().filter_map(|secret| secret.as_ref().err());
        self.api_keys.mistakes().iter().chain(shared)
    }

    /// Looks up an API key. Every stored key is compared, each in constant time. `now` is in seconds since 1970.
    #[must_use]
    pub fn api_key(&self, presented: &str, now: u64) -> ApiKeyLookup<'_> {
        self.api_keys.look_up(presented, now)
    }

    /// A shared secret, by name.
    ///
    /// # Errors
    /// If it's missing or invalid.
    pub fn shared_secret(&self, name: &str) -> Result<&[u8], MalformedSecret> {
        match self.shared.get(name) {
            Some(Ok(secret)) => Ok(secret.expose_secret().as_bytes()),
            Some(Err(mistake)) => Err(mistake.clone()),
            None => Err(MalformedSecret::new(name, "is missing")),
        }
    }
}

impl SharedSecret {
    /// Reads the secret's value. It must be long enough for HS256, and differ from all other secrets: otherwise a leak of
    /// one would be a leak of both.
    fn read(
        &self,
        value: &Value,
        members: &Map<String, Value>,
        (signing, shared): (&[(String, &str)], &[Self]),
        api_keys: &ApiKeys,
    ) -> Result<SecretString, MalformedSecret> {
        let mistake = |problem: String| Err(MalformedSecret::new(&self.name, problem));
        let Value::String(secret) = value else { return mistake("must be a string".into()) };
        let is_same_as = |name: &str| members.get(name).and_then(Value::as_str) == Some(secret);
        // HMAC pads a key with zeros, so that keys with and without them are the same.
        let plain = |text: &str| text.trim_end_matches('\0').trim().to_owned();
        if let Some((signing, _)) = signing.iter().find(|(_, value)| plain(value) == plain(secret)) {
            return mistake(format!("must not be the same as {signing}: use a separate secret"));
        }
        let is_of_another = |other: &&Self| !other.issuer.overlap(&self.issuer) && is_same_as(&other.name);
        if let Some(other) = shared.iter().find(is_of_another) {
            return mistake(format!(
                "must not be the same as {}: each issuer needs its own secret",
                other.name
            ));
        }
        if api_keys.contains(&ApiKeyHash::of(secret)) {
            return mistake(format!("must not be an API key of {API_KEYS}: use a separate secret"));
        }
        if secret.len() < MIN_LENGTH {
            return mistake(format!("must have {MIN_LENGTH} bytes or more"));
        }
        Ok(secret.as_str().into())
    }
}

/// The name of the secret's member, and of the environment variable for the same value.
pub const API_KEYS: &str = "ROOMPASS_API_KEYS";
/// The minimum for HS256 (RFC 7518, section 3.2), in bytes.
const MIN_LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::api_key::new_key;

    const SIGNING: [&str; 2] = ["LIVEKIT_API_SECRET", "AGORA_APP_CERTIFICATE"];
    const LONG: &str = "a secret of thirty-two bytes or more";

    fn named(name: &str, issuer: &str) -> SharedSecret {
        SharedSecret { name: name.into(), issuer: IssuerNames::new(issuer.into(), Vec::new()) }
    }

    fn read(members: &Value, shared: &[SharedSecret]) -> CallerKeys {
        let members = members.as_object().unwrap();
        let signing =
            SIGNING.into_iter().filter_map(|name| Some((name.to_owned(), members.get(name)?.as_str()?)));
        CallerKeys::read(members, &signing.collect::<Vec<_>>(), shared)
    }

    fn problem(keys: &CallerKeys, name: &str) -> Option<String> {
        keys.shared_secret(name).err().map(|mistake| mistake.to_string())
    }

    #[test]
    fn only_the_members_that_callers_name_are_shared_secrets() {
        let members = json!({"A": LONG, "B": LONG, "C": 5, "D": "short"});
        let keys = read(&members, &[named("A", "a"), named("C", "c"), named("D", "d"), named("E", "e")]);
        assert_eq!(keys.shared_secret("A"), Ok(LONG.as_bytes()));
        for (name, expected) in [
            ("B", "B is missing"),
            ("C", "C must be a string"),
            ("D", "D must have 32 bytes or more"),
            ("E", "E is missing"),
        ] {
            assert_eq!(problem(&keys, name).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_shared_secret_that_equals_another_secret_is_a_mistake() {
        for name in SIGNING {
            let keys = read(&json!({"LOGIN": LONG, name: LONG}), &[named("LOGIN", "a")]);
            let expected = format!("LOGIN must not be the same as {name}: use a separate secret");
            assert_eq!(problem(&keys, "LOGIN"), Some(expected));
        }
        let two = |one: &str, other: &str| {
            read(&json!({"ONE": LONG, "TWO": LONG}), &[named("ONE", one), named("TWO", other)])
        };
        for (name, other) in [("ONE", "TWO"), ("TWO", "ONE")] {
            let expected =
                format!("{name} must not be the same as {other}: each issuer needs its own secret");
            assert_eq!(problem(&two("a", "b"), name), Some(expected));
            assert_eq!(problem(&two("a", "a"), name), None, "one issuer, while its secret is rotated");
        }
        let key = new_key(crate::system::randomness);
        let stored = json!({"web": ApiKeyHash::of(&key).to_string()});
        let keys = read(&json!({"LOGIN": key, API_KEYS: stored}), &[named("LOGIN", "a")]);
        assert_eq!(
            problem(&keys, "LOGIN").as_deref(),
            Some("LOGIN must not be an API key of ROOMPASS_API_KEYS: use a separate secret")
        );
    }

    #[test]
    fn a_malformed_member_does_not_affect_the_others() {
        let key = new_key(crate::system::randomness);
        let stored = json!({"web": ApiKeyHash::of(&key).to_string()});
        let keys = read(&json!({"LOGIN": 5, API_KEYS: stored}), &[named("LOGIN", "a")]);
        assert!(matches!(keys.api_key(&key, 0), ApiKeyLookup::Known { name: "web", .. }));
        for malformed in [json!("sha256:"), json!([]), json!(true), json!(5)] {
            let keys = read(&json!({"LOGIN": LONG, API_KEYS: malformed}), &[named("LOGIN", "a")]);
            assert!(keys.shared_secret("LOGIN").is_ok());
            let ApiKeyLookup::Unreadable(mistake) = keys.api_key(&key, 0) else { panic!("{malformed}") };
            assert_eq!(mistake.to_string(), "ROOMPASS_API_KEYS must be an object of names and hashes");
        }
    }

    #[test]
    fn a_mistake_in_the_environment_is_an_error() {
        let read = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned())
            };
            let signing = [(SIGNING[0].to_owned(), variable(SIGNING[0]).unwrap_or_default())];
            let signing = signing.each_ref().map(|(name, key)| (name.clone(), key.as_str()));
            let read = CallerKeys::from_environment(&signing, &[named("LOGIN", "a")], variable);
            read.map(|_| ()).map_err(|mistake| mistake.to_string())
        };
        assert_eq!(read(&[]), Ok(()));
        assert_eq!(read(&[("LOGIN", LONG), ("LIVEKIT_API_SECRET", "another")]), Ok(()));
        for (variables, mistake) in [
            (vec![("LOGIN", "canary")], "LOGIN must have 32 bytes or more"),
            (
                vec![("LOGIN", LONG), ("LIVEKIT_API_SECRET", LONG)],
                "LOGIN must not be the same as LIVEKIT_API_SECRET: use a separate secret",
            ),
            (
                vec![(API_KEYS, "canary")],
                "ROOMPASS_API_KEYS is not valid JSON, or has a duplicate member (line 1, column 1)",
            ),
            (vec![(API_KEYS, "{\"\": \"sha256:\"}")], "ROOMPASS_API_KEYS has a key without a name"),
        ] {
            assert_eq!(read(&variables), Err(mistake.to_owned()));
        }
    }
}
