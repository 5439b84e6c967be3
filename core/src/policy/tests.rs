mod projects;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::{
    Attributes, Grants, GrantsAsk, Identity, LoginAsk, LoginService, Metadata, ParticipantName, Role,
    RoomAsk, RoomConfig, RoomName, RoomPass, Ttl,
};

/// The parts of a pass that the tests compare.
#[derive(Debug, PartialEq)]
struct GivenPass {
    caller: String,
    rule: String,
    identity: Identity,
    ttl: Ttl,
    room_pass: Option<RoomPass>,
}

impl std::ops::Deref for GivenPass {
    type Target = RoomPass;

    fn deref(&self) -> &RoomPass {
        self.room_pass.as_ref().unwrap()
    }
}

struct TestDecision {
    skipped: Vec<(String, Skipped)>,
    decision: Result<GivenPass, Denial>,
}

impl Policy {
    /// Decides with sevens as random bytes.
    fn explain(&self, caller: &Caller, ask: impl Into<Ask>, now: u64) -> TestDecision {
        let context = Context { now, randomness: |bytes| bytes.fill(7) };
        let Decision { skipped, outcome } = self.decide(caller, ask.into(), &context);
        let given = |pass: Pass| {
            let room_pass = pass.room().cloned();
            GivenPass {
                caller: pass.caller,
                rule: pass.rule,
                identity: pass.identity,
                ttl: pass.ttl,
                room_pass,
            }
        };
        let skipped = skipped.into_iter().map(|(rule, why)| (rule.to_owned(), why)).collect();
        TestDecision { skipped, decision: outcome.map(given) }
    }

    fn give(&self, caller: &Caller, ask: impl Into<Ask>, now: u64) -> Result<GivenPass, Denial> {
        self.explain(caller, ask, now).decision
    }
}

fn policy(rules: &str) -> Policy {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<Rule>,
    }
    Policy::new(Vec::new(), toml::from_str::<File>(rules).unwrap().rule, &[], Limits::default())
}

fn anyone() -> Caller {
    Caller::anonymous("anyone")
}

fn room(name: &str) -> RoomAsk {
    RoomAsk { room: Some(RoomName::parse(name, &Limits::default()).unwrap()), ..RoomAsk::default() }
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
fn a_missing_room_and_identity_are_generated() {
    let pass = policy(OPEN).give(&anyone(), RoomAsk::default(), 0).unwrap();
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
        policy(rules).give(&Caller::anonymous(caller), room(name), 0).map(|pass| pass.rule)
    };
    assert_eq!(rule_for("anyone", "lobby").unwrap(), "lobby");
    assert_eq!(rule_for("anyone", "lobby-2").unwrap(), "lobby");
    assert_eq!(rule_for("anyone", "hall-2").unwrap(), "halls");
    assert_eq!(rule_for("anyone", "lobbyist"), Err(Denial::RoomNotAllowed));
    assert_eq!(rule_for("staff", "lobby"), Err(Denial::RoomNotAllowed));
    assert_eq!(rule_for("unknown", "hall-2"), Err(Denial::NoRule));
}

#[test]
fn a_generated_room_must_match_the_patterns_too() {
    let rules = "[[rule]]\nname = \"lobby\"\ncallers = [\"anyone\"]\nrooms = [\"lobby\"]";
    let explained = policy(rules).explain(&anyone(), RoomAsk::default(), 0);
    assert_eq!(explained.decision, Err(Denial::RoomRequired { field: "room_name" }));
    assert_eq!(explained.skipped, [("lobby".to_owned(), Skipped::NoRoom)]);
}

#[test]
fn a_field_that_the_rule_does_not_list_is_refused_by_name() {
    let limits = Limits::default();
    let named = RoomAsk { name: Some(ParticipantName::parse("Ada", &limits).unwrap()), ..room("r") };
    assert_eq!(policy(OPEN).give(&anyone(), named, 0).unwrap().name.as_ref().unwrap().as_str(), "Ada");
    let identified = RoomAsk { identity: Some(Identity::parse("ada", &limits).unwrap()), ..room("r") };
    assert_eq!(
        policy(OPEN).give(&anyone(), identified, 0),
        Err(Denial::FieldNotAllowed { field: "participant_identity", rule: "open".into() })
    );
}

#[test]
fn agents_and_egress_are_allowed_by_their_own_lists() {
    let rules = OPEN.to_owned()
        + r#"
        agents = ["notetaker", { name = "support", deployments = ["blue"] }]
        egress = [{ kind = "tracks", client_may_set = ["filepath"] }]
    "#;
    let rules = rules.replace("grants.can_publish = false", "");
    let decide = |config: serde_json::Value| {
        let room_config = RoomConfig::parse(config).unwrap();
        policy(&rules).give(&anyone(), RoomAsk { room_config, ..room("r") }, 0).map(|pass| pass.rule)
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
    for (agents, index, sets) in [
        (json!([{"metadata": "no name: any agent"}]), 0, "metadata"),
        (json!([{"deployment": "staging"}]), 0, "deployment \"staging\""),
        (
            json!([{}, {"deployment": "a\u{1b}", "attributes": {"a": "b"}, "restart_policy": "JRP_NEVER"}]),
            1,
            "deployment \"a\\u{1b}\", attributes, restart_policy",
        ),
    ] {
        let problem = AgentProblem::Nameless { index, sets: sets.into() };
        assert_eq!(
            problem.to_string(),
            format!(
                "room_config.agents[{index}] sets {sets}, but has no agent_name, and is not listed in agents"
            )
        );
        assert_eq!(decide(json!({ "agents": agents })), denied(problem));
    }
    let long = decide(json!({"agents": [{"deployment": "é".repeat(1000)}]})).unwrap_err().to_string();
    assert!(long.contains(&format!("\"{}…\"", "é".repeat(32))), "{long}");
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
        policy(&rules).give(&anyone(), RoomAsk { room_config, ..room("r") }, 0).map(|pass| pass.rule)
    };
    let two = json!({"max_participants": 2});
    assert!(decide("room_config", two.clone()).is_ok());
    assert!(decide("room_config.max_participants", two.clone()).is_ok());
    for may_set in ["room_config.tags", "participant_name"] {
        let field = "room_config.max_participants";
        assert_eq!(decide(may_set, two.clone()), Err(Denial::FieldNotAllowed { field, rule: "r".into() }));
    }
}

/// Ada of team `red`, a host, whose credential expires at 1,000 seconds.
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
fn templates_are_filled_with_the_callers_values() {
    let pass = policy(TEAMS).give(&ada(), RoomAsk::default(), 0).unwrap();
    assert_eq!(pass.room.as_str(), "red:77777777777777777777");
    assert_eq!(pass.identity.as_str(), "ada");
    assert_eq!(pass.name.as_ref().unwrap().as_str(), "Ada");
    assert_eq!(pass.metadata.as_ref().unwrap().as_str(), "of red");
    assert_eq!(
        pass.attributes.as_ref().unwrap().iter().collect::<Vec<_>>(),
        [(&"team".to_owned(), &"red".to_owned())]
    );
}

#[test]
fn the_client_sets_only_allowed_fields_and_never_the_rules_attributes() {
    let limits = Limits::default();
    let attributes =
        [("team", "blue"), ("hand", "raised")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let request = RoomAsk {
        name: Some(ParticipantName::parse("A.", &limits).unwrap()),
        attributes: Attributes::parse(attributes.into(), &limits).unwrap(),
        ..room("red:standup")
    };
    let pass = policy(TEAMS).give(&ada(), request, 0).unwrap();
    assert_eq!(pass.name.as_ref().unwrap().as_str(), "A.");
    let said: Vec<_> =
        pass.attributes.as_ref().unwrap().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(said, [("hand", "raised"), ("team", "red")]);
    let request = RoomAsk { identity: Some(Identity::parse("bob", &limits).unwrap()), ..room("red:standup") };
    let field = "participant_identity";
    assert_eq!(
        policy(TEAMS).give(&ada(), request, 0),
        Err(Denial::FieldNotAllowed { field, rule: "hosts".into() })
    );
}

#[test]
fn each_skipped_rule_has_a_reason() {
    let explain = |caller: &Caller, request| policy(TEAMS).explain(caller, request, 0);
    let mut guest = ada();
    guest.claims.insert("role".into(), "guest".into());
    let explained = explain(&guest, room("red:x"));
    assert_eq!(explained.skipped[0].1.to_string(), "condition not met: claims.role = \"host\"");
    assert_eq!(explained.decision.unwrap().rule, "guests");

    assert_eq!(explain(&ada(), room("blue:x")).decision, Err(Denial::RoomNotAllowed));

    let mut teamless = ada();
    teamless.claims.remove("team");
    let explained = explain(&teamless, room("red:x"));
    assert_eq!(explained.skipped[0].1.to_string(), "the caller has no {claims.team}");
    assert_eq!(explained.decision, Err(Denial::NoRule));

    let mut reaching = ada();
    reaching.claims.insert("team".into(), "red:x".into());
    assert_eq!(
        explain(&reaching, room("red:x:y")).skipped[0].1.to_string(),
        "the caller's {claims.team} contains \":\", the text that follows it, so its end is ambiguous"
    );
    assert_eq!(explain(&Caller::anonymous("anyone"), room("red:x")).skipped[0].1, Skipped::OtherCaller);

    let mut long = ada();
    long.subject = Some("a".repeat(257));
    assert!(
        explain(&long, room("red:x")).skipped[0].1.to_string().contains("participant_identity is 257 bytes")
    );
}

#[test]
fn a_lifetime_is_limited_by_the_rule_and_the_credential() {
    let seconds = |asked: Option<u64>, now| {
        let ttl = asked.map(Ttl::minutes);
        policy(TEAMS)
            .give(&ada(), RoomAsk { ttl, has_own_ttl: true, ..room("red:x") }, now)
            .map(|pass| pass.ttl.duration().as_secs())
    };
    assert_eq!(seconds(None, 0), Ok(600));
    assert_eq!(seconds(Some(20), 0), Ok(1_000), "the credential expires first");
    assert_eq!(seconds(None, 900), Ok(100));
    let expired = Err(Denial::CredentialExpired { rule: "hosts".into() });
    assert_eq!(seconds(None, 999), Ok(1));
    assert_eq!(seconds(None, 1_000), expired, "a credential within its leeway");
    assert_eq!(seconds(None, 2_000), expired);
    let max_ttl = Ttl::minutes(20);
    assert_eq!(seconds(Some(21), 0), Err(Denial::TtlTooLong { max_ttl, rule: "hosts".into() }));
}

#[test]
fn the_dialects_lifetime_is_used_if_the_rule_has_none() {
    let seconds = |rule: &str, asked: Option<u64>| {
        let rules = format!("[[rule]]\nname = \"r\"\ncallers = [\"anyone\"]\nrooms = [\"*\"]\n{rule}");
        let ttl = asked.map(|seconds| Ttl::seconds(seconds).unwrap());
        let request = RoomAsk { ttl, has_own_ttl: true, default_ttl: Ttl::minutes(60), ..room("r") };
        policy(&rules).give(&anyone(), request, 0).map(|pass| pass.ttl.duration().as_secs()).ok()
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
fn a_field_equal_to_the_rules_value_is_always_allowed() {
    let limits = Limits::default();
    let attributes =
        |value: &str| Attributes::parse([("team".to_owned(), value.to_owned())].into(), &limits).unwrap();
    let metadata = |text: &str| Some(Metadata::parse(text, &limits).unwrap());
    let own = RoomAsk {
        identity: Some(Identity::parse("ada", &limits).unwrap()),
        metadata: metadata("of red"),
        attributes: attributes("red"),
        ..room("red:x")
    };
    let rules = TEAMS.replace("client_may_set = [\"participant_name\", \"participant_attributes\"]", "");
    let decide = |request| policy(&rules).give(&ada(), request, 0);
    assert_eq!(decide(own.clone()).unwrap().identity.as_str(), "ada");
    for (other, field) in [
        (RoomAsk { metadata: metadata("of blue"), ..own.clone() }, "participant_metadata"),
        (RoomAsk { attributes: attributes("blue"), ..own.clone() }, "participant_attributes"),
    ] {
        assert_eq!(decide(other), Err(Denial::FieldNotAllowed { field, rule: "hosts".into() }));
    }
}

#[test]
fn one_field_for_both_is_the_identity_if_allowed_and_otherwise_the_name() {
    let names_for = |may_set: &str, name: &str| {
        let rules = format!(
            "[[rule]]\nname = \"r\"\ncallers = [\"app\"]\nrooms = [\"*\"]\nidentity = \"{{sub}}\"\nclient_may_set = [{may_set}]"
        );
        let name_or_identity = Some(Identity::parse(name, &Limits::default()).unwrap());
        let pass = policy(&rules).give(&ada(), RoomAsk { name_or_identity, ..room("r") }, 0)?;
        Ok((pass.identity.as_str().to_owned(), pass.name.as_ref().map(|name| name.as_str().to_owned())))
    };
    let both = "\"participant_identity\", \"participant_name\"";
    assert_eq!(names_for(both, "Grace"), Ok(("Grace".into(), None)));
    assert_eq!(names_for("\"participant_name\"", "Grace"), Ok(("ada".into(), Some("Grace".into()))));
    assert_eq!(names_for("\"participant_name\"", "ada"), Ok(("ada".into(), None)));
    let field = "participant_name";
    assert_eq!(names_for("", "Grace"), Err(Denial::FieldNotAllowed { field, rule: "r".into() }));
}

#[test]
fn a_role_reduces_the_grants_and_never_extends_them() {
    let decide = |rules: &str, role| {
        let pass = policy(rules).give(&anyone(), RoomAsk { role: Some(role), ..room("r") }, 0);
        pass.map(|pass| pass.grants.clone())
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
fn a_login_needs_a_rule_with_the_service_and_gets_its_identity() {
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
        let request = LoginAsk { service, identity, ttl: Ttl::seconds(7_200), default_ttl: Ttl::minutes(60) };
        policy(&rules).give(caller, Ask::Login(request), 0).map(|login| (login.rule, login.identity))
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
    let request = || LoginAsk {
        service: LoginService::Chat,
        identity: identity.clone(),
        ttl: None,
        default_ttl: Ttl::minutes(60),
    };
    let skipped = policy(&rules).explain(&ada, Ask::Login(request()), 0).skipped;
    let why = ["hosts", "guests"].map(|rule| (rule.to_owned(), Skipped::NoLogins));
    assert_eq!(skipped, why);

    let denied = Err(Denial::LoginNotAllowed(LoginService::Chat));
    assert_eq!(
        policy(TEAMS).give(&ada, Ask::Login(request()), 0),
        denied,
        "no rule for this caller has logins"
    );
}

#[test]
fn a_rule_with_an_empty_list_of_logins_denies_them() {
    let rules = r#"
        [[rule]]
        name = "suspended"
        callers = ["app"]
        when = { "claims.role" = "host" }
        rooms = ["none"]
        agora_logins = []
        [[rule]]
        name = "everyone"
        callers = ["app"]
        rooms = ["*"]
        identity = "{sub}"
        agora_logins = ["rtm"]
    "#;
    let admit = |caller: &Caller| {
        let identity = Identity::parse("ada", &Limits::default()).unwrap();
        let service = LoginService::Rtm;
        let request = LoginAsk { service, identity, ttl: None, default_ttl: Ttl::minutes(60) };
        policy(rules).give(caller, Ask::Login(request), 0).map(|login| login.rule)
    };
    assert_eq!(admit(&ada()), Err(Denial::LoginNotAllowed(LoginService::Rtm)));
    let mut guest = ada();
    guest.claims.remove("role");
    assert_eq!(admit(&guest).unwrap(), "everyone");
}

const CLASS: &str = r#"
    [[rule]]
    name = "class"
    callers = ["app"]
    rooms = ["*"]
    identity = "{sub}"
    client_may_set = ["room_config.metadata", "room_config.tags"]
    agents = [{ name = "translator", client_may_set = ["metadata"] }]
    egress = ["tracks"]

    [rule.room_config]
    agents = [{ name = "tutor", metadata = '{{"team": "{claims.team}"}}', deployment = "staging" }]
    max_participants = 20
    empty_timeout = "5m"
    departure_timeout = "30s"
    metadata = "of {claims.team}"
    tags = { team = "{claims.team}" }
    egress = { room = "class/{claims.team}/{{room_name}}", participant = "each/{claims.team}", tracks = "tracks/{claims.team}" }
"#;

/// The room's settings in the pass, as LiveKit's JSON, for Ada and these settings of a client.
fn class_with(rules: &str, asked: Value) -> Result<Value, String> {
    let room_config = RoomConfig::parse(asked).unwrap();
    let given = policy(rules).give(&ada(), RoomAsk { room_config, ..room("r") }, 0);
    let given = given.map_err(|denial| denial.to_string())?;
    Ok(given
        .room_config
        .as_ref()
        .map_or(Value::Null, |config| serde_json::to_value(config.as_livekit()).unwrap()))
}

#[test]
fn a_rule_makes_the_rooms_settings() {
    let own = json!({
        "agents": [{"agentName": "tutor", "metadata": "{\"team\": \"red\"}", "deployment": "staging"}],
        "maxParticipants": 20, "emptyTimeout": 300, "departureTimeout": 30, "metadata": "of red",
        "tags": {"team": "red"},
        "egress": {
            "room": {"fileOutputs": [{"filepath": "class/red/{room_name}"}]},
            "participant": {"fileOutputs": [{"filepath": "each/red"}]},
            "tracks": {"filepath": "tracks/red"},
        },
    });
    assert_eq!(class_with(CLASS, json!({})), Ok(own.clone()));
    for same in [
        json!({"max_participants": 20, "metadata": "of red", "tags": {"team": "red"}}),
        json!({"agents": [{"agent_name": "tutor", "deployment": "staging"}]}),
        json!({"agents": [{"agent_name": "tutor", "deployment": "staging", "metadata": "{\"team\": \"red\"}"}]}),
        json!({"egress": {"tracks": {"filepath": "tracks/red"}}}),
    ] {
        assert_eq!(
            class_with(CLASS, same.clone()),
            Ok(own.clone()),
            "what the rule sets too is allowed: {same}"
        );
    }
    let mut changed = own;
    changed["metadata"] = json!("ours");
    changed["tags"] = json!({"topic": "x"});
    changed["agents"].as_array_mut().unwrap().push(json!({"agentName": "translator", "metadata": "de"}));
    let asked = json!({
        "metadata": "ours", "tags": {"topic": "x"}, "agents": [{"agent_name": "translator", "metadata": "de"}],
    });
    assert_eq!(class_with(CLASS, asked), Ok(changed));
    let without = CLASS.split("[rule.room_config]").next().unwrap();
    assert_eq!(class_with(without, json!({})), Ok(Value::Null));
}

#[test]
fn a_client_changes_only_the_settings_that_the_rule_lists() {
    for (asked, field) in [
        (json!({"max_participants": 21}), "room_config.max_participants"),
        (json!({"empty_timeout": 301}), "room_config.empty_timeout"),
        (json!({"agents": [{"agent_name": "tutor"}]}), "room_config.agents[0]"),
        (
            json!({"agents": [{"agent_name": "tutor", "deployment": "staging", "metadata": "x"}]}),
            "room_config.agents[0]",
        ),
        (
            json!({"agents": [{"agent_name": "tutor", "deployment": "staging"}, {"agent_name": "other"}]}),
            "room_config.agents[1]",
        ),
        (json!({"egress": {"room": {"file_outputs": [{"filepath": "other"}]}}}), "room_config.egress.room"),
        (json!({"egress": {"tracks": {"filepath": "other"}}}), "room_config.egress.tracks.filepath"),
    ] {
        let problem = class_with(CLASS, asked.clone()).unwrap_err();
        assert!(problem.contains(&format!("The field {field} ")), "{asked}: {problem}");
    }
}

#[test]
fn a_room_whose_name_cannot_be_in_a_files_path_skips_the_rule() {
    for name in ["a/b", "../a", "..", "a\\b", "{time}"] {
        let skipped = policy(CLASS).explain(&ada(), room(name), 0).skipped;
        assert!(
            skipped[0].1.to_string().starts_with("the room's name is . or .., or contains /"),
            "{skipped:?}"
        );
    }
    let without = CLASS.replace("{{room_name}}", "{{time}}");
    assert!(policy(&without).give(&ada(), room("a/b"), 0).is_ok(), "the path does not have the room's name");
}

#[test]
fn more_than_eight_agents_together_are_refused() {
    let agents = (0..8).map(|number| format!("{{ name = 'a{number}' }}")).collect::<Vec<_>>().join(", ");
    let rules = format!(
        "[[rule]]\nname = 'r'\ncallers = ['anyone']\nrooms = ['*']\nagents = ['b']\n[rule.room_config]\nagents = [{agents}]"
    );
    let give = |asked: Value| {
        let room_config = RoomConfig::parse(asked).unwrap();
        policy(&rules)
            .give(&anyone(), RoomAsk { room_config, ..room("r") }, 0)
            .map_err(|denial| denial.to_string())
    };
    assert!(give(json!({})).is_ok());
    let problem = give(json!({"agents": [{"agent_name": "b"}]})).unwrap_err();
    assert!(problem.contains("room_config.agents has 9 agents; at most 8 are allowed"), "{problem}");
}

#[test]
fn the_rooms_settings_are_shown_in_one_line_and_have_all_of_their_templates() {
    let settings = CLASS.split("[rule.room_config]").nth(1).unwrap();
    let settings: RoomSettings = toml::from_str(settings).unwrap();
    assert_eq!(
        settings.to_string(),
        "agent tutor, max_participants = 20, empty_timeout = 5m, departure_timeout = 30s, metadata = of {claims.team}, \
         tag team = {claims.team}, room egress to class/{claims.team}/{{room_name}}, participant egress to \
         each/{claims.team}, tracks egress to tracks/{claims.team}"
    );
    let texts: Vec<_> = settings.texts().map(ToString::to_string).collect();
    assert_eq!(texts, [r#"{{"team": "{claims.team}"}}"#, "of {claims.team}", "{claims.team}"]);
    let all: Vec<_> = settings.templates().map(ToString::to_string).collect();
    let paths = ["class/{claims.team}/{{room_name}}", "each/{claims.team}", "tracks/{claims.team}"];
    assert_eq!(all, [&texts.iter().map(String::as_str).collect::<Vec<_>>()[..], &paths].concat());
}

#[test]
fn a_caller_whose_value_cannot_be_in_a_files_path_skips_the_rule() {
    let mut eve = ada();
    eve.claims.insert("team".into(), json!("../blue"));
    let skipped = policy(CLASS).explain(&eve, room("r"), 0).skipped;
    assert!(skipped[0].1.to_string().contains("can't be a part of a file's path"), "{skipped:?}");
}

#[test]
fn a_mistake_in_the_rooms_settings_is_reported() {
    let problem = |settings: &str| {
        let rules = format!("name = 'r'\ncallers = ['app']\nrooms = ['*']\n[room_config]\n{settings}");
        toml::from_str::<Rule>(&rules).unwrap_err().message().to_owned()
    };
    for (settings, message) in [
        ("max_participants = 0", "max_participants must be 1 or more: omit it for no limit"),
        ("empty_timeout = 300", "invalid type: integer `300`, expected a whole number of seconds"),
        (
            "empty_timeout = '25h'",
            "must be a whole number of seconds, minutes or hours from \"1s\" to \"24h\"",
        ),
        ("agents = [{ name = '' }]", "name of an agent must not be empty"),
        ("agents = [{ metadata = 'x' }]", "missing field `name`"),
        ("metadata = '{name}'", "the placeholder \"name\" is unknown"),
        ("metadata = ''", "must not be empty"),
        (
            "egress = { stream = 'rtmp://x' }",
            "unknown field `stream`, expected one of `room`, `participant`, `tracks`",
        ),
        ("egress.room = { s3 = {} }", "invalid type: map, expected a string"),
        (
            "egress.room = 'x/{room_name}.mp4'",
            "has {room_name}, which is a placeholder of LiveKit's egress: write {{room_name}}, with doubled braces",
        ),
        ("egress.room = 'x/{nope}.mp4'", "the placeholder \"nope\" is unknown"),
        ("timeout = 1", "unknown field `timeout`, expected one of `agents`, `max_participants`"),
    ] {
        let found = problem(settings);
        assert!(found.contains(message), "{settings}: {found}");
    }
    let nine = format!("agents = [{}]", ["{ name = 'a' }"; 9].join(","));
    assert!(problem(&nine).contains("agents must have at most 8 entries"));
}

#[test]
fn a_room_is_required_only_where_a_rule_has_no_default_for_this_caller() {
    let rules = r#"
        [[rule]]
        name = "classes"
        callers = ["app"]
        when = { "claims.role" = "host" }
        rooms = ["class:{claims.classes[]}:*"]
        default_room = "class:{claims.classes[]}:lesson"
        identity = "{sub}"
    "#;
    let outcome = |classes: Value, role: &str| {
        let mut ada = ada();
        ada.claims.insert("classes".into(), classes);
        ada.claims.insert("role".into(), role.into());
        policy(rules).give(&ada, RoomAsk::default(), 0).map(|pass| pass.room.as_str().to_owned())
    };
    assert_eq!(outcome(json!(["math"]), "host"), Ok("class:math:lesson".to_owned()));
    let required = Err(Denial::RoomRequired { field: "room_name" });
    assert_eq!(outcome(json!(["math", "art"]), "host"), required);
    assert_eq!(outcome(json!([]), "host"), Err(Denial::NoRule));
    assert_eq!(outcome(json!(["math", "art"]), "guest"), Err(Denial::NoRule));
    assert_eq!(policy(rules).give(&anyone(), RoomAsk::default(), 0).unwrap_err(), Denial::NoRule);
}

/// The grants that a rule with `may_set` and `grants` gives a request, or the denial.
fn chosen(may_set: &[&str], grants: &str, asked: &Value) -> Result<Grants, String> {
    let rule = format!(
        "[[rule]]\nname = 'r'\ncallers = ['anyone']\nrooms = ['*']\nclient_may_set = {may_set:?}\n{grants}"
    );
    let grants = GrantsAsk::parse(asked.clone()).unwrap();
    let given = policy(&rule).give(&anyone(), RoomAsk { grants, ..room("r") }, 0);
    given.map(|pass| pass.grants.clone()).map_err(|denial| denial.to_string())
}

#[test]
fn a_request_may_ask_for_fewer_grants_where_the_rule_lists_them() {
    let admin = "grants = { room_admin = true, can_publish_sources = ['camera', 'microphone'] }";
    for (may_set, asked) in [
        (&["grants"][..], json!({"room_admin": false})),
        (&["grants"], json!({"can_publish": false, "can_subscribe": false, "can_publish_data": false})),
        (&["grants"], json!({"can_publish_sources": ["camera"]})),
        (&["grants.room_admin"], json!({"room_admin": false})),
        (&["grants.room_admin"], json!({"room_admin": true, "can_publish": true})),
        (&["grants"], json!({"hidden": false, "destination_room": null})),
    ] {
        let given = chosen(may_set, admin, &asked).unwrap();
        for (name, value) in asked.as_object().unwrap() {
            let json = serde_json::to_value(&given).unwrap();
            let found = json
                .get(name)
                .cloned()
                .unwrap_or_else(|| if value.is_null() { Value::Null } else { false.into() });
            assert_eq!(found, *value, "{name} of {asked}");
        }
    }
    let unset = chosen(&["grants"], admin, &json!({})).unwrap();
    assert!(unset.room_admin, "grants that are not requested stay");
}

#[test]
fn a_request_never_gets_more_grants_than_the_rule_gives_or_lists_by_name() {
    let field = |field: &str| {
        format!(
            "The field {field} can't be set by the client: rule \"r\" does not list it in client_may_set."
        )
    };
    let more = |field: &str| {
        format!(
            "The field {field} asks for more than rule \"r\" gives, and its client_may_set does not list {field}."
        )
    };
    let quiet = "grants = { can_publish = false, can_publish_sources = ['camera'], agent_endpoint = { agent_name = 'a' } }";
    for (may_set, grants, asked, problem) in [
        (&[][..], "", json!({"room_admin": true}), field("grants")),
        (&[], "", json!({"can_publish": false}), field("grants")),
        (&["participant_name"], "", json!({"can_publish": true}), field("grants")),
        (&["grants.room_admin"], "", json!({"can_publish": false}), field("grants.can_publish")),
        (&["grants.sip"], "", json!({"room_admin": true}), field("grants.room_admin")),
        (&["grants"], "", json!({"room_admin": true}), more("grants.room_admin")),
        (&["grants"], "", json!({"hidden": true}), more("grants.hidden")),
        (&["grants", "grants.hidden"], "", json!({"room_admin": true}), more("grants.room_admin")),
        (&["grants"], "", json!({"sip": {"call": true}}), more("grants.sip.call")),
        (&["grants"], "", json!({"destination_room": "x"}), more("grants.destination_room")),
        (&["grants"], "", json!({"kind": "agent"}), more("grants.kind")),
        (
            &["grants"],
            "",
            json!({"agent_thread": {"thread_ids": ["x"]}}),
            more("grants.agent_thread.thread_ids"),
        ),
        (&["grants"], quiet, json!({"can_publish": true}), more("grants.can_publish")),
        (&["grants"], quiet, json!({"can_publish_data": true}), more("grants.can_publish_data")),
        (
            &["grants"],
            quiet,
            json!({"can_publish_sources": ["camera", "microphone"]}),
            more("grants.can_publish_sources"),
        ),
        (
            &["grants"],
            quiet,
            json!({"agent_endpoint": {"agent_name": "every agent"}}),
            more("grants.agent_endpoint.agent_name"),
        ),
        (
            &["grants", "grants.can_publish"],
            quiet,
            json!({"can_publish": true, "can_publish_data": true}),
            more("grants.can_publish_data"),
        ),
    ] {
        assert_eq!(chosen(may_set, grants, &asked), Err(problem), "{may_set:?} {asked}");
    }
    let publisher = chosen(&["grants.can_publish"], quiet, &json!({"can_publish": true})).unwrap();
    assert_eq!((publisher.can_publish, publisher.can_publish_data), (Some(true), Some(false)));
    let teacher = chosen(&["grants.room_admin"], "", &json!({"roomAdmin": true})).unwrap();
    assert_eq!(teacher, Grants { room_admin: true, ..Grants::default() });
    assert!(chosen(&["grants.sip"], "", &json!({"sip": {"call": true}})).unwrap().sip.call);
}

#[test]
fn a_request_may_ask_for_a_shorter_lifetime_where_the_rule_lists_it() {
    let lifetime = |rule: &str, seconds: u64| {
        let rule = format!("[[rule]]\nname = 'r'\ncallers = ['anyone']\nrooms = ['*']\n{rule}");
        let given = policy(&rule).give(&anyone(), RoomAsk { ttl: Ttl::seconds(seconds), ..room("r") }, 0);
        given.map(|pass| pass.ttl.duration().as_secs())
    };
    let listed = "client_may_set = ['ttl']\n";
    assert_eq!(lifetime(&(listed.to_owned() + "ttl = '5m'"), 60), Ok(60));
    assert_eq!(lifetime(&(listed.to_owned() + "ttl = '5m'\nmax_ttl = '1h'"), 3_600), Ok(3_600));
    let refused = Denial::TtlTooLong { max_ttl: Ttl::minutes(5), rule: "r".into() };
    assert_eq!(lifetime(&(listed.to_owned() + "ttl = '5m'"), 301), Err(refused));
    for unlisted in ["ttl = '5m'", "max_ttl = '1h'", "client_may_set = ['grants']"] {
        let refused = Denial::FieldNotAllowed { field: "ttl", rule: "r".into() };
        assert_eq!(lifetime(unlisted, 60), Err(refused), "{unlisted}");
    }
}

fn any_grants() -> impl Strategy<Value = Value> {
    let one = (prop::sample::select(GRANTS.to_vec()), 0..3_usize).prop_map(|(name, choice)| {
        let value = match name {
            "can_publish_sources" => {
                json!(([vec!["camera"], vec!["camera", "microphone"], vec!["screen_share"]][choice]))
            }
            "destination_room" => json!(["a", "b", ""][choice]),
            "kind" => json!(["standard", "agent", "sip"][choice]),
            "agent_endpoint" => json!({"call": choice == 0, "agent_name": (["", "a", "b"][choice])}),
            "agent_thread" => {
                json!({"all": choice == 0, "thread_ids": ([vec![], vec!["a"], vec!["a", "b"]][choice])})
            }
            "sip" => json!({"admin": choice == 0, "call": choice == 1}),
            _ => json!(choice == 0),
        };
        (name.to_owned(), value)
    });
    prop::collection::vec(one, 0..6).prop_map(Value::from_iter)
}

const GRANTS: [&str; 12] = [
    "can_publish",
    "can_subscribe",
    "can_publish_data",
    "can_publish_sources",
    "can_update_own_metadata",
    "room_admin",
    "hidden",
    "destination_room",
    "kind",
    "agent_endpoint",
    "agent_thread",
    "sip",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn requested_grants_never_exceed_the_rule_and_what_it_lists_by_name(
        own in any_grants(), asked in any_grants(), listed in prop::sample::subsequence(GRANTS.to_vec(), 0..3), all: bool,
    ) {
        let own: Grants = serde_json::from_value(own).unwrap();
        let named: Vec<_> = listed.iter().map(|name| format!("grants.{name}")).collect();
        let may_set: Vec<_> = named.iter().map(String::as_str).chain(all.then_some("grants")).collect();
        let mut policy = policy(&format!("[[rule]]\nname = 'r'\ncallers = ['anyone']\nrooms = ['*']\nclient_may_set = {may_set:?}"));
        policy.rules[0].grants = own.clone();
        let grants = GrantsAsk::parse(asked).unwrap();
        if let Ok(given) = policy.give(&anyone(), RoomAsk { grants, ..room("r") }, 0) {
            let given = &given.grants;
            for name in given.more_than(&own) {
                prop_assert!(listed.contains(&name.split('.').next().unwrap()), "{}", name);
            }
            let follows = |name: &&str| *name == "can_publish_data" && given.can_publish_data.is_none();
            for name in given.different_from(&own).filter(|name| !follows(name)) {
                prop_assert!(all || listed.contains(&name.split('.').next().unwrap()), "{}", name);
            }
        }
    }
}
