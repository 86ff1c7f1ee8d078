//! Windows of real time: a test that counts must not be cut in two by the turn of a minute.

use ::weir::clock::Clock;

const MICROS_PER_SEC: u64 = 1_000_000;
const TRIES: usize = 10;

/// Seconds since the epoch, rounded down.
pub(crate) fn now_secs() -> u64 {
    Clock::System.now().micros() / MICROS_PER_SEC
}

/// Runs `attempt` within one window of `window_secs`, and again if the window ended in between. Passes the number of
/// earlier tries, so that each can use other keys.
pub(crate) fn within<T>(window_secs: u64, mut attempt: impl FnMut(usize) -> T) -> T {
    for tried in 0..TRIES {
        let before = now_secs() / window_secs;
        let outcome = attempt(tried);
        if now_secs() / window_secs == before {
            return outcome;
        }
    }
    panic!("{TRIES} tries took longer than what is left of {window_secs} s");
}
