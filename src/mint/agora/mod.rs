//! Agora tokens of versions 007 and 006, whose formats are in `v006` and `v007`. Three kinds are never signed: tokens
//! with a wildcard (an empty channel or user, `*`, and user 0 unless the rule allows it), tokens without expiry, and chat app tokens, which have
//! access to the whole REST API of Chat.

pub(crate) mod layout;
mod v006;
mod v007;

use super::{MintError, Token, signature};
use crate::domain::agora::{ChannelName, ChannelUser, ChatUser, RtmUser, TokenVersion};
use crate::domain::{Access, Context, Grants, Identity, LoginService, Pass, RoomPass, TrackSource, Ttl};
use crate::keys::AgoraKeys;
use layout::{DAY, JOIN_CHANNEL, PUBLISH_AUDIO, PUBLISH_DATA, PUBLISH_VIDEO, RTM_LOGIN_006, SIGNATURE};
use v007::ServiceEntry;

#[cfg(test)]
pub(crate) use v006::crc32;

/// Signs one token for all of these passes. It expires with the shortest of them. Tokens for Chat, or for a channel and
/// Signaling together, are always 007: version 006 has none.
///
/// # Errors
/// If a name isn't valid in Agora, or Agora tokens can't enforce the rule's grants.
pub(super) fn token(
    passes: &[Pass],
    version: TokenVersion,
    keys: &AgoraKeys,
    context: &Context,
) -> Result<Token, MintError> {
    let issue = Issue::new(keys, context)?;
    let ttl = passes.iter().map(|pass| pass.ttl).min();
    let ttl = ttl.ok_or_else(|| MintError::Signing("an Agora token needs at least one pass".into()))?;
    match (version, passes) {
        (TokenVersion::V006, [Pass { identity, access: Access::Room(room), .. }]) => {
            let (channel, user) = (channel(room)?, channel_user(room, identity)?);
            let privileges = rtc_privileges(&room.grants)?;
            Ok(v006::token(&issue, ttl, channel.as_str(), user.in_token(), &privileges))
        }
        // In a 006 token for Signaling, the user is in the channel's field.
        (TokenVersion::V006, [Pass { identity, access: Access::Login(LoginService::Rtm), .. }]) => {
            let user = RtmUser::parse(identity.as_str()).map_err(MintError::NotForAgora)?;
            Ok(v006::token(&issue, ttl, user.as_str(), "", &[RTM_LOGIN_006]))
        }
        _ => {
            let services = passes.iter().map(service).collect::<Result<Vec<_>, _>>()?;
            Ok(v007::token(&issue, ttl, &services))
        }
    }
}

/// The service of a pass, for a 007 token.
fn service(pass: &Pass) -> Result<ServiceEntry, MintError> {
    let user = pass.identity.as_str();
    Ok(match &pass.access {
        Access::Room(room) => {
            let (channel, user) = (channel(room)?, channel_user(room, &pass.identity)?);
            ServiceEntry::rtc(&channel, &user, &rtc_privileges(&room.grants)?)
        }
        Access::Login(LoginService::Rtm) => {
            ServiceEntry::rtm(&RtmUser::parse(user).map_err(MintError::NotForAgora)?)
        }
        Access::Login(LoginService::Chat) => {
            ServiceEntry::chat_user(&ChatUser::parse(user).map_err(MintError::NotForAgora)?)
        }
    })
}

/// The keys of a token, and what makes it unique: the time of issue and a salt of 32 random bits, never 0.
struct Issue<'a> {
    keys: &'a AgoraKeys,
    at: u32,
    salt: u32,
}

impl<'a> Issue<'a> {
    fn new(keys: &'a AgoraKeys, context: &Context) -> Result<Self, MintError> {
        let mut salt = [0; 4];
        (context.randomness)(&mut salt);
        let at = u32::try_from(context.now).ok().filter(|at| at.checked_add(DAY).is_some());
        let at = at.ok_or_else(|| MintError::Signing("the time is out of range".into()))?;
        Ok(Self { keys, at, salt: u32::from_le_bytes(salt).max(1) })
    }
}

fn channel(room: &RoomPass) -> Result<ChannelName, MintError> {
    ChannelName::parse(room.room.as_str()).map_err(MintError::NotForAgora)
}

fn channel_user(room: &RoomPass, identity: &Identity) -> Result<ChannelUser, MintError> {
    if room.agora_uid_zero {
        return Ok(ChannelUser::Any);
    }
    ChannelUser::by_account(identity.as_str()).map_err(MintError::NotForAgora)
}

/// A publisher gets all four privileges and a subscriber only the first, as in Agora's builders. A publisher gets fewer
/// if the grants limit sources or data. Agora has no privilege for subscribing, so a rule can't forbid it.
fn rtc_privileges(grants: &Grants) -> Result<Vec<u16>, MintError> {
    if grants.can_subscribe == Some(false) {
        return Err(MintError::Unenforceable("can_subscribe"));
    }
    let may_send = |sources: [TrackSource; 2]| {
        grants.can_publish_sources.is_empty()
            || sources.iter().any(|source| grants.can_publish_sources.contains(source))
    };
    let mut privileges = vec![JOIN_CHANNEL];
    if grants.can_publish != Some(false) {
        let audio = may_send([TrackSource::Microphone, TrackSource::ScreenShareAudio]);
        let video = may_send([TrackSource::Camera, TrackSource::ScreenShare]);
        let data = grants.can_publish_data != Some(false);
        let all = [(audio, PUBLISH_AUDIO), (video, PUBLISH_VIDEO), (data, PUBLISH_DATA)];
        privileges.extend(all.iter().filter(|(allowed, _)| *allowed).map(|(_, privilege)| privilege));
    }
    Ok(privileges)
}

/// A lifetime in seconds. [`Ttl`] is at most a day.
fn seconds(ttl: Ttl) -> u32 {
    u32::try_from(ttl.duration().as_secs()).unwrap_or(DAY)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; SIGNATURE] {
    signature(key, message).as_ref().try_into().expect("an HMAC-SHA256 has 32 bytes")
}

/// Writes bytes after their length in two bytes.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).expect("names and signatures are shorter than 64 KiB");
    out.extend(length.to_le_bytes());
    out.extend(text);
}

/// Writes privileges, which are sorted by number, each with its expiry.
fn put_privileges(out: &mut Vec<u8>, privileges: &[(u16, u32)]) {
    let count = u16::try_from(privileges.len()).expect("a service has at most four privileges");
    out.extend(count.to_le_bytes());
    for (privilege, expiry) in privileges {
        out.extend(privilege.to_le_bytes());
        out.extend(expiry.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
