//! A participant's permissions in a room, by LiveKit's names.

use serde::{Deserialize, Serialize};

/// `[rule.grants]`: LiveKit's video grants, without `room_join` and `room`, which every pass has. Unset grants have
/// LiveKit's defaults: publish, subscribe and data yes, everything else no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "LiveKit's own list of permissions, each on or off")]
pub struct Grants {
    /// `can_publish`: send tracks. Yes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// `can_subscribe`: receive tracks. Yes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// `can_publish_data`: send data messages. As `can_publish` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// `can_publish_sources`: which kinds of tracks may be sent; all unless set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<TrackSource>,
    /// `can_update_own_metadata`: change the participant's own name, metadata and attributes. No unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// `can_subscribe_metrics`: receive the room's metrics. No unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// `can_manage_agent_session`: manage an agent's session remotely. No unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
    /// `room_admin`: mute and remove other participants of this room. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub room_admin: bool,
    /// `room_create`: create and delete any room. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub room_create: bool,
    /// `room_list`: list rooms. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub room_list: bool,
    /// `room_record`: start and stop recordings. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub room_record: bool,
    /// `ingress_admin`: manage ingresses. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub ingress_admin: bool,
    /// `hidden`: be invisible to other participants. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub hidden: bool,
    /// `recorder`: be shown as a recorder. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub recorder: bool,
    /// `agent`: register as an agent's worker, and be an agent in the room. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub agent: bool,
    /// `destination_room`: a room that participants may be forwarded to. None unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_room: String,
    /// `kind`: the kind of participant. Standard unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: ParticipantKind,
    /// `kind_details`: details of the kind. None unless set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind_details: Vec<KindDetail>,
    /// `room_preset`: the server's preset for the room, if the join creates it. None unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub room_preset: String,
    /// `sip`: `{ admin, call }`: manage SIP, make outbound calls. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub sip: Sip,
    /// `cloud_agents`: `{ admin, simulation_admin, database_admin, dispatch_admin }`: manage the project's agents. No
    /// unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub cloud_agents: CloudAgents,
    /// `agent_endpoint`: `{ call, agent_name, deployment }`: call an agent's own HTTP endpoints. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub agent_endpoint: AgentEndpoint,
    /// `agent_thread`: `{ all, scope, thread_ids, list, create, write, read, delete }`: have persistent
    /// conversations with agents. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub agent_thread: AgentThread,
    /// `inference`: `{ perform }`: use LiveKit Inference. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub inference: Inference,
    /// `observability`: `{ write }`: publish observability data. No unless set.
    #[serde(skip_serializing_if = "is_default")]
    pub observability: Observability,
}

/// A kind of participant, by LiveKit's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantKind {
    /// `standard`: a person.
    #[default]
    Standard,
    /// `ingress`
    Ingress,
    /// `egress`
    Egress,
    /// `sip`
    Sip,
    /// `agent`
    Agent,
}

impl ParticipantKind {
    /// The value of the claim `kind`. Empty for a person, which is LiveKit's default.
    #[must_use]
    pub fn claim(self) -> &'static str {
        match self {
            Self::Standard => "",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Sip => "sip",
            Self::Agent => "agent",
        }
    }
}

/// A detail of a participant's kind, by LiveKit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KindDetail {
    /// `cloud_agent`
    CloudAgent,
    /// `forwarded`
    Forwarded,
    /// `connector_whatsapp`
    ConnectorWhatsapp,
    /// `connector_twilio`
    ConnectorTwilio,
    /// `bridge_rtsp`
    BridgeRtsp,
    /// `simulation`
    Simulation,
}

impl KindDetail {
    /// The name in LiveKit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudAgent => "cloud_agent",
            Self::Forwarded => "forwarded",
            Self::ConnectorWhatsapp => "connector_whatsapp",
            Self::ConnectorTwilio => "connector_twilio",
            Self::BridgeRtsp => "bridge_rtsp",
            Self::Simulation => "simulation",
        }
    }
}

/// `sip`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// `admin`: manage trunks and rules.
    pub admin: bool,
    /// `call`: make outbound calls.
    pub call: bool,
}

/// `cloud_agents`: the claim `agent` in a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "LiveKit's own list of permissions, each on or off")]
pub struct CloudAgents {
    /// `admin`: create, update and delete agents.
    pub admin: bool,
    /// `simulation_admin`: manage simulations and scenarios.
    pub simulation_admin: bool,
    /// `database_admin`: read and write the agents' databases.
    pub database_admin: bool,
    /// `dispatch_admin`: manage the queue of dispatches.
    pub dispatch_admin: bool,
}

/// `agent_endpoint`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentEndpoint {
    /// `call`: call private endpoints.
    pub call: bool,
    /// `agent_name`: only this agent's endpoints. Every agent's unless set.
    pub agent_name: String,
    /// `deployment`: only this deployment's endpoints. Every deployment's unless set.
    pub deployment: String,
}

/// `agent_thread`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "LiveKit's own list of permissions, each on or off")]
pub struct AgentThread {
    /// `all`: in every scope, and every thread.
    pub all: bool,
    /// `scope`: list and create threads in this scope.
    pub scope: String,
    /// `thread_ids`: read, write and delete these threads.
    pub thread_ids: Vec<String>,
    /// `list`: list the threads of the scope.
    pub list: bool,
    /// `create`: create a thread in the scope.
    pub create: bool,
    /// `write`: add to the threads.
    pub write: bool,
    /// `read`: read the threads.
    pub read: bool,
    /// `delete`: delete the threads.
    pub delete: bool,
}

/// `inference`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inference {
    /// `perform`: use models.
    pub perform: bool,
}

/// `observability`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Observability {
    /// `write`: publish data.
    pub write: bool,
}

impl Grants {
    /// All grants, including LiveKit's defaults: each grant's name, its value, and whether the value is the default.
    #[must_use]
    pub fn effective(&self) -> Vec<(&'static str, String, bool)> {
        let optional = |name, value: Option<bool>, default: bool| {
            (name, value.unwrap_or(default).to_string(), value.is_none_or(|value| value == default))
        };
        let publish = self.can_publish.unwrap_or(true);
        let sources: Vec<_> = self.can_publish_sources.iter().map(|source| source.as_str()).collect();
        let details: Vec<_> = self.kind_details.iter().map(|detail| detail.as_str()).collect();
        let flag = |name, value: bool| (name, value.to_string(), !value);
        let text = |name, value: &str, default: &str| {
            (name, if value.is_empty() { default } else { value }.to_owned(), value.is_empty())
        };
        let (agents, endpoint, thread) = (&self.cloud_agents, &self.agent_endpoint, &self.agent_thread);
        vec![
            optional("can_publish", self.can_publish, true),
            text("can_publish_sources", &sources.join(", "), "all"),
            optional("can_subscribe", self.can_subscribe, true),
            optional("can_publish_data", self.can_publish_data, publish),
            optional("can_update_own_metadata", self.can_update_own_metadata, false),
            optional("can_subscribe_metrics", self.can_subscribe_metrics, false),
            optional("can_manage_agent_session", self.can_manage_agent_session, false),
            flag("room_admin", self.room_admin),
            flag("room_create", self.room_create),
            flag("room_list", self.room_list),
            flag("room_record", self.room_record),
            flag("ingress_admin", self.ingress_admin),
            flag("hidden", self.hidden),
            flag("recorder", self.recorder),
            flag("agent", self.agent),
            text("destination_room", &self.destination_room, "none"),
            text("kind", self.kind.claim(), "standard"),
            text("kind_details", &details.join(", "), "none"),
            text("room_preset", &self.room_preset, "none"),
            flag("sip.admin", self.sip.admin),
            flag("sip.call", self.sip.call),
            flag("cloud_agents.admin", agents.admin),
            flag("cloud_agents.simulation_admin", agents.simulation_admin),
            flag("cloud_agents.database_admin", agents.database_admin),
            flag("cloud_agents.dispatch_admin", agents.dispatch_admin),
            flag("agent_endpoint.call", endpoint.call),
            text("agent_endpoint.agent_name", &endpoint.agent_name, "every agent"),
            text("agent_endpoint.deployment", &endpoint.deployment, "every deployment"),
            flag("agent_thread.all", thread.all),
            text("agent_thread.scope", &thread.scope, "none"),
            text("agent_thread.thread_ids", &thread.thread_ids.join(", "), "none"),
            flag("agent_thread.list", thread.list),
            flag("agent_thread.create", thread.create),
            flag("agent_thread.write", thread.write),
            flag("agent_thread.read", thread.read),
            flag("agent_thread.delete", thread.delete),
            flag("inference.perform", self.inference.perform),
            flag("observability.write", self.observability.write),
        ]
    }
}

impl Grants {
    /// The grants that give more than `other` does.
    pub fn more_than(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        self.compared_with(other).into_iter().filter_map(|(name, is_more)| is_more.then_some(name))
    }

    /// The grants whose values differ from those of `other`.
    pub fn different_from(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        self.compared_with(other).into_iter().map(|(name, _)| name)
    }

    /// The grants whose values differ, each with whether it gives more than that of `other`. By value, because the names in
    /// a grant can be any text.
    fn compared_with(&self, other: &Self) -> Vec<(&'static str, bool)> {
        let flag = |name, own: bool, other: bool| (own != other).then_some((name, own));
        let optional = |name, own: Option<bool>, other: Option<bool>, default: bool| {
            flag(name, own.unwrap_or(default), other.unwrap_or(default))
        };
        // Unset, it gives nothing.
        let text = |name, own: &str, other: &str| (own != other).then_some((name, !own.is_empty()));
        // Unset, it doesn't limit another grant.
        let limit = |name, own: &str, other: &str| (own != other).then_some((name, !other.is_empty()));
        let sends = |grants: &Self| grants.can_publish.unwrap_or(true);
        let (agents, other_agents) = (&self.cloud_agents, &other.cloud_agents);
        let (endpoint, other_endpoint) = (&self.agent_endpoint, &other.agent_endpoint);
        let (thread, other_thread) = (&self.agent_thread, &other.agent_thread);
        [
            flag("can_publish", sends(self), sends(other)),
            limits(&self.can_publish_sources, &other.can_publish_sources)
                .map(|more| ("can_publish_sources", more)),
            optional("can_subscribe", self.can_subscribe, other.can_subscribe, true),
            flag(
                "can_publish_data",
                self.can_publish_data.unwrap_or(sends(self)),
                other.can_publish_data.unwrap_or(sends(other)),
            ),
            optional(
                "can_update_own_metadata",
                self.can_update_own_metadata,
                other.can_update_own_metadata,
                false,
            ),
            optional("can_subscribe_metrics", self.can_subscribe_metrics, other.can_subscribe_metrics, false),
            optional(
                "can_manage_agent_session",
                self.can_manage_agent_session,
                other.can_manage_agent_session,
                false,
            ),
            flag("room_admin", self.room_admin, other.room_admin),
            flag("room_create", self.room_create, other.room_create),
            flag("room_list", self.room_list, other.room_list),
            flag("room_record", self.room_record, other.room_record),
            flag("ingress_admin", self.ingress_admin, other.ingress_admin),
            flag("hidden", self.hidden, other.hidden),
            flag("recorder", self.recorder, other.recorder),
            flag("agent", self.agent, other.agent),
            text("destination_room", &self.destination_room, &other.destination_room),
            text("kind", self.kind.claim(), other.kind.claim()),
            contents(&self.kind_details, &other.kind_details).map(|more| ("kind_details", more)),
            text("room_preset", &self.room_preset, &other.room_preset),
            flag("sip.admin", self.sip.admin, other.sip.admin),
            flag("sip.call", self.sip.call, other.sip.call),
            flag("cloud_agents.admin", agents.admin, other_agents.admin),
            flag("cloud_agents.simulation_admin", agents.simulation_admin, other_agents.simulation_admin),
            flag("cloud_agents.database_admin", agents.database_admin, other_agents.database_admin),
            flag("cloud_agents.dispatch_admin", agents.dispatch_admin, other_agents.dispatch_admin),
            flag("agent_endpoint.call", endpoint.call, other_endpoint.call),
            limit("agent_endpoint.agent_name", &endpoint.agent_name, &other_endpoint.agent_name),
            limit("agent_endpoint.deployment", &endpoint.deployment, &other_endpoint.deployment),
            flag("agent_thread.all", thread.all, other_thread.all),
            text("agent_thread.scope", &thread.scope, &other_thread.scope),
            contents(&thread.thread_ids, &other_thread.thread_ids)
                .map(|more| ("agent_thread.thread_ids", more)),
            flag("agent_thread.list", thread.list, other_thread.list),
            flag("agent_thread.create", thread.create, other_thread.create),
            flag("agent_thread.write", thread.write, other_thread.write),
            flag("agent_thread.read", thread.read, other_thread.read),
            flag("agent_thread.delete", thread.delete, other_thread.delete),
            flag("inference.perform", self.inference.perform, other.inference.perform),
            flag("observability.write", self.observability.write, other.observability.write),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Whether a list gives more than another, if they differ. An empty list gives nothing.
fn contents<T: PartialEq>(own: &[T], other: &[T]) -> Option<bool> {
    let is_within = |one: &[T], other: &[T]| one.iter().all(|value| other.contains(value));
    (!is_within(own, other) || !is_within(other, own)).then(|| !is_within(own, other))
}

/// Whether a list gives more than another, if they differ. An empty list gives everything.
fn limits<T: PartialEq>(own: &[T], other: &[T]) -> Option<bool> {
    match (own.is_empty(), other.is_empty()) {
        (true, true) => None,
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => contents(own, other),
    }
}

/// A kind of track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackSource {
    /// `camera`
    Camera,
    /// `microphone`
    Microphone,
    /// `screen_share`
    ScreenShare,
    /// `screen_share_audio`
    ScreenShareAudio,
}

impl TrackSource {
    /// The name in LiveKit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::ScreenShare => "screen_share",
            Self::ScreenShareAudio => "screen_share_audio",
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_the_file_and_in_a_token() {
        let details = [
            KindDetail::CloudAgent,
            KindDetail::Forwarded,
            KindDetail::ConnectorWhatsapp,
            KindDetail::ConnectorTwilio,
            KindDetail::BridgeRtsp,
            KindDetail::Simulation,
        ];
        for detail in details {
            assert_eq!(serde_json::to_value(detail).unwrap(), detail.as_str());
        }
        let sources = [
            TrackSource::Camera,
            TrackSource::Microphone,
            TrackSource::ScreenShare,
            TrackSource::ScreenShareAudio,
        ];
        for source in sources {
            assert_eq!(serde_json::to_value(source).unwrap(), source.as_str());
        }
    }

    #[test]
    fn more_is_what_the_other_does_not_give() {
        let more = |own: &str, other: &str| {
            let [own, other]: [Grants; 2] = [own, other].map(|text| toml::from_str(text).unwrap());
            own.more_than(&other).collect::<Vec<_>>()
        };
        for (own, other, names) in [
            ("", "", vec![]),
            ("can_publish = false", "", vec![]),
            ("", "can_publish = false", vec!["can_publish", "can_publish_data"]),
            ("can_publish_sources = ['camera']", "", vec![]),
            ("", "can_publish_sources = ['camera']", vec!["can_publish_sources"]),
            (
                "can_publish_sources = ['microphone']",
                "can_publish_sources = ['camera']",
                vec!["can_publish_sources"],
            ),
            ("can_publish_sources = ['camera']", "can_publish_sources = ['camera', 'microphone']", vec![]),
            ("kind_details = ['forwarded']", "kind_details = ['forwarded', 'simulation']", vec![]),
            ("kind_details = ['forwarded']", "", vec!["kind_details"]),
            ("agent_thread.thread_ids = ['a']", "agent_thread.thread_ids = ['a', 'b']", vec![]),
            (
                "agent_thread.thread_ids = ['a', 'c']",
                "agent_thread.thread_ids = ['a', 'b']",
                vec!["agent_thread.thread_ids"],
            ),
            ("agent_endpoint.agent_name = 'a'", "", vec![]),
            ("", "agent_endpoint.agent_name = 'a'", vec!["agent_endpoint.agent_name"]),
            (
                "agent_endpoint.deployment = 'b'",
                "agent_endpoint.deployment = 'a'",
                vec!["agent_endpoint.deployment"],
            ),
            ("agent_thread.scope = 'a'", "", vec!["agent_thread.scope"]),
            (
                "",
                "agent_thread.scope = 'a'\ndestination_room = 'r'\nkind = 'agent'\nroom_preset = 'p'",
                vec![],
            ),
            ("destination_room = 'r'", "destination_room = 'q'", vec!["destination_room"]),
            ("room_preset = 'p'", "", vec!["room_preset"]),
            ("kind = 'agent'", "", vec!["kind"]),
            ("hidden = true\nsip.call = true", "hidden = true", vec!["sip.call"]),
            // Names that are also words for values.
            (
                "agent_endpoint.agent_name = 'false'",
                "agent_endpoint.agent_name = 'a'",
                vec!["agent_endpoint.agent_name"],
            ),
            ("agent_thread.scope = 'false'", "agent_thread.scope = 'a'", vec!["agent_thread.scope"]),
            ("agent_thread.scope = 'none'", "", vec!["agent_thread.scope"]),
            ("destination_room = 'none'", "", vec!["destination_room"]),
            ("room_preset = 'false'", "", vec!["room_preset"]),
            (
                "agent_thread.thread_ids = ['a', 'b']",
                "agent_thread.thread_ids = ['a, b']",
                vec!["agent_thread.thread_ids"],
            ),
        ] {
            assert_eq!(more(own, other), names, "{own} {other}");
        }
    }

    #[test]
    fn each_grant_is_compared() {
        let all = r#"
            can_publish = false
            can_publish_sources = ["camera"]
            can_subscribe = false
            can_publish_data = true
            can_update_own_metadata = true
            can_subscribe_metrics = true
            can_manage_agent_session = true
            room_admin = true
            room_create = true
            room_list = true
            room_record = true
            ingress_admin = true
            hidden = true
            recorder = true
            agent = true
            destination_room = "none"
            kind = "agent"
            kind_details = ["forwarded"]
            room_preset = "none"
            sip = { admin = true, call = true }
            cloud_agents = { admin = true, simulation_admin = true, database_admin = true, dispatch_admin = true }
            agent_endpoint = { call = true, agent_name = "every agent", deployment = "every deployment" }
            agent_thread = { all = true, scope = "none", thread_ids = ["none"], list = true, create = true, write = true, read = true, delete = true }
            inference.perform = true
            observability.write = true
        "#;
        let all: Grants = toml::from_str(all).unwrap();
        let names: Vec<_> = all.different_from(&Grants::default()).collect();
        let every = Grants::default().effective().into_iter().map(|(name, ..)| name);
        let every: Vec<_> = every.filter(|name| *name != "can_publish_data").collect();
        assert_eq!(names, every, "data may be sent by default");
        assert_eq!(all.different_from(&all).count(), 0);
    }
}
