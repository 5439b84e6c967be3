//! `roompass test`: runs the tests of a policy, which are in a file of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use roompass::config::{Config, ConfigError};
use roompass::domain::{Attributes, Pass, Ttl};
use roompass::http::Refusal;
use roompass::policy::{Decision, one_project};
use roompass::url;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::caller_file::{self, InvalidCallerFile};
use crate::config_option::ConfigOption;
use crate::development;
use crate::explain::{ExplainedRequest, InvalidRequest, asks};
use crate::screen::Page;

#[derive(Args)]
pub(crate) struct TestOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The file with the tests: a list of [[expect]]
    file: PathBuf,
}

/// Why the tests can't be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("cannot read {}: {reason}", url::shown(&.file.to_string_lossy()))]
    Unreadable { file: PathBuf, reason: std::io::Error },
    #[error("{}:{line}: {problem}", url::shown(&.file.to_string_lossy()))]
    Malformed { file: PathBuf, line: usize, problem: String },
    #[error("test {test}: {reason}")]
    Caller { test: String, reason: InvalidCallerFile },
    #[error("test {test}: {reason}")]
    Request { test: String, reason: InvalidRequest },
    #[error("test {test} {problem}")]
    Expectation { test: String, problem: &'static str },
}

/// The results, and the exit code: 0 if all tests pass, 3 if one fails.
pub(crate) struct Tested {
    pub(crate) page: Page,
    pub(crate) code: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tests {
    expect: Vec<Expect>,
}

/// `[[expect]]`: a caller, a request, and what the policy decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// `name`: the name in the output. The number of the test unless set.
    name: Option<String>,
    /// `caller`: the `[[caller]]`. The one whose `issuer` is the claims' `iss` unless set.
    caller: Option<String>,
    /// `claims`: the caller's claims. None unless set.
    #[serde(default)]
    claims: Map<String, Value>,
    /// `path`: the request's path. `/getToken` unless set.
    path: Option<String>,
    /// `sandbox`: the header `X-Sandbox-ID`. None unless set.
    sandbox: Option<String>,
    /// `request`: the request's body. Empty unless set.
    #[serde(default)]
    request: Map<String, Value>,
    /// `refused`: the code of the expected refusal.
    refused: Option<String>,
    /// `rule`: the rule that is expected to decide.
    rule: Option<String>,
    /// What the token is expected to have. Not compared unless set.
    project: Option<String>,
    room: Option<String>,
    identity: Option<String>,
    participant_name: Option<String>,
    participant_metadata: Option<String>,
    participant_attributes: Option<BTreeMap<String, String>>,
    ttl: Option<Ttl>,
    #[serde(default)]
    grants: Map<String, Value>,
}

/// Runs all tests.
///
/// # Errors
/// If the configuration, the file or a test in it is invalid.
pub(crate) fn run(options: &TestOptions) -> Result<Tested, TestError> {
    let (config, _) = development::load(&options.config.environment()?)?;
    let file = || options.file.clone();
    let text = std::fs::read_to_string(&options.file)
        .map_err(|reason| TestError::Unreadable { file: file(), reason })?;
    let Tests { expect } = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        TestError::Malformed { file: file(), line, problem: error.message().replace('\n', ", ") }
    })?;
    if expect.is_empty() {
        let problem = "expect has no entries: write [[expect]]".to_owned();
        return Err(TestError::Malformed { file: file(), line: 1, problem });
    }
    let (mut page, mut failed) = (Page::default(), 0);
    for (number, test) in (1..).zip(&expect) {
        let name = test.name.clone().unwrap_or_else(|| format!("number {number}"));
        let differences = test.differences(&config, &name)?;
        failed += usize::from(!differences.is_empty());
        page.lines(differences.iter().map(|difference| format!("FAILED {name}: {difference}")));
    }
    let count = expect.len();
    page.line(if failed == 0 {
        format!("tests passed: {count}")
    } else {
        format!("tests failed: {failed} of {count}")
    });
    Ok(Tested { page, code: if failed == 0 { 0 } else { 3 } })
}

impl Expect {
    /// What the policy decides differently, one sentence each.
    fn differences(&self, config: &Config, name: &str) -> Result<Vec<String>, TestError> {
        let test = || name.to_owned();
        let of_token = [
            self.project.is_some(),
            self.room.is_some(),
            self.identity.is_some(),
            self.participant_name.is_some(),
            self.participant_metadata.is_some(),
            self.participant_attributes.is_some(),
            self.ttl.is_some(),
            !self.grants.is_empty(),
        ];
        let problem = match (&self.rule, &self.refused) {
            (None, None) => Some("needs rule or refused: what the policy is expected to decide"),
            (Some(_), Some(_)) => Some("must not have both rule and refused"),
            (None, Some(_)) if of_token.contains(&true) => {
                Some("must not have refused together with what a token has")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(TestError::Expectation { test: test(), problem });
        }
        let caller = caller_file::caller_of(self.claims.clone(), self.caller.as_deref(), &config.callers)
            .map_err(|reason| TestError::Caller { test: test(), reason })?;
        let body = if self.request.is_empty() {
            String::new()
        } else {
            Value::from(self.request.clone()).to_string()
        };
        let request = ExplainedRequest {
            path: self.path.as_deref(),
            sandbox: self.sandbox.as_deref(),
            body: body.as_bytes(),
        };
        let asks = match asks(&request, config) {
            Ok((_, asks)) => asks,
            Err(InvalidRequest::Request(invalid)) => return Ok(self.differences_in_refusal(&invalid.into())),
            Err(reason) => return Err(TestError::Request { test: test(), reason }),
        };
        let context = roompass::system::context();
        let decided = asks.into_iter().map(|(_, ask)| {
            let Decision { outcome, .. } = config.policy.decide(&caller, ask, &context);
            outcome.map_err(Refusal::from)
        });
        let decided = decided.collect::<Result<Vec<_>, Refusal>>();
        let decided = decided.and_then(|passes| Ok(one_project(&passes).map(|_| passes)?));
        Ok(match decided {
            Ok(passes) => passes.iter().flat_map(|pass| self.differences_in(pass)).collect(),
            Err(refusal) => self.differences_in_refusal(&refusal),
        })
    }

    fn differences_in_refusal(&self, refusal: &Refusal) -> Vec<String> {
        let expected = match &self.refused {
            Some(code) if code == refusal.code() => return Vec::new(),
            Some(code) => format!("a refusal with {code:?}"),
            None => format!("a token by rule {:?}", self.rule.as_deref().unwrap_or_default()),
        };
        vec![format!("expected {expected}, found a refusal with {:?}: {refusal}", refusal.code())]
    }

    fn differences_in(&self, pass: &Pass) -> Vec<String> {
        if let Some(code) = &self.refused {
            return vec![format!("expected a refusal with {code:?}, found a token by rule {:?}", pass.rule)];
        }
        let room = pass.room();
        let effective: Map<String, Value> = room
            .map(|room| room.grants.effective())
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value, _)| (name.to_owned(), Value::from(value)))
            .collect();
        let texts = [
            ("rule", self.rule.clone(), Some(pass.rule.clone())),
            ("project", self.project.clone(), Some(pass.project.to_string())),
            ("room", self.room.clone(), room.map(|room| room.room.as_str().to_owned())),
            ("identity", self.identity.clone(), Some(pass.identity.as_str().to_owned())),
            (
                "participant_name",
                self.participant_name.clone(),
                room.and_then(|room| room.name.as_ref()).map(|name| name.as_str().to_owned()),
            ),
            (
                "participant_metadata",
                self.participant_metadata.clone(),
                room.and_then(|room| room.metadata.as_ref()).map(|text| text.as_str().to_owned()),
            ),
            (
                "participant_attributes",
                self.participant_attributes.as_ref().map(attributes),
                room.map(|room| {
                    let all = room.attributes.iter().flat_map(Attributes::iter);
                    attributes(&all.map(|(key, value)| (key.clone(), value.clone())).collect())
                }),
            ),
            ("ttl", self.ttl.map(|ttl| ttl.to_string()), Some(pass.ttl.to_string())),
        ];
        let texts = texts.into_iter().filter(|(_, expected, found)| expected.is_some() && expected != found);
        let texts = texts.map(|(what, expected, found)| {
            let shown =
                |text: Option<String>| text.map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
            format!("expected {what} {}, found {}", shown(expected), shown(found))
        });
        let grants = self.grants.iter().filter_map(|(name, expected)| {
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                Value::Array(list) => {
                    list.iter().map(|one| one.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            let found = effective.get(name).map_or_else(|| "no such grant".to_owned(), text);
            (found != text(expected))
                .then(|| format!("expected grant {name} = {}, found {found}", text(expected)))
        });
        texts.chain(grants).collect()
    }
}

/// Attributes in one line, to compare them.
fn attributes(all: &BTreeMap<String, String>) -> String {
    let all: Map<_, _> = all.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    Value::Object(all).to_string()
}
