//! `openapi.yaml` describes the routes, the fields, the errors and the headers of the code, and no others. Its examples are
//! requests that get the described responses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use roompass::dialect::{PathMatching, Routes, TABLE};
use roompass::domain::Grants;
use roompass::http::PROBLEM_KINDS;
use serde_json::{Value, json};

use crate::support::{Answer, OPEN, agora_secret, send, service_with};

const API: &str = include_str!("../../docs/api.md");

/// The document, with each reference to a component replaced by it.
fn document() -> Value {
    let document: Value = serde_saphyr::from_str(include_str!("../../openapi.yaml")).unwrap();
    resolved(&document, &document)
}

fn resolved(value: &Value, document: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("$ref") {
            Some(path) => {
                let path = path.as_str().unwrap().strip_prefix('#').unwrap();
                resolved(document.pointer(path).unwrap_or_else(|| panic!("no {path}")), document)
            }
            None => members.iter().map(|(name, value)| (name.clone(), resolved(value, document))).collect(),
        },
        Value::Array(elements) => elements.iter().map(|element| resolved(element, document)).collect(),
        other => other.clone(),
    }
}

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    parameters: Vec<Value>,
    content: Value,
}

impl Operation {
    fn all(document: &Value) -> Vec<Self> {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let list = |of: &Value| of["parameters"].as_array().cloned().unwrap_or_default();
            for (method, content) in item.as_object().unwrap() {
                let Ok(method @ (Method::GET | Method::POST | Method::OPTIONS)) =
                    method.to_uppercase().parse()
                else {
                    assert!(["parameters", "servers"].contains(&method.as_str()), "{path}: {method}");
                    continue;
                };
                let parameters = [list(item), list(content)].concat();
                all.push(Self { method, path: path.clone(), parameters, content: content.clone() });
            }
        }
        all
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn parameters_in(&self, place: &'static str) -> impl Iterator<Item = &Value> {
        self.parameters.iter().filter(move |parameter| parameter["in"] == place)
    }

    /// The names of what a request can have in this place, or in the body.
    fn fields(&self) -> BTreeSet<String> {
        let body = &self.content["requestBody"]["content"]["application/json"]["schema"]["properties"];
        match body.as_object() {
            Some(members) => members.keys().cloned().collect(),
            None => self.parameters_in("query").map(|parameter| name(parameter).to_owned()).collect(),
        }
    }

    /// The examples of the body, by name. Without a body, one example.
    fn examples(&self) -> Vec<(String, Option<Value>)> {
        let body = &self.content["requestBody"]["content"]["application/json"]["examples"];
        match body.as_object() {
            Some(examples) => examples
                .iter()
                .map(|(name, example)| (name.clone(), Some(example["value"].clone())))
                .collect(),
            None => vec![("usual".to_owned(), None)],
        }
    }

    /// A request with the examples of the required parameters, this body, and more in its query.
    fn request(&self, body: Option<&Value>, more: &str) -> Request<Body> {
        let mut path = self.path.clone();
        for parameter in self.parameters_in("path") {
            path = path.replace(&format!("{{{}}}", name(parameter)), &example(parameter));
        }
        let mut query: Vec<_> = self
            .parameters_in("query")
            .filter(|parameter| {
                parameter["required"] == true && !more.contains(&format!("{}=", name(parameter)))
            })
            .map(|parameter| format!("{}={}", name(parameter), example(parameter)))
            .collect();
        query.extend((!more.is_empty()).then(|| more.to_owned()));
        let mut request =
            Request::builder().method(self.method.clone()).uri(format!("{path}?{}", query.join("&")));
        for parameter in self.parameters_in("header") {
            request = request.header(name(parameter), parameter["example"].as_str().unwrap());
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()
    }

    fn gets_a_token(&self) -> bool {
        Routes::new(&dialects(), "", PathMatching::Exact)
            .served()
            .any(|(method, path)| *method == self.method && path == self.path)
    }
}

fn name(parameter: &Value) -> &str {
    parameter["name"].as_str().unwrap()
}

fn example(parameter: &Value) -> String {
    let example =
        parameter["example"].as_str().unwrap_or_else(|| panic!("{} has no example", name(parameter)));
    utf8_percent_encode(example, NON_ALPHANUMERIC).to_string()
}

fn dialects() -> Vec<roompass::config::Dialect> {
    TABLE.iter().map(|row| row.dialect).collect()
}

/// A service with every dialect that allows every request.
fn open() -> Router {
    let names: Vec<_> = dialects().into_iter().map(|dialect| json!(dialect.as_str()).to_string()).collect();
    let config = format!(
        "dialects = [{}]\nsandbox.ids = [\"development\"]\ncors.origins = [\"*\"]\n{OPEN}agora_logins = [\"rtm\", \"chat\"]\n",
        names.join(", ")
    );
    service_with(&config, &agora_secret())
}

#[test]
fn it_has_every_route_and_no_other() {
    let document = document();
    let documented: BTreeSet<_> = Operation::all(&document).iter().map(Operation::name).collect();
    let routes = Routes::new(&dialects(), "", PathMatching::Exact);
    let tokens: Vec<_> = routes.served().map(|(method, path)| (method.clone(), path)).collect();
    let pings = TABLE.iter().filter_map(|row| row.ping.map(|(path, _)| path));
    let others =
        pings.chain(["/", "/healthz", "/livez", "/metrics"]).map(|path| (Method::GET, path.to_owned()));
    let preflights = tokens.iter().map(|(_, path)| (Method::OPTIONS, path.clone()));
    let expected = tokens.iter().cloned().chain(preflights).chain(others);
    let expected: BTreeSet<_> = expected.map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(documented, expected);

    let braces = Regex::new(r"\{(\w+)\}").unwrap();
    for operation in Operation::all(&document) {
        let in_path: BTreeSet<_> =
            braces.captures_iter(&operation.path).map(|found| found[1].to_owned()).collect();
        let listed: BTreeSet<_> =
            operation.parameters_in("path").map(|parameter| name(parameter).to_owned()).collect();
        assert_eq!(in_path, listed, "{}", operation.name());
        let tag = operation.content["tags"][0].as_str().unwrap();
        let of_dialect = TABLE.iter().find(|row| {
            row.routes.iter().any(|route| route.path == operation.path && route.method == operation.method)
        });
        if let Some(row) = of_dialect {
            assert_eq!(tag, row.dialect.as_str(), "{}", operation.name());
        }
    }
}

#[test]
fn it_has_every_error_code_with_the_texts_of_the_document() {
    let document = document();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let codes = document["components"]["schemas"]["ErrorCode"]["oneOf"].as_array().unwrap();
    let documented: Vec<_> = codes
        .iter()
        .map(|code| {
            let description = text(&code["description"]);
            let (status, cause) = description.split_once(": ").unwrap();
            (status.parse::<u16>().unwrap(), text(&code["const"]), text(&code["title"]), cause.to_owned())
        })
        .collect();
    let kinds: Vec<_> =
        PROBLEM_KINDS.iter().map(|kind| (kind.status.as_u16(), kind.code, kind.title)).collect();
    let without_causes: Vec<_> =
        documented.iter().map(|(status, code, title, _)| (*status, code.as_str(), title.as_str())).collect();
    assert_eq!(BTreeSet::from_iter(&without_causes), BTreeSet::from_iter(&kinds));
    assert_eq!(documented.len(), kinds.len());

    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    for (status, code, title, cause) in documented {
        let row = format!("| {status} | `{code}` | {title} | ");
        let cells = API.lines().find_map(|line| line.strip_prefix(&row)).unwrap();
        let of_api = link.replace_all(cells.split(" | ").next().unwrap(), "$1");
        assert_eq!(cause, format!("{of_api}."), "{code}");
    }
}

#[test]
fn the_fields_of_the_standard_request_are_those_of_the_document() {
    let row = Regex::new(r"(?m)^\| `(\w+)` \| .* \| .* \| .* \|$").unwrap();
    let section = API.split("## Request\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let listed: BTreeSet<_> = row.captures_iter(section).map(|found| found[1].to_owned()).collect();
    let document = document();
    let properties = document["components"]["schemas"]["StandardRequest"]["properties"].as_object().unwrap();
    assert_eq!(properties.keys().cloned().collect::<BTreeSet<_>>(), listed);
}

#[test]
fn it_has_every_grant() {
    fn names(schema: &Value, prefix: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (name, schema) in schema["properties"].as_object().unwrap() {
            let path = format!("{prefix}{name}");
            match schema.get("properties") {
                Some(_) => all.extend(names(schema, &format!("{path}."))),
                None => drop(all.insert(path)),
            }
        }
        all
    }
    let document = document();
    let known: BTreeSet<_> =
        Grants::default().effective().into_iter().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(names(&document["components"]["schemas"]["Grants"], ""), known);
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

/// Each name in the code of the dialects and of the domain, in both spellings.
fn names_in_code() -> BTreeSet<String> {
    let literal = Regex::new("\"([A-Za-z][A-Za-z_]{1,40})\"").unwrap();
    let mut names = BTreeSet::new();
    for folder in ["src/dialect", "core/src/domain"] {
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            names.extend(literal.captures_iter(code).map(|found| found[1].to_owned()));
        }
    }
    let camel: Vec<_> = names.iter().map(|name| camel_case(name)).collect();
    names.extend(camel);
    assert!(names.len() > 100 && names.contains("participantMetadata") && names.contains("expire"));
    names
}

#[tokio::test]
async fn it_has_every_field_that_a_route_reads_and_no_other() {
    let (document, service, names) = (document(), open(), names_in_code());
    for operation in Operation::all(&document).iter().filter(|operation| operation.gets_a_token()) {
        let mut documented = operation.fields();
        // The standard fields have a second spelling.
        if documented.contains("room_name") {
            documented = documented.iter().flat_map(|name| [name.clone(), camel_case(name)]).collect();
        }
        let mut read = BTreeSet::new();
        for name in names.iter().chain(&documented) {
            // A wrong type, or a value that is sent twice.
            let request = match operation.examples().swap_remove(0).1 {
                Some(mut body) => {
                    body[name] = json!([7]);
                    operation.request(Some(&body), "")
                }
                None => operation.request(None, &format!("{name}=a&{name}=b")),
            };
            if send(&service, request).await.header("x-error-code") == "invalid_field" {
                read.insert(name.clone());
            }
        }
        assert_eq!(read, documented, "{}", operation.name());
    }
}

#[tokio::test]
async fn each_example_is_a_request_that_gets_its_response() {
    let (document, service) = (document(), open());
    let mut run = 0;
    for operation in Operation::all(&document) {
        // Other parts of `serve` respond there.
        if ["/livez", "/metrics"].contains(&operation.path.as_str()) {
            continue;
        }
        for (name, body) in operation.examples() {
            let answer = send(&service, operation.request(body.as_ref(), "")).await;
            let of = format!("{}: {name}", operation.name());
            let response = &operation.content["responses"][answer.status.as_str()];
            assert!(
                response.is_object(),
                "{of}: {}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
            assert_headers(response, &answer, &of);
            let media = answer.header("content-type");
            if operation.method == Method::OPTIONS {
                assert_eq!((answer.status.as_u16(), media), (204, ""), "{of}");
                continue;
            }
            let example = &response["content"][media]["examples"][&name]["value"];
            let body = String::from_utf8(answer.body.clone()).unwrap();
            if media.starts_with("application/json") {
                assert_eq!(shape(&answer.json()), shape(example), "{of}");
                assert_members(&answer.json(), &response["content"][media]["schema"], &of);
            } else {
                assert!(example.is_string() && !body.is_empty(), "{of}: {media}");
            }
            run += 1;
        }
    }
    assert!(run > 20, "{run}");
}

/// Each described header that isn't for some responses only is in the response, with its value.
fn assert_headers(response: &Value, answer: &Answer, of: &str) {
    for (name, header) in response["headers"].as_object().unwrap() {
        let value = answer.header(name);
        assert!(!value.is_empty(), "{of}: {name}");
        if let Some(constant) = header["schema"]["const"].as_str() {
            assert_eq!(value, constant, "{of}: {name}");
        }
    }
}

/// A value with its members, and with its types in place of its texts.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::String(_) => json!("string"),
        other => other.clone(),
    }
}

/// The members of an object are those that its schema describes, and it has the required ones.
fn assert_members(value: &Value, schema: &Value, of: &str) {
    let Value::Object(members) = value else { return };
    let described = schema["properties"].as_object().unwrap();
    assert!(members.keys().all(|name| described.contains_key(name)), "{of}: {value}");
    for required in schema["required"].as_array().unwrap() {
        assert!(members.contains_key(required.as_str().unwrap()), "{of}: {required}: {value}");
    }
}

#[tokio::test]
async fn each_error_is_in_one_of_the_described_formats() {
    let (document, service) = (document(), open());
    let requests = |operation: &Operation| {
        let with = |method: Method, headers: &[(&str, &str)], body: &str| {
            let mut request = operation.request(None, "");
            *request.method_mut() = method;
            for (name, value) in headers {
                let name: axum::http::HeaderName = name.parse().unwrap();
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            *request.body_mut() = Body::from(body.to_owned());
            request
        };
        let method = operation.method.clone();
        vec![
            (405, with(Method::DELETE, &[], "")),
            (401, with(method.clone(), &[("authorization", "Bearer x")], "")),
            (400, with(method.clone(), &[("authorization", "Bearer x"), ("x-api-key", "y")], "")),
            (413, with(method, &[("content-type", "application/json")], &" ".repeat(1024 * 1024 + 1))),
        ]
    };
    for operation in Operation::all(&document).iter().filter(|operation| operation.gets_a_token()) {
        for (status, request) in requests(operation) {
            let answer = send(&service, request).await;
            let of = format!("{}: {status}", operation.name());
            assert_eq!(answer.status.as_u16(), status, "{of}");
            let response = &operation.content["responses"]["4XX"];
            let schema = &response["content"][answer.header("content-type")]["schema"];
            assert!(schema.is_object(), "{of}: {}", answer.header("content-type"));
            if answer.header("content-type") != "text/plain; charset=utf-8" {
                assert_members(&answer.json(), schema, &of);
            }
            for header in ["X-Error-Code", "X-Request-Id", "X-Content-Type-Options"] {
                assert!(
                    response["headers"][header].is_object() && !answer.header(header).is_empty(),
                    "{of}: {header}"
                );
            }
            let only = [(401, "WWW-Authenticate"), (405, "Allow")];
            for (_, header) in only.iter().filter(|(of, _)| *of == status) {
                assert!(
                    response["headers"][header].is_object() && !answer.header(header).is_empty(),
                    "{of}: {header}"
                );
            }
        }
    }
}
