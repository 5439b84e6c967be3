//! `[rule.room_config]`: settings of the room that the rule puts in the token. LiveKit applies them if the join creates the
//! room.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use livekit_protocol::{
    AutoParticipantEgress, AutoTrackEgress, EncodedFileOutput, RoomAgentDispatch, RoomCompositeEgressRequest,
    RoomConfiguration, RoomEgress,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::placeholder::FillError;
use super::template::{InvalidTemplate, Template, is_part_of_path};
use crate::caller::Caller;
use crate::domain::{AgentDispatch, Egress, Randomness, RoomConfig, RoomName, within};

/// `[rule.room_config]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomSettings {
    /// `agents`: the agents that are dispatched to the room, at most 8. None unless set.
    #[serde(deserialize_with = "agents")]
    pub agents: Vec<RuleAgent>,
    /// `max_participants`: the participant limit. None unless set.
    #[serde(deserialize_with = "participants")]
    pub max_participants: Option<u32>,
    /// `empty_timeout`: how long the room stays open if no participant joins, such as "5m". The server's default unless set.
    pub empty_timeout: Option<Timeout>,
    /// `departure_timeout`: how long the room stays open after the last participant has left. The server's default unless
    /// set.
    pub departure_timeout: Option<Timeout>,
    /// `metadata`: the room's metadata. None unless set.
    pub metadata: Option<Template>,
    /// `tags`: the room's tags. None unless set.
    pub tags: BTreeMap<String, Template>,
    /// `egress`: what is recorded, each with the path of its files. Nothing unless set.
    pub egress: RuleEgress,
}

/// An agent that the rule dispatches.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleAgent {
    /// `name`: the agent's name.
    pub name: String,
    /// `metadata`: the agent's metadata. None unless set.
    pub metadata: Option<Template>,
    /// `deployment`: the agent's deployment. LiveKit's default unless set.
    pub deployment: Option<String>,
}

/// The files of each kind of egress. The server's own configuration decides where they are stored.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleEgress {
    /// `room`: the file of all participants, mixed.
    #[serde(deserialize_with = "path")]
    pub room: Option<Template>,
    /// `participant`: the files of each participant.
    #[serde(deserialize_with = "path")]
    pub participant: Option<Template>,
    /// `tracks`: the files of each track.
    #[serde(deserialize_with = "path")]
    pub tracks: Option<Template>,
}

/// A number of whole seconds, up to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Timeout(#[serde(deserialize_with = "within::<_, 24>")] Duration);

impl Timeout {
    fn seconds(self) -> u32 {
        u32::try_from(self.0.as_secs()).unwrap_or(u32::MAX)
    }
}

impl RoomSettings {
    /// The settings for this caller, if there are any.
    ///
    /// # Errors
    /// If the caller lacks a value, or a value can't be a part of a file's path.
    pub(super) fn fill(
        &self,
        room: &RoomName,
        caller: &Caller,
        randomness: Randomness,
    ) -> Result<Option<RoomConfig>, FillError> {
        let text = |template: &Option<Template>| match template {
            Some(template) => template.fill_text(caller, randomness),
            None => Ok(String::new()),
        };
        let agent = |agent: &RuleAgent| {
            Ok(RoomAgentDispatch {
                agent_name: agent.name.clone(),
                metadata: text(&agent.metadata)?,
                deployment: agent.deployment.clone().unwrap_or_default(),
                ..RoomAgentDispatch::default()
            })
        };
        let tag =
            |(name, value): (&String, &Template)| Ok((name.clone(), value.fill_text(caller, randomness)?));
        Ok(RoomConfig::of_rule(RoomConfiguration {
            agents: self.agents.iter().map(agent).collect::<Result<_, _>>()?,
            max_participants: self.max_participants.unwrap_or_default(),
            empty_timeout: self.empty_timeout.map_or(0, Timeout::seconds),
            departure_timeout: self.departure_timeout.map_or(0, Timeout::seconds),
            metadata: text(&self.metadata)?,
            tags: self.tags.iter().map(tag).collect::<Result<_, _>>()?,
            egress: self.egress.fill(room, caller, randomness)?,
            ..RoomConfiguration::default()
        }))
    }

    /// All templates.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.texts().chain(self.egress.kinds().map(|(_, path)| path))
    }

    /// The templates of texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Template> {
        self.agents
            .iter()
            .filter_map(|agent| agent.metadata.as_ref())
            .chain(&self.metadata)
            .chain(self.tags.values())
    }
}

impl RuleEgress {
    fn kinds(&self) -> impl Iterator<Item = (Egress, &Template)> {
        let all = [
            (Egress::Room, &self.room),
            (Egress::Participant, &self.participant),
            (Egress::Tracks, &self.tracks),
        ];
        all.into_iter().filter_map(|(kind, path)| Some((kind, path.as_ref()?)))
    }

    fn fill(
        &self,
        room: &RoomName,
        caller: &Caller,
        randomness: Randomness,
    ) -> Result<Option<RoomEgress>, FillError> {
        let mut egress = RoomEgress::default();
        for (kind, path) in self.kinds() {
            let filepath = path.fill_path(caller, randomness)?;
            // LiveKit's egress puts the room's name into the path unchanged.
            if filepath.contains(ROOM_NAME) && !is_part_of_path(room.as_str()) {
                return Err(FillError::RoomNotInPath);
            }
            let file = || EncodedFileOutput { filepath: filepath.clone(), ..EncodedFileOutput::default() };
            match kind {
                Egress::Room => {
                    egress.room = Some(RoomCompositeEgressRequest {
                        file_outputs: vec![file()],
                        ..RoomCompositeEgressRequest::default()
                    });
                }
                Egress::Participant => {
                    egress.participant = Some(AutoParticipantEgress {
                        file_outputs: vec![file()],
                        ..AutoParticipantEgress::default()
                    });
                }
                Egress::Tracks => {
                    egress.tracks = Some(AutoTrackEgress { filepath, ..AutoTrackEgress::default() });
                }
            }
        }
        Ok((egress != RoomEgress::default()).then_some(egress))
    }
}

/// The path of files. Placeholders of LiveKit's egress are in doubled braces.
fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Template>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let of_livekit = PLACEHOLDERS.iter().find(|name| {
        let single = format!("{{{name}}}");
        text.contains(&single) && !text.contains(&format!("{{{single}}}"))
    });
    match (Template::try_from(text.clone()), of_livekit) {
        (Ok(template), _) => Ok(Some(template)),
        (Err(InvalidTemplate::Placeholder(_)), Some(name)) => Err(D::Error::custom(format_args!(
            "has {{{name}}}, which is a placeholder of LiveKit's egress: write {{{{{name}}}}}, with doubled braces"
        ))),
        (Err(error), _) => Err(D::Error::custom(error)),
    }
}

const ROOM_NAME: &str = "{room_name}";
/// The placeholders of LiveKit's egress.
const PLACEHOLDERS: [&str; 9] = [
    "room_name",
    "room_id",
    "time",
    "utc",
    "retry",
    "publisher_identity",
    "track_id",
    "track_type",
    "track_source",
];

/// The settings in one line.
impl fmt::Display for RoomSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |name: &str, timeout: Option<Timeout>| {
            timeout.map(|Timeout(time)| format!("{name} = {}", humantime::format_duration(time)))
        };
        let agents = self.agents.iter().map(|agent| format!("agent {}", agent.name));
        let egress = self.egress.kinds().map(|(kind, path)| format!("{} egress to {path}", kind.name()));
        let tags = self.tags.iter().map(|(name, value)| format!("tag {name} = {value}"));
        let all: Vec<_> = agents
            .chain(self.max_participants.map(|most| format!("max_participants = {most}")))
            .chain(seconds("empty_timeout", self.empty_timeout))
            .chain(seconds("departure_timeout", self.departure_timeout))
            .chain(self.metadata.as_ref().map(|metadata| format!("metadata = {metadata}")))
            .chain(tags)
            .chain(egress)
            .collect();
        formatter.write_str(&all.join(", "))
    }
}

fn agents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RuleAgent>, D::Error> {
    let agents = Vec::<RuleAgent>::deserialize(deserializer)?;
    if agents.len() > AgentDispatch::MAX {
        return Err(D::Error::custom(format_args!(
            "agents must have at most {} entries",
            AgentDispatch::MAX
        )));
    }
    if agents.iter().any(|agent| agent.name.is_empty()) {
        return Err(D::Error::custom("name of an agent must not be empty"));
    }
    Ok(agents)
}

fn participants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match u32::try_from(u64::deserialize(deserializer)?) {
        Ok(most) if most > 0 => Ok(Some(most)),
        _ => Err(D::Error::custom("max_participants must be 1 or more: omit it for no limit")),
    }
}
