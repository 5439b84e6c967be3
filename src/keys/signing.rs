//! A project's signing keys: the keys of LiveKit, of Agora, or of both.

use std::fmt;

use serde_json::{Map, Value};

use super::Deployment;
use super::agora::{APP_CERTIFICATE, APP_ID, AgoraKeys};
use super::livekit::{API_KEY, API_SECRET, LiveKitKeys, URL};
use crate::domain::{MalformedSecret, Project, Provider, ServerUrl};
use roompass_core::suggestion::{did_you_mean, suggestion};

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

    /// Whether all members are keys or the server.
    pub(super) fn has_only_known(members: &Map<String, Value>) -> bool {
        members.keys().all(|name| known_members().any(|known| known == name))
    }

    /// What is wrong with a project that has another member. A name may be a secret in the wrong place, so it isn't shown.
    pub(super) fn unknown_member(members: &Map<String, Value>) -> String {
        let mut unknown = members.iter().filter(|(name, _)| !known_members().any(|known| known == *name));
        let (is_nested, likely) = unknown.next().map_or((false, None), |(name, value)| {
            (value.is_object(), suggestion(&name.to_ascii_uppercase(), known_members()))
        });
        let hint = match likely {
            _ if is_nested => {
                "; it contains an object: put the project's keys directly into the project".to_owned()
            }
            likely => did_you_mean(likely),
        };
        let known: Vec<_> = known_members().collect();
        format!("must have no other members than {}{hint}", known.join(", "))
    }

    /// Reads the members of a secret or of a project in it. `server` replaces the member `LIVEKIT_URL`.
    ///
    /// # Errors
    /// If a provider's keys are incomplete or invalid, or there are no keys.
    pub(super) fn read(
        members: &Map<String, Value>,
        project: Project,
        server: Option<&ServerUrl>,
        deployment: Deployment,
    ) -> Result<Self, MalformedSecret> {
        let agora = if has_any(members, &AGORA) { Some(agora(members)?) } else { None };
        let livekit = if agora.is_none() || has_any(members, &LIVEKIT) {
            Some(livekit(members, server, deployment)?)
        } else {
            None
        };
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
    pub(super) fn exposed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let livekit = self.livekit.iter();
        let agora = self.agora.iter();
        let livekit =
            livekit.flat_map(|keys| [(API_KEY, keys.api_key.as_str()), (API_SECRET, keys.expose_secret())]);
        let agora = agora
            .flat_map(|keys| [(APP_ID, keys.app_id.as_str()), (APP_CERTIFICATE, keys.expose_certificate())]);
        livekit.chain(agora)
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

fn livekit(
    members: &Map<String, Value>,
    server: Option<&ServerUrl>,
    deployment: Deployment,
) -> Result<LiveKitKeys, MalformedSecret> {
    let server = match server {
        Some(server) => server.clone(),
        None => ServerUrl::parse(string(members, URL)?)?,
    };
    let (key, secret) = (string(members, API_KEY)?.to_owned(), string(members, API_SECRET)?.to_owned());
    LiveKitKeys::new(server, key, secret, deployment)
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

fn known_members() -> impl Iterator<Item = &'static str> {
    LIVEKIT.into_iter().chain(AGORA)
}

fn has_any(members: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().any(|name| members.contains_key(*name))
}

/// The members with keys and their public names.
pub(super) const SIGNING_MEMBERS: [&str; 4] = [API_SECRET, APP_CERTIFICATE, API_KEY, APP_ID];
const LIVEKIT: [&str; 3] = [URL, API_KEY, API_SECRET];
const AGORA: [&str; 2] = [APP_ID, APP_CERTIFICATE];
