//! What is answered does not depend on how what arrives is cut.

use proptest::prelude::*;

use super::super::super::frame::{FrameKind, flag};
use super::client::{Client, block, call, cut_block, frame, message};

/// Frames of all kinds, right and wrong.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let stream = (0_u32..12).prop_map(|at| 2 * at + 1);
    prop_oneof![
        6 => (stream.clone(), 0_usize..40_000).prop_map(|(id, size)| {
            let mut frames = frame(FrameKind::Headers, flag::END_HEADERS, id, &block("/echo", &[]));
            let body = message(size);
            for part in body.chunks(16_000) {
                frames.extend(frame(FrameKind::Data, 0, id, part));
            }
            frames.extend(frame(FrameKind::Data, flag::END_STREAM, id, &[]));
            frames
        }),
        4 => (stream.clone(), 0_usize..200).prop_map(|(id, size)| call(id, "/echo", size)),
        1 => stream.clone().prop_map(|id| {
            cut_block(id, &block("/none", &[("x", &[b'x'; 20_000])]), 5_000)
        }),
        1 => stream.clone().prop_map(|id| frame(FrameKind::Reset, 0, id, &[0, 0, 0, 8])),
        1 => stream.clone().prop_map(|id| frame(FrameKind::WindowUpdate, 0, id, &[0, 0, 1, 0])),
        1 => stream.prop_map(|id| frame(FrameKind::Data, flag::PADDED, id, b"\x03abc\0\0\0")),
        1 => Just(frame(FrameKind::Ping, 0, 0, &[7; 8])),
        1 => Just(frame(FrameKind::Settings, 0, 0, &[0, 4, 0, 0, 0, 9])),
        1 => Just(frame(FrameKind::Unknown, 0, 0, &[7; 300])),
    ]
}

fn output(pieces: &[&[u8]]) -> (Vec<u8>, usize, bool) {
    let mut client = Client::new();
    let mut output = Vec::new();
    for piece in pieces {
        client.send(piece);
        while !client.connection.unwritten().is_empty() {
            let written = client.connection.unwritten().to_vec();
            client.connection.wrote(written.len(), client.now);
            client.connection.resume(client.now);
            output.extend(written);
        }
    }
    let called = client.seen.lock().unwrap().called;
    (output, called, client.connection.is_closed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_output_does_not_depend_on_the_cuts(
        frames in prop::collection::vec(frames(), 1..12),
        sizes in prop::collection::vec(1_usize..3_000, 1..30),
    ) {
        let bytes = frames.concat();
        let (mut pieces, mut rest, mut sizes) = (Vec::new(), &bytes[..], sizes.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(rest.len().min(sizes.next().unwrap()));
            pieces.push(piece);
            rest = left;
        }
        prop_assert_eq!(output(&pieces), output(&[&bytes]));
    }
}
