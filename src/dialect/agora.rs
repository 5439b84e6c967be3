//! The Agora community's token service, below `/agora`. Routes, responses and headers are the same, so its clients need
//! only a different base URL.
//!
//! Its unsafe features are refused: names and IDs that match any user (unless the rule allows the uid 0), tokens without
//! expiry, unknown roles, which the service treats as subscribers, and chat app tokens, which administer the whole chat
//! application.

use axum::http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::fields::{in_a_url, members, query_parameter, text};
use super::{
    Asks, BadRequest, ErrorDetails, Granted, Participant, Presence, Received, Reply, Route, Row, Sample,
    SampleValues,
};
use crate::domain::agora::{ChannelName, ChannelUser, ChatUser, RtmUser, TokenVersion, Uid};
use crate::domain::{
    Ask, Identity, InvalidField, Limits, LoginAsk, LoginService, Provider, Role, RoomAsk, RoomField,
    RoomName, Ttl, whole_number,
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
    room_field: RoomField("channel"),
    participant: Participant::ByIdentity,
    // The caching headers of the original service.
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

/// Clients use a trailing slash; people often omit it.
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
    Route {
        method: Method::POST,
        path: "/agora/getToken",
        read: by_body,
        write,
        write_error: Some(write_error),
    },
];

const fn get(path: &'static str, read: fn(&Received<'_>) -> Result<Asks, BadRequest>) -> Route {
    Route { method: Method::GET, path, read, write, write_error: Some(write_error) }
}

/// An object with one member for each token.
fn write(granted: &Granted<'_>) -> Reply {
    let tokens = granted.tokens.iter();
    let members = tokens.map(|(member, _, token)| ((*member).to_owned(), token.expose().into()));
    Reply::json(StatusCode::OK, &Value::Object(members.collect()))
}

/// The text is in both `error` and `message`: clients read one or the other.
fn write_error(error: &ErrorDetails<'_>) -> Reply {
    let body = json!({ "error": error.detail, "message": error.detail, "status": error.status.as_u16() });
    Reply::json(error.status, &body)
}

/// An example request for a channel token.
fn sample(values: &SampleValues<'_>) -> Sample {
    let kind = if Uid::parse(values.identity).is_ok() { "uid" } else { "userAccount" };
    let role = if values.publishes { "publisher" } else { "subscriber" };
    let channel = in_a_url(values.room.unwrap_or(values.some_room));
    let path = format!("/agora/rtc/{channel}/{role}/{kind}/{}/", in_a_url(values.identity));
    Sample { path, header: None, body: None }
}

fn rtc(received: &Received<'_>) -> Result<Asks, BadRequest> {
    Ok(vec![("rtcToken", channel_by_path(received)?.into())])
}

fn rtm(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let ttl = expiry(received.query)?;
    let login = login(LoginService::Rtm, parameter(received, "uid"), ttl, received.limits)?;
    Ok(vec![("rtmToken", Ask::Login(login))])
}

fn chat(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let ttl = expiry(received.query)?;
    let login = login(LoginService::Chat, parameter(received, "uid"), ttl, received.limits)?;
    Ok(vec![("chatToken", Ask::Login(login))])
}

fn rte(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let channel = channel_by_path(received)?;
    let login = match received.path.get(RTM_UID) {
        Some(user) => login(LoginService::Rtm, user, channel.ttl, received.limits)
            .map_err(|invalid| InvalidField { field: RTM_UID.to_owned(), ..invalid })?,
        None => login(LoginService::Rtm, parameter(received, "uid"), channel.ttl, received.limits)?,
    };
    Ok(vec![("rtcToken", channel.into()), ("rtmToken", Ask::Login(login))])
}

fn channel_by_path(received: &Received<'_>) -> Result<RoomAsk, BadRequest> {
    let user = parameter(received, "uid");
    let user = match parameter(received, "tokenType") {
        "uid" => ChannelUser::by_uid(user)?,
        "userAccount" => ChannelUser::by_account(user)?,
        _ => return Err(InvalidField::new("tokenType", "must be uid or userAccount").into()),
    };
    let role = role(parameter(received, "role"))?;
    Ok(channel(parameter(received, "channel"), role, &user, expiry(received.query)?, received.limits)?)
}

fn by_body(received: &Received<'_>) -> Result<Asks, BadRequest> {
    let mut members = members(received.body)?;
    let mut field = |name| text(name, members.remove(name));
    let (kind, name) = (field("tokenType")?.unwrap_or_default(), field("channel")?.unwrap_or_default());
    let role = field("role")?.map_or(Ok(Role::Subscriber), |name| role(&name))?;
    let user = match members.remove("uid") {
        Some(value) if value.is_number() => match whole_number(&value) {
            Some(number) => number.to_string(),
            None => return Err(InvalidField::wrong_type("uid", "a string or a whole number").into()),
        },
        other => text("uid", other)?.unwrap_or_default(),
    };
    let ttl = match members.remove("expire") {
        None | Some(Value::Null) => None,
        Some(seconds) => Some(lifetime("expire", whole_number(&seconds))?),
    };
    let login = |service| login(service, &user, ttl, received.limits);
    let channel = || {
        let is_number = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit());
        let user = if is_number { ChannelUser::by_uid(&user) } else { ChannelUser::by_account(&user) };
        channel(&name, role, &user?, ttl, received.limits)
    };
    let asks = match kind.as_str() {
        "rtc" => vec![channel()?.into()],
        "rtm" => vec![Ask::Login(login(LoginService::Rtm)?)],
        "chat" => vec![Ask::Login(login(LoginService::Chat)?)],
        "rte" => vec![channel()?.into(), Ask::Login(login(LoginService::Rtm)?)],
        _ => {
            let message = "must be rtc, rtm, chat (a user token) or rte (rtc and rtm in one token)";
            return Err(InvalidField::new("tokenType", message).into());
        }
    };
    Ok(asks.into_iter().map(|ask| ("token", ask)).collect())
}

fn channel(
    name: &str,
    role: Role,
    user: &ChannelUser,
    ttl: Option<Ttl>,
    limits: &Limits,
) -> Result<RoomAsk, InvalidField> {
    Ok(RoomAsk {
        has_own_ttl: true,
        room: Some(RoomName::parse(ChannelName::parse(name)?.as_str(), limits)?),
        identity: Some(Identity::parse(user.as_str(), limits)?),
        agora_uid_zero: *user == ChannelUser::Any,
        role: Some(role),
        ttl,
        default_ttl: USUAL_TTL,
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
    Ok(LoginAsk { service, identity, ttl, default_ttl: USUAL_TTL })
}

/// A role by its name or by Agora's number for it.
fn role(role: &str) -> Result<Role, InvalidField> {
    match role {
        "publisher" | "1" => Ok(Role::Publisher),
        "subscriber" | "2" => Ok(Role::Subscriber),
        _ => Err(InvalidField::new("role", "must be publisher (or 1) or subscriber (or 2)")),
    }
}

/// The lifetime in the query. An empty value counts as not set.
fn expiry(query: &str) -> Result<Option<Ttl>, InvalidField> {
    match query_parameter(query, "expiry")?.filter(|seconds| !seconds.is_empty()) {
        None => Ok(None),
        Some(seconds) => lifetime("expiry", seconds.parse().ok()).map(Some),
    }
}

fn lifetime(field: &'static str, seconds: Option<u64>) -> Result<Ttl, InvalidField> {
    let ttl = seconds.and_then(Ttl::seconds);
    ttl.ok_or_else(|| {
        InvalidField::new(field, "must be a whole number of seconds from 1 to 86400 (24 hours)")
    })
}

/// A path parameter.
fn parameter<'a>(received: &Received<'a>, name: &str) -> &'a str {
    received.path.get(name).unwrap_or_default()
}

const USUAL_TTL: Ttl = Ttl::minutes(60);
/// The path parameter for the user of Signaling, if it isn't that of the channel.
const RTM_UID: &str = "rtmuid";
