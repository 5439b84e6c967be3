//! Agora's tokens, taken apart. What came from elsewhere may hold services, wildcards and ends that [`crate::mint`]
//! never writes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::Unreadable;

/// What a token of Agora's says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agora {
    /// `006` or `007`.
    pub version: &'static str,
    /// The app it's for.
    pub app_id: String,
    /// When it was made, in seconds since 1970. A 006 token says a day later, and that day is taken off.
    pub issued: u64,
    /// When it ends, in seconds since 1970. A 006 token ends when its privileges do, if those end together.
    pub ends: Option<u64>,
    /// What makes it unlike others of the same second.
    pub salt: u32,
    /// What it's for.
    pub services: Vec<Service>,
}

/// One of Agora's products, and what one may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its number in a 007 token; in a 006 token, derived from the privileges.
    pub kind: u16,
    /// The channel, or the room, where the service has one.
    pub channel: Option<Name>,
    /// Who its holder is, where the service has users.
    pub user: Option<Name>,
    /// Its holder's role, in a flexible classroom.
    pub role: Option<i16>,
    /// What else one may do, and with what, in the later Signaling.
    pub permissions: Vec<Permission>,
    /// What one may do, in the token's order.
    pub privileges: Vec<Privilege>,
}

/// A channel or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// As it stands in the token.
    Known(String),
    /// A 006 token holds a name's CRC-32 alone.
    Checksum(u32),
}

/// Something one may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    /// Its number.
    pub number: u16,
    /// Until when, in seconds since 1970; none where it has no expiry.
    pub ends: Option<u64>,
}

/// Something one may do with some resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// What sort of resources.
    pub resource: u16,
    /// What one may do with them.
    pub number: u16,
    /// Which.
    pub names: Vec<String>,
}

impl Service {
    /// The product's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            RTC => "rtc",
            RTM => "rtm",
            STREAMING => "streaming",
            FPA => "fpa",
            CHAT => "chat",
            FCDN => "fcdn",
            APAAS => "apaas",
            _ => "rtm2",
        }
    }

    /// A privilege's name, where it has one.
    #[must_use]
    pub fn privilege_name(&self, number: u16) -> Option<&'static str> {
        Some(match (self.kind, number) {
            (RTC, 1) => "join_channel",
            (RTC, 2) => "publish_audio",
            (RTC, 3) => "publish_video",
            (RTC, 4) => "publish_data",
            (RTM, 1 | RTM_LOGIN_006) | (FPA | RTM2, 1) => "login",
            (STREAMING, 1) => "publish_mix_stream",
            (STREAMING, 2) => "publish_raw_stream",
            (CHAT, 1) | (APAAS, 2) => "user",
            (CHAT, 2) | (APAAS, 3) => "app",
            (FCDN, 1) => "publish",
            (FCDN, 2) => "play",
            (APAAS, 1) => "room_user",
            _ => return None,
        })
    }
}

impl Name {
    /// Whether a channel of this name is every channel.
    #[must_use]
    pub fn is_any_channel(&self) -> bool {
        match self {
            Self::Known(name) => name.trim_matches(' ').is_empty() || name.contains('*'),
            Self::Checksum(sum) => *sum == OF_NOTHING,
        }
    }

    /// Whether this name means any user.
    #[must_use]
    pub fn is_any_user(&self) -> bool {
        match self {
            Self::Known(name) => name.trim_matches(['0', ' ']).is_empty() || name.contains('*'),
            Self::Checksum(sum) => *sum == OF_NOTHING,
        }
    }
}

impl Permission {
    /// The resources' name, where they have one.
    #[must_use]
    pub fn resource_name(&self) -> Option<&'static str> {
        ["message_channels", "stream_channels", "group_channels", "server_groups", "users"]
            .get(usize::from(self.resource))
            .copied()
    }

    /// The permission's name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        ["read", "write"].get(usize::from(self.number)).copied()
    }
}

/// A token's text after its version.
pub(super) fn v006(text: &str) -> Result<Agora, Unreadable> {
    let Some((app_id, content)) = text.split_at_checked(APP_ID) else {
        return Err(Unreadable::Agora("app ID isn't whole"));
    };
    let content = BASE64_STANDARD.decode(content).map_err(|_| NO_BASE64)?;
    let mut content = Bytes(&content);
    content.signature()?;
    let (channel, user) = (content.u32()?, content.u32()?);
    let mut message = Bytes(content.block()?);
    content.end()?;
    let salt = message.u32()?;
    let issued = u64::from(message.u32()?.saturating_sub(DAY));
    let privileges = message.privileges(0)?;
    message.end()?;
    let in_signaling = privileges.iter().any(|privilege| privilege.number == RTM_LOGIN_006);
    let (kind, channel, user) =
        if in_signaling { (RTM, None, channel) } else { (RTC, Some(Name::Checksum(channel)), user) };
    let user = Some(Name::Checksum(user));
    let first = privileges.first().and_then(|privilege| privilege.ends);
    let ends = first.filter(|_| privileges.iter().all(|privilege| privilege.ends == first));
    let service = Service { kind, channel, user, role: None, permissions: Vec::new(), privileges };
    Ok(Agora { version: "006", app_id: app_id.to_owned(), issued, ends, salt, services: vec![service] })
}

/// A token's text after its version.
pub(super) fn v007(text: &str) -> Result<Agora, Unreadable> {
    let packed = BASE64_STANDARD.decode(text).map_err(|_| NO_BASE64)?;
    let payload = inflate(&packed)?;
    let mut payload = Bytes(&payload);
    payload.signature()?;
    let app_id = payload.text()?;
    let issued = u64::from(payload.u32()?);
    let ends = Some(issued + u64::from(payload.u32()?));
    let salt = payload.u32()?;
    let count = payload.u16()?;
    let services = (0..count).map(|_| payload.service(issued)).collect::<Result<_, _>>()?;
    payload.end()?;
    Ok(Agora { version: "007", app_id, issued, ends, salt, services })
}

/// All of what was packed, and not more of it than a token may hold, however little it was packed to.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = vec![0; MOST];
    let flags =
        inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    match decompress(&mut DecompressorOxide::new(), packed, &mut out, 0, flags) {
        (TINFLStatus::Done, taken, size) if taken == packed.len() => {
            out.truncate(size);
            Ok(out)
        }
        (TINFLStatus::HasMoreOutput, _, _) => Err(Unreadable::Agora("content is larger than a token's")),
        _ => Err(Unreadable::Agora("content can't be inflated")),
    }
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BROKEN_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BROKEN_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, Unreadable> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Unreadable> {
        self.array().map(u32::from_le_bytes)
    }

    fn block(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = self.u16()?;
        self.take(length.into())
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let text = str::from_utf8(self.block()?).map_err(|_| Unreadable::Agora("names aren't UTF-8"))?;
        Ok(text.to_owned())
    }

    fn name(&mut self) -> Result<Option<Name>, Unreadable> {
        self.text().map(Name::Known).map(Some)
    }

    fn signature(&mut self) -> Result<(), Unreadable> {
        match self.block()?.len() {
            32 => Ok(()),
            _ => Err(Unreadable::Agora("signature has another length")),
        }
    }

    /// Each ends so many seconds after `since`, and never where that is none.
    fn privileges(&mut self, since: u64) -> Result<Vec<Privilege>, Unreadable> {
        let count = self.u16()?;
        let mut privilege = || {
            let (number, seconds) = (self.u16()?, self.u32()?);
            Ok(Privilege { number, ends: (seconds != 0).then_some(since + u64::from(seconds)) })
        };
        (0..count).map(|_| privilege()).collect()
    }

    fn service(&mut self, issued: u64) -> Result<Service, Unreadable> {
        let kind = self.u16()?;
        let privileges = self.privileges(issued)?;
        let (channel, user) = match kind {
            RTC | STREAMING | FCDN | APAAS => (self.name()?, self.name()?),
            RTM | CHAT | RTM2 => (None, self.name()?),
            FPA => (None, None),
            unknown => return Err(Unreadable::UnknownService(unknown)),
        };
        let role = if kind == APAAS { Some(self.array().map(i16::from_le_bytes)?) } else { None };
        let permissions = if kind == RTM2 { self.permissions()? } else { Vec::new() };
        Ok(Service { kind, channel, user, role, permissions, privileges })
    }

    fn permissions(&mut self) -> Result<Vec<Permission>, Unreadable> {
        let mut permissions = Vec::new();
        for _ in 0..self.u16()? {
            let resource = self.u16()?;
            for _ in 0..self.u16()? {
                let (number, count) = (self.u16()?, self.u16()?);
                let names = (0..count).map(|_| self.text()).collect::<Result<_, _>>()?;
                permissions.push(Permission { resource, number, names });
            }
        }
        Ok(permissions)
    }

    fn end(&self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable::Agora("content goes on after its end")) }
    }
}

const NO_BASE64: Unreadable = Unreadable::Agora("content is no base64");
const BROKEN_OFF: Unreadable = Unreadable::Agora("content breaks off");
/// The CRC-32 of a name that is empty.
const OF_NOTHING: u32 = 0;
const APP_ID: usize = 32;
const DAY: u32 = 86_400;
/// In bytes. Ours hold 700 at the very most.
const MOST: usize = 64 * 1024;

const RTC: u16 = 1;
const RTM: u16 = 2;
const STREAMING: u16 = 3;
const FPA: u16 = 4;
const CHAT: u16 = 5;
const FCDN: u16 = 6;
const APAAS: u16 = 7;
const RTM2: u16 = 8;
const RTM_LOGIN_006: u16 = 1000;
