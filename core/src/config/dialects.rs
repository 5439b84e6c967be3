//! The wire formats that are served, and their own settings.

use serde::Deserialize;

use crate::domain::agora::TokenVersion;

/// A wire format that can be served, as `dialects` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// `standard`: LiveKit's standard token endpoint.
    Standard,
    /// `sandbox`: LiveKit's development token server.
    Sandbox,
    /// `token-server`: LiveKit's `token-server-node`.
    TokenServer,
    /// `quickstart`: LiveKit's quickstart for Node.
    Quickstart,
    /// `meet`: LiveKit Meet.
    Meet,
    /// `use-token`: the hook `useToken` of LiveKit's React components.
    UseToken,
    /// `openvidu`: the application servers of OpenVidu's tutorials.
    Openvidu,
    /// `agora`: the Agora community's token service.
    Agora,
}

impl Dialect {
    /// The name in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Sandbox => "sandbox",
            Self::TokenServer => "token-server",
            Self::Quickstart => "quickstart",
            Self::Meet => "meet",
            Self::UseToken => "use-token",
            Self::Openvidu => "openvidu",
            Self::Agora => "agora",
        }
    }
}

/// `[sandbox]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// `ids`: the sandbox IDs that requests may send in `X-Sandbox-ID`. Applications contain them, so they aren't
    /// secrets. None unless set.
    pub ids: Vec<String>,
}

/// `[agora]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgoraSettings {
    /// `token_version`: "007", or "006" for SDKs from before 2022. "007" unless set.
    pub token_version: TokenVersion,
}

/// What is wrong with the dialects and their settings, if anything, and how to fix it.
pub(super) fn mistake(dialects: &[Dialect], sandbox: &Sandbox) -> Option<&'static str> {
    if dialects.is_empty() {
        return Some("dialects must not be empty: list at least one, such as \"standard\"");
    }
    if dialects.iter().enumerate().any(|(position, dialect)| dialects[..position].contains(dialect)) {
        return Some("dialects must not contain duplicates");
    }
    if sandbox.ids.iter().any(String::is_empty) {
        return Some("[sandbox] ids must not contain an empty string");
    }
    if dialects.contains(&Dialect::Sandbox) && sandbox.ids.is_empty() {
        return Some("dialects contains \"sandbox\", so [sandbox] ids must list the accepted sandbox IDs");
    }
    None
}
