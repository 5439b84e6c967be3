//! The policy that is read at run time: each request is decided by the last valid version, and by no other.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Method;
use roompass::config::{Config, Environment, Sources};
use roompass::dialect::TABLE;
use roompass::domain::Context;
use roompass::http::Hosts;
use roompass::keys::{Deployment, Keys, SecretStore, StoreError, StoredSecret};
use roompass::metrics::Metrics;
use roompass::reload::{Parts, PolicyFile, Reloading};
use serde_json::json;

use crate::issuer::{compact, hs256};
use crate::log::logged;
use crate::support::{self, Answer, keys_stored_in, keys_with, post, request, send};

const MORNING: u64 = 1_900_000_000;
const DAY: u64 = 24 * 3_600;

thread_local! {
    /// The time of this thread's requests. Each test has a thread of its own.
    static NOW: Cell<u64> = const { Cell::new(MORNING) };
}

fn surroundings() -> Context {
    Context { now: NOW.get(), randomness: |bytes| bytes.fill(0) }
}

fn at(second: u64) {
    NOW.set(MORNING + second);
}

/// What a store returns, in order. A fetch too many panics.
type Responses = Arc<Mutex<VecDeque<Result<String, StoreError>>>>;

#[derive(Clone)]
struct Store(Responses);

impl SecretStore for Store {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<StoredSecret, StoreError>> + Send + '_>> {
        let response = self.0.lock().unwrap().pop_front().expect("one fetch too many");
        let stored = response.map(|text| StoredSecret::from(text.as_str()));
        Box::pin(async {
            // The other requests come first.
            tokio::task::yield_now().await;
            stored
        })
    }
}

/// A policy that opens these rooms to anyone.
fn policy(rooms: &str) -> String {
    format!(
        "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n[[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\nrooms = [{rooms:?}]\n"
    )
}

fn down() -> Result<String, StoreError> {
    Err(StoreError::Unavailable("down".into()))
}

/// The service with this configuration, whose policy is in a store with these responses.
fn service_of(
    config: &str,
    responses: impl IntoIterator<Item = Result<String, StoreError>>,
    keys: impl Fn(&Config) -> Keys + Send + Sync + 'static,
) -> (Router, Responses) {
    at(0);
    let responses = Arc::new(Mutex::new(responses.into_iter().collect()));
    let service = service_by(config, Box::new(Store(Responses::clone(&responses))), keys);
    (service, responses)
}

fn service_by(
    config: &str,
    store: Box<dyn SecretStore>,
    keys: impl Fn(&Config) -> Keys + Send + Sync + 'static,
) -> Router {
    let config = if config.is_empty() { "# nothing = true" } else { config };
    let variable = |name: &str| (name == "ROOMPASS_CONFIG").then(|| config.to_owned());
    let environment = Environment::read(Deployment::Lambda, variable).unwrap();
    let parts = Parts {
        sources: Sources::read(&environment).unwrap(),
        place: "ssm:/policy".into(),
        keys: Box::new(move |config| Ok(keys(config))),
        always: None,
        hosts: Hosts::Any,
        mint: support::mint,
        surroundings,
        shown: None,
        metrics: Metrics::default(),
    };
    Arc::new(Reloading::new(store, parts).unwrap()).router()
}

fn service(responses: impl IntoIterator<Item = Result<String, StoreError>>) -> (Router, Responses) {
    service_of("", responses, |config| keys_with(config, &json!({})))
}

async fn ask(service: &Router, room: &str) -> Answer {
    post(service, json!({"room_name": room})).await
}

async fn health(service: &Router) -> Answer {
    send(service, request(Method::GET, "/healthz", &[], "")).await
}

fn version(text: &str) -> String {
    Config::version_of(text)
}

#[tokio::test]
async fn a_change_takes_effect_within_refresh_after_and_its_version_is_in_the_log_and_in_the_health_check() {
    let (wide, narrow) = (policy("*"), policy("open"));
    let (service, left) = service([Ok(wide.clone()), Ok(wide.clone()), Ok(narrow.clone()), Ok(wide.clone())]);
    let opens = async |second: u64, version: &str| {
        at(second);
        let log = logged(async {
            let answer = ask(&service, "other").await;
            assert!([201, 403].contains(&answer.status.as_u16()));
        });
        let log = log.await;
        assert!(log.contains(&format!("policy_version={version:?}")), "{log}");
        assert_eq!(health(&service).await.json()["policy_version"], version);
        log.contains("token issued")
    };
    let (of_wide, of_narrow) = (version(&wide), version(&narrow));
    assert!(opens(0, &of_wide).await);
    assert!(opens(299, &of_wide).await);
    assert!(opens(300, &of_wide).await);
    assert!(opens(599, &of_wide).await);
    assert!(!opens(600, &of_narrow).await, "narrower");
    assert!(!opens(899, &of_narrow).await);
    assert!(opens(900, &of_wide).await, "wider");
    assert!(left.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_loaded_and_a_changed_policy_are_logged_once_each() {
    let (one, two) = (policy("one"), policy("two"));
    let (service, _) = service([Ok(one.clone()), Ok(one.clone()), Ok(two.clone())]);
    let log_at = async |second: u64| {
        at(second);
        logged(async { assert_eq!(health(&service).await.status, 200) }).await
    };
    let first = log_at(0).await;
    assert!(first.contains(&format!("policy loaded version={:?}", version(&one))), "{first}");
    let same = log_at(300).await;
    assert!(!same.contains("policy loaded") && !same.contains("policy changed"), "{same}");
    let changed = log_at(600).await;
    let expected = format!("policy changed version={:?} previous={:?}", version(&two), version(&one));
    assert!(changed.contains(&expected), "{changed}");
}

#[tokio::test]
async fn what_can_not_be_read_or_is_wrong_never_replaces_the_policy_until_it_expires() {
    let missing = StoreError::Missing("ParameterNotFound".into());
    for (response, cause, mistake) in [
        (down(), "the policy can't be read: down", None),
        (Err(missing), "the policy can't be read: not found: ParameterNotFound", None),
        (
            Err(StoreError::Denied("AccessDenied".into())),
            "the policy can't be read: access denied: AccessDenied",
            None,
        ),
        (
            Ok(String::new()),
            "is invalid: ssm:/policy:1:1: the policy has neither a [[rule]] nor a [[deny]]: to end all bans, write deny = []",
            Some(
                "ssm:/policy:1:1: the policy has neither a [[rule]] nor a [[deny]]: to end all bans, write deny = []",
            ),
        ),
        (Ok("[[rule]\n".into()), "is invalid: ssm:/policy:1:8: ", Some("ssm:/policy:1:8: ")),
        (
            Ok(policy("*") + "nam = \"x\"\nttll = \"1m\""),
            "is invalid: ssm:/policy:8:1: unknown field `nam`",
            Some("ssm:/policy:9:1: unknown field `ttll`"),
        ),
        (
            Ok(policy("*").replace("[\"anyone\"]", "[\"anyon\"]")),
            "is invalid: ssm:/policy:6:1: rule \\\"r\\\" has the unknown caller \\\"anyon\\\"",
            Some("did you mean"),
        ),
    ] {
        let responses =
            [Ok(policy("open")), response.clone(), response.clone(), response.clone(), Ok(policy("*"))];
        let (service, left) = service(responses);
        ask(&service, "open").await.issued();
        at(300);
        let log = logged(async {
            ask(&service, "open").await.issued();
            ask(&service, "other").await.refused(403, "room_not_allowed");
        });
        let log = log.await;
        assert!(log.contains("policy refresh failed; using cached policy"), "{log}");
        assert!(log.contains(cause), "{cause}: {log}");
        let mistakes = log.matches("ERROR invalid policy").count();
        assert_eq!(mistakes > 0, mistake.is_some(), "{log}");
        assert!(mistake.is_none_or(|mistake| log.contains(mistake)), "{log}");
        assert_eq!(left.lock().unwrap().len(), 3, "retries are spaced");

        at(306);
        let log = logged(async {
            ask(&service, "open").await.issued();
        });
        assert!(!log.await.contains("ERROR invalid policy"), "each version once");
        assert_eq!(left.lock().unwrap().len(), 2);

        at(DAY);
        let expired = logged(async {
            ask(&service, "open").await.refused(503, "policy_unavailable");
        });
        let expired = expired.await;
        assert!(expired.contains(cause), "{expired}");
        ask(&service, "other").await.issued();
        assert_eq!(left.lock().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn the_mistakes_of_a_text_are_logged_again_after_another_text_was_valid() {
    let wrong = || Ok("[[rule]]".to_owned());
    let (service, _) = service([Ok(policy("*")), wrong(), Ok(policy("open")), wrong()]);
    let mistakes = async |second: u64| {
        at(second);
        let log = logged(async { ask(&service, "open").await.issued() }).await;
        log.matches("ERROR invalid policy").count()
    };
    assert_eq!(mistakes(0).await, 0);
    assert_eq!(mistakes(300).await, 1);
    assert_eq!(mistakes(600).await, 0);
    assert_eq!(mistakes(900).await, 1);
}

#[tokio::test]
async fn before_a_policy_is_read_every_route_returns_503_and_each_request_tries_again() {
    let dialects: Vec<_> = TABLE.iter().map(|row| row.dialect.as_str()).collect();
    let config = format!("dialects = {dialects:?}\nsandbox.ids = [\"s\"]\n{}", policy("*"));
    let paths: Vec<_> =
        TABLE.iter().flat_map(|row| row.routes).map(|route| (&route.method, route.path)).collect();
    let responses = vec![down(); paths.len() + 3].into_iter().chain([Ok(policy("*"))]);
    let (service, left) =
        service_of(&config, responses, |config| keys_with(config, &support::agora_secret()));
    for (method, path) in paths {
        let path = path.replace(['{', '}'], "").replace("/role/", "/publisher/");
        let headers = [("content-type", "application/json"), ("x-sandbox-id", "s")];
        let answer = send(&service, request(method.clone(), &path, &headers, "{}")).await;
        assert_eq!((answer.status.as_u16(), answer.minted), (503, 0), "{path}");
        assert_eq!(answer.header("x-error-code"), "policy_unavailable", "{path}");
        assert_eq!(answer.header("retry-after"), "5");
    }
    for path in ["/", "/elsewhere/getToken"] {
        send(&service, request(Method::POST, path, &[], "{}")).await.refused(503, "policy_unavailable");
    }
    let problem = health(&service).await.refused(503, "policy_unavailable");
    assert_eq!(
        problem["detail"],
        "The policy can't be read at the moment. Try again later. The log has the cause."
    );
    ask(&service, "any").await.issued();
    assert!(left.lock().unwrap().is_empty());
}

#[tokio::test]
async fn concurrent_requests_cause_one_fetch() {
    let (service, left) = service([Ok(policy("*")), Ok(policy("open"))]);
    let hundred = async || {
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let service = service.clone();
            requests.spawn(async move { ask(&service, "open").await.issued() });
        }
        requests.join_all().await;
    };
    hundred().await;
    assert_eq!(left.lock().unwrap().len(), 1);
    at(300);
    hundred().await;
    ask(&service, "other").await.refused(403, "room_not_allowed");
    assert!(left.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_policy_does_not_set_is_that_of_the_configuration() {
    let config = policy("config") + "[keys]\nrefresh_after = \"10s\"\n[limits]\nmax_room_name_length = 32";
    let denied = "[[deny]]\nidentity = \"x\"\n".to_owned();
    let own_ages = denied.clone() + "keys.refresh_after = \"20s\"";
    let own_ages = format!(
        "keys.refresh_after = \"20s\"\n{denied}",
        denied = own_ages.replace("keys.refresh_after = \"20s\"", "")
    );
    let (service, left) =
        service_of(&config, [Ok(denied.clone()), Ok(own_ages), Ok(policy("other")), Ok(denied)], |config| {
            keys_with(config, &json!({}))
        });
    ask(&service, "config").await.issued();
    ask(&service, &"longer".repeat(6)).await.refused(400, "invalid_field");
    at(9);
    ask(&service, "config").await.issued();
    assert_eq!(left.lock().unwrap().len(), 3, "refresh_after of the configuration");
    at(10);
    ask(&service, "config").await.issued();
    assert_eq!(left.lock().unwrap().len(), 2);
    at(29);
    ask(&service, "config").await.issued();
    assert_eq!(left.lock().unwrap().len(), 2, "refresh_after of the policy");
    at(30);
    ask(&service, "config").await.refused(403, "room_not_allowed");
    ask(&service, "other").await.issued();
    at(40);
    ask(&service, "other").await.refused(403, "room_not_allowed");
    ask(&service, "config").await.issued();
}

#[tokio::test]
async fn callers_of_a_changed_policy_are_authenticated_and_those_of_the_old_one_are_not() {
    let secret = "the shared secret, of 32 bytes or more";
    let by = |name: &str| {
        format!(
            "[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"https://a\"\naudience = \"calls\"\nalgorithms = [\"HS256\"]\nsecret = {name:?}\n[[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [\"*\"]\n"
        )
    };
    let fetches = Arc::new(Mutex::new(0));
    let counted = fetches.clone();
    let keys = move |config: &Config| {
        let counted = counted.clone();
        keys_stored_in(config, move || {
            *counted.lock().unwrap() += 1;
            let stored = json!({
                "LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": support::API_KEY,
                "LIVEKIT_API_SECRET": support::API_SECRET, "ONE": secret, "TWO": "another secret, of 32 bytes or more",
            });
            Ok(StoredSecret::from(stored.to_string().as_str()))
        })
    };
    let (service, _) =
        service_of("", [Ok(by("ONE")), Ok(by("ONE") + "# changed"), Ok(by("TWO")), Ok(policy("*"))], keys);
    let claims = json!({"iss": "https://a", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    let token = compact(r#"{"alg":"HS256"}"#, &claims.to_string(), hs256(secret.as_bytes()));
    let bearer = format!("Bearer {token}");
    let ask_with =
        async || send(&service, request(Method::POST, "/getToken", &[("authorization", &bearer)], "")).await;
    ask_with().await.issued();
    // The keys for the configuration are fetched at the same time as the policy, and those for the policy after it.
    assert_eq!(*fetches.lock().unwrap(), 2);
    at(299);
    ask_with().await.issued();
    assert_eq!(*fetches.lock().unwrap(), 2);
    at(300);
    ask_with().await.issued();
    assert_eq!(*fetches.lock().unwrap(), 3, "the keys stay cached, and are refreshed when they are stale");
    at(600);
    ask_with().await.refused(401, "invalid_credential");
    at(900);
    ask_with().await.refused(401, "invalid_credential");
    ask(&service, "any").await.issued();
}

#[tokio::test]
async fn while_the_secret_store_is_down_a_change_of_keys_in_the_policy_loses_no_cached_keys() {
    let fetched = Arc::new(Mutex::new(false));
    let keys = move |config: &Config| {
        let fetched = fetched.clone();
        keys_stored_in(config, move || {
            if std::mem::replace(&mut *fetched.lock().unwrap(), true) {
                return Err(StoreError::Unavailable("down".into()));
            }
            let stored = json!({
                "LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": support::API_KEY, "LIVEKIT_API_SECRET": support::API_SECRET,
            });
            Ok(StoredSecret::from(stored.to_string().as_str()))
        })
    };
    let ages = |ages: &str| format!("[keys]\n{ages}\n{}", policy("*"));
    let (service, _) =
        service_of("", [Ok(policy("*")), Ok(ages("max_age = '1h'")), Ok(ages("max_age = '2h'"))], keys);
    for second in [0, 300, 600] {
        at(second);
        ask(&service, "any").await.issued();
    }
}

#[tokio::test]
async fn a_text_with_mistakes_is_read_once_until_it_changes() {
    let wrong = policy("*") + "x = 1";
    let many: Vec<_> = (0..30).map(|at| format!("x{at} = 1")).collect();
    let many = many.join("\n") + "\n";
    let (service, _) =
        service([Ok(policy("*")), Ok(many.clone() + &policy("open")), Ok(many + &policy("open")), Ok(wrong)]);
    let mistakes = async |second: u64| {
        at(second);
        let log = logged(async { ask(&service, "any").await.issued() }).await;
        log.matches("ERROR invalid policy").count()
    };
    assert_eq!(mistakes(0).await, 0);
    assert_eq!(mistakes(300).await, 20, "at most");
    assert_eq!(mistakes(306).await, 0);
    assert!(mistakes(312).await > 0);
}

#[tokio::test]
async fn a_file_is_read_as_it_is() {
    let path = std::env::temp_dir().join(format!("roompass-policy-{}.toml", std::process::id()));
    std::fs::write(&path, format!("\u{feff}{}", policy("file"))).unwrap();
    at(0);
    let service = service_by("", Box::new(PolicyFile(path.clone())), |config| keys_with(config, &json!({})));
    ask(&service, "file").await.issued();
    std::fs::remove_file(&path).unwrap();
    at(300);
    let ask_and_log = async || logged(async { ask(&service, "file").await.issued() }).await;
    let log = ask_and_log().await;
    assert!(log.contains("the policy can't be read: ") && log.contains("No such file"), "{log}");
    for (second, bytes, reason) in [
        (330, vec![b'#'; 262_145], "it has more than 262144 bytes"),
        (360, vec![0xff], "it is not UTF-8 text"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        at(second);
        let log = ask_and_log().await;
        assert!(log.contains(reason), "{log}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    at(375);
    let log = ask_and_log().await;
    assert!(log.contains("it is not a file"), "{log}");
    std::fs::remove_dir(&path).unwrap();
    let largest = policy("file") + &"#".repeat(262_144 - policy("file").len());
    std::fs::write(&path, largest).unwrap();
    at(390);
    let log = ask_and_log().await;
    assert!(log.contains("policy refresh succeeded after a failure"), "{log}");
    std::fs::remove_file(&path).unwrap();
}
