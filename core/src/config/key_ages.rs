//! How long a process caches keys.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::within;

/// `[keys]`: the ages of cached keys, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "KeyAgesTable")]
pub struct KeyAges {
    /// `refresh_after`: the age at which a request refreshes the keys, 1 second to 24 hours; 5 minutes unless
    /// set. Every process uses a rotated secret after that time.
    pub refresh_after: Duration,
    /// `max_age`: how long cached signing keys are used while refreshing fails, `refresh_after` to 7 days; 24 hours
    /// unless set.
    pub max_age: Duration,
    /// `callers_max_age`: the same for callers' API keys and shared secrets, `refresh_after` to 7 days. A removed API
    /// key works no longer than this. Unless set, the shorter of an hour and `max_age`, or `refresh_after` if that is
    /// longer.
    pub callers_max_age: Duration,
}

impl Default for KeyAges {
    fn default() -> Self {
        let KeyAgesTable { refresh_after, max_age, .. } = KeyAgesTable::default();
        Self { refresh_after, max_age, callers_max_age: HOUR }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KeyAgesTable {
    #[serde(deserialize_with = "within::<_, 24>")]
    refresh_after: Duration,
    #[serde(deserialize_with = "within::<_, 168>")]
    max_age: Duration,
    callers_max_age: Option<CallersMaxAge>,
}

#[derive(Deserialize)]
struct CallersMaxAge(#[serde(deserialize_with = "within::<_, 168>")] Duration);

impl Default for KeyAgesTable {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_mins(5),
            max_age: Duration::from_hours(24),
            callers_max_age: None,
        }
    }
}

/// A maximum age that is shorter than `refresh_after`.
#[derive(Debug, thiserror::Error)]
#[error("{key} ({}) must not be shorter than refresh_after ({})", humantime::format_duration(*.age), humantime::format_duration(*.refresh_after))]
pub struct InvalidAges {
    key: &'static str,
    age: Duration,
    refresh_after: Duration,
}

impl TryFrom<KeyAgesTable> for KeyAges {
    type Error = InvalidAges;

    fn try_from(
        KeyAgesTable { refresh_after, max_age, callers_max_age }: KeyAgesTable,
    ) -> Result<Self, InvalidAges> {
        let callers_max_age =
            callers_max_age.map_or_else(|| max_age.min(HOUR).max(refresh_after), |CallersMaxAge(age)| age);
        for (key, age) in [("max_age", max_age), ("callers_max_age", callers_max_age)] {
            if age < refresh_after {
                return Err(InvalidAges { key, age, refresh_after });
            }
        }
        Ok(Self { refresh_after, max_age, callers_max_age })
    }
}

const HOUR: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<KeyAges, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn ages_have_a_unit() {
        let minutes = |refresh_after, max_age, callers_max_age| KeyAges {
            refresh_after: Duration::from_mins(refresh_after),
            max_age: Duration::from_mins(max_age),
            callers_max_age: Duration::from_mins(callers_max_age),
        };
        assert_eq!(read(""), Ok(minutes(5, 24 * 60, 60)));
        assert_eq!(read(""), Ok(KeyAges::default()));
        assert_eq!(read("max_age = \"30m\""), Ok(minutes(5, 30, 30)));
        assert_eq!(read("refresh_after = \"24h\""), Ok(minutes(24 * 60, 24 * 60, 24 * 60)));
        assert_eq!(read("refresh_after = \"60s\"\nmax_age = \"7d\""), Ok(minutes(1, 7 * 24 * 60, 60)));
        assert_eq!(read("callers_max_age = \"10m\""), Ok(minutes(5, 24 * 60, 10)));
        assert_eq!(read("callers_max_age = \"7d\""), Ok(minutes(5, 24 * 60, 7 * 24 * 60)));
        assert_eq!(read("refresh_after = \"1s\"").unwrap().refresh_after.as_secs(), 1);
    }

    #[test]
    fn an_age_out_of_bounds_is_a_mistake_with_the_bounds() {
        for text in ["", "5", "0s", "500ms", "1500ms", "25h", "-1s", "never"] {
            let message = read(&format!("refresh_after = {text:?}")).unwrap_err();
            assert_eq!(
                message,
                "must be a whole number of seconds, minutes or hours from \"1s\" to \"24h\", such as \"10m\"",
                "{text}"
            );
        }
        for text in ["0s", "169h", "8d"] {
            let message = read(&format!("max_age = {text:?}")).unwrap_err();
            assert!(message.contains("from \"1s\" to \"168h\""), "{text}: {message}");
        }
        for (text, message) in [
            ("max_age = \"1m\"", "max_age (1m) must not be shorter than refresh_after (5m)"),
            ("callers_max_age = \"1m\"", "callers_max_age (1m) must not be shorter than refresh_after (5m)"),
            (
                "refresh_after = \"2h\"\nmax_age = \"1h\"",
                "max_age (1h) must not be shorter than refresh_after (2h)",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), message);
        }
        assert!(read("max_ages = \"1h\"").unwrap_err().contains("unknown field `max_ages`"));
        assert!(read("refresh_after = 300").unwrap_err().contains("expected a whole number of seconds"));
    }
}
