//! How the keys in a process age, by the wall clock: a frozen process's other clocks may stand still. Times are in
//! seconds since 1970, and come in.

use std::time::Duration;

use crate::domain::Randomness;

/// How old a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ages {
    /// From when on it's refreshed.
    pub(super) refresh_after: Duration,
    /// From when on it isn't used.
    pub(super) max_age: Duration,
}

/// When a value was read, and when reading it anew last failed.
#[derive(Debug, Clone)]
pub(super) struct Age {
    read: u64,
    /// Whether the clock was set back behind `read`, so that nobody can say how old the value is.
    doubtful: bool,
    /// When a try failed, and how long the next one waits.
    failed: Option<(u64, u64)>,
}

/// What is to be done with a value of an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It serves.
    Fresh,
    /// It serves, and it's time to read it anew.
    Due,
    /// It serves, although it's old: it couldn't be read anew just now.
    Waiting,
    /// It serves no more.
    Ended,
}

impl Age {
    /// Of a value that is read now.
    pub(super) fn new(now: u64) -> Self {
        Self { read: now, doubtful: false, failed: None }
    }

    /// Looks at the clock. One that went forward makes the value as old as it says; one that was set back makes it due
    /// at once, and its age is counted from then.
    pub(super) fn at(&mut self, now: u64, ages: Ages) -> Verdict {
        if is_behind(now, self.read) {
            *self = Self { doubtful: true, ..Self::new(now) };
        }
        self.failed = self.failed.filter(|(when, _)| !is_behind(now, *when));
        let age = self.seconds(now);
        if age >= ages.max_age.as_secs() {
            Verdict::Ended
        } else if age < ages.refresh_after.as_secs() && !self.doubtful {
            Verdict::Fresh
        } else if self.failed.is_some_and(|(when, wait)| now.saturating_sub(when) < wait) {
            Verdict::Waiting
        } else {
            Verdict::Due
        }
    }

    /// The value's age, in seconds.
    pub(super) fn seconds(&self, now: u64) -> u64 {
        now.saturating_sub(self.read)
    }

    /// Reading it anew has failed: the next try waits for 5 to 15 seconds, so that a thousand processes that failed
    /// together don't come back together. Gives how many.
    pub(super) fn failed(&mut self, now: u64, randomness: Randomness) -> u64 {
        let mut bytes = [0; 2];
        randomness(&mut bytes);
        let wait = LEAST_WAIT + u64::from(u16::from_be_bytes(bytes)) % (MOST_WAIT - LEAST_WAIT + 1);
        self.failed = Some((now, wait));
        wait
    }
}

/// Whether the clock was set back since `then`. A request looks at it once, so it may be a few seconds behind another
/// that came later.
fn is_behind(now: u64, then: u64) -> bool {
    now.saturating_add(A_REQUEST) < then
}

/// A second more than the shortest wait, since times are whole seconds.
const LEAST_WAIT: u64 = 6;
const MOST_WAIT: u64 = 15;
/// Longer than any request takes.
const A_REQUEST: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const MORNING: u64 = 1_795_000_000;
    const AGES: Ages = Ages { refresh_after: Duration::from_mins(5), max_age: Duration::from_hours(24) };
    const DAY: u64 = 24 * 3_600;

    fn at(age: &mut Age, second: u64) -> Verdict {
        age.at(MORNING + second, AGES)
    }

    #[test]
    fn a_value_is_fresh_then_due_then_ended() {
        let mut age = Age::new(MORNING);
        for (second, verdict) in [
            (0, Verdict::Fresh),
            (299, Verdict::Fresh),
            (300, Verdict::Due),
            (3_600, Verdict::Due),
            (DAY - 1, Verdict::Due),
            (DAY, Verdict::Ended),
            (100 * DAY, Verdict::Ended),
        ] {
            assert_eq!(at(&mut age, second), verdict, "second {second}");
        }
    }

    #[test]
    fn after_a_failure_the_next_try_waits_five_to_fifteen_seconds() {
        for (randomness, wait) in [
            ((|bytes| bytes.fill(0)) as Randomness, 6),
            (|bytes| bytes.copy_from_slice(&[0, 9]), 15),
            (|bytes| bytes.copy_from_slice(&[0, 10]), 6),
            (|bytes| bytes.fill(255), 6 + 65_535 % 10),
        ] {
            let mut age = Age::new(MORNING);
            assert_eq!(age.failed(MORNING + 300, randomness), wait);
            assert_eq!(at(&mut age, 300), Verdict::Waiting);
            assert_eq!(at(&mut age, 300 + wait - 1), Verdict::Waiting);
            assert_eq!(at(&mut age, 300 + wait), Verdict::Due);
        }
        let waits: std::collections::HashSet<_> =
            (0..1_000).map(|_| Age::new(0).failed(0, crate::domain::operating_system_randomness)).collect();
        assert_eq!(waits.len(), 10, "not every wait comes up: {waits:?}");
    }

    #[test]
    fn a_value_that_could_not_be_read_anew_ends_all_the_same() {
        let mut age = Age::new(MORNING);
        age.failed(MORNING + DAY - 1, |bytes| bytes.fill(0));
        assert_eq!(at(&mut age, DAY - 1), Verdict::Waiting);
        assert_eq!(at(&mut age, DAY), Verdict::Ended);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_a_value_due_once_and_never_keeps_it_for_good() {
        let mut age = Age::new(MORNING + 10 * DAY);
        assert_eq!(at(&mut age, 0), Verdict::Due, "nobody knows how old it is");
        age.failed(MORNING, |bytes| bytes.fill(0));
        assert_eq!(at(&mut age, 5), Verdict::Waiting);
        assert_eq!(at(&mut age, 6), Verdict::Due);
        assert_eq!(at(&mut age, DAY - 1), Verdict::Due);
        assert_eq!(at(&mut age, DAY), Verdict::Ended, "counted from when the clock was set back");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_a_try_waiting() {
        let mut age = Age::new(MORNING);
        age.failed(MORNING + 3_600, |bytes| bytes.fill(0));
        assert_eq!(at(&mut age, 1_800), Verdict::Due);
    }

    #[test]
    fn a_clock_that_went_ahead_and_is_put_right_does_no_harm() {
        let mut age = Age::new(MORNING);
        assert_eq!(at(&mut age, 2 * DAY), Verdict::Ended);
        assert_eq!(at(&mut age, 60), Verdict::Fresh);
    }

    #[test]
    fn a_request_that_looked_at_the_clock_a_little_earlier_finds_the_value_fresh() {
        let mut age = Age::new(MORNING + 10);
        assert_eq!(at(&mut age, 0), Verdict::Fresh);
        assert_eq!(Age::new(MORNING + 11).at(MORNING, AGES), Verdict::Due);
    }
}
