//! A request of Agora's dialect with any path, query and body is either refused, or gets a token for exactly the
//! requested channel and user: without a wildcard, without a changed name, and with an expiry.
//!
//! The first byte selects the route, the second the options. The rest is text: the path parameters with slashes between
//! them, `?`, the query, a line feed, and the body.

#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use axum::http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use roompass::auth::Caller;
use roompass::config::{Config, Dialect};
use roompass::dialect::{Found, PathMatching, Received, Routes, Row};
use roompass::domain::agora::TokenVersion;
use roompass::domain::{Ask, Limits, Pass, Provider, Role, Ttl};
use roompass::inspect::{self, AgoraService, AgoraToken, Inspected, Name};
use roompass::mint::{self, Settings};
use roompass::policy::{Denial, Policy};
use roompass_fuzz::{APP_ID, OPEN, at, members, signing_keys};
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let [route, options, rest @ ..] = input else { return };
    let all = Row::of(Dialect::Agora).routes;
    let route = &all[usize::from(*route) % all.len()];
    let made = options & 1 != 0 && route.path.ends_with("getToken");
    let (address, body) = if made {
        let Ok(members) = members(&mut Unstructured::new(rest), &WORDS, 2) else { return };
        (String::new(), Value::Object(members).to_string().into_bytes())
    } else {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let body = rest.get(end + 1..).unwrap_or_default();
        (String::from_utf8_lossy(&rest[..end]).into_owned(), body.to_vec())
    };
    let (path, query) = address.split_once('?').unwrap_or((&address, ""));
    let mut parts = path.split('/');
    let part =
        |name: &'static str| if name.starts_with('{') { parts.next().unwrap_or_default() } else { name };
    let path = route.path.split('/').map(part).collect::<Vec<_>>().join("/");
    // With an empty part, the path belongs to another route or to none.
    let Found::Token(row, route, parameters) = ROUTES.find(&route.method, &path) else { return };
    if !parameters.are_utf8() {
        return;
    }
    let version = if options & 2 == 0 { TokenVersion::V007 } else { TokenVersion::V006 };
    let limits = Limits::default();
    let received = Received {
        headers: &HeaderMap::new(),
        path: &parameters,
        query,
        body: &body,
        limits: &limits,
        sandboxes: &[],
    };
    match row.asks(route, &received) {
        Ok(asks) => {
            let names = route.path.split('/').zip(path.split('/')).filter(|(name, _)| name.starts_with('{'));
            let path = names.map(|(name, part)| (name.trim_matches(['{', '}']).to_owned(), decoded(part)));
            let asked = Asked::read(&path.collect(), query, &body);
            assert!(!asks.is_empty());
            let settings = Settings { limits, agora_version: version };
            for of_one_token in asks.chunk_by(|(one, _), (other, _)| one == other) {
                asked.must_be_given(of_one_token, &settings);
            }
        }
        Err(refused) => assert!(!refused.to_string().contains('\n')),
    }
});

/// The request as a second, independent parser reads it.
struct Asked {
    channel: String,
    /// The user of the channel, and the user of the login if it is a different one.
    users: Vec<String>,
    publishes: bool,
    seconds: Option<u64>,
}

impl Asked {
    fn read(path: &HashMap<String, String>, query: &str, body: &[u8]) -> Self {
        if path.is_empty() {
            let said: Value = serde_json::from_slice(body).expect("an accepted body is JSON");
            let user = match &said["uid"] {
                Value::String(text) => text.clone(),
                number => whole(number).map_or_else(|| number.to_string(), |number| number.to_string()),
            };
            return Self {
                channel: said["channel"].as_str().unwrap_or_default().to_owned(),
                users: vec![user],
                publishes: matches!(said["role"].as_str(), Some("publisher" | "1")),
                seconds: whole(&said["expire"]),
            };
        }
        let given = |name: &str| path.get(name).cloned();
        let expiry = query.split('&').find_map(|pair| pair.strip_prefix("expiry="));
        Self {
            channel: given("channel").unwrap_or_default(),
            users: ["uid", "rtmuid"].into_iter().filter_map(given).collect(),
            publishes: path.get("role").is_some_and(|role| role == "publisher" || role == "1"),
            seconds: expiry.and_then(|seconds| seconds.parse().ok()),
        }
    }

    /// Asserts that an open policy grants exactly this request, and that the token matches it.
    fn must_be_given(&self, asks: &[(&str, Ask)], settings: &Settings) {
        if let Some((_, ask)) = asks.iter().find(|(_, ask)| is_uid_zero(ask)) {
            assert!(self.users.first().is_some_and(|user| user == "0"));
            let decision = POLICY.decide(&Caller::anonymous("anyone"), ask.clone(), &at(NOW));
            assert!(matches!(decision.outcome, Err(Denial::UidZeroNotAllowed { .. })));
            return;
        }
        let passes: Vec<_> = asks.iter().map(|(_, ask)| self.pass(ask)).collect();
        let token = mint::token(&passes, Provider::Agora, &signing_keys(), settings, &at(NOW));
        let token = token.expect("an accepted request can be signed");
        let Ok(Inspected::Agora(token)) = inspect::read(token.expose()) else {
            panic!("the token can't be read")
        };
        self.must_match(&token);
    }

    fn pass(&self, ask: &Ask) -> Pass {
        match ask {
            Ask::Room(ask) => {
                let role = if self.publishes { Role::Publisher } else { Role::Subscriber };
                assert_eq!(ask.role, Some(role));
                assert_eq!(ask.room.as_ref().map(|room| room.as_str()), Some(&*self.channel));
                self.must_last(ask.ttl);
            }
            Ask::Login(ask) => self.must_last(ask.ttl),
        }
        let decision = POLICY.decide(&Caller::anonymous("anyone"), ask.clone(), &at(NOW));
        decision.outcome.expect("the policy allows everything")
    }

    fn must_last(&self, ttl: Option<Ttl>) {
        assert_eq!(ttl.map(|ttl| ttl.duration().as_secs()), self.seconds);
    }

    fn must_match(&self, token: &AgoraToken) {
        assert_eq!((token.app_id.as_str(), token.issued), (APP_ID, NOW));
        let lasts = token.ends.expect("the token has an expiry") - NOW;
        assert_eq!(lasts, self.seconds.unwrap_or(3_600));
        assert!((1..=86_400).contains(&lasts));
        assert!(!token.services.is_empty());
        for service in &token.services {
            for privilege in &service.privileges {
                assert!(privilege.ends.is_some_and(|end| end <= NOW + lasts), "a privilege without expiry");
            }
            assert!(service.privileges.len() <= if self.publishes { 4 } else { 1 });
            assert!(self.is_the_channel(service), "another channel: {service:?}");
            assert!(self.is_the_user(service), "another user: {service:?}");
        }
    }

    fn is_the_channel(&self, service: &AgoraService) -> bool {
        match &service.channel {
            None => service.name() != "rtc",
            Some(name) => is(name, &self.channel) && !is_wildcard(&self.channel),
        }
    }

    fn is_the_user(&self, service: &AgoraService) -> bool {
        let name = service.user.as_ref().expect("the service has a user");
        let means_anyone =
            |user: &str| is_wildcard(user) || user.bytes().all(|byte| matches!(byte, b'0' | b' '));
        let user = if service.name() == "rtc" { self.users.first() } else { self.users.last() };
        user.is_some_and(|user| is(name, user) && !means_anyone(user))
    }
}

/// A number as its digits say, with an exponent or a fraction of zero.
fn whole(value: &Value) -> Option<u64> {
    let float = value.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
    value.as_u64().or_else(|| format!("{:.0}", float?).parse().ok())
}

fn is_uid_zero(ask: &Ask) -> bool {
    matches!(ask, Ask::Room(ask) if ask.agora_uid_zero)
}

/// A 006 token contains only a checksum of the name.
fn is(name: &Name, asked: &str) -> bool {
    match name {
        Name::Known(name) => name == asked,
        Name::Checksum(sum) => *sum == crc32(asked.as_bytes()),
    }
}

fn is_wildcard(name: &str) -> bool {
    name.contains('*') || name.trim().is_empty()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// A path parameter, decoded like the router does.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let config = Config::parse(OPEN, "open.toml").expect("a valid policy");
    config.policy
});

static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new(&[Dialect::Agora], "", PathMatching::Exact));

const NOW: u64 = 1_700_000_000;
const WORDS: [&str; 24] = [
    "tokenType",
    "channel",
    "role",
    "uid",
    "expire",
    "rtc",
    "rtm",
    "rte",
    "chat",
    "publisher",
    "subscriber",
    "1",
    "2",
    "0",
    "00",
    " ",
    "*",
    "a*",
    "ada",
    "room",
    "4294967295",
    "4294967296",
    "é",
    "",
];
