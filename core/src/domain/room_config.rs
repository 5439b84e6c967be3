//! How a room is set up when the first person joins it, as the client may ask.
//!
//! A token can be read by its holder, so a setting that carries a secret (storage credentials, the address of a
//! stream with its key) is refused here for every caller: LiveKit's own Go builder refuses to sign such a token. So is an
//! address that LiveKit would go to with what only it may know: a page for its recorder, which joins the room to see all
//! of it, and a webhook.

use livekit_protocol::{RoomAgentDispatch, RoomConfiguration, RoomEgress};
use serde_json::{Map, Value};

use super::{AgentDispatch, EgressRequest, InvalidField, room_members};

/// Room settings that differ from the defaults and carry no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomConfig {
    livekit: RoomConfiguration,
    /// Where in the request each of its agents is: those that say nothing are dropped.
    indices: Vec<usize>,
}

impl RoomConfig {
    /// The field's name in a request.
    pub const FIELD: &str = "room_config";

    /// Reads LiveKit's `RoomConfiguration`, in protobuf's JSON with either casing. Members that this version doesn't
    /// know are dropped (servers before 1.12 refuse a token with one they don't know); what says nothing beyond the
    /// defaults, an agent without a name or settings included, is absent.
    ///
    /// # Errors
    /// Where a value has the wrong type, or would put a secret into the token; where egress has several outputs of a kind.
    pub fn parse(mut value: Value) -> Result<Option<Self>, InvalidField> {
        if !value.is_object() {
            return Err(InvalidField::wrong_type(Self::FIELD, "an object"));
        }
        if let Some((path, why)) = value.get("egress").and_then(forbidden_below) {
            return Err(InvalidField::new(
                format!("{}.egress{path}", Self::FIELD),
                format!("is not allowed: {why}"),
            ));
        }
        if let Some(Value::Array(agents)) = value.get_mut("agents") {
            let nulls = agents.iter_mut().filter(|agent| agent.is_null());
            nulls.for_each(|agent| *agent = Map::new().into());
        }
        remove_nulls(&mut value);
        let mut config: RoomConfiguration =
            serde_path_to_error::deserialize(value).map_err(|error| wrong_type(&error))?;
        if let Some(path) = config.egress.as_ref().and_then(room_members::several_outputs) {
            return Err(InvalidField::new(path, "must hold one output at most"));
        }
        let agents = std::mem::take(&mut config.agents).into_iter().enumerate();
        let (indices, agents) = agents.filter(|(_, agent)| *agent != RoomAgentDispatch::default()).unzip();
        config.agents = agents;
        config.egress = config.egress.filter(|egress| *egress != RoomEgress::default());
        Ok((config != RoomConfiguration::default()).then_some(Self { livekit: config, indices }))
    }

    /// The egress (recording or streaming the room) that it asks for, a kind each.
    pub fn egress(&self) -> impl Iterator<Item = EgressRequest> {
        self.livekit.egress.iter().flat_map(room_members::of_egress)
    }

    /// The agents that it dispatches.
    pub fn agents(&self) -> impl Iterator<Item = AgentDispatch<'_>> {
        self.livekit.agents.iter().zip(&self.indices).map(|(agent, index)| AgentDispatch {
            index: *index,
            name: &agent.agent_name,
            deployment: Some(agent.deployment.as_str()).filter(|deployment| !deployment.is_empty()),
            members: room_members::of_agent(agent),
        })
    }

    /// The paths of the other settings that it changes.
    pub fn settings(&self) -> impl Iterator<Item = &'static str> {
        room_members::settings(&self.livekit).into_iter()
    }

    /// LiveKit's own type, for the token.
    #[must_use]
    pub fn as_livekit(&self) -> &RoomConfiguration {
        &self.livekit
    }
}

/// Where, below `value`, the first member is that no client may set, and why: one that names a storage, even without
/// saying more of it, or an address.
fn forbidden_below(value: &Value) -> Option<(String, &'static str)> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, inner)| {
            if let Some(why) = why_forbidden(name).filter(|_| says_something(inner)) {
                return Some((format!(".{name}"), why));
            }
            forbidden_below(inner).map(|(rest, why)| (format!(".{name}{rest}"), why))
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, inner)| {
            forbidden_below(inner).map(|(rest, why)| (format!("[{index}]{rest}"), why))
        }),
        _ => None,
    }
}

/// In either casing of protobuf's JSON.
fn why_forbidden(member: &str) -> Option<&'static str> {
    let member = member.to_ascii_lowercase().replace('_', "");
    FORBIDDEN.iter().find(|(members, _)| members.contains(&member.as_str())).map(|(_, why)| *why)
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// In protobuf's JSON a null is the default, as if it weren't there.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, inner| !inner.is_null());
            members.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(remove_nulls);
        }
        _ => {}
    }
}

/// Names the member, and what it should have been. Only the end of the decoder's own message is shown: what it
/// expected, which is never the client's text.
fn wrong_type(error: &serde_path_to_error::Error<serde_json::Error>) -> InvalidField {
    let field = match error.path().to_string().as_str() {
        "." => RoomConfig::FIELD.to_owned(),
        path => format!("{}.{path}", RoomConfig::FIELD),
    };
    let message = error.inner().to_string();
    if message.starts_with("duplicate field") {
        return InvalidField::new(field, "has a member in both casings");
    }
    match message.rsplit_once("expected ") {
        Some((_, expected)) if expected.starts_with("struct ") => {
            InvalidField::wrong_type(field, "an object")
        }
        Some((_, expected)) => InvalidField::wrong_type(field, expected),
        None => InvalidField::wrong_type(field, "a value that LiveKit's RoomConfiguration allows there"),
    }
}

/// Members of an egress request, without their underscores, that hold credentials or a stream's secret address; and
/// those that send LiveKit somewhere, or to another room.
const FORBIDDEN: [(&[&str], &str); 3] = [
    (
        &["s3", "gcp", "azure", "alioss", "storage", "stream", "streamoutputs"],
        "anyone who holds the token could read the credentials or the stream's address",
    ),
    (
        &["custombaseurl", "webhooks"],
        "LiveKit would go to an address of the client's, with what only LiveKit may know of the room",
    ),
    (&["roomname"], "what is recorded is the room that the token opens"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::Egress;

    fn livekit(value: Value) -> Value {
        serde_json::to_value(RoomConfig::parse(value).unwrap().unwrap().as_livekit()).unwrap()
    }

    fn refused(value: Value) -> String {
        RoomConfig::parse(value).unwrap_err().to_string()
    }

    #[test]
    fn what_says_nothing_is_absent() {
        for value in [
            json!({}),
            json!({"agents": []}),
            json!({"agents": [{}]}),
            json!({"agents": [{"agent_name": "", "metadata": null}, null]}),
            json!({"tags": {}, "metadata": "", "max_participants": 0, "name": null}),
            json!({"egress": null}),
            json!({"egress": {}}),
            json!({"a_field_of_tomorrow": {"s3": 1}}),
        ] {
            assert_eq!(RoomConfig::parse(value.clone()), Ok(None), "{value}");
        }
    }

    #[test]
    fn only_what_differs_from_the_defaults_goes_on() {
        assert_eq!(
            livekit(json!({
                "agents": [{"agent_name": "a", "metadata": "m", "deployment": "d", "new": 1}, {}],
                "empty_timeout": 30, "maxParticipants": "2", "tags": {}, "sync_streams": false,
            })),
            json!({
                "agents": [{"agentName": "a", "metadata": "m", "deployment": "d"}],
                "emptyTimeout": 30, "maxParticipants": 2,
            })
        );
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named_with_what_it_should_be() {
        assert_eq!(refused(json!({"metadata": 5})), "room_config.metadata must be a string");
        assert_eq!(
            refused(json!({"agents": [{"agent_name": "a"}, {"agent_name": ["expected gold"]}]})),
            "room_config.agents[1].agent_name must be a string"
        );
        assert_eq!(
            refused(json!({"agents": [{"restart_policy": "JRP_ALWAYS"}]})),
            "room_config.agents[0].restart_policy must be `JRP_ON_FAILURE` or `JRP_NEVER`"
        );
        assert_eq!(
            refused(json!({"empty_timeout": 1, "emptyTimeout": 2})),
            "room_config has a member in both casings"
        );
        assert_eq!(refused(json!([])), "room_config must be an object");
        assert_eq!(
            refused(json!({"max_participants": -1})),
            "room_config.max_participants must be a value that LiveKit's RoomConfiguration allows there"
        );
    }

    #[test]
    fn a_secret_would_be_readable_in_the_token_and_is_refused_by_its_path() {
        for (egress, path) in [
            (
                json!({"room": {"file_outputs": [{"filepath": "x"}, {"s3": {"secret": "k"}}]}}),
                "room.file_outputs[1].s3",
            ),
            (
                json!({"participant": {"segmentOutputs": [{"gcp": {"credentials": "k"}}]}}),
                "participant.segmentOutputs[0].gcp",
            ),
            (json!({"tracks": {"azure": {"account_key": "k"}}}), "tracks.azure"),
            (json!({"tracks": {"aliOSS": {"secret": "k"}}}), "tracks.aliOSS"),
            (json!({"room": {"streamOutputs": [{"urls": ["rtmp://x/key"]}]}}), "room.streamOutputs"),
            (json!({"room": {"stream": {"urls": ["rtmp://x/key"]}}}), "room.stream"),
            (json!({"room": {"S3": "k"}}), "room.S3"),
            (json!({"room": {"file_outputs": [{"gcp": {}}]}}), "room.file_outputs[0].gcp"),
        ] {
            assert_eq!(
                refused(json!({"egress": egress})),
                format!(
                    "room_config.egress.{path} is not allowed: anyone who holds the token could read the credentials or the stream's address"
                )
            );
        }
    }

    #[test]
    fn nobody_sends_livekit_to_an_address_of_theirs() {
        for (egress, path) in [
            (
                json!({"room": {"layout": "grid", "custom_base_url": "https://a.example"}}),
                "room.custom_base_url",
            ),
            (json!({"room": {"customBaseUrl": "https://a.example"}}), "room.customBaseUrl"),
            (json!({"room": {"webhooks": [{"url": "http://10.0.0.1/"}]}}), "room.webhooks"),
            (json!({"participant": {"webhooks": [{}]}}), "participant.webhooks"),
        ] {
            let refused = refused(json!({"egress": egress}));
            assert!(
                refused.starts_with(&format!("room_config.egress.{path} is not allowed: LiveKit would go"))
            );
        }
        for nothing in [json!({"custom_base_url": ""}), json!({"webhooks": []})] {
            assert!(RoomConfig::parse(json!({"egress": {"room": nothing}})).is_ok());
        }
    }

    #[test]
    fn names_of_storages_elsewhere_are_only_words() {
        let config =
            json!({"tags": {"s3": "yes"}, "agents": [{"agentName": "a", "attributes": {"stream": "on"}}]});
        assert_eq!(livekit(config.clone()), config);
    }

    #[test]
    fn egress_without_a_secret_is_for_the_policy_to_judge() {
        let config = RoomConfig::parse(json!({"egress": {"tracks": {"filepath": "x"}}})).unwrap().unwrap();
        let tracks = EgressRequest { kind: Egress::Tracks, members: vec!["filepath"] };
        assert_eq!(config.egress().collect::<Vec<_>>(), [tracks]);
        assert_eq!(config.settings().count(), 0);
        let other =
            RoomConfig::parse(json!({"metadata": "m", "agents": [{"agent_name": "a"}]})).unwrap().unwrap();
        assert_eq!(other.egress().count(), 0);
        assert_eq!(other.settings().collect::<Vec<_>>(), ["room_config.metadata"]);
        let agent = AgentDispatch { index: 0, name: "a", deployment: None, members: Vec::new() };
        assert_eq!(other.agents().collect::<Vec<_>>(), [agent]);
    }

    #[test]
    fn an_agent_keeps_its_index_in_the_request() {
        let config = json!({"agents": [null, {}, {"agent_name": "a"}, {"agentName": ""}, {"metadata": "m"}]});
        let config = RoomConfig::parse(config).unwrap().unwrap();
        assert_eq!(config.agents().map(|agent| agent.index).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(refused(json!({"agents": [null, 5]})), "room_config.agents[1] must be an object");
    }
}
