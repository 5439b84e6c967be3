//! `when`: conditions on a caller's values.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;

use super::source::ValueSource;
use crate::caller::Caller;
use crate::condition::Condition;

/// `when`: conditions that must all be met.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions(BTreeMap<ValueSource, Condition>);

impl Conditions {
    /// The first condition that isn't met by this caller and the request's sandbox ID.
    #[must_use]
    pub fn first_unmet(
        &self,
        caller: &Caller,
        sandbox_id: Option<&str>,
    ) -> Option<(&ValueSource, &Condition)> {
        let value = |source: &ValueSource| match source {
            ValueSource::SandboxId => sandbox_id.map(Value::from),
            source => source.value(caller),
        };
        self.0
            .iter()
            .find(|(source, condition)| !value(source).is_some_and(|value| condition.holds_for(&value)))
    }

    /// The condition on a value, if there is one.
    #[must_use]
    pub fn get(&self, source: &ValueSource) -> Option<&Condition> {
        self.0.get(source)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &ValueSource> {
        self.0.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ValueSource, &Condition)> {
        self.0.iter()
    }

    /// Whether every caller that meets `other` meets these conditions too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|(source, condition)| other.0.get(source).is_some_and(|one| condition.covers(one)))
    }
}

/// All conditions, in one line.
impl fmt::Display for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(source, condition)| format!("{source} {condition}")).collect();
        formatter.write_str(&all.join(" and "))
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = BTreeMap::<String, Condition>::deserialize(deserializer)?;
        let read = |(path, condition): (String, Condition)| {
            let source = ValueSource::parse(&path).map_err(D::Error::custom)?;
            let claim = match &source {
                ValueSource::Claim(path) => path.last(),
                _ => None,
            };
            let condition = match claim {
                Some(name) => condition.on_claim(name),
                None => condition,
            };
            Ok((source, condition))
        };
        written.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn when(text: &str) -> Result<Conditions, String> {
        #[derive(Deserialize)]
        struct Table {
            when: Conditions,
        }
        toml::from_str::<Table>(text).map(|table| table.when).map_err(|error| error.message().to_owned())
    }

    fn holds(text: &str) -> bool {
        let claims = json!({
            "role": "host", "level": 3, "paid": true, "roles": ["admin", "user"],
            "realm_access": {"roles": ["host"]}, "https://example.com/roles": ["host"],
        });
        let caller = Caller {
            claims: claims.as_object().unwrap().clone(),
            subject: Some("ada".into()),
            ..Caller::anonymous("a")
        };
        when(text).unwrap().first_unmet(&caller, Some("demo")).is_none()
    }

    #[test]
    fn a_value_is_equal_one_of_or_contained() {
        for text in [
            "when = {}",
            "when = { 'claims.role' = 'host' }",
            "when = { 'claims.level' = 3, 'claims.paid' = true, sub = 'ada' }",
            "when = { 'claims.role' = { one_of = ['guest', 'host'] } }",
            "when = { 'claims.roles' = { contains = 'admin' } }",
            "when = { 'claims.roles' = { contains_any = ['teacher', 'admin'] } }",
            "when = { sandbox_id = 'demo' }",
            "when = { 'claims.realm_access.roles' = { contains = 'host' } }",
            "when = { 'claims.\"https://example.com/roles\"' = { contains = 'host' } }",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "when = { 'claims.role' = 'HOST' }",
            "when = { sandbox_id = 'other' }",
            "when = { 'claims.level' = '3' }",
            "when = { 'claims.role' = { contains = 'host' } }",
            "when = { 'claims.roles' = 'admin' }",
            "when = { 'claims.roles' = { contains = 'adm' } }",
            "when = { 'claims.roles' = { contains = ['admin', 'user'] } }",
            "when = { 'claims.roles' = { contains_any = ['adm', 'host'] } }",
            "when = { 'claims.role' = { contains_any = ['host'] } }",
            "when = { 'claims.none' = 'x' }",
            "when = { 'claims.role' = 'host', iss = 'x' }",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn scopes_in_a_string_are_compared_word_by_word() {
        let holds = |condition: &str, claims: Value| {
            let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
            when(&format!("when = {{ {condition} }}")).unwrap().first_unmet(&caller, None).is_none()
        };
        for name in ["scope", "scp", "scopes"] {
            let join = format!("'claims.{name}' = {{ contains = 'calls:join' }}");
            for value in [
                json!("calls:join"),
                json!("openid calls:join"),
                json!("calls:join  openid"),
                json!(["openid", "calls:join"]),
            ] {
                assert!(holds(&join, json!({ name: value })), "{value}");
            }
            for value in [
                json!(""),
                json!("calls"),
                json!("openid calls:join:admin"),
                json!("xcalls:join"),
                json!("calls:join,openid"),
                json!("openid\tcalls:join"),
                json!("CALLS:JOIN"),
                json!(["openid calls:join"]),
                json!({ "calls:join": true }),
                json!(null),
            ] {
                assert!(!holds(&join, json!({ name: value })), "{value}");
            }
        }
        assert!(holds("'claims.x.scope' = { contains = 'a' }", json!({ "x": { "scope": "b a" } })));
        assert!(!holds("'claims.scope.x' = { contains = 'a' }", json!({ "scope": { "x": "b a" } })));
        let any = |scope: &str| {
            holds(
                "'claims.scope' = { contains_any = ['calls:host', 'calls:join'] }",
                json!({ "scope": scope }),
            )
        };
        assert!(any("openid calls:join") && any("calls:host") && !any("openid calls:joi") && !any(""));
        for nothing in ["", " "] {
            let condition = format!("'claims.scope' = {{ contains = '{nothing}' }}");
            assert!(!holds(&condition, json!({ "scope": "a  b " })));
        }
    }

    #[test]
    fn other_strings_are_split_only_where_the_rule_says_so() {
        let claims = json!({ "roles": "host guest", "permissions": ["host"], "scope": "host guest" });
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        let holds = |condition: &str| {
            when(&format!("when = {{ {condition} }}")).unwrap().first_unmet(&caller, None).is_none()
        };
        assert!(!holds("'claims.roles' = { contains = 'host' }"));
        assert!(holds("'claims.roles' = { contains_word = 'host' }"));
        assert!(holds("'claims.permissions' = { contains_word = 'host' }"));
        assert!(holds("'claims.scope' = { contains_word = 'host' }"));
        assert!(!holds("'claims.roles' = { contains_word = 'hos' }"));
        for word in ["''", "'a b'", "5"] {
            let problem = when(&format!("when = {{ 'claims.roles' = {{ contains_word = {word} }} }}"));
            assert!(problem.is_err(), "{word}");
        }
    }

    #[test]
    fn a_condition_is_shown_in_words() {
        for (text, shown) in [
            ("'claims.a' = 'x'", "claims.a = \"x\""),
            ("'claims.a' = { one_of = ['x', 1] }", "claims.a one of [\"x\",1]"),
            ("'claims.a' = { contains = 'x' }", "claims.a contains \"x\""),
            ("'claims.a' = { contains_any = ['x', 'y'] }", "claims.a contains any of [\"x\",\"y\"]"),
            ("'claims.scope' = { contains = 'x' }", "claims.scope contains the word \"x\""),
            (
                "'claims.scope' = { contains_any = ['x', 'y'] }",
                "claims.scope contains any word of [\"x\",\"y\"]",
            ),
            (
                "'claims.scope' = { contains_any = ['x y', 'y'] }",
                "claims.scope contains any of [\"x y\",\"y\"]",
            ),
        ] {
            assert_eq!(when(&format!("when = {{ {text} }}")).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_mistake_in_a_condition_is_reported() {
        assert!(
            when("when = { role = 'host' }")
                .unwrap_err()
                .contains("\"role\" is unknown: use sub, iss or claims.path")
        );
        for text in [
            "when.claims.role = 'host'",
            "when = { 'claims.role' = { equals = 'x' } }",
            "when = { 'claims.role' = { one_of = [1], contains = 1 } }",
            "when = { 'claims.role' = { one_of = [] } }",
        ] {
            assert!(when(text).unwrap_err().contains("one_of"), "{text}");
        }
        assert_eq!(
            when("when = { 'claims.roles' = { contains_any = [] } }").unwrap_err(),
            "contains_any must not be empty"
        );
    }
}
