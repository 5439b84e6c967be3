//! One at a time does what many wait for, and those who waited share what came of it. Holds nothing itself, and starts
//! no task: whoever has the turn does the work.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    turn: Mutex<()>,
    ended: AtomicU64,
}

/// A turn. One that is dropped before its end has come to nothing, and somebody else gets it.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _held: MutexGuard<'a, ()>,
    ended: &'a AtomicU64,
}

impl Turns {
    /// The turn, unless somebody has it.
    pub(crate) fn free(&self) -> Option<Turn<'_>> {
        self.turn.try_lock().ok().map(|held| self.turn(held))
    }

    /// The turn, once it's free; none where somebody else's came to its end meanwhile.
    pub(crate) async fn next(&self) -> Option<Turn<'_>> {
        let before = self.ended.load(Ordering::Acquire);
        let held = self.turn.lock().await;
        (self.ended.load(Ordering::Acquire) == before).then(|| self.turn(held))
    }

    fn turn<'a>(&'a self, held: MutexGuard<'a, ()>) -> Turn<'a> {
        Turn { _held: held, ended: &self.ended }
    }
}

impl Turn<'_> {
    /// The work is done, and what came of it is where others find it.
    pub(crate) fn end(self) {
        self.ended.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_waited_for_a_turn_that_came_to_its_end_need_none() {
        let turns = Turns::default();
        let first = turns.next().await.unwrap();
        assert!(turns.free().is_none());
        let waiting = async { (turns.next().await.is_none(), turns.free().is_some()) };
        let (waited, ()) = tokio::join!(waiting, async { first.end() });
        assert_eq!(waited, (true, true));
        assert!(turns.next().await.is_some(), "who comes later has one of their own");
    }

    #[tokio::test]
    async fn a_turn_that_came_to_nothing_is_the_next_ones() {
        let turns = Turns::default();
        let first = turns.next().await.unwrap();
        let (second, ()) = tokio::join!(turns.next(), async { drop(first) });
        assert!(second.is_some());
    }
}
