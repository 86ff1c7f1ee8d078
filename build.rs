//! Compiles `proto/` into what `src/proto.rs` includes.

use std::error::Error;
use std::path::PathBuf;
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

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut protocol = protox::compile(["envoy/service/ratelimit/v3/rls.proto"], ["proto"])?;
    // Reflection serves the protocol as it is published, so that tools write keys and values as text.
    fs::write(out.join("protocol.binpb"), protocol.encode_to_vec())?;

    read_as_bytes(&mut protocol)?;
    // The server reads and answers calls by itself.
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
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
