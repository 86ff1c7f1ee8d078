//! HPACK (RFC 7541): header blocks into fields, and the few fields of answers into blocks.
//!
//! Written for this server because the decoders on crates.io want a whole block in memory and build
//! every field of it. This one takes a block in pieces of any size, keeps at most one field of at most
//! [`MAX_KEPT_BYTES`], skips longer ones, and still knows the dynamic table exactly: a field that is
//! longer than the table empties it, whatever it says.

mod decoder;
mod encoder;
mod huffman;
mod table;

pub(super) use decoder::{HeaderDecoder, HeaderField};
pub(super) use encoder::{AnswerEncoder, put_field};
pub(super) use table::FieldName;

/// Bytes of the dynamic table: the default of SETTINGS_HEADER_TABLE_SIZE, which is not changed.
const TABLE_BYTES: usize = 4096;

/// What an entry of the table counts beyond its bytes.
const ENTRY_OVERHEAD: usize = 32;

/// The longest field, name and value together, that is looked at: longer ones cannot be in the table.
pub(super) const MAX_KEPT_BYTES: usize = TABLE_BYTES - ENTRY_OVERHEAD;

/// A header block that cannot be decoded; the connection must end, for the table is unknown from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompressionError;
