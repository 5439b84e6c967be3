//! The Agora community's token service, below `/agora`: its routes, answers and headers, so that its clients need
//! nothing but another base URL.
//!
//! What is missing here on purpose are its holes: a user 0 or a name that means anybody, an expiry that never comes, a
//! role that is silently another, and the tokens of chat applications, which administer them.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use super::{BadRequest, Refused, Reply, members, text};
use crate::domain::agora::{Account, ChannelName, ChatUser, RtmUser, Uid};
use crate::domain::{
    AgoraToken, Identity, InvalidField, Limits, LoginRequest, LoginService, PassRequest, Role, RoomName, Ttl,
};
use crate::mint::Token;

/// One of its places, below the base path.
pub struct Route {
    /// How it's asked.
    pub method: MethodFilter,
    /// Where it answers, with the names of its parameters.
    pub path: &'static str,
    /// What a request there asks for.
    pub read: fn(&Asking<'_>) -> Result<Vec<Wanted>, BadRequest>,
}

/// A request, as far as this dialect looks at it.
pub struct Asking<'a> {
    /// The parameters in its path, decoded.
    pub path: &'a HashMap<String, String>,
    /// Its query, as it was sent.
    pub query: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// How long its fields may be.
    pub limits: &'a Limits,
}

/// A token that is asked for, after the member of the answer that it goes into.
pub type Wanted = (&'static str, AgoraToken<PassRequest, LoginRequest>);

/// Where it says that it's there.
pub const PING: &str = "/agora/ping";

/// Its routes to tokens. Its clients write them with a slash at the end, and people without.
pub const ROUTES: [Route; 11] = [
    Route { method: MethodFilter::GET, path: "/agora/rtc/{channel}/{role}/{tokenType}/{uid}", read: rtc },
    Route { method: MethodFilter::GET, path: "/agora/rtc/{channel}/{role}/{tokenType}/{uid}/", read: rtc },
    Route { method: MethodFilter::GET, path: "/agora/rtm/{uid}", read: rtm },
    Route { method: MethodFilter::GET, path: "/agora/rtm/{uid}/", read: rtm },
    Route { method: MethodFilter::GET, path: "/agora/rte/{channel}/{role}/{tokenType}/{uid}", read: rte },
    Route { method: MethodFilter::GET, path: "/agora/rte/{channel}/{role}/{tokenType}/{uid}/", read: rte },
    Route {
        method: MethodFilter::GET,
        path: "/agora/rte/{channel}/{role}/{tokenType}/{uid}/{rtmuid}",
        read: rte,
    },
    Route {
        method: MethodFilter::GET,
        path: "/agora/rte/{channel}/{role}/{tokenType}/{uid}/{rtmuid}/",
        read: rte,
    },
    Route { method: MethodFilter::GET, path: "/agora/chat/account/{uid}", read: chat },
    Route { method: MethodFilter::GET, path: "/agora/chat/account/{uid}/", read: chat },
    Route { method: MethodFilter::POST, path: "/agora/getToken", read: by_body },
];

/// The tokens, each as its member.
#[must_use]
pub fn write(tokens: &[(&'static str, Token)]) -> Reply {
    let members = tokens.iter().map(|(member, token)| ((*member).to_owned(), token.expose().into()));
    Reply::json(StatusCode::OK, &Value::Object(members.collect()))
}

/// An error: some of its clients read the one member, some the other.
#[must_use]
pub fn refuse(refused: &Refused<'_>) -> Reply {
    let body =
        json!({ "error": refused.detail, "message": refused.detail, "status": refused.status.as_u16() });
    Reply::json(refused.status, &body)
}

fn rtc(asking: &Asking<'_>) -> Result<Vec<Wanted>, BadRequest> {
    Ok(vec![("rtcToken", AgoraToken::Channel(channel_by_path(asking)?))])
}

fn rtm(asking: &Asking<'_>) -> Result<Vec<Wanted>, BadRequest> {
    let ttl = expiry(asking.query)?;
    let login = login(LoginService::Rtm, part(asking, "uid"), ttl, asking.limits)?;
    Ok(vec![("rtmToken", AgoraToken::Login(login))])
}

fn chat(asking: &Asking<'_>) -> Result<Vec<Wanted>, BadRequest> {
    let ttl = expiry(asking.query)?;
    let login = login(LoginService::Chat, part(asking, "uid"), ttl, asking.limits)?;
    Ok(vec![("chatToken", AgoraToken::Login(login))])
}

fn rte(asking: &Asking<'_>) -> Result<Vec<Wanted>, BadRequest> {
    let channel = channel_by_path(asking)?;
    let user = asking.path.get("rtmuid").map_or_else(|| part(asking, "uid"), String::as_str);
    let login = login(LoginService::Rtm, user, channel.ttl, asking.limits)?;
    Ok(vec![("rtcToken", AgoraToken::Channel(channel)), ("rtmToken", AgoraToken::Login(login))])
}

fn channel_by_path(asking: &Asking<'_>) -> Result<PassRequest, BadRequest> {
    let user = part(asking, "uid");
    let user = match part(asking, "tokenType") {
        "uid" => Uid::parse(user)?.as_str().to_owned(),
        "userAccount" => Account::parse(user)?.as_str().to_owned(),
        _ => return Err(InvalidField::new("tokenType", "must be uid or userAccount").into()),
    };
    let role = role(part(asking, "role"))?;
    Ok(channel(part(asking, "channel"), role, user, expiry(asking.query)?, asking.limits)?)
}

fn by_body(asking: &Asking<'_>) -> Result<Vec<Wanted>, BadRequest> {
    let mut members = members(asking.body)?;
    let mut given = |field| text(field, members.remove(field));
    let (kind, name) = (given("tokenType")?.unwrap_or_default(), given("channel")?.unwrap_or_default());
    let role = given("role")?.map_or(Ok(Role::Subscriber), |written| role(&written))?;
    let user = match members.remove("uid") {
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        other => text("uid", other)?.unwrap_or_default(),
    };
    let ttl = match members.remove("expire") {
        None | Some(Value::Null) => None,
        Some(seconds) => Some(lifetime("expire", seconds.as_u64())?),
    };
    let login = |service| login(service, &user, ttl, asking.limits);
    let channel = || {
        let number = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit());
        let user = if number {
            Uid::parse(&*user)?.as_str().to_owned()
        } else {
            Account::parse(&*user)?.as_str().to_owned()
        };
        channel(&name, role, user, ttl, asking.limits)
    };
    let wanted = match kind.as_str() {
        "rtc" => AgoraToken::Channel(channel()?),
        "rtm" => AgoraToken::Login(login(LoginService::Rtm)?),
        "chat" => AgoraToken::Login(login(LoginService::Chat)?),
        "rte" => AgoraToken::Both(channel()?, login(LoginService::Rtm)?),
        _ => {
            let right = "must be rtc, rtm, chat (a user's), or rte for rtc and rtm in one";
            return Err(InvalidField::new("tokenType", right).into());
        }
    };
    Ok(vec![("token", wanted)])
}

fn channel(
    name: &str,
    role: Role,
    user: String,
    ttl: Option<Ttl>,
    limits: &Limits,
) -> Result<PassRequest, InvalidField> {
    Ok(PassRequest {
        room: Some(RoomName::parse(ChannelName::parse(name)?.as_str(), limits)?),
        identity: Some(Identity::parse(user, limits)?),
        role: Some(role),
        ttl,
        usual_ttl: USUAL_TTL,
        ..PassRequest::default()
    })
}

fn login(
    service: LoginService,
    user: &str,
    ttl: Option<Ttl>,
    limits: &Limits,
) -> Result<LoginRequest, InvalidField> {
    let user = match service {
        LoginService::Rtm => RtmUser::parse(user)?.as_str().to_owned(),
        LoginService::Chat => ChatUser::parse(user)?.as_str().to_owned(),
    };
    let identity = Identity::parse(user, limits)?;
    Ok(LoginRequest { service, identity, ttl, usual_ttl: USUAL_TTL })
}

/// By name, or by Agora's own number for it. Another word would be a subscriber there, without a word.
fn role(written: &str) -> Result<Role, InvalidField> {
    match written {
        "publisher" | "1" => Ok(Role::Publisher),
        "subscriber" | "2" => Ok(Role::Subscriber),
        _ => Err(InvalidField::new("role", "must be publisher (or 1) or subscriber (or 2)")),
    }
}

/// The query's one `expiry`, if it has one that isn't empty.
fn expiry(query: &str) -> Result<Option<Ttl>, InvalidField> {
    let mut all = query.split('&').filter_map(|pair| pair.strip_prefix("expiry="));
    match (all.next().filter(|seconds| !seconds.is_empty()), all.next()) {
        (_, Some(_)) => Err(InvalidField::new("expiry", "is given more than once")),
        (None, None) => Ok(None),
        (Some(seconds), None) => lifetime("expiry", seconds.parse().ok()).map(Some),
    }
}

fn lifetime(field: &'static str, seconds: Option<u64>) -> Result<Ttl, InvalidField> {
    let ttl = seconds.and_then(Ttl::seconds);
    ttl.ok_or_else(|| {
        InvalidField::new(field, "must be a whole number of seconds from 1 to 86400 (24 hours)")
    })
}

/// A parameter in the path.
fn part<'a>(asking: &Asking<'a>, name: &str) -> &'a str {
    asking.path.get(name).map_or("", String::as_str)
}

pub(super) const USUAL_TTL: Ttl = Ttl::minutes(60);
