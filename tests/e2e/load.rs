//! Clients that ask without a pause while something happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use weir_harness::wait_until;

/// Longer than anything that happens while clients ask.
const PATIENCE: Duration = Duration::from_secs(180);

/// What clients have seen so far.
#[derive(Default)]
pub(crate) struct Seen {
    answers: AtomicUsize,
    is_over: AtomicBool,
}

impl Seen {
    /// Whether clients are to end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Counts an answer. Returns how many there were before it.
    pub(crate) fn count(&self) -> usize {
        self.answers.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until clients have had that many answers more.
    pub(crate) fn wait_for_more(&self, answers: usize) {
        let expected = self.answers.load(Ordering::Relaxed) + answers;
        wait_until("clients have more answers", PATIENCE, || {
            self.answers.load(Ordering::Relaxed) >= expected
        });
    }
}

/// Ends clients when dropped, also by a panic, which would wait for them.
struct End<'s>(&'s Seen);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// A client: asks until it is over, and returns what is wrong with answers.
pub(crate) type Asking<'c> = Box<dyn FnOnce(&Seen) -> String + Send + 'c>;

/// Does something between that many answers and as many more. Returns how many requests there were; fails if anything was wrong
/// with an answer.
pub(crate) fn under_load(
    clients: Vec<Asking<'_>>,
    answers: usize,
    what: impl FnOnce(&Seen),
) -> usize {
    let seen = Seen::default();
    let odd: String = thread::scope(|scope| {
        let seen = &seen;
        let clients: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(move || client(seen)))
            .collect();
        let end = End(seen);
        seen.wait_for_more(answers);
        what(seen);
        seen.wait_for_more(answers);
        drop(end);
        clients
            .into_iter()
            .map(|client| client.join().expect("no panic"))
            .collect()
    });
    assert!(odd.is_empty(), "{odd}");
    seen.answers.into_inner()
}
