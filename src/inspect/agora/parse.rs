//! Parses Agora tokens, which may have services and values that [`crate::mint`] never writes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{APAAS, AgoraService, AgoraToken, FCDN, FPA, Name, Permission, Privilege, RTM2, STREAMING};
use crate::inspect::Unreadable;
use crate::mint::agora::layout::{CHAT, DAY, RTC, RTM, RTM_LOGIN_006, SIGNATURE};

/// Parses the text of a 006 token after its version.
pub(in crate::inspect) fn v006(text: &str) -> Result<AgoraToken, Unreadable> {
    let Some((app_id, content)) = text.split_at_checked(APP_ID) else {
        return Err(Unreadable::Agora("the app ID is incomplete"));
    };
    let content = BASE64_STANDARD.decode(content).map_err(|_| NOT_BASE64)?;
    let mut content = Bytes(&content);
    content.signature()?;
    let (channel, user) = (content.u32()?, content.u32()?);
    let mut message = Bytes(content.block()?);
    content.end()?;
    let salt = message.u32()?;
    let issued = u64::from(message.u32()?.saturating_sub(DAY));
    let privileges = message.privileges(0)?;
    message.end()?;
    let is_signaling = privileges.iter().any(|privilege| privilege.number == RTM_LOGIN_006);
    let (kind, channel, user) =
        if is_signaling { (RTM, None, channel) } else { (RTC, Some(Name::Checksum(channel)), user) };
    let user = Some(Name::Checksum(user));
    let first = privileges.first().and_then(|privilege| privilege.ends);
    let ends = first.filter(|_| privileges.iter().all(|privilege| privilege.ends == first));
    let service = AgoraService { kind, channel, user, role: None, permissions: Vec::new(), privileges };
    Ok(AgoraToken { version: "006", app_id: app_id.to_owned(), issued, ends, salt, services: vec![service] })
}

/// Parses the text of a 007 token after its version.
pub(in crate::inspect) fn v007(text: &str) -> Result<AgoraToken, Unreadable> {
    let compressed = BASE64_STANDARD.decode(text).map_err(|_| NOT_BASE64)?;
    let payload = inflate(&compressed)?;
    let mut payload = Bytes(&payload);
    payload.signature()?;
    let app_id = payload.text()?;
    let issued = u64::from(payload.u32()?);
    let ends = Some(issued + u64::from(payload.u32()?));
    let salt = payload.u32()?;
    let count = payload.u16()?;
    let services = (0..count).map(|_| payload.service(issued)).collect::<Result<_, _>>()?;
    payload.end()?;
    Ok(AgoraToken { version: "007", app_id, issued, ends, salt, services })
}

/// Decompresses the whole content, up to [`MAX_CONTENT`]: a small input can decompress to gigabytes.
fn inflate(compressed: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = vec![0; MAX_CONTENT];
    let flags =
        inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    match decompress(&mut DecompressorOxide::new(), compressed, &mut out, 0, flags) {
        (TINFLStatus::Done, taken, size) if taken == compressed.len() => {
            out.truncate(size);
            Ok(out)
        }
        (TINFLStatus::HasMoreOutput, _, _) => Err(Unreadable::Agora("the decompressed content is too large")),
        _ => Err(Unreadable::Agora("the content is not valid zlib")),
    }
}

/// The bytes that are not parsed yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(INCOMPLETE)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(INCOMPLETE)?;
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
        let text = str::from_utf8(self.block()?).map_err(|_| Unreadable::Agora("a name is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn name(&mut self) -> Result<Option<Name>, Unreadable> {
        self.text().map(Name::Known).map(Some)
    }

    fn signature(&mut self) -> Result<(), Unreadable> {
        match self.block()?.len() {
            SIGNATURE => Ok(()),
            _ => Err(Unreadable::Agora("the signature has the wrong length")),
        }
    }

    /// An expiry is in seconds after `since`; 0 means no expiry.
    fn privileges(&mut self, since: u64) -> Result<Vec<Privilege>, Unreadable> {
        let count = self.u16()?;
        let mut privilege = || {
            let (number, seconds) = (self.u16()?, self.u32()?);
            Ok(Privilege { number, ends: (seconds != 0).then_some(since + u64::from(seconds)) })
        };
        (0..count).map(|_| privilege()).collect()
    }

    fn service(&mut self, issued: u64) -> Result<AgoraService, Unreadable> {
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
        Ok(AgoraService { kind, channel, user, role, permissions, privileges })
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
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable::Agora("the content has extra bytes")) }
    }
}

const NOT_BASE64: Unreadable = Unreadable::Agora("the content is not base64");
const INCOMPLETE: Unreadable = Unreadable::Agora("the content is incomplete");
const APP_ID: usize = 32;
/// In bytes. Tokens issued here have at most 700.
const MAX_CONTENT: usize = 64 * 1024;
