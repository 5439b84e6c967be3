//! `roompass serve`, the program itself: what it prints, answers and ends with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::support::unverified_claims;

/// The program with nothing in its environment but what a test gives it, in a folder without a `.env`.
pub(crate) fn roompass(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roompass"));
    command
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The program, serving, and the lines that it has written so far.
pub(crate) struct Serving {
    program: Child,
    output: BufReader<std::process::ChildStdout>,
    pub(crate) started_with: Vec<String>,
}

impl Serving {
    /// Until the line that `last` recognises.
    pub(crate) fn start(mut command: Command, last: &str) -> Self {
        let mut program = command.spawn().unwrap();
        let mut output = BufReader::new(program.stdout.take().unwrap());
        let mut started_with = Vec::new();
        while !started_with.last().is_some_and(|line: &String| line.contains(last)) {
            started_with.push(line(&mut output));
        }
        Self { program, output, started_with }
    }

    /// Does what the curl command that it printed does.
    pub(crate) fn as_the_curl_command_says(&self) -> (String, Value) {
        self.as_the_curl_command_says_with(&[])
    }

    /// The same, where the shell has these variables.
    pub(crate) fn as_the_curl_command_says_with(&self, variables: &[(&str, &str)]) -> (String, Value) {
        let curl = self.started_with.iter().find_map(|line| line.split_once("curl ")).unwrap().1;
        let curl = curl.replace("\\\"", "\"");
        let (method, curl) = match curl.strip_prefix("-X POST ") {
            Some(rest) => ("POST", rest),
            None => ("GET", &*curl),
        };
        let (url, options) = curl.split_once(' ').unwrap_or((curl, ""));
        let (address, path) = url.trim_matches('\'')["http://".len()..].split_once('/').unwrap();
        let (options, body) = options.split_once(" -d '").unwrap_or((options, "'"));
        let headers = options.split("-H ").skip(1).map(|quoted| quoted.trim_end().trim_matches(['\'', '"']));
        let headers =
            headers.fold(String::new(), |headers, header| headers + &header.replace(r"'\''", "'") + "\r\n");
        let headers = variables
            .iter()
            .fold(headers, |headers, (name, value)| headers.replace(&format!("${name}"), value));
        let body = body.rsplit_once('\'').unwrap().0.replace(r"'\''", "'");
        let mut connection = TcpStream::connect(address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        (head.lines().next().unwrap().to_owned(), body)
    }

    /// What it answers a request for this host: the status and the body.
    pub(crate) fn asked_as(&self, host: &str) -> (String, Value) {
        let address = self.started_with[0].rsplit_once("http://").unwrap().1;
        let port = address.rsplit_once(':').unwrap().1;
        let mut connection = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /getToken HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            host.replace("PORT", port)
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
    }

    /// The allowed origin in its response to a page of this origin.
    fn grants(&self, origin: &str) -> String {
        let address = self.started_with[0].rsplit_once("http://").unwrap().1;
        let mut connection = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /getToken HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\norigin: {origin}\r\ncontent-length: 0\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let granted = answer.lines().find_map(|line| line.strip_prefix("access-control-allow-origin: "));
        granted.unwrap_or_default().to_owned()
    }

    /// The next line that it writes.
    pub(crate) fn next_line(&mut self) -> String {
        line(&mut self.output)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.program.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Its exit code, when it ends.
    pub(crate) fn code(&mut self) -> i32 {
        self.program.wait().unwrap().code().expect("it ended by itself, not by the signal")
    }

    pub(crate) fn end(mut self, signal: &str) -> i32 {
        self.signal(signal);
        self.code()
    }

    /// What it has written to standard error, when it ends.
    pub(crate) fn errors(&mut self) -> String {
        self.signal("TERM");
        let mut text = String::new();
        self.program.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

/// A test that fails leaves nothing running.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.program.kill();
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended before its time");
    line.trim_end().to_owned()
}

/// Its one line of output when it can't start, after checking that it failed.
fn complaint(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let Output { status, stdout, stderr } = roompass(arguments, variables).output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stdout.is_empty());
    let complaint = String::from_utf8(stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint.trim_end().to_owned()
}

#[test]
fn it_says_what_it_does_warns_once_and_prints_a_curl_command_that_works() {
    for (arguments, path) in [
        (vec!["--listen", "127.0.0.1:0"], ""),
        (vec!["serve", "--listen", "127.0.0.1:0"], ""),
        (vec!["--listen", "127.0.0.1:0"], "/calls"),
    ] {
        let config = format!("http.base_path = \"{path}\"");
        let mut serving = Serving::start(roompass(&arguments, &[("ROOMPASS_CONFIG", &config)]), "Ctrl-C");
        let printed = serving.started_with.join("\n");
        assert_eq!(printed.matches("Warning: development mode").count(), 1, "{printed}");
        assert!(printed.contains("ws://localhost:7880") && printed.contains("devkey"), "{printed}");

        let (status, answer) = serving.as_the_curl_command_says();
        assert_eq!(status, "HTTP/1.1 201 Created");
        assert_eq!(answer["server_url"], "ws://localhost:7880");

        let logged = line(&mut serving.output);
        assert!(
            logged.contains("INFO token issued status=201") && logged.contains("room=\"hello\""),
            "{logged}"
        );
        assert!(!logged.contains(answer["participant_token"].as_str().unwrap()));
        assert_eq!(serving.end("INT"), 0);
    }
}

#[test]
fn with_keys_of_ones_own_no_page_but_those_loopback_reads_tokens() {
    const PAGES: [&str; 2] = ["http://localhost:5173", "https://a.example"];
    let (own, agora) = (OWN_KEYS, AGORAS_KEYS);
    let named = ("ROOMPASS_CORS_ORIGINS", "https://a.example");
    let here = "Warning: only web pages of this machine may read responses, because the keys are not LiveKit's development keys";
    for (variables, warns, granted) in [
        (&[][..], false, ["*", "*"]),
        (&own, true, ["http://localhost:5173", ""]),
        (&agora, true, ["http://localhost:5173", ""]),
        (&[own[0], own[1], named], false, ["", "https://a.example"]),
    ] {
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], variables), "Ctrl-C");
        assert_eq!(serving.started_with.iter().any(|line| line.contains(here)), warns, "{variables:?}");
        let grants = PAGES.map(|page| serving.grants(page));
        assert_eq!(grants, granted, "{variables:?}");
    }
}

const OWN_KEYS: [(&str, &str); 2] =
    [("LIVEKIT_API_KEY", "APIown"), ("LIVEKIT_API_SECRET", "a secret that is long enough to be one")];
const AGORAS_KEYS: [(&str, &str); 2] = [
    ("AGORA_APP_ID", "0123456789abcdef0123456789abcdef"),
    ("AGORA_APP_CERTIFICATE", "c0ffee00c0ffee00c0ffee00c0ffee00"),
];

#[test]
fn with_keys_of_ones_own_and_no_caller_a_page_that_is_named_as_this_machine_gets_nothing() {
    let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &OWN_KEYS), "Ctrl-C");
    for host in ["localhost", "localhost:PORT", "127.0.0.1:PORT", "[::1]:5173"] {
        assert_eq!(serving.asked_as(host).0, "HTTP/1.1 201 Created", "{host}");
    }
    for host in ["evil.example:PORT", "evil.example", "localhost.evil.example", ""] {
        let (status, problem) = serving.asked_as(host);
        assert_eq!(status, "HTTP/1.1 421 Misdirected Request", "{host}");
        assert_eq!((&problem["code"], &problem["status"]), (&"wrong_host".into(), &421.into()));
        assert!(!problem.to_string().contains("eyJ"), "nothing was minted");
    }
    for variables in [&[][..], &[OWN_KEYS[0], OWN_KEYS[1], ("ROOMPASS_CONFIG", crate::support::OPEN)]] {
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], variables), "Ctrl-C");
        assert_eq!(serving.asked_as("calls.example.com").0, "HTTP/1.1 201 Created", "{variables:?}");
    }
}

#[test]
fn a_warning_says_what_to_do() {
    let url = ("LIVEKIT_URL", "wss://x.example");
    let caller = "To turn authentication on, add a [[caller]] (docs/authentication.md).";
    let agora = "development mode: authentication is off, because no [[caller]] is configured, and every client gets valid Agora tokens, and tokens are signed with LiveKit's public development key";
    let server = "LIVEKIT_URL is not set, so clients connect to ws://localhost:7880: set it to the server that LIVEKIT_API_KEY is for";
    let origins = "set ROOMPASS_CORS_ORIGINS to allow other origins";
    let unset_keys = "LIVEKIT_URL is wss://x.example, but LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set: tokens are signed with devkey, and the server does not accept them unless it runs with --dev. Set both to a key pair of that server";
    for (variables, warned) in [
        (vec![], vec![caller]),
        (vec![url], vec![caller, unset_keys]),
        ([AGORAS_KEYS.to_vec(), vec![url]].concat(), vec![caller, agora, origins, unset_keys]),
        (vec![("LIVEKIT_URL", "ws://127.0.0.1:7880")], vec![caller]),
        (vec![("LIVEKIT_URL", "ws://localhost:7880")], vec![caller]),
        (OWN_KEYS.to_vec(), vec![caller, server, origins]),
        ([OWN_KEYS.to_vec(), vec![url]].concat(), vec![caller, origins]),
        (vec![("LIVEKIT_API_KEY", "devkey"), ("LIVEKIT_API_SECRET", "secret")], vec![caller]),
        (AGORAS_KEYS.to_vec(), vec![caller, agora, origins]),
        ([OWN_KEYS.to_vec(), vec![("ROOMPASS_CONFIG", crate::support::OPEN)]].concat(), vec![server]),
    ] {
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
        let printed = serving.started_with.join("\n");
        for line in [caller, agora, server, origins, unset_keys] {
            assert_eq!(printed.contains(line), warned.contains(&line), "{line}\n{printed}");
        }
    }
}

#[test]
fn it_says_which_origins_are_allowed() {
    let with = |cors: &str| format!("{}{cors}", crate::support::OPEN);
    let one = with("[cors]\norigins = ['https://a.example', 'http://localhost:*']");
    let (none, any) = (with(""), with("[cors]\norigins = ['https://a.example', '*']"));
    for (variables, pages) in [
        (vec![], "any"),
        (OWN_KEYS.to_vec(), "this machine"),
        (vec![("ROOMPASS_CONFIG", &*none)], "none"),
        (vec![("ROOMPASS_CONFIG", &*any)], "any"),
        (vec![("ROOMPASS_CONFIG", &*one)], "https://a.example, http://localhost:*"),
    ] {
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
        let line = format!("  allowed CORS origins: {pages}");
        assert!(serving.started_with.contains(&line), "{line}\n{:?}", serving.started_with);
        let json = ["--log", "json", "--listen", "127.0.0.1:0"];
        let serving = Serving::start(roompass(&json, &variables), "listening");
        let logged: Value = serde_json::from_str(serving.started_with.last().unwrap()).unwrap();
        assert_eq!(logged["origins"], pages);
    }
}

#[test]
fn it_writes_json_when_asked() {
    let mut serving =
        Serving::start(roompass(&["--log", "json", "--listen", "127.0.0.1:0"], &[]), "listening");
    assert!(serving.started_with.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let (_, answer) = serving.as_the_curl_command_says();
    let audit: Value = serde_json::from_str(&line(&mut serving.output)).unwrap();
    for (member, value) in [
        ("message", "token issued"),
        ("level", "INFO"),
        ("caller", "anyone"),
        ("rule", "development"),
        ("room", "hello"),
        ("grants", "{\"can_update_own_metadata\":true}"),
    ] {
        assert_eq!(audit[member], value);
    }
    assert_eq!((&audit["ttl_seconds"], &audit["status"]), (&600.into(), &201.into()));
    assert_eq!(audit["token_sha256"].as_str().unwrap().len(), 16);
    assert!(!audit.to_string().contains(answer["participant_token"].as_str().unwrap()));
    assert_eq!(serving.end("TERM"), 0);
}

#[test]
fn it_serves_the_policy_and_the_keys_it_is_given_without_a_warning() {
    let variables = [
        ("LIVEKIT_URL", "wss://x.example"),
        ("LIVEKIT_API_KEY", "key"),
        ("LIVEKIT_API_SECRET", crate::support::API_SECRET),
        ("ROOMPASS_CONFIG", crate::support::OPEN),
    ];
    let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
    assert!(!serving.started_with.join("\n").contains("Warning"));
    assert_eq!(serving.as_the_curl_command_says().1["server_url"], "wss://x.example");
    assert_eq!(serving.end("INT"), 0);
}

/// A directory with one file, which is deleted after the test.
struct MountedFile(std::path::PathBuf);

impl MountedFile {
    fn with(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("roompass-serve-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for MountedFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn keys_in_mounted_files_sign_tokens_and_verify_callers() {
    let secret = MountedFile::with("secret", &format!("{}\n", crate::support::API_SECRET));
    let livekits = MountedFile::with("keys", &format!("other: x\nkey: {}\n", crate::support::API_SECRET));
    let known = MountedFile::with("api-keys", &format!("{KEPT}\n"));
    let policy = "[[caller]]\nname = 'backend'\nkind = 'api-key'\n[[rule]]\nname = 'r'\ncallers = ['backend']\nrooms = ['*']";
    for of_livekit in [("LIVEKIT_API_SECRET_FILE", secret.path()), ("LIVEKIT_KEYS_FILE", livekits.path())] {
        let variables = [
            ("LIVEKIT_URL", "wss://x.example"),
            ("LIVEKIT_API_KEY", "key"),
            of_livekit,
            ("ROOMPASS_API_KEYS_FILE", known.path()),
            ("ROOMPASS_CONFIG", policy),
        ];
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
        let printed = serving.started_with.join("\n");
        assert!(!printed.contains("Warning") && !printed.contains(crate::support::API_SECRET), "{printed}");
        let (status, body) = serving.as_the_curl_command_says_with(&[("KEY", KEY)]);
        assert_eq!(status, "HTTP/1.1 201 Created", "{printed}");
        assert_eq!(unverified_claims(body["participant_token"].as_str().unwrap())["iss"], "key");
        assert_eq!(serving.end("INT"), 0);
    }
}

#[test]
fn with_agoras_keys_alone_it_still_signs_for_livekit_with_the_development_pair() {
    let (id, certificate) = ("0123456789abcdef0123456789abcdef", "c0ffee00c0ffee00c0ffee00c0ffee00");
    let variables = [
        ("AGORA_APP_ID", id),
        ("AGORA_APP_CERTIFICATE", certificate),
        ("ROOMPASS_CONFIG", crate::support::OPEN),
    ];
    let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
    let printed = serving.started_with.join("\n");
    assert!(printed.contains(id) && !printed.contains(certificate), "{printed}");
    assert!(printed.contains("tokens are signed with LiveKit's public development key"), "{printed}");
    assert_eq!(serving.as_the_curl_command_says().0, "HTTP/1.1 201 Created");
    assert_eq!(serving.end("INT"), 0);
}

/// An API key, and the policy and variables by which it's known.
const KEY: &str = "rpk_kvm0atq21drnfczyfcjmdfkg90fxh9ryac22bnjk";
const KEPT: &str = r#"{"web": "sha256:255b4520d7879ebaf6de352972893352d16aa147f128003c128e9a6ddad40751"}"#;

#[test]
fn the_curl_command_works_for_the_first_caller_that_curl_can_be() {
    let backend = "[[caller]]\nname = 'gate'\nkind = 'gateway'\nvia = 'jwt'\n[[caller]]\nname = 'backend'\nkind = 'api-key'\n";
    let anyone = "[[caller]]\nname = 'anyone'\nkind = 'anonymous'\n";
    let rule = |caller: &str, rooms: &str| format!("[[rule]]\nname = 'r'\ncallers = ['{caller}']\n{rooms}\n");
    for (config, room) in [
        (backend.to_owned() + &rule("backend", "rooms = ['call:*']\nwhen = { sub = 'web' }"), "call:hello"),
        (
            backend.to_owned() + &rule("backend", "rooms = ['user:{sub}:*']\ndefault_room = 'user:{sub}:1'"),
            "user:web:1",
        ),
        (backend.to_owned() + anyone + &rule("backend", "rooms = [\"it's *\"]"), "it's hello"),
        (
            anyone.to_owned()
                + &rule("anyone", "rooms = ['lobby', '*']\nclient_may_set = ['participant_name']"),
            "lobby",
        ),
        (anyone.to_owned() + &rule("anyone", "rooms = ['room-*']"), "room-hello"),
    ] {
        let variables = [("ROOMPASS_CONFIG", config.as_str()), ("ROOMPASS_API_KEYS", KEPT)];
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
        let (status, answer) = serving.as_the_curl_command_says_with(&[("KEY", KEY)]);
        assert_eq!(status, "HTTP/1.1 201 Created", "{config}\n{answer}");
        let claims = unverified_claims(answer["participant_token"].as_str().unwrap());
        assert_eq!(claims["video"]["room"], room);
        assert_eq!(serving.end("INT"), 0);
    }
}

#[test]
fn the_curl_command_takes_a_token_from_the_shell_and_says_what_a_room_has_to_look_like() {
    let caller = "[[caller]]\nname = 'app'\nkind = 'jwt'\nissuer = 'https://login.example.com/'\naudience = 'calls'\nalgorithms = ['RS256']\n";
    let rule = "[[rule]]\nname = 'r'\ncallers = ['app']\nrooms = ['{claims.team}:*']\n";
    let printed = |config: &str| {
        let serving =
            Serving::start(roompass(&["--listen", "127.0.0.1:0"], &[("ROOMPASS_CONFIG", config)]), "Ctrl-C");
        serving.started_with.join("\n")
    };
    for (more, ending) in [
        ("", r#"-d '{"room_name": "<claims.team>:hello"}'"#),
        (
            "default_room = '{claims.team}:1'\nclient_may_set = ['participant_name']",
            r#"-d '{"participant_name": "Ada"}'"#,
        ),
    ] {
        let printed = printed(&format!("{caller}{rule}{more}"));
        let line = format!(
            "/getToken -H 'Content-Type: application/json' -H \"Authorization: Bearer $TOKEN\" {ending}\n"
        );
        assert!(printed.contains(&line), "{printed}");
    }
    let gateway = "[[caller]]\nname = 'gate'\nkind = 'gateway'\nvia = 'jwt'\n";
    assert!(printed(gateway).contains(
        "Only a gateway authenticates callers, and there is none here: use --caller FILE to try it."
    ));
}

#[test]
fn the_curl_command_works_in_whatever_dialect_is_served() {
    let anyone = "[[caller]]\nname = 'anyone'\nkind = 'anonymous'\n";
    let rule = "[[rule]]\nname = 'r'\ncallers = ['anyone']\nrooms = ['red:*']\n";
    let (named, kiosk) = ("client_may_set = ['participant_name']", "identity = 'the kiosk'");
    for (dialects, more, path) in [
        ("'agora', 'token-server'", named, "/createToken -H"),
        ("'quickstart'", named, "/quickstart/token -H"),
        ("'quickstart'", kiosk, "/quickstart/token -H"),
        ("'openvidu'", kiosk, "/openvidu/token -H"),
        ("'meet'", kiosk, "/api/connection-details?roomName=red:hello&participantName='"),
        ("'meet'", named, "/api/connection-details?roomName=red:hello&participantName=Ada'"),
        ("'use-token'", kiosk, "/api/livekit/token?identity=the%20kiosk&roomName=red:hello'"),
        ("'openvidu'", "default_room = 'red:1'\nparticipant_name = 'Kiosk'", "/openvidu/token -H"),
        (
            "'sandbox'",
            "when = { sandbox_id = \"it's\" }",
            r"/api/v2/sandbox/connection-details -H 'Content-Type: application/json' -H 'X-Sandbox-ID: it'\''s'",
        ),
        ("'agora'", "client_may_set = ['participant_identity']", "/agora/rtc/red:hello/publisher/uid/7/'"),
        (
            "'agora'",
            "identity = 'the kiosk'\ngrants.can_publish = false",
            "/agora/rtc/red:hello/subscriber/userAccount/the%20kiosk/'",
        ),
    ] {
        let config =
            format!("dialects = [{dialects}]\nsandbox.ids = [\"it's\", \"other\"]\n{anyone}{rule}{more}\n");
        let variables = [
            ("ROOMPASS_CONFIG", config.as_str()),
            ("AGORA_APP_ID", "0123456789abcdef0123456789abcdef"),
            ("AGORA_APP_CERTIFICATE", "c0ffee00c0ffee00c0ffee00c0ffee00"),
        ];
        let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
        let printed = serving.started_with.join("\n");
        assert!(printed.contains(path), "{printed}");
        let (status, answer) = serving.as_the_curl_command_says();
        assert_eq!(status, "HTTP/1.1 200 OK", "{config}\n{answer}");
        assert!(answer.to_string().contains("eyJ") || answer["rtcToken"].is_string(), "{answer}");
        assert_eq!(serving.end("INT"), 0);
    }
}

#[test]
fn missing_settings_are_warned_about_at_the_start() {
    let config = "[[caller]]\nname = 'backend'\nkind = 'api-key'\n";
    let variables = [
        ("LIVEKIT_URL", "wss://x.example"),
        ("LIVEKIT_API_KEY", "key"),
        ("LIVEKIT_API_SECRET", "canary"),
        ("ROOMPASS_CONFIG", config),
    ];
    let serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &variables), "Ctrl-C");
    let printed = serving.started_with.join("\n");
    assert!(
        printed.contains(
            "Warning: caller \"backend\" authenticates with API keys, but ROOMPASS_API_KEYS has none"
        ),
        "{printed}"
    );
    assert!(printed.contains("Warning: LIVEKIT_API_SECRET is shorter than 32 bytes"), "{printed}");
    assert!(!printed.contains("canary"));
    let serving =
        Serving::start(roompass(&["--listen", "127.0.0.1:0", "--log", "json"], &variables), "listening");
    let logged: Vec<Value> =
        serving.started_with.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(logged.iter().filter(|line| line["level"] == "WARN").count(), 2, "{logged:?}");
}

#[test]
fn a_bad_configuration_is_one_clear_line() {
    assert_eq!(
        complaint(&[], &[("ROOMPASS_CONFIG", "[[rule]]\nname = \"r\"\ncallers = [\"x\"]\nrooms = [\"*\"]")]),
        "roompass: ROOMPASS_CONFIG:3:1: rule \"r\" has the unknown caller \"x\": no [[caller]] has that name (in `callers = [\"x\"]`)"
    );
    let unreadable = complaint(&[], &[("ROOMPASS_CONFIG", "no/such.toml")]);
    assert!(unreadable.starts_with("roompass: ROOMPASS_CONFIG: cannot read no/such.toml: "), "{unreadable}");
}

#[test]
fn a_bad_key_is_one_clear_line_that_does_not_show_it() {
    for (variables, message) in [
        (
            vec![("LIVEKIT_API_KEY", "canary")],
            "roompass: LIVEKIT_API_SECRET: must be set together with LIVEKIT_API_KEY",
        ),
        (
            vec![("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET", " canary")],
            "roompass: LIVEKIT_API_SECRET: has white space around it",
        ),
        (
            vec![("ROOMPASS_API_KEYS", r#"{"web": "canary"}"#)],
            "roompass: ROOMPASS_API_KEYS: has a key \"web\" that is neither \"sha256:…\" with 64 hexadecimal digits, nor {\"hash\": …, \"expires\": \"2027-01-01T00:00:00Z\"}",
        ),
        (
            vec![("LIVEKIT_URL", "canary")],
            "roompass: LIVEKIT_URL: must be a URL such as wss://my-project.livekit.cloud",
        ),
        (
            vec![("AGORA_APP_ID", "canary")],
            "roompass: AGORA_APP_CERTIFICATE: must be set together with AGORA_APP_ID",
        ),
        (
            vec![("AGORA_APP_ID", "0123456789abcdef0123456789abcdef"), ("AGORA_APP_CERTIFICATE", "canary")],
            "roompass: AGORA_APP_CERTIFICATE: must be 32 hexadecimal digits, as Agora's console shows it",
        ),
        (
            vec![("ROOMPASS_SECRET_ID", "canary")],
            "roompass: ROOMPASS_SECRET_ID: is for the function in Lambda: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET here",
        ),
        (
            vec![("ROOMPASS_PARAMETER", "canary")],
            "roompass: ROOMPASS_PARAMETER: is for the function in Lambda: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET here",
        ),
        (
            vec![("LIVEKIT_KEYS", "a: canary\nb: canary")],
            "roompass: LIVEKIT_KEYS: has 2 key pairs: set LIVEKIT_API_KEY to the key of the one that signs tokens",
        ),
        (
            vec![("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET_FILE", "/no/such/canary")],
            "roompass: LIVEKIT_API_SECRET_FILE: must be the path of a readable file: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(complaint(&[], &variables), message);
    }
}

/// The response to a GET at this address: the status line, the headers, and the body.
fn get(address: &str, path: &str, headers: &str) -> (String, String) {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn metrics_are_served_by_a_listener_of_their_own_alone() {
    let arguments = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let serving = Serving::start(roompass(&arguments, &[]), "serving metrics");
    let service = serving.started_with[0].rsplit_once("http://").unwrap().1;
    let metrics = serving.started_with.last().unwrap().split('"').nth(1).unwrap();
    let own = format!("host: {metrics}\r\n");
    serving.as_the_curl_command_says();
    let (head, text) = get(metrics, "/metrics", &own);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    let token = "roompass_tokens_issued_total{rule=\"development\",caller=\"anyone\",dialect=\"standard\",project=\"default\"} 1";
    assert!(text.contains(token), "{text}");
    assert!(text.contains("\nroompass_signing_keys_age_seconds{project=\"default\"} "), "{text}");

    // Not to clients of the service, not to a page whose host name points here, and not through a proxy.
    assert!(get(service, "/metrics", &format!("host: {service}\r\n")).0.starts_with("HTTP/1.1 404 "));
    for headers in ["host: evil.example\r\n".to_owned(), own.clone() + "x-forwarded-for: 192.0.2.1\r\n"] {
        assert!(get(metrics, "/metrics", &headers).0.starts_with("HTTP/1.1 403 "), "{headers}");
    }
    assert!(get(metrics, "/getToken", &own).0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn settings_of_metrics_that_cannot_work_are_one_clear_line() {
    assert_eq!(
        complaint(&[], &[("ROOMPASS_METRICS", "emf")]),
        "roompass: ROOMPASS_METRICS: is for the function in Lambda: use --metrics-listen here"
    );
    assert_eq!(
        complaint(&[], &[("ROOMPASS_METRICS", "yes")]),
        "roompass: ROOMPASS_METRICS: must be emf, or unset for no metrics"
    );
}

#[test]
fn a_taken_port_of_the_metrics_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let complaint = complaint(&["--listen", "127.0.0.1:0", "--metrics-listen", &address], &[]);
    assert!(
        complaint.starts_with(&format!("roompass: cannot listen on {address}: "))
            && complaint.contains("--metrics-listen"),
        "{complaint}"
    );
}
