//! What a request asks for, read by the very route that the server would take it to.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri};
use axum::routing::{on, post};
use axum::{Extension, Router};
use roompass::config::{Config, Dialect};
use roompass::dialect::{self, Asking, BadRequest, Route, agora, sandbox, standard};
use roompass::domain::PassRequest;
use roompass::url;
use tower::ServiceExt;

/// A request, as far as it's told.
pub(super) struct Told<'a> {
    /// Where it's asked, below the base path.
    pub(super) path: Option<&'a str>,
    /// The sandbox that it's asked through.
    pub(super) sandbox: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// What it asks for.
pub(super) enum Asked {
    LiveKit(Box<PassRequest>),
    Agora(Vec<agora::Wanted>),
}

/// Why it isn't known what is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error("say where it's asked, with --path: {0}")]
    Nowhere(String),
    #[error("nothing is served at {path:?}, below the base path: {served}")]
    NotServed { path: String, served: String },
    #[error(
        "the path {0:?} can't be asked for: it begins with a slash, and is percent-encoded as a client sends it"
    )]
    NoPath(String),
    #[error(
        "the request can't be used: X-Sandbox-ID must name one of [sandbox] ids: add --sandbox and one of {0}"
    )]
    Sandbox(String),
    #[error("the request can't be used: {0}")]
    Request(#[from] BadRequest),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What a request asks for.
pub(super) fn read(told: &Told<'_>, config: &Config) -> Result<Asked, NotAsked> {
    let [usual, _] = standard::PATHS;
    let path = match told.path {
        Some(path) => path,
        None if config.dialects.contains(&Dialect::Standard) => usual,
        None => return Err(NotAsked::Nowhere(served(config))),
    };
    let uri = Some(path).filter(|path| path.starts_with('/')).and_then(|path| path.parse::<Uri>().ok());
    let uri = uri.ok_or_else(|| NotAsked::NoPath(url::shown(path).into_owned()))?;
    let no_place = || NotAsked::NotServed { path: url::shown(path).into_owned(), served: served(config) };
    match place(&uri, config)?.ok_or_else(no_place)? {
        Place::LiveKit(route) => {
            let mut headers = HeaderMap::new();
            if let Some(id) = told.sandbox.and_then(|id| HeaderValue::from_str(id).ok()) {
                headers.insert(sandbox::SANDBOX_ID, id);
            }
            let sandboxes = &config.sandbox.ids;
            let asking = Asking { headers: &headers, body: told.body, limits: &config.limits, sandboxes };
            let request = (route.read)(&asking).map_err(|error| match error {
                BadRequest::UnknownSandbox => NotAsked::Sandbox(sandboxes.join(", ")),
                other => other.into(),
            })?;
            Ok(Asked::LiveKit(Box::new(request)))
        }
        Place::Agora(route, path) => {
            let path = path.ok_or(BadRequest::Path)?;
            let query = uri.query().unwrap_or_default();
            let asking = agora::Asking { path: &path, query, body: told.body, limits: &config.limits };
            Ok(Asked::Agora((route.read)(&asking)?))
        }
    }
}

/// A route, and for Agora's the parameters in its path, where they can be read.
#[derive(Clone)]
enum Place {
    LiveKit(&'static Route),
    Agora(&'static agora::Route, Option<HashMap<String, String>>),
}

/// Where the server would take it. It's found by a router like the server's own, of the same routes.
fn place(uri: &Uri, config: &Config) -> Result<Option<Place>, std::io::Error> {
    let mut router = Router::new();
    for route in config.dialects.iter().flat_map(|dialect| dialect::routes(*dialect)) {
        router = router.route(route.path, post(async move || Extension(Place::LiveKit(route))));
    }
    if config.dialects.contains(&Dialect::Agora) {
        for route in &agora::ROUTES {
            let found = async move |path: Result<Path<HashMap<String, String>>, PathRejection>| {
                Extension(Place::Agora(route, path.ok().map(|Path(path)| path)))
            };
            router = router.route(route.path, on(route.method, found));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok([Method::POST, Method::GET].into_iter().find_map(|method| {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        let Ok(mut response) = runtime.block_on(router.clone().oneshot(request));
        response.extensions_mut().remove()
    }))
}

/// All the places where tokens are asked for.
fn served(config: &Config) -> String {
    let livekit =
        config.dialects.iter().flat_map(|dialect| dialect::routes(*dialect)).map(|route| route.path);
    let agora = agora::ROUTES.iter().map(|route| route.path);
    let agora = agora.filter(|path| config.dialects.contains(&Dialect::Agora) && !path.ends_with('/'));
    format!("dialects serves {}", livekit.chain(agora).collect::<Vec<_>>().join(", "))
}
