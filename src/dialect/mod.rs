//! Wire formats. A dialect reads an HTTP body into a
//! [`PassRequest`](crate::domain::PassRequest), and writes a token the way its clients read it.
//! It knows nothing of callers, rules and keys.

pub mod standard;

use crate::domain::InvalidField;
use crate::json::JsonError;

/// A body that isn't a request in its dialect.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The body as a whole can't be read.
    #[error("The body {0}.")]
    Body(#[from] JsonError),
    /// One field is wrong.
    #[error("The field {0}.")]
    Field(#[from] InvalidField),
}
