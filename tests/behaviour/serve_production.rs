//! `roompass serve` in production: who may connect, limits, reloads, the log behind a proxy, and stopping.

use std::convert::Infallible;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use livekit_api::access_token::TokenVerifier;
use roompass::http::ReadBodyBy;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::serve::{Serving, roompass};
use crate::support::{API_SECRET, OPEN, service};

const ON_A_FREE_PORT: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
const KEYS: [(&str, &str); 2] = [("LIVEKIT_API_KEY", "APIown"), ("LIVEKIT_API_SECRET", API_SECRET)];

/// A folder that is deleted after the test.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, file: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("roompass-production-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = Self(folder);
        folder.write(file, text);
        folder
    }

    /// Replaces a file, as `mv` and Kubernetes do.
    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join("next"), text).unwrap();
        fs::rename(self.0.join("next"), self.0.join(file)).unwrap();
    }

    /// The program in this folder.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = roompass(arguments, variables);
        command.current_dir(&self.0);
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Serving {
    Serving::start(roompass(&[&ON_A_FREE_PORT, arguments].concat(), variables), "Ctrl-C")
}

/// A connection to the program.
fn connect(serving: &Serving) -> TcpStream {
    let address = serving.started_with.iter().find_map(|line| line.split_once("http://")).unwrap().1;
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Everything that the program sends on this connection until it closes it.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(text).unwrap()
}

fn request(more: &str) -> String {
    format!(
        "POST /getToken HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}content-length: 2\r\n\r\n{{}}"
    )
}

/// The error of the program when it doesn't start.
fn error(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn without_authentication_other_machines_connect_only_if_a_flag_allows_it() {
    let everywhere = ["serve", "--listen", "0.0.0.0:0"];
    let allowed = [&everywhere[..], &["--allow-unauthenticated-network-access"]].concat();
    for variables in [&[][..], &KEYS] {
        assert_eq!(
            error(&mut roompass(&everywhere, variables)),
            "roompass: other machines could connect, and authentication is off, because no [[caller]] is configured: add a \
             [[caller]] (docs/authentication.md), or listen on 127.0.0.1, or give every client of the network access with \
             --allow-unauthenticated-network-access\n"
        );
        let serving = Serving::start(roompass(&allowed, variables), "Ctrl-C");
        let printed = serving.started_with.join("\n");
        assert!(printed.contains("development mode: authentication is off"), "{printed}");
        assert!(!printed.contains("in a browser"), "the page is for this machine: {printed}");
    }
    let with_caller = Folder::with("exposed", "claims.json", r#"{"sub": "ada"}"#);
    let config = "[[caller]]\nname = 'app'\nkind = 'jwt'\nissuer = 'https://login.example.com/'\naudience = 'calls'\n\
                  algorithms = ['RS256']\n[[rule]]\nname = 'r'\ncallers = ['app']\nrooms = ['*']\n";
    let variables = [("ROOMPASS_CONFIG", config)];
    let as_ada = [&everywhere[..], &["--caller", "claims.json"]].concat();
    assert!(
        error(&mut with_caller.run(&as_ada, &variables)).contains("because --caller is set: leave it out")
    );
    Serving::start(roompass(&everywhere, &variables), "Ctrl-C");
}

#[test]
fn if_the_default_port_is_in_use_the_next_free_one_is_used_and_named() {
    // Another program may use it already.
    let _taken = TcpListener::bind("127.0.0.1:3000");
    let serving = Serving::start(roompass(&["serve"], &[]), "Ctrl-C");
    let address = serving.started_with[0].split_once("http://127.0.0.1:").unwrap().1;
    let port: u16 = address.parse().unwrap();
    assert!((3001..3010).contains(&port), "{port}");
    let warning = format!(
        "Warning: port 3000 is in use, so this is port {port}: choose one with --listen 127.0.0.1:PORT"
    );
    assert!(serving.started_with.contains(&warning), "{:?}", serving.started_with);
    assert_eq!(serving.as_the_curl_command_says().0, "HTTP/1.1 201 Created");
}

#[test]
fn a_chosen_port_that_is_in_use_is_an_error_with_a_free_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = error(&mut roompass(&["serve", "--listen", &address], &[]));
    assert!(
        error.starts_with(&format!("roompass: cannot listen on {address}: Address already in use")),
        "{error}"
    );
    let free = error.trim_end().rsplit_once("with --listen, such as ").unwrap().1;
    TcpListener::bind(free).unwrap();
}

#[test]
fn hangup_reads_the_configuration_again_and_mistakes_never_replace_it() {
    let folder = Folder::with("hangup", "roompass.toml", OPEN);
    let mut serving = Serving::start(folder.run(&ON_A_FREE_PORT, &[]), "Ctrl-C");
    assert!(serving.asked_as("localhost").0.contains("201"));
    serving.next_line();

    folder.write("roompass.toml", &format!("[[deny]]\ncallers = ['anyone']\n{OPEN}"));
    serving.signal("HUP");
    let line = serving.next_line();
    assert!(line.contains("INFO configuration reloaded version="), "{line}");
    assert_eq!(serving.asked_as("localhost").1["code"], "denied");
    serving.next_line();

    folder.write("roompass.toml", "[[deny]]\ncaller = ['anyone']\n[cors]\norigin = []\n");
    serving.signal("HUP");
    let lines = [serving.next_line(), serving.next_line()].join("\n");
    assert_eq!(
        lines.matches("ERROR reload failed; using the previous configuration cause=").count(),
        2,
        "{lines}"
    );
    assert!(lines.contains("roompass.toml:2:1: unknown field `caller`"), "{lines}");
    assert_eq!(serving.asked_as("localhost").1["code"], "denied");
    serving.next_line();

    folder.write("roompass.toml", OPEN);
    serving.signal("HUP");
    assert!(serving.next_line().contains("configuration reloaded"));
    assert!(serving.asked_as("localhost").0.contains("201"));
    assert_eq!(serving.end("TERM"), 0);
}

#[test]
fn hangup_reads_key_files_again() {
    let folder = Folder::with("keys", "secret", API_SECRET);
    let file = folder.0.join("secret");
    let variables = [
        ("LIVEKIT_API_KEY", "APIown"),
        ("LIVEKIT_API_SECRET_FILE", file.to_str().unwrap()),
        ("ROOMPASS_CONFIG", OPEN),
    ];
    let mut serving = Serving::start(folder.run(&ON_A_FREE_PORT, &variables), "Ctrl-C");
    let signs_with = |serving: &Serving, secret: &str| {
        let answer = serving.asked_as("localhost").1;
        verified(answer["participant_token"].as_str().unwrap(), "APIown", secret)
    };
    assert!(signs_with(&serving, API_SECRET));
    serving.next_line();
    let next = API_SECRET.to_uppercase();
    folder.write("secret", &next);
    serving.signal("HUP");
    while !serving.next_line().contains("configuration reloaded") {}
    assert!(signs_with(&serving, &next) && !signs_with(&serving, API_SECRET));
}

fn verified(token: &str, key: &str, secret: &str) -> bool {
    TokenVerifier::with_api_key(key, secret).verify(token).is_ok()
}

#[test]
fn on_all_addresses_the_printed_curl_command_uses_the_loopback_address() {
    let folder = Folder::with("all-addresses", "roompass.toml", OPEN);
    let serving = Serving::start(folder.run(&["serve", "--listen", "0.0.0.0:0"], &[]), "Ctrl-C");
    let started = serving.started_with.join("\n");
    assert!(started.contains("listening on http://0.0.0.0:"), "{started}");
    assert!(started.contains("curl -X POST http://127.0.0.1:"), "{started}");
    assert!(serving.as_the_curl_command_says().0.contains(" 201 "));
}

#[test]
fn a_reload_never_turns_authentication_off_for_other_machines() {
    let folder = Folder::with("reload-exposed", "roompass.toml", OPEN);
    let mut serving = Serving::start(folder.run(&["serve", "--listen", "0.0.0.0:0"], &[]), "Ctrl-C");
    folder.write("roompass.toml", "");
    serving.signal("HUP");
    let line = serving.next_line();
    assert!(
        line.contains("ERROR reload failed; using the previous configuration cause=\"other machines"),
        "{line}"
    );
    assert!(serving.asked_as("localhost").0.contains("201"));
}

#[test]
fn a_reload_never_turns_authentication_off_on_this_machine_either() {
    let folder = Folder::with("reload-empty", "roompass.toml", OPEN);
    let mut serving = Serving::start(folder.run(&ON_A_FREE_PORT, &KEYS), "Ctrl-C");
    let refused = |serving: &mut Serving, cause: &str| {
        serving.signal("HUP");
        let line = serving.next_line();
        assert!(line.contains("ERROR reload failed; using the previous configuration cause=\""), "{line}");
        assert!(line.contains(cause), "{line}");
        let (status, body) = serving.asked_as("localhost");
        assert!(status.contains("201") && !body.to_string().contains("development"), "{status} {body}");
        let line = serving.next_line();
        assert!(line.contains("rule=\"open\""), "{line}");
    };
    folder.write("roompass.toml", "");
    refused(
        &mut serving,
        "the configuration has no [[caller]], so authentication would be off: add a [[caller]]",
    );
    fs::remove_file(folder.0.join("roompass.toml")).unwrap();
    refused(&mut serving, "roompass.toml is missing");
}

#[test]
fn a_watched_configuration_is_reloaded_when_it_changes() {
    let folder = Folder::with("watch", "roompass.toml", OPEN);
    let watching = [&ON_A_FREE_PORT[..], &["--watch"]].concat();
    let mut serving = Serving::start(folder.run(&watching, &[]), "Ctrl-C");
    folder.write("roompass.toml", &format!("[[deny]]\ncallers = ['anyone']\n{OPEN}"));
    let line = serving.next_line();
    assert!(line.contains("configuration reloaded version="), "{line}");
    assert_eq!(serving.asked_as("localhost").1["code"], "denied");

    assert_eq!(
        error(&mut roompass(&watching, &[("ROOMPASS_CONFIG", OPEN)])),
        "roompass: --watch needs a configuration file: name it with --config, or create roompass.toml in this folder\n"
    );
}

#[test]
fn variables_of_the_env_file_count_unless_they_are_set() {
    let env = format!(
        "# comment\nLIVEKIT_URL=wss://file.example\nLIVEKIT_API_KEY=APIfile\nexport LIVEKIT_API_SECRET='{API_SECRET}'\nOTHER=1\n"
    );
    let folder = Folder::with("env", ".env", &env);
    let variables = [("ROOMPASS_CONFIG", OPEN), ("LIVEKIT_URL", "wss://set.example")];
    let mut serving = Serving::start(folder.run(&ON_A_FREE_PORT, &variables), "Ctrl-C");
    let answer = serving.as_the_curl_command_says().1;
    assert_eq!(answer["server_url"], "wss://set.example");
    assert!(verified(answer["participant_token"].as_str().unwrap(), "APIfile", API_SECRET));
    assert_eq!(
        serving.errors(),
        "roompass: read from .env: LIVEKIT_API_KEY, LIVEKIT_API_SECRET, 1 other variable\n"
    );

    folder.write(".env", "LIVEKIT_API_KEY=APIfile\nLIVEKIT_API_SECRET canary\n");
    assert_eq!(
        error(&mut folder.run(&ON_A_FREE_PORT, &[])),
        "roompass: .env:2: must be NAME=value, with quotes around a value that has white space, # or $\n"
    );
}

#[test]
fn liveness_does_not_depend_on_keys_or_the_policy_and_is_not_logged() {
    let mut serving = start(&[], &[("ROOMPASS_CONFIG", "dialects = ['agora']")]);
    for (path, status) in [("/livez", "200 OK"), ("/healthz", "503 Service Unavailable")] {
        let mut stream = connect(&serving);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let response = rest(&mut stream);
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{response}");
        assert!(response.contains("cache-control: no-store\r\n"), "{response}");
    }
    let line = serving.next_line();
    assert!(line.contains("/healthz"), "{line}");
}

#[test]
fn a_head_that_is_too_large_is_refused_and_one_with_a_long_token_is_not() {
    let serving = start(&[], &[("ROOMPASS_CONFIG", OPEN)]);
    for (size, status) in [(24 * 1024, "201 Created"), (40 * 1024, "431 Request Header Fields Too Large")] {
        let mut stream = connect(&serving);
        let header = format!("x-long: {}\r\n", "x".repeat(size));
        stream.write_all(request(&header).as_bytes()).unwrap();
        let response = rest(&mut stream);
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{size}: {response}");
    }
}

#[test]
fn more_connections_than_the_limit_wait_until_one_closes() {
    let serving = start(&["--max-connections", "2"], &[("ROOMPASS_CONFIG", OPEN)]);
    let open = [connect(&serving), connect(&serving)];
    let mut waiting = connect(&serving);
    waiting.write_all(request("").as_bytes()).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let error = waiting.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    drop(open);
    assert!(rest(&mut waiting).starts_with("HTTP/1.1 201 Created\r\n"));
}

#[test]
fn the_log_has_the_clients_address_and_the_request_id_of_a_trusted_proxy_only() {
    let headers = "x-forwarded-for: 198.51.100.1, 203.0.113.9\r\nx-request-id: of-the-proxy\r\n";
    for (options, is_trusted) in [(&[][..], false), (&["--trusted-proxy", "127.0.0.1,10.0.0.0/8"], true)] {
        let mut serving = start(options, &[("ROOMPASS_CONFIG", OPEN)]);
        let mut stream = connect(&serving);
        stream.write_all(request(headers).as_bytes()).unwrap();
        let response = rest(&mut stream);
        let line = serving.next_line();
        assert!(line.contains("token issued"), "{line}");
        assert_eq!(line.contains("client_address=\"203.0.113.9\""), is_trusted, "{line}");
        assert_eq!(line.contains("request_id=\"of-the-proxy\""), is_trusted, "{line}");
        assert_eq!(response.contains("x-request-id: of-the-proxy\r\n"), is_trusted, "{response}");
        assert!(!line.contains("198.51.100.1"), "{line}");
    }
    let unknown = error(&mut roompass(&["serve", "--trusted-proxy", "proxy.example"], &[]));
    assert!(
        unknown.contains("must be an IP address such as 10.0.0.7, or a network such as 10.0.0.0/8"),
        "{unknown}"
    );
}

#[test]
fn requests_that_have_arrived_are_answered_before_it_stops() {
    let mut serving = start(&[], &[("ROOMPASS_CONFIG", OPEN)]);
    let mut idle = connect(&serving);
    let whole = request("");
    let (mut in_body, mut in_head) = (connect(&serving), connect(&serving));
    in_body.write_all(&whole.as_bytes()[..whole.len() - 1]).unwrap();
    in_head.write_all(&whole.as_bytes()[..whole.len() - 9]).unwrap();
    // An answered request shows that the program has read the others.
    let mut answered = connect(&serving);
    answered.write_all(whole.as_bytes()).unwrap();
    assert!(rest(&mut answered).starts_with("HTTP/1.1 201 Created\r\n"));

    serving.signal("TERM");
    assert_eq!(rest(&mut idle), "", "an idle connection is closed");
    assert_eq!(
        TcpStream::connect(in_body.peer_addr().unwrap()).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    for (stream, missing) in [(&mut in_body, 1), (&mut in_head, 9)] {
        stream.write_all(&whole.as_bytes()[whole.len() - missing..]).unwrap();
        assert!(rest(stream).starts_with("HTTP/1.1 201 Created\r\n"));
    }
    while !serving.next_line().ends_with("stopped") {}
    assert_eq!(serving.code(), 0);
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let mut serving = start(&[], &[("ROOMPASS_CONFIG", OPEN)]);
    let mut idle = connect(&serving);
    let mut waiting = connect(&serving);
    let whole = request("");
    waiting.write_all(&whole.as_bytes()[..whole.len() - 1]).unwrap();
    let mut answered = connect(&serving);
    answered.write_all(whole.as_bytes()).unwrap();
    rest(&mut answered);
    serving.signal("INT");
    assert_eq!(rest(&mut idle), "", "it is stopping");
    serving.signal("INT");
    assert_eq!(rest(&mut waiting), "");
    assert_eq!(serving.code(), 0);
}

/// A body without a first byte.
struct NeverComplete;

impl HttpBody for NeverComplete {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_complete_in_time_is_refused() {
    let limit = Duration::from_secs(10);
    let mut request = Request::post("/getToken").body(Body::new(NeverComplete)).unwrap();
    request.extensions_mut().insert(ReadBodyBy(Instant::now() + limit));
    let started = Instant::now();
    let response = service(OPEN).oneshot(request).await.unwrap();
    assert_eq!((response.status(), started.elapsed()), (StatusCode::REQUEST_TIMEOUT, limit));
    let body: serde_json::Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["code"], "body_timeout");
    assert_eq!(body["detail"], "The body took too long to arrive. Send the request again.");
}
