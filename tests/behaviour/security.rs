//! The rules that a token endpoint is tested against: attacks on authentication, and on what callers may have.
//! They are drawn from RFC 8725, 7519, 6750 and 9457, and the OWASP API Security Top 10.

use std::sync::Arc;

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents};
use axum::Router;
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use roompass::auth::{ApiKeyHash, new_key};
use roompass::auth::{AuthError, Callers};
use roompass::config::Config;
use roompass::domain::Context;
use roompass::keys::StoreError;
use serde_json::{Value, json};

use crate::issuer::{Issuer, Key, Keys, compact, encoded, hs256, set};
use crate::log::logged;
use crate::support::{
    API_KEY, API_SECRET, Answer, request, rules, send, service, service_stored_in, service_with,
};

/// Members may have any room, as themselves.
const MEMBERS: &str =
    "\n[[rule]]\nname = \"members\"\ncallers = [\"app\"]\nrooms = [\"*\"]\nidentity = \"{sub}\"\n";

/// A caller whose tokens this issuer signs with these algorithms.
fn app(issuer: &str, algorithms: &str) -> String {
    format!(
        "\n[[caller]]\nname = \"app\"\nkind = \"jwt\"\nissuer = \"{issuer}\"\naudience = \"calls\"\nalgorithms = {algorithms}\n"
    )
}

fn members(issuer: &str, algorithms: &str) -> Router {
    service(&(app(issuer, algorithms) + MEMBERS))
}

/// A service that shares secrets with issuers and keeps API keys.
fn knowing(config: &str, secrets: &[(&str, &str)], api_keys: &Value) -> Router {
    let mut members = json!({ "ROOMPASS_API_KEYS": api_keys });
    for (name, secret) in secrets {
        members[*name] = json!(secret);
    }
    service_with(config, &members)
}

/// The system's randomness, at a time of the test's own.
fn at(now: u64) -> Context {
    Context { now, ..roompass::system::context() }
}

async fn ask(service: &Router, headers: &[(&str, &str)]) -> Answer {
    send(service, request(Method::POST, "/getToken", headers, "")).await
}

async fn bearing(service: &Router, token: &str) -> Answer {
    ask(service, &[("authorization", &format!("Bearer {token}"))]).await
}

fn assert_welcome(answer: &Answer, what: &str) -> Value {
    assert_eq!(answer.status, StatusCode::CREATED, "{what}: {}", String::from_utf8_lossy(&answer.body));
    answer.claims()
}

/// The one answer to every wrong credential: the same, to the byte, whatever is wrong with it.
fn assert_invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {}", String::from_utf8_lossy(&answer.body));
    let mut problem = answer.refused(401, "invalid_credential");
    problem.as_object_mut().unwrap().remove("request_id");
    assert_eq!(
        problem,
        json!({
            "type": "urn:roompass:problem:invalid_credential",
            "title": "Invalid credential",
            "status": 401,
            "detail": "The token or key is not accepted or has expired. The log has the cause under this request ID.",
            "code": "invalid_credential",
        }),
        "{what}"
    );
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}");
    assert_eq!(answer.header("retry-after"), "", "{what}");
}

fn assert_unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
    answer.refused(503, "verification_unavailable");
    assert_eq!((answer.header("retry-after"), answer.header("www-authenticate")), ("5", ""), "{what}");
}

// Tokens: the key.

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
        assert_eq!(assert_welcome(&bearing(&service, &token).await, algorithm)["sub"], "ada");
    }
    for key in keys {
        let answer = bearing(&service, &key.token(&issuer.claims())).await;
        assert_eq!(assert_welcome(&answer, &key.jwk().to_string())["sub"], "ada");
    }
    assert_eq!(issuer.asked(), ["/.well-known/openid-configuration", "/keys"], "one fetch serves them all");
}

#[tokio::test]
async fn the_algorithm_comes_from_the_allow_list_and_the_key() {
    let (rsa, ec) = (Key::new("rsa", "RS256"), Key::new("ec", "ES256"));
    let issuer = Issuer::with(&[&rsa, &ec]).await;
    let service = members(&issuer.url, "[\"RS256\"]");
    let claims = issuer.claims();
    assert_welcome(&bearing(&service, &rsa.token(&claims)).await, "a good token");

    for (form, secret) in rsa.public_forms() {
        for header in [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "rsa"})] {
            let token = compact(&header.to_string(), &claims.to_string(), hs256(&secret));
            assert_invalid(&bearing(&service, &token).await, &format!("HS256 keyed with {form}"));
        }
    }
    for name in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS1", "HS384", "ES256", "EdDSA"] {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let unsigned = compact(&header, &claims.to_string(), |_| Vec::new());
        assert_invalid(&bearing(&service, &unsigned).await, &format!("{name:?}, unsigned"));
        assert_invalid(&bearing(&service, &rsa.token_by(name, &claims)).await, &format!("{name:?}, signed"));
    }
    for mistyped in [json!(null), json!(256), json!(["RS256"]), json!({"RS256": true})] {
        let token = rsa.token_with(json!({ "alg": mistyped }), &claims);
        assert_invalid(&bearing(&service, &token).await, &format!("alg: {mistyped}"));
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
        assert_invalid(&bearing(&service, &token).await, what);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_key_verifies_only_what_it_is_said_to_be_for() {
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
        assert_welcome(&bearing(&service, &token).await, &jwk.to_string());
    }
    for jwk in &bad {
        let token = rsa.token_with(json!({"kid": jwk["kid"]}), &claims);
        assert_invalid(&bearing(&service, &token).await, &jwk.to_string());
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
        ("no key named, where several fit", rsa.token_with(json!({"kid": null}), &claims)),
    ] {
        assert_invalid(&bearing(&service, &token).await, what);
    }
    assert_welcome(
        &bearing(&service, &p256.token_with(json!({"kid": null}), &claims)).await,
        "only one key fits",
    );
    assert_eq!(issuer.fetches(), 2, "at first, and for the first key that isn't in the set");
}

#[tokio::test]
async fn a_shared_secret_and_a_public_key_of_one_issuer_stay_apart() {
    let rsa = Key::new("rsa", "RS256");
    let issuer = Issuer::with(&[&rsa]).await;
    let secret = "a secret of thirty-two bytes, or more";
    let config = app(&issuer.url, "[\"HS256\"]") + "secret = \"OURS\"\n";
    let second = app(&issuer.url, "[\"RS256\"]").replace("\"app\"", "\"second\"");
    let rule = MEMBERS.replace("[\"app\"]", "[\"app\", \"second\"]");
    let service = knowing(&(config + &second + &rule), &[("OURS", secret)], &json!({}));
    let claims = issuer.claims();
    let shared = |key: &[u8]| compact(r#"{"alg":"HS256","kid":"rsa"}"#, &claims.to_string(), hs256(key));
    assert_welcome(&bearing(&service, &shared(secret.as_bytes())).await, "HS256");
    assert_welcome(&bearing(&service, &rsa.token(&claims)).await, "RS256");
    for (form, key) in rsa.public_forms() {
        assert_invalid(&bearing(&service, &shared(&key)).await, &format!("HS256 keyed with {form}"));
    }
    for near in ["OURS", &secret[..32], &format!("{secret}\n"), API_SECRET] {
        assert_invalid(&bearing(&service, &shared(near.as_bytes())).await, near);
    }

    for algorithms in
        ["[]", "[\"none\"]", "[\"HS512\"]", "[\"rs256\"]", "[\"RS256\", \"HS256\"]", "\"RS256\""]
    {
        for more in ["", "secret = \"OURS\"\n", "jwks_url = \"https://a.example\"\nsecret = \"OURS\"\n"] {
            let config = app("https://a.example", algorithms) + more + MEMBERS;
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
            assert_invalid(&bearing(&service, &forged).await, &header.to_string());
        }
        if brought != "kid" {
            let genuine = ours.token_with(json!({ brought: value }), &claims);
            assert_welcome(&bearing(&service, &genuine).await, brought);
        }
    }
    let elsewhere = json!({"iss": attacker.url, "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    assert_invalid(&bearing(&service, &theirs.token(&elsewhere)).await, "an issuer that isn't configured");
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
    assert_welcome(&bearing(&service, &good).await, "a good token");

    for header in [
        json!({"crit": ["exp"]}),
        json!({"crit": ["http://example.com/UNDEFINED"], "http://example.com/UNDEFINED": true}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
    ] {
        assert_invalid(
            &bearing(&service, &key.token_with(header.clone(), &claims)).await,
            &header.to_string(),
        );
    }
    for id in [json!(5), json!(["k"]), json!({"k": 1}), json!(true)] {
        assert_invalid(
            &bearing(&service, &key.token_with(json!({"kid": id}), &claims)).await,
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
        assert_invalid(&bearing(&service, &token).await, what);
    }
    for (what, value) in [(
        "white space beside JSON",
        key.token_of(" {\n\"alg\":\"ES256\",\"kid\":\"k\"}\n", &format!("\n{claims} ")),
    )] {
        assert_welcome(&bearing(&service, &value).await, what);
    }
    assert_eq!(issuer.fetches(), 1);
}

// Tokens: the claims.

#[expect(clippy::too_many_lines, reason = "one table of attacks")]
#[tokio::test]
async fn claims_are_read_with_no_benefit_of_the_doubt() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    let url = issuer.url.as_str();
    let with = |claim: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[claim] = value;
        claims
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();

    for (claim, value) in [
        ("exp", json!(now - 30)), // within the leeway of a minute
        ("exp", json!(4_000_000_000.5)),
        ("nbf", json!(now + 30)),
        ("nbf", json!(1)),
        ("iat", json!(now)),
        ("aud", json!(["another", "calls"])),
        ("aud", json!(["calls"])),
        ("sub", json!("🦀 any text")),
        ("jti", json!([{"anything": "else"}])),
    ] {
        let answer = bearing(&service, &key.token(&with(claim, value.clone()))).await;
        assert_welcome(&answer, &format!("{claim}: {value}"));
    }

    let huge = json!(1e18);
    for (claim, value) in [
        ("exp", json!(now - 61)),
        ("exp", json!("4000000000")),
        ("exp", json!(-4_000_000_000_i64)),
        ("exp", json!(0)),
        ("exp", json!(0.5)),
        ("exp", huge.clone()),
        ("exp", json!(u64::MAX)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(null)),
        ("exp", json!(true)),
        ("exp", json!([4_000_000_000_u64])),
        ("exp", json!({})),
        ("nbf", json!(now + 90)),
        ("nbf", json!("1")),
        ("nbf", json!(null)),
        ("nbf", json!(-1)),
        ("iat", json!(now + 90)),
        ("iat", huge),
        ("iss", json!(null)),
        ("iss", json!([url])),
        ("iss", json!(5)),
        ("iss", json!({"url": url})),
        ("iss", json!("")),
        ("iss", json!(format!("{url}/"))),
        ("iss", json!(url.to_uppercase())),
        ("iss", json!(url.replace("http:", "https:"))),
        ("iss", json!(url.replace("127.0.0.1", "localhost"))),
        ("iss", json!(format!("{url}?"))),
        ("iss", json!(format!(" {url}"))),
        ("iss", json!(format!("{url}\0"))),
        ("aud", json!(null)),
        ("aud", json!("")),
        ("aud", json!("another")),
        ("aud", json!("Calls")),
        ("aud", json!("calls ")),
        ("aud", json!("calls,another")),
        ("aud", json!([])),
        ("aud", json!(["another"])),
        ("aud", json!(["calls", 5])),
        ("aud", json!([["calls"]])),
        ("aud", json!({"calls": true})),
        ("aud", json!(url)),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(5)),
        ("sub", json!(["ada"])),
        ("sub", json!({"id": "ada"})),
    ] {
        let answer = bearing(&service, &key.token(&with(claim, value.clone()))).await;
        assert_invalid(&answer, &format!("{claim}: {value}"));
    }
    for claim in ["iss", "aud", "exp", "sub"] {
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove(claim);
        assert_invalid(&bearing(&service, &key.token(&claims)).await, &format!("no {claim}"));
    }

    let claims = issuer.claims().to_string();
    let more = |member: &str| claims.replacen('{', &format!("{{{member},"), 1);
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    for (what, token) in [
        ("two sub", key.token_of(header, &more(r#""sub":"eve""#))),
        ("two equal sub", key.token_of(header, &more(r#""sub":"ada""#))),
        ("two sub, one escaped", key.token_of(header, &more(r#""s\u0075b":"eve""#))),
        ("two aud", key.token_of(header, &more(r#""aud":"another""#))),
        ("two iss", key.token_of(header, &more(r#""iss":"https://another.example""#))),
        ("two members deeper down", key.token_of(header, &more(r#""x":[{"a":1,"a":1}]"#))),
        ("two alg", key.token_of(r#"{"alg":"none","alg":"ES256","kid":"k"}"#, &claims)),
        ("two equal alg", key.token_of(r#"{"alg":"ES256","alg":"ES256","kid":"k"}"#, &claims)),
        ("two kid", key.token_of(r#"{"alg":"ES256","kid":"x","kid":"k"}"#, &claims)),
        ("an infinite exp", key.token_of(header, &claims.replace("4000000000", "1e999"))),
        ("an exp that isn't JSON", key.token_of(header, &claims.replace("4000000000", "NaN"))),
    ] {
        assert_invalid(&bearing(&service, &token).await, what);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn what_the_operator_requires_of_a_token_is_required() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let config = app(&issuer.url, "[\"ES256\"]")
        + "typ = \"at+jwt\"\nrequired_claims = { token_use = \"access\", verified = true, level = 2 }\n"
        + MEMBERS;
    let service = service(&config);
    let claims = |more: &[(&str, Value)]| {
        let mut claims = issuer.claims();
        let required = [("token_use", json!("access")), ("verified", json!(true)), ("level", json!(2))];
        required.iter().chain(more).for_each(|(claim, value)| claims[*claim] = value.clone());
        claims
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"] {
        let token = key.token_with(json!({ "typ": typ }), &claims(&[]));
        assert_welcome(&bearing(&service, &token).await, typ);
    }
    for typ in [
        json!("JWT"),
        json!(null),
        json!(""),
        json!("at"),
        json!("application/"),
        json!("example-app/at+jwt"),
        json!(["at+jwt"]),
        json!(5),
    ] {
        let token = key.token_with(json!({ "typ": typ }), &claims(&[]));
        assert_invalid(&bearing(&service, &token).await, &typ.to_string());
    }
    for other in [
        ("token_use", json!("id")),
        ("token_use", json!(null)),
        ("token_use", json!(["access"])),
        ("verified", json!("true")),
        ("verified", json!(false)),
        ("level", json!("2")),
        ("level", json!(3)),
    ] {
        let token = key.token_with(json!({"typ": "at+jwt"}), &claims(std::slice::from_ref(&other)));
        assert_invalid(&bearing(&service, &token).await, &format!("{other:?}"));
    }
    assert_invalid(
        &bearing(&service, &key.token_with(json!({"typ": "at+jwt"}), &issuer.claims())).await,
        "none of them",
    );
}

#[tokio::test]
async fn one_issuer_never_vouches_for_another() {
    // Both call their key the same, and have a user of the same name.
    let (one, other) = (Key::new("2026", "ES256"), Key::new("2026", "ES256"));
    let (first, second) = (Issuer::with(&[&one]).await, Issuer::with(&[&other]).await);
    let callers =
        app(&first.url, "[\"ES256\"]") + &app(&second.url, "[\"ES256\"]").replace("\"app\"", "\"partner\"");
    let rule = MEMBERS.replace("[\"app\"]", "[\"app\", \"partner\"]");
    let service = service(&(callers.clone() + &rule.replace("{sub}", "{iss}|{sub}")));

    let identity = async |key: &Key, issuer: &Issuer| {
        assert_welcome(&bearing(&service, &key.token(&issuer.claims())).await, &issuer.url)["sub"].clone()
    };
    assert_eq!(identity(&one, &first).await, format!("{}|ada", first.url));
    assert_eq!(identity(&other, &second).await, format!("{}|ada", second.url));
    assert_invalid(&bearing(&service, &other.token(&first.claims())).await, "the second signs for the first");
    assert_invalid(&bearing(&service, &one.token(&second.claims())).await, "the first signs for the second");
    let mut reaching = first.claims();
    reaching["sub"] = format!("{}|ada", second.url).into();
    let answer = bearing(&service, &one.token(&reaching)).await;
    assert_ne!(
        assert_welcome(&answer, "a sub like another's identity")["sub"],
        format!("{}|ada", second.url)
    );

    let mistake = Config::parse(&(callers + &rule), "test.toml").unwrap_err().to_string();
    assert!(mistake.contains("could give callers \"app\" and \"partner\" one identity"), "{mistake}");
}

#[tokio::test]
async fn two_callers_of_one_issuer_differ_by_their_claims() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let staff = app(&issuer.url, "[\"ES256\"]").replace("\"app\"", "\"staff\"")
        + "required_claims = { staff = true }\n";
    let rules = MEMBERS.to_owned()
        + "[[rule]]\nname = \"staff\"\ncallers = [\"staff\"]\nrooms = [\"*\"]\ngrants.room_admin = true\n";
    let service = service(&(staff + &app(&issuer.url, "[\"ES256\"]") + &rules));
    for (claims, admin) in
        [(json!(true), json!(true)), (json!("true"), json!(null)), (json!(null), json!(null))]
    {
        let mut said = issuer.claims();
        said["staff"] = claims;
        let pass = assert_welcome(&bearing(&service, &key.token(&said)).await, "either");
        assert_eq!(pass["video"]["roomAdmin"], admin, "{said}");
    }
}

#[tokio::test]
async fn a_weak_key_is_refused_though_its_signature_is_right() {
    let header = r#"{"alg":"RS256","kid":"weak"}"#;
    let claims = r#"{"iss":"https://weak.example","aud":"calls","sub":"ada","exp":4000000000}"#;
    let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let token = compact(header, claims, |message| {
        let (n, e) = (decode(WEAK_MODULUS), [1, 0, 1]);
        RsaPublicKeyComponents { n: n.as_slice(), e: &e[..] }
            .verify(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, message, &decode(WEAK_SIGNATURE))
            .expect("the signature is right");
        decode(WEAK_SIGNATURE)
    });
    let strong = Key::new("strong", "RS256");
    let issuer = Issuer::with(&[]).await;
    let weak = json!({"kty": "RSA", "kid": "weak", "n": WEAK_MODULUS, "e": "AQAB"});
    let padded = format!("{}{WEAK_MODULUS}", "A".repeat(4 * 86));
    let config = app("https://weak.example", "[\"RS256\"]")
        + &format!("jwks_url = \"{}/keys\"\n", issuer.url)
        + MEMBERS;
    for weak in [weak.clone(), json!({"kty": "RSA", "kid": "weak", "n": padded, "e": "AQAB"})] {
        issuer.shows(Keys::Set(json!({"keys": [weak, strong.jwk()]})));
        assert_invalid(&bearing(&service(&config), &token).await, &weak.to_string());
    }
    issuer.shows(Keys::Set(json!({"keys": [weak]})));
    assert_unavailable(&bearing(&service(&config), &token).await, "no other key to verify with");

    let config = app("https://shared.example", "[\"HS256\"]") + "secret = \"SHARED\"\n" + MEMBERS;
    for (secret, enough) in [("", false), (&"x".repeat(31)[..], false), (&"x".repeat(32)[..], true)] {
        let claims = claims.replace("weak", "shared");
        let answer = bearing(
            &knowing(&config, &[("SHARED", secret)], &json!({})),
            &compact(r#"{"alg":"HS256"}"#, &claims, hs256(secret.as_bytes())),
        )
        .await;
        if enough {
            assert_welcome(&answer, "32 bytes");
        } else {
            assert_unavailable(&answer, secret);
            assert!(!String::from_utf8_lossy(&answer.body).contains("SHARED"), "for the log alone");
        }
    }
    assert_unavailable(
        &bearing(
            &service(&config),
            &compact(r#"{"alg":"HS256"}"#, &claims.replace("weak", "shared"), hs256(b"")),
        )
        .await,
        "no secret",
    );
}

/// A key of 1,024 bits, and its signature of the token above.
const WEAK_MODULUS: &str = "lyIQCtLWDGLS1esFUSw2n8H35WBkO6U2ZcIe20bMo59Ogl9bNKftNXAyQtp22m9R2AU6wAB5GiLnJwLJDrX1wWj088jBMNvq57bgxZb6bENaClQuOMR4SGgVF88ohHwltr_VAhAW3OvgV3cC3HP_GCKFJukNPveYA3vHWim47SE";
const WEAK_SIGNATURE: &str = "RnRN6S9zRiEGdhF1nqjTFeuxSnSU_TqUqzWOWrb3XbQetRK8sy3_f7TUCYU0-llk-RZQ1Y3rH6UfVC4AW9bnpnnn_HTRH0ITyr8oUlqv7znw0Fm8ygTeE0nX7_QvjwjUqjF2Khb10ANpX2oJ1PN_SkBkQBDOTycvzaiXVh2CsHo";

// An issuer's keys over time. The clock is the test's own.

/// Who may call, a moment, and how often the issuer was asked.
struct Day {
    issuer: Issuer,
    callers: Callers,
}

/// Some moment in 2033, before the good tokens end.
const MORNING: u64 = 2_000_000_000;
const DAY: u64 = 24 * 3_600;

impl Day {
    async fn with(keys: &[&Key]) -> Self {
        let issuer = Issuer::with(keys).await;
        let config = Config::parse(&(app(&issuer.url, "[\"ES256\"]") + MEMBERS), "test.toml").unwrap();
        Self { issuer, callers: Callers::new(config.callers) }
    }

    /// The outcome of a valid token of this key, so many seconds into the day.
    async fn at(&self, second: u64, key: &Key) -> &'static str {
        self.shown(second, &key.token(&self.issuer.claims())).await
    }

    async fn shown(&self, second: u64, token: &str) -> &'static str {
        match self.callers.identify(&head(token), &crate::support::keys(), &at(MORNING + second)).await {
            Ok(caller) if caller.subject.as_deref() == Some("ada") => "known",
            Err(AuthError::Refused(_)) => "refused",
            Err(AuthError::Unavailable(_)) => "unavailable",
            other => panic!("{other:?}"),
        }
    }
}

fn head(token: &str) -> Parts {
    let request = Request::post("/getToken").header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap().into_parts().0
}

#[tokio::test]
async fn two_clocks_may_be_a_minute_apart_and_no_second_more() {
    let key = Key::new("k", "ES256");
    let day = Day::with(&[&key]).await;
    for (claim, second, expected) in [
        ("exp", MORNING - 59, "known"),
        ("exp", MORNING - 60, "refused"),
        ("nbf", MORNING + 60, "known"),
        ("nbf", MORNING + 61, "refused"),
        ("iat", MORNING + 60, "known"),
        ("iat", MORNING + 61, "refused"),
    ] {
        let mut claims = day.issuer.claims();
        claims[claim] = second.into();
        assert_eq!(day.shown(0, &key.token(&claims)).await, expected, "{claim}: {second}");
    }
}

#[tokio::test]
async fn a_key_set_is_fresh_for_ten_minutes_and_kept_for_a_day() {
    let (key, next) = (Key::new("k", "ES256"), Key::new("next", "ES256"));
    let mut day = Day::with(&[&key]).await;
    for (second, fetches) in [(0, 1), (1, 1), (599, 1), (600, 2), (1_199, 2), (1_200, 3)] {
        assert_eq!((day.at(second, &key).await, day.issuer.fetches()), ("known", fetches), "second {second}");
    }
    day.issuer.ends().await;
    let kept = 1_200 + DAY;
    for (second, known) in
        [(1_799, true), (1_800, true), (1_830, true), (kept - 1, true), (kept, false), (kept + 60, false)]
    {
        assert_eq!(
            day.at(second, &key).await,
            if known { "known" } else { "unavailable" },
            "second {second}"
        );
        assert_eq!(
            day.at(second, &next).await,
            "unavailable",
            "second {second}: whether it's good is unknown"
        );
    }

    let day = Day::with(&[&key]).await;
    assert_eq!(day.at(0, &key).await, "known");
    day.issuer.shows(set(&[&next]));
    assert_eq!(day.at(599, &key).await, "known");
    assert_eq!(
        day.at(600, &key).await,
        "refused",
        "a key that is withdrawn is done with once the set is fetched"
    );
    assert_eq!(day.at(601, &next).await, "known");
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_in_thirty_seconds() {
    let (key, next) = (Key::new("k", "ES256"), Key::new("next", "ES256"));
    let forger = Key::new("../../etc/passwd", "ES256");
    let day = Day::with(&[&key]).await;
    assert_eq!((day.at(0, &key).await, day.issuer.fetches()), ("known", 1));
    for (second, fetches) in [(1, 2), (29, 2), (30, 2), (31, 3), (31, 3), (60, 3), (61, 4)] {
        assert_eq!(
            (day.at(second, &forger).await, day.issuer.fetches()),
            ("refused", fetches),
            "second {second}"
        );
    }
    day.issuer.shows(set(&[&key, &next]));
    assert_eq!(day.at(91, &next).await, "known", "a key is rotated in");
    assert_eq!(day.issuer.fetches(), 5);

    day.issuer.shows(Keys::Answer(StatusCode::INTERNAL_SERVER_ERROR, "canary".into()));
    for (second, fetches) in [(119, 5), (121, 6), (122, 6), (150, 6), (151, 7)] {
        let expected = if second < 121 { "refused" } else { "unavailable" };
        assert_eq!(
            (day.at(second, &forger).await, day.issuer.fetches()),
            (expected, fetches),
            "second {second}"
        );
        assert_eq!(day.at(second, &key).await, "known", "second {second}");
    }
}

#[tokio::test]
async fn a_key_is_not_called_unknown_in_the_second_in_which_the_issuer_went_down() {
    let (key, next) = (Key::new("k", "ES256"), Key::new("next", "ES256"));
    let day = Day::with(&[&key]).await;
    assert_eq!(day.at(0, &key).await, "known");
    day.issuer.shows(Keys::Answer(StatusCode::INTERNAL_SERVER_ERROR, "canary".into()));
    for _ in 0..3 {
        assert_eq!(day.at(0, &next).await, "unavailable");
    }
    assert_eq!((day.at(0, &key).await, day.issuer.fetches()), ("known", 2));
}

#[tokio::test]
async fn a_bad_signature_never_fetches() {
    let (key, forger) = (Key::new("k", "ES256"), Key::new("k", "ES256"));
    let day = Day::with(&[&key]).await;
    assert_eq!(day.at(0, &key).await, "known");
    for second in [1, 30, 60, 599] {
        assert_eq!((day.at(second, &forger).await, day.issuer.fetches()), ("refused", 1), "second {second}");
    }
    let stranger =
        json!({"iss": "https://stranger.example", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    assert_eq!(day.shown(5_000, &forger.token(&stranger)).await, "refused");
    assert_eq!(
        day.shown(5_000, &forger.token_with(json!({"alg": "RS256"}), &day.issuer.claims())).await,
        "refused"
    );
    assert_eq!(day.issuer.fetches(), 1, "nor does a token that no key could make right");
}

/// What may come in place of a key set.
fn broken(attacker: &Issuer, key: &Key) -> Vec<(&'static str, Keys)> {
    let answer = |status: u16, body: &str| Keys::Answer(StatusCode::from_u16(status).unwrap(), body.into());
    let keys = |count| vec![Key::new("new", "ES256").jwk(); count];
    let encryption = {
        let mut jwk = Key::new("new", "ES256").jwk();
        jwk["use"] = "enc".into();
        jwk
    };
    // The key that tokens are signed with, but for one of its members.
    let no_point = |x: &str, y: Option<&str>| {
        let mut jwk = key.jwk();
        jwk["x"] = x.into();
        if let Some(y) = y {
            jwk["y"] = y.into();
        }
        Keys::Set(json!({"keys": [jwk]}))
    };
    vec![
        ("a key that is no base64", no_point("!!!", None)),
        ("a key that is short", no_point("AAAA", None)),
        ("a key that is empty", no_point("", Some(""))),
        (
            "a key that is no point of its curve",
            no_point("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", None),
        ),
        ("500", answer(500, "{\"keys\":[]}")),
        ("429", answer(429, "")),
        ("204", answer(204, "")),
        ("a good set as an error", answer(503, &json!({"keys": keys(1)}).to_string())),
        ("a redirect", Keys::Redirect(format!("{}/keys", attacker.url))),
        ("HTML", answer(200, "<!doctype html><title>Sign in</title>")),
        ("nothing", answer(200, "")),
        ("an empty set", Keys::Set(json!({"keys": []}))),
        ("no set", Keys::Set(json!({}))),
        ("keys that are an object", Keys::Set(json!({"keys": {"new": keys(1)[0]}}))),
        ("keys that aren't keys", Keys::Set(json!({"keys": [null, 5, "x", {}, {"kty": "EC"}]}))),
        ("keys for encryption alone", Keys::Set(json!({"keys": [encryption]}))),
        ("keys of another kind alone", Keys::Set(json!({"keys": [Key::new("new", "EdDSA").jwk()]}))),
        ("two sets in one", answer(200, &format!("{{\"keys\":{},\"keys\":[]}}", json!(keys(1))))),
        ("10 MB", Keys::Set(json!({"keys": keys(1), "x": "x".repeat(10_000_000)}))),
        ("33 keys", Keys::Set(json!({"keys": keys(33)}))),
    ]
}

#[tokio::test]
async fn keys_outlast_a_clock_that_is_put_back() {
    let (key, next) = (Key::new("k", "ES256"), Key::new("next", "ES256"));
    let mut day = Day::with(&[&key]).await;
    assert_eq!(day.at(2 * DAY, &key).await, "known");
    day.issuer.shows(set(&[&key, &next]));
    assert_eq!((day.at(0, &key).await, day.issuer.fetches()), ("known", 2), "its age is unknown");
    assert_eq!((day.at(1, &next).await, day.issuer.fetches()), ("known", 2));
    day.issuer.ends().await;
    assert_eq!(day.at(DAY - 1, &key).await, "known");
    assert_eq!(day.at(DAY, &key).await, "unavailable");
    let mut day = Day::with(&[&key]).await;
    assert_eq!(day.at(2 * DAY, &key).await, "known");
    day.issuer.ends().await;
    assert_eq!(day.at(0, &key).await, "known", "the issuer is down, too");
    assert_eq!(day.at(DAY - 1, &key).await, "known");
    assert_eq!(day.at(DAY, &key).await, "unavailable", "and not for ever");
}

#[tokio::test]
async fn an_empty_or_broken_set_never_replaces_a_good_one() {
    let (key, new) = (Key::new("k", "ES256"), Key::new("new", "ES256"));
    let attacker = Issuer::with(&[&new]).await;
    for (what, keys) in broken(&attacker, &key) {
        let day = Day::with(&[&key]).await;
        assert_eq!(day.at(0, &key).await, "known");
        day.issuer.shows(keys.clone());
        for second in [600, 601, 630, DAY - 1] {
            assert_eq!(day.at(second, &key).await, "known", "{what}, second {second}");
            assert_eq!(day.at(second, &new).await, "unavailable", "{what}, second {second}");
        }
        assert_eq!(day.at(DAY, &key).await, "unavailable", "{what}");
        day.issuer.shows(set(&[&key]));
        assert_eq!(day.at(DAY + 30, &key).await, "known", "{what}, and well again");

        let day = Day::with(&[]).await;
        day.issuer.shows(keys);
        assert_eq!(day.at(0, &key).await, "unavailable", "{what} from the first");
        assert_eq!(day.at(1, &key).await, "unavailable", "{what} from the first");
        assert_eq!(day.issuer.fetches(), 1, "{what}");
    }
    assert_eq!(attacker.asked(), [""; 0], "redirects aren't followed");

    let day = Day::with(&[]).await;
    let fillers = vec![Key::new("filler", "ES256").jwk(); 31];
    day.issuer.shows(Keys::Set(json!({"keys": ([fillers, vec![key.jwk()]].concat())})));
    assert_eq!(day.at(0, &key).await, "known", "32 keys are few enough");
}

#[tokio::test]
async fn a_slow_issuer_is_waited_for_once_and_briefly() {
    let key = Key::new("k", "ES256");
    let day = Day::with(&[&key]).await;
    assert_eq!(day.at(0, &key).await, "known");
    day.issuer.shows(Keys::Late(json!({"keys": []})));
    let began = std::time::Instant::now();
    let unknown = Key::new("new", "ES256");
    let both = tokio::join!(day.at(600, &unknown), day.at(600, &key));
    assert_eq!(both, ("unavailable", "known"));
    assert_eq!(day.at(601, &key).await, "known");
    let took = began.elapsed().as_millis();
    assert!((1_500..3_000).contains(&took), "one wait of a second and a half for all three, not {took} ms");
    assert_eq!(day.issuer.fetches(), 2);
}

#[tokio::test]
async fn while_one_request_waits_for_a_slow_issuer_no_other_with_a_known_key_does() {
    let (key, unknown) = (Key::new("k", "ES256"), Key::new("new", "ES256"));
    for (first, second, said) in
        [(&key, 600, "known"), (&unknown, 1, "unavailable"), (&unknown, 600, "unavailable")]
    {
        let day = Day::with(&[&key]).await;
        assert_eq!(day.at(0, &key).await, "known");
        day.issuer.shows(Keys::Late(json!({"keys": []})));
        let others = async {
            day.issuer.is_asked_again().await;
            let began = std::time::Instant::now();
            for _ in 0..200 {
                assert_eq!(day.at(second, &key).await, "known");
            }
            began.elapsed().as_millis()
        };
        let (waited, took) = tokio::join!(day.at(second, first), others);
        assert_eq!((waited, day.issuer.fetches()), (said, 2), "second {second}");
        assert!(took < 1_000, "200 requests took {took} ms");
    }
}

#[tokio::test]
async fn a_crowd_fetches_a_set_once() {
    let (key, unknown) = (Key::new("k", "ES256"), Key::new("new", "ES256"));
    for (shown, token_key, said) in [
        (set(&[&key]), &key, "known"),
        (set(&[&key]), &unknown, "refused"),
        (Keys::Answer(StatusCode::INTERNAL_SERVER_ERROR, String::new()), &key, "unavailable"),
    ] {
        let day = Arc::new(Day::with(&[]).await);
        day.issuer.shows(shown);
        let token = token_key.token(&day.issuer.claims());
        let crowd: Vec<_> = (0..200)
            .map(|_| {
                let (day, token) = (day.clone(), token.clone());
                tokio::spawn(async move { day.shown(0, &token).await })
            })
            .collect();
        for one in crowd {
            assert_eq!(one.await.unwrap(), said);
        }
        assert_eq!(day.issuer.asked(), ["/.well-known/openid-configuration", "/keys"], "{said}");
    }
}

#[tokio::test]
async fn callers_of_one_issuer_have_one_key_set() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let one = app(&issuer.url, "[\"ES256\"]");
    let two = one.replace("\"app\"", "\"two\"").replace("\"calls\"", "\"mail\"");
    let service = service(&(one + &two + &MEMBERS.replace("[\"app\"]", "[\"app\", \"two\"]")));
    for audience in ["calls", "mail"] {
        let mut claims = issuer.claims();
        claims["aud"] = audience.into();
        assert_welcome(&bearing(&service, &key.token(&claims)).await, audience);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn an_issuers_configuration_is_believed_about_itself_alone() {
    let key = Key::new("k", "ES256");
    let other = Issuer::with(&[&key]).await;
    for (what, configuration) in [
        ("another issuer's", json!({"issuer": other.url, "jwks_uri": format!("{}/keys", other.url)})),
        ("one that names no issuer", json!({"jwks_uri": format!("{}/keys", other.url)})),
        ("keys nowhere", json!({"issuer": "OURS"})),
        ("keys at a path", json!({"issuer": "OURS", "jwks_uri": "/keys"})),
        ("keys in the open", json!({"issuer": "OURS", "jwks_uri": "http://issuer.example/keys"})),
        (
            "keys in the open, looking like here",
            json!({"issuer": "OURS", "jwks_uri": "http://localhost.example/keys"}),
        ),
        (
            "keys behind a password",
            json!({"issuer": "OURS", "jwks_uri": other.url.replace("//", "//localhost@")}),
        ),
        ("keys in a file", json!({"issuer": "OURS", "jwks_uri": "file:///etc/passwd"})),
        ("keys in several places", json!({"issuer": "OURS", "jwks_uri": [format!("{}/keys", other.url)]})),
        ("a list", json!([])),
    ] {
        let day = Day::with(&[&key]).await;
        let text = configuration.to_string().replace("OURS", &day.issuer.url);
        day.issuer.is_configured(serde_json::from_str(&text).unwrap());
        assert_eq!(day.at(0, &key).await, "unavailable", "{what}");
        assert_eq!(day.issuer.asked(), ["/.well-known/openid-configuration"], "{what}");
    }
    assert_eq!(other.asked(), [""; 0]);

    for place in [
        "http://a.example",
        "ftp://a.example",
        "https://user@a.example",
        "http://127.0.0.1.a.example",
        "a.example",
        "",
    ] {
        for caller in [
            app(place, "[\"ES256\"]"),
            app("https://a.example", "[\"ES256\"]") + &format!("jwks_url = {place:?}\n"),
        ] {
            assert!(Config::parse(&(caller + MEMBERS), "test.toml").is_err(), "{place:?}");
        }
    }
}

// HTTP.

#[tokio::test]
async fn without_a_credential_one_is_asked_for() {
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
async fn one_credential_in_any_case_of_its_scheme() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    let token = key.token(&issuer.claims());
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer    "] {
        assert_welcome(&ask(&service, &[("authorization", &format!("{scheme}{token}"))]).await, scheme);
    }
    assert_welcome(
        &ask(&service, &[("AUTHORIZATION", &format!("Bearer {token}"))]).await,
        "the header's name",
    );
    for scheme in ["Bearer\t", "Bearer \t"] {
        assert_invalid(&ask(&service, &[("authorization", &format!("{scheme}{token}"))]).await, scheme);
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
        let answer = ask(&service, &headers).await;
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
    service(&(app(issuer, "[\"ES256\"]") + &MEMBERS.replace("[\"*\"]", "[\"lobby\"]")))
}

#[tokio::test]
async fn a_wrong_credential_never_makes_a_request_a_weaker_caller() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let anyone = "[[caller]]\nname = \"anyone\"\nkind = \"anonymous\"\n";
    let keyed = "[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n";
    let rule = |callers: &str| format!("[[rule]]\nname = \"all\"\ncallers = [{callers}]\nrooms = [\"*\"]\n");
    let app = app(&issuer.url, "[\"ES256\"]");
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
            assert_invalid(&ask(service, &[(header, value)]).await, &format!("{header}: {value}"));
        }
    }
    for service in all {
        assert_welcome(&ask(service, &[]).await, "nothing shown");
        for others in
            ["Basic x", "Digest username=\"a\", uri=\"/\"", "AWS4-HMAC-SHA256 Credential=a, Signature=b", ""]
        {
            assert_welcome(&ask(service, &[("authorization", others)]).await, others);
        }
    }
    for (header, value, cause) in [
        ("x-api-key", "rpk_x", "an API key was presented, and no api-key caller is configured"),
        ("authorization", "ApiKey rpk_x", "an API key was presented, and no api-key caller is configured"),
        ("x-api-key", "", "the credential is empty"),
        ("authorization", "ApiKey", "the credential is empty"),
        ("authorization", "Bearer ", "the credential is empty"),
        ("authorization", "Bearer undefined", "no configured caller accepts this credential type"),
        ("authorization", "JWT x.y.z", "no configured caller accepts this credential type"),
    ] {
        for service in [&tokens, &behind, &anonymous_alone] {
            let log = logged(async {
                ask(service, &[(header, value)]).await.refused(401, "invalid_credential");
            })
            .await;
            assert!(log.contains(cause), "{header}: {value}: {log}");
        }
    }
}

#[tokio::test]
async fn without_a_valid_credential_nothing_is_said_of_the_body() {
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
async fn what_a_caller_shows_is_in_no_answer_and_not_in_the_log() {
    let key = Key::new("k", "ES256");
    let mut issuer = Issuer::with(&[&key]).await;
    let keyed = "[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n";
    let config = app(&issuer.url, "[\"ES256\"]") + keyed + MEMBERS;
    let kept = new_key(roompass::system::randomness);
    let service = knowing(&config, &[], &json!({"batch": ApiKeyHash::of(&kept).to_string()}));
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
            let answer = bearing(&service, token).await;
            assert!(!String::from_utf8_lossy(&answer.body).contains("canary"), "{token}");
        }
        for header in ["x-api-key", "authorization"] {
            ask(&service, &[(header, "ApiKey canary")]).await.refused(401, "invalid_credential");
        }
        ask(&service, &[("x-api-key", &kept)]).await.refused(403, "no_rule");
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
async fn a_good_token_is_never_refused_for_what_is_down() {
    let key = Key::new("k", "ES256");
    let attacker = Issuer::with(&[]).await;
    for (what, keys) in broken(&attacker, &key) {
        let issuer = Issuer::with(&[]).await;
        issuer.shows(keys);
        let service = members(&issuer.url, "[\"ES256\"]");
        for _ in 0..2 {
            assert_unavailable(&bearing(&service, &key.token(&issuer.claims())).await, what);
        }
        assert_eq!(issuer.fetches(), 1, "{what}");
        ask(&service, &[]).await.refused(401, "no_credential");
        assert_invalid(&bearing(&service, "x.y.z").await, what);
    }
    let mut issuer = Issuer::with(&[&key]).await;
    let (token, forger) = (key.token(&issuer.claims()), Key::new("k", "ES256").token(&issuer.claims()));
    let (service, late) = (members(&issuer.url, "[\"ES256\"]"), members(&issuer.url, "[\"ES256\"]"));
    assert_welcome(&bearing(&service, &token).await, "before");
    issuer.ends().await;
    assert_welcome(&bearing(&service, &token).await, "a known key serves on");
    assert_invalid(&bearing(&service, &forger).await, "a known key tells a forgery, too");
    assert_unavailable(&bearing(&late, &token).await, "nothing listens");
}

#[tokio::test]
async fn a_good_key_is_never_refused_while_the_secret_store_is_down() {
    let config = app("https://a.example", "[\"HS256\"]")
        + "secret = \"SHARED\"\n[[caller]]\nname = \"backend\"\nkind = \"api-key\"\n"
        + &MEMBERS.replace("[\"app\"]", "[\"app\", \"backend\"]").replace("{sub}", "{random}");
    let service = service_stored_in(&config, || Err(StoreError::Unavailable("canary".into())));
    let claims = json!({"iss": "https://a.example", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    let token = compact(r#"{"alg":"HS256"}"#, &claims.to_string(), hs256(&[7; 32]));
    assert_unavailable(&bearing(&service, &token).await, "a shared secret");
    assert_unavailable(&ask(&service, &[("x-api-key", "rpk_x")]).await, "an API key");
    ask(&service, &[]).await.refused(401, "no_credential");
}

// What a known caller may have.

#[tokio::test]
async fn a_token_ends_no_later_than_the_credential_when_the_rule_says_so() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let lifetime = async |more: &str, ends: Value| {
        let service = service(&(app(&issuer.url, "[\"ES256\"]") + MEMBERS + more));
        let mut claims = issuer.claims();
        claims["exp"] = ends;
        let pass = assert_welcome(&bearing(&service, &key.token(&claims)).await, more);
        (pass["exp"].as_u64().unwrap() - pass["nbf"].as_u64().unwrap(), pass["exp"].as_u64().unwrap())
    };
    assert_eq!(lifetime("", json!(now + 100)).await.0, 600, "the rule doesn't say so");
    let (seconds, ends) = lifetime("within_credential = true", json!(now + 100)).await;
    assert!((90..=100).contains(&seconds) && ends == now + 100, "{seconds} seconds");
    let closed = service(&(app(&issuer.url, "[\"ES256\"]") + MEMBERS + "within_credential = true"));
    let mut claims = issuer.claims();
    claims["exp"] = json!(now - 30);
    bearing(&closed, &key.token(&claims)).await.refused(401, "invalid_credential");
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
    let pass =
        assert_welcome(&ask(&knowing(&config, &[], &api_keys), &[("x-api-key", &kept)]).await, "an API key");
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
    let service = knowing(&config, &[], &kept);
    for (key, name) in [(&good, "backend"), (&later, "batch")] {
        for (header, value) in [
            ("x-api-key", key.clone()),
            ("X-API-Key", key.clone()),
            ("authorization", format!("ApiKey {key}")),
            ("authorization", format!("apikey {key}")),
            ("authorization", format!("Bearer {key}")),
        ] {
            assert_eq!(
                assert_welcome(&ask(&service, &[(header, &value)]).await, &value)["sub"],
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
            assert_invalid(&ask(&service, &[(header, &value)]).await, &format!("{what}: {header}: {value}"));
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
    let service = service(&(app(&issuer.url, "[\"ES256\"]") + rules));
    let ask = async |roles: Value, config: Value| {
        let mut claims = issuer.claims();
        claims["roles"] = roles;
        let bearer = format!("Bearer {}", key.token(&claims));
        let body = json!({ "room_config": config }).to_string();
        send(&service, request(Method::POST, "/getToken", &[("authorization", &bearer)], body)).await
    };
    let (agent, recording) =
        (json!({"agents": [{"agent_name": "notetaker"}]}), json!({"egress": {"room": {"layout": "grid"}}}));
    assert_welcome(&ask(json!(["host"]), agent.clone()).await, "a host's agent");
    assert_welcome(&ask(json!(["guest", "host"]), recording.clone()).await, "a host's recording");
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
