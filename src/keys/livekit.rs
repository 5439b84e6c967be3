//! LiveKit's keys: an API key and secret, and the server that they are for.

use secrecy::{ExposeSecret, SecretString};

use super::Deployment;
use crate::domain::{MalformedSecret, ServerUrl};

/// An API key, its secret, and their server. All three are always from one version of the secret.
#[derive(Debug, Clone)]
pub struct LiveKitKeys {
    /// `LIVEKIT_URL`: where clients connect.
    pub server: ServerUrl,
    /// `LIVEKIT_API_KEY`. It's public: each token contains it as `iss`.
    pub api_key: String,
    api_secret: SecretString,
}

impl LiveKitKeys {
    /// The public development key of a LiveKit server that is started with `--dev`.
    const DEVELOPMENT_PAIR: (&str, &str) = ("devkey", "secret");

    /// Checks an API key, its secret and their server.
    ///
    /// # Errors
    /// If the key or the secret is empty or has white space around it, or both are equal or swapped. In Lambda also if the secret is
    /// the development secret or too short, or clients would connect without TLS.
    pub fn new(
        server: ServerUrl,
        api_key: String,
        api_secret: String,
        deployment: Deployment,
    ) -> Result<Self, MalformedSecret> {
        for (member, text) in [(API_KEY, &api_key), (API_SECRET, &api_secret)] {
            if text.is_empty() {
                return Err(MalformedSecret::new(member, "is empty"));
            }
            if text.trim() != text {
                return Err(MalformedSecret::new(member, "has white space around it"));
            }
        }
        if api_key == api_secret {
            return Err(MalformedSecret::new(
                API_SECRET,
                format!("must not be the same as {API_KEY}, which is public"),
            ));
        }
        if api_secret.starts_with(BEGIN_OF_KEY) && !api_key.starts_with(BEGIN_OF_KEY) {
            let problem =
                format!("begins with {BEGIN_OF_KEY}, as keys do: it is probably swapped with {API_KEY}");
            return Err(MalformedSecret::new(API_SECRET, problem));
        }
        let keys = Self { server, api_key, api_secret: api_secret.into() };
        match deployment {
            Deployment::Lambda => keys.checked_for_production(),
            Deployment::Local => Ok(keys),
        }
    }

    fn checked_for_production(self) -> Result<Self, MalformedSecret> {
        if self.is_development_pair() {
            let problem = "must not be LiveKit's public development secret, except with `sam local`";
            return Err(MalformedSecret::new(API_SECRET, problem));
        }
        if self.is_short() {
            let problem = "must have 32 bytes or more, because a shorter secret can be guessed: \
                           make new keys with `livekit-server generate-keys`";
            return Err(MalformedSecret::new(API_SECRET, problem));
        }
        if !self.server.is_encrypted() && !self.server.is_loopback() {
            let problem = "must begin with wss:// or https://; ws:// and http:// are only for localhost, 127.0.0.1 and [::1]";
            return Err(MalformedSecret::new(URL, problem));
        }
        Ok(self)
    }

    /// LiveKit's public development key, for a server on this machine.
    #[must_use]
    pub fn development(server: ServerUrl) -> Self {
        let (api_key, api_secret) = Self::DEVELOPMENT_PAIR;
        Self { server, api_key: api_key.to_owned(), api_secret: api_secret.into() }
    }

    /// Whether this is LiveKit's public development key.
    #[must_use]
    pub fn is_development_pair(&self) -> bool {
        (self.api_key.as_str(), self.expose_secret()) == Self::DEVELOPMENT_PAIR
    }

    /// Whether the secret has fewer bytes than HS256 needs (RFC 7518, section 3.2). LiveKit's server logs an error then.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.expose_secret().len() < 32
    }

    /// The secret. Only for signing.
    pub(crate) fn expose_secret(&self) -> &str {
        self.api_secret.expose_secret()
    }
}

/// The names of the secret's members, and of the environment variables for the same values.
pub(crate) const URL: &str = ServerUrl::MEMBER;
pub(crate) const API_KEY: &str = "LIVEKIT_API_KEY";
pub(crate) const API_SECRET: &str = "LIVEKIT_API_SECRET";
/// The beginning of the keys that LiveKit generates.
const BEGIN_OF_KEY: &str = "API";

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(server: &str, key: &str, secret: &str, deployment: Deployment) -> Result<LiveKitKeys, String> {
        let server = ServerUrl::parse(server).map_err(|error| error.to_string())?;
        LiveKitKeys::new(server, key.into(), secret.into(), deployment).map_err(|error| error.to_string())
    }

    const LONG: &str = "a-secret-of-thirty-two-bytes-or-more";

    #[test]
    fn a_public_or_short_secret_or_a_server_without_tls_is_a_mistake_in_production() {
        let development =
            "LIVEKIT_API_SECRET must not be LiveKit's public development secret, except with `sam local`";
        let short = "LIVEKIT_API_SECRET must have 32 bytes or more, because a shorter secret can be guessed: make new keys with `livekit-server generate-keys`";
        let plain = "LIVEKIT_URL must begin with wss:// or https://; ws:// and http:// are only for localhost, 127.0.0.1 and [::1]";
        for (server, key, secret, problem) in [
            ("wss://a.example", "devkey", "secret", Some(development)),
            ("ws://localhost:7880", "devkey", "secret", Some(development)),
            ("wss://a.example", "key", "secret", Some(short)),
            ("wss://a.example", "devkey", &LONG[..31], Some(short)),
            ("wss://a.example", "devkey", LONG, None),
            ("wss://a.example", "key", &LONG[..32], None),
            ("HTTPS://a.example", "key", LONG, None),
            ("ws://a.example", "key", LONG, Some(plain)),
            ("http://a.example", "key", LONG, Some(plain)),
            ("ws://10.0.0.5:7880", "key", LONG, Some(plain)),
            ("ws://localhost.example", "key", LONG, Some(plain)),
            ("ws://127.0.0.1.example", "key", LONG, Some(plain)),
            ("ws://[fd00::1]", "key", LONG, Some(plain)),
            ("ws://localhost:7880", "key", LONG, None),
            ("http://127.0.0.1", "key", LONG, None),
            ("ws://[::1]:7880", "key", LONG, None),
        ] {
            let found = keys(server, key, secret, Deployment::Lambda).map(|_| ());
            assert_eq!(
                found,
                problem.map_or(Ok(()), |problem| Err(problem.to_owned())),
                "{server} {key} {secret}"
            );
            assert!(keys(server, key, secret, Deployment::Local).is_ok(), "{server} {key} {secret}");
        }
    }

    #[test]
    fn a_swapped_key_and_secret_are_a_mistake_that_shows_neither() {
        let problem = keys("wss://a", LONG, "APIkey", Deployment::Local).map(|_| ()).unwrap_err();
        assert_eq!(
            problem,
            "LIVEKIT_API_SECRET begins with API, as keys do: it is probably swapped with LIVEKIT_API_KEY"
        );
        assert!(keys("wss://a", "APIkey", LONG, Deployment::Local).is_ok());
        assert!(keys("wss://a", "APIkey", "APIsecret", Deployment::Local).is_ok());
    }

    #[test]
    fn a_secret_that_equals_its_key_is_a_mistake_in_every_deployment() {
        for deployment in [Deployment::Lambda, Deployment::Local] {
            assert_eq!(
                keys("wss://a", LONG, LONG, deployment).map(|_| ()),
                Err("LIVEKIT_API_SECRET must not be the same as LIVEKIT_API_KEY, which is public".into())
            );
        }
    }

    #[test]
    fn the_secret_is_never_shown() {
        let keys = keys("wss://a", "k", "canary", Deployment::Local).unwrap();
        assert!(!format!("{keys:?}").contains("canary"));
    }
}
