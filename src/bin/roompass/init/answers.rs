//! All answers: those of the options, and on a terminal those to questions.

use std::io::{BufRead, Write};

use clap::ValueEnum;
use roompass::config::Origin;

use super::interview::Interview;
use super::providers::{self, Answers, Provider};
use super::rooms::{CHOICES, Rooms};
use super::{InitError, InitOptions, Platform};

/// The answers.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) provider: &'static Provider,
    /// The answers to the provider's questions.
    pub(super) answers: Answers,
    pub(super) rooms: Rooms,
    pub(super) origins: Vec<Origin>,
    pub(super) platform: Platform,
}

impl Answered {
    /// Takes each answer from its option, or else from the terminal, or else the default.
    ///
    /// # Errors
    /// If an answer is missing or invalid, or an option is not used.
    pub(super) fn gather<R: BufRead, W: Write>(
        options: &InitOptions,
        terminal: Option<Interview<R, W>>,
    ) -> Result<Self, InitError> {
        let mut gathering = Gathering { terminal, missing: Vec::new() };
        let names = || format!("must be one of {}", providers::names().join(", "));
        let list = providers::all().iter().enumerate();
        let list: Vec<_> =
            list.map(|(position, one)| format!("  {:2}  {}", position + 1, one.title)).collect();
        let provider = gathering.answer(
            &Wanted {
                option: "provider",
                given: options.provider.as_deref(),
                before: &list,
                question: "Which identity provider? A number or a name",
                suggested: None,
                default: None,
            },
            |text| providers::find(text).ok_or_else(names),
        )?;
        let mut answers = Answers::new();
        if let Some(provider) = provider {
            options.only_used_by(provider)?;
            for question in &provider.ask {
                let such_as = format!("{}, such as {}", question.text, question.example);
                let default = question.default.as_deref();
                let wanted = Wanted {
                    option: &question.option,
                    given: options.given(&question.option),
                    before: &[],
                    question: if default.is_some() { &question.text } else { &such_as },
                    suggested: default,
                    default,
                };
                if let Some(answer) =
                    gathering.answer(&wanted, |text| provider.read(question, text, &answers))?
                {
                    answers.insert(question.option.clone(), answer);
                }
            }
        }
        let has_claims = provider.is_none_or(Provider::has_claims);
        let rooms = gathering.answer(
            &Wanted {
                option: "rooms",
                given: options.rooms.as_deref(),
                before: &CHOICES.map(str::to_owned),
                question: "Which rooms may users join?",
                suggested: Some(if has_claims { "user" } else { "any" }),
                default: None,
            },
            |text| {
                let rooms = Rooms::read(text)?;
                if has_claims || !rooms.patterns.iter().any(|pattern| pattern.contains('{')) {
                    return Ok(rooms);
                }
                Err("API keys have no claims: use any, or a pattern without placeholders, such as call:*"
                    .to_owned())
            },
        )?;
        let origins = gathering.answer(
            &Wanted {
                option: "origins",
                given: options.origins.as_deref(),
                before: &[],
                question: "Origins of your web pages, separated by commas, or none",
                suggested: Some("none"),
                default: Some("none"),
            },
            origins,
        )?;
        let given = options.platform.and_then(|platform| platform.to_possible_value());
        let platform = gathering.answer(
            &Wanted {
                option: "platform",
                given: given.as_ref().map(clap::builder::PossibleValue::get_name),
                before: &[],
                question: "Tokens for livekit or agora?",
                suggested: Some("livekit"),
                default: Some("livekit"),
            },
            |text| Platform::from_str(text, true).map_err(|_| "must be livekit or agora".to_owned()),
        )?;
        match (provider, rooms, origins, platform) {
            (Some(provider), Some(rooms), Some(origins), Some(platform)) if gathering.missing.is_empty() => {
                Ok(Self { provider, answers, rooms, origins, platform })
            }
            _ => Err(InitError::Missing(gathering.missing)),
        }
    }
}

/// The origins of a list, in which `none` is an empty one.
fn origins(text: &str) -> Result<Vec<Origin>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let origins = text.split(',').map(|origin| Origin::try_from(origin.trim().to_owned()));
    origins.collect::<Result<_, _>>().map_err(|error| format!("each origin {error}"))
}

impl InitOptions {
    /// The options that answer a provider's questions.
    fn of_providers(&self) -> [(&'static str, Option<&str>); 7] {
        [
            ("tenant", self.tenant.as_deref()),
            ("issuer", self.issuer.as_deref()),
            ("audience", self.audience.as_deref()),
            ("scope", self.scope.as_deref()),
            ("algorithm", self.algorithm.as_deref()),
            ("secret-name", self.secret_name.as_deref()),
            ("via", self.via.as_deref()),
        ]
    }

    fn given(&self, option: &str) -> Option<&str> {
        self.of_providers().into_iter().find(|(name, _)| *name == option)?.1
    }

    fn only_used_by(&self, provider: &'static Provider) -> Result<(), InitError> {
        let mut given = self.of_providers().into_iter().filter(|(_, answer)| answer.is_some());
        let unused = given.find(|(name, _)| !provider.ask.iter().any(|question| question.option == *name));
        unused.map_or(Ok(()), |(name, _)| {
            Err(InitError::Unused { option: format!("--{name}"), provider: &provider.name })
        })
    }
}

/// An answer that is wanted.
struct Wanted<'a> {
    option: &'a str,
    given: Option<&'a str>,
    /// Lines before the question.
    before: &'a [String],
    question: &'a str,
    /// The answer if the user of a terminal presses Enter.
    suggested: Option<&'a str>,
    /// The answer without a terminal.
    default: Option<&'a str>,
}

struct Gathering<R, W> {
    terminal: Option<Interview<R, W>>,
    missing: Vec<String>,
}

impl<R: BufRead, W: Write> Gathering<R, W> {
    /// The answer. None if it is missing.
    fn answer<T>(
        &mut self,
        wanted: &Wanted<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, InitError> {
        let option = format!("--{}", wanted.option);
        if let Some(given) = wanted.given {
            return read(given).map(Some).map_err(|problem| InitError::Invalid { option, problem });
        }
        if let Some(terminal) = &mut self.terminal {
            wanted.before.iter().try_for_each(|line| terminal.say(line)).map_err(InitError::Ended)?;
            return terminal.ask(wanted.question, wanted.suggested, read).map(Some).map_err(InitError::Ended);
        }
        let Some(default) = wanted.default else {
            self.missing.push(option);
            return Ok(None);
        };
        read(default).map(Some).map_err(|problem| InitError::Invalid { option, problem })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: InitOptions,
    }

    /// What is answered for options and the lines that are typed, and what is printed.
    fn asked(options: &[&str], typed: &str) -> (Result<Answered, InitError>, String) {
        let options = Program::parse_from([&["roompass"], options].concat()).options;
        let mut printed = Vec::new();
        let answered = Answered::gather(&options, Some(Interview::new(typed.as_bytes(), &mut printed)));
        (answered, String::from_utf8(printed).unwrap())
    }

    #[test]
    fn a_terminal_is_asked_for_what_the_options_leave_open_and_again_after_a_mistake() {
        let typed = "nope\n3\npool\neu-central-1_A\n1abc\nusr\nclaim:team\nhttps://a.example\n\n";
        let (answered, printed) = asked(&[], typed);
        let answered = answered.unwrap();
        assert_eq!(answered.provider.name, "cognito");
        assert_eq!(answered.answers["tenant"], "eu-central-1_A");
        assert_eq!(answered.rooms, Rooms::read("claim:team").unwrap());
        assert_eq!(
            answered.origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["https://a.example"]
        );
        assert_eq!(answered.platform, Platform::Livekit);
        for line in [
            "   3  Amazon Cognito, ID tokens\n",
            "Which identity provider? A number or a name:   must be one of auth0, clerk, cognito, ",
            "ID of the user pool, such as eu-central-1_EXAMPLE:   must contain \"_\"; it looks like eu-central-1_EXAMPLE\n",
            "Which rooms may users join? [user]:   \"usr\" must be user, ",
            "Origins of your web pages, separated by commas, or none [none]: ",
            "Tokens for livekit or agora? [livekit]: ",
        ] {
            assert!(printed.contains(line), "{line}\n{printed}");
        }
        let options = ["--provider", "api-key", "--origins", "none", "--platform", "agora"];
        let (answered, printed) = asked(&options, "user\n\n");
        let answered = answered.unwrap();
        assert_eq!((answered.rooms.patterns, answered.platform), (vec!["*".to_owned()], Platform::Agora));
        assert!(printed.contains("[any]:   API keys have no claims: use any, "), "{printed}");
        assert!(!printed.contains("identity provider"), "{printed}");
    }

    #[test]
    fn the_end_of_the_input_ends_the_questions() {
        let (answered, _) = asked(&["--provider", "google"], "client-id\n");
        assert_eq!(
            answered.unwrap_err().to_string(),
            "the input ended before the last answer: nothing was written"
        );
    }
}
