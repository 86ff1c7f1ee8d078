//! Envoy with a bootstrap of `examples/envoy`, in front of an instance with the policy of the same name, or with another one.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Client, Request};
use crate::weir::Weir;
use crate::window::now_secs;
use weir_harness::{PATIENCE, Process, program};

pub(crate) struct Envoy {
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) weir: Weir,
    process: Process,
    folder: TempDir,
    /// The name of its listener for clients.
    listener: String,
}

/// How a bootstrap differs from the one that is shipped.
#[derive(Default)]
pub(crate) struct Setup<'s> {
    /// A service of the test in place of the stand-in.
    pub(crate) upstream: Option<SocketAddr>,
    /// What is replaced, once each.
    pub(crate) edits: &'s [(&'s str, &'s str)],
    /// How long Envoy waits for weir; by default longer than a busy machine needs.
    pub(crate) patience: Option<&'s str>,
}

impl Envoy {
    /// Weir, and then Envoy before it; none if the test is to be skipped.
    pub(crate) fn start(name: &str) -> Option<Self> {
        Self::before(|| Weir::start(name), name, &Setup::default())
    }

    /// Envoy with the bootstrap `name`, before that weir; none if the test is to be skipped.
    pub(crate) fn before(
        weir: impl FnOnce() -> Weir,
        name: &str,
        setup: &Setup<'_>,
    ) -> Option<Self> {
        program::ENVOY.or_skip()?;
        let weir = weir();
        let folder = tempfile::tempdir().expect("a folder");
        let bootstrap = rewritten(name, setup, (folder.path(), weir.address));
        let envoy = Self::with_bootstrap(&bootstrap, "edge", weir, folder)?;
        assert!(
            envoy.clusters().contains("health_flags::healthy"),
            "Envoy does not hold weir for healthy:\n{}",
            envoy.clusters()
        );
        Some(envoy)
    }

    /// Envoy with a bootstrap that names a free port, before that weir; none if the test is to be skipped. It is written
    /// into the folder.
    pub(crate) fn with_bootstrap(
        bootstrap: &str,
        listener: &str,
        weir: Weir,
        folder: TempDir,
    ) -> Option<Self> {
        let binary = program::ENVOY.or_skip()?;
        fs::write(folder.path().join(BOOTSTRAP), bootstrap).expect("written");
        let (process, admin) = run(binary, folder.path());
        Some(Self {
            address: listening(admin, listener),
            admin,
            weir,
            process,
            folder,
            listener: listener.to_owned(),
        })
    }

    /// Kills it, without a chance to say good-bye, and starts another one.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.process.kill();
        let binary = program::ENVOY.or_skip().expect("it was there before");
        (self.process, self.admin) = run(binary, self.folder.path());
        self.address = listening(self.admin, &self.listener);
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// What the admin says of the clusters.
    pub(crate) fn clusters(&self) -> String {
        text(self.admin, "/clusters")
    }

    /// Waits until that many instances of weir are healthy.
    pub(crate) fn wait_until_healthy(&self, instances: usize) {
        let start = now_secs();
        loop {
            let clusters = self.clusters();
            let healthy = clusters.lines().filter(|line| {
                line.starts_with("weir::") && line.ends_with("::health_flags::healthy")
            });
            if healthy.count() == instances {
                return;
            }
            assert!(now_secs() - start < PATIENCE.as_secs(), "{clusters}");
        }
    }

    /// Bytes that it has sent to weir so far, health checks included.
    pub(crate) fn sent_to_weir(&self) -> u64 {
        let stats = text(
            self.admin,
            "/stats?filter=^cluster.weir.upstream_cx_tx_bytes_total$",
        );
        let bytes = stats.trim().rsplit(' ').next().map(str::parse);
        bytes
            .and_then(Result::ok)
            .unwrap_or_else(|| panic!("{stats}"))
    }
}

const BOOTSTRAP: &str = "envoy.yaml";

/// Starts Envoy with the bootstrap of a folder. Returns the address of its admin interface.
fn run(binary: &Path, folder: &Path) -> (Process, SocketAddr) {
    let admin_address = folder.join("admin");
    let mut process = Process::start(
        Command::new(binary)
            .arg("-c")
            .arg(folder.join(BOOTSTRAP))
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--disable-hot-restart", "--concurrency", "2"]),
    );
    // Said when the first health check of weir is through and the listeners listen.
    process.wait_for(|line| line.contains("starting workers").then_some(()));
    let admin = fs::read_to_string(&admin_address).expect("the admin's address");
    (process, admin.parse().expect("an address"))
}

/// The bootstrap on free ports, and with more time than a busy machine needs: an answer that is late lets requests pass.
fn rewritten(name: &str, setup: &Setup<'_>, (folder, weir): (&Path, SocketAddr)) -> String {
    const UPSTREAM: &str = "socket_address: { address: 127.0.0.1, port_value: 10001 }";
    let path = format!("{}/examples/envoy/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let original = fs::read_to_string(path).expect("a bootstrap");
    let pipe = format!("pipe: {{ path: {}/upstream.sock }}", folder.display());
    let weir_port = format!("port_value: {}", weir.port());
    let timeout = format!("timeout: {}", setup.patience.unwrap_or("30s"));
    let upstream = setup.upstream.map_or(pipe.clone(), |upstream| {
        let (ip, port) = (upstream.ip(), upstream.port());
        format!("socket_address: {{ address: {ip}, port_value: {port} }}")
    });
    let in_cluster = format!("- endpoint: {{ address: {{ {UPSTREAM} }} }}");
    let endpoint = format!("- endpoint: {{ address: {{ {upstream} }} }}");
    // Most bootstraps have a listener in place of the service.
    let has_stand_in = original.matches(UPSTREAM).count() == 2;
    let stand_in = has_stand_in.then_some((UPSTREAM, &*pipe));
    let edits: Vec<(&str, &str)> = [
        ("port_value: 9901", "port_value: 0"),
        ("port_value: 10000", "port_value: 0"),
        (&in_cluster, &endpoint),
        ("port_value: 8081", &weir_port),
        ("timeout: 0.05s", &timeout),
        ("timeout: 0.5s", "timeout: 30s"),
    ]
    .into_iter()
    .chain(stand_in)
    .chain(setup.edits.iter().copied())
    .collect();
    edits.into_iter().fold(original, |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from} in {name}.yaml");
        text.replace(from, to)
    })
}

/// Where that listener got its port.
fn listening(admin: SocketAddr, name: &str) -> SocketAddr {
    let listeners: Value =
        serde_json::from_str(&text(admin, "/listeners?format=json")).expect("JSON");
    let edge = listeners["listener_statuses"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|listener| listener["name"] == name)
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
