//! `roompass doctor`: tries everything that a configuration depends on, and prints what is wrong, why, and how to fix it.
//!
//! | module | its one job |
//! |---|---|
//! | `keys` | the secret |
//! | `issuers` | the issuers' configuration and keys |
//! | `livekit` | the LiveKit servers |
//! | `endpoint` | a running endpoint, and CORS |
//! | `clients` | clients without a credential, in a log |
//! | `quota` | reserved concurrency |
//! | `clock` | the clocks of these servers |
//! | `report` | the findings |

mod clients;
mod clock;
mod endpoint;
mod issuers;
mod keys;
mod livekit;
mod quota;
mod report;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use roompass::config::{ConfigError, warnings};
use roompass::domain::Provider;
use roompass::url;
use serde_json::Value;

use crate::config_option::ConfigOption;
use crate::development::{self, PolicySource};
use crate::screen::Page;
use report::{Entry, Report};

#[derive(Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    config: ConfigOption,
    /// The URL of a running token endpoint
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with the function's secret; - reads standard input
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// A file with the log of an endpoint
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// A file with the output of `aws lambda get-account-settings`
    #[arg(long, value_name = "FILE")]
    account_settings: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoctorError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("cannot read {}: {reason}", url::shown(&.file.to_string_lossy()))]
    Unreadable { file: PathBuf, reason: io::Error },
    #[error("{} must be a JSON object, as `aws lambda get-account-settings` prints it", url::shown(&.0.to_string_lossy()))]
    NoAccount(PathBuf),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is printed, and the exit code: 0, or 1 if there are findings.
pub(crate) struct Examined {
    pub(crate) page: Page,
    pub(crate) code: u8,
}

/// Checks everything.
///
/// # Errors
/// If the configuration is invalid, or a file can't be read.
pub(crate) fn run(options: &DoctorOptions) -> Result<Examined, DoctorError> {
    let environment = options.config.environment()?;
    let (config, policy) = development::load(&environment)?;
    let secret = options.secret.as_deref().map(read).transpose()?;
    let account = options.account_settings.as_deref().map(account).transpose()?;
    let mut report = Report::default();
    if policy == PolicySource::Development {
        report.add(Entry::found(
            "the configuration has no [[caller]]",
            "A deployed function refuses every request, and on this machine authentication is off.",
            "Write a first configuration with `roompass init`, or add a [[caller]] (docs/authentication.md).",
        ));
    }
    let projects = keys::check(&environment, (&config, policy), secret.as_deref(), &mut report)?;
    if let Some(file) = &options.log {
        let unreadable = |reason| DoctorError::Unreadable { file: file.clone(), reason };
        let log = BufReader::new(File::open(file).map_err(unreadable)?);
        report.add(clients::check(&url::shown(&file.to_string_lossy()), log).map_err(unreadable)?);
    }
    let samconfig = std::fs::read_to_string(SAMCONFIG).unwrap_or_default();
    if let Some(entry) = quota::check(&samconfig, account.as_ref()) {
        report.add(entry);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        issuers::check(&config.callers, &mut report).await;
        if let Some(projects) = projects.filter(|_| warnings::serves(&config, Provider::LiveKit)) {
            livekit::check(&projects, &mut report).await;
        }
        match &options.url {
            Some(url) => endpoint::check(url, &config, &mut report).await,
            None => report.skipped(
                "the endpoint and CORS: give its URL with --url, such as http://127.0.0.1:3000/getToken",
            ),
        }
    });
    let mut page = Page::default();
    if options.json {
        page.json(&report.json());
    } else {
        page = report.page();
    }
    Ok(Examined { page, code: u8::from(report.findings() > 0) })
}

/// The text of a file, or of standard input.
fn read(file: &Path) -> Result<String, DoctorError> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => io::stdin().read_to_string(&mut text),
        _ => File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map(|_| text).map_err(|reason| DoctorError::Unreadable { file: file.to_owned(), reason })
}

fn account(file: &Path) -> Result<Value, DoctorError> {
    let text = read(file)?;
    let account: Value = serde_json::from_str(&text).unwrap_or_default();
    if account.is_object() { Ok(account) } else { Err(DoctorError::NoAccount(file.to_owned())) }
}

/// The exit code if nothing could be checked. That of findings differs.
pub(crate) const NOT_RUN: u8 = 2;

const SAMCONFIG: &str = "samconfig.toml";
