//! The command for people.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Serve the token endpoint on this machine (what happens without a command).
    Serve(serve::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Serve(options)) => serve::run(&options),
        None => serve::run(&cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roompass: {error}");
            ExitCode::FAILURE
        }
    }
}
