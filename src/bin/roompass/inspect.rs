//! `roompass inspect`: the content and the expiry of a token.

use std::cmp::Ordering;
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use roompass::inspect::{
    AgoraService, AgoraToken, Inspected, Jwt, Name, Permission, Privilege, Unreadable, read,
};
use serde_json::{Map, Value, json};

use crate::screen::Page;

#[derive(Args)]
pub(crate) struct InspectOptions {
    /// The token, or a response with tokens as curl or `curl -i` prints it; - reads standard input, which keeps it out of
    /// the shell's history
    token: String,
    /// The time to compare with, such as that of a log line; now by default
    #[arg(long, value_name = "2026-01-31T12:00:00Z", value_parser = humantime::parse_rfc3339_weak)]
    at: Option<SystemTime>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why no token can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("no token found in this JSON")]
    NoneInResponse,
    #[error("cannot read standard input: {0}")]
    Input(#[from] io::Error),
}

/// Shows the content of tokens, and when they expire.
///
/// # Errors
/// If there is no token, or it's malformed.
pub(crate) fn run(options: &InspectOptions) -> Result<Page, InspectError> {
    let token = if options.token == "-" { from_input()? } else { options.token.clone() };
    let at = options.at.unwrap_or_else(SystemTime::now);
    let at = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let body = without_head(&token);
    let inspected = match serde_json::from_str(body) {
        Ok(Value::Object(response)) => in_response(&response)?,
        Ok(Value::String(token)) => vec![read(&token)?],
        _ => vec![read(body)?],
    };
    let mut page = Page::default();
    for (position, inspected) in inspected.iter().enumerate() {
        if position > 0 {
            page.line("");
        }
        match (inspected, options.json) {
            (Inspected::Jwt(jwt), false) => {
                page.lines(of_jwt(jwt, at));
                page.line("its claims");
                page.json(&Value::Object(jwt.claims.clone()));
            }
            (Inspected::Agora(token), false) => page.lines(of_agora(token, at)),
            (inspected, true) => page.json(&as_json(inspected, at)),
        }
    }
    Ok(page)
}

/// The body of a response with its head, as `curl -i` prints it. There may be several heads.
fn without_head(response: &str) -> &str {
    let response = response.trim_start();
    if !response.starts_with("HTTP/") {
        return response;
    }
    let ends = ["\r\n\r\n", "\n\n"].into_iter().filter_map(|end| response.split_once(end));
    let (_, body) = ends.min_by_key(|(head, _)| head.len()).unwrap_or((response, ""));
    without_head(body)
}

/// The tokens in a response.
fn in_response(response: &Map<String, Value>) -> Result<Vec<Inspected>, InspectError> {
    let texts = response.values().filter_map(Value::as_str);
    let tokens: Vec<_> = texts.filter_map(|text| read(text).ok()).collect();
    if tokens.is_empty() { Err(InspectError::NoneInResponse) } else { Ok(tokens) }
}

fn from_input() -> io::Result<String> {
    let mut token = String::new();
    io::stdin().take(MAX_SIZE).read_to_string(&mut token)?;
    Ok(token)
}

fn of_jwt(jwt: &Jwt, at: u64) -> Vec<String> {
    let kind = if jwt.is_for_livekit() { "LiveKit token" } else { "JWT without LiveKit grants" };
    let mut lines = vec![line("kind", kind), line("signature", NOT_CHECKED)];
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    for (label, value) in [
        ("key", text(jwt.claims.get("iss"))),
        ("identity", text(jwt.claims.get("sub"))),
        ("room", text(jwt.claims.get("video").and_then(|video| video.get("room")))),
        ("begins", jwt.time("nbf").map(|begin| format!("{}, {}", moment(begin), relative(begin, at)))),
    ] {
        lines.extend(value.map(|value| line(label, &value)));
    }
    lines.push(match (jwt.time("exp"), jwt.claims.contains_key("exp")) {
        (Some(end), _) => line("ends", &ending(end, at)),
        (None, true) => line("ends", "invalid: exp is not a whole number"),
        (None, false) => line("ends", "never: it has no exp"),
    });
    lines
}

fn of_agora(token: &AgoraToken, at: u64) -> Vec<String> {
    let mut lines = vec![
        line("kind", &format!("Agora token {}", token.version)),
        line("signature", NOT_CHECKED),
        line("app", &token.app_id),
        line("issued", &format!("{}, {}", moment(token.issued), relative(token.issued, at))),
    ];
    lines.extend(token.ends.map(|end| line("ends", &ending(end, at))));
    lines.push(line("salt", &token.salt.to_string()));
    for service in &token.services {
        lines.push(line("service", service.name()));
        lines.extend(service.channel.as_ref().map(|name| line("channel", &channel(name))));
        lines.extend(service.user.as_ref().map(|name| line("user", &user(service, name))));
        lines.extend(service.role.map(|role| line("role", &role.to_string())));
        for Privilege { number, ends } in &service.privileges {
            let end = match ends {
                Some(_) if *ends == token.ends => String::new(),
                Some(end) => format!(", which {} ({})", ends_in_words(*end, at), moment(*end)),
                None => ", without expiry".to_owned(),
            };
            lines.push(line("may", &format!("{}{end}", privilege_name(service, *number))));
        }
        for permission in &service.permissions {
            let (may, what) = permission_name(permission);
            lines.push(line("may", &format!("{may} {what}: {}", permission.names.join(", "))));
        }
    }
    lines
}

/// The content of a token, as JSON. `at` is the time to compare with, in seconds since 1970.
pub(crate) fn as_json(inspected: &Inspected, at: u64) -> Value {
    match inspected {
        Inspected::Jwt(jwt) => jwt_as_json(jwt, at),
        Inspected::Agora(token) => agora_as_json(token, at),
    }
}

fn jwt_as_json(jwt: &Jwt, at: u64) -> Value {
    json!({
        "kind": if jwt.is_for_livekit() { "livekit" } else { "jwt" },
        "signature": "not checked",
        "begins": jwt.time("nbf"),
        "ends": jwt.time("exp"),
        "in_words": jwt.time("exp").map(|end| ends_in_words(end, at)),
        "claims": jwt.claims,
    })
}

fn agora_as_json(token: &AgoraToken, at: u64) -> Value {
    let name = |name: &Name| match name {
        Name::Known(name) => name.as_str().into(),
        Name::Checksum(sum) => json!({ "crc32": sum }),
    };
    let service = |service: &AgoraService| {
        let mut members = Map::new();
        members.insert("type".into(), service.name().into());
        members.extend(service.channel.as_ref().map(|channel| ("channel".into(), name(channel))));
        members.extend(service.user.as_ref().map(|user| ("user".into(), name(user))));
        members.extend(service.role.map(|role| ("role".into(), role.into())));
        let privilege = |Privilege { number, ends: end }: &Privilege| {
            json!({
                "name": privilege_name(service, *number),
                "ends": end,
                "in_words": end.map_or_else(|| "no expiry".to_owned(), |end| ends_in_words(end, at)),
            })
        };
        members.insert("privileges".into(), service.privileges.iter().map(privilege).collect());
        let permission = |permission: &Permission| {
            let (may, what) = permission_name(permission);
            json!({ "name": may, "resource": what, "names": permission.names })
        };
        if !service.permissions.is_empty() {
            members.insert("permissions".into(), service.permissions.iter().map(permission).collect());
        }
        Value::Object(members)
    };
    json!({
        "kind": "agora",
        "version": token.version,
        "signature": "not checked",
        "app_id": token.app_id,
        "issued": token.issued,
        "ends": token.ends,
        "in_words": token.ends.map(|end| ends_in_words(end, at)),
        "salt": token.salt,
        "services": token.services.iter().map(service).collect::<Vec<_>>(),
    })
}

fn line(label: &str, value: &str) -> String {
    format!("{label:<13}{value}")
}

fn channel(name: &Name) -> String {
    shown(name, if name.is_any_channel() { Some("every channel") } else { None })
}

fn user(service: &AgoraService, name: &Name) -> String {
    match name.is_any_user() {
        true if service.name() == "chat" => "none: an app token, which no client should have".to_owned(),
        true => shown(name, Some("any user")),
        false => shown(name, None),
    }
}

fn shown(name: &Name, wildcard: Option<&str>) -> String {
    match (name, wildcard) {
        (Name::Known(name), None) => name.clone(),
        (Name::Known(name), Some(wildcard)) => format!("{wildcard}: {name:?}"),
        (Name::Checksum(_), Some(wildcard)) => wildcard.to_owned(),
        (Name::Checksum(sum), None) => format!("CRC-32 {sum:08x} (a 006 token holds no names)"),
    }
}

fn privilege_name(service: &AgoraService, number: u16) -> String {
    service.privilege_name(number).map_or_else(|| format!("privilege {number}"), str::to_owned)
}

fn permission_name(permission: &Permission) -> (String, String) {
    let may = permission.name().map_or_else(|| format!("permission {}", permission.number), str::to_owned);
    let what = permission.resource_name();
    (may, what.map_or_else(|| format!("resources {}", permission.resource), str::to_owned))
}

fn ending(end: u64, at: u64) -> String {
    format!("{}, {}", moment(end), ends_in_words(end, at))
}

fn ends_in_words(end: u64, at: u64) -> String {
    let verb = if end < at { "ended" } else { "ends" };
    format!("{verb} {}", relative(end, at))
}

/// A time relative to `at`, in words.
fn relative(time: u64, at: u64) -> String {
    match time.cmp(&at) {
        Ordering::Greater => format!("in {}", duration(time - at)),
        Ordering::Less => format!("{} ago", duration(at - time)),
        Ordering::Equal => "this second".to_owned(),
    }
}

/// A duration in its two largest units.
fn duration(seconds: u64) -> String {
    let units = [("year", 31_536_000), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let first = units.iter().position(|(_, size)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, size) in units.iter().skip(first).take(2) {
        let count = left / size;
        left %= size;
        if count > 0 {
            parts.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.join(" ")
}

/// A time in RFC 3339, which has only years of four digits.
fn moment(seconds: u64) -> String {
    if seconds > END_OF_9999 {
        return format!("{seconds} seconds after 1970");
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

const NOT_CHECKED: &str = "not verified";
const END_OF_9999: u64 = 253_402_300_799;
/// In bytes. No server or gateway accepts a longer token.
const MAX_SIZE: u64 = 1024 * 1024;
