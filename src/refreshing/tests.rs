use std::cell::Cell;
use std::collections::HashSet;
use std::future::pending;

use tokio::sync::Semaphore;

use super::*;

const MORNING: u64 = 1_795_000_000;
const DAY: u64 = 24 * 3_600;

const NOW: Context = moment(0);
const LATER: Context = moment(300);

/// A time of the day, in seconds. The randomness is fixed, so retries wait six seconds, the minimum.
const fn moment(second: u64) -> Context {
    Context { now: MORNING + second, randomness: |bytes| bytes.fill(0) }
}

/// A value of two parts. If the second is invalid, its older version stays.
#[derive(Debug, Default)]
struct Value {
    first: Option<u64>,
    second: Option<Result<u64, FetchFailure>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum FetchFailure {
    #[error("down")]
    Down,
    #[error("malformed")]
    Malformed,
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl Refresh for Value {
    type Error = FetchFailure;

    fn replace(&mut self, Self { first, second }: Self) -> Result<(), FetchFailure> {
        self.first = first;
        match second {
            Some(Err(failure)) => Err(failure),
            second => {
                self.second = second;
                Ok(())
            }
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the type that a fetch returns")]
fn whole(number: u64) -> Fetched {
    Ok(Value { first: Some(number), second: Some(Ok(number)) })
}

#[expect(clippy::unnecessary_wraps, reason = "the type that a fetch returns")]
fn half(number: u64) -> Fetched {
    Ok(Value { first: Some(number), second: Some(Err(FetchFailure::Malformed)) })
}

type Fetched = Result<Value, FetchFailure>;

/// A cache, and the number of its fetches.
struct Cache {
    cache: Refreshing<Value>,
    fetches: Cell<usize>,
}

impl Cache {
    fn new() -> Self {
        Self::with(0)
    }

    fn with(retry_missing: u64) -> Self {
        let schedule = Schedule {
            name: "test key",
            cached: "keys",
            refresh_after: Duration::from_mins(5),
            max_age: Duration::from_hours(24),
            retry: 6..=15,
            retry_missing,
            timeout: Duration::from_millis(20),
            timeout_without_value: Duration::from_millis(30),
        };
        Self { cache: Refreshing::new(schedule), fetches: Cell::new(0) }
    }

    /// Gets the first part at a time; a fetch would return `fetched`. Also returns the number of fetches.
    async fn first(&self, second: u64, fetched: Fetched) -> (Result<u64, Missing<FetchFailure>>, usize) {
        self.pick(second, |value| value.first, fetched).await
    }

    async fn second(&self, second: u64, fetched: Fetched) -> (Result<u64, Missing<FetchFailure>>, usize) {
        self.pick(second, |value| value.second.and_then(Result::ok), fetched).await
    }

    async fn pick(
        &self,
        second: u64,
        pick: fn(&mut Value) -> Option<u64>,
        fetched: Fetched,
    ) -> (Result<u64, Missing<FetchFailure>>, usize) {
        let fetch = async || {
            self.fetches.set(self.fetches.get() + 1);
            fetched
        };
        let got = self.cache.get(&moment(second), pick, fetch).await;
        (got, self.fetches.get())
    }
}

const DOWN: Fetched = Err(FetchFailure::Down);
const FAILED: Result<u64, Missing<FetchFailure>> = Err(Missing::Failed(FetchFailure::Down));

#[tokio::test]
async fn a_value_is_fetched_once_until_it_is_stale() {
    let cache = Cache::new();
    for (second, expected) in
        [(0, (0, 1)), (299, (0, 1)), (300, (300, 2)), (599, (300, 2)), (5_000, (5_000, 3))]
    {
        let (value, fetches) = expected;
        assert_eq!(cache.first(second, whole(second)).await, (Ok(value), fetches), "second {second}");
    }
}

#[tokio::test]
async fn a_stale_value_is_used_while_refreshing_fails_and_retries_are_spaced_until_it_has_expired() {
    let cache = Cache::new();
    assert_eq!(cache.first(0, whole(7)).await, (Ok(7), 1));
    for (second, fetches) in [(300, 2), (305, 2), (306, 3), (311, 3), (312, 4), (DAY - 1, 5)] {
        assert_eq!(cache.first(second, DOWN).await, (Ok(7), fetches), "second {second}");
    }
    assert_eq!(cache.first(DAY, DOWN).await, (FAILED, 6));
    assert_eq!(cache.first(DAY, DOWN).await, (FAILED, 7), "without a value, each request fetches");
    assert_eq!(cache.first(DAY, whole(8)).await, (Ok(8), 8));
}

#[tokio::test]
async fn an_invalid_part_keeps_the_older_one_and_is_fetched_again_soon() {
    let cache = Cache::new();
    assert_eq!(cache.second(0, whole(7)).await, (Ok(7), 1));
    assert_eq!(cache.second(300, half(8)).await, (Ok(7), 2));
    assert_eq!(cache.first(305, half(9)).await, (Ok(8), 2), "the other part is the new one");
    assert_eq!(cache.second(306, whole(9)).await, (Ok(9), 3));
    assert_eq!(cache.second(600, whole(10)).await, (Ok(9), 3));
    let cache = Cache::new();
    let malformed = Err(Missing::Failed(FetchFailure::Malformed));
    assert_eq!(cache.second(0, half(7)).await, (malformed, 1));
    assert_eq!(cache.first(0, half(7)).await, (Ok(7), 1));
}

#[tokio::test]
async fn a_missing_item_is_fetched_at_once_and_then_at_most_once_per_interval() {
    let cache = Cache::with(30);
    let lacking = || Ok(Value { first: Some(1), second: None });
    let absent = Err(Missing::Absent);
    assert_eq!(cache.second(0, lacking()).await, (absent.clone(), 1));
    for (second, fetches) in [(1, 2), (30, 2), (31, 3), (60, 3), (61, 4)] {
        assert_eq!(cache.second(second, lacking()).await, (absent.clone(), fetches), "second {second}");
        assert_eq!(cache.first(second, DOWN).await, (Ok(1), fetches), "other items are used");
    }
    assert_eq!(cache.second(91, DOWN).await, (FAILED, 5), "whether the item exists is unknown");
    assert_eq!(cache.second(92, lacking()).await, (FAILED, 5));
    assert_eq!(cache.first(95, DOWN).await, (Ok(1), 5));
    assert_eq!(cache.second(121, whole(2)).await, (Ok(2), 6));
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_a_value_stale_once_and_keeps_it_for_max_age_at_most() {
    let cache = Cache::new();
    assert_eq!(cache.first(10 * DAY, whole(7)).await, (Ok(7), 1));
    assert_eq!(cache.first(0, DOWN).await, (Ok(7), 2), "its age is unknown");
    assert_eq!(cache.first(5, DOWN).await, (Ok(7), 2));
    assert_eq!(cache.first(6, DOWN).await, (Ok(7), 3));
    assert_eq!(cache.first(DAY - 1, DOWN).await, (Ok(7), 4));
    assert_eq!(cache.first(DAY, DOWN).await, (FAILED, 5));
}

#[tokio::test]
async fn a_clock_that_is_set_back_never_delays_a_retry() {
    let cache = Cache::new();
    assert_eq!(cache.first(0, whole(7)).await, (Ok(7), 1));
    assert_eq!(cache.first(3_600, DOWN).await, (Ok(7), 2));
    assert_eq!(cache.first(1_800, whole(8)).await, (Ok(8), 3));
}

#[tokio::test]
async fn a_request_that_read_the_clock_slightly_earlier_finds_the_value_fresh() {
    for (ahead, fetches) in [(10, 1), (11, 2)] {
        let cache = Cache::new();
        assert_eq!(cache.first(ahead, whole(7)).await, (Ok(7), 1));
        assert_eq!(cache.first(0, whole(8)).await.1, fetches, "{ahead} seconds");
    }
}

#[tokio::test]
async fn one_request_refreshes_and_no_other_waits() {
    let cache = Cache::new();
    assert_eq!(cache.first(0, whole(7)).await, (Ok(7), 1));
    let open = Semaphore::new(0);
    let refreshing = cache.cache.get(
        &LATER,
        |value| value.first,
        async || {
            let _open = open.acquire().await;
            whole(8)
        },
    );
    let others = async {
        for _ in 0..200 {
            assert_eq!(cache.first(300, DOWN).await, (Ok(7), 1));
        }
        open.add_permits(1);
    };
    let (first, ()) = tokio::join!(refreshing, others);
    assert_eq!(first, Ok(8));
}

#[tokio::test]
async fn requests_that_wait_for_a_fetch_share_its_outcome() {
    for (fetched, outcome) in [(whole(7), Ok(7)), (DOWN, FAILED)] {
        let cache = Cache::new();
        let open = Semaphore::new(0);
        let first = cache.cache.get(
            &NOW,
            |value| value.first,
            async || {
                let _open = open.acquire().await;
                fetched
            },
        );
        let (first, (second, fetches), ()) =
            tokio::join!(first, cache.first(0, whole(9)), async { open.add_permits(1) });
        assert_eq!((first, second, fetches), (outcome.clone(), outcome, 0));
    }
}

#[tokio::test]
async fn if_a_request_is_dropped_while_it_fetches_the_next_one_fetches() {
    let cache = Cache::new();
    tokio::select! {
        biased;
        _ = cache.cache.get(&NOW, |value| value.first, async || pending().await) => {
            panic!("nothing was fetched")
        }
        () = std::future::ready(()) => {}
    }
    assert_eq!(cache.first(0, whole(7)).await, (Ok(7), 1));
}

#[tokio::test]
async fn a_fetch_that_takes_too_long_fails() {
    let cache = Cache::new();
    let silent = || cache.cache.get(&LATER, |value| value.first, async || pending().await);
    assert_eq!(silent().await, Err(Missing::Failed(FetchFailure::TimedOut(TimedOut))));
    assert_eq!(cache.first(0, whole(7)).await, (Ok(7), 1));
    assert_eq!(silent().await, Ok(7));
}

#[test]
fn waits_are_random_in_the_whole_range() {
    let waits: HashSet<_> = (0..1_000).map(|_| random_in(&(6..=15), crate::system::randomness)).collect();
    assert_eq!(waits, (6..=15).collect());
    assert_eq!(random_in(&(30..=30), crate::system::randomness), 30);
}
