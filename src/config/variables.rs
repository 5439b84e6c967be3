//! The environment variables that contain keys. Each can be in a file, as containers mount secrets: the variable with `_FILE`
//! after its name has the path. LiveKit's pair can also be in the format of LiveKit's server, `key: secret`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use super::ConfigError;
use crate::keys::{API_KEY, API_SECRET};

/// The variables that are set, directly or in a file, by name. Not `Debug`: they contain secrets.
#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, Variable>);

struct Variable {
    /// The variable that is set: the name itself, or the name and `_FILE`.
    set: String,
    text: String,
}

impl Variables {
    /// Reads the variables with these names.
    ///
    /// # Errors
    /// If one is set both directly and in a file, or its file can't be read.
    pub(super) fn read<'a>(
        names: impl IntoIterator<Item = &'a str>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let read = |name: &'a str| Ok(variable(name, &lookup)?.map(|found| (name.to_owned(), found)));
        names.into_iter().filter_map(|name| read(name).transpose()).collect::<Result<_, _>>().map(Self)
    }

    /// The value of a variable, if it's set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|found| found.text.as_str())
    }

    /// The values of two variables that are set together.
    ///
    /// # Errors
    /// If only one is set.
    pub(super) fn pair(&self, one: &str, other: &str) -> Result<Option<(String, String)>, ConfigError> {
        match (self.get(one), self.get(other)) {
            (Some(one), Some(other)) => Ok(Some((one.to_owned(), other.to_owned()))),
            (Some(_), None) => Err(missing(other, one)),
            (None, Some(_)) => Err(missing(one, other)),
            (None, None) => Ok(None),
        }
    }

    /// LiveKit's API key and secret: from their own variables, or from `LIVEKIT_KEYS`. If that has several pairs,
    /// `LIVEKIT_API_KEY` selects one.
    ///
    /// # Errors
    /// If only one of the two is set, or `LIVEKIT_KEYS` is invalid or doesn't determine the pair.
    pub(super) fn livekit_pair(&self) -> Result<Option<(String, String)>, ConfigError> {
        let Some(Variable { set, text }) = self.0.get(KEYS) else {
            return self.pair(API_KEY, API_SECRET);
        };
        if let Some(secret) = self.0.get(API_SECRET) {
            return Err(invalid(set, format!("must not be set together with {}", secret.set)));
        }
        let mut pairs = pairs(text).map_err(|problem| invalid(set, problem))?;
        match (self.0.get(API_KEY), pairs.len()) {
            (Some(selected), _) => match pairs.remove(&selected.text) {
                Some(secret) => Ok(Some((selected.text.clone(), secret))),
                None => Err(invalid(&selected.set, format!("must be one of the keys in {set}"))),
            },
            (None, 1) => Ok(pairs.pop_first()),
            (None, count) => Err(invalid(
                set,
                format!("has {count} key pairs: set {API_KEY} to the key of the one that signs tokens"),
            )),
        }
    }
}

fn variable(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Variable>, ConfigError> {
    let lookup = |name: &str| lookup(name).filter(|text| !text.is_empty());
    let of_file = format!("{name}{FILE}");
    match (lookup(name), lookup(&of_file)) {
        (Some(_), Some(_)) => Err(invalid(&of_file, format!("must not be set together with {name}"))),
        (Some(text), None) => Ok(Some(Variable { set: name.to_owned(), text })),
        (None, Some(path)) => match contents(&path) {
            Ok(text) => Ok(Some(Variable { set: of_file, text })),
            Err(problem) => Err(invalid(&of_file, problem)),
        },
        (None, None) => Ok(None),
    }
}

/// The text of a file, without a byte-order mark before it and line breaks after it. The error doesn't show the path,
/// because that may be the secret itself, in the wrong variable.
fn contents(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("must be the path of a readable file: {error}"))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(format!("the file must have {MAX_SIZE} bytes or less"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "the file must contain UTF-8 text".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err("the file is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// The pairs in LiveKit's format: a YAML mapping with a line `key: secret` for each. The error shows no part of a line.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    let mut first_indent = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start_matches('\u{feff}').trim_end_matches([' ', '\t']);
        let indent = line.len() - line.trim_start_matches(' ').len();
        let line = line.trim_start_matches(' ');
        if line.is_empty() || line.starts_with('#') || (line == "---" && pairs.is_empty()) {
            continue;
        }
        if *first_indent.get_or_insert(indent) != indent {
            return Err(format!("line {number} has another indentation than the first key"));
        }
        let pair = line.split_once(": ").and_then(|(key, secret)| Some((scalar(key)?, scalar(secret)?)));
        let (key, secret) = pair.ok_or_else(|| {
            format!("line {number} must be a key and its secret, such as \"APIkey: secret\", with a space after the colon; write a number in quotes")
        })?;
        if pairs.insert(key.to_owned(), secret.to_owned()).is_some() {
            return Err(format!("line {number} has a key that is listed before"));
        }
    }
    if pairs.is_empty() {
        return Err("must have a line with a key and its secret, such as \"APIkey: secret\"".to_owned());
    }
    Ok(pairs)
}

/// A YAML scalar without an escape: plain, or in quotes. A comment after it doesn't count.
fn scalar(text: &str) -> Option<&str> {
    let text = if text.trim_start().starts_with('#') { "" } else { text };
    let text = text.split_once(" #").map_or(text, |(before, _)| before).trim();
    let (text, excluded) = match text.chars().next()? {
        quote @ ('"' | '\'') => (text[1..].strip_suffix(quote)?, ["\"", "'", "\\"]),
        '[' | '{' | '&' | '*' | '!' | '|' | '>' | '%' | '@' | '`' => return None,
        '-' | '?' if text.chars().nth(1) == Some(' ') => return None,
        // YAML reads these as numbers, true, false and null.
        _ if text.parse::<f64>().is_ok() || WORDS.contains(&text.to_ascii_lowercase().as_str()) => {
            return None;
        }
        _ => (text, [": ", "\t", "\u{feff}"]),
    };
    let has_control = text.contains(char::is_control);
    (!text.is_empty() && !has_control && !excluded.iter().any(|part| text.contains(part))).then_some(text)
}

fn missing(variable: &str, other: &str) -> ConfigError {
    invalid(variable, format!("must be set together with {other}"))
}

/// The error for a variable.
pub(super) fn invalid(variable: &str, problem: String) -> ConfigError {
    ConfigError::Variable { variable: variable.to_owned(), problem }
}

/// Words that are no text in YAML.
const WORDS: [&str; 10] = ["null", "~", "true", "false", "yes", "no", "on", "off", ".nan", ".inf"];
/// Pairs in LiveKit's format.
pub(super) const KEYS: &str = "LIVEKIT_KEYS";
const FILE: &str = "_FILE";
/// The maximum size of a file, in bytes. A secret of AWS has the same limit.
const MAX_SIZE: u64 = 65_536;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A file that is deleted after the test.
    struct Temporary(PathBuf);

    impl Temporary {
        fn of(name: &str, bytes: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("roompass-{}-{name}", std::process::id()));
            std::fs::write(&path, bytes).unwrap();
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    fn read(variables: &[(&str, &str)]) -> Result<Variables, String> {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
        Variables::read([API_KEY, API_SECRET, KEYS], lookup).map_err(|error| error.to_string())
    }

    fn pair(variables: &[(&str, &str)]) -> Result<Option<(String, String)>, String> {
        read(variables)?.livekit_pair().map_err(|error| error.to_string())
    }

    fn file_with(bytes: &[u8], name: &str) -> Result<String, String> {
        let file = Temporary::of(name, bytes);
        let variables = read(&[("LIVEKIT_API_SECRET_FILE", file.path())])?;
        Ok(variables.get(API_SECRET).unwrap().to_owned())
    }

    #[test]
    fn a_variable_can_be_in_a_file_whose_last_line_breaks_do_not_count() {
        for (at, (bytes, text)) in [
            ("canary", "canary"),
            ("canary\n", "canary"),
            ("canary\r\n\n", "canary"),
            ("\u{feff}canary\n", "canary"),
            (" can ary \n", " can ary "),
            ("two\nlines\n", "two\nlines"),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(file_with(bytes.as_bytes(), &format!("text-{at}")), Ok(text.to_owned()), "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_a_mistake_that_names_the_variable_and_shows_neither_path_nor_text() {
        let large = vec![b'a'; 65_537];
        for (at, (bytes, problem)) in [
            (&b""[..], "the file is empty"),
            (b"\xef\xbb\xbf\r\n", "the file is empty"),
            (b"\xff\xfec\0a\0n\0a\0r\0y\0", "the file must contain UTF-8 text"),
            (&large, "the file must have 65536 bytes or less"),
        ]
        .into_iter()
        .enumerate()
        {
            let found = file_with(bytes, &format!("unusable-{at}"));
            assert_eq!(found, Err(format!("LIVEKIT_API_SECRET_FILE: {problem}")));
        }
        assert_eq!(file_with(&large[1..], "largest").map(|text| text.len()), Ok(65_536));
        let directory = std::env::temp_dir();
        for path in ["/no/such/canary", "canary", "canary\0", directory.to_str().unwrap()] {
            let problem = read(&[("LIVEKIT_KEYS_FILE", path)]).map(|_| ()).unwrap_err();
            assert!(
                problem.starts_with("LIVEKIT_KEYS_FILE: must be the path of a readable file: "),
                "{problem}"
            );
            assert!(!problem.contains(path) && !problem.contains("canary"), "{problem}");
        }
    }

    #[test]
    fn a_variable_and_its_file_exclude_each_other_and_an_empty_variable_counts_as_unset() {
        let both = [(API_SECRET, "canary"), ("LIVEKIT_API_SECRET_FILE", "/canary")];
        assert_eq!(
            read(&both).map(|_| ()),
            Err("LIVEKIT_API_SECRET_FILE: must not be set together with LIVEKIT_API_SECRET".to_owned())
        );
        let one = read(&[(API_SECRET, "canary"), ("LIVEKIT_API_SECRET_FILE", "")]).unwrap();
        assert_eq!(one.get(API_SECRET), Some("canary"));
        let file = Temporary::of("other-empty", b"of the file");
        let other = read(&[(API_SECRET, ""), ("LIVEKIT_API_SECRET_FILE", file.path())]).unwrap();
        assert_eq!(other.get(API_SECRET), Some("of the file"));
    }

    #[test]
    fn livekits_own_format_has_a_pair_in_each_line() {
        let found = |key: &str, secret: &str| Ok(Some((key.to_owned(), secret.to_owned())));
        for text in [
            "APIk: s+/=",
            "APIk: s+/=\n",
            "  APIk:   s+/=  ",
            "# generated\n---\n\nAPIk: s+/= # ours\r\n",
            "\"APIk\": 's+/='",
            "\u{feff}APIk: \"s+/=\"\n",
        ] {
            assert_eq!(pair(&[(KEYS, text)]), found("APIk", "s+/="), "{text:?}");
        }
        assert_eq!(pair(&[(KEYS, "a: b#c d")]), found("a", "b#c d"));
        assert_eq!(pair(&[(KEYS, "a: '12345'")]), found("a", "12345"));
        assert_eq!(pair(&[(KEYS, "  a: x\n  b: y"), (API_KEY, "b")]), found("b", "y"));
        let two = "APIone: first\nAPItwo: second\n";
        assert_eq!(pair(&[(KEYS, two), (API_KEY, "APItwo")]), found("APItwo", "second"));
        let file = Temporary::of("keys", two.as_bytes());
        let of_file = [("LIVEKIT_KEYS_FILE", file.path()), (API_KEY, "APIone")];
        assert_eq!(pair(&of_file), found("APIone", "first"));
        assert_eq!(pair(&[]), Ok(None));
    }

    #[test]
    fn keys_that_do_not_determine_one_pair_are_a_mistake_that_shows_no_secret() {
        let line = |number: u32| {
            format!(
                "LIVEKIT_KEYS: line {number} must be a key and its secret, such as \"APIkey: secret\", with a space after the colon; write a number in quotes"
            )
        };
        for (text, problem) in [
            ("APIk:canary", line(1)),
            ("APIk canary", line(1)),
            ("# keys\nAPIk:\n  canary", line(2)),
            ("APIk: ", line(1)),
            (": canary", line(1)),
            ("APIk: canary: canary", line(1)),
            ("APIk: \"can\\\"ary\"", line(1)),
            ("APIk: |", line(1)),
            ("APIk: #canary", line(1)),
            ("APIk: null", line(1)),
            ("APIk: ~", line(1)),
            ("APIk: 12345678901234567890123456789012", line(1)),
            ("APIk: true", line(1)),
            ("- APIk: canary", line(1)),
            ("? APIk: canary", line(1)),
            ("APIk: can\rary", line(1)),
            ("a: canary\n---\nb: canary", line(2)),
            (
                "a: canary\n  b: canary",
                "LIVEKIT_KEYS: line 2 has another indentation than the first key".to_owned(),
            ),
            ("APIk: \"canary", line(1)),
            ("APIk: 'canary\"", line(1)),
            ("APIk: [canary]", line(1)),
            ("{\"APIk\": \"canary\"}", line(1)),
            ("a: canary\na: canary", "LIVEKIT_KEYS: line 2 has a key that is listed before".to_owned()),
            (
                "# none",
                "LIVEKIT_KEYS: must have a line with a key and its secret, such as \"APIkey: secret\""
                    .to_owned(),
            ),
            (
                "a: canary\nb: canary",
                "LIVEKIT_KEYS: has 2 key pairs: set LIVEKIT_API_KEY to the key of the one that signs tokens"
                    .to_owned(),
            ),
        ] {
            assert_eq!(pair(&[(KEYS, text)]), Err(problem), "{text:?}");
        }
        let file = Temporary::of("several", b"a: canary\nb: canary");
        assert_eq!(
            pair(&[("LIVEKIT_KEYS_FILE", file.path()), (API_KEY, "c")]),
            Err("LIVEKIT_API_KEY: must be one of the keys in LIVEKIT_KEYS_FILE".to_owned())
        );
        assert_eq!(
            pair(&[("LIVEKIT_KEYS_FILE", file.path()), (API_KEY, "a"), (API_SECRET, "canary")]),
            Err("LIVEKIT_KEYS_FILE: must not be set together with LIVEKIT_API_SECRET".to_owned())
        );
        assert_eq!(
            pair(&[(API_SECRET, "canary")]),
            Err("LIVEKIT_API_KEY: must be set together with LIVEKIT_API_SECRET".to_owned())
        );
    }
}
