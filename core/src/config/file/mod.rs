//! Parses all of `roompass.toml`: its text becomes checked settings, or a list of all mistakes in it.
//!
//! Each part is read on its own, so a mistake in one part doesn't hide mistakes in another. Checks across several parts
//! run once all parts are readable.

mod reader;
mod value;

use std::ops::Range;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::mistake::{ConfigError, Mistakes, Text};
use super::{AgoraSettings, Cors, Dialect, Http, KeyAges, Sandbox, dialects};
use crate::caller::{self, CallerConfig, WrittenCaller};
use crate::domain::Limits;
use crate::policy::{self, Deny, Policy, Rule};
use reader::{Reader, Tables};

/// `roompass.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The first 16 hexadecimal digits of the SHA-256 of the text of the first file.
    pub version: String,
    /// `[http]`: the endpoint's base path.
    pub http: Http,
    /// `[cors]`: the web pages that may read responses.
    pub cors: Cors,
    /// `[keys]`: how long a process caches keys.
    pub keys: KeyAges,
    /// `[limits]`: the maximum lengths of fields.
    pub limits: Limits,
    /// `dialects`: the wire formats that are served. `standard` only unless set.
    pub dialects: Vec<Dialect>,
    /// `[sandbox]`: settings of the sandbox's dialect.
    pub sandbox: Sandbox,
    /// `[agora]`: settings of Agora's dialect.
    pub agora: AgoraSettings,
    /// `[[caller]]`: how callers are authenticated, tried in this order.
    pub callers: Vec<CallerConfig>,
    /// `[[deny]]`: who gets no token, and `[[rule]]`: what callers may have, tried in this order.
    pub policy: Policy,
}

impl Config {
    /// Parses a configuration file's text. `file` is its name, for the mistakes.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        Parts::read(Text { text, file })?.into_config()
    }

    /// The version of a text.
    #[must_use]
    pub fn version_of(text: &str) -> String {
        format!("{:.16x}", Sha256::digest(text))
    }

    /// Parses a file, and takes what it doesn't set from others, in this order. Each file is its text and its name.
    ///
    /// # Errors
    /// All mistakes in the first file that has any; if each is valid on its own, those in all of them together.
    pub fn parse_over((text, file): (&str, &str), others: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let parts = Parts::read(Text { text, file })?.with_empty_lists_unset();
        parts.over_all(others)?.into_config()
    }

    /// Parses a policy that is read at run time, over the files that the program was started with. An empty text would
    /// silently be the policy of those files, so it must set `rule` or `deny`, which may be empty lists.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn parse_policy((text, file): (&str, &str), others: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let parts = Parts::read(Text { text, file })?;
        if !parts.rules.is_set && !parts.denied.is_set {
            let mut mistakes = Mistakes::default();
            mistakes.push(Text { text: "", file }.mistake(
                &(0..0),
                "the policy has neither a [[rule]] nor a [[deny]]: to end all bans, write deny = []",
            ));
            mistakes.into_result()?;
        }
        parts.over_all(others)?.into_config()
    }
}

/// The parts of one or more files, each valid on its own.
struct Parts<'a> {
    version: String,
    http: Option<Http>,
    cors: Cors,
    /// Which lists of `[cors]` and `[sandbox]` the file has. They may be empty.
    sets: SetLists,
    keys: Option<KeyAges>,
    limits: Option<Limits>,
    dialects: Option<Placed<'a, Vec<Dialect>>>,
    sandbox: Sandbox,
    agora: Option<AgoraSettings>,
    callers: Tables<'a, CallerConfig>,
    denied: Tables<'a, Deny>,
    rules: Tables<'a, Rule>,
}

/// The lists that are taken from another file if this one doesn't have them.
struct SetLists {
    origins: bool,
    headers: bool,
    sandboxes: bool,
}

/// A value with its place.
struct Placed<'a, T> {
    value: T,
    text: Text<'a>,
    place: Range<usize>,
}

impl<'a> Parts<'a> {
    fn read(text: Text<'a>) -> Result<Self, ConfigError> {
        if text.is_json() {
            return Err(text.json_mistake());
        }
        let table = DeTable::parse(text.text).map_err(|error| text.not_toml(&error))?;
        let mut reader = Reader::new(text, table.into_inner());
        let sets = SetLists {
            origins: reader.has("cors", "origins"),
            headers: reader.has("cors", "headers"),
            sandboxes: reader.has("sandbox", "ids"),
        };
        let http = reader.value("http");
        let cors = reader.value("cors").unwrap_or_default();
        let keys = reader.value("keys");
        let limits = reader.value("limits");
        let place_of_dialects = reader.place("dialects");
        let dialects = reader.value("dialects").zip(place_of_dialects);
        let dialects = dialects.map(|(value, place)| Placed { value, text, place });
        let sandbox = reader.value("sandbox").unwrap_or_default();
        let agora = reader.value("agora");
        let written: Tables<'a, WrittenCaller> = reader.list("caller");
        let callers = written.filter_map(|caller, keys| {
            let caller = CallerConfig::try_from(caller);
            caller.map_err(|mistake| reader.mistake(keys.place(mistake.key), &mistake.problem)).ok()
        });
        let denied = reader.list("deny");
        let rules = reader.list("rule");
        reader.finish()?;
        let version = Config::version_of(text.text);
        Ok(Self { version, http, cors, sets, keys, limits, dialects, sandbox, agora, callers, denied, rules })
    }

    /// Empty lists in `[cors]` and `[sandbox]` count as not set.
    fn with_empty_lists_unset(self) -> Self {
        let sets = SetLists {
            origins: !self.cors.origins.is_empty(),
            headers: !self.cors.headers.is_empty(),
            sandboxes: !self.sandbox.ids.is_empty(),
        };
        Self { sets, ..self }
    }

    /// These parts, with those of other files where these are not set.
    fn over_all(self, others: &[(&'a str, &'a str)]) -> Result<Self, ConfigError> {
        others.iter().try_fold(self, |parts, (text, file)| {
            Ok(parts.over(Parts::read(Text { text, file })?.with_empty_lists_unset()))
        })
    }

    /// These parts, with those of another file where these are not set.
    fn over(self, other: Self) -> Self {
        Self {
            version: self.version,
            http: self.http.or(other.http),
            cors: Cors {
                origins: if self.sets.origins { self.cors.origins } else { other.cors.origins },
                headers: if self.sets.headers { self.cors.headers } else { other.cors.headers },
            },
            sandbox: if self.sets.sandboxes { self.sandbox } else { other.sandbox },
            sets: SetLists {
                origins: self.sets.origins || other.sets.origins,
                headers: self.sets.headers || other.sets.headers,
                sandboxes: self.sets.sandboxes || other.sets.sandboxes,
            },
            keys: self.keys.or(other.keys),
            limits: self.limits.or(other.limits),
            dialects: self.dialects.or(other.dialects),
            agora: self.agora.or(other.agora),
            callers: self.callers.or(other.callers),
            denied: self.denied.or(other.denied),
            rules: self.rules.or(other.rules),
        }
    }

    /// Checks that the parts are valid together.
    fn check(&self) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        if let Some(Placed { value, text, place }) = &self.dialects
            && let Some(problem) = dialects::mistake(value, &self.sandbox)
        {
            mistakes.push(text.mistake(place, problem));
        }
        let callers = &self.callers.values;
        for (position, mistake) in caller::mistakes(callers) {
            mistakes.push(self.callers.mistake(position, mistake.key, &mistake.problem));
        }
        let serves_sandbox =
            self.dialects.as_ref().is_some_and(|dialects| dialects.value.contains(&Dialect::Sandbox));
        let sandboxes = serves_sandbox.then_some(self.sandbox.ids.as_slice());
        // A mistake in the callers would cause another one in each of their rules.
        let of_rules = mistakes.is_empty().then(|| policy::mistakes(&self.rules.values, callers, sandboxes));
        for (position, mistake) in of_rules.into_iter().flatten() {
            mistakes.push(self.rules.mistake(position, mistake.key, &mistake.problem));
        }
        for (position, mistake) in policy::mistakes_in_denied(&self.denied.values, callers, sandboxes) {
            mistakes.push(self.denied.mistake(position, mistake.key, &mistake.problem));
        }
        mistakes.into_result()
    }

    /// # Errors
    /// If the parts are not valid together.
    fn into_config(self) -> Result<Config, ConfigError> {
        self.check()?;
        let Self {
            version,
            http,
            cors,
            sets: _,
            keys,
            limits,
            dialects,
            sandbox,
            agora,
            callers,
            denied,
            rules,
        } = self;
        let dialects = dialects.map_or_else(|| vec![Dialect::Standard], |dialects| dialects.value);
        let limits = limits.unwrap_or_default();
        let policy = Policy::new(denied.values, rules.values, &callers.values, limits.clone());
        Ok(Config {
            version,
            http: http.unwrap_or_default(),
            cors,
            keys: keys.unwrap_or_default(),
            limits,
            dialects,
            sandbox,
            agora: agora.unwrap_or_default(),
            callers: callers.values,
            policy,
        })
    }
}

#[cfg(test)]
mod tests;
