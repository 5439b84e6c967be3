//! Patterns for room names.

use serde::Deserialize;

/// A room name in which `*` stands for any text, the empty one included. Everything else is literal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomPattern {
    /// What stands before, between and after the stars.
    literals: Vec<String>,
}

/// A pattern that can't match any room.
#[derive(Debug, thiserror::Error)]
#[error("a room pattern must not be empty: write \"*\" for any room")]
pub struct EmptyPattern;

impl TryFrom<String> for RoomPattern {
    type Error = EmptyPattern;

    fn try_from(pattern: String) -> Result<Self, EmptyPattern> {
        if pattern.is_empty() {
            return Err(EmptyPattern);
        }
        Ok(Self { literals: pattern.split('*').map(str::to_owned).collect() })
    }
}

impl RoomPattern {
    /// Whether a room's name is one of these.
    #[must_use]
    pub fn matches(&self, room: &str) -> bool {
        let [first, between @ .., last] = self.literals.as_slice() else {
            return self.literals.iter().all(|literal| literal == room);
        };
        let Some(rest) = room.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
            return false;
        };
        between.iter().all(|literal| match rest.find(literal.as_str()) {
            Some(at) => {
                rest = &rest[at + literal.len()..];
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        for (pattern, matching, other) in [
            ("*", vec!["", "a", "é/*"], vec![]),
            ("lobby", vec!["lobby"], vec!["", "lobby2", "a-lobby", "Lobby"]),
            ("team:*", vec!["team:", "team:a:b"], vec!["team", "a-team:b"]),
            ("*:hall", vec!["a:hall"], vec!["a:hall2"]),
            ("a*b*c", vec!["abc", "a-b-b-c"], vec!["ac", "acb", "ab"]),
            ("aa*aa", vec!["aaaa", "aa-aa"], vec!["aaa", "aa"]),
            ("a.c", vec!["a.c"], vec!["abc"]),
        ] {
            let pattern = RoomPattern::try_from(pattern.to_owned()).unwrap();
            assert!(matching.iter().all(|room| pattern.matches(room)), "{pattern:?}");
            assert!(!other.iter().any(|room| pattern.matches(room)), "{pattern:?}");
        }
    }

    #[test]
    fn an_empty_pattern_is_a_mistake() {
        assert!(RoomPattern::try_from(String::new()).is_err());
    }
}
