//! The web pages that may read responses.

use std::fmt;

use ::http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;

/// `[cors]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// `origins`: the origins of pages that may read responses, each exactly as browsers send it; "*" for any, or
    /// "<http://localhost:*>" for any port of a loopback host. None unless set. `ROOMPASS_CORS_ORIGINS`, separated by
    /// commas, overrides it.
    pub origins: Vec<Origin>,
    /// `headers`: request headers that pages may send in addition to `Authorization`, `Content-Type`, `X-API-Key`,
    /// `X-Requested-With` and `X-Sandbox-ID`. None unless set.
    pub headers: Vec<Header>,
}

/// An origin, or a pattern for several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Origin {
    /// `*`
    Any,
    /// Such as `https://app.example.com`: compared byte for byte.
    Exactly(HeaderValue),
    /// Such as `http://localhost:*`: every port of a loopback host.
    AnyPort(String),
}

impl Origin {
    /// The origins of pages on the user's own machine.
    #[must_use]
    pub fn loopback() -> Vec<Self> {
        LOOPBACK.map(|host| Self::AnyPort(host.to_owned())).into()
    }

    /// Whether it allows the origin that a browser sent.
    #[must_use]
    pub fn matches(&self, sent: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(origin) => origin == sent,
            Self::AnyPort(host) => sent.as_bytes().strip_prefix(host.as_bytes()).is_some_and(is_port),
        }
    }
}

/// The value in the file.
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("*"),
            Self::Exactly(origin) => formatter.write_str(&String::from_utf8_lossy(origin.as_bytes())),
            Self::AnyPort(host) => write!(formatter, "{host}:*"),
        }
    }
}

/// The port of an origin: empty for the scheme's default port, or a colon and a number.
fn is_port(end: &[u8]) -> bool {
    match end.split_first() {
        None => true,
        Some((colon, port)) => {
            *colon == b':' && (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)
        }
    }
}

/// A string that isn't an origin.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be \"*\" or scheme://host[:port] without a user name or a path, such as https://app.example.com, or http://localhost:* for any port"
)]
pub struct InvalidOrigin;

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(host) = text.strip_suffix(":*") {
            return LOOPBACK.contains(&host).then(|| Self::AnyPort(host.to_owned())).ok_or(InvalidOrigin);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidOrigin);
        };
        // Browsers send lower case, without user name and path.
        let normalized = format!("{scheme}://{authority}").to_ascii_lowercase();
        if normalized != text || text.contains(['@', '*']) {
            return Err(InvalidOrigin);
        }
        HeaderValue::try_from(text).map(Self::Exactly).map_err(|_| InvalidOrigin)
    }
}

const LOOPBACK: [&str; 6] = [
    "http://localhost",
    "http://127.0.0.1",
    "http://[::1]",
    "https://localhost",
    "https://127.0.0.1",
    "https://[::1]",
];

/// The name of a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Header(pub HeaderName);

/// A string that isn't the name of a header.
#[derive(Debug, thiserror::Error)]
#[error("must be the name of a header, such as \"x-tenant\"")]
pub struct InvalidHeader;

impl TryFrom<String> for Header {
    type Error = InvalidHeader;

    fn try_from(text: String) -> Result<Self, InvalidHeader> {
        HeaderName::try_from(text).map(Self).map_err(|_| InvalidHeader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_the_form_that_browsers_send() {
        for text in [
            "*",
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:5173",
            "capacitor://localhost",
            "http://localhost:*",
            "https://[::1]:*",
        ] {
            assert!(Origin::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://*.example.com",
            "https://app.example.com:*",
            "http://localhost.example.com:*",
            "https://a@b",
            "https://a?b",
            "https://",
            "https://a b",
        ] {
            assert!(Origin::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_loopback_origin_matches_every_port() {
        let is_loopback = |sent: &str| {
            let sent = HeaderValue::try_from(sent).unwrap();
            Origin::loopback().iter().any(|origin| origin.matches(&sent))
        };
        for sent in ["http://localhost:5173", "https://localhost", "http://127.0.0.1:80", "http://[::1]:1"] {
            assert!(is_loopback(sent), "{sent}");
        }
        for sent in [
            "null",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:",
            "http://localhost:x",
            "http://localhost:000080",
            "http://localhost@evil.example",
            "http://127.0.0.11",
            "http://evil.example:5173",
            "capacitor://localhost",
        ] {
            assert!(!is_loopback(sent), "{sent}");
        }
    }
}
