//! Whether a rule matches a caller and an ask, and what it gives by itself.

use std::collections::BTreeMap;

use super::template::{Template, Unfit};
use super::{Denial, Rule};
use crate::caller::Caller;
use crate::domain::{
    Ask, Identity, InvalidField, Limits, LoginService, Metadata, ParticipantName, Randomness, RoomAsk,
    RoomName,
};

/// What a rule that matches gives, before it's checked what else is asked for.
pub(super) struct Offered {
    pub(super) identity: Identity,
    /// The room, where one is asked for.
    pub(super) room: Option<RoomOffer>,
}

/// A room, and what a rule shows of its participant there.
pub(super) struct RoomOffer {
    pub(super) room: RoomName,
    pub(super) name: Option<ParticipantName>,
    pub(super) metadata: Option<Metadata>,
    pub(super) attributes: BTreeMap<String, String>,
}

/// Why a rule doesn't match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It's for other callers.
    #[error("caller not in callers")]
    OtherCaller,
    /// A condition of it isn't met.
    #[error("condition not met: {0}")]
    Condition(String),
    /// A placeholder of it can't be filled for the caller.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// A value of the caller's is too long for what the rule makes of it.
    #[error("the rule's {0}")]
    Invalid(#[from] InvalidField),
    /// The requested room does not match its rooms.
    #[error("room {0:?} does not match rooms")]
    OtherRoom(String),
    /// A login is asked for, and it has no `agora_logins`.
    #[error("a login was requested, and the rule has no agora_logins")]
    NoLogins,
    /// No room is requested, and a generated one does not match its rooms.
    #[error("no room was requested, and the rule has no default_room")]
    NoRoom,
}

impl Denial {
    /// Why a rule that matches gives nothing.
    pub(super) fn nothing_offered(rule: &Rule, ask: &Ask) -> Self {
        match ask {
            Ask::Room(_) => Self::NoRoom { rule: rule.name.clone() },
            Ask::Login(login) => Self::LoginNotAllowed(login.service),
        }
    }

    /// Why nothing is given where no rule matches.
    pub(super) fn no_match(ask: &Ask, skipped: &[(String, Skipped)]) -> Self {
        let because = |is: fn(&Skipped) -> bool| skipped.iter().any(|(_, why)| is(why));
        match ask {
            Ask::Room(_) if because(|why| matches!(why, Skipped::OtherRoom(_) | Skipped::NoRoom)) => {
                Self::RoomNotAllowed
            }
            Ask::Login(login) if because(|why| *why == Skipped::NoLogins) => {
                Self::LoginNotAllowed(login.service)
            }
            _ => Self::NoRule,
        }
    }
}

impl Rule {
    /// What it gives, if it matches this caller and this ask, and gives anything.
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
                self.must_be_for(caller, ask.sandbox_id.as_deref())?;
                if self.rooms.is_empty() {
                    return Ok(None);
                }
                let room = self.room_offer(ask, &filling)?;
                Ok(Some(Offered { identity: self.own_identity(&filling)?, room: Some(room) }))
            }
            Ask::Login(ask) => {
                self.must_be_for(caller, None)?;
                self.login_offer(ask.service, &filling)
            }
        }
    }

    fn login_offer(&self, service: LoginService, filling: &Filling<'_>) -> Result<Option<Offered>, Skipped> {
        if self.rooms.is_empty() && self.agora_logins.is_none() {
            return Ok(None);
        }
        let services = self.agora_logins.as_ref().ok_or(Skipped::NoLogins)?;
        let identity = self.own_identity(filling)?;
        Ok(services.contains(&service).then_some(Offered { identity, room: None }))
    }

    fn room_offer(&self, ask: &RoomAsk, filling: &Filling<'_>) -> Result<RoomOffer, Skipped> {
        let text = |template: &Option<Template>| template.as_ref().map(|text| filling.fill(text)).transpose();
        let attributes = self.participant_attributes.iter();
        Ok(RoomOffer {
            room: self.room(ask, filling)?,
            name: text(&self.participant_name)?
                .map(|name| ParticipantName::parse(name, filling.limits))
                .transpose()?,
            metadata: text(&self.participant_metadata)?
                .map(|text| Metadata::parse(text, filling.limits))
                .transpose()?,
            attributes: attributes
                .map(|(key, template)| Ok((key.clone(), filling.fill(template)?)))
                .collect::<Result<_, Unfit>>()?,
        })
    }

    fn must_be_for(&self, caller: &Caller, sandbox_id: Option<&str>) -> Result<(), Skipped> {
        if !self.callers.contains(&caller.name) {
            return Err(Skipped::OtherCaller);
        }
        match self.when.unmet_by(caller, sandbox_id) {
            Some((source, condition)) => Err(Skipped::Condition(format!("{source} {condition}"))),
            None => Ok(()),
        }
    }

    fn own_identity(&self, filling: &Filling<'_>) -> Result<Identity, Skipped> {
        Ok(Identity::parse(filling.fill(&self.identity)?, filling.limits)?)
    }

    /// The room asked for, or else its own, if that is one of its rooms.
    fn room(&self, ask: &RoomAsk, filling: &Filling<'_>) -> Result<RoomName, Skipped> {
        let room = match (&ask.room, &self.default_room) {
            (Some(asked), _) => asked.clone(),
            (None, Some(default)) => RoomName::parse(filling.fill(default)?, filling.limits)?,
            (None, None) => RoomName::generated(filling.randomness),
        };
        let mut unfit = None;
        for pattern in &self.rooms {
            match pattern.matches(room.as_str(), filling.caller) {
                Ok(true) => return Ok(room),
                Ok(false) => {}
                Err(error) => unfit = Some(error),
            }
        }
        Err(match (unfit, &ask.room) {
            (Some(unfit), _) => unfit.into(),
            (None, Some(asked)) => Skipped::OtherRoom(asked.as_str().to_owned()),
            (None, None) => Skipped::NoRoom,
        })
    }
}

/// What a rule's texts are filled with.
struct Filling<'a> {
    caller: &'a Caller,
    limits: &'a Limits,
    randomness: Randomness,
}

impl Filling<'_> {
    fn fill(&self, template: &Template) -> Result<String, Unfit> {
        template.fill(self.caller, self.randomness)
    }
}
