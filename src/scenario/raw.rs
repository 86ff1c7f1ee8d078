//! The raw form of a scenario file: tests and steps as they are written, with positions.
//!
//! Reading needs no policy and does not stop at a fault. The form is checked and made into a
//! [`TestFile`](super::TestFile) by `compile`, which loads the policies.

mod assignment;
mod expect;
mod scalars;
mod step;
mod types;

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::ScenarioCode;
use crate::clock::Timestamp;
use crate::document::{
    DocumentCode, DocumentKind, Field, Key, Kind, Language, Level, Node, Pair, PathElement,
    Position, Report, Spanned, list, parse, wrong_type,
};
pub(super) use assignment::RawAssignment;
pub(super) use expect::RawExpectation;
pub(super) use step::{PerDescriptor, RawAction, RawRequest, RawStep};

/// The tests of a file.
#[derive(Debug, Default)]
pub(super) struct RawTestFile {
    pub(super) defaults: RawSettings,
    /// `None` for an invalid test.
    pub(super) tests: Vec<Option<RawTest>>,
    has_tests: bool,
}

/// What a test uses, and the default for the tests of a file.
#[derive(Debug, Default)]
pub(super) struct RawSettings {
    pub(super) policy: Field<Vec<PathBuf>>,
    pub(super) start: Option<Timestamp>,
    pub(super) domain: Option<String>,
}

/// One test.
#[derive(Debug)]
pub(super) struct RawTest {
    pub(super) position: Position,
    pub(super) name: Field<String>,
    pub(super) settings: RawSettings,
    /// `None` for an invalid step.
    pub(super) steps: Vec<Option<RawStep>>,
    has_steps: bool,
}

/// The scenario language.
pub(super) static LANGUAGE: Language = Language {
    levels: &[
        &ROOT,
        &TEST,
        &step::STEP,
        &assignment::ASSIGNED,
        &assignment::ASSIGN,
        &expect::EXPECT,
        &expect::EXPECTED_STATUS,
    ],
    ignored: None,
    foreign: &[],
};

const POLICY: &str =
    "The policy files, relative to this file; NAME.yaml for NAME.test.yaml if left out.";
const START: &str =
    "When tests begin: RFC 3339 in UTC, or Unix seconds; 2026-01-01T00:00:00Z if left out.";
const DOMAIN: &str = "The domain of requests; if left out, the only one of the policy.";

#[rustfmt::skip]
static ROOT: Level<RawTestFile> = Level {
    name: "the root of the file",
    definition: "file",
    required: &["tests"],
    base: None,
    keys: &[
        Key::new("policy", types::PATHS, POLICY,
            |file, pair, report| file.defaults.policy = read_paths(&pair.node, report)),
        Key::new("start", types::TIMESTAMP, START,
            |file, pair, report| file.defaults.start = scalars::timestamp(&pair.node, report)),
        Key::new("domain", types::TEXT, DOMAIN,
            |file, pair, report| file.defaults.domain = scalars::name(&pair.node, report)),
        Key::new("tests", types::TESTS, "The tests.",
            |file, pair, report| {
                file.has_tests = true;
                file.tests = read_each(pair, report, read_test);
            }),
    ],
};

#[rustfmt::skip]
static TEST: Level<RawTest> = Level {
    name: "a test",
    definition: "test",
    required: &["name", "steps"],
    base: None,
    keys: &[
        Key::new("name", types::TEXT, "What the test shows.",
            |test, pair, report| {
                test.name = match scalars::name(&pair.node, report) {
                    Some(name) => Field::Given(pair.at_key(name)),
                    None => Field::Invalid,
                };
            }),
        Key::new("policy", types::PATHS, POLICY,
            |test, pair, report| test.settings.policy = read_paths(&pair.node, report)),
        Key::new("start", types::TIMESTAMP, START,
            |test, pair, report| test.settings.start = scalars::timestamp(&pair.node, report)),
        Key::new("domain", types::TEXT, DOMAIN,
            |test, pair, report| test.settings.domain = scalars::name(&pair.node, report)),
        Key::new("steps", types::STEPS, "What happens, in order.",
            |test, pair, report| {
                test.has_steps = true;
                test.steps = read_each(pair, report, step::read);
            }),
    ],
};

/// The JSON Schema of a scenario file.
pub fn json_schema() -> Json {
    let mut schema = LANGUAGE.json_schema("weir scenario", "Tests of rate-limit policies.");
    let one = step::ACTIONS.map(|name| json!({"required": [name]}));
    schema["$defs"][step::STEP.definition]["oneOf"] = json!(one);
    schema
}

/// Reads the text of a file; `None` if it is not a mapping in YAML.
pub(super) fn read(text: &str, report: &mut Report) -> Option<RawTestFile> {
    let root = parse(text, report)?;
    let kind = DocumentKind::of(&root).filter(|kind| *kind != DocumentKind::Scenario);
    if let Some(kind) = kind {
        kind.report(DocumentKind::Scenario, &root, report);
        return None;
    }
    let mut file = RawTestFile::default();
    ROOT.read(&root, &mut file, &LANGUAGE, report)?;
    if !file.has_tests {
        let (message, help) = ("the file has no tests", "add `tests:` with a list of tests");
        let position = Some(root.position);
        report.add_with_help(ScenarioCode::InvalidStep, position, message, help);
    }
    Some(file)
}

fn read_test(node: &Node, report: &mut Report) -> Option<RawTest> {
    let position = node.position;
    let mut test = RawTest {
        position,
        name: Field::Absent,
        settings: RawSettings::default(),
        steps: Vec::new(),
        has_steps: false,
    };
    TEST.read(node, &mut test, &LANGUAGE, report)?;
    if test.name.is_absent() {
        let (message, help) = ("a test without a name", "add `name: …`");
        report.add_with_help(ScenarioCode::InvalidStep, Some(position), message, help);
    }
    if !test.has_steps {
        let message = "a test without `steps`";
        report.add(ScenarioCode::InvalidStep, Some(position), message);
    }
    Some(test)
}

/// Reads the elements of a list that must not be empty.
fn read_each<T>(
    pair: &Pair,
    report: &mut Report,
    mut read: impl FnMut(&Node, &mut Report) -> Option<T>,
) -> Vec<Option<T>> {
    let nodes = list(&pair.node, report).unwrap_or_default();
    if nodes.is_empty() && matches!(pair.node.kind, Kind::List(_)) {
        let message = format!("`{}` is empty", pair.key);
        report.add(DocumentCode::EmptyList, Some(pair.position), message);
    }
    let nodes = nodes.iter().enumerate();
    nodes
        .map(|(at, node)| report.within(PathElement::Index(at), |report| read(node, report)))
        .collect()
}

/// Reads the paths of policy files.
fn read_paths(node: &Node, report: &mut Report) -> Field<Vec<PathBuf>> {
    let nodes = match &node.kind {
        Kind::List(nodes) => nodes,
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        wrong_type(node, "the path of a policy", report);
        return Field::Invalid;
    }
    let paths = nodes
        .iter()
        .map(|node| scalars::name(node, report).map(PathBuf::from));
    match paths.collect() {
        Some(value) => Field::Given(Spanned {
            value,
            position: Some(node.position),
        }),
        None => Field::Invalid,
    }
}
