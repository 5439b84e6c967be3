//! `via`: the API Gateway authorizer that authenticates a `[[caller]]`.

use std::fmt;

use serde::Deserialize;

/// `via`: an authorizer of API Gateway.
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
    /// Whether it passes on the issuer of the credential that it verified.
    #[must_use]
    pub fn has_issuer(self) -> bool {
        matches!(self, Self::Jwt | Self::Cognito)
    }
}
