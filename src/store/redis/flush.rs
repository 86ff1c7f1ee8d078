//! Writes what was counted locally to Redis, in the background.

use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::Instant;

use super::call::ScriptCall;
use super::write_back::WriteBack;

/// Counters per flush, at most.
const FLUSH_BATCH: usize = 128;

/// The pause after a flush, as a multiple of the time that it took.
const COOLDOWN_FACTOR: u32 = 4;

/// Sends writes that are due to `calls`, until that is closed. One worker of a store does this at a
/// time, with pauses, so that a flush leaves Redis time for calls.
pub(super) async fn flush_in_background(
    write_back: &Arc<WriteBack>,
    calls: UnboundedSender<ScriptCall>,
) {
    while !calls.is_closed() {
        let _turn = write_back.turn().await;
        let writes = write_back.take_due(FLUSH_BATCH).await;
        let started = Instant::now();
        let (guard, mut complete) = mpsc::channel(1);
        for write in writes {
            // A call that cannot be sent is dropped, which makes its write pending again.
            let _ = calls.send(ScriptCall::write(write, Some(guard.clone())));
        }
        drop(guard);
        // Ends when the last guard is dropped.
        let _ = complete.recv().await;
        tokio::time::sleep(started.elapsed() * COOLDOWN_FACTOR).await;
    }
}
