//! A program that a test started: its lines on stderr, its signals, and its end with the test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than any step takes: reached only if something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Tries until something is so.
///
/// # Panics
/// When it is not so after that time.
#[expect(
    clippy::disallowed_methods,
    reason = "for what no program reports: only trying shows it"
)]
pub fn wait_until(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    const PAUSE: Duration = Duration::from_millis(20);
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < patience, "waited in vain until {what}");
        thread::sleep(PAUSE);
    }
}

/// Killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts a program whose stderr is read, and whose stdout is discarded.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (sender, lines) = channel();
        // Reads to the end even when the lines are not used, or the program would block on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self {
            name: command.get_program().to_string_lossy().into_owned(),
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for the first line in which something is found.
    ///
    /// # Panics
    /// When the program ends before, or prints nothing for [`PATIENCE`].
    pub fn wait_for<T>(&mut self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = find(&line);
                    self.seen.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(error) => panic!(
                    "the expected line did not come ({error}), but:\n{}",
                    self.seen.join("\n")
                ),
            }
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends SIGSTOP, and returns when every thread has stopped.
    pub fn freeze(&self) {
        self.signal("STOP");
        while !self.is_frozen() {
            thread::yield_now();
        }
    }

    fn is_frozen(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            return true;
        };
        threads.map_while(Result::ok).all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses.
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// Sends SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends SIGKILL, and waits for the end.
    ///
    /// # Panics
    /// When the program has ended before.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.wait();
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill \"-$0\" \"$1\"", name, &pid])
            .status()
            .expect("sh starts");
        assert!(sent.success(), "SIG{name} was not sent");
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the system does not report it.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the program can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test runner shows it with the test that failed.
            self.seen.extend(self.lines.try_iter());
            println!(
                "the last lines of {}, {:?}:\n{}\n",
                self.name,
                self.child.try_wait(),
                self.seen[self.seen.len().saturating_sub(30)..].join("\n")
            );
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
