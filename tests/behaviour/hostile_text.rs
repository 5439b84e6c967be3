//! Text from outside that a terminal obeys, that forges a line or that hides: in every place where it can get into what a
//! command prints or logs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::serve::{Serving, roompass};

/// An escape sequence, every kind of line break with a forged line after it, and characters that hide or reorder.
const HOSTILE: &str = "a\u{1b}[2J\nforged 1\rforged 2\u{85}forged 3\u{2028}forged 4\u{2029}forged 5\u{b}\u{9b}31m\u{202e}\u{2066}\u{7f}\u{200b}\u{feff}\u{ad}\u{e0041}\u{1}";

/// Whether a terminal shows it as it is, line by line.
fn is_harmless(printed: &str) -> bool {
    let hidden = |char: char| {
        matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    !printed.contains(|char: char| hidden(char) || (char.is_control() && char != '\n'))
        && !printed.lines().any(|line| line.trim_start().starts_with("forged"))
}

/// Whether the hostile text is in it, escaped.
fn shows_it(printed: &str) -> bool {
    printed.contains(r"\u001b") || printed.contains(r"\u{1b}")
}

/// A TOML string of this text.
fn toml(text: &str) -> String {
    let escaped = |char: char| match char {
        ' '..='~' if !matches!(char, '"' | '\\') => char.to_string(),
        other => format!("\\U{:08X}", u32::from(other)),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// A file whose own name is hostile, in a directory of its own.
fn file(case: &str, text: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile").join(case);
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(HOSTILE);
    fs::write(&path, text).unwrap();
    path
}

/// A policy with hostile text in all that can be a string.
fn policy() -> String {
    let text = toml(HOSTILE);
    format!(
        r#"
dialects = ["standard", "sandbox", "agora"]
sandbox.ids = [{text}]

[[caller]]
name = {app}
kind = "jwt"
issuer = {text}
jwks_url = "https://login.example.com/keys"
audience = {text}
algorithms = ["ES256"]
required_claims = {{ {text} = {text} }}

[[caller]]
name = {text}
kind = "anonymous"

[[rule]]
name = {first}
callers = [{app}]
when = {{ {claim} = {text} }}
rooms = ["x"]

[[rule]]
name = {text}
callers = [{app}, {text}]
rooms = [{text}]
default_room = {text}
identity = {identity}
participant_name = {text}
participant_metadata = {text}
participant_attributes = {{ {text} = {text} }}
agents = [{{ name = {text}, deployments = [{text}] }}]
client_may_set = ["participant_identity"]
agora_logins = ["rtm"]
grants = {{ destination_room = {text}, agent_endpoint = {{ agent_name = {text} }}, room_create = true }}
"#,
        app = toml(&format!("app {HOSTILE}")),
        first = toml(&format!("first {HOSTILE}")),
        identity = toml(&format!("{HOSTILE}{{random}}")),
        claim = toml(&format!("claims.\"{HOSTILE}\"")),
    )
}

fn claims() -> Value {
    json!({ "iss": HOSTILE, "sub": HOSTILE, "aud": "another", HOSTILE: [HOSTILE], "name": HOSTILE })
}

/// What a command prints on both outputs, and how it ends.
fn printed(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> (String, i32) {
    let mut program = roompass(arguments, variables).stdin(Stdio::piped()).spawn().unwrap();
    let _ = program.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = program.wait_with_output().unwrap();
    (String::from_utf8([stdout, stderr].concat()).unwrap(), status.code().unwrap())
}

/// A signed token with these claims; the signature is by no key.
fn token(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&json!({"alg": "HS256"})), part(claims), BASE64_URL_SAFE_NO_PAD.encode([7; 32]))
}

#[test]
fn no_command_prints_a_control_character_or_a_forged_line_whatever_it_is_given() {
    let policy = policy();
    let app = format!("app {HOSTILE}");
    let path = |file: &Path| file.to_str().unwrap().to_owned();
    let claims_file = path(&file("claims", &claims().to_string()));
    let of_anyone = json!({"room_name": HOSTILE, "participant_identity": HOSTILE}).to_string();
    let request = path(&file("request", &of_anyone));
    let refused = path(&file("refused", &json!({"room_name": format!("{HOSTILE}x")}).to_string()));
    let tagged = json!({"room_config": {"tags": {HOSTILE: 5}}}).to_string();
    let tagged = path(&file("tagged", &tagged));
    let not_json = path(&file("not-json", HOSTILE));
    let missing = format!("no/such/{HOSTILE}");
    let unknown_key = path(&file("unknown-key", &format!("{} = 1\n", toml(HOSTILE))));
    let unknown_kind = format!("[[caller]]\nname = \"a\"\nkind = {}\n", toml(HOSTILE));
    let unknown_kind = path(&file("unknown-kind", &unknown_kind));
    let raw =
        "[limits]\nmax_room_name_length = 3 # \u{9b}31m\u{202e}\u{2028}forged\u{1b}".replace('\u{1b}', "");
    let raw = path(&file("raw", &raw));
    let of_caller = format!("[[caller]]\nname = {}\nkind = \"jwt\"\n", toml(HOSTILE));
    let of_caller = path(&file("of-caller", &of_caller));
    let of_rule = format!(
        "[[caller]]\nname = \"a\"\nkind = \"anonymous\"\n[[rule]]\nname = {}\ncallers = [{}]\nrooms = [\"*\"]\n",
        toml(HOSTILE),
        toml(&app)
    );
    let of_rule = path(&file("of-rule", &of_rule));
    let livekits = token(&claims());
    let api_keys = json!({ HOSTILE: "canary" }).to_string();
    let config = ("ROOMPASS_CONFIG", policy.as_str());
    let none: &[(&str, &str)] = &[];
    for (arguments, variables, input, code) in [
        (vec!["check"], vec![config], "", 0),
        (vec!["check", &missing], vec![], "", 1),
        (vec!["check"], vec![("ROOMPASS_CONFIG", &*missing.replace(['\n', '['], ""))], "", 1),
        (vec!["check", &unknown_key], vec![], "", 1),
        (vec!["check", &unknown_kind], vec![], "", 1),
        (vec!["check", &raw], vec![], "", 1),
        (vec!["check", &of_caller], vec![], "", 1),
        (vec!["check", &of_rule], vec![], "", 1),
        (vec!["check", &not_json], vec![], "", 1),
        (vec!["explain"], vec![config], "", 0),
        (vec!["explain", "--request", &request], vec![config], "", 0),
        (vec!["explain", "--request", &refused], vec![config], "", 3),
        (vec!["explain", "--request", &tagged], vec![config], "", 1),
        (vec!["explain", "--caller", &claims_file, "--as", &app], vec![config], "", 0),
        (vec!["explain", "--caller", &claims_file, "--request", &refused], vec![config], "", 3),
        (vec!["explain", "--caller", &not_json], vec![config], "", 1),
        (vec!["explain", "--caller", &missing], vec![config], "", 1),
        (vec!["explain", "--request", &missing], vec![config], "", 1),
        (vec!["explain", "--as", &missing], vec![config], "", 1),
        (vec!["explain", "--as", HOSTILE], vec![config], "", 0),
        (vec!["explain", "--path", HOSTILE], vec![config], "", 1),
        (vec!["explain", "--path", "/agora/rtc/x/publisher/uid/7/"], vec![config], "", 3),
        (vec!["explain", "--path", "/agora/rtm/7/"], vec![config], "", 0),
        (
            vec!["explain", "--path", "/api/v2/sandbox/connection-details", "--sandbox", HOSTILE],
            vec![config],
            "",
            1,
        ),
        (vec!["inspect", &livekits], vec![], "", 0),
        (vec!["inspect", "-"], vec![], &livekits, 0),
        (vec!["inspect", HOSTILE, "--at", HOSTILE], vec![], "", 2),
        (vec!["api-key", HOSTILE], vec![], "", 0),
        (vec!["serve", "--caller", &missing], vec![config], "", 1),
        (vec!["serve", "--caller", &claims_file, "--as", &missing], vec![config], "", 1),
        (vec!["serve", "--listen", HOSTILE], vec![], "", 2),
        (vec!["serve"], vec![("ROOMPASS_API_KEYS", &*api_keys)], "", 1),
        (vec![HOSTILE], none.to_vec(), "", 2),
        (vec!["check", "--", &missing, HOSTILE], vec![], "", 2),
    ] {
        let json = matches!(arguments[0], "explain" | "inspect") && code != 1 && code != 2;
        for more in [&[][..], &["--json"]].into_iter().take(1 + usize::from(json)) {
            let arguments = [&arguments[..], more].concat();
            let (printed, ended) = printed(&arguments, &variables, input);
            assert_eq!(ended, code, "{arguments:?}\n{printed}");
            assert!(is_harmless(&printed), "{arguments:?}\n{printed:?}\n{printed}");
            assert!(shows_it(&printed) || printed.contains(r"\u202e"), "{arguments:?}\n{printed}");
            if !more.is_empty() {
                assert!(serde_json::from_str::<Value>(&printed).is_ok(), "{printed}");
            }
        }
    }
}

#[test]
fn what_it_serves_with_and_logs_of_requests_is_as_harmless() {
    let policy = policy();
    let claims = file("served-claims", &claims().to_string());
    let app = format!("app {HOSTILE}");
    let variables = [
        ("ROOMPASS_CONFIG", policy.as_str()),
        ("LIVEKIT_URL", "wss://x.example"),
        ("LIVEKIT_API_KEY", HOSTILE),
        ("LIVEKIT_API_SECRET", "a secret that is long enough to be one"),
    ];
    let by_caller = ["--caller", claims.to_str().unwrap(), "--as", &app];
    for (format, ready) in [("text", "Ctrl-C"), ("json", "\"listening\"")] {
        for caller in [&[][..], &by_caller] {
            let arguments = [&["--listen", "127.0.0.1:0", "--log", format], caller].concat();
            let mut serving = Serving::start(roompass(&arguments, &variables), ready);
            let started = serving.started_with.join("\n");
            assert!(is_harmless(&started) && shows_it(&started), "{started:?}");
            let address = started.split_once("http://").unwrap().1;
            let address: String =
                address.chars().take_while(|char| char.is_ascii_digit() || ".:".contains(*char)).collect();
            let body = json!({"room_name": format!("{HOSTILE}x")}).to_string();
            let length = body.len();
            let request = format!(
                "POST /getToken HTTP/1.1\r\nhost: evil\u{202e}.example\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let mut connection = TcpStream::connect(address).unwrap();
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            let logged = serving.next_line();
            assert!(logged.contains("refused"), "{answer}\n{logged}");
            assert!(is_harmless(&logged), "{logged:?}");
            assert_eq!(
                shows_it(&logged),
                caller.is_empty(),
                "another host is refused before its body is read"
            );
            if format == "json" {
                assert!(serde_json::from_str::<Value>(&logged).is_ok(), "{logged}");
            }
        }
    }
}
