//! A field that can't be what it is, and why.

/// What is wrong with a field that the client sent. Safe to show: it never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// The field's path in the request, as `room_config.agents[0].metadata`.
    pub field: String,
    /// What is wrong and what would be right, to be read after the field's name.
    pub problem: String,
}

impl InvalidField {
    /// A field and its problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        let mut field: String = field.into();
        if field.len() > MOST {
            field.truncate(field.floor_char_boundary(MOST));
            field.push('…');
        }
        Self { field, problem: problem.into() }
    }

    /// The field holds a value of a type that isn't `expected`.
    pub fn wrong_type(field: impl Into<String>, expected: &str) -> Self {
        Self::new(field, format!("must be {expected}"))
    }

    /// The field is `size` bytes long, where `limit` are allowed.
    pub fn too_long(field: impl Into<String>, size: usize, limit: usize) -> Self {
        Self::new(field, format!("is {size} bytes long in UTF-8; at most {limit} are allowed"))
    }
}

/// How much of a path is shown, in bytes: names inside it may be the client's.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_that_the_client_made_long_the_beginning_is_told() {
        let invalid = InvalidField::new(format!("tags.{}", "é".repeat(10_000)), "must be a string");
        assert_eq!(invalid.field, format!("tags.{}…", "é".repeat(97)));
        assert_eq!(InvalidField::new("tags.é", "").field, "tags.é");
    }
}
