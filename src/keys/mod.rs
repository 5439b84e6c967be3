//! The keys that sign, and what callers' credentials are checked with, from wherever the secret is. Knows nothing of
//! requests.

mod agora;
mod livekit;
mod secret;
#[cfg(feature = "lambda")]
mod secrets_manager;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use agora::AgoraKeys;
pub(crate) use agora::{APP_CERTIFICATE, APP_ID};
pub use livekit::LiveKitKeys;
pub(crate) use livekit::{API_KEY, API_SECRET, URL};
pub(crate) use secret::SIGNING_MEMBERS;
pub use secret::{Deployment, NotConfigured, Secret, SecretRules, SigningKeys};
#[cfg(feature = "lambda")]
pub use secrets_manager::SecretsManager;

use crate::auth::{CallerKeySource, CallerKeys, CallerKeysUnavailable};
use crate::domain::{Context, MalformedSecret};
use crate::refreshing::{Age, Missing, Refresh, Refreshing, Schedule, TimedOut};
use roompass_core::config::KeyAges;

/// A place where the one secret is kept.
pub trait SecretStore: Send + Sync {
    /// The secret as it is now. It isn't waited for any longer than a second or so.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>>;
}

/// A secret, as a store gives it.
#[derive(Debug, Clone)]
pub struct StoredSecret {
    /// The secret itself.
    pub text: SecretString,
    /// The store's name for this version of it, which is no secret. For the log alone.
    pub version: Option<String>,
}

impl From<&str> for StoredSecret {
    fn from(text: &str) -> Self {
        Self { text: text.into(), version: None }
    }
}

/// Why a store gives no secret. What each says is for the log alone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such secret, or it has no current value.
    #[error("the secret is missing: {0}")]
    Missing(String),
    /// The store doesn't let us read it.
    #[error("the secret may not be read: {0}")]
    Denied(String),
    /// The store doesn't answer, or not in time, or asks us to wait.
    #[error("the secret store is unavailable: {0}")]
    Unavailable(String),
}

/// Why there are no keys to sign with. What it says is for the log alone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeysError {
    /// The store gave no secret.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store gave a secret that can't be used.
    #[error("the secret is malformed: {0}")]
    Malformed(#[from] MalformedSecret),
}

/// The keys of this process: given to it, or read from a store when they're first needed and refreshed when they're
/// old.
///
/// No background task does that, since a process is frozen between requests: the one request that finds the keys old
/// refreshes them, for a second at most, and goes on with what there is then; no other request waits. Without keys,
/// all requests that need them wait for the one that reads them. A failure is never cached: the next request that needs
/// keys tries again. While good keys are used on, tries after a failure are spaced.
pub struct Keys(Source);

enum Source {
    Given(Arc<SigningKeys>, Arc<CallerKeys>),
    Stored(Box<Stored>),
}

struct Stored {
    store: Box<dyn SecretStore>,
    rules: SecretRules,
    max_age: Duration,
    callers_max_age: Duration,
    secret: Refreshing<Halves>,
}

/// What a process has of its secret. Each half is always of one version of it, whole.
#[derive(Debug, Default)]
struct Halves {
    signing: Option<Half<SigningKeys>>,
    callers: Option<Half<CallerKeys>>,
    /// Why the signing half can't be used.
    malformed: Option<MalformedSecret>,
    version: Option<String>,
}

#[derive(Debug)]
struct Half<T> {
    value: Arc<T>,
    age: Age,
}

impl Keys {
    /// Keys that were given to the process and never change.
    #[must_use]
    pub fn given(signing: SigningKeys, callers: CallerKeys) -> Self {
        Self(Source::Given(Arc::new(signing), Arc::new(callers)))
    }

    /// Keys from a store.
    #[must_use]
    pub fn stored_in(store: Box<dyn SecretStore>, rules: SecretRules, ages: KeyAges) -> Self {
        let KeyAges { refresh_after, max_age, callers_max_age } = ages;
        let secret = Refreshing::new(Schedule {
            name: "signing key",
            refresh_after,
            max_age: max_age.max(callers_max_age),
            retry: RETRY,
            retry_missing: 0,
            patience: TO_REFRESH,
            patience_without: WITHOUT_KEYS,
        });
        let stored = Stored { store, rules, max_age, callers_max_age, secret };
        Self(Source::Stored(Box::new(stored)))
    }

    /// The keys to sign with now. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// Where there are no good ones, and the store gives no secret or one that can't be used.
    pub async fn signing(&self, context: &Context) -> Result<Arc<SigningKeys>, KeysError> {
        match &self.0 {
            Source::Given(signing, _) => Ok(signing.clone()),
            Source::Stored(stored) => {
                let max_age = stored.max_age;
                stored
                    .get(context, |halves| halves.signing.as_mut()?.unless_expired(context.now, max_age))
                    .await
            }
        }
    }

    /// What callers' credentials are checked with now. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// Where there is nothing recent enough, and the store gives no secret or one that can't be read.
    pub async fn callers(&self, context: &Context) -> Result<Arc<CallerKeys>, KeysError> {
        match &self.0 {
            Source::Given(_, callers) => Ok(callers.clone()),
            Source::Stored(stored) => {
                let max_age = stored.callers_max_age;
                stored
                    .get(context, |halves| halves.callers.as_mut()?.unless_expired(context.now, max_age))
                    .await
            }
        }
    }
}

impl Stored {
    async fn get<T>(
        &self,
        context: &Context,
        half: impl Fn(&mut Halves) -> Option<Arc<T>>,
    ) -> Result<Arc<T>, KeysError> {
        let got = self.secret.get(context, half, async || self.fetch(context.now).await).await;
        got.map_err(|missing| match missing {
            Missing::Failed(error) => error,
            Missing::Absent => TimedOut.into(),
        })
    }

    async fn fetch(&self, now: u64) -> Result<Halves, KeysError> {
        let StoredSecret { text, version } = self.store.fetch().await?;
        let Secret { signing, callers } = self.rules.read(text.expose_secret())?;
        for mistake in callers.mistakes() {
            tracing::error!(cause = %mistake, version, "part of the secret ignored");
        }
        let (signing, malformed) = match signing {
            Ok(keys) => (Some(Half::new(keys, now)), None),
            Err(mistake) => (None, Some(mistake)),
        };
        Ok(Halves { signing, callers: Some(Half::new(callers, now)), malformed, version })
    }
}

impl Refresh for Halves {
    type Error = KeysError;

    fn replace(&mut self, fetched: Self) -> Result<(), KeysError> {
        self.callers = fetched.callers;
        if let Some(mistake) = fetched.malformed {
            return Err(mistake.into());
        }
        let (version, previous) = (fetched.version, self.version.take());
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
    /// Whether trying again soon can help, without a change by the operator.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable(_)))
    }
}

impl<T> Half<T> {
    fn new(value: T, now: u64) -> Self {
        Self { value: Arc::new(value), age: Age::new(now) }
    }

    fn unless_expired(&mut self, now: u64, max_age: Duration) -> Option<Arc<T>> {
        (!self.age.has_expired(now, max_age)).then(|| self.value.clone())
    }
}

impl From<TimedOut> for KeysError {
    fn from(late: TimedOut) -> Self {
        StoreError::Unavailable(late.to_string()).into()
    }
}

/// How many seconds pass between two tries while cached keys are used. A second more than the shortest wait meant, since
/// times are whole seconds.
const RETRY: RangeInclusive<u64> = 6..=15;
/// How long the one request that finds the keys old waits for new ones.
const TO_REFRESH: Duration = Duration::from_secs(1);
/// How long those wait that have none to serve with. Twice that, for the init phase and the first request, is within
/// the three seconds after which the client's retry hint applies.
const WITHOUT_KEYS: Duration = Duration::from_millis(1_200);

#[cfg(test)]
mod tests;
