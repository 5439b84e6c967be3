//! Durations in the file: a string with a unit, such as "10m".

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

/// A duration of whole seconds, from one second to `HOURS`.
pub(crate) fn within<'de, D: Deserializer<'de>, const HOURS: u64>(value: D) -> Result<Duration, D::Error> {
    value.deserialize_str(DurationVisitor::<HOURS>)
}

struct DurationVisitor<const HOURS: u64>;

impl<const HOURS: u64> Visitor<'_> for DurationVisitor<HOURS> {
    type Value = Duration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "a whole number of seconds, minutes or hours from \"1s\" to \"{HOURS}h\", such as \"10m\""
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        humantime::parse_duration(text)
            .ok()
            .filter(|duration| duration.subsec_nanos() == 0)
            .filter(|duration| (Duration::from_secs(1)..=Duration::from_hours(HOURS)).contains(duration))
            .ok_or_else(|| E::custom(format_args!("must be {}", &self as &dyn serde::de::Expected)))
    }
}
