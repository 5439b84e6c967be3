//! URLs with a user name, a password, a query or a fragment, in every place where a URL can be written: none is shown.

use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::log::logged;
use crate::serve::{Serving, roompass};
use crate::support::{request, send, service};

/// What `roompass check` prints, and how it ends.
fn check(variables: &[(&str, &str)]) -> (String, i32) {
    let Output { status, stdout, stderr } = roompass(&["check"], variables).output().unwrap();
    (String::from_utf8([stdout, stderr].concat()).unwrap(), status.code().unwrap())
}

/// A caller with these keys and a rule for it.
fn config(keys: &str) -> String {
    format!(
        "[[caller]]\nname = \"app\"\nkind = \"jwt\"\naudience = \"calls\"\n{keys}\n[[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [\"*\"]\n"
    )
}

const RS256: &str = "algorithms = [\"RS256\"]";

#[test]
fn a_user_name_or_password_in_a_url_is_a_mistake_that_does_not_show_it() {
    for userinfo in ["user:canary@", "canary@", "user:canary%40@", ":canary@"] {
        let url = format!("https://{userinfo}login.example.com/");
        for (place, text) in [
            ("issuer", config(&format!("issuer = \"{url}\"\n{RS256}"))),
            ("issuer", config(&format!("issuer = \"{url}\"\njwks_url = \"https://a.example\"\n{RS256}"))),
            ("issuer", config(&format!("issuer = '{url}'\nalgorithms = [\"HS256\"]\nsecret = \"LOGIN\""))),
            ("jwks_url", config(&format!("issuer = \"https://a.example\"\njwks_url = \"{url}\"\n{RS256}"))),
            ("jwks_url", config(&format!("issuer = \"https://a\"\n{RS256}\njwks_url = '{url}' # {url}"))),
            (
                "jwks_url",
                format!(
                    "caller = [{{ name = \"a\", kind = \"jwt\", issuer = \"https://a\", jwks_url = \"{url}\", audience = \"{url}\", {RS256} }}]"
                ),
            ),
            ("origin", format!("[cors]\norigins = [\"{url}\"]")),
            (":3:3: ", format!("cors.origins = [\n  \"https://a.example\",\n  '{url}',\n]")),
        ] {
            let (printed, code) = check(&[("ROOMPASS_CONFIG", &text)]);
            assert_eq!(code, 1, "{text}\n{printed}");
            assert!(!printed.contains("canary"), "{text}\n{printed}");
            let explained = ["must not contain a user name or password", "without a user name"];
            assert!(explained.iter().any(|words| printed.contains(words)), "{printed}");
            assert!(printed.contains(place), "{printed}");
        }
        for variable in ["LIVEKIT_URL", "ROOMPASS_CORS_ORIGINS"] {
            let (printed, code) = check(&[(variable, url.trim_end_matches('/'))]);
            assert_eq!(code, 1, "{printed}");
            assert!(printed.starts_with(&format!("roompass: {variable}: ")), "{printed}");
            assert!(printed.contains("user name") && !printed.contains("canary"), "{printed}");
        }
    }
}

#[test]
fn what_may_be_a_secret_in_a_url_is_not_shown_with_any_mistake() {
    let jwt = |url: &str| config(&format!("issuer = \"https://a.example\"\njwks_url = {url}\n{RS256}"));
    for text in [
        jwt("\"https://user:can ary@a.example\""),
        jwt("\"https://user:can/ary@a.example\""),
        jwt("\"https://user:can?ary@a.example\""),
        jwt("\"https://user:can\\\"ary@a.example\""),
        jwt("\"https://user:canary\\u0040a.example\""),
        jwt("'https://user:can\"ary@a.example'"),
        jwt("'user:canary@a.example'"),
        jwt("\"http://a.example/keys?token=canary\""),
        jwt("\"http://a.example/keys#canary\""),
        jwt("\"a.example/keys?token=canary\""),
        jwt("[\"https://a.example/keys?token=canary\"]"),
        config(&format!("issuer = \"http://a.example?canary\"\n{RS256}")),
        config(&format!("issuer = [\"http://a.example?canary\"]\n{RS256}")),
        config(RS256).replace("\"jwt\"", "\"https://user:canary@a.example\""),
        "[cors]\norigins = [\"https://a.example?canary\"]".to_owned(),
        "[cors]\norigins = \"https://user:canary@a.example\"".to_owned(),
        "[cors]\norigins = [\"https://a.example\", \"user:canary@a.example\"]".to_owned(),
        "https://user:canary@a.example/roompass.toml".to_owned(),
        "https://a.example/roompass.toml?canary".to_owned(),
    ] {
        let (printed, code) = check(&[("ROOMPASS_CONFIG", &text)]);
        assert_eq!(code, 1, "{text}\n{printed}");
        assert!(!printed.contains("canary") && !printed.contains("ary@"), "{text}\n{printed}");
        assert!(printed.starts_with("roompass: ROOMPASS_CONFIG:"), "{printed}");
    }
    for arguments in [
        ["explain", "--caller", "https://user:canary@a.example/claims.json"],
        ["explain", "--request", "https://a.example/ask.json?canary"],
        ["explain", "--path", "/nowhere?canary"],
        ["explain", "--path", "nowhere?token=canary"],
    ] {
        let open = [("ROOMPASS_CONFIG", crate::support::OPEN)];
        let Output { status, stderr, .. } = roompass(&arguments, &open).output().unwrap();
        let printed = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}

#[test]
fn a_valid_url_is_shown_without_its_query() {
    let keys = format!(
        "issuer = \"https://a.example/?canary\"\njwks_url = \"https://a.example/keys?token=canary\"\n{RS256}"
    );
    let config = config(&keys).replace("\"calls\"", "\"https://api.example/?canary\"");
    let (printed, code) = check(&[("ROOMPASS_CONFIG", &config)]);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.contains("a token of https://a.example/?… with https://api.example/?… in aud (RS256)"),
        "{printed}"
    );

    let variables = [
        ("LIVEKIT_URL", "wss://x.example/livekit?token=canary"),
        ("LIVEKIT_API_KEY", "key"),
        ("LIVEKIT_API_SECRET", crate::support::API_SECRET),
        ("ROOMPASS_CONFIG", crate::support::OPEN),
    ];
    for (format, ready) in [("text", "Ctrl-C"), ("json", "listening")] {
        let arguments = ["--listen", "127.0.0.1:0", "--log", format];
        let serving = Serving::start(roompass(&arguments, &variables), ready);
        let printed = serving.started_with.join("\n");
        assert!(printed.contains("wss://x.example/livekit?…") && !printed.contains("canary"), "{printed}");
    }
}

#[test]
fn a_user_name_or_password_in_a_host_header_is_not_logged() {
    let own_keys = [("LIVEKIT_API_KEY", "key"), ("LIVEKIT_API_SECRET", crate::support::API_SECRET)];
    let mut serving = Serving::start(roompass(&["--listen", "127.0.0.1:0"], &own_keys), "Ctrl-C");
    assert_eq!(serving.asked_as("user:canary@evil.example").0, "HTTP/1.1 421 Misdirected Request");
    let logged = serving.next_line();
    assert!(logged.contains("code=\"wrong_host\" cause=\"host \\\"…\\\" is not this machine\""), "{logged}");
}

#[tokio::test]
async fn neither_the_log_nor_the_answer_shows_the_query_of_a_key_set_that_is_down() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let claims = json!({"iss": "https://a.example", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let token = format!(
        "{}.{}.{}",
        encoded(r#"{"alg":"RS256"}"#),
        encoded(&claims.to_string()),
        encoded("signature")
    );
    let keys = format!(
        "issuer = \"https://a.example\"\njwks_url = \"http://127.0.0.1:{port}/keys?token=canary\"\n{RS256}"
    );
    let service = service(&config(&keys));
    let log = logged(async {
        let bearer = format!("Bearer {token}");
        let asked = request(
            axum::http::Method::POST,
            "/getToken?token=canary",
            &[("content-type", "application/json"), ("authorization", &bearer)],
            "{}",
        );
        let answer = send(&service, asked).await;
        answer.refused(503, "verification_unavailable");
        assert!(!String::from_utf8_lossy(&answer.body).contains("canary"));
    })
    .await;
    let shown = log.lines().find(|line| line.contains(" failed ")).unwrap();
    assert!(shown.contains(&format!("http://127.0.0.1:{port}/keys?…: ")), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
