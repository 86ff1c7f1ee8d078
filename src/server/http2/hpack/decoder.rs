//! The decoder: bytes of header blocks in, fields out.

#[cfg(test)]
mod tests;

use super::huffman::HuffmanDecoder;
use super::table::{FieldName, HeaderTable};
use super::{CompressionError, ENTRY_OVERHEAD, MAX_KEPT_BYTES};

/// Encoded bytes that are decoded at once: how far a string may grow before its length is checked.
const STRIDE: usize = 1024;

/// A scratch buffer that has grown beyond this is freed at the end of a block.
const KEPT_CAPACITY: usize = 512;

/// Integers have at most this many bits after their prefix; anything longer is an attack.
const MAX_SHIFT: u8 = 28;

/// A decoded header field.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct HeaderField<'a> {
    pub(in super::super) name: FieldName,
    pub(in super::super) name_bytes: &'a [u8],
    /// Only the beginning when `is_cut`.
    pub(in super::super) value: &'a [u8],
    /// Whether the field was longer than [`MAX_KEPT_BYTES`].
    pub(in super::super) is_cut: bool,
    /// Bytes of name and value, and the overhead of RFC 7541; what is skipped counts encoded.
    pub(in super::super) size: usize,
}

/// Decodes the header blocks of one connection, in their order.
#[derive(Debug, Default)]
pub(in super::super) struct HeaderDecoder {
    table: HeaderTable,
    step: DecodeStep,
    literal: LiteralField,
    /// Name and value of the literal field that is being read.
    kept: Vec<u8>,
    /// Whether this block has had a field: the size of the table changes only before the first.
    has_field: bool,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default)]
enum DecodeStep {
    #[default]
    Field,
    /// Further bytes of an integer.
    Integer {
        of: HpackInteger,
        value: u32,
        shift: u8,
    },
    /// The first byte of a string.
    StringHead,
    String {
        left: usize,
        /// `None` for a plain string.
        code: Option<HuffmanDecoder>,
    },
}

/// What an integer says.
#[derive(Clone, Copy, Debug)]
enum HpackInteger {
    Field,
    TableSize,
    Name,
    Length { is_huffman: bool },
}

/// A field that is not in the table.
#[derive(Clone, Copy, Debug)]
struct LiteralField {
    is_indexed: bool,
    known: FieldName,
    /// Bytes of the name in `kept`; `None` while the name is being read.
    name: Option<usize>,
    is_cut: bool,
    skipped: usize,
}

impl Default for LiteralField {
    fn default() -> Self {
        Self {
            is_indexed: false,
            known: FieldName::Other,
            name: None,
            is_cut: false,
            skipped: 0,
        }
    }
}

impl HeaderDecoder {
    /// Decodes the next bytes of a block, and hands every field that they complete to `visit`.
    ///
    /// # Errors
    /// If the bytes are not HPACK, or change the size of the table in a way that is not allowed.
    pub(in super::super) fn decode(
        &mut self,
        mut bytes: &[u8],
        visit: &mut impl FnMut(HeaderField<'_>),
    ) -> Result<(), CompressionError> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.step {
                DecodeStep::Field => {
                    bytes = rest;
                    let (of, mask) = match byte {
                        0x80.. => (HpackInteger::Field, 0x7f),
                        0x40.. => (HpackInteger::Name, 0x3f),
                        0x20.. => (HpackInteger::TableSize, 0x1f),
                        _ => (HpackInteger::Name, 0x0f),
                    };
                    if let HpackInteger::Name = of {
                        self.literal = LiteralField {
                            is_indexed: byte >= 0x40,
                            ..LiteralField::default()
                        };
                        self.kept.clear();
                    }
                    self.begin_integer(of, byte & mask, mask, visit)?;
                }
                DecodeStep::StringHead => {
                    bytes = rest;
                    let is_huffman = byte & 0x80 != 0;
                    self.begin_integer(
                        HpackInteger::Length { is_huffman },
                        byte & 0x7f,
                        0x7f,
                        visit,
                    )?;
                }
                DecodeStep::Integer { of, value, shift } => {
                    bytes = rest;
                    if *shift >= MAX_SHIFT {
                        return Err(CompressionError);
                    }
                    *value += u32::from(byte & 0x7f) << *shift;
                    *shift += 7;
                    if byte & 0x80 == 0 {
                        let (of, value) = (*of, *value as usize);
                        self.end_integer(of, value, visit)?;
                    }
                }
                DecodeStep::String { .. } => bytes = self.string(bytes, visit)?,
            }
        }
        Ok(())
    }

    /// Ends a block.
    ///
    /// # Errors
    /// When it ends within a field.
    pub(in super::super) fn end_block(&mut self) -> Result<(), CompressionError> {
        self.has_field = false;
        if self.kept.capacity() > KEPT_CAPACITY {
            self.kept = Vec::new();
        }
        match self.step {
            DecodeStep::Field => Ok(()),
            _ => Err(CompressionError),
        }
    }

    fn begin_integer(
        &mut self,
        of: HpackInteger,
        prefix: u8,
        mask: u8,
        visit: &mut impl FnMut(HeaderField<'_>),
    ) -> Result<(), CompressionError> {
        if prefix < mask {
            return self.end_integer(of, prefix.into(), visit);
        }
        self.step = DecodeStep::Integer {
            of,
            value: mask.into(),
            shift: 0,
        };
        Ok(())
    }

    fn end_integer(
        &mut self,
        of: HpackInteger,
        value: usize,
        visit: &mut impl FnMut(HeaderField<'_>),
    ) -> Result<(), CompressionError> {
        self.step = match of {
            HpackInteger::Field => {
                self.has_field = true;
                let field = self.table.get(value).ok_or(CompressionError)?;
                visit(HeaderField {
                    name: field.known,
                    name_bytes: field.name,
                    value: field.value,
                    is_cut: false,
                    size: field.name.len() + field.value.len() + ENTRY_OVERHEAD,
                });
                DecodeStep::Field
            }
            HpackInteger::TableSize => {
                if self.has_field || !self.table.resize(value) {
                    return Err(CompressionError);
                }
                DecodeStep::Field
            }
            HpackInteger::Name => {
                self.has_field = true;
                if value > 0 {
                    let field = self.table.get(value).ok_or(CompressionError)?;
                    self.kept.extend_from_slice(field.name);
                    self.literal.known = field.known;
                    self.literal.name = Some(field.name.len());
                }
                DecodeStep::StringHead
            }
            HpackInteger::Length { is_huffman } => {
                self.step = DecodeStep::String {
                    left: value,
                    code: is_huffman.then(HuffmanDecoder::default),
                };
                if value == 0 {
                    self.end_string(visit);
                }
                return Ok(());
            }
        };
        Ok(())
    }

    /// Takes what it can of a string from the front of `bytes`, and returns the rest.
    fn string<'b>(
        &mut self,
        bytes: &'b [u8],
        visit: &mut impl FnMut(HeaderField<'_>),
    ) -> Result<&'b [u8], CompressionError> {
        let DecodeStep::String { left, code } = &mut self.step else {
            return Ok(bytes);
        };
        let (string, rest) = bytes.split_at(bytes.len().min(*left));
        *left -= string.len();
        let is_last = *left == 0;
        for piece in string.chunks(STRIDE) {
            if self.literal.is_cut {
                self.literal.skipped += piece.len();
                continue;
            }
            match code {
                Some(code) => code.decode(piece, &mut self.kept)?,
                None => self.kept.extend_from_slice(piece),
            }
            self.literal.is_cut = self.kept.len() > MAX_KEPT_BYTES;
        }
        if is_last {
            if let (Some(code), false) = (code, self.literal.is_cut) {
                code.finish()?;
            }
            self.end_string(visit);
        }
        Ok(rest)
    }

    fn end_string(&mut self, visit: &mut impl FnMut(HeaderField<'_>)) {
        let literal = &mut self.literal;
        let Some(name) = literal.name else {
            literal.name = Some(self.kept.len());
            literal.known = FieldName::classify(&self.kept);
            self.step = DecodeStep::StringHead;
            return;
        };
        let (name_bytes, value) = self.kept.split_at(name);
        visit(HeaderField {
            name: literal.known,
            name_bytes,
            value,
            is_cut: literal.is_cut,
            size: self.kept.len() + literal.skipped + ENTRY_OVERHEAD,
        });
        match (literal.is_indexed, literal.is_cut) {
            (true, false) => self.table.insert(literal.known, name_bytes, value),
            (true, true) => self.table.clear(),
            (false, _) => {}
        }
        self.step = DecodeStep::Field;
    }
}
