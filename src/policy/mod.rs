//! What a caller may have: the rules of `roompass.toml`, in order; the first that matches decides. What no rule allows
//! is refused. Knows nothing of HTTP and cryptography.

mod pattern;
mod rule;

pub use pattern::RoomPattern;
pub use rule::{ClientField, Rule};

use crate::auth::Caller;
use crate::domain::{Identity, Pass, PassRequest, Randomness, RoomConfig, RoomName};

/// Why nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No rule is for this caller and this room.
    #[error("No rule lets this caller into this room.")]
    NoRule,
    /// The rule that decides doesn't let the client set this field.
    #[error(
        "The field {field} may not be set by the client: rule {rule:?} doesn't list it in client_may_set."
    )]
    FieldNotAllowed {
        /// The field's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The request asks for recording or streaming, which no rule can allow.
    #[error("The field {field} asks for egress, which a client may not set up.")]
    EgressNotAllowed {
        /// The field's path in the request.
        field: &'static str,
    },
}

/// The rules, in their order.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    randomness: Randomness,
}

impl Policy {
    /// The rules as configured, and where the generated names come from.
    #[must_use]
    pub fn new(rules: Vec<Rule>, randomness: Randomness) -> Self {
        Self { rules, randomness }
    }

    /// What the first rule that matches gives.
    ///
    /// # Errors
    /// Where no rule matches, or the one that does doesn't allow what is asked for.
    pub fn decide(&self, caller: &Caller, request: PassRequest) -> Result<Pass, Denial> {
        let asked_for = Asked::by(&request);
        let room = request.room.unwrap_or_else(|| RoomName::generated(self.randomness));
        let rule = self.rules.iter().find(|rule| rule.is_for(caller, &room)).ok_or(Denial::NoRule)?;
        asked_for.must_be_allowed_by(rule)?;
        if let Some(field) = request.room_config.as_ref().and_then(RoomConfig::egress) {
            return Err(Denial::EgressNotAllowed { field });
        }
        Ok(Pass {
            caller: caller.name.clone(),
            rule: rule.name.clone(),
            room,
            identity: request.identity.unwrap_or_else(|| Identity::generated(self.randomness)),
            name: request.name,
            metadata: request.metadata,
            attributes: request.attributes,
            room_config: request.room_config,
            grants: rule.grants.clone(),
            ttl: rule.ttl,
        })
    }
}

/// The fields, besides the room, that a client has set.
struct Asked(Vec<ClientField>);

impl Asked {
    fn by(request: &PassRequest) -> Self {
        let set = [
            (request.identity.is_some(), ClientField::ParticipantIdentity),
            (request.name.is_some(), ClientField::ParticipantName),
            (request.metadata.is_some(), ClientField::ParticipantMetadata),
            (request.attributes.is_some(), ClientField::ParticipantAttributes),
            (request.room_config.is_some(), ClientField::RoomConfig),
        ];
        Self(set.into_iter().filter_map(|(given, field)| given.then_some(field)).collect())
    }

    fn must_be_allowed_by(&self, rule: &Rule) -> Result<(), Denial> {
        match self.0.iter().find(|field| !rule.client_may_set.contains(field)) {
            None => Ok(()),
            Some(field) => Err(Denial::FieldNotAllowed { field: field.name(), rule: rule.name.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Limits, ParticipantName, Ttl};

    fn policy(rules: &str) -> Policy {
        #[derive(serde::Deserialize)]
        struct File {
            rule: Vec<Rule>,
        }
        Policy::new(toml::from_str::<File>(rules).unwrap().rule, |bytes| bytes.fill(7))
    }

    fn anyone() -> Caller {
        Caller { name: "anyone".into() }
    }

    fn room(name: &str) -> PassRequest {
        PassRequest {
            room: Some(RoomName::parse(name, &Limits::default()).unwrap()),
            ..PassRequest::default()
        }
    }

    const OPEN: &str = r#"
        [[rule]]
        name = "open"
        callers = ["anyone"]
        rooms = ["*"]
        client_may_set = ["participant_name", "room_config"]
        ttl = "5m"
        grants.can_publish = false
    "#;

    #[test]
    fn what_is_left_out_is_generated() {
        let pass = policy(OPEN).decide(&anyone(), PassRequest::default()).unwrap();
        assert_eq!(pass.room.as_str(), "room-77777777777777777777");
        assert_eq!(pass.identity.as_str(), "user-77777777777777777777");
        assert_eq!(pass.ttl, Ttl::try_from("5m".to_owned()).unwrap());
        assert_eq!(pass.grants.can_publish, Some(false));
        assert_eq!((pass.caller.as_str(), pass.rule.as_str()), ("anyone", "open"));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = r#"
            [[rule]]
            name = "lobby"
            callers = ["anyone"]
            rooms = ["lobby", "lobby-*"]
            [[rule]]
            name = "halls"
            callers = ["anyone", "staff"]
            rooms = ["hall-*"]
        "#;
        let rule_for = |caller: &str, name: &str| {
            policy(rules).decide(&Caller { name: caller.into() }, room(name)).map(|pass| pass.rule)
        };
        assert_eq!(rule_for("anyone", "lobby").unwrap(), "lobby");
        assert_eq!(rule_for("anyone", "lobby-2").unwrap(), "lobby");
        assert_eq!(rule_for("anyone", "hall-2").unwrap(), "halls");
        assert_eq!(rule_for("anyone", "lobbyist"), Err(Denial::NoRule));
        assert_eq!(rule_for("staff", "lobby"), Err(Denial::NoRule));
        assert_eq!(rule_for("nobody", "hall-2"), Err(Denial::NoRule));
    }

    #[test]
    fn a_generated_room_keeps_to_the_patterns_too() {
        let rules = "[[rule]]\nname = \"lobby\"\ncallers = [\"anyone\"]\nrooms = [\"lobby\"]";
        assert_eq!(policy(rules).decide(&anyone(), PassRequest::default()), Err(Denial::NoRule));
    }

    #[test]
    fn a_field_that_the_rule_does_not_list_is_refused_by_name() {
        let limits = Limits::default();
        let named = PassRequest { name: Some(ParticipantName::parse("Ada", &limits).unwrap()), ..room("r") };
        assert_eq!(policy(OPEN).decide(&anyone(), named).unwrap().name.unwrap().as_str(), "Ada");
        let identified =
            PassRequest { identity: Some(Identity::parse("ada", &limits).unwrap()), ..room("r") };
        assert_eq!(
            policy(OPEN).decide(&anyone(), identified),
            Err(Denial::FieldNotAllowed { field: "participant_identity", rule: "open".into() })
        );
    }

    #[test]
    fn egress_is_refused_even_where_room_config_may_be_set() {
        let room_config = RoomConfig::parse(json!({"egress": {"tracks": {"filepath": "x"}}})).unwrap();
        assert_eq!(
            policy(OPEN).decide(&anyone(), PassRequest { room_config, ..room("r") }),
            Err(Denial::EgressNotAllowed { field: "room_config.egress.tracks" })
        );
    }
}
