//! One rule of the policy, as it's written in `roompass.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::condition::Conditions;
use super::template::Template;
use super::{RoomPattern, agents, egress};
use crate::domain::{Grants, LoginService, Ttl};

/// `[[rule]]`: who may have what.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `name`: what the log and `explain` call it.
    pub name: String,
    /// `callers`: the callers it's for, by name.
    pub callers: Vec<String>,
    /// `when`: what else must be so of the caller. Nothing unless set.
    #[serde(default)]
    pub when: Conditions,
    /// `rooms`: patterns for the rooms it opens, asked for or not. A rule with none refuses its callers, whatever they
    /// ask for.
    pub rooms: Vec<RoomPattern>,
    /// `default_room`: the room it opens when none is asked for. `room-{random}` unless set.
    pub default_room: Option<Template>,
    /// `identity`: who its holder is in the room. `user-{random}` unless set.
    #[serde(default = "generated_identity")]
    pub identity: Template,
    /// `participant_name`: the name to be shown. None unless set.
    pub participant_name: Option<Template>,
    /// `participant_metadata`: free text to be seen with. None unless set.
    pub participant_metadata: Option<Template>,
    /// `participant_attributes`: attributes that others see; the client can't change them.
    #[serde(default)]
    pub participant_attributes: BTreeMap<String, Template>,
    /// `client_may_set`: the fields that a request may set, in addition to the room. None unless set.
    #[serde(default)]
    pub client_may_set: Vec<ClientField>,
    /// `agents`: the agents that a request may dispatch, by name; "*" for any. The first entry that covers an agent
    /// decides on it. None unless set.
    #[serde(default)]
    pub agents: Vec<agents::Allowed>,
    /// `egress`: what a request may have recorded. Nothing unless set.
    #[serde(default)]
    pub egress: Vec<egress::AllowedEgress>,
    /// `agora_logins`: the services of Agora's that a request may log in to, which is bound to no room: `rtm`, `chat`.
    /// A rule that doesn't say so is skipped where a login is requested; one that says `[]` gives none.
    pub agora_logins: Option<Vec<LoginService>>,
    /// `ttl`: how long the token can be used to join, as "10m". 1 second to 24 hours. As the dialect has it unless set:
    /// 10 minutes in LiveKit's and OpenVidu's, 15 minutes in the sandbox's, an hour in Agora's.
    pub ttl: Option<Ttl>,
    /// `max_ttl`: the most that a request may ask for, where its dialect can ask. As `ttl` unless set.
    pub max_ttl: Option<Ttl>,
    /// `within_credential`: the token ends no later than what the caller showed. No unless set.
    #[serde(default)]
    pub within_credential: bool,
    /// `[rule.grants]`: what its holder may do in the room. LiveKit's defaults unless set.
    #[serde(default)]
    pub grants: Grants,
}

impl Rule {
    pub(super) fn lets_client_set(&self, path: &str) -> bool {
        self.client_may_set.iter().any(|field| field.covers(path))
    }
}

fn generated_identity() -> Template {
    Template::try_from("user-{random}".to_owned()).expect("it's a text with a placeholder")
}

/// A field that a rule can let the client set, by its path in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientField(&'static str);

impl<'de> Deserialize<'de> for ClientField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        CLIENT_FIELDS.into_iter().find(|field| *field == path).map(Self).ok_or_else(|| {
            let list = CLIENT_FIELDS.join(", ");
            D::Error::custom(format_args!("{path:?} is not a field that a client can be let set: write one of {list}; agents and egress have keys of their own"))
        })
    }
}

impl ClientField {
    /// Its path in a request.
    #[must_use]
    pub fn path(self) -> &'static str {
        self.0
    }

    /// Whether it's the path, or what the path is inside of.
    fn covers(self, path: &str) -> bool {
        path.strip_prefix(self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

const CLIENT_FIELDS: [&str; 14] = [
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
];
