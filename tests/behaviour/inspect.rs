//! `roompass inspect`: what is inside a token, and when does it end?

use std::io::Write;
use std::process::Stdio;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::serve::roompass;

const AT: &str = "2023-11-14T22:30:00Z";

/// Its output for a token a quarter of an hour after its issue, and its exit code.
fn inspect(arguments: &[&str], input: &str) -> (String, String, i32) {
    let mut program =
        roompass(&[&["inspect"], arguments].concat(), &[]).stdin(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

fn says(token: &str) -> String {
    let (says, mistake, code) = inspect(&["--at", AT, token], "");
    assert_eq!((code, mistake.as_str()), (0, ""));
    says
}

/// One of `tests/vectors`.
fn agoras(id: &str) -> String {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors/agora.json")).unwrap();
    let vector = vectors.iter().find(|vector| vector["id"] == id).unwrap();
    vector["expected"].as_str().unwrap().to_owned()
}

fn jwt(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(b"a signature has thirty-two bytes");
    format!("{}.{}.{signature}", part(&json!({"typ": "JWT", "alg": "HS256"})), part(claims))
}

fn adas() -> Value {
    json!({
        "iss": "APIkey", "sub": "ada", "nbf": 1_700_000_998, "exp": 1_700_001_598,
        "video": {"roomJoin": true, "room": "hello"},
    })
}

#[test]
fn a_livekit_token_is_its_claims_and_its_end_in_words() {
    let token = jwt(&adas());
    let printed = says(&token);
    insta::assert_snapshot!(printed, @r#"
    kind         LiveKit token
    signature    not verified
    key          APIkey
    identity     ada
    room         hello
    begins       2023-11-14T22:29:58Z, 2 seconds ago
    ends         2023-11-14T22:39:58Z, ends in 9 minutes 58 seconds
    its claims
    {
      "exp": 1700001598,
      "iss": "APIkey",
      "nbf": 1700000998,
      "sub": "ada",
      "video": {
        "room": "hello",
        "roomJoin": true
      }
    }
    "#);
    assert!(!printed.contains(token.rsplit('.').next().unwrap()), "the signature is not shown");
}

#[test]
fn an_agora_token_is_its_services_and_their_ends_in_words() {
    insta::assert_snapshot!(says(&agoras("gen-007-33-rtc_privileges")), @r#"
    kind         Agora token 007
    signature    not verified
    app          0123456789abcdef0123456789abcdef
    issued       2023-11-14T22:13:20Z, 16 minutes 40 seconds ago
    ends         2023-11-14T23:13:20Z, ends in 43 minutes 20 seconds
    salt         12345678
    service      rtc
    channel      room-1
    user         12345
    may          join_channel
    may          publish_audio, which ends in 13 minutes 20 seconds (2023-11-14T22:43:20Z)
    may          publish_video, which ended 1 minute 40 seconds ago (2023-11-14T22:28:20Z)
    may          publish_data, without expiry
    "#);
    insta::assert_snapshot!(says(&agoras("gen-006-08-rtc_account")), @r#"
    kind         Agora token 006
    signature    not verified
    app          0123456789abcdef0123456789abcdef
    issued       2023-11-14T22:13:20Z, 16 minutes 40 seconds ago
    ends         2023-11-14T23:13:20Z, ends in 43 minutes 20 seconds
    salt         12345678
    service      rtc
    channel      CRC-32 bef40806 (a 006 token holds no names)
    user         CRC-32 278ebc47 (a 006 token holds no names)
    may          join_channel
    may          publish_audio
    may          publish_video
    may          publish_data
    "#);
    insta::assert_snapshot!(says(&agoras("official-007-02-multi")), @r#"
    kind         Agora token 007
    signature    not verified
    app          970CA35de60c44645bbae8a215061b33
    issued       1970-01-13T20:38:31Z, 53 years 318 days ago
    ends         1970-01-13T20:48:31Z, ended 53 years 318 days ago
    salt         1
    service      streaming
    channel      7d72365eb983485397e3e3f9d460bdda
    user         2882341273
    may          publish_mix_stream
    may          publish_raw_stream
    service      fcdn
    channel      7d72365eb983485397e3e3f9d460bdda
    user         2882341273
    may          publish
    may          play
    service      rtm2
    user         test_user
    may          login
    may          read message_channels: message-a, message-b
    may          write stream_channels: stream-a
    may          read users: user-a
    "#);
}

#[test]
fn wildcard_users_and_unlimited_lifetimes_are_named() {
    for (id, line) in [
        ("gen-007-09-rtc_uid", "channel      every channel: \"*\""),
        ("gen-007-03-rtc_uid", "user         any user: \"\""),
        ("gen-006-03-rtc_uid", "user         any user"),
        ("gen-006-07-rtc_uid", "may          publish_audio, without expiry"),
        ("gen-006-17-rtm", "may          login, without expiry"),
        ("gen-007-27-chat_app", "user         none: an app token, which no client should have"),
    ] {
        let printed = says(&agoras(id));
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    let never = json!({"sub": "ada"});
    let printed = says(&jwt(&never));
    assert!(printed.contains("kind         JWT without LiveKit grants\n"), "{printed}");
    assert!(printed.contains("ends         never: it has no exp\n"), "{printed}");
}

#[test]
fn ends_are_in_words_of_two_units_at_most() {
    for (end, words) in [
        (1_700_001_000, "ends this second"),
        (1_700_001_001, "ends in 1 second"),
        (1_700_001_598, "ends in 9 minutes 58 seconds"),
        (1_700_001_060, "ends in 1 minute"),
        (1_700_094_599, "ends in 1 day 1 hour"),
        (1_700_000_999, "ended 1 second ago"),
        (1_699_741_800, "ended 3 days ago"),
        (0, "ended 53 years 330 days ago"),
        (u64::MAX, "ends in 584942417301 years 60 days"),
    ] {
        let printed = says(&jwt(&json!({"exp": end})));
        assert!(
            printed.lines().any(|line| line.starts_with("ends ") && line.ends_with(words)),
            "{words}\n{printed}"
        );
    }
    assert!(
        says(&jwt(&json!({"exp": "soon"}))).contains("ends         invalid: exp is not a whole number\n")
    );
}

#[test]
fn json_says_the_same() {
    let json = |token: &str| {
        let (says, _, code) = inspect(&["--json", "--at", AT, token], "");
        assert_eq!(code, 0);
        serde_json::from_str::<Value>(&says).unwrap()
    };
    assert_eq!(
        json(&jwt(&adas())),
        json!({
            "kind": "livekit",
            "signature": "not checked",
            "begins": 1_700_000_998,
            "ends": 1_700_001_598,
            "in_words": "ends in 9 minutes 58 seconds",
            "claims": adas(),
        })
    );
    insta::assert_json_snapshot!(json(&agoras("gen-007-33-rtc_privileges")), @r#"
    {
      "app_id": "0123456789abcdef0123456789abcdef",
      "ends": 1700003600,
      "in_words": "ends in 43 minutes 20 seconds",
      "issued": 1700000000,
      "kind": "agora",
      "salt": 12345678,
      "services": [
        {
          "channel": "room-1",
          "privileges": [
            {
              "ends": 1700003600,
              "in_words": "ends in 43 minutes 20 seconds",
              "name": "join_channel"
            },
            {
              "ends": 1700001800,
              "in_words": "ends in 13 minutes 20 seconds",
              "name": "publish_audio"
            },
            {
              "ends": 1700000900,
              "in_words": "ended 1 minute 40 seconds ago",
              "name": "publish_video"
            },
            {
              "ends": null,
              "in_words": "no expiry",
              "name": "publish_data"
            }
          ],
          "type": "rtc",
          "user": "12345"
        }
      ],
      "signature": "not checked",
      "version": "007"
    }
    "#);
    assert_eq!(json(&agoras("gen-006-08-rtc_account"))["services"][0]["user"], json!({"crc32": 663_665_735}));
    assert_eq!(json(&agoras("gen-006-17-rtm"))["services"][0]["privileges"][0]["ends"], Value::Null);
}

#[test]
fn a_token_from_standard_input_leaves_no_trace_in_the_shells_history() {
    let token = jwt(&adas());
    let (says, _, code) = inspect(&["-", "--at", AT], &format!("{token}\n"));
    assert_eq!((code, says), (0, self::says(&token)));
}

#[test]
fn an_answer_is_taken_as_it_is_with_all_the_tokens_in_it() {
    let (livekits, agoras) = (jwt(&adas()), agoras("gen-006-17-rtm"));
    for (answer, tokens) in [
        (json!({"participant_token": livekits, "server_url": "wss://a.example"}), vec![&livekits]),
        (json!({"rtcToken": livekits, "rtmToken": agoras}), vec![&livekits, &agoras]),
    ] {
        let (says, _, code) = inspect(&["-", "--at", AT], &answer.to_string());
        let each: Vec<_> = tokens.into_iter().map(|token| self::says(token)).collect();
        assert_eq!((code, says), (0, each.join("\n")));
    }
    let none = json!({"server_url": "wss://a.example", "participant_token": 5}).to_string();
    let mistake = "roompass: no token found in this JSON\n".to_owned();
    assert_eq!(inspect(&["-"], &none), (String::new(), mistake, 1));
}

#[test]
fn an_answer_is_taken_with_its_head_and_as_a_json_string_too() {
    let token = jwt(&adas());
    let object = json!({"token": token}).to_string();
    let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n\r\n";
    for answer in [
        json!(token).to_string(),
        format!("{head}{object}"),
        format!("{head}{}\n", json!(token)),
        format!("{head}{token}"),
        format!("HTTP/1.1 100 Continue\r\n\r\n{head}{object}"),
        format!("HTTP/2 201\nvary: origin\n\n{object}\n"),
    ] {
        let (says, mistake, code) = inspect(&["-", "--at", AT], &answer);
        assert_eq!((code, says), (0, self::says(&token)), "{answer}\n{mistake}");
    }
    let (_, mistake, code) = inspect(&["-"], "HTTP/1.1 500\r\nx: canary");
    assert_eq!(code, 1);
    assert!(mistake.starts_with("roompass: not a token") && !mistake.contains("canary"), "{mistake}");
}

#[test]
fn without_a_time_it_is_as_of_now() {
    let (says, _, _) = inspect(&[&jwt(&json!({"exp": 1_000_000_000}))], "");
    assert!(says.contains("ends         2001-09-09T01:46:40Z, ended "), "{says}");
}

#[test]
fn an_invalid_token_is_a_one_line_error_that_does_not_show_it() {
    for (token, mistake) in [
        (
            "canary",
            "roompass: not a token: a LiveKit token has three dot-separated parts, an Agora token starts with 006 or 007\n",
        ),
        (
            "007canary",
            "roompass: invalid Agora token: the content is not base64; the token may be truncated\n",
        ),
        (
            "canary.b",
            "roompass: invalid LiveKit token: expected three dot-separated parts; the token may be truncated\n",
        ),
    ] {
        assert_eq!(inspect(&[token], ""), (String::new(), mistake.to_owned(), 1));
        assert_eq!(inspect(&["-"], token), (String::new(), mistake.to_owned(), 1));
    }
}

#[test]
fn untrusted_text_prints_no_control_characters_and_no_extra_lines() {
    let claims = json!({"sub": "ada\n\u{1b}[2Jends         never\u{9b}\u{202e}", "exp": 1_700_001_598});
    for arguments in [vec![], vec!["--json"]] {
        let (says, _, _) = inspect(&[&[&*jwt(&claims)], &arguments[..]].concat(), "");
        assert!(!says.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{says}");
        assert_eq!(
            says.lines().filter(|line| line.starts_with("ends")).count(),
            1 - arguments.len(),
            "{says}"
        );
    }
    let (says, _, _) = inspect(&["--json", &jwt(&claims)], "");
    assert_eq!(serde_json::from_str::<Value>(&says).unwrap()["claims"], claims);
}
