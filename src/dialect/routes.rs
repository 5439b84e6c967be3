//! Which route a request is for: one table of the served routes, for the endpoint and for `explain`.

use std::borrow::Cow;

use axum::http::Method;
use matchit::Router;
use percent_encoding::percent_decode_str;

use super::{Reply, Route, Row};
use roompass_core::config::Dialect;

/// The routes that are served.
pub struct Routes {
    base_path: String,
    router: Router<Vec<Place>>,
    served: Vec<(&'static Row, &'static Route)>,
}

/// What a path can be.
#[derive(Clone, Copy)]
enum Place {
    Token(&'static Row, &'static Route),
    Ping(&'static Row, fn() -> Reply),
    Health,
}

/// What a request is for.
pub enum Found {
    /// A token, at a route of a dialect.
    Token(&'static Row, &'static Route, PathParameters),
    /// Whether the service is there, as a dialect's clients ask.
    Ping(&'static Row, fn() -> Reply),
    /// Whether tokens can be signed.
    Health,
    /// A path that is served with other methods: these.
    OtherMethod(String),
    /// Nothing that is served.
    Nothing,
}

/// The parameters in a path, by name.
#[derive(Debug, Default)]
pub struct PathParameters(Vec<(String, Option<String>)>);

impl PathParameters {
    /// A parameter; none where the route has none of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.as_deref())
    }

    /// Whether each is percent-encoded UTF-8.
    #[must_use]
    pub fn are_readable(&self) -> bool {
        self.0.iter().all(|(_, value)| value.is_some())
    }
}

impl Routes {
    /// The routes of these dialects, below a base path.
    ///
    /// # Panics
    /// Where two routes have one path, which a test shows that they don't.
    #[must_use]
    pub fn new(dialects: &[Dialect], base_path: &str) -> Self {
        let rows: Vec<_> = dialects.iter().map(|dialect| Row::of(*dialect)).collect();
        let served: Vec<_> =
            rows.iter().flat_map(|row| row.routes.iter().map(move |route| (*row, route))).collect();
        let tokens = served.iter().map(|(row, route)| (route.path, Place::Token(row, route)));
        let pings =
            rows.iter().filter_map(|row| row.ping.map(|(path, reply)| (path, Place::Ping(row, reply))));
        let mut places: Vec<(String, Vec<Place>)> = Vec::new();
        for (path, place) in tokens.chain(pings).chain([(HEALTH, Place::Health)]) {
            let path = format!("{base_path}{path}");
            match places.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => known.push(place),
                None => places.push((path, vec![place])),
            }
        }
        let mut router = Router::new();
        for (path, places) in places {
            router.insert(path, places).expect("the routes of the table have paths of their own");
        }
        Self { base_path: base_path.to_owned(), router, served }
    }

    /// What a request is for, by its method and path.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(matched) = self.router.at(path) else { return Found::Nothing };
        match matched.value.iter().find(|place| place.methods().contains(method)) {
            Some(Place::Token(row, route)) => Found::Token(row, route, decoded(&matched.params)),
            Some(Place::Ping(row, reply)) => Found::Ping(row, *reply),
            Some(Place::Health) => Found::Health,
            None => {
                let methods = matched.value.iter().flat_map(Place::methods);
                Found::OtherMethod(methods.map(Method::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The route of a request whose method is unknown.
    #[must_use]
    pub fn at(&self, path: &str) -> Found {
        let found = [Method::POST, Method::GET].into_iter().map(|method| self.find(&method, path));
        found.into_iter().find(|found| matches!(found, Found::Token(..))).unwrap_or(Found::Nothing)
    }

    /// Each route to a token, with its method and its whole path. Of two paths that differ by a slash at their end, the
    /// one without.
    pub fn served(&self) -> impl Iterator<Item = (&Method, String)> {
        let written = self.served.iter().filter(|(_, route)| !route.path.ends_with('/'));
        written.map(|(_, route)| (&route.method, format!("{}{}", self.base_path, route.path)))
    }
}

impl Place {
    fn methods(&self) -> &[Method] {
        match self {
            Self::Token(_, route) => std::slice::from_ref(&route.method),
            // A HEAD for a token would make one that no client gets.
            Self::Ping(..) | Self::Health => &[Method::GET, Method::HEAD],
        }
    }
}

fn decoded(parameters: &matchit::Params<'_, '_>) -> PathParameters {
    let decode = |value: &str| percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned);
    PathParameters(parameters.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect())
}

const HEALTH: &str = "/healthz";
