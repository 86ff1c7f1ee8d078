//! What a fuzzer has found once goes through the same functions in every test run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

fn run(target: &str, function: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut inputs = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        function(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn the_corpus_of_headers_passes() {
    run("headers", weir_fuzz::headers);
}

#[test]
fn the_corpus_of_http2_passes() {
    run("http2", weir_fuzz::http2);
}

#[test]
fn the_corpus_of_messages_passes() {
    run("message", weir_fuzz::message);
}

#[test]
fn the_corpus_of_policies_passes() {
    run("policy", weir_fuzz::policy);
}

#[test]
fn the_corpus_of_states_passes() {
    run("states", weir_fuzz::states);
}
