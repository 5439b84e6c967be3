//! The key and the algorithm that a token is verified with.

use roompass::config::Config;
use serde_json::{Value, json};

use super::{
    MEMBERS, assert_accepted, assert_invalid, jwt_caller, members, post_token, service_with_secrets,
};
use crate::issuer::{Issuer, Key, Keys, compact, encoded, hs256};
use crate::support::API_SECRET;

#[tokio::test]
async fn every_algorithm_is_verified_with_its_own_kind_of_key() {
    let rsa = Key::new("rsa", "RS256");
    let keys = [&rsa, &Key::new("p-256", "ES256"), &Key::new("p-384", "ES384"), &Key::new("ed", "EdDSA")];
    let issuer = Issuer::with(&keys).await;
    let every =
        "[\"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", \"EdDSA\"]";
    let service = members(&issuer.url, every);
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = rsa.token_by(algorithm, &issuer.claims());
        assert_eq!(assert_accepted(&post_token(&service, &token).await, algorithm)["sub"], "ada");
    }
    for key in keys {
        let answer = post_token(&service, &key.token(&issuer.claims())).await;
        assert_eq!(assert_accepted(&answer, &key.jwk().to_string())["sub"], "ada");
    }
    assert_eq!(issuer.asked(), ["/.well-known/openid-configuration", "/keys"], "one fetch serves them all");
}

#[tokio::test]
async fn the_algorithm_comes_from_the_allow_list_and_the_key() {
    let (rsa, ec) = (Key::new("rsa", "RS256"), Key::new("ec", "ES256"));
    let issuer = Issuer::with(&[&rsa, &ec]).await;
    let service = members(&issuer.url, "[\"RS256\"]");
    let claims = issuer.claims();
    assert_accepted(&post_token(&service, &rsa.token(&claims)).await, "a good token");

    for (form, secret) in rsa.public_forms() {
        for header in [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "rsa"})] {
            let token = compact(&header.to_string(), &claims.to_string(), hs256(&secret));
            assert_invalid(&post_token(&service, &token).await, &format!("HS256 keyed with {form}"));
        }
    }
    for name in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS1", "HS384", "ES256", "EdDSA"] {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let unsigned = compact(&header, &claims.to_string(), |_| Vec::new());
        assert_invalid(&post_token(&service, &unsigned).await, &format!("{name:?}, unsigned"));
        assert_invalid(
            &post_token(&service, &rsa.token_by(name, &claims)).await,
            &format!("{name:?}, signed"),
        );
    }
    for mistyped in [json!(null), json!(256), json!(["RS256"]), json!({"RS256": true})] {
        let token = rsa.token_with(json!({ "alg": mistyped }), &claims);
        assert_invalid(&post_token(&service, &token).await, &format!("alg: {mistyped}"));
    }
    for (what, token) in [
        ("RS384, which isn't listed", rsa.token_by("RS384", &claims)),
        ("PS256, which isn't listed", rsa.token_by("PS256", &claims)),
        ("ES256, which isn't listed", ec.token(&claims)),
        ("a PS256 signature said to be RS256", {
            let good = rsa.token_by("PS256", &claims);
            let signature = good.rsplit('.').next().unwrap();
            let header = encoded(br#"{"alg":"RS256","kid":"rsa"}"#);
            format!("{header}.{}.{signature}", encoded(claims.to_string().as_bytes()))
        }),
        ("an unsigned token", compact(r#"{"alg":"RS256","kid":"rsa"}"#, &claims.to_string(), |_| Vec::new())),
    ] {
        assert_invalid(&post_token(&service, &token).await, what);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_key_is_used_only_for_its_declared_purpose() {
    let (rsa, p256, p384) = (Key::new("rsa", "RS256"), Key::new("a", "ES256"), Key::new("b", "ES384"));
    let issuer = Issuer::with(&[]).await;
    let service = members(&issuer.url, "[\"RS256\", \"PS256\", \"ES256\", \"ES384\"]");
    let published = |id: &str, more: &[(&str, Value)]| {
        let mut jwk = rsa.jwk();
        jwk["kid"] = id.into();
        for (member, value) in more {
            jwk[*member] = value.clone();
        }
        jwk
    };
    let good = [
        published("rsa", &[]),
        published(
            "said in full",
            &[("use", json!("sig")), ("alg", json!("RS256")), ("key_ops", json!(["verify"]))],
        ),
    ];
    let bad = [
        published("another alg", &[("alg", json!("PS256"))]),
        published("an alg for encryption", &[("alg", json!("RSA-OAEP"))]),
        published("an alg of tomorrow", &[("alg", json!("XS256"))]),
        published("for encryption", &[("use", json!("enc"))]),
        published("for something else", &[("use", json!("tls"))]),
        published("an operation but verifying", &[("key_ops", json!(["encrypt", "wrapKey"]))]),
        published("no operation", &[("key_ops", json!([]))]),
        published("at odds", &[("use", json!("sig")), ("key_ops", json!(["sign"]))]),
        published("another kind", &[("kty", json!("EC"))]),
        published("a kind of tomorrow", &[("kty", json!("AKP"))]),
        json!({"kty": "oct", "kid": "a shared secret", "k": encoded(&[7; 32]), "alg": "HS256"}),
    ];
    let keys: Vec<_> = good.iter().chain(&bad).cloned().chain([p256.jwk(), p384.jwk()]).collect();
    issuer.shows(Keys::Set(json!({ "keys": keys })));

    let claims = issuer.claims();
    for jwk in &good {
        let token = rsa.token_with(json!({"kid": jwk["kid"]}), &claims);
        assert_accepted(&post_token(&service, &token).await, &jwk.to_string());
    }
    for jwk in &bad {
        let token = rsa.token_with(json!({"kid": jwk["kid"]}), &claims);
        assert_invalid(&post_token(&service, &token).await, &jwk.to_string());
    }
    let zeros =
        |bytes: usize| compact(r#"{"alg":"ES256","kid":"a"}"#, &claims.to_string(), |_| vec![0; bytes]);
    for (what, token) in [
        ("PS256, for a key that is said to be for RS256", {
            let header = json!({"alg": "PS256", "kid": "said in full"}).to_string();
            let signed = rsa.token_by("PS256", &claims);
            format!("{}.{}", encoded(header.as_bytes()), signed.split_once('.').unwrap().1)
        }),
        ("ES256 with the other curve's key", p256.token_with(json!({"kid": "b"}), &claims)),
        ("ES384 with the other curve's key", p384.token_with(json!({"kid": "a"}), &claims)),
        ("ES384 said to be ES256", p384.token_with(json!({"alg": "ES256"}), &claims)),
        ("RS256 with an elliptic key", rsa.token_with(json!({"kid": "a"}), &claims)),
        ("a signature of zeros", zeros(64)),
        ("a short signature", zeros(1)),
    ] {
        assert_invalid(&post_token(&service, &token).await, what);
    }
    for key in [&rsa, &p256] {
        let token = key.token_with(json!({"kid": null}), &claims);
        assert_accepted(&post_token(&service, &token).await, "no key named: each that fits is tried");
    }
    assert_eq!(issuer.fetches(), 2, "at first, and for the first key that isn't in the set");
}

#[tokio::test]
async fn a_shared_secret_and_a_public_key_of_one_issuer_are_not_interchangeable() {
    let rsa = Key::new("rsa", "RS256");
    let issuer = Issuer::with(&[&rsa]).await;
    let secret = "a secret of thirty-two bytes, or more";
    let config = jwt_caller(&issuer.url, "[\"HS256\"]") + "secret = \"OURS\"\n";
    let second = jwt_caller(&issuer.url, "[\"RS256\"]").replace("\"app\"", "\"second\"");
    let rule = MEMBERS.replace("[\"app\"]", "[\"app\", \"second\"]");
    let service = service_with_secrets(&(config + &second + &rule), &[("OURS", secret)], &json!({}));
    let claims = issuer.claims();
    let shared = |key: &[u8]| compact(r#"{"alg":"HS256","kid":"rsa"}"#, &claims.to_string(), hs256(key));
    assert_accepted(&post_token(&service, &shared(secret.as_bytes())).await, "HS256");
    assert_accepted(&post_token(&service, &rsa.token(&claims)).await, "RS256");
    for (form, key) in rsa.public_forms() {
        assert_invalid(&post_token(&service, &shared(&key)).await, &format!("HS256 keyed with {form}"));
    }
    for near in ["OURS", &secret[..32], &format!("{secret}\n"), API_SECRET] {
        assert_invalid(&post_token(&service, &shared(near.as_bytes())).await, near);
    }

    for algorithms in
        ["[]", "[\"none\"]", "[\"HS512\"]", "[\"rs256\"]", "[\"RS256\", \"HS256\"]", "\"RS256\""]
    {
        for more in ["", "secret = \"OURS\"\n", "jwks_url = \"https://a.example\"\nsecret = \"OURS\"\n"] {
            let config = jwt_caller("https://a.example", algorithms) + more + MEMBERS;
            assert!(Config::parse(&config, "test.toml").is_err(), "{algorithms} {more}");
        }
    }
}

#[tokio::test]
async fn keys_that_a_token_brings_are_ignored_and_nothing_is_fetched() {
    let (ours, theirs) = (Key::new("ours", "ES256"), Key::new("theirs", "ES256"));
    let issuer = Issuer::with(&[&ours]).await;
    let attacker = Issuer::with(&[&theirs]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    let claims = issuer.claims();
    let place = format!("{}/keys", attacker.url);
    for (brought, value) in [
        ("jwk", theirs.jwk()),
        ("jku", json!(place)),
        ("x5u", json!(place)),
        ("x5c", json!([encoded(b"certificate")])),
        ("kid", json!(place)),
    ] {
        for id in [json!("ours"), json!("theirs"), json!(null)] {
            let mut header = json!({ "kid": id });
            header[brought] = value.clone();
            let forged = theirs.token_with(header.clone(), &claims);
            assert_invalid(&post_token(&service, &forged).await, &header.to_string());
        }
        if brought != "kid" {
            let genuine = ours.token_with(json!({ brought: value }), &claims);
            assert_accepted(&post_token(&service, &genuine).await, brought);
        }
    }
    let elsewhere = json!({"iss": attacker.url, "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    assert_invalid(&post_token(&service, &theirs.token(&elsewhere)).await, "an issuer that isn't configured");
    assert_eq!(attacker.asked(), [""; 0]);
    assert_eq!(issuer.fetches(), 2, "at first, and for the first key that isn't in the set");
}

#[tokio::test]
async fn only_a_signed_token_of_three_parts_without_extensions_is_read() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    let claims = issuer.claims();
    let good = key.token(&claims);
    assert_accepted(&post_token(&service, &good).await, "a good token");

    for header in [
        json!({"crit": ["exp"]}),
        json!({"crit": ["http://example.com/UNDEFINED"], "http://example.com/UNDEFINED": true}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
    ] {
        assert_invalid(
            &post_token(&service, &key.token_with(header.clone(), &claims)).await,
            &header.to_string(),
        );
    }
    for id in [json!(5), json!(["k"]), json!({"k": 1}), json!(true)] {
        assert_invalid(
            &post_token(&service, &key.token_with(json!({"kid": id}), &claims)).await,
            &id.to_string(),
        );
    }
    let parts: Vec<_> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let json = |protected: &str| {
        format!(r#"{{"payload":"{payload}","protected":"{protected}","signature":"{signature}"}}"#)
    };
    for (what, token) in [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("two parts and a dot", format!("{header}.{payload}.")),
        ("four parts", format!("{good}.{signature}")),
        ("four parts, one empty", format!("{good}.")),
        ("an empty part before", format!(".{good}")),
        ("five parts, as a JWE", format!("{header}.AA.{payload}.AA.{signature}")),
        ("five parts by one", format!("{good}.{signature}.{signature}")),
        ("dots alone", "..".into()),
        ("a dot alone", ".".into()),
        ("detached payload", format!("{header}..{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("JSON serialisation", json(header)),
        ("JSON serialisation, general", format!(r#"{{"signatures":[{}]}}"#, json(header))),
        ("padding", format!("{header}.{payload}.{signature}=")),
        ("padding of the header", format!("{header}=.{payload}.{signature}")),
        ("padding, escaped", format!("{good}%3D")),
        ("the other alphabet", format!("{header}.{payload}.+{}", &signature[1..])),
        ("white space inside", format!("{header}. {payload}.{signature}")),
        ("a tab inside", format!("{header}.\t{payload}.{signature}")),
        ("white space after", format!("{good} ")),
        ("a newline, escaped", format!("{good}\\n")),
        ("quotes", format!("\"{good}\"")),
        ("two tokens", format!("{good}, {good}")),
        ("two tokens as two headers joined", format!("{good},Bearer {good}")),
        ("another payload", format!("{header}.{}.{signature}", encoded(br#"{"sub":"eve"}"#))),
        ("a header that is a list", format!("{}.{payload}.{signature}", encoded(b"[]"))),
        ("claims that are null", key.token_of(r#"{"alg":"ES256","kid":"k"}"#, "null")),
        ("claims that are a string", key.token_of(r#"{"alg":"ES256","kid":"k"}"#, "\"ada\"")),
        ("two claims objects", key.token_of(r#"{"alg":"ES256","kid":"k"}"#, &format!("{claims}{claims}"))),
        ("a byte order mark", key.token_of(r#"{"alg":"ES256","kid":"k"}"#, &format!("\u{feff}{claims}"))),
        ("nested past all measure", key.token_of(&"[".repeat(5_000), "{}")),
    ] {
        assert_invalid(&post_token(&service, &token).await, what);
    }
    for (what, value) in [(
        "white space beside JSON",
        key.token_of(" {\n\"alg\":\"ES256\",\"kid\":\"k\"}\n", &format!("\n{claims} ")),
    )] {
        assert_accepted(&post_token(&service, &value).await, what);
    }
    assert_eq!(issuer.fetches(), 1);
}
