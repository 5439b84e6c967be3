//! The secret: one JSON object with the keys of LiveKit, Agora or both, those of other projects, and the keys that verify
//! callers.

use std::fmt;

use serde_json::{Map, Value};

use super::agora::{APP_CERTIFICATE, APP_ID, AgoraKeys};
use super::livekit::{API_KEY, API_SECRET, LiveKitKeys, URL};
use super::members::{Members, SecretWarning};
use super::projects::{MalformedProject, PROJECTS, Projects};
use crate::auth::{CallerKeys, SharedSecret};
use crate::domain::{MalformedSecret, Project, Provider, ServerUrl};

/// Where the program runs. In Lambda, weak keys are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// In AWS Lambda: no development key, no short secret, no server without TLS.
    Lambda,
    /// On a laptop, or in Lambda's emulator.
    Local,
}

/// The settings for reading a secret.
#[derive(Debug, Clone)]
pub struct SecretRules {
    /// Where the program runs.
    pub deployment: Deployment,
    /// The LiveKit server of the project `default`, in place of the secret's `LIVEKIT_URL`.
    pub server: Option<ServerUrl>,
    /// The shared secrets that callers name.
    pub shared: Vec<SharedSecret>,
}

/// The keys in a secret. Each project can be used even if another is invalid, and callers can be verified even if all are.
#[derive(Debug)]
pub struct Secret {
    /// The keys that sign tokens.
    pub projects: Projects,
    /// The projects whose keys are invalid.
    pub malformed: Vec<MalformedProject>,
    /// The keys that verify callers.
    pub callers: CallerKeys,
    /// What was corrected.
    pub warnings: Vec<SecretWarning>,
}

impl SecretRules {
    /// Reads a secret's JSON.
    ///
    /// # Errors
    /// If it isn't a JSON object.
    pub fn read(&self, text: &str) -> Result<Secret, MalformedSecret> {
        let Members { values, warnings } = Members::read(text, &self.shared)?;
        let (projects, malformed) = Projects::read(&values, self);
        let callers = CallerKeys::read(&values, &signing_members(&values), &self.shared);
        Ok(Secret { projects, malformed, callers, warnings })
    }
}

/// A project's signing keys, of one provider or both, always from one version of the secret.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    project: Project,
    livekit: Option<LiveKitKeys>,
    agora: Option<AgoraKeys>,
}

/// The error for a provider that has no keys in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotConfigured {
    /// The provider.
    pub provider: Provider,
    /// The project.
    pub project: Project,
}

impl std::error::Error for NotConfigured {}

impl fmt::Display for NotConfigured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, project } = self;
        write!(formatter, "{} has no keys", provider.name())?;
        if project.is_default() { Ok(()) } else { write!(formatter, " in project {:?}", project.as_str()) }
    }
}

impl SigningKeys {
    /// The keys of an unknown project.
    pub(super) fn without_provider(project: Project) -> Self {
        Self { project, livekit: None, agora: None }
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// These keys, for another project.
    #[must_use]
    pub fn for_project(self, project: Project) -> Self {
        Self { project, ..self }
    }

    /// The keys of one provider or both, or none.
    ///
    /// # Errors
    /// If both providers have the same secret.
    pub(crate) fn of(
        livekit: Option<LiveKitKeys>,
        agora: Option<AgoraKeys>,
    ) -> Result<Option<Self>, MalformedSecret> {
        match (&livekit, &agora) {
            (Some(livekit), Some(agora)) if livekit.expose_secret() == agora.expose_certificate() => {
                let problem = format!("must not be the same as {API_SECRET}: use a separate secret");
                Err(MalformedSecret::new(APP_CERTIFICATE, problem))
            }
            (None, None) => Ok(None),
            _ => Ok(Some(Self { project: Project::default(), livekit, agora })),
        }
    }

    /// Whether an object has members with signing keys.
    pub(super) fn has_members(members: &Map<String, Value>) -> bool {
        has_any(members, &LIVEKIT) || has_any(members, &AGORA)
    }

    /// Reads the members of a secret or of a project in it.
    ///
    /// # Errors
    /// If a provider's keys are incomplete or invalid, or there are no keys.
    pub(super) fn read(
        members: &Map<String, Value>,
        project: Project,
        rules: &SecretRules,
    ) -> Result<Self, MalformedSecret> {
        let agora = if has_any(members, &AGORA) { Some(agora(members)?) } else { None };
        let livekit =
            if agora.is_none() || has_any(members, &LIVEKIT) { Some(livekit(members, rules)?) } else { None };
        let keys = Self::of(livekit, agora)?.ok_or_else(|| MalformedSecret::new(API_KEY, "is missing"))?;
        Ok(keys.for_project(project))
    }

    /// These keys, with LiveKit's.
    #[must_use]
    pub fn with_livekit(self, keys: LiveKitKeys) -> Self {
        Self { livekit: Some(keys), ..self }
    }

    /// These keys, with Agora's.
    #[must_use]
    pub fn with_agora(self, keys: AgoraKeys) -> Self {
        Self { agora: Some(keys), ..self }
    }

    /// LiveKit's keys.
    ///
    /// # Errors
    /// If only Agora's keys are configured.
    pub fn livekit(&self) -> Result<&LiveKitKeys, NotConfigured> {
        self.livekit.as_ref().ok_or_else(|| self.lacks(Provider::LiveKit))
    }

    /// Agora's keys.
    ///
    /// # Errors
    /// If only LiveKit's keys are configured.
    pub fn agora(&self) -> Result<&AgoraKeys, NotConfigured> {
        self.agora.as_ref().ok_or_else(|| self.lacks(Provider::Agora))
    }

    fn lacks(&self, provider: Provider) -> NotConfigured {
        NotConfigured { provider, project: self.project.clone() }
    }

    /// Whether any provider has keys.
    #[must_use]
    pub fn has_provider(&self) -> bool {
        self.livekit.is_some() || self.agora.is_some()
    }

    /// Checks that this provider has keys.
    ///
    /// # Errors
    /// If it has none.
    pub fn sign_for(&self, provider: Provider) -> Result<(), NotConfigured> {
        match provider {
            Provider::LiveKit => self.livekit().map(|_| ()),
            Provider::Agora => self.agora().map(|_| ()),
        }
    }

    /// The keys and their secrets, by member. Only to compare them.
    pub(super) fn exposed(&self) -> impl Iterator<Item = (String, &str)> {
        let livekit = self.livekit.iter();
        let agora = self.agora.iter();
        let livekit =
            livekit.flat_map(|keys| [(API_KEY, keys.api_key.as_str()), (API_SECRET, keys.expose_secret())]);
        let agora = agora
            .flat_map(|keys| [(APP_ID, keys.app_id.as_str()), (APP_CERTIFICATE, keys.expose_certificate())]);
        livekit.chain(agora).map(|(member, value)| (path(&self.project, member), value))
    }

    /// Whether LiveKit's key is the public development key.
    #[must_use]
    pub fn is_development_pair(&self) -> bool {
        self.livekit.as_ref().is_some_and(LiveKitKeys::is_development_pair)
    }
}

impl From<LiveKitKeys> for SigningKeys {
    fn from(keys: LiveKitKeys) -> Self {
        Self { livekit: Some(keys), ..Self::without_provider(Project::default()) }
    }
}

impl From<AgoraKeys> for SigningKeys {
    fn from(keys: AgoraKeys) -> Self {
        Self { agora: Some(keys), ..Self::without_provider(Project::default()) }
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

fn has_any(members: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().any(|name| members.contains_key(*name))
}

/// The values that a shared secret must not be equal to, in all projects, each with its path.
fn signing_members(members: &Map<String, Value>) -> Vec<(String, &str)> {
    let named = members.get(PROJECTS).and_then(Value::as_object);
    let named = named.into_iter().flatten().filter_map(|(name, keys)| Some((Some(name), keys.as_object()?)));
    let all = std::iter::once((None, members)).chain(named);
    all.flat_map(|(project, members)| {
        SIGNING_MEMBERS.iter().filter_map(move |member| {
            let path = project
                .map_or_else(|| (*member).to_owned(), |project| format!("{PROJECTS}.{project}.{member}"));
            Some((path, members.get(*member)?.as_str()?))
        })
    })
    .collect()
}

/// The path of a project's member.
fn path(project: &Project, member: &str) -> String {
    if project.is_default() { member.to_owned() } else { format!("{PROJECTS}.{project}.{member}") }
}

const SIGNING_MEMBERS: [&str; 4] = [API_SECRET, APP_CERTIFICATE, API_KEY, APP_ID];
const LIVEKIT: [&str; 3] = [URL, API_KEY, API_SECRET];
const AGORA: [&str; 2] = [APP_ID, APP_CERTIFICATE];

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> SecretRules {
        SecretRules { deployment: Deployment::Lambda, server: None, shared: Vec::new() }
    }

    fn signing(text: &str) -> Result<SigningKeys, MalformedSecret> {
        own(rules().read(text)?)
    }

    /// The keys of the project `default`.
    fn own(secret: Secret) -> Result<SigningKeys, MalformedSecret> {
        match secret.malformed.into_iter().next() {
            Some(malformed) => Err(malformed.mistake),
            None => Ok(SigningKeys::clone(&secret.projects.of_default())),
        }
    }

    fn error(text: &str) -> String {
        signing(text).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_in_a_secret_names_the_problem_and_never_shows_a_value() {
        for (text, message) in [
            ("{}", "LIVEKIT_URL is missing"),
            (
                r#"{"LIVEKIT_URL": "canary"}"#,
                "LIVEKIT_URL must be a URL such as wss://my-project.livekit.cloud",
            ),
            (
                r#"{"LIVEKIT_URL": "wss://user:canary@a"}"#,
                "LIVEKIT_URL must not contain a user name or password: remove everything before the @",
            ),
            (r#"{"LIVEKIT_URL": "wss://a"}"#, "LIVEKIT_API_KEY is missing"),
            (r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": 5}"#, "LIVEKIT_API_KEY must be a string"),
            (r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k"}"#, "LIVEKIT_API_SECRET is missing"),
            (
                r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "", "LIVEKIT_API_SECRET": "canary"}"#,
                "LIVEKIT_API_KEY is empty",
            ),
        ] {
            assert_eq!(error(text), message);
        }
    }

    const AGORA_ALONE: &str = r#"{"AGORA_APP_ID": "970ca35de60c44645bbae8a215061b33", "AGORA_APP_CERTIFICATE": "5cfd2fd1755d40ecb72977518be15d3b"}"#;

    #[test]
    fn a_secret_has_the_keys_of_one_provider_or_both() {
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
        let of_agora_alone = own(with_a_server.read(AGORA_ALONE).unwrap()).unwrap();
        assert_eq!(
            of_agora_alone.livekit().unwrap_err(),
            NotConfigured { provider: Provider::LiveKit, project: Project::default() },
            "a server alone is no key"
        );
    }

    #[test]
    fn a_missing_or_invalid_key_of_agora_is_named_and_not_shown() {
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
    fn the_public_development_key_is_a_mistake_only_in_lambda() {
        let pair = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#;
        assert_eq!(
            error(pair),
            "LIVEKIT_API_SECRET must not be LiveKit's public development secret, except with `sam local`"
        );
        let local = SecretRules { deployment: Deployment::Local, ..rules() };
        assert!(own(local.read(pair).unwrap()).is_ok());
    }

    #[test]
    fn one_secret_for_both_providers_is_a_mistake() {
        let text = AGORA_ALONE.replace('}', r#", "LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "5cfd2fd1755d40ecb72977518be15d3b"}"#);
        assert_eq!(
            error(&text),
            "AGORA_APP_CERTIFICATE must not be the same as LIVEKIT_API_SECRET: use a separate secret"
        );
    }
}
