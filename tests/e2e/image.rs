//! What `deploy/image` builds: unpacked, and run as a container runtime runs it in Kubernetes.

mod bundle;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use weir_harness::program;

use bundle::{Bundle, Container};

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

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/image");

/// The script, with the binary of the tests in the place of a static one, which takes minutes to build.
fn build(folder: &Path, flags: &[&str]) -> String {
    build_by(&mut Command::new(SCRIPT), folder, flags)
}

fn build_by(command: &mut Command, folder: &Path, flags: &[&str]) -> String {
    let binary = binary();
    command.arg(folder).args(["--binary", binary]).args(flags);
    for library in libraries(binary) {
        command.args(["--file", &format!("{library}={library}")]);
    }
    succeed(command)
}

/// The shared libraries of a binary, with the loader.
fn libraries(binary: &str) -> Vec<String> {
    succeed(Command::new("ldd").arg(binary))
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect()
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

/// The user of the image owns nothing in it, whatever the umask of the builder is.
#[test]
fn everybody_can_read_the_files_of_the_image() {
    if !program::PYTHON.is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let script = "umask 077; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    build_by(command.args(["-c", script, SCRIPT]), &root, &["--root"]);
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    for folder in ["", "bin", "etc", "usr/share/doc/weir"] {
        assert_eq!(mode(&root.join(folder)), 0o755, "{folder}");
    }
    for file in files(&root) {
        let expected = mode(&file) | 0o444;
        assert_eq!(mode(&file), expected, "{}", file.display());
    }
    assert_eq!(mode(&root.join("bin/ratelimit")), 0o755);
}

#[test]
fn a_binary_that_needs_a_loader_is_rejected_without_it() {
    if !program::PYTHON.is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(SCRIPT)
        .arg(folder.path().join("layout"))
        .args(["--binary", binary()])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is not static"), "{said}");
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

#[test]
fn without_ipv6_a_port_without_a_host_listens_and_an_address_of_ipv6_is_an_error() {
    let Some(bundle) = Bundle::new() else {
        return;
    };
    bundle.take_ipv6_away();
    let variables = |grpc| {
        [
            "WEIR_POLICIES=/policies",
            grpc,
            "WEIR_HTTP=:0",
            "WEIR_LOG_FORMAT=json",
            "WEIR_DRAIN=0",
        ]
    };
    let container = bundle.run("weir-test-ipv4", &[], &variables("WEIR_GRPC=:0"));
    assert!(container.weir.address.is_ipv4() && container.weir.http.is_ipv4());
    expect_limits_and_an_end(container);
    let output = bundle
        .command("weir-test-ipv6", &[], &variables("WEIR_GRPC=[::]:0"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("cannot listen on [::]:0: this machine has no IPv6; --grpc with :PORT"),
        "{said}"
    );
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
