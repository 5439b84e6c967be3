//! `roompass completions` and `roompass man`: what shells and `man` read, made of the same options as `--help`.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

#[derive(Args)]
pub(crate) struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(crate) struct ManOptions {
    /// The command that the page is about; by default the program
    command: Option<String>,
}

/// Why a page can't be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPage {
    #[error("unknown command {name:?}: use one of {known}")]
    UnknownCommand { name: String, known: String },
    #[error("cannot print the page: {0}")]
    Io(#[from] io::Error),
}

/// The script that completes commands and options in a shell.
pub(crate) fn completions(options: &CompletionsOptions, mut program: Command) -> Vec<u8> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    clap_complete::generate(options.shell, &mut program, name, &mut script);
    script
}

/// The manual page of the program or of one command.
///
/// # Errors
/// If there is no such command.
pub(crate) fn man(options: &ManOptions, mut program: Command) -> Result<Vec<u8>, NoPage> {
    program.build();
    let command = match &options.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            let names = program.get_subcommands().map(Command::get_name);
            let known = names.filter(|name| *name != "help").collect::<Vec<_>>().join(", ");
            NoPage::UnknownCommand { name: name.clone(), known }
        })?,
    };
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let version = concat!("roompass ", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    Man::new(command.after_help(None)).source(version).render(&mut page)?;
    let mut section = Roff::new();
    section.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in examples.lines().skip(1).take_while(|line| !line.is_empty()) {
        section.text([roman(line.trim_start())]);
    }
    section.control("fi", []);
    section.to_writer(&mut page)?;
    Ok(page)
}

/// Writes a script or a page to standard output.
pub(crate) fn print(text: &[u8]) {
    // The reader may have closed it, as `head` does.
    let _ = io::stdout().lock().write_all(text);
}
