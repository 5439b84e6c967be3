//! The secret: one JSON object with the keys of LiveKit, of Agora or of both, and what callers are checked with.

use serde_json::{Map, Value};

use super::agora::{APP_CERTIFICATE, APP_ID, AgoraKeys};
use super::livekit::{API_KEY, API_SECRET, LiveKitKeys, URL};
use crate::auth::{CallerKeys, SharedSecret};
use crate::domain::{MalformedSecret, Provider, ServerUrl};
use crate::json;

/// Where the keys are used, which decides how strictly they are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// In AWS Lambda: no public key pair, no secret that can be guessed, no clients without TLS.
    Lambda,
    /// On a laptop, and in Lambda's emulator.
    Local,
}

/// How a secret is read.
#[derive(Debug, Clone)]
pub struct SecretRules {
    /// Where its keys are used.
    pub deployment: Deployment,
    /// Where clients connect, in place of the secret's own `LIVEKIT_URL`.
    pub server: Option<ServerUrl>,
    /// The secrets that issuers share with us, as the callers name them.
    pub shared: Vec<SharedSecret>,
}

/// A secret, read. Half of it may be unusable.
#[derive(Debug)]
pub struct Secret {
    /// The keys that sign.
    pub signing: Result<SigningKeys, MalformedSecret>,
    /// What callers' credentials are checked with.
    pub callers: CallerKeys,
}

impl SecretRules {
    /// Reads a secret's JSON.
    ///
    /// # Errors
    /// Where it isn't a JSON object.
    pub fn read(&self, text: &str) -> Result<Secret, MalformedSecret> {
        let members =
            json::object(text.as_bytes()).map_err(|error| MalformedSecret::new("it", error.to_string()))?;
        Ok(Secret {
            signing: SigningKeys::read(&members, self),
            callers: CallerKeys::read(&members, &SIGNING_MEMBERS, &self.shared),
        })
    }
}

/// The keys of one provider or of both, always from one version of the secret.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    livekit: Option<LiveKitKeys>,
    agora: Option<AgoraKeys>,
}

/// A provider whose tokens were asked for, and that has no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} has no keys", .0.name())]
pub struct NotConfigured(pub Provider);

impl SigningKeys {
    /// The keys of one provider or of both, if there are any.
    ///
    /// # Errors
    /// Where both sign with one secret.
    pub(crate) fn of(
        livekit: Option<LiveKitKeys>,
        agora: Option<AgoraKeys>,
    ) -> Result<Option<Self>, MalformedSecret> {
        match (&livekit, &agora) {
            (Some(livekit), Some(agora)) if livekit.expose_secret() == agora.expose_certificate() => {
                let problem = format!("must not be the same as {API_SECRET}: use a secret of its own");
                Err(MalformedSecret::new(APP_CERTIFICATE, problem))
            }
            (None, None) => Ok(None),
            _ => Ok(Some(Self { livekit, agora })),
        }
    }

    /// Reads a secret's members.
    ///
    /// # Errors
    /// Where they hold half of a provider's keys, or no provider's, or keys that may not be used here.
    fn read(members: &Map<String, Value>, rules: &SecretRules) -> Result<Self, MalformedSecret> {
        let names_one_of = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
        let agora = if names_one_of(&AGORA) { Some(agora(members)?) } else { None };
        let livekit =
            if agora.is_none() || names_one_of(&LIVEKIT) { Some(livekit(members, rules)?) } else { None };
        Self::of(livekit, agora)?.ok_or_else(|| MalformedSecret::new(API_KEY, "is missing"))
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

    /// What signs for LiveKit.
    ///
    /// # Errors
    /// Where only Agora's keys are configured.
    pub fn livekit(&self) -> Result<&LiveKitKeys, NotConfigured> {
        self.livekit.as_ref().ok_or(NotConfigured(Provider::LiveKit))
    }

    /// What signs for Agora.
    ///
    /// # Errors
    /// Where only LiveKit's keys are configured.
    pub fn agora(&self) -> Result<&AgoraKeys, NotConfigured> {
        self.agora.as_ref().ok_or(NotConfigured(Provider::Agora))
    }

    /// Whether there are keys for this provider.
    ///
    /// # Errors
    /// Where there are none.
    pub fn sign_for(&self, provider: Provider) -> Result<(), NotConfigured> {
        let has_keys = match provider {
            Provider::LiveKit => self.livekit.is_some(),
            Provider::Agora => self.agora.is_some(),
        };
        if has_keys { Ok(()) } else { Err(NotConfigured(provider)) }
    }

    /// Whether LiveKit's pair is the one that everybody knows.
    #[must_use]
    pub fn is_development_pair(&self) -> bool {
        self.livekit.as_ref().is_some_and(LiveKitKeys::is_development_pair)
    }
}

impl From<LiveKitKeys> for SigningKeys {
    fn from(keys: LiveKitKeys) -> Self {
        Self { livekit: Some(keys), agora: None }
    }
}

impl From<AgoraKeys> for SigningKeys {
    fn from(keys: AgoraKeys) -> Self {
        Self { livekit: None, agora: Some(keys) }
    }
}

fn livekit(members: &Map<String, Value>, rules: &SecretRules) -> Result<LiveKitKeys, MalformedSecret> {
    let server = match &rules.server {
        Some(server) => server.clone(),
        None => ServerUrl::parse(string(members, URL)?)?,
    };
    let (key, secret) = (string(members, API_KEY)?.to_owned(), string(members, API_SECRET)?.to_owned());
    LiveKitKeys::new(server, key, secret, rules.deployment)
}

fn agora(members: &Map<String, Value>) -> Result<AgoraKeys, MalformedSecret> {
    AgoraKeys::new(string(members, APP_ID)?.to_owned(), string(members, APP_CERTIFICATE)?.to_owned())
}

fn string<'a>(members: &'a Map<String, Value>, member: &str) -> Result<&'a str, MalformedSecret> {
    match members.get(member) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(MalformedSecret::new(member, "must be a string")),
        None => Err(MalformedSecret::new(member, "is missing")),
    }
}

/// The members that are no secret to share with an issuer.
pub(crate) const SIGNING_MEMBERS: [&str; 4] = [API_SECRET, APP_CERTIFICATE, API_KEY, APP_ID];
const LIVEKIT: [&str; 3] = [URL, API_KEY, API_SECRET];
const AGORA: [&str; 2] = [APP_ID, APP_CERTIFICATE];

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> SecretRules {
        SecretRules { deployment: Deployment::Lambda, server: None, shared: Vec::new() }
    }

    fn signing(text: &str) -> Result<SigningKeys, MalformedSecret> {
        rules().read(text).and_then(|secret| secret.signing)
    }

    fn error(text: &str) -> String {
        signing(text).unwrap_err().to_string()
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
            (
                r#"{"LIVEKIT_URL": "wss://user:canary@a"}"#,
                "LIVEKIT_URL must not contain a user name or password: remove all before the @",
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
            r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "a secret of thirty-two bytes or more"}"#.to_owned();
        let both = format!("{},{}", &AGORA_ALONE[..AGORA_ALONE.len() - 1], &livekit[1..]);
        for (text, has_livekit, has_agora) in
            [(&*livekit, true, false), (AGORA_ALONE, false, true), (&both, true, true)]
        {
            let keys = signing(text).unwrap();
            assert_eq!((keys.livekit().is_ok(), keys.agora().is_ok()), (has_livekit, has_agora), "{text}");
        }
        let with_a_server = SecretRules { server: Some(ServerUrl::development()), ..rules() };
        let of_agora_alone = with_a_server.read(AGORA_ALONE).unwrap().signing.unwrap();
        assert_eq!(
            of_agora_alone.livekit().unwrap_err(),
            NotConfigured(Provider::LiveKit),
            "a server makes no pair"
        );
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
    fn the_public_development_pair_is_a_malformed_secret_in_lambda_alone() {
        let pair = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#;
        assert_eq!(
            error(pair),
            "LIVEKIT_API_SECRET is LiveKit's public development secret, which only `sam local` may use"
        );
        let local = SecretRules { deployment: Deployment::Local, ..rules() };
        assert!(local.read(pair).unwrap().signing.is_ok());
    }

    #[test]
    fn both_providers_never_sign_with_one_secret() {
        let text = AGORA_ALONE.replace('}', r#", "LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "5cfd2fd1755d40ecb72977518be15d3b"}"#);
        assert_eq!(
            error(&text),
            "AGORA_APP_CERTIFICATE must not be the same as LIVEKIT_API_SECRET: use a secret of its own"
        );
    }
}
