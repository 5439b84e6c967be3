//! What API Gateway has verified before the function is called. `lambda` reads it from the event's request context, which
//! only the gateway writes: no header can imitate it.
//!
//! Each `via` has one documented format and is read by it alone. No type is guessed from a value's text. A context that
//! can't be used is refused like a wrong token: it never makes its bearer anonymous.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value};

use super::Via;
use super::jwt::{has_passed, seconds};

/// Who the gateway says it is.
#[derive(Debug, PartialEq)]
pub(super) struct Vouched {
    pub(super) issuer: Option<String>,
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
    pub(super) expires: Option<u64>,
}

/// Why an authorizer's context can't be used. For the log alone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {via} authorizer's {problem}")]
pub struct BadContext {
    via: Via,
    problem: &'static str,
}

/// What an authorizer has written into the event. `lambda` puts it into a request's extensions.
#[derive(Debug, Clone)]
pub enum Authorizer {
    /// An HTTP API's JWT authorizer: the token's claims, each as text.
    Jwt(HashMap<String, String>),
    /// A REST API's Cognito authorizer: the token's claims.
    Cognito(Value),
    /// A Lambda authorizer: its context.
    Lambda(HashMap<String, Value>),
    /// An IAM authorizer: who signed the request.
    Iam {
        /// The ARN of the user or the session.
        arn: Option<String>,
        /// The AWS account.
        account: Option<String>,
    },
}

impl Authorizer {
    /// Which callers it's for.
    pub(super) fn via(&self) -> Via {
        match self {
            Self::Jwt(_) => Via::Jwt,
            Self::Cognito(_) => Via::Cognito,
            Self::Lambda(_) => Via::Lambda,
            Self::Iam { .. } => Via::Iam,
        }
    }

    /// Who it says is calling. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Where it has no subject, or its `exp` has passed or can't be read.
    pub(super) fn vouched(&self, now: u64) -> Result<Vouched, BadContext> {
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
            Some(time) => Some(self.time(time).ok_or_else(|| self.bad("exp isn't a time"))?),
        };
        // The gateway caches an authorizer's results, so one may have expired meanwhile.
        if expires.is_some_and(|expires| has_passed(expires, now)) {
            return Err(self.bad("exp has passed"));
        }
        Ok(Vouched { issuer, subject, claims, expires })
    }

    /// Its claims, each of the type that this authorizer's format gives it.
    fn claims(&self) -> Result<Map<String, Value>, BadContext> {
        Ok(match self {
            Self::Jwt(claims) => {
                claims.iter().map(|(name, text)| (name.clone(), of_jwt(name, text))).collect()
            }
            Self::Cognito(claims) => {
                let claims = claims.as_object().ok_or_else(|| self.bad("claims aren't an object"))?;
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

    /// A time as this authorizer writes it.
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

/// Seconds since 1970, in digits alone.
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

/// An HTTP API writes every claim as text, and a list as its items between brackets: `[admin user]`. An item may hold
/// spaces, and a text may look like a list, so only Cognito's groups are read as one: their names never hold a space.
fn of_jwt(name: &str, text: &str) -> Value {
    let list =
        Some(text).filter(|_| name == GROUPS).and_then(|text| text.strip_prefix('[')?.strip_suffix(']'));
    match list {
        Some(items) => items.split(' ').filter(|item| !item.is_empty()).map(Value::from).collect(),
        None => text.into(),
    }
}

/// A Cognito authorizer writes every claim as text, and the groups with commas between them: `admin,user`. Names of
/// groups may hold commas, so with one in it the text may be a single group or several.
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
