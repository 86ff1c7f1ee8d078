//! Starts threads, and says what to do if the system has none.

use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{self, Runtime};

/// The system provides no thread.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the thread {name}; raise the limit on threads (ulimit -u, or pids.max of the container), or lower --workers"
)]
struct NoThread {
    name: String,
    source: io::Error,
}

/// Starts a thread.
///
/// # Errors
/// If the system provides none; the error says what to do.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|source| {
        let name = name.to_owned();
        io::Error::new(source.kind(), NoThread { name, source })
    })
}

/// Starts a thread with a runtime of its own.
///
/// # Errors
/// If the system provides none; the error says what to do.
pub fn spawn_with_runtime(
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
