//! The one cache: a value that is fetched when it's first needed, refreshed once it's stale, used while refreshing fails,
//! and never used once it has expired. Ages are counted by the wall clock, in seconds since 1970, since a frozen
//! process's other clocks may stand still.
//!
//! There is no background task: the one request that finds the value stale refreshes it, and goes on with what there is
//! then; no other request waits. Without a usable value, all requests that need it wait for the one that fetches it, and
//! share the outcome. A failure is never cached as an outcome, but tries after it are spaced.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{Context, Randomness};

/// A value that can be refreshed. Its default is the value before the first fetch.
pub(crate) trait Refresh: Default {
    /// Why it can't be.
    type Error: std::error::Error + Clone + From<TimedOut>;

    /// Takes what was fetched. Where part of it can't be used, the older part stays.
    ///
    /// # Errors
    /// Why part of it can't be used.
    fn replace(&mut self, fetched: Self) -> Result<(), Self::Error>;
}

/// A fetch that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no response in time")]
pub struct TimedOut;

/// When a value is refreshed, and how long that may take.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// What the value is, for the log.
    pub(crate) name: &'static str,
    /// From which age on it's stale.
    pub(crate) refresh_after: Duration,
    /// From which age on it has expired.
    pub(crate) max_age: Duration,
    /// Seconds between two tries while a stale value is used: drawn at random, so that a thousand processes that failed
    /// together don't try again together.
    pub(crate) retry: RangeInclusive<u64>,
    /// Seconds between two tries for what the value lacks.
    pub(crate) retry_missing: u64,
    /// How long the request that refreshes a usable value waits.
    pub(crate) patience: Duration,
    /// How long requests wait that have no usable value.
    pub(crate) patience_without: Duration,
}

/// Why there is nothing usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing<E> {
    /// The value is there, and lacks what was asked for.
    Absent,
    /// The last fetch failed.
    Failed(E),
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Refreshing<T: Refresh> {
    schedule: Schedule,
    /// Held by the request that fetches.
    turn: tokio::sync::Mutex<()>,
    turns_ended: AtomicU64,
    /// Never locked while anything is waited for.
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T: Refresh> {
    value: T,
    age: Option<Age>,
    /// When a fetch last failed, or was last begun for what a fresh value lacks; and how many seconds the next one waits
    /// while the value is used.
    tried: Option<(u64, u64)>,
    failure: Option<T::Error>,
    /// Whether part of what was fetched last couldn't be used.
    is_partial: bool,
}

/// How old a value is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    fetched: u64,
    /// Whether the clock was set back behind `fetched`, so that the true age is unknown.
    doubtful: bool,
}

/// What to do with a value.
#[derive(Debug, PartialEq, Eq)]
enum Verdict<R> {
    /// Use it.
    Use(R),
    /// Use it, and refresh it if no other request does.
    Refresh(R),
    /// Wait for a fetch.
    Fetch,
    /// Nothing can be had before the next try.
    None,
}

impl<T: Refresh> Refreshing<T> {
    pub(crate) fn new(schedule: Schedule) -> Self {
        let (turn, turns_ended) = (tokio::sync::Mutex::default(), AtomicU64::default());
        Self { schedule, turn, turns_ended, state: Mutex::default() }
    }

    /// What `pick` takes from the value now; `fetch` is run where it's stale, or lacks that.
    ///
    /// # Errors
    /// Where there is nothing that `pick` could take.
    pub(crate) async fn get<R>(
        &self,
        &Context { now, randomness }: &Context,
        pick: impl Fn(&mut T) -> Option<R>,
        fetch: impl AsyncFnOnce() -> Result<T, T::Error>,
    ) -> Result<R, Missing<T::Error>> {
        let verdict = self.state().verdict(now, &self.schedule, &pick);
        let before = self.turns_ended.load(Ordering::Acquire);
        let (turn, patience) = match verdict {
            Verdict::Use(picked) => return Ok(picked),
            Verdict::None => return self.state().outcome(now, &self.schedule, &pick),
            Verdict::Refresh(picked) => match self.turn.try_lock() {
                Ok(turn) => (turn, self.schedule.patience),
                Err(_) => return Ok(picked),
            },
            Verdict::Fetch => (self.turn.lock().await, self.schedule.patience_without),
        };
        // A request whose turn comes after another's has ended shares that one's outcome.
        if self.turns_ended.load(Ordering::Acquire) == before {
            let fetched = tokio::time::timeout(patience, fetch()).await;
            let fetched = fetched.unwrap_or_else(|_| Err(TimedOut.into()));
            self.state().tried(fetched, now, randomness, &self.schedule);
            self.turns_ended.fetch_add(1, Ordering::Release);
        }
        drop(turn);
        self.state().outcome(now, &self.schedule, &pick)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Refresh> State<T> {
    fn verdict<R>(
        &mut self,
        now: u64,
        schedule: &Schedule,
        pick: &impl Fn(&mut T) -> Option<R>,
    ) -> Verdict<R> {
        self.tried = self.tried.filter(|(when, _)| !is_behind(now, *when));
        let since_try = self.tried.map(|(when, wait)| (now.saturating_sub(when), wait));
        let is_fresh = self.age.as_mut().is_some_and(|age| age.is_fresh(now, schedule.refresh_after));
        match self.picked(now, schedule, pick) {
            Some(picked) if is_fresh && !self.is_partial => Verdict::Use(picked),
            Some(picked) if since_try.is_some_and(|(since, wait)| since < wait) => Verdict::Use(picked),
            Some(picked) => Verdict::Refresh(picked),
            None if since_try.is_some_and(|(since, _)| since < schedule.retry_missing) => Verdict::None,
            None => Verdict::Fetch,
        }
    }

    /// What there is by now, and by the outcome of the last fetch.
    fn outcome<R>(
        &mut self,
        now: u64,
        schedule: &Schedule,
        pick: &impl Fn(&mut T) -> Option<R>,
    ) -> Result<R, Missing<T::Error>> {
        match (self.picked(now, schedule, pick), &self.failure) {
            (Some(picked), _) => Ok(picked),
            // Only a value that was fetched can say so: a failed fetch might have brought what is lacking.
            (None, None) => Err(Missing::Absent),
            (None, Some(failure)) => Err(Missing::Failed(failure.clone())),
        }
    }

    /// What is taken from the value, unless it has expired.
    fn picked<R>(&mut self, now: u64, schedule: &Schedule, pick: &impl Fn(&mut T) -> Option<R>) -> Option<R> {
        let has_expired = self.age.as_mut()?.has_expired(now, schedule.max_age);
        if has_expired { None } else { pick(&mut self.value) }
    }

    fn tried(&mut self, fetched: Result<T, T::Error>, now: u64, randomness: Randomness, schedule: &Schedule) {
        let was_fresh = self.age.is_some_and(|mut age| age.is_fresh(now, schedule.refresh_after));
        let retry_in_seconds = drawn_from(&schedule.retry, randomness);
        let replaced = fetched.and_then(|fetched| {
            self.age = Some(Age::new(now));
            let replaced = self.value.replace(fetched);
            self.is_partial = replaced.is_err();
            replaced
        });
        match replaced {
            Ok(()) => {
                self.tried = was_fresh.then_some((now, retry_in_seconds));
                self.failure = None;
            }
            Err(error) => {
                if let Some(mut age) = self.age
                    && !age.has_expired(now, schedule.max_age)
                {
                    tracing::warn!(
                        cause = %error,
                        age_seconds = age.seconds(now),
                        retry_in_seconds,
                        "{} refresh failed; using cached keys",
                        schedule.name
                    );
                }
                self.tried = Some((now, retry_in_seconds));
                self.failure = Some(error);
            }
        }
    }
}

impl<T: Refresh> Default for State<T> {
    fn default() -> Self {
        Self { value: T::default(), age: None, tried: None, failure: None, is_partial: false }
    }
}

impl Age {
    /// Of a value that is fetched now.
    pub(crate) fn new(now: u64) -> Self {
        Self { fetched: now, doubtful: false }
    }

    /// Whether it's older than it may be.
    pub(crate) fn has_expired(&mut self, now: u64, max_age: Duration) -> bool {
        self.look(now);
        self.seconds(now) >= max_age.as_secs()
    }

    fn is_fresh(&mut self, now: u64, refresh_after: Duration) -> bool {
        self.look(now);
        self.seconds(now) < refresh_after.as_secs() && !self.doubtful
    }

    /// A clock that went forward makes the value as old as it says. One that was set back makes it stale at once, and its
    /// age is counted from then.
    fn look(&mut self, now: u64) {
        if is_behind(now, self.fetched) {
            *self = Self { fetched: now, doubtful: true };
        }
    }

    fn seconds(self, now: u64) -> u64 {
        now.saturating_sub(self.fetched)
    }
}

/// Whether the clock was set back since `then`. A request looks at it once, so it may be a few seconds behind another
/// that came later.
fn is_behind(now: u64, then: u64) -> bool {
    now.saturating_add(A_REQUEST) < then
}

fn drawn_from(range: &RangeInclusive<u64>, randomness: Randomness) -> u64 {
    let mut bytes = [0; 2];
    randomness(&mut bytes);
    let (least, most) = (*range.start(), *range.end());
    least + u64::from(u16::from_be_bytes(bytes)) % (most.saturating_sub(least) + 1)
}

/// Longer than any request takes, in seconds.
const A_REQUEST: u64 = 10;

#[cfg(test)]
mod tests;
