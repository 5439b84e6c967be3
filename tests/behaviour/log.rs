//! What a test's own requests write into the log.
//!
//! There is one log for all tests, and each thread keeps its own lines: with a log of its own for each test, whether an
//! event is written at all would depend on the tests beside it, since `tracing` remembers that for the whole process.

use std::cell::RefCell;
use std::sync::Once;

use roompass::auth::{Caller, Callers};
use roompass::config::Config;
use roompass::http::{Hosts, router_for};
use roompass::log::{Format, Lines};
use serde_json::json;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::support::{keys, mint, post};

thread_local! {
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a future and returns what it logs, at every level and of every library. All of it has to run in this thread.
pub(crate) async fn logged(future: impl Future<Output = ()>) -> String {
    listen();
    KEPT.set(Some(String::new()));
    future.await;
    KEPT.take().unwrap()
}

/// Starts the log. Before the first request, so that no event is met while it starts.
pub(crate) fn listen() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let lines = Lines::new(Format::Text, |line: &str| {
            KEPT.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.push_str(line)));
        });
        registry()
            .with(lines.with_filter(dynamic_filter_fn(|_, _| KEPT.with_borrow(Option::is_some))))
            .init();
    });
}

#[tokio::test]
async fn a_refusals_log_line_has_the_caller_the_room_and_why_each_rule_was_skipped() {
    let config = r#"
        [[caller]]
        name = "app"
        kind = "jwt"
        issuer = "https://login.example.com/"
        audience = "calls"
        algorithms = ["RS256"]

        [[rule]]
        name = "banned"
        callers = ["app"]
        when = { sub = { one_of = ["mallory"] } }
        rooms = []

        [[rule]]
        name = "hosts"
        callers = ["app"]
        when = { "claims.role" = "host" }
        rooms = ["*"]

        [[rule]]
        name = "members"
        callers = ["app"]
        rooms = ["{claims.team}:*"]
    "#;
    let claims = |team: &str| serde_json::from_value(json!({ "team": team, "secret": "canary" })).unwrap();
    for (subject, team, lines) in [
        (
            "ada",
            "red",
            "code=\"room_not_allowed\" cause=\"No rule opens this room to this caller.\" caller=\"app\" subject=\"ada\" skipped=\"banned: condition not met: sub one of [\\\"mallory\\\"]; hosts: condition not met: claims.role = \\\"host\\\"; members: room \\\"blue:x\\\" does not match rooms\" room=\"blue:x\"",
        ),
        (
            "mallory",
            "blue",
            "code=\"room_not_allowed\" cause=\"Rule \\\"banned\\\" opens no room.\" caller=\"app\" subject=\"mallory\" room=\"blue:x\"",
        ),
    ] {
        let caller =
            Caller { subject: Some(subject.into()), claims: claims(team), ..Caller::anonymous("app") };
        let config = Config::parse(config, "test.toml").unwrap();
        let service =
            router_for(Callers::always(caller), Hosts::Any, config, keys(), mint, roompass::system::context);
        let line = logged(async {
            post(&service, json!({"room_name": "blue:x"})).await.refused(403, "room_not_allowed");
        });
        let line = line.await;
        assert!(line.contains(lines), "{line}");
        assert!(!line.contains("canary"));
    }
}

#[tokio::test]
async fn a_claim_that_the_issuer_left_out_is_logged_also_when_a_later_rule_issues_a_token() {
    let config = r#"
        [[caller]]
        name = "app"
        kind = "anonymous"

        [[rule]]
        name = "admins"
        callers = ["app"]
        when = { "claims.groups" = { contains = "admins" } }
        rooms = ["*"]
    "#
    .replace("\"anonymous\"", "\"jwt\"\nissuer = \"https://a\"\naudience = \"a\"\nalgorithms = [\"RS256\"]");
    let members = "[[rule]]\nname = \"members\"\ncallers = [\"app\"]\nrooms = [\"*\"]\n";
    let why = "admins: condition not met: claims.groups contains \\\"admins\\\": the issuer left the claim out of the token (_claim_names)";
    for (rules, field) in [("", "skipped"), (members, "left_out_claims")] {
        let claims = serde_json::from_value(json!({ "_claim_names": { "groups": "src1" } })).unwrap();
        let caller = Caller { subject: Some("ada".into()), claims, ..Caller::anonymous("app") };
        let config = Config::parse(&format!("{config}{rules}"), "test.toml").unwrap();
        let service =
            router_for(Callers::always(caller), Hosts::Any, config, keys(), mint, roompass::system::context);
        let line = logged(async { drop(post(&service, json!({"room_name": "x"})).await) }).await;
        assert!(line.contains(&format!(" {field}=\"{why}\"")), "{line}");
    }
}

#[tokio::test]
async fn a_denied_request_has_its_reason_in_the_log_and_not_in_the_response() {
    let config = r#"
        [[deny]]
        sub = "mallory"
        reason = "abuse report 17"

        [[caller]]
        name = "app"
        kind = "anonymous"

        [[rule]]
        name = "all"
        callers = ["app"]
        rooms = ["*"]
    "#;
    let caller = Caller { subject: Some("mallory".into()), ..Caller::anonymous("app") };
    let config = Config::parse(config, "test.toml").unwrap();
    let service =
        router_for(Callers::always(caller), Hosts::Any, config, keys(), mint, roompass::system::context);
    let line = logged(async {
        let problem = post(&service, json!({"room_name": "x"})).await.refused(403, "denied");
        assert_eq!(problem["detail"], "This request is denied. The log has the cause under this request ID.");
    });
    let line = line.await;
    let expected = "code=\"denied\" cause=\"denied by [[deny]] number 1: abuse report 17\" caller=\"app\" subject=\"mallory\"";
    assert!(line.contains(expected), "{line}");
}
