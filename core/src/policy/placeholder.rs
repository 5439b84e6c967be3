//! A placeholder for a caller's value: one source, the elements of a list, or alternatives.

use std::fmt;

use serde_json::Value;

use super::source::{InvalidSource, ValueSource};
use crate::caller::Caller;

/// A placeholder for a caller's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// `{sub}`: the value.
    One(ValueSource),
    /// `{claims.classes[]}`: each element of a list.
    Each(ValueSource),
    /// `{claims.name | claims.email | 'Guest'}`: the first value that the caller has and that isn't empty, or the text in
    /// single quotes.
    First(Vec<ValueSource>, Option<String>),
}

/// Text in braces that isn't a placeholder.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlaceholder {
    /// A source is unknown.
    #[error("the placeholder {0}")]
    Source(#[from] InvalidSource),
    /// An alternative is empty, or alternatives are separated as in other systems.
    #[error("must separate alternatives with one |, such as {{claims.name | 'Guest'}}")]
    Separator,
    /// A text is in double quotes.
    #[error(
        "has text in double quotes in a placeholder: write {{claims.name | 'Guest'}}, with single quotes"
    )]
    DoubleQuotes,
    /// A text is not the last alternative.
    #[error(
        "must have text in single quotes only at the end of a placeholder, such as {{claims.name | 'Guest'}}"
    )]
    Text,
    /// A list is an alternative.
    #[error("must not combine a list with alternatives: write {{claims.classes[]}} alone")]
    List,
}

/// Why a template can't be filled for a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// The caller has no such value, or it is empty.
    #[error("the caller has no {{{0}}}")]
    Missing(String),
    /// The issuer left the claim out of the token.
    #[error("the caller has no {{{0}}}: {LEFT_OUT} ({1})")]
    LeftOut(String, &'static str),
    /// The value has a type that can't be filled in.
    #[error("the caller's {{{0}}} is {1}: it must be {2}")]
    WrongType(String, &'static str, &'static str),
    /// The value contains the text after its placeholder.
    #[error("the caller's {{{0}}} contains {1:?}, the text that follows it, so its end is ambiguous")]
    Ambiguous(String, String),
    /// The value can't be a part of a file's path.
    #[error(
        "the caller's {{{0}}} is . or .., or contains /, \\, {{ or }}: it can't be a part of a file's path"
    )]
    NotInPath(String),
    /// The room's name can't be a part of a file's path.
    #[error("the room's name is . or .., or contains /, \\, {{ or }}: it can't be a part of a file's path")]
    RoomNotInPath,
    /// The list has several elements where one is needed.
    #[error("the caller's {{{0}}} has several elements, so the rule has no default_room for this caller")]
    Several(String),
    /// No element of the list can be filled in.
    #[error("the caller's {{{0}}} has no usable element: {1}")]
    NoElement(String, String),
}

/// The end of the reasons that name a claim that the issuer left out.
pub(super) const LEFT_OUT: &str = "the issuer left the claim out of the token";

/// The elements of a list that can be filled in, and why the others can't.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Elements {
    pub(super) usable: Vec<String>,
    pub(super) skipped: Vec<String>,
}

impl Placeholder {
    /// Parses the text between the braces.
    ///
    /// # Errors
    /// If it isn't a placeholder.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPlaceholder> {
        if let Some(list) = text.strip_suffix("[]").filter(|list| !list.contains('|')) {
            return match source(list)? {
                list @ ValueSource::Claim(_) => Ok(Self::Each(list)),
                _ => Err(InvalidSource::new(text).into()),
            };
        }
        if text.contains("??") || text.contains(" or ") {
            return Err(InvalidPlaceholder::Separator);
        }
        let (mut sources, mut otherwise) = (Vec::new(), None);
        for alternative in alternatives(text) {
            let quoted = alternative.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            match quoted {
                _ if otherwise.is_some() => return Err(InvalidPlaceholder::Text),
                _ if alternative.is_empty() && text.contains('|') => {
                    return Err(InvalidPlaceholder::Separator);
                }
                _ if alternative.starts_with('"') && text.contains('|') => {
                    return Err(InvalidPlaceholder::DoubleQuotes);
                }
                Some(text) => otherwise = Some(text.to_owned()),
                None if alternative.ends_with("[]") => return Err(InvalidPlaceholder::List),
                None => sources.push(source(alternative)?),
            }
        }
        match (sources.pop(), otherwise) {
            (None, _) => Err(InvalidPlaceholder::Text),
            (Some(only), None) if sources.is_empty() => Ok(Self::One(only)),
            (Some(last), otherwise) => {
                sources.push(last);
                Ok(Self::First(sources, otherwise))
            }
        }
    }

    /// The text for this caller, before the literal text `next`.
    ///
    /// # Errors
    /// If the caller lacks a value, or its end would be ambiguous.
    pub(super) fn fill(&self, caller: &Caller, next: Option<&str>) -> Result<String, FillError> {
        match self {
            Self::One(source) => {
                let value = source.text(caller).ok_or_else(|| self.missing(source, caller))?;
                self.unambiguous(value, next)
            }
            Self::Each(_) => {
                let Elements { mut usable, skipped } = self.elements(caller, next)?;
                match (usable.pop(), usable.is_empty()) {
                    (Some(only), true) if skipped.is_empty() => Ok(only),
                    _ => Err(FillError::Several(self.to_string())),
                }
            }
            Self::First(sources, otherwise) => match sources.iter().find_map(|source| source.text(caller)) {
                Some(value) => self.unambiguous(value, next),
                None => otherwise.clone().ok_or_else(|| FillError::Missing(self.to_string())),
            },
        }
    }

    /// The elements of the list, before the literal text `next`. Other placeholders count as a list of their value.
    ///
    /// # Errors
    /// If the caller has no list, or no element of it can be filled in.
    pub(super) fn elements(&self, caller: &Caller, next: Option<&str>) -> Result<Elements, FillError> {
        let Self::Each(source) = self else {
            return Ok(Elements { usable: vec![self.fill(caller, next)?], skipped: Vec::new() });
        };
        let list = match source.value(caller) {
            Some(Value::Array(list)) if !list.is_empty() => list,
            None | Some(Value::Null | Value::Array(_)) => return Err(self.missing(source, caller)),
            Some(other) => return Err(FillError::WrongType(self.to_string(), kind(&other), "a list")),
        };
        let mut elements = Elements::default();
        for (index, element) in list.iter().take(MAX_ELEMENTS).enumerate() {
            let name = format!("{source}[{index}]");
            let text = super::source::text(element).ok_or_else(|| match element {
                Value::String(_) | Value::Null => FillError::Missing(name.clone()),
                other => FillError::WrongType(name.clone(), kind(other), TEXT),
            });
            match text
                .and_then(|text| unambiguous(text, next).map_err(|text| FillError::Ambiguous(name, text)))
            {
                Ok(text) => elements.usable.push(text),
                Err(error) => elements.skipped.push(error.to_string()),
            }
        }
        if list.len() > MAX_ELEMENTS {
            elements.skipped.push(format!(
                "only the first {MAX_ELEMENTS} of {} elements of {{{source}[]}} count",
                list.len()
            ));
        }
        match elements.skipped.first().filter(|_| elements.usable.is_empty()) {
            Some(why) => Err(FillError::NoElement(self.to_string(), why.clone())),
            None => Ok(elements),
        }
    }

    /// Whether it can be filled for every caller.
    pub(super) fn is_always_filled(&self) -> bool {
        matches!(self, Self::First(_, Some(_)))
    }

    /// Whether it can be filled for a caller who has values of these sources.
    pub(super) fn can_be_filled(&self, has: impl Fn(&ValueSource) -> bool) -> bool {
        self.is_always_filled() || self.sources().iter().any(has)
    }

    pub(super) fn sources(&self) -> &[ValueSource] {
        match self {
            Self::One(source) | Self::Each(source) => std::slice::from_ref(source),
            Self::First(sources, _) => sources,
        }
    }

    fn unambiguous(&self, value: String, next: Option<&str>) -> Result<String, FillError> {
        unambiguous(value, next).map_err(|text| FillError::Ambiguous(self.to_string(), text))
    }

    /// Why this caller's value can't be filled in.
    fn missing(&self, source: &ValueSource, caller: &Caller) -> FillError {
        match source.value(caller) {
            None | Some(Value::Null | Value::String(_)) => match source.left_out(caller) {
                Some(by) => FillError::LeftOut(self.to_string(), by),
                None => FillError::Missing(self.to_string()),
            },
            Some(Value::Array(list)) if list.is_empty() && matches!(self, Self::Each(_)) => {
                FillError::Missing(self.to_string())
            }
            Some(other) => FillError::WrongType(self.to_string(), kind(&other), TEXT),
        }
    }
}

/// The placeholder in the file, without its braces.
impl fmt::Display for Placeholder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(source) => source.fmt(formatter),
            Self::Each(source) => write!(formatter, "{source}[]"),
            Self::First(sources, otherwise) => {
                let sources = sources.iter().map(ToString::to_string);
                let all: Vec<_> = sources.chain(otherwise.iter().map(|text| format!("'{text}'"))).collect();
                formatter.write_str(&all.join(" | "))
            }
        }
    }
}

/// The size of the placeholder at the beginning of a text, up to its closing brace. Quoted text may contain braces.
pub(super) fn size(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            (None, '}') => return Some(at),
            _ => {}
        }
    }
    text.find('}')
}

/// The alternatives between `|`, without the spaces around them. Quoted text may contain `|`.
fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    text.split(move |char| {
        match quote {
            Some(open) if open == char => quote = None,
            None if char == '"' || char == '\'' => quote = Some(char),
            _ => {}
        }
        quote.is_none() && char == '|'
    })
    .map(str::trim)
}

fn source(text: &str) -> Result<ValueSource, InvalidSource> {
    ValueSource::parse(text).and_then(|source| match source {
        ValueSource::SandboxId => Err(InvalidSource::new(text)),
        source => Ok(source),
    })
}

/// The value, unless its end would be ambiguous before the literal text `next`.
fn unambiguous(value: String, next: Option<&str>) -> Result<String, String> {
    match next {
        Some(literal) if format!("{value}{literal}").find(literal) != Some(value.len()) => {
            Err(literal.to_owned())
        }
        _ => Ok(value),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number that is not whole",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
    }
}

const TEXT: &str = "a string or a whole number";
/// The number of elements of a list that count.
const MAX_ELEMENTS: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::policy::{OpenRooms, RoomPattern, Template};

    fn caller(claims: &Value) -> Caller {
        let claims = claims.as_object().unwrap().clone();
        Caller { claims, subject: Some("ada".into()), ..Caller::anonymous("a") }
    }

    fn filled(text: &str, claims: &Value) -> Result<String, String> {
        let template = Template::try_from(text.to_owned()).map_err(|error| error.to_string())?;
        template.fill(&caller(claims), |_| {}).map_err(|error| error.to_string())
    }

    fn rooms(text: &str, claims: &Value) -> Result<OpenRooms, String> {
        let pattern = RoomPattern::try_from(text.to_owned()).map_err(|error| error.to_string())?;
        pattern.open_rooms(&caller(claims)).map_err(|error| error.to_string())
    }

    fn open(text: &str, classes: &Value, room: &str) -> bool {
        let pattern = RoomPattern::try_from(text.to_owned()).unwrap();
        pattern.matches(room, &caller(&json!({ "classes": classes }))) == Ok(true)
    }

    #[test]
    fn the_first_alternative_that_the_caller_has_and_that_is_not_empty_is_used() {
        let text = "{claims.name | claims.nickname|claims.email | 'Guest }|'}";
        for (claims, expected) in [
            (json!({"name": "Ada", "nickname": "ada"}), "Ada"),
            (json!({"name": "", "nickname": "ada"}), "ada"),
            (json!({"name": null, "email": "ada@example.com"}), "ada@example.com"),
            (json!({"name": ["Ada"], "nickname": {"a": 1}, "email": 7}), "7"),
            (json!({}), "Guest }|"),
        ] {
            assert_eq!(filled(text, &claims), Ok(expected.to_owned()), "{claims}");
        }
        assert_eq!(filled("{claims.name | ''}", &json!({})), Ok(String::new()));
        assert_eq!(filled("Hi {claims.name | sub}!", &json!({})), Ok("Hi ada!".to_owned()));
        assert_eq!(
            filled("{claims.name | claims.\"a|b\"}", &json!({})),
            Err("the caller has no {claims.name | claims.\"a|b\"}".to_owned())
        );
        assert!(
            filled("{claims.name | 'x'}-", &json!({"name": "a-b"}))
                .unwrap_err()
                .contains("its end is ambiguous")
        );
    }

    #[test]
    fn a_mistake_in_a_placeholder_is_reported() {
        let text = "must have text in single quotes only at the end of a placeholder, such as {claims.name | 'Guest'}";
        let list = "must not combine a list with alternatives: write {claims.classes[]} alone";
        for (placeholder, problem) in [
            ("{'Guest'}", text),
            ("{'Guest' | claims.name}", text),
            ("{claims.name | 'a' | 'b'}", text),
            ("{claims.a[] | 'x'}", list),
            ("{claims.name | claims.a[]}", list),
        ] {
            assert_eq!(filled(placeholder, &json!({})), Err(problem.to_owned()), "{placeholder}");
        }
        for placeholder in [
            "{sub[]}",
            "{claims[]}",
            "{claims.a[0]}x{",
            "{claims.a | }",
            "{| claims.a}",
            "{claims.a || claims.b}",
            "{}",
            "{claims.a | Guest}",
        ] {
            assert!(filled(placeholder, &json!({})).is_err(), "{placeholder}");
        }
        for (pattern, problem) in [
            ("{claims.a | claims.b}:*", "a room pattern must not contain alternatives (|): "),
            ("{claims.a[]}:{claims.b[]}:*", "a room pattern must contain at most one list"),
            ("{claims.a[]}*", "a room pattern must have its placeholders before its first *"),
        ] {
            let found = rooms(pattern, &json!({})).unwrap_err();
            assert!(found.starts_with(problem), "{found}");
        }
    }

    #[test]
    fn each_element_of_a_list_opens_its_rooms() {
        let claims = json!({"org": "o", "classes": ["math", 7, "art"]});
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            rooms("{claims.org}:class:{claims.classes[]}:*", &claims),
            Ok(OpenRooms {
                rooms: all(&["o:class:math:*", "o:class:7:*", "o:class:art:*"]),
                skipped: vec![]
            })
        );
        for (room, is_open) in
            [("math", true), ("7", true), ("ma", false), ("math:", false), ("", false), ("math7", false)]
        {
            assert_eq!(open("{claims.classes[]}", &claims["classes"], room), is_open, "{room}");
        }
        assert!(open("class:{claims.classes[]}:*", &json!(["*"]), "class:*:a"));
        assert!(!open("class:{claims.classes[]}:*", &json!(["*"]), "class:math:a"));
    }

    #[test]
    fn an_element_that_cannot_be_used_is_skipped_with_the_reason() {
        let claims = json!({"classes": [null, "", "a:b", ["x"], {"y": 1}, true, 1.5, "math"]});
        assert_eq!(
            rooms("{claims.classes[]}:*", &claims).unwrap(),
            OpenRooms {
                rooms: vec!["math:*".to_owned()],
                skipped: vec![
                    "the caller has no {claims.classes[0]}".to_owned(),
                    "the caller has no {claims.classes[1]}".to_owned(),
                    "the caller's {claims.classes[2]} contains \":\", the text that follows it, so its end is ambiguous".to_owned(),
                    "the caller's {claims.classes[3]} is a list: it must be a string or a whole number".to_owned(),
                    "the caller's {claims.classes[4]} is an object: it must be a string or a whole number".to_owned(),
                    "the caller's {claims.classes[5]} is true or false: it must be a string or a whole number".to_owned(),
                    "the caller's {claims.classes[6]} is a number that is not whole: it must be a string or a whole number".to_owned(),
                ],
            }
        );
        assert!(!open("{claims.classes[]}:*", &claims["classes"], "a:b:x"));
        for (classes, problem) in [
            (json!([]), "the caller has no {claims.classes[]}"),
            (json!(null), "the caller has no {claims.classes[]}"),
            (json!("math"), "the caller's {claims.classes[]} is a string: it must be a list"),
            (json!(7), "the caller's {claims.classes[]} is a number: it must be a list"),
            (json!(1.5), "the caller's {claims.classes[]} is a number that is not whole: it must be a list"),
            (json!({"0": "math"}), "the caller's {claims.classes[]} is an object: it must be a list"),
            (
                json!([true]),
                "the caller's {claims.classes[]} has no usable element: the caller's {claims.classes[0]} is true or false: it must be a string or a whole number",
            ),
        ] {
            assert_eq!(
                rooms("{claims.classes[]}:*", &json!({ "classes": classes })),
                Err(problem.to_owned())
            );
        }
        assert_eq!(
            rooms("{claims.classes[]}", &json!({"_claim_names": {"classes": "src1"}})),
            Err("the caller has no {claims.classes[]}: the issuer left the claim out of the token (_claim_names)".to_owned())
        );
    }

    #[test]
    fn each_mistake_in_a_fallback_has_its_own_error() {
        for text in [
            "claims.a ?? claims.b",
            "claims.a or claims.b",
            "claims.a || claims.b",
            "claims.a |",
            "| claims.a",
        ] {
            assert_eq!(Placeholder::parse(text), Err(InvalidPlaceholder::Separator), "{text}");
        }
        assert_eq!(Placeholder::parse("claims.a | \"Guest\""), Err(InvalidPlaceholder::DoubleQuotes));
        assert_eq!(Placeholder::parse("claims.a | claims.b[]"), Err(InvalidPlaceholder::List));
        for text in ["'Guest'", "'Guest' | claims.a", "'Guest' | 'User'"] {
            assert_eq!(Placeholder::parse(text), Err(InvalidPlaceholder::Text), "{text}");
        }
        for text in ["", "\"a\"", "team"] {
            let source = InvalidPlaceholder::Source(InvalidSource::new(text));
            assert_eq!(Placeholder::parse(text), Err(source), "{text}");
        }
    }

    #[test]
    fn the_first_256_elements_count() {
        let classes: Vec<_> = (0..300).map(|number| format!("c{number}")).collect();
        let found = rooms("{claims.classes[]}:*", &json!({ "classes": classes })).unwrap();
        assert_eq!((found.rooms.len(), found.rooms.last().map(String::as_str)), (256, Some("c255:*")));
        assert_eq!(found.skipped, ["only the first 256 of 300 elements of {claims.classes[]} count"]);
        assert!(open("{claims.classes[]}:*", &json!(classes), "c255:x"));
        assert!(!open("{claims.classes[]}:*", &json!(classes), "c256:x"));
        assert_eq!(
            rooms("{claims.classes[]}:*", &json!({ "classes": classes[..256] })).unwrap().skipped,
            [""; 0]
        );
    }

    #[test]
    fn a_list_with_one_element_fills_a_template() {
        let fill = |classes: Value| filled("class:{claims.classes[]}", &json!({ "classes": classes }));
        assert_eq!(fill(json!(["math"])), Ok("class:math".to_owned()));
        let several = "the caller's {claims.classes[]} has several elements, so the rule has no default_room for this caller";
        for classes in [json!(["math", "art"]), json!(["math", true])] {
            assert_eq!(fill(classes), Err(several.to_owned()));
        }
        assert_eq!(fill(json!([])), Err("the caller has no {claims.classes[]}".to_owned()));
    }

    proptest! {
        /// Hostile elements: separators, stars, prefixes of each other.
        #[test]
        fn no_element_reaches_the_rooms_of_another(
            pattern in prop::sample::select(vec!["{claims.classes[]}", "{claims.classes[]}:*", "x-{claims.classes[]}--*-y"]),
            mine in list(), theirs in list(), end in element(),
        ) {
            prop_assume!(mine.iter().all(|one| !theirs.contains(one)));
            for one in mine.iter().chain(&theirs) {
                for end in [end.clone(), format!(":{end}"), format!("{end}-y"), format!("--{end}")] {
                    let room = pattern.replace("{claims.classes[]}", one).replace('*', &end);
                    let both = [&mine, &theirs].map(|list| open(pattern, &json!(list), &room));
                    prop_assert_ne!(both, [true, true], "{}", room);
                }
            }
        }
    }

    fn list() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(element(), 0..5)
    }

    fn element() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec!["a", "b", ":", "-", "*", "--", "{", "y"]);
        prop::collection::vec(parts, 0..4).prop_map(|parts| parts.concat())
    }
}
