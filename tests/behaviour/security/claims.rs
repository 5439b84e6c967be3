//! The claims of a token, and the secrets that tokens are signed with.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use roompass::config::Config;
use serde_json::{Value, json};

use super::{
    MEMBERS, assert_accepted, assert_invalid, assert_unavailable, jwt_caller, members, post_token,
    service_with_secrets,
};
use crate::issuer::{Issuer, Key, Keys, compact, hs256};
use crate::support::service;

#[expect(clippy::too_many_lines, reason = "one table of attacks")]
#[tokio::test]
async fn a_malformed_claim_is_refused() {
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
        let answer = post_token(&service, &key.token(&with(claim, value.clone()))).await;
        assert_accepted(&answer, &format!("{claim}: {value}"));
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
        let answer = post_token(&service, &key.token(&with(claim, value.clone()))).await;
        assert_invalid(&answer, &format!("{claim}: {value}"));
    }
    for claim in ["iss", "aud", "exp", "sub"] {
        let mut claims = issuer.claims();
        claims.as_object_mut().unwrap().remove(claim);
        assert_invalid(&post_token(&service, &key.token(&claims)).await, &format!("no {claim}"));
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
        assert_invalid(&post_token(&service, &token).await, what);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn the_configured_requirements_for_a_token_are_enforced() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let config = jwt_caller(&issuer.url, "[\"ES256\"]")
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
        assert_accepted(&post_token(&service, &token).await, typ);
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
        assert_invalid(&post_token(&service, &token).await, &typ.to_string());
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
        assert_invalid(&post_token(&service, &token).await, &format!("{other:?}"));
    }
    assert_invalid(
        &post_token(&service, &key.token_with(json!({"typ": "at+jwt"}), &issuer.claims())).await,
        "no algorithm",
    );
}

#[tokio::test]
async fn a_token_of_one_issuer_is_never_accepted_as_one_of_another() {
    // Both call their key the same, and have a user of the same name.
    let (one, other) = (Key::new("2026", "ES256"), Key::new("2026", "ES256"));
    let (first, second) = (Issuer::with(&[&one]).await, Issuer::with(&[&other]).await);
    let callers = jwt_caller(&first.url, "[\"ES256\"]")
        + &jwt_caller(&second.url, "[\"ES256\"]").replace("\"app\"", "\"partner\"");
    let rule = MEMBERS.replace("[\"app\"]", "[\"app\", \"partner\"]");
    let service = service(&(callers.clone() + &rule.replace("{sub}", "{iss}|{sub}")));

    let identity = async |key: &Key, issuer: &Issuer| {
        assert_accepted(&post_token(&service, &key.token(&issuer.claims())).await, &issuer.url)["sub"].clone()
    };
    assert_eq!(identity(&one, &first).await, format!("{}|ada", first.url));
    assert_eq!(identity(&other, &second).await, format!("{}|ada", second.url));
    assert_invalid(
        &post_token(&service, &other.token(&first.claims())).await,
        "the second signs for the first",
    );
    assert_invalid(
        &post_token(&service, &one.token(&second.claims())).await,
        "the first signs for the second",
    );
    let mut reaching = first.claims();
    reaching["sub"] = format!("{}|ada", second.url).into();
    let answer = post_token(&service, &one.token(&reaching)).await;
    assert_ne!(
        assert_accepted(&answer, "a sub like another's identity")["sub"],
        format!("{}|ada", second.url)
    );

    let mistake = Config::parse(&(callers + &rule), "test.toml").unwrap_err().to_string();
    assert!(mistake.contains("could give callers \"app\" and \"partner\" the same identity"), "{mistake}");
}

#[tokio::test]
async fn two_callers_of_one_issuer_differ_by_their_claims() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::with(&[&key]).await;
    let staff = jwt_caller(&issuer.url, "[\"ES256\"]").replace("\"app\"", "\"staff\"")
        + "required_claims = { staff = true }\n";
    let rules = MEMBERS.to_owned()
        + "[[rule]]\nname = \"staff\"\ncallers = [\"staff\"]\nrooms = [\"*\"]\ngrants.room_admin = true\n";
    let service = service(&(staff + &jwt_caller(&issuer.url, "[\"ES256\"]") + &rules));
    for (claims, admin) in
        [(json!(true), json!(true)), (json!("true"), json!(null)), (json!(null), json!(null))]
    {
        let mut said = issuer.claims();
        said["staff"] = claims;
        let pass = assert_accepted(&post_token(&service, &key.token(&said)).await, "either");
        assert_eq!(pass["video"]["roomAdmin"], admin, "{said}");
    }
}

#[tokio::test]
async fn a_weak_key_is_refused_even_if_the_signature_is_valid() {
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
    let config = jwt_caller("https://weak.example", "[\"RS256\"]")
        + &format!("jwks_url = \"{}/keys\"\n", issuer.url)
        + MEMBERS;
    for weak in [weak.clone(), json!({"kty": "RSA", "kid": "weak", "n": padded, "e": "AQAB"})] {
        issuer.shows(Keys::Set(json!({"keys": [weak, strong.jwk()]})));
        assert_invalid(&post_token(&service(&config), &token).await, &weak.to_string());
    }
    issuer.shows(Keys::Set(json!({"keys": [weak]})));
    assert_unavailable(&post_token(&service(&config), &token).await, "no other key to verify with");

    let config = jwt_caller("https://shared.example", "[\"HS256\"]") + "secret = \"SHARED\"\n" + MEMBERS;
    for (secret, enough) in [("", false), (&"x".repeat(31)[..], false), (&"x".repeat(32)[..], true)] {
        let claims = claims.replace("weak", "shared");
        let answer = post_token(
            &service_with_secrets(&config, &[("SHARED", secret)], &json!({})),
            &compact(r#"{"alg":"HS256"}"#, &claims, hs256(secret.as_bytes())),
        )
        .await;
        if enough {
            assert_accepted(&answer, "32 bytes");
        } else {
            assert_unavailable(&answer, secret);
            assert!(!String::from_utf8_lossy(&answer.body).contains("SHARED"), "for the log alone");
        }
    }
    assert_unavailable(
        &post_token(
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
