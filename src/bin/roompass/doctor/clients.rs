//! Counts the requests in a log whose client sent a text such as `undefined` in place of its credential.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::report::Entry;

/// Reads a log, in either format, line by line.
///
/// # Errors
/// If it can't be read.
pub(super) fn check(name: &str, mut log: impl BufRead) -> io::Result<Entry> {
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    let mut line = Vec::new();
    let mut lines = 0;
    while log.read_until(b'\n', &mut line)? > 0 {
        lines += 1;
        if let Some(text) = sent(&String::from_utf8_lossy(&line)) {
            *texts.entry(text).or_default() += 1;
        }
        line.clear();
    }
    if texts.is_empty() {
        return Ok(Entry::Fine(format!("log {name}: no such client as `Bearer undefined` in {lines} lines")));
    }
    let counts: Vec<_> = texts.iter().map(|(text, count)| format!("{count} × {text}")).collect();
    Ok(Entry::found(
        format!("log {name}: clients sent a text in place of the credential: {}", counts.join(", ")),
        "The client's code sends the header before it has the token, or writes an object or a promise as text. These requests \
         return 401.",
        "Wait for the token before each request: `await` it (docs/authentication.md, \"Send the credential\").",
    ))
}

/// What the client sent, if the cause in this line is a credential that isn't one.
fn sent(line: &str) -> Option<String> {
    if line.contains(EMPTY) {
        return Some("nothing".to_owned());
    }
    let (before, _) = line.split_once(UNSET_END)?;
    let (_, text) = before.rsplit_once(UNSET_START)?;
    // Both formats quote the cause, so quotes in it have backslashes.
    Some(text.replace(['\\', '"'], ""))
}

const EMPTY: &str = "the credential is empty";
const UNSET_START: &str = "the client sent the text ";
const UNSET_END: &str = " in place of a credential";

#[cfg(test)]
mod tests {
    use roompass::auth::InvalidCredential;

    use super::*;

    #[test]
    fn the_causes_are_those_that_the_log_has() {
        let unset = InvalidCredential::Unset("undefined").to_string();
        assert_eq!(unset, format!("{UNSET_START}\"undefined\"{UNSET_END}"));
        assert_eq!(InvalidCredential::Empty.to_string(), EMPTY);
        let quoted = serde_json::Value::from(unset).to_string();
        assert_eq!(sent(&format!("WARN request refused cause={quoted} x=1")), Some("undefined".to_owned()));
        assert_eq!(sent("INFO token issued"), None);
    }
}
