//! The table of served routes, which finds the route of a request. Used by the endpoint and by `roompass explain`.

use std::borrow::Cow;

use axum::http::Method;
use matchit::Router;
use percent_encoding::percent_decode_str;

use super::{Reply, Route, Row, TABLE};
use roompass_core::config::Dialect;

/// The served routes.
pub struct Routes {
    base_path: String,
    matching: PathMatching,
    router: Router<Place>,
    served: Vec<(&'static Row, &'static Route)>,
}

/// Which spellings of a path reach its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMatching {
    /// The exact path.
    Exact,
    /// Also the path with extra slashes: repeated ones before the first parameter, and trailing ones. Nothing else is
    /// normalized: neither case, nor `.`, `..`, `;` or percent-encoding.
    ExtraSlashes,
}

/// A path of the table, and what it is for.
struct Place {
    /// The position of the slash before the first parameter, if the path has one.
    parameters: Option<usize>,
    targets: Vec<Target>,
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
    pub fn new(dialects: &[Dialect], base_path: &str, matching: PathMatching) -> Self {
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
            let place = Place { parameters: path.find("/{"), targets };
            router.insert(path, place).expect("no two routes of the table conflict");
        }
        Self { base_path: base_path.to_owned(), matching, router, served }
    }

    /// Finds the route of a request.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let normalized = match self.matching {
            PathMatching::Exact => Cow::Borrowed(path),
            PathMatching::ExtraSlashes => without_extra_slashes(path),
        };
        let Ok(matched) = self.router.at(&normalized) else { return Found::Nothing };
        let Place { parameters, targets } = matched.value;
        if parameters.is_some_and(|at| !has_parameters(path, &normalized[at..])) {
            return Found::Nothing;
        }
        match targets.iter().find(|target| target.methods().contains(method)) {
            Some(Target::Token(row, route)) => Found::Token(row, route, decoded(&matched.params)),
            Some(Target::Ping(row, reply)) => Found::Ping(row, *reply),
            Some(Target::Health) => Found::Health,
            None => {
                let methods = targets.iter().flat_map(Target::methods);
                Found::OtherMethod(methods.map(Method::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Finds the token route at a path: the one for requests with a body if there is a body, otherwise the other one. If
    /// the path has only one of them, that one.
    #[must_use]
    pub fn at(&self, path: &str, has_body: bool) -> Found {
        let methods = if has_body { [Method::POST, Method::GET] } else { [Method::GET, Method::POST] };
        let found = methods.into_iter().map(|method| self.find(&method, path));
        found.into_iter().find(|found| matches!(found, Found::Token(..))).unwrap_or(Found::Nothing)
    }

    /// The dialect that would have a route at this path, if it isn't served.
    #[must_use]
    pub fn unserved_dialect(&self, path: &str) -> Option<Dialect> {
        let is_served = |row: &Row| self.served.iter().any(|(served, _)| served.dialect == row.dialect);
        let others: Vec<_> = TABLE.iter().filter(|row| !is_served(row)).map(|row| row.dialect).collect();
        let others = Self::new(&others, &self.base_path, self.matching);
        [Method::POST, Method::GET].iter().find_map(|method| match others.find(method, path) {
            Found::Token(row, ..) | Found::Ping(row, _) => Some(row.dialect),
            _ => None,
        })
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

/// The path with single slashes and without a trailing slash.
fn without_extra_slashes(path: &str) -> Cow<'_, str> {
    let has_trailing = path.len() > 1 && path.ends_with('/');
    if !has_trailing && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    Cow::Owned(format!("/{}", segments.join("/")))
}

/// Whether the path ends with exactly these parameters, with or without a trailing slash. An empty parameter is never
/// removed: the next one would take its place.
fn has_parameters(path: &str, parameters: &str) -> bool {
    let path = if parameters.ends_with('/') { path } else { path.strip_suffix('/').unwrap_or(path) };
    path.strip_suffix(parameters).is_some_and(|before| !before.ends_with('/'))
}

fn decoded(parameters: &matchit::Params<'_, '_>) -> PathParameters {
    let decode = |value: &str| percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned);
    PathParameters(parameters.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect())
}

const HEALTH: &str = "/healthz";

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(base_path: &str, matching: PathMatching) -> Routes {
        let dialects: Vec<_> = super::super::TABLE.iter().map(|row| row.dialect).collect();
        Routes::new(&dialects, base_path, matching)
    }

    /// The path of the route, and its parameters in order.
    fn found(routes: &Routes, path: &str) -> Option<(&'static str, Vec<String>)> {
        match routes.at(path, false) {
            Found::Token(_, route, PathParameters(values)) => {
                Some((route.path, values.into_iter().map(|(_, value)| value.unwrap()).collect()))
            }
            _ => None,
        }
    }

    #[test]
    fn extra_slashes_reach_the_same_route_and_nothing_else_is_normalized() {
        for base_path in ["", "/calls", "/v1/calls"] {
            let (lenient, exact) =
                (routes(base_path, PathMatching::ExtraSlashes), routes(base_path, PathMatching::Exact));
            for path in
                ["//getToken", "/getToken/", "/getToken//", "///getToken///", "//api//token//", "/api/token/"]
            {
                let path = format!("{base_path}{path}");
                assert_eq!(found(&lenient, &path).unwrap().1, [""; 0], "{path}");
                assert!(found(&exact, &path).is_none(), "{path}");
            }
            for path in [
                "/gettoken/",
                "/./getToken",
                "/x/../getToken/",
                "/getToken;/",
                "/%2FgetToken",
                "/getToken%2F",
                "//",
            ] {
                assert!(found(&lenient, &format!("{base_path}{path}")).is_none(), "{base_path}{path}");
            }
        }
        assert!(found(&routes("/v1/calls", PathMatching::ExtraSlashes), "//v1///calls//getToken").is_some());
    }

    #[test]
    fn an_empty_parameter_is_refused_and_never_replaced_by_the_next_one() {
        for base_path in ["", "/calls"] {
            let routes = routes(base_path, PathMatching::ExtraSlashes);
            for (path, parameters) in [
                ("/agora/rtc/c/publisher/uid/1", &["c", "publisher", "uid", "1"][..]),
                ("/agora/rtc/c/publisher/uid/1/", &["c", "publisher", "uid", "1"]),
                ("//agora//rtc/c/publisher/uid/1/", &["c", "publisher", "uid", "1"]),
                ("//agora///rte/c/1/uid/1/ada/", &["c", "1", "uid", "1", "ada"]),
                ("/agora//chat//account/ada", &["ada"]),
                ("/agora//rtm/ada/", &["ada"]),
                ("/agora/rtm/rtm/", &["rtm"]),
            ] {
                let path = format!("{base_path}{path}");
                assert_eq!(found(&routes, &path).expect(&path).1, parameters, "{path}");
            }
            for path in [
                "/agora/rtc//publisher/uid/1",
                "/agora/rtc//c/publisher/uid/1",
                "/agora/rtc/c//uid/1/",
                "/agora/rtc/c/publisher//1/",
                "/agora/rtc/c/publisher/uid//",
                "/agora/rtc/c/publisher/uid/1//",
                "/agora/rte//publisher/uid/1/2",
                "/agora/rte/c/publisher/uid//5",
                "/agora/rte/c/publisher/uid//5/",
                "/agora/rte/c/publisher/uid/1//",
                "/agora/rte/c/publisher/uid/1//2",
                "/agora/rtm//ada",
                "/agora/rtm//",
                "/agora/rtm/ada//",
                "/agora/chat/account//ada",
            ] {
                assert!(found(&routes, &format!("{base_path}{path}")).is_none(), "{base_path}{path}");
            }
        }
    }
}
