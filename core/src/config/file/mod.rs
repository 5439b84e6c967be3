//! `roompass.toml`, whole: from its text to what is checked, or to all the mistakes in it.
//!
//! Each part is read by its own type, so that a mistake in one part hides none in another. What only several parts show
//! together is checked once they all could be read.

mod part;

use toml::Spanned;
use toml::de::DeTable;

use super::mistake::{ConfigError, Mistakes, Text};
use super::{Agora, Cors, Dialect, Http, KeyAges, Sandbox, dialects};
use crate::caller::{self, CallerConfig, WrittenCaller};
use crate::domain::Limits;
use crate::policy::{self, Policy, Rule};
use part::{Part, Reader};

/// `roompass.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[http]`: where it's served.
    pub http: Http,
    /// `[cors]`: which web pages may read its answers.
    pub cors: Cors,
    /// `[keys]`: how old the keys in a process may be.
    pub keys: KeyAges,
    /// `[limits]`: how long things may be.
    pub limits: Limits,
    /// `dialects`: the wire formats that are served. The standard alone unless set.
    pub dialects: Vec<Dialect>,
    /// `[sandbox]`: what the sandbox's dialect needs.
    pub sandbox: Sandbox,
    /// `[agora]`: what Agora's dialect needs.
    pub agora: Agora,
    /// `[[caller]]`: who may call, tried in this order.
    pub callers: Vec<CallerConfig>,
    /// `[[rule]]`: who may have what, tried in this order.
    pub policy: Policy,
}

impl Config {
    /// Reads a configuration file's text. `file` is its name, for the mistakes.
    ///
    /// # Errors
    /// All the mistakes that were found.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let text = Text { text, file };
        Parts::read(&text)?.check(&text)
    }

    /// Reads a file that lists no callers, with callers and rules from another; and with its dialects, sandboxes and
    /// origins, where the file has none. Each file is its text and its name.
    ///
    /// # Errors
    /// All the mistakes that were found in the first file, or else in the callers and rules of the other.
    pub fn parse_with_callers_of(
        (text, file): (&str, &str),
        (other, other_file): (&str, &str),
    ) -> Result<Self, ConfigError> {
        // So that what is checked below can only be wrong in the other file.
        Self::parse(text, file)?;
        let (text, other) = (Text { text, file }, Text { text: other, file: other_file });
        let (mut parts, other_parts) = (Parts::read(&text)?, Parts::read(&other)?);
        parts.dialects = parts.dialects.or(other_parts.dialects);
        if parts.sandbox.ids.is_empty() {
            parts.sandbox = other_parts.sandbox;
        }
        if parts.cors.origins.is_empty() {
            parts.cors.origins = other_parts.cors.origins;
        }
        (parts.callers, parts.rules) = (other_parts.callers, other_parts.rules);
        parts.check(&other)
    }
}

/// The parts of the file, each right by itself.
struct Parts {
    http: Http,
    cors: Cors,
    keys: KeyAges,
    limits: Limits,
    dialects: Option<Spanned<Vec<Dialect>>>,
    sandbox: Sandbox,
    agora: Agora,
    callers: Vec<Part<CallerConfig>>,
    rules: Vec<Part<Rule>>,
}

impl Parts {
    fn read(text: &Text<'_>) -> Result<Self, ConfigError> {
        let table = DeTable::parse(text.text).map_err(|error| text.not_toml(&error))?;
        let mut reader = Reader::new(text, table.into_inner());
        let http = reader.value("http").unwrap_or_default();
        let cors = reader.value("cors").unwrap_or_default();
        let keys = reader.value("keys").unwrap_or_default();
        let limits = reader.value("limits").unwrap_or_default();
        let dialects = reader.value("dialects");
        let sandbox = reader.value("sandbox").unwrap_or_default();
        let agora = reader.value("agora").unwrap_or_default();
        let written: Vec<Part<WrittenCaller>> = reader.list("caller");
        let callers = written.into_iter().filter_map(|Part { value, keys }| {
            let caller = CallerConfig::try_from(value);
            let value = caller.map_err(|mistake| reader.mistake(keys.place(mistake.key), &mistake.problem));
            Some(Part { value: value.ok()?, keys })
        });
        let callers = callers.collect();
        let rules = reader.list("rule");
        reader.finish()?;
        Ok(Self { http, cors, keys, limits, dialects, sandbox, agora, callers, rules })
    }

    /// Checks what only several parts show together.
    fn check(self, text: &Text<'_>) -> Result<Config, ConfigError> {
        let mut mistakes = Mistakes::default();
        if let Some(dialects) = &self.dialects
            && let Some(problem) = dialects::mistake(dialects.get_ref(), &self.sandbox)
        {
            mistakes.push(text.mistake(&dialects.span(), problem));
        }
        let dialects = self.dialects.map_or_else(|| vec![Dialect::Standard], Spanned::into_inner);
        let (callers, keys_of_callers) = Part::unzip(self.callers);
        for (position, mistake) in caller::mistakes(&callers) {
            mistakes.push(text.mistake(&keys_of_callers[position].place(mistake.key), &mistake.problem));
        }
        let sandboxes = dialects.contains(&Dialect::Sandbox).then_some(self.sandbox.ids.as_slice());
        let (rules, keys_of_rules) = Part::unzip(self.rules);
        // What is wrong with the callers would show again in every rule for them.
        let of_rules = mistakes.is_empty().then(|| policy::mistakes(&rules, &callers, sandboxes));
        for (position, mistake) in of_rules.into_iter().flatten() {
            mistakes.push(text.mistake(&keys_of_rules[position].place(mistake.key), &mistake.problem));
        }
        mistakes.none()?;
        let Self { http, cors, keys, limits, sandbox, agora, .. } = self;
        let policy = Policy::new(rules, limits.clone());
        Ok(Config { http, cors, keys, limits, dialects, sandbox, agora, callers, policy })
    }
}

#[cfg(test)]
mod tests;
