//! The requests whose responses are snapshots, each with the service that answers it.

use axum::Router;
use axum::http::Method;
use roompass::config::{Config, Dialect};
use roompass::dialect::{Route, Row, TABLE};
use roompass::domain::Provider;
use roompass::keys::{Keys, StoreError, StoredSecret};
use serde_json::{Value, json};

use crate::support::{
    API_KEY, API_SECRET, KEYED, OPEN, SANDBOX, agora_secret, keys_stored_in, keys_with, pinned_context,
    service_by,
};

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) service: Router,
    pub(super) sent: Sent,
}

/// A request.
#[derive(Clone, Default)]
pub(super) struct Sent {
    pub(super) method: Method,
    pub(super) path: String,
    /// The same for two routes that differ in nothing else.
    pub(super) shown_path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Sent {
    fn with(&self, name: &'static str, value: &str) -> Self {
        let mut sent = self.clone();
        sent.headers.retain(|(other, _)| *other != name);
        sent.headers.push((name, value.to_owned()));
        sent
    }

    fn with_body(&self, body: &(impl ToString + ?Sized)) -> Self {
        Self { body: body.to_string(), ..self.clone() }
    }

    fn with_path(&self, change: impl Fn(&str) -> String) -> Self {
        Self { path: change(&self.path), shown_path: change(&self.shown_path), ..self.clone() }
    }
}

/// The path that stands for a route in its snapshot.
pub(super) fn canonical(path: &str) -> &str {
    if path == "/api/token" { "/getToken" } else { path.trim_end_matches('/') }
}

/// All requests to a route: its successes, and each refusal that it can return.
pub(super) fn of(row: &Row, route: &Route) -> Vec<Case> {
    let successes = successes(row, route);
    let full = successes.last().unwrap().sent.clone();
    let mut cases = successes;
    cases.extend(refusals(row, &full));
    if route.method == Method::POST {
        cases.extend(refused_bodies(&full));
    }
    cases.extend(refusals_of_its_own(row, route, &full));
    cases
}

/// Requests to no token route. A healthy /healthz is left out: its response changes with each version.
pub(super) fn without_tokens() -> Vec<Case> {
    let get = |path: &str| Sent { path: path.into(), shown_path: path.into(), ..Sent::default() };
    let origin = "https://app.example.com";
    let preflight = Sent { method: Method::OPTIONS, ..get("/getToken") }
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization,content-type");
    let cors = format!("cors.origins = [{origin:?}]\n{}", open());
    let pings = TABLE.iter().filter_map(|row| row.ping).map(|(path, _)| case("ping", &open(), get(path)));
    let mut cases: Vec<_> = pings.collect();
    cases.extend([
        stored("health while the secret store is down", &open(), get("/healthz"), down),
        case("health by another method", &open(), Sent { method: Method::POST, ..get("/healthz") }),
        case("preflight", &cors, preflight.clone()),
        case("preflight from another origin", &cors, preflight.with("origin", "https://a.example")),
        case("error for an allowed origin", &cors, get("/").with("origin", origin)),
    ]);
    cases
}

/// Successes, the one with every optional input last.
fn successes(row: &Row, route: &Route) -> Vec<Case> {
    let sent = Sent {
        method: route.method.clone(),
        path: route.path.into(),
        shown_path: canonical(route.path).into(),
        ..Sent::default()
    };
    let by_body = |bodies: &[(&'static str, Value)]| {
        let sent = sent.with("content-type", "application/json");
        let cases = bodies.iter().map(|(name, body)| case(name, &open(), sent.with_body(body)));
        cases.collect::<Vec<_>>()
    };
    let by_query = |queries: &[(&'static str, &str)]| {
        let with = |query: &str| sent.with_path(|path| format!("{path}?{query}"));
        let cases = queries.iter().map(|(name, query)| case(name, &open(), with(query)));
        cases.collect::<Vec<_>>()
    };
    let one_name = ("room and name", json!({"roomName": "standup", "participantName": "Ada"}));
    match row.dialect {
        Dialect::Standard | Dialect::TokenServer => by_body(&standard_bodies()),
        Dialect::Sandbox => {
            let mut cases = by_body(&standard_bodies());
            for case in &mut cases {
                case.sent = case.sent.with("x-sandbox-id", SANDBOX);
            }
            cases
        }
        Dialect::Meet if route.method == Method::POST => by_body(&standard_bodies()),
        Dialect::Meet => by_query(&[
            ("no optional inputs", "roomName=standup&participantName="),
            (
                "every optional input",
                "roomName=standup&participantName=Ada+L%26&metadata=%7B%22a%22%3A1%7D&region=eu&another=1",
            ),
        ]),
        Dialect::UseToken => by_query(&[
            ("no optional inputs", "identity=ada&roomName=standup"),
            (
                "every optional input",
                "identity=ada&name=Ada+L%26&metadata=%7B%22a%22%3A1%7D&roomName=standup",
            ),
        ]),
        Dialect::Quickstart => by_body(&[
            ("no optional inputs", json!({})),
            ("empty inputs", json!({"roomName": "", "participantName": null})),
            one_name,
        ]),
        Dialect::Openvidu => by_body(&[one_name]),
        Dialect::Agora if route.method == Method::POST => by_body(&[
            ("RTC, no optional inputs", json!({"tokenType": "rtc", "channel": "standup", "uid": "ada"})),
            (
                "RTC, with a number and a null",
                json!({"tokenType": "rtc", "channel": "standup", "uid": 7, "expire": null}),
            ),
            ("RTM", json!({"tokenType": "rtm", "uid": "ada", "channel": ""})),
            ("chat", json!({"tokenType": "chat", "uid": "ada"})),
            (
                "RTC and RTM, every optional input",
                json!({"tokenType": "rte", "channel": "standup", "role": "publisher", "uid": "ada", "expire": 600}),
            ),
        ]),
        Dialect::Agora => {
            let filled = |role: &str, kind: &str, user: &str, query: &str| {
                sent.with_path(|path| {
                    let names = [("{channel}", "standup"), ("{role}", role), ("{tokenType}", kind)];
                    let names = names.into_iter().chain([("{uid}", user), ("{rtmuid}", "bob")]);
                    names.fold(path.to_owned(), |path, (name, value)| path.replace(name, value)) + query
                })
            };
            let full = filled("publisher", "userAccount", "ada", "?expiry=600");
            let version_006 = format!("agora.token_version = \"006\"\n{}", open());
            vec![
                case("no optional inputs", &open(), filled("subscriber", "uid", "7", "")),
                case("version 006 where the service has it", &version_006, full.clone()),
                case("every optional input", &open(), full),
            ]
        }
    }
}

fn standard_bodies() -> [(&'static str, Value); 2] {
    let agent = json!({"agent_name": "notetaker", "deployment": "blue"});
    let full = json!({
        "room_name": "standup", "participant_identity": "ada", "participant_name": "Ada",
        "participant_metadata": "{\"a\":1}", "participant_attributes": {"hand": "raised", "empty": ""},
        "room_config": {"agents": [agent], "empty_timeout": 30, "tags": {}},
    });
    [("no optional inputs", json!({})), ("every optional input", full)]
}

/// What every route refuses.
fn refusals(row: &Row, full: &Sent) -> Vec<Case> {
    let key = |value: &str| full.with("x-api-key", value);
    let for_another_sandbox = rule("when = { sandbox_id = \"another\" }\nrooms = [\"*\"]");
    let one_room = rule("rooms = [\"lobby\"]\nclient_may_set = [\"participant_identity\"]");
    let no_fields = rule("rooms = [\"*\"]\nagora_logins = [\"rtm\", \"chat\"]\nmax_ttl = \"24h\"");
    let other_provider: fn() -> _ = match row.provider {
        Provider::LiveKit => || Ok(agora_secret().to_string().as_str().into()),
        Provider::Agora => || {
            let secret = json!({
                "LIVEKIT_URL": "wss://test.livekit.cloud", "LIVEKIT_API_KEY": API_KEY,
                "LIVEKIT_API_SECRET": API_SECRET,
            });
            Ok(secret.to_string().as_str().into())
        },
    };
    vec![
        case("no callers configured", "", full.clone()),
        case("no credential", KEYED, full.clone()),
        case("invalid credential", KEYED, full.with("authorization", "Bearer x.y.z")),
        case("two credentials", KEYED, key("rpk_x").with("authorization", "Bearer x.y.z")),
        stored("credential while the secret store is down", KEYED, key("rpk_x"), down),
        case("denied", &format!("{}\n[[deny]]\ncallers = [\"anyone\"]\n", open()), full.clone()),
        case("no rule for the request", &for_another_sandbox, full.clone()),
        case("room or login that the rule does not allow", &one_room, full.clone()),
        case("field that the rule does not allow", &no_fields, full.clone()),
        stored("secret store down", &open(), full.clone(), down),
        stored("keys of the other provider alone", &open(), full.clone(), other_provider),
        stored("panic", &open(), full.clone(), || panic!("canary")),
        case("another method", &open(), Sent { method: Method::PATCH, ..full.clone() }),
        case("another path", &open(), full.with_path(|path| format!("{}/x/y", without_query(path)))),
    ]
}

/// What every route with a body refuses.
fn refused_bodies(full: &Sent) -> Vec<Case> {
    vec![
        case("body that is not JSON", &open(), full.with_body("{")),
        case("body that is not an object", &open(), full.with_body("[]")),
        case("body with a member twice", &open(), full.with_body(r#"{"uid": "a", "uid": "b"}"#)),
        case("body that is too large", &open(), full.with_body(&" ".repeat(1_048_577))),
        case("body of another media type", &open(), full.with("content-type", "text/plain")),
        case("compressed body", &open(), full.with("content-encoding", "gzip")),
    ]
}

fn refusals_of_its_own(row: &Row, route: &Route, full: &Sent) -> Vec<Case> {
    let wrong_type = json!({"roomName": 5, "participantName": 5, "tokenType": "rtm", "uid": ["ada"]});
    let wrong_type = case("field of the wrong type", &open(), full.with_body(&wrong_type));
    let may_configure = rule("rooms = [\"*\"]\nclient_may_set = [\"room_config\"]");
    match row.dialect {
        Dialect::Meet | Dialect::UseToken if route.method == Method::GET => {
            let query = |query: &str| full.with_path(|path| format!("{}?{query}", without_query(path)));
            let small_tokens = format!("limits.max_token_size = 1024\n{}", open());
            let long_metadata =
                full.with_path(|path| path.replace("metadata=", &format!("metadata={}", "m".repeat(1_000))));
            let mut cases = vec![
                case("parameters missing", &open(), query("")),
                case("room empty", &open(), query("roomName=&participantName=Ada&identity=ada")),
                case("parameter twice", &open(), full.with_path(|path| format!("{path}&roomName=other"))),
                case(
                    "parameter that is not UTF-8",
                    &open(),
                    full.with_path(|path| path.replace("standup", "%FF")),
                ),
                case("token that would be too large", &small_tokens, long_metadata),
            ];
            if row.dialect == Dialect::Meet {
                cases.push(case("region that is no part of a host name", &open(), query(REGION_INJECTION)));
            }
            cases
        }
        Dialect::Standard | Dialect::TokenServer | Dialect::Sandbox | Dialect::Meet | Dialect::UseToken => {
            let agent = json!({"room_config": {"agents": [{"agent_name": "a"}]}});
            let egress = json!({"room_config": {"egress": {"tracks": {"filepath": "x"}}}});
            let small_tokens = format!("limits.max_token_size = 1024\n{}", open());
            let long = json!({"participant_metadata": "m".repeat(1_000)});
            let mut cases = vec![
                wrong_type,
                case("agent that the rule does not list", &may_configure, full.with_body(&agent)),
                case("egress that the rule does not list", &may_configure, full.with_body(&egress)),
                case("token that would be too large", &small_tokens, full.with_body(&long)),
            ];
            if row.dialect == Dialect::Sandbox {
                cases.push(case("unknown sandbox", &open(), full.with("x-sandbox-id", "unknown")));
            }
            cases
        }
        Dialect::Quickstart => vec![wrong_type],
        Dialect::Openvidu => vec![wrong_type, case("fields missing", &open(), full.with_body("{}"))],
        Dialect::Agora => {
            let short = rule(&format!("{AGORA}max_ttl = \"1m\""));
            let mut cases = vec![case("lifetime that the rule does not allow", &short, full.clone())];
            if route.method == Method::POST {
                cases.push(wrong_type);
            } else {
                let path = |part: &str| full.with_path(|path| without_query(path).replace("ada", part));
                cases.push(case("invalid field", &open(), path("*")));
                cases.push(case("path that is not UTF-8", &open(), path("%FF")));
                if full.path.contains("/rtc/") {
                    let zero = full.with_path(|path| without_query(path).replace("userAccount/ada", "uid/0"));
                    cases.push(case("uid 0 that the rule does not allow", &open(), zero));
                }
            }
            if full.path.contains("/rte/") {
                let of_rooms = rule("rooms = [\"*\"]\nclient_may_set = [\"participant_identity\"]");
                let of_logins = "[[rule]]\nname = \"s\"\ncallers = [\"anyone\"]\nrooms = []\nproject = \"eu\"\nclient_may_set = [\"participant_identity\"]\nagora_logins = [\"rtm\"]\n";
                cases.push(case("parts of different projects", &(of_rooms + of_logins), full.clone()));
            }
            if full.body.contains("channel") || full.path.contains("standup") {
                let silent = rule(&format!("{AGORA}grants.can_publish = false"));
                let deaf = rule(&format!("{AGORA}grants.can_subscribe = false"));
                cases.push(case("publishing that the rule does not allow", &silent, full.clone()));
                cases.push(case("grants that Agora can't enforce", &deaf, full.clone()));
            }
            cases
        }
    }
}

const REGION_INJECTION: &str = "roomName=standup&participantName=Ada&region=evil.example.com%2F";

const AGORA: &str =
    "rooms = [\"*\"]\nclient_may_set = [\"participant_identity\"]\nagora_logins = [\"rtm\", \"chat\"]\n";

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// A policy that allows every request of every dialect.
fn open() -> String {
    format!("{OPEN}agora_logins = [\"rtm\", \"chat\"]\nmax_ttl = \"24h\"\n")
}

/// A policy with one rule for everyone.
fn rule(lines: &str) -> String {
    format!(
        "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n\
         [[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\n{lines}\n"
    )
}

fn down() -> Result<StoredSecret, StoreError> {
    Err(StoreError::Unavailable("canary".into()))
}

/// A request to a service with both providers' keys.
fn case(name: &'static str, policy: &str, sent: Sent) -> Case {
    of_service(name, policy, sent, |config| keys_with(config, &agora_secret()))
}

/// A request to a service that reads its secret from a store.
fn stored(
    name: &'static str,
    policy: &str,
    sent: Sent,
    fetch: fn() -> Result<StoredSecret, StoreError>,
) -> Case {
    of_service(name, policy, sent, move |config| keys_stored_in(config, fetch))
}

fn of_service(name: &'static str, policy: &str, sent: Sent, keys: impl FnOnce(&Config) -> Keys) -> Case {
    let dialects: Vec<_> = TABLE.iter().map(|row| row.dialect.as_str()).collect();
    let config = format!("dialects = {dialects:?}\nsandbox.ids = [{SANDBOX:?}, \"another\"]\n{policy}");
    Case { name, service: service_by(&config, pinned_context, keys), sent }
}
