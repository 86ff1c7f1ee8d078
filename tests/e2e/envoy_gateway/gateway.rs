//! Envoy Gateway itself, without Kubernetes: resources in files, and the Envoy that it starts.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use weir_harness::{Process, free_port, program, wait_until};

use super::FOLDER;

/// The configuration server for limits. Envoy Gateway listens on all addresses, and none of its ports can be chosen, so it
/// needs a network of its own.
pub(super) const CONTROL_PLANE: &str = "localhost:18001";

/// More than Envoy Gateway takes to start on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// The routes, each for the path of its name.
const ROUTES: &[&str] = &[
    "all", "both", "cidr", "cost-a", "cost-b", "except", "exempt", "few", "free", "headers",
    "load", "method", "none", "path", "query", "shadow", "shared-a", "shared-b", "two", "unless",
    "usage",
];

/// What Envoy Gateway starts in the place of Envoy: a note of the arguments. The test starts Envoy, which then outlives Envoy
/// Gateway, as it does in a pod of its own.
const STAND_IN: &str = "#!/bin/sh
printf '%s\\0' \"$@\" >@FOLDER@/arguments.new && mv @FOLDER@/arguments.new @FOLDER@/arguments
exec sleep infinity
";

/// The parts of its certificates that each program has: a folder below `certs`.
pub(super) const HOLDERS: [&str; 3] = ["envoy-gateway", "envoy", "envoy-rate-limit"];

/// Envoy Gateway and its folder.
pub(super) struct Gateway {
    process: Process,
    binary: &'static Path,
    /// Where its Envoy listens.
    pub(super) envoy: SocketAddr,
    folder: TempDir,
}

/// Where the other programs are.
pub(super) struct Ports {
    pub(super) upstream: u16,
    pub(super) ratelimit: u16,
}

impl Gateway {
    /// Starts it with the resources of these names; none if the test is to be skipped. `prepare` may replace the certificates
    /// that it has made.
    pub(super) fn start(
        ports: &Ports,
        resources: &[&str],
        prepare: impl FnOnce(&Path),
    ) -> Option<Self> {
        let binary = program::ENVOY_GATEWAY.or_skip()?;
        let folder = tempfile::tempdir().expect("a folder");
        let envoy = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::create_dir(folder.path().join("resources")).expect("created");
        put_stand_in(folder.path(), binary);
        let home = folder.path().join("home");
        let output = Command::new(binary)
            .args(["certgen", "--local", "--config-home"])
            .arg(&home)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{output:?}");
        prepare(&home.join("certs"));
        let text = |name: &str| {
            let path = Path::new(FOLDER).join(name);
            let text = fs::read_to_string(path).expect("a file");
            text.replace("@FOLDER@", &folder.path().display().to_string())
                .replace("@PORT@", &envoy.port().to_string())
                .replace("@UPSTREAM_PORT@", &ports.upstream.to_string())
                .replace("@RATELIMIT_PORT@", &ports.ratelimit.to_string())
        };
        fs::write(folder.path().join("gateway.yaml"), text("gateway.yaml")).expect("written");
        for name in ["base"].iter().chain(resources) {
            let file = format!("{name}.yaml");
            put(folder.path(), &file, &text(&format!("resources/{file}")));
        }
        put(folder.path(), "routes.yaml", &routes());
        put(folder.path(), "secret.yaml", &secret(&home.join("certs")));
        let process = run(binary, folder.path());
        Some(Self {
            process,
            binary,
            envoy,
            folder,
        })
    }

    /// The program, in whose path its version is, and what it prints of the versions of others.
    pub(super) fn version(&self) -> String {
        format!("{}\n{}", self.binary.display(), version(self.binary))
    }

    /// The folder with a folder of certificates for each holder.
    pub(super) fn certs(&self) -> PathBuf {
        self.folder.path().join("home/certs")
    }

    /// Starts the Envoy that it wants, and waits until that listens.
    pub(super) fn start_envoy(&self) -> Option<Process> {
        let envoy = program::ENVOY.or_skip()?;
        let file = self.folder.path().join("arguments");
        wait_until("Envoy Gateway starts Envoy", PATIENCE, || file.exists());
        let arguments = fs::read_to_string(file).expect("arguments");
        let arguments = arguments.split_terminator('\0');
        let process = Process::start(
            Command::new(envoy)
                .arg("--disable-hot-restart")
                .args(arguments),
        );
        wait_until("Envoy listens", PATIENCE, || {
            std::net::TcpStream::connect(self.envoy).is_ok()
        });
        Some(process)
    }

    /// Puts a resource into place, in one step: half a file would be applied as it is.
    pub(super) fn put(&self, file: &str, text: &str) {
        put(self.folder.path(), file, text);
    }

    /// Gives the proxies the certificate that is in its folder now.
    pub(super) fn renew_secret(&self) {
        self.put("secret.yaml", &secret(&self.certs()));
    }

    /// Ends it in order, and not the Envoy.
    pub(super) fn stop(&mut self) {
        self.process.terminate();
        self.process.wait();
    }

    /// Starts it once more, in the same folder.
    pub(super) fn start_again(&mut self) {
        self.process = run(self.binary, self.folder.path());
    }
}

fn run(binary: &Path, folder: &Path) -> Process {
    // Its log is on stdout.
    Process::start(
        Command::new("sh")
            .args(["-c", "exec \"$0\" server --config-path \"$1\" >&2"])
            .arg(binary)
            .arg(folder.join("gateway.yaml")),
    )
}

fn version(binary: &Path) -> String {
    let output = Command::new(binary).arg("version").output();
    String::from_utf8(output.expect("it starts").stdout).expect("UTF-8")
}

/// Envoy Gateway looks for Envoy under the version that it was made for, and downloads it if it is not there.
fn put_stand_in(folder: &Path, binary: &Path) {
    let printed = version(binary);
    let envoy = printed
        .lines()
        .find_map(|line| line.strip_prefix("ENVOY_PROXY_VERSION: "))
        .and_then(|image| image.rsplit_once('v'))
        .unwrap_or_else(|| panic!("no version of Envoy in {printed}"));
    let path = folder.join(format!("data/envoy-versions/{}/bin/envoy", envoy.1));
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    let text = STAND_IN.replace("@FOLDER@", &folder.display().to_string());
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
}

fn put(folder: &Path, file: &str, text: &str) {
    let new = folder.join(file);
    fs::write(&new, text).expect("written");
    fs::rename(&new, folder.join("resources").join(file)).expect("moved");
}

fn routes() -> String {
    let route = |name: &&str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: default}}
spec:
  parentRefs: [{{name: shop}}]
  rules:
    - matches: [{{path: {{type: PathPrefix, value: /{name}}}}}]
      backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: upstream}}]
"
        )
    };
    ROUTES.iter().map(route).collect::<Vec<_>>().join("---\n")
}

/// The certificate of the proxies, as the Secret that Envoy Gateway sends them.
fn secret(certs: &Path) -> String {
    let data = ["ca.crt", "tls.crt", "tls.key"].map(|name| {
        let file = certs.join("envoy").join(name);
        let output = Command::new("base64").arg("-w0").arg(file).output();
        let text = String::from_utf8(output.expect("base64 starts").stdout).expect("ASCII");
        format!("{name}: {text}")
    });
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: envoy, namespace: envoy-gateway-system}}
type: kubernetes.io/tls
data: {{{}}}
",
        data.join(", ")
    )
}
