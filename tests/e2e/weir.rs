//! The real binary, with the policies of `config`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{PATIENCE, Process};
use crate::window::now_secs;

pub(crate) struct Weir {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Of its policy.
    _folder: Option<TempDir>,
}

impl Weir {
    /// Serves `config/NAME.yaml` on a free port. Told to end, it would wait for its clients longer than any test lasts.
    pub(crate) fn start(name: &str) -> Self {
        Self::serving(Path::new(&format!("config/{name}.yaml")))
    }

    /// The same with the policy of a text.
    pub(crate) fn with_policy(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("policy.yaml");
        fs::write(&policy, text).expect("written");
        Self {
            _folder: Some(folder),
            ..Self::serving(&policy)
        }
    }

    fn serving(policy: &Path) -> Self {
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .arg("serve")
                .arg("--policies")
                .arg(policy)
                .args(["--grpc", "127.0.0.1:0"])
                .args(["--log-format", "json", "--drain", "120"]),
        );
        let address = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            event.get("grpc")?.as_str()?.parse().ok()
        });
        Self {
            process,
            address,
            _folder: None,
        }
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
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["query", "--domain", domain, "--look", "--format", "json"])
            .args(["--server", &self.address.to_string()])
            .args(entries)
            .output()
            .expect("weir starts");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["descriptors"][0]["remaining"]
            .as_u64()
            .expect("a number")
    }
}
