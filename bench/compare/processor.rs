//! Processor time of threads and processes: the cost of a call, independent of other programs on the machine.

use std::fs;
use std::io;
use std::time::Duration;

/// Of the calling thread.
pub(crate) fn of_this_thread() -> io::Result<Duration> {
    of("/proc/thread-self/schedstat")
}

/// Of all live threads of a process.
pub(crate) fn of_process(id: u32) -> io::Result<Duration> {
    fs::read_dir(format!("/proc/{id}/task"))?
        .map(|thread| of(thread?.path().join("schedstat")))
        .sum()
}

/// Its first number is nanoseconds on a processor.
fn of(path: impl AsRef<std::path::Path>) -> io::Result<Duration> {
    let text = fs::read_to_string(path)?;
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Duration::from_nanos(nanos))
}
