//! Any policy file is either a configuration, or an error in one line with its position. A configuration can be served.
//! For any caller and request, it grants nothing that the deciding rule doesn't allow.
//!
//! The policy is the input up to the first NUL byte. The rest becomes a caller and a request.

#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use roompass::auth::{Caller, CallerKeys, CallerKind};
use roompass::config::{Config, warnings};
use roompass::dialect::standard;
use roompass::domain::{
    AgentDispatch, Ask, Identity, LoginAsk, LoginService, Pass, Provider, Role, RoomAsk, RoomPass, Ttl,
};
use roompass::http::router;
use roompass::mint::{self, MintError, Settings};
use roompass::policy::{RoomSettings, Rule};
use roompass_fuzz::{API_SECRET, SAME, at, keys, members, signing_keys, surroundings, value};
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let Ok(text) = str::from_utf8(&input[..end]) else { return };
    match Config::parse(text, "fuzz.toml") {
        Ok(config) => must_decide(config, &mut Unstructured::new(input.get(end + 1..).unwrap_or_default())),
        Err(error) => error.lines().iter().for_each(|mistake| must_name_its_place(mistake, text)),
    }
});

fn must_name_its_place(mistake: &str, text: &str) {
    assert!(!mistake.contains('\n'), "{mistake:?}");
    let place = mistake.strip_prefix("fuzz.toml:").expect("the error names the file");
    let mut parts = place.splitn(3, ':').map(str::trim);
    let mut number =
        || parts.next().and_then(|number| number.parse::<usize>().ok()).expect("the error has a position");
    let (line, column) = (number(), number());
    assert!((1..=text.split('\n').count()).contains(&line), "{mistake:?}");
    let width = text.split('\n').nth(line - 1).map_or(0, |line| line.chars().count());
    assert!((1..=width + 1).contains(&column), "{mistake:?}");
    assert!(parts.next().is_some_and(|message| !message.is_empty()));
}

fn must_decide(config: Config, bytes: &mut Unstructured<'_>) {
    let _ = router(config.clone(), keys(), roompass::mint::token, surroundings);
    let _ = warnings::of_callers(&config, &CallerKeys::default());
    let _ = warnings::of_projects(&config, &signing_keys().into());
    let policy = &config.policy;
    let settings = Settings { limits: config.limits.clone(), agora_version: config.agora.token_version };
    for _ in 0..4 {
        let Ok((caller, request)) = asked(bytes, &config) else { return };
        let decision = policy.decide(&caller, request.clone().into(), &at(NOW));
        assert!(decision.skipped.iter().all(|(_, why)| !why.to_string().is_empty()));
        match &decision.outcome {
            Ok(pass) => {
                let rule = &policy.rules()[decision.skipped.len()];
                let room = pass.room().expect("the pass is for a room");
                must_keep_to(rule, pass, room, &caller, &request, &config);
                let passes = std::slice::from_ref(pass);
                match mint::token(passes, Provider::LiveKit, &signing_keys(), &settings, &at(NOW)) {
                    Ok(token) => assert!(token.expose().len() <= config.limits.max_token_size),
                    Err(refused) => assert!(matches!(refused, MintError::TooLarge { .. })),
                }
            }
            Err(denial) => assert!(!denial.to_string().is_empty()),
        }
        let identity = request
            .identity
            .unwrap_or_else(|| Identity::parse("ada", &config.limits).expect("within every limit"));
        for service in [LoginService::Rtm, LoginService::Chat] {
            let ask =
                LoginAsk { service, identity: identity.clone(), ttl: request.ttl, default_ttl: Ttl::DEFAULT };
            if let Ok(login) = policy.decide(&caller, Ask::Login(ask), &at(NOW)).outcome {
                let rule = policy
                    .rules()
                    .iter()
                    .find(|rule| rule.name == login.rule)
                    .expect("the login names its rule");
                assert_eq!(login.login(), Some(service));
                assert!(rule.callers.contains(&caller.name));
                assert!(rule.agora_logins.as_ref().is_some_and(|given| given.contains(&service)));
            }
        }
    }
}

fn must_keep_to(
    rule: &Rule,
    pass: &Pass,
    given: &RoomPass,
    caller: &Caller,
    request: &RoomAsk,
    config: &Config,
) {
    assert_eq!((&pass.rule, &pass.caller), (&rule.name, &caller.name));
    assert!(rule.callers.contains(&caller.name));
    assert!(rule.rooms.iter().any(|pattern| pattern.matches(given.room.as_str(), caller) == Ok(true)));
    assert!(request.room.as_ref().is_none_or(|room| *room == given.room));
    let sets = |field: &str| rule.client_may_set.iter().any(|may| may.path() == field);
    let own = rule.identity.fill(caller, SAME).expect("the rule matched");
    assert!(pass.identity.as_str() == own || sets("participant_identity"));
    assert!(given.name.is_none() || rule.participant_name.is_some() || sets("participant_name"));
    assert!(given.metadata.is_none() || rule.participant_metadata.is_some() || sets("participant_metadata"));
    for (key, template) in &rule.participant_attributes {
        let own = template.fill_text(caller, SAME).expect("the rule matched");
        let said = given.attributes.iter().flat_map(|all| all.iter()).find(|(name, _)| *name == key);
        assert_eq!(said.map(|(_, value)| value), Some(&own));
    }
    let size = |text: &str, limit: usize| assert!((1..=limit).contains(&text.len()));
    size(given.room.as_str(), config.limits.max_room_name_length);
    size(pass.identity.as_str(), config.limits.max_participant_identity_length);
    if let Some(name) = &given.name {
        size(name.as_str(), config.limits.max_participant_name_length);
    }
    let of_client = given.room_config.as_ref().filter(|_| rule.room_config == RoomSettings::default());
    for settings in of_client.iter().flat_map(|config| config.settings()) {
        assert!(sets(settings) || sets("room_config"));
    }
    for egress in of_client.iter().flat_map(|config| config.egress()) {
        let entry = rule
            .egress
            .iter()
            .find(|entry| entry.kind() == egress.kind)
            .expect("the egress kind is in the rule");
        assert!(egress.members.iter().all(|member| entry.allows_member(member)));
    }
    let agents: Vec<_> = of_client.iter().flat_map(|config| config.agents()).collect();
    assert!(agents.len() <= AgentDispatch::MAX);
    for agent in &agents {
        let mut entries = rule.agents.iter().filter(|entry| entry.covers(agent.name, agent.deployment));
        assert!(entries.any(|entry| agent.members.iter().all(|member| entry.allows_member(member))));
        let repeated = agents.iter().filter(|other| other.name == agent.name).count();
        let entries = rule.agents.iter().filter(|entry| entry.names(agent.name));
        assert!(repeated <= entries.map(|entry| entry.max()).sum());
    }
    let most = rule.max_ttl.or(rule.ttl).unwrap_or(request.default_ttl);
    assert!(pass.ttl <= most && pass.ttl.duration().as_secs() >= 1);
    if rule.within_credential {
        assert!(caller.expires.is_none_or(|expires| expires >= NOW + pass.ttl.duration().as_secs()));
    }
    match request.role {
        Some(Role::Subscriber) => assert_eq!(given.grants.can_publish, Some(false)),
        _ if request.grants.is_none() => assert_eq!(given.grants, rule.grants),
        _ => {}
    }
    for name in given.grants.more_than(&rule.grants) {
        assert!(rule.client_may_set.iter().any(|may| {
            may.path()
                .strip_prefix("grants.")
                .is_some_and(|may| may == name || name.starts_with(&format!("{may}.")))
        }));
    }
    assert!(request.role != Some(Role::Publisher) || given.grants.can_publish != Some(false));
}

/// A configured caller, and a request.
fn asked(bytes: &mut Unstructured<'_>, config: &Config) -> Result<(Caller, RoomAsk)> {
    let called = match config.callers.len() {
        0 => Caller::anonymous("stranger"),
        _ => {
            let written = bytes.choose(&config.callers)?;
            let issuer = match &written.kind {
                CallerKind::Jwt(issuer) => Some(issuer.issuer.first().to_owned()),
                _ => None,
            };
            Caller { issuer, ..Caller::anonymous(&written.name) }
        }
    };
    let subject = match value(bytes, &WORDS, 0)? {
        Value::String(text) => Some(text),
        _ => None,
    };
    let expires = if bytes.arbitrary()? { Some(NOW - 100 + bytes.int_in_range(0..=5_000)?) } else { None };
    let caller = Caller { subject, expires, claims: members(bytes, &WORDS, 2)?, ..called };
    let body = Value::Object(members(bytes, &FIELDS, 3)?).to_string();
    let request = standard::parse(body.as_bytes(), &config.limits).unwrap_or_default();
    let ttl = Ttl::seconds(bytes.int_in_range(0..=90_000)?);
    let role = *bytes.choose(&[None, None, Some(Role::Publisher), Some(Role::Subscriber)])?;
    let sandbox_id = config.sandbox.ids.first().filter(|_| role.is_some()).cloned();
    let name_or_identity =
        if bytes.ratio(1, 5)? { Identity::parse("Ada", &config.limits).ok() } else { None };
    let has_own_ttl = bytes.arbitrary()?;
    Ok((caller, RoomAsk { ttl, has_own_ttl, role, sandbox_id, name_or_identity, ..request }))
}

const NOW: u64 = 1_700_000_000;
const WORDS: [&str; 24] = [
    "team", "red", "a:b", "role", "host", "lead", "roles", "plan", "pro", "name", "Ada", "email", "sub",
    "iss", "x", ":", "*", "a", "lobby", "{sub}", "groups", "é", "red:1", "",
];
const FIELDS: [&str; 34] = [
    "grants",
    "can_publish",
    "roomAdmin",
    "ttl",
    "room_name",
    "roomName",
    "participant_identity",
    "participantName",
    "participant_metadata",
    "participantAttributes",
    "room_config",
    "roomConfig",
    "name",
    "metadata",
    "agents",
    "agent_name",
    "deployment",
    "egress",
    "room",
    "participant",
    "tracks",
    "max_participants",
    "tags",
    "team",
    "lobby",
    "team:red:1",
    "red:1",
    "x",
    "guest:1",
    "webinar:1",
    "notetaker",
    "é",
    API_SECRET,
    "",
];
