//! The Huffman code of RFC 7541, appendix B, decoded in pieces.
//!
//! The code is canonical: codes of one length are consecutive and in the order of their symbols, so the
//! lengths alone define it.

use super::CompressionError;

/// The end of a string, which must not be in one.
const END: usize = 256;
const SYMBOLS: usize = 257;
const LONGEST: usize = 30;
/// Symbols in 64 bits, at most: the shortest code has five.
const MOST_BUFFERED: usize = 64 / 5;

/// Bits of the code of each symbol.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// How to decode: by a table for codes of up to eight bits, by ranges of each length for longer ones.
struct HuffmanTables {
    /// By the next eight bits: symbol and length; length 0 for a longer code.
    short: [(u8, u8); 256],
    /// By length: the first code, how many codes there are, and where their symbols are.
    ranges: [(u32, u32, u32); LONGEST + 1],
    /// Symbols in the order of their codes.
    symbols: [u16; SYMBOLS],
}

static TABLES: HuffmanTables = tables();

const fn tables() -> HuffmanTables {
    let mut tables = HuffmanTables {
        short: [(0, 0); 256],
        ranges: [(0, 0, 0); LONGEST + 1],
        symbols: [0; SYMBOLS],
    };
    let (mut code, mut placed, mut length) = (0_u32, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        let (first, begin) = (code, placed);
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                tables.symbols[placed] = symbol as u16;
                if length <= 8 {
                    let spread = 1 << (8 - length);
                    let mut at = 0;
                    while at < spread {
                        tables.short[code as usize * spread + at] = (symbol as u8, length as u8);
                        at += 1;
                    }
                }
                placed += 1;
                code += 1;
            }
            symbol += 1;
        }
        tables.ranges[length] = (first, (placed - begin) as u32, begin as u32);
        length += 1;
    }
    tables
}

/// The bits of a string that have not been decoded, in the upper end. Those below are zero, or the next of the string.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HuffmanDecoder {
    bits: u64,
    count: u32,
}

impl HuffmanDecoder {
    /// Decodes what `bytes` complete onto the end of `out`.
    pub(super) fn decode(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        loop {
            bytes = self.fill(bytes);
            let mut symbols = [0; MOST_BUFFERED];
            let mut decoded = 0;
            loop {
                let (symbol, length) = TABLES.short[(self.bits >> 56) as usize];
                let (symbol, length) = match length {
                    0 => match self.long() {
                        Some(found) => found,
                        None => break,
                    },
                    length => (symbol.into(), u32::from(length)),
                };
                if length > self.count {
                    break;
                }
                if symbol == END {
                    return Err(CompressionError);
                }
                symbols[decoded] = symbol as u8;
                decoded += 1;
                self.bits <<= length;
                self.count -= length;
            }
            out.extend_from_slice(&symbols[..decoded]);
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes as many bytes as there is room for, and returns the rest.
    fn fill<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        if let Some(next) = bytes.first_chunk::<8>() {
            // Bits beyond `count` are those of bytes that are not taken yet, and taken bytes set them again.
            self.bits |= u64::from_be_bytes(*next) >> self.count;
            let taken = (64 - self.count) / 8;
            self.count += 8 * taken;
            return &bytes[taken as usize..];
        }
        while self.count <= 56 {
            let Some((&byte, rest)) = bytes.split_first() else {
                break;
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            bytes = rest;
        }
        bytes
    }

    /// The next symbol whose code is longer than eight bits, if all its bits have come.
    fn long(&self) -> Option<(usize, u32)> {
        (9..=LONGEST)
            .take_while(|length| *length as u32 <= self.count)
            .find_map(|length| {
                let (first, codes, begin) = TABLES.ranges[length];
                let code = (self.bits >> (64 - length)) as u32;
                let at = code.checked_sub(first).filter(|at| *at < codes)?;
                let symbol = TABLES.symbols[(begin + at) as usize];
                Some((symbol.into(), length as u32))
            })
    }

    /// The end of the string: less than a byte of ones must be left.
    pub(super) fn finish(self) -> Result<(), CompressionError> {
        let ones = self.bits.leading_ones();
        match self.count < 8 && ones >= self.count {
            true => Ok(()),
            false => Err(CompressionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut out = Vec::new();
        let mut decoder = HuffmanDecoder::default();
        decoder.decode(bytes, &mut out)?;
        decoder.finish()?;
        Ok(out)
    }

    /// All codes, as the table of the RFC has them: left-aligned bits.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for &byte in text {
            let length = usize::from(LENGTHS[usize::from(byte)]);
            let (first, _, begin) = TABLES.ranges[length];
            let place = TABLES.symbols.iter().position(|&it| it == u16::from(byte));
            let code = first + place.unwrap() as u32 - begin;
            bits.push_str(&format!("{code:0length$b}"));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let bits = bits.as_bytes().chunks(8);
        bits.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn the_code_is_that_of_the_rfc() {
        // RFC 7541, appendix B: some codes of each part of the table.
        for (symbol, code, length) in [
            (0, 0x1ff8, 13),
            (1, 0x007f_ffd8, 23),
            (b'0', 0x0, 5),
            (b'a', 0x3, 5),
            (b'X', 0xfc, 8),
            (b'\\', 0x7fff0, 19),
            (127, 0x0fff_fffc, 28),
            (200, 0x03ff_ffe2, 26),
            (255, 0x03ff_ffee, 26),
        ] {
            let bits = format!("{code:0length$b}");
            let padded = format!("{bits:1<32}");
            let expected = u32::from_str_radix(&padded, 2).unwrap().to_be_bytes();
            let encoded = encode(&[symbol]);
            assert_eq!(encoded, expected[..encoded.len()], "{symbol}");
        }
    }

    #[test]
    fn examples_of_the_rfc_are_decoded() {
        let text = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(decode(text).unwrap(), b"www.example.com");
        assert_eq!(decode(b"\xa8\xeb\x10\x64\x9c\xbf").unwrap(), b"no-cache");
    }

    #[test]
    fn every_byte_is_decoded_however_it_is_cut() {
        let all: Vec<u8> = (0..=255).collect();
        let encoded = encode(&all);
        assert_eq!(decode(&encoded).unwrap(), all);
        for size in 1..9 {
            let (mut out, mut decoder) = (Vec::new(), HuffmanDecoder::default());
            for piece in encoded.chunks(size) {
                decoder.decode(piece, &mut out).unwrap();
            }
            decoder.finish().unwrap();
            assert_eq!(out, all);
        }
    }

    #[test]
    fn wrong_padding_and_the_end_symbol_are_errors() {
        // '0' and three zeros; a whole byte of ones; the end symbol.
        for wrong in [&b"\x00"[..], b"\x07\xff", b"\xff\xff\xff\xff"] {
            assert_eq!(decode(wrong), Err(CompressionError), "{wrong:?}");
        }
    }
}
