//! Questions on a terminal. They are printed on standard error, because standard output may be the file.

use std::io::{self, BufRead, Write};

use roompass::escape::escaped;

/// A terminal: answers are read from one side, and questions are written to the other.
pub(super) struct Interview<R, W> {
    input: R,
    output: W,
}

impl<R: BufRead, W: Write> Interview<R, W> {
    pub(super) fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "{}", escaped(line))
    }

    /// Asks until the answer can be read. An empty answer is the default.
    ///
    /// # Errors
    /// If the terminal is closed, as Ctrl-D does.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        let shown = default.map_or_else(String::new, |default| format!(" [{default}]"));
        loop {
            write!(self.output, "{}{}: ", escaped(question), escaped(&shown))?;
            self.output.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                writeln!(self.output)?;
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let answer =
                Some(line.trim()).filter(|answer| !answer.is_empty()).or(default).unwrap_or_default();
            match read(answer) {
                Ok(answer) => return Ok(answer),
                Err(problem) => self.say(&format!("  {problem}"))?,
            }
        }
    }
}
