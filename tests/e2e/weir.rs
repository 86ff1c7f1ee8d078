//! The real binary, with the policies of `config`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::window::now_secs;
use weir_harness::{PATIENCE, Process};

pub(crate) struct Weir {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Of the admin server.
    pub(crate) http: SocketAddr,
    /// Of its policy.
    _folder: Option<TempDir>,
}

impl Weir {
    /// Serves `config/NAME.yaml` on a free port. After SIGTERM it would wait for its clients longer than any test lasts.
    pub(crate) fn start(name: &str) -> Self {
        Self::serve(Path::new(&format!("config/{name}.yaml")), &[])
    }

    /// The same with the policy of a text.
    pub(crate) fn with_policy(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy.yaml");
        fs::write(&policy, text).expect("written");
        Self {
            _folder: Some(folder),
            ..Self::serve(&policy, &[])
        }
    }

    /// Serves other policies, with more flags.
    pub(crate) fn serve(policies: &Path, flags: &[&str]) -> Self {
        let policies = policies.to_str().expect("UTF-8");
        Self::serve_with(&[&["--policies", policies], flags].concat())
    }

    /// Serves with flags that say where policies come from.
    pub(crate) fn serve_with(flags: &[&str]) -> Self {
        Self::run(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .arg("serve")
                .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .args(["--log-format", "json", "--drain", "120"])
                .args(flags),
        )
    }

    /// Runs a command that starts weir with a log in JSON.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut process = Process::start(command);
        let (address, http) = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            // There may be several HTTP ports.
            let address = |of: &str| event.get(of)?.as_str()?.split(", ").next()?.parse().ok();
            Some((address("grpc")?, address("http")?))
        });
        Self {
            process,
            address,
            http,
            _folder: None,
        }
    }

    /// Serves `config/NAME.yaml` on a Unix socket.
    pub(crate) fn on(socket: &str, name: &str) -> Process {
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .args(["serve", "--policies", &format!("config/{name}.yaml")])
                .args(["--grpc", socket, "--http", "off", "--drain", "120"])
                .args(["--log-format", "json"]),
        );
        process.wait_for(|line| line.contains("\"serving\"").then_some(()));
        process
    }

    /// Posts to the admin server.
    pub(crate) fn post(&self, path: &str, body: &str) {
        self.ask_admin(&format!("POST {path}"), body);
    }

    /// A sample of the metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.ask_admin("GET /metrics", "");
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.trim().parse().expect("a number")
    }

    fn ask_admin(&self, endpoint: &str, body: &str) -> String {
        let length = body.len();
        let head = format!(
            "{endpoint} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.http).expect("weir listens");
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .expect("weir reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("weir answers");
        answer
    }

    /// Waits until a look at these entries finds so much left.
    pub(crate) fn wait_until_left(&self, domain: &str, entries: &[&str], expected: u64) {
        let start = now_secs();
        loop {
            let left = self.left(domain, entries);
            if left == expected {
                return;
            }
            let waited = now_secs() - start;
            assert!(waited < PATIENCE.as_secs(), "{left} left, not {expected}");
        }
    }

    fn left(&self, domain: &str, entries: &[&str]) -> u64 {
        let answer = self.query(domain, &[&["--peek"], entries].concat());
        answer.expect("an answer")["descriptors"][0]["remaining"]
            .as_u64()
            .expect("a number")
    }

    /// What `weir query` prints.
    ///
    /// # Errors
    /// What it prints on stderr, if there is no answer.
    pub(crate) fn query(&self, domain: &str, entries: &[&str]) -> Result<Value, String> {
        query(&self.address.to_string(), domain, entries)
    }

    /// The same over TLS, with the flags for it among the entries.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn query_over_tls(&self, domain: &str, entries: &[&str]) -> Result<Value, String> {
        query(&format!("https://{}", self.address), domain, entries)
    }
}

/// What `weir query` prints of the answer of a server.
///
/// # Errors
/// What it prints on stderr, if there is no answer.
pub(crate) fn query(server: &str, domain: &str, entries: &[&str]) -> Result<Value, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["query", "--domain", domain, "--format", "json"])
        .args(["--server", server])
        .args(entries)
        .output()
        .expect("weir starts");
    serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}
