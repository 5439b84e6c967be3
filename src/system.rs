//! The system's time and randomness: what every request takes once, at the edge. Tests give it others.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Context;

/// The time now, by the wall clock, and the operating system's randomness.
#[must_use]
pub fn context() -> Context {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Context { now, randomness }
}

/// Fills all the bytes with the operating system's randomness.
///
/// # Panics
/// Where the operating system has none; no input reaches that.
pub fn randomness(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has a source of randomness");
}
