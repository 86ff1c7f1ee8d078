//! The protocol, generated from `proto/` by build.rs; nothing else.

#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/protocol.rs"));

/// What reflection serves: the protocol as it is published, encoded.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/protocol.binpb"));
