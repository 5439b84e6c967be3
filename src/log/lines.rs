//! The formatter of the log: each event is one line of text or JSON. Every field has a limit and is escaped, so that input
//! can neither control a terminal nor forge a line.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Format;
use crate::escape::escaped;

/// Writes each event as one line.
#[derive(Debug)]
pub struct Lines<W> {
    format: Format,
    write: W,
}

impl<W: Fn(&str)> Lines<W> {
    /// Lines in this format. `write` gets each whole line with its newline.
    pub fn new(format: Format, write: W) -> Self {
        Self { format, write }
    }
}

impl<S: Subscriber, W: Fn(&str) + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = EventFields::new(self.format);
        event.record(&mut fields);
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        let level = *event.metadata().level();
        let EventFields { message, others, .. } = fields;
        (self.write)(&match self.format {
            Format::Text => format!("{time} {level:>5} {message}{others}\n"),
            Format::Coloured => {
                let level = format!("{}{level:>5}", colour(level));
                format!("{DIM}{time}{PLAIN} {level}{PLAIN} {message}{others}\n")
            }
            Format::Json => {
                format!("{{\"timestamp\":\"{time}\",\"level\":\"{level}\"{message}{others}}}\n")
            }
        });
    }
}

/// The fields of an event as they are written, each within its limit. In text, strings other than the message are quoted,
/// so that none can look like another field. In JSON, each field is a member after a comma.
struct EventFields {
    format: Format,
    message: String,
    others: String,
}

impl EventFields {
    fn new(format: Format) -> Self {
        Self { format, message: String::new(), others: String::with_capacity(USUAL_SIZE) }
    }

    fn add(&mut self, field: &Field, value: impl fmt::Display) {
        self.begin(field.name());
        let _ = write!(self.others, "{value}");
    }

    fn add_text(&mut self, field: &Field, text: &str) {
        match (field.name(), self.format) {
            ("message", Format::Text | Format::Coloured) => self.message = escaped(text).into_owned(),
            ("message", Format::Json) => {
                self.message = String::from(",\"message\":");
                push_json(&mut self.message, text);
            }
            (name, _) => {
                self.begin(name);
                push_json(&mut self.others, text);
            }
        }
    }

    /// Writes the name of a field, which is followed by its value.
    fn begin(&mut self, name: &str) {
        let [before, after] = match self.format {
            Format::Text | Format::Coloured => [" ", "="],
            Format::Json => [",\"", "\":"],
        };
        self.others.extend([before, name, after]);
    }
}

impl Visit for EventFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        self.add(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if value.len() <= MAX_FIELD_SIZE {
            self.add_text(field, value);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut limited = Limited::default();
        let _ = write!(limited, "{value:?}");
        self.add_text(field, &limited.0);
    }
}

/// The first [`MAX_FIELD_SIZE`] bytes of a text. An ellipsis replaces the rest, which is never formatted.
#[derive(Default)]
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_FIELD_SIZE - self.0.len();
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        self.0.push_str(&more[..more.floor_char_boundary(room)]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

/// Appends a text as a JSON string, escaped for printing.
fn push_json(json: &mut String, text: &str) {
    let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        json.extend(["\"", text, "\""]);
    } else {
        json.push_str(&escaped(&Value::from(text).to_string()));
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";
/// The limit of each field, in bytes before escaping.
const MAX_FIELD_SIZE: usize = 2_048;
/// The fields of a request without long values fit in this many bytes.
const USUAL_SIZE: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The lines that are written in this format while `log` runs.
    fn written(format: Format, log: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(String::new()));
        let kept = written.clone();
        let lines = Lines::new(format, move |line: &str| kept.lock().unwrap().push_str(line));
        with_default(tracing_subscriber::registry().with(lines), log);
        std::mem::take(&mut written.lock().unwrap())
    }

    fn refuse(cause: &str) {
        let absent: Option<&str> = None;
        tracing::warn!(status = 401, cause, absent, shown = %cause, ok = false, ratio = 0.5, "refused");
    }

    #[test]
    fn a_line_of_text_is_time_level_message_and_fields() {
        let line = written(Format::Text, || refuse("a \"b\""));
        let (time, rest) = line.split_once("  ").unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok() && time.len() == 27, "{time}");
        assert_eq!(
            rest,
            "WARN refused status=401 cause=\"a \\\"b\\\"\" shown=\"a \\\"b\\\"\" ok=false ratio=0.5\n"
        );
        let coloured = written(Format::Coloured, || refuse("\u{1b}[2J"));
        assert!(coloured.contains("\u{1b}[33m WARN\u{1b}[0m refused status=401 cause=\"\\u001b[2J\""));
    }

    #[test]
    fn a_line_of_json_is_an_object_with_ordered_members() {
        let line = written(Format::Json, || refuse("x"));
        let (time, rest) = line.split_at(line.find(",\"level\"").unwrap());
        assert!(time.starts_with("{\"timestamp\":\"20") && time.ends_with("Z\""), "{time}");
        assert_eq!(
            rest,
            ",\"level\":\"WARN\",\"message\":\"refused\",\"status\":401,\"cause\":\"x\",\"shown\":\"x\",\"ok\":false,\"ratio\":0.5}\n"
        );
    }

    #[test]
    fn every_field_and_the_message_have_a_limit() {
        let long = "é".repeat(50_000);
        for format in [Format::Text, Format::Json] {
            let line = written(format, || {
                tracing::warn!(text = long, shown = %long, debugged = ?long, "{long}");
            });
            assert_eq!(line.matches('…').count(), 4, "{line}");
            assert!(line.len() < 5 * MAX_FIELD_SIZE, "{}", line.len());
            assert!(line.contains(&format!("\"{}…\"", "é".repeat(MAX_FIELD_SIZE / 2))), "{line}");
        }
        let exactly = "x".repeat(MAX_FIELD_SIZE);
        assert!(written(Format::Json, || refuse(&exactly)).contains(&format!("\"{exactly}\"")));
    }

    proptest! {
        #[test]
        fn any_field_is_written_as_one_line_and_complete_in_json(
            text in proptest::collection::vec(any::<char>(), 0..100),
        ) {
            let text: String = text.into_iter().chain("\u{1b}\r\n\u{9b}\u{202e}\u{7f}\u{2028}\u{200b}".chars()).collect();
            for format in [Format::Text, Format::Json] {
                let line = written(format, || tracing::warn!(text, shown = %text, "{text}"));
                let (line, end) = line.split_at(line.len() - 1);
                prop_assert_eq!(end, "\n");
                prop_assert!(matches!(escaped(line), std::borrow::Cow::Borrowed(_)), "{:?}", line);
                if format == Format::Json {
                    let read: Value = serde_json::from_str(line).unwrap();
                    for member in ["text", "shown", "message"] {
                        prop_assert_eq!(&read[member], &Value::from(text.as_str()));
                    }
                }
            }
        }
    }
}
