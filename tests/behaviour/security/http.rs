//! Credentials in HTTP requests, and what responses and logs show of them.

use axum::Router;
use axum::http::Method;
use roompass::auth::{ApiKeyHash, new_key};
use roompass::keys::StoreError;
use serde_json::{Value, json};

use super::key_sets::broken;
use super::{
    MEMBERS, assert_accepted, assert_invalid, assert_unavailable, jwt_caller, members, post_token, post_with,
    service_with_secrets,
};
use crate::issuer::{Issuer, Key, compact, encoded, hs256};
use crate::log::logged;
use crate::support::{API_SECRET, request, send, service, service_stored_in};

#[tokio::test]
async fn a_request_without_a_credential_gets_a_challenge() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    let token = key.token(&issuer.claims());
    let in_query = |name: &str| format!("/getToken?{name}={token}");
    for (path, headers, body) in [
        ("/getToken", vec![], String::new()),
        (&in_query("access_token"), vec![], String::new()),
        (&in_query("authorization"), vec![], String::new()),
        (&in_query("Authorization=Bearer%20x&token"), vec![], String::new()),
        (
            "/getToken",
            vec![],
            json!({"access_token": token, "authorization": format!("Bearer {token}")}).to_string(),
        ),
        (
            "/getToken",
            vec![("cookie", format!("authorization={token}; access_token={token}"))],
            String::new(),
        ),
        ("/getToken", vec![("authorization", format!("Basic {token}"))], String::new()),
        ("/getToken", vec![("authorization", String::new())], String::new()),
        ("/getToken", vec![("proxy-authorization", format!("Bearer {token}"))], String::new()),
        ("/getToken", vec![("x-forwarded-authorization", format!("Bearer {token}"))], String::new()),
        ("/getToken", vec![("x-access-token", token.clone())], String::new()),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = send(&service, request(Method::POST, path, &headers, body)).await;
        answer.refused(401, "no_credential");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{path} {headers:?}");
    }
    assert_eq!(issuer.asked(), [""; 0]);
}

#[tokio::test]
async fn the_authorization_scheme_is_case_insensitive_and_one_credential_is_allowed() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    let token = key.token(&issuer.claims());
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer    "] {
        assert_accepted(
            &post_with(&service, &[("authorization", &format!("{scheme}{token}"))]).await,
            scheme,
        );
    }
    assert_accepted(
        &post_with(&service, &[("AUTHORIZATION", &format!("Bearer {token}"))]).await,
        "the header's name",
    );
    for scheme in ["Bearer\t", "Bearer \t"] {
        assert_invalid(&post_with(&service, &[("authorization", &format!("{scheme}{token}"))]).await, scheme);
    }
    let fetches = issuer.fetches();

    let good = format!("Bearer {token}");
    for headers in [
        vec![("authorization", good.as_str()), ("authorization", "Bearer x.y.z")],
        vec![("authorization", "Bearer x.y.z"), ("authorization", good.as_str())],
        vec![("authorization", good.as_str()), ("authorization", good.as_str())],
        vec![("authorization", good.as_str()), ("authorization", "Basic x")],
        vec![("authorization", good.as_str()), ("x-api-key", "rpk_x")],
        vec![("authorization", good.as_str()), ("x-api-key", "")],
        vec![("authorization", "ApiKey rpk_x"), ("x-api-key", "rpk_x")],
        vec![("x-api-key", "rpk_x"), ("x-api-key", "rpk_x")],
    ] {
        let answer = post_with(&service, &headers).await;
        answer.refused(400, "several_credentials");
        assert_eq!(answer.header("www-authenticate"), "");
    }
    assert_eq!(issuer.fetches(), fetches);

    let denied = service_for_one_room(&issuer.url);
    let body = json!({"room_name": "another"}).to_string();
    let answer = send(&denied, request(Method::POST, "/getToken", &[("authorization", &good)], body)).await;
    answer.refused(403, "room_not_allowed");
    assert_eq!(answer.header("www-authenticate"), "", "who it is is known");
}

fn service_for_one_room(issuer: &str) -> Router {
    service(&(jwt_caller(issuer, "[\"ES256\"]") + &MEMBERS.replace("[\"*\"]", "[\"lobby\"]")))
}

#[tokio::test]
async fn a_wrong_credential_never_makes_a_request_a_weaker_caller() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let anyone = "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n";
    let keyed = "[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n";
    let rule = |callers: &str| format!("[[rule]]\nname = \"all\"\ncallers = [{callers}]\nrooms = [\"*\"]\n");
    let app = jwt_caller(&issuer.url, "[\"ES256\"]");
    let tokens = service(&format!("{app}{anyone}{}", rule("\"app\", \"anyone\"")));
    let keys = service(&format!("{keyed}{anyone}{}", rule("\"backend\", \"anyone\"")));
    let both = service(&format!("{app}{keyed}{anyone}{}", rule("\"app\", \"backend\", \"anyone\"")));

    let gateway = "[[caller]]\nname = \"gateway\"\nkind = \"gateway\"\nvia = \"jwt\"\n";
    let behind = service(&format!("{gateway}{anyone}{}", rule("\"gateway\", \"anyone\"")));
    let anonymous_alone = service(&format!("{anyone}{}", rule("\"anyone\"")));
    let all = [&tokens, &keys, &both, &behind, &anonymous_alone];

    let mut ended = issuer.claims();
    ended["exp"] = 1.into();
    let ended = format!("Bearer {}", key.token(&ended));
    for (header, value) in [
        ("authorization", ended.as_str()),
        ("authorization", "Bearer x.y.z"),
        ("authorization", "Bearer undefined"),
        ("authorization", "Bearer "),
        ("authorization", "Bearer"),
        ("authorization", "Bearer\tx.y.z"),
        ("authorization", "ApiKey rpk_x"),
        ("authorization", "ApiKey x.y.z"),
        ("authorization", "ApiKey "),
        ("authorization", "ApiKey"),
        ("x-api-key", "rpk_x"),
        ("x-api-key", "x.y.z"),
        ("x-api-key", " "),
        ("x-api-key", ""),
        ("authorization", "x.y.z"),
        ("authorization", "bearer:x.y.z"),
        ("authorization", "Bearer,x.y.z"),
        ("authorization", "JWT x.y.z"),
        ("authorization", "Api-Key rpk_x"),
        ("authorization", " Bearer x.y.z"),
        ("authorization", "\tApiKey x"),
        ("authorization", "Negotiate abc,Bearer x.y.z"),
        ("authorization", "Digest a=b, bearer x.y.z"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=a, Bearer"),
        ("authorization", "Negotiate a ,\tApiKey wrong"),
        ("authorization", "\"Bearer x.y.z\""),
        ("authorization", "Basic a, Bearer x.y.z"),
        ("authorization", "?Bearer x.y.z"),
    ] {
        for service in all {
            assert_invalid(&post_with(service, &[(header, value)]).await, &format!("{header}: {value}"));
        }
    }
    for service in all {
        assert_accepted(&post_with(service, &[]).await, "nothing shown");
        for others in
            ["Basic x", "Digest username=\"a\", uri=\"/\"", "AWS4-HMAC-SHA256 Credential=a, Signature=b", ""]
        {
            assert_accepted(&post_with(service, &[("authorization", others)]).await, others);
        }
    }
    for (header, value, cause) in [
        ("x-api-key", "rpk_x", "an API key was presented, and no api-key caller is configured"),
        ("authorization", "ApiKey rpk_x", "an API key was presented, and no api-key caller is configured"),
        ("x-api-key", "", "the credential is empty"),
        ("authorization", "ApiKey", "the credential is empty"),
        ("authorization", "Bearer ", "the credential is empty"),
        (
            "authorization",
            "Bearer undefined",
            r#"the client sent the text \"undefined\" in place of a credential"#,
        ),
        ("authorization", "Bearer opaque", "no configured caller accepts this credential type"),
        ("authorization", "JWT x.y.z", "no configured caller accepts this credential type"),
    ] {
        for service in [&tokens, &behind, &anonymous_alone] {
            let log = logged(async {
                post_with(service, &[(header, value)]).await.refused(401, "invalid_credential");
            })
            .await;
            assert!(log.contains(cause), "{header}: {value}: {log}");
        }
    }
}

#[tokio::test]
async fn without_a_valid_credential_the_response_does_not_depend_on_the_body() {
    let service = members("https://issuer.example", "[\"ES256\"]");
    for body in ["{".to_owned(), "[]".into(), r#"{"room_name": 5}"#.into(), "x".repeat(2_000_000)] {
        send(&service, request(Method::POST, "/getToken", &[], body.clone()))
            .await
            .refused(401, "no_credential");
        let headers = [("authorization", "Bearer x.y.z")];
        assert_invalid(
            &send(&service, request(Method::POST, "/getToken", &headers, body)).await,
            "bad and bad",
        );
    }
}

#[tokio::test]
async fn credentials_are_in_no_response_and_not_in_the_log() {
    let key = Key::new("k", "ES256");
    let mut issuer = Issuer::with(&[&key]).await;
    let keyed = "[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n";
    let config = jwt_caller(&issuer.url, "[\"ES256\"]") + keyed + MEMBERS;
    let kept = new_key(roompass::system::randomness);
    let service = service_with_secrets(&config, &[], &json!({"batch": ApiKeyHash::of(&kept).to_string()}));
    let with = |claim: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[claim] = value;
        claims["secret"] = "canary".into();
        key.token(&claims)
    };
    let (good, endless) = (with("x", json!(1)), with("exp", json!("canary")));
    let elsewhere = with("iss", json!("https://canary.example"));
    let forged = format!("{}canary", &good[..good.len() - 6]);
    let log = logged(async {
        for token in [
            &good,
            &endless,
            &elsewhere,
            &forged,
            "canary",
            "canary.canary.canary",
            &format!("{}.e30.canary", encoded(b"{canary}")),
        ] {
            let answer = post_token(&service, token).await;
            assert!(!String::from_utf8_lossy(&answer.body).contains("canary"), "{token}");
        }
        for header in ["x-api-key", "authorization"] {
            post_with(&service, &[(header, "ApiKey canary")]).await.refused(401, "invalid_credential");
        }
        post_with(&service, &[("x-api-key", &kept)]).await.refused(403, "no_rule");
    })
    .await;
    issuer.ends().await;
    assert_eq!(log.lines().filter(|line| line.contains(" refused ")).count(), 9, "{log}");
    assert!(
        log.contains("cause=\"invalid token: exp must be a time in seconds since 1970\"")
            && log.contains("cause=\"invalid token: invalid signature\""),
        "{log}"
    );
    for shown in ["canary", &good, &good[..40], &kept, API_SECRET, "eyJ"] {
        assert!(!log.contains(shown), "{shown} in {log}");
    }
}

#[tokio::test]
async fn a_valid_token_is_never_refused_during_an_outage() {
    let key = Key::new("k", "ES256");
    let attacker = Issuer::with(&[]).await;
    for (what, keys) in broken(&attacker, &key) {
        let issuer = Issuer::with(&[]).await;
        issuer.shows(keys);
        let service = members(&issuer.url, "[\"ES256\"]");
        for _ in 0..2 {
            assert_unavailable(&post_token(&service, &key.token(&issuer.claims())).await, what);
        }
        assert_eq!(issuer.fetches(), 1, "{what}");
        post_with(&service, &[]).await.refused(401, "no_credential");
        assert_invalid(&post_token(&service, "x.y.z").await, what);
    }
    let mut issuer = Issuer::with(&[&key]).await;
    let (token, forger) = (key.token(&issuer.claims()), Key::new("k", "ES256").token(&issuer.claims()));
    let (service, late) = (members(&issuer.url, "[\"ES256\"]"), members(&issuer.url, "[\"ES256\"]"));
    assert_accepted(&post_token(&service, &token).await, "before");
    issuer.ends().await;
    assert_accepted(&post_token(&service, &token).await, "a known key serves on");
    assert_invalid(&post_token(&service, &forger).await, "a known key tells a forgery, too");
    assert_unavailable(&post_token(&late, &token).await, "nothing listens");
}

#[tokio::test]
async fn a_valid_key_is_never_refused_while_the_secret_store_is_down() {
    let config = jwt_caller("https://a.example", "[\"HS256\"]")
        + "secret = \"SHARED\"\n[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n"
        + &MEMBERS.replace("[\"app\"]", "[\"app\", \"backend\"]").replace("{sub}", "{random}");
    let service = service_stored_in(&config, || Err(StoreError::Unavailable("canary".into())));
    let claims = json!({"iss": "https://a.example", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    let token = compact(r#"{"alg":"HS256"}"#, &claims.to_string(), hs256(&[7; 32]));
    assert_unavailable(&post_token(&service, &token).await, "a shared secret");
    assert_unavailable(&post_with(&service, &[("x-api-key", "rpk_x")]).await, "an API key");
    post_with(&service, &[]).await.refused(401, "no_credential");
}
