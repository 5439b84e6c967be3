//! Agora's tokens, of versions 007 and 006. The layout is written down in `v006` and `v007`; here a pass becomes what
//! it holds. What the official builders would take for a wildcard (no channel, no user, 0, `*`) isn't signed, nor is a
//! token without expiry, nor chat's app token, which is the key to its whole REST interface.

mod v006;
mod v007;

use super::{MintError, Token};
use crate::domain::agora::{Account, ChannelName, ChatUser, RtmUser, TokenVersion};
use crate::domain::{Context, Grants, LoginService, Opens, Pass, RoomPass, TrackSource, Ttl};
use crate::keys::AgoraKeys;
use v007::Service;

#[cfg(test)]
pub(crate) use v006::crc32;

/// The one token of these passes, which lasts as long as the shortest of them. Chat, and a channel and Signaling in one,
/// are 007 in any case: there is no 006 of them.
///
/// # Errors
/// Where a name isn't one that Agora has, or the rule holds back what Agora's tokens can't.
pub(super) fn token(
    passes: &[Pass],
    version: TokenVersion,
    keys: &AgoraKeys,
    context: &Context,
) -> Result<Token, MintError> {
    let issue = Issue::new(keys, context)?;
    let ttl = passes.iter().map(|pass| pass.ttl).min();
    let ttl = ttl.ok_or_else(|| MintError::Signing("a token is for something".into()))?;
    match (version, passes) {
        (TokenVersion::V006, [Pass { identity, opens: Opens::Room(room), .. }]) => {
            let (channel, user) = (channel(room)?, account(identity.as_str())?);
            let privileges = rtc_privileges(&room.grants)?;
            Ok(v006::token(&issue, ttl, channel.as_str(), user.as_str(), &privileges))
        }
        // The user stands where a channel would, and there is no channel.
        (TokenVersion::V006, [Pass { identity, opens: Opens::Login(LoginService::Rtm), .. }]) => {
            let user = RtmUser::parse(identity.as_str()).map_err(MintError::NotForAgora)?;
            Ok(v006::token(&issue, ttl, user.as_str(), "", &[RTM_LOGIN_006]))
        }
        _ => {
            let services = passes.iter().map(service).collect::<Result<Vec<_>, _>>()?;
            Ok(v007::token(&issue, ttl, &services))
        }
    }
}

/// What a pass opens, as a 007 token says it.
fn service(pass: &Pass) -> Result<Service, MintError> {
    let user = pass.identity.as_str();
    Ok(match &pass.opens {
        Opens::Room(room) => Service::rtc(&channel(room)?, &account(user)?, &rtc_privileges(&room.grants)?),
        Opens::Login(LoginService::Rtm) => {
            Service::rtm(&RtmUser::parse(user).map_err(MintError::NotForAgora)?)
        }
        Opens::Login(LoginService::Chat) => {
            Service::chat_user(&ChatUser::parse(user).map_err(MintError::NotForAgora)?)
        }
    })
}

/// What a token is signed with and what makes it unlike any other: when, and 32 random bits, never 0.
struct Issue<'a> {
    keys: &'a AgoraKeys,
    at: u32,
    salt: u32,
}

impl<'a> Issue<'a> {
    fn new(keys: &'a AgoraKeys, context: &Context) -> Result<Self, MintError> {
        let mut salt = [0; 4];
        (context.randomness)(&mut salt);
        let at = u32::try_from(context.now).ok().filter(|at| at.checked_add(LONGEST).is_some());
        let at =
            at.ok_or_else(|| MintError::Signing("the clock is beyond what Agora's tokens can say".into()))?;
        Ok(Self { keys, at, salt: u32::from_le_bytes(salt).max(1) })
    }
}

fn channel(room: &RoomPass) -> Result<ChannelName, MintError> {
    ChannelName::parse(room.room.as_str()).map_err(MintError::NotForAgora)
}

fn account(identity: &str) -> Result<Account, MintError> {
    Account::parse(identity).map_err(MintError::NotForAgora)
}

/// A publisher has all four, and a subscriber the first, as with Agora's builders; grants that name the kinds of tracks,
/// or take data away, leave a publisher with less. Every participant may receive, so a rule that says otherwise has no
/// token of Agora's.
fn rtc_privileges(grants: &Grants) -> Result<Vec<u16>, MintError> {
    if grants.can_subscribe == Some(false) {
        return Err(MintError::Unenforceable("can_subscribe"));
    }
    let sends = |kinds: [TrackSource; 2]| {
        grants.can_publish_sources.is_empty()
            || kinds.iter().any(|kind| grants.can_publish_sources.contains(kind))
    };
    let mut privileges = vec![JOIN_CHANNEL];
    if grants.can_publish != Some(false) {
        let audio = sends([TrackSource::Microphone, TrackSource::ScreenShareAudio]);
        let video = sends([TrackSource::Camera, TrackSource::ScreenShare]);
        let data = grants.can_publish_data != Some(false);
        let all = [(audio, PUBLISH_AUDIO), (video, PUBLISH_VIDEO), (data, PUBLISH_DATA)];
        privileges.extend(all.iter().filter(|(given, _)| *given).map(|(_, privilege)| privilege));
    }
    Ok(privileges)
}

/// A lifetime in seconds; [`Ttl`] has none beyond a day.
fn seconds(ttl: Ttl) -> u32 {
    u32::try_from(ttl.duration().as_secs()).unwrap_or(LONGEST)
}

/// A text of the token's, after its length in two bytes.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).expect("no text in a token is longer than a name may be");
    out.extend(length.to_le_bytes());
    out.extend(text);
}

/// Privileges, ascending, each with its end.
fn put_privileges(out: &mut Vec<u8>, privileges: &[(u16, u32)]) {
    let count = u16::try_from(privileges.len()).expect("a service has a handful of privileges");
    out.extend(count.to_le_bytes());
    for (privilege, end) in privileges {
        out.extend(privilege.to_le_bytes());
        out.extend(end.to_le_bytes());
    }
}

const LONGEST: u32 = 86_400;
const JOIN_CHANNEL: u16 = 1;
const PUBLISH_AUDIO: u16 = 2;
const PUBLISH_VIDEO: u16 = 3;
const PUBLISH_DATA: u16 = 4;
const RTM_LOGIN_006: u16 = 1000;

#[cfg(test)]
mod tests;
