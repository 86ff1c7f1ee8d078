//! Generates the Rust code of the protocol from `proto/`.
//!
//! The result is committed in `src/proto/generated`, so that building weir needs neither a compiler of protobuf nor the
//! time to build one. `cargo run -p weir-codegen` writes it again after a change of `proto/`;
//! `cargo test -p weir-codegen` fails while the two differ.

use std::error::Error;
use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Where the committed code is, below the root of the repository.
pub const GENERATED: &str = "src/proto/generated";

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

/// Generates the code of the protocol below the folder `root`, the repository's, into the folder `out`.
///
/// # Errors
/// If the protocol does not compile, lacks one of the fields that are read as bytes, or a file cannot be written.
pub fn generate(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let proto = root.join("proto");
    let served = protox::compile([SERVED], [&proto])?;
    // Reflection serves the protocol as it is published, so that tools write keys and values as text.
    fs::write(out.join("protocol.binpb"), served.encode_to_vec())?;

    let mut protocol = protox::compile([&[SERVED], &RECEIVED[..]].concat(), [&proto])?;
    read_as_bytes(&mut protocol)?;
    // The server reads and answers calls by itself.
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .out_dir(out)
        .include_file("protocol.rs")
        .compile_fds(protocol)?;
    Ok(())
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
