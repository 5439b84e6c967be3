//! Metrics: what is counted and measured. Requests are recorded in one place, `http::outcome`, and fetches of issuers' keys
//! where they happen, in `auth`. No value that a client chooses is ever recorded.
//!
//! | module | its one job |
//! |---|---|
//! | [`emf`] | lines in CloudWatch's embedded metric format, for the Lambda function |
//! | `prometheus` | counters in Prometheus' text format, for `roompass serve`; not in the Lambda function |

pub mod emf;
#[cfg(feature = "local")]
pub mod prometheus;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Records metrics in one format.
pub trait Recorder: Send + Sync {
    /// Records a request that got a token or a refusal.
    fn request(&self, request: &Request<'_>);

    /// Records a fetch of an issuer's keys.
    fn issuer_fetch(&self, fetch: &IssuerFetch<'_>);
}

/// Where metrics are recorded. By default, nowhere.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<dyn Recorder>>);

/// A request that got a token or a refusal.
#[derive(Debug)]
pub struct Request<'a> {
    /// When it arrived, in seconds since 1970.
    pub now: u64,
    /// How long it took.
    pub duration: Duration,
    /// What it got.
    pub outcome: Outcome<'a>,
}

/// What a request got.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Tokens.
    Issued(Issued<'a>),
    /// An error.
    Refused {
        /// The error's code.
        code: &'static str,
        /// The HTTP status.
        status: u16,
    },
}

/// The tokens of a request. Each value is a name of the configuration.
#[derive(Debug)]
pub struct Issued<'a> {
    /// The rule of each token. If a token has two rules, both names with a comma.
    pub rules: &'a [String],
    /// The `[[caller]]`.
    pub caller: &'a str,
    /// The dialect.
    pub dialect: &'a str,
    /// The project whose keys signed the tokens.
    pub project: &'a str,
    /// Seconds since these keys were read, if that is known.
    pub keys_age: Option<u64>,
}

/// A fetch of an issuer's keys.
#[derive(Debug)]
pub struct IssuerFetch<'a> {
    /// When it started, in seconds since 1970.
    pub now: u64,
    /// The `[[caller]]` whose issuer it is.
    pub caller: &'a str,
    /// Whether it failed.
    pub result: Result<(), Failed>,
}

/// A fetch that failed, or was abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

impl Metrics {
    /// Metrics that this recorder records.
    #[must_use]
    pub fn recorded_by(recorder: Arc<dyn Recorder>) -> Self {
        Self(Some(recorder))
    }

    pub(crate) fn are_recorded(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn request(&self, request: &Request<'_>) {
        if let Some(recorder) = &self.0 {
            recorder.request(request);
        }
    }

    /// Records a fetch that starts now, when the result is dropped.
    pub(crate) fn issuer_fetch<'a>(&'a self, caller: &'a str, now: u64) -> FetchInProgress<'a> {
        FetchInProgress {
            recorder: self.0.as_deref(),
            fetch: IssuerFetch { now, caller, result: Err(Failed) },
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").field("are_recorded", &self.are_recorded()).finish()
    }
}

/// A fetch of an issuer's keys. One that times out is dropped, so a fetch counts as failed unless it succeeds.
pub(crate) struct FetchInProgress<'a> {
    recorder: Option<&'a dyn Recorder>,
    fetch: IssuerFetch<'a>,
}

impl FetchInProgress<'_> {
    pub(crate) fn succeeded(mut self) {
        self.fetch.result = Ok(());
    }
}

impl Drop for FetchInProgress<'_> {
    fn drop(&mut self) {
        if let Some(recorder) = self.recorder {
            recorder.issuer_fetch(&self.fetch);
        }
    }
}
