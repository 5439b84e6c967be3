//! The parts of the file, each read for itself, with the places of its keys.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::super::mistake::{ConfigError, Mistakes, Text};

/// One of several tables of the same name, as it was read.
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) keys: Keys,
}

/// The places of a table's keys.
#[derive(Default)]
pub(super) struct Keys(Vec<(String, Range<usize>)>);

impl<T> Part<T> {
    pub(super) fn unzip(parts: Vec<Self>) -> (Vec<T>, Vec<Keys>) {
        parts.into_iter().map(|Self { value, keys }| (value, keys)).unzip()
    }
}

impl Keys {
    fn of(value: &DeValue<'_>) -> Self {
        let keys = value.as_table().into_iter().flat_map(DeTable::iter);
        Self(keys.map(|(key, _)| (key.get_ref().to_string(), key.span())).collect())
    }

    /// Where a key stands; if it's left out, where the name does.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        let of = |key: &str| self.0.iter().find(|(name, _)| name == key).map(|(_, place)| place.clone());
        of(key).or_else(|| of("name")).unwrap_or_default()
    }
}

/// Reads the file's parts, and collects the mistakes in them.
pub(super) struct Reader<'a> {
    text: &'a Text<'a>,
    table: DeTable<'a>,
    known: Vec<&'static str>,
    mistakes: Mistakes,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a Text<'a>, table: DeTable<'a>) -> Self {
        Self { text, table, known: Vec::new(), mistakes: Mistakes::default() }
    }

    pub(super) fn mistake(&mut self, place: Range<usize>, problem: &str) {
        self.mistakes.push(self.text.mistake(&place, problem));
    }

    /// The value of a key, if it's there and right.
    pub(super) fn value<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        self.read(value)
    }

    /// The tables of a list, without those that are wrong.
    pub(super) fn list<T: DeserializeOwned>(&mut self, key: &'static str) -> Vec<Part<T>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let place = value.span();
        let DeValue::Array(tables) = value.into_inner() else {
            let problem =
                format!("each {key} is a table of its own in a list: write [[{key}]], with two brackets");
            self.mistake(place, &problem);
            return Vec::new();
        };
        let read = tables.into_iter().filter_map(|table| {
            let keys = Keys::of(table.get_ref());
            let value = self.read(table)?;
            Some(Part { value, keys })
        });
        read.collect()
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn read<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'a>>) -> Option<T> {
        let misplaced = Keys::of(value.get_ref()).0.into_iter().find(|(key, _)| key == "dialects");
        if let Some((_, place)) = misplaced {
            self.mistakes.push(self.text.misplaced("dialects", &place));
            return None;
        }
        let read = T::deserialize(ValueDeserializer::from(value));
        read.map_err(|error| self.mistakes.push(self.text.unfit(&error))).ok()
    }

    /// Whether all was read, and right.
    ///
    /// # Errors
    /// All the mistakes.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        for key in self.table.keys() {
            self.mistakes.push(self.text.unknown_key(key.get_ref(), &key.span(), &self.known));
        }
        self.mistakes.none()
    }
}
