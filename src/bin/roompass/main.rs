//! The command for people.

mod check;
mod development;
mod explain;
mod host;
mod inspect;
mod screen;
mod serve;
mod somebody;
mod try_it;

use std::convert::Infallible;
use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use roompass::domain::operating_system_randomness;
use roompass::escape::escaped;
use roompass::keys::api_key::{ApiKeyHash, new_key};

use screen::Page;

/// Hands people their pass into a realtime room.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the token endpoint on this machine (what happens without a command)
    Serve(serve::Options),
    /// Say what is wrong with a configuration, or sum up who may get what
    Check(check::Options),
    /// Say what a caller would get for a request, by which rule, and why not by others
    Explain(explain::Options),
    /// Say what is inside a LiveKit or Agora token, and when it ends
    Inspect(inspect::Options),
    /// Make a new API key, and print the hash to store
    ApiKey {
        /// What rules and the log call whoever presents it
        name: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| as_escaped(error).exit());
    match cli.command {
        None => done(serve::run(&cli.serve).map(|()| Page::default())),
        Some(Command::Serve(options)) => done(serve::run(&options).map(|()| Page::default())),
        Some(Command::Check(options)) => done(check::run(options)),
        Some(Command::Explain(options)) => match explain::run(&options) {
            Ok(explained) => printed(&explained.page, ExitCode::from(explained.code)),
            Err(error) => done(Err(error)),
        },
        Some(Command::Inspect(options)) => done(inspect::run(&options)),
        Some(Command::ApiKey { name }) => done(Ok::<_, Infallible>(api_key(&name))),
    }
}

/// The same mistake as it is with escaped arguments, since its text shows them.
fn as_escaped(error: clap::Error) -> clap::Error {
    let arguments = std::env::args_os().map(|argument| escaped(&argument.to_string_lossy()).into_owned());
    Cli::try_parse_from(arguments).err().unwrap_or(error)
}

fn api_key(name: &str) -> Page {
    let key = new_key(operating_system_randomness);
    let mut page = Page::default();
    page.line(&key);
    page.line("Keep it where it's used; it isn't kept here. In the secret, under ROOMPASS_API_KEYS, store");
    page.line(format!("{}: \"{}\"", serde_json::Value::from(name), ApiKeyHash::of(&key)));
    page
}

/// What was asked for on standard output, or one line on standard error.
fn done(done: Result<Page, impl Display>) -> ExitCode {
    match done {
        Ok(page) => printed(&page, ExitCode::SUCCESS),
        Err(error) => {
            screen::complain(error);
            ExitCode::FAILURE
        }
    }
}

fn printed(page: &Page, code: ExitCode) -> ExitCode {
    page.print();
    code
}
