use std::collections::VecDeque;
use std::future::pending;
use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::Semaphore;

use super::*;
use crate::auth::{ApiKeyHash, ApiKeyLookup};
use crate::domain::{Provider, ServerUrl};

/// Returns its responses in order, once it's open. Panics at a fetch too many.
#[derive(Clone)]
struct Store(Arc<StoreState>);

struct StoreState {
    responses: Mutex<VecDeque<Response>>,
    fetches: Mutex<usize>,
    open: Semaphore,
}

enum Response {
    Secret(&'static str),
    Version(&'static str, &'static str),
    Down,
    Silence,
}

impl Store {
    fn of(responses: impl Into<VecDeque<Response>>) -> Self {
        let open = Semaphore::new(Semaphore::MAX_PERMITS);
        Self(Arc::new(StoreState {
            responses: Mutex::new(responses.into()),
            fetches: Mutex::default(),
            open,
        }))
    }

    /// Responds only after permits are added.
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

    fn fetches(&self) -> usize {
        *self.0.fetches.lock().unwrap()
    }
}

impl SecretStore for Store {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        *self.0.fetches.lock().unwrap() += 1;
        let response = self.0.responses.lock().unwrap().pop_front().expect("one fetch too many");
        Box::pin(async move {
            let _open = self.0.open.acquire().await;
            match response {
                Response::Secret(text) => Ok(text.into()),
                Response::Version(version, text) => {
                    Ok(StoredSecret { version: Some(version.into()), ..text.into() })
                }
                Response::Down => Err(StoreError::Unavailable("down".into())),
                Response::Silence => pending().await,
            }
        })
    }
}

const OLD: &str = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "old", "LIVEKIT_API_SECRET": "old secret of thirty-two bytes or more"}"#;
const NEW: &str = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#;
const MORNING: u64 = 1_795_000_000;

/// A time of the day, in seconds. The randomness is fixed, so retries wait six seconds, the minimum.
fn moment(second: u64) -> Context {
    Context { now: MORNING + second, randomness: |bytes| bytes.fill(0) }
}

const DAY: u64 = 24 * 3_600;

/// The API key at a time, or the error. Checks that its secret is from the same version.
async fn at(keys: &Keys, second: u64) -> Result<String, String> {
    let keys = keys.signing(&Project::default(), &moment(second)).await.map_err(|error| error.to_string())?;
    let pair = keys.livekit().unwrap();
    assert_eq!(pair.expose_secret(), format!("{} secret of thirty-two bytes or more", pair.api_key));
    Ok(pair.api_key.clone())
}

fn down() -> Result<String, String> {
    Err("the secret store is unavailable: down".into())
}

fn timed_out() -> Result<String, String> {
    Err("the secret store is unavailable: request timed out".into())
}

#[tokio::test]
async fn a_secret_is_fetched_once_until_it_is_stale() {
    let store = Store::of([Response::Secret(OLD), Response::Secret(OLD), Response::Version("2", NEW)]);
    let keys = store.keys();
    for (second, name, fetches) in
        [(0, "old", 1), (299, "old", 1), (300, "old", 2), (599, "old", 2), (600, "new", 3), (899, "new", 3)]
    {
        assert_eq!((at(&keys, second).await, store.fetches()), (Ok(name.into()), fetches), "second {second}");
    }
}

#[tokio::test]
async fn without_keys_a_failure_is_not_cached() {
    let responses = [Response::Down, Response::Secret("{}"), Response::Secret(OLD)];
    let keys = Store::of(responses).keys();
    assert_eq!(at(&keys, 0).await, down());
    assert_eq!(at(&keys, 0).await, Err("the secret is malformed: LIVEKIT_URL is missing".into()));
    assert_eq!(at(&keys, 0).await, Ok("old".into()));
}

#[tokio::test]
async fn while_the_store_is_down_cached_keys_are_used_for_a_day_and_retries_are_spaced() {
    let mut responses = vec![Response::Secret(OLD)];
    responses.extend((0..6).map(|_| Response::Down));
    responses.push(Response::Secret(NEW));
    let store = Store::of(responses);
    let keys = store.keys();
    assert_eq!(at(&keys, 0).await, Ok("old".into()));
    for (second, fetches) in
        [(300, 2), (300, 2), (305, 2), (306, 3), (307, 3), (311, 3), (312, 4), (DAY - 1, 5)]
    {
        assert_eq!(
            (at(&keys, second).await, store.fetches()),
            (Ok("old".into()), fetches),
            "second {second}"
        );
    }
    assert_eq!((at(&keys, DAY).await, store.fetches()), (down(), 6));
    assert_eq!((at(&keys, DAY).await, store.fetches()), (down(), 7), "without keys, each request fetches");
    assert_eq!((at(&keys, DAY).await, store.fetches()), (Ok("new".into()), 8));
}

#[tokio::test]
async fn a_malformed_secret_never_replaces_valid_keys() {
    for malformed in [
        "",
        "{}",
        "null",
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new"}"#,
        r#"{"LIVEKIT_URL": "nowhere", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#,
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "   "}"#,
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#,
        r#"{"LIVEKIT_URL": "ws://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#,
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret"}"#,
    ] {
        let store = Store::of([Response::Secret(OLD), Response::Secret(malformed), Response::Secret(NEW)]);
        let keys = store.keys();
        for (second, name, fetches) in [(0, "old", 1), (300, "old", 2), (305, "old", 2), (306, "new", 3)] {
            let found = (at(&keys, second).await, store.fetches());
            assert_eq!(found, (Ok(name.into()), fetches), "{malformed}, second {second}");
        }
    }
}

#[tokio::test]
async fn concurrent_requests_without_keys_cause_one_fetch() {
    for (response, expected) in [(Response::Secret(OLD), Ok("old".to_owned())), (Response::Down, down())] {
        let store = Store::of([response]).closed();
        let keys = Arc::new(store.keys());
        let requests: Vec<_> = (0..200)
            .map(|_| {
                let keys = keys.clone();
                tokio::spawn(async move { at(&keys, 0).await })
            })
            .collect();
        tokio::task::yield_now().await;
        store.0.open.add_permits(1);
        for request in requests {
            assert_eq!(request.await.unwrap(), expected);
        }
        assert_eq!(store.fetches(), 1);
    }
}

#[tokio::test]
async fn the_timeout_is_one_second_with_keys_and_slightly_longer_without() {
    let with = Store::of([Response::Secret(OLD), Response::Silence]);
    let with = with.keys();
    assert_eq!(at(&with, 0).await, Ok("old".into()));
    let without = Store::of([Response::Silence]).keys();
    let took = async |keys, second, expected| {
        let began = Instant::now();
        assert_eq!(at(keys, second).await, expected);
        began.elapsed()
    };
    let (with, without, another) = tokio::join!(
        took(&with, 300, Ok("old".into())),
        took(&without, 0, timed_out()),
        took(&without, 0, timed_out()),
    );
    assert!((1_000..1_290).contains(&with.as_millis()), "{with:?}");
    for without in [without, another] {
        assert!((1_200..1_600).contains(&without.as_millis()), "{without:?}");
    }
}

#[tokio::test]
async fn the_server_of_the_environment_takes_precedence() {
    let server = ServerUrl::parse("wss://b.example").unwrap();
    let keys = Store::of([Response::Secret(OLD)]).keys_at(Some(server));
    assert_eq!(
        keys.signing(&Project::default(), &moment(0)).await.unwrap().livekit().unwrap().server.as_str(),
        "wss://b.example"
    );
}

/// The secret with an API key added, and that key.
fn with_an_api_key(secret: &str) -> (String, &'static str) {
    let key = "rpk_0123456789abcdefghjkmnpqrstvwxyz01234567";
    let stored = format!(r#", "ROOMPASS_API_KEYS": {{"web": "{}"}}}}"#, ApiKeyHash::of(key));
    (secret.replace('}', &stored), key)
}

/// Whether the API key is known at a time, or the error.
async fn is_known(keys: &Keys, key: &str, second: u64) -> Result<bool, String> {
    let callers = keys.callers(&moment(second)).await.map_err(|error| error.to_string())?;
    Ok(matches!(callers.api_key(key, MORNING), ApiKeyLookup::Known { name: "web", .. }))
}

#[tokio::test]
async fn a_removed_api_key_is_refused_after_the_next_refresh_even_if_the_rest_of_the_secret_is_malformed() {
    for malformed in [
        r#"{"LIVEKIT_URL": "nowhere", "LIVEKIT_API_KEY": "new", "LIVEKIT_API_SECRET": "new secret of thirty-two bytes or more"}"#,
        r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}"#,
        r#"{"LIVEKIT_API_SECRET": 5}"#,
        "{}",
    ] {
        let (old, key) = with_an_api_key(OLD);
        let store = Store::of([Response::Secret(old.leak()), Response::Secret(malformed)]);
        let keys = store.keys();
        assert_eq!(is_known(&keys, key, 299).await, Ok(true));
        assert_eq!(is_known(&keys, key, 599).await, Ok(false), "{malformed}");
        assert_eq!(at(&keys, 599).await, Ok("old".into()), "the cached keys sign: {malformed}");
        assert_eq!(store.fetches(), 2);
    }
}

#[tokio::test]
async fn while_the_store_fails_api_keys_are_accepted_for_an_hour_and_signing_keys_are_used_for_a_day() {
    let (old, key) = with_an_api_key(OLD);
    let mut responses = vec![Response::Secret(old.leak())];
    responses.extend((0..4).map(|_| Response::Down));
    responses.extend([Response::Secret("no JSON"), Response::Secret(NEW)]);
    let store = Store::of(responses);
    let keys = store.keys();
    assert_eq!(is_known(&keys, key, 0).await, Ok(true));
    assert_eq!(is_known(&keys, key, 3_599).await, Ok(true));
    assert_eq!(is_known(&keys, key, 3_600).await, Err(down().unwrap_err()));
    assert_eq!(at(&keys, 3_600).await, Ok("old".into()));
    assert_eq!(at(&keys, DAY - 1).await, Ok("old".into()));
    assert_eq!(is_known(&keys, key, DAY - 1).await, Err(down().unwrap_err()));
    let malformed = "the secret is malformed: it is not a JSON object: store {\"LIVEKIT_URL\": \"wss://…\", \"LIVEKIT_API_KEY\": \"…\", \"LIVEKIT_API_SECRET\": \"…\"}";
    assert_eq!(is_known(&keys, key, DAY - 1).await, Err(malformed.into()));
    assert_eq!((is_known(&keys, key, DAY - 1).await, store.fetches()), (Ok(false), 7));
}

#[tokio::test]
async fn a_malformed_api_key_affects_neither_other_keys_nor_signing() {
    let (old, key) = with_an_api_key(OLD);
    let malformed = old.replace("\"web\":", "\"batch\": \"sha256:canary\", \"web\":");
    let keys = Store::of([Response::Secret(malformed.leak())]).keys();
    assert_eq!(at(&keys, 0).await, Ok("old".into()));
    assert_eq!(is_known(&keys, key, 0).await, Ok(true));
    let callers = keys.callers(&moment(0)).await.unwrap();
    let unknown = callers.api_key("rpk_00000000000000000000000000000000000000aa", MORNING);
    assert!(matches!(unknown, ApiKeyLookup::Unreadable(_)), "it may be the batch key: {unknown:?}");
}

/// A secret with a key pair of this version in each of these projects, and what replaces it in a project.
fn with_projects(version: &str, projects: &[&str], malformed: &[&str]) -> Response {
    let keys = |name: &str| {
        if malformed.contains(&name) {
            return serde_json::json!({"LIVEKIT_URL": "nowhere"});
        }
        serde_json::json!({
            "LIVEKIT_URL": format!("wss://{name}.example"), "LIVEKIT_API_KEY": version,
            "LIVEKIT_API_SECRET": format!("{version} secret of thirty-two bytes or more"),
        })
    };
    let named =
        projects.iter().filter(|name| **name != "default").map(|name| ((*name).to_owned(), keys(name)));
    let mut secret = serde_json::json!({"projects": named.collect::<serde_json::Map<_, _>>()});
    if projects.contains(&"default") {
        secret.as_object_mut().unwrap().extend(keys("default").as_object().unwrap().clone());
    }
    Response::Secret(secret.to_string().leak())
}

/// The version of a project's keys at a time, or the error. Checks that the server is the project's.
async fn of_project(keys: &Keys, name: &str, second: u64) -> Result<String, String> {
    let project = Project::parse(name).unwrap();
    let keys = keys.signing(&project, &moment(second)).await.map_err(|error| error.to_string())?;
    assert_eq!(*keys.project(), project);
    let pair = keys.livekit().map_err(|error| error.to_string())?;
    assert_eq!(pair.server.as_str(), format!("wss://{name}.example"));
    assert_eq!(pair.expose_secret(), format!("{} secret of thirty-two bytes or more", pair.api_key));
    Ok(pair.api_key.clone())
}

#[tokio::test]
async fn a_malformed_project_keeps_its_last_valid_keys_until_they_expire_and_the_others_are_refreshed() {
    let mut responses = vec![with_projects("v1", &["default", "eu", "us"], &[])];
    responses.extend((2..7).map(|at| with_projects(&format!("v{at}"), &["default", "eu", "us"], &["us"])));
    let store = Store::of(responses);
    let keys = store.keys();
    let malformed = "the secret is malformed: projects.us.LIVEKIT_URL must be a URL such as wss://my-project.livekit.cloud";
    let both = async |second| (of_project(&keys, "eu", second).await, of_project(&keys, "us", second).await);
    let ok = |version: &str| Ok(version.to_owned());
    assert_eq!(both(0).await, (ok("v1"), ok("v1")));
    assert_eq!(both(300).await, (ok("v2"), ok("v1")));
    assert_eq!(both(305).await, (ok("v2"), ok("v1")));
    assert_eq!(both(306).await, (ok("v3"), ok("v1")), "a malformed project is retried soon");
    assert_eq!(both(DAY - 1).await, (ok("v4"), ok("v1")));
    assert_eq!(both(DAY + 20).await, (ok("v5"), Err(malformed.to_owned())));
    assert_eq!(store.fetches(), 6, "without keys each request fetches");
}

#[tokio::test]
async fn a_removed_project_has_no_keys_after_the_next_refresh_and_an_unknown_one_causes_no_fetch() {
    let store = Store::of([
        with_projects("v1", &["default", "eu", "us"], &[]),
        with_projects("v2", &["eu"], &[]),
        with_projects("v3", &["eu", "asia"], &["eu"]),
    ]);
    let keys = store.keys();
    assert_eq!(of_project(&keys, "us", 0).await, Ok("v1".into()));
    let lacking = |name: &str| Err(format!("LiveKit has no keys in project {name:?}"));
    assert_eq!(of_project(&keys, "asia", 1).await, lacking("asia"));
    assert_eq!(store.fetches(), 1);
    assert_eq!(of_project(&keys, "us", 300).await, lacking("us"));
    assert_eq!(of_project(&keys, "default", 301).await, Err("LiveKit has no keys".into()));
    assert_eq!(of_project(&keys, "eu", 302).await, Ok("v2".into()));
    assert_eq!(store.fetches(), 2);
    assert_eq!(of_project(&keys, "asia", 600).await, Ok("v3".into()));
    assert_eq!(of_project(&keys, "eu", 600).await, Ok("v2".into()), "its last valid keys");
    assert_eq!(store.fetches(), 3);
}

#[tokio::test]
async fn projects_that_can_not_be_read_keep_their_last_valid_keys() {
    let broken = |projects: &str| {
        let keys = &NEW[..NEW.len() - 1];
        Response::Secret(format!("{keys}, \"projects\": {projects}}}").leak())
    };
    for malformed in ["5", "[]", "\"eu\""] {
        let store = Store::of([with_projects("v1", &["eu", "us"], &[]), broken(malformed)]);
        let keys = store.keys();
        assert_eq!(of_project(&keys, "eu", 0).await, Ok("v1".into()));
        assert_eq!(at(&keys, 300).await, Ok("new".into()), "{malformed}");
        assert_eq!(of_project(&keys, "eu", 300).await, Ok("v1".into()), "{malformed}");
        assert_eq!(store.fetches(), 2);
    }
}

#[tokio::test]
async fn an_entry_without_a_valid_name_keeps_no_removed_project_and_causes_no_fetch() {
    for name in ["e u", "", "default"] {
        let invalid = format!("{}, \"projects\": {{\"{name}\": {{}}}}}}", &NEW[..NEW.len() - 1]);
        let store = Store::of([
            with_projects("v1", &["eu", "us"], &[]),
            Response::Secret(invalid.clone().leak()),
            Response::Secret(invalid.leak()),
        ]);
        let keys = store.keys();
        assert_eq!(of_project(&keys, "us", 0).await, Ok("v1".into()));
        let lacking = Err("LiveKit has no keys in project \"us\"".to_owned());
        assert_eq!(of_project(&keys, "us", 300).await, lacking, "{name:?}");
        assert_eq!(of_project(&keys, "us", 301).await, lacking, "{name:?}");
        assert_eq!(store.fetches(), 2);
        assert_eq!(at(&keys, 306).await, Ok("new".into()));
        assert_eq!(store.fetches(), 3, "the mistake is retried");
    }
}

#[tokio::test]
async fn a_public_name_that_is_a_secret_of_any_project_is_a_mistake() {
    let secret = "cccccccccccccccccccccccccccccccc";
    let pair = |key: &str, secret: &str| serde_json::json!({"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret});
    let long = |name: &str| format!("{name} secret of thirty-two bytes or more");
    let mut all = pair("own", secret);
    all["projects"] = serde_json::json!({
        "asia": pair(secret, &long("asia")), "eu": pair("eu", &long("eu")),
        "us": {"AGORA_APP_ID": secret, "AGORA_APP_CERTIFICATE": "0123456789abcdef0123456789abcdef"},
    });
    let keys = Store::of((0..3).map(|_| Response::Secret(all.to_string().leak())).collect::<Vec<_>>()).keys();
    for name in ["default", "eu"] {
        assert!(
            keys.signing(&Project::parse(name).unwrap(), &moment(0)).await.unwrap().livekit().is_ok(),
            "{name}"
        );
    }
    for (name, path) in [("asia", "projects.asia.LIVEKIT_API_KEY"), ("us", "projects.us.AGORA_APP_ID")] {
        let error = keys.signing(&Project::parse(name).unwrap(), &moment(0)).await.unwrap_err().to_string();
        let mistake = format!(
            "{path} must not be the same as LIVEKIT_API_SECRET: it is public, and would show that secret"
        );
        assert!(error.contains(&mistake) && !error.contains("cccc"), "{error}");
    }
}

#[tokio::test]
async fn keys_for_a_changed_policy_keep_the_cached_signing_keys_with_their_age() {
    let (old, key) = with_an_api_key(OLD);
    let store = Store::of([Response::Secret(old.leak()), Response::Down, Response::Down, Response::Down]);
    let keys = store.keys();
    assert_eq!(is_known(&keys, key, 0).await, Ok(true));
    let ages = KeyAges { max_age: Duration::from_mins(10), ..KeyAges::default() };
    let same = keys.following(Vec::new(), ages).unwrap();
    assert_eq!((at(&same, 299).await, is_known(&same, key, 299).await), (Ok("old".into()), Ok(true)));
    assert_eq!(at(&same, 599).await, Ok("old".into()));
    assert_eq!(at(&same, 600).await, down(), "by the new max_age, since the keys were fetched");
    let name = SharedSecret {
        name: "LOGIN".into(),
        issuer: crate::auth::IssuerNames::new("https://a".into(), Vec::new()),
    };
    let other = keys.following(vec![name], ages).unwrap();
    assert_eq!(at(&other, 200).await, Ok("old".into()));
    assert_eq!(is_known(&other, key, 200).await, Err(down().unwrap_err()), "callers' keys are fetched again");
    assert_eq!(at(&other, 200).await, Ok("old".into()));
    assert!(
        Keys::given(
            SigningKeys::from(LiveKitKeys::development(ServerUrl::development())),
            CallerKeys::default()
        )
        .following(Vec::new(), ages)
        .is_none()
    );
}

#[tokio::test]
async fn the_keys_of_all_projects_are_those_that_have_not_expired() {
    let store = Store::of([
        with_projects("v1", &["eu", "us"], &[]),
        with_projects("v2", &["eu", "us"], &["us"]),
        with_projects("v3", &["eu", "us"], &["us"]),
        Response::Down,
        Response::Down,
    ]);
    let keys = store.keys();
    let names = async |second| {
        let projects = keys.projects(&moment(second)).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(projects.iter().map(|keys| keys.project().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(names(0).await, Ok(vec!["eu".into(), "us".into()]));
    assert_eq!(names(300).await, Ok(vec!["eu".into(), "us".into()]));
    assert_eq!(names(DAY).await, Ok(vec!["eu".into()]));
    assert_eq!(names(3 * DAY).await, Err("the secret store is unavailable: down".into()));
    assert!(keys.signing(&Project::default(), &moment(3 * DAY)).await.is_err());
}

#[test]
fn a_provider_without_keys_is_named() {
    for (provider, text) in
        [(Provider::Agora, "Agora has no keys"), (Provider::LiveKit, "LiveKit has no keys")]
    {
        let lacking = |project: &str| NotConfigured { provider, project: Project::parse(project).unwrap() };
        assert_eq!(lacking("default").to_string(), text);
        assert_eq!(lacking("eu").to_string(), format!("{text} in project \"eu\""));
    }
}
