//! The command for people.

mod caller_file;
mod check;
mod development;
mod explain;
mod inspect;
mod sample;
mod screen;
mod serve;

use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use roompass::auth::{ApiKeyHash, new_key};
use roompass::escape::escaped;

use screen::Page;

/// Issues LiveKit and Agora access tokens, by a written policy.
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
    /// Serve the token endpoint on this machine (the default)
    Serve(serve::Options),
    /// Check a configuration and summarise who may get what
    Check(check::Options),
    /// Explain what a caller would get for a request, and by which rule
    Explain(explain::Options),
    /// Show what is inside a LiveKit or Agora token, and when it expires
    Inspect(inspect::Options),
    /// Make a new API key and print the hash to store
    ApiKey {
        /// The key's name, for rules and the log
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
    let key = new_key(roompass::system::randomness);
    let mut page = Page::default();
    page.line(&key);
    page.line("Shown once: store it now. Add its hash to the secret, under ROOMPASS_API_KEYS:");
    page.line(format!("{}: \"{}\"", serde_json::Value::from(name), ApiKeyHash::of(&key)));
    page
}

/// What was asked for on standard output, or what went wrong on standard error.
fn done(done: Result<Page, impl Error + 'static>) -> ExitCode {
    match done {
        Ok(page) => printed(&page, ExitCode::SUCCESS),
        Err(error) => {
            screen::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn printed(page: &Page, code: ExitCode) -> ExitCode {
    page.print();
    code
}
