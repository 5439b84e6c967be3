//! The secret: one JSON object with the keys of LiveKit, of Agora or of both, and what callers are known by.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::agora::{APP_CERTIFICATE, APP_ID, AgoraKeys};
use super::api_key::{self, KeptApiKey};
use super::livekit::{API_KEY, API_SECRET, LiveKitKeys, ServerUrl, URL};
use crate::config::Dialect;
use crate::json;

/// The keys of one provider or of both, always from one version of the secret.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    livekit: Option<LiveKitKeys>,
    agora: Option<AgoraKeys>,
    /// `ROOMPASS_API_KEYS`: the API keys that callers may present.
    pub(crate) api_keys: Vec<KeptApiKey>,
    /// The secret's other members: those that issuers share with us.
    shared: BTreeMap<String, SecretString>,
}

/// A provider whose tokens were asked for, and for which there are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotConfigured {
    /// There is no LiveKit key pair.
    #[error("there are no keys for LiveKit")]
    LiveKit,
    /// There is no Agora app.
    #[error("there are no keys for Agora")]
    Agora,
}

/// A secret that can't be used. Names the member, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} {problem}")]
pub struct MalformedSecret {
    /// The member's name, which is the environment variable's too.
    pub member: String,
    /// What is wrong and what would be right, to be read after the name.
    pub problem: String,
}

impl MalformedSecret {
    pub(super) fn new(member: &str, problem: impl Into<String>) -> Self {
        Self { member: member.to_owned(), problem: problem.into() }
    }
}

impl SigningKeys {
    /// LiveKit's key pair and its server, and nothing else.
    ///
    /// # Errors
    /// Where either half of the pair can't be one.
    pub fn new(server: ServerUrl, api_key: String, api_secret: String) -> Result<Self, MalformedSecret> {
        LiveKitKeys::new(server, api_key, api_secret).map(Self::from)
    }

    /// The keys of one provider or of both, if there are any.
    pub(crate) fn of(livekit: Option<LiveKitKeys>, agora: Option<AgoraKeys>) -> Option<Self> {
        let any = livekit.is_some() || agora.is_some();
        any.then(|| Self { livekit, agora, api_keys: Vec::new(), shared: BTreeMap::new() })
    }

    /// Reads the secret's JSON. `server`, where given, stands in place of its `LIVEKIT_URL`.
    ///
    /// # Errors
    /// Where it isn't such an object, or holds half of a provider's keys, or no provider's.
    pub fn from_secret(text: &str, server: Option<ServerUrl>) -> Result<Self, MalformedSecret> {
        let members =
            json::object(text.as_bytes()).map_err(|error| MalformedSecret::new("it", error.to_string()))?;
        let names_one_of = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
        let agora = if names_one_of(&AGORA) { Some(agora(&members)?) } else { None };
        let livekit =
            if agora.is_none() || names_one_of(&LIVEKIT) { Some(livekit(&members, server)?) } else { None };
        let api_keys = match members.get(API_KEYS) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(kept)) => read_api_keys(kept)?,
            Some(_) => return Err(MalformedSecret::new(API_KEYS, "must be an object of names and hashes")),
        };
        let shared = members.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) if !signs(&name) => Some((name, text.into())),
            _ => None,
        });
        Ok(Self { livekit, agora, api_keys, shared: shared.collect() })
    }

    /// The same, with LiveKit's keys.
    #[must_use]
    pub fn with_livekit(self, keys: LiveKitKeys) -> Self {
        Self { livekit: Some(keys), ..self }
    }

    /// The same, with Agora's keys.
    #[must_use]
    pub fn with_agora(self, keys: AgoraKeys) -> Self {
        Self { agora: Some(keys), ..self }
    }

    /// The same, with API keys as `ROOMPASS_API_KEYS` has them, as JSON.
    ///
    /// # Errors
    /// Where it isn't such an object.
    pub fn with_api_keys(self, text: &str) -> Result<Self, MalformedSecret> {
        let kept = json::object(text.as_bytes());
        let kept = kept.map_err(|error| MalformedSecret::new(API_KEYS, error.to_string()))?;
        Ok(Self { api_keys: read_api_keys(&kept)?, ..self })
    }

    /// The same, with a secret that an issuer shares with us: none of the names of our own keys.
    #[must_use]
    pub fn with_shared_secret(mut self, name: &str, secret: String) -> Self {
        if !signs(name) {
            self.shared.insert(name.to_owned(), secret.into());
        }
        self
    }

    /// A secret that an issuer shares with us.
    ///
    /// # Errors
    /// Where there is none of this name, or it's shorter than HS256 needs (RFC 7518, section 3.2).
    pub fn shared_secret(&self, name: &str) -> Result<&[u8], MalformedSecret> {
        let secret = self.shared.get(name).ok_or_else(|| MalformedSecret::new(name, "is missing"))?;
        match secret.expose_secret().as_bytes() {
            short if short.len() < 32 => Err(MalformedSecret::new(name, "must have 32 bytes or more")),
            secret => Ok(secret),
        }
    }

    /// What signs for LiveKit.
    ///
    /// # Errors
    /// Where only Agora's keys are configured.
    pub fn livekit(&self) -> Result<&LiveKitKeys, NotConfigured> {
        self.livekit.as_ref().ok_or(NotConfigured::LiveKit)
    }

    /// What signs for Agora.
    ///
    /// # Errors
    /// Where only LiveKit's keys are configured.
    pub fn agora(&self) -> Result<&AgoraKeys, NotConfigured> {
        self.agora.as_ref().ok_or(NotConfigured::Agora)
    }

    /// Whether there are keys for one of these dialects at least.
    ///
    /// # Errors
    /// Where there are none.
    pub fn sign_for(&self, dialects: &[Dialect]) -> Result<(), NotConfigured> {
        let for_agora = dialects.contains(&Dialect::Agora);
        let for_livekit = dialects.iter().any(|dialect| *dialect != Dialect::Agora);
        if (for_livekit && self.livekit.is_some()) || (for_agora && self.agora.is_some()) {
            return Ok(());
        }
        Err(if for_livekit { NotConfigured::LiveKit } else { NotConfigured::Agora })
    }

    /// Whether LiveKit's pair is the one that everybody knows.
    #[must_use]
    pub fn is_development_pair(&self) -> bool {
        self.livekit.as_ref().is_some_and(LiveKitKeys::is_development_pair)
    }
}

impl From<LiveKitKeys> for SigningKeys {
    fn from(keys: LiveKitKeys) -> Self {
        Self { livekit: Some(keys), agora: None, api_keys: Vec::new(), shared: BTreeMap::new() }
    }
}

fn livekit(members: &Map<String, Value>, server: Option<ServerUrl>) -> Result<LiveKitKeys, MalformedSecret> {
    let server = match server {
        Some(server) => server,
        None => ServerUrl::parse(string(members, URL)?)?,
    };
    LiveKitKeys::new(server, string(members, API_KEY)?.to_owned(), string(members, API_SECRET)?.to_owned())
}

fn agora(members: &Map<String, Value>) -> Result<AgoraKeys, MalformedSecret> {
    AgoraKeys::new(string(members, APP_ID)?.to_owned(), string(members, APP_CERTIFICATE)?.to_owned())
}

/// Whether a member is a provider's. Whoever may know what a caller's issuer signs with must not thereby sign as us.
fn signs(member: &str) -> bool {
    LIVEKIT.contains(&member) || AGORA.contains(&member)
}

fn read_api_keys(kept: &Map<String, Value>) -> Result<Vec<KeptApiKey>, MalformedSecret> {
    api_key::kept(kept).map_err(|problem| MalformedSecret::new(API_KEYS, problem))
}

fn string<'a>(members: &'a Map<String, Value>, member: &str) -> Result<&'a str, MalformedSecret> {
    match members.get(member) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(MalformedSecret::new(member, "must be a string")),
        None => Err(MalformedSecret::new(member, "is missing")),
    }
}

const LIVEKIT: [&str; 3] = [URL, API_KEY, API_SECRET];
const AGORA: [&str; 2] = [APP_ID, APP_CERTIFICATE];
/// The name of the secret's member, and of the environment variable for the same thing.
pub(crate) const API_KEYS: &str = "ROOMPASS_API_KEYS";

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        SigningKeys::from_secret(text, None).unwrap_err().to_string()
    }

    #[test]
    fn a_malformed_secret_says_what_is_wrong_and_never_what_it_holds() {
        for (text, message) in [
            ("", "it is not valid JSON with unique member names (line 1, column 0)"),
            ("canary", "it is not valid JSON with unique member names (line 1, column 1)"),
            ("\"canary\"", "it must be a JSON object"),
            ("{}", "LIVEKIT_URL is missing"),
            (
                r#"{"LIVEKIT_URL": "canary"}"#,
                "LIVEKIT_URL must be a URL such as wss://my-project.livekit.cloud",
            ),
            (r#"{"LIVEKIT_URL": "wss://a"}"#, "LIVEKIT_API_KEY is missing"),
            (r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": 5}"#, "LIVEKIT_API_KEY must be a string"),
            (r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k"}"#, "LIVEKIT_API_SECRET is missing"),
            (
                r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "canary\n"}"#,
                "LIVEKIT_API_SECRET has white space around it",
            ),
            (
                r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "", "LIVEKIT_API_SECRET": "canary"}"#,
                "LIVEKIT_API_KEY is empty",
            ),
            (
                r#"{"LIVEKIT_API_SECRET": "canary", "LIVEKIT_API_SECRET": "canary"}"#,
                "it is not valid JSON with unique member names (line 1, column 64)",
            ),
        ] {
            assert_eq!(error(text), message);
        }
    }

    const AGORA_ALONE: &str = r#"{"AGORA_APP_ID": "970ca35de60c44645bbae8a215061b33", "AGORA_APP_CERTIFICATE": "5cfd2fd1755d40ecb72977518be15d3b"}"#;

    #[test]
    fn a_secret_has_one_providers_keys_or_both() {
        let livekit =
            r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}"#.to_owned();
        let both = format!("{},{}", &AGORA_ALONE[..AGORA_ALONE.len() - 1], &livekit[1..]);
        for (text, has_livekit, has_agora) in
            [(&*livekit, true, false), (AGORA_ALONE, false, true), (&both, true, true)]
        {
            let keys = SigningKeys::from_secret(text, None).unwrap();
            assert_eq!((keys.livekit().is_ok(), keys.agora().is_ok()), (has_livekit, has_agora), "{text}");
        }
        let of_agora_alone = SigningKeys::from_secret(AGORA_ALONE, Some(ServerUrl::development())).unwrap();
        assert_eq!(of_agora_alone.livekit().unwrap_err(), NotConfigured::LiveKit, "a server makes no pair");
    }

    #[test]
    fn half_of_agoras_keys_or_a_bad_one_is_named_and_not_shown() {
        for (text, message) in [
            (r#"{"AGORA_APP_ID": "canary"}"#, "AGORA_APP_CERTIFICATE is missing"),
            (r#"{"AGORA_APP_CERTIFICATE": "canary"}"#, "AGORA_APP_ID is missing"),
            (r#"{"AGORA_APP_ID": 5, "AGORA_APP_CERTIFICATE": "canary"}"#, "AGORA_APP_ID must be a string"),
            (
                &AGORA_ALONE.replace("5cfd", "canary "),
                "AGORA_APP_CERTIFICATE must be 32 hexadecimal digits, as Agora's console shows it",
            ),
            (
                &AGORA_ALONE.replace("\"AGORA_APP_ID", "\"LIVEKIT_URL\": \"wss://a\", \"AGORA_APP_ID"),
                "LIVEKIT_API_KEY is missing",
            ),
        ] {
            assert_eq!(error(text), message);
        }
    }

    #[test]
    fn what_signs_tokens_is_no_secret_that_an_issuer_shares() {
        let text = AGORA_ALONE.replace('}', r#", "LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "a key of thirty-two bytes or more", "LIVEKIT_API_SECRET": "a secret of thirty-two bytes or more", "ISSUER": "another of thirty-two bytes or more"}"#);
        let keys = SigningKeys::from_secret(&text, None).unwrap();
        let keys = LIVEKIT
            .into_iter()
            .chain(AGORA)
            .fold(keys, |keys, name| keys.with_shared_secret(name, "x".repeat(32)));
        for name in LIVEKIT.into_iter().chain(AGORA) {
            assert_eq!(keys.shared_secret(name).unwrap_err().to_string(), format!("{name} is missing"));
        }
        assert!(keys.shared_secret("ISSUER").is_ok());
    }
}
