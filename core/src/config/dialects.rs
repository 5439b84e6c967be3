//! Which wire formats are served, and what is theirs alone.

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
    /// `openvidu`: the application servers of OpenVidu's tutorials.
    Openvidu,
    /// `agora`: the Agora community's token service.
    Agora,
}

impl Dialect {
    /// Its name in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Sandbox => "sandbox",
            Self::TokenServer => "token-server",
            Self::Quickstart => "quickstart",
            Self::Openvidu => "openvidu",
            Self::Agora => "agora",
        }
    }
}

/// `[sandbox]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// `ids`: the sandboxes that may be asked through, as `X-Sandbox-ID` names them. They stand in applications and
    /// are no secrets. None unless set.
    pub ids: Vec<String>,
}

/// `[agora]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agora {
    /// `token_version`: "007", or "006" for the SDKs of before 2022. "007" unless set.
    pub token_version: TokenVersion,
}

/// What can't be served as it's written, if anything: the key, and what would be right.
pub(super) fn mistake(dialects: &[Dialect], sandbox: &Sandbox) -> Option<&'static str> {
    let served = dialects.contains(&Dialect::Sandbox);
    if dialects.is_empty() {
        return Some("dialects must list one, such as \"standard\"");
    }
    if dialects.iter().enumerate().any(|(position, dialect)| dialects[..position].contains(dialect)) {
        return Some("dialects must not list one twice");
    }
    if sandbox.ids.iter().any(String::is_empty) {
        return Some("[sandbox] ids must not hold an empty text");
    }
    match (served, sandbox.ids.is_empty()) {
        (true, true) => {
            Some("dialects lists \"sandbox\", so [sandbox] ids must name those that may be asked through")
        }
        _ => None,
    }
}
