//! The providers that tokens are for.

/// A provider of realtime rooms, whose servers check the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// LiveKit.
    LiveKit,
    /// Agora.
    Agora,
}

impl Provider {
    /// The display name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LiveKit => "LiveKit",
            Self::Agora => "Agora",
        }
    }
}
