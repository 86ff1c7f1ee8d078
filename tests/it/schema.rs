//! `weir schema` accepts what `weir check` accepts, as far as keys and types go.

use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use serde_json::Value;

fn schema(file: &str) -> Validator {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output = command.args(["schema", file]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// A YAML text as editors see it.
fn parse(text: &str) -> Value {
    let mut yaml: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    yaml.apply_merge().unwrap();
    serde_json::to_value(yaml).unwrap()
}

fn files(folders: &[&str], is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| is_wanted(path.to_str().unwrap()))
        .collect()
}

#[test]
fn every_good_policy_is_valid() {
    let policies = files(&["config", "tests/policies/good"], |name| {
        name.ends_with(".yaml") && !name.ends_with(".test.yaml")
    });
    assert!(policies.len() > 8);
    assert_valid(&schema("policy"), &policies);
}

#[test]
fn every_scenario_is_valid() {
    let scenarios = files(&["config"], |name| name.ends_with(".test.yaml"));
    assert!(!scenarios.is_empty());
    assert_valid(&schema("scenario"), &scenarios);
}

fn assert_valid(schema: &Validator, files: &[PathBuf]) {
    for file in files {
        let document = parse(&std::fs::read_to_string(file).unwrap());
        let faults: Vec<String> = schema
            .iter_errors(&document)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", file.display());
    }
}

#[test]
fn misspelled_keys_and_wrong_types_are_invalid() {
    let schema = schema("policy");
    let of = |limit: &str| format!("domain: d\ndescriptors: [{{key: a, rate_limit: {limit}}}]");
    assert!(schema.is_valid(&parse(&of("{unit: hour, requests_per_unit: 1}"))));
    for wrong in [
        "descriptors: []".to_owned(),
        "domain: d\ndescriptor: []".to_owned(),
        "domain: d\nshadow_mode: maybe".to_owned(),
        "domain: d\nresponse: {header: {}}".to_owned(),
        "domain: d\nresponse: {standard: [retry]}".to_owned(),
        "domain: d\nresponse: {over_limit: {bdy: x}}".to_owned(),
        "domain: d\ndescriptors: [{kee: a}]".to_owned(),
        "domain: d\ndescriptors: [{key: a, values: []}]".to_owned(),
        "domain: d\ndescriptors: [{key: a, cidr: x}]".to_owned(),
        "domain: d\ndescriptors: [{key: a, value_sha256: abc}]".to_owned(),
        "domain: d\ndescriptors: [{key: a, descriptors: {key: b}}]".to_owned(),
        of("{unit: hours, requests_per_unit: 1}"),
        of("{unit: hour, requests_per_unit: -1}"),
        of("{unit: hour, requests_per_unti: 1}"),
        of("{unit: hour, requests_per_unit: 1, algorithm: bucket}"),
        of("{unit: hour, requests_per_unit: 1, replaces: [x]}"),
        of("[]"),
        of("[{unit: hour, request_per_unit: 1}]"),
    ] {
        assert!(!schema.is_valid(&parse(&wrong)), "{wrong}");
    }
}
