//! What `deploy/image` builds: unpacked, and run as a container runtime runs it in Kubernetes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_harness::program;

use crate::weir::Weir;

const USER: u32 = 65534;

const POLICY: &str = "
domain: shop
descriptors:
- {key: api_key, rate_limit: {unit: hour, requests_per_unit: 2}}
";

fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The binary of the tests without its symbols, which are ten times as large.
fn binary() -> &'static str {
    static STRIPPED: OnceLock<String> = OnceLock::new();
    STRIPPED.get_or_init(|| {
        let stripped = concat!(env!("CARGO_TARGET_TMPDIR"), "/weir-stripped");
        let original = env!("CARGO_BIN_EXE_weir");
        succeed(Command::new("strip").args(["-o", stripped, original]));
        stripped.to_owned()
    })
}

/// The script, with the binary of the tests in the place of a static one, which takes minutes to build.
fn build(folder: &Path, flags: &[&str]) -> String {
    let binary = binary();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/image");
    let mut command = Command::new(script);
    command.arg(folder).args(["--binary", binary]).args(flags);
    for library in libraries(binary) {
        command.args(["--file", &format!("{library}={library}")]);
    }
    succeed(&mut command)
}

/// The shared libraries of a binary, with the loader.
fn libraries(binary: &str) -> Vec<String> {
    succeed(Command::new("ldd").arg(binary))
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect()
}

/// A container that has been unpacked and not yet run.
struct Bundle {
    folder: TempDir,
}

impl Bundle {
    /// None if the test is to be skipped.
    fn new() -> Option<Self> {
        let umoci = program::UMOCI.or_skip()?;
        program::RUNC.or_skip()?;
        let folder = tempfile::tempdir().expect("a folder");
        let layout = folder.path().join("layout");
        build(&layout, &[]);
        let image = format!("{}:latest", layout.display());
        succeed(
            Command::new(umoci)
                .args(["unpack", "--image", &image])
                .arg(folder.path().join("bundle")),
        );
        Some(Self { folder })
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("bundle/rootfs")
    }

    /// Runs it with a command of its own and these variables. It sees the network of this machine, and a folder `/policies`.
    fn run(&self, name: &'static str, command: &[&str], variables: &[&str]) -> Container {
        let policies = self.folder.path().join("policies");
        // Where envoyproxy/ratelimit has them, too.
        fs::create_dir_all(policies.join("config")).expect("created");
        fs::write(policies.join("config/shop.yaml"), POLICY).expect("written");
        let bundle = self.folder.path().join("bundle");
        let file = bundle.join("config.json");
        let text = fs::read_to_string(&file).expect("a configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        restrict(&mut config, &policies);
        let process = &mut config["process"];
        if !command.is_empty() {
            process["args"] = json!(command);
        }
        process["env"] = json!(variables);
        fs::write(&file, config.to_string()).expect("written");
        let state = self.folder.path().join("state");
        let mut command = runc(&state);
        command.args(["run", "--bundle"]).arg(&bundle).arg(name);
        Container {
            weir: Weir::run(&mut command),
            state,
            name,
        }
    }
}

/// A running container, which ends when dropped.
struct Container {
    weir: Weir,
    state: PathBuf,
    name: &'static str,
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = runc(&self.state)
            .args(["delete", "--force", self.name])
            .output();
    }
}

fn runc(state: &Path) -> Command {
    let mut command = Command::new(program::RUNC.or_skip().expect("it was there before"));
    command.arg("--root").arg(state);
    command
}

/// What a restricted namespace of Kubernetes demands; and the network of the test.
fn restrict(config: &mut Value, policies: &Path) {
    let process = &mut config["process"];
    process["terminal"] = json!(false);
    process["noNewPrivileges"] = json!(true);
    process["capabilities"] = json!({});
    assert_eq!(process["user"]["uid"], USER);
    assert_eq!(process["user"]["gid"], USER);
    config["root"]["readonly"] = json!(true);
    let namespaces = config["linux"]["namespaces"].as_array_mut();
    namespaces
        .expect("namespaces")
        .retain(|namespace| namespace["type"] != "network");
    let mounts = config["mounts"].as_array_mut().expect("mounts");
    if mounts
        .iter()
        .all(|mount| mount["destination"] != "/policies")
    {
        mounts.push(json!({
            "destination": "/policies", "type": "bind", "source": policies, "options": ["rbind", "ro"],
        }));
    }
}

/// The paths of all files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_same_binary_gives_the_same_image() {
    if !program::PYTHON.is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let digests = ["a", "b"].map(|name| build(&folder.path().join(name), &["--tag", "1.0"]));
    assert!(digests[0].starts_with("sha256:"), "{digests:?}");
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn the_image_has_two_names_for_one_program_and_no_shell() {
    if !program::PYTHON.is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    build(&root, &["--root"]);
    let inode = |name: &str| fs::metadata(root.join(name)).expect("a file").ino();
    assert_eq!(inode("bin/weir"), inode("bin/ratelimit"));
    let libraries = libraries(env!("CARGO_BIN_EXE_weir"));
    let found: BTreeSet<String> = files(&root)
        .iter()
        .map(|path| format!("/{}", path.strip_prefix(&root).expect("below").display()))
        .filter(|path| !libraries.contains(path) && !path.starts_with("/etc/ssl/"))
        .collect();
    let expected = [
        "/bin/ratelimit",
        "/bin/weir",
        "/etc/passwd",
        "/usr/share/doc/weir/LICENSE",
        "/usr/share/doc/weir/sbom.cdx.json",
        "/usr/share/doc/weir/third-party-licenses.txt",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn the_image_lists_every_crate_in_it_with_its_license() {
    if !program::PYTHON.is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    build(&root, &["--root"]);
    let read = |name: &str| {
        let path = root.join("usr/share/doc/weir").join(name);
        fs::read_to_string(path).expect("a file")
    };
    let bill: Value = serde_json::from_str(&read("sbom.cdx.json")).expect("JSON");
    assert_eq!(bill["metadata"]["component"]["name"], "weir");
    let licenses = read("third-party-licenses.txt");
    let locked = include_str!("../../Cargo.lock");
    let mut names = BTreeSet::new();
    for crate_ in bill["components"].as_array().expect("components") {
        let text = |name: &str| crate_[name].as_str().expect("a text");
        let (name, version) = (text("name"), text("version"));
        let is_locked = format!("name = \"{name}\"\nversion = \"{version}\"");
        assert!(locked.contains(&is_locked), "{name}");
        let license = &crate_["licenses"][0]["expression"];
        assert!(license.is_string(), "{name} has no license");
        assert!(licenses.contains(&format!("{name} {version}")), "{name}");
        names.insert(name.to_owned());
    }
    for linked in ["tokio", "rustls", "redis"] {
        assert!(names.contains(linked), "{linked}");
    }
    for elsewhere in ["tungstenite", "protox"] {
        assert!(
            !names.contains(elsewhere),
            "{elsewhere} is of tests or builds"
        );
    }
}

#[test]
fn the_image_runs_without_privileges_on_a_root_that_is_read_only() {
    let Some(bundle) = Bundle::new() else {
        return;
    };
    assert!(bundle.root().join("bin/weir").exists());
    let own = [
        "WEIR_POLICIES=/policies",
        "WEIR_GRPC=127.0.0.1:0",
        "WEIR_HTTP=127.0.0.1:0",
        "WEIR_LOG_FORMAT=json",
        "WEIR_DRAIN=0",
    ];
    expect_limits_and_an_end(bundle.run("weir-test-own", &[], &own));
    // The command of Envoy Gateway's Deployment.
    let of_ratelimit = [
        "RUNTIME_ROOT=/",
        "RUNTIME_SUBDIRECTORY=policies",
        "RUNTIME_IGNOREDOTFILES=true",
        "RUNTIME_WATCH_ROOT=false",
        "BACKEND_TYPE=memory",
        "USE_STATSD=false",
        "HOST=127.0.0.1",
        "PORT=0",
        "GRPC_HOST=127.0.0.1",
        "GRPC_PORT=0",
        "DEBUG_HOST=127.0.0.1",
        "DEBUG_PORT=0",
        "LOG_LEVEL=info",
        "LOG_FORMAT=json",
        "WEIR_DRAIN=0",
    ];
    let command = ["/bin/ratelimit"];
    expect_limits_and_an_end(bundle.run("weir-test-ratelimit", &command, &of_ratelimit));
}

/// Asks three times, and ends it as the kubelet does.
fn expect_limits_and_an_end(mut container: Container) {
    let weir = &mut container.weir;
    let codes = [(); 3].map(|()| {
        let answer = weir.query("shop", &["api_key=k"]).expect("an answer");
        answer["code"].clone()
    });
    assert_eq!(codes, ["OK", "OK", "OVER_LIMIT"]);
    weir.process.terminate();
    assert_eq!(weir.process.wait().code(), Some(0));
}

/// The Containerfile starts the same script; what it repeats must be the same, too.
#[test]
fn the_containerfile_describes_the_same_image() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let containerfile = fs::read_to_string(root.join("Containerfile")).expect("a file");
    let script = fs::read_to_string(root.join("deploy/image")).expect("a script");
    let line = |instruction: &str| {
        let found = containerfile
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(instruction));
        found.expect(instruction).trim().to_owned()
    };
    assert_eq!(line("RUN"), "deploy/image --root /image");
    assert!(script.contains(&format!("USER = \"{}\"", line("USER"))));
    let entry = format!(
        "\"Entrypoint\": {}, \"Cmd\": {}",
        line("ENTRYPOINT"),
        line("CMD")
    );
    assert!(script.contains(&entry), "{entry}");
    let ports = line("EXPOSE").replace(' ', ", ");
    assert!(script.contains(&format!("PORTS = ({ports})")), "{ports}");
}
