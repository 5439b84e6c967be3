//! The output of the commands. Each line is escaped, and only a [`Page`] starts a new one, so claims, files, requests and
//! arguments can neither control the terminal nor forge a line.

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
    /// Adds one line, even if the text contains newlines.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.0 += &escaped(text.as_ref());
        self.0.push('\n');
    }

    /// Adds one line for each text.
    pub(crate) fn lines(&mut self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        texts.into_iter().for_each(|text| self.line(text));
    }

    /// Adds a label and a wrapped text. The other lines of the text are indented like its first.
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

    /// Adds indented JSON. Escaping doesn't change its value.
    pub(crate) fn json(&mut self, value: &Value) {
        // In strings, JSON escapes newlines itself.
        self.lines(format!("{value:#}").lines());
    }

    /// Adds a table with one line for the heads and for each row.
    pub(crate) fn table<const COLUMNS: usize>(
        &mut self,
        heads: [&str; COLUMNS],
        rows: Vec<[String; COLUMNS]>,
    ) {
        let rows: Vec<_> = iter::once(heads.map(str::to_uppercase)).chain(rows).collect();
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

    /// Adds the lines of another page.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// The lines.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Writes the page to standard output.
    pub(crate) fn print(&self) {
        // The reader may have closed it, as `head` does.
        let _ = io::stdout().lock().write_all(self.0.as_bytes());
    }
}

/// Writes a note to standard error, in one line.
pub(crate) fn print_note(note: &str) {
    let _ = writeln!(io::stderr().lock(), "roompass: note: {}", escaped(note));
}

/// Writes an error to standard error, in one line; for the configuration, one line for each mistake.
pub(crate) fn print_error(error: &(dyn Error + 'static)) {
    let mut causes = iter::successors(Some(error), |&error| error.source());
    let of_config = causes.find_map(|cause| cause.downcast_ref::<ConfigError>());
    let lines = of_config.map_or_else(|| vec![error.to_string()], ConfigError::lines);
    for line in lines {
        let _ = writeln!(io::stderr().lock(), "roompass: {}", escaped(&line));
    }
}

const WIDTH: usize = 110;
