//! Room settings that a client requests, for a room that doesn't exist yet.
//!
//! The client can read its token. So a setting with a secret (storage credentials, a stream's address with its key) is
//! refused for every caller; LiveKit's own Go builder refuses to sign such a token too. Addresses that would receive
//! private data from LiveKit are also refused: a page for its recorder, which sees the whole room, and a webhook.

use livekit_protocol::{RoomAgentDispatch, RoomConfiguration, RoomEgress};
use serde_json::{Map, Value};

use super::{AgentDispatch, EgressRequest, InvalidField, room_members, whole_number};

/// Room settings that differ from the defaults and contain no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomConfig {
    livekit: RoomConfiguration,
    /// The index of each agent in the request, because empty agents are removed.
    indices: Vec<usize>,
}

impl RoomConfig {
    /// The field's name in a request.
    pub const FIELD: &str = "room_config";

    /// Parses LiveKit's `RoomConfiguration`, in protobuf's JSON with either casing. Unknown members are removed,
    /// because servers before 1.12 refuse a token with unknown members. Default values are absent, and so are agents
    /// without a name and settings.
    ///
    /// # Errors
    /// If a value has the wrong type or would put a secret into the token, or if egress has several outputs of a kind.
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
        normalize(&mut value);
        let mut config: RoomConfiguration =
            serde_path_to_error::deserialize(value).map_err(|error| wrong_type(&error))?;
        if let Some(path) = config.egress.as_ref().and_then(room_members::several_outputs) {
            return Err(InvalidField::new(path, "must contain at most one output"));
        }
        let agents = std::mem::take(&mut config.agents).into_iter().enumerate();
        let (indices, agents) = agents.filter(|(_, agent)| *agent != RoomAgentDispatch::default()).unzip();
        config.agents = agents;
        config.egress = config.egress.filter(|egress| *egress != RoomEgress::default());
        Ok((config != RoomConfiguration::default()).then_some(Self { livekit: config, indices }))
    }

    /// Settings that a rule makes.
    pub(crate) fn of_rule(mut livekit: RoomConfiguration) -> Option<Self> {
        livekit.egress = livekit.egress.filter(|egress| *egress != RoomEgress::default());
        let indices = (0..livekit.agents.len()).collect();
        (livekit != RoomConfiguration::default()).then_some(Self { livekit, indices })
    }

    /// Removes the settings that are equal to those of `other`, and the agents that it dispatches in the same deployment,
    /// with the same members or without any.
    pub(crate) fn remove_settings_of(&mut self, other: &Self) {
        let (own, other) = (&mut self.livekit, &other.livekit);
        remove_equal(&mut own.name, &other.name);
        remove_equal(&mut own.empty_timeout, &other.empty_timeout);
        remove_equal(&mut own.departure_timeout, &other.departure_timeout);
        remove_equal(&mut own.max_participants, &other.max_participants);
        remove_equal(&mut own.min_playout_delay, &other.min_playout_delay);
        remove_equal(&mut own.max_playout_delay, &other.max_playout_delay);
        remove_equal(&mut own.sync_streams, &other.sync_streams);
        remove_equal(&mut own.metadata, &other.metadata);
        remove_equal(&mut own.tags, &other.tags);
        if let (Some(own), Some(other)) = (&mut own.egress, &other.egress) {
            remove_equal(&mut own.room, &other.room);
            remove_equal(&mut own.participant, &other.participant);
            remove_equal(&mut own.tracks, &other.tracks);
        }
        own.egress.take_if(|egress| *egress == RoomEgress::default());
        let is_dispatched = |agent: &RoomAgentDispatch| {
            let plain = RoomAgentDispatch {
                agent_name: agent.agent_name.clone(),
                deployment: agent.deployment.clone(),
                ..RoomAgentDispatch::default()
            };
            other.agents.iter().any(|dispatched| {
                dispatched == agent
                    || (*agent == plain
                        && (&dispatched.agent_name, &dispatched.deployment)
                            == (&agent.agent_name, &agent.deployment))
            })
        };
        let agents = std::mem::take(&mut own.agents).into_iter().zip(std::mem::take(&mut self.indices));
        (own.agents, self.indices) = agents.filter(|(agent, _)| !is_dispatched(agent)).unzip();
    }

    /// The settings of a rule, replaced by those that a client sets. The agents of both are dispatched.
    pub(crate) fn combined(rule: Option<Self>, client: Option<Self>) -> Option<Self> {
        let (Some(Self { livekit: rule, .. }), Some(Self { livekit: client, .. })) = (&rule, &client) else {
            return rule.or(client);
        };
        let egress = match (rule.egress.clone(), client.egress.clone()) {
            (Some(rule), Some(client)) => Some(RoomEgress {
                room: client.room.or(rule.room),
                participant: client.participant.or(rule.participant),
                tracks: client.tracks.or(rule.tracks),
            }),
            (rule, client) => client.or(rule),
        };
        Self::of_rule(RoomConfiguration {
            name: set(&client.name, &rule.name),
            empty_timeout: set(&client.empty_timeout, &rule.empty_timeout),
            departure_timeout: set(&client.departure_timeout, &rule.departure_timeout),
            max_participants: set(&client.max_participants, &rule.max_participants),
            min_playout_delay: set(&client.min_playout_delay, &rule.min_playout_delay),
            max_playout_delay: set(&client.max_playout_delay, &rule.max_playout_delay),
            sync_streams: set(&client.sync_streams, &rule.sync_streams),
            metadata: set(&client.metadata, &rule.metadata),
            tags: set(&client.tags, &rule.tags),
            agents: rule.agents.iter().chain(&client.agents).cloned().collect(),
            egress,
        })
    }

    /// The requested egress (recording or streaming the room), one entry for each kind.
    pub fn egress(&self) -> impl Iterator<Item = EgressRequest> {
        self.livekit.egress.iter().flat_map(room_members::of_egress)
    }

    /// The agents to dispatch.
    pub fn agents(&self) -> impl Iterator<Item = AgentDispatch<'_>> {
        self.livekit.agents.iter().zip(&self.indices).map(|(agent, index)| AgentDispatch {
            index: *index,
            name: &agent.agent_name,
            deployment: Some(agent.deployment.as_str()).filter(|deployment| !deployment.is_empty()),
            members: room_members::of_agent(agent),
        })
    }

    /// The paths of the other settings.
    pub fn settings(&self) -> impl Iterator<Item = &'static str> {
        room_members::settings(&self.livekit).into_iter()
    }

    /// LiveKit's own type, for the token.
    #[must_use]
    pub fn as_livekit(&self) -> &RoomConfiguration {
        &self.livekit
    }
}

fn remove_equal<T: Default + PartialEq>(value: &mut T, other: &T) {
    if value == other {
        *value = T::default();
    }
}

/// The first value, unless it is the default.
fn set<T: Clone + Default + PartialEq>(first: &T, otherwise: &T) -> T {
    if *first == T::default() { otherwise.clone() } else { first.clone() }
}

/// The path below `value` of the first member that no client may set, and the reason. A storage is refused even without
/// settings.
fn forbidden_below(value: &Value) -> Option<(String, &'static str)> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, inner)| {
            if let Some(why) = why_forbidden(name).filter(|_| !is_default(inner)) {
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

/// Why no client may set this member, in either casing of protobuf's JSON.
fn why_forbidden(member: &str) -> Option<&'static str> {
    let member = member.to_ascii_lowercase().replace('_', "");
    FORBIDDEN.iter().find(|(members, _)| members.contains(&member.as_str())).map(|(_, why)| *why)
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// In protobuf's JSON, null means the default, and a whole number may be written with a fraction of zero.
fn normalize(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, inner| !inner.is_null());
            members.values_mut().for_each(normalize);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(normalize);
        }
        Value::Number(number) if number.is_f64() => {
            if let Some(whole) = whole_number(value) {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// The member's path and the expected type. Of the decoder's message, only the end with the expected type is used,
/// because the beginning may contain the client's text.
fn wrong_type(error: &serde_path_to_error::Error<serde_json::Error>) -> InvalidField {
    let field = match error.path().to_string().as_str() {
        "." => RoomConfig::FIELD.to_owned(),
        path => format!("{}.{path}", RoomConfig::FIELD),
    };
    let message = error.inner().to_string();
    if message.starts_with("duplicate field") {
        return InvalidField::new(field, "contains a member in both casings");
    }
    match message.rsplit_once("expected ") {
        Some((_, expected)) if expected.starts_with("struct ") => {
            InvalidField::wrong_type(field, "an object")
        }
        Some((_, expected)) => InvalidField::wrong_type(field, expected),
        None => InvalidField::wrong_type(field, "a value that LiveKit's RoomConfiguration allows there"),
    }
}

/// Members of an egress request that no client may set, in lower case without underscores.
const FORBIDDEN: [(&[&str], &str); 3] = [
    (
        &["s3", "gcp", "azure", "alioss", "storage", "stream", "streamoutputs"],
        "anyone who holds the token could read the credentials or the stream's address",
    ),
    (&["custombaseurl", "webhooks"], "LiveKit would send private data of the room to the client's address"),
    (&["roomname"], "egress always records the token's own room"),
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
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        assert_eq!(
            livekit(json!({"departure_timeout": 6_002_825.0, "max_participants": 2e1})),
            json!({"departureTimeout": 6_002_825, "maxParticipants": 20})
        );
        assert_eq!(RoomConfig::parse(json!({"empty_timeout": 0.0})), Ok(None));
        assert!(refused(json!({"empty_timeout": 0.5})).starts_with("room_config.empty_timeout must be "));
    }

    #[test]
    fn default_values_are_absent() {
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
    fn only_values_that_differ_from_the_defaults_are_kept() {
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
    fn a_member_of_the_wrong_type_is_named_with_the_expected_type() {
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
            "room_config contains a member in both casings"
        );
        assert_eq!(refused(json!([])), "room_config must be an object");
        assert_eq!(
            refused(json!({"max_participants": -1})),
            "room_config.max_participants must be a value that LiveKit's RoomConfiguration allows there"
        );
    }

    #[test]
    fn a_member_with_a_secret_is_refused_with_its_path() {
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
    fn an_address_that_would_receive_private_data_is_refused() {
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
                refused.starts_with(&format!("room_config.egress.{path} is not allowed: LiveKit would send"))
            );
        }
        for nothing in [json!({"custom_base_url": ""}), json!({"webhooks": []})] {
            assert!(RoomConfig::parse(json!({"egress": {"room": nothing}})).is_ok());
        }
    }

    #[test]
    fn names_of_storages_are_allowed_outside_egress() {
        let config =
            json!({"tags": {"s3": "yes"}, "agents": [{"agentName": "a", "attributes": {"stream": "on"}}]});
        assert_eq!(livekit(config.clone()), config);
    }

    #[test]
    fn egress_without_a_secret_is_passed_to_the_policy() {
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
