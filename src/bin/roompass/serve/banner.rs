//! The message at startup, as text or as log lines.

use std::net::SocketAddr;

use roompass::auth::Caller;
use roompass::config::{Config, Dialect, Origin};
use roompass::dialect::{PathMatching, Routes, Row};
use roompass::domain::Provider;
use roompass::keys::{Projects, SigningKeys};
use roompass::url;

use crate::sample;
use crate::screen::Page;

/// The content of the message.
pub(super) struct Banner<'a> {
    pub(super) address: SocketAddr,
    pub(super) config: &'a Config,
    /// Whether the page is served.
    pub(super) has_page: bool,
    /// The file of the policy that is read at run time.
    pub(super) policy: Option<&'a str>,
    pub(super) keys: &'a Projects,
    pub(super) warnings: &'a [String],
    /// The caller that every request counts as, if there is one.
    pub(super) always: Option<&'a Caller>,
}

impl Banner<'_> {
    pub(super) fn print(&self) {
        let Config { dialects, cors, .. } = self.config;
        let mut page = Page::default();
        page.line(format!("Roompass {} listening on {}", env!("CARGO_PKG_VERSION"), self.url()));
        let paths = livekit_paths(dialects);
        match &paths {
            Some(paths) => {
                page.line(format!(
                    "  POST {paths} returns a LiveKit token; GET /healthz is the health check"
                ));
            }
            None => page.line("  GET /healthz is the health check"),
        }
        if *dialects != [Dialect::Standard] {
            let names: Vec<_> = dialects.iter().map(|dialect| dialect.as_str()).collect();
            page.line(format!("  dialects: {} (docs/migrate.md lists their routes)", names.join(", ")));
        }
        if let Some(policy) = self.policy {
            page.line(format!("  policy: {policy}, version {}", self.config.version));
        }
        for keys in self.keys.iter() {
            let of_project = match keys.project() {
                project if project.is_default() => String::new(),
                project => format!(", project {project}"),
            };
            if let (Ok(livekit), Some(_)) = (keys.livekit(), &paths) {
                let server = url::shown(livekit.server.as_str());
                page.line(format!("  LiveKit server: {server}, API key: {}{of_project}", livekit.api_key));
            }
            if let Ok(agora) = keys.agora() {
                page.line(format!("  Agora app: {}{of_project}", agora.app_id));
            }
        }
        page.line(format!("  allowed CORS origins: {}", in_words(&cors.origins)));
        for warning in self.warnings {
            page.line(format!("Warning: {warning}"));
        }
        match self.sample() {
            Ok(curl) => page.lines(["Try it:", &format!("  {curl}")]),
            Err(why) => page.line(why),
        }
        if self.has_page {
            page.line(format!("Or open http://{}/ in a browser.", self.address));
        }
        page.line("Press Ctrl-C to stop.");
        page.print();
    }

    pub(super) fn log(&self) {
        for warning in self.warnings {
            tracing::warn!("{warning}");
        }
        let own = self.keys.of_default();
        let livekit = own.livekit().ok();
        tracing::info!(
            address = %self.address,
            server = livekit.map(|keys| url::shown(keys.server.as_str())).as_deref(),
            key = livekit.map(|keys| keys.api_key.as_str()),
            agora_app = own.agora().ok().map(|keys| keys.app_id.as_str()),
            projects = self.projects(),
            policy = self.policy,
            policy_version = self.policy.map(|_| self.config.version.as_str()),
            origins = in_words(&self.config.cors.origins),
            try_it = self.sample().ok(),
            "listening"
        );
    }

    /// The projects with a name.
    fn projects(&self) -> Option<String> {
        let projects = self.keys.iter().map(SigningKeys::project).filter(|project| !project.is_default());
        let projects: Vec<_> = projects.map(ToString::to_string).collect();
        (!projects.is_empty()).then(|| projects.join(", "))
    }

    fn url(&self) -> String {
        format!("http://{}{}", self.address, self.config.http.base_path.as_str())
    }

    fn sample(&self) -> Result<String, &'static str> {
        sample::curl(&self.url(), self.config, self.always)
    }
}

/// The routes of the first LiveKit dialect, if one is served.
fn livekit_paths(dialects: &[Dialect]) -> Option<String> {
    let mut rows = dialects.iter().map(|dialect| Row::of(*dialect));
    let row = rows.find(|row| row.provider == Provider::LiveKit)?;
    let routes = Routes::new(&[row.dialect], "", PathMatching::Exact);
    Some(routes.served().map(|(_, path)| path).collect::<Vec<_>>().join(" or "))
}

/// The allowed CORS origins, in words.
fn in_words(origins: &[Origin]) -> String {
    if origins.contains(&Origin::Any) {
        "any".to_owned()
    } else if origins.is_empty() {
        "none".to_owned()
    } else if origins == Origin::loopback() {
        "this machine".to_owned()
    } else {
        origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
