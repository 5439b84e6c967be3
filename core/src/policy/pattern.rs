//! Patterns for room names.

use std::fmt;

use serde::Deserialize;

use super::placeholder::{Elements, FillError, Placeholder};
use super::template::{InvalidTemplate, Segment, literal, placeholders, segments};
use crate::caller::Caller;

/// A room name in which `*` matches any text, including none, and placeholders stand for the caller's values.
/// Everything else is literal, including the caller's values. A list stands for each of its elements.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomPattern {
    written: String,
    /// The segments before the first star.
    head: Vec<Segment>,
    /// The text after each star.
    tail: Vec<String>,
}

/// The rooms that a pattern opens to a caller, for people.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OpenRooms {
    /// The pattern with the caller's values, once for each element of a list.
    pub rooms: Vec<String>,
    /// Why elements of a list open no room.
    pub skipped: Vec<String>,
}

/// A string that isn't a pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It is empty.
    #[error("a room pattern must not be empty: write \"*\" for any room")]
    Empty,
    /// A placeholder is invalid.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// It is a regular expression.
    #[error(
        "a room pattern is not a regular expression: * matches any text, and everything else is literal. Write a pattern \
         such as \"class:*\""
    )]
    RegularExpression,
    /// A room with generated text can't be requested.
    #[error("a room pattern must not contain {{random}}: no request could name such a room")]
    Random,
    /// The start or end of a placeholder's value would be ambiguous.
    #[error(
        "a room pattern must have its placeholders before its first *, with a separator such as \":\" between a placeholder and the *"
    )]
    Ambiguous,
    /// A placeholder has alternatives.
    #[error(
        "a room pattern must not contain alternatives (|): a caller without the first value could join the rooms of \
         another caller. Write one pattern for each value"
    )]
    Alternatives,
    /// Two placeholders are lists.
    #[error("a room pattern must contain at most one list")]
    Lists,
}

impl TryFrom<String> for RoomPattern {
    type Error = InvalidPattern;

    fn try_from(pattern: String) -> Result<Self, InvalidPattern> {
        let marks = ["\\d", "\\w", "\\.", "(?", ".+", "[a-z", "[0-9", "[A-Z", "[^"];
        let is_anchored = pattern.starts_with('^') || pattern.ends_with('$');
        if is_anchored || pattern == ".*" || marks.iter().any(|mark| pattern.contains(mark)) {
            return Err(InvalidPattern::RegularExpression);
        }
        let mut pieces = pattern.split('*');
        let before = pieces.next().filter(|_| !pattern.is_empty()).ok_or(InvalidPattern::Empty)?;
        let head = if before.is_empty() { Vec::new() } else { segments(before)? };
        let tail: Vec<String> = pieces.map(str::to_owned).collect();
        if head.contains(&Segment::Random) {
            return Err(InvalidPattern::Random);
        }
        let open_ended = matches!(head.last(), Some(Segment::Caller(_))) && !tail.is_empty();
        if open_ended || tail.iter().any(|literal| literal.contains(['{', '}'])) {
            return Err(InvalidPattern::Ambiguous);
        }
        if placeholders(&head).any(|one| matches!(one, Placeholder::First(..))) {
            return Err(InvalidPattern::Alternatives);
        }
        if placeholders(&head).filter(|one| matches!(one, Placeholder::Each(_))).count() > 1 {
            return Err(InvalidPattern::Lists);
        }
        Ok(Self { head, tail, written: pattern })
    }
}

impl RoomPattern {
    /// Whether a room's name matches, for this caller.
    ///
    /// # Errors
    /// If the caller lacks a value, or its end would be ambiguous.
    pub fn matches(&self, room: &str, caller: &Caller) -> Result<bool, FillError> {
        let has_head =
            |head: &String| room.strip_prefix(head.as_str()).is_some_and(|rest| self.tail_matches(rest));
        match self.head.as_slice() {
            // The same for every caller, and most of many rules don't match.
            [Segment::Literal(head)] => Ok(has_head(head)),
            _ => Ok(self.heads(caller)?.0.iter().any(has_head)),
        }
    }

    /// The rooms that it opens to this caller.
    ///
    /// # Errors
    /// If the caller lacks a value, or its end would be ambiguous.
    pub fn open_rooms(&self, caller: &Caller) -> Result<OpenRooms, FillError> {
        let tail = self.tail.iter().fold(String::new(), |tail, literal| tail + "*" + literal);
        let (heads, skipped) = self.heads(caller)?;
        Ok(OpenRooms { rooms: heads.into_iter().map(|head| head + &tail).collect(), skipped })
    }

    /// The filled head, once for each element of a list, and why other elements are skipped.
    fn heads(&self, caller: &Caller) -> Result<(Vec<String>, Vec<String>), FillError> {
        let mut heads = vec![String::new()];
        let mut all_skipped = Vec::new();
        for (at, segment) in self.head.iter().enumerate() {
            let next = literal(self.head.get(at + 1));
            match segment {
                Segment::Literal(text) => heads.iter_mut().for_each(|head| head.push_str(text)),
                Segment::Random => {}
                Segment::Caller(placeholder) => {
                    let Elements { usable, skipped } = placeholder.elements(caller, next)?;
                    let extended =
                        |head: &String| usable.iter().map(|text| format!("{head}{text}")).collect::<Vec<_>>();
                    heads = heads.iter().flat_map(extended).collect();
                    all_skipped.extend(skipped);
                }
            }
        }
        Ok((heads, all_skipped))
    }

    /// Whether the text after the head matches the stars and the text between them.
    fn tail_matches(&self, rest: &str) -> bool {
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

    /// Whether it is only stars, which match every room.
    pub(super) fn is_any(&self) -> bool {
        self.head.is_empty() && self.tail.iter().all(String::is_empty)
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        placeholders(&self.head)
    }
}

/// The pattern in the file.
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
    fn a_star_matches_any_text_and_everything_else_is_literal() {
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
    fn a_callers_value_is_literal_and_matches_only_its_own_rooms() {
        let rooms = pattern("{claims.team}:*").unwrap();
        assert_eq!(rooms.matches("a:x", &of("", "a")), Ok(true));
        assert_eq!(rooms.matches("b:x", &of("", "a")), Ok(false));
        assert_eq!(rooms.matches("*:x", &of("", "*")), Ok(true));
        assert_eq!(rooms.matches("a:x", &of("", "*")), Ok(false));
        assert!(matches!(rooms.matches("a:b:x", &of("", "a:b")), Err(FillError::Ambiguous(..))));
        assert!(matches!(rooms.matches("a:x", &of("", "")), Err(FillError::Missing(_))));
    }

    #[test]
    fn a_filled_pattern_has_the_callers_values_and_its_stars() {
        for (text, filled) in [("*", "*"), ("lobby", "lobby"), ("{claims.team}:*-a*", "red:*-a*")] {
            let open = pattern(text).unwrap().open_rooms(&of("", "red")).unwrap();
            assert_eq!(open, OpenRooms { rooms: vec![filled.to_owned()], skipped: vec![] }, "{text}");
        }
        assert!(matches!(
            pattern("{claims.team}:*").unwrap().open_rooms(&of("", "")),
            Err(FillError::Missing(_))
        ));
    }

    #[test]
    fn a_pattern_with_ambiguous_values_is_a_mistake() {
        for text in ["{claims.team}*", "*:{claims.team}", "{claims.org}:*:{claims.team}"] {
            assert_eq!(pattern(text), Err(InvalidPattern::Ambiguous), "{text}");
        }
        assert!(matches!(pattern("{claims.org}{claims.team}"), Err(InvalidPattern::Template(_))));
        assert_eq!(pattern("{random}"), Err(InvalidPattern::Random));
        assert_eq!(pattern(""), Err(InvalidPattern::Empty));
    }

    proptest! {
        /// Hostile values: separators, stars, prefixes of each other, look-alikes.
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
            // Rooms of either caller, and rooms with separators added.
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
        .prop_map(|segments| segments.concat())
    }
}
