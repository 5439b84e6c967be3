//! The explanation of Agora tokens. Each token is signed like the server's, but with placeholder keys, and then read, so that
//! the explanation matches the token.

use roompass::domain::{Context, LoginService, Pass, Provider, Ttl};
use roompass::http::Refusal;
use roompass::inspect::{self, AgoraToken, Inspected};
use roompass::keys::{AgoraKeys, SigningKeys};
use roompass::mint::{self, MintError, Settings};
use roompass::policy::one_project;
use serde_json::{Map, Value, json};

use super::{
    DecidedAsk, Outcome, print_project, print_refusal, print_skipped, refusal_as_json, skipped_as_json,
};
use crate::screen::Page;

pub(super) fn outcome(decided: &[DecidedAsk], settings: &Settings, context: &Context) -> Outcome {
    let (mut page, mut services, mut refusals) = (Page::default(), Vec::new(), Vec::new());
    // Asks for the same member are in one token.
    for of_one_token in decided.chunk_by(|one, other| one.member == other.member) {
        let minted = minted(of_one_token, settings, context);
        for decided in of_one_token {
            let service =
                ServiceDecision { name: decided.login.map_or("rtc", LoginService::as_str), decided };
            service.print(&mut page, &minted);
            services.push(service.as_json(&minted));
        }
        refusals.extend(minted.err());
    }
    let passes = decided.iter().filter_map(|decided| decided.outcome.as_ref().ok());
    if let Err(denial) = one_project(passes)
        && refusals.is_empty()
    {
        let refusal = Refusal::from(denial);
        print_refusal(&mut page, &refusal);
        refusals.push(refusal);
    }
    if !refusals.is_empty() && services.len() > 1 {
        page.line("request      refused: all parts of a request must be allowed");
    }
    let members = Map::from_iter([("services".to_owned(), Value::Array(services))]);
    // The server's response has the first refusal.
    Outcome { page, members, refusal: refusals.into_iter().next() }
}

/// The token that the server would return.
fn minted(decided: &[DecidedAsk], settings: &Settings, context: &Context) -> Result<AgoraToken, Refusal> {
    let passes = decided.iter().map(|decided| decided.outcome.clone());
    let passes = passes.collect::<Result<Vec<Pass>, _>>()?;
    let keys = AgoraKeys::new(NO_APP.to_owned(), NO_CERTIFICATE.to_owned());
    let keys =
        SigningKeys::from(keys.expect("both are 32 hexadecimal digits")).for_project(one_project(&passes)?);
    let token = mint::token(&passes, Provider::Agora, &keys, settings, context)?;
    match inspect::read(token.expose()) {
        Ok(Inspected::Agora(token)) => Ok(token),
        _ => Err(MintError::Signing("the token can't be read".into()).into()),
    }
}

/// One of the services that a token is for.
struct ServiceDecision<'a> {
    /// Agora's name of the service.
    name: &'static str,
    decided: &'a DecidedAsk,
}

impl ServiceDecision<'_> {
    fn print(&self, page: &mut Page, minted: &Result<AgoraToken, Refusal>) {
        let Self { name, decided } = self;
        let version = minted.as_ref().map_or_else(|_| String::new(), |token| format!(" {}", token.version));
        page.line(format!("token        {}: Agora{version}, for {name}", decided.member));
        print_skipped(page, decided);
        match &decided.outcome {
            Err(denial) => print_refusal(page, &denial.clone().into()),
            Ok(pass) => {
                page.line(format!("rule         {}", pass.rule));
                print_project(page, pass);
                if let Some(room) = pass.room() {
                    page.line(format!("channel      {}", room.room.as_str()));
                }
                page.line(format!("user         {}", user(pass)));
                match minted {
                    Ok(token) => {
                        page.line(format!("privileges   {}", self.privileges(token).join(", ")));
                        if let Some(ttl) = lifetime(token) {
                            page.line(format!("lifetime     {ttl}"));
                        }
                    }
                    Err(Refusal::Denied(_)) => {}
                    Err(refusal) => print_refusal(page, refusal),
                }
            }
        }
    }

    fn as_json(&self, minted: &Result<AgoraToken, Refusal>) -> Value {
        let mut members = Map::from_iter([
            ("member".to_owned(), self.decided.member.into()),
            ("service".to_owned(), self.name.into()),
        ]);
        members.extend(skipped_as_json(self.decided));
        match &self.decided.outcome {
            Err(denial) => members.extend(refusal_as_json(&denial.clone().into())),
            Ok(pass) => {
                members.extend([
                    ("rule".to_owned(), json!(pass.rule)),
                    ("project".to_owned(), json!(pass.project.as_str())),
                    ("user".to_owned(), json!(pass.identity.as_str())),
                ]);
                if is_for_any_user(pass) {
                    members.insert("any_user".to_owned(), true.into());
                }
                members.extend(pass.room().map(|room| ("channel".to_owned(), json!(room.room.as_str()))));
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

    /// The privileges for this service, by Agora's names.
    fn privileges(&self, token: &AgoraToken) -> Vec<&'static str> {
        let services = token.services.iter().filter(|service| service.name() == self.name);
        let named = services.flat_map(|service| {
            service.privileges.iter().filter_map(|privilege| service.privilege_name(privilege.number))
        });
        named.collect()
    }
}

/// The user, as text for people.
fn user(pass: &Pass) -> String {
    let identity = pass.identity.as_str();
    if is_for_any_user(pass) { format!("{identity}: any user") } else { identity.to_owned() }
}

fn is_for_any_user(pass: &Pass) -> bool {
    pass.room().is_some_and(|room| room.agora_uid_zero)
}

fn lifetime(token: &AgoraToken) -> Option<Ttl> {
    Ttl::seconds(token.ends?.saturating_sub(token.issued))
}

/// Placeholders for an app's ID and certificate.
const NO_APP: &str = "00000000000000000000000000000000";
const NO_CERTIFICATE: &str = "11111111111111111111111111111111";
