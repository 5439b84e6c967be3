//! The keys that sign tokens and the keys that verify callers, from the environment or a secret store. Independent of
//! HTTP.

mod agora;
#[cfg(feature = "lambda")]
mod aws;
mod deployment;
mod livekit;
mod members;
mod projects;
mod secret;
mod signing;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use agora::AgoraKeys;
pub(crate) use agora::{APP_CERTIFICATE, APP_ID};
#[cfg(feature = "lambda")]
pub use aws::{Aws, ParameterStore, SecretsManager};
pub use deployment::Deployment;
pub use livekit::LiveKitKeys;
pub(crate) use livekit::{API_KEY, API_SECRET, URL};
pub use members::SecretWarning;
pub use projects::{Affected, MalformedProject, Projects};
pub use secret::{Secret, SecretRules};
pub use signing::{NotConfigured, SigningKeys};

use crate::auth::{CallerKeySource, CallerKeys, CallerKeysUnavailable, SharedSecret};
use crate::domain::{Context, MalformedSecret, Project};
use crate::refreshing::{Age, Missing, Refresh, Refreshing, Schedule, Snapshot, TimedOut};
use roompass_core::config::KeyAges;

/// A store that has the secret.
pub trait SecretStore: Send + Sync {
    /// Fetches the current secret. Callers stop waiting after about a second.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>>;
}

/// A secret as the store returns it.
#[derive(Debug, Clone)]
pub struct StoredSecret {
    /// The secret: a JSON object.
    pub text: SecretString,
    /// The ID or number of this version of the secret, for the log. It isn't confidential.
    pub version: Option<String>,
    /// Whether the store has it as binary data. It's better stored as text.
    pub is_binary: bool,
}

impl From<&str> for StoredSecret {
    fn from(text: &str) -> Self {
        Self { text: text.into(), version: None, is_binary: false }
    }
}

/// Why the secret can't be fetched. The texts are for the log only.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The secret doesn't exist or has no current value.
    #[error("secret not found: {0}")]
    Missing(String),
    /// This service has no permission to read the secret.
    #[error("access to the secret denied: {0}")]
    Denied(String),
    /// The secret is stored in a way that can't be used: as binary data that isn't text, or not encrypted.
    #[error("the secret is malformed: {0}")]
    Unusable(&'static str),
    /// The store is unreachable, too slow, or throttles requests.
    #[error("the secret store is unavailable: {0}")]
    Unavailable(String),
}

/// Why there are no keys. The texts are for the log only.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeysError {
    /// The secret can't be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret is invalid, in one or more places.
    #[error("the secret is malformed: {}", in_one_line(.0))]
    Malformed(Vec<MalformedSecret>),
}

/// The keys of this process: fixed, or fetched from a store when first needed and refreshed as `refreshing` describes.
pub struct Keys(KeyStorage);

enum KeyStorage {
    Fixed(Fixed),
    Store(Box<StoredKeys>),
}

struct Fixed {
    projects: Projects,
    callers: Arc<CallerKeys>,
    /// When they were read, in seconds since 1970, if that is known.
    read: Option<u64>,
}

struct StoredKeys {
    store: Arc<dyn SecretStore>,
    rules: SecretRules,
    max_age: Duration,
    callers_max_age: Duration,
    cache: Refreshing<CachedKeys>,
}

/// The keys that a request needs.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Signing(&'a Project),
    Projects,
    Callers,
}

/// The keys that were wanted.
#[derive(Default)]
struct Found {
    signing: Option<Arc<SigningKeys>>,
    projects: Option<Projects>,
    callers: Option<Arc<CallerKeys>>,
}

/// The last valid keys. A project's keys are always from one version of the secret, and so are the callers' keys.
#[derive(Debug, Default, Clone)]
struct CachedKeys {
    projects: BTreeMap<Project, Cached<SigningKeys>>,
    callers: Option<Cached<CallerKeys>>,
    /// The projects whose keys are invalid in the fetched secret.
    malformed: Vec<MalformedProject>,
    /// What was corrected when the secret was read.
    warnings: Vec<SecretWarning>,
    version: Option<String>,
}

#[derive(Debug)]
struct Cached<T> {
    value: Arc<T>,
    age: Age,
}

impl Keys {
    /// Keys that were given to the process and never change.
    #[must_use]
    pub fn given(signing: impl Into<Projects>, callers: CallerKeys) -> Self {
        Self(KeyStorage::Fixed(Fixed { projects: signing.into(), callers: callers.into(), read: None }))
    }

    /// These keys, which were read at this time, in seconds since 1970. Keys from a store have times of their own.
    #[must_use]
    pub fn read_at(mut self, now: u64) -> Self {
        if let KeyStorage::Fixed(fixed) = &mut self.0 {
            fixed.read = Some(now);
        }
        self
    }

    /// Keys from a store.
    #[must_use]
    pub fn stored_in(store: Box<dyn SecretStore>, rules: SecretRules, ages: KeyAges) -> Self {
        Self::of_store(store.into(), rules, ages, None)
    }

    /// Keys from the same store, for callers with other shared secrets and for other ages. Signing keys stay cached. The
    /// callers' keys are fetched again if there are other shared secrets. `None` if these keys are not from a store.
    #[must_use]
    pub fn following(&self, shared: Vec<SharedSecret>, ages: KeyAges) -> Option<Self> {
        let KeyStorage::Store(stored) = &self.0 else { return None };
        let mut cached = stored.cache.snapshot();
        if stored.rules.shared != shared {
            cached.value_mut().callers = None;
        }
        let rules = SecretRules { shared, ..stored.rules.clone() };
        Some(Self::of_store(stored.store.clone(), rules, ages, Some(cached)))
    }

    fn of_store(
        store: Arc<dyn SecretStore>,
        rules: SecretRules,
        ages: KeyAges,
        cached: Option<Snapshot<CachedKeys>>,
    ) -> Self {
        let KeyAges { refresh_after, max_age, callers_max_age } = ages;
        let schedule = Schedule {
            name: "signing key",
            cached: "keys",
            refresh_after,
            max_age: max_age.max(callers_max_age),
            retry: RETRY,
            retry_missing: 0,
            timeout: TIMEOUT,
            timeout_without_value: TIMEOUT_WITHOUT_KEYS,
        };
        let cache = match cached {
            Some(cached) => Refreshing::from_snapshot(schedule, cached),
            None => Refreshing::new(schedule),
        };
        Self(KeyStorage::Store(Box::new(StoredKeys { store, rules, max_age, callers_max_age, cache })))
    }

    /// A project's current signing keys. Those of an unknown project have no provider. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// If none are cached, and the secret can't be fetched or the project's keys in it are invalid.
    pub async fn signing(&self, project: &Project, context: &Context) -> Result<Arc<SigningKeys>, KeysError> {
        match &self.0 {
            KeyStorage::Fixed(fixed) => Ok(fixed.projects.get(project)),
            KeyStorage::Store(stored) => {
                stored.get(context, Wanted::Signing(project)).await?.signing.ok_or_else(|| TimedOut.into())
            }
        }
    }

    /// The current signing keys of all projects. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// If no project has keys, and the secret can't be fetched or all keys in it are invalid.
    pub async fn projects(&self, context: &Context) -> Result<Projects, KeysError> {
        match &self.0 {
            KeyStorage::Fixed(fixed) => Ok(fixed.projects.clone()),
            KeyStorage::Store(stored) => {
                stored.get(context, Wanted::Projects).await?.projects.ok_or_else(|| TimedOut.into())
            }
        }
    }

    /// The current keys that verify callers. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// If none are cached, and the secret can't be fetched or isn't a JSON object.
    pub async fn callers(&self, context: &Context) -> Result<Arc<CallerKeys>, KeysError> {
        match &self.0 {
            KeyStorage::Fixed(fixed) => Ok(fixed.callers.clone()),
            KeyStorage::Store(stored) => {
                stored.get(context, Wanted::Callers).await?.callers.ok_or_else(|| TimedOut.into())
            }
        }
    }

    /// Seconds since a project's current signing keys were read, if that is known. Reads no keys.
    #[must_use]
    pub fn age(&self, project: &Project, now: u64) -> Option<u64> {
        match &self.0 {
            KeyStorage::Fixed(fixed) => Some(now.saturating_sub(fixed.read?)),
            KeyStorage::Store(stored) => {
                stored.cache.peek(|cached| Some(cached.projects.get(project)?.age.seconds(now)))
            }
        }
    }

    /// The same for every project with keys.
    #[must_use]
    pub fn ages(&self, now: u64) -> Vec<(Project, u64)> {
        let projects: Vec<_> = match &self.0 {
            KeyStorage::Fixed(fixed) => fixed.projects.iter().map(|keys| keys.project().clone()).collect(),
            KeyStorage::Store(stored) => {
                stored.cache.peek(|cached| cached.projects.keys().cloned().collect())
            }
        };
        let aged = projects.into_iter().filter_map(|project| Some((self.age(&project, now)?, project)));
        aged.map(|(age, project)| (project, age)).collect()
    }
}

impl StoredKeys {
    /// The wanted keys. Refreshes them if they are stale.
    async fn get(&self, context: &Context, wanted: Wanted<'_>) -> Result<Found, KeysError> {
        let (now, max_age) = (context.now, self.max_age);
        let pick = |cached: &mut CachedKeys| match wanted {
            Wanted::Signing(project) => cached
                .signing(project, now, max_age)
                .map(|keys| Found { signing: Some(keys), ..Found::default() }),
            Wanted::Projects => {
                cached.projects(now, max_age).map(|keys| Found { projects: Some(keys), ..Found::default() })
            }
            Wanted::Callers => {
                let keys = cached.callers.as_mut()?.unless_expired(now, self.callers_max_age)?;
                Some(Found { callers: Some(keys), ..Found::default() })
            }
        };
        let found = self.cache.get(context, pick, async || self.fetch(now).await).await;
        found.map_err(|missing| match missing {
            Missing::Failed(error) => error,
            Missing::Absent => TimedOut.into(),
        })
    }

    async fn fetch(&self, now: u64) -> Result<CachedKeys, KeysError> {
        let StoredSecret { text, version, is_binary } = self.store.fetch().await?;
        let Secret { projects, malformed, callers, mut warnings } = self.rules.read(text.expose_secret())?;
        if is_binary {
            warnings.push(SecretWarning::of_the_secret("is stored as binary data: store it as a string"));
        }
        for mistake in callers.mistakes() {
            tracing::error!(cause = %mistake, version, "part of the secret ignored");
        }
        let projects = projects.into_iter().map(|keys| (keys.project().clone(), Cached::new(keys, now)));
        let (projects, callers) = (projects.collect(), Some(Cached::new(callers.into(), now)));
        Ok(CachedKeys { projects, callers, malformed, warnings, version })
    }
}

impl CachedKeys {
    fn signing(&mut self, project: &Project, now: u64, max_age: Duration) -> Option<Arc<SigningKeys>> {
        match self.projects.get_mut(project) {
            Some(keys) => keys.unless_expired(now, max_age),
            None if self.malformed.iter().any(|malformed| malformed.may_be(project)) => None,
            None => Some(Projects::default().get(project)),
        }
    }

    fn projects(&mut self, now: u64, max_age: Duration) -> Option<Projects> {
        let projects: Projects =
            self.projects.values_mut().filter_map(|keys| keys.unless_expired(now, max_age)).collect();
        (!projects.is_empty()).then_some(projects)
    }
}

impl Refresh for CachedKeys {
    type Error = KeysError;

    fn replace(&mut self, mut fetched: Self) -> Result<(), KeysError> {
        let had_keys = !self.projects.is_empty();
        // Of a project whose keys are invalid, the last valid ones stay.
        for (project, keys) in std::mem::take(&mut self.projects) {
            if fetched.malformed.iter().any(|malformed| malformed.may_be(&project)) {
                fetched.projects.entry(project).or_insert(keys);
            }
        }
        (self.projects, self.callers, self.malformed) =
            (fetched.projects, fetched.callers, fetched.malformed);
        if !self.malformed.is_empty() {
            let mistakes = self.malformed.iter().map(|malformed| malformed.mistake.clone());
            return Err(KeysError::Malformed(mistakes.collect()));
        }
        let (version, previous) = (fetched.version, self.version.take());
        if !had_keys || previous != version {
            for warning in fetched.warnings {
                tracing::warn!(cause = %warning, version, "secret corrected when it was read");
            }
        }
        if !had_keys {
            tracing::info!(version, "signing keys loaded");
        } else if previous != version {
            tracing::info!(version, previous, "signing keys changed");
        }
        self.version = version;
        Ok(())
    }
}

impl CallerKeySource for Keys {
    async fn caller_keys(&self, context: &Context) -> Result<Arc<CallerKeys>, CallerKeysUnavailable> {
        self.callers(context).await.map_err(|error| {
            let is_transient = error.is_transient();
            CallerKeysUnavailable { cause: error.to_string(), is_transient }
        })
    }
}

impl KeysError {
    /// Whether a retry can succeed without a change by the operator.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable(_)))
    }
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), age: self.age }
    }
}

impl<T> Cached<T> {
    fn new(value: Arc<T>, now: u64) -> Self {
        Self { value, age: Age::new(now) }
    }

    fn unless_expired(&mut self, now: u64, max_age: Duration) -> Option<Arc<T>> {
        (!self.age.has_expired(now, max_age)).then(|| self.value.clone())
    }
}

impl From<MalformedSecret> for KeysError {
    fn from(mistake: MalformedSecret) -> Self {
        Self::Malformed(vec![mistake])
    }
}

fn in_one_line(mistakes: &[MalformedSecret]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<TimedOut> for KeysError {
    fn from(error: TimedOut) -> Self {
        StoreError::Unavailable(error.to_string()).into()
    }
}

/// Seconds between two fetches while cached keys are used. Times are whole seconds, so retries are at least five seconds
/// apart.
const RETRY: RangeInclusive<u64> = 6..=15;
/// For a refresh while cached keys can be used.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Without cached keys. In a cold start both the init phase and the first request wait, and must return a 503 within three
/// seconds.
const TIMEOUT_WITHOUT_KEYS: Duration = Duration::from_millis(1_200);

#[cfg(test)]
mod tests;
