//! `roompass init`: a first roompass.toml by options. Its questions on a terminal are tested where they are asked.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use crate::serve::roompass;
use crate::support::unverified_claims;

/// A new, empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("roompass-init-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the command prints in this folder, and the exit code.
fn run(folder: &PathBuf, arguments: &[&str]) -> (String, String, i32) {
    run_as("roompass", folder, arguments)
}

/// The same, where the shell calls the program like this.
fn run_as(program: &str, folder: &PathBuf, arguments: &[&str]) -> (String, String, i32) {
    let output = roompass(arguments, &[]).arg0(program).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

const AUTH0: [&str; 9] = [
    "init",
    "--provider",
    "auth0",
    "--tenant",
    "example.eu.auth0.com",
    "--audience",
    "https://calls.example.com",
    "--rooms",
    "claim:team",
];

fn files(folder: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_next_commands_call_the_program_as_it_was_called() {
    let folder = folder("called");
    let (says, ..) = run_as("./roompass", &folder, &AUTH0);
    for command in ["check ", "token --caller claims.json ", "serve "] {
        assert!(says.contains(&format!("\n  ./roompass {command}")), "{says}");
    }
}

#[test]
fn the_written_file_is_accepted_by_check_and_token_gives_a_token_by_it() {
    let folder = folder("written");
    let (says, error, code) = run(&folder, &[&AUTH0[..], &["--origins", "https://app.example.com"]].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    insta::assert_snapshot!(says, @r#"
    Wrote roompass.toml

    Your client, in JavaScript with livekit-client:
      TokenSource.endpoint('http://127.0.0.1:3000/getToken', { headers: { Authorization: `Bearer ${await auth0.getTokenSilently()}` } })
    docs/providers/auth0.md describes the token, and docs/authentication.md how to send a fresh one with each request.

    Next:
      roompass check                                # who gets what
      echo '{"sub":"ada","team":"red"}' > claims.json  # a user's claims, with those that your rooms use
      roompass token --caller claims.json           # a token for this user
      roompass serve                                # the endpoint on this machine
    "#);
    insta::assert_snapshot!(fs::read_to_string(folder.join("roompass.toml")).unwrap(), @r#"
    # The configuration of Roompass. `roompass check` validates it, and docs/reference.md lists every key.

    [cors]
    origins = ["https://app.example.com"]  # web pages that may read responses

    # Auth0 (docs/providers/auth0.md).
    [[caller]]
    name = "app"
    kind = "jwt"
    issuer = "https://example.eu.auth0.com/"  # with the slash
    audience = "https://calls.example.com"  # the API's identifier
    algorithms = ["RS256"]

    # Users may join these rooms, under their own identity.
    [[rule]]
    name = "users"
    callers = ["app"]
    rooms = ["team:{claims.team}:*"]
    default_room = "team:{claims.team}:{random}"  # if a request names no room
    identity = "{sub}"
    participant_name = "{claims.name | 'Guest'}"  # the first that the user has
    "#);
    assert_eq!(files(&folder), ["roompass.toml"], "no other file is left");
    // As the printed commands say.
    assert_eq!(run(&folder, &["check"]).2, 0);
    fs::write(folder.join("claims.json"), r#"{"sub":"ada","team":"red"}"#).unwrap();
    let (token, error, code) = run(&folder, &["token", "--caller", "claims.json"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let claims = unverified_claims(token.trim());
    assert_eq!((&claims["sub"], &claims["name"]), (&"ada".into(), &"Guest".into()));
    assert!(claims["video"]["room"].as_str().unwrap().starts_with("team:red:"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_is_overwritten_only_with_force_and_printed_with_a_hyphen() {
    let folder = folder("forced");
    let file = folder.join("roompass.toml");
    fs::write(&file, "[http]\n").unwrap();
    let (says, error, code) = run(&folder, &AUTH0);
    assert_eq!(
        (says.as_str(), error.as_str(), code),
        (
            "",
            "roompass: roompass.toml exists: choose another file with --output, or overwrite it with --force\n",
            1
        )
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "[http]\n");
    let (printed, _, code) = run(&folder, &[&AUTH0[..], &["--output", "-"]].concat());
    assert_eq!(code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "[http]\n");
    let (_, _, code) = run(&folder, &[&AUTH0[..], &["--force"]].concat());
    assert_eq!(code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    let (says, _, code) = run(&folder, &[&AUTH0[..], &["--output", "other.toml"]].concat());
    assert_eq!(code, 0);
    assert!(
        says.contains("\n  roompass check --config other.toml ")
            && says.contains("serve --config other.toml "),
        "{says}"
    );
    let (_, error, code) = run(&folder, &[&AUTH0[..], &["--output", "no/such/folder.toml"]].concat());
    assert_eq!(code, 1);
    assert!(error.starts_with("roompass: cannot write no/such/folder.toml: "), "{error}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_missing_or_invalid_answer_is_named_and_nothing_is_written() {
    let folder = folder("invalid");
    let to_go = "without a terminal, each answer must be an option (`roompass init --help` lists them)";
    for (arguments, message) in [
        (&["init"][..], format!("missing --provider, --rooms: {to_go}")),
        (&["init", "--provider", "entra", "--rooms", "user"], format!("missing --tenant, --audience: {to_go}")),
        (&["init", "--provider", "google", "--rooms", "user", "--tenant", "a"], "--tenant is not used with --provider google: leave it out".to_owned()),
        (
            &["init", "--provider", "google", "--rooms", "user", "--audience", "a\"b"],
            "invalid --audience: must not contain spaces, double quotes or backslashes; it looks like 1234567890-example.apps.googleusercontent.com".to_owned(),
        ),
        (
            &["init", "--provider", "google", "--rooms", "usr", "--audience", "a"],
            "invalid --rooms: \"usr\" must be user, claim:NAME, any, or a pattern with * or a placeholder, such as team:{claims.team}:*".to_owned(),
        ),
        (
            &["init", "--provider", "google", "--rooms", "user", "--audience", "a", "--origins", "https://a/b"],
            "invalid --origins: each origin must be \"*\" or scheme://host[:port] without a user name or a path, such as https://app.example.com, or http://localhost:* for any port".to_owned(),
        ),
        (
            &["init", "--provider", "api-key", "--rooms", "user"],
            "invalid --rooms: API keys have no claims: use any, or a pattern without placeholders, such as call:*".to_owned(),
        ),
    ] {
        let (says, error, code) = run(&folder, arguments);
        assert_eq!((says.as_str(), error, code), ("", format!("roompass: {message}\n"), 1), "{arguments:?}");
    }
    let http = [
        "init",
        "--provider",
        "oidc",
        "--issuer",
        "http://login.example",
        "--audience",
        "a",
        "--rooms",
        "user",
    ];
    let (says, error, code) = run(&folder, &http);
    assert_eq!((says.as_str(), code), ("", 1));
    assert!(
        error.starts_with("roompass: invalid --issuer: issuer (or jwks_url) must be an https URL"),
        "{error}"
    );
    assert_eq!(run(&folder, &["init", "--provider", "nope"]).2, 2);
    assert_eq!(files(&folder), Vec::<String>::new());
    fs::remove_dir_all(&folder).unwrap();
}
