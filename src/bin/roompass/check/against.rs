//! `check --against`: who gets what by a policy, for a folder of claims, and what another policy changes.

use std::path::{Path, PathBuf};

use roompass::config::Config;
use roompass::domain::{Ask, Context, InvalidField, Limits, Pass, RoomAsk, RoomName};
use roompass::http::Refusal;
use serde_json::{Map, Value};

use crate::caller_file::{self, InvalidCallerFile};
use crate::screen::Page;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgainstError {
    #[error("cannot read {}: {reason}", .folder.display())]
    Folder { folder: PathBuf, reason: std::io::Error },
    #[error("{} has no file that ends in .json", .0.display())]
    NoClaims(PathBuf),
    #[error(transparent)]
    Claims(#[from] InvalidCallerFile),
    #[error("invalid room {room:?}: {problem}")]
    Room { room: String, problem: InvalidField },
}

/// The claims of a folder, by file name, and the rooms that are requested with each.
pub(super) struct Requests {
    claims: Vec<(String, Map<String, Value>)>,
    rooms: Vec<Option<RoomName>>,
}

impl Requests {
    /// Reads a folder's files that end in `.json`. Without rooms, no room is requested.
    ///
    /// # Errors
    /// If the folder or a file in it can't be read, or a room's name is invalid.
    pub(super) fn read(folder: &Path, rooms: &[String]) -> Result<Self, AgainstError> {
        let unreadable = |reason| AgainstError::Folder { folder: folder.to_owned(), reason };
        let entries = std::fs::read_dir(folder).map_err(unreadable)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = paths.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let claims = paths.into_iter().map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, caller_file::object(&path)?))
        });
        let claims: Vec<_> = claims.collect::<Result<_, InvalidCallerFile>>()?;
        if claims.is_empty() {
            return Err(AgainstError::NoClaims(folder.to_owned()));
        }
        let parse = |room: &String| {
            RoomName::parse(room.as_str(), &Limits::default())
                .map_err(|problem| AgainstError::Room { room: room.clone(), problem })
        };
        let named = rooms.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let rooms = if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() };
        Ok(Self { claims, rooms })
    }

    /// What each caller gets for each room, by a policy.
    fn results(&self, config: &Config) -> Vec<String> {
        let asked =
            self.claims.iter().flat_map(|(_, claims)| self.rooms.iter().map(move |room| (claims, room)));
        asked.map(|(claims, room)| result(config, claims, room.clone())).collect()
    }

    /// The claims' name and the room of each result.
    fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.claims.iter().flat_map(|(name, _)| {
            self.rooms
                .iter()
                .map(move |room| (name.as_str(), room.as_ref().map_or("(none)", RoomName::as_str)))
        })
    }

    /// The table of a policy.
    pub(super) fn table(&self, config: &Config, page: &mut Page) {
        let results = self.names().zip(self.results(config));
        let rows = results.map(|((name, room), result)| [name.to_owned(), room.to_owned(), result]);
        page.table(["claims", "room", "result"], rows.collect());
    }

    /// The table of what is different by an older policy. Returns whether anything is.
    pub(super) fn differences(&self, old: &Config, new: &Config, page: &mut Page) -> bool {
        let results = self.names().zip(self.results(old)).zip(self.results(new));
        let changed = results.filter(|((_, old), new)| old != new);
        let rows: Vec<_> =
            changed.map(|(((name, room), old), new)| [name.to_owned(), room.to_owned(), old, new]).collect();
        if rows.is_empty() {
            page.line("Nothing changes for these claims and rooms.");
            return false;
        }
        page.table(["claims", "room", "old result", "new result"], rows);
        true
    }
}

/// The decision in a few words. Generated names are the same in every decision, so that results can be compared.
fn result(config: &Config, claims: &Map<String, Value>, room: Option<RoomName>) -> String {
    let caller = match caller_file::caller_of(claims.clone(), None, &config.callers) {
        Ok(caller) => caller,
        Err(InvalidCallerFile::Ambiguous) => return "iss does not match exactly one [[caller]]".to_owned(),
        Err(error) => return error.to_string(),
    };
    let ask = Ask::from(RoomAsk { room, ..RoomAsk::default() });
    let context = Context { now: roompass::system::context().now, randomness: |bytes| bytes.fill(7) };
    match config.policy.decide(&caller, ask, &context).outcome {
        Ok(pass) => given(&pass),
        Err(denial) => format!("refused: {}", Refusal::from(denial).code()),
    }
}

fn given(pass: &Pass) -> String {
    let grants = pass.room().map(|room| room.grants.effective()).unwrap_or_default();
    let grants = grants.into_iter().filter(|(.., is_default)| !is_default);
    let grants: Vec<_> = grants.map(|(name, value, _)| format!(", {name} = {value}")).collect();
    let room = pass.room().map_or("", |room| room.room.as_str());
    format!("{}: {room} as {} for {}{}", pass.rule, pass.identity.as_str(), pass.ttl, grants.concat())
}
