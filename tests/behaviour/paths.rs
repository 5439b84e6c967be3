//! One path for each route, in whole Lambda events. A gateway in front decides by the path that it sees, so no other
//! spelling of it may reach the route here.

use axum::Router;
use serde_json::{Value, json};

use crate::lambda_events::{event, invoke_on};
use crate::support::{claims, service};

/// Each event source, and how many domains and stages make a difference to its events.
const SOURCES: [(&str, usize, usize); 5] = [
    ("http-api", DOMAINS.len(), STAGES.len()),
    ("function-url", DOMAINS.len(), STAGES.len()),
    ("rest-api", 3, STAGES.len()),
    ("alb", 1, 1),
    ("alb-multi-value-headers", 1, 1),
];
const STAGES: [&str; 5] = ["$default", "prod", "api", "getToken", ""];
const DOMAINS: [Option<&str>; 6] = [
    Some("abcdef1234.execute-api.eu-central-1.amazonaws.com"),
    Some("abcdef1234.execute-api.cn-north-1.amazonaws.com.cn"),
    Some("calls.example.com"),
    Some("abcdef1234.execute-api.eu-central-1.example.com"),
    Some("abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws"),
    None,
];
/// Where API Gateway puts a named stage in front of the path.
const OWN_DOMAINS: usize = 2;

/// Spellings of a route: with prefixes, encoded, with slashes, dots, another case, parameters.
fn spellings() -> Vec<String> {
    let prefixes = [
        "/$default",
        "/%24default",
        "/prod",
        "/PROD",
        "/api",
        "/getToken",
        "/prod/prod",
        "/prod/api",
        "/prod/",
        "/$default/prod",
        "/x",
    ];
    let below = prefixes
        .iter()
        .flat_map(|prefix| ["/getToken", "/api/token", "/", ""].map(|route| format!("{prefix}{route}")));
    let spelled = [
        "/getToken",
        "/api/token",
        "//getToken",
        "/getToken/",
        "/getToken//",
        "/GETTOKEN",
        "/gettoken",
        "/./getToken",
        "/x/../getToken",
        "/../getToken",
        "/getToken/.",
        "/getToken;a",
        "/;a/getToken",
        "/getToken%20",
        "/getToken ",
        "/%67etToken",
        "/getToke%6e",
        "/%2FgetToken",
        "/getToken%2F",
        "/getToken%00",
        "/getToken#",
        "/getToken?",
        "/getToken?a=b",
        "/getToken\\",
        "\\getToken",
        "/api//token",
        "/api%2Ftoken",
        "/api/./token",
        "getToken",
        "/",
        "",
        "/token",
    ];
    below.chain(spelled.map(str::to_owned)).collect()
}

/// The path that the gateway decides by: without the stage, where it has put one there.
fn seen_by_the_gateway<'a>(path: &'a str, prefix: Option<&str>) -> &'a str {
    let below = prefix.and_then(|prefix| path.strip_prefix(prefix));
    below.filter(|below| below.starts_with('/') || below.is_empty()).unwrap_or(path)
}

const ALONE: &str = r#"
[[caller]]
name = "app"
kind = "gateway"
via = "lambda"
[[rule]]
name = "members"
callers = ["app"]
rooms = ["*"]
identity = "member:{sub}"
client_may_set = ["participant_name"]
"#;
const WITH_ANONYMOUS: &str = r#"
[[caller]]
name = "anyone"
kind = "anonymous"
[[rule]]
name = "guests"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_name"]
"#;

/// Behind an authorizer: without anonymous callers, and with them.
fn services() -> [(Router, bool); 2] {
    [(service(ALONE), false), (service(&format!("{ALONE}{WITH_ANONYMOUS}")), true)]
}

/// Asserts that the exact path gives a token to the callers it's for, and that any other gives none to any caller.
async fn assert_served_at_the_exact_path_alone(
    services: &[(Router, bool)],
    event: &Value,
    exact: bool,
    what: &str,
) {
    for (service, with_anonymous) in services {
        for with_context in [true, false] {
            let mut event = event.clone();
            if with_context {
                let is_http_api = event["version"] == "2.0";
                let word = json!({"sub": "ada"});
                event["requestContext"]["authorizer"] =
                    if is_http_api { json!({"lambda": word}) } else { word };
            }
            // A load balancer has no authorizer.
            let known = with_context && event["requestContext"]["elb"].is_null();
            let answer = invoke_on(service.clone(), &event.to_string()).await;
            let what = format!("{what}, anonymous {with_anonymous}, context {with_context}: {answer}");
            let status = match (exact, known || *with_anonymous) {
                (false, _) => 404,
                (true, true) => 201,
                (true, false) => 401,
            };
            assert_eq!(answer["statusCode"], status, "{what}");
            if status == 201 {
                let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                let subject = claims(body["participant_token"].as_str().unwrap())["sub"].clone();
                assert_eq!(subject == "member:ada", known, "{what}");
            }
        }
    }
}

/// The event as it is with this path, stage and domain. Only an HTTP API and a Function URL have a stage in their paths.
fn at(source: &str, path: &str, stage: &str, domain: Option<&str>) -> Value {
    let mut event: Value = serde_json::from_str(&event(source)).unwrap();
    event["body"] = json!("{}");
    event["isBase64Encoded"] = json!(false);
    if event["version"] == "2.0" {
        event["rawPath"] = json!(path);
        event["requestContext"]["http"]["path"] = json!(path);
    } else {
        event["path"] = json!(path);
    }
    if event["requestContext"]["elb"].is_null() {
        event["requestContext"]["stage"] = json!(stage);
        event["requestContext"]["domainName"] = json!(domain);
    }
    event
}

#[tokio::test]
async fn behind_every_event_source_a_route_is_served_at_its_exact_path_alone() {
    let services = services();
    for (source, domains, stages) in SOURCES {
        let is_http_api = at(source, "/", "", None)["version"] == "2.0";
        for (number, domain) in DOMAINS[..domains].iter().enumerate() {
            for stage in &STAGES[..stages] {
                let has_stage = is_http_api && number < OWN_DOMAINS && !["$default", ""].contains(stage);
                let prefix = has_stage.then(|| format!("/{stage}"));
                for path in spellings() {
                    let seen = seen_by_the_gateway(&path, prefix.as_deref());
                    // Without a slash in front, the path of no client: it's read as if it had one.
                    let exact = ["/getToken", "/api/token", "getToken"].contains(&seen);
                    let event = at(source, &path, stage, *domain);
                    let what = format!("{source}, {domain:?}, stage {stage:?}, {path:?}");
                    assert_served_at_the_exact_path_alone(&services, &event, exact, &what).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_named_stage_is_removed_once_and_only_on_the_apis_own_domain() {
    let services = services();
    let own = DOMAINS[0];
    let custom = Some("calls.example.com");
    for (stage, domain, path, exact) in [
        ("$default", own, "/getToken", true),
        ("$default", own, "/$default/getToken", false),
        ("prod", own, "/prod/getToken", true),
        ("prod", own, "/prod/prod/getToken", false),
        ("prod", own, "/production/getToken", false),
        ("api", own, "/api/api/token", true),
        ("api", own, "/api/token", false),
        ("getToken", own, "/getToken/getToken", true),
        ("getToken", own, "/getToken", false),
        ("api", custom, "/api/token", true),
        ("api", custom, "/api/api/token", false),
        ("getToken", custom, "/getToken", true),
        ("getToken", custom, "/getToken/getToken", false),
        ("prod", custom, "/prod/getToken", false),
        ("prod", None, "/prod/getToken", false),
        ("prod", Some("execute-api.eu-central-1.amazonaws.com"), "/prod/getToken", false),
        ("prod", Some("a.b.execute-api.eu-central-1.amazonaws.com"), "/prod/getToken", false),
        ("prod", Some("a.execute-api.eu-central-1.amazonaws.com.example.com"), "/prod/getToken", false),
        ("prod", Some("a.execute-api.eu-central-1.amazonaws.com.cn.cn"), "/prod/getToken", false),
        ("prod", Some("A.EXECUTE-API.EU-CENTRAL-1.AMAZONAWS.COM"), "/prod/getToken", true),
    ] {
        let event = at("http-api", path, stage, domain);
        assert_served_at_the_exact_path_alone(
            &services,
            &event,
            exact,
            &format!("{domain:?}, stage {stage}, {path}"),
        )
        .await;
    }
}
