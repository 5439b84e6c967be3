//! `[[deny]]`: callers, rooms and credentials that get no token, whatever the rules say.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::Value;

use super::check::{can_have, like, unknown_sandbox};
use super::{Conditions, Denial, RoomPattern, ValueSource};
use crate::caller::{Caller, CallerConfig, CallerKind};
use crate::one_or_more::OneOrMore;

/// `[[deny]]`: a request is denied if it meets all conditions that are set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// `callers`: the names of callers. All unless set.
    #[serde(default)]
    pub callers: Option<Vec<String>>,
    /// `sub`: subjects.
    #[serde(default, deserialize_with = "texts")]
    pub sub: Option<Vec<String>>,
    /// `identity`: identities that are requested, or that a rule gives.
    #[serde(default, deserialize_with = "texts")]
    pub identity: Option<Vec<String>>,
    /// `api_key`: the names of API keys.
    #[serde(default, deserialize_with = "key_names")]
    pub api_key: Option<Vec<String>>,
    /// `room`: patterns of rooms that are requested, or that a rule gives.
    #[serde(default, deserialize_with = "rooms")]
    pub room: Option<Vec<RoomPattern>>,
    /// `when`: conditions on the caller, as in a rule.
    #[serde(default)]
    pub when: Option<Conditions>,
    /// `issued_before`: tokens whose `iat` is earlier, or that have none.
    #[serde(default)]
    pub issued_before: Option<Time>,
    /// `until`: when the entry ends. Never unless set.
    #[serde(default)]
    pub until: Option<Time>,
    /// `reason`: a text for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A time, such as "2026-12-31T00:00:00Z".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

/// What is known of a request. Before a rule decides, the identity and the room are those of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) caller: &'a Caller,
    pub(super) sandbox_id: Option<&'a str>,
    pub(super) identity: Option<&'a str>,
    pub(super) room: Option<&'a str>,
    pub(super) now: u64,
}

/// The entries in order, with the callers whose credentials they depend on.
#[derive(Debug, Clone, Default)]
pub(super) struct Denied {
    entries: Vec<Deny>,
    of_api_keys: Vec<String>,
    of_tokens: Vec<String>,
}

impl Denied {
    pub(super) fn new(entries: Vec<Deny>, callers: &[CallerConfig]) -> Self {
        let names = |is: fn(&CallerKind) -> bool| {
            callers.iter().filter(|caller| is(&caller.kind)).map(|caller| caller.name.clone()).collect()
        };
        Self {
            entries,
            of_api_keys: names(|kind| *kind == CallerKind::ApiKey),
            of_tokens: names(|kind| matches!(kind, CallerKind::Jwt(_) | CallerKind::Gateway(_))),
        }
    }

    pub(super) fn entries(&self) -> &[Deny] {
        &self.entries
    }

    /// The denial by the first entry that the request meets.
    pub(super) fn check(&self, known: &Known<'_>) -> Result<(), Denial> {
        match self.entries.iter().position(|entry| self.is_met(entry, known)) {
            Some(position) => Err(Denial::Denied { position, reason: self.entries[position].reason.clone() }),
            None => Ok(()),
        }
    }

    fn is_met(&self, entry: &Deny, known: &Known<'_>) -> bool {
        let Known { caller, sandbox_id, identity, room, now } = *known;
        let lists = |texts: &Option<Vec<String>>, value: Option<&str>| {
            texts
                .as_ref()
                .is_none_or(|texts| value.is_some_and(|value| texts.iter().any(|text| text == value)))
        };
        let subject = caller.subject.as_deref();
        let key = subject.filter(|_| self.of_api_keys.contains(&caller.name));
        let in_room =
            |pattern: &RoomPattern| room.is_some_and(|room| pattern.matches(room, caller) == Ok(true));
        !entry.has_ended(now)
            && lists(&entry.callers, Some(&caller.name))
            && lists(&entry.sub, subject)
            && lists(&entry.identity, identity)
            && lists(&entry.api_key, key)
            && entry.room.as_ref().is_none_or(|patterns| patterns.iter().any(in_room))
            && entry.when.as_ref().is_none_or(|when| when.first_unmet(caller, sandbox_id).is_none())
            && entry.issued_before.is_none_or(|time| self.is_issued_before(time, caller))
    }

    /// Whether the caller's credential is a token that was issued before a time, or that doesn't say when it was issued.
    fn is_issued_before(&self, Time(time): Time, caller: &Caller) -> bool {
        let issued = match caller.claims.get("iat") {
            Some(Value::Number(number)) => number.as_f64(),
            // Some gateways pass every claim on as a string.
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let is_later = |issued: f64| {
            Duration::try_from_secs_f64(issued).is_ok_and(|issued| issued >= Duration::from_secs(time))
        };
        self.of_tokens.contains(&caller.name) && !issued.is_some_and(is_later)
    }
}

impl Deny {
    /// Whether the entry has ended at a time, in seconds since 1970.
    #[must_use]
    pub fn has_ended(&self, now: u64) -> bool {
        self.until.is_some_and(|Time(until)| now >= until)
    }

    /// Why the entry can't be used, and the key that has the mistake.
    pub(super) fn mistake(
        &self,
        callers: &[CallerConfig],
        sandboxes: Option<&[String]>,
    ) -> Option<(&'static str, String)> {
        let conditions = [
            self.callers.is_some(),
            self.sub.is_some(),
            self.identity.is_some(),
            self.api_key.is_some(),
            self.room.is_some(),
            self.when.as_ref().is_some_and(|when| *when != Conditions::default()),
            self.issued_before.is_some(),
        ];
        if !conditions.contains(&true) {
            let problem = "[[deny]] denies every request: add sub, identity, api_key, room, when, callers or issued_before";
            return Some(("reason", problem.to_owned()));
        }
        let is_known = |name: &&String| callers.iter().any(|caller| caller.name == **name);
        if let Some(name) = self.callers.iter().flatten().find(|name| !is_known(name)) {
            return Some((
                "callers",
                format!(
                    "[[deny]] has the unknown caller {name:?}: no [[caller]] has that name{}",
                    like(name, callers)
                ),
            ));
        }
        if self.callers.as_ref().is_some_and(Vec::is_empty) {
            return Some((
                "callers",
                "[[deny]] has no callers: list at least one, or omit callers for all".to_owned(),
            ));
        }
        let named =
            |caller: &&CallerConfig| self.callers.as_ref().is_none_or(|names| names.contains(&caller.name));
        let named: Vec<_> = callers.iter().filter(named).collect();
        if self.api_key.is_some() && !named.iter().any(|caller| caller.kind == CallerKind::ApiKey) {
            return Some((
                "api_key",
                "[[deny]] sets api_key, but none of its callers has kind = \"api-key\"".to_owned(),
            ));
        }
        let has_tokens =
            |caller: &&&CallerConfig| matches!(caller.kind, CallerKind::Jwt(_) | CallerKind::Gateway(_));
        if self.issued_before.is_some() && !named.iter().any(|caller| has_tokens(&caller)) {
            let problem =
                "[[deny]] sets issued_before, but none of its callers has kind = \"jwt\" or \"gateway\"";
            return Some(("issued_before", problem.to_owned()));
        }
        let mut sources = self.when.iter().flat_map(Conditions::sources);
        if let Some(source) = sources.find(|source| !named.iter().any(|caller| can_have(caller, source))) {
            return Some(("when", format!("[[deny]] uses {source}, which none of its callers has")));
        }
        let sandbox = self.when.as_ref().and_then(|when| when.get(&ValueSource::SandboxId));
        if let Some(mistake) = sandbox.and_then(|condition| unknown_sandbox(condition, sandboxes)) {
            return Some((mistake.key, format!("[[deny]] {}", mistake.problem)));
        }
        let placeholder = self.room.iter().flatten().find(|pattern| pattern.placeholders().next().is_some());
        placeholder.map(|pattern| {
            let problem = "must not have placeholders: write the room's name, or a pattern with *";
            ("room", format!("[[deny]] has room = \"{pattern}\", which {problem}"))
        })
    }
}

/// The conditions in one line.
impl fmt::Display for Deny {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("callers", &self.callers),
            ("sub", &self.sub),
            ("identity", &self.identity),
            ("api_key", &self.api_key),
        ];
        let lists =
            lists.into_iter().filter_map(|(key, list)| Some(format!("{key} {}", list.as_ref()?.join(", "))));
        let rooms = self.room.iter().map(|rooms| {
            format!("room {}", rooms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        });
        let all: Vec<_> = lists
            .chain(rooms)
            .chain(self.when.iter().map(ToString::to_string))
            .chain(self.issued_before.map(|time| format!("tokens issued before {time}")))
            .collect();
        formatter.write_str(&all.join(" and "))?;
        self.until.map_or(Ok(()), |until| write!(formatter, ", until {until}"))?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(formatter, " ({reason})"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.0)).fmt(formatter)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;

        impl Visitor<'_> for TimeVisitor {
            type Value = String;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time in UTC, in quotes, such as \"2026-12-31T00:00:00Z\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }
        }

        let text = deserializer.deserialize_str(TimeVisitor)?;
        let time = humantime::parse_rfc3339(&text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        time.map(|time| Self(time.as_secs()))
            .ok_or_else(|| D::Error::custom("must be a time in UTC, such as \"2026-12-31T00:00:00Z\""))
    }
}

/// One string or a list of strings, none of them empty.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let texts: Vec<String> = OneOrMore::deserialize(deserializer)?.into();
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return Err(D::Error::custom("must be a string or a list of strings, not empty"));
    }
    Ok(Some(texts))
}

/// The names of API keys. A key itself is a mistake, and isn't shown.
fn key_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let names = texts(deserializer)?;
    if names.iter().flatten().any(|name| name.starts_with("rpk_")) {
        return Err(D::Error::custom("must be the name of the API key, not the key itself"));
    }
    Ok(names)
}

fn rooms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<RoomPattern>>, D::Error> {
    let texts = texts(deserializer)?;
    let parse = |text: String| RoomPattern::try_from(text).map_err(D::Error::custom);
    texts.map(|texts| texts.into_iter().map(parse).collect()).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::caller::Caller;
    use crate::config::Config;
    use crate::domain::{Ask, Context, Identity, Limits, LoginAsk, LoginService, RoomAsk, RoomName, Ttl};
    use crate::policy::Denial;

    const POLICY: &str = r#"
        [[caller]]
        name = "app"
        kind = "jwt"
        issuer = "https://login.example"
        audience = "a"
        algorithms = ["RS256"]

        [[caller]]
        name = "backend"
        kind = "api-key"

        [[caller]]
        name = "anyone"
        kind = "anonymous"

        [[rule]]
        name = "app"
        callers = ["app"]
        rooms = ["*"]
        default_room = "lobby"
        identity = "app:{sub}"
        agora_logins = ["rtm"]

        [[rule]]
        name = "backend"
        callers = ["backend"]
        rooms = ["*"]
        client_may_set = ["participant_identity"]
        grants.destination_room = "stage"

        [[rule]]
        name = "guests"
        callers = ["anyone"]
        rooms = ["lobby"]
    "#;

    const NOW: u64 = 1_800_000_000;

    fn parsed(entry: &str) -> Result<Config, String> {
        Config::parse(&format!("[[deny]]\n{entry}\n{POLICY}"), "x.toml").map_err(|error| error.to_string())
    }

    fn ada() -> Caller {
        let claims = json!({"iat": NOW - 60, "org": "acme"});
        Caller {
            subject: Some("ada".into()),
            claims: claims.as_object().unwrap().clone(),
            ..Caller::anonymous("app")
        }
    }

    fn key(name: &str) -> Caller {
        Caller { subject: Some(name.into()), ..Caller::anonymous("backend") }
    }

    fn join(room: Option<&str>, identity: Option<&str>) -> Ask {
        let limits = Limits::default();
        let room = room.map(|room| RoomName::parse(room, &limits).unwrap());
        let identity = identity.map(|identity| Identity::parse(identity, &limits).unwrap());
        RoomAsk { room, identity, ..RoomAsk::default() }.into()
    }

    fn login(identity: &str) -> Ask {
        let identity = Identity::parse(identity, &Limits::default()).unwrap();
        Ask::Login(LoginAsk { service: LoginService::Rtm, identity, ttl: None, default_ttl: Ttl::DEFAULT })
    }

    fn is_denied(entry: &str, caller: &Caller, ask: Ask) -> bool {
        let context = Context { now: NOW, randomness: |bytes| bytes.fill(7) };
        let policy = parsed(entry).unwrap().policy;
        let decision = policy.decide(caller, ask, &context);
        matches!(decision.outcome, Err(Denial::Denied { position: 0, .. }))
    }

    #[test]
    fn an_entry_denies_what_meets_all_of_its_conditions() {
        let (ada, room) = (ada(), || join(Some("math:1"), None));
        for (entry, is_met) in [
            ("sub = 'ada'", true),
            ("sub = ['bob', 'ada']", true),
            ("sub = 'ad'", false),
            ("sub = 'ADA'", false),
            ("sub = 'ada'\ncallers = ['app']", true),
            ("sub = 'ada'\ncallers = ['backend']", false),
            ("callers = ['app']", true),
            ("room = 'math:*'", true),
            ("room = ['art:*', 'math:1']", true),
            ("room = 'math'", false),
            ("room = 'math:*'\nsub = 'bob'", false),
            ("identity = 'app:ada'", true),
            ("identity = 'ada'", false),
            ("identity = 'app:ada'\nroom = 'math:*'", true),
            ("identity = 'app:ada'\nroom = 'art:*'", false),
            ("api_key = 'ada'", false),
            ("when = { 'claims.org' = 'acme' }", true),
            ("when = { 'claims.org' = 'other' }", false),
            ("sub = 'ada'\nuntil = '2027-01-15T08:00:01Z'", true),
            ("sub = 'ada'\nuntil = '2027-01-15T08:00:00Z'", false),
            ("sub = 'ada'\nuntil = '2026-01-01T00:00:00Z'", false),
        ] {
            assert_eq!(is_denied(entry, &ada, room()), is_met, "{entry}");
        }
    }

    #[test]
    fn an_api_key_is_denied_by_its_name_and_an_identity_for_every_caller() {
        assert!(is_denied("api_key = 'batch'", &key("batch"), join(Some("r"), None)));
        assert!(!is_denied("api_key = 'batch'", &key("web"), join(Some("r"), None)));
        assert!(is_denied("identity = 'mallory'", &key("web"), join(Some("r"), Some("mallory"))));
        assert!(!is_denied("identity = 'mallory'", &key("web"), join(Some("r"), Some("ada"))));
        assert!(is_denied("identity = 'mallory'", &Caller::anonymous("anyone"), join(None, Some("mallory"))));
    }

    #[test]
    fn every_kind_of_ask_is_denied_with_requested_and_default_values() {
        let ada = ada();
        assert!(is_denied("room = 'lobby'", &ada, join(None, None)), "the rule's default room");
        assert!(is_denied("sub = 'ada'", &ada, join(None, None)));
        assert!(is_denied("sub = 'ada'", &ada, login("app:ada")));
        assert!(is_denied("identity = 'app:ada'", &ada, login("app:ada")));
        assert!(!is_denied("room = '*'", &ada, login("app:ada")), "a login is bound to no room");
        let openvidu = RoomAsk {
            name_or_identity: Identity::parse("mallory", &Limits::default()).ok(),
            ..RoomAsk::default()
        };
        assert!(is_denied("identity = 'mallory'", &key("web"), openvidu.into()));
    }

    #[test]
    fn a_room_is_denied_as_the_destination_of_a_participant_too() {
        assert!(is_denied("room = 'stage'", &key("web"), join(Some("r"), None)));
        assert!(!is_denied("room = 'other'", &key("web"), join(Some("r"), None)));
        assert!(!is_denied("room = 'stage'", &ada(), join(Some("r"), None)), "a rule without a destination");
        assert!(!is_denied(
            "room = 'stage'\nidentity = 'mallory'",
            &key("web"),
            join(Some("r"), Some("ada"))
        ));
    }

    #[test]
    fn tokens_that_were_issued_before_a_time_are_denied() {
        let at = |iat: serde_json::Value| {
            let mut ada = ada();
            ada.claims.insert("iat".into(), iat);
            ada
        };
        // 2027-01-15T08:00:00Z
        let entry = "issued_before = '2027-01-15T08:00:00Z'";
        for (iat, is_earlier) in [
            (json!(NOW), false),
            (json!(NOW + 1), false),
            (json!(NOW - 1), true),
            (json!(1_799_999_999.5), true),
            (json!(1_800_000_000.5), false),
            (json!("1800000000"), false),
            (json!("1799999999"), true),
            (json!(null), true),
            (json!("yesterday"), true),
            (json!("NaN"), true),
            (json!("inf"), true),
            (json!(-1), true),
            (json!([NOW]), true),
        ] {
            assert_eq!(is_denied(entry, &at(iat.clone()), join(None, None)), is_earlier, "{iat}");
        }
        let mut without = ada();
        without.claims.remove("iat");
        assert!(is_denied(entry, &without, join(None, None)));
        assert!(!is_denied(entry, &key("web"), join(None, None)), "an API key is not a token");
        assert!(!is_denied(entry, &Caller::anonymous("anyone"), join(None, None)));
        assert!(!is_denied(&format!("{entry}\nsub = 'bob'"), &at(json!(1)), join(None, None)));
    }

    #[test]
    fn the_reason_is_in_the_denial_and_entries_are_shown_in_one_line() {
        let config = parsed("sub = ['ada', 'bob']\nroom = 'math:*'\nissued_before = '2027-01-15T08:00:00Z'\nuntil = '2027-02-01T00:00:00Z'\nreason = 'case 17'").unwrap();
        assert_eq!(
            config.policy.denied()[0].to_string(),
            "sub ada, bob and room math:* and tokens issued before 2027-01-15T08:00:00Z, until 2027-02-01T00:00:00Z (case 17)"
        );
        let context = Context { now: NOW, randomness: |_| {} };
        let decision = config.policy.decide(&ada(), join(Some("math:1"), None), &context);
        assert_eq!(decision.outcome.unwrap_err().to_string(), "denied by [[deny]] number 1: case 17");
    }

    #[test]
    fn a_mistake_in_an_entry_is_reported_with_its_place() {
        for (entry, problem) in [
            (
                "",
                "x.toml:1:1: [[deny]] denies every request: add sub, identity, api_key, room, when, callers or issued_before",
            ),
            ("reason = 'x'", "x.toml:2:1: [[deny]] denies every request: "),
            ("when = {}", "x.toml:1:1: [[deny]] denies every request: "),
            ("callers = ['ap']", "x.toml:2:1: [[deny]] has the unknown caller \"ap\""),
            ("room = '{sub}'", "x.toml:2:1: [[deny]] has room = \"{sub}\", which must not have placeholders"),
            ("sub = ''", "x.toml:2:7: must be a string or a list of strings, not empty"),
            ("sub = []", "x.toml:2:7: must be a string or a list of strings, not empty"),
            ("sub = 5", "x.toml:2:7: must be a string, or a list of strings"),
            ("until = '2027-01-15'", "x.toml:2:9: must be a time in UTC, such as \"2026-12-31T00:00:00Z\""),
            (
                "until = 2027-01-15T08:00:00Z",
                "x.toml:2:9: invalid type: date or time, expected a time in UTC, in quotes, such as",
            ),
            ("sub = 'x'\ncallers = []", "x.toml:3:1: [[deny]] has no callers: list at least one"),
            (
                "api_key = 'x'\ncallers = ['app']",
                "x.toml:2:1: [[deny]] sets api_key, but none of its callers has kind",
            ),
            (
                "issued_before = '2027-01-15T08:00:00Z'\ncallers = ['backend']",
                "x.toml:2:1: [[deny]] sets issued_before, but none",
            ),
            (
                "when = { 'claims.x' = 'y' }\ncallers = ['backend']",
                "x.toml:2:1: [[deny]] uses claims.x, which none of its callers has",
            ),
            (
                "when = { sandbox_id = 'typo' }",
                "x.toml:2:1: [[deny]] requires sandbox \"typo\", but dialects does not list",
            ),
            ("subject = 'x'", "x.toml:2:1: unknown field `subject`, expected one of"),
        ] {
            let found = parsed(entry).unwrap_err();
            assert!(found.starts_with(problem), "{entry}: {found}");
        }
        for entry in [
            "api_key = 'rpk_canary'",
            "api_key = ['x', 'rpk_canary']",
            "api_key = { key = 'rpk_canary' }",
            "sub = { x = 'rpk_canary' }",
        ] {
            let found = parsed(entry).unwrap_err();
            assert!(!found.contains("canary"), "{found}");
        }
        assert!(
            parsed("api_key = 'rpk_canary'")
                .unwrap_err()
                .contains("must be the name of the API key, not the key itself")
        );
        let without_keys = POLICY.replace("kind = \"api-key\"", "kind = \"gateway\"\nvia = \"iam\"");
        let found = Config::parse(&format!("[[deny]]\napi_key = 'x'\n{without_keys}"), "x.toml").unwrap_err();
        assert!(
            found.to_string().contains("sets api_key, but none of its callers has kind = \"api-key\""),
            "{found}"
        );
    }
}
