//! `roompass init`: asks for the identity provider and the rooms, and writes a first roompass.toml.
//!
//! | module | its one job |
//! |---|---|
//! | `providers` | the table of identity providers |
//! | `rooms` | the choices of rooms |
//! | `interview` | questions on a terminal |
//! | `answers` | all answers, of options or a terminal |
//! | `draft` | the file's text, and what to do next |
//! | `file` | writes the file as a whole or not at all |

mod answers;
mod draft;
mod file;
mod interview;
mod providers;
mod rooms;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use roompass::config::{Config, ConfigError};
use roompass::url;

use crate::screen::Page;
use answers::Answered;
use interview::Interview;

#[derive(Args)]
pub(crate) struct InitOptions {
    /// The identity provider
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(providers::names()), hide_possible_values = true)]
    provider: Option<String>,
    /// The provider's tenant: a domain, or the ID of a user pool, tenant, project or client
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The issuer, exactly as iss in the tokens
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The audience, as aud in the tokens
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// The scope that tokens must have
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// The signature algorithm
    #[arg(long, value_name = "ALGORITHM")]
    algorithm: Option<String>,
    /// The name of a shared secret, not its value
    #[arg(long, value_name = "NAME")]
    secret_name: Option<String>,
    /// The type of API Gateway's authorizer
    #[arg(long, value_name = "TYPE")]
    via: Option<String>,
    /// The rooms that users may join: user, claim:NAME, any, or patterns
    #[arg(long, value_name = "ROOMS")]
    rooms: Option<String>,
    /// The origins of web pages that may read responses, separated by commas; none by default
    #[arg(long, value_name = "ORIGIN,ORIGIN")]
    origins: Option<String>,
    /// What the tokens are for; livekit by default
    #[arg(long, value_name = "PLATFORM", hide_possible_values = true)]
    platform: Option<Platform>,
    /// The file to write; - prints it
    #[arg(long, value_name = "FILE", default_value = "roompass.toml")]
    output: PathBuf,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
}

/// What tokens are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    Livekit,
    Agora,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    #[error(
        "missing {}: without a terminal, each answer must be an option (`roompass init --help` lists them)",
        .0.join(", ")
    )]
    Missing(Vec<String>),
    #[error("invalid {option}: {problem}")]
    Invalid { option: String, problem: String },
    #[error("{option} is not used with --provider {provider}: leave it out")]
    Unused { option: String, provider: &'static str },
    #[error("{} exists: choose another file with --output, or overwrite it with --force", shown(.0))]
    Exists(PathBuf),
    #[error("the input ended before the last answer: nothing was written")]
    Ended(#[source] io::Error),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("cannot write {}: {reason}", shown(.file))]
    Unwritable { file: PathBuf, reason: io::Error },
}

/// The name and the title of each identity provider.
pub(crate) fn providers() -> impl Iterator<Item = (&'static str, &'static str)> {
    providers::all().iter().map(|provider| (provider.name.as_str(), provider.title.as_str()))
}

/// Writes the file, after checking it, and prints what to do next.
///
/// # Errors
/// If an answer is missing or invalid, or the file exists or can't be written.
pub(crate) fn run(options: &InitOptions) -> Result<Page, InitError> {
    let is_printed = options.output == Path::new("-");
    if !is_printed && !options.force && options.output.symlink_metadata().is_ok() {
        return Err(InitError::Exists(options.output.clone()));
    }
    let has_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let terminal = has_terminal.then(|| Interview::new(io::stdin().lock(), io::stderr().lock()));
    let answered = Answered::gather(options, terminal)?;
    let text = draft::text(&answered);
    Config::parse(&text, &shown(&options.output))?;
    let mut page = Page::default();
    if is_printed {
        page.lines(text.lines());
        return Ok(page);
    }
    file::write(&options.output, &text, options.force)?;
    page.line(format!("Wrote {}", shown(&options.output)));
    draft::next(&answered, &options.output, &program(), &mut page);
    Ok(page)
}

/// The program as it was called: by its name, or by a path.
fn program() -> String {
    let called = std::env::args_os().next().and_then(|called| called.into_string().ok());
    let called = called.filter(|called| called.contains(std::path::is_separator));
    called.unwrap_or_else(|| "roompass".to_owned())
}

fn shown(file: &Path) -> String {
    url::shown(&file.to_string_lossy()).into_owned()
}
