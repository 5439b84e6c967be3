//! The system's time and randomness. Each request reads them once, when it arrives. Tests use fixed ones.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Context;

/// The current time by the wall clock, and the operating system's randomness.
#[must_use]
pub fn context() -> Context {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Context { now, randomness }
}

/// Fills the bytes with the operating system's randomness.
///
/// # Panics
/// If the operating system has no randomness. No input can cause that.
pub fn randomness(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has a source of randomness");
}
