//! What was checked, and the findings: each with what is wrong, why, and how to fix it.

use serde_json::{Value, json};

use crate::screen::Page;

/// The result of one check.
#[derive(Debug)]
pub(super) enum Entry {
    /// Nothing is wrong.
    Fine(String),
    /// The check can't be made, with what it needs.
    Skipped(String),
    /// Something is wrong.
    Found(Finding),
}

/// Something that is wrong.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) fix: String,
}

impl Entry {
    /// A finding.
    pub(super) fn found(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Found(Finding { what: what.into(), why: why.into(), fix: fix.into() })
    }
}

/// The results in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Entry>);

impl Report {
    pub(super) fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    pub(super) fn fine(&mut self, text: impl Into<String>) {
        self.add(Entry::Fine(text.into()));
    }

    pub(super) fn skipped(&mut self, text: impl Into<String>) {
        self.add(Entry::Skipped(text.into()));
    }

    /// How many findings there are.
    pub(super) fn findings(&self) -> usize {
        self.0.iter().filter(|entry| matches!(entry, Entry::Found(_))).count()
    }

    /// Lines for people.
    pub(super) fn page(&self) -> Page {
        let mut page = Page::default();
        for entry in &self.0 {
            match entry {
                Entry::Fine(text) => page.wrapped("ok       ", text),
                Entry::Skipped(text) => page.wrapped("skipped  ", text),
                Entry::Found(Finding { what, why, fix }) => {
                    page.wrapped("FINDING  ", what);
                    page.wrapped("   why   ", why);
                    page.wrapped("   fix   ", fix);
                }
            }
        }
        page.line("");
        page.line(match self.findings() {
            0 => "No findings".to_owned(),
            1 => "1 finding".to_owned(),
            findings => format!("{findings} findings"),
        });
        page
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        let entries = self.0.iter().map(|entry| match entry {
            Entry::Fine(text) => json!({ "result": "ok", "what": text }),
            Entry::Skipped(text) => json!({ "result": "skipped", "what": text }),
            Entry::Found(Finding { what, why, fix }) => {
                json!({ "result": "finding", "what": what, "why": why, "fix": fix })
            }
        });
        json!({ "findings": self.findings(), "checks": entries.collect::<Vec<_>>() })
    }
}
