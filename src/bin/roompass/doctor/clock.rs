//! Compares the clock of a server, in the `Date` header of its response, with this machine's.

use std::time::{Duration, SystemTime};

use axum::http::header::DATE;
use roompass::requests::Answer;

use super::report::Entry;

/// The time around a request.
pub(super) struct Asked(SystemTime);

impl Asked {
    pub(super) fn now() -> Self {
        Self(SystemTime::now())
    }

    /// The result for the server that this response is from. None if it has no usable `Date`.
    pub(super) fn compare(&self, server: &str, answer: &Answer) -> Option<Entry> {
        let date = httpdate::parse_http_date(answer.headers.get(DATE)?.to_str().ok()?).ok()?;
        let (difference, direction) = difference(self.0, SystemTime::now(), date);
        if difference <= LEEWAY {
            return Some(Entry::Fine(format!("clock of {server}: within 30 seconds of this machine's")));
        }
        let length = humantime::format_duration(Duration::from_secs(difference.as_secs()));
        Some(Entry::found(
            format!("clock of {server}: {length} {direction} this machine's"),
            "A token is refused if it begins in the future or has expired, and clocks may differ by 60 seconds.",
            "Synchronise both clocks by NTP. On Linux, `timedatectl` shows the state.",
        ))
    }
}

/// How far a clock, in whole seconds, is from the time between a request and its response.
fn difference(before: SystemTime, after: SystemTime, date: SystemTime) -> (Duration, &'static str) {
    match (before.duration_since(date), date.duration_since(after)) {
        (Ok(behind), _) => (behind, "behind"),
        (_, Ok(ahead)) => (ahead, "ahead of"),
        _ => (Duration::ZERO, "as"),
    }
}

const LEEWAY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_time_between_request_and_response() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let compared = |date| {
            let (difference, direction) = difference(at(100), at(110), at(date));
            (difference.as_secs(), direction)
        };
        assert_eq!(compared(60), (40, "behind"));
        assert_eq!(compared(105), (0, "as"));
        assert_eq!(compared(150), (40, "ahead of"));
    }
}
