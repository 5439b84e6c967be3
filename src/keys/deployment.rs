//! Where the program runs.

/// Where the program runs. In Lambda, weak keys are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// In AWS Lambda: no development key, no short secret, no server without TLS.
    Lambda,
    /// On a laptop, or in Lambda's emulator.
    Local,
}
