//! Prometheus' metrics, in its text format, version 0.0.4. The names follow its conventions.

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{IssuerFetch, Outcome, Recorder, Request};
use crate::domain::Project;

pub use prometheus_text::CONTENT_TYPE;

/// The metrics of this process.
pub struct Prometheus {
    registry: Registry,
    tokens: Family<Token, Counter>,
    refusals: Family<Refusal, Counter>,
    duration: Histogram,
    fetches: Family<OfCaller, Counter>,
    fetch_failures: Family<OfCaller, Counter>,
}

impl Default for Prometheus {
    fn default() -> Self {
        let mut registry = Registry::default();
        // The format adds `_total` to counters.
        let tokens = Family::default();
        registry.register("roompass_tokens_issued", "Tokens issued", tokens.clone());
        let refusals = Family::default();
        registry.register("roompass_refusals", "Requests that got an error", refusals.clone());
        let duration = Histogram::new(BUCKETS);
        let help = "Time until the response to a request that got a token or an error";
        registry.register("roompass_request_duration_seconds", help, duration.clone());
        let fetches = Family::default();
        registry.register("roompass_issuer_fetches", "Fetches of an issuer's keys", fetches.clone());
        let fetch_failures = Family::default();
        let help = "Fetches of an issuer's keys that failed";
        registry.register("roompass_issuer_fetch_failures", help, fetch_failures.clone());
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("roompass_build_info", "The version of this program", build);
        Self { registry, tokens, refusals, duration, fetches, fetch_failures }
    }
}

impl Prometheus {
    /// All metrics, with these ages of the signing keys.
    ///
    /// # Panics
    /// Never: a string can always be written to.
    #[must_use]
    pub fn text(&self, ages: &[(Project, u64)]) -> String {
        let age = Family::<OfProject, Gauge>::default();
        for (project, seconds) in ages {
            let project = OfProject { project: project.as_str().to_owned() };
            age.get_or_create(&project).set(i64::try_from(*seconds).unwrap_or(i64::MAX));
        }
        let mut of_this_moment = Registry::default();
        let help = "Time since the signing keys of the project were read";
        of_this_moment.register("roompass_signing_keys_age_seconds", help, age);
        let mut text = String::new();
        for registry in [&self.registry, &of_this_moment] {
            prometheus_text::encode(&mut text, registry).expect("a string can always be written to");
        }
        text
    }
}

impl Recorder for Prometheus {
    fn request(&self, request: &Request<'_>) {
        self.duration.observe(request.duration.as_secs_f64());
        match &request.outcome {
            Outcome::Issued(issued) => {
                for rule in issued.rules {
                    let token = Token {
                        rule: rule.clone(),
                        caller: issued.caller.to_owned(),
                        dialect: issued.dialect.to_owned(),
                        project: issued.project.to_owned(),
                    };
                    self.tokens.get_or_create(&token).inc();
                }
            }
            Outcome::Refused { code, status } => {
                self.refusals.get_or_create(&Refusal { code, status: *status }).inc();
            }
        }
    }

    fn issuer_fetch(&self, fetch: &IssuerFetch<'_>) {
        let caller = OfCaller { caller: fetch.caller.to_owned() };
        self.fetches.get_or_create(&caller).inc();
        // Exists from the first fetch on, so that `increase` sees the first failure.
        self.fetch_failures.get_or_create(&caller).inc_by(u64::from(fetch.result.is_err()));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Token {
    rule: String,
    caller: String,
    dialect: String,
    project: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    code: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCaller {
    caller: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProject {
    project: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Seconds. A token takes less than a millisecond, and a request that waits for an issuer up to three seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];
