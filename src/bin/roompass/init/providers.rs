//! The table of identity providers in `providers.toml`, and the callers that it makes of answers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use roompass::config::{Config, ConfigError};
use serde::Deserialize;

/// A provider, or one kind of its tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) title: String,
    /// The document about it.
    pub(super) page: String,
    /// The claims with a display name, as alternatives of a placeholder. None if its callers have no claims.
    pub(super) participant_name: Option<String>,
    /// The expression for the token in the client's code. None if the client is a server with an API key.
    pub(super) token: Option<String>,
    /// What else is needed.
    pub(super) note: Option<String>,
    pub(super) ask: Vec<Question>,
    /// The keys of the `[[caller]]` except `name`, with placeholders.
    pub(super) caller: String,
}

/// A question, whose answer can be an option.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) option: String,
    pub(super) text: String,
    pub(super) example: String,
    pub(super) default: Option<String>,
    must_contain: Option<String>,
}

/// The answers by option.
pub(super) type Answers = BTreeMap<String, String>;

/// All providers, in the order in which they are offered.
pub(super) fn all() -> &'static [Provider] {
    &TABLE.provider
}

/// The names of all providers.
pub(super) fn names() -> Vec<&'static str> {
    all().iter().map(|provider| provider.name.as_str()).collect()
}

/// The provider with this name, or this number in the list.
pub(super) fn find(name: &str) -> Option<&'static Provider> {
    let numbered = name.parse::<usize>().ok().and_then(|number| all().get(number.checked_sub(1)?));
    all().iter().find(|provider| provider.name == name).or(numbered)
}

impl Provider {
    /// The text with answers in place of its placeholders. The answers are safe inside TOML's double quotes.
    pub(super) fn filled(text: &str, answers: &Answers) -> String {
        let mut filled = text.to_owned();
        for (option, answer) in answers {
            let items: Vec<_> = answer.split(',').map(|item| format!("\"{item}\"")).collect();
            let list = if let [one] = &items[..] { one.clone() } else { format!("[{}]", items.join(", ")) };
            filled =
                filled.replace(&format!("{{{option}s}}"), &list).replace(&format!("{{{option}}}"), answer);
            if option == "tenant" {
                let region = answer.split('_').next().unwrap_or_default();
                filled = filled.replace("{region}", region);
            }
        }
        filled
    }

    /// The answer to a question in this text. The answers to earlier questions are in `answers`.
    ///
    /// # Errors
    /// What would be right, also if only the configuration file would refuse the answer.
    pub(super) fn read(&self, question: &Question, text: &str, answers: &Answers) -> Result<String, String> {
        let answer = question.read(text)?;
        let examples = self.ask.iter().map(|question| (question.option.clone(), question.example.clone()));
        let mut all: Answers = examples.collect();
        all.extend(answers.clone());
        all.insert(question.option.clone(), answer.clone());
        let caller = format!("[[caller]]\nname = \"app\"\n{}", Self::filled(&self.caller, &all));
        let Err(ConfigError::Mistakes(mistakes)) = Config::parse(&caller, "") else { return Ok(answer) };
        let Some(mistake) = mistakes.iter().next() else { return Ok(answer) };
        let problem = mistake.message.trim_start_matches("caller \"app\": ");
        Err(format!("{problem}; it looks like {}", question.example))
    }

    /// Whether its callers have claims.
    pub(super) fn has_claims(&self) -> bool {
        self.participant_name.is_some()
    }
}

impl Question {
    /// The answer in this text.
    ///
    /// # Errors
    /// What would be right.
    pub(super) fn read(&self, text: &str) -> Result<String, String> {
        let items: Vec<_> = text.split(',').map(str::trim).collect();
        if items.iter().any(|item| item.is_empty()) {
            return Err(format!("must not be empty; it looks like {}", self.example));
        }
        if let Some(part) = self.must_contain.as_deref().filter(|part| !text.contains(part)) {
            return Err(format!("must contain {part:?}; it looks like {}", self.example));
        }
        let answer = items.join(",");
        if answer
            .contains(|char: char| char.is_whitespace() || char.is_control() || matches!(char, '"' | '\\'))
        {
            return Err(format!(
                "must not contain spaces, double quotes or backslashes; it looks like {}",
                self.example
            ));
        }
        if self.option == "tenant" {
            // A domain that was copied as a URL.
            let domain = answer.strip_prefix("https://").unwrap_or(&answer);
            return Ok(domain.trim_end_matches('/').to_owned());
        }
        Ok(answer)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    provider: Vec<Provider>,
}

static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("providers.toml")).expect("the table is valid"));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn examples(provider: &Provider) -> Answers {
        let example = |question: &Question| {
            let read = provider.read(question, &question.example, &Answers::new());
            (question.option.clone(), read.unwrap())
        };
        provider.ask.iter().map(example).collect()
    }

    fn page(path: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    /// The callers in the TOML of a page, without their names.
    fn callers(page: &str) -> Vec<toml::Table> {
        let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let tables = blocks.map(|block| block.parse::<toml::Table>().unwrap());
        let mut callers = Vec::new();
        for table in tables {
            let Some(toml::Value::Array(listed)) = table.get("caller") else { continue };
            callers.extend(listed.iter().map(|caller| {
                let mut caller = caller.as_table().unwrap().clone();
                caller.remove("name");
                caller
            }));
        }
        callers
    }

    #[test]
    fn each_caller_is_the_one_of_its_page_and_each_caller_of_a_page_is_in_the_table() {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for provider in all() {
            let filled = Provider::filled(&provider.caller, &examples(provider));
            let caller: toml::Table = filled.parse().unwrap();
            assert!(callers(&page(&provider.page)).contains(&caller), "{}: {caller:?}", provider.name);
            known.insert(format!("{caller:?}"));
        }
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers")).unwrap() {
            let file = file.unwrap().path();
            for caller in callers(&fs::read_to_string(&file).unwrap()) {
                assert!(known.contains(&format!("{caller:?}")), "{}: {caller:?}", file.display());
            }
        }
    }

    #[test]
    fn each_clients_expression_has_the_words_of_its_page() {
        for provider in all().iter().filter(|provider| provider.page.starts_with("docs/providers/")) {
            let token = Provider::filled(provider.token.as_deref().unwrap_or_default(), &examples(provider));
            let page = page(&provider.page);
            let words = token.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
            for word in words.filter(|_| provider.name != "gateway") {
                assert!(page.contains(word), "{}: {word}", provider.name);
            }
        }
    }

    #[test]
    fn an_answer_cannot_end_the_string_that_it_is_in() {
        let auth0 = find("auth0").unwrap();
        assert_eq!(auth0.ask[0].read(" https://a.eu.auth0.com/ "), Ok("a.eu.auth0.com".to_owned()));
        for text in ["a\"\n[[rule]]", "a\\", "a\nb", "a b", "", " ", "a,,b"] {
            assert!(auth0.ask[1].read(text).is_err(), "{text}");
        }
        let cognito = find("cognito").unwrap();
        assert_eq!(
            cognito.ask[0].read("pool"),
            Err("must contain \"_\"; it looks like eu-central-1_EXAMPLE".to_owned())
        );
        let answers = Answers::from([
            ("tenant".to_owned(), "eu-west-1_A".to_owned()),
            ("audience".to_owned(), "a,b".to_owned()),
        ]);
        let filled = Provider::filled(&cognito.caller, &answers);
        assert!(
            filled.contains("cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A")
                && filled.contains("[\"a\", \"b\"]"),
            "{filled}"
        );
    }

    #[test]
    fn an_answer_that_the_file_would_refuse_is_refused_at_once() {
        let oidc = find("oidc").unwrap();
        for (question, text, start) in [
            (0, "login.example.com/realms/x", "issuer (or jwks_url) must be an https URL"),
            (0, "http://login.example.com/", "issuer (or jwks_url) must be an https URL"),
            (2, "none", "unknown variant `none`"),
        ] {
            let question = &oidc.ask[question];
            let problem = oidc.read(question, text, &Answers::new()).unwrap_err();
            assert!(problem.contains(start), "{problem}");
            assert!(problem.ends_with(&format!("; it looks like {}", question.example)), "{problem}");
        }
    }

    #[test]
    fn a_provider_is_found_by_its_name_or_number() {
        assert_eq!(find("1").unwrap().name, "auth0");
        assert_eq!(find("google").unwrap().name, "google");
        assert!(find("0").is_none() && find("99").is_none() && find("nope").is_none());
    }
}
