//! Strings with placeholders for the caller's values.
//!
//! A caller's value is always literal and its end is never ambiguous: with `{claims.team}:*`, a team `a:b` would get
//! rooms of team `a`. So a value that contains the text after its placeholder is an error, and the rule is skipped. In a
//! text that is JSON, values are escaped instead.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::placeholder::{self, FillError, InvalidPlaceholder, Placeholder};
use crate::caller::Caller;
use crate::domain::{Randomness, readable};

/// A string with placeholders: `{sub}`, `{iss}`, `{claims.path.to.value}`, `{claims.list[]}`, `{random}`, and alternatives
/// such as `{claims.name | claims.email | 'Guest'}`. A literal brace is doubled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    written: String,
    segments: Vec<Segment>,
    /// If the template is a JSON object or list: for each segment, whether it is in a JSON string.
    json: Option<Vec<bool>>,
}

/// A segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Caller(Placeholder),
    Random,
}

/// A string that isn't a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It is empty.
    #[error("must not be empty")]
    Empty,
    /// A brace is unmatched.
    #[error("has an unmatched brace: write {{{{ or }}}} for a literal brace")]
    Brace,
    /// A placeholder is invalid.
    #[error(transparent)]
    Placeholder(#[from] InvalidPlaceholder),
    /// A placeholder is in doubled braces, as in other systems.
    #[error("has {{{{{0}}}}}, which is literal text: write {{{0}}}, with single braces")]
    Doubled(String),
    /// A dollar sign comes before a placeholder, as in other systems.
    #[error("has a $ before {{{0}}}: remove it")]
    Dollar(String),
    /// Two placeholders are adjacent, so the end of the first is ambiguous.
    #[error("needs a separator such as \":\" between its placeholders")]
    Adjacent,
}

impl TryFrom<String> for Template {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, InvalidTemplate> {
        let segments = segments(&text)?;
        Ok(Self { json: strings_of_json(&segments), segments, written: text })
    }
}

impl Template {
    /// Fills the placeholders for this caller. Values are literal.
    ///
    /// # Errors
    /// If the caller lacks a value, or its end would be ambiguous.
    pub fn fill(&self, caller: &Caller, randomness: Randomness) -> Result<String, FillError> {
        self.segments.iter().enumerate().try_fold(String::new(), |text, (at, segment)| {
            Ok(match segment {
                Segment::Literal(literal) => text + literal,
                Segment::Random => text + &readable(randomness),
                Segment::Caller(placeholder) => {
                    text + &placeholder.fill(caller, literal(self.segments.get(at + 1)))?
                }
            })
        })
    }

    /// Fills the placeholders of a text. If it is JSON, values are escaped.
    ///
    /// # Errors
    /// If the caller lacks a value, or its end would be ambiguous.
    pub fn fill_text(&self, caller: &Caller, randomness: Randomness) -> Result<String, FillError> {
        let Some(strings) = &self.json else { return self.fill(caller, randomness) };
        self.segments.iter().zip(strings).try_fold(String::new(), |text, (segment, is_in_string)| {
            Ok(match segment {
                Segment::Literal(literal) => text + literal,
                Segment::Random => text + &escaped(&readable(randomness), *is_in_string),
                Segment::Caller(placeholder) => {
                    text + &escaped(&placeholder.fill(caller, None)?, *is_in_string)
                }
            })
        })
    }

    /// Why values in a text couldn't be escaped, if it is meant as JSON.
    pub(super) fn text_mistake(&self) -> Option<&'static str> {
        let Some(strings) = &self.json else {
            let begins_like_json = literal(self.segments.first())?.trim_start().starts_with('{');
            return begins_like_json.then_some(
                "begins like a JSON object, but is not valid JSON with values in its placeholders",
            );
        };
        (0..self.segments.len()).find_map(|at| {
            if matches!(self.segments[at], Segment::Literal(_)) || !strings[at] {
                return None;
            }
            let before =
                at.checked_sub(1).and_then(|before| literal(self.segments.get(before))).unwrap_or_default();
            let after = literal(self.segments.get(at + 1)).unwrap_or_default();
            let begin = unescaped_quotes(before).last().map_or("", |quote| &before[quote + 1..]);
            let quote = unescaped_quotes(after).next();
            let (end, rest) = quote.map_or((after, ""), |quote| (&after[..quote], &after[quote + 1..]));
            if rest.trim_start().starts_with(':') {
                return Some("has a placeholder in the name of a JSON member: use it in a value");
            }
            let is_nested =
                (begin.to_owned() + end).contains("\\\"") || begin.trim_start().starts_with(['[', '{']);
            is_nested.then_some("has a placeholder in JSON in a JSON string, where values can't be escaped")
        })
    }

    /// Fills the placeholders of a file's path. A value can't be several parts of the path, or a placeholder of LiveKit.
    ///
    /// # Errors
    /// If the caller lacks a value, its end would be ambiguous, or it can't be a part of a path.
    pub(super) fn fill_path(&self, caller: &Caller, randomness: Randomness) -> Result<String, FillError> {
        for placeholder in self.placeholders() {
            let value = placeholder.fill(caller, None)?;
            if !is_part_of_path(&value) {
                return Err(FillError::NotInPath(placeholder.to_string()));
            }
        }
        self.fill(caller, randomness)
    }

    /// Whether every result is different.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.segments.contains(&Segment::Random)
    }

    /// Whether every result is the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }

    /// Whether a text has the literal text before the first placeholder and after the last one.
    pub(super) fn can_begin_and_end_as(&self, text: &str) -> bool {
        let begin = literal(self.segments.first()).unwrap_or_default();
        let end = literal(self.segments.last()).unwrap_or_default();
        text.len() > begin.len() + end.len() && text.starts_with(begin) && text.ends_with(end)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        placeholders(&self.segments)
    }
}

/// The template in the file.
impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

/// Whether a value is one part of a file's path, and has no placeholder of LiveKit.
pub(super) fn is_part_of_path(value: &str) -> bool {
    value != "." && value != ".." && !value.contains(['/', '\\', '{', '}', '\0'])
}

pub(super) fn placeholders(segments: &[Segment]) -> impl Iterator<Item = &Placeholder> {
    segments.iter().filter_map(|segment| match segment {
        Segment::Caller(placeholder) => Some(placeholder),
        _ => None,
    })
}

/// For each segment of a JSON object or list, whether it is in a string. `None` for other text.
fn strings_of_json(segments: &[Segment]) -> Option<Vec<bool>> {
    let mut json = String::new();
    let (mut is_in_string, mut is_escaped) = (false, false);
    let strings = segments.iter().map(|segment| match segment {
        Segment::Literal(literal) => {
            json.push_str(literal);
            for char in literal.chars() {
                match char {
                    _ if is_escaped => is_escaped = false,
                    '\\' => is_escaped = is_in_string,
                    '"' => is_in_string = !is_in_string,
                    _ => {}
                }
            }
            (!is_escaped).then_some(is_in_string)
        }
        Segment::Caller(_) | Segment::Random => {
            // Valid in a string, and where a value is expected.
            json.push_str("null");
            Some(is_in_string)
        }
    });
    let strings: Vec<_> = strings.collect::<Option<_>>()?;
    let parsed = serde_json::from_str::<Value>(&json).ok()?;
    (parsed.is_object() || parsed.is_array()).then_some(strings)
}

/// The positions of the quotes that begin or end a string.
fn unescaped_quotes(json: &str) -> impl Iterator<Item = usize> {
    let mut is_escaped = false;
    json.char_indices().filter_map(move |(at, char)| {
        let is_quote = char == '"' && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        is_quote.then_some(at)
    })
}

/// A value in JSON: inside a string, or as a string or a number.
fn escaped(value: &str, is_in_string: bool) -> String {
    let quoted = Value::from(value).to_string();
    match serde_json::from_str::<Value>(value) {
        _ if is_in_string => quoted[1..quoted.len() - 1].to_owned(),
        Ok(Value::Number(_)) => value.to_owned(),
        _ => quoted,
    }
}

/// The text between literal braces that would be a placeholder in single ones.
fn doubled(literal: &str) -> Option<&str> {
    let inner = literal.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inner, _)| inner);
    let paths = inner.map(|inner| inner.trim().trim_start_matches(['.', '$']));
    paths.into_iter().find(|path| ["sub", "iss", "random"].contains(path) || path.starts_with("claims."))
}

/// The literal text of the segment after a placeholder.
pub(super) fn literal(segment: Option<&Segment>) -> Option<&str> {
    match segment {
        Some(Segment::Literal(literal)) => Some(literal),
        _ => None,
    }
}

/// Parses the segments of a template. Neither two placeholders nor two literals are adjacent.
pub(super) fn segments(text: &str) -> Result<Vec<Segment>, InvalidTemplate> {
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let size = placeholder::size(after).filter(|_| brace == "{").ok_or(InvalidTemplate::Brace)?;
        if literal.ends_with('$') {
            return Err(InvalidTemplate::Dollar(after[..size].to_owned()));
        }
        if literal.is_empty() && !segments.is_empty() {
            return Err(InvalidTemplate::Adjacent);
        }
        if !literal.is_empty() {
            segments.push(Segment::Literal(std::mem::take(&mut literal)));
        }
        segments.push(match &after[..size] {
            "random" => Segment::Random,
            inner => Segment::Caller(Placeholder::parse(inner)?),
        });
        rest = &after[size + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        segments.push(Segment::Literal(literal));
    }
    for segment in &segments {
        if let Segment::Literal(literal) = segment
            && let Some(inner) = doubled(literal)
        {
            return Err(InvalidTemplate::Doubled(inner.to_owned()));
        }
    }
    if segments.is_empty() { Err(InvalidTemplate::Empty) } else { Ok(segments) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(text: &str) -> Result<Template, InvalidTemplate> {
        Template::try_from(text.to_owned())
    }

    fn filled(text: &str, team: &str) -> Result<String, FillError> {
        let claims = json!({ "team": team });
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        template(text).unwrap().fill(&caller, |bytes| bytes.fill(1))
    }

    #[test]
    fn placeholders_are_filled_and_everything_else_is_literal() {
        assert_eq!(filled("team {claims.team}!", "a").unwrap(), "team a!");
        assert_eq!(filled("{claims.team}-{random}", "a").unwrap(), "a-11111111111111111111");
        assert_eq!(filled("{{{claims.team}}}*", "*").unwrap(), "{*}*");
    }

    #[test]
    fn a_text_without_a_value_cannot_come_from_a_template() {
        let template = template("ab-{claims.team}-z").unwrap();
        for (text, can) in
            [("ab-c-z", true), ("ab--z", false), ("ab-z", false), ("b-cc-z", false), ("ab-c-y", false)]
        {
            assert_eq!(template.can_begin_and_end_as(text), can, "{text}");
        }
    }

    #[test]
    fn values_outside_of_strings_are_no_mistake_in_a_text() {
        for text in [r#"{{"a": {claims.n}, ":b": 1}}"#, r#"{{"a": "{claims.n}", "b": 1}}"#] {
            assert_eq!(template(text).unwrap().text_mistake(), None, "{text}");
        }
        for text in [r#"{{"{claims.n}": 1}}"#, r#"{{"a":"[{claims.n}]"}}"#, r#"{{"a": "x: \"{claims.n}\""}}"#]
        {
            assert!(template(text).unwrap().text_mistake().is_some(), "{text}");
        }
    }

    #[test]
    fn a_mistake_in_a_template_is_reported() {
        assert_eq!(template(""), Err(InvalidTemplate::Empty));
        for text in ["{", "}", "{sub", "a}b", "{sub}}"] {
            assert_eq!(template(text), Err(InvalidTemplate::Brace), "{text}");
        }
        assert_eq!(template("{sub}{random}"), Err(InvalidTemplate::Adjacent));
        for text in ["{{sub}}", "a {{ claims.name }}", "{{$.random}}"] {
            assert!(matches!(template(text), Err(InvalidTemplate::Doubled(_))), "{text}");
        }
        for text in ["{name}", "{sandbox_id}"] {
            assert!(matches!(template(text), Err(InvalidTemplate::Placeholder(_))), "{text}");
        }
    }

    #[test]
    fn a_missing_or_ambiguous_value_is_an_error() {
        let team = "claims.team".to_owned();
        assert_eq!(filled("{sub}", "a"), Err(FillError::Missing("sub".into())));
        assert_eq!(filled("{claims.team}:x", ""), Err(FillError::Missing(team.clone())));
        for value in ["a:", ":", "a:b", "a::"] {
            assert_eq!(
                filled("{claims.team}:{random}", value),
                Err(FillError::Ambiguous(team.clone(), ":".into())),
                "{value}"
            );
        }
        assert_eq!(filled("{claims.team}--", "a-"), Err(FillError::Ambiguous(team.clone(), "--".into())));
        assert_eq!(filled("{claims.team}", "a:b").unwrap(), "a:b");
    }

    #[test]
    fn a_value_of_another_type_is_named_by_its_type() {
        for (value, kind) in [
            (json!(["a"]), "a list"),
            (json!([]), "a list"),
            (json!({"a": 1}), "an object"),
            (json!(1.5), "a number that is not whole"),
            (json!(true), "true or false"),
        ] {
            let claims = json!({ "team": value });
            let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
            let error = template("{claims.team}").unwrap().fill(&caller, |_| {}).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the caller's {{claims.team}} is {kind}: it must be a string or a whole number")
            );
        }
    }

    #[test]
    fn a_claim_that_the_issuer_left_out_is_named_with_the_claim_that_says_so() {
        let fill = |text: &str, claims: Value| {
            let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
            template(text).unwrap().fill(&caller, |_| {}).unwrap_err().to_string()
        };
        let names = json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}});
        let left_out = "the caller has no {claims.groups}: the issuer left the claim out of the token";
        assert_eq!(fill("{claims.groups}", names.clone()), format!("{left_out} (_claim_names)"));
        let flattened = json!({"_claim_names": "map[groups:src1]"});
        assert_eq!(fill("{claims.groups}", flattened), format!("{left_out} (_claim_names)"));
        for has_groups in [json!({"hasgroups": true}), json!({"hasgroups": "true"})] {
            assert_eq!(fill("{claims.groups}", has_groups), format!("{left_out} (hasgroups)"));
        }
        assert_eq!(fill("{claims.team}", names), "the caller has no {claims.team}");
        for other in [
            json!({"hasgroups": false}),
            json!({"_claim_names": {"roles": "src1"}}),
            json!({"_claim_names": ["groups"]}),
        ] {
            assert_eq!(fill("{claims.groups}", other), "the caller has no {claims.groups}");
        }
        let present = json!({"groups": ["g"], "_claim_names": {"groups": "src1"}});
        assert!(fill("{claims.groups}", present).contains("is a list"));
    }

    fn filled_for(text: &str, claims: &Value) -> Result<String, String> {
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        template(text).unwrap().fill_text(&caller, |bytes| bytes.fill(1)).map_err(|error| error.to_string())
    }

    #[test]
    fn json_in_which_values_cannot_be_escaped_is_a_mistake() {
        let mistake = |text: &str| template(text).unwrap().text_mistake();
        for (text, problem) in [
            (r#"{{"score": -{claims.x}}}"#, "begins like a JSON object"),
            (r#"{{"a": {claims.x}"#, "begins like a JSON object"),
            (r#" {{a: "{claims.x}"}}"#, "begins like a JSON object"),
            (r#"{{"role": "student", "{claims.x}": "y"}}"#, "in the name of a JSON member"),
            (r#"{{"a-{claims.x}" : "y"}}"#, "in the name of a JSON member"),
            (r#"{{"p": "{{\"name\": \"{claims.x}\"}}"}}"#, "in JSON in a JSON string"),
            (r#"{{"p": "[{claims.x}]"}}"#, "in JSON in a JSON string"),
        ] {
            assert!(mistake(text).unwrap_or_default().contains(problem), "{text}: {:?}", mistake(text));
        }
        for text in [
            "{sub}",
            "plain",
            "[{claims.team}]",
            r#"{{"name": "{claims.name}", "a": [{claims.x}, "{random}"]}}"#,
            r#"["{claims.name}"]"#,
            r#"{{"a": "say \"hi\"", "b": "{claims.x}", "c\"": "[]"}}"#,
            r#"{{"a\\": "{claims.x}"}}"#,
        ] {
            assert_eq!(mistake(text), None, "{text}");
        }
        assert_eq!(filled_for("[1, {claims.a}]", &json!({"a": "1, 99"})), Ok("[1, \"1, 99\"]".to_owned()));
        let plain = template("[{claims.team}]").unwrap();
        let claims = json!({"team": "red"});
        let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
        assert_eq!(plain.fill(&caller, |_| {}), Ok("[red]".to_owned()), "a name is not JSON");
    }

    #[test]
    fn values_are_escaped_in_a_text_that_is_json() {
        let hostile = json!({"name": "\"}, \"role\": \"host\\", "level": 3, "text": "3a", "number": "007"});
        for (text, expected) in [
            (r#"{{"name": "{claims.name}"}}"#, json!({"name": hostile["name"]})),
            (
                r#"{{"a": ["x {claims.name} y"]}}"#,
                json!({"a": [format!("x {} y", hostile["name"].as_str().unwrap())]}),
            ),
            (
                r#"{{"name": {claims.name}, "level": {claims.level}}}"#,
                json!({"name": hostile["name"], "level": 3}),
            ),
            (r#"[{claims.text}, {claims.number}, "{claims.level}"]"#, json!(["3a", "007", "3"])),
            (r#"{{"\\\"": "\\{claims.level}"}}"#, json!({"\\\"": "\\3"})),
            (r#"{{"id": "{random}"}}"#, json!({"id": "1".repeat(20)})),
            (r#"{{"name": "{claims.none | 'say "hi"'}"}}"#, json!({"name": "say \"hi\""})),
        ] {
            let filled = filled_for(text, &hostile).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&filled).ok(), Some(expected), "{text}: {filled}");
        }
        for text in [
            "{{\"a\": \"\\{claims.name}\"}}",
            "say \"{claims.name}\"",
            "{{{claims.level}}}",
            "\"{claims.name}\"",
        ] {
            assert!(
                !filled_for(text, &hostile).unwrap_or_default().contains("\\\""),
                "{text} is not an object or a list"
            );
        }
    }

    #[test]
    fn a_value_in_a_files_path_is_one_part_of_it() {
        let path = |team: &str| {
            let claims = json!({ "team": team });
            let caller = Caller { claims: claims.as_object().unwrap().clone(), ..Caller::anonymous("a") };
            template("recordings/{claims.team}/{{room_name}}.mp4").unwrap().fill_path(&caller, |_| {})
        };
        assert_eq!(path("red team"), Ok("recordings/red team/{room_name}.mp4".to_owned()));
        for team in [".", "..", "a/b", "../b", "a\\b", "{room_id}", "}", "a\0"] {
            assert_eq!(path(team), Err(FillError::NotInPath("claims.team".into())), "{team}");
        }
        assert_eq!(path(""), Err(FillError::Missing("claims.team".into())));
    }
}
