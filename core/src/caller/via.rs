//! `via`: which of API Gateway's authorizers a `[[caller]]` is vouched for by.

use std::fmt;

use serde::Deserialize;

/// `via`: which of the gateway's authorizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// `jwt`: an HTTP API's JWT authorizer.
    Jwt,
    /// `lambda`: a Lambda authorizer, of either kind of API.
    Lambda,
    /// `iam`: a request signed with an AWS identity.
    Iam,
    /// `cognito`: a REST API's Cognito authorizer.
    Cognito,
}

impl fmt::Display for Via {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Jwt => "JWT",
            Self::Lambda => "Lambda",
            Self::Iam => "IAM",
            Self::Cognito => "Cognito",
        })
    }
}

impl Via {
    /// Whether it says who has issued what it verified.
    #[must_use]
    pub fn has_issuer(self) -> bool {
        matches!(self, Self::Jwt | Self::Cognito)
    }
}
