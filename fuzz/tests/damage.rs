//! Bytes at random, and corpora that were damaged, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

/// The inputs of a target that were found once.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    let read = paths.iter().map(|path| fs::read(path).unwrap());
    read.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn headers_are_the_same_to_another_decoder(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        weir_fuzz::headers(&bytes);
    }

    #[test]
    fn no_bytes_make_a_connection_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        weir_fuzz::http2(&bytes);
    }

    #[test]
    fn no_damage_makes_a_connection_panic(
        inputs in prop::collection::vec(any::<Index>(), 1..8),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cuts in any::<[u8; 2]>(),
    ) {
        let corpus = corpus("http2");
        // The first two bytes of an input say how it is cut.
        let frames = inputs.iter().map(|input| input.get(&corpus)).flat_map(|input| &input[2..]);
        let mut bytes: Vec<u8> = cuts.into_iter().chain(frames.copied()).collect();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        weir_fuzz::http2(&bytes);
    }
}
