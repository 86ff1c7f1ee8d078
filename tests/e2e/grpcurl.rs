//! grpcurl, which knows the protocol only from weir's reflection.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use weir_harness::program;

pub(crate) struct Grpcurl {
    binary: &'static Path,
    server: SocketAddr,
    /// How to reach the server: without TLS unless a test says otherwise.
    transport: Vec<String>,
    flags: Vec<String>,
}

impl Grpcurl {
    /// None if the test is to be skipped.
    pub(crate) fn new(server: SocketAddr) -> Option<Self> {
        let binary = program::GRPCURL.or_skip()?;
        Some(Self {
            binary,
            server,
            transport: vec!["-plaintext".to_owned()],
            flags: Vec::new(),
        })
    }

    /// The same with flags for TLS.
    pub(crate) fn over_tls(&self, flags: &[&str]) -> Self {
        Self {
            binary: self.binary,
            server: self.server,
            transport: flags.iter().map(|&flag| flag.to_owned()).collect(),
            flags: self.flags.clone(),
        }
    }

    /// The same with more flags.
    pub(crate) fn with(&self, flags: &[&str]) -> Self {
        Self {
            binary: self.binary,
            server: self.server,
            transport: self.transport.clone(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        }
    }

    /// What it prints; the error if the call failed.
    pub(crate) fn run(&self, data: Option<&Value>, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.binary);
        command.arg("-emit-defaults").args(&self.transport);
        command.args(&self.flags);
        if let Some(data) = data {
            command.args(["-d", &data.to_string()]);
        }
        let output = command
            .arg(self.server.to_string())
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("grpcurl starts");
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).expect("UTF-8"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The answer of a call.
    pub(crate) fn call(&self, method: &str, data: &Value) -> Value {
        let answer = self.run(Some(data), &[method]).expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Asks for one descriptor.
    pub(crate) fn should_rate_limit(&self, domain: &str, entries: &[(&str, &str)]) -> Value {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        self.call(
            "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
            &json!({ "domain": domain, "descriptors": [{ "entries": entries }] }),
        )
    }

    /// `SERVING`, `NOT_SERVING`, …
    pub(crate) fn health(&self, service: &str) -> String {
        let answer = self.call(
            "grpc.health.v1.Health/Check",
            &json!({ "service": service }),
        );
        answer["status"].as_str().expect("a status").to_owned()
    }
}
