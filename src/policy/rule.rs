//! One rule of the policy, as it's written in `roompass.toml`, and whether it's for a caller and a request.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::condition::Conditions;
use super::template::{Template, Unfit};
use super::{RoomPattern, agents, egress};
use crate::auth::Caller;
use crate::domain::{
    Grants, Identity, InvalidField, Limits, LoginService, Metadata, ParticipantName, PassRequest, Randomness,
    RoomName, Ttl,
};

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
    /// `rooms`: patterns for the rooms it opens, asked for or not. A rule with none refuses whoever it's for, whatever they
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
    /// `participant_attributes`: attributes to be seen with, which stand whatever the client sets besides.
    #[serde(default)]
    pub participant_attributes: BTreeMap<String, Template>,
    /// `client_may_set`: the fields, besides the room, that a request may set. None unless set.
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
    /// A rule that doesn't say so is passed over where a login is asked for; one that says `[]` gives none.
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

/// What a rule that is for a caller and a request gives, before it's looked at what else was asked for.
pub(super) struct Offer {
    pub(super) room: RoomName,
    pub(super) identity: Identity,
    pub(super) name: Option<ParticipantName>,
    pub(super) metadata: Option<Metadata>,
    pub(super) attributes: BTreeMap<String, String>,
}

/// Why a rule is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassedOver {
    /// It's for other callers.
    #[error("it's for other callers")]
    OtherCaller,
    /// A condition of it doesn't hold.
    #[error("it's only when {0}")]
    Condition(String),
    /// A placeholder of it doesn't fit the caller.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// A value of the caller's is too long for what the rule makes of it.
    #[error("the rule's {0}")]
    Invalid(#[from] InvalidField),
    /// It's for other rooms than the one asked for.
    #[error("it's for other rooms")]
    OtherRoom,
    /// A login is asked for, and it has no `agora_logins`.
    #[error("a login is asked for, and it has no agora_logins")]
    NoLogins,
    /// No room is asked for, and what is generated isn't one of its rooms.
    #[error("no room is asked for, and it has no default_room")]
    NoRoom,
}

impl Rule {
    /// What it gives, if it's for this caller and this request, and gives any room.
    pub(super) fn offer(
        &self,
        caller: &Caller,
        request: &PassRequest,
        limits: &Limits,
        randomness: Randomness,
    ) -> Result<Option<Offer>, PassedOver> {
        self.is_for(caller, request.sandbox_id.as_deref())?;
        if self.rooms.is_empty() {
            return Ok(None);
        }
        let room = self.room(caller, request, limits, randomness)?;
        let fill = |template: &Option<Template>| {
            template.as_ref().map(|template| template.fill(caller, randomness)).transpose()
        };
        let identity = self.identity(caller, limits, randomness)?;
        let attributes = self.participant_attributes.iter();
        Ok(Some(Offer {
            room,
            identity,
            name: fill(&self.participant_name)?
                .map(|name| ParticipantName::parse(name, limits))
                .transpose()?,
            metadata: fill(&self.participant_metadata)?
                .map(|text| Metadata::parse(text, limits))
                .transpose()?,
            attributes: attributes
                .map(|(key, template)| Ok((key.clone(), template.fill(caller, randomness)?)))
                .collect::<Result<_, Unfit>>()?,
        }))
    }

    /// Who a caller is who logs in to a service, if it decides on this caller's logins and gives this one.
    pub(super) fn login(
        &self,
        caller: &Caller,
        service: LoginService,
        limits: &Limits,
        randomness: Randomness,
    ) -> Result<Option<Identity>, PassedOver> {
        self.is_for(caller, None)?;
        if self.rooms.is_empty() && self.agora_logins.is_none() {
            return Ok(None);
        }
        let Some(services) = &self.agora_logins else { return Err(PassedOver::NoLogins) };
        let identity = self.identity(caller, limits, randomness)?;
        Ok(services.contains(&service).then_some(identity))
    }

    fn is_for(&self, caller: &Caller, sandbox_id: Option<&str>) -> Result<(), PassedOver> {
        if !self.callers.contains(&caller.name) {
            return Err(PassedOver::OtherCaller);
        }
        match self.when.unmet_by(caller, sandbox_id) {
            Some((source, condition)) => Err(PassedOver::Condition(format!("{source} {condition}"))),
            None => Ok(()),
        }
    }

    fn identity(
        &self,
        caller: &Caller,
        limits: &Limits,
        randomness: Randomness,
    ) -> Result<Identity, PassedOver> {
        Ok(Identity::parse(self.identity.fill(caller, randomness)?, limits)?)
    }

    /// The room asked for, or else its own, if that is one of its rooms.
    fn room(
        &self,
        caller: &Caller,
        request: &PassRequest,
        limits: &Limits,
        randomness: Randomness,
    ) -> Result<RoomName, PassedOver> {
        let room = match (&request.room, &self.default_room) {
            (Some(asked), _) => asked.clone(),
            (None, Some(default)) => RoomName::parse(default.fill(caller, randomness)?, limits)?,
            (None, None) => RoomName::generated(randomness),
        };
        let mut unfit = None;
        for pattern in &self.rooms {
            match pattern.matches(room.as_str(), caller) {
                Ok(true) => return Ok(room),
                Ok(false) => {}
                Err(error) => unfit = Some(error),
            }
        }
        Err(match (unfit, &request.room) {
            (Some(unfit), _) => unfit.into(),
            (None, Some(_)) => PassedOver::OtherRoom,
            (None, None) => PassedOver::NoRoom,
        })
    }

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
