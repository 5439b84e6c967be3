//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, by the wall clock: a frozen process's other clocks may stand still. For everything but tests.
#[must_use]
pub fn wall_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
