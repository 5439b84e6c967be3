//! `roompass check`, `explain` and `api-key`: the commands to use before a deployment.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::serve::{Serving, roompass};
use crate::support::unverified_claims;

const POLICY: &str = r#"
[[caller]]
name = "app"
kind = "jwt"
issuer = "https://login.example.com/"
audience = "calls"
algorithms = ["ES256"]

[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "hosts"
callers = ["app"]
when = { "claims.role" = "host" }
rooms = ["{claims.team}:*"]
default_room = "{claims.team}:{random}"
identity = "app:{sub}"
grants = { room_admin = true }

[[rule]]
name = "guests"
callers = ["anyone"]
rooms = ["lobby"]
default_room = "lobby"
ttl = "2m"
grants = { can_publish = false }
"#;

/// A file of a test's own. Tests may write the same one at the same time, so it is never half written.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let unfinished = path.with_added_extension(number().to_string());
    fs::write(&unfinished, text).unwrap();
    fs::rename(unfinished, &path).unwrap();
    path
}

/// A different number for each call.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn ada(file_name: &str, role: &str) -> String {
    let claims = json!({"iss": "https://login.example.com/", "sub": "ada", "team": "red", "role": role});
    file(file_name, &claims.to_string()).to_str().unwrap().to_owned()
}

/// What a command prints, and the code it ends with.
pub(crate) fn run(arguments: &[&str], config: &str) -> (String, String, i32) {
    let output = roompass(arguments, &[("ROOMPASS_CONFIG", config)]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn check_sums_up_who_may_get_what() {
    let (table, mistakes, code) = run(&["check"], POLICY);
    assert_eq!((code, mistakes.as_str()), (0, ""));
    insta::assert_snapshot!(table, @r#"
    CALLER  CREDENTIAL
    app     a token of https://login.example.com/ with calls in aud (ES256)
    anyone  none: every unauthenticated request

    RULE hosts
      callers  app when claims.role = "host"
      rooms    {claims.team}:* (default {claims.team}:{random})
      identity app:{sub}
      grants   can_publish, can_subscribe, can_publish_data, room_admin
      lifetime 10m

    RULE guests
      callers  anyone
      rooms    lobby (default lobby)
      identity user-{random}
      grants   can_publish = false, can_subscribe
      lifetime 2m
    "#);
}

#[test]
fn check_names_the_authorizer_of_a_gateway_caller() {
    for (via, name) in [("jwt", "JWT"), ("lambda", "Lambda"), ("iam", "IAM"), ("cognito", "Cognito")] {
        let config = POLICY.replace("kind = \"anonymous\"", &format!("kind = \"gateway\"\nvia = \"{via}\""));
        let (says, _, code) = run(&["check"], &config);
        assert_eq!(code, 0);
        assert!(says.contains(&format!("anyone  the gateway's {name} authorizer\n")), "{says}");
    }
}

#[test]
fn check_shows_all_that_a_rule_lets_a_client_do_within_the_width_of_a_screen() {
    let everything = r#"
[[rule]]
name = "everything"
callers = ["app"]
rooms = ["*"]
participant_name = "{claims.name}"
participant_metadata = "from {iss}"
participant_attributes = { team = "{claims.team}", plan = "free" }
client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes", "room_config"]
agents = ["notetaker", { name = "support", deployments = ["blue", "green"], client_may_set = ["metadata"], max = 2 }]
egress = ["tracks", { kind = "room", client_may_set = ["file_outputs", "layout"] }]
agora_logins = ["rtm", "chat"]
max_ttl = "1h"
within_credential = true
[rule.grants]
can_update_own_metadata = true
room_admin = true
room_list = true
room_record = true
hidden = true
"#;
    let (says, _, code) = run(&["check"], &(POLICY.to_owned() + everything));
    assert_eq!(code, 0);
    assert!(says.lines().all(|line| line.chars().count() <= 110), "{says}");
    let rule = says.split_once("RULE everything\n").unwrap().1;
    insta::assert_snapshot!(rule.split_once("\n\n").unwrap().0, @r#"
      callers  app
      rooms    *
      identity user-{random}
      shows    name = {claims.name}, metadata = from {iss}, attribute plan = free, attribute team = {claims.team}
      grants   can_publish, can_subscribe, can_publish_data, can_update_own_metadata, room_admin, room_list,
               room_record, hidden
      may set  participant_identity, participant_name, participant_metadata, participant_attributes, room_config
      agents   notetaker (max 1), support (deployments blue, green; may set metadata; max 2)
      egress   tracks, room (may set file_outputs, layout)
      logins   rtm, chat
      lifetime 10m, at most 1h on request, and no longer than the caller's credential
    "#);
}

#[test]
fn check_prints_mistakes_and_fails() {
    let bad = file("mistaken.toml", "[[caller]]\nname = \"a\"\nkind = \"anonymus\"\n");
    let (table, mistakes, code) = run(&["check", bad.to_str().unwrap()], POLICY);
    assert_eq!((code, table.as_str()), (1, ""));
    assert!(
        mistakes.contains("mistaken.toml:3:8: unknown variant `anonymus`, expected one of `anonymous`"),
        "{mistakes}"
    );
    assert_eq!(mistakes.lines().count(), 1);
    let (_, mistakes, code) = run(&["check", "no/such/file.toml"], POLICY);
    assert_eq!(code, 1);
    assert!(mistakes.starts_with("roompass: cannot read no/such/file.toml: "), "{mistakes}");
}

#[test]
fn check_against_claims_prints_who_gets_what_and_what_changes() {
    let folder = std::env::temp_dir().join(format!("roompass-claims-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, claims) in [
        (
            "ada.json",
            r#"{"iss": "https://login.example.com/", "sub": "ada", "roles": ["teacher"], "classes": ["math"], "name": "Ada"}"#,
        ),
        (
            "bob.json",
            r#"{"iss": "https://login.example.com/", "sub": "bob", "roles": ["student"], "classes": ["math"]}"#,
        ),
        ("eve.json", r#"{"iss": "https://other.example/", "sub": "eve"}"#),
        ("web.backend.json", r#"{"sub": "web"}"#),
        ("notes.txt", "not claims"),
    ] {
        std::fs::write(folder.join(name), claims).unwrap();
    }
    let tutoring = include_str!("../policies/tutoring.toml");
    let against = ["check", "--against", folder.to_str().unwrap()];
    let with_rooms = [&against[..], &["--rooms", "class:math:1,class:art:1"]].concat();
    let (says, errors, code) = run(&with_rooms, tutoring);
    assert_eq!((code, errors.as_str()), (0, ""));
    insta::assert_snapshot!(says, @r"
    CLAIMS       ROOM          RESULT
    ada          class:math:1  teachers: class:math:1 as teacher:ada for 10m, room_admin = true
    ada          class:art:1   refused: room_not_allowed
    bob          class:math:1  students: class:math:1 as student:bob for 10m, can_publish_sources = camera, microphone
    bob          class:art:1   refused: room_not_allowed
    eve          class:math:1  iss does not match exactly one [[caller]]
    eve          class:art:1   iss does not match exactly one [[caller]]
    web.backend  class:math:1  backend: class:math:1 as user-77777777777777777777 for 10m
    web.backend  class:art:1   backend: class:art:1 as user-77777777777777777777 for 10m
    ");
    let (says, _, code) = run(&against, tutoring);
    assert_eq!(code, 0);
    assert!(
        says.contains(
            "\nada          (none)  teachers: class:math:lesson as teacher:ada for 10m, room_admin = true\n"
        ),
        "{says}"
    );

    let old = file("old-tutoring.toml", &tutoring.replace("room_admin = true", "room_record = true"));
    let diff = [&with_rooms[..], &["--diff", old.to_str().unwrap()]].concat();
    let (says, errors, code) = run(&diff, tutoring);
    assert_eq!((code, errors.as_str()), (3, ""));
    insta::assert_snapshot!(says, @r"
    CLAIMS  ROOM          WHAT                OLD    NEW
    ada     class:math:1  grants.room_admin   false  true
    ada     class:math:1  grants.room_record  true   false
    ");
    for (from, to, what) in [
        ("'Student'", "'Pupil'", "name"),
        ("role = \"student\"", "role = \"pupil\"", "attributes"),
        ("max_participants = 40", "max_participants = 50", "room_config"),
        ("max_ttl = \"1h\"", "max_ttl = \"2h\"", "max_ttl"),
        (", \"ttl\"]", "]", "client_may_set"),
        ("agents = [{ name = \"tutor\", client", "agents = [{ name = \"tutors\", client", "agents"),
        ("rooms = [\"class:*\"]", "rooms = [\"class:history:*\"]", "result"),
    ] {
        assert!(tutoring.contains(from), "{from}");
        let old = file(&format!("old-{}.toml", number()), &tutoring.replace(from, to));
        let (says, errors, code) =
            run(&[&with_rooms[..], &["--diff", old.to_str().unwrap()]].concat(), tutoring);
        assert_eq!(code, 3, "{from} {says}{errors}");
        assert!(
            says.lines().skip(1).all(|line| line.split_whitespace().nth(2) == Some(what)),
            "{what}\n{says}"
        );
    }
    let same = file("same-tutoring.toml", tutoring);
    let (says, _, code) = run(&[&with_rooms[..], &["--diff", same.to_str().unwrap()]].concat(), tutoring);
    assert_eq!((says.as_str(), code), ("Nothing changes for these claims and rooms.\n", 0));

    for (arguments, error) in [
        (vec!["check", "--against", "no/such"], "cannot read no/such: "),
        (
            vec!["check", "--against", concat!(env!("CARGO_MANIFEST_DIR"), "/src")],
            "src has no file that ends in .json",
        ),
        ([&against[..], &["--rooms", "a,"]].concat(), "invalid room \"\": room_name must not be empty"),
        ([&against[..], &["--diff", "no/such.toml"]].concat(), "cannot read no/such.toml: "),
    ] {
        let (says, errors, code) = run(&arguments, tutoring);
        assert_eq!((says.as_str(), code), ("", 1), "{arguments:?}");
        assert!(errors.contains(error), "{errors}");
    }
    assert_eq!(run(&["check", "--rooms", "a"], tutoring).2, 2, "--rooms needs --against");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What `test` prints for these tests of the tutoring policy, and the exit code.
fn tested(tests: &str) -> (String, String, i32) {
    let tests = file(&format!("tests-{}.toml", number()), tests);
    run(&["test", tests.to_str().unwrap()], include_str!("../policies/tutoring.toml"))
}

#[test]
fn tests_of_a_policy_pass_or_say_what_is_different() {
    let document = include_str!("../../docs/policy-tests.md");
    let shown = document.split("    [[expect]]").skip(1).map(|entry| {
        let lines = entry.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        format!("[[expect]]{}\n", lines.collect::<Vec<_>>().join("\n"))
    });
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown.len(), 2);
    assert_eq!(tested(&shown.concat()), ("tests passed: 2\n".to_owned(), String::new(), 0));
    let bob = "caller = 'app'\nclaims = { sub = 'bob', roles = ['student'], classes = ['math'] }\n";
    let in_math = format!("[[expect]]\n{bob}request = {{ room_name = 'class:math:1' }}\n");
    for (test, difference) in [
        (
            format!("{in_math}rule = 'teachers'"),
            "FAILED number 1: expected rule \"teachers\", found \"students\"",
        ),
        (
            format!("{in_math}refused = 'no_rule'"),
            "FAILED number 1: expected a refusal with \"no_rule\", found a token by rule \"students\"",
        ),
        (
            format!("{in_math}name = 'art'\nrefused = 'no_rule'").replace("class:math:1", "class:art:1"),
            "FAILED art: expected a refusal with \"no_rule\", found a refusal with \"room_not_allowed\": No rule opens this room to this caller.",
        ),
        (
            format!("{in_math}rule = 'students'").replace("class:math:1", "class:art:1"),
            "FAILED number 1: expected a token by rule \"students\", found a refusal with \"room_not_allowed\": No rule opens this room to this caller.",
        ),
        (
            format!("{in_math}rule = 'students'\nidentity = 'bob'"),
            "FAILED number 1: expected identity \"bob\", found \"student:bob\"",
        ),
        (
            format!("{in_math}rule = 'students'\nroom = 'class:math:2'"),
            "FAILED number 1: expected room \"class:math:2\", found \"class:math:1\"",
        ),
        (
            format!("{in_math}rule = 'students'").replace("'class:math:1'", "5"),
            "FAILED number 1: expected a token by rule \"students\", found a refusal with \"invalid_field\": The field room_name must be a string.",
        ),
        (
            format!("{in_math}rule = 'students'\nparticipant_name = 'Bob'"),
            "FAILED number 1: expected participant_name \"Bob\", found \"Student\"",
        ),
        (
            format!("{in_math}rule = 'students'\nparticipant_metadata = 'x'"),
            "FAILED number 1: expected participant_metadata \"x\", found none",
        ),
        (
            format!("{in_math}rule = 'students'\nparticipant_attributes = {{ role = 'teacher' }}"),
            "FAILED number 1: expected participant_attributes \"{\\\"role\\\":\\\"teacher\\\"}\", found \"{\\\"role\\\":\\\"student\\\"}\"",
        ),
        (
            format!("{in_math}rule = 'students'\nttl = '5m'"),
            "FAILED number 1: expected ttl \"5m\", found \"10m\"",
        ),
        (
            format!("{in_math}rule = 'students'\ngrants = {{ room_admin = true }}"),
            "FAILED number 1: expected grant room_admin = true, found false",
        ),
        (
            format!("{in_math}rule = 'students'\ngrants = {{ roomAdmin = false }}"),
            "FAILED number 1: expected grant roomAdmin = false, found no such grant",
        ),
    ] {
        assert_eq!(
            tested(&test),
            (format!("{difference}\ntests failed: 1 of 1\n"), String::new(), 3),
            "{test}"
        );
    }
}

#[test]
fn a_test_that_cannot_be_run_is_one_clear_line() {
    for (test, error) in [
        ("[[expect]]\nrules = 'x'", ":2: unknown field `rules`, expected one of"),
        ("[[expects]]\nrule = 'x'", ":1: unknown field `expects`, expected `expect`"),
        (
            "[[expect]]\ncaller = 'app'",
            "test number 1 needs rule or refused: what the policy is expected to decide",
        ),
        (
            "[[expect]]\ncaller = 'app'\nrule = 'x'\nrefused = 'y'",
            "test number 1 must not have both rule and refused",
        ),
        (
            "[[expect]]\ncaller = 'app'\nrefused = 'y'\nroom = 'z'",
            "test number 1 must not have refused together with what a token has",
        ),
        ("[[expect]]\nname = 'a'\ncaller = 'ap'\nrule = 'x'", "test a: no [[caller]] is named \"ap\""),
        (
            "[[expect]]\ncaller = 'app'\npath = '/x'\nrule = 'x'",
            "test number 1: not found: \"/x\" is not a route",
        ),
        ("expect = []", ":1: expect has no entries: write [[expect]]"),
        ("expect = 5", ":1: invalid type: integer `5`"),
    ] {
        let (says, errors, code) = tested(test);
        assert_eq!((says.as_str(), code, errors.lines().count()), ("", 1, 1), "{test}: {errors}");
        assert!(errors.contains(error), "{test}: {errors}");
    }
    let (_, errors, code) = run(&["test", "no/such.toml"], POLICY);
    assert_eq!(code, 1);
    assert!(errors.starts_with("roompass: cannot read no/such.toml: "), "{errors}");
}

#[test]
fn the_configuration_is_from_the_option_or_the_variable_or_the_folder() {
    let rule = |name: &str| POLICY.replace("name = \"hosts\"", &format!("name = \"{name}\""));
    let option = file("option.toml", &rule("by-option"));
    let folder = std::env::temp_dir().join(format!("roompass-folder-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("roompass.toml"), rule("by-folder")).unwrap();
    let variable = rule("by-variable");
    let says = |arguments: &[&str], variables: &[(&str, &str)], folder: &std::path::Path| {
        let output = roompass(arguments, variables).current_dir(folder).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let option = ["--config", option.to_str().unwrap()];
    let by_variable = [("ROOMPASS_CONFIG", variable.as_str())];
    let claims = ada("folder.json", "host");
    for command in [vec!["check"], vec!["explain", "--caller", &claims]] {
        let with_option = [&command[..], &option].concat();
        assert!(says(&with_option, &by_variable, &folder).contains("by-option"), "{command:?}");
        assert!(says(&command, &by_variable, &folder).contains("by-variable"), "{command:?}");
        assert!(says(&command, &[], &folder).contains("by-folder"), "{command:?}");
    }
    assert!(
        says(&[&["check", "x.toml"][..], &option].concat(), &[], &folder).contains("cannot be used with")
    );
    std::fs::write(folder.join("roompass.toml"), "x = 1").unwrap();
    assert!(
        says(&["--listen", "127.0.0.1:0"], &[], &folder).contains("roompass.toml:1:1: unknown field `x`")
    );
    std::fs::remove_dir_all(&folder).unwrap();
    let compiled_in = says(&["check"], &[], &std::env::temp_dir());
    assert!(compiled_in.starts_with("Valid. In Lambda every request is refused"), "{compiled_in}");
}

#[test]
fn check_lists_who_is_denied() {
    let deny =
        "[[deny]]\nsub = ['mallory', 'eve']\nuntil = '2026-12-31T00:00:00Z'\nreason = 'abuse report 17'\n";
    let (says, _, code) = run(&["check"], &format!("{deny}{POLICY}"));
    assert_eq!(code, 0, "{says}");
    assert!(
        says.contains("\nDENY sub mallory, eve, until 2026-12-31T00:00:00Z (abuse report 17)\n"),
        "{says}"
    );
    let (says, _, code) = run(
        &["explain", "--caller", &ada("denied.json", "host")],
        &format!("[[deny]]\nsub = 'ada'\n{POLICY}"),
    );
    assert_eq!(code, 3);
    assert!(says.contains("code         denied\n"), "{says}");
}

#[test]
fn check_notes_grants_that_clients_may_add() {
    let (says, _, _) = run(
        &["check"],
        &POLICY.replace("rooms = [", "client_may_set = [\"grants\", \"grants.room_admin\"]\nrooms = ["),
    );
    assert!(says.contains("ask for more than the rule gives: grants.room_admin"), "{says}");
}

#[test]
fn check_prints_notes() {
    let rule = "[[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\nrooms = [\"*\"]\nclient_may_set = [\"participant_identity\"]\ngrants.room_create = true\n";
    let (notes, _, code) = run(&["check"], &format!("{POLICY}{rule}"));
    assert_eq!(code, 0);
    assert!(notes.contains(
        "Note: rule \"r\" lets clients of anyone choose their identity, including that of another person\n"
    ));
    assert!(notes.contains("Note: rule \"r\" grants room_create, which also allows deleting any room\n"));
}

#[test]
fn check_notes_who_may_be_another_with_a_single_caller_too_unless_it_is_a_server() {
    let rule = "name = 'a'\n[[rule]]\nname = 'r'\ncallers = ['a']\nrooms = ['*']\nclient_may_set = ['participant_identity']";
    for (kind, noted) in [("anonymous", true), ("api-key", false)] {
        let (says, _, code) = run(&["check"], &format!("[[caller]]\nkind = '{kind}'\n{rule}"));
        assert_eq!((says.contains("Note: rule \"r\" lets clients of a choose their identity, including that of another person\n"), code), (noted, 0), "{says}");
    }
}

#[test]
fn check_notes_that_an_open_route_behind_a_gateway_is_anonymous() {
    let note = "Note: caller \"members\" is authenticated by the gateway, and caller \"anyone\" is anonymous: a request on a \
                route without the gateway's authorizer counts as \"anyone\"\n";
    let gateway = "[[caller]]\nname = 'members'\nkind = 'gateway'\nvia = 'jwt'\n";
    let anonymous = "[[caller]]\nname = 'anyone'\nkind = 'anonymous'\n";
    for (callers, noted) in
        [(format!("{gateway}{anonymous}"), true), (gateway.into(), false), (anonymous.into(), false)]
    {
        let (says, _, code) = run(&["check"], &callers);
        assert_eq!((says.contains(note), code), (noted, 0), "{says}");
    }
}

#[test]
fn check_notes_an_identity_that_all_callers_share() {
    let note = "Note: rule \"r\" gives every caller one identity, \"kiosk\": a second participant with it disconnects the first\n";
    for (identity, noted) in [("kiosk", true), ("kiosk-{random}", false), ("kiosk-{sub}", false)] {
        let rule = format!("[[rule]]\nname = 'r'\ncallers = ['app']\nrooms = ['x']\nidentity = '{identity}'");
        let (says, _, code) = run(
            &["check"],
            &POLICY.replace("[[rule]]\nname = \"hosts\"", &format!("{rule}\n[[rule]]\nname = \"hosts\"")),
        );
        assert_eq!((says.contains(note), code), (noted, 0), "{says}");
    }
}

#[test]
fn check_says_which_rules_need_a_room_to_be_asked_for() {
    let note = "Note: rule \"r\" needs a room in the request: it has no default_room, and room-{random} does not match rooms\n";
    for (rooms, needs) in [
        ("rooms = ['x:*']", true),
        ("rooms = ['x', 'x:*']", true),
        ("rooms = ['x:*', '*']", false),
        ("rooms = ['room-*']", false),
        ("rooms = ['x:*']\ndefault_room = 'x:{random}'", false),
    ] {
        let (says, _, code) =
            run(&["check"], &format!("{POLICY}[[rule]]\nname = 'r'\ncallers = ['app']\n{rooms}"));
        assert_eq!((says.contains(note), code), (needs, 0), "{rooms}\n{says}");
    }
}

/// Two dialects more than LiveKit's standard, and a rule for them.
fn check_for(dialects: &str, rule: &str) -> String {
    let config = format!(
        "dialects = [{dialects}]\nsandbox.ids = ['demo', 'other']\n{}[[rule]]\nname = 'r'\ncallers = ['app']\nrooms = ['*']\n{rule}\n",
        POLICY.split("[[rule]]").next().unwrap()
    );
    let (says, mistakes, code) = run(&["check"], &config);
    assert_eq!((code, mistakes.as_str()), (0, ""), "{config}");
    says
}

#[test]
fn check_shows_what_is_served_unless_it_is_the_standard_alone() {
    let says = check_for(
        "'standard', 'sandbox', 'agora'",
        "[http]\nbase_path = '/calls'\n[agora]\ntoken_version = '006'",
    );
    insta::assert_snapshot!(says.split_once("\n\nCALLER").unwrap().0, @r"
    DIALECT   ROUTES
    standard  /calls/getToken, /calls/api/token
    sandbox   /calls/api/v2/sandbox/connection-details, /calls/api/sandbox/connection-details (ids demo, other)
    agora     /calls/agora/rtc, /calls/agora/rtm, /calls/agora/rte, /calls/agora/chat, /calls/agora/getToken (tokens 006)
    ");
    assert!(check_for("'standard'", "").starts_with("CALLER"));
}

#[test]
fn check_says_how_long_tokens_last_through_each_dialect_where_the_rule_does_not() {
    for (dialects, rule, lasts) in [
        ("'standard'", "", "10m"),
        ("'standard', 'openvidu'", "", "10m"),
        ("'standard', 'agora'", "", "10m, 1h on Agora's routes"),
        (
            "'standard', 'sandbox', 'openvidu', 'agora'",
            "",
            "10m, 15m on the sandbox's routes, 1h on Agora's routes",
        ),
        ("'sandbox', 'agora'", "", "15m on the sandbox's routes, 1h on Agora's routes"),
        ("'standard', 'sandbox', 'agora'", "when = { sandbox_id = 'demo' }", "15m"),
        ("'agora'", "", "1h"),
        ("'standard', 'agora'", "ttl = '5m'", "5m"),
        ("'standard', 'agora'", "max_ttl = '5m'", "5m, at most 5m on request"),
    ] {
        let says = check_for(dialects, rule);
        assert!(says.contains(&format!("\n  lifetime {lasts}\n")), "{dialects} {rule}\n{says}");
    }
}

#[test]
fn check_says_for_whose_clients_a_rule_has_nothing() {
    let names = "rule \"r\" refuses nearly every name that clients of quickstart and openvidu send: its client_may_set lists neither participant_identity nor participant_name\n";
    let no_uid = "rule \"r\" refuses every client of agora: they send an identity, but the rule neither sets one nor lists participant_identity in client_may_set\n";
    let deaf = "rule \"r\" never gives an Agora token for a channel: every such token includes the right to subscribe (grants_not_enforceable)\n";
    let room = "needs a room in the request";
    let (one_name, agora) = ("'quickstart', 'openvidu'", "'agora'");
    for (dialects, rule, note, noted) in [
        (one_name, "identity = '{sub}'", names, true),
        (one_name, "client_may_set = ['participant_name']", names, false),
        (one_name, "client_may_set = ['participant_identity']", names, false),
        ("'standard', 'sandbox'", "", names, false),
        (agora, "", no_uid, true),
        (agora, "identity = 'x-{random}'", no_uid, true),
        (agora, "identity = '{claims.uid}'", no_uid, false),
        (agora, "client_may_set = ['participant_identity']", no_uid, false),
        ("'standard'", "grants.can_subscribe = false", deaf, false),
        (agora, "grants.can_subscribe = false", deaf, true),
        ("'agora', 'sandbox'", "grants.can_subscribe = false\nwhen = { sandbox_id = 'demo' }", deaf, false),
    ] {
        let says = check_for(dialects, rule);
        assert_eq!(says.contains(note), noted, "{dialects} {rule}\n{says}");
    }
    let pattern = "dialects = ['openvidu']\n".to_owned() + &POLICY.replace("default_room = \"lobby\"", "");
    assert!(!run(&["check"], &pattern).0.contains(room));
    assert!(run(&["check"], &pattern.replace("openvidu", "token-server")).0.contains(room));
}

#[test]
fn claims_with_any_spelling_of_an_issuer_are_of_its_caller_and_have_the_first_one() {
    let policy = POLICY
        .replace("app:{sub}", "app:{iss}|{sub}")
        .replace("\"https://login.example.com/\"", "[\"https://login.example.com/\", \"login.example.com\"]");
    let another = "[[caller]]\nname = 'partner'\nkind = 'jwt'\nissuer = 'https://partner.example.com/'\naudience = 'calls'\nalgorithms = ['ES256']\n";
    let policy = another.to_owned() + &policy;
    for iss in ["https://login.example.com/", "login.example.com"] {
        let claims = json!({"iss": iss, "sub": "ada", "team": "red", "role": "host"}).to_string();
        let claims = file("spelling.json", &claims);
        let (says, mistakes, code) =
            run(&["explain", "--caller", claims.to_str().unwrap(), "--json"], &policy);
        assert_eq!((code, mistakes.as_str()), (0, ""), "{says}");
        let says: Value = serde_json::from_str(&says).unwrap();
        assert_eq!(
            (&says["caller"], &says["claims"]["sub"]),
            (&json!("app"), &json!("app:https://login.example.com/|ada")),
            "{iss}"
        );
    }
}

#[test]
fn claims_without_an_issuer_are_of_the_only_one_there_is() {
    let claims = file("no-issuer.json", r#"{"sub": "ada", "team": "red", "role": "host"}"#);
    let arguments = ["explain", "--caller", claims.to_str().unwrap(), "--json"];
    let policy = POLICY.replace("app:{sub}", "app:{iss}|{sub}");
    let (says, mistakes, code) = run(&arguments, &policy);
    assert_eq!((code, mistakes.as_str()), (0, ""), "{says}");
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!(
        (&says["caller"], &says["claims"]["sub"]),
        (&json!("app"), &json!("app:https://login.example.com/|ada"))
    );
    let another = "[[caller]]\nname = 'partner'\nkind = 'jwt'\nissuer = 'https://partner.example.com/'\naudience = 'calls'\nalgorithms = ['ES256']\n";
    let (_, mistakes, code) = run(&arguments, &(another.to_owned() + POLICY));
    assert_eq!(code, 1);
    assert!(
        mistakes
            .contains("the claims' iss does not match exactly one [[caller]]: select one by name with --as"),
        "{mistakes}"
    );
}

#[test]
fn the_file_as_it_comes_is_what_cargo_run_makes_of_it_to_check_and_explain_too() {
    let (says, _, code) = run(&["check"], "");
    assert_eq!(code, 0);
    assert!(
        says.starts_with(
            "Valid. In Lambda every request is refused, because no [[caller]] is configured. `serve` accepts every request, by this policy:\n\nDIALECT"
        ),
        "{says}"
    );
    assert!(says.contains("RULE development\n  callers  anyone\n  rooms    *\n"), "{says}");

    let (says, _, code) = run(&["explain"], "");
    assert_eq!(code, 0);
    let lines: Vec<_> = says.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "policy       development, as for `serve`: no [[caller]] is configured, so in Lambda every request is refused",
            "caller       anyone",
            "requested    no room",
        ]
    );
    let (says, _, _) = run(&["explain", "--json"], "");
    assert_eq!(serde_json::from_str::<Value>(&says).unwrap()["policy"], "development");
    let claims = ada("without-callers.json", "host");
    for arguments in [vec!["explain", "--caller", &claims], vec!["--caller", &claims]] {
        let (_, mistake, code) = run(&arguments, "");
        assert_eq!(code, 1);
        assert!(
            mistake.contains("--caller needs a [[caller]], and none is configured: add one to roompass.toml, or set ROOMPASS_CONFIG to a file that has one"),
            "{mistake}"
        );
    }
}

#[test]
fn explain_shows_the_decision_the_rule_and_what_the_token_would_say() {
    let request = file("red.json", r#"{"room_name": "red:standup"}"#);
    let arguments =
        ["explain", "--caller", &ada("host.json", "host"), "--request", request.to_str().unwrap()];
    let (says, _, code) = run(&arguments, POLICY);
    assert_eq!(code, 0);
    for line in [
        "caller       app, ada",
        "rule         hosts",
        "room         red:standup",
        "identity     app:ada",
        "lifetime     10m",
        "grant        room_admin = true",
        "defaults     can_publish, can_publish_sources = all, can_subscribe, can_publish_data, kind = standard; not",
        "             can_update_own_metadata, can_subscribe_metrics, can_manage_agent_session, room_create, room_list,",
        "             room_record, ingress_admin, hidden, recorder, agent, destination_room, kind_details, room_preset,",
        "             sip, cloud_agents, agent_endpoint, agent_thread, inference, observability",
    ] {
        assert!(says.lines().any(|said| said == line), "{line}\n{says}");
    }
    let claims: Value =
        serde_json::from_str(says.split_once("claims, without nbf and exp\n").unwrap().1).unwrap();
    assert_eq!(
        claims,
        json!({"iss": "(the API key)", "sub": "app:ada", "video": {"roomJoin": true, "room": "red:standup", "roomAdmin": true}})
    );
}

#[test]
fn explain_says_why_each_rule_was_skipped() {
    let arguments = ["explain", "--caller", &ada("guest.json", "guest"), "--json"];
    let (says, mistakes, code) = run(&arguments, POLICY);
    assert_eq!((code, mistakes.as_str()), (3, ""), "neither a token nor a mistake");
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!(
        says,
        json!({
            "caller": "app",
            "decision": "refused",
            "code": "no_rule",
            "detail": "No rule matches this caller.",
            "skipped": [
                {"rule": "hosts", "why": "condition not met: claims.role = \"host\""},
                {"rule": "guests", "why": "caller not in callers"},
            ],
            "requested_room": null,
        })
    );
}

#[test]
fn explain_names_the_requested_room_and_the_rooms_that_each_rule_opens_to_this_caller() {
    let policy = POLICY.replace("default_room = \"{claims.team}:{random}\"\n", "");
    let host = ada("roomless-host.json", "host");
    let other = file("other-room.json", "{\"room_name\": \"blue:x\"}");
    for (request, requested, why, detail, code) in [
        (
            vec![],
            Value::Null,
            "no room was requested, and the rule has no default_room",
            "The field room_name is required: no rule for this caller has a default room.",
            "missing_field",
        ),
        (
            vec!["--request", other.to_str().unwrap()],
            json!("blue:x"),
            "room \"blue:x\" does not match rooms",
            "No rule opens this room to this caller.",
            "room_not_allowed",
        ),
    ] {
        let arguments = [&["explain", "--caller", &host][..], &request].concat();
        let (says, _, exit) = run(&[&arguments[..], &["--json"]].concat(), &policy);
        assert_eq!(exit, 3);
        assert_eq!(
            serde_json::from_str::<Value>(&says).unwrap(),
            json!({
                "caller": "app",
                "decision": "refused",
                "code": code,
                "detail": detail,
                "skipped": [
                    {"rule": "hosts", "why": why, "rooms": ["red:*"]},
                    {"rule": "guests", "why": "caller not in callers"},
                ],
                "requested_room": requested,
            })
        );
        let (says, _, _) = run(&arguments, &policy);
        let requested =
            requested.as_str().map_or_else(|| "no room".to_owned(), |room| format!("room {room:?}"));
        assert_eq!(
            says,
            format!(
                "caller       app, ada\nrequested    {requested}\nskipped      hosts: {why}\n             its rooms for this caller: red:*\nskipped      guests: caller not in callers\nrefused      {detail}\ncode         {code}\n"
            )
        );
    }
}

#[test]
fn explain_says_which_elements_of_a_list_are_skipped() {
    let claims = file(
        "classes.json",
        r#"{"iss": "https://login.example.com/", "sub": "ada", "classes": ["math", "a:b", {"x": 1}]}"#,
    );
    let policy = "[[caller]]\nname = 'app'\nkind = 'jwt'\nissuer = 'https://login.example.com/'\naudience = 'a'\n\
                  algorithms = ['RS256']\n[[rule]]\nname = 'students'\ncallers = ['app']\n\
                  rooms = ['class:{claims.classes[]}:*']\nidentity = '{sub}'\n\
                  participant_name = \"{claims.name | claims.nickname | ''}\"\n";
    let explained = |room: &str| {
        let request = file("classes-request.json", &format!(r#"{{"room_name": "{room}"}}"#));
        run(
            &["explain", "--caller", claims.to_str().unwrap(), "--request", request.to_str().unwrap()],
            policy,
        )
    };
    let (says, _, code) = explained("class:math:1");
    assert_eq!(code, 0, "{says}");
    for reason in [
        "note         skipped in a list: the caller's {claims.classes[1]} contains \":\", the text that follows it, so its end",
        "note         skipped in a list: the caller's {claims.classes[2]} is an object: it must be a string or a whole number",
    ] {
        assert!(says.contains(reason), "{says}");
    }
    let (says, _, code) = explained("class:a:b:1");
    assert_eq!(code, 3, "{says}");
    assert!(says.contains("its rooms for this caller: class:math:*\n"), "{says}");
    assert!(says.contains("note         skipped in a list: "), "{says}");
}

#[test]
fn explain_names_a_claim_that_the_issuer_left_out() {
    let claims = json!({"iss": "https://login.example.com/", "sub": "ada", "team": "red",
        "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}});
    let claims = file("overage.json", &claims.to_string());
    let policy = POLICY.replace("\"claims.role\" = \"host\"", "\"claims.groups\" = { contains = \"hosts\" }");
    let (says, _, _) = run(&["explain", "--caller", claims.to_str().unwrap()], &policy);
    let why = "skipped      hosts: condition not met: claims.groups contains \"hosts\": the issuer left the claim out of the token (_claim_names)\n";
    assert!(says.contains(why), "{says}");
}

#[test]
fn explain_and_token_note_where_such_a_token_would_not_be_accepted_at_all() {
    let strict = POLICY.replace("kind = \"jwt\"", "kind = \"jwt\"\nrequired_claims = { kind = \"person\" }");
    for (claims, note) in [
        (json!({"sub": "ada", "team": "red", "role": "host", "kind": "person"}), None),
        (
            json!({"sub": "ada", "team": "red", "role": "host", "kind": "robot"}),
            Some("invalid token: kind does not match required_claims"),
        ),
        (
            json!({"sub": "ada", "team": "red", "role": "host"}),
            Some("invalid token: kind does not match required_claims"),
        ),
        (
            json!({"sub": "ada", "team": "red", "role": "host", "kind": "person", "aud": "others"}),
            Some("invalid token: aud does not match audience"),
        ),
        (
            json!({"sub": "ada", "team": "red", "role": "host", "kind": "person", "exp": 5}),
            Some("invalid token: exp is in the past"),
        ),
    ] {
        let claims = file("noted.json", &claims.to_string());
        let arguments = ["explain", "--caller", claims.to_str().unwrap()];
        let (says, _, code) = run(&arguments, &strict);
        assert_eq!(code, 0, "{says}");
        let (_, error, code) = run(&["token", "--caller", claims.to_str().unwrap()], &strict);
        let expected = note.map_or_else(String::new, |note| {
            format!("roompass: note: a token with these claims is not accepted: {note}\n")
        });
        assert_eq!((error, code), (expected, 0));
        let noted = says
            .lines()
            .find_map(|line| line.strip_prefix("note         a token with these claims is not accepted: "));
        assert_eq!(noted, note, "{says}");
        let (says, _, _) = run(&[&arguments[..], &["--json"]].concat(), &strict);
        let says: Value = serde_json::from_str(&says).unwrap();
        assert_eq!(says.get("token_refused").and_then(Value::as_str), note);
    }
}

#[test]
fn explain_for_an_anonymous_caller_needs_the_name_at_most() {
    let (says, _, _) = run(&["explain", "--as", "anyone", "--json"], POLICY);
    assert_eq!(
        run(&["explain", "--json"], POLICY).0.len(),
        says.len(),
        "without --as it is the anonymous caller"
    );
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!((&says["rule"], &says["ttl_seconds"]), (&json!("guests"), &json!(120)));
    assert_eq!(says["grants"]["can_publish_data"], "false", "it follows can_publish");
    assert_eq!(says["claims"]["video"], json!({"roomJoin": true, "room": "lobby", "canPublish": false}));
}

#[test]
fn explain_says_what_it_needs() {
    let unclear = file("unclear.json", r#"{"iss": "https://elsewhere.example.com/", "sub": "ada"}"#);
    let broken = file("broken.json", "{");
    for (arguments, mistake) in [
        (vec!["explain", "--as", "stranger"], "no [[caller]] is named \"stranger\""),
        (
            vec!["explain", "--caller", unclear.to_str().unwrap()],
            "the claims' iss does not match exactly one [[caller]]: select one by name with --as",
        ),
        (vec!["explain", "--caller", broken.to_str().unwrap()], "broken.json is not valid JSON"),
        (vec!["explain", "--caller", "no/such.json"], "cannot read no/such.json: "),
    ] {
        let (_, mistakes, code) = run(&arguments, POLICY);
        assert_eq!(code, 1);
        assert!(mistakes.contains(mistake), "{mistakes}");
    }
    let known = POLICY.replace("kind = \"anonymous\"", "kind = \"api-key\"");
    assert!(run(&["explain"], &known).1.contains(
        "no caller given: use --caller with a file of claims, or --as with the name of an anonymous caller"
    ));
}

#[test]
fn explain_spells_the_defaults_out_around_what_is_written() {
    let grants = "grants = { can_publish = false, sip = { call = true }, agent_endpoint = { call = true } }";
    let (says, _, code) = run(&["explain"], &POLICY.replace("grants = { can_publish = false }", grants));
    assert_eq!(code, 0);
    let grants: Vec<_> = says.lines().skip_while(|line| !line.starts_with("grant ")).take(8).collect();
    insta::assert_snapshot!(grants.join("\n"), @r"
    grant        can_publish = false
    grant        sip.call = true
    grant        agent_endpoint.call = true
    defaults     can_publish_sources = all, can_subscribe, kind = standard, agent_endpoint.agent_name = every
                 agent, agent_endpoint.deployment = every deployment; not can_publish_data,
                 can_update_own_metadata, can_subscribe_metrics, can_manage_agent_session, room_admin,
                 room_create, room_list, room_record, ingress_admin, hidden, recorder, agent, destination_room,
                 kind_details, room_preset, sip.admin, cloud_agents, agent_thread, inference, observability
    ");
}

/// A policy that differs from dialect to dialect.
fn for_other_clients() -> String {
    let rules = r#"
[[rule]]
name = "players"
callers = ["app"]
rooms = ["{claims.team}:*"]
identity = "1{claims.uid}"
agora_logins = ["rtm"]
grants = { can_publish_sources = ["microphone"] }

[[rule]]
name = "demo"
callers = ["anyone"]
when = { sandbox_id = "demo" }
rooms = ["*"]

[[rule]]
name = "named"
callers = ["anyone"]
rooms = ["x-*"]
client_may_set = ["participant_name"]
"#;
    let callers = POLICY.split("[[rule]]").next().unwrap();
    format!(
        "dialects = [\"sandbox\", \"openvidu\", \"agora\"]\nsandbox.ids = [\"demo\", \"other\"]\n{callers}{rules}"
    )
}

fn player() -> String {
    let claims = json!({"iss": "https://login.example.com/", "sub": "ada", "team": "red", "uid": 7});
    file("player.json", &claims.to_string()).to_str().unwrap().to_owned()
}

#[test]
fn explain_reads_a_request_by_the_route_that_the_server_would() {
    let policy = for_other_clients();
    let asked = file("openvidu.json", r#"{"roomName": "x-1", "participantName": "Ada"}"#);
    let arguments = ["explain", "--path", "/openvidu/token", "--request", asked.to_str().unwrap(), "--json"];
    let (says, mistakes, code) = run(&arguments, &policy);
    assert_eq!((code, mistakes.as_str()), (0, ""));
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!((&says["rule"], &says["claims"]["name"]), (&json!("named"), &json!("Ada")));

    let sandbox = "/api/v2/sandbox/connection-details";
    let through = |id| {
        let says = run(&["explain", "--path", sandbox, "--sandbox", id, "--json"], &policy).0;
        serde_json::from_str::<Value>(&says).unwrap()
    };
    assert_eq!((&through("demo")["rule"], &through("demo")["ttl_seconds"]), (&json!("demo"), &json!(900)));
    assert_eq!(through("other")["skipped"][1]["why"], "condition not met: sandbox_id = \"demo\"");
}

#[test]
fn explain_reads_a_query_or_a_body_as_the_route_of_that_method_does() {
    let policy = for_other_clients().replace("\"agora\"]", "\"meet\", \"agora\"]");
    let body = file("meet.json", r#"{"room_name": "x-2"}"#);
    let body = body.to_str().unwrap();
    let path = "/api/connection-details?roomName=x-1&participantName=Ada+L";
    for (more, room) in [(&[][..], "x-1"), (&["--request", body], "x-2")] {
        let (says, mistakes, code) = run(&[&["explain", "--path", path, "--json"], more].concat(), &policy);
        assert_eq!((code, mistakes.as_str()), (0, ""));
        let says: Value = serde_json::from_str(&says).unwrap();
        assert_eq!(says["claims"]["video"]["room"], room);
    }
    let (_, mistakes, code) = run(&["explain", "--path", "/api/connection-details"], &policy);
    assert_eq!(
        (code, mistakes.as_str()),
        (1, "roompass: invalid request: roomName and participantName are required\n")
    );
}

#[test]
fn explain_shows_what_agoras_token_would_carry() {
    let (says, mistakes, code) = run(
        &["explain", "--caller", &player(), "--path", "/agora/rtc/red:x/publisher/uid/17/?expiry=600"],
        &for_other_clients(),
    );
    assert_eq!((code, mistakes.as_str()), (0, ""));
    insta::assert_snapshot!(says, @r#"
    caller       app, ada
    token        rtcToken: Agora 007, for rtc
    requested    room "red:x"
    rule         players
    channel      red:x
    user         17
    privileges   join_channel, publish_audio, publish_data
    lifetime     10m
    "#);
}

#[test]
fn uid_0_is_noted_by_check_and_shown_by_explain_as_any_user() {
    let rule = "name = \"players\"";
    let policy = for_other_clients().replace(rule, &format!("{rule}\nagora_uid_zero = true"));
    let note = "rule \"players\" sets agora_uid_zero: a token for uid 0 is valid for any user, so its holder can join the channel as any other participant\n";
    let checked = run(&["check"], &policy).0;
    assert!(checked.contains(&format!("Note: {note}")), "{checked}");
    assert!(checked.contains("  uid 0    allowed, for any user\n"), "{checked}");
    let without = run(&["check"], &for_other_clients()).0;
    assert!(!without.contains("uid 0") && !without.contains("agora_uid_zero"), "{without}");
    let of_livekit = policy.replace("\"sandbox\", \"openvidu\", \"agora\"", "\"sandbox\", \"openvidu\"");
    assert!(!run(&["check"], &of_livekit).0.contains(note));

    let player = player();
    let asked = ["explain", "--caller", &player, "--path", "//agora//rtc/red:x/publisher/uid/0"];
    let (says, mistakes, code) = run(&asked, &policy);
    assert_eq!((code, mistakes.as_str()), (0, ""));
    insta::assert_snapshot!(says, @r#"
    caller       app, ada
    token        rtcToken: Agora 007, for rtc
    requested    room "red:x"
    rule         players
    channel      red:x
    user         0: any user
    privileges   join_channel, publish_audio, publish_data
    lifetime     1h
    "#);
    let as_json = run(&[&asked[..], &["--json"]].concat(), &policy).0;
    let service = &serde_json::from_str::<Value>(&as_json).unwrap()["services"][0];
    assert_eq!((&service["user"], &service["any_user"]), (&json!("0"), &json!(true)));
    let (says, _, code) = run(&asked, &for_other_clients());
    assert_eq!(code, 3);
    assert!(says.contains("code         field_not_allowed\n"), "{says}");
}

#[test]
fn explain_ignores_extra_slashes_unless_a_gateway_authenticates_callers() {
    let explained = |path: &str, policy: &str| run(&["explain", "--as", "anyone", "--path", path], policy);
    let gateway = format!("[[caller]]\nname = \"edge\"\nkind = \"gateway\"\nvia = \"lambda\"\n{POLICY}");
    for path in ["//getToken", "/getToken/", "/api//token/"] {
        let (says, mistakes, code) = explained(path, POLICY);
        assert_eq!((code, mistakes.as_str()), (0, ""), "{path}");
        assert!(says.contains("rule         guests\n"), "{path}: {says}");
        let (_, mistakes, code) = explained(path, &gateway);
        assert!(code != 0 && mistakes.contains("not found"), "{path}: {mistakes}");
    }
    assert_eq!(explained("/getToken", &gateway).2, 0);
}

#[test]
fn explain_shows_both_of_two_tokens_of_agoras() {
    let player = player();
    let path = "/agora/rte/red:x/subscriber/uid/17/8";
    let (says, _, code) = run(&["explain", "--caller", &player, "--path", path], &for_other_clients());
    assert_eq!(code, 3);
    insta::assert_snapshot!(says, @r#"
    caller       app, ada
    token        rtcToken: Agora 007, for rtc
    requested    room "red:x"
    rule         players
    channel      red:x
    user         17
    privileges   join_channel
    lifetime     1h
    token        rtmToken: Agora, for rtm
    refused      The field participant_identity can't be set by the client: rule "players" does not list it in client_may_set.
    code         field_not_allowed
    request      refused: all parts of a request must be allowed
    "#);
    let old = format!("agora.token_version = \"006\"\n{}", for_other_clients());
    let path = path.trim_end_matches("/8");
    let (says, _, code) = run(&["explain", "--caller", &player, "--path", path, "--json"], &old);
    assert_eq!(code, 0);
    assert_eq!(
        serde_json::from_str::<Value>(&says).unwrap(),
        json!({
            "caller": "app",
            "decision": "pass",
            "services": [
                {
                    "member": "rtcToken", "service": "rtc", "version": "006", "decision": "pass", "rule": "players", "project": "default",
                    "skipped": [], "requested_room": "red:x", "channel": "red:x", "user": "17", "privileges": ["join_channel"],
                    "ttl_seconds": 3600,
                },
                {
                    "member": "rtmToken", "service": "rtm", "version": "006", "decision": "pass", "rule": "players", "project": "default",
                    "skipped": [], "user": "17", "privileges": ["login"], "ttl_seconds": 3600,
                },
            ],
        })
    );
}

#[test]
fn explain_refuses_what_no_token_of_the_provider_can_say_as_the_server_does() {
    let player = player();
    let arguments =
        ["explain", "--caller", &player, "--path", "/agora/rtc/red:x/subscriber/uid/17/", "--json"];
    let deaf = for_other_clients().replace("can_publish_sources = [\"microphone\"]", "can_subscribe = false");
    let (says, _, code) = run(&arguments, &deaf);
    assert_eq!(code, 3);
    let says: Value = serde_json::from_str(&says).unwrap();
    assert_eq!(
        (&says["decision"], &says["code"], &says["services"][0]["decision"]),
        (&json!("refused"), &json!("grants_not_enforceable"), &json!("refused"))
    );
    let small = format!("limits.max_token_size = 1024\n{POLICY}");
    let long = file("long.json", &json!({ "participant_metadata": "x".repeat(1_000) }).to_string());
    let (says, _, code) = run(
        &["explain", "--request", long.to_str().unwrap()],
        &small.replace("ttl = \"2m\"", "client_may_set = [\"participant_metadata\"]"),
    );
    assert_eq!(code, 3);
    assert!(says.contains("\ncode         token_too_large\n"), "{says}");
}

#[test]
fn explain_names_the_paths_that_are_served() {
    let policy = for_other_clients();
    let routes = "the configured dialects serve /api/v2/sandbox/connection-details, /api/sandbox/connection-details, /token, /openvidu/token, /agora/rtc/{channel}/{role}/{tokenType}/{uid}, ";
    for (path, mistake) in [
        (&[][..], format!("no path given: use --path; {routes}")),
        (
            &["--path", "/getToken"],
            format!("not found: \"/getToken\" is a route of the dialect \"standard\", which is not served: add it to `dialects`; {routes}"),
        ),
        (
            &["--path", "/getTokens"],
            format!("not found: \"/getTokens\" is not a route; {routes}"),
        ),
        (&["--path", "getToken"], "invalid path \"getToken\": it must begin with a slash and be percent-encoded, as clients send it".into()),
        (
            &["--path", "/api/sandbox/connection-details", "--sandbox", "x"],
            "invalid request: X-Sandbox-ID must name one of [sandbox] ids: use --sandbox with one of demo, other".into(),
        ),
        (
            &["--path", "/token"],
            "invalid request: roomName and participantName are required".into(),
        ),
        (&["--path", "/agora/rtm/0/"], "invalid request: The field uid must not be 0".into()),
    ] {
        let (_, mistakes, code) = run(&[&["explain"], path].concat(), &policy);
        assert_eq!(code, 1);
        assert!(mistakes.contains(&mistake), "{mistakes}");
    }
}

#[test]
fn api_key_prints_a_new_key_and_the_hash_to_store() {
    let (says, _, code) = run(&["api-key", "backend"], POLICY);
    assert_eq!(code, 0);
    let lines: Vec<_> = says.lines().collect();
    let stored: Value = serde_json::from_str(&format!("{{{}}}", lines[2])).unwrap();
    let hash = roompass::auth::ApiKeyHash::of(lines[0]).to_string();
    assert_eq!(stored, json!({ "backend": hash }));
    assert!(lines[0].starts_with("rpk_") && lines[0].len() == 44);
    assert_ne!(run(&["api-key", "backend"], POLICY).0, says);
}

#[test]
fn with_caller_every_request_counts_as_that_caller_and_the_policy_decides() {
    let claims = ada("counted-as.json", "host");
    let arguments = ["--listen", "127.0.0.1:0", "--caller", &claims];
    let serving = Serving::start(roompass(&arguments, &[("ROOMPASS_CONFIG", POLICY)]), "Ctrl-C");
    let printed = serving.started_with.join("\n");
    assert!(
        printed.contains("Warning: development mode: authentication is off, because --caller is set: every request counts as ada, and tokens are signed with LiveKit's public development key. Do not expose it to the internet.\n"),
        "{printed}"
    );
    assert_eq!(serving.asked_as("evil.example:PORT").1["code"], "wrong_host");
    let (status, answer) = serving.as_the_curl_command_says();
    assert_eq!(status, "HTTP/1.1 201 Created", "{answer}");
    let said = unverified_claims(answer["participant_token"].as_str().unwrap());
    assert_eq!((&said["sub"], &said["video"]["room"]), (&json!("app:ada"), &json!("red:hello")));
    assert_eq!(serving.end("INT"), 0);
}
