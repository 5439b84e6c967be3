//! `issuer`: the names of one issuer.

/// The names of one issuer: the exact values of `iss` in its tokens. Some issuers have several spellings, such as
/// `https://accounts.google.com` and `accounts.google.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerNames {
    first: String,
    others: Vec<String>,
}

impl IssuerNames {
    /// An issuer with these names.
    #[must_use]
    pub fn new(first: String, others: Vec<String>) -> Self {
        Self { first, others }
    }

    /// The first name: the one that discovery uses, and `{iss}` for the tokens of every name.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// All names, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.others).map(String::as_str)
    }

    /// Whether this is one of the names.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|one| one == name)
    }

    /// Whether both have a name in common, and so are the same issuer.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> bool {
        other.iter().any(|name| self.contains(name))
    }

    /// Whether these are all names of the other issuer, and possibly more.
    pub(super) fn contain_all_of(&self, other: &Self) -> bool {
        other.iter().all(|name| self.contains(name))
    }

    pub(super) fn are_several(&self) -> bool {
        !self.others.is_empty()
    }
}
