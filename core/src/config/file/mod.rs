//! Parses all of `roompass.toml`: its text becomes checked settings, or a list of all mistakes in it.
//!
//! Each part is read on its own, so a mistake in one part doesn't hide mistakes in another. Checks across several parts
//! run once all parts are readable.

mod reader;
mod value;

use std::ops::Range;

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
        let text = Text { text, file };
        let parts = Parts::read(&text)?;
        parts.check(&text)?;
        Ok(parts.into_config())
    }

    /// Parses a file without callers, and takes the callers and rules from another file. The other file's dialects,
    /// sandboxes and origins are used too, where the first file has none. Each file is its text and its name.
    ///
    /// # Errors
    /// All mistakes in the first file; if there are none, those in the other.
    pub fn parse_with_callers_of(
        (text, file): (&str, &str),
        (other, other_file): (&str, &str),
    ) -> Result<Self, ConfigError> {
        let (text, other) = (Text { text, file }, Text { text: other, file: other_file });
        let mut parts = Parts::read(&text)?;
        // A mistake that is found after this one is in the other file.
        parts.check(&text)?;
        let other_parts = Parts::read(&other)?;
        parts.dialects = parts.dialects.or(other_parts.dialects);
        if parts.sandbox.ids.is_empty() {
            parts.sandbox = other_parts.sandbox;
        }
        if parts.cors.origins.is_empty() {
            parts.cors.origins = other_parts.cors.origins;
        }
        (parts.callers, parts.denied, parts.rules) =
            (other_parts.callers, other_parts.denied, other_parts.rules);
        parts.check(&other)?;
        Ok(parts.into_config())
    }
}

/// The parts of the file, each valid on its own.
struct Parts {
    http: Http,
    cors: Cors,
    keys: KeyAges,
    limits: Limits,
    dialects: Option<(Vec<Dialect>, Range<usize>)>,
    sandbox: Sandbox,
    agora: AgoraSettings,
    callers: Tables<CallerConfig>,
    denied: Tables<Deny>,
    rules: Tables<Rule>,
}

impl Parts {
    fn read(text: &Text<'_>) -> Result<Self, ConfigError> {
        let table = DeTable::parse(text.text).map_err(|error| text.not_toml(&error))?;
        let mut reader = Reader::new(text, table.into_inner());
        let http = reader.value("http").unwrap_or_default();
        let cors = reader.value("cors").unwrap_or_default();
        let keys = reader.value("keys").unwrap_or_default();
        let limits = reader.value("limits").unwrap_or_default();
        let place_of_dialects = reader.place("dialects");
        let dialects = reader.value("dialects").zip(place_of_dialects);
        let sandbox = reader.value("sandbox").unwrap_or_default();
        let agora = reader.value("agora").unwrap_or_default();
        let written: Tables<WrittenCaller> = reader.list("caller");
        let callers = written.filter_map(|caller, keys| {
            let caller = CallerConfig::try_from(caller);
            caller.map_err(|mistake| reader.mistake(keys.place(mistake.key), &mistake.problem)).ok()
        });
        let denied = reader.list("deny");
        let rules = reader.list("rule");
        reader.finish()?;
        Ok(Self { http, cors, keys, limits, dialects, sandbox, agora, callers, denied, rules })
    }

    /// Checks that the parts are valid together.
    fn check(&self, text: &Text<'_>) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        if let Some((dialects, place)) = &self.dialects
            && let Some(problem) = dialects::mistake(dialects, &self.sandbox)
        {
            mistakes.push(text.mistake(place, problem));
        }
        let callers = &self.callers.values;
        for (position, mistake) in caller::mistakes(callers) {
            mistakes.push(text.mistake(&self.callers.keys[position].place(mistake.key), &mistake.problem));
        }
        let serves_sandbox =
            self.dialects.as_ref().is_some_and(|(dialects, _)| dialects.contains(&Dialect::Sandbox));
        let sandboxes = serves_sandbox.then_some(self.sandbox.ids.as_slice());
        // A mistake in the callers would cause another one in each of their rules.
        let of_rules = mistakes.is_empty().then(|| policy::mistakes(&self.rules.values, callers, sandboxes));
        for (position, mistake) in of_rules.into_iter().flatten() {
            mistakes.push(text.mistake(&self.rules.keys[position].place(mistake.key), &mistake.problem));
        }
        let of_denied = policy::mistakes_in_denied(&self.denied.values, callers, sandboxes);
        for (position, mistake) in of_denied {
            mistakes.push(text.mistake(&self.denied.keys[position].place(mistake.key), &mistake.problem));
        }
        mistakes.into_result()
    }

    /// The configuration, of parts that were checked.
    fn into_config(self) -> Config {
        let Self { http, cors, keys, limits, dialects, sandbox, agora, callers, denied, rules } = self;
        let dialects = dialects.map_or_else(|| vec![Dialect::Standard], |(dialects, _)| dialects);
        let policy = Policy::new(denied.values, rules.values, &callers.values, limits.clone());
        Config { http, cors, keys, limits, dialects, sandbox, agora, callers: callers.values, policy }
    }
}

#[cfg(test)]
mod tests;
