//! Members of a JSON body.

use serde_json::{Map, Value};

use crate::domain::InvalidField;
use crate::json::{self, JsonError};

/// A body's members. No body is an empty one.
pub(super) fn members(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    if body.is_empty() { Ok(Map::new()) } else { json::object(body) }
}

/// A member's text, if there is one that isn't empty.
pub(super) fn text(field: &'static str, value: Option<Value>) -> Result<Option<String>, InvalidField> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(InvalidField::wrong_type(field, "a string")),
    }
}
