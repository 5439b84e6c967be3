//! What an authenticated caller may have.

use axum::http::Method;
use roompass::auth::{ApiKeyHash, new_key};
use roompass::config::Config;
use serde_json::{Value, json};

use super::{
    MEMBERS, assert_accepted, assert_invalid, jwt_caller, post_token, post_with, service_with_secrets,
};
use crate::issuer::{Issuer, Key};
use crate::support::{API_KEY, API_SECRET, request, rules, send, service};

#[tokio::test]
async fn with_within_credential_a_token_expires_no_later_than_the_credential() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let lifetime = async |more: &str, ends: Value| {
        let service = service(&(jwt_caller(&issuer.url, "[\"ES256\"]") + MEMBERS + more));
        let mut claims = issuer.claims();
        claims["exp"] = ends;
        let pass = assert_accepted(&post_token(&service, &key.token(&claims)).await, more);
        (pass["exp"].as_u64().unwrap() - pass["nbf"].as_u64().unwrap(), pass["exp"].as_u64().unwrap())
    };
    assert_eq!(lifetime("", json!(now + 100)).await.0, 600, "the rule doesn't say so");
    let (seconds, ends) = lifetime("within_credential = true", json!(now + 100)).await;
    assert!((90..=100).contains(&seconds) && ends == now + 100, "{seconds} seconds");
    let closed = service(&(jwt_caller(&issuer.url, "[\"ES256\"]") + MEMBERS + "within_credential = true"));
    let mut claims = issuer.claims();
    claims["exp"] = json!(now - 30);
    post_token(&closed, &key.token(&claims)).await.refused(401, "invalid_credential");
    let (seconds, _) = lifetime("within_credential = true\nttl = \"1m\"", json!(now + 10_000)).await;
    assert_eq!(seconds, 60, "the rule's own ttl is shorter");

    let kept = new_key(roompass::system::randomness);
    let soon = now + 100;
    let expires =
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(soon));
    let config =
        "[[caller]]\nname = \"app\"\nkind = \"api-key\"\n".to_owned() + MEMBERS + "within_credential = true";
    let api_keys =
        json!({"backend": {"hash": ApiKeyHash::of(&kept).to_string(), "expires": expires.to_string()}});
    let pass = assert_accepted(
        &post_with(&service_with_secrets(&config, &[], &api_keys), &[("x-api-key", &kept)]).await,
        "an API key",
    );
    assert_eq!(pass["exp"], soon, "an API key expires too");
    assert_eq!(pass["sub"], "backend");
}

#[tokio::test]
async fn api_keys_are_matched_by_their_hashes_alone() {
    let [good, ended, later, unknown] = [(); 4].map(|()| new_key(roompass::system::randomness));
    let hash = |key: &str| ApiKeyHash::of(key).to_string();
    let kept = json!({
        "backend": hash(&good),
        "old": {"hash": hash(&ended), "expires": "2020-01-01T00:00:00Z"},
        "batch": {"hash": hash(&later), "expires": "2096-01-01T00:00:00Z"},
    });
    let config = "[[caller]]\nname = \"app\"\nkind = \"api-key\"\n".to_owned() + MEMBERS;
    let service = service_with_secrets(&config, &[], &kept);
    for (key, name) in [(&good, "backend"), (&later, "batch")] {
        for (header, value) in [
            ("x-api-key", key.clone()),
            ("X-API-Key", key.clone()),
            ("authorization", format!("ApiKey {key}")),
            ("authorization", format!("apikey {key}")),
            ("authorization", format!("Bearer {key}")),
        ] {
            assert_eq!(
                assert_accepted(&post_with(&service, &[(header, &value)]).await, &value)["sub"],
                name,
                "{header}"
            );
        }
    }
    for (what, key) in [
        ("unknown", unknown.clone()),
        ("ended", ended.clone()),
        ("the hash", hash(&good)),
        ("the hash without its name", hash(&good).replace("sha256:", "")),
        ("the name", "backend".into()),
        ("empty", String::new()),
        ("shortened", good[..good.len() - 1].into()),
        ("lengthened", format!("{good}0")),
        ("in another case", good.to_uppercase()),
        ("quoted", format!("\"{good}\"")),
        ("two in one", format!("{good},{later}")),
        ("two in one, apart", format!("{good}, {good}")),
        ("the signing secret", API_SECRET.into()),
    ] {
        for (header, value) in [
            ("x-api-key", key.clone()),
            ("authorization", format!("ApiKey {key}")),
            ("authorization", format!("Bearer {key}")),
        ] {
            assert_invalid(
                &post_with(&service, &[(header, &value)]).await,
                &format!("{what}: {header}: {value}"),
            );
        }
    }
    for path in [format!("/getToken?x-api-key={good}"), format!("/getToken?api_key={good}")] {
        send(&service, request(Method::POST, &path, &[], json!({"api_key": good}).to_string()))
            .await
            .refused(401, "no_credential");
    }
    let secret = json!({
        "LIVEKIT_URL": "wss://a", "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET, "ROOMPASS_API_KEYS": kept,
    });
    let config = Config::parse("", "test.toml").unwrap();
    let shown = format!("{:?}", rules(&config).read(&secret.to_string()).unwrap());
    for secret in [&good, &hash(&good), &hash(&good)[7..], API_SECRET] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn agents_and_egress_are_for_the_callers_whose_rule_names_them() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let rules = r#"
        [[rule]]
        name = "hosts"
        callers = ["app"]
        when = { "claims.roles" = { contains = "host" } }
        rooms = ["*"]
        agents = ["notetaker"]
        egress = [{ kind = "room", client_may_set = ["layout"] }]

        [[rule]]
        name = "guests"
        callers = ["app"]
        rooms = ["*"]
    "#;
    let service = service(&(jwt_caller(&issuer.url, "[\"ES256\"]") + rules));
    let ask = async |roles: Value, config: Value| {
        let mut claims = issuer.claims();
        claims["roles"] = roles;
        let bearer = format!("Bearer {}", key.token(&claims));
        let body = json!({ "room_config": config }).to_string();
        send(&service, request(Method::POST, "/getToken", &[("authorization", &bearer)], body)).await
    };
    let (agent, recording) =
        (json!({"agents": [{"agent_name": "notetaker"}]}), json!({"egress": {"room": {"layout": "grid"}}}));
    assert_accepted(&ask(json!(["host"]), agent.clone()).await, "a host's agent");
    assert_accepted(&ask(json!(["guest", "host"]), recording.clone()).await, "a host's recording");
    for roles in [
        json!(null),
        json!("host"),
        json!([]),
        json!(["Host"]),
        json!([["host"]]),
        json!({"host": true}),
        json!("[host]"),
        json!(["host guest"]),
    ] {
        ask(roles.clone(), agent.clone()).await.refused(403, "agent_not_allowed");
        ask(roles, recording.clone()).await.refused(403, "egress_not_allowed");
    }
    ask(json!(["host"]), json!({"agents": [{"agent_name": "notetaker"}, {"agent_name": "another"}]}))
        .await
        .refused(403, "agent_not_allowed");
    ask(json!(["host"]), json!({"egress": {"tracks": {"filepath": "x"}}}))
        .await
        .refused(403, "egress_not_allowed");
    for credentials in [
        json!({"file_outputs": [{"s3": {"secret": "canary"}}]}),
        json!({"stream_outputs": [{"urls": ["rtmp://canary"]}]}),
    ] {
        let answer = ask(json!(["host"]), json!({"egress": {"room": credentials}})).await;
        assert!(!answer.refused(400, "invalid_field").to_string().contains("canary"));
    }
}
