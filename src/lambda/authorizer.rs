//! The gateway's authorizer, from the event's request context.

use lambda_http::request::RequestContext;
use serde_json::Value;

use crate::auth::Authorizer;

/// The authorizer of the request's route. None if the route has none: then the event has no authorizer, or an empty one.
pub(super) fn authorizer(context: RequestContext) -> Option<Authorizer> {
    match context {
        RequestContext::ApiGatewayV2(context) => {
            let authorizer = context.authorizer?;
            let jwt = authorizer.jwt.map(|jwt| jwt.claims).filter(|claims| !claims.is_empty());
            let iam = authorizer.iam.and_then(|iam| {
                signed([iam.user_arn, iam.account_id, iam.caller_id, iam.user_id, iam.access_key])
            });
            let lambda = Some(authorizer.fields).filter(|fields| !fields.is_empty());
            jwt.map(Authorizer::Jwt).or(iam).or(lambda.map(Authorizer::Lambda))
        }
        RequestContext::ApiGatewayV1(context) => {
            let mut fields = context.authorizer.fields;
            // In an HTTP API's events of this format, a route without an authorizer has `claims` and `scopes`, both null.
            let claims = fields.get(CLAIMS).filter(|claims| match claims {
                Value::Null => false,
                Value::Object(claims) => !claims.is_empty(),
                _ => true,
            });
            let is_lambda = fields.keys().any(|name| name != CLAIMS && name != "scopes");
            if claims.is_some() {
                return fields.remove(CLAIMS).map(Authorizer::Cognito);
            }
            if is_lambda {
                return Some(Authorizer::Lambda(fields));
            }
            let identity = context.identity;
            signed([
                identity.user_arn,
                identity.account_id,
                identity.caller,
                identity.user,
                identity.access_key,
            ])
        }
        _ => None,
    }
}

/// The IAM authorizer, if any member is set. The first two members are the ARN and the account.
fn signed(members: [Option<String>; 5]) -> Option<Authorizer> {
    let members = members.map(|member| member.filter(|text| !text.is_empty()));
    let is_signed = members.iter().any(Option::is_some);
    let [arn, account, ..] = members;
    is_signed.then_some(Authorizer::Iam { arn, account })
}

const CLAIMS: &str = "claims";
