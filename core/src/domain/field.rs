//! An invalid field of a request, and whole numbers in fields.

use std::time::Duration;

use serde_json::Value;

/// What is wrong with a field that the client sent. It never contains the value, so it is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// The field's path in the request, such as `room_config.agents[0].metadata`.
    pub field: String,
    /// What is wrong and how to fix it. It follows the field's name in the message.
    pub problem: String,
}

impl InvalidField {
    /// A field and its problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        let mut field: String = field.into();
        if field.len() > MAX_PATH {
            field.truncate(field.floor_char_boundary(MAX_PATH));
            field.push('…');
        }
        Self { field, problem: problem.into() }
    }

    /// The field's value has the wrong type.
    pub fn wrong_type(field: impl Into<String>, expected: &str) -> Self {
        Self::new(field, format!("must be {expected}"))
    }

    /// The field's value is longer than `limit` bytes.
    pub fn too_long(field: impl Into<String>, size: usize, limit: usize) -> Self {
        Self::new(field, format!("is {size} bytes long in UTF-8; at most {limit} are allowed"))
    }
}

/// A whole number. JSON doesn't distinguish `600` and `600.0`, and clients in Lua or with doubles send the latter.
#[must_use]
pub fn whole_number(value: &Value) -> Option<u64> {
    // A duration, because the conversion of a float is checked.
    let whole =
        |float: f64| if float.fract() == 0.0 { Duration::try_from_secs_f64(float).ok() } else { None };
    value.as_u64().or_else(|| Some(whole(value.as_f64()?)?.as_secs()))
}

/// The maximum length of a path in the message, in bytes. A path may contain names from the client.
const MAX_PATH: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        for (value, number) in [
            (json!(600), Some(600)),
            (json!(600.0), Some(600)),
            (json!(6e2), Some(600)),
            (json!(-0.0), Some(0)),
            (json!(0.5), None),
            (json!(600.000_000_001), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!(1e300), None),
            (json!(2.5e-42), None),
            (json!("600"), None),
            (json!(null), None),
            (json!(true), None),
        ] {
            assert_eq!(whole_number(&value), number, "{value}");
        }
    }

    #[test]
    fn a_long_path_is_truncated() {
        let invalid = InvalidField::new(format!("tags.{}", "é".repeat(10_000)), "must be a string");
        assert_eq!(invalid.field, format!("tags.{}…", "é".repeat(97)));
        assert_eq!(InvalidField::new("tags.é", "").field, "tags.é");
    }
}
