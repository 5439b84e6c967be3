//! `roompass token` and `roompass health`.

use std::process::Output;

use serde_json::Value;

use crate::serve::{Serving, roompass};
use crate::support::unverified_claims;

const POLICY: &str = "[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"https://a\"\naudience = \"a\"\nalgorithms = [\"RS256\"]\n[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n[[rule]]\nname = \"guests\"\ncallers = [\"anyone\"]\nrooms = [\"lobby\"]\ndefault_room = \"lobby\"\ngrants.can_publish = false\n";

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (String, String, i32) {
    let Output { stdout, stderr, status } = roompass(arguments, variables).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr), status.code().unwrap())
}

#[test]
fn a_token_is_printed_by_the_policy() {
    let variables = [("ROOMPASS_CONFIG", POLICY)];
    let (token, _, code) = run(&["token"], &variables);
    assert_eq!(code, 0);
    let claims = unverified_claims(token.trim());
    assert_eq!((&claims["iss"], &claims["video"]["room"]), (&"devkey".into(), &"lobby".into()));
    assert_eq!(claims["video"]["canPublish"], false);
    let (response, ..) = run(&["token", "--room", "lobby", "--json"], &variables);
    let response: Value = serde_json::from_str(&response).unwrap();
    assert_eq!(response["server_url"], "ws://localhost:7880");
    for (arguments, message) in [
        (
            &["token", "--room", "other"][..],
            "roompass: refused: No rule opens this room to this caller. (room_not_allowed)\n",
        ),
        (
            &["token", "--identity", "ada"],
            "roompass: refused: The field participant_identity can't be set by the client: rule \"guests\" does not list it in client_may_set. (field_not_allowed)\n",
        ),
        (
            &["token", "--grants", "room_admin"],
            "roompass: refused: The field grants can't be set by the client: rule \"guests\" does not list it in client_may_set. (field_not_allowed)\n",
        ),
        (&["token", "--as", "app"], "roompass: refused: No rule matches this caller. (no_rule)\n"),
        (&["token", "--as", "unknown"], "roompass: no [[caller]] is named \"unknown\"\n"),
        (
            &["token", "--grants", "room_admin=yes"],
            "roompass: invalid --grants: \"room_admin=yes\" must be the name of a grant, or NAME=true or NAME=false\n",
        ),
    ] {
        let (token, error, code) = run(arguments, &variables);
        assert_eq!((token.as_str(), error.as_str(), code), ("", message, 1), "{arguments:?}");
    }
}

#[test]
fn an_unchecked_token_has_what_is_requested_and_is_signed_with_the_development_key_only() {
    let requested = [
        "token",
        "--unchecked",
        "--room",
        "any",
        "--identity",
        "ada",
        "--name",
        "Ada",
        "--ttl",
        "2h",
        "--grants",
        "room_admin,can_publish=false",
    ];
    let (token, error, code) = run(&requested, &[("ROOMPASS_CONFIG", POLICY)]);
    assert_eq!(code, 0, "{error}");
    let claims = unverified_claims(token.trim());
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["name"]),
        (&"devkey".into(), &"ada".into(), &"Ada".into())
    );
    assert_eq!(
        (&claims["video"]["roomAdmin"], &claims["video"]["canPublish"]),
        (&true.into(), &false.into())
    );
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 7_200);
    let own = [("LIVEKIT_API_KEY", "APIk"), ("LIVEKIT_API_SECRET", "canary of thirty-two bytes or more")];
    let (token, error, code) = run(&requested, &own);
    assert_eq!((token.as_str(), code), ("", 1));
    assert_eq!(
        error,
        "roompass: --unchecked is only for LiveKit's development key: unset LIVEKIT_API_KEY, or leave --unchecked out\n"
    );
}

#[test]
fn health_is_the_answer_of_a_running_endpoint() {
    let serving = Serving::start(roompass(&["serve", "--listen", "127.0.0.1:0"], &[]), "Press Ctrl-C");
    let url = serving.started_with[0].rsplit_once(' ').unwrap().1;
    let (answer, error, code) = run(&["health", "--url", &format!("{url}/healthz")], &[]);
    assert_eq!(code, 0, "{error}");
    assert!(answer.contains("\"status\":\"ok\""), "{answer}");
    let (answer, error, code) = run(&["health", "--url", &format!("{url}/elsewhere")], &[]);
    assert_eq!((answer.as_str(), code), ("", 1));
    assert!(error.contains("returned 404 Not Found"), "{error}");
    let (address, health) = (url.to_owned(), format!("{url}/healthz"));
    assert_eq!(serving.end("TERM"), 0);
    let (_, error, code) = run(&["health", "--url", &health], &[]);
    assert!(code == 1 && error.contains("is unreachable") && error.contains(&address), "{error}");
}
