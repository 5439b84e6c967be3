//! CloudWatch's embedded metric format: a line of JSON in the log of the Lambda function, from which CloudWatch makes
//! metrics. The names and the limits are in AWS' specification of the format.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Issued, IssuerFetch, Outcome, Recorder, Request};
use crate::escape::escaped;

/// Writes each request and each fetch as lines.
pub struct Emf<W> {
    function: String,
    write: W,
}

impl<W: Fn(&str)> Emf<W> {
    /// Lines for the function of this name. `write` gets each whole line with its newline.
    pub fn new(function: &str, write: W) -> Self {
        Self { function: dimension(function), write }
    }

    fn write(&self, line: Line) {
        let Line { now, directives, mut members } = line;
        members.insert(FUNCTION.to_owned(), self.function.clone().into());
        let metadata = json!({ "Timestamp": now.saturating_mul(1_000), "CloudWatchMetrics": directives });
        members.insert("_aws".to_owned(), metadata);
        (self.write)(&format!("{}\n", escaped(&Value::Object(members).to_string())));
    }
}

impl<W: Fn(&str) + Send + Sync> Recorder for Emf<W> {
    fn request(&self, &Request { now, duration, ref outcome }: &Request<'_>) {
        let mut line = Line::at(now);
        line.measure(("Duration", MILLISECONDS), duration.as_secs_f64() * 1_000.0, &[]);
        match outcome {
            Outcome::Issued(issued) => self.issued(line, issued),
            Outcome::Refused { code, status } => {
                line.dimension("code", code);
                line.dimension("status", &status.to_string());
                line.measure(("Refusals", COUNT), 1, &["code", "status"]);
                self.write(line);
            }
        }
    }

    fn issuer_fetch(&self, fetch: &IssuerFetch<'_>) {
        let mut line = Line::at(fetch.now);
        line.dimension("caller", fetch.caller);
        line.measure(("IssuerFetches", COUNT), 1, &["caller"]);
        line.measure(("IssuerFetchFailures", COUNT), u8::from(fetch.result.is_err()), &["caller"]);
        self.write(line);
    }
}

impl<W: Fn(&str)> Emf<W> {
    /// Adds tokens to the line of a request, and writes it. A line has one value for each dimension, so tokens by other rules
    /// are in lines of their own.
    fn issued(&self, mut line: Line, issued: &Issued<'_>) {
        if let Some(age) = issued.keys_age {
            line.measure(("SigningKeysAge", "Seconds"), age, &["project"]);
        }
        let mut by_rule: BTreeMap<&str, u32> = BTreeMap::new();
        for rule in issued.rules {
            *by_rule.entry(rule).or_default() += 1;
        }
        for (rule, tokens) in by_rule {
            let next = Line::at(line.now);
            line.dimension("rule", rule);
            line.dimension("caller", issued.caller);
            line.dimension("dialect", issued.dialect);
            line.dimension("project", issued.project);
            line.measure(("TokensIssued", COUNT), tokens, &["rule", "caller", "dialect", "project"]);
            self.write(std::mem::replace(&mut line, next));
        }
    }
}

/// A line that is being made.
struct Line {
    now: u64,
    directives: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    fn at(now: u64) -> Self {
        Self { now, directives: Vec::new(), members: Map::new() }
    }

    fn dimension(&mut self, name: &str, value: &str) {
        self.members.insert(name.to_owned(), dimension(value).into());
    }

    /// Adds a metric: for the function, and for the function with each of these dimensions.
    fn measure(&mut self, (name, unit): (&str, &str), value: impl Into<Value>, dimensions: &[&str]) {
        let sets = std::iter::once(vec![FUNCTION]).chain(dimensions.iter().map(|name| vec![FUNCTION, name]));
        self.directives.push(json!({
            "Namespace": NAMESPACE,
            "Dimensions": sets.collect::<Vec<_>>(),
            "Metrics": [{ "Name": name, "Unit": unit }],
        }));
        self.members.insert(name.to_owned(), value.into());
    }
}

/// A dimension's value as CloudWatch accepts it: printable ASCII, not blank, at most [`MAX_VALUE`] characters. Other characters
/// are escaped, so that two names never become the same value unless they are longer.
fn dimension(name: &str) -> String {
    let is_blank = name.trim().is_empty();
    let mut value = String::with_capacity(name.len());
    for char in name.chars() {
        if (char.is_ascii_graphic() && char != '\\') || (char == ' ' && !is_blank) {
            value.push(char);
        } else {
            value.extend(char.escape_unicode());
        }
    }
    if value.is_empty() {
        value.push('-');
    }
    value.truncate(MAX_VALUE);
    value
}

const NAMESPACE: &str = "Roompass";
const FUNCTION: &str = "FunctionName";
const COUNT: &str = "Count";
const MILLISECONDS: &str = "Milliseconds";
/// The limit of CloudWatch for a dimension's value.
const MAX_VALUE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dimension_is_printable_ascii_and_different_for_different_names() {
        for (name, value) in [
            ("open demo", "open demo"),
            ("a\"b", "a\"b"),
            ("Gäste", "G\\u{e4}ste"),
            ("G\\u{e4}ste", "G\\u{5c}u{e4}ste"),
            ("a\nb\u{7f}", "a\\u{a}b\\u{7f}"),
            ("", "-"),
            ("  ", "\\u{20}\\u{20}"),
        ] {
            assert_eq!(dimension(name), value);
        }
        assert_eq!(dimension(&"x".repeat(2_000)).len(), MAX_VALUE);
        assert_eq!(dimension(&"é".repeat(2_000)).len(), MAX_VALUE);
    }
}
