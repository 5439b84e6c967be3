//! The log, on standard output: a line a request. Only this program's own events are written below the level of a
//! warning, whatever level is asked for, so that no library's debugging shows what it carries.

mod lines;

use std::io::{self, IsTerminal, Write};
use std::panic;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use lines::Lines;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For people at a terminal.
    Coloured,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Text for people, coloured where standard output is a terminal.
    #[must_use]
    pub fn for_people() -> Self {
        if io::stdout().is_terminal() { Self::Coloured } else { Self::Text }
    }
}

/// Starts the log of this process. A panic is logged by its place alone, since its message may hold what was being
/// worked on.
pub fn start(format: Format, level: LevelFilter) {
    let ours_alone = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("roompass", level);
    let lines = Lines::new(format, |line: &str| {
        // A log that cannot be written is no reason to stop serving.
        let _ = io::stdout().lock().write_all(line.as_bytes());
    });
    tracing_subscriber::registry().with(ours_alone).with(lines).init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// The level that the environment asks for, by `lookup`: `RUST_LOG` or, in Lambda, `AWS_LAMBDA_LOG_LEVEL`, as one
/// word. Info where neither says one.
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
