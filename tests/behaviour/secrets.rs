//! What a secret may hold, through the whole service: keys that must not sign, and credentials that must not be accepted,
//! wherever they are stored.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::http::Method;
use roompass::auth::{ApiKeyHash, new_key};
use roompass::config::Config;
use roompass::domain::Context;
use roompass::keys::{StoreError, StoredSecret};
use serde_json::{Value, json};

use crate::issuer::{compact, hs256};
use crate::log::logged;
use crate::support::{
    API_KEY, API_SECRET, KEYED, OPEN, keys_stored_in, post, request, send, service_stored_in, service_with,
};

/// The function, with this secret in its store.
fn function(config: &str, secret: Value) -> Router {
    service_stored_in(config, move || Ok(secret.to_string().as_str().into()))
}

#[tokio::test]
async fn keys_that_are_public_or_can_be_guessed_never_sign_in_production() {
    let pair = |server: &str, key: &str, secret: &str| json!({"LIVEKIT_URL": server, "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret});
    let with_agora = json!({
        "LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret",
        "AGORA_APP_ID": "970ca35de60c44645bbae8a215061b33", "AGORA_APP_CERTIFICATE": "5cfd2fd1755d40ecb72977518be15d3b",
    });
    for (secret, cause) in [
        (
            pair("wss://a.example", "devkey", "secret"),
            "LIVEKIT_API_SECRET must not be LiveKit's public development secret",
        ),
        (
            pair("ws://localhost:7880", "devkey", "secret"),
            "LIVEKIT_API_SECRET must not be LiveKit's public development secret",
        ),
        (with_agora, "LIVEKIT_API_SECRET must not be LiveKit's public development secret"),
        (pair("wss://a.example", "key", "canary"), "LIVEKIT_API_SECRET must have 32 bytes or more"),
        (
            pair("wss://a.example", API_SECRET, API_SECRET),
            "LIVEKIT_API_SECRET must not be the same as LIVEKIT_API_KEY",
        ),
        (pair("ws://a.example", API_KEY, API_SECRET), "LIVEKIT_URL must begin with wss:// or https://"),
        (pair("http://a.example", API_KEY, API_SECRET), "LIVEKIT_URL must begin with wss:// or https://"),
    ] {
        let service = function(OPEN, secret.clone());
        let log = logged(async {
            post(&service, "").await.refused(503, "keys_unavailable");
            let health = send(&service, request(Method::GET, "/healthz", &[], "")).await;
            health.refused(503, "keys_unavailable");
        });
        let log = log.await;
        assert!(log.contains(&format!("the secret is malformed: {cause}")), "{secret}: {log}");
        assert!(!log.contains("canary") && !log.contains(API_SECRET), "{log}");
    }
    let good = function(OPEN, pair("ws://localhost:7880", API_KEY, API_SECRET));
    post(&good, "").await.claims();
}

#[tokio::test]
async fn an_empty_or_short_api_key_is_never_a_credential_whatever_hash_is_stored() {
    for text in [
        "",
        " ",
        "x",
        "secret",
        "rpk_",
        "undefined",
        "null",
        "not-made-by-roompass-api-key-but-very-long-all-the-same",
    ] {
        let stored = json!({"ROOMPASS_API_KEYS": {"web": ApiKeyHash::of(text).to_string()}});
        let service = service_with(KEYED, &stored);
        for (header, value) in [
            ("x-api-key", text.to_owned()),
            ("authorization", format!("Bearer {text}")),
            ("authorization", format!("ApiKey {text}")),
            ("authorization", "Bearer".to_owned()),
            ("authorization", "ApiKey".to_owned()),
            ("authorization", "Bearer ".to_owned()),
        ] {
            let answer = send(&service, request(Method::POST, "/getToken", &[(header, &value)], "")).await;
            answer.refused(401, "invalid_credential");
        }
    }
}

#[tokio::test]
async fn one_hash_under_two_names_disables_both_keys_and_no_other() {
    let (twice, once) = (new_key(roompass::system::randomness), new_key(roompass::system::randomness));
    let hash = |key: &str| ApiKeyHash::of(key).to_string();
    let secret = json!({
        "LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET,
        "ROOMPASS_API_KEYS": {"a": hash(&twice), "b": hash(&twice), "c": hash(&once)},
    });
    let service = function(KEYED, secret);
    let ask = |key: String| {
        let service = service.clone();
        async move { send(&service, request(Method::POST, "/getToken", &[("x-api-key", &key)], "")).await }
    };
    let log = logged(async {
        ask(twice.clone()).await.refused(503, "verification_unavailable");
        ask(once.clone()).await.claims();
    });
    let log = log.await;
    assert!(log.contains("ROOMPASS_API_KEYS has one hash under 2 names (a, b)"), "{log}");
    assert!(!log.contains(&hash(&twice)[7..]) && !log.contains(&twice), "{log}");
}

#[tokio::test]
async fn a_secret_that_has_two_purposes_verifies_no_callers_token() {
    let caller = |name: &str, issuer: &str, secret: &str| {
        format!(
            "[[caller]]\nname = {name:?}\nkind = \"jwt\"\nissuer = {issuer:?}\naudience = \"calls\"\nalgorithms = [\"HS256\"]\nsecret = {secret:?}\n"
        )
    };
    let rule = "[[rule]]\nname = \"r\"\ncallers = [\"one\", \"two\"]\nrooms = [\"*\"]\n";
    let config = caller("one", "https://one", "ONE") + &caller("two", "https://two", "TWO") + rule;
    let secret = |one: &str, two: &str| {
        json!({
            "LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET,
            "ONE": one, "TWO": two,
        })
    };
    let (first, second) = ("the first secret, of 32 bytes or more", "the second secret, of 32 bytes or more");
    let token = |issuer: &str, secret: &str| {
        let claims = json!({"iss": issuer, "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
        let token = compact(r#"{"alg":"HS256"}"#, &claims.to_string(), hs256(secret.as_bytes()));
        format!("Bearer {token}")
    };
    let ask = async |service: &Router, bearer: String| {
        send(service, request(Method::POST, "/getToken", &[("authorization", &bearer)], "")).await
    };
    let valid = function(&config, secret(first, second));
    ask(&valid, token("https://one", first)).await.claims();
    ask(&valid, token("https://two", second)).await.claims();

    let signing = function(&config, secret(API_SECRET, second));
    ask(&signing, token("https://one", API_SECRET)).await.refused(503, "verification_unavailable");
    ask(&signing, token("https://two", second)).await.claims();

    let same = function(&config, secret(first, first));
    for issuer in ["https://one", "https://two"] {
        ask(&same, token(issuer, first)).await.refused(503, "verification_unavailable");
    }
}

#[tokio::test]
async fn what_was_corrected_in_a_secret_is_logged_once_for_each_version_and_never_shown() {
    let text = format!(
        "\u{feff}{}",
        json!({"LIVEKIT_URL": "wss://a.example\n", "LIVEKIT_API_KEY": " k", "LIVEKIT_API_SECRET": "canary".repeat(8) + "\r\n"})
    );
    let stored = move |version: &str| StoredSecret {
        version: Some(version.to_owned()),
        is_binary: true,
        ..StoredSecret::from(&*text)
    };
    let responses = Mutex::new(VecDeque::from(["1", "1", "2"]));
    let config = Config::parse("", "test.toml").unwrap();
    let keys = keys_stored_in(&config, move || Ok(stored(responses.lock().unwrap().pop_front().unwrap())));
    for (seconds, warnings) in [(0, 5), (300, 0), (600, 5)] {
        let context = Context { now: 1_795_000_000 + seconds, randomness: |bytes| bytes.fill(0) };
        let log = logged(async { keys.projects(&context).await.map(|_| ()).unwrap() }).await;
        let corrected = log.matches("secret corrected when it was read").count();
        assert_eq!(corrected, warnings, "{seconds}: {log}");
        for cause in [
            "the secret is stored as binary data: store it as a string",
            "the secret begins with a byte-order mark: store it without",
            "LIVEKIT_URL has white space around it: store it without",
            "LIVEKIT_API_KEY has white space around it: store it without",
            "LIVEKIT_API_SECRET has white space around it: store it without",
        ] {
            assert_eq!(log.matches(cause).count(), warnings / 5, "{seconds}: {log}");
        }
        assert!(!log.contains("canary"), "{log}");
    }
}

#[tokio::test]
async fn a_new_version_of_the_secret_and_a_failed_refresh_are_logged_once_each() {
    let text = json!({"LIVEKIT_URL": "wss://a.example", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s".repeat(32)});
    let version = |name: &str| {
        Ok(StoredSecret { version: Some(name.to_owned()), ..StoredSecret::from(&*text.to_string()) })
    };
    let down = || Err(StoreError::Unavailable("down".into()));
    let responses = Mutex::new(VecDeque::from([version("1"), version("1"), version("2"), down(), down()]));
    let config = Config::parse("", "test.toml").unwrap();
    let keys = keys_stored_in(&config, move || responses.lock().unwrap().pop_front().unwrap());
    let log_at = async |seconds: u64, has_keys: bool| {
        let context = Context { now: 1_795_000_000 + seconds, randomness: |bytes| bytes.fill(0) };
        logged(async { assert_eq!(keys.projects(&context).await.is_ok(), has_keys, "{seconds}") }).await
    };
    assert!(log_at(0, true).await.contains("signing keys loaded"));
    assert_eq!(log_at(300, true).await, "", "the same version");
    assert!(log_at(600, true).await.contains("signing keys changed"));
    assert!(log_at(900, true).await.contains("signing key refresh failed; using cached keys"));
    assert!(!log_at(2 * 86_400, false).await.contains("using cached keys"), "they have expired");
}
