//! `roompass doctor`, with a local fault for each of its findings.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::issuer::Key;
use crate::serve::{Serving, roompass};

/// A server whose response depends on the request's first line.
pub(crate) struct StandIn {
    pub(crate) address: String,
}

impl StandIn {
    /// A server that answers with these lines of a head, and this body.
    fn new(answer: impl Fn(&str, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = address.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let request = read(&mut connection);
                let _ = connection.write_all(answer(&request, &own).as_bytes());
            }
        });
        Self { address }
    }

    pub(crate) fn always(head: &'static str, body: &'static str) -> Self {
        Self::new(move |_, _| response(head, body))
    }

    /// An issuer with this OpenID configuration and this key set.
    fn issuer(configuration: impl Fn(&str) -> Value + Send + 'static, keys: Value) -> Self {
        Self::new(move |request, address| {
            let is_discovery = request.starts_with("GET /.well-known/openid-configuration ");
            let body = if is_discovery { configuration(&format!("http://{address}")) } else { keys.clone() };
            response("200 OK", &body.to_string())
        })
    }
}

/// A request with its body.
fn read(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap() > 0 {
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    connection.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn response(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// An address where nothing listens.
fn nowhere() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// An empty folder, so that no samconfig.toml is read.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("roompass-doctor-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the command prints, in one line a check, and the exit code.
fn examined(
    arguments: &[&str],
    variables: &[(&str, &str)],
    folder: &PathBuf,
    input: &str,
) -> (String, String, i32) {
    let arguments = [&["doctor"], arguments].concat();
    let mut command = roompass(&arguments, variables);
    let mut program = command.current_dir(folder).stdin(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let page = text(output.stdout).replace("\n         ", " ");
    assert!(!page.contains("canary") && !page.contains("eyJ"), "a secret or a token is printed: {page}");
    (page, text(output.stderr), output.status.code().unwrap())
}

/// The findings for a configuration: each as its three texts.
fn findings(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Vec<[String; 3]> {
    let variables = [&[("ROOMPASS_CONFIG", config)], variables].concat();
    let arguments = [arguments, &["--json"]].concat();
    let (json, error, code) = examined(&arguments, &variables, &std::env::temp_dir(), "");
    assert_eq!(error, "");
    let report: Value = serde_json::from_str(&json).unwrap();
    let findings = report["checks"].as_array().unwrap().iter().filter(|check| check["result"] == "finding");
    let texts = |check: &Value| ["what", "why", "fix"].map(|name| check[name].as_str().unwrap().to_owned());
    let findings: Vec<_> = findings.map(texts).collect();
    assert_eq!(
        (report["findings"].as_u64(), code),
        (Some(findings.len() as u64), i32::from(!findings.is_empty()))
    );
    findings
}

/// The only finding whose text begins with this.
fn finding(findings: &[[String; 3]], start: &str) -> [String; 3] {
    let matching: Vec<_> = findings.iter().filter(|[what, ..]| what.starts_with(start)).collect();
    assert_eq!(matching.len(), 1, "{start}: {findings:#?}");
    matching[0].clone()
}

/// A policy for tokens of an issuer, without LiveKit.
fn of_issuer(issuer: &str, more: &str) -> String {
    format!(
        "dialects = [\"agora\"]\n[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"{issuer}\"\naudience = \"calls\"\n\
         algorithms = [\"ES256\"]\n{more}\n[[rule]]\nname = \"all\"\ncallers = [\"app\"]\nrooms = [\"*\"]\nidentity = \"{{sub}}\"\n"
    )
}

const AGORA: [(&str, &str); 2] = [
    ("AGORA_APP_ID", "0123456789abcdef0123456789abcdef"),
    ("AGORA_APP_CERTIFICATE", "c0ffee00c0ffee00c0ffee00c0ffee00"),
];

#[test]
fn a_fault_of_an_issuer_is_found_with_its_fix() {
    let key = Key::new("one", "ES256");
    let set = json!({ "keys": [key.jwk()] });
    let own = |url: &str| json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
    let other =
        |url: &str| json!({ "issuer": "https://login.example.com/", "jwks_uri": format!("{url}/keys") });
    let good = StandIn::issuer(own, set.clone());
    assert_eq!(
        findings(&of_issuer(&format!("http://{}", good.address), ""), &[], &AGORA),
        Vec::<[String; 3]>::new()
    );
    for (server, what, why, fix) in [
        (
            StandIn::issuer(other, set),
            "the OpenID configuration is for a different issuer",
            "the OpenID configuration is for a different issuer",
            "Set `issuer` to \"https://login.example.com/\", if its tokens have this `iss`.",
        ),
        (
            StandIn::issuer(own, json!({ "keys": [] })),
            "no usable key",
            "the key set has no usable key",
            "Compare `algorithms`, which is ES256, with `alg` in a token's header and the keys of the set.",
        ),
        (
            StandIn::always("404 Not Found", "nothing"),
            "no OpenID configuration or key set",
            "/.well-known/openid-configuration: HTTP status 404 Not Found",
            "Copy `issuer` from a token's `iss`. If it is right, the provider has no discovery: set `jwks_url`.",
        ),
        (
            StandIn::always("302 Found\r\nlocation: https://login.example.com/", ""),
            "no OpenID configuration or key set",
            "/.well-known/openid-configuration: HTTP status 302 Found",
            "Open the URL in a browser, and set `issuer` to one that returns JSON without a redirect.",
        ),
        (
            StandIn::always("200 OK", "<html>"),
            "invalid OpenID configuration or key set",
            "the OpenID configuration is not valid JSON",
            "Compare `issuer` and `jwks_url` with your provider's page in docs/providers.",
        ),
        (
            StandIn { address: nowhere() },
            "unreachable",
            "Connection refused",
            "Compare the URL with your provider's. If it is right, allow this network to reach it, and check its TLS certificate.",
        ),
    ] {
        let url = format!("http://{}", server.address);
        let found = findings(&of_issuer(&url, ""), &[], &AGORA);
        let [found_what, found_why, found_fix] = finding(&found, "issuer ");
        assert_eq!((found.len(), found_what), (1, format!("issuer {url}: {what}")));
        assert!(found_why.contains("return 503") && found_why.contains(why), "{found_why}");
        assert_eq!(found_fix, fix);
    }
}

#[test]
fn a_key_set_at_its_own_url_is_fetched_too() {
    let server = StandIn::always("404 Not Found", "");
    let more = format!("jwks_url = \"http://{}/keys\"", server.address);
    let [what, _, fix] =
        finding(&findings(&of_issuer("https://login.example.com/", &more), &[], &AGORA), "issuer ");
    assert_eq!(what, "issuer https://login.example.com/: no OpenID configuration or key set");
    assert!(fix.contains("set `jwks_url` to one that returns JSON"), "{fix}");
}

#[test]
fn clocks_of_an_issuer_a_livekit_server_and_an_endpoint_are_compared_with_this_machines() {
    let old = || StandIn::always("200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT", "{}");
    let (issuer, livekit, endpoint) = (old(), old(), old());
    let config = of_issuer(&format!("http://{}", issuer.address), "").replace("dialects = [\"agora\"]\n", "");
    let server = format!("ws://{}", livekit.address);
    let url = format!("http://{}/getToken", endpoint.address);
    let found = findings(&config, &["--url", &url], &[("LIVEKIT_URL", &server)]);
    for name in [
        format!("issuer http://{}", issuer.address),
        format!("LiveKit server {server}"),
        format!("endpoint {url}"),
    ] {
        let [what, why, fix] = finding(&found, &format!("clock of {name}: "));
        assert!(what.ends_with(" behind this machine's") && what.contains("years"), "{what}");
        assert!(why.contains("60 seconds") && fix.contains("NTP"), "{why} {fix}");
    }
}

const GUESTS: &str = "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n[[rule]]\nname = \"guests\"\ncallers = [\"anyone\"]\nrooms = [\"lobby\"]\n";

#[test]
fn a_wrong_secret_an_unknown_key_a_wrong_url_and_a_stopped_server_are_different_findings() {
    let echo = |text: &'static str| {
        StandIn::new(move |request, _| {
            let bearer =
                request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
            assert!(request.starts_with("POST /twirp/livekit.RoomService/ListParticipants "), "{request}");
            response("401 Unauthorized", &text.replace("TOKEN", bearer))
        })
    };
    let pair = [("LIVEKIT_API_KEY", "APIown"), ("LIVEKIT_API_SECRET", "canary of thirty-two bytes or more")];
    for (server, what, why, fix) in [
        (
            echo("invalid token: TOKEN, error: token signature is invalid: signature is invalid"),
            "LIVEKIT_API_SECRET is wrong",
            "The server knows the API key APIown, and refuses the signature.",
            "Set LIVEKIT_API_SECRET to the secret of APIown, or create a new pair.",
        ),
        (
            echo("invalid API key: APIown"),
            "unknown API key APIown",
            "The server refuses every token of this key: it is of another project or server, or was deleted.",
            "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET to a pair of this server, or LIVEKIT_URL to the server of this pair.",
        ),
        (
            echo("invalid token: TOKEN, error: token has invalid claims: token is expired"),
            "the token's times are refused",
            "The server accepts the keys, but its clock differs from this machine's by more than a minute.",
            "Synchronise both clocks by NTP.",
        ),
        (
            echo("<html>Sign in: TOKEN</html>"),
            "not a LiveKit server",
            "It returned 401 Unauthorized without a response of LiveKit's server API.",
            "Set LIVEKIT_URL to the URL of your project in LiveKit Cloud, or of your server, without a path.",
        ),
        (
            StandIn::always("200 OK", "<html>Welcome</html>"),
            "not a LiveKit server",
            "It returned 200 OK without a response of LiveKit's server API.",
            "Set LIVEKIT_URL to the URL of your project in LiveKit Cloud, or of your server, without a path.",
        ),
    ] {
        let url = format!("ws://{}", server.address);
        let found = findings(GUESTS, &[], &[&pair[..], &[("LIVEKIT_URL", &url)]].concat());
        assert_eq!(found, [[format!("LiveKit server {url}: {what}"), why.to_owned(), fix.to_owned()]]);
    }
    let url = format!("ws://{}", nowhere());
    let found = findings(GUESTS, &[], &[&pair[..], &[("LIVEKIT_URL", &url)]].concat());
    let [what, why, _] = finding(&found, "LiveKit server ");
    assert_eq!(what, format!("LiveKit server {url}: unreachable"));
    assert!(why.contains("Connection refused"), "{why}");
    let fine = StandIn::always("200 OK", "{\"participants\":[]}");
    let url = format!("ws://{}", fine.address);
    assert_eq!(
        findings(GUESTS, &[], &[&pair[..], &[("LIVEKIT_URL", &url)]].concat()),
        Vec::<[String; 3]>::new()
    );
}

/// Findings of a policy whose LiveKit server is fine.
fn of_endpoint(config: &str, url: &str) -> Vec<[String; 3]> {
    let livekit = StandIn::always("200 OK", "{\"participants\":[]}");
    findings(config, &["--url", url], &[("LIVEKIT_URL", &format!("ws://{}", livekit.address))])
}

const PAGES: &str = "[cors]\norigins = [\"https://app.example.com\", \"http://localhost:*\"]\n";

#[test]
fn an_endpoint_that_lacks_an_origin_or_a_caller_or_that_is_open_is_found() {
    let config = format!("{PAGES}{GUESTS}");
    let serving = |config: &str| {
        Serving::start(
            roompass(&["serve", "--listen", "127.0.0.1:0"], &[("ROOMPASS_CONFIG", config)]),
            "Press Ctrl-C",
        )
    };
    let url = |serving: &Serving| format!("{}/getToken", serving.started_with[0].rsplit_once(' ').unwrap().1);
    let same = serving(&config);
    assert_eq!(of_endpoint(&config, &url(&same)), Vec::<[String; 3]>::new());
    // The running endpoint has an older configuration, without one of the origins.
    let lacking = serving(&config.replace("\"https://app.example.com\", ", ""));
    let found = of_endpoint(&config, &url(&lacking));
    let [what, why, fix] = finding(&found, "CORS: ");
    assert_eq!(
        (found.len(), what.as_str()),
        (1, "CORS: pages of https://app.example.com can't use the endpoint")
    );
    assert_eq!(why, "The response to the preflight request (OPTIONS) does not allow this origin.");
    assert!(fix.contains("AllowedOrigins"), "{fix}");
    for (answers, what, why) in [
        (
            [
                "204 No Content\r\naccess-control-allow-origin: *\r\naccess-control-allow-headers: *",
                "401 Unauthorized\r\naccess-control-allow-origin: *",
            ],
            "CORS: pages of ",
            "does not allow the header Authorization",
        ),
        (
            [
                "204 No Content\r\naccess-control-allow-origin: *\r\naccess-control-allow-headers: authorization",
                "401 Unauthorized",
            ],
            "CORS: pages of ",
            "The response to POST does not allow this origin",
        ),
        (
            ["403 Forbidden", "401 Unauthorized"],
            "CORS: pages of ",
            "The preflight request (OPTIONS) returned 403 Forbidden.",
        ),
        (["204 No Content", "201 Created"], "endpoint ", "without checking the credential"),
        (["204 No Content", "404 Not Found"], "endpoint ", "This URL is not a route for tokens."),
        (["204 No Content", "502 Bad Gateway"], "endpoint ", "must return 401"),
    ] {
        let server = StandIn::new(move |request, _| {
            response(answers[usize::from(!request.starts_with("OPTIONS "))], "")
        });
        let found = of_endpoint(
            &config.replace(", \"http://localhost:*\"", ""),
            &format!("http://{}/getToken", server.address),
        );
        let [_, found_why, _] = finding(&found, what);
        assert!(found_why.contains(why), "{found_why}");
    }
    let unset = StandIn::always("403 Forbidden", "{\"code\":\"no_callers_configured\"}");
    let found = of_endpoint(&config, &format!("http://{}/getToken", unset.address));
    assert!(finding(&found, "endpoint ")[0].ends_with("/getToken: no [[caller]] is configured"));
    let found = of_endpoint(&config, &format!("http://{}/getToken", nowhere()));
    assert!(
        finding(&found, "endpoint ")[0].ends_with("/getToken: unreachable") && found.len() == 1,
        "{found:?}"
    );
}

#[test]
fn an_endpoint_in_development_mode_is_found_although_it_refuses_an_invalid_credential() {
    let serving = Serving::start(roompass(&["serve", "--listen", "127.0.0.1:0"], &[]), "Press Ctrl-C");
    let url = format!("{}/getToken", serving.started_with[0].rsplit_once(' ').unwrap().1);
    let config = GUESTS.replace("anonymous", "api-key");
    let found = of_endpoint(&config, &url);
    let what = format!("endpoint {url}: returned 201 Created to a request without a credential");
    assert_eq!(finding(&found, "endpoint ")[0], what);
    let found = of_endpoint(&config, url.trim_start_matches("http://"));
    let [what, why, _] = finding(&found, "endpoint ");
    assert!(what.ends_with("/getToken: invalid URL"), "{what}");
    assert!(why.ends_with("/getToken: must begin with http:// or https://"), "{why}");
}

#[test]
fn clients_without_a_credential_are_counted_in_a_log_of_either_format() {
    let folder = folder("log");
    let config = format!("{PAGES}{GUESTS}");
    for (format, name) in [("text", "text.log"), ("json", "json.log")] {
        let mut serving = Serving::start(
            roompass(&["serve", "--listen", "127.0.0.1:0", "--log", format], &[("ROOMPASS_CONFIG", &config)]),
            if format == "text" { "Press Ctrl-C" } else { "listening" },
        );
        let (_, port) = serving.started_with.iter().find_map(|line| line.split_once("127.0.0.1:")).unwrap();
        let port = port.split(|char: char| !char.is_ascii_digit()).next().unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut lines = Vec::new();
        for credential in ["Bearer undefined", "Bearer undefined", "Bearer null", "Bearer"] {
            let mut connection = TcpStream::connect(&address).unwrap();
            let request = format!(
                "POST /getToken HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: {credential}\r\ncontent-length: 0\r\n\r\n"
            );
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            lines.push(loop {
                let line = serving.next_line();
                if line.contains("request refused") {
                    break line;
                }
            });
        }
        fs::write(folder.join(name), lines.join("\n")).unwrap();
        let file = folder.join(name).to_str().unwrap().to_owned();
        let found = findings(&config, &["--log", &file], &[]);
        let [what, _, fix] = finding(&found, "log ");
        assert_eq!(
            what,
            format!(
                "log {file}: clients sent a text in place of the credential: 1 × nothing, 1 × null, 2 × undefined"
            )
        );
        assert!(fix.contains("`await` it"), "{fix}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_reservation_above_the_quota_is_found_and_without_the_quota_it_says_how_to_compare() {
    let folder = folder("quota");
    fs::write(folder.join("samconfig.toml"), "version = 0.1\n[default.deploy.parameters]\nparameter_overrides = \"SecretArn=\\\"arn\\\" ReservedConcurrency=\\\"50\\\"\"\n").unwrap();
    let variables = [("ROOMPASS_CONFIG", GUESTS)];
    let (page, ..) = examined(&[], &variables, &folder, "");
    assert!(page.contains("skipped  ReservedConcurrency is 50 in samconfig.toml. To compare it with the account's quota: `aws lambda get-account-settings > account.json`"), "{page}");
    let with = |quota: u32| {
        let account = json!({ "AccountLimit": { "ConcurrentExecutions": quota, "UnreservedConcurrentExecutions": quota } });
        fs::write(folder.join("account.json"), account.to_string()).unwrap();
        examined(&["--account-settings", "account.json"], &variables, &folder, "").0
    };
    let page = with(10);
    assert!(page.contains("FINDING  ReservedConcurrency 50: too high for the account's quota of 10\n   why   A deployment fails, because Lambda keeps 100 of the quota"), "{page}");
    assert!(with(149).contains("too high for the account's quota of 149"));
    assert!(with(150).contains("ok       ReservedConcurrency 50: within the account's quota of 150"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_secret_is_read_as_the_function_reads_it_and_never_shown() {
    let folder = folder("secret");
    let config = "[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n[[rule]]\nname = \"all\"\ncallers = [\"backend\"]\nrooms = [\"*\"]\n";
    let variables = [("ROOMPASS_CONFIG", config), ("ROOMPASS_SECRET_ID", "roompass")];
    let (page, ..) = examined(&[], &variables, &folder, "");
    assert!(page.contains("skipped  the secret: only the function reads ROOMPASS_SECRET_ID. Pass it on: `aws secretsmanager get-secret-value --secret-id roompass "), "{page}");
    let livekit = StandIn::always("200 OK", "{\"participants\":[]}");
    let server = format!("ws://{}", livekit.address);
    let secret = json!({ "LIVEKIT_URL": server, "LIVEKIT_API_KEY": "APIown", "LIVEKIT_API_SECRET": "canary of thirty-two bytes or more" });
    let (page, _, code) = examined(&["--secret", "-"], &variables, &folder, &secret.to_string());
    assert_eq!(code, 1, "{page}");
    assert!(page.contains("FINDING  the keys of callers: caller \"backend\" authenticates with API keys, but ROOMPASS_API_KEYS has none"), "{page}");
    assert!(
        page.contains(&format!("ok       LiveKit server {server}: accepts tokens of API key APIown")),
        "{page}"
    );
    let (page, _, code) = examined(&["--secret", "-"], &variables, &folder, "LIVEKIT_API_SECRET=canary");
    assert_eq!(code, 1);
    assert!(
        page.contains("FINDING  the secret: ") && page.contains("why   No token can be signed"),
        "{page}"
    );
    let (page, ..) = examined(
        &["--secret", "-"],
        &variables,
        &folder,
        r#"{"LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": "canary"}"#,
    );
    assert!(page.contains("FINDING  the secret: LIVEKIT_API_SECRET is missing"), "{page}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn without_a_configuration_or_a_file_it_does_not_run() {
    let folder = folder("not-run");
    for (arguments, message) in [
        (&["--config", "no.toml"][..], "roompass: cannot read no.toml: "),
        (&["--log", "no.log"], "roompass: cannot read no.log: "),
        (&["--secret", "no.json"], "roompass: cannot read no.json: "),
        (&["--account-settings", "no.json"], "roompass: cannot read no.json: "),
    ] {
        let (page, error, code) = examined(arguments, &[("ROOMPASS_CONFIG", GUESTS)], &folder, "");
        assert_eq!((page.as_str(), code), ("", 2), "{arguments:?}");
        assert!(error.starts_with(message), "{error}");
    }
    fs::write(folder.join("account.json"), "[]").unwrap();
    let (_, error, code) =
        examined(&["--account-settings", "account.json"], &[("ROOMPASS_CONFIG", GUESTS)], &folder, "");
    assert_eq!(code, 2);
    assert!(error.starts_with("roompass: account.json must be a JSON object"), "{error}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_configuration_without_a_caller_is_a_finding() {
    let livekit = StandIn::always("200 OK", "{\"participants\":[]}");
    let found = findings("[http]", &[], &[("LIVEKIT_URL", &format!("ws://{}", livekit.address))]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0][0] == "the configuration has no [[caller]]" && found[0][2].contains("roompass init"),
        "{found:?}"
    );
}
