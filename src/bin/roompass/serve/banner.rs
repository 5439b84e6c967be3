//! The message at startup, as text or as log lines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use roompass::config::{Config, Dialect, Origin};
use roompass::dialect::{PathMatching, Routes, Row};
use roompass::domain::Provider;
use roompass::keys::SigningKeys;
use roompass::url;

use super::DEFAULT_PORT;
use super::service::Service;
use crate::sample;
use crate::screen::Page;

/// The content of the message.
pub(super) struct Banner<'a> {
    pub(super) address: SocketAddr,
    /// Whether the address was not chosen, so that its port is the first free one.
    pub(super) is_default: bool,
    pub(super) service: &'a Service,
}

impl Banner<'_> {
    pub(super) fn print(&self) {
        let Service { config, keys, warnings, has_page, .. } = self.service;
        let Config { dialects, cors, .. } = config;
        let mut page = Page::default();
        page.line(format!("Roompass {} listening on {}", env!("CARGO_PKG_VERSION"), self.url(self.address)));
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
        if let Some((policy, _)) = &self.service.policy {
            page.line(format!("  policy: {}, version {}", policy.path().display(), config.version));
        }
        for keys in keys.iter() {
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
        for warning in self.other_port().iter().chain(warnings) {
            page.line(format!("Warning: {warning}"));
        }
        match self.sample() {
            Ok(curl) => page.lines(["Try it:", &format!("  {curl}")]),
            Err(why) => page.line(why),
        }
        if *has_page {
            page.line(format!("Or open http://{}/ in a browser.", self.address));
        }
        page.line("Press Ctrl-C to stop.");
        page.print();
    }

    pub(super) fn log(&self) {
        let Service { config, keys, warnings, policy, .. } = self.service;
        for warning in self.other_port().iter().chain(warnings) {
            tracing::warn!("{warning}");
        }
        let own = keys.of_default();
        let livekit = own.livekit().ok();
        tracing::info!(
            address = %self.address,
            server = livekit.map(|keys| url::shown(keys.server.as_str())).as_deref(),
            key = livekit.map(|keys| keys.api_key.as_str()),
            agora_app = own.agora().ok().map(|keys| keys.app_id.as_str()),
            projects = self.projects(),
            policy = policy.as_ref().map(|(file, _)| file.path().display().to_string()),
            policy_version = policy.as_ref().map(|_| config.version.as_str()),
            origins = in_words(&config.cors.origins),
            try_it = self.sample().ok(),
            "listening"
        );
    }

    /// A warning that clients which expect the default port don't reach this program.
    fn other_port(&self) -> Option<String> {
        (self.is_default && self.address.port() != DEFAULT_PORT).then(|| {
            format!(
                "port {DEFAULT_PORT} is in use, so this is port {}: choose one with --listen 127.0.0.1:PORT",
                self.address.port()
            )
        })
    }

    /// The projects with a name.
    fn projects(&self) -> Option<String> {
        let projects =
            self.service.keys.iter().map(SigningKeys::project).filter(|project| !project.is_default());
        let projects: Vec<_> = projects.map(ToString::to_string).collect();
        (!projects.is_empty()).then(|| projects.join(", "))
    }

    fn url(&self, address: SocketAddr) -> String {
        format!("http://{address}{}", self.service.config.http.base_path.as_str())
    }

    fn sample(&self) -> Result<String, &'static str> {
        let mut address = self.address;
        // All addresses of the machine include its loopback address.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        sample::curl(&self.url(address), &self.service.config, self.service.authentication.always())
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
