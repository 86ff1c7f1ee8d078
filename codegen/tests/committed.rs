//! The committed code of the protocol is the one that `proto/` gives.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The files of a folder: name and content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn the_committed_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let fresh = tempfile::tempdir().unwrap();
    weir_codegen::generate(&root, fresh.path()).unwrap();
    let (fresh, committed) = (
        files(fresh.path()),
        files(&root.join(weir_codegen::GENERATED)),
    );
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&fresh), names(&committed));
    for (name, content) in fresh {
        assert!(
            committed[&name] == content,
            "{name} is not what proto/ gives: run `cargo run -p weir-codegen`"
        );
    }
}
