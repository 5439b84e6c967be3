//! Whose tokens they are.

/// A provider of realtime rooms, whose servers check the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// LiveKit.
    LiveKit,
    /// Agora.
    Agora,
}

impl Provider {
    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LiveKit => "LiveKit",
            Self::Agora => "Agora",
        }
    }
}
