//! `roompass remove`: removes a participant from a room.

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use roompass::config::{ConfigError, Environment};
use roompass::domain::{Identity, InvalidField, Limits, Project, RoomName};
use roompass::keys::{Deployment, NotConfigured, Projects};
use roompass::policy::RoomPattern;
use roompass::server_api::{self, ServerApiError};
use roompass::url;
use serde_json::Value;

use crate::development;
use crate::screen::Page;

#[derive(Args)]
pub(crate) struct RemoveOptions {
    /// The room
    #[arg(long, value_name = "ROOM")]
    room: String,
    /// The participant's identity
    #[arg(long, value_name = "IDENTITY")]
    identity: String,
    /// A project in `ROOMPASS_PROJECTS`, whose keys and server are used
    #[arg(long, value_name = "PROJECT", value_parser = |name: &str| Project::parse(name))]
    project: Option<Project>,
}

/// Why the participant wasn't removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Invalid(#[from] InvalidField),
    #[error(
        "{lacking}: set them in LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or for a project in ROOMPASS_PROJECTS{known}"
    )]
    NotConfigured { lacking: NotConfigured, known: String },
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("not removed: {0}")]
    Server(#[from] ServerApiError),
}

/// Removes the participant, with the keys of the environment, and prints how to refuse new tokens.
///
/// # Errors
/// If the options or the environment are invalid, or the server doesn't remove the participant.
pub(crate) fn run(options: &RemoveOptions) -> Result<Page, RemoveError> {
    let limits = Limits::default();
    let room = RoomName::parse(options.room.as_str(), &limits)?;
    let identity = Identity::parse(options.identity.as_str(), &limits)?;
    let environment = Environment::of_this_process(Deployment::Local)?;
    let projects = development::keys(&environment, &[])?;
    let keys = projects.get(&options.project.clone().unwrap_or_default());
    let livekit =
        keys.livekit().map_err(|lacking| RemoveError::NotConfigured { lacking, known: known(&projects) })?;
    let now = roompass::system::context().now;
    let void_before = now + LEEWAY;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server_api::remove_participant(livekit, &room, &identity, void_before, now))?;
    let server = url::shown(livekit.server.as_str());
    Ok(page(&options.room, &options.identity, (&server, options.project.as_ref()), void_before))
}

/// The projects that have keys.
fn known(projects: &Projects) -> String {
    let names: Vec<_> = projects.iter().map(|keys| keys.project().to_string()).collect();
    if names.is_empty() { String::new() } else { format!("; there are keys for {}", names.join(", ")) }
}

fn page(room: &str, identity: &str, (server, project): (&str, Option<&Project>), void_before: u64) -> Page {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(void_before));
    let quoted = |text: &str| Value::from(text).to_string();
    let mut page = Page::default();
    page.line(format!("removed      {identity} from {room} at {server}"));
    page.wrapped(
        "void         ",
        &format!(
            "their tokens issued before {time}, on LiveKit Cloud. Other servers accept them until they expire"
        ),
    );
    page.line("To refuse new tokens, add this to the policy:");
    page.line("");
    page.line("[[deny]]");
    if project.is_some() {
        page.line("# In every project.");
    }
    page.line(format!("identity = {}", quoted(identity)));
    let pattern = room.replace('{', "{{").replace('}', "}}");
    if room.contains('*') || RoomPattern::try_from(pattern.clone()).is_err() {
        page.line("# In every room, because no pattern is for a room with this name alone.");
    } else {
        page.line(format!("room = {}", quoted(&pattern)));
    }
    page
}

/// How far the clocks of this machine and of the function may differ, in seconds. LiveKit's servers use the same leeway.
const LEEWAY: u64 = 60;

#[cfg(test)]
mod tests {
    use roompass::config::Config;

    use super::*;

    #[test]
    fn the_printed_entry_is_valid_and_for_this_room_alone() {
        for (room, is_named) in [
            ("math:1", true),
            ("a \"b\" \\", true),
            ("{x} a}", true),
            ("{sub}", false),
            ("^a$", false),
            ("team*", false),
        ] {
            let printed = page(room, "eve \"x\"", ("wss://a.example", Project::parse("eu").ok().as_ref()), 0);
            let entry = printed.text().split_once("\n\n").map(|(_, entry)| entry.to_owned()).unwrap();
            let config = Config::parse(&entry, "x.toml").unwrap_or_else(|error| panic!("{error}\n{entry}"));
            let shown = config.policy.denied()[0].to_string();
            assert_eq!(shown.contains("room"), is_named, "{shown}");
        }
    }
}
