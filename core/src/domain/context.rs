//! What a request takes from the outside world: the time, and randomness. Both are taken once, at the edge, and handed
//! down, so that a request has one time and tests pin both.

use std::fmt;

use super::generated::Randomness;

/// The time of a request, and where its random bytes come from.
#[derive(Clone, Copy)]
pub struct Context {
    /// Seconds since 1970, by the wall clock: a frozen process's other clocks may stand still.
    pub now: u64,
    /// Where random bytes come from.
    pub randomness: Randomness,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}
