use std::collections::BTreeMap;

use livekit_api::access_token::TokenVerifier;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::ServerUrl;
use crate::domain::{RoomPass, Ttl};
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

/// What a verifier, which reads the clock itself, takes for valid.
fn now() -> u64 {
    crate::system::context().now
}

fn pass(room: &str, identity: &str, metadata: &str, attributes: BTreeMap<String, String>) -> Pass {
    let limits = Limits::default();
    Pass {
        caller: "anyone".into(),
        rule: "open".into(),
        identity: Identity::parse(identity, &limits).unwrap(),
        ttl: Ttl::DEFAULT,
        opens: Opens::Room(Box::new(RoomPass {
            room: RoomName::parse(room, &limits).unwrap(),
            name: None,
            metadata: Metadata::parse(metadata, &limits).ok(),
            attributes: Attributes::parse(attributes, &limits).unwrap(),
            room_config: RoomConfig::parse(json!({"max_participants": 2})).unwrap(),
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
    fn the_token_says_what_the_pass_says_and_is_as_large_as_foreseen(
        room in any_text(64), identity in any_text(64), metadata in any_text(300),
        attributes in proptest::collection::btree_map(any_text(20), any_text(20), 0..4),
    ) {
        let pass = pass(&room, &identity, &metadata, attributes.clone());
        let now = now();
        let token = livekit(&pass, &keys(), &Limits::default(), now).unwrap();
        let said = TokenVerifier::with_api_key("key", keys().expose_secret()).verify(token.expose()).unwrap();
        prop_assert_eq!(said.video.room, room);
        prop_assert_eq!(said.sub, identity);
        prop_assert_eq!(said.metadata, metadata);
        prop_assert_eq!(said.attributes.into_iter().collect::<BTreeMap<_, _>>(), attributes);
        prop_assert_eq!((said.nbf as u64, said.exp as u64), (now, now + 600));
        prop_assert_eq!(token.expose().len(), signed_size(json_size(&claims(&pass, "key", now).unwrap())));
    }
}

#[test]
fn every_grant_that_is_written_is_in_the_token_and_no_other() {
    let granted = |written: &str| {
        let grants: Grants = toml::from_str(written).unwrap();
        let mut pass = pass("r", "i", "", BTreeMap::new());
        if let Opens::Room(room) = &mut pass.opens {
            (room.grants, room.room_config) = (grants, None);
        }
        let token = livekit(&pass, &keys(), &Limits::default(), now()).unwrap();
        let verifier = TokenVerifier::with_api_key("key", keys().expose_secret());
        let mut said = serde_json::to_value(verifier.verify(token.expose()).unwrap()).unwrap();
        for member in ["iss", "sub", "exp", "nbf"] {
            said.as_object_mut().unwrap().remove(member);
        }
        said
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
fn a_token_over_the_cap_is_not_signed_and_its_largest_fields_are_named() {
    let attributes = BTreeMap::from([("key".to_owned(), "v".repeat(2_000))]);
    let error = livekit(&pass("r", "i", &"m".repeat(20_000), attributes), &keys(), &Limits::default(), now())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "The token would be 29713 bytes long; at most 16384 are allowed. The largest fields are \
         participant_metadata (20002 bytes) and participant_attributes (2010 bytes)."
    );
}

#[test]
fn the_cap_is_exact() {
    let pass = pass("r", "i", "m", BTreeMap::new());
    let size = livekit(&pass, &keys(), &Limits::default(), now()).unwrap().expose().len();
    assert!(livekit(&pass, &keys(), &Limits { max_token_size: size, ..Limits::default() }, now()).is_ok());
    assert!(
        livekit(&pass, &keys(), &Limits { max_token_size: size - 1, ..Limits::default() }, now()).is_err()
    );
}

#[test]
fn a_token_is_shown_only_by_its_fingerprint() {
    let token = livekit(&pass("r", "i", "m", BTreeMap::new()), &keys(), &Limits::default(), now()).unwrap();
    assert_eq!(format!("{token:?}"), format!("Token({})", token.fingerprint()));
    assert_eq!(token.fingerprint().len(), 16);
}
