//! The rooms that users may join: a choice of usual patterns, or patterns of the user's own.

use roompass::policy::{RoomPattern, Template};

/// The rooms of the rule, and the room for requests without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rooms {
    pub(super) patterns: Vec<String>,
    pub(super) default: Option<String>,
    /// The claim that the patterns use, for a file with claims.
    pub(super) claim: Option<String>,
}

/// What the choices mean, for a terminal.
pub(super) const CHOICES: [&str; 4] = [
    "  user         one room for each user",
    "  claim:NAME   the rooms that belong to a claim, such as claim:team",
    "  any          any room",
    "  PATTERN      such as class:{claims.classes[]}:* (docs/policy.md), several separated by commas",
];

impl Rooms {
    /// The rooms of a choice or of patterns.
    ///
    /// # Errors
    /// What would be right.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            _ if text == "user" => Ok(Self::of("user:{sub}", None)),
            _ if text == "any" => Ok(Self {
                patterns: vec!["*".to_owned()],
                default: Some("room:{random}".to_owned()),
                claim: None,
            }),
            Some(("claim", name)) => {
                let dotted = name.contains("://").then(|| format!("claims.\"{name}\""));
                let path = dotted.unwrap_or_else(|| format!("claims.{name}"));
                let end = name.rsplit(['/', '.', ':']).next().unwrap_or(name);
                let pattern = format!("{end}:{{{path}}}:*");
                check(&pattern)?;
                Ok(Self::of(&pattern, Some(name)))
            }
            _ => {
                let patterns: Vec<_> = text.split(',').map(str::trim).map(str::to_owned).collect();
                if patterns.iter().any(|pattern| !pattern.contains(['*', '{'])) {
                    return Err(format!(
                        "{text:?} must be user, claim:NAME, any, or a pattern with * or a placeholder, such as team:{{claims.team}}:*"
                    ));
                }
                patterns.iter().try_for_each(|pattern| check(pattern))?;
                let default = patterns.first().and_then(|pattern| default_of(pattern));
                Ok(Self { patterns, default, claim: None })
            }
        }
    }

    fn of(pattern: &str, claim: Option<&str>) -> Self {
        Self {
            patterns: vec![pattern.to_owned()],
            default: default_of(pattern),
            claim: claim.map(str::to_owned),
        }
    }
}

fn check(pattern: &str) -> Result<(), String> {
    RoomPattern::try_from(pattern.to_owned()).map(|_| ()).map_err(|error| format!("{pattern:?}: {error}"))
}

/// A new room of the pattern, if it ends with its only `*`, or the room of a pattern without one.
fn default_of(pattern: &str) -> Option<String> {
    let room = match pattern.strip_suffix('*') {
        Some(start) => format!("{start}{{random}}"),
        None => pattern.to_owned(),
    };
    (!room.contains('*') && Template::try_from(room.clone()).is_ok()).then_some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_patterns_and_the_room_for_requests_without_one() {
        for (text, pattern, default) in [
            ("user", "user:{sub}", Some("user:{sub}")),
            ("any", "*", Some("room:{random}")),
            ("claim:team", "team:{claims.team}:*", Some("team:{claims.team}:{random}")),
            ("claim:org.id", "id:{claims.org.id}:*", Some("id:{claims.org.id}:{random}")),
            ("claim:custom:team", "team:{claims.custom:team}:*", Some("team:{claims.custom:team}:{random}")),
            (
                "claim:https://a.example/team",
                "team:{claims.\"https://a.example/team\"}:*",
                Some("team:{claims.\"https://a.example/team\"}:{random}"),
            ),
            ("demo-*", "demo-*", Some("demo-{random}")),
            ("*-*", "*-*", None),
            (
                "class:{claims.classes[]}:*",
                "class:{claims.classes[]}:*",
                Some("class:{claims.classes[]}:{random}"),
            ),
        ] {
            let rooms = Rooms::read(text).unwrap();
            assert_eq!(
                (&*rooms.patterns, rooms.default.as_deref()),
                (&[pattern.to_owned()][..], default),
                "{text}"
            );
        }
        assert_eq!(Rooms::read("a:*, b:*").unwrap().patterns, ["a:*", "b:*"]);
    }

    #[test]
    fn a_mistake_says_what_would_be_right() {
        for (text, problem) in [
            (
                "usr",
                "\"usr\" must be user, claim:NAME, any, or a pattern with * or a placeholder, such as team:{claims.team}:*",
            ),
            ("", "\"\" must be user, "),
            ("claim:", "\":{claims.}:*\": "),
            ("{claims.team", "\"{claims.team\": "),
            ("{random}:*", "\"{random}:*\": "),
        ] {
            let error = Rooms::read(text).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
