//! The secret: one JSON object with the LiveKit server's URL and the key pair it trusts.

use std::collections::BTreeMap;

use axum::http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::api_key::{self, KeptApiKey};
use crate::json;

/// A key pair and the server that trusts it, always from one version of the secret.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    /// `LIVEKIT_URL`: where clients connect.
    pub server: ServerUrl,
    /// `LIVEKIT_API_KEY`: the pair's name, public in each token as its `iss`.
    pub api_key: String,
    api_secret: SecretString,
    /// `ROOMPASS_API_KEYS`: the API keys that callers may present.
    pub(crate) api_keys: Vec<KeptApiKey>,
    /// The secret's other members: those that issuers share with us.
    shared: BTreeMap<String, SecretString>,
}

/// A secret that can't be used. Names the member, never what it holds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member} {problem}")]
pub struct MalformedSecret {
    /// The member's name, which is the environment variable's too.
    pub member: String,
    /// What is wrong and what would be right, to be read after the name.
    pub problem: String,
}

impl MalformedSecret {
    fn new(member: &str, problem: impl Into<String>) -> Self {
        Self { member: member.to_owned(), problem: problem.into() }
    }
}

impl SigningKeys {
    /// LiveKit's public development pair, for a server started with `--dev`.
    pub const DEVELOPMENT_PAIR: (&str, &str) = ("devkey", "secret");

    /// A key pair and its server.
    ///
    /// # Errors
    /// Where either half is empty, or has white space around it, as pasted keys may.
    pub fn new(server: ServerUrl, api_key: String, api_secret: String) -> Result<Self, MalformedSecret> {
        for (member, text) in [(API_KEY, &api_key), (API_SECRET, &api_secret)] {
            if text.is_empty() {
                return Err(MalformedSecret::new(member, "is empty"));
            }
            if text.trim() != text {
                return Err(MalformedSecret::new(member, "has white space around it"));
            }
        }
        Ok(Self {
            server,
            api_key,
            api_secret: api_secret.into(),
            api_keys: Vec::new(),
            shared: BTreeMap::new(),
        })
    }

    /// Reads the secret's JSON. `server`, where given, stands in place of its `LIVEKIT_URL`.
    ///
    /// # Errors
    /// Where it isn't such an object.
    pub fn from_secret(text: &str, server: Option<ServerUrl>) -> Result<Self, MalformedSecret> {
        let members =
            json::object(text.as_bytes()).map_err(|error| MalformedSecret::new("it", error.to_string()))?;
        let server = match server {
            Some(server) => server,
            None => ServerUrl::parse(string(&members, URL)?)?,
        };
        let keys = Self::new(
            server,
            string(&members, API_KEY)?.to_owned(),
            string(&members, API_SECRET)?.to_owned(),
        )?;
        let api_keys = match members.get(API_KEYS) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(kept)) => read_api_keys(kept)?,
            Some(_) => return Err(MalformedSecret::new(API_KEYS, "must be an object of names and hashes")),
        };
        let shared = members.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) if ![URL, API_KEY, API_SECRET].contains(&name.as_str()) => {
                Some((name, text.into()))
            }
            _ => None,
        });
        Ok(Self { api_keys, shared: shared.collect(), ..keys })
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

    /// The same, with a secret that an issuer shares with us.
    #[must_use]
    pub fn with_shared_secret(mut self, name: &str, secret: String) -> Self {
        self.shared.insert(name.to_owned(), secret.into());
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

    /// Whether this is the pair that everybody knows.
    #[must_use]
    pub fn is_development_pair(&self) -> bool {
        (self.api_key.as_str(), self.expose_secret()) == Self::DEVELOPMENT_PAIR
    }

    /// The secret half, for the one place that signs.
    pub(crate) fn expose_secret(&self) -> &str {
        self.api_secret.expose_secret()
    }
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

/// Where clients connect: a `ws`, `wss`, `http` or `https` URL. Some clients refuse an answer whose URL doesn't parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Where it isn't one, or has another scheme.
    pub fn parse(text: &str) -> Result<Self, MalformedSecret> {
        let url = text.parse::<Uri>().ok().filter(|url| url.host().is_some_and(|host| !host.is_empty()));
        let connects = |url: &Uri| matches!(url.scheme_str(), Some("ws" | "wss" | "http" | "https"));
        let has_password =
            |url: &Uri| url.authority().is_some_and(|authority| authority.as_str().contains('@'));
        match url {
            Some(url) if connects(&url) && !has_password(&url) => Ok(Self(text.to_owned())),
            _ => Err(MalformedSecret::new(URL, "must be a URL such as wss://my-project.livekit.cloud")),
        }
    }

    /// Where a LiveKit server started with `--dev` listens.
    #[must_use]
    pub fn development() -> Self {
        Self("ws://localhost:7880".to_owned())
    }

    /// The URL, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of the secret's members, and of the environment variables for the same things.
pub(crate) const URL: &str = "LIVEKIT_URL";
pub(crate) const API_KEY: &str = "LIVEKIT_API_KEY";
pub(crate) const API_SECRET: &str = "LIVEKIT_API_SECRET";
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

    #[test]
    fn the_secret_half_is_never_shown() {
        let keys =
            SigningKeys::new(ServerUrl::parse("wss://a").unwrap(), "k".into(), "canary".into()).unwrap();
        assert!(!format!("{keys:?}").contains("canary"));
    }

    #[test]
    fn a_server_is_somewhere_a_client_can_connect_to() {
        for url in
            ["ws://localhost:7880", "wss://x.livekit.cloud", "https://x.example/livekit", "http://[::1]:7880"]
        {
            assert_eq!(ServerUrl::parse(url).unwrap().as_str(), url);
        }
        for url in
            ["", "localhost:7880", "//x", "ftp://x", "wss://", "wss://a b", "wss://user:canary@x", " wss://x"]
        {
            assert!(ServerUrl::parse(url).is_err(), "{url}");
        }
    }
}
