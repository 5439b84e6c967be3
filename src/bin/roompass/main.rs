//! The `roompass` command.

mod caller_file;
mod check;
mod config_option;
mod development;
mod doctor;
mod dotenv;
mod examples;
mod explain;
mod health;
mod init;
mod inspect;
mod manual;
mod page;
mod policy_tests;
mod remove;
mod sample;
mod screen;
mod serve;
mod this_machine;
mod token;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use roompass::auth::{ApiKeyHash, new_key};
use roompass::escape::escaped;

use screen::Page;

/// Issues LiveKit and Agora access tokens, by a written policy.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = examples::ROOMPASS)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Write a first roompass.toml, after questions on a terminal or by options
    #[command(after_help = examples::init())]
    Init(init::InitOptions),
    /// Serve the token endpoint on this machine (the default)
    #[command(after_help = examples::SERVE)]
    Serve(serve::ServeOptions),
    /// Check a configuration and summarise its policy
    #[command(after_help = examples::CHECK)]
    Check(check::CheckOptions),
    /// Try everything that a configuration depends on, and print what is wrong and how to fix it
    #[command(after_help = examples::DOCTOR)]
    Doctor(doctor::DoctorOptions),
    /// Explain the decision on a request of a caller
    #[command(after_help = examples::EXPLAIN)]
    Explain(explain::ExplainOptions),
    /// Show the content of a LiveKit or Agora token, and when it expires
    #[command(after_help = examples::INSPECT)]
    Inspect(inspect::InspectOptions),
    /// Run the tests of a policy
    #[command(after_help = examples::TEST)]
    Test(policy_tests::TestOptions),
    /// Remove a participant from a room, and print how to refuse them new tokens
    #[command(after_help = examples::REMOVE)]
    Remove(remove::RemoveOptions),
    /// Print a token, by the policy
    #[command(after_help = examples::TOKEN)]
    Token(token::TokenOptions),
    /// Ask a running endpoint whether it can sign tokens
    #[command(after_help = examples::HEALTH)]
    Health(health::HealthOptions),
    /// Make a new API key and print the hash to store
    #[command(after_help = examples::API_KEY)]
    ApiKey {
        /// The name of the key, for rules and the log
        name: String,
    },
    /// Print a script that completes commands and options in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(manual::CompletionsOptions),
    /// Print the manual page of the program or of a command
    #[command(after_help = examples::MAN)]
    Man(manual::ManOptions),
}

impl Command {
    /// Whether the command reads the configuration or the keys from environment variables.
    fn reads_environment(&self) -> bool {
        !matches!(
            self,
            Self::Init(_)
                | Self::Inspect(_)
                | Self::Health(_)
                | Self::ApiKey { .. }
                | Self::Completions(_)
                | Self::Man(_)
        )
    }
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| as_escaped(error).exit());
    if cli.command.as_ref().is_none_or(Command::reads_environment) {
        match dotenv::load() {
            Ok(read) => read.iter().for_each(|read| eprintln!("roompass: {}", escaped(read))),
            Err(error) => {
                let is_doctor = matches!(cli.command, Some(Command::Doctor(_)));
                screen::print_error(&error);
                return ExitCode::from(if is_doctor { doctor::NOT_RUN } else { 1 });
            }
        }
    }
    match cli.command {
        None => report(serve::run(&cli.serve).map(|()| Page::default())),
        Some(Command::Serve(options)) => report(serve::run(&options).map(|()| Page::default())),
        Some(Command::Init(options)) => report(init::run(&options)),
        Some(Command::Check(options)) => match check::run(options) {
            Ok(checked) => print(&checked.page, ExitCode::from(checked.code)),
            Err(error) => report(Err(error)),
        },
        Some(Command::Doctor(options)) => match doctor::run(&options) {
            Ok(examined) => print(&examined.page, ExitCode::from(examined.code)),
            Err(error) => {
                screen::print_error(&error);
                ExitCode::from(doctor::NOT_RUN)
            }
        },
        Some(Command::Explain(options)) => match explain::run(&options) {
            Ok(explained) => print(&explained.page, ExitCode::from(explained.code)),
            Err(error) => report(Err(error)),
        },
        Some(Command::Inspect(options)) => report(inspect::run(&options)),
        Some(Command::Test(options)) => match policy_tests::run(&options) {
            Ok(tested) => print(&tested.page, ExitCode::from(tested.code)),
            Err(error) => report(Err(error)),
        },
        Some(Command::Remove(options)) => report(remove::run(&options)),
        Some(Command::Token(options)) => report(token::run(&options)),
        Some(Command::Health(options)) => report(health::run(&options)),
        Some(Command::ApiKey { name }) => print(&api_key(&name), ExitCode::SUCCESS),
        Some(Command::Completions(options)) => {
            manual::print(&manual::completions(&options, Cli::command()));
            ExitCode::SUCCESS
        }
        Some(Command::Man(options)) => match manual::man(&options, Cli::command()) {
            Ok(text) => {
                manual::print(&text);
                ExitCode::SUCCESS
            }
            Err(error) => report(Err(error)),
        },
    }
}

/// The error for the escaped arguments, because its text shows them.
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

/// Prints the page on standard output, or the error on standard error.
fn report(result: Result<Page, impl Error + 'static>) -> ExitCode {
    match result {
        Ok(page) => print(&page, ExitCode::SUCCESS),
        Err(error) => {
            screen::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn print(page: &Page, code: ExitCode) -> ExitCode {
    page.print();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_examples_that_it_accepts() {
        let program = Cli::command();
        for command in program.get_subcommands().chain([&program]) {
            let name = command.get_name();
            let help =
                command.get_after_help().unwrap_or_else(|| panic!("{name} has no examples")).to_string();
            let (heading, examples) = help.split_once('\n').unwrap();
            assert_eq!(heading, "Examples:", "{name}");
            for example in examples.lines().take_while(|line| !line.is_empty()) {
                // A comment is behind several spaces.
                let line = example.trim_start().split("  ").next().unwrap();
                let words = line.split(" > ").next().unwrap().split(' ');
                assert!(line.contains(name) || name == "roompass", "{name}: {line}");
                assert!(Cli::try_parse_from(words).is_ok() || line.contains(" help "), "{line}");
            }
        }
    }
}
