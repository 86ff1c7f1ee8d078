//! Compiles `proto/` into what `src/proto.rs` includes, and says what `weir --version` shows of the build.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Fields that hold what a client sent, which need not be UTF-8: message and field.
///
/// prost refuses a whole message for one bad `string`, Envoy takes the error for "let it through", and so one byte
/// in an API key would switch limiting off. `bytes` looks the same on the wire.
const BYTES: [(&str, &str); 3] = [
    ("RateLimitRequest", "domain"),
    ("Entry", "key"),
    ("Entry", "value"),
];

/// The protocol that weir serves.
const SERVED: &str = "envoy/service/ratelimit/v3/rls.proto";

/// What it asks a configuration server for.
const RECEIVED: [&str; 2] = [
    "envoy/service/discovery/v3/ads.proto",
    "ratelimit/config/ratelimit/v3/rls_conf.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    describe_build()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let served = protox::compile([SERVED], ["proto"])?;
    // Reflection serves the protocol as it is published, so that tools write keys and values as text.
    fs::write(out.join("protocol.binpb"), served.encode_to_vec())?;

    let mut protocol = protox::compile([&[SERVED], &RECEIVED[..]].concat(), ["proto"])?;
    read_as_bytes(&mut protocol)?;
    // The server reads and answers calls by itself.
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .include_file("protocol.rs")
        .compile_fds(protocol)?;
    Ok(())
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

/// Turns the fields of [`BYTES`] from `string` into `bytes`.
fn read_as_bytes(protocol: &mut FileDescriptorSet) -> Result<(), String> {
    let mut patched = 0;
    for message in protocol
        .file
        .iter_mut()
        .flat_map(|file| &mut file.message_type)
    {
        patched += patch(message);
    }
    if patched == BYTES.len() {
        Ok(())
    } else {
        Err(format!("{patched} of the fields {BYTES:?} are in proto/"))
    }
}

fn patch(message: &mut DescriptorProto) -> usize {
    let mut patched = 0;
    for field in &mut message.field {
        if BYTES.contains(&(
            message.name.as_deref().unwrap_or_default(),
            field.name.as_deref().unwrap_or_default(),
        )) {
            field.set_type(Type::Bytes);
            patched += 1;
        }
    }
    patched + message.nested_type.iter_mut().map(patch).sum::<usize>()
}
