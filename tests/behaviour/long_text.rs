//! What a client makes long: no error answer and no line of the log grows with it.

use std::io::{Read, Write};
use std::net::TcpStream;

use axum::http::Method;
use serde_json::{Value, json};

use crate::log::logged;
use crate::serve::{Serving, roompass};
use crate::support::{OPEN, request, send, service};

/// In bytes, of a whole line of the log and of a whole error answer with its head.
const SHORT: usize = 4_096;
const LONG: usize = 100_000;

/// What a program answers a request, and the line that it logs of it.
fn answered(serving: &mut Serving, request: &str) -> (String, String) {
    let started = serving.started_with.join("\n");
    let address = started.split_once("http://").unwrap().1;
    let address: String =
        address.chars().take_while(|char| char.is_ascii_digit() || ".:".contains(*char)).collect();
    // At once, since a program whose line doesn't fit a pipe answers once the line is read.
    std::thread::scope(|scope| {
        let answer = scope.spawn(move || {
            let mut connection = TcpStream::connect(address).unwrap();
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            answer
        });
        let logged = serving.next_line();
        (answer.join().unwrap(), logged)
    })
}

#[test]
fn a_method_header_or_path_of_any_length_makes_a_short_line_and_a_short_answer() {
    // A larger head is refused without a line in the log.
    let long = "A".repeat(12_000);
    let path = format!("/{}", "p".repeat(16_000));
    let body = json!({ "room_name": "A".repeat(LONG) }).to_string();
    let length = body.len();
    let ours = "localhost";
    let requests = [
        format!("{long} /getToken HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\n\r\n"),
        format!("GET /agora/rtm{path}/ HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\n\r\n"),
        format!(
            "POST /getToken?{path} HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\ncontent-type: {long}\r\n\r\n"
        ),
        format!(
            "POST /getToken HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\nauthorization: Bearer {long}\r\nx-api-key: {long}\r\n\r\n"
        ),
        format!(
            "POST /getToken HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\norigin: http://localhost:{}\r\ncontent-encoding: {long}\r\n\r\n",
            "1".repeat(12_000)
        ),
        format!(
            "POST /api/v2/sandbox/connection-details HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\nx-sandbox-id: {long}\r\n\r\n"
        ),
        format!(
            "POST /getToken HTTP/1.1\r\nhost: {ours}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
        format!("POST /getToken HTTP/1.1\r\nhost: {long}\r\nconnection: close\r\n\r\n"),
    ];
    let own_keys = [
        ("LIVEKIT_API_KEY", "key"),
        ("LIVEKIT_API_SECRET", crate::support::API_SECRET),
        ("AGORA_APP_ID", "0123456789abcdef0123456789abcdef"),
        ("AGORA_APP_CERTIFICATE", "c0ffee00c0ffee00c0ffee00c0ffee00"),
    ];
    for (format, ready) in [("text", "Ctrl-C"), ("json", "\"listening\"")] {
        let arguments = ["--listen", "127.0.0.1:0", "--log", format];
        let mut serving = Serving::start(roompass(&arguments, &own_keys), ready);
        for request in &requests {
            let (answer, logged) = answered(&mut serving, request);
            let asked: String = request.chars().filter(|char| *char != 'A' && *char != 'p').collect();
            assert!(answer.starts_with("HTTP/1.1 4") && answer.len() < SHORT, "{asked:.200}\n{answer:.500}");
            assert!(logged.contains("refused") && logged.len() < SHORT, "{asked:.200}\n{logged:.500}");
            if format == "json" {
                assert!(serde_json::from_str::<Value>(&logged).is_ok(), "{logged}");
            }
        }
    }
}

#[tokio::test]
async fn every_member_of_a_body_is_refused_shortly_however_long_it_is() {
    let long = "\u{7f}".repeat(LONG);
    let mut bodies =
        vec![long.clone(), format!("{{\"{long}\""), json!([long]).to_string(), json!(long).to_string()];
    for field in [
        "room_name",
        "participant_identity",
        "participant_name",
        "participant_metadata",
        "participant_attributes",
        "room_config",
        "roomName",
        "participantName",
        "channel",
        "uid",
        "role",
        "expire",
        "tokenType",
    ] {
        for value in [json!(long), json!([long]), json!({ &*long: long }), json!({ "tags": { &*long: 5 } })] {
            bodies.push(json!({ field: value }).to_string());
        }
    }
    for member in ["name", "agents", "egress", "tags", "metadata", "empty_timeout", "sync_streams"] {
        for value in [json!(long), json!([long]), json!({ &*long: long }), json!([{ &*long: long }])] {
            bodies.push(json!({ "room_config": { member: value } }).to_string());
        }
    }
    for kind in ["room", "participant", "tracks"] {
        for value in [
            json!(long),
            json!({ "layout": [long] }),
            json!({ "file_outputs": [{ "file_type": long }] }),
            json!({ &*long: { "s3": long } }),
        ] {
            bodies.push(json!({ "room_config": { "egress": { kind: value } } }).to_string());
        }
    }
    let dialects = "dialects = [\"standard\", \"sandbox\", \"token-server\", \"quickstart\", \"meet\", \"use-token\", \"openvidu\", \"agora\"]\nsandbox.ids = [\"s\"]\n";
    let service = service(&(dialects.to_owned() + OPEN));
    let headers = [("content-type", "application/json"), ("x-sandbox-id", "s")];
    let mut refused = 0;
    for path in [
        "/getToken",
        "/api/v2/sandbox/connection-details",
        "/createToken",
        "/quickstart/token",
        "/api/connection-details",
        "/openvidu/token",
        "/agora/getToken",
    ] {
        for body in &bodies {
            let lines = logged(async {
                let answer = send(&service, request(Method::POST, path, &headers, body.clone())).await;
                // What is asked for and given may be in the token.
                if answer.status.is_success() {
                    return;
                }
                refused += 1;
                assert!(answer.status.is_client_error() && answer.body.len() < SHORT, "{path} {body:.60}");
                assert!(answer.headers.values().all(|value| value.len() < 200), "{path} {body:.60}");
            });
            let lines = lines.await;
            let line = lines
                .lines()
                .find(|line| ["request refused", "token issued"].iter().any(|word| line.contains(word)));
            assert!(line.is_some_and(|line| line.len() < 3 * SHORT), "{path} {body:.60}\n{lines:.3000}");
        }
    }
    assert!(refused > 200, "{refused}");
}
