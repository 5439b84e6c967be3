use std::collections::BTreeMap;

use livekit_api::access_token::TokenVerifier;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{RoomPass, ServerUrl, Ttl};
use crate::keys::Deployment;

fn keys() -> LiveKitKeys {
    LiveKitKeys::new(
        ServerUrl::parse("wss://x").unwrap(),
        "key".into(),
        "a secret of thirty-two bytes or more".into(),
        Deployment::Lambda,
    )
    .unwrap()
}

/// The system's time: the verifier of `livekit-api` reads the clock itself.
fn now() -> u64 {
    crate::system::context().now
}

fn pass(room: &str, identity: &str, metadata: &str, attributes: BTreeMap<String, String>) -> Pass {
    let limits = Limits::default();
    Pass {
        caller: "anyone".into(),
        rule: "open".into(),
        project: crate::domain::Project::default(),
        identity: Identity::parse(identity, &limits).unwrap(),
        ttl: Ttl::DEFAULT,
        access: Access::Room(Box::new(RoomPass {
            room: RoomName::parse(room, &limits).unwrap(),
            name: None,
            metadata: Metadata::parse(metadata, &limits).ok(),
            attributes: Attributes::parse(attributes, &limits).unwrap(),
            room_config: RoomConfig::parse(json!({"max_participants": 2})).unwrap(),
            agora_uid_zero: false,
            grants: Grants {
                can_publish_sources: vec![TrackSource::ScreenShareAudio],
                hidden: true,
                ..Grants::default()
            },
        })),
    }
}

fn livekit(pass: &Pass, keys: &LiveKitKeys, limits: &Limits, now: u64) -> Result<Token, MintError> {
    token(std::slice::from_ref(pass), keys, limits, now)
}

fn any_text(chars: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 1..chars).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn a_token_has_the_values_of_its_pass_and_the_predicted_size(
        room in any_text(64), identity in any_text(64), metadata in any_text(300),
        attributes in proptest::collection::btree_map(any_text(20), any_text(20), 0..4),
    ) {
        let pass = pass(&room, &identity, &metadata, attributes.clone());
        let now = now();
        let token = livekit(&pass, &keys(), &Limits::default(), now).unwrap();
        let claims = TokenVerifier::with_api_key("key", keys().expose_secret()).verify(token.expose()).unwrap();
        prop_assert_eq!(claims.video.room, room);
        prop_assert_eq!(claims.sub, identity);
        prop_assert_eq!(claims.metadata, metadata);
        prop_assert_eq!(claims.attributes.into_iter().collect::<BTreeMap<_, _>>(), attributes);
        prop_assert_eq!((claims.nbf as u64, claims.exp as u64), (now, now + 600));
        prop_assert_eq!(token.expose().len(), signed_size(json_size(&super::claims(&pass, "key", now).unwrap())));
    }
}

/// The claims of a token with these grants, as they are signed.
fn granted_json(grants: &str) -> Value {
    let token = livekit(&with_grants(grants), &keys(), &Limits::default(), now()).unwrap();
    let payload = token.expose().split('.').nth(1).unwrap();
    let mut claims: Map<String, Value> =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims.retain(|name, _| !["iss", "sub", "exp", "nbf"].contains(&name.as_str()));
    claims.into()
}

fn with_grants(grants: &str) -> Pass {
    let grants: Grants = toml::from_str(grants).unwrap();
    let mut pass = pass("r", "i", "", BTreeMap::new());
    if let Access::Room(room) = &mut pass.access {
        (room.grants, room.room_config) = (grants, None);
    }
    pass
}

#[test]
fn a_token_has_exactly_the_grants_of_the_rule() {
    let granted = |grants: &str| {
        let pass = with_grants(grants);
        let token = livekit(&pass, &keys(), &Limits::default(), now()).unwrap();
        let verifier = TokenVerifier::with_api_key("key", keys().expose_secret());
        let mut claims = serde_json::to_value(verifier.verify(token.expose()).unwrap()).unwrap();
        for member in ["iss", "sub", "exp", "nbf"] {
            claims.as_object_mut().unwrap().remove(member);
        }
        claims
    };
    assert_eq!(granted(""), json!({"video": {"roomJoin": true, "room": "r"}}));
    let agents = r#"
        agent = true
        cloud_agents = { admin = true, simulation_admin = true, database_admin = true, dispatch_admin = true }
        agent_endpoint = { call = true, agent_name = "notetaker", deployment = "blue" }

        [agent_thread]
        all = true
        scope = "support"
        thread_ids = ["one", "two"]
        list = true
        create = true
        write = true
        read = true
        delete = true
    "#;
    assert_eq!(
        granted(agents),
        json!({
            "video": {"roomJoin": true, "room": "r", "agent": true},
            "agent": {"admin": true, "simulationAdmin": true, "databaseAdmin": true, "dispatchAdmin": true},
            "agentEndpoint": {"call": true, "agentName": "notetaker", "deployment": "blue"},
            "agentThread": {
                "all": true, "scope": "support", "threadIds": ["one", "two"], "list": true, "create": true,
                "write": true, "read": true, "delete": true,
            },
        })
    );
    assert_eq!(granted("agent_endpoint.call = true")["agentEndpoint"], json!({"call": true}));
    let new = r#"
        can_subscribe_metrics = true
        can_manage_agent_session = false
        kind = "agent"
        kind_details = ["cloud_agent", "bridge_rtsp"]
        room_preset = "classroom"
    "#;
    assert_eq!(
        granted_json(new),
        json!({
            "video": {"roomJoin": true, "room": "r", "canSubscribeMetrics": true, "canManageAgentSession": false},
            "kind": "agent", "kindDetails": ["cloud_agent", "bridge_rtsp"], "roomPreset": "classroom",
        })
    );
    assert_eq!(granted_json("room_preset = 'x'")["video"], json!({"roomJoin": true, "room": "r"}));
    let others = r#"
        kind = "sip"
        sip = { admin = true, call = true }
        inference.perform = true
        observability.write = true
    "#;
    assert_eq!(
        granted(others),
        json!({
            "video": {"roomJoin": true, "room": "r"},
            "kind": "sip",
            "sip": {"admin": true, "call": true},
            "inference": {"perform": true},
            "observability": {"write": true},
        })
    );
}

#[test]
fn a_token_over_the_limit_is_not_signed_and_the_error_names_its_largest_fields() {
    let attributes = BTreeMap::from([("key".to_owned(), "v".repeat(2_000))]);
    let error = livekit(&pass("r", "i", &"m".repeat(20_000), attributes), &keys(), &Limits::default(), now())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "The token would be 29713 bytes, and the limit is 16384. Shorten the largest fields: \
         participant_metadata (20002 bytes) and participant_attributes (2010 bytes)."
    );
}

#[test]
fn the_size_limit_is_exact() {
    let pass = pass("r", "i", "m", BTreeMap::new());
    let size = livekit(&pass, &keys(), &Limits::default(), now()).unwrap().expose().len();
    assert!(livekit(&pass, &keys(), &Limits { max_token_size: size, ..Limits::default() }, now()).is_ok());
    assert!(
        livekit(&pass, &keys(), &Limits { max_token_size: size - 1, ..Limits::default() }, now()).is_err()
    );
}

#[test]
fn debug_output_of_a_token_has_only_its_fingerprint() {
    let token = livekit(&pass("r", "i", "m", BTreeMap::new()), &keys(), &Limits::default(), now()).unwrap();
    assert_eq!(format!("{token:?}"), format!("Token({})", token.fingerprint()));
    assert_eq!(token.fingerprint().len(), 16);
}
