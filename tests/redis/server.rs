//! A redis-server of a test's own, on a free port of loopback.
//!
//! `WEIR_TEST_REDIS=valkey` has the tests start `valkey-server` instead, and a path such as `/opt/valkey/bin/valkey` the
//! one that is there.

use std::env;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use weir::store::{RedisAddress, RedisClock, RedisConfig};

/// What starts one of Redis' programs: `server` or `cli`.
pub(crate) fn program(name: &str) -> String {
    let family = env::var("WEIR_TEST_REDIS").unwrap_or_else(|_| "redis".to_owned());
    format!("{family}-{name}")
}

/// Whether there is a redis-server; where there is none the test is to be skipped.
pub(crate) fn is_there() -> bool {
    let server = program("server");
    let version = Command::new(&server)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if version.is_ok_and(|status| status.success()) {
        return true;
    }
    let is_ci = env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{server} is not to be had");
    // Not eprintln!, which the test harness swallows when a test passes.
    let _ = writeln!(
        io::stderr(),
        "\nSKIPPED: tests with {server}, which is not to be had\n"
    );
    false
}

/// Killed when dropped, and when the test's process ends.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    args: Vec<String>,
    folder: TempDir,
    guard: Child,
}

impl RedisServer {
    /// One that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        Self::at(free_port(), args)
    }

    /// A sentinel has the file of its configuration first, and then `--sentinel`.
    pub(crate) fn at(port: u16, args: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let guard = spawn(port, &args, folder.path());
        let server = Self {
            port,
            args,
            folder,
            guard,
        };
        server.wait_until_there();
        server
    }

    /// Where it is.
    pub(crate) fn address(&self) -> RedisAddress {
        format!("redis://127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// What redis-cli prints.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let output = Command::new(program("cli"))
            .args(["-p", &self.port.to_string()])
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        let _ = self.guard.wait();
    }

    /// The same server again, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.guard = spawn(self.port, &self.args, self.folder.path());
        self.wait_until_there();
    }

    /// SIGSTOP: connections stay, answers do not come.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), pid.trim()])
            .status();
        assert!(sent.unwrap().success(), "no such server");
    }

    fn wait_until_there(&self) {
        let answers = || {
            let said = self.cli(&["ping"]);
            said == "PONG" || said.starts_with("NOAUTH")
        };
        // Each attempt starts a process, so this lasts far longer than a server takes to start.
        let is_tls = self.args.iter().any(|arg| arg == "--tls-port");
        assert!(
            is_tls || (0..2_000).any(|_| answers()),
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

/// A shell that kills the server when its stdin ends, be it by the end of this process.
fn spawn(port: u16, args: &[String], folder: &Path) -> Child {
    let script = "exec 3<&0; \"$0\" \"$@\" >log 2>&1 3<&- & server=$!; echo $server >pid; \
                  (cat <&3 >/dev/null; kill -9 $server 2>/dev/null) & wait $server";
    let port = port.to_string();
    let is_sentinel = args.iter().any(|arg| arg == "--sentinel");
    let is_tls = args.iter().any(|arg| arg == "--tls-port");
    let (file, args) = args.split_at(usize::from(is_sentinel));
    let args = args.iter().filter(|arg| *arg != "--tls-port");
    let in_memory = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
    Command::new("sh")
        .args(["-c", script, &program("server")])
        .args(file)
        .args(if is_tls {
            ["--tls-port", &port]
        } else {
            ["--port", &port]
        })
        .args(if is_sentinel {
            &in_memory[4..]
        } else {
            &in_memory
        })
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Settings by which Redis decides as memory does, by the test's clock, however long the machine takes.
pub(crate) fn exact(address: RedisAddress) -> RedisConfig {
    RedisConfig {
        deadline: Duration::from_secs(20),
        clock: RedisClock::Caller,
        refuse_locally: Duration::ZERO,
        kept_after_end: Duration::from_secs(3_600),
        ..RedisConfig::new(address)
    }
}
