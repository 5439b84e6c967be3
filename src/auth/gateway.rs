//! The identity that API Gateway has verified. `lambda` reads it from the event's request context, which only the gateway
//! writes: a client can't forge it with a header.
//!
//! Each `via` has one documented format, and values are never converted by their content. A request with an invalid
//! context is refused like one with an invalid token: it never counts as anonymous.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value};

use super::Via;
use super::jwt::{is_past, seconds};

/// An identity that the gateway has verified.
#[derive(Debug, PartialEq)]
pub(super) struct GatewayIdentity {
    pub(super) issuer: Option<String>,
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
    pub(super) expires: Option<u64>,
}

/// Why an authorizer's context is invalid. For the log only.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {via} authorizer's {problem}")]
pub struct BadContext {
    via: Via,
    problem: &'static str,
}

/// An authorizer's context. `lambda` adds it to the request's extensions.
#[derive(Debug, Clone)]
pub enum Authorizer {
    /// An HTTP API's JWT authorizer: the token's claims, each as a string.
    Jwt(HashMap<String, String>),
    /// A REST API's Cognito authorizer: the token's claims.
    Cognito(Value),
    /// A Lambda authorizer: its context.
    Lambda(HashMap<String, Value>),
    /// An IAM authorizer: the AWS identity that signed the request.
    Iam {
        /// The ARN of the user or the session.
        arn: Option<String>,
        /// The AWS account.
        account: Option<String>,
    },
}

impl Authorizer {
    /// The `via` of the callers that this authorizer authenticates.
    pub(super) fn via(&self) -> Via {
        match self {
            Self::Jwt(_) => Via::Jwt,
            Self::Cognito(_) => Via::Cognito,
            Self::Lambda(_) => Via::Lambda,
            Self::Iam { .. } => Via::Iam,
        }
    }

    /// The verified identity. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// If the context has no subject, or its `exp` is invalid or in the past.
    pub(super) fn identity(&self, now: u64) -> Result<GatewayIdentity, BadContext> {
        let claims = self.claims()?;
        let subject = match self {
            Self::Lambda(_) => text(&claims, "sub").or_else(|| text(&claims, "principalId")),
            Self::Iam { arn, .. } => arn.clone(),
            Self::Jwt(_) | Self::Cognito(_) => text(&claims, "sub"),
        };
        let subject = subject.ok_or_else(|| self.bad("context has no subject"))?;
        let issuer = Some("iss").filter(|_| self.via().has_issuer()).and_then(|name| text(&claims, name));
        let expires = match claims.get("exp") {
            None | Some(Value::Null) => None,
            Some(time) => Some(self.time(time).ok_or_else(|| self.bad("exp is not a time"))?),
        };
        // The gateway caches an authorizer's context, so it may have expired since.
        if expires.is_some_and(|expires| is_past(expires, now)) {
            return Err(self.bad("exp is in the past"));
        }
        Ok(GatewayIdentity { issuer, subject, claims, expires })
    }

    /// The claims, each with the type that this authorizer's format defines.
    fn claims(&self) -> Result<Map<String, Value>, BadContext> {
        Ok(match self {
            Self::Jwt(claims) => {
                claims.iter().map(|(name, text)| (name.clone(), of_jwt(name, text))).collect()
            }
            Self::Cognito(claims) => {
                let claims = claims.as_object().ok_or_else(|| self.bad("claims are not an object"))?;
                claims.iter().map(|(name, value)| (name.clone(), of_cognito(name, value))).collect()
            }
            Self::Lambda(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            Self::Iam { account, .. } => {
                account.iter().map(|account| ("account".to_owned(), account.as_str().into())).collect()
            }
        })
    }

    /// Reads a time in this authorizer's format.
    fn time(&self, value: &Value) -> Option<u64> {
        match (self, value) {
            (Self::Cognito(_), Value::String(text)) => date(text),
            (_, Value::String(text)) => digits(text),
            (Self::Lambda(_), number) => seconds(number),
            _ => None,
        }
    }

    fn bad(&self, problem: &'static str) -> BadContext {
        BadContext { via: self.via(), problem }
    }
}

/// Seconds since 1970, as digits.
fn digits(text: &str) -> Option<u64> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    seconds(&digits.parse::<u64>().ok()?.into())
}

/// A Cognito authorizer writes times as `Wed May 18 12:31:07 UTC 2022`.
fn date(text: &str) -> Option<u64> {
    let [_, month, day, time, "UTC", year] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let date = humantime::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An HTTP API writes every claim as a string, and a list as `[admin user]`. Items may contain spaces, and a string may look
/// like a list. So only Cognito's groups are read as a list: their names have no spaces.
fn of_jwt(name: &str, text: &str) -> Value {
    let list =
        Some(text).filter(|_| name == GROUPS).and_then(|text| text.strip_prefix('[')?.strip_suffix(']'));
    match list {
        Some(items) => items.split(' ').filter(|item| !item.is_empty()).map(Value::from).collect(),
        None => text.into(),
    }
}

/// A Cognito authorizer writes every claim as a string, and groups as `admin,user`. Names of groups may contain commas, so
/// a string with a comma is ambiguous and stays a string.
fn of_cognito(name: &str, value: &Value) -> Value {
    match value {
        Value::String(group) if name == GROUPS && !group.is_empty() && !group.contains(',') => {
            vec![group.as_str()].into()
        }
        other => other.clone(),
    }
}

const GROUPS: &str = "cognito:groups";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
