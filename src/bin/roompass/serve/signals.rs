//! The signals that the process handles.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C and `SIGTERM`.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

/// `SIGHUP`.
pub(super) struct Hangup(Signal);

impl Stop {
    /// From now on, these signals don't end the process.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(super) async fn signalled(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl Hangup {
    /// From now on, this signal doesn't end the process.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(super) fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub(super) async fn signalled(&mut self) {
        self.0.recv().await;
    }
}
