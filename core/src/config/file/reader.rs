//! Reads the parts of the file, each on its own, with the places of its keys.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::mistake::{ConfigError, Mistake, Mistakes, Text};
use super::value::{InvalidValue, from_toml, unknown_key};
use crate::url;

/// The tables of a list, and the places of each table's keys in the file's text.
pub(super) struct Tables<'a, T> {
    text: Text<'a>,
    pub(super) values: Vec<T>,
    keys: Vec<KeyPlaces>,
    /// Whether the file has the list. It may be empty.
    pub(super) is_set: bool,
}

/// The places of a table and its keys.
#[derive(Default)]
pub(super) struct KeyPlaces {
    table: Range<usize>,
    keys: Vec<(String, Range<usize>)>,
}

impl<'a, T> Tables<'a, T> {
    fn new(text: Text<'a>, tables: impl Iterator<Item = (T, KeyPlaces)>) -> Self {
        let (values, keys) = tables.unzip();
        Self { text, values, keys, is_set: true }
    }

    fn unset(text: Text<'a>) -> Self {
        Self { is_set: false, ..Self::new(text, std::iter::empty()) }
    }

    /// These tables, or the others if the file doesn't have the list.
    pub(super) fn or(self, others: Self) -> Self {
        if self.is_set { self } else { others }
    }

    /// A mistake at a key of a table.
    pub(super) fn mistake(&self, position: usize, key: &str, problem: &str) -> Mistake {
        self.text.mistake(&self.keys[position].place(key), problem)
    }

    /// Converts each value. A value without a result is removed, with its keys.
    pub(super) fn filter_map<U>(self, mut convert: impl FnMut(T, &KeyPlaces) -> Option<U>) -> Tables<'a, U> {
        let tables = self.values.into_iter().zip(self.keys);
        let is_set = self.is_set;
        let tables = tables.filter_map(|(value, keys)| Some((convert(value, &keys)?, keys)));
        Tables { is_set, ..Tables::new(self.text, tables) }
    }
}

impl KeyPlaces {
    fn of(value: &Spanned<DeValue<'_>>) -> Self {
        let keys = value.get_ref().as_table().into_iter().flat_map(DeTable::iter);
        let keys = keys.map(|(key, _)| (key.get_ref().to_string(), key.span())).collect();
        Self { table: value.span(), keys }
    }

    /// The place of a key. If the table doesn't have the key, the place of `name`, or of the table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.find(key).or_else(|| self.find("name")).unwrap_or(self.table.clone())
    }

    fn find(&self, key: &str) -> Option<Range<usize>> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, place)| place.clone())
    }
}

/// Reads the file's parts, and collects the mistakes in them.
pub(super) struct Reader<'a> {
    text: Text<'a>,
    table: DeTable<'a>,
    known: Vec<&'static str>,
    mistakes: Mistakes,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: Text<'a>, table: DeTable<'a>) -> Self {
        Self { text, table, known: Vec::new(), mistakes: Mistakes::default() }
    }

    pub(super) fn mistake(&mut self, place: Range<usize>, problem: &str) {
        self.mistakes.push(self.text.mistake(&place, problem));
    }

    /// Whether a table of the file has a key.
    pub(super) fn has(&self, table: &str, key: &str) -> bool {
        let table = self.table.get(table).and_then(|value| value.get_ref().as_table());
        table.is_some_and(|table| table.contains_key(key))
    }

    /// The place of a key's value, if the file has the key.
    pub(super) fn place(&self, key: &str) -> Option<Range<usize>> {
        self.table.get(key).map(Spanned::span)
    }

    /// The value of a key, if the file has the key and the value is valid.
    pub(super) fn value<T: Deserialize<'a>>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        self.read(value)
    }

    /// The tables of a list, without the invalid ones.
    pub(super) fn list<T: Deserialize<'a>>(&mut self, key: &'static str) -> Tables<'a, T> {
        let text = self.text;
        let Some(value) = self.take(key) else { return Tables::unset(text) };
        let place = value.span();
        let DeValue::Array(tables) = value.into_inner() else {
            self.mistake(
                place,
                &format!("{key} must be a list of tables: write [[{key}]], with two brackets"),
            );
            return Tables::new(text, std::iter::empty());
        };
        let read = tables.into_iter().filter_map(|table| {
            let keys = KeyPlaces::of(&table);
            Some((self.read(table)?, keys))
        });
        Tables::new(text, read)
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Reads a value. If an entry of a table is invalid, the rest of the table is read too, so that all its mistakes are
    /// found.
    fn read<T: Deserialize<'a>>(&mut self, mut value: Spanned<DeValue<'a>>) -> Option<T> {
        if let Some(place) = KeyPlaces::of(&value).find("dialects") {
            let problem = "dialects must come before the first table: move it to the beginning of the file";
            self.invalid(InvalidValue::key(problem.to_owned(), place));
            return None;
        }
        let mut removed = Vec::new();
        loop {
            let error = match from_toml(value.clone()) {
                Ok(read) => return removed.is_empty().then_some(read),
                Err(error) => error,
            };
            let invalid_entry =
                error.place.as_ref().and_then(|place| remove_entry(value.get_mut(), place, NESTED));
            // Without an invalid entry, the mistake may be that a removed key is missing or has its default.
            let is_new = match error.missing {
                Some(key) => !removed.iter().any(|known| known == key),
                None => invalid_entry.is_some() || removed.is_empty(),
            };
            if is_new {
                self.invalid(error);
            }
            removed.push(invalid_entry?);
        }
    }

    fn invalid(&mut self, InvalidValue { message, place, hides_value, is_hidden, .. }: InvalidValue) {
        let (message, place) = (url::shown_in(&message), place.unwrap_or_default());
        self.mistakes.push(if hides_value {
            self.text.mistake_without_value(&place, &message)
        } else if is_hidden {
            self.text.mistake_at_hidden(&place, &message)
        } else {
            self.text.mistake(&place, &message)
        });
    }

    /// # Errors
    /// All mistakes, including the keys that weren't read.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        for (key, _) in std::mem::take(&mut self.table) {
            let problem = unknown_key(key.get_ref(), &self.known);
            self.invalid(InvalidValue::key(problem, key.span()));
        }
        self.mistakes.into_result()
    }
}

/// Removes the entry with this place from a table, or from a table in it, and returns its key.
fn remove_entry(value: &mut DeValue<'_>, place: &Range<usize>, nested: usize) -> Option<String> {
    let DeValue::Table(table) = value else { return None };
    let has_place = |span: Range<usize>| span.start <= place.start && place.end <= span.end;
    let (key, inner) =
        table.iter_mut().find(|(key, inner)| has_place(key.span()) || has_place(inner.span()))?;
    let key = key.get_ref().to_string();
    if nested > 0
        && let Some(inner_key) = remove_entry(inner.get_mut(), place, nested - 1)
    {
        return Some(inner_key);
    }
    table.remove(key.as_str());
    Some(key)
}

/// How deep entries are removed on their own: to those of `grants` and `when`. A table deeper than that is one value.
const NESTED: usize = 1;
