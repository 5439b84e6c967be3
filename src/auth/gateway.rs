//! What API Gateway has verified before the function is called. It is in the event's request context, which only the
//! gateway writes: no header can imitate it.
//!
//! Each `via` has one documented format and is read by it alone. No type is guessed from a value's text.

use std::time::UNIX_EPOCH;

use lambda_http::request::RequestContext;
use serde_json::{Map, Value};

use super::jwt::seconds;
use super::via::Via;

/// Who the gateway says it is.
#[derive(Debug, PartialEq)]
pub(super) struct Vouched {
    pub(super) issuer: Option<String>,
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
    pub(super) expires: Option<u64>,
}

impl Via {
    /// What this authorizer has written into the event, if it has, and if it says who it is.
    pub(super) fn vouched(self, context: &RequestContext) -> Option<Vouched> {
        match self {
            Self::Jwt => match context {
                RequestContext::ApiGatewayV2(context) => {
                    let jwt = context.authorizer.as_ref()?.jwt.as_ref()?;
                    let claims = jwt.claims.iter().map(|(name, text)| (name.clone(), of_jwt(name, text)));
                    of_claims(claims.collect(), digits)
                }
                _ => None,
            },
            Self::Cognito => match context {
                RequestContext::ApiGatewayV1(context) => match context.authorizer.fields.get("claims")? {
                    Value::Object(claims) => {
                        let claims =
                            claims.iter().map(|(name, value)| (name.clone(), of_cognito(name, value)));
                        of_claims(claims.collect(), date)
                    }
                    _ => None,
                },
                _ => None,
            },
            Self::Lambda => {
                let fields = match context {
                    RequestContext::ApiGatewayV1(context) => &context.authorizer.fields,
                    RequestContext::ApiGatewayV2(context) => &context.authorizer.as_ref()?.fields,
                    _ => return None,
                };
                // A Cognito authorizer's claims stand in the same place; they aren't a Lambda authorizer's word.
                if fields.contains_key("claims") {
                    return None;
                }
                let claims: Map<_, _> =
                    fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                let subject = text(&claims, "sub").or_else(|| text(&claims, "principalId"))?;
                Some(Vouched { issuer: None, subject, expires: end(&claims, digits).ok()?, claims })
            }
            Self::Iam => {
                let (arn, account) = match context {
                    RequestContext::ApiGatewayV2(context) => {
                        let iam = context.authorizer.as_ref()?.iam.as_ref()?;
                        (iam.user_arn.clone()?, iam.account_id.clone())
                    }
                    RequestContext::ApiGatewayV1(context) => {
                        (context.identity.user_arn.clone()?, context.identity.account_id.clone())
                    }
                    _ => return None,
                };
                let claims =
                    account.into_iter().map(|account| ("account".to_owned(), account.into())).collect();
                Some(Vouched { issuer: None, subject: arn, claims, expires: None })
                    .filter(|it| !it.subject.is_empty())
            }
        }
    }
}

/// Nobody, where it can't be said when their word ends.
fn of_claims(claims: Map<String, Value>, time: fn(&str) -> Option<u64>) -> Option<Vouched> {
    let expires = end(&claims, time).ok()?;
    Some(Vouched { issuer: text(&claims, "iss"), subject: text(&claims, "sub")?, claims, expires })
}

/// An end that can't be read.
struct NotATime;

/// When their word ends, if it says when. A number is in seconds; a text is as the authorizer writes times.
fn end(claims: &Map<String, Value>, time: fn(&str) -> Option<u64>) -> Result<Option<u64>, NotATime> {
    match claims.get("exp") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => time(text).map(Some).ok_or(NotATime),
        Some(number) => seconds(number).map(Some).ok_or(NotATime),
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
