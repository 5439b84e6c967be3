//! A connection's stream with time limits: for the head of a request from its first byte, and for a client that doesn't
//! read the response.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What a connection does at the moment. The stream and the handler of its requests share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<AtomicU8>);

impl Activity {
    /// The head of a request is complete.
    pub(super) fn request_started(&self) {
        self.0.store(REQUEST, Ordering::Relaxed);
    }

    /// The request has a response.
    pub(super) fn request_finished(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    /// Whether the connection waits for the first byte of a request.
    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == IDLE
    }

    fn is_in_head(&self) -> bool {
        self.0.load(Ordering::Relaxed) == HEAD
    }

    fn head_started(&self) {
        self.0.store(HEAD, Ordering::Relaxed);
    }
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const REQUEST: u8 = 2;

/// The time limits of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// From the first byte of a request to the end of its head.
    pub(super) head: Duration,
    /// Until the client reads more of a response.
    pub(super) write: Duration,
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] after one of its time limits.
pub(super) struct LimitedStream<S> {
    stream: S,
    activity: Activity,
    timeouts: Timeouts,
    head: Timer,
    write: Timer,
}

impl<S> LimitedStream<S> {
    pub(super) fn new(stream: S, activity: Activity, timeouts: Timeouts) -> Self {
        Self { stream, activity, timeouts, head: Timer::default(), write: Timer::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The head that the timer was for may be complete since the last read, and its request too.
        if !this.activity.is_in_head() {
            this.head.stop();
        }
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            if buf.filled().len() > before && this.activity.is_idle() {
                this.activity.head_started();
                this.head.start(this.timeouts.head);
            }
            return Poll::Ready(read);
        }
        this.head.poll_expired(cx)
    }
}

impl<S: AsyncWrite + Unpin> LimitedStream<S> {
    /// Fails if the stream accepts no bytes for too long.
    fn limited<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = poll(Pin::new(&mut this.stream), cx) {
            this.write.stop();
            return Poll::Ready(written);
        }
        this.write.start(this.timeouts.write);
        this.write.poll_expired(cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.limited(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.limited(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.limited(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.limited(cx, AsyncWrite::poll_shutdown)
    }
}

/// A timer that runs or doesn't.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Starts the timer, if it doesn't run.
    fn start(&mut self, limit: Duration) {
        self.0.get_or_insert_with(|| Box::pin(sleep(limit)));
    }

    fn stop(&mut self) {
        self.0 = None;
    }

    /// Ready with an error if the timer has expired. Never ready otherwise.
    fn poll_expired<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(timer) = &mut self.0 else { return Poll::Pending };
        ready!(timer.as_mut().poll(cx));
        // Later polls fail too.
        timer.as_mut().reset(Instant::now());
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts { head: Duration::from_secs(10), write: Duration::from_secs(20) };

    fn is_timeout<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
        result.unwrap_err().kind() == io::ErrorKind::TimedOut
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_a_limit_from_its_first_byte_even_if_more_bytes_arrive() {
        let (mut client, server) = duplex(64);
        let activity = Activity::default();
        let mut stream = LimitedStream::new(server, activity.clone(), TIMEOUTS);
        let mut byte = [0];
        let idle = tokio::time::timeout(Duration::from_hours(1), stream.read_exact(&mut byte)).await;
        assert!(idle.is_err() && activity.is_idle(), "an idle connection has no limit here");
        client.write_all(b"G").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        assert!(!activity.is_idle());
        let started = Instant::now();
        let mut every_three_seconds = tokio::time::interval(Duration::from_secs(3));
        let slow = async {
            loop {
                every_three_seconds.tick().await;
                client.write_all(b"x").await.unwrap();
            }
        };
        let reading = async {
            loop {
                if let Err(error) = stream.read_exact(&mut byte).await {
                    return error;
                }
            }
        };
        let error = tokio::select! { error = reading => error, () = slow => unreachable!() };
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, TIMEOUTS.head));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_and_the_next_head_have_no_limit_from_the_first_head() {
        let (mut client, server) = duplex(64);
        let activity = Activity::default();
        let mut stream = LimitedStream::new(server, activity.clone(), TIMEOUTS);
        let mut byte = [0];
        for _ in 0..3 {
            client.write_all(b"GB").await.unwrap();
            stream.read_exact(&mut byte).await.unwrap();
            activity.request_started();
            stream.read_exact(&mut byte).await.unwrap();
            let body = tokio::time::timeout(Duration::from_hours(1), stream.read_exact(&mut byte)).await;
            assert!(body.is_err(), "a body has no limit here");
            activity.request_finished();
        }
        client.write_all(b"G").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        assert!(is_timeout(stream.read_exact(&mut byte).await), "each head has its own limit");
        assert!(is_timeout(stream.read_exact(&mut byte).await), "the stream stays failed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_stays_open_after_a_request_during_which_nothing_was_read() {
        let (mut client, server) = duplex(64);
        let activity = Activity::default();
        let mut stream = LimitedStream::new(server, activity.clone(), TIMEOUTS);
        let mut byte = [0];
        for _ in 0..3 {
            client.write_all(b"G").await.unwrap();
            stream.read_exact(&mut byte).await.unwrap();
            activity.request_started();
            activity.request_finished();
            let idle = tokio::time::timeout(Duration::from_hours(1), stream.read_exact(&mut byte)).await;
            assert!(idle.is_err(), "an idle connection has no limit here");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_ends_the_connection() {
        let (mut client, server) = duplex(4);
        let mut stream = LimitedStream::new(server, Activity::default(), TIMEOUTS);
        stream.write_all(b"1234").await.unwrap();
        let started = Instant::now();
        assert!(is_timeout(stream.write_all(b"5").await));
        assert_eq!(started.elapsed(), TIMEOUTS.write);
        let mut read = [0; 4];
        client.read_exact(&mut read).await.unwrap();
        stream.write_all(b"5").await.unwrap();
    }
}
