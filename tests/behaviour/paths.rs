//! One path for each route, in whole Lambda events. A gateway in front decides by the path that it sees, so no other
//! spelling of it may reach the route here.

use axum::Router;
use axum::http::Method;
use roompass::config::Dialect;
use roompass::dialect::TABLE;
use serde_json::{Value, json};

use crate::lambda_events::{event, invoke_on};
use crate::support::{
    OPEN, SANDBOX, agora_secret, claims, keys_with, pinned_context, request, send, service, service_by,
};

/// Each event source, and how many domains and stages make a difference to its events.
const SOURCES: [(&str, usize, usize); 6] = [
    ("http-api", DOMAINS.len(), STAGES.len()),
    (HTTP_API_1_0, DOMAINS.len(), STAGES.len()),
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
/// An HTTP API whose integration has the payload format 1.0.
const HTTP_API_1_0: &str = "http-api-1.0";
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
    let file = if source == HTTP_API_1_0 { "rest-api" } else { source };
    let mut event: Value = serde_json::from_str(&event(file)).unwrap();
    if source == HTTP_API_1_0 {
        event["version"] = json!("1.0");
        event["requestContext"]["path"] = json!(path);
    }
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
        let is_http_api = !at(source, "/", "", None)["version"].is_null();
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
        ("prod", Some("a.execute-api.eu-central-1.api.aws"), "/prod/getToken", true),
        ("prod", Some("a.execute-api.eu-central-1.api.aws.example.com"), "/prod/getToken", false),
        ("prod", Some("a.execute-api.cn-north-1.api.amazonwebservices.com.cn"), "/prod/getToken", true),
        ("prod", Some("a.execute-api.eusc-de-east-1.amazonaws.eu"), "/prod/getToken", true),
    ] {
        for source in ["http-api", HTTP_API_1_0] {
            let event = at(source, path, stage, domain);
            let what = format!("{source}, {domain:?}, stage {stage}, {path}");
            assert_served_at_the_exact_path_alone(&services, &event, exact, &what).await;
        }
    }
}

/// Stages that are called like the beginning of a route, and others.
const STAGES_LIKE_ROUTES: [&str; 11] = [
    "$default",
    "prod",
    "api",
    "token",
    "agora",
    "rtc",
    "getToken",
    "createToken",
    "quickstart",
    "openvidu",
    "healthz",
];

/// Event sources with the domains that make a difference, and whether a named stage is in the path.
const FRONTS: [(&str, &[&str], bool); 7] = [
    (
        "http-api",
        &[
            "abcdef1234.execute-api.eu-central-1.amazonaws.com",
            "abcdef1234.execute-api.eu-central-1.api.aws",
            "abcdef1234.execute-api.cn-north-1.amazonaws.com.cn",
        ],
        true,
    ),
    (HTTP_API_1_0, &["abcdef1234.execute-api.eu-central-1.amazonaws.com"], true),
    ("http-api", &["calls.example.com"], false),
    (HTTP_API_1_0, &["calls.example.com"], false),
    (
        "rest-api",
        &[
            "abcdef1234.execute-api.eu-central-1.amazonaws.com",
            "abcdef1234-vpce-0123456789abcdef0.execute-api.eu-central-1.amazonaws.com",
            "vpce-0123456789abcdef0-a1b2c3d4.execute-api.eu-central-1.vpce.amazonaws.com",
            "calls.example.com",
        ],
        false,
    ),
    ("function-url", &["abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws"], false),
    ("alb", &["calls.example.com"], false),
];

/// A request to each route of each dialect that succeeds, with the response.
async fn routes(service: &Router) -> Vec<(Method, String, String)> {
    let mut routes = Vec::new();
    for (row, route) in TABLE.iter().flat_map(|row| row.routes.iter().map(move |route| (row, route))) {
        let values = [("{channel}", "standup"), ("{role}", "publisher"), ("{tokenType}", "uid")];
        let values = values.into_iter().chain([("{uid}", "7"), ("{rtmuid}", "8")]);
        let path = values.fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value));
        let headers = [("content-type", "application/json"), ("x-sandbox-id", SANDBOX)];
        let query = QUERY.map(|(name, _, encoded)| format!("{name}={encoded}")).join("&");
        let has_query =
            route.method == Method::GET && matches!(row.dialect, Dialect::Meet | Dialect::UseToken);
        let path = if has_query { format!("{path}?{query}") } else { path };
        let answer = send(service, request(route.method.clone(), &path, &headers, BODY)).await;
        assert!(answer.minted > 0, "{path}: {}", String::from_utf8_lossy(&answer.body));
        routes.push((route.method.clone(), path, String::from_utf8(answer.body).unwrap()));
    }
    routes
}

/// The query for the routes that read one: names, values and encoded values.
const QUERY: [(&str, &str, &str); 4] = [
    ("roomName", "standup", "standup"),
    ("participantName", "Ada & Bob", "Ada+%26%20Bob"),
    ("identity", "ada", "ada"),
    ("metadata", r#"{"a":"1+1=2%20"}"#, "%7B%22a%22%3A%221%2B1%3D2%2520%22%7D"),
];

/// The body for every route of every dialect.
const BODY: &str = r#"{"roomName": "standup", "participantName": "Ada", "tokenType": "rtc", "channel": "standup", "uid": "ada"}"#;

#[tokio::test]
async fn the_route_that_the_client_named_answers_for_every_stage_source_and_dialect() {
    let dialects: Vec<_> = TABLE.iter().map(|row| row.dialect.as_str()).collect();
    for (base_path, gateway) in [("", ""), ("/api", ""), ("", GATEWAY)] {
        let config = format!(
            "dialects = {dialects:?}\nsandbox.ids = [{SANDBOX:?}]\nhttp.base_path = {base_path:?}\n{gateway}{OPEN}\
             agora_logins = [\"rtm\", \"chat\"]\n"
        );
        let plain = config.replace("http.base_path = \"/api\"\n", "");
        let [service, plain] = [&config, &plain]
            .map(|config| service_by(config, pinned_context, |config| keys_with(config, &agora_secret())));
        let routes = routes(&plain).await;
        for (source, domains, has_stage) in FRONTS {
            for domain in domains {
                for stage in STAGES_LIKE_ROUTES {
                    for (method, route, body) in &routes {
                        let prefix = if has_stage && stage != "$default" {
                            format!("/{stage}")
                        } else {
                            String::new()
                        };
                        let path = format!("{prefix}{base_path}{route}");
                        let event = with_method(at(source, &path, stage, Some(domain)), method);
                        let answer = invoke_on(service.clone(), &event.to_string()).await;
                        let what = format!("{source}, {domain}, stage {stage}, {method} {path}: {answer}");
                        assert_eq!(answer["body"], json!(body), "{what}");
                    }
                }
            }
        }
    }
}

const GATEWAY: &str = "[[caller]]\nname = \"edge\"\nkind = \"gateway\"\nvia = \"lambda\"\n";

#[tokio::test]
async fn a_prefix_that_is_not_configured_is_not_found_in_any_dialect() {
    let dialects: Vec<_> = TABLE.iter().map(|row| row.dialect.as_str()).collect();
    let service = service(&format!("dialects = {dialects:?}\nsandbox.ids = [{SANDBOX:?}]\n{OPEN}"));
    for source in ["http-api", HTTP_API_1_0, "rest-api", "alb"] {
        for stage in STAGES_LIKE_ROUTES {
            for path in ["/calls/getToken", "/api/getToken", "/getToken/api/token", "/calls/token"] {
                let event = at(source, path, stage, Some("calls.example.com"));
                let answer = invoke_on(service.clone(), &event.to_string()).await;
                assert_eq!(answer["statusCode"], 404, "{source}, stage {stage}, {path}: {answer}");
            }
        }
    }
}

/// The event with this method, with a body for every dialect, and with the query of its path as the source sends it: REST
/// APIs decode the values, load balancers don't.
fn with_method(mut event: Value, method: &Method) -> Value {
    let path = if event["version"] == "2.0" { "rawPath" } else { "path" };
    let whole = event[path].as_str().unwrap().to_owned();
    if let Some((before, raw)) = whole.split_once('?') {
        event[path] = json!(before);
        if event["version"] == "2.0" {
            event["rawQueryString"] = json!(raw);
        }
        let is_load_balancer = !event["requestContext"]["elb"].is_null();
        let value = |plain, encoded| json!(if is_load_balancer { encoded } else { plain });
        let single = QUERY.map(|(name, plain, encoded)| (name.to_owned(), value(plain, encoded)));
        let several = single.clone().map(|(name, value)| (name, json!([value])));
        let (single, several) =
            (Value::Object(single.into_iter().collect()), Value::Object(several.into_iter().collect()));
        let has_several = event.get("multiValueHeaders").is_some();
        if has_several {
            event["multiValueQueryStringParameters"] = several;
        }
        if !has_several || event.get("headers").is_some() {
            event["queryStringParameters"] = single;
        }
    }
    event["body"] = json!(BODY);
    if event["version"] == "2.0" {
        event["requestContext"]["http"]["method"] = json!(method.as_str());
    } else {
        event["httpMethod"] = json!(method.as_str());
    }
    for headers in ["headers", "multiValueHeaders"] {
        if let Some(headers) = event[headers].as_object_mut() {
            let is_list = headers.values().any(Value::is_array);
            let id = if is_list { json!([SANDBOX]) } else { json!(SANDBOX) };
            headers.insert("x-sandbox-id".into(), id);
        }
    }
    event
}
