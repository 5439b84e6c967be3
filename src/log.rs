//! The log, on standard output, with one line for each request. Below the level of warnings only this program's events are
//! written: debug events of libraries may contain secrets.

mod lines;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::{iter, panic};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use lines::Lines;

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines of text.
    Text,
    /// Lines of text with colours, for terminals.
    Coloured,
    /// One JSON object per line.
    Json,
}

impl Format {
    /// Text, with colours if standard output is a terminal.
    #[must_use]
    pub fn text() -> Self {
        if io::stdout().is_terminal() { Self::Coloured } else { Self::Text }
    }
}

/// Starts the log of this process. Of a panic, only the place is logged, because its message may contain secrets.
pub fn start(format: Format, level: LevelFilter) {
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("roompass", level);
    let lines = Lines::new(format, write);
    tracing_subscriber::registry().with(filter).with(lines).init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// Writes a whole line, with its newline. Serving continues even if that fails.
pub fn write(line: &str) {
    let _ = io::stdout().lock().write_all(line.as_bytes());
}

/// The log level from the environment variables that `lookup` reads: `RUST_LOG` or `AWS_LAMBDA_LOG_LEVEL`, as one word. The
/// default is info.
#[must_use]
pub fn level(lookup: impl Fn(&str) -> Option<String>) -> LevelFilter {
    ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .into_iter()
        .filter_map(lookup)
        .filter(|word| !word.is_empty())
        .find_map(|word| {
            if word.eq_ignore_ascii_case("fatal") { Some(LevelFilter::ERROR) } else { word.parse().ok() }
        })
        .unwrap_or(LevelFilter::INFO)
}

/// The text of an error and its causes, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let errors = iter::successors(Some(error), |&error| error.source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_one_word() {
        let level = |variables: &[(&str, &str)]| {
            level(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, word)| (*word).to_owned()))
        };
        assert_eq!(level(&[]), LevelFilter::INFO);
        assert_eq!(level(&[("RUST_LOG", "debug"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")]), LevelFilter::DEBUG);
        assert_eq!(level(&[("RUST_LOG", ""), ("AWS_LAMBDA_LOG_LEVEL", "WARN")]), LevelFilter::WARN);
        assert_eq!(level(&[("AWS_LAMBDA_LOG_LEVEL", "FATAL")]), LevelFilter::ERROR);
        assert_eq!(level(&[("RUST_LOG", "hyper=trace")]), LevelFilter::INFO);
    }
}
