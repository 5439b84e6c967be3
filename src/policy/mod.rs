//! What a caller may have: the rules of `roompass.toml`, in order; the first that matches decides. What no rule allows
//! is refused. Knows nothing of HTTP and cryptography.

mod agents;
pub(crate) mod check;
mod compound;
mod condition;
mod egress;
mod identities;
mod members;
mod pattern;
mod rule;
mod source;
mod template;

pub use compound::AgentProblem;
pub use condition::{Condition, Conditions};
pub use identities::notes as identity_notes;
pub use pattern::RoomPattern;
pub use rule::{ClientField, PassedOver, Rule};
pub use source::Source;
pub use template::{Template, Unfit};

use rule::Offer;

use crate::auth::Caller;
use crate::domain::{
    Attributes, Grants, Identity, InvalidField, Limits, Login, LoginRequest, LoginService, Metadata,
    ParticipantName, Pass, PassRequest, Randomness, Role, RoomConfig, Ttl,
};

/// Why nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No rule is for this caller.
    #[error("No rule is for this caller.")]
    NoRule,
    /// The rule that decides opens no room.
    #[error("Rule {rule:?} lets this caller into no room.")]
    NoRoom {
        /// The rule's name.
        rule: String,
    },
    /// Rules are for this caller, and none opens this room.
    #[error("No rule lets this caller into this room.")]
    RoomNotAllowed,
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
    /// The rule that decides doesn't let the client set this member of an agent's dispatch or of egress.
    #[error(
        "The field {field} may not be set by the client: rule {rule:?} doesn't list {member:?} in client_may_set of {list}."
    )]
    MemberNotAllowed {
        /// The member's path in the request.
        field: String,
        /// Its name in `client_may_set`.
        member: &'static str,
        /// The entry of the rule that would list it.
        list: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides doesn't let the client dispatch these agents.
    #[error("The field {problem} of rule {rule:?}.")]
    AgentNotAllowed {
        /// Which agent, and why not.
        problem: AgentProblem,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides doesn't let the client set up this recording.
    #[error("The field {field} asks for egress that rule {rule:?} doesn't list in egress.")]
    EgressNotAllowed {
        /// The field's path in the request.
        field: &'static str,
        /// The rule's name.
        rule: String,
    },
    /// The request asks for more time than the rule that decides gives.
    #[error("The token is asked to last longer than the {max_ttl} that rule {rule:?} gives.")]
    TtlTooLong {
        /// The most that may be asked for.
        max_ttl: Ttl,
        /// The rule's name.
        rule: String,
    },
    /// The rule that decides lets its callers receive alone.
    #[error("Publishing is asked for, and rule {rule:?} doesn't give it.")]
    PublishingNotAllowed {
        /// The rule's name.
        rule: String,
    },
    /// Rules are for this caller, and none gives a login at this service.
    #[error("No rule that decides for this caller lists {} in agora_logins.", .0.as_str())]
    LoginNotAllowed(LoginService),
    /// The rule that decides gives nothing past the end of the caller's credential, and that has come.
    #[error("The credential has ended, and rule {rule:?} gives nothing past its end.")]
    CredentialEnded {
        /// The rule's name.
        rule: String,
    },
    /// What the rule and the client say together is too long.
    #[error("The field {0}, with what the rule says.")]
    Invalid(#[from] InvalidField),
}

/// The rules, in their order.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    limits: Limits,
    randomness: Randomness,
}

/// The rules that were passed over, in their order, and why.
type Before = Vec<(String, PassedOver)>;

/// How a decision came about: on a [`Pass`], or on a [`Login`].
#[derive(Debug)]
pub struct Explanation<Given> {
    /// The rules that were passed over, in their order, and why.
    pub passed_over: Vec<(String, PassedOver)>,
    /// The decision.
    pub decision: Result<Given, Denial>,
}

impl Policy {
    /// The rules as configured, the limits of what they make, and where the generated names come from.
    #[must_use]
    pub fn new(rules: Vec<Rule>, limits: Limits, randomness: Randomness) -> Self {
        Self { rules, limits, randomness }
    }

    /// What the first rule that matches gives. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Where no rule matches, or the one that does doesn't allow what is asked for.
    pub fn decide(&self, caller: &Caller, request: PassRequest, now: u64) -> Result<Pass, Denial> {
        self.explain(caller, request, now).decision
    }

    /// The same, with each rule that was passed over on the way.
    #[must_use]
    pub fn explain(&self, caller: &Caller, request: PassRequest, now: u64) -> Explanation<Pass> {
        let (first, passed_over) =
            self.first(|rule| rule.offer(caller, &request, &self.limits, self.randomness));
        let of_room = |why: &PassedOver| matches!(why, PassedOver::OtherRoom | PassedOver::NoRoom);
        let decision = match first {
            Some((rule, Some(offer))) => self.grant(rule, offer, caller, request, now),
            Some((rule, None)) => Err(Denial::NoRoom { rule: rule.name.clone() }),
            None if passed_over.iter().any(|(_, why)| of_room(why)) => Err(Denial::RoomNotAllowed),
            None => Err(Denial::NoRule),
        };
        Explanation { passed_over, decision }
    }

    /// What the first rule that matches gives to a caller who logs in to a service. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Where no rule matches, or the one that does doesn't allow what is asked for.
    pub fn admit(&self, caller: &Caller, request: LoginRequest, now: u64) -> Result<Login, Denial> {
        self.explain_login(caller, request, now).decision
    }

    /// The same, with each rule that was passed over on the way.
    #[must_use]
    pub fn explain_login(&self, caller: &Caller, request: LoginRequest, now: u64) -> Explanation<Login> {
        let service = request.service;
        let (first, passed_over) =
            self.first(|rule| rule.login(caller, service, &self.limits, self.randomness));
        let decision = match first {
            Some((rule, Some(own))) => login(rule, &own, caller, request, now),
            Some((_, None)) => Err(Denial::LoginNotAllowed(service)),
            None if passed_over.iter().any(|(_, why)| *why == PassedOver::NoLogins) => {
                Err(Denial::LoginNotAllowed(service))
            }
            None => Err(Denial::NoRule),
        };
        Explanation { passed_over, decision }
    }

    /// The first rule that has something to offer, and those before it.
    fn first<O>(&self, offer: impl Fn(&Rule) -> Result<O, PassedOver>) -> (Option<(&Rule, O)>, Before) {
        let mut passed_over = Vec::new();
        for rule in &self.rules {
            match offer(rule) {
                Ok(offer) => return (Some((rule, offer)), passed_over),
                Err(why) => passed_over.push((rule.name.clone(), why)),
            }
        }
        (None, passed_over)
    }

    /// The rule's offer, with what the client asks for besides, if the rule lets it.
    fn grant(
        &self,
        rule: &Rule,
        offer: Offer,
        caller: &Caller,
        request: PassRequest,
        now: u64,
    ) -> Result<Pass, Denial> {
        let request = self.named(rule, &offer, request)?;
        must_be_allowed(rule, &offer, &request)?;
        let attributes = request.attributes.iter().flat_map(Attributes::iter);
        let mut attributes: std::collections::BTreeMap<_, _> =
            attributes.map(|(key, value)| (key.clone(), value.clone())).collect();
        attributes.extend(offer.attributes);
        Ok(Pass {
            caller: caller.name.clone(),
            rule: rule.name.clone(),
            room: offer.room,
            identity: request.identity.unwrap_or(offer.identity),
            name: request.name.or(offer.name),
            metadata: request.metadata.or(offer.metadata),
            attributes: Attributes::parse(attributes, &self.limits)?,
            room_config: request.room_config,
            grants: grants(rule, request.role)?,
            ttl: ttl(rule, caller, request.ttl, request.usual_ttl, now)?,
        })
    }

    /// The request, with the one name that some dialects have in its place: the identity if the client may choose it,
    /// or else the name to be shown.
    fn named(&self, rule: &Rule, offer: &Offer, request: PassRequest) -> Result<PassRequest, Denial> {
        match request.called.clone() {
            None => Ok(request),
            Some(called) if rule.lets_client_set(Identity::FIELD) || called == offer.identity => {
                Ok(PassRequest { identity: Some(called), ..request })
            }
            Some(called) => {
                let name = Some(ParticipantName::parse(called.as_str(), &self.limits)?);
                Ok(PassRequest { name, ..request })
            }
        }
    }
}

/// The rule's login, as whoever the client says it is, if the rule lets it.
fn login(
    rule: &Rule,
    own: &Identity,
    caller: &Caller,
    request: LoginRequest,
    now: u64,
) -> Result<Login, Denial> {
    if request.identity != *own && !rule.lets_client_set(Identity::FIELD) {
        return Err(Denial::FieldNotAllowed { field: Identity::FIELD, rule: rule.name.clone() });
    }
    Ok(Login {
        caller: caller.name.clone(),
        rule: rule.name.clone(),
        service: request.service,
        identity: request.identity,
        ttl: ttl(rule, caller, request.ttl, request.usual_ttl, now)?,
    })
}

/// What the client asks for that the rule doesn't give by itself must be listed in the rule.
fn must_be_allowed(rule: &Rule, offer: &Offer, request: &PassRequest) -> Result<(), Denial> {
    let others = |attributes: &Attributes| {
        attributes.iter().any(|(key, value)| offer.attributes.get(key) != Some(value))
    };
    let set = [
        (request.identity.as_ref().is_some_and(|asked| *asked != offer.identity), Identity::FIELD),
        (request.name.is_some() && request.name != offer.name, ParticipantName::FIELD),
        (request.metadata.is_some() && request.metadata != offer.metadata, Metadata::FIELD),
        (request.attributes.as_ref().is_some_and(others), Attributes::FIELD),
    ];
    let mut paths = set
        .into_iter()
        .filter_map(|(given, field)| given.then_some(field))
        .chain(request.room_config.iter().flat_map(RoomConfig::settings));
    if let Some(field) = paths.find(|path| !rule.lets_client_set(path)) {
        return Err(Denial::FieldNotAllowed { field, rule: rule.name.clone() });
    }
    match &request.room_config {
        Some(config) => compound::agents(rule, config).and_then(|()| compound::egress(rule, config)),
        None => Ok(()),
    }
}

/// What is asked for up to the rule's most, or else the rule's own; and no longer than the caller's credential, if the
/// rule says so.
fn ttl(rule: &Rule, caller: &Caller, asked: Option<Ttl>, usual: Ttl, now: u64) -> Result<Ttl, Denial> {
    let max_ttl = rule.max_ttl.or(rule.ttl).unwrap_or(usual);
    if asked.is_some_and(|asked| asked > max_ttl) {
        return Err(Denial::TtlTooLong { max_ttl, rule: rule.name.clone() });
    }
    let ttl = asked.or(rule.ttl).unwrap_or(usual).min(max_ttl);
    match caller.expires.filter(|_| rule.within_credential) {
        Some(expires) => ttl
            .within(expires.saturating_sub(now))
            .ok_or_else(|| Denial::CredentialEnded { rule: rule.name.clone() }),
        None => Ok(ttl),
    }
}

/// The rule's grants, less what the client says it doesn't need.
fn grants(rule: &Rule, asked: Option<Role>) -> Result<Grants, Denial> {
    match asked {
        Some(Role::Publisher) if rule.grants.can_publish == Some(false) => {
            Err(Denial::PublishingNotAllowed { rule: rule.name.clone() })
        }
        Some(Role::Subscriber) => Ok(Grants {
            can_publish: Some(false),
            can_publish_data: Some(false),
            can_publish_sources: Vec::new(),
            ..rule.grants.clone()
        }),
        _ => Ok(rule.grants.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::RoomName;

    fn policy(rules: &str) -> Policy {
        #[derive(serde::Deserialize)]
        struct File {
            rule: Vec<Rule>,
        }
        Policy::new(toml::from_str::<File>(rules).unwrap().rule, Limits::default(), |bytes| bytes.fill(7))
    }

    fn anyone() -> Caller {
        Caller::anonymous("anyone")
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
        let pass = policy(OPEN).decide(&anyone(), PassRequest::default(), 0).unwrap();
        assert_eq!(pass.room.as_str(), "room-77777777777777777777");
        assert_eq!(pass.identity.as_str(), "user-77777777777777777777");
        assert_eq!(pass.ttl, Ttl::minutes(5));
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
            policy(rules).decide(&Caller::anonymous(caller), room(name), 0).map(|pass| pass.rule)
        };
        assert_eq!(rule_for("anyone", "lobby").unwrap(), "lobby");
        assert_eq!(rule_for("anyone", "lobby-2").unwrap(), "lobby");
        assert_eq!(rule_for("anyone", "hall-2").unwrap(), "halls");
        assert_eq!(rule_for("anyone", "lobbyist"), Err(Denial::RoomNotAllowed));
        assert_eq!(rule_for("staff", "lobby"), Err(Denial::RoomNotAllowed));
        assert_eq!(rule_for("nobody", "hall-2"), Err(Denial::NoRule));
    }

    #[test]
    fn a_generated_room_keeps_to_the_patterns_too() {
        let rules = "[[rule]]\nname = \"lobby\"\ncallers = [\"anyone\"]\nrooms = [\"lobby\"]";
        let explained = policy(rules).explain(&anyone(), PassRequest::default(), 0);
        assert_eq!(explained.decision, Err(Denial::RoomNotAllowed));
        assert_eq!(explained.passed_over, [("lobby".to_owned(), PassedOver::NoRoom)]);
    }

    #[test]
    fn a_field_that_the_rule_does_not_list_is_refused_by_name() {
        let limits = Limits::default();
        let named = PassRequest { name: Some(ParticipantName::parse("Ada", &limits).unwrap()), ..room("r") };
        assert_eq!(policy(OPEN).decide(&anyone(), named, 0).unwrap().name.unwrap().as_str(), "Ada");
        let identified =
            PassRequest { identity: Some(Identity::parse("ada", &limits).unwrap()), ..room("r") };
        assert_eq!(
            policy(OPEN).decide(&anyone(), identified, 0),
            Err(Denial::FieldNotAllowed { field: "participant_identity", rule: "open".into() })
        );
    }

    #[test]
    fn agents_and_egress_are_allowed_each_by_its_own_list() {
        let rules = OPEN.to_owned()
            + r#"
            agents = ["notetaker", { name = "support", deployments = ["blue"] }]
            egress = [{ kind = "tracks", client_may_set = ["filepath"] }]
        "#;
        let rules = rules.replace("grants.can_publish = false", "");
        let decide = |config: serde_json::Value| {
            let room_config = RoomConfig::parse(config).unwrap();
            policy(&rules)
                .decide(&anyone(), PassRequest { room_config, ..room("r") }, 0)
                .map(|pass| pass.rule)
        };
        let agent = |name: &str, deployment: &str| {
            decide(json!({"agents": [{"agent_name": name, "deployment": deployment}]}))
        };
        assert_eq!(agent("notetaker", "").unwrap(), "open");
        assert_eq!(agent("support", "").unwrap(), "open");
        assert_eq!(agent("support", "blue").unwrap(), "open");
        let denied = |problem| Err(Denial::AgentNotAllowed { problem, rule: "open".into() });
        assert_eq!(agent("support", "green"), denied(AgentProblem::Deployment { index: 0 }));
        assert_eq!(agent("notetaker", "blue"), denied(AgentProblem::Deployment { index: 0 }));
        assert_eq!(agent("other", ""), denied(AgentProblem::Name { index: 0 }));
        let nameless = json!({"agents": [{"metadata": "no name: any agent"}]});
        assert_eq!(decide(nameless), denied(AgentProblem::Name { index: 0 }));
        assert_eq!(decide(json!({"egress": {"tracks": {"filepath": "x"}}})).unwrap(), "open");
        assert_eq!(
            decide(json!({"egress": {"tracks": {"filepath": "x"}, "room": {"layout": "grid"}}})),
            Err(Denial::EgressNotAllowed { field: "room_config.egress.room", rule: "open".into() })
        );
    }

    #[test]
    fn room_settings_are_allowed_one_by_one_or_all() {
        let decide = |may_set: &str, config: serde_json::Value| {
            let rules = format!(
                "[[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\nrooms = [\"*\"]\nclient_may_set = [\"{may_set}\"]"
            );
            let room_config = RoomConfig::parse(config).unwrap();
            policy(&rules)
                .decide(&anyone(), PassRequest { room_config, ..room("r") }, 0)
                .map(|pass| pass.rule)
        };
        let two = json!({"max_participants": 2});
        assert!(decide("room_config", two.clone()).is_ok());
        assert!(decide("room_config.max_participants", two.clone()).is_ok());
        for may_set in ["room_config.tags", "participant_name"] {
            let field = "room_config.max_participants";
            assert_eq!(
                decide(may_set, two.clone()),
                Err(Denial::FieldNotAllowed { field, rule: "r".into() })
            );
        }
    }

    /// Ada of team `red`, a host, whose credential ends at 1,000 seconds.
    fn ada() -> Caller {
        let claims = json!({"team": "red", "role": "host", "name": "Ada"});
        Caller {
            issuer: Some("https://login.example.com/".into()),
            subject: Some("ada".into()),
            claims: claims.as_object().unwrap().clone(),
            expires: Some(1_000),
            ..Caller::anonymous("app")
        }
    }

    const TEAMS: &str = r#"
        [[rule]]
        name = "hosts"
        callers = ["app"]
        when = { "claims.role" = "host" }
        rooms = ["{claims.team}:*"]
        default_room = "{claims.team}:{random}"
        identity = "{sub}"
        participant_name = "{claims.name}"
        participant_metadata = "of {claims.team}"
        participant_attributes = { team = "{claims.team}" }
        client_may_set = ["participant_name", "participant_attributes"]
        ttl = "10m"
        max_ttl = "20m"
        within_credential = true

        [[rule]]
        name = "guests"
        callers = ["app"]
        rooms = ["{claims.team}:*"]
        identity = "{sub}"
    "#;

    #[test]
    fn what_a_rule_says_of_the_caller_is_filled_in() {
        let pass = policy(TEAMS).decide(&ada(), PassRequest::default(), 0).unwrap();
        assert_eq!(pass.room.as_str(), "red:77777777777777777777");
        assert_eq!(pass.identity.as_str(), "ada");
        assert_eq!(pass.name.unwrap().as_str(), "Ada");
        assert_eq!(pass.metadata.unwrap().as_str(), "of red");
        assert_eq!(
            pass.attributes.unwrap().iter().collect::<Vec<_>>(),
            [(&"team".to_owned(), &"red".to_owned())]
        );
    }

    #[test]
    fn the_client_replaces_only_what_it_may_and_never_the_rules_attributes() {
        let limits = Limits::default();
        let attributes =
            [("team", "blue"), ("hand", "raised")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let request = PassRequest {
            name: Some(ParticipantName::parse("A.", &limits).unwrap()),
            attributes: Attributes::parse(attributes.into(), &limits).unwrap(),
            ..room("red:standup")
        };
        let pass = policy(TEAMS).decide(&ada(), request, 0).unwrap();
        assert_eq!(pass.name.unwrap().as_str(), "A.");
        let said: Vec<_> = pass
            .attributes
            .as_ref()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(said, [("hand", "raised"), ("team", "red")]);
        let request =
            PassRequest { identity: Some(Identity::parse("bob", &limits).unwrap()), ..room("red:standup") };
        let field = "participant_identity";
        assert_eq!(
            policy(TEAMS).decide(&ada(), request, 0),
            Err(Denial::FieldNotAllowed { field, rule: "hosts".into() })
        );
    }

    #[test]
    fn each_rule_passed_over_says_why() {
        let explain = |caller: &Caller, request| policy(TEAMS).explain(caller, request, 0);
        let mut guest = ada();
        guest.claims.insert("role".into(), "guest".into());
        let explained = explain(&guest, room("red:x"));
        assert_eq!(explained.passed_over[0].1.to_string(), "it's only when claims.role = \"host\"");
        assert_eq!(explained.decision.unwrap().rule, "guests");

        assert_eq!(explain(&ada(), room("blue:x")).decision, Err(Denial::RoomNotAllowed));

        let mut teamless = ada();
        teamless.claims.remove("team");
        let explained = explain(&teamless, room("red:x"));
        assert_eq!(explained.passed_over[0].1.to_string(), "the caller has no {claims.team}");
        assert_eq!(explained.decision, Err(Denial::NoRule));

        let mut reaching = ada();
        reaching.claims.insert("team".into(), "red:x".into());
        assert_eq!(
            explain(&reaching, room("red:x:y")).passed_over[0].1.to_string(),
            "the caller's {claims.team} holds \":\", which follows it and would make its end ambiguous"
        );
        assert_eq!(
            explain(&Caller::anonymous("anyone"), room("red:x")).passed_over[0].1,
            PassedOver::OtherCaller
        );

        let mut endless = ada();
        endless.subject = Some("a".repeat(257));
        assert!(
            explain(&endless, room("red:x")).passed_over[0]
                .1
                .to_string()
                .contains("participant_identity is 257 bytes")
        );
    }

    #[test]
    fn a_lifetime_keeps_to_the_rule_and_to_the_credential() {
        let seconds = |asked: Option<u64>, now| {
            let ttl = asked.map(Ttl::minutes);
            policy(TEAMS)
                .decide(&ada(), PassRequest { ttl, ..room("red:x") }, now)
                .map(|pass| pass.ttl.duration().as_secs())
        };
        assert_eq!(seconds(None, 0), Ok(600));
        assert_eq!(seconds(Some(20), 0), Ok(1_000), "the credential ends first");
        assert_eq!(seconds(None, 900), Ok(100));
        let ended = Err(Denial::CredentialEnded { rule: "hosts".into() });
        assert_eq!(seconds(None, 999), Ok(1));
        assert_eq!(seconds(None, 1_000), ended, "a credential within its leeway");
        assert_eq!(seconds(None, 2_000), ended);
        let max_ttl = Ttl::minutes(20);
        assert_eq!(seconds(Some(21), 0), Err(Denial::TtlTooLong { max_ttl, rule: "hosts".into() }));
    }

    #[test]
    fn a_dialect_has_its_own_usual_lifetime_where_the_rule_names_none() {
        let seconds = |rule: &str, asked: Option<u64>| {
            let rules = format!("[[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\nrooms = [\"*\"]\n{rule}");
            let ttl = asked.map(|seconds| Ttl::seconds(seconds).unwrap());
            let request = PassRequest { ttl, usual_ttl: Ttl::minutes(60), ..room("r") };
            policy(&rules).decide(&anyone(), request, 0).map(|pass| pass.ttl.duration().as_secs()).ok()
        };
        for (rule, asked, given) in [
            ("", None, Some(3_600)),
            ("", Some(3_600), Some(3_600)),
            ("", Some(3_601), None),
            ("", Some(60), Some(60)),
            ("ttl = \"5m\"", None, Some(300)),
            ("ttl = \"5m\"", Some(301), None),
            ("max_ttl = \"2h\"", None, Some(3_600)),
            ("max_ttl = \"2h\"", Some(7_200), Some(7_200)),
            ("max_ttl = \"10m\"", None, Some(600)),
        ] {
            assert_eq!(seconds(rule, asked), given, "{rule} {asked:?}");
        }
    }

    #[test]
    fn asking_for_what_the_rule_gives_anyway_sets_nothing() {
        let limits = Limits::default();
        let attributes =
            |value: &str| Attributes::parse([("team".to_owned(), value.to_owned())].into(), &limits).unwrap();
        let metadata = |text: &str| Some(Metadata::parse(text, &limits).unwrap());
        let own = PassRequest {
            identity: Some(Identity::parse("ada", &limits).unwrap()),
            metadata: metadata("of red"),
            attributes: attributes("red"),
            ..room("red:x")
        };
        let rules = TEAMS.replace("client_may_set = [\"participant_name\", \"participant_attributes\"]", "");
        let decide = |request| policy(&rules).decide(&ada(), request, 0);
        assert_eq!(decide(own.clone()).unwrap().identity.as_str(), "ada");
        for (other, field) in [
            (PassRequest { metadata: metadata("of blue"), ..own.clone() }, "participant_metadata"),
            (PassRequest { attributes: attributes("blue"), ..own.clone() }, "participant_attributes"),
        ] {
            assert_eq!(decide(other), Err(Denial::FieldNotAllowed { field, rule: "hosts".into() }));
        }
    }

    #[test]
    fn one_name_for_both_is_the_identity_where_it_may_be_and_else_the_name() {
        let called = |may_set: &str, called: &str| {
            let rules = format!(
                "[[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [\"*\"]\nidentity = \"{{sub}}\"\nclient_may_set = [{may_set}]"
            );
            let called = Some(Identity::parse(called, &Limits::default()).unwrap());
            let pass = policy(&rules).decide(&ada(), PassRequest { called, ..room("r") }, 0)?;
            Ok((pass.identity.as_str().to_owned(), pass.name.map(|name| name.as_str().to_owned())))
        };
        let both = "\"participant_identity\", \"participant_name\"";
        assert_eq!(called(both, "Grace"), Ok(("Grace".into(), None)));
        assert_eq!(called("\"participant_name\"", "Grace"), Ok(("ada".into(), Some("Grace".into()))));
        assert_eq!(called("\"participant_name\"", "ada"), Ok(("ada".into(), None)));
        let field = "participant_name";
        assert_eq!(called("", "Grace"), Err(Denial::FieldNotAllowed { field, rule: "r".into() }));
    }

    #[test]
    fn a_role_narrows_what_the_rule_gives_and_never_widens_it() {
        let decide = |rules: &str, role| {
            let pass = policy(rules).decide(&anyone(), PassRequest { role: Some(role), ..room("r") }, 0);
            pass.map(|pass| pass.grants)
        };
        let denied = Err(Denial::PublishingNotAllowed { rule: "open".into() });
        assert_eq!(decide(OPEN, Role::Publisher), denied);
        let publishing = OPEN.replace("grants.can_publish = false", "grants.hidden = true");
        assert_eq!(decide(&publishing, Role::Publisher).unwrap().can_publish, None);
        let publishing = publishing + "grants.can_publish_sources = [\"camera\"]";
        let narrowed = decide(&publishing, Role::Subscriber).unwrap();
        assert_eq!((narrowed.can_publish, narrowed.can_publish_data), (Some(false), Some(false)));
        assert_eq!(narrowed.can_publish_sources, []);
        assert!(narrowed.hidden);
    }

    #[test]
    fn a_login_is_for_whom_a_rule_lists_the_service_and_as_whom_it_says() {
        let rules = TEAMS.to_owned()
            + r#"
            [[rule]]
            name = "signaling"
            callers = ["app"]
            rooms = ["none"]
            identity = "{sub}"
            agora_logins = ["rtm"]
            max_ttl = "2h"
        "#;
        let admit = |caller: &Caller, service, identity: &str| {
            let identity = Identity::parse(identity, &Limits::default()).unwrap();
            let request =
                LoginRequest { service, identity, ttl: Ttl::seconds(7_200), usual_ttl: Ttl::minutes(60) };
            policy(&rules).admit(caller, request, 0).map(|login| (login.rule, login.identity))
        };
        let ada = ada();
        let (rule, identity) = admit(&ada, LoginService::Rtm, "ada").unwrap();
        assert_eq!((rule.as_str(), identity.as_str()), ("signaling", "ada"));
        let field = "participant_identity";
        assert_eq!(
            admit(&ada, LoginService::Rtm, "bob"),
            Err(Denial::FieldNotAllowed { field, rule: "signaling".into() })
        );
        assert_eq!(admit(&ada, LoginService::Chat, "ada"), Err(Denial::LoginNotAllowed(LoginService::Chat)));
        assert_eq!(admit(&anyone(), LoginService::Rtm, "ada"), Err(Denial::NoRule));

        let identity = Identity::parse("ada", &Limits::default()).unwrap();
        let request = || LoginRequest {
            service: LoginService::Chat,
            identity: identity.clone(),
            ttl: None,
            usual_ttl: Ttl::minutes(60),
        };
        let passed_over = policy(&rules).explain_login(&ada, request(), 0).passed_over;
        let why = ["hosts", "guests"].map(|rule| (rule.to_owned(), PassedOver::NoLogins));
        assert_eq!(passed_over, why);

        let denied = Err(Denial::LoginNotAllowed(LoginService::Chat));
        assert_eq!(policy(TEAMS).admit(&ada, request(), 0), denied, "no rule of theirs has logins at all");
    }

    #[test]
    fn a_rule_that_gives_no_login_decides_so_before_the_ones_after_it() {
        let rules = r#"
            [[rule]]
            name = "suspended"
            callers = ["app"]
            when = { "claims.role" = "host" }
            rooms = ["none"]
            agora_logins = []
            [[rule]]
            name = "everybody"
            callers = ["app"]
            rooms = ["*"]
            identity = "{sub}"
            agora_logins = ["rtm"]
        "#;
        let admit = |caller: &Caller| {
            let identity = Identity::parse("ada", &Limits::default()).unwrap();
            let service = LoginService::Rtm;
            let request = LoginRequest { service, identity, ttl: None, usual_ttl: Ttl::minutes(60) };
            policy(rules).admit(caller, request, 0).map(|login| login.rule)
        };
        assert_eq!(admit(&ada()), Err(Denial::LoginNotAllowed(LoginService::Rtm)));
        let mut guest = ada();
        guest.claims.remove("role");
        assert_eq!(admit(&guest).unwrap(), "everybody");
    }
}
