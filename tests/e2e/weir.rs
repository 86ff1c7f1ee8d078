//! The real binary, with the policies of `config`.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::process::Process;

pub(crate) struct Weir {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Weir {
    /// Serves `config/NAME.yaml` on a free port. Told to end, it would wait for its clients longer than any test lasts.
    pub(crate) fn start(name: &str) -> Self {
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .arg("serve")
                .args(["--policies", &format!("config/{name}.yaml")])
                .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .args(["--log-format", "json", "--drain", "120"]),
        );
        let address = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            event.get("grpc")?.as_str()?.parse().ok()
        });
        Self { process, address }
    }
}
