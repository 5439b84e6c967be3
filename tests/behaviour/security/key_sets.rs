//! An issuer's key set over time. The clock is the test's own.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use roompass::auth::{AuthError, Callers};
use roompass::config::Config;
use roompass::domain::Context;
use serde_json::json;

use super::{MEMBERS, assert_accepted, jwt_caller, post_token};
use crate::issuer::{Issuer, Key, Keys, set};
use crate::support::service;

/// An issuer and the callers that it signs for.
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
        let config = Config::parse(&(jwt_caller(&issuer.url, "[\"ES256\"]") + MEMBERS), "test.toml").unwrap();
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

/// The system's randomness, at a time of the test's own.
fn at(now: u64) -> Context {
    Context { now, ..roompass::system::context() }
}

#[tokio::test]
async fn the_times_in_a_token_have_a_leeway_of_one_minute() {
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
async fn an_unknown_key_is_fetched_at_most_once_in_thirty_seconds() {
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
async fn a_key_is_not_unknown_because_the_issuer_just_went_down() {
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
    let of_another_issuer =
        json!({"iss": "https://another.example", "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64});
    assert_eq!(day.shown(5_000, &forger.token(&of_another_issuer)).await, "refused");
    assert_eq!(
        day.shown(5_000, &forger.token_with(json!({"alg": "RS256"}), &day.issuer.claims())).await,
        "refused"
    );
    assert_eq!(day.issuer.fetches(), 1, "nor does a token that no key could make right");
}

/// Responses that are not a usable key set.
pub(super) fn broken(attacker: &Issuer, key: &Key) -> Vec<(&'static str, Keys)> {
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
async fn cached_keys_stay_valid_when_the_clock_goes_back() {
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
async fn a_slow_issuer_is_requested_once_and_has_a_short_timeout() {
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
    let one = jwt_caller(&issuer.url, "[\"ES256\"]");
    let two = one.replace("\"app\"", "\"two\"").replace("\"calls\"", "\"mail\"");
    let service = service(&(one + &two + &MEMBERS.replace("[\"app\"]", "[\"app\", \"two\"]")));
    for audience in ["calls", "mail"] {
        let mut claims = issuer.claims();
        claims["aud"] = audience.into();
        assert_accepted(&post_token(&service, &key.token(&claims)).await, audience);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn an_issuers_configuration_is_accepted_for_that_issuer_only() {
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
            jwt_caller(place, "[\"ES256\"]"),
            jwt_caller("https://a.example", "[\"ES256\"]") + &format!("jwks_url = {place:?}\n"),
        ] {
            assert!(Config::parse(&(caller + MEMBERS), "test.toml").is_err(), "{place:?}");
        }
    }
}
