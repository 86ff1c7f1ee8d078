//! Envoy with a bootstrap of `examples/envoy`, in front of a weir with the policy of the same name.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Client, Request};
use crate::parts;
use crate::process::Process;
use crate::weir::Weir;

pub(crate) struct Envoy {
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    pub(crate) weir: Weir,
    _process: Process,
    _folder: TempDir,
}

impl Envoy {
    /// Weir, and then Envoy before it; none if the test is to be skipped.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let binary = parts::envoy()?;
        let weir = Weir::start(name);
        let folder = tempfile::tempdir().expect("a folder");
        let bootstrap = folder.path().join("envoy.yaml");
        let admin_address = folder.path().join("admin");
        fs::write(&bootstrap, rewritten(name, folder.path(), weir.address)).expect("written");

        let mut process = Process::start(
            Command::new(binary)
                .arg("-c")
                .arg(&bootstrap)
                .arg("--admin-address-path")
                .arg(&admin_address)
                .args(["--disable-hot-restart", "--concurrency", "2"]),
        );
        // Said when the first health check of weir is through and the listeners listen.
        process.wait_for(|line| line.contains("starting workers").then_some(()));
        let admin = fs::read_to_string(&admin_address)
            .expect("the admin's address")
            .parse()
            .expect("an address");
        let envoy = Self {
            address: listener(admin),
            admin,
            weir,
            _process: process,
            _folder: folder,
        };
        assert!(
            envoy.clusters().contains("health_flags::healthy"),
            "Envoy does not hold weir for healthy:\n{}",
            envoy.clusters()
        );
        Some(envoy)
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// What the admin says of the clusters.
    pub(crate) fn clusters(&self) -> String {
        text(self.admin, "/clusters")
    }
}

/// The bootstrap on free ports, and with more time than a busy machine needs: an answer that is late lets requests pass.
fn rewritten(name: &str, folder: &Path, weir: SocketAddr) -> String {
    let path = format!("{}/examples/envoy/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let original = fs::read_to_string(path).expect("a bootstrap");
    let upstream = format!("pipe: {{ path: {}/upstream.sock }}", folder.display());
    let weir_port = format!("port_value: {}", weir.port());
    [
        (1, "port_value: 9901", "port_value: 0"),
        (1, "port_value: 10000", "port_value: 0"),
        (
            2,
            "socket_address: { address: 127.0.0.1, port_value: 10001 }",
            upstream.as_str(),
        ),
        (1, "port_value: 8081", weir_port.as_str()),
        (1, "timeout: 0.05s", "timeout: 30s"),
        (1, "timeout: 0.5s", "timeout: 30s"),
    ]
    .iter()
    .fold(original, |text, (times, from, to)| {
        assert_eq!(text.matches(from).count(), *times, "{from} in {name}.yaml");
        text.replace(from, to)
    })
}

/// Where the listener for clients got its port.
fn listener(admin: SocketAddr) -> SocketAddr {
    let listeners: Value =
        serde_json::from_str(&text(admin, "/listeners?format=json")).expect("JSON");
    let edge = listeners["listener_statuses"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|listener| listener["name"] == "edge")
        .expect("the listener for clients");
    let port = edge["local_address"]["socket_address"]["port_value"]
        .as_u64()
        .expect("a port");
    SocketAddr::new(admin.ip(), port.try_into().expect("a port"))
}

fn text(admin: SocketAddr, path: &str) -> String {
    let answer = Client::connect(admin).send(&Request::new(&format!("GET {path}")));
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.body).expect("UTF-8")
}
