//! A service that works on each request until its test lets it end, and stops when its connection closes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use weir_harness::PATIENCE;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct Work {
    /// Requests in progress, the oldest first: by number, with the sender that ends each.
    open: Vec<(u64, Option<Sender<End>>)>,
    begun: u64,
    most: usize,
    /// Work ends as soon as it begins.
    is_quick: bool,
}

/// How work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// 200.
    Done,
    /// 503.
    Failed,
    /// The connection is closed without an answer.
    HungUp,
    /// Nobody waits for an answer any more.
    Abandoned,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&own);
                thread::spawn(move || work(&shared, stream));
            }
        });
        Self { address, shared }
    }

    /// Waits until `working` requests are in progress.
    pub(crate) fn wait_for(&self, working: usize) {
        let work = self.shared.lock();
        let (work, waited) = self
            .shared
            .changed
            .wait_timeout_while(work, PATIENCE, |work| work.open.len() != working)
            .expect("no panic");
        let (open, most) = (work.open.len(), work.most);
        assert!(
            !waited.timed_out(),
            "{open} at work, not {working}; {most} at most"
        );
    }

    /// Ends the work on the oldest request.
    pub(crate) fn end_oldest(&self, end: End) {
        let mut work = self.shared.lock();
        let oldest = work.open.iter_mut().find_map(|(_, sender)| sender.take());
        // It may have been abandoned in the meantime.
        let _ = oldest.expect("something is worked on").send(end);
    }

    /// Ends all work, and while `what` is done all that comes.
    pub(crate) fn quickly<T>(&self, what: impl FnOnce() -> T) -> T {
        {
            let mut work = self.shared.lock();
            work.is_quick = true;
            for sender in work.open.iter_mut().filter_map(|(_, sender)| sender.take()) {
                let _ = sender.send(End::Done);
            }
        }
        let done = what();
        self.shared.lock().is_quick = false;
        done
    }

    /// The most requests that were ever worked on at once.
    pub(crate) fn most(&self) -> usize {
        self.shared.lock().most
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().expect("no panic")
    }
}

/// One request, on a connection of its own.
fn work(shared: &Shared, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).is_ok_and(|read| read > 0) {
            continue;
        }
        return;
    }
    let (sender, ends) = channel();
    let number = {
        let mut work = shared.lock();
        work.begun += 1;
        let number = work.begun;
        work.open.push((number, Some(sender.clone())));
        work.most = work.most.max(work.open.len());
        if work.is_quick {
            let _ = sender.send(End::Done);
        }
        number
    };
    shared.changed.notify_all();
    // The connection's end is the only thing that still comes.
    let watch = thread::spawn(move || {
        let _ = reader.read_to_end(&mut Vec::new());
        let _ = sender.send(End::Abandoned);
    });
    let end = ends.recv().unwrap_or(End::Abandoned);
    shared.lock().open.retain(|(open, _)| *open != number);
    shared.changed.notify_all();
    let status = match end {
        End::Done => Some("200 OK"),
        End::Failed => Some("503 Service Unavailable"),
        End::HungUp | End::Abandoned => None,
    };
    if let Some(status) = status {
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
    }
    let _ = stream.shutdown(Shutdown::Both);
    let _ = watch.join();
}
