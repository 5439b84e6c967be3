//! Claims as identity providers write them: several spellings of an issuer, audiences in other claims, and values of more
//! than one type.

use roompass::config::Config;
use serde_json::{Value, json};

use super::{MEMBERS, assert_accepted, assert_invalid, jwt_caller, post_token};
use crate::issuer::{Issuer, Key};
use crate::support::service;

/// The claims, with some replaced. A null removes a claim, unless it is `"null"`.
fn with(claims: &Value, more: &Value) -> Value {
    let mut claims = claims.clone();
    for (claim, value) in more.as_object().unwrap() {
        claims[claim] = if value == "null" { Value::Null } else { value.clone() };
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        }
    }
    claims
}

#[tokio::test]
async fn all_spellings_of_an_issuer_are_one_caller_and_one_person() {
    let (key, stranger) = (Key::new("k", "ES256"), Key::new("k", "ES256"));
    let issuer = Issuer::with(&[&key]).await;
    let bare = issuer.url.trim_start_matches("http://").to_owned();
    let list = format!("[\"{}\", \"{bare}\", \"urn:second\"]", issuer.url);
    let caller = jwt_caller(&issuer.url, "[\"ES256\"]").replace(&format!("\"{}\"", issuer.url), &list);
    let service = service(&(caller + &MEMBERS.replace("{sub}", "{iss}|{sub}")));
    for spelling in [issuer.url.as_str(), &bare, "urn:second"] {
        let claims = with(&issuer.claims(), &json!({ "iss": spelling }));
        let pass = assert_accepted(&post_token(&service, &key.token(&claims)).await, spelling);
        assert_eq!(pass["sub"], format!("{}|ada", issuer.url), "{spelling}");
        assert_invalid(&post_token(&service, &stranger.token(&claims)).await, spelling);
    }
    for other in [
        json!(format!("{}/", issuer.url)),
        json!(bare.to_uppercase() + "/"),
        json!("urn:SECOND"),
        json!([issuer.url]),
        json!("null"),
        json!(null),
    ] {
        let claims = with(&issuer.claims(), &json!({ "iss": other }));
        assert_invalid(&post_token(&service, &key.token(&claims)).await, &claims.to_string());
    }
    assert_eq!(issuer.fetches(), 1, "all spellings share the key set");
}

#[tokio::test]
async fn the_openid_configuration_may_have_any_spelling_of_the_issuer() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let list = format!("[\"{}\", \"second\"]", issuer.url);
    let config =
        jwt_caller(&issuer.url, "[\"ES256\"]").replace(&format!("\"{}\"", issuer.url), &list) + MEMBERS;
    for (configured, accepted) in [(issuer.url.as_str(), true), ("second", true), ("third", false)] {
        issuer.is_configured(json!({"issuer": configured, "jwks_uri": format!("{}/keys", issuer.url)}));
        let answer = post_token(&service(&config), &key.token(&issuer.claims())).await;
        if accepted {
            assert_accepted(&answer, configured);
        } else {
            super::assert_unavailable(&answer, configured);
        }
    }
}

#[tokio::test]
async fn the_audience_is_in_the_first_audience_claim_that_a_token_has() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    for (setting, accepted, refused) in [
        (
            "",
            vec![json!({}), json!({"aud": ["x", "calls"]}), json!({"client_id": "x"})],
            vec![json!({"aud": null, "client_id": "calls"}), json!({"aud": "x", "client_id": "calls"})],
        ),
        (
            "audience_claim = \"client_id\"",
            vec![
                json!({"aud": null, "client_id": "calls"}),
                json!({"aud": "x", "client_id": "calls"}),
                json!({"aud": null, "client_id": ["x", "calls"]}),
            ],
            vec![
                json!({}),
                json!({"client_id": "x"}),
                json!({"client_id": "Calls"}),
                json!({"client_id": ["x"]}),
                json!({"client_id": []}),
                json!({"client_id": {"calls": "calls"}}),
                json!({"client_id": ["calls", 5]}),
                json!({"client_id": "null"}),
            ],
        ),
        (
            "audience_claim = [\"aud\", \"azp\", \"client_id\"]",
            vec![
                json!({}),
                json!({"azp": "x"}),
                json!({"aud": null, "azp": "calls"}),
                json!({"aud": null, "azp": "calls", "client_id": "x"}),
                json!({"aud": null, "client_id": "calls"}),
            ],
            vec![
                json!({"aud": "x", "azp": "calls", "client_id": "calls"}),
                json!({"aud": "null", "azp": "calls"}),
                json!({"aud": [], "azp": "calls"}),
                json!({"aud": null, "azp": "x", "client_id": "calls"}),
                json!({"aud": null}),
            ],
        ),
    ] {
        let service = service(&(jwt_caller(&issuer.url, "[\"ES256\"]") + setting + MEMBERS));
        for more in accepted {
            let token = key.token(&with(&issuer.claims(), &more));
            assert_accepted(&post_token(&service, &token).await, &format!("{setting} {more}"));
        }
        for more in refused {
            let token = key.token(&with(&issuer.claims(), &more));
            assert_invalid(&post_token(&service, &token).await, &format!("{setting} {more}"));
        }
    }
}

#[tokio::test]
async fn a_required_claim_takes_the_conditions_of_a_rule() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    for (required, accepted, refused) in [
        (
            "email_verified = { one_of = [true, \"true\"] }",
            vec![json!(true), json!("true")],
            vec![
                json!(false),
                json!("false"),
                json!(null),
                json!("null"),
                json!([true]),
                json!("TRUE"),
                json!(1),
            ],
        ),
        (
            "email_verified = { contains = \"host\" }",
            vec![json!(["user", "host"])],
            vec![json!("host"), json!("user host"), json!(["hosts"]), json!({"host": true}), json!(null)],
        ),
        (
            "email_verified = { contains_word = \"host\" }",
            vec![json!(["user", "host"]), json!("host"), json!("user host")],
            vec![json!("hosts"), json!("ghost host2"), json!(""), json!(null)],
        ),
    ] {
        let caller = jwt_caller(&issuer.url, "[\"ES256\"]");
        let service = service(&format!("{caller}required_claims = {{ {required} }}\n{MEMBERS}"));
        for (value, is_accepted) in accepted
            .into_iter()
            .map(|value| (value, true))
            .chain(refused.into_iter().map(|value| (value, false)))
        {
            let token = key.token(&with(&issuer.claims(), &json!({ "email_verified": value })));
            let answer = post_token(&service, &token).await;
            let what = format!("{required}: {value}");
            if is_accepted {
                assert_accepted(&answer, &what);
            } else {
                assert_invalid(&answer, &what);
            }
        }
    }
    let caller = jwt_caller(&issuer.url, "[\"ES256\"]");
    let service = service(&format!(
        "{caller}required_claims = {{ scope = {{ contains = \"calls:join\" }} }}\n{MEMBERS}"
    ));
    for (scope, is_accepted) in [
        (json!("openid calls:join"), true),
        (json!(["openid", "calls:join"]), true),
        (json!("openid calls:joiner"), false),
        (json!("calls:join,openid"), false),
    ] {
        let token = key.token(&with(&issuer.claims(), &json!({ "scope": scope })));
        let answer = post_token(&service, &token).await;
        if is_accepted {
            assert_accepted(&answer, &scope.to_string());
        } else {
            assert_invalid(&answer, &scope.to_string());
        }
    }
}

#[test]
fn a_mistake_in_these_keys_is_reported_with_the_valid_values() {
    let mistake = |line: &str| {
        let caller = jwt_caller("https://login.example", "[\"ES256\"]");
        let key = line.split(' ').next().unwrap();
        let others: Vec<_> = caller.lines().filter(|other| !other.starts_with(&format!("{key} ="))).collect();
        Config::parse(&format!("{}\n{line}\n{MEMBERS}", others.join("\n")), "x.toml").unwrap_err().to_string()
    };
    for (line, expected) in [
        ("issuer = []", "caller \"app\": issuer must not be empty"),
        ("issuer = [\"https://a.example\", \"\"]", "caller \"app\": issuer must not be empty"),
        ("issuer = [\"https://a.example\", \"https://a.example\"]", "issuer must not contain duplicates"),
        (
            "issuer = [\"a.example\", \"https://a.example\"]",
            "the first issuer (or jwks_url) must be an https URL",
        ),
        (
            "issuer = [\"https://a.example\", \"https://u:p@a.example\"]",
            "must not contain a user name or password",
        ),
        ("issuer = 5", "must be a string, or a list of strings"),
        ("issuer = [5]", "must be a string, or a list of strings"),
        ("audience_claim = []", "caller \"app\": audience_claim must not be empty"),
        ("audience_claim = \"\"", "caller \"app\": audience_claim must not be empty"),
        ("audience_claim = [\"azp\", \"azp\"]", "audience_claim must not contain duplicates"),
        ("required_claims = { groups = [\"a\"] }", "{ one_of = [..] }, { contains = .. }"),
        ("required_claims = { 'claims.role' = 'host' }", "without \"claims.\": write \"role\""),
        ("required_claims = { a = { one_of = [] } }", "one_of must not be empty"),
        ("required_claims = { a = { any_of = [1] } }", "a condition must be a value, { one_of = [..] }"),
    ] {
        let mistake = mistake(line);
        assert!(mistake.contains(expected) && mistake.starts_with("x.toml:"), "{line}: {mistake}");
    }
}
