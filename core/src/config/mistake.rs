//! Mistakes in the configuration: where each one is, and what would be right. None shows what may be a secret.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::domain::MalformedSecret;
use crate::url;

/// Why there's no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There are mistakes in the file.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// The file can't be read.
    #[error("{named_by}{} can't be read: {reason}", url::shown(&.path.to_string_lossy()))]
    Unreadable {
        /// The variable that names it, and a colon; nothing where the command line does.
        named_by: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// An environment variable can't be used.
    #[error("{variable}: {problem}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong with it. Never holds a secret.
        problem: String,
    },
}

impl ConfigError {
    /// Each mistake.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Mistakes(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        }
    }
}

impl From<MalformedSecret> for ConfigError {
    fn from(MalformedSecret { member, problem }: MalformedSecret) -> Self {
        Self::Variable { variable: member, problem }
    }
}

/// The mistakes in a file, in the order of their places. Each is one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}{}", quoted(text))]
pub struct Mistake {
    /// The file's name, or `ROOMPASS_CONFIG` for inline TOML.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong there, and what would be right.
    pub message: String,
    /// The line itself, without what could be a secret: empty where that may be all of it.
    pub text: String,
}

impl Mistakes {
    pub(super) fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
        self.0.sort_by_key(|mistake| (mistake.line, mistake.column));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// All of them.
    pub(super) fn none(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into()) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// A file's text and its name.
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

impl Text<'_> {
    /// A mistake at a place.
    pub(super) fn mistake(&self, place: &Range<usize>, message: &str) -> Mistake {
        self.at(place, message, None)
    }

    /// A text that isn't TOML, which may be the secret, or its JSON, in the wrong place: nothing of it is shown.
    pub(super) fn not_toml(&self, error: &toml::de::Error) -> ConfigError {
        let is_json = self.text.trim_start().starts_with('{');
        let message = if is_json { "this is JSON, and must be TOML" } else { error.message() };
        let mistake = self.at(&error.span().unwrap_or_default(), message, None);
        Mistakes(vec![Mistake { text: String::new(), ..mistake }]).into()
    }

    /// A part that is TOML, and not what it must be.
    pub(super) fn unfit(&self, error: &toml::de::Error) -> Mistake {
        let message = error.message();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let mistake = self.at(&error.span().unwrap_or_default(), message, unknown);
        Mistake { message: url::shown_in(&in_our_words(&mistake.message)), ..mistake }
    }

    /// A key that isn't one of the file's.
    pub(super) fn unknown_key(&self, key: &str, place: &Range<usize>, known: &[&str]) -> Mistake {
        let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("unknown field `{key}`, expected one of {}", known.join(", "));
        self.at(place, &message, Some(key))
    }

    /// A key of the file that stands in a table.
    pub(super) fn misplaced(&self, key: &str, place: &Range<usize>) -> Mistake {
        let message = format!("{key} must come before the first table: move it to the beginning of the file");
        self.at(place, &message, Some(key))
    }

    /// The value of an unknown key isn't shown.
    fn at(&self, place: &Range<usize>, message: &str, unknown: Option<&str>) -> Mistake {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default().trim();
        Mistake {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.replace('\n', ", "),
            text: url::shown_in(&shown(line, unknown)),
        }
    }
}

/// A line without what may be a secret: the value of a key that isn't known, and all that follows the key `secret`,
/// which may be the secret itself.
fn shown(line: &str, unknown: Option<&str>) -> String {
    let end_of_key = |key: &str| {
        let ends = line.match_indices(key).map(|(start, _)| start + key.len());
        ends.into_iter().find(|end| line[*end..].trim_start_matches(['"', '\'', ' ', '\t']).starts_with('='))
    };
    match unknown.into_iter().chain(["secret"]).filter_map(end_of_key).min() {
        Some(end) => format!("{} = …", &line[..end]),
        None => line.to_owned(),
    }
}

/// Serde's message in the file's terms, where it uses Rust's.
fn in_our_words(message: &str) -> String {
    let message = message
        .replace("invalid type: map", "invalid type: table")
        .replace("invalid type: sequence", "invalid type: list")
        .replace("wanted string or table", "must be a string");
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message };
    let expected = match expected {
        "a sequence" => "a list, such as [\"…\"]",
        "a map" => "a table",
        "a string" => "a string, such as \"…\"",
        "a boolean" => "true or false",
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, 0 or more",
        of_rust if of_rust.starts_with("struct ") => "a table",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn quoted(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(" (in `{line}`)") }
}
