//! The table of served routes, which finds the route of a request. Used by the endpoint and by `roompass explain`.

use std::borrow::Cow;

use axum::http::Method;
use matchit::Router;
use percent_encoding::percent_decode_str;

use super::{Reply, Route, Row};
use roompass_core::config::Dialect;

/// The served routes.
pub struct Routes {
    base_path: String,
    router: Router<Vec<Target>>,
    served: Vec<(&'static Row, &'static Route)>,
}

/// What a path is for.
#[derive(Clone, Copy)]
enum Target {
    Token(&'static Row, &'static Route),
    Ping(&'static Row, fn() -> Reply),
    Health,
}

/// The route of a request.
pub enum Found {
    /// A route that returns tokens.
    Token(&'static Row, &'static Route, PathParameters),
    /// A dialect's ping route.
    Ping(&'static Row, fn() -> Reply),
    /// The health check.
    Health,
    /// The path has other methods: these, separated by commas.
    OtherMethod(String),
    /// No route has this path.
    Nothing,
}

/// The decoded path parameters.
#[derive(Debug, Default)]
pub struct PathParameters(Vec<(String, Option<String>)>);

impl PathParameters {
    /// The parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_deref())
    }

    /// Whether all parameters are percent-encoded UTF-8.
    #[must_use]
    pub fn are_utf8(&self) -> bool {
        self.0.iter().all(|(_, value)| value.is_some())
    }
}

impl Routes {
    /// The routes of these dialects, below a base path.
    ///
    /// # Panics
    /// If two routes conflict; a test shows that none do.
    #[must_use]
    pub fn new(dialects: &[Dialect], base_path: &str) -> Self {
        let rows: Vec<_> = dialects.iter().map(|dialect| Row::of(*dialect)).collect();
        let served: Vec<_> =
            rows.iter().flat_map(|row| row.routes.iter().map(move |route| (*row, route))).collect();
        let tokens = served.iter().map(|(row, route)| (route.path, Target::Token(row, route)));
        let pings =
            rows.iter().filter_map(|row| row.ping.map(|(path, reply)| (path, Target::Ping(row, reply))));
        let mut targets: Vec<(String, Vec<Target>)> = Vec::new();
        for (path, target) in tokens.chain(pings).chain([(HEALTH, Target::Health)]) {
            let path = format!("{base_path}{path}");
            match targets.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => known.push(target),
                None => targets.push((path, vec![target])),
            }
        }
        let mut router = Router::new();
        for (path, targets) in targets {
            router.insert(path, targets).expect("no two routes of the table conflict");
        }
        Self { base_path: base_path.to_owned(), router, served }
    }

    /// Finds the route of a request.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(matched) = self.router.at(path) else { return Found::Nothing };
        match matched.value.iter().find(|target| target.methods().contains(method)) {
            Some(Target::Token(row, route)) => Found::Token(row, route, decoded(&matched.params)),
            Some(Target::Ping(row, reply)) => Found::Ping(row, *reply),
            Some(Target::Health) => Found::Health,
            None => {
                let methods = matched.value.iter().flat_map(Target::methods);
                Found::OtherMethod(methods.map(Method::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Finds the token route at a path, with either method.
    #[must_use]
    pub fn at(&self, path: &str) -> Found {
        let found = [Method::POST, Method::GET].into_iter().map(|method| self.find(&method, path));
        found.into_iter().find(|found| matches!(found, Found::Token(..))).unwrap_or(Found::Nothing)
    }

    /// The method and full path of each token route. If a path is also served with a trailing slash, only the path
    /// without the slash is listed.
    pub fn served(&self) -> impl Iterator<Item = (&Method, String)> {
        let listed = self.served.iter().filter(|(_, route)| !route.path.ends_with('/'));
        listed.map(|(_, route)| (&route.method, format!("{}{}", self.base_path, route.path)))
    }
}

impl Target {
    fn methods(&self) -> &[Method] {
        match self {
            Self::Token(_, route) => std::slice::from_ref(&route.method),
            // No HEAD: it would sign a token that isn't returned.
            Self::Ping(..) | Self::Health => &[Method::GET, Method::HEAD],
        }
    }
}

fn decoded(parameters: &matchit::Params<'_, '_>) -> PathParameters {
    let decode = |value: &str| percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned);
    PathParameters(parameters.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect())
}

const HEALTH: &str = "/healthz";
