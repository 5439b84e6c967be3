//! A member of a secret that can't be used.

/// What is wrong with a secret, or with the environment variable that stands in its place. Names the member, never what it
/// holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} {problem}")]
pub struct MalformedSecret {
    /// The member's name, which is the environment variable's too.
    pub member: String,
    /// What is wrong and what would be right, to be read after the name.
    pub problem: String,
}

impl MalformedSecret {
    /// A member and its problem.
    pub fn new(member: &str, problem: impl Into<String>) -> Self {
        Self { member: member.to_owned(), problem: problem.into() }
    }
}
