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

/// The names that an editor proposes in the mapping at a path of the schema.
fn proposed(schema: &Value, path: &str) -> Vec<String> {
    let properties = schema
        .pointer(path)
        .and_then(|at| at["properties"].as_object());
    properties.unwrap().keys().cloned().collect()
}

#[test]
fn editors_propose_only_keys_with_an_effect() {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("schema")
        .output();
    let schema: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let root = proposed(&schema, "");
    assert!(root.contains(&"domain".to_owned()) && !root.contains(&"unit".to_owned()));
    let descriptor = proposed(&schema, "/$defs/descriptor");
    assert!(descriptor.contains(&"secret".to_owned()));
    for ignored in [
        "domain",
        "unit",
        "requests_per_unit",
        "unlimited",
        "replaces",
    ] {
        assert!(!descriptor.contains(&ignored.to_owned()), "{ignored}");
    }
    // They are ignored, not wrong.
    let policy = parse("domain: d\nunit: hour\ndescriptors: [{key: a, unlimited: true}]");
    assert!(
        jsonschema::draft202012::new(&schema)
            .unwrap()
            .is_valid(&policy)
    );
}

/// Whether a list of globs, of which `!` excludes, selects a path. `*` is not a `/`.
fn selects(globs: &Value, path: &str) -> bool {
    let matches = |glob: &str| {
        let (start, end) = glob.split_once('*').unwrap();
        let inside = path
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end));
        inside.is_some_and(|inside| !inside.contains('/'))
    };
    let globs = globs
        .as_array()
        .unwrap()
        .iter()
        .map(|glob| glob.as_str().unwrap());
    globs.fold(false, |selected, glob| match glob.strip_prefix('!') {
        Some(excluded) => selected && !matches(excluded),
        None => selected || matches(glob),
    })
}

#[test]
fn the_documented_settings_give_each_file_its_schema() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checking-policies.md");
    let page = std::fs::read_to_string(page).unwrap();
    let settings = page.split("```json\n").nth(1).unwrap();
    let settings: Value = serde_json::from_str(settings.split("```").next().unwrap()).unwrap();
    let schemas = settings["yaml.schemas"].as_object().unwrap();
    for (file, expected) in [
        ("policies/shop.yaml", "./weir.schema.json"),
        ("policies/shop.test.yaml", "./weir.test.schema.json"),
    ] {
        let selected = schemas.iter().filter(|(_, globs)| selects(globs, file));
        let selected: Vec<&String> = selected.map(|(name, _)| name).collect();
        assert_eq!(selected, [expected], "{file}");
    }
}
