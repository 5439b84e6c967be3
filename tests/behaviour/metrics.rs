//! What is counted and measured, in both formats, and what never becomes a label.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use roompass::config::{Config, Environment, Sources};
use roompass::domain::{Context, Project};
use roompass::http::Hosts;
use roompass::keys::{Deployment, Keys};
use roompass::metrics::emf::Emf;
use roompass::metrics::prometheus::Prometheus;
use roompass::metrics::{Failed, Issued, IssuerFetch, Metrics, Outcome, Recorder, Request};
use roompass::reload::Parts;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::issuer::{Issuer, Key, Keys as IssuerKeys};
use crate::log::logged;
use crate::support::{
    self, APP_ID, KEYED, OPEN, agora_secret, keys_stored_in, keys_with, post, request, send, service,
};

const MORNING: u64 = 1_900_000_000;

thread_local! {
    /// The time of this thread's requests.
    static NOW: Cell<u64> = const { Cell::new(MORNING) };
}

/// A service whose metrics are recorded.
struct Measured {
    service: Router,
    keys: Arc<Keys>,
}

impl Measured {
    fn by(
        recorder: Arc<dyn Recorder>,
        config: &str,
        keys: impl Fn(&Config) -> Keys + Send + Sync + 'static,
    ) -> Self {
        let lookup = |name: &str| (name == "ROOMPASS_CONFIG").then(|| config.to_owned());
        let environment = Environment::read(Deployment::Lambda, lookup).unwrap();
        let sources = Sources::read(&environment).unwrap();
        let config = sources.config().unwrap();
        let parts = Parts {
            sources,
            place: String::new(),
            keys: Box::new(move |config| Ok(keys(config))),
            always: None,
            hosts: Hosts::Any,
            mint: support::mint,
            surroundings: || Context { now: NOW.get(), ..roompass::system::context() },
            shown: None,
            metrics: Metrics::recorded_by(recorder),
        };
        let (service, keys) = parts.fixed(config).unwrap();
        Self { service, keys }
    }

    async fn get(&self, path: &str) -> StatusCode {
        send(&self.service, request(Method::GET, path, &[], "")).await.status
    }
}

fn with_agora(config: &Config) -> Keys {
    keys_with(config, &agora_secret())
}

/// A service with counters for Prometheus.
fn counted(config: &str) -> (Measured, Arc<Prometheus>) {
    let prometheus = Arc::new(Prometheus::default());
    (Measured::by(prometheus.clone(), config, with_agora), prometheus)
}

/// A service that writes lines for CloudWatch.
fn written(
    config: &str,
    keys: impl Fn(&Config) -> Keys + Send + Sync + 'static,
) -> (Measured, Arc<Mutex<String>>) {
    let written = Arc::new(Mutex::new(String::new()));
    let kept = written.clone();
    let emf = Emf::new("calls", move |line: &str| kept.lock().unwrap().push_str(line));
    (Measured::by(Arc::new(emf), config, keys), written)
}

/// The samples, without the duration and the version.
fn samples(prometheus: &Prometheus) -> Vec<String> {
    let text = prometheus.text(&[]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !line.contains("duration") && !line.contains("build_info"));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// How many requests have a duration.
fn durations(prometheus: &Prometheus) -> u64 {
    let text = prometheus.text(&[]);
    let count = text.lines().find_map(|line| line.strip_prefix("roompass_request_duration_seconds_count "));
    count.unwrap().parse().unwrap()
}

/// The lines that were written, each after it was checked.
fn lines(written: &Mutex<String>) -> Vec<Value> {
    let text = std::mem::take(&mut *written.lock().unwrap());
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(is_emf).collect()
}

/// Checks a line by AWS' specification of the format, and the limits of CloudWatch.
fn is_emf(line: &str) -> Value {
    assert!(line.len() < 256 * 1024);
    let line: Value = serde_json::from_str(line).unwrap();
    let metadata = line["_aws"].as_object().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
    assert!(metadata["Timestamp"].is_u64());
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        let directive = directive.as_object().unwrap();
        assert_eq!(directive.keys().collect::<Vec<_>>(), ["Dimensions", "Metrics", "Namespace"]);
        assert_eq!(directive["Namespace"], "Roompass");
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty());
        for name in sets.iter().flat_map(|set| set.as_array().unwrap()) {
            let value = line[name.as_str().unwrap()].as_str().unwrap();
            assert!(!value.trim().is_empty() && value.len() <= 1_024, "{value}");
            assert!(value.chars().all(|char| matches!(char, ' '..='~')), "{value}");
        }
        assert!(sets.iter().all(|set| set.as_array().unwrap().len() <= 30));
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!(!metrics.is_empty() && metrics.len() <= 100);
        for metric in metrics {
            let metric = metric.as_object().unwrap();
            assert_eq!(metric.keys().collect::<Vec<_>>(), ["Name", "Unit"]);
            assert!(["Count", "Milliseconds", "Seconds"].contains(&metric["Unit"].as_str().unwrap()));
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{line}");
        }
    }
    line
}

/// What CloudWatch makes of a line: each metric with its unit, its dimensions and its value, without the duration.
fn metrics(line: &Value) -> Vec<String> {
    let mut metrics = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            for set in directive["Dimensions"].as_array().unwrap() {
                let mut text = name.to_owned();
                for dimension in set.as_array().unwrap() {
                    let dimension = dimension.as_str().unwrap();
                    write!(text, " {dimension}={}", line[dimension].as_str().unwrap()).unwrap();
                }
                let value = if name == "Duration" { "any".to_owned() } else { line[name].to_string() };
                write!(text, " {value} {}", metric["Unit"].as_str().unwrap()).unwrap();
                metrics.push(text);
            }
        }
    }
    metrics
}

const TWO_RULES: &str = r#"
dialects = ["standard", "agora"]

[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "agora rooms"
callers = ["anyone"]
rooms = ["a-*"]
client_may_set = ["participant_identity"]

[[rule]]
name = "all"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity"]
agora_logins = ["rtm"]
"#;

#[tokio::test]
async fn tokens_are_counted_by_rule_caller_dialect_and_project() {
    let (measured, prometheus) = counted(TWO_RULES);
    for room in ["a-1", "b", "c"] {
        post(&measured.service, json!({ "room_name": room })).await.issued();
    }
    assert_eq!(measured.get("/agora/rte/a-1/publisher/uid/7/8/").await, 200);
    let token = |rule: &str, dialect: &str, count: u32| {
        format!(
            "roompass_tokens_issued_total{{rule=\"{rule}\",caller=\"anyone\",dialect=\"{dialect}\",project=\"default\"}} {count}"
        )
    };
    let expected = [
        token("agora rooms", "agora", 1),
        token("agora rooms", "standard", 1),
        token("all", "agora", 1),
        token("all", "standard", 2),
    ];
    assert_eq!(samples(&prometheus), expected);
    assert_eq!(durations(&prometheus), 4);
}

#[tokio::test]
async fn each_token_of_a_request_is_in_a_line_of_its_own_if_their_rules_differ() {
    let (measured, written) = written(TWO_RULES, with_agora);
    assert_eq!(measured.get("/agora/rte/a-1/publisher/uid/7/8/").await, 200);
    let of = |rule: &str| {
        ["", " rule=", " caller=anyone", " dialect=agora", " project=default"].map(|dimension| {
            let value = if dimension == " rule=" { rule } else { "" };
            format!("TokensIssued FunctionName=calls{dimension}{value} 1 Count")
        })
    };
    let lines = lines(&written);
    assert_eq!(lines.len(), 2);
    let first = metrics(&lines[0]);
    assert_eq!(first[0], "Duration FunctionName=calls any Milliseconds");
    assert_eq!(first[1..], of("agora rooms"));
    assert_eq!(metrics(&lines[1]), of("all"));
    assert_eq!(lines[0]["_aws"]["Timestamp"], MORNING * 1_000);
    assert!((0.0..60_000.0).contains(&lines[0]["Duration"].as_f64().unwrap()));
    assert!(lines[1].get("Duration").is_none(), "a request has one duration");
}

#[tokio::test]
async fn refusals_are_counted_by_code_and_status_also_those_of_the_server() {
    let config = KEYED.replace("[[rule]]", "[[rule]]\nproject = \"eu\"");
    let (measured, prometheus) = counted(&config);
    let service = &measured.service;
    post(service, json!({})).await.refused(401, "no_credential");
    post(service, json!({})).await.refused(401, "no_credential");
    send(service, request(Method::GET, "/nowhere", &[], "")).await.refused(404, "not_found");
    send(service, request(Method::PUT, "/getToken", &[], "")).await.refused(405, "method_not_allowed");
    let expected = [
        "roompass_refusals_total{code=\"method_not_allowed\",status=\"405\"} 1",
        "roompass_refusals_total{code=\"no_credential\",status=\"401\"} 2",
        "roompass_refusals_total{code=\"not_found\",status=\"404\"} 1",
    ];
    assert_eq!(samples(&prometheus), expected);
    assert_eq!(durations(&prometheus), 4);

    let (measured, written) = written(OPEN, |config| {
        keys_stored_in(config, || Err(roompass::keys::StoreError::Unavailable("down".into())))
    });
    post(&measured.service, json!({"room_name": "r"})).await.refused(503, "keys_unavailable");
    let of = |dimension: &str| format!("Refusals FunctionName=calls{dimension} 1 Count");
    let expected = vec![
        "Duration FunctionName=calls any Milliseconds".to_owned(),
        of(""),
        of(" code=keys_unavailable"),
        of(" status=503"),
    ];
    assert_eq!(lines(&written).iter().map(metrics).collect::<Vec<_>>(), [expected]);
}

#[tokio::test]
async fn a_panic_is_a_refusal_with_status_500() {
    let (measured, prometheus) = counted(OPEN);
    crate::log::listen();
    // Signs outside `support::counted`, which panics.
    let request = request(Method::POST, "/getToken", &[], Body::from("{\"room_name\": \"r\"}"));
    let response = measured.service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(samples(&prometheus), ["roompass_refusals_total{code=\"internal_error\",status=\"500\"} 1"]);
}

#[tokio::test]
async fn other_requests_are_not_recorded() {
    let config = format!("cors.origins = [\"*\"]\n{OPEN}");
    let (measured, prometheus) = counted(&config);
    let (other, written) = written(&config, with_agora);
    for measured in [&measured, &other] {
        for path in ["/healthz", "/"] {
            assert_eq!(measured.get(path).await, 200, "{path}");
        }
        let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
        let preflight = request(Method::OPTIONS, "/getToken", &preflight, "");
        assert_eq!(send(&measured.service, preflight).await.status, 204);
    }
    assert_eq!(durations(&prometheus), 0);
    assert_eq!(samples(&prometheus), [""; 0]);
    assert_eq!(lines(&written), [Value::Null; 0]);
}

#[tokio::test]
async fn a_name_with_any_characters_is_one_escaped_label() {
    let name = "say \"hi\"\\\n{x=\"y\"} 7 Gäste";
    let config = OPEN.replace("name = \"open\"", &format!("name = {}", json!(name)));
    let (measured, prometheus) = counted(&config);
    post(&measured.service, json!({"room_name": "r"})).await.issued();
    let escaped = "say \\\"hi\\\"\\\\\\n{x=\\\"y\\\"} 7 Gäste";
    let expected = format!(
        "roompass_tokens_issued_total{{rule=\"{escaped}\",caller=\"anyone\",dialect=\"standard\",project=\"default\"}} 1"
    );
    assert_eq!(samples(&prometheus), [expected]);

    let (measured, written) = written(&config, with_agora);
    post(&measured.service, json!({"room_name": "r"})).await.issued();
    let [line] = lines(&written).try_into().unwrap();
    assert_eq!(line["rule"], "say \"hi\"\\u{5c}\\u{a}{x=\"y\"} 7 G\\u{e4}ste");
}

#[tokio::test]
async fn no_value_that_a_client_chooses_becomes_a_label() {
    let config = OPEN.replace("[[caller]]", "dialects = [\"standard\", \"agora\"]\n[[caller]]");
    let (measured, prometheus) = counted(&config);
    let (emf, written) = written(&config, with_agora);
    let chosen = |number: u32| format!("canary{number}");
    let requests = async |number: u32| {
        let canary = chosen(number);
        let body = json!({
            "room_name": canary, "participant_identity": canary, "participant_name": canary, "participant_metadata": canary,
            "participant_attributes": { &canary: canary }, canary.clone(): canary,
        });
        let of = |method: Method, path: String, body: String| {
            let headers = [
                ("content-type", "application/json"),
                ("user-agent", &*canary),
                ("x-request-id", &*canary),
                ("x-sandbox-id", &*canary),
                ("host", &*canary),
            ];
            request(method, &path, &headers, body)
        };
        let bearer = [("authorization", &*format!("Bearer {canary}"))];
        for measured in [&measured, &emf] {
            let service = &measured.service;
            send(service, of(Method::POST, "/getToken".into(), body.to_string())).await.issued();
            for (method, path, status) in [
                (Method::GET, format!("/{canary}"), 404),
                (Method::from_bytes(canary.to_uppercase().as_bytes()).unwrap(), "/getToken".into(), 405),
                (
                    Method::GET,
                    format!("/agora/rtc/{canary}/publisher/userAccount/{canary}/?expiry={canary}"),
                    400,
                ),
                (Method::GET, format!("/agora/rtc/{canary}/publisher/userAccount/{canary}/"), 200),
            ] {
                assert_eq!(send(service, of(method, path, String::new())).await.status, status);
            }
            send(service, request(Method::POST, "/getToken", &bearer, ""))
                .await
                .refused(401, "invalid_credential");
        }
    };
    requests(0).await;
    let series = |text: &str| {
        text.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect::<BTreeSet<_>>()
    };
    let first = series(&prometheus.text(&[]));
    let dimensions = |lines: &[Value]| {
        let series = lines.iter().flat_map(metrics);
        series.map(|metric| metric.rsplitn(3, ' ').last().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let of_first = dimensions(&lines(&written));
    for number in 1..50 {
        requests(number).await;
    }
    let text = prometheus.text(&[]);
    assert_eq!(series(&text), first);
    assert!(!text.to_lowercase().contains("canary"), "{text}");
    let all = written.lock().unwrap().clone();
    assert!(!all.to_lowercase().contains("canary"));
    assert_eq!(dimensions(&lines(&written)), of_first);
}

#[tokio::test]
async fn the_age_of_the_signing_keys_is_the_time_since_they_were_read() {
    let secret = json!({
        "LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s".repeat(32),
        "projects": { "eu": { "AGORA_APP_ID": APP_ID, "AGORA_APP_CERTIFICATE": "f".repeat(32) } },
    });
    let is_down = Arc::new(Mutex::new(false));
    let down = is_down.clone();
    let stored = move |config: &Config| {
        let (secret, down) = (secret.to_string(), down.clone());
        keys_stored_in(config, move || {
            if *down.lock().unwrap() {
                return Err(roompass::keys::StoreError::Unavailable("down".into()));
            }
            Ok(secret.as_str().into())
        })
    };
    let (measured, written) = written(OPEN, stored);
    assert_eq!(measured.keys.ages(MORNING), [], "none were read");
    for (second, age) in [(0, 0), (299, 299), (300, 0)] {
        NOW.set(MORNING + second);
        post(&measured.service, json!({"room_name": "r"})).await.issued();
        let [line] = lines(&written).try_into().unwrap();
        let of = |dimension: &str| format!("SigningKeysAge FunctionName=calls{dimension} {age} Seconds");
        assert_eq!(metrics(&line)[1..3], [of(""), of(" project=default")]);
    }
    *is_down.lock().unwrap() = true;
    NOW.set(MORNING + 300 + 7_200);
    post(&measured.service, json!({"room_name": "r"})).await.issued();
    assert_eq!(lines(&written)[0]["SigningKeysAge"], 7_200);
    let named: Vec<_> =
        measured.keys.ages(NOW.get()).into_iter().map(|(project, age)| (project.to_string(), age)).collect();
    assert_eq!(named, [("default".to_owned(), 7_200), ("eu".to_owned(), 7_200)]);

    let text = Prometheus::default().text(&measured.keys.ages(NOW.get()));
    assert!(text.contains("\n# TYPE roompass_signing_keys_age_seconds gauge\n"), "{text}");
    for project in ["default", "eu"] {
        assert!(
            text.contains(&format!("\nroompass_signing_keys_age_seconds{{project=\"{project}\"}} 7200\n")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn keys_that_never_change_have_an_age_only_if_the_time_is_known() {
    let config = Config::parse("", "x.toml").unwrap();
    let keys = with_agora(&config);
    assert_eq!(keys.ages(MORNING), []);
    let ages = keys.read_at(MORNING).ages(MORNING + 60);
    assert_eq!(
        ages.iter().map(|(project, age)| (project.as_str(), *age)).collect::<Vec<_>>(),
        [("default", 60)]
    );
}

#[tokio::test]
async fn fetches_of_an_issuers_keys_are_counted_with_those_that_failed_or_timed_out() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let config = format!(
        "[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"{}\"\naudience = \"calls\"\nalgorithms = [\"ES256\"]\n\
         [[rule]]\nname = \"members\"\ncallers = [\"app\"]\nrooms = [\"*\"]\n",
        issuer.url
    );
    let (measured, prometheus) = counted(&config);
    let (other, written) = written(&config, with_agora);
    let ask = async |measured: &Measured, second: u64| {
        NOW.set(MORNING + second);
        let token = format!("Bearer {}", key.token(&issuer.claims()));
        let headers = [("content-type", "application/json"), ("authorization", &*token)];
        send(&measured.service, request(Method::POST, "/getToken", &headers, "{\"room_name\": \"r\"}"))
            .await
            .status
            .as_u16()
    };
    let counted = |fetches: u32, failures: u32| {
        let samples = samples(&prometheus);
        assert!(
            samples.contains(&format!("roompass_issuer_fetches_total{{caller=\"app\"}} {fetches}")),
            "{samples:?}"
        );
        assert!(
            samples.contains(&format!("roompass_issuer_fetch_failures_total{{caller=\"app\"}} {failures}")),
            "{samples:?}"
        );
    };
    issuer.shows(IssuerKeys::Answer(StatusCode::INTERNAL_SERVER_ERROR, String::new()));
    assert_eq!(ask(&measured, 0).await, 503);
    counted(1, 1);
    issuer.shows(crate::issuer::set(&[&key]));
    assert_eq!(ask(&measured, 60).await, 201);
    counted(2, 1);
    assert_eq!(ask(&measured, 61).await, 201);
    counted(2, 1);
    assert_eq!(ask(&other, 60).await, 201);
    issuer.shows(IssuerKeys::Late(json!({"keys": []})));
    assert_eq!(ask(&measured, 60 + 600).await, 201, "with cached keys");
    counted(3, 2);

    let [fetch, _] = lines(&written).try_into().unwrap();
    let of = |name: &str, value: u32| {
        ["", " caller=app"].map(|dimension| format!("{name} FunctionName=calls{dimension} {value} Count"))
    };
    assert_eq!(metrics(&fetch), [of("IssuerFetches", 1), of("IssuerFetchFailures", 0)].concat());
}

#[test]
fn each_metric_has_a_help_line_and_a_type_line() {
    let prometheus = Prometheus::default();
    let request = |outcome| Request { now: MORNING, duration: Duration::from_micros(700), outcome };
    prometheus.request(&request(Outcome::Refused { code: "denied", status: 403 }));
    let (caller, dialect, project) = ("c", "agora", "default");
    let rules = ["r".to_owned()];
    prometheus.request(&request(Outcome::Issued(Issued {
        rules: &rules,
        caller,
        dialect,
        project,
        keys_age: None,
    })));
    prometheus.issuer_fetch(&IssuerFetch { now: MORNING, caller, result: Err(Failed) });
    let text = prometheus.text(&[(Project::default(), 7)]);
    for (name, kind) in [
        ("roompass_tokens_issued_total", "counter"),
        ("roompass_refusals_total", "counter"),
        ("roompass_request_duration_seconds", "histogram"),
        ("roompass_issuer_fetches_total", "counter"),
        ("roompass_issuer_fetch_failures_total", "counter"),
        ("roompass_build_info", "gauge"),
        ("roompass_signing_keys_age_seconds", "gauge"),
    ] {
        assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
        assert_eq!(text.matches(&format!("# TYPE {name} {kind}\n")).count(), 1, "{name}");
    }
    for bucket in ["0.0005\"} 0", "0.001\"} 2", "3\"} 2", "+Inf\"} 2"] {
        assert!(
            text.contains(&format!("\nroompass_request_duration_seconds_bucket{{le=\"{bucket}\n")),
            "{text}"
        );
    }
    assert!(text.contains(concat!("\nroompass_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n")));
}

#[tokio::test]
async fn the_log_is_the_same_with_metrics_and_without() {
    let volatile = regex::Regex::new(
        "(?m)^[^ ]+ |duration_ms=\\d+|request_id=\"[^\"]+\"|\"[^\"]*[a-z0-9]{20}\"|token_sha256=\"[^\"]+\"",
    )
    .unwrap();
    let (measured, _) = counted(OPEN);
    let (other, _) = written(OPEN, with_agora);
    let plain = service(OPEN);
    let mut logs = Vec::new();
    for service in [&plain, &measured.service, &other.service] {
        let log = logged(async {
            post(service, json!({"room_name": "r"})).await.issued();
            post(service, json!([])).await.refused(400, "invalid_body");
        });
        logs.push(volatile.replace_all(&log.await, "").into_owned());
    }
    assert!(logs[0].contains("token issued") && logs[0].contains("request refused"), "{}", logs[0]);
    assert_eq!(logs[0], logs[1]);
    assert_eq!(logs[0], logs[2]);
}

#[tokio::test]
async fn the_size_of_a_line_is_what_the_document_says() {
    let (measured, written) = written(OPEN, |config| keys_stored_in(config, || Ok(LIVEKIT_SECRET.into())));
    post(&measured.service, json!({"room_name": "r"})).await.issued();
    let size = written.lock().unwrap().len();
    println!("{size} bytes");
    assert!((650..750).contains(&size), "{size}: correct docs/metrics.md");
}

const LIVEKIT_SECRET: &str = r#"{"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "APItest", "LIVEKIT_API_SECRET": "a secret that is long enough to be one"}"#;
