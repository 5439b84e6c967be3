//! Which web pages may read the answers.

use ::http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;

/// `[cors]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// `origins`: the origins of pages that may read answers, each exactly as browsers send it, or "*" for any. None
    /// unless set. `ROOMPASS_CORS_ORIGINS`, separated by commas, stands in its place.
    pub origins: Vec<Origin>,
    /// `headers`: request headers that pages may send besides `Authorization`, `Content-Type`, `X-API-Key`,
    /// `X-Requested-With` and `X-Sandbox-ID`. None unless set.
    pub headers: Vec<Header>,
}

/// An origin, or any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Origin {
    /// `*`
    Any,
    /// Such as `https://app.example.com`: compared byte for byte.
    Exactly(HeaderValue),
}

/// A text that isn't an origin.
#[derive(Debug, thiserror::Error)]
#[error("must be \"*\" or scheme://host[:port] without a path, such as https://app.example.com")]
pub struct InvalidOrigin;

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidOrigin);
        };
        // As browsers write it: lower case, no user, no path.
        let written = format!("{scheme}://{authority}").to_ascii_lowercase();
        if written != text || text.contains(['@', '*']) {
            return Err(InvalidOrigin);
        }
        HeaderValue::try_from(text).map(Self::Exactly).map_err(|_| InvalidOrigin)
    }
}

/// A header's name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Header(pub HeaderName);

/// A text that isn't a header's name.
#[derive(Debug, thiserror::Error)]
#[error("must be a header's name, such as \"x-tenant\"")]
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
    fn an_origin_is_written_as_browsers_send_it() {
        for text in [
            "*",
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:5173",
            "capacitor://localhost",
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
            "https://a@b",
            "https://a?b",
            "https://",
            "https://a b",
        ] {
            assert!(Origin::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
