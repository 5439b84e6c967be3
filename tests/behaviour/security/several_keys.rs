//! Key sets as issuers publish them: several keys that fit a token, keys of unknown types, and one ID for several keys.

use serde_json::{Value, json};

use super::{assert_accepted, assert_invalid, members, post_token};
use crate::issuer::{Issuer, Key, Keys, encoded, set};

#[tokio::test]
async fn ed25519_is_accepted_under_both_of_its_names() {
    let (key, stranger) = (Key::new("ed", "EdDSA"), Key::new("ed", "EdDSA"));
    let issuer = Issuer::with(&[]).await;
    for published in [json!(null), json!("EdDSA"), json!("Ed25519")] {
        let mut jwk = key.jwk();
        jwk["alg"] = published.clone();
        issuer.shows(Keys::Set(json!({ "keys": [jwk] })));
        for configured in ["[\"EdDSA\"]", "[\"Ed25519\"]", "[\"RS256\", \"Ed25519\"]"] {
            let service = members(&issuer.url, configured);
            for named in ["EdDSA", "Ed25519"] {
                let what = format!("{named}, for {configured}, with a key for {published}");
                let claims = issuer.claims();
                let token = |key: &Key| key.token_with(json!({ "alg": named }), &claims);
                assert_eq!(assert_accepted(&post_token(&service, &token(&key)).await, &what)["sub"], "ada");
                assert_invalid(&post_token(&service, &token(&stranger)).await, &what);
            }
            for named in ["Ed448", "ed25519", "EdDSA ", "ED25519", "RS256"] {
                let token = key.token_with(json!({ "alg": named }), &issuer.claims());
                assert_invalid(&post_token(&service, &token).await, named);
            }
        }
    }
    issuer.shows(set(&[&key]));
    let service = members(&issuer.url, "[\"ES256\", \"RS256\"]");
    for named in ["EdDSA", "Ed25519"] {
        let token = key.token_with(json!({ "alg": named }), &issuer.claims());
        assert_invalid(&post_token(&service, &token).await, "it isn't listed");
    }
}

#[tokio::test]
async fn unknown_keys_in_a_set_do_not_affect_the_known_ones() {
    let keys = [Key::new("rsa", "RS256"), Key::new("ec", "ES256"), Key::new("ed", "EdDSA")];
    let unknown = [
        json!({"kty": "AKP", "kid": "rsa", "alg": "ML-DSA-44", "pub": encoded(&[7; 1_312])}),
        json!({"kty": "EC", "kid": "ec", "crv": "P-521", "x": encoded(&[7; 66]), "y": encoded(&[7; 66]), "alg": "ES512"}),
        json!({"kty": "EC", "kid": "ec", "crv": "secp256k1", "x": encoded(&[7; 32]), "y": encoded(&[7; 32]), "alg": "ES256K"}),
        json!({"kty": "OKP", "kid": "ed", "crv": "X25519", "x": encoded(&[7; 32])}),
        json!({"kty": "OKP", "kid": "ed", "crv": "Ed448", "x": encoded(&[7; 57]), "alg": "EdDSA"}),
        json!({"kty": "oct", "kid": "rsa", "k": encoded(&[7; 32])}),
        json!({"kty": "RSA", "kid": "rsa", "n": 5, "e": "AQAB"}),
        json!({"kty": "EC", "kid": "ec", "crv": "P-256", "x": "", "y": ""}),
        json!({"kid": "rsa"}),
        json!({}),
        json!("rsa"),
        json!(null),
        json!([]),
    ];
    let known: Vec<Value> = keys.iter().map(Key::jwk).collect();
    let issuer = Issuer::with(&[]).await;
    for published in [[&unknown[..], &known].concat(), [&known[..], &unknown].concat()] {
        issuer.shows(Keys::Set(json!({ "keys": published })));
        let service = members(&issuer.url, "[\"RS256\", \"ES256\", \"Ed25519\"]");
        for key in &keys {
            for header in [json!({}), json!({"kid": null})] {
                let token = key.token_with(header.clone(), &issuer.claims());
                let answer = post_token(&service, &token).await;
                assert_accepted(&answer, &format!("{} {header}", key.jwk()));
            }
        }
        for named in ["ML-DSA-44", "ES512", "ES256K", "Ed448"] {
            let token = keys[0].token_with(json!({ "alg": named }), &issuer.claims());
            assert_invalid(&post_token(&service, &token).await, named);
        }
    }
    assert_eq!(issuer.fetches(), 2, "one for each service");
}

#[tokio::test]
async fn each_of_at_most_eight_keys_that_fit_a_token_is_tried() {
    let other_type = Key::new("p-384", "ES384");
    let keys: Vec<Key> = (0..9).map(|_| Key::new("same", "ES256")).collect();
    let stranger = Key::new("same", "ES256");
    let for_encryption = |key: &Key| {
        let mut jwk = key.jwk();
        jwk["use"] = "enc".into();
        jwk
    };
    let published: Vec<Value> = std::iter::repeat_with(|| for_encryption(&stranger))
        .take(4)
        .chain([other_type.jwk(), Key::new("same", "RS256").jwk()])
        .chain(keys.iter().map(Key::jwk))
        .collect();
    let issuer = Issuer::with(&[]).await;
    for with_ids in [true, false] {
        let mut published = published.clone();
        if !with_ids {
            for jwk in &mut published {
                jwk["kid"] = json!(null);
            }
        }
        issuer.shows(Keys::Set(json!({ "keys": published })));
        let service = members(&issuer.url, "[\"RS256\", \"ES256\", \"ES384\"]");
        let fetches = issuer.fetches() + 1;
        for id in [json!("same"), json!(null)].into_iter().skip(usize::from(!with_ids)) {
            let token = |key: &Key| key.token_with(json!({ "kid": id }), &issuer.claims());
            let (ninth, first) = keys.split_last().unwrap();
            for (at, key) in first.iter().enumerate() {
                let answer = post_token(&service, &token(key)).await;
                assert_eq!(assert_accepted(&answer, &format!("key {at}, kid {id}"))["sub"], "ada");
            }
            assert_invalid(&post_token(&service, &token(ninth)).await, "the ninth");
            assert_invalid(&post_token(&service, &token(&stranger)).await, "a key that isn't in the set");
            let mut changed = token(&keys[3]);
            changed.replace_range(changed.rfind('.').unwrap() + 1.., &"A".repeat(86));
            assert_invalid(&post_token(&service, &changed).await, "a signature of zeros");
        }
        assert_eq!(issuer.fetches(), fetches, "a wrong signature causes no fetch");
    }
}

#[tokio::test]
async fn a_key_id_that_is_not_in_the_set_is_not_replaced_by_keys_that_fit() {
    let (one, other) = (Key::new("one", "ES256"), Key::new("other", "ES256"));
    let issuer = Issuer::with(&[&one, &other]).await;
    let service = members(&issuer.url, "[\"ES256\"]");
    for id in ["third", "", "One", "one "] {
        for key in [&one, &other] {
            let token = key.token_with(json!({ "kid": id }), &issuer.claims());
            assert_invalid(&post_token(&service, &token).await, id);
        }
    }
    let crossed = one.token_with(json!({"kid": "other"}), &issuer.claims());
    assert_invalid(&post_token(&service, &crossed).await, "the other key's ID");
    assert_eq!(issuer.fetches(), 2, "at first, and for the first key that isn't in the set");
}
