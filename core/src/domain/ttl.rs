//! The lifetime of a token.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{InvalidField, whole_number, within};

/// How long a token can be used to join: whole seconds, 1 second to 24 hours. Once a participant has joined, LiveKit
/// renews the token. Clients treat a token as stale 60 seconds before it expires, so a TTL of a minute or less disables
/// their cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Ttl(#[serde(deserialize_with = "within::<_, 24>")] Duration);

impl Ttl {
    /// The field's name in a request.
    pub const FIELD: &str = "ttl";
    /// 10 minutes: the default of LiveKit's own dialects.
    pub const DEFAULT: Self = Self::minutes(10);
    const MAX: Duration = Duration::from_hours(24);

    /// A lifetime in minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_mins(minutes))
    }

    /// A lifetime in seconds, if it is within the bounds.
    #[must_use]
    pub fn seconds(seconds: u64) -> Option<Self> {
        let duration = Duration::from_secs(seconds);
        (Duration::from_secs(1)..=Self::MAX).contains(&duration).then_some(Self(duration))
    }

    /// Parses a request's lifetime: a string such as "10m", or a number of seconds.
    ///
    /// # Errors
    /// If it is neither, or not within the bounds.
    pub fn parse(value: &Value) -> Result<Self, InvalidField> {
        let parsed = match value {
            Value::String(_) => Self::deserialize(value).ok(),
            _ => whole_number(value).and_then(Self::seconds),
        };
        parsed.ok_or_else(|| {
            InvalidField::wrong_type(
                Self::FIELD,
                "a string such as \"10m\" or a whole number of seconds, from 1 second to 24 hours",
            )
        })
    }

    /// The shorter of this lifetime and a number of seconds. `None` for zero seconds.
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
    fn a_requested_lifetime_is_a_string_with_a_unit_or_a_number_of_seconds() {
        let parse = |value: Value| {
            Ttl::parse(&value).map(|ttl| ttl.duration().as_secs()).map_err(|error| error.to_string())
        };
        for (value, seconds) in
            [("10m".into(), 600), (600.into(), 600), ("24h".into(), 86_400), (1.into(), 1)]
        {
            assert_eq!(parse(value), Ok(seconds));
        }
        let problem =
            "ttl must be a string such as \"10m\" or a whole number of seconds, from 1 second to 24 hours";
        for value in [
            0.into(),
            86_401.into(),
            (-5).into(),
            1.5.into(),
            "600".into(),
            "".into(),
            true.into(),
            Value::Null,
        ] {
            assert_eq!(parse(value), Err(problem.to_owned()));
        }
    }

    #[test]
    fn a_lifetime_has_a_unit() {
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
