//! Says what `weir --version` shows of the build.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), env::VarError> {
    println!("cargo:rerun-if-changed=build.rs");
    describe_build()
}

/// Sets the variables that `src/cli/version.rs` reads. The same source and compiler give the same ones: no time, no host.
fn describe_build() -> Result<(), env::VarError> {
    println!("cargo:rerun-if-env-changed=WEIR_COMMIT");
    let profile = env::var("PROFILE")?;
    // Only a release asks git: otherwise each commit would compile everything again.
    let commit = env::var("WEIR_COMMIT").ok();
    let commit = commit.or_else(|| (profile == "release").then(git_commit)?);
    println!(
        "cargo:rustc-env=WEIR_BUILD_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    let rustc = output_of(Command::new(env::var("RUSTC")?).arg("--version"));
    println!(
        "cargo:rustc-env=WEIR_BUILD_RUSTC={}",
        rustc.as_deref().unwrap_or("unknown")
    );
    println!("cargo:rustc-env=WEIR_BUILD_TARGET={}", env::var("TARGET")?);
    println!("cargo:rustc-env=WEIR_BUILD_PROFILE={profile}");
    let features = env::var("CARGO_CFG_FEATURE").unwrap_or_default();
    let features: Vec<&str> = features
        .split(',')
        .filter(|name| !["", "default"].contains(name))
        .collect();
    let features = match features[..] {
        [] => "none".to_owned(),
        _ => features.join(", "),
    };
    println!("cargo:rustc-env=WEIR_BUILD_FEATURES={features}");
    Ok(())
}

/// The commit of this folder, if it is the root of a git repository; a package may lie inside of another one's.
fn git_commit() -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    let git = |args: &[&str]| output_of(Command::new("git").args(args));
    // The log of HEAD changes with every commit and checkout.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "HEAD"])
}

/// The first line that a program prints, if it runs and succeeds.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}
