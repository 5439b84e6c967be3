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
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;
    use std::sync::Mutex;
    use std::time::Instant;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::auth::{ApiKeyHash, Presented};
    use crate::domain::ServerUrl;

    /// Gives each of its answers once, in order, as soon as it's let; panics when it's asked once too often.
    #[derive(Clone)]
    struct Store(Arc<Inside>);

    struct Inside {
        answers: Mutex<VecDeque<Answer>>,
        asked: Mutex<usize>,
        open: Semaphore,
    }

    enum Answer {
        Secret(&'static str),
        Version(&'static str, &'static str),
        Down,
        Silence,
    }

    impl Store {
        fn of(answers: impl Into<VecDeque<Answer>>) -> Self {
            let open = Semaphore::new(Semaphore::MAX_PERMITS);
            Self(Arc::new(Inside { answers: Mutex::new(answers.into()), asked: Mutex::default(), open }))
        }

        /// It answers once it's opened.
        fn closed(self) -> Self {
            self.0.open.forget_permits(Semaphore::MAX_PERMITS);
            self
        }

        fn keys(&self) -> Keys {
            self.keys_at(None)
        }

        fn keys_at(&self, server: Option<ServerUrl>) -> Keys {
            let rules = SecretRules { deployment: Deployment::Lambda, server, shared: Vec::new() };
            Keys::stored_in(Box::new(self.clone()), rules, KeyAges::default())
        }

        fn asked(&self) -> usize {
            *self.0.asked.lock().unwrap()
        }
    }

    impl SecretStore for Store {
        fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
            *self.0.asked.lock().unwrap() += 1;
            let answer = self.0.answers.lock().unwrap().pop_front().expect("asked once too often");
            Box::pin(async move {
                let _open = self.0.open.acquire().await;
                match answer {
                    Answer::Secret(text) => Ok(text.into()),
                    Answer::Version(version, text) => {
                        Ok(StoredSecret { version: Some(version.into()), ..text.into() })
                    }
                    Answer::Down => Err(StoreError::Unavailable("down".into())),
                    Answer::Silence => pending().await,
                }
            })
        }
    }

    const OLD: &str = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "old", "LIVEKIT_API_SECRET": "old secret of thirty-two bytes or more"}"#;
    const NEW: &str = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#;
    const MORNING: u64 = 1_795_000_000;

    /// So many seconds into the day. Nothing is random: the shortest wait, of six seconds.
    fn moment(second: u64) -> Context {
        Context { now: MORNING + second, randomness: |bytes| bytes.fill(0) }
    }

    const DAY: u64 = 24 * 3_600;

    /// The name of the keys so many seconds into the day; or why there are none. The two halves are of one pair.
    async fn at(keys: &Keys, second: u64) -> Result<String, String> {
        let keys = keys.signing(&moment(second)).await.map_err(|error| error.to_string())?;
        let pair = keys.livekit().unwrap();
        assert_eq!(pair.expose_secret(), format!("{} secret of thirty-two bytes or more", pair.api_key));
        Ok(pair.api_key.clone())
    }

    fn down() -> Result<String, String> {
        Err("the secret store is unavailable: down".into())
    }

    fn late() -> Result<String, String> {
        Err("the secret store is unavailable: no response in time".into())
    }

    #[tokio::test]
    async fn a_secret_is_read_once_until_it_is_old() {
        let store = Store::of([Answer::Secret(OLD), Answer::Secret(OLD), Answer::Version("2", NEW)]);
        let keys = store.keys();
        for (second, name, asked) in [
            (0, "old", 1),
            (299, "old", 1),
            (300, "old", 2),
            (599, "old", 2),
            (600, "new", 3),
            (899, "new", 3),
        ] {
            assert_eq!((at(&keys, second).await, store.asked()), (Ok(name.into()), asked), "second {second}");
        }
    }

    #[tokio::test]
    async fn after_an_hours_sleep_the_first_request_has_the_new_keys() {
        let store = Store::of([Answer::Secret(OLD), Answer::Secret(NEW)]);
        let keys = store.keys();
        assert_eq!(at(&keys, 0).await, Ok("old".into()));
        assert_eq!(at(&keys, 3_600).await, Ok("new".into()));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_has_the_keys_read_at_once() {
        let store = Store::of([Answer::Secret(OLD), Answer::Secret(NEW)]);
        let keys = store.keys();
        assert_eq!(at(&keys, 7 * DAY).await, Ok("old".into()));
        assert_eq!(at(&keys, 0).await, Ok("new".into()));
        assert_eq!(at(&keys, 299).await, Ok("new".into()));
    }

    #[tokio::test]
    async fn without_keys_a_failure_is_not_kept() {
        let answers = [Answer::Down, Answer::Secret("{}"), Answer::Secret(OLD)];
        let keys = Store::of(answers).keys();
        assert_eq!(at(&keys, 0).await, down());
        assert_eq!(at(&keys, 0).await, Err("the secret is malformed: LIVEKIT_URL is missing".into()));
        assert_eq!(at(&keys, 0).await, Ok("old".into()));
    }

    #[tokio::test]
    async fn while_the_store_is_down_the_last_good_keys_serve_for_a_day_and_tries_are_spaced() {
        let mut answers = vec![Answer::Secret(OLD)];
        answers.extend((0..6).map(|_| Answer::Down));
        answers.push(Answer::Secret(NEW));
        let store = Store::of(answers);
        let keys = store.keys();
        assert_eq!(at(&keys, 0).await, Ok("old".into()));
        // Nothing random: the shortest wait, of six seconds of the clock.
        for (second, asked) in
            [(300, 2), (300, 2), (305, 2), (306, 3), (307, 3), (311, 3), (312, 4), (DAY - 1, 5)]
        {
            assert_eq!(
                (at(&keys, second).await, store.asked()),
                (Ok("old".into()), asked),
                "second {second}"
            );
        }
        assert_eq!((at(&keys, DAY).await, store.asked()), (down(), 6));
        assert_eq!((at(&keys, DAY).await, store.asked()), (down(), 7), "without keys, each request tries");
        assert_eq!((at(&keys, DAY).await, store.asked()), (Ok("new".into()), 8));
    }

    #[tokio::test]
    async fn a_malformed_secret_never_takes_the_place_of_good_keys() {
        for malformed in [
            "",
            "{}",
            "null",
            r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new"}"#,
            r#"{"LIVEKIT_URL": "nowhere", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#,
            r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": " new secret of thirty-two bytes or more"}"#,
            r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#,
            r#"{"LIVEKIT_URL": "ws://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#,
            r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret"}"#,
        ] {
            let store = Store::of([Answer::Secret(OLD), Answer::Secret(malformed), Answer::Secret(NEW)]);
            let keys = store.keys();
            for (second, name, asked) in [(0, "old", 1), (300, "old", 2), (305, "old", 2), (306, "new", 3)] {
                let found = (at(&keys, second).await, store.asked());
                assert_eq!(found, (Ok(name.into()), asked), "{malformed}, second {second}");
            }
        }
    }

    #[tokio::test]
    async fn one_request_refreshes_and_no_other_waits() {
        let store = Store::of([Answer::Secret(OLD), Answer::Secret(NEW)]);
        let keys = store.keys();
        assert_eq!(at(&keys, 0).await, Ok("old".into()));
        store.clone().closed();
        let others = async {
            for _ in 0..200 {
                assert_eq!(at(&keys, 300).await, Ok("old".into()));
            }
            store.0.open.add_permits(1);
        };
        let (first, ()) = tokio::join!(at(&keys, 300), others);
        assert_eq!((first, store.asked()), (Ok("new".into()), 2));
        assert_eq!(at(&keys, 300).await, Ok("new".into()));
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_while_it_refreshes_leaves_that_to_the_next() {
        let store = Store::of([Answer::Secret(OLD), Answer::Silence, Answer::Secret(NEW)]);
        let keys = store.keys();
        assert_eq!(at(&keys, 0).await, Ok("old".into()));
        tokio::select! {
            biased;
            _ = at(&keys, 300) => panic!("the store is silent"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(at(&keys, 300).await, Ok("new".into()));
    }

    #[tokio::test]
    async fn a_crowd_without_keys_asks_the_store_once() {
        for (answer, expected) in [(Answer::Secret(OLD), Ok("old".to_owned())), (Answer::Down, down())] {
            let store = Store::of([answer]).closed();
            let keys = Arc::new(store.keys());
            let crowd: Vec<_> = (0..200)
                .map(|_| {
                    let keys = keys.clone();
                    tokio::spawn(async move { at(&keys, 0).await })
                })
                .collect();
            tokio::task::yield_now().await;
            store.0.open.add_permits(1);
            for one in crowd {
                assert_eq!(one.await.unwrap(), expected);
            }
            assert_eq!(store.asked(), 1);
        }
    }

    #[tokio::test]
    async fn a_silent_store_is_waited_for_a_second_with_keys_and_a_little_longer_without() {
        let with = Store::of([Answer::Secret(OLD), Answer::Silence]);
        let with = with.keys();
        assert_eq!(at(&with, 0).await, Ok("old".into()));
        let without = Store::of([Answer::Silence]).keys();
        let took = async |keys, second, expected| {
            let began = Instant::now();
            assert_eq!(at(keys, second).await, expected);
            began.elapsed()
        };
        let (with, without, another) = tokio::join!(
            took(&with, 300, Ok("old".into())),
            took(&without, 0, late()),
            took(&without, 0, late()),
        );
        assert!((1_000..1_290).contains(&with.as_millis()), "{with:?}");
        for without in [without, another] {
            assert!((1_200..1_600).contains(&without.as_millis()), "{without:?}");
        }
    }

    #[tokio::test]
    async fn the_environments_server_wins() {
        let server = ServerUrl::parse("wss://b.example").unwrap();
        let keys = Store::of([Answer::Secret(OLD)]).keys_at(Some(server));
        assert_eq!(
            keys.signing(&moment(0)).await.unwrap().livekit().unwrap().server.as_str(),
            "wss://b.example"
        );
    }

    /// Keys with an API key of a caller's in their secret, and that key.
    fn with_an_api_key(secret: &str) -> (String, &'static str) {
        let key = "rpk_0123456789abcdefghjkmnpqrstvwxyz01234567";
        let stored = format!(r#", "ROOMPASS_API_KEYS": {{"web": "{}"}}}}"#, ApiKeyHash::of(key));
        (secret.replace('}', &stored), key)
    }

    /// Whether the API key is known so many seconds into the day; or why that can't be said.
    async fn knows(keys: &Keys, key: &str, second: u64) -> Result<bool, String> {
        let callers = keys.callers(&moment(second)).await.map_err(|error| error.to_string())?;
        Ok(matches!(callers.api_key(key, MORNING), Presented::Known { name: "web", .. }))
    }

    #[tokio::test]
    async fn a_removed_api_key_ends_with_the_next_refresh_even_if_the_rest_of_the_secret_is_malformed() {
        for malformed in [
            r#"{"LIVEKIT_URL": "nowhere", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#,
            r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#,
            r#"{"LIVEKIT_API_SECRET": 5}"#,
            "{}",
        ] {
            let (old, key) = with_an_api_key(OLD);
            let store = Store::of([Answer::Secret(old.leak()), Answer::Secret(malformed)]);
            let keys = store.keys();
            assert_eq!(knows(&keys, key, 299).await, Ok(true));
            assert_eq!(knows(&keys, key, 599).await, Ok(false), "{malformed}");
            assert_eq!(at(&keys, 599).await, Ok("old".into()), "the last good pair signs: {malformed}");
            assert_eq!(store.asked(), 2);
        }
    }

    #[tokio::test]
    async fn while_the_store_fails_api_keys_are_known_for_an_hour_and_signing_keys_are_used_for_a_day() {
        let (old, key) = with_an_api_key(OLD);
        let mut answers = vec![Answer::Secret(old.leak())];
        answers.extend((0..4).map(|_| Answer::Down));
        answers.extend([Answer::Secret("no JSON"), Answer::Secret(NEW)]);
        let store = Store::of(answers);
        let keys = store.keys();
        assert_eq!(knows(&keys, key, 0).await, Ok(true));
        assert_eq!(knows(&keys, key, 3_599).await, Ok(true));
        assert_eq!(knows(&keys, key, 3_600).await, Err(down().unwrap_err()));
        assert_eq!(at(&keys, 3_600).await, Ok("old".into()));
        assert_eq!(at(&keys, DAY - 1).await, Ok("old".into()));
        assert_eq!(knows(&keys, key, DAY - 1).await, Err(down().unwrap_err()));
        let malformed =
            "the secret is malformed: it is not valid JSON with unique member names (line 1, column 2)";
        assert_eq!(knows(&keys, key, DAY - 1).await, Err(malformed.into()));
        assert_eq!((knows(&keys, key, DAY - 1).await, store.asked()), (Ok(false), 7));
    }

    #[tokio::test]
    async fn a_malformed_api_key_keeps_no_other_and_no_token_waiting() {
        let (old, key) = with_an_api_key(OLD);
        let spoiled = old.replace("\"web\":", "\"batch\": \"sha256:canary\", \"web\":");
        let keys = Store::of([Answer::Secret(spoiled.leak())]).keys();
        assert_eq!(at(&keys, 0).await, Ok("old".into()));
        assert_eq!(knows(&keys, key, 0).await, Ok(true));
        let callers = keys.callers(&moment(0)).await.unwrap();
        let unknown = callers.api_key("rpk_00000000000000000000000000000000000000aa", MORNING);
        assert!(matches!(unknown, Presented::Unreadable(_)), "it may be batch's: {unknown:?}");
    }
}
