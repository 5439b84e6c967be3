//! Mistakes in a `[[caller]]`.

/// A mistake in a `[[caller]]`, and the key that has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidCaller {
    pub(crate) key: &'static str,
    pub(crate) problem: String,
}

impl InvalidCaller {
    pub(super) fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }
}
