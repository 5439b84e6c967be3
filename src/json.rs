//! A JSON parser that refuses duplicate members, at any depth.
//!
//! RFC 8259 doesn't define which of two members with one name counts, so two parsers may read different values. The depth
//! is limited by `serde_json`, to 128 levels.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a text isn't a valid JSON object. Never shows any of the text.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    /// The text isn't valid JSON or UTF-8, or has a duplicate member.
    #[error("is not valid JSON, or has a duplicate member (line {line}, column {column})")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1 (0 at the end of a line).
        column: usize,
    },
    /// The text is valid JSON, but isn't an object.
    #[error("must be a JSON object")]
    NotAnObject,
}

/// Parses a JSON object.
///
/// # Errors
/// If the text isn't valid JSON, isn't an object, or has a duplicate member.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Unique
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| JsonError::Syntax { line: error.line(), column: error.column() })?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Deserializes a [`Value`] whose objects have unique members.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Unique)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Unique)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_duplicate_member_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"\u0062":2}]}"#] {
            assert!(matches!(object(text.as_bytes()), Err(JsonError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{}{}",
            "{} x",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1e999}",
            "{a:1}",
            "{\"a\":NaN}",
        ] {
            assert!(matches!(object(text.as_bytes()), Err(JsonError::Syntax { .. })), "{text}");
        }
        for text in ["[]", "null", "\"{}\"", "1", "true"] {
            assert_eq!(object(text.as_bytes()), Err(JsonError::NotAnObject), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert!(object(format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)).as_bytes()).is_err());
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = r#" {"n":null,"b":true,"i":-1,"u":18446744073709551615,"f":1.5,"s":"a\u00e9\u0000","l":[1,[]],"o":{"p":{}}} "#;
        let expected = json!({"n":null,"b":true,"i":-1,"u":18_446_744_073_709_551_615_u64,"f":1.5,"s":"aé\0","l":[1,[]],"o":{"p":{}}});
        assert_eq!(Value::Object(object(text.as_bytes()).unwrap()), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_as_serde_json_reads_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(members) = object(&bytes) {
                prop_assert_eq!(Value::Object(members), serde_json::from_slice::<Value>(&bytes).unwrap());
            }
        }
    }
}
