//! A redis-server on a free port of loopback, and the ways in which it fails.
//!
//! With `WEIR_TEST_REDIS=valkey` the tests start `valkey-server`, and with a path such as `/opt/valkey/bin/valkey` the
//! programs whose names begin so.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::free_port;
use crate::program::redis_program;

/// A running server that keeps nothing on disk.
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    guard: Child,
}

impl RedisServer {
    /// Starts a server with the default configuration.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with these command-line arguments.
    ///
    /// `--tls-port` has no value: the server then speaks TLS at its port.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    /// Starts a server at a port.
    ///
    /// For a sentinel, the arguments are its configuration file and then `--sentinel`.
    ///
    /// # Panics
    /// When the server cannot be started or does not answer.
    #[must_use]
    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        let guard = spawn(port, &arguments, folder.path());
        let server = Self {
            port,
            arguments,
            folder,
            guard,
        };
        server.wait_until_it_answers();
        server
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs redis-cli against this server, and returns what it prints, without blanks around it.
    ///
    /// # Panics
    /// When redis-cli cannot be started.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new(redis_program("cli"))
            .args(["-p", &self.port.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a redis-cli command whose output does not matter.
    pub fn run(&self, arguments: &[&str]) {
        let _ = self.cli(arguments);
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.signal("KILL");
        let _ = self.guard.wait();
    }

    /// Starts the server again after [`Self::kill`], at the same port and empty.
    pub fn restart(&mut self) {
        self.guard = spawn(self.port, &self.arguments, self.folder.path());
        self.wait_until_it_answers();
    }

    /// Sends SIGSTOP: connections stay open, answers do not come.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Sends SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Lets the server reject every command that needs memory, and evict nothing.
    pub fn refuse_writes(&self) {
        self.run(&["config", "set", "maxmemory", "1"]);
    }

    /// Ends [`Self::refuse_writes`].
    pub fn accept_writes(&self) {
        self.run(&["config", "set", "maxmemory", "0"]);
    }

    /// Changes the password from `old` to `new`; clients that have logged in stay connected.
    pub fn change_password(&self, old: &str, new: &str) {
        self.run(&["-a", old, "config", "set", "requirepass", new]);
    }

    /// Closes the connection of every client.
    pub fn disconnect_clients(&self, password: &str) {
        self.run(&["-a", password, "client", "kill", "type", "normal"]);
    }

    fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), pid.trim()])
            .status();
        assert!(sent.unwrap().success(), "the server is not running");
    }

    fn wait_until_it_answers(&self) {
        let answers = || {
            let answer = self.cli(&["ping"]);
            answer == "PONG" || answer.starts_with("NOAUTH")
        };
        // Each attempt starts a process, so this lasts far longer than a server takes to start.
        assert!(
            has(&self.arguments, "--tls-port") || (0..2_000).any(|_| answers()),
            "the server does not answer"
        );
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn has(arguments: &[String], flag: &str) -> bool {
    arguments.iter().any(|argument| argument == flag)
}

/// Starts a shell that kills the server when its stdin is closed, which also happens when this process ends.
fn spawn(port: u16, arguments: &[String], folder: &Path) -> Child {
    let script = "exec 3<&0; \"$0\" \"$@\" >log 2>&1 3<&- & server=$!; echo $server >pid; \
                  (cat <&3 >/dev/null; kill -9 $server 2>/dev/null) & wait $server";
    let port = port.to_string();
    let is_sentinel = has(arguments, "--sentinel");
    let port_flag = if has(arguments, "--tls-port") {
        "--tls-port"
    } else {
        "--port"
    };
    let (file, arguments) = arguments.split_at(usize::from(is_sentinel));
    let in_memory = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
    Command::new("sh")
        .args(["-c", script, &redis_program("server")])
        .args(file)
        .args([port_flag, &port])
        // A sentinel knows no persistence.
        .args(&in_memory[if is_sentinel { 4 } else { 0 }..])
        .args(
            arguments
                .iter()
                .filter(|argument| *argument != "--tls-port"),
        )
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
