//! Checks what a request asks for in addition to its rule's offer, and makes the pass.

use std::collections::BTreeMap;

use super::offer::RoomOffer;
use super::{AgentProblem, ClientField, Denial, Offered, Rule, compound};
use crate::caller::Caller;
use crate::domain::{
    Access, AgentDispatch, Ask, Attributes, Grants, GrantsAsk, Identity, Limits, LoginAsk, Metadata,
    ParticipantName, Pass, Role, RoomAsk, RoomConfig, RoomPass, Ttl,
};

impl Rule {
    /// The pass for an offer and the request's other fields.
    pub(super) fn grant(
        &self,
        Offered { project, identity: own, room }: Offered,
        caller: &Caller,
        ask: Ask,
        limits: &Limits,
        now: u64,
    ) -> Result<Pass, Denial> {
        let (identity, ttl, access) = match (ask, room) {
            (Ask::Room(ask), Some(room)) => self.room_pass(own, room, *ask, limits)?,
            (Ask::Login(ask), _) => self.login_pass(&own, ask)?,
            (ask @ Ask::Room(_), None) => return Err(Denial::without_offer(self, &ask)),
        };
        let ttl = self.lifetime(caller, ttl, now)?;
        Ok(Pass { caller: caller.name.clone(), rule: self.name.clone(), project, identity, ttl, access })
    }

    fn room_pass(
        &self,
        own: Identity,
        offer: RoomOffer,
        ask: RoomAsk,
        limits: &Limits,
    ) -> Result<(Identity, Lifetime, Access), Denial> {
        let mut ask = self.with_name(&own, ask, limits)?;
        // What the rule sets too needs no permission.
        if let (Some(asked), Some(own)) = (&mut ask.room_config, &offer.room_config) {
            asked.remove_settings_of(own);
        }
        check_allowed(self, (&own, &offer), &ask)?;
        let attributes = ask.attributes.iter().flat_map(Attributes::iter);
        let mut attributes: BTreeMap<_, _> =
            attributes.map(|(key, value)| (key.clone(), value.clone())).collect();
        attributes.extend(offer.attributes);
        let lifetime = Lifetime { requested: ask.ttl, default: ask.default_ttl };
        let room = RoomPass {
            room: offer.room,
            name: ask.name.or(offer.name),
            metadata: ask.metadata.or(offer.metadata),
            attributes: Attributes::parse(attributes, limits)?,
            room_config: self.combined(offer.room_config, ask.room_config)?,
            agora_uid_zero: ask.agora_uid_zero,
            grants: self.chosen_grants(ask.role, ask.grants.as_ref())?,
        };
        Ok((ask.identity.unwrap_or(own), lifetime, Access::Room(Box::new(room))))
    }

    /// The room's settings of the rule and the client. Together they dispatch a limited number of agents.
    fn combined(
        &self,
        own: Option<RoomConfig>,
        asked: Option<RoomConfig>,
    ) -> Result<Option<RoomConfig>, Denial> {
        let config = RoomConfig::combined(own, asked);
        let count = config.iter().flat_map(RoomConfig::agents).count();
        if count > AgentDispatch::MAX {
            let problem = AgentProblem::TooMany { count };
            return Err(Denial::AgentNotAllowed { problem, rule: self.name.clone() });
        }
        Ok(config)
    }

    /// The rule's grants, with those that the request asks for. Each may be less than the rule gives, and more only if
    /// `client_may_set` lists it by name.
    fn chosen_grants(&self, role: Option<Role>, asked: Option<&GrantsAsk>) -> Result<Grants, Denial> {
        let own = grants(self, role)?;
        let Some(asked) = asked else { return Ok(own) };
        let refused = |field| Denial::FieldNotAllowed { field, rule: self.name.clone() };
        let all = || refused(GrantsAsk::FIELD);
        if !self.lists_grants() {
            return Err(all());
        }
        let mut chosen = asked.over(&own).ok_or_else(all)?;
        // Unset, it would follow can_publish, which may be more than the rule gives.
        if chosen.can_publish_data.is_none() && own.can_publish == Some(false) {
            chosen.can_publish_data = Some(false);
        }
        // Unset, it follows can_publish, and the request doesn't ask for it.
        let follows = |name: &str| name == "can_publish_data" && chosen.can_publish_data.is_none();
        for name in chosen.different_from(&own).filter(|name| !follows(name)) {
            let field = ClientField::of_grant(name).ok_or_else(all)?.path();
            if !self.allows_field(field) {
                return Err(refused(field));
            }
        }
        for name in chosen.more_than(&own) {
            let field = ClientField::of_grant(name).ok_or_else(all)?.path();
            if !self.lists_grant(field) {
                return Err(Denial::GrantNotGiven { field, rule: self.name.clone() });
            }
        }
        Ok(chosen)
    }

    fn login_pass(&self, own: &Identity, ask: LoginAsk) -> Result<(Identity, Lifetime, Access), Denial> {
        if ask.identity != *own && !self.allows_field(Identity::FIELD) {
            return Err(Denial::FieldNotAllowed { field: Identity::FIELD, rule: self.name.clone() });
        }
        let lifetime = Lifetime { requested: ask.ttl, default: ask.default_ttl };
        Ok((ask.identity, lifetime, Access::Login(ask.service)))
    }

    /// The ask, with `name_or_identity` in its place: the identity if the client may set it, otherwise the
    /// participant's name.
    fn with_name(&self, own: &Identity, ask: RoomAsk, limits: &Limits) -> Result<RoomAsk, Denial> {
        match ask.name_or_identity.clone() {
            None => Ok(ask),
            Some(identity) if self.allows_field(Identity::FIELD) || identity == *own => {
                Ok(RoomAsk { identity: Some(identity), ..ask })
            }
            Some(name) => {
                let name = Some(ParticipantName::parse(name.as_str(), limits)?);
                Ok(RoomAsk { name, ..ask })
            }
        }
    }

    /// The requested lifetime up to the rule's maximum, or the rule's own. With `within_credential`, it ends no later
    /// than the caller's credential.
    fn lifetime(
        &self,
        caller: &Caller,
        Lifetime { requested, default }: Lifetime,
        now: u64,
    ) -> Result<Ttl, Denial> {
        let max_ttl = self.max_ttl.or(self.ttl).unwrap_or(default);
        if requested.is_some_and(|requested| requested > max_ttl) {
            return Err(Denial::TtlTooLong { max_ttl, rule: self.name.clone() });
        }
        let ttl = requested.or(self.ttl).unwrap_or(default).min(max_ttl);
        match caller.expires.filter(|_| self.within_credential) {
            Some(expires) => ttl
                .within(expires.saturating_sub(now))
                .ok_or_else(|| Denial::CredentialExpired { rule: self.name.clone() }),
            None => Ok(ttl),
        }
    }
}

/// The lifetime that a request asks for, and its dialect's default.
struct Lifetime {
    requested: Option<Ttl>,
    default: Ttl,
}

/// Checks that the rule lists the fields that the client sets to values other than the rule's own. Agora's uid 0 needs
/// `agora_uid_zero`, even if the client may set the identity.
fn check_allowed(rule: &Rule, (own, offer): (&Identity, &RoomOffer), ask: &RoomAsk) -> Result<(), Denial> {
    let others = |attributes: &Attributes| {
        attributes.iter().any(|(key, value)| offer.attributes.get(key) != Some(value))
    };
    if ask.agora_uid_zero && !rule.agora_uid_zero {
        return Err(Denial::UidZeroNotAllowed { rule: rule.name.clone() });
    }
    let set = [
        (!ask.agora_uid_zero && ask.identity.as_ref().is_some_and(|asked| asked != own), Identity::FIELD),
        (ask.name.is_some() && ask.name != offer.name, ParticipantName::FIELD),
        (ask.metadata.is_some() && ask.metadata != offer.metadata, Metadata::FIELD),
        (ask.attributes.as_ref().is_some_and(others), Attributes::FIELD),
        (ask.ttl.is_some() && !ask.has_own_ttl, Ttl::FIELD),
    ];
    let mut paths = set
        .into_iter()
        .filter_map(|(is_set, field)| is_set.then_some(field))
        .chain(ask.room_config.iter().flat_map(RoomConfig::settings));
    if let Some(field) = paths.find(|path| !rule.allows_field(path)) {
        return Err(Denial::FieldNotAllowed { field, rule: rule.name.clone() });
    }
    match &ask.room_config {
        Some(config) => compound::agents(rule, config).and_then(|()| compound::egress(rule, config)),
        None => Ok(()),
    }
}

/// The rule's grants, reduced to the requested role.
fn grants(rule: &Rule, requested: Option<Role>) -> Result<Grants, Denial> {
    match requested {
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
