//! Whether a rule matches a caller and an ask, and what it offers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::placeholder::{FillError, LEFT_OUT};
use super::template::Template;
use super::{Denial, Rule};
use crate::caller::Caller;
use crate::domain::{
    Ask, Identity, InvalidField, Limits, LoginService, Metadata, ParticipantName, Project, Randomness,
    RoomAsk, RoomConfig, RoomName,
};

/// What a matching rule offers, before the request's other fields are checked.
pub(super) struct Offered {
    pub(super) project: Project,
    pub(super) identity: Identity,
    /// The room, if the ask is for one.
    pub(super) room: Option<RoomOffer>,
}

/// A room, and the participant's public values.
pub(super) struct RoomOffer {
    pub(super) room: RoomName,
    pub(super) name: Option<ParticipantName>,
    pub(super) metadata: Option<Metadata>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) room_config: Option<RoomConfig>,
}

/// Why a rule doesn't match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It doesn't list this caller.
    #[error("caller not in callers")]
    OtherCaller,
    /// One of its conditions isn't met.
    #[error("condition not met: {0}")]
    Condition(String),
    /// One of its conditions isn't met, because the issuer left the claim out of the token.
    #[error("condition not met: {0}: {LEFT_OUT} ({1})")]
    ConditionLeftOut(String, &'static str),
    /// One of its placeholders can't be filled for the caller.
    #[error("{0}")]
    Template(#[from] FillError),
    /// A filled template is too long.
    #[error("the rule's {0}")]
    Invalid(#[from] InvalidField),
    /// Its project isn't one of its projects.
    #[error("project {0:?} is not in projects")]
    OtherProject(String),
    /// The requested room doesn't match its rooms.
    #[error("room {0:?} does not match rooms")]
    OtherRoom(String),
    /// The ask is for a login, and it has no `agora_logins`.
    #[error("a login was requested, and the rule has no agora_logins")]
    NoLogins,
    /// No room is requested, and a generated one doesn't match its rooms.
    #[error("no room was requested, and the rule has no default_room")]
    NoRoom,
}

impl Skipped {
    /// Whether the issuer left a claim out of the token, and the rule might match with it.
    #[must_use]
    pub fn is_for_a_left_out_claim(&self) -> bool {
        matches!(self, Self::ConditionLeftOut(..) | Self::Template(FillError::LeftOut(..)))
    }

    /// Whether no room is requested, and the rule has no default room for this caller.
    fn is_for_want_of_a_room(&self) -> bool {
        matches!(self, Self::NoRoom | Self::Template(FillError::Several(_)))
    }
}

impl Denial {
    /// The denial of a matching rule that offers nothing.
    pub(super) fn without_offer(rule: &Rule, ask: &Ask) -> Self {
        match ask {
            Ask::Room(_) => Self::NoRoom { rule: rule.name.clone() },
            Ask::Login(login) => Self::LoginNotAllowed(login.service),
        }
    }

    /// The denial if no rule matches.
    pub(super) fn no_match(ask: &Ask, skipped: &[(&str, Skipped)]) -> Self {
        let any_skipped = |is: fn(&Skipped) -> bool| skipped.iter().any(|(_, why)| is(why));
        match ask {
            Ask::Room(ask) if ask.room.is_none() && any_skipped(Skipped::is_for_want_of_a_room) => {
                Self::RoomRequired { field: ask.room_field.as_str() }
            }
            Ask::Room(_) if any_skipped(|why| matches!(why, Skipped::OtherRoom(_))) => Self::RoomNotAllowed,
            Ask::Login(login) if any_skipped(|why| *why == Skipped::NoLogins) => {
                Self::LoginNotAllowed(login.service)
            }
            _ => Self::NoRule,
        }
    }
}

impl Rule {
    /// The offer if the rule matches this caller and this ask. `None` if it matches and offers nothing.
    pub(super) fn offer(
        &self,
        caller: &Caller,
        ask: &Ask,
        limits: &Limits,
        randomness: Randomness,
    ) -> Result<Option<Offered>, Skipped> {
        let filling = Filling { caller, limits, randomness };
        match ask {
            Ask::Room(ask) => {
                self.check_caller(caller, ask.sandbox_id.as_deref())?;
                if self.rooms.is_empty() {
                    return Ok(None);
                }
                let project = self.own_project(&filling)?;
                let room = self.room_offer(ask, &filling)?;
                let identity = self.own_identity(&filling)?;
                Ok(Some(Offered { project, identity, room: Some(room) }))
            }
            Ask::Login(ask) => {
                self.check_caller(caller, None)?;
                self.login_offer(ask.service, &filling)
            }
        }
    }

    fn login_offer(&self, service: LoginService, filling: &Filling<'_>) -> Result<Option<Offered>, Skipped> {
        if self.rooms.is_empty() && self.agora_logins.is_none() {
            return Ok(None);
        }
        let services = self.agora_logins.as_ref().ok_or(Skipped::NoLogins)?;
        let (project, identity) = (self.own_project(filling)?, self.own_identity(filling)?);
        Ok(services.contains(&service).then_some(Offered { project, identity, room: None }))
    }

    fn room_offer(&self, ask: &RoomAsk, filling: &Filling<'_>) -> Result<RoomOffer, Skipped> {
        let name = self.participant_name.as_ref().map(|name| filling.fill(name)).transpose()?;
        let metadata = self.participant_metadata.as_ref().map(|text| filling.fill_text(text)).transpose()?;
        // A text is empty if its last alternative is.
        let is_set = |text: &String| !text.is_empty();
        let attributes = self.participant_attributes.iter();
        let room = self.room(ask, filling)?;
        Ok(RoomOffer {
            name: name.filter(is_set).map(|name| ParticipantName::parse(name, filling.limits)).transpose()?,
            metadata: metadata
                .filter(is_set)
                .map(|text| Metadata::parse(text, filling.limits))
                .transpose()?,
            attributes: attributes
                .map(|(key, template)| Ok((key.clone(), filling.fill_text(template)?)))
                .collect::<Result<_, FillError>>()?,
            room_config: self.room_config.fill(&room, filling.caller, filling.randomness)?,
            room,
        })
    }

    fn check_caller(&self, caller: &Caller, sandbox_id: Option<&str>) -> Result<(), Skipped> {
        if !self.callers.contains(&caller.name) {
            return Err(Skipped::OtherCaller);
        }
        match self.when.first_unmet(caller, sandbox_id) {
            Some((source, condition)) => {
                let condition = format!("{source} {condition}");
                Err(match source.left_out(caller) {
                    Some(by) => Skipped::ConditionLeftOut(condition, by),
                    None => Skipped::Condition(condition),
                })
            }
            None => Ok(()),
        }
    }

    fn own_project(&self, filling: &Filling<'_>) -> Result<Project, Skipped> {
        let Some(template) = &self.project else { return Ok(Project::default()) };
        let name = filling.fill(template)?;
        let is_allowed = |project: &Project| template.is_constant() || self.projects.contains(project);
        Project::parse(name.as_str()).ok().filter(is_allowed).ok_or(Skipped::OtherProject(name))
    }

    fn own_identity(&self, filling: &Filling<'_>) -> Result<Identity, Skipped> {
        Ok(Identity::parse(filling.fill(&self.identity)?, filling.limits)?)
    }

    /// The requested room or the default room, if it matches `rooms`.
    fn room(&self, ask: &RoomAsk, filling: &Filling<'_>) -> Result<RoomName, Skipped> {
        let room = match (&ask.room, &self.default_room) {
            (Some(requested), _) => Cow::Borrowed(requested),
            (None, Some(default)) => Cow::Owned(RoomName::parse(filling.fill(default)?, filling.limits)?),
            (None, None) => Cow::Owned(RoomName::generated(filling.randomness)),
        };
        let mut fill_error = None;
        for pattern in &self.rooms {
            match pattern.matches(room.as_str(), filling.caller) {
                Ok(true) => return Ok(room.into_owned()),
                Ok(false) => {}
                Err(error) => fill_error = Some(error),
            }
        }
        Err(match (fill_error, &ask.room) {
            (Some(error), _) => error.into(),
            (None, Some(requested)) => Skipped::OtherRoom(requested.as_str().to_owned()),
            (None, None) => Skipped::NoRoom,
        })
    }
}

/// The values for a rule's templates.
struct Filling<'a> {
    caller: &'a Caller,
    limits: &'a Limits,
    randomness: Randomness,
}

impl Filling<'_> {
    fn fill(&self, template: &Template) -> Result<String, FillError> {
        template.fill(self.caller, self.randomness)
    }

    fn fill_text(&self, template: &Template) -> Result<String, FillError> {
        template.fill_text(self.caller, self.randomness)
    }
}
