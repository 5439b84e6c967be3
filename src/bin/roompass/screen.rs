//! What the commands print. Everything goes through here, so text from outside (claims, files, requests, arguments) can
//! neither control the terminal nor forge a line: each line is escaped, and only a [`Page`] starts a new one.

use std::error::Error;
use std::io::{self, Write};
use std::iter;

use roompass::config::ConfigError;
use roompass::escape::escaped;
use serde_json::Value;

/// The lines of standard output.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// One line, whatever is in it.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.0 += &escaped(text.as_ref());
        self.0.push('\n');
    }

    /// A line each.
    pub(crate) fn lines(&mut self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        texts.into_iter().for_each(|text| self.line(text));
    }

    /// The label and a text after it, on as many lines as it takes; the further ones begin where the text does.
    pub(crate) fn wrapped(&mut self, label: &str, text: &str) {
        let (label, text) = (escaped(label), escaped(text));
        let start = label.chars().count();
        self.0 += &label;
        let mut column = start;
        for word in text.split(' ') {
            let width = word.chars().count();
            if column == start {
                self.0 += word;
                column += width;
            } else if column + 1 + width <= WIDTH {
                self.0.push(' ');
                self.0 += word;
                column += 1 + width;
            } else {
                self.0.push('\n');
                self.0 += &" ".repeat(start);
                self.0 += word;
                column = start + width;
            }
        }
        self.0.push('\n');
    }

    /// JSON, indented. It reads back as the same value.
    pub(crate) fn json(&mut self, value: &Value) {
        // A newline inside a string is escaped by JSON itself.
        self.lines(format!("{value:#}").lines());
    }

    /// A row a line below the heads, in columns.
    pub(crate) fn table<const COLUMNS: usize>(
        &mut self,
        heads: [&str; COLUMNS],
        rows: Vec<[String; COLUMNS]>,
    ) {
        let rows: Vec<_> = std::iter::once(heads.map(str::to_uppercase)).chain(rows).collect();
        let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| escaped(cell))).collect();
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        for row in &rows {
            let cells: Vec<_> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            self.line(cells.join("  ").trim_end());
        }
    }

    /// The lines of another, after these.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) {
        // A reader that has read enough may have closed it.
        let _ = io::stdout().lock().write_all(self.0.as_bytes());
    }
}

/// What went wrong, on standard error, in one line; of the configuration, each mistake in its own.
pub(crate) fn complain(error: &(dyn Error + 'static)) {
    let mut causes = iter::successors(Some(error), |&error| error.source());
    let of_config = causes.find_map(|cause| cause.downcast_ref::<ConfigError>());
    let lines = of_config.map_or_else(|| vec![error.to_string()], ConfigError::lines);
    for line in lines {
        let _ = writeln!(io::stderr().lock(), "roompass: {}", escaped(&line));
    }
}

const WIDTH: usize = 110;
