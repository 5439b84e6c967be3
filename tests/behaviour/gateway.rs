//! Callers that API Gateway authenticates, in whole Lambda events of each authorizer; and forged events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::lambda_events::invoke_on;
use crate::log::logged;
use crate::support::{claims, service};

/// The service behind one authorizer. Its only rule needs values of the authorizer's context.
fn behind(via: &str, rule: &str) -> String {
    format!(
        "[[caller]]\nname = \"app\"\nkind = \"gateway\"\nvia = \"{via}\"\n\
         [[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [\"standup\"]\n{rule}"
    )
}

/// Each authorizer with one of its rules.
fn authorizers() -> [(&'static str, String); 4] {
    let of_tokens = "identity = \"app:{iss}|{sub}\"\nwithin_credential = true\nwhen = { \"claims.cognito:groups\" = { contains = \"admin\" }, \"claims.email_verified\" = \"true\" }";
    let of_function = "identity = \"app:{sub}\"\nwhen = { \"claims.role\" = \"host\" }";
    let of_iam = "identity = \"app:{sub}\"\nwhen = { \"claims.account\" = \"123456789012\" }";
    [("jwt", of_tokens), ("cognito", of_tokens), ("lambda", of_function), ("iam", of_iam)]
        .map(|(via, rule)| (via, behind(via, rule)))
}

async fn invoke(config: &str, event: &Value) -> Value {
    invoke_on(service(config), &event.to_string()).await
}

async fn pass(config: &str, event: &Value) -> Value {
    let answer = invoke(config, event).await;
    assert_eq!(answer["statusCode"], 201, "{answer}");
    claims(body(&answer)["participant_token"].as_str().unwrap())
}

/// Asserts a 401 for an event without a usable credential.
async fn assert_unauthenticated(config: &str, event: &Value, what: &str) {
    let shown = ["headers", "multiValueHeaders"].iter().any(|headers| {
        let headers = event[*headers].as_object();
        headers.is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")))
    });
    let signed = event["headers"].to_string().contains("AWS4-HMAC-SHA256");
    let code = if shown && !signed { "invalid_credential" } else { "no_credential" };
    assert_refused(config, event, code, what).await;
}

/// Asserts a 401 of this code.
async fn assert_refused(config: &str, event: &Value, code: &str, what: &str) {
    let answer = invoke(config, event).await;
    assert_eq!(answer["statusCode"], 401, "{what}: {answer}");
    assert_eq!(body(&answer)["code"], code, "{what}");
    let challenge = if code == "invalid_credential" { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    let headers = &answer["headers"];
    let challenged =
        headers.get("www-authenticate").or_else(|| answer["multiValueHeaders"]["www-authenticate"].get(0));
    assert_eq!(challenged, Some(&json!(challenge)), "{what}");
}

/// The same configuration, and anonymous callers with access to every room.
fn and_anonymous(config: &str) -> String {
    format!(
        "{config}\n[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n\
         [[rule]]\nname = \"guests\"\ncallers = [\"anyone\"]\nrooms = [\"*\"]\n"
    )
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn read(path: &str) -> Value {
    serde_json::from_str(
        &std::fs::read_to_string(format!("{}/{path}.json", env!("CARGO_MANIFEST_DIR"))).unwrap(),
    )
    .unwrap()
}

fn authorized_event(name: &str) -> Value {
    read(&format!("tests/gateway/{name}"))
}

/// Each authorizer's event, and the identity in it.
const AUTHORIZED_EVENTS: [(&str, &str, &str); 7] = [
    ("http-api-jwt", "jwt", COGNITO_USER),
    ("rest-api-cognito", "cognito", COGNITO_USER),
    ("http-api-lambda", "lambda", "app:ada"),
    ("rest-api-lambda", "lambda", "app:ada"),
    ("http-api-iam", "iam", ROLE),
    ("rest-api-iam", "iam", ROLE),
    ("function-url-iam", "iam", ROLE),
];
const COGNITO_TIME: &str = "Tue Oct 02 07:06:40 UTC 2096";
const GROUPS: &str = "cognito:groups";
const COGNITO_USER: &str = "app:https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aBcDeFgHi|b3c4d5e6-1234-4abc-9def-0123456789ab";
const ROLE: &str = "app:arn:aws:sts::123456789012:assumed-role/backend/session";

#[tokio::test]
async fn each_authorizers_context_is_accepted_by_its_own_callers_only() {
    for (event, by, identity) in AUTHORIZED_EVENTS {
        for (via, config) in authorizers() {
            if via == by {
                let pass = pass(&config, &authorized_event(event)).await;
                assert_eq!(
                    (&pass["sub"], &pass["video"]["room"]),
                    (&json!(identity), &json!("standup")),
                    "{event}"
                );
            } else {
                for config in [&config, &and_anonymous(&config)] {
                    let what = format!("{event} via {via}");
                    assert_refused(config, &authorized_event(event), "invalid_credential", &what).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn without_an_authorizer_no_header_body_or_query_identifies_a_caller() {
    let context = authorized_event("http-api-jwt")["requestContext"].to_string();
    let said =
        json!({"sub": "ada", "role": "host", "rooms": ["standup"], "userArn": ROLE, "principalId": "ada"})
            .to_string();
    let pretending = [
        ("requestcontext", context.as_str()),
        ("requestContext", &context),
        ("x-amzn-request-context", &context),
        ("x-amzn-lambda-context", &context),
        ("x-amzn-apigateway-authorizer", &said),
        ("x-amzn-oidc-identity", "ada"),
        ("x-amzn-oidc-data", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."),
        ("x-amz-security-token", "ada"),
        ("authorizer", &said),
        ("x-principal-id", "ada"),
        ("x-forwarded-user", "ada"),
        ("sub", "ada"),
    ];
    for source in ["http-api", "http-api-stage", "rest-api", "function-url", "alb", "alb-multi-value-headers"]
    {
        for (via, config) in authorizers() {
            let plain = read(&format!("events/{source}"));
            assert_unauthenticated(&config, &plain, &format!("{source} via {via}")).await;
            for (name, value) in pretending {
                let mut event = plain.clone();
                if event["headers"].is_object() {
                    event["headers"][name] = json!(value);
                }
                if event["multiValueHeaders"].is_object() {
                    event["multiValueHeaders"][name] = json!([value]);
                }
                assert_unauthenticated(&config, &event, &format!("{source} via {via} with {name}")).await;
            }
            let mut event = plain.clone();
            let mut claims = authorized_event("http-api-jwt");
            claims["room_name"] = json!("standup");
            event["body"] = json!(claims.to_string());
            for place in ["queryStringParameters", "pathParameters", "stageVariables"] {
                event[place] = json!({"requestContext": context, "requestContext.authorizer": said, "authorizer": said, "sub": "ada"});
            }
            event["rawQueryString"] = json!("requestContext[authorizer][jwt][claims][sub]=ada&sub=ada");
            assert_unauthenticated(
                &config,
                &event,
                &format!("{source} via {via} with it in its body and query"),
            )
            .await;
        }
    }
}

/// An event without the client's credentials, so that only the authorizer's context is left.
fn without_credentials(mut event: Value) -> Value {
    for headers in ["headers", "multiValueHeaders"] {
        if let Some(headers) = event[headers].as_object_mut() {
            headers.retain(|name, _| !name.eq_ignore_ascii_case("authorization"));
        }
    }
    event
}

#[tokio::test]
async fn without_a_gateway_caller_an_authorizers_context_is_ignored() {
    for (event, ..) in AUTHORIZED_EVENTS {
        let guest = pass(&and_anonymous(""), &without_credentials(authorized_event(event))).await;
        assert!(guest["sub"].as_str().unwrap().starts_with("user-"), "{event}: {guest}");
    }
}

#[tokio::test]
async fn a_request_on_an_open_route_is_anonymous_with_any_gateway_caller_configured() {
    let empty = |event: &str| match event {
        "rest-api-cognito" => vec![json!({"claims": null, "scopes": null}), json!({"claims": {}})],
        "http-api-jwt" => {
            vec![json!({"jwt": null}), json!({"jwt": {"claims": null}}), json!({"jwt": {"claims": {}}})]
        }
        "http-api-lambda" => vec![json!({"lambda": null}), json!({"lambda": {}})],
        "http-api-iam" | "function-url-iam" => vec![json!({"iam": null})],
        _ => vec![],
    };
    for (event, ..) in AUTHORIZED_EVENTS {
        for authorizer in [vec![json!(null), json!({})], empty(event)].concat() {
            let mut open = without_credentials(authorized_event(event));
            open["requestContext"]["authorizer"] = authorizer.clone();
            if event == "rest-api-iam" {
                for member in ["accessKey", "accountId", "caller", "user", "userArn"] {
                    open["requestContext"]["identity"][member] = json!(null);
                }
            }
            for (via, config) in authorizers() {
                let what = format!("{event} via {via}: {authorizer}");
                assert_refused(&config, &open, "no_credential", &what).await;
                let guest = pass(&and_anonymous(&config), &open).await;
                assert!(guest["sub"].as_str().unwrap().starts_with("user-"), "{what}: {guest}");
            }
        }
    }
    for source in ["http-api", "http-api-stage", "rest-api", "function-url", "alb", "alb-multi-value-headers"]
    {
        for (via, config) in authorizers() {
            let mut event = read(&format!("events/{source}"));
            event["body"] = json!("{}");
            let guest = pass(&and_anonymous(&config), &event).await;
            assert!(guest["sub"].as_str().unwrap().starts_with("user-"), "{source} via {via}: {guest}");
        }
    }
}

#[tokio::test]
async fn an_authorizers_context_that_cannot_be_used_is_refused_and_never_anonymous() {
    let jwt = |claims: Value| json!({"jwt": {"claims": claims, "scopes": null}});
    let exp = |exp: Value| json!({"iss": "i", "sub": "ada", "cognito:groups": "[admin]", "email_verified": "true", "exp": exp});
    let cognito = |exp: Value| json!({"claims": {"iss": "i", "sub": "ada", "cognito:groups": "admin", "email_verified": "true", "exp": exp}});
    let lambda = |exp: Value| json!({"sub": "ada", "role": "host", "exp": exp});
    let no_subject = "context has no subject";
    let no_time = "exp is not a time";
    let mut unusable = vec![
        ("http-api-jwt", "jwt", jwt(json!({"iss": "i", "cognito:groups": "[admin]"})), no_subject),
        ("http-api-jwt", "jwt", jwt(json!({"iss": "i", "sub": "", "cognito:groups": "[admin]"})), no_subject),
        ("rest-api-cognito", "cognito", json!({"claims": "{\"sub\":\"ada\"}"}), "claims are not an object"),
        ("rest-api-cognito", "cognito", json!({"claims": ["ada"]}), "claims are not an object"),
        ("rest-api-cognito", "cognito", json!({"claims": {"sub": ""}}), no_subject),
        ("rest-api-cognito", "cognito", json!({"sub": "ada", "iss": "i"}), "no configured caller accepts"),
        ("http-api-lambda", "lambda", json!({"lambda": {"role": "host"}}), no_subject),
        ("http-api-lambda", "lambda", json!({"lambda": {"sub": null}}), no_subject),
        ("http-api-lambda", "lambda", json!({"lambda": {"sub": ""}}), no_subject),
        ("http-api-lambda", "lambda", json!({"lambda": {"sub": 5}}), no_subject),
        ("rest-api-lambda", "lambda", json!({"principalId": ""}), no_subject),
        ("rest-api-lambda", "lambda", json!({"role": "host", "integrationLatency": 12}), no_subject),
        ("rest-api-lambda", "lambda", json!({"integrationLatency": 12}), no_subject),
        ("rest-api-lambda", "lambda", json!({"lambda": {"sub": "ada", "role": "host"}}), no_subject),
        (
            "rest-api-lambda",
            "lambda",
            json!({"principalId": "ada", "role": "host", "claims": "x"}),
            "no configured caller accepts",
        ),
        ("http-api-iam", "iam", json!({"iam": {"accountId": "123456789012"}}), no_subject),
        ("http-api-iam", "iam", json!({"iam": {"accountId": "123456789012", "userArn": ""}}), no_subject),
        ("http-api-iam", "iam", json!({"iam": {"userArn": null, "userId": "x"}}), no_subject),
    ];
    for time in [
        "tomorrow",
        "",
        " ",
        "-1",
        "+4000000000",
        "4e9",
        "4000000000.0",
        "0x10",
        "[4000000000]",
        "99999999999999999999",
        COGNITO_TIME,
    ] {
        unusable.push(("http-api-jwt", "jwt", jwt(exp(json!(time))), no_time));
        unusable.push(("http-api-lambda", "lambda", json!({"lambda": lambda(json!(time))}), no_time));
        unusable.push(("rest-api-lambda", "lambda", lambda(json!(time)), no_time));
    }
    for time in [json!(-1), json!(true), json!([4_000_000_000_u64]), json!({})] {
        unusable.push(("http-api-lambda", "lambda", json!({"lambda": lambda(time)}), no_time));
    }
    for time in ["tomorrow", "", "4000000000", "Tue Foo 02 07:06:40 UTC 2096", "Tue Oct 02 07:06:40 CET 2096"]
    {
        unusable.push(("rest-api-cognito", "cognito", cognito(json!(time)), no_time));
    }
    unusable.push(("rest-api-cognito", "cognito", cognito(json!(4_000_000_000_u64)), no_time));
    for (event, via, authorizer, cause) in unusable {
        let mut unusable = authorized_event(event);
        unusable["requestContext"]["authorizer"] = authorizer.clone();
        assert_cause(via, &unusable, cause).await;
    }
    for arn in [json!(null), json!("")] {
        let mut unusable = authorized_event("rest-api-iam");
        unusable["requestContext"]["identity"]["userArn"] = arn;
        assert_cause("iam", &unusable, no_subject).await;
    }
    // With time and subject as they should be, the same claims are accepted.
    for (event, via, authorizer) in [
        ("http-api-jwt", "jwt", jwt(exp(json!("4000000000")))),
        ("rest-api-cognito", "cognito", cognito(json!(COGNITO_TIME))),
        ("http-api-lambda", "lambda", json!({"lambda": lambda(json!(4_000_000_000_u64))})),
        ("rest-api-lambda", "lambda", lambda(json!("4000000000"))),
    ] {
        let mut usable = authorized_event(event);
        usable["requestContext"]["authorizer"] = authorizer;
        pass(&config_of(via), &usable).await;
    }
}

fn config_of(via: &str) -> String {
    authorizers().into_iter().find(|(name, _)| *name == via).unwrap().1
}

/// Asserts a 401 and its cause, with anonymous callers and without, and whether the client presents something or not.
async fn assert_cause(via: &str, event: &Value, cause: &str) {
    let config = config_of(via);
    for config in [&config, &and_anonymous(&config)] {
        for event in [event, &without_credentials(event.clone())] {
            let what = event["requestContext"].to_string();
            let log = logged(assert_refused(config, event, "invalid_credential", &what)).await;
            assert!(log.contains(cause), "{what}: {cause} is not in {log}");
        }
    }
}

#[tokio::test]
async fn an_expired_context_of_any_authorizer_is_refused_with_the_leeway_of_tokens() {
    let now = SystemTime::now();
    for (ago, accepted) in [(0, true), (50, true), (70, false), (86_400, false)] {
        let exp = now - Duration::from_secs(ago);
        let seconds = exp.duration_since(UNIX_EPOCH).unwrap().as_secs();
        for (event, via, claims, exp) in [
            ("http-api-jwt", "jwt", JWT_CLAIMS, json!(seconds.to_string())),
            ("rest-api-cognito", "cognito", COGNITO_CLAIMS, json!(cognito_time(exp))),
            ("http-api-lambda", "lambda", HTTP_API_FIELDS, json!(seconds)),
            ("http-api-lambda", "lambda", HTTP_API_FIELDS, json!(seconds.to_string())),
            ("rest-api-lambda", "lambda", REST_API_FIELDS, json!(seconds.to_string())),
        ] {
            let mut event = authorized_event(event);
            event.pointer_mut(claims).unwrap()["exp"] = exp;
            if accepted {
                pass(&config_of(via).replace("within_credential = true", ""), &event).await;
            } else {
                assert_cause(via, &event, "exp is in the past").await;
            }
        }
    }
}

/// Where an authorizer of each kind of event has its claims.
const JWT_CLAIMS: &str = "/requestContext/authorizer/jwt/claims";
const COGNITO_CLAIMS: &str = "/requestContext/authorizer/claims";
const HTTP_API_FIELDS: &str = "/requestContext/authorizer/lambda";
const REST_API_FIELDS: &str = "/requestContext/authorizer";

/// Asserts whether a rule with this condition matches the claim.
async fn assert_holds(event: &str, claims: &str, claim: (&str, Value), condition: &str, holds: bool) {
    let via = AUTHORIZED_EVENTS.iter().find(|(name, ..)| *name == event).unwrap().1;
    let (name, written) = claim;
    let config = behind(via, &format!("when = {{ 'claims.\"{name}\"' = {condition} }}"));
    let mut event = authorized_event(event);
    event.pointer_mut(claims).unwrap()[name] = written.clone();
    let answer = invoke(&config, &event).await;
    let what = format!("{via}: {name} = {written}, {condition}: {answer}");
    assert_eq!(answer["statusCode"], if holds { 201 } else { 403 }, "{what}");
    assert!(holds || body(&answer)["code"] == "no_rule", "{what}");
}

const CONTAINS_ADMIN: &str = "{ contains = \"admin\" }";

#[tokio::test]
async fn an_http_apis_jwt_authorizer_has_lists_of_cognitos_groups_alone_and_everything_else_is_text() {
    for (written, admin) in [
        ("[admin user]", true),
        ("[user admin]", true),
        ("[admin]", true),
        // The single group called ["admin"], and a claim that is this text.
        ("[[\"admin\"]]", false),
        ("[\"admin\"]", false),
        ("[\"admin\",\"user\"]", false),
        ("[[admin]]", false),
        ("[x,admin]", false),
        ("admin", false),
        ("admin,user", false),
        ("[administrator user]", false),
        ("[not,admin user]", false),
        ("[admin user", false),
        ("[]", false),
        ("", false),
    ] {
        assert_holds("http-api-jwt", JWT_CLAIMS, (GROUPS, json!(written)), CONTAINS_ADMIN, admin).await;
    }
    let quoted = "{ contains = '\"admin\"' }";
    assert_holds("http-api-jwt", JWT_CLAIMS, (GROUPS, json!("[\"admin\"]")), quoted, true).await;
    let nested = "{ contains = '[\"admin\"]' }";
    assert_holds("http-api-jwt", JWT_CLAIMS, (GROUPS, json!("[[\"admin\"]]")), nested, true).await;
    for written in
        ["[admin]", "[\"admin\"]", "[\"admin\",\"user\"]", "[not admin]", "[admin user]", "[ admin]", "admin"]
    {
        let claim = ("roles", json!(written));
        assert_holds("http-api-jwt", JWT_CLAIMS, claim.clone(), CONTAINS_ADMIN, false).await;
        assert_holds("http-api-jwt", JWT_CLAIMS, claim, &format!("'{written}'"), true).await;
    }
    for (written, condition) in [("3", "3"), ("true", "true")] {
        assert_holds("http-api-jwt", JWT_CLAIMS, ("level", json!(written)), condition, false).await;
    }
}

#[tokio::test]
async fn a_rest_apis_cognito_authorizer_has_a_list_of_one_group_and_everything_else_is_text() {
    for (written, admin) in [
        ("admin", true),
        // A group called "x,admin", or two groups.
        ("x,admin", false),
        ("admin,user", false),
        ("admin,", false),
        ("[admin user]", false),
        ("[admin]", false),
        ("[\"admin\"]", false),
        ("[\"admin\",\"user\"]", false),
        ("admin user", false),
        ("administrator", false),
        ("", false),
    ] {
        assert_holds("rest-api-cognito", COGNITO_CLAIMS, (GROUPS, json!(written)), CONTAINS_ADMIN, admin)
            .await;
    }
    let both = ("cognito:groups", json!("x,admin"));
    assert_holds("rest-api-cognito", COGNITO_CLAIMS, both.clone(), "\"x,admin\"", true).await;
    assert_holds("rest-api-cognito", COGNITO_CLAIMS, both, "{ contains = \"x,admin\" }", false).await;
    for written in ["admin", "admin,user", "[admin]", "[\"admin\"]"] {
        let claim = ("nickname", json!(written));
        assert_holds("rest-api-cognito", COGNITO_CLAIMS, claim.clone(), CONTAINS_ADMIN, false).await;
        assert_holds("rest-api-cognito", COGNITO_CLAIMS, claim, &format!("'{written}'"), true).await;
    }
}

#[tokio::test]
async fn a_lambda_authorizers_values_keep_the_types_that_the_event_has() {
    for (event, fields) in [("http-api-lambda", HTTP_API_FIELDS), ("rest-api-lambda", REST_API_FIELDS)] {
        for name in ["roles", GROUPS] {
            for written in
                ["admin", "[admin]", "[admin user]", "[\"admin\"]", "[\"admin\",\"user\"]", "admin,user"]
            {
                let claim = (name, json!(written));
                assert_holds(event, fields, claim.clone(), CONTAINS_ADMIN, false).await;
                assert_holds(event, fields, claim, &format!("'{written}'"), true).await;
            }
        }
        assert_holds(event, fields, ("level", json!("2")), "2", false).await;
        assert_holds(event, fields, ("level", json!("2")), "\"2\"", true).await;
        assert_holds(event, fields, ("paid", json!("true")), "true", false).await;
    }
    let event = "http-api-lambda";
    assert_holds(event, HTTP_API_FIELDS, ("roles", json!(["admin", "user"])), CONTAINS_ADMIN, true).await;
    assert_holds(event, HTTP_API_FIELDS, ("roles", json!([["admin"]])), CONTAINS_ADMIN, false).await;
    assert_holds(event, HTTP_API_FIELDS, ("level", json!(2)), "2", true).await;
    assert_holds(event, HTTP_API_FIELDS, ("level", json!(2)), "\"2\"", false).await;
    assert_holds(event, HTTP_API_FIELDS, ("paid", json!(true)), "true", true).await;
}

#[tokio::test]
async fn a_subject_in_brackets_is_the_text_that_it_is() {
    let config = behind("jwt", "identity = \"{sub}\"");
    for subject in ["[ada]", "[\"ada\"]", "[ada eve]"] {
        let mut event = authorized_event("http-api-jwt");
        event.pointer_mut(JWT_CLAIMS).unwrap()["sub"] = json!(subject);
        assert_eq!(pass(&config, &event).await["sub"], subject);
    }
}

#[tokio::test]
async fn a_token_ends_no_later_than_the_token_that_the_gateway_verified() {
    let soon = SystemTime::now() + Duration::from_secs(100);
    let seconds = soon.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let date = cognito_time(soon);
    let [(_, jwt), (_, cognito), (_, lambda), _] = authorizers();
    let lambda = lambda + "\nwithin_credential = true";
    for (config, event, claims, exp) in [
        (&jwt, "http-api-jwt", JWT_CLAIMS, json!(seconds.to_string())),
        (&cognito, "rest-api-cognito", COGNITO_CLAIMS, json!(date)),
        (&lambda, "http-api-lambda", HTTP_API_FIELDS, json!(seconds)),
        (&lambda, "http-api-lambda", HTTP_API_FIELDS, json!(seconds.to_string())),
        (&lambda, "rest-api-lambda", REST_API_FIELDS, json!(seconds.to_string())),
    ] {
        let mut event = authorized_event(event);
        event.pointer_mut(claims).unwrap()["exp"] = exp.clone();
        let ends = pass(config, &event).await["exp"].as_u64().unwrap();
        assert!((seconds - 10..=seconds + 1).contains(&ends), "{exp}: {ends}");
    }
}

/// A time as a Cognito authorizer writes it.
fn cognito_time(time: SystemTime) -> String {
    let iso = humantime::format_rfc3339_seconds(time).to_string();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[iso[5..7].parse::<usize>().unwrap() - 1];
    format!("Mon {month} {} {} UTC {}", &iso[8..10], &iso[11..19], &iso[..4])
}

#[tokio::test]
async fn every_gateway_event_has_its_test() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(AUTHORIZED_EVENTS.iter().any(|(event, ..)| *event == name), "{name}");
    }
}
