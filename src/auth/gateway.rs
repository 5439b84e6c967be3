//! What API Gateway has verified before the function is called. It stands in the event's request context, which only
//! the gateway writes: no header can pretend to be it.

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
                    let claims = jwt.claims.iter().map(|(name, value)| (name.clone(), read(name, value)));
                    of_claims(claims.collect())
                }
                _ => None,
            },
            Self::Cognito => match context {
                RequestContext::ApiGatewayV1(context) => match context.authorizer.fields.get("claims")? {
                    Value::Object(claims) => {
                        let claims =
                            claims.iter().map(|(name, value)| (name.clone(), of_cognito(name, value)));
                        of_claims(claims.collect())
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
                    fields.iter().map(|(name, value)| (name.clone(), unstringified(name, value))).collect();
                let subject = text(&claims, "sub").or_else(|| text(&claims, "principalId"))?;
                Some(Vouched { issuer: None, subject, expires: end(&claims).ok()?, claims })
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
fn of_claims(claims: Map<String, Value>) -> Option<Vouched> {
    let expires = end(&claims).ok()?;
    Some(Vouched { issuer: text(&claims, "iss"), subject: text(&claims, "sub")?, claims, expires })
}

/// An end that can't be read.
struct NotATime;

/// When their word ends, if it says when.
fn end(claims: &Map<String, Value>) -> Result<Option<u64>, NotATime> {
    match claims.get("exp") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(time)) => number(time).or_else(|| date(time)).map(Some).ok_or(NotATime),
        Some(time) => seconds(time).map(Some).ok_or(NotATime),
    }
}

fn number(text: &str) -> Option<u64> {
    seconds(&text.parse::<f64>().ok()?.into())
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

fn unstringified(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => read(name, text),
        other => other.clone(),
    }
}

/// A Cognito authorizer writes the groups as text with commas, `admin,user`, even where there is one alone.
fn of_cognito(name: &str, value: &Value) -> Value {
    match value {
        Value::String(groups) if name == GROUPS && !groups.starts_with('[') => {
            groups.split(',').map(Value::from).collect()
        }
        _ => unstringified(name, value),
    }
}

/// An HTTP API writes a claim that is a list as text, `[admin user]`, and a Lambda authorizer may write JSON; anything
/// else is text as it is. So is a list with a space in it, which may stand in an item's own name, `[not admin]`: but for
/// Cognito's groups, whose names never hold one.
fn read(name: &str, text: &str) -> Value {
    let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return text.into();
    };
    match serde_json::from_str(text) {
        Ok(list @ Value::Array(_)) => list,
        _ if name == GROUPS || !inside.contains(' ') => {
            inside.split(' ').filter(|item| !item.is_empty()).map(Value::from).collect()
        }
        _ => text.into(),
    }
}

const GROUPS: &str = "cognito:groups";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
