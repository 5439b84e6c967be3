//! The file `.env` in the current folder. Its variables count as environment variables, unless these are set.

use std::env;
use std::fs;
use std::path::Path;

/// Why the file can't be used. The error shows no value of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DotenvError {
    #[error(".env:{0}: must be NAME=value, with quotes around a value that has white space, # or $")]
    Line(usize),
    #[error("cannot read .env: {0}")]
    Unreadable(std::io::Error),
}

/// Sets the variables of the file that are not set. Returns what it set, in words. Must be called before any thread starts.
///
/// # Errors
/// If the file can't be read or parsed. Nothing is set then.
pub(crate) fn load() -> Result<Option<String>, DotenvError> {
    let file = Path::new(FILE);
    if !file.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(file).map_err(DotenvError::Unreadable)?;
    let variables: Result<Vec<_>, _> = dotenvy::from_read_iter(text.as_bytes()).collect();
    let variables = variables.map_err(|error| invalid(&text, error))?;
    let new: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).filter(|name| is_unset(name)).collect();
    let said = in_words(&new);
    // Reads the file again, because only this function sets variables.
    dotenvy::from_path(file).map_err(|error| invalid(&text, error))?;
    Ok(said)
}

fn is_unset(name: &str) -> bool {
    env::var_os(name).is_none()
}

/// The names of this program's variables, and how many others there are.
fn in_words(names: &[&str]) -> Option<String> {
    let is_own = |name: &&str| OWN.iter().any(|prefix| name.starts_with(prefix));
    let (own, others): (Vec<&str>, Vec<&str>) = names.iter().copied().partition(is_own);
    let count = match others.len() {
        0 => None,
        1 => Some("1 other variable".to_owned()),
        many => Some(format!("{many} other variables")),
    };
    let parts: Vec<_> = own.into_iter().map(str::to_owned).chain(count).collect();
    (!parts.is_empty()).then(|| format!("read from .env: {}", parts.join(", ")))
}

fn invalid(text: &str, error: dotenvy::Error) -> DotenvError {
    match error {
        dotenvy::Error::Io(error) => DotenvError::Unreadable(error),
        dotenvy::Error::LineParse(line, _) => {
            let start = line.lines().next().unwrap_or_default();
            let before = text.lines().take_while(|line| !line.contains(start)).count();
            DotenvError::Line(before + 1)
        }
        _ => DotenvError::Line(1),
    }
}

const FILE: &str = ".env";
const OWN: [&str; 4] = ["AGORA", "LIVEKIT", "ROOMPASS", "RUST_LOG"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_this_program_are_listed_and_others_are_counted() {
        assert_eq!(in_words(&[]), None);
        for (names, words) in [
            (&["LIVEKIT_URL", "RUST_LOG"][..], "read from .env: LIVEKIT_URL, RUST_LOG"),
            (&["DATABASE_URL", "AGORA_APP_ID"], "read from .env: AGORA_APP_ID, 1 other variable"),
            (&["A", "B"], "read from .env: 2 other variables"),
        ] {
            assert_eq!(in_words(names).as_deref(), Some(words));
        }
    }
}
