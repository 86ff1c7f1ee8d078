//! A program that a test started: what it says on stderr, and its end with the test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Far more than anything takes: reached only if something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (sender, lines) = channel();
        // Reads to the end even when nobody listens, or the program would block on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self {
            name: command.get_program().to_string_lossy().into_owned(),
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits for a line in which something is found.
    pub(crate) fn wait_for<T>(&mut self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = find(&line);
                    self.said.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(error) => panic!(
                    "the program did not say it ({error}), but:\n{}",
                    self.said.join("\n")
                ),
            }
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Lets it stand still, taking what is sent to it without looking.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        // The signal is sent, but not every thread has obeyed it yet.
        while !self.is_frozen() {
            thread::yield_now();
        }
    }

    /// Whether all its threads stand still, as far as the system tells.
    fn is_frozen(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            return true;
        };
        threads.map_while(Result::ok).all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state stands behind the name, which is in parentheses.
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.ended();
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
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("the program can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test harness shows it with the test that failed.
            self.said.extend(self.lines.try_iter());
            println!(
                "{}, {:?}, said at last:\n{}\n",
                self.name,
                self.child.try_wait(),
                self.said[self.said.len().saturating_sub(30)..].join("\n")
            );
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
