//! The policy that is read at run time. Its text is fetched like the keys, checked as a whole, and served from then on. A
//! text that can't be read or has mistakes never replaces the policy that is served.

use std::future::{Future, ready};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use secrecy::ExposeSecret;
use tower::ServiceExt;

use crate::auth::{Caller, Callers, SharedSecret};
use crate::config::{Config, ConfigError, KeyAges, Sources, read_policy, shared_secrets, warnings};
use crate::domain::Context;
use crate::http::{Hosts, KeysFailed, PolicyUnavailable, Surroundings, router_of};
use crate::keys::{Keys, KeysError, SecretStore, StoreError, StoredSecret};
use crate::metrics::Metrics;
use crate::mint::Mint;
use crate::refreshing::{Missing, Refresh, Refreshing, Schedule, TimedOut, alone_or_with};

/// The service for the current policy.
pub struct Reloading {
    store: Box<dyn SecretStore>,
    parts: Parts,
    latest: Mutex<Latest>,
    /// The service before a policy was read. It decides no request.
    without_policy: Router,
    cache: Refreshing<Current>,
    /// The last text with mistakes: its version and the error.
    rejected: Mutex<Option<(String, PolicyError)>>,
    /// The version whose warnings were logged.
    warned: Mutex<Option<String>>,
}

/// What the services of all versions have in common.
pub struct Parts {
    /// The texts that apply where the policy sets nothing.
    pub sources: Sources,
    /// Where the policy is read, for its mistakes.
    pub place: String,
    /// Makes the keys for a configuration.
    pub keys: Box<MakeKeys>,
    /// The caller that every request counts as, if authentication is off.
    pub always: Option<Caller>,
    /// The accepted hosts.
    pub hosts: Hosts,
    /// Signs the tokens.
    pub mint: Mint,
    /// The time and the source of randomness of a request.
    pub surroundings: Surroundings,
    /// The version whose warnings the program has shown.
    pub shown: Option<String>,
    /// Where requests and fetches are recorded.
    pub metrics: Metrics,
}

/// Makes the keys for a configuration.
pub type MakeKeys = dyn Fn(&Config) -> Result<Keys, ConfigError> + Send + Sync;

/// What the next version takes over from the latest one: cached keys, unless the next version needs others.
struct Latest {
    callers: Arc<Callers>,
    keys: Arc<Keys>,
    /// What the keys depend on.
    needs: (Vec<SharedSecret>, KeyAges),
}

/// The service for one version of the policy.
#[derive(Debug, Clone)]
struct Service {
    config: Arc<Config>,
    router: Router,
}

/// The last valid policy.
#[derive(Debug, Default)]
struct Current(Option<Service>);

/// A file with a policy.
#[derive(Debug)]
pub struct PolicyFile(pub PathBuf);

/// Why there is no policy. The texts are for the log only.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PolicyError {
    /// The text can't be fetched.
    #[error("the policy can't be read: {0}")]
    Unreadable(String),
    /// The text has mistakes. They are logged separately.
    #[error("the policy {version} is invalid: {first}{}", more(*.others))]
    Invalid {
        /// The version of the text.
        version: String,
        /// The first mistake.
        first: String,
        /// How many other mistakes there are.
        others: usize,
    },
}

impl Reloading {
    /// A service whose policy is fetched from a store when first needed, and refreshed as `refreshing` describes. Until
    /// then, the ages of the sources' `[keys]` apply.
    ///
    /// # Errors
    /// If the sources have mistakes, or there are no keys for them.
    pub fn new(store: Box<dyn SecretStore>, parts: Parts) -> Result<Self, ConfigError> {
        let config = parts.sources.config()?;
        let ages = config.keys;
        let latest = parts.first(&config)?;
        let without_policy = parts.router(config, &latest);
        let cache = Refreshing::new(Schedule {
            name: "policy",
            cached: "policy",
            refresh_after: ages.refresh_after,
            max_age: ages.max_age,
            retry: 6..=15,
            retry_missing: 0,
            timeout: TIMEOUT,
            timeout_without_value: TIMEOUT_WITHOUT_POLICY,
        });
        let warned = Mutex::new(parts.shown.clone());
        Ok(Self {
            store,
            warned,
            parts,
            latest: Mutex::new(latest),
            without_policy,
            cache,
            rejected: Mutex::default(),
        })
    }

    /// The router of the whole service. Each request is decided by one version of the policy.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// The keys of the latest version.
    pub fn keys(&self) -> Arc<Keys> {
        lock(&self.latest).keys.clone()
    }

    /// Reads the policy, if it was never read or is stale. Takes 1.2 seconds at most. Stale signing keys are refreshed at
    /// the same time.
    ///
    /// # Errors
    /// If no policy is cached, and it can't be fetched or has mistakes.
    pub async fn load(&self, context: &Context) -> Result<(), PolicyError> {
        let (_, keys_error) = self.current(context).await?;
        if let Some(error) = keys_error {
            tracing::error!(cause = %error, "signing keys unavailable");
        }
        Ok(())
    }

    /// Reads the policy now, and logs the outcome.
    #[cfg(feature = "local")]
    pub async fn reload(&self, context: &Context) {
        self.cache.refresh(context, async || self.fetch().await).await;
        if let Some(service) = self.cache.peek(|current| current.0.clone()) {
            self.warn(&service.config, context).await;
        }
    }

    /// The service for the current policy, and why the signing keys can't be refreshed, if they were tried.
    async fn current(&self, context: &Context) -> Result<(Service, Option<KeysError>), PolicyError> {
        let service = self.cache.get(context, |current| current.0.clone(), async || self.fetch().await);
        let keys = self.keys();
        let (service, refreshed) = alone_or_with(service, keys.projects(context)).await;
        let keys_error = refreshed.and_then(Result::err);
        let service = service.map_err(|missing| match missing {
            Missing::Failed(error) => error,
            Missing::Absent => TimedOut.into(),
        })?;
        // Keys that can't be fetched are not tried again for the warnings.
        if keys_error.is_none() {
            self.warn(&service.config, context).await;
        }
        Ok((service, keys_error))
    }

    /// Logs the warnings about a version once.
    async fn warn(&self, config: &Config, context: &Context) {
        let is_known = lock(&self.warned).as_ref() == Some(&config.version);
        if !is_known {
            *lock(&self.warned) = Some(config.version.clone());
            log_warnings(config, &self.keys(), context).await;
        }
    }

    async fn fetch(&self) -> Result<Current, PolicyError> {
        let stored = self.store.fetch().await?;
        let text = stored.text.expose_secret();
        let version = Config::version_of(text);
        let known = self.cache.peek(|current| current.0.clone());
        if let Some(known) = known.filter(|known| known.config.version == version) {
            return Ok(Current(Some(known)));
        }
        if let Some((_, error)) = lock(&self.rejected).as_ref().filter(|(rejected, _)| *rejected == version) {
            return Err(error.clone());
        }
        match self.service(text) {
            Ok(service) => {
                *lock(&self.rejected) = None;
                Ok(Current(Some(service)))
            }
            Err(error) => Err(self.invalid(version, &error)),
        }
    }

    /// The service for a text.
    fn service(&self, text: &str) -> Result<Service, ConfigError> {
        let config = self.parts.sources.with_policy(text, &self.parts.place)?;
        let needs = (shared_secrets(&config), config.keys);
        let mut latest = lock(&self.latest);
        // Keys from the environment may depend on the rules.
        let keys = match latest.keys.following(needs.0.clone(), needs.1) {
            Some(_) if latest.needs == needs => latest.keys.clone(),
            Some(keys) => Arc::new(keys),
            None => Arc::new((self.parts.keys)(&config)?),
        };
        let callers = Arc::new(self.parts.callers(&config, Some(&latest.callers)));
        *latest = Latest { callers, keys, needs };
        Ok(Service { router: self.parts.router(config.clone(), &latest), config: Arc::new(config) })
    }

    /// Logs the mistakes of a text, and remembers them until another text is valid.
    fn invalid(&self, version: String, error: &ConfigError) -> PolicyError {
        let lines = error.lines();
        for cause in lines.iter().take(MAX_MISTAKES) {
            tracing::error!(cause, version, "invalid policy");
        }
        let first = lines.first().cloned().unwrap_or_default();
        let error =
            PolicyError::Invalid { version: version.clone(), first, others: lines.len().saturating_sub(1) };
        *lock(&self.rejected) = Some((version, error.clone()));
        error
    }
}

/// Fetches the keys, and logs what is probably not intended in a configuration.
pub async fn log_warnings(config: &Config, keys: &Keys, context: &Context) {
    if config.callers.is_empty() {
        tracing::warn!(
            "no caller is configured, so every request is refused: add a [[caller]] and a [[rule]] to roompass.toml, \
             or give them in ROOMPASS_CONFIG or ROOMPASS_POLICY"
        );
    }
    match keys.projects(context).await {
        Ok(projects) => {
            let of_callers =
                keys.callers(context).await.map(|callers| warnings::of_callers(config, &callers));
            let warnings = warnings::of_config(config)
                .into_iter()
                .chain(of_callers.unwrap_or_default())
                .chain(warnings::of_projects(config, &projects));
            warnings.for_each(|warning| tracing::warn!("{warning}"));
        }
        Err(error) => tracing::error!(cause = %error, "signing keys unavailable"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parts {
    /// The service for a configuration that never changes, and its keys.
    ///
    /// # Errors
    /// If there are no keys for it.
    pub fn fixed(&self, config: Config) -> Result<(Router, Arc<Keys>), ConfigError> {
        let latest = self.first(&config)?;
        Ok((self.router(config, &latest), latest.keys))
    }

    fn first(&self, config: &Config) -> Result<Latest, ConfigError> {
        Ok(Latest {
            callers: Arc::new(self.callers(config, None)),
            keys: Arc::new((self.keys)(config)?),
            needs: (shared_secrets(config), config.keys),
        })
    }

    fn callers(&self, config: &Config, previous: Option<&Callers>) -> Callers {
        match &self.always {
            Some(caller) => Callers::always(caller.clone()),
            None => Callers::following(previous, config.callers.clone()).with_metrics(self.metrics.clone()),
        }
    }

    fn router(&self, config: Config, Latest { callers, keys, .. }: &Latest) -> Router {
        let metrics = self.metrics.clone();
        router_of((callers.clone(), keys.clone()), self.hosts, config, self.mint, self.surroundings, metrics)
    }
}

async fn answer(State(reloading): State<Arc<Reloading>>, mut request: Request) -> Response {
    let context = (reloading.parts.surroundings)();
    request.extensions_mut().insert(context);
    let router = match reloading.current(&context).await {
        Ok((service, keys_error)) => {
            if let Some(error) = keys_error {
                request.extensions_mut().insert(KeysFailed(error));
            }
            service.router
        }
        Err(error) => {
            request.extensions_mut().insert(PolicyUnavailable(Arc::from(error.to_string())));
            reloading.without_policy.clone()
        }
    };
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

impl Refresh for Current {
    type Error = PolicyError;

    fn ages(&self) -> Option<(Duration, Duration)> {
        let ages = self.0.as_ref()?.config.keys;
        Some((ages.refresh_after, ages.max_age))
    }

    fn replace(&mut self, fetched: Self) -> Result<(), PolicyError> {
        match (&self.0, &fetched.0) {
            (None, Some(service)) => tracing::info!(version = service.config.version, "policy loaded"),
            (Some(old), Some(new)) if old.config.version != new.config.version => {
                let (version, previous) = (&new.config.version, &old.config.version);
                tracing::info!(version, previous, "policy changed");
            }
            _ => {}
        }
        *self = fetched;
        Ok(())
    }
}

impl SecretStore for PolicyFile {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        let read = read_policy(&self.0).map(|text| text.as_str().into());
        Box::pin(ready(read.map_err(|error| StoreError::Unavailable(error.to_string()))))
    }
}

impl From<StoreError> for PolicyError {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(match error {
            StoreError::Missing(reason) => format!("not found: {reason}"),
            StoreError::Denied(reason) => format!("access denied: {reason}"),
            StoreError::Unusable(problem) => problem.to_owned(),
            StoreError::Unavailable(reason) => reason,
        })
    }
}

impl From<TimedOut> for PolicyError {
    fn from(error: TimedOut) -> Self {
        Self::Unreadable(error.to_string())
    }
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (and {others} more)") }
}

/// How many mistakes of a text are logged.
const MAX_MISTAKES: usize = 20;
/// For a refresh while a policy is cached.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Without a cached policy.
const TIMEOUT_WITHOUT_POLICY: Duration = Duration::from_millis(1_200);
