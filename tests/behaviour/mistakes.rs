//! What a person writes who knows other systems, and the message for it. Each is an error, or a note of `check`.

use std::fmt::Write;

use crate::commands::run;

/// A valid file in which one thing is replaced by a mistake.
const CALLER: &str = "[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"https://login.example.com/\"\naudience = \"calls\"\nalgorithms = [\"RS256\"]\n";

fn rule(lines: &str) -> String {
    let defaults = [
        ("name", "\"members\""),
        ("callers", "[\"app\"]"),
        ("rooms", "[\"{claims.team}:*\"]"),
        ("identity", "\"{sub}\""),
    ];
    let defaults =
        defaults.iter().filter(|(key, _)| !lines.lines().any(|line| line.starts_with(&format!("{key} ="))));
    let defaults = defaults.fold(String::new(), |all, (key, value)| all + key + " = " + value + "\n");
    format!("{CALLER}\n[[rule]]\n{defaults}{lines}\n")
}

fn caller(from: &str, to: &str) -> String {
    assert!(CALLER.contains(from), "{from}");
    rule("").replacen(from, to, 1)
}

/// The lines of a rule.
const RULES: [&str; 68] = [
    // Regular expressions and patterns of other systems in `rooms`.
    "rooms = [\"^class:.*$\"]",
    "rooms = [\".*\"]",
    "rooms = ['class:\\d+']",
    "rooms = [\"class:[a-z]+\"]",
    "rooms = [\"class:.*\"]",
    "rooms = [\"class:**\"]",
    "rooms = [\"class:%\"]",
    "rooms = [\"\"]",
    "rooms = \"class:*\"",
    "rooms = [\"{claims.team}*\"]",
    "rooms = [\"*:{claims.team}\"]",
    "rooms = [\"{random}\"]",
    "rooms = [\"{claims.a[]}:{claims.b[]}\"]",
    "rooms = [\"{claims.a | claims.b}:*\"]",
    // Placeholders of other systems.
    "rooms = [\"{{claims.team}}:*\"]",
    "identity = \"{{sub}}\"",
    "identity = \"{{ .claims.sub }}\"",
    "identity = \"${sub}\"",
    "identity = \"{$sub}\"",
    "identity = \"{user.sub}\"",
    "identity = \"{jwt.claims.oid}\"",
    "identity = \"{token.sub}\"",
    "identity = \"{email}\"",
    "identity = \"{sub}{claims.team}\"",
    "identity = \"{sub\"",
    "identity = \"{claims.name | sub}\"",
    "identity = \"user\"",
    "identity = \"{claims.groups[]}\"",
    "rooms = [\"{app_metadata.class}:*\"]",
    "rooms = [\"{claims.https://example.com/team}:*\"]",
    "rooms = ['{\"https://example.com/team\"}:*']",
    "participant_name = \"{claims.name || 'Guest'}\"",
    "participant_name = \"{claims.name | Guest}\"",
    "participant_name = \"{claims.name | \\\"Guest\\\"}\"",
    "participant_name = \"{claims.name ?? 'Guest'}\"",
    // Conditions.
    "when = { role = \"host\" }",
    "when = { \"user.role\" = \"host\" }",
    "when = { claims.role = \"host\" }",
    "when = { \"claims.roles\" = [\"host\", \"admin\"] }",
    "when = { \"claims.roles\" = { in = [\"host\"] } }",
    "when = { \"claims.roles\" = { contains_any = \"host\" } }",
    "when = { \"claims.roles[]\" = \"host\" }",
    "when = { \"claims.role\" = \"host*\" }",
    "when = { 'claims.https://example.com/role' = \"host\" }",
    "when = \"claims.role == 'host'\"",
    "when = { \"claims.role\" = { equals = \"host\" } }",
    "if = { \"claims.role\" = \"host\" }",
    // Keys and names.
    "callers = [\"ap\"]",
    "callers = \"app\"",
    "room = [\"*\"]",
    "ttl = 600",
    "ttl = \"600\"",
    "ttl = \"7d\"",
    "expires = \"10m\"",
    "permissions = [\"publish\"]",
    "grants = [\"can_publish\"]",
    "grants.canPublish = true",
    "grants.can_pubish = true",
    "grants.room_join = true",
    "grants.can_publish = \"true\"",
    "grants.can_publish_sources = [\"screen\"]",
    "client_may_set = [\"name\"]",
    "client_may_set = [\"participantName\"]",
    "client_may_set = [\"grants.roomAdmin\"]",
    "[rule.grants]\ncan_publish = true\nttl = \"10m\"",
    "[rule.room_config]\nmaxParticipants = 5",
    "egress = [\"recording\"]",
    "agents = [{ agent_name = \"tutor\" }]",
];

/// A part of the caller, and what replaces it.
const CALLERS: [(&str, &str); 14] = [
    ("kind = \"jwt\"", "kind = \"oidc\""),
    ("kind = \"jwt\"", "kind = \"JWT\""),
    ("kind = \"jwt\"", "type = \"jwt\""),
    ("issuer = \"https", "issure = \"https"),
    ("issuer = \"https", "domain = \"https"),
    ("issuer = \"https://", "issuer = \""),
    ("audience = ", "aud = "),
    ("algorithms = [\"RS256\"]", "algorithms = [\"rs256\"]"),
    ("algorithms = [\"RS256\"]", "algorithms = [\"none\"]"),
    ("algorithms = [\"RS256\"]", "algorithms = [\"RS256\", \"HS256\"]"),
    ("algorithms = [\"RS256\"]", "algorithms = \"RS256\""),
    ("algorithms = [\"RS256\"]", "algorithms = [\"RS256\"]\nrequired_claims = { \"claims.org\" = \"x\" }"),
    ("name = \"app\"", "name = \"app"),
    ("name = \"app\"", "name = app"),
];

/// The mistakes, each with the lines that differ from a valid file.
fn mistakes() -> Vec<(String, String)> {
    let whole = [
        rule("").replace("[[rule]]", "[rule]"),
        rule("").replace("[[rule]]", "[[rules]]"),
        rule("").replace("[[caller]]", "[caller]"),
        rule("").replace("[[caller]]", "[[callers]]"),
        format!("{}dialects = [\"standard\"]\n", rule("")),
        format!("dialect = [\"standard\"]\n{}", rule("")),
        format!("dialects = [\"livekit\"]\n{}", rule("")),
        format!("[[deny]]\nreason = \"x\"\n{}", rule("")),
        format!("[[deny]]\nuser = \"mallory\"\n{}", rule("")),
        format!("[cors]\norigin = [\"https://app.example.com\"]\n{}", rule("")),
        format!("[cors]\norigins = [\"https://*.example.com\"]\n{}", rule("")),
    ];
    let rules = RULES.iter().map(|lines| ((*lines).to_owned(), rule(lines)));
    let callers = CALLERS.iter().map(|(from, to)| ((*to).to_owned(), caller(from, to)));
    let whole = whole.into_iter().map(|text| (text.lines().next().unwrap_or_default().to_owned(), text));
    rules.chain(callers).chain(whole).collect()
}

#[test]
fn each_mistake_is_an_error_or_a_note_with_what_would_be_right() {
    let mut all = String::new();
    let mistakes = mistakes();
    assert!(mistakes.len() > 60);
    for (lines, text) in mistakes {
        let (says, errors, code) = run(&["check"], &text);
        let notes: Vec<_> = says.split("\nNote: ").skip(1).map(str::trim_end).collect();
        assert!(code == 1 || !notes.is_empty(), "neither an error nor a note: {lines}\n{says}");
        let message = if code == 1 {
            errors.replace("roompass: ", "")
        } else {
            format!("Note: {}", notes.join("\nNote: "))
        };
        write!(all, "{lines}\n  {}\n\n", message.trim_end().replace('\n', "\n  ")).unwrap();
    }
    insta::with_settings!({ snapshot_path => "mistakes", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("mistakes", all);
    });
}
