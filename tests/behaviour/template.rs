//! The templates: the routes in front of the function, and the checks of its parameters.

use axum::Router;
use axum::http::Method;
use regex::Regex;
use roompass::dialect::TABLE;

use crate::support::{OPEN, request, send, service};

const TEMPLATE: &str = include_str!("../../template.yaml");
const HTTP_API: &str = include_str!("../../deploy/http-api.yaml");

/// The lines below a key, which are deeper than it.
fn block<'a>(text: &'a str, key: &str) -> &'a str {
    let start = text.find(&format!("\n{key}:")).unwrap_or_else(|| panic!("{key} is in the template")) + 1;
    let indent = key.len() - key.trim_start().len();
    let rest = &text[start..];
    let deeper = |line: &str| line.trim().is_empty() || line.len() - line.trim_start().len() > indent;
    let size: usize = rest
        .split_inclusive('\n')
        .enumerate()
        .take_while(|(at, line)| *at == 0 || deeper(line))
        .map(|(_, line)| line.len())
        .sum();
    &rest[..size]
}

/// The value that stands behind a key, on its line.
fn value<'a>(block: &'a str, key: &str) -> Option<&'a str> {
    block.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "))
}

/// The routes of a deployment that has `JwtIssuer`, each with whether it has the authorizer.
fn gateways_routes() -> Vec<(&'static str, &'static str, bool)> {
    let resources = block(HTTP_API, "Resources");
    let keys = resources.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = keys.filter_map(|line| line.strip_suffix(':'));
    let written = names
        .map(|name| block(resources, name))
        .filter(|block| value(block, "Type") == Some("AWS::ApiGatewayV2::Route"));
    let routes = written.map(|block| {
        let key = value(block, "RouteKey").unwrap();
        // Without an issuer, only the $default route exists.
        assert_eq!(value(block, "Condition"), (key != "$default").then_some("HasJwtIssuer"), "{block}");
        let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
        let guarded =
            value(block, "AuthorizationType") == Some("JWT") && value(block, "AuthorizerId").is_some();
        (method, path, guarded)
    });
    routes.collect()
}

/// The route that the gateway takes: a full match before a greedy one, and that before `$default`; a method before `ANY`.
fn taken(
    routes: &[(&'static str, &'static str, bool)],
    method: &Method,
    path: &str,
) -> (&'static str, &'static str, bool) {
    let rank = |route: &&(&str, &str, bool)| {
        let by_path = match route.1 {
            "/{proxy+}" => usize::from(path.len() > 1) * 2,
            "$default" => 1,
            exact => usize::from(exact == path) * 3,
        };
        let by_method = if route.0 == method.as_str() { 2 } else { usize::from(route.0 == "ANY") };
        if by_path == 0 || by_method == 0 { (0, 0) } else { (by_path, by_method) }
    };
    let best = routes.iter().max_by_key(rank).unwrap();
    assert!(rank(&best) > (0, 0), "no route is for {method} {path}");
    *best
}

/// Each dialect's routes that issue tokens, with something in place of their parameters.
fn token_routes() -> Vec<String> {
    let filled = |path: &str| {
        path.split('/')
            .map(|part| if part.starts_with('{') { "7" } else { part })
            .collect::<Vec<_>>()
            .join("/")
    };
    TABLE.iter().flat_map(|row| row.routes).map(|route| filled(route.path)).collect()
}

#[test]
fn where_a_jwt_issuer_is_set_every_spelling_of_every_token_route_is_behind_the_authorizer() {
    let gateway = gateways_routes();
    assert!(gateway.contains(&("ANY", "/{proxy+}", true)), "{gateway:?}");
    for path in token_routes() {
        let upper = path.to_uppercase();
        let encoded = path.replacen("/a", "/%61", 1).replacen("/g", "/%67", 1);
        for spelling in [
            path.clone(),
            format!("/$default{path}"),
            format!("/prod{path}"),
            format!("/calls{path}"),
            format!("/{path}"),
            format!("{path}/"),
            format!("{path};a"),
            format!("/.{path}"),
            format!("/x/..{path}"),
            upper,
            encoded,
        ] {
            for method in [
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
                Method::TRACE,
            ] {
                let (_, route, guarded) = taken(&gateway, &method, &spelling);
                assert!(guarded, "{method} {spelling} goes to {route}");
            }
        }
    }
}

#[tokio::test]
async fn no_open_route_of_the_gateway_issues_a_token() {
    let open = everything();
    let gateway = gateways_routes();
    let mut unguarded: Vec<_> =
        gateway.iter().filter(|route| !route.2).map(|route| (route.0, route.1)).collect();
    unguarded.sort_unstable();
    assert_eq!(
        unguarded,
        [("ANY", "$default"), ("GET", "/agora/ping"), ("GET", "/healthz"), ("OPTIONS", "/{proxy+}")]
    );
    let of_options = token_routes().into_iter().map(|path| (Method::OPTIONS, path));
    let others = [
        (Method::GET, "/healthz", 200),
        (Method::GET, "/agora/ping", 200),
        (Method::GET, "/", 200),
        (Method::POST, "/", 404),
        (Method::POST, "/?room_name=standup", 404),
    ];
    for (method, path) in
        of_options.chain(others.iter().map(|(method, path, _)| (method.clone(), (*path).to_owned())))
    {
        assert!(!taken(&gateway, &method, path.split('?').next().unwrap()).2, "{method} {path} is open");
        for preflight in [false, true] {
            let mut headers = vec![("content-type", "application/json")];
            if preflight {
                headers.extend([
                    ("origin", "https://app.example.com"),
                    ("access-control-request-method", "POST"),
                ]);
            }
            let answer =
                send(&open, request(method.clone(), &path, &headers, "{\"room_name\":\"standup\"}")).await;
            assert_eq!(answer.minted, 0, "{method} {path}");
            if let Some((.., status)) = others.iter().find(|(of, other, _)| *of == method && *other == path) {
                assert_eq!(answer.status.as_u16(), *status, "{method} {path}");
            }
        }
    }
}

/// Whether `CloudFormation` accepts a parameter's value: the pattern must match all of it.
fn accepts(parameter: &str, given: &str) -> bool {
    let parameter = block(block(TEMPLATE, "Parameters"), &format!("  {parameter}"));
    let pattern = value(parameter, "AllowedPattern").unwrap();
    assert!(value(parameter, "ConstraintDescription").is_some_and(|text| text.starts_with("must be")));
    Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(given)
}

#[test]
fn the_secrets_arn_is_whole_and_of_one_secret_or_empty() {
    for arn in [
        "",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-AbCd12",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/room_pass+=.@-x-AbCd12",
        "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:roompass-AbCd12",
        "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a-000000",
    ] {
        assert!(accepts("SecretArn", arn) && accepts("PolicySecretArn", arn), "{arn}");
    }
    for arn in [
        " ",
        "*",
        "roompass",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-??????",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass*-AbCd12",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:-AbCd12",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:",
        "arn:aws:secretsmanager:*:123456789012:secret:roompass-AbCd12",
        "arn:aws:secretsmanager:eu-central-1:*:secret:roompass-AbCd12",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-AbCd12 ",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:${aws:username}-AbCd12",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-AbCd12\n",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ] {
        assert!(!accepts("SecretArn", arn) && !accepts("PolicySecretArn", arn), "{arn:?}");
    }
}

#[test]
fn the_arn_of_a_kms_key_is_of_one_key_or_empty() {
    for arn in [
        "",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ] {
        assert!(accepts("SecretKeyArn", arn) && accepts("PolicyKeyArn", arn), "{arn}");
    }
    for arn in [
        "*",
        " ",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/roompass",
        "arn:aws:kms:eu-central-1:123456789012:alias/roompass",
        "arn:aws:kms:eu-central-1:123456789012:key/*",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-*",
        "arn:aws:kms:eu-central-1:123456789012:key/????????-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:*:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:*:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/",
        "arn:aws:kms:eu-central-1:123456789012:*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-AbCd12",
    ] {
        assert!(!accepts("SecretKeyArn", arn) && !accepts("PolicyKeyArn", arn), "{arn:?}");
    }
}

#[test]
fn the_parameters_name_is_whole_and_of_one_parameter_or_empty() {
    for name in ["", "/roompass", "/roompass/keys", "/Prod_1/room.pass-2"] {
        assert!(accepts("ParameterName", name) && accepts("PolicyParameterName", name), "{name}");
    }
    for name in [
        "roompass",
        "/",
        "//roompass",
        "/roompass/",
        "/roompass/*",
        "/roompass?",
        "/roompass:3",
        "/roompass:current",
        "/room pass",
        "/roompass\n",
        "/${aws:username}",
        "arn:aws:ssm:eu-central-1:123456789012:parameter/roompass",
    ] {
        assert!(!accepts("ParameterName", name) && !accepts("PolicyParameterName", name), "{name:?}");
    }
}

#[test]
fn the_function_may_read_the_keys_and_the_policy_and_decrypt_each_through_its_store_alone() {
    let policies = block(block(TEMPLATE, "Resources"), "  ReadPolicy");
    assert!(
        TEMPLATE.contains("      Policies:\n        - !Ref ReadPolicy\n\n"),
        "the function has no other policy"
    );
    let statements: Vec<_> = policies.split("Sid: ").skip(1).collect();
    let parameter = |name: &str| {
        format!("!Sub arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter${{{name}}}")
    };
    let (of_keys, of_policy) = (parameter("ParameterName"), parameter("PolicyParameterName"));
    let via = |store: &str| Some(format!("!Sub {store}.${{AWS::Region}}.${{AWS::URLSuffix}}"));
    let expected = [
        ("HasSecret", "secretsmanager:GetSecretValue", "!Ref SecretArn", None),
        ("HasParameter", "ssm:GetParameter", &*of_keys, None),
        ("HasPolicySecret", "secretsmanager:GetSecretValue", "!Ref PolicySecretArn", None),
        ("HasPolicyParameter", "ssm:GetParameter", &*of_policy, None),
        ("HasSecretKey", "kms:Decrypt", "!Ref SecretKeyArn", via("secretsmanager")),
        ("HasParameterKey", "kms:Decrypt", "!Ref SecretKeyArn", via("ssm")),
        ("HasPolicySecretKey", "kms:Decrypt", "!Ref PolicyKeyArn", via("secretsmanager")),
        ("HasPolicyParameterKey", "kms:Decrypt", "!Ref PolicyKeyArn", via("ssm")),
    ];
    assert_eq!(statements.len(), expected.len());
    let conditions = policies.split("- !If").skip(1).map(|rest| rest.trim_start().lines().next().unwrap());
    for ((statement, condition), (only_if, action, resource, via)) in
        statements.iter().zip(conditions).zip(expected)
    {
        assert_eq!(condition, format!("- {only_if}"));
        assert_eq!(value(statement, "Effect"), Some("Allow"));
        assert_eq!(value(statement, "Action"), Some(action));
        assert_eq!(value(statement, "Resource"), Some(resource));
        assert_eq!(value(statement, "kms:ViaService"), via.as_deref());
        assert_eq!(
            statement.contains("Condition:\n") && statement.contains("StringEquals:\n"),
            via.is_some(),
            "{statement}"
        );
    }
}

#[test]
fn the_description_of_the_policy_has_every_parameter_that_the_function_has() {
    let resources = block(TEMPLATE, "Resources");
    let description = block(block(resources, "  ReadPolicy"), "      Description");
    let parameters = block(TEMPLATE, "Parameters").lines();
    let names = parameters
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':').filter(|name| !name.starts_with(' ')));
    let function = block(resources, "  TokenFunction");
    let conditions = block(TEMPLATE, "Conditions");
    // These don't belong to a version of the function, but to the function or to a deployment of it.
    let of_every_version = ["ReservedConcurrency", "DeploymentType", "RollbackOnAlarm"];
    let mut settings = 0;
    for name in names.filter(|name| !of_every_version.contains(name)) {
        let by_condition = conditions.lines().filter(|line| has_word(line, name)).any(|line| {
            let condition = line.trim().split(':').next().unwrap();
            has_word(function, condition)
        });
        if has_word(function, name) || by_condition {
            assert!(has_word(description, name), "{name} is in the description");
            settings += 1;
        }
    }
    assert_eq!(settings, 9, "the secrets, parameters, origins, architecture, memory, tracing and metrics");
}

/// Whether a text has a word, and not only as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let ends = |char: Option<char>| !char.is_some_and(char::is_alphanumeric);
    text.match_indices(word)
        .any(|(at, _)| ends(text[..at].chars().next_back()) && ends(text[at + word.len()..].chars().next()))
}

#[test]
fn no_secret_is_in_the_configuration_of_a_deployed_function() {
    let variables = block(block(TEMPLATE, "Resources"), "        Variables");
    let names = variables.lines().filter_map(|line| line.strip_prefix("          ")?.split_once(':'));
    let names: Vec<_> =
        names.map(|(name, _)| name).filter(|name| !name.starts_with([' ', '-', '#'])).collect();
    assert_eq!(
        names,
        [
            "ROOMPASS_SECRET_ID",
            "ROOMPASS_PARAMETER",
            "ROOMPASS_POLICY",
            "ROOMPASS_CORS_ORIGINS",
            "ROOMPASS_METRICS",
            "SSL_CERT_FILE"
        ]
    );
}

#[test]
fn logs_outlive_the_stack() {
    let rest_api = include_str!("../../deploy/rest-api.yaml");
    for (template, group) in [
        (TEMPLATE, "  FunctionLogs"),
        (HTTP_API, "  AccessLogs"),
        (rest_api, "  AccessLogs"),
        (rest_api, "  FirewallLogs"),
    ] {
        let group = block(block(template, "Resources"), group);
        assert_eq!(value(group, "Type"), Some("AWS::Logs::LogGroup"));
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(value(group, policy), Some("Retain"), "{policy} of {group}");
        }
    }
}

/// Every dialect, open to anyone.
fn everything() -> Router {
    let dialects = TABLE.iter().map(|row| row.dialect.as_str()).collect::<Vec<_>>();
    let cors = "[cors]\norigins = [\"https://app.example.com\"]\n";
    service(&format!("dialects = {dialects:?}\nsandbox.ids = [\"s\"]\n{cors}{OPEN}"))
}
