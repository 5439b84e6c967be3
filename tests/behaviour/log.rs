//! What a test's own requests write into the log.
//!
//! There is one log for all tests, and each thread keeps its own lines: with a log of its own for each test, whether an
//! event is written at all would depend on the tests beside it, since `tracing` remembers that for the whole process.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

thread_local! {
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Runs a future and returns what it logs, at every level and of every library. All of it has to run in this thread.
pub(crate) async fn logged(future: impl Future<Output = ()>) -> String {
    listen();
    KEPT.set(Some(Vec::new()));
    future.await;
    String::from_utf8(KEPT.take().unwrap()).unwrap()
}

/// Starts the log. Before the first request, so that no event is met while it starts.
pub(crate) fn listen() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let lines = fmt::layer().with_ansi(false).with_writer(|| Kept);
        registry()
            .with(lines.with_filter(dynamic_filter_fn(|_, _| KEPT.with_borrow(Option::is_some))))
            .init();
    });
}

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.extend(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
