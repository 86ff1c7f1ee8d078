//! Header blocks of one connection, held to another decoder and another encoder of HPACK.

use std::sync::Arc;

use httlib_hpack::{Decoder, Encoder};
use weir::server::http2::{
    ByteBudget, CallHead, CallOutcome, CallRoute, ConnectionEvent, Http2Connection, Http2Limits,
    Http2Service, Receipt, Rejection,
};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// `:method POST` and `:scheme https` of the static table, and a `:path` that is not to be indexed.
const PSEUDO_HEADERS: &[u8] = b"\x83\x87\x04\x01x";

/// Fields that the decoder does not keep, or that a head has no room for, are not compared.
const MAX_COMPARED_BYTES: usize = 4000;

/// The dynamic table of both sides, before either changes it.
const TABLE_BYTES: u32 = 4096;

const FLAG_END_HEADERS: u8 = 4;

struct HeadersService;

struct HeadersReceipt;

impl Receipt for HeadersReceipt {
    fn sent(self) {}
}

impl Http2Service for HeadersService {
    type Receipt = HeadersReceipt;

    fn route(&mut self, _: &[u8]) -> CallRoute {
        CallRoute::Exchange
    }

    fn call(&mut self, _: &CallHead, _: &[u8], _: &mut Vec<u8>) -> CallOutcome<HeadersReceipt> {
        panic!("every request is an exchange")
    }

    fn rejected(&mut self, _: Rejection) {}
}

/// Two header blocks have the same fields whole, in pieces and to another decoder. The first bytes choose
/// the length of a piece, where the second block begins, and the size of the dynamic table, or that the
/// rest says what another encoder is to write.
pub fn headers(data: &[u8]) {
    let Some((&[piece, first, table, mode], rest)) = data.split_first_chunk() else {
        return;
    };
    let (first, second) = rest.split_at(rest.len().min(first.into()));
    if mode & 1 == 1 {
        return written_by_another([first, second]);
    }
    let blocks = [block(table, first), block(0, second)];
    let whole = received(&blocks, usize::MAX);
    let in_pieces = received(&blocks, 1 + usize::from(piece));
    assert_eq!(whole, in_pieces, "the pieces of a block change its fields");

    let mut decoder = Decoder::with_dynamic_size(TABLE_BYTES);
    for (mut block, fields) in blocks.into_iter().zip(whole) {
        let Some(fields) = fields else { return };
        let mut expected = Vec::new();
        decoder.decode(&mut block, &mut expected).unwrap();
        let expected = expected.into_iter().map(|(name, value, _)| (name, value));
        compare(&fields, expected.collect());
    }
}

/// A block with the pseudo-headers of a request, after a change of the table's size if there is one.
fn block(table: u8, fields: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    if table > 0 {
        // An integer of a prefix of 5 bits (RFC 7541, section 5.1), up to 4,080.
        let size = u32::from(table) * 16;
        match size.checked_sub(31) {
            None => block.push(0x20 | size as u8),
            Some(left) => block.extend([0x3f, 0x80 | left as u8, (left >> 7) as u8]),
        }
    }
    block.extend_from_slice(PSEUDO_HEADERS);
    block.extend_from_slice(fields);
    block
}

/// What another encoder has written has the fields that it was given.
fn written_by_another(data: [&[u8]; 2]) {
    let mut encoder = Encoder::with_dynamic_size(TABLE_BYTES);
    let mut blocks = [PSEUDO_HEADERS.to_vec(), PSEUDO_HEADERS.to_vec()];
    let mut given = [Fields::new(), Fields::new()];
    for ((mut data, block), given) in data.into_iter().zip(&mut blocks).zip(&mut given) {
        while let Some((&[kind, name, value], rest)) = data.split_first_chunk() {
            // A name that is accepted: it begins as none with a meaning does, and has no capitals.
            let (tail, rest) = rest.split_at(rest.len().min(usize::from(name % 32)));
            let (value, rest) = rest.split_at(rest.len().min(value.into()));
            data = rest;
            let name = [b"z", tail].concat().to_ascii_lowercase();
            let flags = kind & (Encoder::HUFFMAN_NAME | Encoder::HUFFMAN_VALUE);
            let flags = flags
                | match kind >> 6 {
                    0 => Encoder::NEVER_INDEXED,
                    1 => 0,
                    _ => Encoder::WITH_INDEXING | Encoder::BEST_FORMAT,
                };
            given.push((name.clone(), value.to_vec()));
            encoder
                .encode((name, value.to_vec(), flags), block)
                .unwrap();
        }
    }
    let received = received(&blocks, usize::MAX);
    for (fields, given) in received.iter().zip(given) {
        compare(fields.as_ref().expect("a block is rejected"), given);
    }
}

/// The fields of each block that arrives in frames of at most `piece` bytes; `None` if it is rejected.
fn received(blocks: &[Vec<u8>; 2], piece: usize) -> [Option<Fields>; 2] {
    let now = tokio::time::Instant::now().into_std();
    let budget = ByteBudget::new(1 << 20);
    let limits = Arc::new(Http2Limits::default());
    let mut connection = Http2Connection::new(HeadersService, limits, &budget, now);
    connection.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", now);
    let mut stream = 1;
    blocks.each_ref().map(|block| {
        let mut frames = Vec::new();
        let mut pieces = block.chunks(piece).peekable();
        // HEADERS, then CONTINUATION.
        let mut kind = 1;
        while let Some(piece) = pieces.next() {
            let is_last = pieces.peek().is_none();
            frames.extend_from_slice(&(piece.len() as u32).to_be_bytes()[1..]);
            frames.extend([kind, if is_last { FLAG_END_HEADERS } else { 0 }]);
            frames.extend_from_slice(&u32::to_be_bytes(stream));
            frames.extend_from_slice(piece);
            kind = 9;
        }
        stream += 2;
        connection.receive(&frames, now);
        let events = connection.take_events().into_iter();
        let mut heads = events.filter_map(|event| match event {
            ConnectionEvent::Exchange { head, .. } => Some(head.fields),
            _ => None,
        });
        heads.next()
    })
}

/// Fields are equal as far as a head has room for them.
fn compare(fields: &Fields, mut expected: Fields) {
    expected.retain(|(name, _)| !name.starts_with(b":"));
    let bytes: usize = expected
        .iter()
        .map(|(name, value)| name.len() + value.len() + 32)
        .sum();
    if bytes <= MAX_COMPARED_BYTES {
        assert_eq!(*fields, expected);
    }
}
