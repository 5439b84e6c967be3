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

    /// The URL of the same LiveKit Cloud project in a region. Other servers have no regions, so their URL is unchanged.
    ///
    /// Source: <https://docs.livekit.io/deploy/admin/regions/region-pinning/>.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let parts = self.0.split_once("://").and_then(|(scheme, rest)| {
            let (host, tail) = rest.split_at(rest.find(['/', ':', '?', '#']).unwrap_or(rest.len()));
            let (project, domain) = host.split_once('.')?;
            match domain.to_ascii_lowercase().as_str() {
                "livekit.cloud" => Some((scheme, project, "production", tail)),
                "staging.livekit.cloud" => Some((scheme, project, "staging", tail)),
                _ => None,
            }
        });
        parts.map_or_else(
            || self.clone(),
            |(scheme, project, environment, tail)| {
                Self(format!("{scheme}://{project}.{region}.{environment}.livekit.cloud{tail}"))
            },
        )
    }

    /// Whether text can be the name of a region: a part of a host name.
    #[must_use]
    pub fn is_region(text: &str) -> bool {
        let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        (1..=32).contains(&text.len())
            && text.as_bytes().iter().all(is_inner)
            && !text.starts_with('-')
            && !text.ends_with('-')
    }

    /// The URL of a LiveKit server that was started with `--dev`.
    #[must_use]
    pub fn development() -> Self {
        Self("ws://localhost:7880".to_owned())
    }

    /// The URL of the server's HTTP API, without a slash at its end.
    #[must_use]
    pub fn http_url(&self) -> String {
        let scheme = if self.is_encrypted() { "https" } else { "http" };
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        format!("{scheme}://{}", rest[..end].trim_end_matches('/'))
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
    fn the_http_api_has_the_same_host() {
        for (url, http) in [
            ("wss://a.livekit.cloud", "https://a.livekit.cloud"),
            ("HTTPS://a.example/", "https://a.example"),
            ("https://a.example/livekit/?x=1", "https://a.example/livekit"),
            ("ws://localhost:7880", "http://localhost:7880"),
            ("http://[::1]:7880", "http://[::1]:7880"),
        ] {
            assert_eq!(ServerUrl::parse(url).unwrap().http_url(), http);
        }
    }

    #[test]
    fn only_a_livekit_cloud_project_has_regions() {
        for (url, in_eu) in [
            ("wss://p.livekit.cloud", "wss://p.eu.production.livekit.cloud"),
            ("https://p.LiveKit.Cloud/", "https://p.eu.production.livekit.cloud/"),
            ("wss://p.livekit.cloud:443/rtc?a=b.c", "wss://p.eu.production.livekit.cloud:443/rtc?a=b.c"),
            ("wss://p.staging.livekit.cloud", "wss://p.eu.staging.livekit.cloud"),
            ("wss://p.us.production.livekit.cloud", "wss://p.us.production.livekit.cloud"),
            ("wss://livekit.cloud", "wss://livekit.cloud"),
            ("wss://a.livekit.cloud.example.com", "wss://a.livekit.cloud.example.com"),
            ("wss://calls.example.com/x.livekit.cloud", "wss://calls.example.com/x.livekit.cloud"),
            ("ws://localhost:7880", "ws://localhost:7880"),
            ("ws://[::1]:7880", "ws://[::1]:7880"),
        ] {
            assert_eq!(ServerUrl::parse(url).unwrap().in_region("eu").as_str(), in_eu);
        }
    }

    #[test]
    fn a_region_is_one_part_of_a_host_name() {
        let long = "a".repeat(33);
        for text in ["eu", "us-east-1a", "eu-central-1b", "9"] {
            assert!(ServerUrl::is_region(text), "{text}");
        }
        for text in ["", "EU", "a.b", "a/", "a@b", "a:1", "-a", "a-", "a b", "é", "a%2e", &long] {
            assert!(!ServerUrl::is_region(text), "{text}");
        }
    }

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
