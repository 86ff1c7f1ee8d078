//! Starts threads, and says what to do if the system has none.

use std::io::{self, ErrorKind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

/// The system provides no thread.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the thread {name} ({kind}); raise the limit on threads (ulimit -u, or pids.max of the container), or lower --workers"
)]
struct NoThread {
    name: String,
    // Not a source: some report the root cause of an error alone, and this is what says what to do.
    kind: ErrorKind,
}

/// Starts a thread.
///
/// # Errors
/// If the system provides none; the error says what to do.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| {
        let (name, kind) = (name.to_owned(), error.kind());
        io::Error::new(kind, NoThread { name, kind })
    })
}

/// Runs `work` on a thread of its own. tokio's pool of threads would panic if the system provided none.
///
/// # Errors
/// If the system provides none, with what to do; or if `work` panics.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, result) = oneshot::channel();
    spawn(name, move || {
        // The one who asked may have stopped waiting.
        let _ = sender.send(work());
    })?;
    result.await.map_err(io::Error::other)
}

/// Starts a thread with a runtime of its own.
///
/// # Errors
/// If the system provides none; the error says what to do.
pub(crate) fn spawn_with_runtime(
    name: &str,
    work: impl FnOnce(Runtime) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (owner, moved) = mpsc::channel();
    let thread = spawn(name, move || {
        if let Ok(runtime) = moved.recv() {
            work(runtime);
        }
    });
    match thread {
        // It is received: the thread waits for it.
        Ok(_) => drop(owner.send(runtime)),
        // To drop it would wait, which the runtime of this thread does not permit.
        Err(_) => runtime.shutdown_background(),
    }
    thread
}
