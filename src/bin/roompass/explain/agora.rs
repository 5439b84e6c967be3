//! What Agora's tokens would say, and by which rules. Each is signed as the server would sign it, though with no app's
//! keys, and read again, so that nothing is said of a token that isn't in it.

use std::convert::Infallible;

use roompass::auth::Caller;
use roompass::dialect::agora::Wanted;
use roompass::domain::agora::TokenVersion;
use roompass::domain::{AgoraToken, Login, Pass, Ttl, operating_system_randomness};
use roompass::http::Refusal;
use roompass::inspect::{self, Agora, Inspected};
use roompass::keys::AgoraKeys;
use roompass::mint;
use roompass::policy::{Denial, Explanation, PassedOver, Policy};
use serde_json::{Map, Value, json};

use super::{Shown, passed_over_as_json, refusal_as_json, say_passed_over, say_refusal};
use crate::screen::Page;

pub(super) fn shown(
    wanted: Vec<Wanted>,
    policy: &Policy,
    caller: &Caller,
    version: TokenVersion,
    now: u64,
) -> Shown {
    let (mut page, mut services) = (Page::default(), Vec::new());
    let mut refusals = Vec::new();
    for (member, wanted) in wanted {
        let login = wanted.as_ref().parts().1.map(|login| login.service.as_str());
        let Ok(explained) = wanted.try_map(
            |request| Ok::<_, Infallible>(policy.explain(caller, request, now)),
            |request| Ok(policy.explain_login(caller, request, now)),
        );
        let minted = minted(&explained, version, now);
        let (channel, at_service) = explained.as_ref().parts();
        let channel = channel.map(|explained| Part::of_channel(member, explained));
        let at_service =
            at_service.zip(login).map(|(explained, name)| Part::of_login(member, name, explained));
        for part in channel.into_iter().chain(at_service) {
            part.say(&mut page, &minted);
            services.push(part.as_json(&minted));
        }
        refusals.extend(minted.err());
    }
    if !refusals.is_empty() && services.len() > 1 {
        page.line("in all       refused: one request gets all that it asks for, or nothing");
    }
    let members = Map::from_iter([("services".to_owned(), Value::Array(services))]);
    // The server answers with the first.
    Shown { page, members, refusal: refusals.into_iter().next() }
}

/// The token, as the server would answer it.
fn minted(
    explained: &AgoraToken<Explanation<Pass>, Explanation<Login>>,
    version: TokenVersion,
    now: u64,
) -> Result<Agora, Refusal> {
    let given = explained.as_ref().try_map(|part| part.decision.clone(), |part| part.decision.clone())?;
    let keys =
        AgoraKeys::new(NO_APP.to_owned(), NO_CERTIFICATE.to_owned()).expect("they are 32 hexadecimal digits");
    let token = mint::agora(&given, version, &keys, now, operating_system_randomness)?;
    match inspect::read(token.expose()) {
        Ok(Inspected::Agora(token)) => Ok(token),
        _ => unreachable!("what is minted can be read"),
    }
}

/// What a token is for: a channel, or a service.
struct Part<'a> {
    /// Where the token stands in the answer.
    member: &'a str,
    /// Agora's name for the product.
    service: &'a str,
    passed_over: &'a [(String, PassedOver)],
    decision: Result<Given<'a>, &'a Denial>,
}

struct Given<'a> {
    rule: &'a str,
    channel: Option<&'a str>,
    user: &'a str,
}

impl<'a> Part<'a> {
    fn of_channel(member: &'a str, Explanation { passed_over, decision }: &'a Explanation<Pass>) -> Self {
        let decision = decision.as_ref().map(|pass| Given {
            rule: &pass.rule,
            channel: Some(pass.room.as_str()),
            user: pass.identity.as_str(),
        });
        Self { member, service: "rtc", passed_over, decision }
    }

    fn of_login(
        member: &'a str,
        service: &'a str,
        Explanation { passed_over, decision }: &'a Explanation<Login>,
    ) -> Self {
        let decision = decision.as_ref().map(|login| Given {
            rule: &login.rule,
            channel: None,
            user: login.identity.as_str(),
        });
        Self { member, service, passed_over, decision }
    }

    fn say(&self, page: &mut Page, minted: &Result<Agora, Refusal>) {
        let Self { member, service, .. } = self;
        let version = minted.as_ref().map_or_else(|_| String::new(), |token| format!(" {}", token.version));
        page.line(format!("token        {member}: Agora's{version}, for {service}"));
        say_passed_over(page, self.passed_over);
        match &self.decision {
            Err(denial) => say_refusal(page, &(*denial).clone().into()),
            Ok(Given { rule, channel, user }) => {
                page.line(format!("decided by   {rule}"));
                if let Some(channel) = channel {
                    page.line(format!("channel      {channel}"));
                }
                page.line(format!("user         {user}"));
                match minted {
                    Ok(token) => {
                        page.line(format!("may          {}", self.privileges(token).join(", ")));
                        if let Some(ttl) = lifetime(token) {
                            page.line(format!("for          {ttl}"));
                        }
                    }
                    Err(Refusal::Denied(_)) => {}
                    Err(refusal) => say_refusal(page, refusal),
                }
            }
        }
    }

    fn as_json(&self, minted: &Result<Agora, Refusal>) -> Value {
        let mut members = Map::from_iter([
            ("member".to_owned(), self.member.into()),
            ("service".to_owned(), self.service.into()),
            passed_over_as_json(self.passed_over),
        ]);
        match &self.decision {
            Err(denial) => members.extend(refusal_as_json(&(*denial).clone().into())),
            Ok(Given { rule, channel, user }) => {
                members.extend([("rule".to_owned(), json!(rule)), ("user".to_owned(), json!(user))]);
                members.extend(channel.map(|channel| ("channel".to_owned(), json!(channel))));
                match minted {
                    Ok(token) => members.extend([
                        ("decision".to_owned(), "pass".into()),
                        ("version".to_owned(), token.version.into()),
                        ("privileges".to_owned(), self.privileges(token).into()),
                        (
                            "ttl_seconds".to_owned(),
                            lifetime(token).map(|ttl| ttl.duration().as_secs()).into(),
                        ),
                    ]),
                    Err(Refusal::Denied(_)) => members.extend([("decision".to_owned(), "pass".into())]),
                    Err(refusal) => members.extend(refusal_as_json(refusal)),
                }
            }
        }
        Value::Object(members)
    }

    /// What one may do there, by Agora's names.
    fn privileges(&self, token: &Agora) -> Vec<&'static str> {
        let services = token.services.iter().filter(|service| service.name() == self.service);
        let named = services.flat_map(|service| {
            service.privileges.iter().filter_map(|privilege| service.privilege_name(privilege.number))
        });
        named.collect()
    }
}

fn lifetime(token: &Agora) -> Option<Ttl> {
    Ttl::seconds(token.ends?.saturating_sub(token.issued))
}

/// Stands for an app's id and certificate.
const NO_APP: &str = "00000000000000000000000000000000";
const NO_CERTIFICATE: &str = "11111111111111111111111111111111";
