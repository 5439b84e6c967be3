//! A participant's attributes: a small map of strings that every participant sees.

use std::collections::BTreeMap;

use super::{InvalidField, Limits};

/// Keys and values, at least one, at most 64 KiB together (`limit.max_attributes_size` on the server).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// The field's name in a request.
    pub const FIELD: &str = "participant_attributes";

    /// Parses attributes. An empty map is `None`.
    ///
    /// # Errors
    /// If keys and values together are too long.
    pub fn parse(
        attributes: BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Option<Self>, InvalidField> {
        if attributes.is_empty() {
            return Ok(None);
        }
        let size = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > limits.max_attributes_size {
            return Err(InvalidField::too_long(Self::FIELD, size, limits.max_attributes_size));
        }
        Ok(Some(Self(attributes)))
    }

    /// The keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_empty_map_is_absent() {
        assert_eq!(Attributes::parse(of(&[]), &Limits::default()), Ok(None));
    }

    #[test]
    fn keys_and_values_count_together() {
        let limits = Limits { max_attributes_size: 6, ..Limits::default() };
        assert!(Attributes::parse(of(&[("ab", "c"), ("d", "ef")]), &limits).is_ok());
        assert_eq!(
            Attributes::parse(of(&[("ab", "c"), ("d", "efg")]), &limits).unwrap_err().to_string(),
            "participant_attributes is 7 bytes long in UTF-8; at most 6 are allowed"
        );
    }
}
