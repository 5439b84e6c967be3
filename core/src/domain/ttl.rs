//! How long a token opens its door.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::within;

/// From when a token is minted to when it can no longer be used to join: whole seconds, 1 second to 24 hours. Once
/// a participant has joined, LiveKit renews the token itself. Clients treat a token as stale 60 seconds before its end, so a
/// TTL of a minute or less defeats their cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Ttl(#[serde(deserialize_with = "within::<_, 24>")] Duration);

impl Ttl {
    /// 10 minutes: what LiveKit's own dialects give where the rule names none.
    pub const DEFAULT: Self = Self::minutes(10);
    const MOST: Duration = Duration::from_hours(24);

    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_mins(minutes))
    }

    /// So many seconds, if that is a lifetime.
    #[must_use]
    pub fn seconds(seconds: u64) -> Option<Self> {
        let duration = Duration::from_secs(seconds);
        (Duration::from_secs(1)..=Self::MOST).contains(&duration).then_some(Self(duration))
    }

    /// This lifetime, or as many seconds if they are fewer. None where there are none left.
    #[must_use]
    pub fn within(self, seconds: u64) -> Option<Self> {
        (seconds > 0).then(|| Self(self.0.min(Duration::from_secs(seconds))))
    }

    /// The lifetime as a duration of whole seconds.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        ttl: Ttl,
    }

    fn read(value: &str) -> Result<u64, String> {
        let file: Result<File, _> = toml::from_str(&format!("ttl = {value}"));
        file.map(|file| file.ttl.duration().as_secs()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_lifetime_is_written_with_its_unit() {
        for (value, seconds) in
            [("'10m'", 600), ("'90s'", 90), ("'1s'", 1), ("'24h'", 86_400), ("'1h 30m'", 5_400)]
        {
            assert_eq!(read(value), Ok(seconds), "{value}");
        }
        let right = "a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\"";
        for value in ["''", "'10'", "'0s'", "'500ms'", "'1500ms'", "'24h 1s'", "'-1s'", "'1y'", "'forever'"] {
            assert_eq!(read(value), Err(format!("must be {right}")), "{value}");
        }
        for (value, kind) in
            [("600", "integer `600`"), ("10.5", "floating point `10.5`"), ("true", "boolean `true`")]
        {
            assert_eq!(read(value), Err(format!("invalid type: {kind}, expected {right}")));
        }
    }
}
