//! Patterns for room names.

use std::fmt;

use serde::Deserialize;

use super::template::{InvalidTemplate, Part, Unfit, fill, parts};
use crate::caller::Caller;

/// A room name in which `*` stands for any text, the empty one included, and placeholders for what is known of the
/// caller. Everything else is literal, the caller's values too.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomPattern {
    written: String,
    /// What stands before the first star.
    head: Vec<Part>,
    /// What stands after each star.
    tail: Vec<String>,
}

/// A text that isn't a pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing is written.
    #[error("a room pattern must not be empty: write \"*\" for any room")]
    Empty,
    /// Its placeholders can't be read.
    #[error("the room pattern {0}")]
    Template(#[from] InvalidTemplate),
    /// Generated text can't be asked for.
    #[error("a room pattern can't hold {{random}}: no request could name such a room")]
    Random,
    /// A placeholder whose value has an ambiguous beginning or end.
    #[error(
        "a room pattern needs its placeholders before its first *, and a text between a placeholder and the *, one that the values never hold, such as \":\""
    )]
    Ambiguous,
}

impl TryFrom<String> for RoomPattern {
    type Error = InvalidPattern;

    fn try_from(pattern: String) -> Result<Self, InvalidPattern> {
        let mut pieces = pattern.split('*');
        let before = pieces.next().filter(|_| !pattern.is_empty()).ok_or(InvalidPattern::Empty)?;
        let head = if before.is_empty() { Vec::new() } else { parts(before)? };
        let tail: Vec<String> = pieces.map(str::to_owned).collect();
        if head.contains(&Part::Random) {
            return Err(InvalidPattern::Random);
        }
        let open_ended = matches!(head.last(), Some(Part::Caller(_))) && !tail.is_empty();
        if open_ended || tail.iter().any(|literal| literal.contains(['{', '}'])) {
            return Err(InvalidPattern::Ambiguous);
        }
        Ok(Self { head, tail, written: pattern })
    }
}

impl RoomPattern {
    /// Whether a room's name is one of these, for this caller.
    ///
    /// # Errors
    /// Where the caller lacks a value, or one doesn't fit.
    pub fn matches(&self, room: &str, caller: &Caller) -> Result<bool, Unfit> {
        let head = self.head.iter().enumerate().try_fold(String::new(), |text, (at, part)| {
            Ok(text + &fill(part, self.head.get(at + 1), caller, |_| {})?)
        })?;
        let Some(rest) = room.strip_prefix(head.as_str()) else { return Ok(false) };
        Ok(self.rest_matches(rest))
    }

    /// Whether what stands after the head matches the stars and what stands between them.
    fn rest_matches(&self, rest: &str) -> bool {
        let Some((last, between)) = self.tail.split_last() else { return rest.is_empty() };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        between.iter().all(|literal| match rest.find(literal.as_str()) {
            Some(at) => {
                rest = &rest[at + literal.len()..];
                true
            }
            None => false,
        })
    }

    /// Whether it's `*` alone: every room, for every caller.
    pub(super) fn is_any(&self) -> bool {
        self.head.is_empty() && self.tail.iter().all(String::is_empty)
    }

    pub(super) fn head(&self) -> &[Part] {
        &self.head
    }
}

/// As it's written in the file.
impl fmt::Display for RoomPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn pattern(text: &str) -> Result<RoomPattern, InvalidPattern> {
        RoomPattern::try_from(text.to_owned())
    }

    fn of(org: &str, team: &str) -> Caller {
        let claims = json!({ "org": org, "team": team });
        Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") }
    }

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        for (text, matching, other) in [
            ("*", vec!["", "a", "é/*"], vec![]),
            ("lobby", vec!["lobby"], vec!["", "lobby2", "a-lobby", "Lobby"]),
            ("team:*", vec!["team:", "team:a:b"], vec!["team", "a-team:b"]),
            ("*:hall", vec!["a:hall"], vec!["a:hall2"]),
            ("a*b*c", vec!["abc", "a-b-b-c"], vec!["ac", "acb", "ab"]),
            ("aa*aa", vec!["aaaa", "aa-aa"], vec!["aaa", "aa"]),
            ("*a*a*", vec!["aa", "b-a-a"], vec!["a", "ba"]),
            ("a.c", vec!["a.c"], vec!["abc"]),
        ] {
            let pattern = pattern(text).unwrap();
            let matches = |room: &&str| pattern.matches(room, &Caller::anonymous("a")).unwrap();
            assert!(matching.iter().all(matches), "{text}");
            assert!(!other.iter().any(matches), "{text}");
        }
    }

    #[test]
    fn a_callers_value_is_literal_and_keeps_to_its_own_rooms() {
        let rooms = pattern("{claims.team}:*").unwrap();
        assert_eq!(rooms.matches("a:x", &of("", "a")), Ok(true));
        assert_eq!(rooms.matches("b:x", &of("", "a")), Ok(false));
        assert_eq!(rooms.matches("*:x", &of("", "*")), Ok(true));
        assert_eq!(rooms.matches("a:x", &of("", "*")), Ok(false));
        assert!(matches!(rooms.matches("a:b:x", &of("", "a:b")), Err(Unfit::Reaches(..))));
        assert!(matches!(rooms.matches("a:x", &of("", "")), Err(Unfit::Lacks(_))));
    }

    #[test]
    fn a_pattern_in_which_values_could_run_together_is_a_mistake() {
        for text in ["{claims.team}*", "*:{claims.team}", "{claims.org}:*:{claims.team}"] {
            assert_eq!(pattern(text), Err(InvalidPattern::Ambiguous), "{text}");
        }
        assert!(matches!(pattern("{claims.org}{claims.team}"), Err(InvalidPattern::Template(_))));
        assert_eq!(pattern("{random}"), Err(InvalidPattern::Random));
        assert_eq!(pattern(""), Err(InvalidPattern::Empty));
    }

    proptest! {
        /// Values that try: separators, stars, prefixes of each other, look-alikes.
        #[test]
        fn no_room_is_open_to_two_callers_through_one_placeholder(
            pattern_text in prop::sample::select(vec![
                "{claims.team}", "{claims.team}:*", "{claims.team}--*", "x-{claims.team}-*-y",
                "{claims.org}:{claims.team}", "{claims.org}:{claims.team}:*", "{claims.org}::{claims.team}-*",
            ]),
            one in (value(), value()), other in (value(), value()), end in value(),
        ) {
            let rooms = pattern(pattern_text).unwrap();
            let uses_org = pattern_text.contains("org");
            prop_assume!(one.1 != other.1 || (uses_org && one.0 != other.0));
            let (first, second) = (of(&one.0, &one.1), of(&other.0, &other.1));
            // Rooms that either could open, and some that run over the edges.
            for (org, team) in [&one, &other, &(one.0.clone(), other.1.clone())] {
                for end in [end.clone(), format!(":{end}"), format!("-{end}-y"), format!("{end}:")] {
                    let room = pattern_text.replace("{claims.org}", org).replace("{claims.team}", team).replace('*', &end);
                    let both = [&first, &second].map(|caller| rooms.matches(&room, caller) == Ok(true));
                    prop_assert_ne!(both, [true, true], "{}", room);
                }
            }
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec!["a", "b", ":", "-", "*", "::", "--", "а", "{", "y", "-y"]),
            0..4,
        )
        .prop_map(|parts| parts.concat())
    }
}
