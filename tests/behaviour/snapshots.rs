//! Every response of every dialect, whole, in `snapshots/`: a file for each route, with its successes and refusals.
//!
//! After an intended change, write the files with `INSTA_UPDATE=always cargo test --test behaviour snapshots`, and review
//! the difference.

mod cases;

use std::collections::BTreeSet;
use std::fmt::Write;

use roompass::dialect::{Route, Row, TABLE};
use roompass::http::PROBLEM_KINDS;
use roompass::inspect::{self, AgoraService, AgoraToken, Inspected, Name};
use serde_json::{Map, Value, json};

use crate::support::{Answer, request, send};
use cases::{Case, Sent};

#[tokio::test]
async fn every_response_of_every_dialect_is_as_its_snapshot() {
    let mut names = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for row in &TABLE {
        for route in row.routes {
            let name = snapshot_name(row, route);
            assert_snapshot(&name, &responses(cases::of(row, route), &mut codes).await);
            names.insert(name);
        }
    }
    let name = "without-tokens";
    assert_snapshot(name, &responses(cases::without_tokens(), &mut codes).await);
    names.insert(name.to_owned());
    assert_eq!(names, files(), "each file in snapshots/ belongs to a route");

    let missing: Vec<_> =
        PROBLEM_KINDS.iter().map(|kind| kind.code).filter(|code| !codes.contains(*code)).collect();
    assert_eq!(missing, NOT_FROM_A_ROUTE, "each error code is in a snapshot");
}

/// What needs a connection that closes early, an event that is no request, a policy that is read at run time, or a server on
/// a laptop.
const NOT_FROM_A_ROUTE: [&str; 5] =
    ["broken_body", "invalid_event", "body_timeout", "wrong_host", "policy_unavailable"];

fn assert_snapshot(name: &str, text: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Paths that differ only in a slash at the end have the same responses, as have both of the standard's paths. A path's
/// second method is in the name.
fn snapshot_name(row: &Row, route: &Route) -> String {
    let path = cases::canonical(route.path).trim_start_matches('/');
    let path = path.strip_prefix("agora/").unwrap_or(path).replace('/', "-").replace(['{', '}'], "");
    let is_second = row
        .routes
        .iter()
        .find(|other| other.path == route.path)
        .is_some_and(|first| first.method != route.method);
    let method = if is_second { format!("-{}", route.method.as_str().to_lowercase()) } else { String::new() };
    format!("{}--{path}{method}", row.dialect.as_str())
}

fn files() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/behaviour/snapshots");
    let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let snapshots = paths.filter(|path| path.extension().is_some_and(|extension| extension == "snap"));
    snapshots.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

async fn responses(cases: Vec<Case>, codes: &mut BTreeSet<String>) -> String {
    let mut text = String::new();
    for Case { name, service, sent } in cases {
        let headers: Vec<_> = sent.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer =
            send(&service, request(sent.method.clone(), &sent.path, &headers, sent.body.clone())).await;
        codes.insert(answer.header("x-error-code").to_owned());
        write!(text, "# {name}\n\n{}\n\n{}\n\n", written_request(&sent), written(&answer)).unwrap();
    }
    text
}

fn written_request(sent: &Sent) -> String {
    let mut text = format!("{} {}", sent.method, sent.shown_path);
    for (name, value) in &sent.headers {
        write!(text, "\n{name}: {value}").unwrap();
    }
    match sent.body.len() {
        0 => text,
        1..2_000 => text + "\n\n" + &sent.body,
        size => format!("{text}\n\n({size} bytes)"),
    }
}

fn written(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    let mut headers: Vec<_> = answer.headers.iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
    }
    let body = String::from_utf8(answer.body.clone()).unwrap();
    let body = match serde_json::from_str(&body) {
        Ok(value) => format!("{:#}", with_tokens_read(value)),
        Err(_) => inspect::read(&body).map_or(body, |token| format!("{:#}", read(token))),
    };
    format!("{text}(tokens signed: {})\n\n{body}", answer.minted)
}

/// A body, with what each token holds in place of the token.
fn with_tokens_read(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, with_tokens_read(value))).collect())
        }
        Value::String(text) => inspect::read(&text).map_or(Value::String(text), read),
        other => other,
    }
}

fn read(token: Inspected) -> Value {
    match token {
        Inspected::Jwt(jwt) => json!({ "claims": jwt.claims }),
        Inspected::Agora(AgoraToken { version, app_id, issued, ends, salt, services }) => json!({
            "version": version, "app_id": app_id, "issued": issued, "ends": ends, "salt": salt,
            "services": services.iter().map(read_service).collect::<Vec<_>>(),
        }),
    }
}

fn read_service(service: &AgoraService) -> Value {
    let name = |name: &Option<Name>| match name {
        None => Value::Null,
        Some(Name::Known(name)) => json!(name),
        Some(Name::Checksum(sum)) => json!(format!("CRC-32 {sum:08x}")),
    };
    let privileges = service.privileges.iter().map(|privilege| {
        let name = service.privilege_name(privilege.number).unwrap();
        (name.to_owned(), json!(privilege.ends))
    });
    json!({
        "service": service.name(), "channel": name(&service.channel), "user": name(&service.user),
        "privileges": privileges.collect::<Map<_, _>>(),
    })
}
