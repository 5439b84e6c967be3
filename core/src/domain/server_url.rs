//! The URL that clients connect to.

use std::net::IpAddr;

use http::Uri;

use super::MalformedSecret;
use crate::url::has_userinfo;

/// The URL that clients connect to: `ws`, `wss`, `http` or `https`. Some clients refuse a response with an invalid URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The name of the secret's member and of the environment variable.
    pub const MEMBER: &str = "LIVEKIT_URL";

    /// Parses a URL.
    ///
    /// # Errors
    /// If it isn't a URL, or has another scheme.
    pub fn parse(text: &str) -> Result<Self, MalformedSecret> {
        let url = text.parse::<Uri>().ok().filter(|url| url.host().is_some_and(|host| !host.is_empty()));
        let is_supported = |url: &Uri| matches!(url.scheme_str(), Some("ws" | "wss" | "http" | "https"));
        match url {
            _ if has_userinfo(text) => Err(MalformedSecret::new(
                Self::MEMBER,
                "must not contain a user name or password: remove everything before the @",
            )),
            Some(url) if is_supported(&url) => Ok(Self(text.to_owned())),
            _ => Err(MalformedSecret::new(
                Self::MEMBER,
                "must be a URL such as wss://my-project.livekit.cloud",
            )),
        }
    }

    /// Whether clients connect with TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.scheme_is("wss") || self.scheme_is("https")
    }

    fn scheme_is(&self, scheme: &str) -> bool {
        self.0.split_once("://").is_some_and(|(own, _)| own.eq_ignore_ascii_case(scheme))
    }

    /// Whether it is a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let uri = self.0.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    }

    /// The URL of a LiveKit server that was started with `--dev`.
    #[must_use]
    pub fn development() -> Self {
        Self("ws://localhost:7880".to_owned())
    }

    /// The URL, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_that_clients_can_connect_to() {
        for url in
            ["ws://localhost:7880", "wss://x.livekit.cloud", "https://x.example/livekit", "http://[::1]:7880"]
        {
            assert_eq!(ServerUrl::parse(url).unwrap().as_str(), url);
        }
        for url in
            ["", "localhost:7880", "//x", "ftp://x", "wss://", "wss://a b", "wss://user:canary@x", " wss://x"]
        {
            assert!(ServerUrl::parse(url).is_err(), "{url}");
        }
    }
}
