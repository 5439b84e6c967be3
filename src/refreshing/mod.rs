//! The cache. A value is fetched when first needed, refreshed when stale, used while refreshing fails, and never used once
//! expired. Ages are measured by the wall clock, because other clocks may stop while a process is frozen.
//!
//! There is no background task. The first request that finds the value stale refreshes it; other requests use the stale
//! value. Without a usable value, requests wait for one fetch and share its outcome. Failures aren't cached, but retries
//! are spaced while a stale value is used.

use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::domain::{Context, Randomness};

/// A value that can be refreshed. The default is its state before the first fetch.
pub(crate) trait Refresh: Default {
    /// Why a fetch failed, or part of the fetched value is invalid.
    type Error: std::error::Error + Clone + From<TimedOut>;

    /// When this value is stale and when it has expired, if the value itself decides it.
    fn ages(&self) -> Option<(Duration, Duration)> {
        None
    }

    /// Replaces the value with the fetched one. If part of that is invalid, the older part stays.
    ///
    /// # Errors
    /// If part of the fetched value is invalid.
    fn replace(&mut self, fetched: Self) -> Result<(), Self::Error>;
}

/// A fetch that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("request timed out")]
pub struct TimedOut;

/// When a value is refreshed, and how long requests wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// The name of the value, for the log.
    pub(crate) name: &'static str,
    /// What is cached, for the log.
    pub(crate) cached: &'static str,
    /// The age at which the value is stale.
    pub(crate) refresh_after: Duration,
    /// The age at which the value has expired.
    pub(crate) max_age: Duration,
    /// Seconds between two fetches while a stale value is used. Chosen at random, so that processes that failed at the same
    /// time don't retry at the same time.
    pub(crate) retry: RangeInclusive<u64>,
    /// Seconds between two fetches for an item that the value doesn't contain.
    pub(crate) retry_missing: u64,
    /// How long a request with a stale value waits for its refresh.
    pub(crate) timeout: Duration,
    /// How long a request without a usable value waits for a fetch.
    pub(crate) timeout_without_value: Duration,
}

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing<E> {
    /// The value doesn't contain the item.
    Absent,
    /// The last fetch failed.
    Failed(E),
}

/// A cached value.
#[derive(Debug)]
pub(crate) struct Refreshing<T: Refresh> {
    schedule: Schedule,
    /// Held by the request that fetches.
    fetching: tokio::sync::Mutex<()>,
    fetches_ended: AtomicU64,
    /// Never locked across an `await`.
    state: Mutex<State<T>>,
}

#[derive(Debug, Clone)]
struct State<T: Refresh> {
    value: T,
    age: Option<Age>,
    /// The time of the last fetch that failed or was for a missing item, and the seconds until the next one.
    tried: Option<(u64, u64)>,
    failure: Option<T::Error>,
    /// Whether part of the last fetched value was invalid.
    is_partial: bool,
}

/// The age of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    fetched: u64,
    /// Whether the clock was set back to before `fetched`, so that the true age is unknown.
    is_unknown: bool,
}

/// What a request does with the value.
#[derive(Debug, PartialEq, Eq)]
enum Action<R> {
    /// Use the item.
    Use(R),
    /// Refresh the value, unless another request is doing so. In any case, use the item.
    Refresh(R),
    /// Wait for a fetch.
    Fetch,
    /// Fail: it's too early for another fetch.
    Fail,
}

/// A copy of a cached value with its age.
pub(crate) struct Snapshot<T: Refresh>(State<T>);

impl<T: Refresh> Snapshot<T> {
    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

impl<T: Refresh> Refreshing<T> {
    /// A cache that begins with another one's value.
    pub(crate) fn from_snapshot(schedule: Schedule, Snapshot(state): Snapshot<T>) -> Self {
        Self { state: Mutex::new(state), ..Self::new(schedule) }
    }

    pub(crate) fn snapshot(&self) -> Snapshot<T>
    where
        T: Clone,
    {
        Snapshot(self.state().clone())
    }

    pub(crate) fn new(schedule: Schedule) -> Self {
        let (fetching, fetches_ended) = (tokio::sync::Mutex::default(), AtomicU64::default());
        Self { schedule, fetching, fetches_ended, state: Mutex::default() }
    }

    /// The item that `pick` finds in the value. Runs `fetch` if the value is stale or doesn't contain the item.
    ///
    /// # Errors
    /// If `pick` finds nothing, or there is no usable value.
    pub(crate) async fn get<R>(
        &self,
        context: &Context,
        pick: impl Fn(&mut T) -> Option<R>,
        fetch: impl AsyncFnOnce() -> Result<T, T::Error>,
    ) -> Result<R, Missing<T::Error>> {
        let now = context.now;
        let action = self.state().action(now, &self.schedule, &pick);
        let before = self.fetches_ended.load(Ordering::Acquire);
        let (lock, timeout) = match action {
            Action::Use(item) => return Ok(item),
            Action::Fail => return self.state().outcome(now, &self.schedule, &pick),
            Action::Refresh(item) => match self.fetching.try_lock() {
                Ok(lock) => (lock, self.schedule.timeout),
                Err(_) => return Ok(item),
            },
            Action::Fetch => (self.fetching.lock().await, self.schedule.timeout_without_value),
        };
        // A request that waited for another's fetch shares its outcome.
        if self.fetches_ended.load(Ordering::Acquire) == before {
            self.fetch(context, timeout, fetch).await;
        }
        drop(lock);
        self.state().outcome(now, &self.schedule, &pick)
    }

    /// Fetches the value now, although it isn't stale.
    #[cfg(feature = "local")]
    pub(crate) async fn refresh(&self, context: &Context, fetch: impl AsyncFnOnce() -> Result<T, T::Error>) {
        let _lock = self.fetching.lock().await;
        self.fetch(context, self.schedule.timeout_without_value, fetch).await;
    }

    async fn fetch(
        &self,
        &Context { now, randomness }: &Context,
        timeout: Duration,
        fetch: impl AsyncFnOnce() -> Result<T, T::Error>,
    ) {
        let fetched = tokio::time::timeout(timeout, fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| Err(TimedOut.into()));
        self.state().record(fetched, now, randomness, &self.schedule);
        self.fetches_ended.fetch_add(1, Ordering::Release);
    }

    /// Reads the value, of any age.
    pub(crate) fn peek<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.state().value)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Refresh> State<T> {
    fn action<R>(&mut self, now: u64, schedule: &Schedule, pick: &impl Fn(&mut T) -> Option<R>) -> Action<R> {
        self.tried = self.tried.filter(|(when, _)| !is_behind(now, *when));
        let since_try = self.tried.map(|(when, wait)| (now.saturating_sub(when), wait));
        let (refresh_after, _) = self.ages(schedule);
        let is_fresh = self.age.as_mut().is_some_and(|age| age.is_fresh(now, refresh_after));
        match self.picked(now, schedule, pick) {
            Some(item) if is_fresh && !self.is_partial => Action::Use(item),
            Some(item) if since_try.is_some_and(|(since, wait)| since < wait) => Action::Use(item),
            Some(item) => Action::Refresh(item),
            None if since_try.is_some_and(|(since, _)| since < schedule.retry_missing) => Action::Fail,
            None => Action::Fetch,
        }
    }

    /// When the value is stale, and when it has expired.
    fn ages(&self, schedule: &Schedule) -> (Duration, Duration) {
        self.value.ages().unwrap_or((schedule.refresh_after, schedule.max_age))
    }

    /// The item, or why there is none after the last fetch.
    fn outcome<R>(
        &mut self,
        now: u64,
        schedule: &Schedule,
        pick: &impl Fn(&mut T) -> Option<R>,
    ) -> Result<R, Missing<T::Error>> {
        match (self.picked(now, schedule, pick), &self.failure) {
            (Some(item), _) => Ok(item),
            // Known only after a successful fetch: after a failed one the item may exist.
            (None, None) => Err(Missing::Absent),
            (None, Some(failure)) => Err(Missing::Failed(failure.clone())),
        }
    }

    /// The item, unless the value has expired.
    fn picked<R>(&mut self, now: u64, schedule: &Schedule, pick: &impl Fn(&mut T) -> Option<R>) -> Option<R> {
        let (_, max_age) = self.ages(schedule);
        let has_expired = self.age.as_mut()?.has_expired(now, max_age);
        if has_expired { None } else { pick(&mut self.value) }
    }

    /// Records the outcome of a fetch.
    fn record(
        &mut self,
        fetched: Result<T, T::Error>,
        now: u64,
        randomness: Randomness,
        schedule: &Schedule,
    ) {
        let (refresh_after, max_age) = self.ages(schedule);
        let was_fresh = self.age.is_some_and(|mut age| age.is_fresh(now, refresh_after));
        let retry_in_seconds = random_in(&schedule.retry, randomness);
        let replaced = fetched.and_then(|fetched| {
            self.age = Some(Age::new(now));
            let replaced = self.value.replace(fetched);
            self.is_partial = replaced.is_err();
            replaced
        });
        match replaced {
            Ok(()) => {
                if self.failure.is_some() {
                    tracing::info!("{} refresh succeeded after a failure", schedule.name);
                }
                self.tried = was_fresh.then_some((now, retry_in_seconds));
                self.failure = None;
            }
            Err(error) => {
                if let Some(mut age) = self.age
                    && !age.has_expired(now, max_age)
                {
                    tracing::warn!(
                        cause = %error,
                        age_seconds = age.seconds(now),
                        retry_in_seconds,
                        "{} refresh failed; using cached {}",
                        schedule.name,
                        schedule.cached
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
    /// The age of a value that is fetched now.
    pub(crate) fn new(now: u64) -> Self {
        Self { fetched: now, is_unknown: false }
    }

    /// Whether the value is too old to use.
    pub(crate) fn has_expired(&mut self, now: u64, max_age: Duration) -> bool {
        self.adjust(now);
        self.seconds(now) >= max_age.as_secs()
    }

    fn is_fresh(&mut self, now: u64, refresh_after: Duration) -> bool {
        self.adjust(now);
        self.seconds(now) < refresh_after.as_secs() && !self.is_unknown
    }

    /// If the clock was set back, the value is stale, and its age is counted from now.
    fn adjust(&mut self, now: u64) {
        if is_behind(now, self.fetched) {
            *self = Self { fetched: now, is_unknown: true };
        }
    }

    pub(crate) fn seconds(self, now: u64) -> u64 {
        now.saturating_sub(self.fetched)
    }
}

/// Whether the clock was set back since `then`. A request reads the clock once, so its time may be a few seconds behind
/// that of a later request.
fn is_behind(now: u64, then: u64) -> bool {
    now.saturating_add(MAX_REQUEST_SECONDS) < then
}

fn random_in(range: &RangeInclusive<u64>, randomness: Randomness) -> u64 {
    let mut bytes = [0; 2];
    randomness(&mut bytes);
    let (least, most) = (*range.start(), *range.end());
    least + u64::from(u16::from_be_bytes(bytes)) % (most - least + 1)
}

/// Runs one future. If it has to wait, the other one runs at the same time: one after the other could exceed the client's
/// timeout.
pub(crate) async fn alone_or_with<T, U>(
    one: impl Future<Output = T>,
    other: impl Future<Output = U>,
) -> (T, Option<U>) {
    let mut one = pin!(one);
    if let Poll::Ready(result) = poll_fn(|task| Poll::Ready(one.as_mut().poll(task))).await {
        return (result, None);
    }
    let (one, other) = tokio::join!(one, other);
    (one, Some(other))
}

/// No request takes longer.
const MAX_REQUEST_SECONDS: u64 = 10;

#[cfg(test)]
mod tests;
