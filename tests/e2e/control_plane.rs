//! A configuration server as Envoy Gateway has it: go-control-plane, over a folder of JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use weir_harness::{Process, program};

/// The node that the server answers.
pub(crate) const NODE: &str = "envoy-ratelimit";

pub(crate) struct ControlPlane {
    process: Process,
    /// `HOST:PORT`.
    pub(crate) address: String,
    folder: TempDir,
}

/// A request of the client, as the server has read it.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) nonce: String,
    pub(crate) error: String,
}

impl ControlPlane {
    /// A server that has nothing to send yet; none if Go is missing.
    pub(crate) fn start(flags: &[&str]) -> Option<Self> {
        let binary = program::CONTROL_PLANE.or_skip()?;
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = Process::start(
            Command::new(binary)
                .arg("-folder")
                .arg(folder.path().join("configs"))
                .args(["-node", NODE])
                .args(flags),
        );
        let address = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            Some(event.get("address")?.as_str()?.to_owned())
        });
        Some(Self {
            process,
            address,
            folder,
        })
    }

    /// Sends these configurations, by their names, and nothing else.
    pub(crate) fn send(&self, configs: &[(&str, Value)]) {
        let before = self.folder.path().join("before");
        let folder = self.configs();
        // The server must not see a folder that is half filled.
        let next = self.folder.path().join("next");
        fs::create_dir(&next).expect("created");
        for (name, config) in configs {
            fs::write(next.join(format!("{name}.json")), config.to_string()).expect("written");
        }
        if folder.exists() {
            fs::rename(&folder, &before).expect("renamed");
        }
        fs::rename(&next, &folder).expect("renamed");
        let _ = fs::remove_dir_all(&before);
    }

    fn configs(&self) -> PathBuf {
        self.folder.path().join("configs")
    }

    /// Waits for the next request that answers a response.
    pub(crate) fn answer(&mut self) -> Answer {
        self.process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let answer = Answer {
                version: text("version"),
                nonce: text("nonce"),
                error: text("error"),
            };
            (event["event"] == "request" && !answer.nonce.is_empty()).then_some(answer)
        })
    }

    /// Waits for a client to subscribe.
    pub(crate) fn subscription(&mut self) {
        self.process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let is_first = event["event"] == "request" && event["nonce"] == "";
            is_first.then_some(())
        });
    }
}

/// Flags of a certificate, its key and the authority in a folder.
pub(crate) fn tls_flags(folder: &Path, prefix: &str, name: &str) -> Vec<String> {
    let file = |name: String| folder.join(name).display().to_string();
    vec![
        format!("{prefix}cert"),
        file(format!("{name}.crt")),
        format!("{prefix}key"),
        file(format!("{name}.key")),
        format!("{prefix}ca"),
        file("ca.crt".to_owned()),
    ]
}
