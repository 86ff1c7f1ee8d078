//! The header blocks of answers.
//!
//! Nearly all answers have the same four fields, so the dynamic table of the peer holds three of them
//! and never anything else; other fields are sent as plain literals.

use super::TABLE_BYTES;

/// The header blocks of an answer while the dynamic table of the peer is empty: they add their fields to it.
const FILLING: AnswerBlocks = AnswerBlocks {
    head: b"\x88\x5f\x10application/grpc\x40\x14grpc-accept-encoding\x0didentity,gzip",
    tail: b"\x40\x0bgrpc-status\x010",
};

/// … and when it has these fields: content-type is the oldest.
const INDEXED: AnswerBlocks = AnswerBlocks {
    head: b"\x88\xc0\xbf",
    tail: b"\xbe",
};

/// … and when it is not used.
const LITERAL: AnswerBlocks = AnswerBlocks {
    head: b"\x88\x0f\x10\x10application/grpc\x00\x14grpc-accept-encoding\x0didentity,gzip",
    tail: b"\x00\x0bgrpc-status\x010",
};

/// A table size of 0.
const EMPTY_TABLE: u8 = 0x20;

/// The blocks before and after the message of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AnswerBlocks {
    /// `:status`, `content-type`, `grpc-accept-encoding`.
    head: &'static [u8],
    /// `grpc-status: 0`.
    tail: &'static [u8],
}

/// Encodes the header blocks that a server sends on one connection.
#[derive(Debug)]
pub(in super::super) struct AnswerEncoder {
    blocks: AnswerBlocks,
    /// Whether the peer must be sent a table size of 0.
    owes_size: bool,
}

impl Default for AnswerEncoder {
    fn default() -> Self {
        Self {
            blocks: FILLING,
            owes_size: false,
        }
    }
}

impl AnswerEncoder {
    /// Takes note of the peer's SETTINGS_HEADER_TABLE_SIZE. A peer that wants less than usual gets literals.
    pub(in super::super) fn set_table_size(&mut self, size: u32) {
        if (size as usize) < TABLE_BYTES && self.blocks != LITERAL {
            self.blocks = LITERAL;
            self.owes_size = true;
        }
    }

    /// Bytes of the block before the message of an answer that is sent at once.
    pub(in super::super) fn answer_head_bytes(&self) -> usize {
        usize::from(self.owes_size) + self.blocks.head.len()
    }

    /// Fills the place of that block. The next block must be [`Self::answer_tail`].
    pub(in super::super) fn fill_answer_head(&mut self, place: &mut [u8]) {
        let owed = usize::from(std::mem::take(&mut self.owes_size));
        place[..owed].fill(EMPTY_TABLE);
        place[owed..].copy_from_slice(self.blocks.head);
    }

    /// The block after the message.
    pub(in super::super) fn answer_tail(&mut self) -> &'static [u8] {
        let tail = self.blocks.tail;
        if self.blocks == FILLING {
            self.blocks = INDEXED;
        }
        tail
    }

    /// The fields before a message as literals, which leave the table as it is: for a block that was begun.
    pub(in super::super) fn put_literal_head(block: &mut Vec<u8>) {
        block.extend_from_slice(LITERAL.head);
    }

    /// Begins a block whose fields are added with [`put_field`].
    pub(in super::super) fn begin_block(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.owes_size) {
            out.push(EMPTY_TABLE);
        }
    }
}

/// Adds a literal field that is not indexed, and not compressed either.
pub(in super::super) fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0);
    put_string(out, name);
    put_string(out, value);
}

fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    const PREFIX: usize = 0x7f;
    if string.len() < PREFIX {
        out.push(string.len() as u8);
    } else {
        out.push(PREFIX as u8);
        let mut left = string.len() - PREFIX;
        while left >= 0x80 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests {
    use super::super::HeaderDecoder;
    use super::*;

    fn decode(decoder: &mut HeaderDecoder, block: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut fields = Vec::new();
        decoder
            .decode(block, &mut |field| {
                fields.push((text(field.name_bytes), text(field.value)));
            })
            .unwrap();
        decoder.end_block().unwrap();
        fields
    }

    fn answer(encoder: &mut AnswerEncoder, decoder: &mut HeaderDecoder) -> usize {
        let mut head = vec![0; encoder.answer_head_bytes()];
        encoder.fill_answer_head(&mut head);
        let tail = encoder.answer_tail();
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let fields = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-accept-encoding", "identity,gzip"),
        ];
        assert_eq!(decode(decoder, &head), fields.map(own));
        assert_eq!(decode(decoder, tail), [("grpc-status", "0")].map(own));
        head.len() + tail.len()
    }

    #[test]
    fn answers_are_four_bytes_once_the_peer_knows_their_fields() {
        let (mut encoder, mut decoder) = Default::default();
        assert_eq!(answer(&mut encoder, &mut decoder), 70);
        assert_eq!(answer(&mut encoder, &mut decoder), 4);
        let mut literal = Vec::new();
        encoder.begin_block(&mut literal);
        AnswerEncoder::put_literal_head(&mut literal);
        assert_eq!(decode(&mut decoder, &literal).len(), 3);
        assert_eq!(answer(&mut encoder, &mut decoder), 4);
    }

    #[test]
    fn a_peer_with_a_small_table_gets_literals() {
        for answers_before in 0..3 {
            let (mut encoder, mut decoder) = Default::default();
            for _ in 0..answers_before {
                answer(&mut encoder, &mut decoder);
            }
            encoder.set_table_size(100);
            encoder.set_table_size(4096);
            answer(&mut encoder, &mut decoder);
            answer(&mut encoder, &mut decoder);
        }
    }

    #[test]
    fn long_strings_have_long_lengths() {
        for length in [0, 126, 127, 128, 255, 256, 4000] {
            let value = "v".repeat(length);
            let mut block = Vec::new();
            put_field(&mut block, b"name", value.as_bytes());
            let fields = decode(&mut HeaderDecoder::default(), &block);
            assert_eq!(fields, [("name".to_owned(), value)]);
        }
    }
}
