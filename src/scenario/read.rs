//! From the nodes of a scenario file to its tests. Strict: what is not understood is an error, and
//! reading goes on after it.

mod ask;
mod expect;
mod fields;
mod scalars;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::keys::Level;
use super::load::Policies;
use super::test_file::{StepAction, Test, TestStep};
use super::time::DEFAULT_START;
use crate::clock::Timestamp;
use crate::document::{
    DocumentCode, Kind, Node, PathElement, Position, Report, list, parse, scalar, wrong_type,
};
use crate::policy::Policy;
use crate::scenario::ScenarioCode;
use fields::{Fields, Known};

/// Reads all tests of a file; what is wrong is in the report.
pub(super) fn read(text: &str, policies: &mut Policies, report: &mut Report) -> Vec<Test> {
    let Some(root) = parse(text, report) else {
        return Vec::new();
    };
    let Some(fields) = Fields::of(&root, Level::Root, report) else {
        return Vec::new();
    };
    let mut reader = Reader {
        policies,
        report,
        kept: HashSet::new(),
    };
    let of_file = reader.setting(&fields, &Setting::default());
    let Some(tests) = fields.find("tests") else {
        let hint = "a scenario file has `tests:`, a list of them";
        let message = "the file has no tests";
        let position = Some(root.position);
        reader
            .report
            .add_with_hint(ScenarioCode::InvalidStep, position, message, hint);
        return Vec::new();
    };
    reader.each(tests, |reader, node| reader.test(node, &of_file))
}

/// What holds for a test unless it says otherwise.
#[derive(Clone, Debug, Default)]
struct Setting {
    policy: Option<Choice>,
    start: Option<Timestamp>,
    domain: Option<String>,
}

/// Which policy was chosen.
#[derive(Clone, Debug)]
enum Choice {
    This(Arc<Policy>),
    /// It could not be loaded, which was said.
    Broken,
}

/// What the steps of one test are read with.
struct StepContext {
    policy: Arc<Policy>,
    domain: Option<String>,
}

/// What can happen in a step.
const ACTIONS: [&str; 4] = ["ask", "wait", "at", "reload"];

struct Reader<'r> {
    policies: &'r mut Policies,
    report: &'r mut Report,
    /// The names under which steps of the test at hand keep leases.
    kept: HashSet<String>,
}

impl Reader<'_> {
    fn setting(&mut self, fields: &Fields<'_>, outer: &Setting) -> Setting {
        let mut setting = outer.clone();
        if let Some(field) = fields.find("policy") {
            setting.policy = Some(self.within(field, |reader| reader.policy(field)));
        }
        if let Some(field) = fields.find("start") {
            let start = self.within(field, |reader| scalars::moment(field.node, reader.report));
            setting.start = start.or(setting.start);
        }
        if let Some(field) = fields.find("domain") {
            setting.domain = self.within(field, |reader| reader.name(field.node));
        }
        setting
    }

    fn test(&mut self, node: &Node, of_file: &Setting) -> Option<Test> {
        let fields = Fields::of(node, Level::Test, self.report)?;
        let setting = self.setting(&fields, of_file);
        let name = match fields.find("name") {
            Some(field) => self.within(field, |reader| reader.name(field.node)),
            None => {
                let (message, hint) = ("a test without a name", "say what it is about: `name: …`");
                let position = Some(node.position);
                self.report
                    .add_with_hint(ScenarioCode::InvalidStep, position, message, hint);
                None
            }
        };
        let choice = setting.policy.unwrap_or_else(|| self.default_policy());
        let Choice::This(policy) = choice else {
            return None;
        };
        let context = StepContext {
            policy,
            domain: setting.domain,
        };
        let Some(steps) = fields.find("steps") else {
            let message = "a test without `steps`";
            self.report
                .add(ScenarioCode::InvalidStep, Some(node.position), message);
            return None;
        };
        self.kept.clear();
        let steps = self.each(steps, |reader, node| reader.step(node, &context));
        Some(Test {
            name: name?,
            position: node.position,
            policy: context.policy,
            start: setting.start.unwrap_or(DEFAULT_START),
            steps,
        })
    }

    fn step(&mut self, node: &Node, context: &StepContext) -> Option<TestStep> {
        let fields = Fields::of(node, Level::Step, self.report)?;
        let position = node.position;
        let actions: Vec<&Known<'_>> = ACTIONS
            .iter()
            .filter_map(|name| fields.find(name))
            .collect();
        let [action] = actions[..] else {
            // What is missing may be what was refused.
            if actions.is_empty() && !fields.is_sound {
                return None;
            }
            let message = match actions.len() {
                0 => "a step without an action",
                _ => "a step with more than one action",
            };
            let hint = "a step has one of `ask`, `wait`, `at` and `reload`";
            self.report
                .add_with_hint(ScenarioCode::InvalidStep, Some(position), message, hint);
            return None;
        };
        if action.name == "ask" {
            let ask = self.ask(&fields, (action, position), context)?;
            return Some(TestStep {
                position,
                action: StepAction::Request(Box::new(ask)),
            });
        }
        for stray in fields.iter().filter(|field| field.name != action.name) {
            let message = format!("`{}` without `ask`", stray.name);
            self.report
                .add(ScenarioCode::InvalidStep, Some(stray.position), message);
        }
        let action = self.within(action, |reader| match action.name {
            "wait" => scalars::span(action.node, reader.report).map(StepAction::Wait),
            "at" => scalars::moment(action.node, reader.report).map(StepAction::At),
            _ => match reader.policy(action) {
                Choice::This(policy) => Some(StepAction::Reload(policy)),
                Choice::Broken => None,
            },
        })?;
        Some(TestStep { position, action })
    }

    /// The policy of files that are named.
    fn policy(&mut self, field: &Known<'_>) -> Choice {
        let nodes = match &field.node.kind {
            Kind::List(nodes) => nodes,
            _ => std::slice::from_ref(field.node),
        };
        let mut paths = Vec::new();
        for node in nodes {
            match self.name(node) {
                Some(path) => paths.push(PathBuf::from(path)),
                None => return Choice::Broken,
            }
        }
        if paths.is_empty() {
            wrong_type(field.node, "the path of a policy", self.report);
            return Choice::Broken;
        }
        self.load(paths, Some(field.node.position))
    }

    /// The policy beside the file.
    fn default_policy(&mut self) -> Choice {
        match self.policies.beside() {
            Some(path) => self.load(vec![path], None),
            None => {
                let hint = "name it: `policy: FILE.yaml`";
                let message = "no `policy`, and no policy file beside this one";
                self.say_once(message, hint);
                Choice::Broken
            }
        }
    }

    fn load(&mut self, paths: Vec<PathBuf>, position: Option<Position>) -> Choice {
        match self.policies.load(paths) {
            Ok(Some(policy)) => Choice::This(policy),
            Ok(None) => Choice::Broken,
            Err(error) => {
                let message = format!("{error}: {}", error.source);
                self.report
                    .add(ScenarioCode::UnreadablePolicy, position, message);
                Choice::Broken
            }
        }
    }

    fn say_once(&mut self, message: &str, hint: &str) {
        if self.policies.first_complaint() {
            self.report
                .add_with_hint(ScenarioCode::UnreadablePolicy, None, message, hint);
        }
    }

    /// Text that is not empty.
    fn name(&mut self, node: &Node) -> Option<String> {
        let text = scalar::text(node, self.report);
        if text.is_absent() {
            wrong_type(node, "text", self.report);
        }
        Some(text.given()?.value.to_string())
    }

    fn within<T>(&mut self, field: &Known<'_>, what: impl FnOnce(&mut Self) -> T) -> T {
        self.report.enter(PathElement::Key(field.name));
        let done = what(self);
        self.report.leave();
        done
    }

    /// What becomes of the elements of a list; those that were refused are left out.
    fn each<T>(
        &mut self,
        field: &Known<'_>,
        mut what: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        self.within(field, |reader| {
            let nodes = list(field.node, reader.report).unwrap_or_default();
            if nodes.is_empty() && matches!(field.node.kind, Kind::List(_)) {
                let message = format!("`{}` is empty", field.name);
                reader
                    .report
                    .add(DocumentCode::EmptyList, Some(field.position), message);
            }
            let mut made = Vec::with_capacity(nodes.len());
            for (at, node) in nodes.iter().enumerate() {
                reader.report.enter(PathElement::Index(at));
                made.extend(what(reader, node));
                reader.report.leave();
            }
            made
        })
    }
}
