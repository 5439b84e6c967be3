//! The time and the randomness of a request. Both are set once per request, so that all of its code uses one time and
//! tests can fix both.

use std::fmt;

use super::generated::Randomness;

/// The time of a request, and its source of random bytes.
#[derive(Clone, Copy)]
pub struct Context {
    /// Seconds since 1970, by the wall clock. Monotonic clocks may stop while Lambda freezes the process.
    pub now: u64,
    /// The source of random bytes.
    pub randomness: Randomness,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}
