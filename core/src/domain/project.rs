//! The name of a project.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// The name of a project: a set of signing keys, with the server that they are for. One to 64 letters, digits, `-`, `_` and
/// `.`, with a letter or digit first. `default` is the project of the secret's own keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Project(Cow<'static, str>);

/// A text that isn't a project's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a project's name has 1 to 64 letters (a to z, A to Z), digits, -, _ and ., with a letter or digit first"
)]
pub struct InvalidProject;

impl Project {
    /// The name of the project of the secret's own keys.
    pub const DEFAULT: &str = "default";

    /// Parses a name.
    ///
    /// # Errors
    /// If it is empty, longer than 64 bytes, or has another character.
    pub fn parse(name: impl Into<String>) -> Result<Self, InvalidProject> {
        let name = name.into();
        let is_valid = (1..=64).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_valid { Ok(Self(name.into())) } else { Err(InvalidProject) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the project of the secret's own keys.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl Default for Project {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl TryFrom<String> for Project {
    type Error = InvalidProject;

    fn try_from(name: String) -> Result<Self, InvalidProject> {
        Self::parse(name)
    }
}

impl fmt::Display for Project {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_three_other_characters() {
        let (longest, too_long) = ("a".repeat(64), "a".repeat(65));
        for name in ["eu", "EU-1", "7", "a.b_c-d", "default", &longest] {
            assert_eq!(Project::parse(name).map(|project| project.to_string()), Ok(name.to_owned()));
        }
        for name in ["", " eu", "eu ", "e u", "-eu", ".eu", "_eu", "eu/1", "eü", "eu\n", "*", &too_long] {
            assert_eq!(Project::parse(name), Err(InvalidProject), "{name:?}");
        }
    }

    #[test]
    fn the_default_project_has_a_name_too() {
        assert_eq!(Project::parse("default"), Ok(Project::default()));
        assert!(Project::default().is_default());
        assert!(!Project::parse("Default").unwrap().is_default());
    }
}
