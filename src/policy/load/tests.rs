use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;
use crate::document::{DiagnosticCode, DocumentCode, Position};
use crate::policy::PolicyCode;

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

// The warning that a domain has no descriptors is left out: files and texts matter here.

fn load(paths: &[PathBuf], options: LoadOptions) -> Result<LoadedPolicy, LoadError> {
    super::load(paths, options).map(with_descriptors)
}

fn load_text(file: &Path, text: &str) -> LoadedPolicy {
    with_descriptors(super::load_text(file, text))
}

fn with_descriptors(mut loaded: LoadedPolicy) -> LoadedPolicy {
    let found = &mut loaded.diagnostics;
    found.retain(|found| found.code != PolicyCode::NoLimit);
    loaded
}

fn codes(loaded: &LoadedPolicy) -> Vec<DiagnosticCode> {
    loaded.diagnostics.iter().map(|found| found.code).collect()
}

#[test]
fn a_folder_is_its_yaml_files_by_name() {
    let folder = folder(&[
        ("b.yml", b"domain: b"),
        ("a.yaml", b"domain: a"),
        ("a.test.yaml", b"no policy"),
        ("a.test.yml", b"no policy"),
        (".hidden.yaml", b"{"),
        ("..data", b"{"),
        ("README.md", b"{"),
    ]);
    fs::create_dir(folder.path().join("sub.yaml")).unwrap();
    let loaded = load(&[folder.path().to_owned()], LoadOptions::default()).unwrap();
    assert_eq!(codes(&loaded), [PolicyCode::SkippedFile]);
    assert!(loaded.diagnostics[0].file.ends_with("README.md"));
    let names: Vec<_> = loaded
        .files
        .iter()
        .map(|file| file.file_name().unwrap())
        .collect();
    assert_eq!(names, ["a.yaml", "b.yml"]);
    assert_eq!(loaded.policy.unwrap().domain_count(), 2);
}

/// kubelet makes `team` a link to a folder in the hidden one that `..data` leads to.
#[test]
fn folders_below_are_read_once_unless_they_are_hidden() {
    let folder = folder(&[("b.yaml", b"domain: b")]);
    let at = |name: &str| folder.path().join(name);
    for (name, text) in [
        ("a/z/one.yaml", "domain: one"),
        ("a/two.yaml", "domain: two"),
        ("a/two.test.yaml", "no policy"),
        ("a/notes.txt", "no policy"),
        ("..2026/team/three.yaml", "domain: three"),
        (".git/four.yaml", "{"),
    ] {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), text).unwrap();
    }
    symlink("..2026", at("..data")).unwrap();
    symlink("..data/team", at("team")).unwrap();
    symlink("..", at("a/up")).unwrap();
    let paths = [folder.path().to_owned()];
    let loaded = load(&paths, LoadOptions::default()).unwrap();
    assert_eq!(codes(&loaded), [PolicyCode::SkippedFile]);
    assert!(loaded.diagnostics[0].file.ends_with("a/notes.txt"));
    let expected = ["a/two.yaml", "a/z/one.yaml", "b.yaml", "team/three.yaml"];
    assert_eq!(loaded.files, expected.map(at));
    assert_eq!(files(&paths, false).unwrap(), loaded.files);
    let any = files(&paths, true).unwrap();
    assert!(any.len() > loaded.files.len(), "{any:?}");
}

#[test]
fn a_folder_with_very_many_files_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in 0..=100 {
        fs::write(folder.path().join(name.to_string()), "").unwrap();
    }
    let error = load(&[folder.path().to_owned()], LoadOptions::default()).unwrap_err();
    assert!(error.source.to_string().contains("more than 100 files"));
}

#[test]
fn what_is_not_a_regular_file_is_rejected_unread() {
    let folder = folder(&[("good.yaml", b"domain: d")]);
    let _socket = UnixListener::bind(folder.path().join("socket.yaml")).unwrap();
    symlink("/dev/zero", folder.path().join("zero.yaml")).unwrap();
    let fifo = folder.path().join("fifo.yaml");
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    let loaded = load(&[folder.path().to_owned()], LoadOptions::default()).unwrap();
    let messages: Vec<&str> = loaded.diagnostics.iter().map(|one| &*one.message).collect();
    let expected =
        ["a pipe", "a socket", "a device"].map(|what| format!("{what} is not a regular file"));
    assert_eq!(messages, expected);
    assert_eq!(codes(&loaded), [DocumentCode::NotAFile; 3]);
    assert!(loaded.policy.is_none());
}

#[test]
fn a_file_that_is_named_is_read_with_any_suffix() {
    let folder = folder(&[("policy.conf", b"domain: a"), (".x", b"domain: b")]);
    let paths = ["policy.conf", ".x", "policy.conf"].map(|name| folder.path().join(name));
    let loaded = load(&paths, LoadOptions::default()).unwrap();
    assert!(codes(&loaded).is_empty());
    assert_eq!(loaded.policy.unwrap().domain_count(), 2);
}

#[test]
fn an_empty_folder_is_an_empty_policy() {
    let folder = folder(&[]);
    let loaded = load(&[folder.path().to_owned()], LoadOptions::default()).unwrap();
    assert_eq!(codes(&loaded), [PolicyCode::EmptyFolder]);
    assert_eq!(loaded.policy.unwrap().domain_count(), 0);
}

#[test]
fn a_domain_is_in_one_file() {
    let folder = folder(&[
        ("a.yaml", b"\ndomain: d"),
        ("b.yaml", b"domain: e"),
        ("c.yaml", b"domain: d"),
    ]);
    let loaded = load(&[folder.path().to_owned()], LoadOptions::default()).unwrap();
    assert_eq!(codes(&loaded), [PolicyCode::DuplicateDomain]);
    let found = &loaded.diagnostics[0];
    assert!(found.file.ends_with("c.yaml"));
    assert!(found.message.ends_with("a.yaml:2"), "{}", found.message);
    assert!(loaded.policy.is_none());
}

#[test]
fn invalid_utf8_is_rejected_with_its_position() {
    let folder = folder(&[("a.yaml", b"domain: d\nx: \xc3\xa9\xff")]);
    let loaded = load(&[folder.path().to_owned()], LoadOptions::default()).unwrap();
    assert_eq!(codes(&loaded), [DocumentCode::NotUtf8]);
    assert_eq!(
        loaded.diagnostics[0].position,
        Some(Position { line: 2, column: 5 })
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(
        codes(&load_text("a".as_ref(), "\u{feff}domain: d")),
        [] as [DiagnosticCode; 0]
    );
}

#[test]
fn a_missing_path_is_an_error() {
    let error = load(&[PathBuf::from("/nowhere/at/all")], LoadOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/at/all");
}

#[test]
fn diagnostics_are_in_the_order_of_files_and_places() {
    let folder = folder(&[
        ("b.yaml", b"x: 1\ndescriptors: [{}]\ndomain: [b]"),
        ("a.yaml", b"domain: a\nunit: hour"),
    ]);
    let loaded = load(
        &[folder.path().join("b.yaml"), folder.path().join("a.yaml")],
        LoadOptions::default(),
    )
    .unwrap();
    let expected: [DiagnosticCode; 4] = [
        PolicyCode::MisplacedKey.into(),
        DocumentCode::UnknownKey.into(),
        PolicyCode::MissingKey.into(),
        DocumentCode::WrongType.into(),
    ];
    assert_eq!(codes(&loaded), expected);
}

#[test]
fn json_is_yaml_and_keeps_its_places() {
    let loaded = load_text(
        "a".as_ref(),
        "{\"domain\": \"d\", \"unit\": 1,\n \"key\": 2}\n",
    );
    assert_eq!(
        codes(&loaded),
        [PolicyCode::MisplacedKey, PolicyCode::MisplacedKey]
    );
    let positions: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|found| found.position.unwrap())
        .collect();
    assert_eq!(
        positions,
        [
            Position {
                line: 1,
                column: 17
            },
            Position { line: 2, column: 2 }
        ]
    );
    let broken = load_text("a".as_ref(), "{domain: d, `");
    assert_eq!(
        broken.diagnostics[0].position,
        Some(Position {
            line: 1,
            column: 13
        })
    );
}

fn merged(files: &[(&str, &[u8])]) -> LoadedPolicy {
    let folder = folder(files);
    let options = LoadOptions {
        merge_domains: true,
        ..LoadOptions::default()
    };
    load(&[folder.path().to_owned()], options).unwrap()
}

#[test]
fn files_of_one_domain_are_merged_in_the_order_of_their_names() {
    let loaded = merged(&[
        (
            "b.yaml",
            b"domain: d\ndescriptors: [{key: k, value: '*', rate_limit: {unit: hour, requests_per_unit: 2, replaces: [{name: n}]}}]",
        ),
        (
            "a.yaml",
            b"domain: d\nshadow_mode: on\ndescriptors: [{key: k, value: 'a*', rate_limit: {unit: hour, requests_per_unit: 1, name: n}}]",
        ),
        ("c.yaml", b"domain: e\nquota_mode: yes"),
        ("d.yaml", b"domain: d\nshadow_mode: true"),
    ]);
    assert!(codes(&loaded).is_empty());
    let policy = loaded.policy.unwrap();
    let domain = policy.domain(b"d").unwrap();
    assert!(domain.shadow_mode && !domain.quota_mode);
    let files: Vec<_> = domain
        .rules()
        .iter()
        .map(|rule| {
            let file = rule.file.as_ref().unwrap().file_name().unwrap();
            (file.to_str().unwrap().to_owned(), rule.path())
        })
        .collect();
    let expected = ["a.yaml", "b.yaml"].map(|file| (file.to_owned(), "descriptors[0]".to_owned()));
    assert_eq!(files, expected);
    assert_eq!(policy.domain_count(), 2);
}

#[test]
fn a_fault_between_merged_files_names_both_places() {
    let loaded = merged(&[
        (
            "a.yaml",
            b"domain: d\nresponse: {headers: {a: b}}\nquota_mode: on\ndescriptors: [{key: k}, {key: v, value: '*'}]",
        ),
        (
            "b.yaml",
            b"response: {headers: {a: c}}\nquota_mode: yes\ndomain: d\ndescriptors:\n- {key: w, secret: true}\n- {key: k}\n- {key: v}",
        ),
        ("c.yaml", b"response: {headers: {a: '%ENTRY(w)%'}}\ndomain: e"),
        ("d.yaml", b"descriptors: []"),
    ]);
    let said: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|said| {
            let file = said.file.file_name().unwrap().to_str().unwrap();
            let position = said.position.unwrap();
            format!(
                "{file}:{}:{} {} {}",
                position.line, position.column, said.code, said.path
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "b.yaml:1:1 conflicting-roots response",
            "b.yaml:6:9 duplicate-descriptor descriptors[1]",
            "b.yaml:7:9 unreachable descriptors[2]",
            "d.yaml:1:1 missing-domain ",
        ]
    );
    for (said, other) in [(0, "a.yaml:2"), (1, "a.yaml:4"), (2, "a.yaml:4")] {
        let message = &loaded.diagnostics[said].message;
        assert!(message.contains(other), "{message}");
    }
}
