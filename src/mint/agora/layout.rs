//! Numbers in Agora tokens that are both written here and read by `inspect`.

pub(crate) const RTC: u16 = 1;
pub(crate) const RTM: u16 = 2;
pub(crate) const CHAT: u16 = 5;

pub(crate) const JOIN_CHANNEL: u16 = 1;
pub(crate) const PUBLISH_AUDIO: u16 = 2;
pub(crate) const PUBLISH_VIDEO: u16 = 3;
pub(crate) const PUBLISH_DATA: u16 = 4;
pub(crate) const RTM_LOGIN: u16 = 1;
/// Version 006 has no service types, so this privilege has a number of its own.
pub(crate) const RTM_LOGIN_006: u16 = 1000;
pub(crate) const CHAT_USER: u16 = 1;

/// The length of a signature (HMAC-SHA256), in bytes.
pub(crate) const SIGNATURE: usize = 32;
/// The longest lifetime, in seconds. A 006 token contains its time of issue plus a day.
pub(crate) const DAY: u32 = 86_400;
