//! What a request asks for beyond what its rule gives by itself, if the rule lets it.

use std::collections::BTreeMap;

use super::offer::RoomOffer;
use super::{Denial, Offered, Rule, compound};
use crate::caller::Caller;
use crate::domain::{
    Ask, Attributes, Grants, Identity, Limits, LoginAsk, Metadata, Opens, ParticipantName, Pass, Role,
    RoomAsk, RoomConfig, RoomPass, Ttl,
};

impl Rule {
    /// The pass, for what is offered and what else is asked for.
    pub(super) fn grant(
        &self,
        Offered { identity: own, room }: Offered,
        caller: &Caller,
        ask: Ask,
        limits: &Limits,
        now: u64,
    ) -> Result<Pass, Denial> {
        let (identity, ttl, opens) = match (ask, room) {
            (Ask::Room(ask), Some(room)) => self.room_pass(own, room, *ask, limits)?,
            (Ask::Login(ask), _) => self.login_pass(&own, ask)?,
            (ask @ Ask::Room(_), None) => return Err(Denial::nothing_offered(self, &ask)),
        };
        let ttl = self.lifetime(caller, ttl, now)?;
        Ok(Pass { caller: caller.name.clone(), rule: self.name.clone(), identity, ttl, opens })
    }

    fn room_pass(
        &self,
        own: Identity,
        offer: RoomOffer,
        ask: RoomAsk,
        limits: &Limits,
    ) -> Result<(Identity, Lifetime, Opens), Denial> {
        let ask = self.named(&own, ask, limits)?;
        must_be_allowed(self, (&own, &offer), &ask)?;
        let attributes = ask.attributes.iter().flat_map(Attributes::iter);
        let mut attributes: BTreeMap<_, _> =
            attributes.map(|(key, value)| (key.clone(), value.clone())).collect();
        attributes.extend(offer.attributes);
        let lifetime = Lifetime { asked: ask.ttl, usual: ask.usual_ttl };
        let room = RoomPass {
            room: offer.room,
            name: ask.name.or(offer.name),
            metadata: ask.metadata.or(offer.metadata),
            attributes: Attributes::parse(attributes, limits)?,
            room_config: ask.room_config,
            grants: grants(self, ask.role)?,
        };
        Ok((ask.identity.unwrap_or(own), lifetime, Opens::Room(Box::new(room))))
    }

    fn login_pass(&self, own: &Identity, ask: LoginAsk) -> Result<(Identity, Lifetime, Opens), Denial> {
        if ask.identity != *own && !self.lets_client_set(Identity::FIELD) {
            return Err(Denial::FieldNotAllowed { field: Identity::FIELD, rule: self.name.clone() });
        }
        let lifetime = Lifetime { asked: ask.ttl, usual: ask.usual_ttl };
        Ok((ask.identity, lifetime, Opens::Login(ask.service)))
    }

    /// The ask, with the one name that some dialects have in its place: the identity if the client may choose it, or
    /// else the participant's name.
    fn named(&self, own: &Identity, ask: RoomAsk, limits: &Limits) -> Result<RoomAsk, Denial> {
        match ask.called.clone() {
            None => Ok(ask),
            Some(called) if self.lets_client_set(Identity::FIELD) || called == *own => {
                Ok(RoomAsk { identity: Some(called), ..ask })
            }
            Some(called) => {
                let name = Some(ParticipantName::parse(called.as_str(), limits)?);
                Ok(RoomAsk { name, ..ask })
            }
        }
    }

    /// What is asked for up to the rule's most, or else the rule's own; and no longer than the caller's credential, if the
    /// rule says so.
    fn lifetime(
        &self,
        caller: &Caller,
        Lifetime { asked, usual }: Lifetime,
        now: u64,
    ) -> Result<Ttl, Denial> {
        let max_ttl = self.max_ttl.or(self.ttl).unwrap_or(usual);
        if asked.is_some_and(|asked| asked > max_ttl) {
            return Err(Denial::TtlTooLong { max_ttl, rule: self.name.clone() });
        }
        let ttl = asked.or(self.ttl).unwrap_or(usual).min(max_ttl);
        match caller.expires.filter(|_| self.within_credential) {
            Some(expires) => ttl
                .within(expires.saturating_sub(now))
                .ok_or_else(|| Denial::CredentialEnded { rule: self.name.clone() }),
            None => Ok(ttl),
        }
    }
}

/// How long a request asks its token to last, and how long its dialect's tokens usually do.
struct Lifetime {
    asked: Option<Ttl>,
    usual: Ttl,
}

/// What the client asks for that the rule doesn't give by itself must be listed in the rule.
fn must_be_allowed(rule: &Rule, (own, offer): (&Identity, &RoomOffer), ask: &RoomAsk) -> Result<(), Denial> {
    let others = |attributes: &Attributes| {
        attributes.iter().any(|(key, value)| offer.attributes.get(key) != Some(value))
    };
    let set = [
        (ask.identity.as_ref().is_some_and(|asked| asked != own), Identity::FIELD),
        (ask.name.is_some() && ask.name != offer.name, ParticipantName::FIELD),
        (ask.metadata.is_some() && ask.metadata != offer.metadata, Metadata::FIELD),
        (ask.attributes.as_ref().is_some_and(others), Attributes::FIELD),
    ];
    let mut paths = set
        .into_iter()
        .filter_map(|(given, field)| given.then_some(field))
        .chain(ask.room_config.iter().flat_map(RoomConfig::settings));
    if let Some(field) = paths.find(|path| !rule.lets_client_set(path)) {
        return Err(Denial::FieldNotAllowed { field, rule: rule.name.clone() });
    }
    match &ask.room_config {
        Some(config) => compound::agents(rule, config).and_then(|()| compound::egress(rule, config)),
        None => Ok(()),
    }
}

/// The rule's grants, less what the client says it doesn't need.
fn grants(rule: &Rule, asked: Option<Role>) -> Result<Grants, Denial> {
    match asked {
        Some(Role::Publisher) if rule.grants.can_publish == Some(false) => {
            Err(Denial::PublishingNotAllowed { rule: rule.name.clone() })
        }
        Some(Role::Subscriber) => Ok(Grants {
            can_publish: Some(false),
            can_publish_data: Some(false),
            can_publish_sources: Vec::new(),
            ..rule.grants.clone()
        }),
        _ => Ok(rule.grants.clone()),
    }
}
