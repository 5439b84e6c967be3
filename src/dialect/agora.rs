//! The Agora community's token service, below `/agora`: its routes, answers and headers, so that its clients need
//! nothing but another base URL.
//!
//! What is missing here on purpose are its holes: a user 0 or a name that means any user, an expiry that never comes, a
//! role that is silently another, and the tokens of chat applications, which administer them.

use axum::http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::fields::{members, text};
use super::{
    Asks, BadRequest, Granted, Participant, Presence, Received, Refuse, Refused, Reply, Route, Row, Sample,
    Wishes,
};
use crate::domain::agora::{Account, ChannelName, ChatUser, RtmUser, TokenVersion, Uid};
use crate::domain::{
    Ask, Identity, InvalidField, Limits, LoginAsk, LoginService, Provider, Role, RoomAsk, RoomName, Ttl,
};
use roompass_core::config::Dialect;

pub(super) const ROW: Row = Row {
    dialect: Dialect::Agora,
    provider: Provider::Agora,
    routes: &ROUTES,
    ping: Some(("/agora/ping", || Reply::json(StatusCode::OK, &json!({ "message": "pong" })))),
    usual_ttl: USUAL_TTL,
    label: "Agora's routes",
    room: Presence::Always,
    participant: Participant::ByIdentity,
    // What its own service says of how long a response may be kept.
    headers: &[
        (CACHE_CONTROL, "private, no-cache, no-store, must-revalidate"),
        (EXPIRES, "-1"),
        (PRAGMA, "no-cache"),
    ],
    detail: |config| {
        let version = match config.agora.token_version {
            TokenVersion::V006 => "006",
            TokenVersion::V007 => "007",
        };
        Some(format!("tokens {version}"))
    },
    sample,
};

/// Its clients write them with a slash at the end, and people without.
const ROUTES: [Route; 11] = [
    get("/agora/rtc/{channel}/{role}/{tokenType}/{uid}", rtc),
    get("/agora/rtc/{channel}/{role}/{tokenType}/{uid}/", rtc),
    get("/agora/rtm/{uid}", rtm),
    get("/agora/rtm/{uid}/", rtm),
    get("/agora/rte/{channel}/{role}/{tokenType}/{uid}", rte),
    get("/agora/rte/{channel}/{role}/{tokenType}/{uid}/", rte),
    get("/agora/rte/{channel}/{role}/{tokenType}/{uid}/{rtmuid}", rte),
    get("/agora/rte/{channel}/{role}/{tokenType}/{uid}/{rtmuid}/", rte),
    get("/agora/chat/account/{uid}", chat),
    get("/agora/chat/account/{uid}/", chat),
    Route { method: Method::POST, path: "/agora/getToken", read: by_body, write, refuse: REFUSE },
];

const REFUSE: Option<Refuse> = Some(refuse);

const fn get(path: &'static str, read: fn(&Received<'_>) -> Result<Asks, BadRequest>) -> Route {
    Route { method: Method::GET, path, read, write, refuse: REFUSE }
}

/// The tokens, each as its member.
fn write(granted: &Granted<'_>) -> Reply {
    let tokens = granted.tokens.iter();
    let members = tokens.map(|(member, _, token)| ((*member).to_owned(), token.expose().into()));
    Reply::json(StatusCode::OK, &Value::Object(members.collect()))
}

/// An error: some of its clients read the one member, some the other.
fn refuse(refused: &Refused<'_>) -> Reply {
    let body =
        json!({ "error": refused.detail, "message": refused.detail, "status": refused.status.as_u16() });
    Reply::json(refused.status, &body)
}

/// A channel by its path.
fn sample(wishes: &Wishes<'_>) -> Sample {
    let kind = if Uid::parse(wishes.identity).is_ok() { "uid" } else { "userAccount" };
    let role = if wishes.publishes { "publisher" } else { "subscriber" };
    let channel = in_a_path(wishes.room.unwrap_or(wishes.some_room));
    let path = format!("/agora/rtc/{channel}/{role}/{kind}/{}/", in_a_path(wishes.identity));
    Sample { path, header: None, body: None }
}

/// Percent-encoded, but for what is to be filled in; nothing is left that a shell or curl would read as its own.
fn in_a_path(part: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:@!$&()+,;=<>|".contains(byte);
    part.bytes().fold(String::new(), |path, byte| {
        if plain(&byte) {
            path + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            format!("{path}%{byte:02X}")
        }
    })
}

fn rtc(received: &Received<'_>) -> Result<Asks, BadRequest> {
    Ok(vec![("rtcToken", channel_by_path(received)?.into())])
}

fn rtm(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let ttl = expiry(received.query)?;
    let login = login(LoginService::Rtm, part(received, "uid"), ttl, received.limits)?;
    Ok(vec![("rtmToken", Ask::Login(login))])
}

fn chat(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let ttl = expiry(received.query)?;
    let login = login(LoginService::Chat, part(received, "uid"), ttl, received.limits)?;
    Ok(vec![("chatToken", Ask::Login(login))])
}

fn rte(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let channel = channel_by_path(received)?;
    let user = received.path.get("rtmuid").unwrap_or_else(|| part(received, "uid"));
    let login = login(LoginService::Rtm, user, channel.ttl, received.limits)?;
    Ok(vec![("rtcToken", channel.into()), ("rtmToken", Ask::Login(login))])
}

fn channel_by_path(received: &Received<'_>) -> Result<RoomAsk, BadRequest> {
    let user = part(received, "uid");
    let user = match part(received, "tokenType") {
        "uid" => Uid::parse(user)?.as_str().to_owned(),
        "userAccount" => Account::parse(user)?.as_str().to_owned(),
        _ => return Err(InvalidField::new("tokenType", "must be uid or userAccount").into()),
    };
    let role = role(part(received, "role"))?;
    Ok(channel(part(received, "channel"), role, user, expiry(received.query)?, received.limits)?)
}

fn by_body(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut members = members(received.body)?;
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
    let login = |service| login(service, &user, ttl, received.limits);
    let channel = || {
        let number = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit());
        let user = if number {
            Uid::parse(&*user)?.as_str().to_owned()
        } else {
            Account::parse(&*user)?.as_str().to_owned()
        };
        channel(&name, role, user, ttl, received.limits)
    };
    let asks = match kind.as_str() {
        "rtc" => vec![channel()?.into()],
        "rtm" => vec![Ask::Login(login(LoginService::Rtm)?)],
        "chat" => vec![Ask::Login(login(LoginService::Chat)?)],
        "rte" => vec![channel()?.into(), Ask::Login(login(LoginService::Rtm)?)],
        _ => {
            let right = "must be rtc, rtm, chat (a user's), or rte for rtc and rtm in one";
            return Err(InvalidField::new("tokenType", right).into());
        }
    };
    Ok(asks.into_iter().map(|ask| ("token", ask)).collect())
}

fn channel(
    name: &str,
    role: Role,
    user: String,
    ttl: Option<Ttl>,
    limits: &Limits,
) -> Result<RoomAsk, InvalidField> {
    Ok(RoomAsk {
        room: Some(RoomName::parse(ChannelName::parse(name)?.as_str(), limits)?),
        identity: Some(Identity::parse(user, limits)?),
        role: Some(role),
        ttl,
        usual_ttl: USUAL_TTL,
        ..RoomAsk::default()
    })
}

fn login(
    service: LoginService,
    user: &str,
    ttl: Option<Ttl>,
    limits: &Limits,
) -> Result<LoginAsk, InvalidField> {
    let user = match service {
        LoginService::Rtm => RtmUser::parse(user)?.as_str().to_owned(),
        LoginService::Chat => ChatUser::parse(user)?.as_str().to_owned(),
    };
    let identity = Identity::parse(user, limits)?;
    Ok(LoginAsk { service, identity, ttl, usual_ttl: USUAL_TTL })
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
fn part<'a>(received: &Received<'a>, name: &str) -> &'a str {
    received.path.get(name).unwrap_or_default()
}

const USUAL_TTL: Ttl = Ttl::minutes(60);
