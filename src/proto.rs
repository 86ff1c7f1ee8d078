//! The protocol, generated from `proto/` by `cargo run -p weir-codegen`, and its units of time.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "most of it is generated"
)]

mod units;

pub use units::{unit_from_number, unit_number};

include!("proto/generated/protocol.rs");

/// What reflection serves: the protocol as it is published, encoded.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("proto/generated/protocol.binpb");
