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
    for (second, name, asked) in
        [(0, "old", 1), (299, "old", 1), (300, "old", 2), (599, "old", 2), (600, "new", 3), (899, "new", 3)]
    {
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
        assert_eq!((at(&keys, second).await, store.asked()), (Ok("old".into()), asked), "second {second}");
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
    assert_eq!(keys.signing(&moment(0)).await.unwrap().livekit().unwrap().server.as_str(), "wss://b.example");
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
