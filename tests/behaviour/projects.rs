//! Several projects: a token and its server are always of the project that the rule names, and of no other.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::Method;
use livekit_api::access_token::TokenVerifier;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use roompass::auth::{Caller, Callers};
use roompass::config::Config;
use roompass::http::{Hosts, router_for};
use roompass::keys::{Keys, StoredSecret};
use serde_json::{Map, Value, json};

use crate::log::logged;
use crate::support::{self, agora_secret, keys_stored_in, post, request, send, service_stored_in};

/// The names of the projects in the tests. `default` stands for the secret's own members.
const NAMES: [&str; 5] = ["default", "eu", "us", "eu-1", "Asia.2"];

/// The keys of a project, all of them different from those of other projects.
fn members(project: &str) -> Value {
    json!({
        "LIVEKIT_URL": format!("wss://{}.example", project.to_lowercase()),
        "LIVEKIT_API_KEY": format!("API-{project}"),
        "LIVEKIT_API_SECRET": format!("the secret of {project}, of thirty-two bytes or more"),
    })
}

fn secret_of(projects: &[&str]) -> Value {
    let mut secret = Map::new();
    let named = projects.iter().filter(|name| **name != "default");
    let named: Map<_, _> = named.map(|name| ((*name).to_owned(), members(name))).collect();
    if projects.contains(&"default") {
        secret.extend(members("default").as_object().unwrap().clone());
    }
    if !named.is_empty() {
        secret.insert("projects".into(), named.into());
    }
    secret.into()
}

/// A rule as the tests make it: for one project, or for one of a list by a claim.
#[derive(Debug, Clone)]
enum ForProject {
    Unset,
    Named(&'static str),
    ByClaim(Vec<&'static str>),
}

#[derive(Debug, Clone)]
struct Case {
    stored: Vec<&'static str>,
    rules: Vec<(ForProject, &'static str)>,
    region: Option<String>,
    room: &'static str,
}

const ROOMS: [&str; 3] = ["*", "a*", "b*"];

fn cases() -> impl Strategy<Value = Case> {
    let names = || prop::sample::select(&NAMES[..]);
    let some = || prop::sample::subsequence(NAMES.to_vec(), 1..=NAMES.len());
    let rule = prop_oneof![
        Just(ForProject::Unset),
        names().prop_map(ForProject::Named),
        some().prop_shuffle().prop_map(ForProject::ByClaim),
    ];
    let region = prop_oneof![
        4 => names().prop_map(str::to_owned),
        1 => prop::sample::select(vec!["EU", "eu ", "*", "projects", "", "eu\0", "../us", "{sub}"]).prop_map(str::to_owned),
    ];
    let rules = prop::collection::vec((rule, prop::sample::select(&ROOMS[..])), 1..4);
    (some(), rules, prop::option::of(region), prop::sample::select(vec!["a1", "b1", "c1"]))
        .prop_map(|(stored, rules, region, room)| Case { stored, rules, region, room })
}

impl Case {
    fn config(&self) -> String {
        let rules = self.rules.iter().enumerate().map(|(at, (project, rooms))| {
            let project = match project {
                ForProject::Unset => String::new(),
                ForProject::Named(name) => format!("project = {name:?}"),
                ForProject::ByClaim(list) => format!("project = '{{claims.region}}'\nprojects = {list:?}"),
            };
            format!("[[rule]]\nname = \"r{at}\"\ncallers = [\"app\"]\nrooms = [{rooms:?}]\n{project}\n")
        });
        let caller = "[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"https://login.example\"\naudience = \"a\"\nalgorithms = [\"RS256\"]\n";
        caller.to_owned() + &rules.collect::<String>()
    }

    /// The project of the first rule that matches, by the documentation.
    fn expected(&self) -> Option<&str> {
        self.rules.iter().find_map(|(project, rooms)| {
            let opens = *rooms == "*" || self.room.starts_with(&rooms[..1]);
            let name = match project {
                ForProject::Unset => Some("default"),
                ForProject::Named(name) => Some(*name),
                ForProject::ByClaim(list) => {
                    list.iter().copied().find(|name| self.region.as_deref() == Some(name))
                }
            };
            name.filter(|_| opens)
        })
    }

    fn service(&self, keys: impl FnOnce(&Config) -> Keys) -> Option<Router> {
        // Rules that can never decide are a mistake.
        let config = Config::parse(&self.config(), "test.toml").ok()?;
        let keys = keys(&config);
        let claims = self.region.iter().map(|region| ("region".to_owned(), region.as_str().into()));
        let caller =
            Caller { subject: Some("ada".into()), claims: claims.collect(), ..Caller::anonymous("app") };
        let callers = Callers::always(caller);
        Some(router_for(callers, Hosts::Any, config, keys, support::mint, roompass::system::context))
    }
}

/// The project whose secret signed the token and whose server is in the response. They are the same.
fn project_of(response: &Value) -> String {
    let token = response["participant_token"].as_str().unwrap();
    let signed_by = NAMES.iter().filter(|name| {
        let keys = members(name);
        let (key, secret) =
            (keys["LIVEKIT_API_KEY"].as_str().unwrap(), keys["LIVEKIT_API_SECRET"].as_str().unwrap());
        TokenVerifier::with_api_key(key, secret).verify(token).is_ok()
    });
    let signed_by: Vec<_> = signed_by.collect();
    assert_eq!(signed_by.len(), 1, "{signed_by:?}");
    assert_eq!(response["server_url"], members(signed_by[0])["LIVEKIT_URL"]);
    assert_eq!(support::unverified_claims(token)["iss"], members(signed_by[0])["LIVEKIT_API_KEY"]);
    (*signed_by[0]).to_owned()
}

#[test]
fn in_a_thousand_random_configurations_keys_and_server_are_those_of_the_rules_project() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut count = 0;
    let runs = Runs { cases: 2_500, failure_persistence: None, ..Runs::default() };
    let outcome = std::cell::RefCell::new((&mut outcomes, &mut count));
    TestRunner::new(runs)
        .run(&cases(), |case| {
            let stored = secret_of(&case.stored).to_string();
            let Some(service) = case
                .service(|config| keys_stored_in(config, move || Ok(StoredSecret::from(stored.as_str()))))
            else {
                return Ok(());
            };
            let answer = runtime.block_on(post(&service, json!({"room_name": case.room})));
            let found = match case.expected() {
                None => {
                    answer.refused(403, answer.header("x-error-code"));
                    "refused".to_owned()
                }
                Some(name) if !case.stored.contains(&name) => {
                    answer.refused(503, "livekit_not_configured");
                    "without keys".to_owned()
                }
                Some(name) => {
                    assert_eq!(project_of(&answer.json()), name);
                    name.to_owned()
                }
            };
            let (outcomes, count) = &mut *outcome.borrow_mut();
            *outcomes.entry(found).or_default() += 1;
            **count += 1;
            Ok(())
        })
        .unwrap();
    assert!(count >= 1_000, "{count} configurations were valid");
    assert_eq!(outcomes.len(), NAMES.len() + 2, "{outcomes:?}");
}

fn service(config: &str, secret: &Value) -> Router {
    let secret = secret.to_string();
    service_stored_in(config, move || Ok(StoredSecret::from(secret.as_str())))
}

/// Anyone may have the rooms of each project.
fn open_rules(projects: &[&str]) -> String {
    let caller = "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n";
    let rule = |name: &&str| {
        format!(
            "[[rule]]\nname = \"of {name}\"\ncallers = [\"anyone\"]\nrooms = [\"{name}:*\"]\nproject = {name:?}\n"
        )
    };
    caller.to_owned() + &projects.iter().map(rule).collect::<String>()
}

async fn ask(service: &Router, room: &str) -> support::Answer {
    post(service, json!({"room_name": room})).await
}

#[tokio::test]
async fn a_malformed_project_affects_no_other_and_the_cause_names_it() {
    let config = open_rules(&["default", "eu", "us"]);
    for (malformed, cause) in [
        (json!("canary"), "projects.us must be an object with the project's keys"),
        (json!({}), "projects.us.LIVEKIT_URL is missing"),
        (
            json!({"LIVEKIT_URL": "wss://us.example", "LIVEKIT_API_KEY": "k", "LIVEKIT_SECRET": "canary"}),
            "projects.us must have no other members than LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, AGORA_APP_ID, AGORA_APP_CERTIFICATE",
        ),
        (
            json!({"LIVEKIT_ULR": "wss://us.example", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "canary".repeat(6)}),
            "projects.us must have no other members than LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, AGORA_APP_ID, AGORA_APP_CERTIFICATE; did you mean `LIVEKIT_URL`?",
        ),
        (
            json!({"canary": {"LIVEKIT_API_KEY": "k"}}),
            "projects.us must have no other members than LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, AGORA_APP_ID, AGORA_APP_CERTIFICATE; it contains an object: put the project's keys directly into the project",
        ),
        (
            json!({"LIVEKIT_URL": "wss://us.example", "LIVEKIT_API_KEY": "k"}),
            "projects.us.LIVEKIT_API_SECRET is missing",
        ),
        (
            json!({"LIVEKIT_URL": "ws://us.example", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "canary".repeat(6)}),
            "projects.us.LIVEKIT_URL must begin with wss:// or https://",
        ),
        (
            json!({"LIVEKIT_URL": "wss://us.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}),
            "projects.us.LIVEKIT_API_SECRET must not be LiveKit's public development secret",
        ),
    ] {
        let mut secret = secret_of(&["default", "eu"]);
        secret["projects"]["us"] = malformed.clone();
        let service = service(&config, &secret);
        let log = logged(async {
            assert_eq!(project_of(&ask(&service, "eu:1").await.json()), "eu");
            assert_eq!(project_of(&ask(&service, "default:1").await.json()), "default");
            ask(&service, "us:1").await.refused(503, "keys_unavailable");
            let health = send(&service, request(Method::GET, "/healthz", &[], "")).await;
            assert_eq!(health.status, 200);
        })
        .await;
        assert!(log.contains(&format!("the secret is malformed: {cause}")), "{malformed}: {log}");
        assert!(!log.contains("canary"), "{log}");
    }
}

#[tokio::test]
async fn names_that_are_no_projects_are_named_in_the_log_and_the_rest_of_the_secret_is_used() {
    let config = open_rules(&["default", "eu"]);
    for (name, cause) in [
        ("e u", "projects has an invalid name: a project's name has 1 to 64 letters"),
        ("", "projects has an invalid name: a project's name has 1 to 64 letters"),
        ("default", "projects has the name default, which is for the keys that are not in projects"),
    ] {
        let mut secret = secret_of(&["default", "eu"]);
        secret["projects"][name] = members("us");
        let service = service(&config, &secret);
        let log = logged(async {
            for name in ["eu", "default"] {
                assert_eq!(project_of(&ask(&service, &format!("{name}:1")).await.json()), name);
            }
        });
        let log = log.await;
        assert!(log.contains(cause), "{name:?}: {log}");
    }
    for projects in [json!([]), json!("eu"), json!(5), json!(true)] {
        let mut secret = secret_of(&["default"]);
        secret["projects"] = projects.clone();
        let service = service(&config, &secret);
        let log = logged(async {
            assert_eq!(project_of(&ask(&service, "default:1").await.json()), "default");
            ask(&service, "eu:1").await.refused(503, "keys_unavailable");
        });
        let log = log.await;
        assert!(log.contains("projects must be an object of project names and keys"), "{projects}: {log}");
    }
}

#[tokio::test]
async fn projects_stored_as_text_or_with_white_space_are_corrected_with_a_warning() {
    let config = open_rules(&["default", "eu"]);
    let mut secret = secret_of(&["default", "eu"]);
    secret["projects"]["eu"]["LIVEKIT_API_KEY"] = " API-eu\n".into();
    secret["projects"] = secret["projects"].to_string().into();
    let service = service(&config, &secret);
    let log = logged(async {
        for name in ["eu", "default"] {
            assert_eq!(project_of(&ask(&service, &format!("{name}:1")).await.json()), name);
        }
    });
    let log = log.await;
    for warning in [
        "projects is text that contains a JSON object: store the object itself",
        "projects.eu.LIVEKIT_API_KEY has white space around it: store it without",
    ] {
        assert!(log.contains(warning), "{log}");
    }
}

#[tokio::test]
async fn a_secret_without_own_keys_has_no_project_default() {
    let service = service(&open_rules(&["default", "eu"]), &secret_of(&["eu"]));
    assert_eq!(project_of(&ask(&service, "eu:1").await.json()), "eu");
    let problem = ask(&service, "default:1").await.refused(503, "livekit_not_configured");
    assert_eq!(
        problem["detail"],
        "Add LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to the secret, or to the environment when running locally."
    );
    let health = send(&service, request(Method::GET, "/healthz", &[], "")).await;
    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn the_health_check_is_for_the_projects_of_the_rules() {
    let secret = secret_of(&["default", "us"]);
    for (projects, status) in [(&["eu"][..], 503), (&["eu", "us"], 200), (&["default"], 200), (&[], 200)] {
        let health =
            send(&service(&open_rules(projects), &secret), request(Method::GET, "/healthz", &[], "")).await;
        assert_eq!(health.status, status, "{projects:?}");
    }
}

#[tokio::test]
async fn a_project_that_the_secret_lacks_is_named_in_the_response_and_the_project_of_a_token_in_the_log() {
    let service = service(&open_rules(&["default", "eu", "us"]), &secret_of(&["default", "eu"]));
    let log = logged(async {
        let problem = ask(&service, "us:1").await.refused(503, "livekit_not_configured");
        assert_eq!(
            problem["detail"],
            "Add LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to projects.us in the secret, or to us in ROOMPASS_PROJECTS when running locally."
        );
    });
    assert!(log.await.contains("LiveKit has no keys in project \\\"us\\\""));
    for name in ["eu", "default"] {
        let log =
            logged(async { assert_eq!(project_of(&ask(&service, &format!("{name}:1")).await.json()), name) });
        let log = log.await;
        assert!(log.contains(&format!("project={name:?}")), "{log}");
    }
}

#[tokio::test]
async fn an_agora_token_is_for_the_app_of_its_project_and_both_parts_of_a_request_are_for_one_project() {
    let app = |digit: &str| json!({"AGORA_APP_ID": digit.repeat(32), "AGORA_APP_CERTIFICATE": format!("{digit}f").repeat(16)});
    let secret = json!({"projects": {"one": app("1"), "two": app("2")}});
    let rule = |name: &str, project: &str, more: &str| {
        format!(
            "[[rule]]\nname = {name:?}\ncallers = [\"anyone\"]\nproject = {project:?}\nclient_may_set = [\"participant_identity\"]\n{more}\n"
        )
    };
    let caller = "dialects = [\"agora\"]\n[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n";
    let config = |logins: &str| {
        caller.to_owned()
            + &rule("rooms", "one", "rooms = [\"*\"]")
            + &rule("logins", logins, "rooms = []\nagora_logins = [\"rtm\"]")
    };
    let path = "/agora/rte/a/publisher/uid/5/ada";
    let one = service(&config("one"), &secret);
    let answer = send(&one, request(Method::GET, path, &[], "")).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    for member in ["rtcToken", "rtmToken"] {
        let token = answer.json()[member].as_str().unwrap().to_owned();
        let Ok(roompass::inspect::Inspected::Agora(read)) = roompass::inspect::read(&token) else {
            panic!("{token}")
        };
        assert_eq!(read.app_id, "1".repeat(32));
    }
    let two = service(&config("two"), &secret);
    let answer = send(&two, request(Method::GET, path, &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.minted), (403, 0));
    assert_eq!(answer.header("x-error-code"), "several_projects");
    let both = service(&open_rules(&["one"]), &secret);
    ask(&both, "one:1").await.refused(503, "livekit_not_configured");
}

#[tokio::test]
async fn a_shared_secret_that_equals_the_key_of_any_project_verifies_no_token() {
    let config = "[[caller]]\nname = \"a\"\nkind = \"jwt\"\nissuer = \"https://a\"\naudience = \"calls\"\nalgorithms = [\"HS256\"]\nsecret = \"LOGIN\"\n[[rule]]\nname = \"r\"\ncallers = [\"a\"]\nrooms = [\"*\"]\n";
    for (of, cause) in [
        ("LIVEKIT_API_SECRET", "projects.eu.LIVEKIT_API_SECRET"),
        ("AGORA_APP_CERTIFICATE", "projects.eu.AGORA_APP_CERTIFICATE"),
    ] {
        let mut secret = secret_of(&["default", "eu"]);
        secret["projects"]["eu"].as_object_mut().unwrap().extend(agora_secret().as_object().unwrap().clone());
        let shared = secret["projects"]["eu"][of].as_str().unwrap().to_owned();
        secret["LOGIN"] = shared.clone().into();
        let service = service(config, &secret);
        let claims = json!({"iss": "https://a", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
        let token = crate::issuer::compact(
            r#"{"alg":"HS256"}"#,
            &claims.to_string(),
            crate::issuer::hs256(shared.as_bytes()),
        );
        let bearer = format!("Bearer {token}");
        let log = logged(async {
            let answer =
                send(&service, request(Method::POST, "/getToken", &[("authorization", &bearer)], "")).await;
            answer.refused(503, "verification_unavailable");
        });
        let log = log.await;
        assert!(
            log.contains(&format!("LOGIN must not be the same as {cause}: use a separate secret")),
            "{log}"
        );
    }
}
