//! LiveKit's keys: the pair that signs, and the server that trusts it.

use axum::http::Uri;
use secrecy::{ExposeSecret, SecretString};

use super::MalformedSecret;

/// A key pair and the server that trusts it, always from one version of the secret.
#[derive(Debug, Clone)]
pub struct LiveKitKeys {
    /// `LIVEKIT_URL`: where clients connect.
    pub server: ServerUrl,
    /// `LIVEKIT_API_KEY`: the pair's name, public in each token as its `iss`.
    pub api_key: String,
    api_secret: SecretString,
}

impl LiveKitKeys {
    /// LiveKit's public development pair, for a server started with `--dev`.
    const DEVELOPMENT_PAIR: (&str, &str) = ("devkey", "secret");

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
        Ok(Self { server, api_key, api_secret: api_secret.into() })
    }

    /// The pair that everybody knows, for a server on a laptop.
    #[must_use]
    pub fn development(server: ServerUrl) -> Self {
        let (api_key, api_secret) = Self::DEVELOPMENT_PAIR;
        Self { server, api_key: api_key.to_owned(), api_secret: api_secret.into() }
    }

    /// Whether this is the pair that everybody knows.
    #[must_use]
    pub fn is_development_pair(&self) -> bool {
        (self.api_key.as_str(), self.expose_secret()) == Self::DEVELOPMENT_PAIR
    }

    /// Whether the secret half has fewer bytes than HS256 needs (RFC 7518, section 3.2), and than LiveKit's server
    /// asks for in its log.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.expose_secret().len() < 32
    }

    /// The secret half, for the one place that signs.
    pub(crate) fn expose_secret(&self) -> &str {
        self.api_secret.expose_secret()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_half_is_never_shown() {
        let keys =
            LiveKitKeys::new(ServerUrl::parse("wss://a").unwrap(), "k".into(), "canary".into()).unwrap();
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
