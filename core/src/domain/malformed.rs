//! An invalid member of the secret.

/// What is wrong with a member of the secret, or with the environment variable of the same name. It never contains the
/// value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} {problem}")]
pub struct MalformedSecret {
    /// The name of the member and of the environment variable.
    pub member: String,
    /// What is wrong and how to fix it. It follows the name in the message.
    pub problem: String,
}

impl MalformedSecret {
    /// A member and its problem.
    pub fn new(member: &str, problem: impl Into<String>) -> Self {
        Self { member: member.to_owned(), problem: problem.into() }
    }
}
