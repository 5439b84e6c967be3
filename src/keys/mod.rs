//! The keys that sign tokens and the keys that verify callers, from the environment or a secret store. Independent of
//! HTTP.

mod agora;
#[cfg(feature = "lambda")]
mod aws;
mod livekit;
mod members;
mod secret;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use agora::AgoraKeys;
pub(crate) use agora::{APP_CERTIFICATE, APP_ID};
#[cfg(feature = "lambda")]
pub use aws::{ParameterStore, SecretsManager};
pub use livekit::LiveKitKeys;
pub(crate) use livekit::{API_KEY, API_SECRET, URL};
pub use members::SecretWarning;
pub(crate) use secret::SIGNING_MEMBERS;
pub use secret::{Deployment, NotConfigured, Secret, SecretRules, SigningKeys};

use crate::auth::{CallerKeySource, CallerKeys, CallerKeysUnavailable};
use crate::domain::{Context, MalformedSecret};
use crate::refreshing::{Age, Missing, Refresh, Refreshing, Schedule, TimedOut};
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
    /// The secret is invalid.
    #[error("the secret is malformed: {0}")]
    Malformed(#[from] MalformedSecret),
}

/// The keys of this process: fixed, or fetched from a store when first needed and refreshed as `refreshing` describes.
pub struct Keys(KeyStorage);

enum KeyStorage {
    Fixed(Arc<SigningKeys>, Arc<CallerKeys>),
    Store(Box<StoredKeys>),
}

struct StoredKeys {
    store: Box<dyn SecretStore>,
    rules: SecretRules,
    max_age: Duration,
    callers_max_age: Duration,
    cache: Refreshing<CachedKeys>,
}

/// The last valid keys of each kind. Keys of one kind are always from one version of the secret.
#[derive(Debug, Default)]
struct CachedKeys {
    signing: Option<Cached<SigningKeys>>,
    callers: Option<Cached<CallerKeys>>,
    /// Why the fetched secret has no valid signing keys.
    malformed: Option<MalformedSecret>,
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
    pub fn given(signing: SigningKeys, callers: CallerKeys) -> Self {
        Self(KeyStorage::Fixed(Arc::new(signing), Arc::new(callers)))
    }

    /// Keys from a store.
    #[must_use]
    pub fn stored_in(store: Box<dyn SecretStore>, rules: SecretRules, ages: KeyAges) -> Self {
        let KeyAges { refresh_after, max_age, callers_max_age } = ages;
        let cache = Refreshing::new(Schedule {
            name: "signing key",
            refresh_after,
            max_age: max_age.max(callers_max_age),
            retry: RETRY,
            retry_missing: 0,
            timeout: TIMEOUT,
            timeout_without_value: TIMEOUT_WITHOUT_KEYS,
        });
        Self(KeyStorage::Store(Box::new(StoredKeys { store, rules, max_age, callers_max_age, cache })))
    }

    /// The current signing keys. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// If none are cached, and the secret can't be fetched or is invalid.
    pub async fn signing(&self, context: &Context) -> Result<Arc<SigningKeys>, KeysError> {
        match &self.0 {
            KeyStorage::Fixed(signing, _) => Ok(signing.clone()),
            KeyStorage::Store(stored) => {
                stored.get(context, stored.max_age, |cached| cached.signing.as_mut()).await
            }
        }
    }

    /// The current keys that verify callers. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// If none are cached, and the secret can't be fetched or isn't a JSON object.
    pub async fn callers(&self, context: &Context) -> Result<Arc<CallerKeys>, KeysError> {
        match &self.0 {
            KeyStorage::Fixed(_, callers) => Ok(callers.clone()),
            KeyStorage::Store(stored) => {
                stored.get(context, stored.callers_max_age, |cached| cached.callers.as_mut()).await
            }
        }
    }
}

impl StoredKeys {
    async fn get<T>(
        &self,
        context: &Context,
        max_age: Duration,
        kind: impl Fn(&mut CachedKeys) -> Option<&mut Cached<T>>,
    ) -> Result<Arc<T>, KeysError> {
        let pick = |cached: &mut CachedKeys| kind(cached)?.unless_expired(context.now, max_age);
        let keys = self.cache.get(context, pick, async || self.fetch(context.now).await).await;
        keys.map_err(|missing| match missing {
            Missing::Failed(error) => error,
            Missing::Absent => TimedOut.into(),
        })
    }

    async fn fetch(&self, now: u64) -> Result<CachedKeys, KeysError> {
        let StoredSecret { text, version, is_binary } = self.store.fetch().await?;
        let Secret { signing, callers, mut warnings } = self.rules.read(text.expose_secret())?;
        if is_binary {
            warnings.push(SecretWarning::of_the_secret("is stored as binary data: store it as a string"));
        }
        for mistake in callers.mistakes() {
            tracing::error!(cause = %mistake, version, "part of the secret ignored");
        }
        let (signing, malformed) = match signing {
            Ok(keys) => (Some(Cached::new(keys, now)), None),
            Err(mistake) => (None, Some(mistake)),
        };
        Ok(CachedKeys { signing, callers: Some(Cached::new(callers, now)), malformed, warnings, version })
    }
}

impl Refresh for CachedKeys {
    type Error = KeysError;

    fn replace(&mut self, fetched: Self) -> Result<(), KeysError> {
        self.callers = fetched.callers;
        if let Some(mistake) = fetched.malformed {
            return Err(mistake.into());
        }
        let (version, previous) = (fetched.version, self.version.take());
        if self.signing.is_none() || previous != version {
            for warning in fetched.warnings {
                tracing::warn!(cause = %warning, version, "secret corrected when it was read");
            }
        }
        if self.signing.is_none() {
            tracing::info!(version, "signing keys loaded");
        } else if previous != version {
            tracing::info!(version, previous, "signing keys changed");
        }
        (self.signing, self.version) = (fetched.signing, version);
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

impl<T> Cached<T> {
    fn new(value: T, now: u64) -> Self {
        Self { value: Arc::new(value), age: Age::new(now) }
    }

    fn unless_expired(&mut self, now: u64, max_age: Duration) -> Option<Arc<T>> {
        (!self.age.has_expired(now, max_age)).then(|| self.value.clone())
    }
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
