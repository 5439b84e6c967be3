//! The keys that sign, and what callers' own keys are known by, from wherever the secret is kept. Knows nothing of
//! requests.

mod ageing;
mod agora;
pub mod api_key;
mod livekit;
mod secret;
#[cfg(feature = "lambda")]
mod secrets_manager;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use ageing::{Age, Verdict};
pub use agora::AgoraKeys;
pub(crate) use agora::{APP_CERTIFICATE, APP_ID};
pub(crate) use livekit::{API_KEY, API_SECRET, URL};
pub use livekit::{LiveKitKeys, ServerUrl};
pub(crate) use secret::API_KEYS;
pub use secret::{MalformedSecret, NotConfigured, SigningKeys};
#[cfg(feature = "lambda")]
pub use secrets_manager::SecretsManager;

use crate::config::KeyAges;
use crate::domain::Randomness;
use crate::turn::Turns;

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

/// The keys of this process: given to it, or read from a store on the first need and again when they're old.
///
/// No task of its own does that, since a process is frozen between requests: the one request that finds the keys old
/// reads them, for a second at most, and serves with what it has then; no other request waits. Where there are none,
/// all who need them wait for the one that reads them. A failure is told and not kept: the next request that needs
/// keys tries again. While good keys serve on, tries that follow a failure are spaced.
pub struct Keys(Source);

enum Source {
    Given(Arc<SigningKeys>),
    Kept(Box<Kept>),
}

struct Kept {
    store: Box<dyn SecretStore>,
    server: Option<ServerUrl>,
    ages: KeyAges,
    randomness: Randomness,
    turns: Turns,
    /// Never locked while anything is waited for.
    held: Mutex<Held>,
}

/// What a process has of its keys.
#[derive(Default)]
struct Held {
    /// The last good ones: always of one version of the secret, whole.
    keys: Option<(Arc<SigningKeys>, Age)>,
    version: Option<String>,
    /// Why the last try failed, for those who waited for it.
    failure: Option<KeysError>,
}

impl Keys {
    /// Keys that were given to the process and never change.
    #[must_use]
    pub fn given(keys: SigningKeys) -> Self {
        Self(Source::Given(Arc::new(keys)))
    }

    /// Keys from a store. `server`, where given, stands in place of the secret's own `LIVEKIT_URL`.
    #[must_use]
    pub fn kept_in(
        store: Box<dyn SecretStore>,
        server: Option<ServerUrl>,
        ages: KeyAges,
        randomness: Randomness,
    ) -> Self {
        let (turns, held) = (Turns::default(), Mutex::default());
        Self(Source::Kept(Box::new(Kept { store, server, ages, randomness, turns, held })))
    }

    /// The keys to sign with now, in seconds since 1970. Takes 1.2 seconds at most.
    ///
    /// # Errors
    /// Where there are no good ones, and the store gives no secret or one that can't be used.
    pub async fn current(&self, now: u64) -> Result<Arc<SigningKeys>, KeysError> {
        match &self.0 {
            Source::Given(keys) => Ok(keys.clone()),
            Source::Kept(kept) => kept.current(now).await,
        }
    }
}

impl Kept {
    async fn current(&self, now: u64) -> Result<Arc<SigningKeys>, KeysError> {
        let found = self.held().at(now, &self.ages);
        let (turn, time) = match found {
            Some((keys, Verdict::Due)) => match self.turns.free() {
                Some(turn) => (Some(turn), TO_REFRESH),
                None => return Ok(keys),
            },
            Some((keys, _)) => return Ok(keys),
            None => (self.turns.next().await, WITHOUT_KEYS),
        };
        if let Some(turn) = turn {
            self.read(now, time).await;
            turn.end();
        }
        let mut held = self.held();
        match held.at(now, &self.ages) {
            Some((keys, _)) => Ok(keys),
            None => Err(held.failure.clone().unwrap_or_else(|| StoreError::late().into())),
        }
    }

    /// Reads the secret anew. Whatever comes of it, the last good keys stay unless better ones take their place.
    async fn read(&self, now: u64, time: Duration) {
        let fetched = tokio::time::timeout(time, self.store.fetch()).await;
        let read = fetched.unwrap_or_else(|_| Err(StoreError::late())).map_err(KeysError::from);
        let read = read.and_then(|StoredSecret { text, version }| {
            Ok((SigningKeys::from_secret(text.expose_secret(), self.server.clone())?, version))
        });
        let mut held = self.held();
        match read {
            Ok((keys, version)) => {
                match &held.keys {
                    None => tracing::info!(version, "the signing keys are at hand"),
                    Some(_) if held.version != version => {
                        tracing::info!(version, previous = held.version, "the signing keys changed");
                    }
                    Some(_) => {}
                }
                *held = Held { keys: Some((Arc::new(keys), Age::new(now))), version, failure: None };
            }
            Err(error) => {
                let serves = held.at(now, &self.ages).is_some();
                if let Some((_, age)) = held.keys.as_mut().filter(|_| serves) {
                    let retry_in_seconds = age.failed(now, self.randomness);
                    tracing::warn!(
                        cause = %error,
                        age_seconds = age.seconds(now),
                        retry_in_seconds,
                        "the signing keys can't be read anew; the last good ones serve on until max_age"
                    );
                }
                held.failure = Some(error);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The keys that serve, and what is to be done with them; none where there are none, or they've served too long.
    fn at(&mut self, now: u64, ages: &KeyAges) -> Option<(Arc<SigningKeys>, Verdict)> {
        let (keys, age) = self.keys.as_mut()?;
        match age.at(now, ages) {
            Verdict::Ended => None,
            verdict => Some((keys.clone(), verdict)),
        }
    }
}

impl StoreError {
    fn late() -> Self {
        Self::Unavailable("no answer in time".into())
    }
}

/// How long the one request that finds the keys old waits for new ones.
const TO_REFRESH: Duration = Duration::from_secs(1);
/// How long those wait that have none to serve with. Twice that, for the init phase and the first request, is within
/// the three seconds after which a client is told to try again.
const WITHOUT_KEYS: Duration = Duration::from_millis(1_200);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;
    use std::time::Instant;

    use tokio::sync::Semaphore;

    use super::*;

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

        /// It answers once somebody opens it.
        fn closed(self) -> Self {
            self.0.open.forget_permits(Semaphore::MAX_PERMITS);
            self
        }

        fn keys(&self) -> Keys {
            self.keys_at(None)
        }

        fn keys_at(&self, server: Option<ServerUrl>) -> Keys {
            Keys::kept_in(Box::new(self.clone()), server, KeyAges::default(), |bytes| bytes.fill(0))
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

    const OLD: &str =
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "old", "LIVEKIT_API_SECRET": "old secret"}"#;
    const NEW: &str =
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret"}"#;
    const MORNING: u64 = 1_795_000_000;
    const DAY: u64 = 24 * 3_600;

    /// The name of the keys so many seconds into the day; or why there are none. The two halves are of one pair.
    async fn at(keys: &Keys, second: u64) -> Result<String, String> {
        let keys = keys.current(MORNING + second).await.map_err(|error| error.to_string())?;
        let pair = keys.livekit().unwrap();
        assert_eq!(pair.expose_secret(), format!("{} secret", pair.api_key));
        Ok(pair.api_key.clone())
    }

    fn down() -> Result<String, String> {
        Err("the secret store is unavailable: down".into())
    }

    fn late() -> Result<String, String> {
        Err("the secret store is unavailable: no answer in time".into())
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
            r#"{"LIVEKIT_URL": "nowhere", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret"}"#,
            r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": " new secret"}"#,
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
            keys.current(MORNING).await.unwrap().livekit().unwrap().server.as_str(),
            "wss://b.example"
        );
    }
}
