//! Parses the members of JSON bodies.

use serde_json::{Map, Value};

use crate::domain::InvalidField;
use crate::json::{self, JsonError};

/// The members of a JSON object. An empty body counts as an empty object.
pub(super) fn members(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    if body.is_empty() { Ok(Map::new()) } else { json::object(body) }
}

/// A string member. Absent, null and empty count as `None`.
pub(super) fn text(field: &'static str, value: Option<Value>) -> Result<Option<String>, InvalidField> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(InvalidField::wrong_type(field, "a string")),
    }
}
