//! What the authorizer in front of the function has verified, from the event's request context.

use lambda_http::request::RequestContext;
use serde_json::Value;

use crate::auth::Authorizer;

/// The authorizer of the request's route. None where the route is open: then the event has no authorizer, or an empty
/// one.
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
            // These two are there and null where the route is open, in the events of an HTTP API in this format.
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
            let signer = context.identity;
            signed([signer.user_arn, signer.account_id, signer.caller, signer.user, signer.access_key])
        }
        _ => None,
    }
}

/// A signed request, where any of its members says so. The first two are the ARN and the account.
fn signed(members: [Option<String>; 5]) -> Option<Authorizer> {
    let members = members.map(|member| member.filter(|text| !text.is_empty()));
    let is_signed = members.iter().any(Option::is_some);
    let [arn, account, ..] = members;
    is_signed.then_some(Authorizer::Iam { arn, account })
}

const CLAIMS: &str = "claims";
