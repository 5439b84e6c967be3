//! `check --against`: who gets what by a policy, for a folder of claims, and what another policy changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use roompass::config::Config;
use roompass::domain::{
    Ask, Attributes, Context, InvalidField, Limits, Metadata, ParticipantName, Pass, RoomAsk, RoomName,
};
use roompass::http::Refusal;
use serde_json::{Map, Value, json};

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
        let rooms: Vec<_> = rooms.iter().map(|room| room.trim().to_owned()).collect();
        let named = rooms.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let rooms = if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() };
        Ok(Self { claims, rooms })
    }

    /// The table of who gets what by a policy.
    pub(super) fn table(&self, config: &Config, page: &mut Page) {
        let rows = self.decisions(config).map(|((name, room), decision)| [name, room, decision.short()]);
        page.table(["claims", "room", "result"], rows.collect());
    }

    /// The table of what is different by an older policy. Returns whether anything is.
    pub(super) fn differences(&self, old: &Config, new: &Config, page: &mut Page) -> bool {
        let decisions = self.decisions(old).zip(self.decisions(new));
        let rows = decisions.flat_map(|((names, old), (_, new))| {
            let changes = old.changes(&new).into_iter();
            changes.map(move |[what, old, new]| [names.0.clone(), names.1.clone(), what, old, new])
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            page.line("Nothing changes for these claims and rooms.");
            return false;
        }
        page.table(["claims", "room", "what", "old", "new"], rows);
        true
    }

    /// The decision for each claims and room, with their names.
    fn decisions(&self, config: &Config) -> impl Iterator<Item = ((String, String), Decided)> {
        self.claims.iter().flat_map(move |(name, claims)| {
            self.rooms.iter().map(move |room| {
                let shown = room.as_ref().map_or("(none)", RoomName::as_str);
                ((name.clone(), shown.to_owned()), decided(config, (name, claims), room.clone()))
            })
        })
    }
}

/// What a caller gets for a room.
enum Decided {
    /// Nothing, and why.
    Refused(String),
    /// A token: what it has and what a request may change, each with its name.
    Given(Box<Pass>, BTreeMap<String, String>),
}

impl Decided {
    fn short(&self) -> String {
        let pass = match self {
            Self::Refused(why) => return why.clone(),
            Self::Given(pass, _) => pass,
        };
        let grants = pass.room().map(|room| room.grants.effective()).unwrap_or_default();
        let grants = grants.into_iter().filter(|(.., is_default)| !is_default);
        let grants: Vec<_> = grants.map(|(name, value, _)| format!(", {name} = {value}")).collect();
        let room = pass.room().map_or("", |room| room.room.as_str());
        let project = &pass.project;
        let project = if project.is_default() { String::new() } else { format!(" in project {project}") };
        let (rule, identity, ttl) = (&pass.rule, pass.identity.as_str(), pass.ttl);
        format!("{rule}: {room}{project} as {identity} for {ttl}{}", grants.concat())
    }

    /// What is different in another decision: the name, this value and the other.
    fn changes(&self, other: &Self) -> Vec<[String; 3]> {
        match (self, other) {
            (Self::Given(_, own), Self::Given(_, other)) => {
                let names: BTreeSet<_> = own.keys().chain(other.keys()).collect();
                let value = |of: &BTreeMap<String, String>, name| of.get(name).cloned().unwrap_or_default();
                let both = names.into_iter().map(|name| [name.clone(), value(own, name), value(other, name)]);
                both.filter(|[_, own, other]| own != other).collect()
            }
            (Self::Refused(own), Self::Refused(other)) if own == other => Vec::new(),
            _ => vec![["result".to_owned(), self.short(), other.short()]],
        }
    }
}

/// Generated names are the same in every decision, so that decisions can be compared.
fn decided(config: &Config, (name, claims): (&str, &Map<String, Value>), room: Option<RoomName>) -> Decided {
    let named = name.rsplit_once('.').map(|(_, caller)| caller);
    let named = named.filter(|named| config.callers.iter().any(|caller| caller.name == *named));
    let caller = match caller_file::caller_of(claims.clone(), named, &config.callers) {
        Ok(caller) => caller,
        Err(InvalidCallerFile::Ambiguous) => {
            return Decided::Refused("iss does not match exactly one [[caller]]".to_owned());
        }
        Err(error) => return Decided::Refused(error.to_string()),
    };
    let ask = Ask::from(RoomAsk { room, ..RoomAsk::default() });
    let context = Context { now: roompass::system::context().now, randomness: |bytes| bytes.fill(7) };
    match config.policy.decide(&caller, ask, &context).outcome {
        Ok(pass) => {
            let details = details(config, &pass);
            Decided::Given(Box::new(pass), details)
        }
        Err(denial) => Decided::Refused(format!("refused: {}", Refusal::from(denial).code())),
    }
}

/// What a token has, and what a request may change by its rule.
fn details(config: &Config, pass: &Pass) -> BTreeMap<String, String> {
    let list = |items: Vec<String>| items.join(", ");
    let mut all = BTreeMap::from([
        ("rule".to_owned(), pass.rule.clone()),
        ("project".to_owned(), pass.project.to_string()),
        ("identity".to_owned(), pass.identity.as_str().to_owned()),
        ("ttl".to_owned(), pass.ttl.to_string()),
    ]);
    if let Some(rule) = config.policy.rules().iter().find(|rule| rule.name == pass.rule) {
        let fields = rule.client_may_set.iter().map(|field| field.path().to_owned()).collect();
        all.extend([
            ("client_may_set".to_owned(), list(fields)),
            ("agents".to_owned(), list(rule.agents.iter().map(ToString::to_string).collect())),
            ("egress".to_owned(), list(rule.egress.iter().map(ToString::to_string).collect())),
            ("max_ttl".to_owned(), rule.max_ttl.map(|ttl| ttl.to_string()).unwrap_or_default()),
        ]);
    }
    let Some(room) = pass.room() else { return all };
    let config = room.room_config.as_ref();
    let attributes: Map<_, _> = room
        .attributes
        .iter()
        .flat_map(Attributes::iter)
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    all.extend([
        ("room".to_owned(), room.room.as_str().to_owned()),
        ("name".to_owned(), room.name.as_ref().map_or("", ParticipantName::as_str).to_owned()),
        ("metadata".to_owned(), room.metadata.as_ref().map_or("", Metadata::as_str).to_owned()),
        ("attributes".to_owned(), Value::Object(attributes).to_string()),
        (
            "room_config".to_owned(),
            config.map_or_else(String::new, |config| json!(config.as_livekit()).to_string()),
        ),
    ]);
    let grants = room.grants.effective().into_iter();
    all.extend(grants.map(|(name, value, _)| (format!("grants.{name}"), value)));
    all
}
