//! `[[rule]]` in `roompass.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::condition::Conditions;
use super::template::Template;
use super::{RoomPattern, RoomSettings, agents, egress};
use crate::domain::{Grants, GrantsAsk, LoginService, Project, Ttl};
use crate::suggestion::{did_you_mean, suggestion};

/// `[[rule]]`: what some callers may have.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `name`: its name in the log and in `explain`.
    pub name: String,
    /// `callers`: the names of its callers.
    pub callers: Vec<String>,
    /// `when`: conditions on the caller. None unless set.
    #[serde(default)]
    pub when: Conditions,
    /// `rooms`: patterns for the rooms that its callers may join. An empty list denies all of its callers' requests,
    /// unless `agora_logins` is set.
    pub rooms: Vec<RoomPattern>,
    /// `default_room`: the room for requests without one. `room-{random}` unless set.
    pub default_room: Option<Template>,
    /// `project`: the project whose keys sign the token, and whose server the client connects to. `default` unless set.
    pub project: Option<Template>,
    /// `projects`: what `project` may be, if it has placeholders. For another value the rule is skipped.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// `identity`: the participant's identity. `user-{random}` unless set.
    #[serde(default = "generated_identity")]
    pub identity: Template,
    /// `participant_name`: the name that others see. None unless set.
    pub participant_name: Option<Template>,
    /// `participant_metadata`: free text that others see. None unless set.
    pub participant_metadata: Option<Template>,
    /// `participant_attributes`: attributes that others see; the client can't change them.
    #[serde(default)]
    pub participant_attributes: BTreeMap<String, Template>,
    /// `client_may_set`: the fields that a request may set, in addition to the room. None unless set.
    #[serde(default)]
    pub client_may_set: Vec<ClientField>,
    /// `agents`: the agents that a request may dispatch, by name; "*" for any. The first entry that covers an agent
    /// decides. None unless set.
    #[serde(default)]
    pub agents: Vec<agents::AllowedAgent>,
    /// `egress`: the kinds of egress that a request may ask for. None unless set.
    #[serde(default)]
    pub egress: Vec<egress::AllowedEgress>,
    /// `[rule.room_config]`: settings of the room, if the join creates it. None unless set.
    #[serde(default)]
    pub room_config: RoomSettings,
    /// `agora_logins`: Agora's services without rooms that a request may log in to: `rtm`, `chat`. Unset, the rule is
    /// skipped for logins; `[]` denies them.
    pub agora_logins: Option<Vec<LoginService>>,
    /// `agora_uid_zero`: whether a request may have Agora's uid 0. Its token is valid for any user of the channel. No unless
    /// set.
    #[serde(default)]
    pub agora_uid_zero: bool,
    /// `ttl`: how long the token can be used to join, such as "10m". 1 second to 24 hours. The dialect's default unless
    /// set: 10 minutes for LiveKit and OpenVidu, 15 minutes for the sandbox, an hour for Agora.
    pub ttl: Option<Ttl>,
    /// `max_ttl`: the longest lifetime that a request may ask for, in dialects that have one. `ttl` unless set.
    pub max_ttl: Option<Ttl>,
    /// `within_credential`: the token expires no later than the caller's credential. No unless set.
    #[serde(default)]
    pub within_credential: bool,
    /// `[rule.grants]`: the participant's permissions in the room. LiveKit's defaults unless set.
    #[serde(default)]
    pub grants: Grants,
}

/// The keys of a rule.
pub(crate) const RULE_KEYS: [&str; 21] = [
    "name",
    "callers",
    "when",
    "rooms",
    "default_room",
    "project",
    "projects",
    "identity",
    "participant_name",
    "participant_metadata",
    "participant_attributes",
    "client_may_set",
    "agents",
    "egress",
    "room_config",
    "agora_logins",
    "agora_uid_zero",
    "ttl",
    "max_ttl",
    "within_credential",
    "grants",
];

impl Rule {
    pub(super) fn allows_field(&self, path: &str) -> bool {
        self.client_may_set.iter().any(|field| field.covers(path))
    }

    /// Whether `client_may_set` lists this grant, or its group, by name. A client may ask for it even if the rule doesn't
    /// give it.
    pub(super) fn lists_grant(&self, path: &str) -> bool {
        self.client_may_set.iter().any(|field| field.0 != GrantsAsk::FIELD && field.covers(path))
    }

    /// The projects whose keys may sign the rule's tokens.
    #[must_use]
    pub fn possible_projects(&self) -> Vec<Project> {
        match &self.project {
            None => vec![Project::default()],
            Some(project) if project.is_constant() => {
                Project::parse(project.to_string()).into_iter().collect()
            }
            Some(_) => self.projects.clone(),
        }
    }

    /// Whether `client_may_set` lists grants, all or some.
    pub(super) fn lists_grants(&self) -> bool {
        self.client_may_set.iter().any(|field| field.0.split('.').next() == Some(GrantsAsk::FIELD))
    }
}

fn generated_identity() -> Template {
    Template::try_from("user-{random}".to_owned()).expect("the template is valid")
}

/// A field in `client_may_set`, by its path in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientField(&'static str);

impl<'de> Deserialize<'de> for ClientField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        Self::parse(&path).ok_or_else(|| {
            let all = CLIENT_FIELDS.into_iter().chain(GRANT_FIELDS);
            let suggestion = did_you_mean(suggestion(&path, all));
            let list = CLIENT_FIELDS.join(", ");
            D::Error::custom(format_args!("{path:?} is not allowed in client_may_set: use one of {list}; also grants.NAME, with the name of a grant. agents and egress have their own keys{suggestion}"))
        })
    }
}

impl ClientField {
    fn parse(path: &str) -> Option<Self> {
        CLIENT_FIELDS.into_iter().chain(GRANT_FIELDS).find(|field| *field == path).map(Self)
    }

    /// The field of a grant.
    pub(super) fn of_grant(name: &str) -> Option<Self> {
        let is_named = |field: &&str| field.strip_prefix("grants.") == Some(name);
        GRANT_FIELDS.into_iter().find(is_named).map(Self)
    }

    /// The path in a request.
    #[must_use]
    pub fn path(self) -> &'static str {
        self.0
    }

    /// Whether it is the path, or an object that contains the path.
    fn covers(self, path: &str) -> bool {
        path.strip_prefix(self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

const CLIENT_FIELDS: [&str; 16] = [
    "participant_identity",
    "participant_name",
    "participant_metadata",
    "participant_attributes",
    "room_config",
    "room_config.name",
    "room_config.empty_timeout",
    "room_config.departure_timeout",
    "room_config.max_participants",
    "room_config.min_playout_delay",
    "room_config.max_playout_delay",
    "room_config.sync_streams",
    "room_config.metadata",
    "room_config.tags",
    "grants",
    "ttl",
];

/// Each grant, and each group of grants.
const GRANT_FIELDS: [&str; 44] = [
    "grants.can_publish",
    "grants.can_publish_sources",
    "grants.can_subscribe",
    "grants.can_publish_data",
    "grants.can_update_own_metadata",
    "grants.can_subscribe_metrics",
    "grants.can_manage_agent_session",
    "grants.room_admin",
    "grants.room_create",
    "grants.room_list",
    "grants.room_record",
    "grants.ingress_admin",
    "grants.hidden",
    "grants.recorder",
    "grants.agent",
    "grants.destination_room",
    "grants.kind",
    "grants.kind_details",
    "grants.room_preset",
    "grants.sip",
    "grants.sip.admin",
    "grants.sip.call",
    "grants.cloud_agents",
    "grants.cloud_agents.admin",
    "grants.cloud_agents.simulation_admin",
    "grants.cloud_agents.database_admin",
    "grants.cloud_agents.dispatch_admin",
    "grants.agent_endpoint",
    "grants.agent_endpoint.call",
    "grants.agent_endpoint.agent_name",
    "grants.agent_endpoint.deployment",
    "grants.agent_thread",
    "grants.agent_thread.all",
    "grants.agent_thread.scope",
    "grants.agent_thread.thread_ids",
    "grants.agent_thread.list",
    "grants.agent_thread.create",
    "grants.agent_thread.write",
    "grants.agent_thread.read",
    "grants.agent_thread.delete",
    "grants.inference",
    "grants.inference.perform",
    "grants.observability",
    "grants.observability.write",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_type() {
        let error = toml::from_str::<Rule>("x = 1").unwrap_err();
        let keys = RULE_KEYS.map(|key| format!("`{key}`")).join(", ");
        assert_eq!(error.message(), format!("unknown field `x`, expected one of {keys}"));
    }

    #[test]
    fn each_grant_can_be_listed() {
        for (name, ..) in Grants::default().effective() {
            assert!(ClientField::of_grant(name).is_some(), "{name}");
        }
        assert_eq!(ClientField::of_grant("room_join"), None);
    }
}
