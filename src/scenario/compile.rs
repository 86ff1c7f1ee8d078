//! The compiler: from the raw form of a scenario file to its tests.
//!
//! It applies defaults, loads policies, and checks what needs more than one key, such as lists with
//! one element for each descriptor.

mod assignment;
mod request;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::ScenarioCode;
use super::policies::Policies;
use super::raw::{RawAction, RawSettings, RawStep, RawTest, RawTestFile};
use super::test_file::{StepAction, Test, TestStep};
use super::time::DEFAULT_START;
use crate::clock::Timestamp;
use crate::document::{Field, PathElement, Position, Report, Spanned};
use crate::policy::Policy;

/// The valid tests of a file; the report has the faults of the others.
pub(super) fn compile(raw: RawTestFile, policies: &mut Policies, report: &mut Report) -> Vec<Test> {
    let mut loader = PolicyLoader {
        policies,
        default: None,
    };
    let defaults = Settings::default().with(raw.defaults, &mut loader, report);
    compile_each("tests", raw.tests, report, |raw, report| {
        compile_test(raw, &defaults, &mut loader, report)
    })
}

/// What a test uses.
#[derive(Clone, Debug, Default)]
struct Settings {
    policy: Field<Arc<Policy>>,
    start: Option<Timestamp>,
    domain: Option<String>,
}

impl Settings {
    /// The same with the settings that are written.
    fn with(&self, raw: RawSettings, loader: &mut PolicyLoader<'_>, report: &mut Report) -> Self {
        let policy = match raw.policy {
            Field::Absent => self.policy.clone(),
            written => report.within(PathElement::Key("policy"), |report| {
                loader.load(written, report)
            }),
        };
        Self {
            policy,
            start: raw.start.or(self.start),
            domain: raw.domain.or_else(|| self.domain.clone()),
        }
    }
}

/// Loads policies and reports the faults.
struct PolicyLoader<'p> {
    policies: &'p mut Policies,
    /// The policy beside the scenario file, once it was needed.
    default: Option<Field<Arc<Policy>>>,
}

impl PolicyLoader<'_> {
    fn load(&mut self, paths: Field<Vec<PathBuf>>, report: &mut Report) -> Field<Arc<Policy>> {
        match paths {
            Field::Absent => Field::Absent,
            Field::Invalid => Field::Invalid,
            Field::Given(paths) => self.load_paths(paths.value, paths.position, report),
        }
    }

    /// The policy for tests that name none.
    fn load_default(&mut self, report: &mut Report) -> Field<Arc<Policy>> {
        if let Some(policy) = &self.default {
            return policy.clone();
        }
        let policy = match self.policies.default_path() {
            Some(path) => self.load_paths(vec![path], None, report),
            None => {
                let message = "no `policy`, and no policy file beside this one";
                let help = "name it: `policy: FILE.yaml`";
                report.add_with_help(ScenarioCode::UnreadablePolicy, None, message, help);
                Field::Invalid
            }
        };
        self.default.insert(policy).clone()
    }

    fn load_paths(
        &mut self,
        paths: Vec<PathBuf>,
        position: Option<Position>,
        report: &mut Report,
    ) -> Field<Arc<Policy>> {
        match self.policies.load(paths) {
            Ok(Some(value)) => Field::Given(Spanned { value, position }),
            Ok(None) => Field::Invalid,
            Err(error) => {
                let message = format!("{error}: {}", error.source);
                report.add(ScenarioCode::UnreadablePolicy, position, message);
                Field::Invalid
            }
        }
    }
}

/// What the steps of one test share.
struct TestContext {
    policy: Arc<Policy>,
    domain: Option<String>,
    /// The names under which leases were kept so far.
    kept: HashSet<String>,
}

fn compile_test(
    raw: RawTest,
    defaults: &Settings,
    loader: &mut PolicyLoader<'_>,
    report: &mut Report,
) -> Option<Test> {
    let settings = defaults.with(raw.settings, loader, report);
    let policy = match settings.policy {
        Field::Absent => loader.load_default(report),
        written => written,
    };
    let mut context = TestContext {
        policy: policy.given()?.value.clone(),
        domain: settings.domain,
        kept: HashSet::new(),
    };
    let steps = compile_each("steps", raw.steps, report, |raw, report| {
        compile_step(raw, &mut context, loader, report)
    });
    Some(Test {
        name: raw.name.given()?.value.clone(),
        position: raw.position,
        policy: context.policy,
        start: settings.start.unwrap_or(DEFAULT_START),
        steps,
    })
}

fn compile_step(
    raw: RawStep,
    context: &mut TestContext,
    loader: &mut PolicyLoader<'_>,
    report: &mut Report,
) -> Option<TestStep> {
    let position = raw.position;
    let action = match raw.action {
        RawAction::Request(raw) => {
            let request = request::compile(*raw, position, context, report)?;
            StepAction::Request(Box::new(request))
        }
        RawAction::Wait(duration) => StepAction::Wait(duration),
        RawAction::At(time) => StepAction::At(time),
        RawAction::Assign(raw) => {
            let row = assignment::compile(raw, position, context, report)?;
            StepAction::Assign(Box::new(row))
        }
        RawAction::Unassign(mut raw) => {
            let id = assignment::id(&mut raw, "unassign", position, context, report)?;
            StepAction::Unassign(id)
        }
        RawAction::Reload(paths) => {
            let policy = report.within(PathElement::Key("reload"), |report| {
                loader.load(paths, report)
            });
            StepAction::Reload(policy.given()?.value.clone())
        }
    };
    Some(TestStep { position, action })
}

/// Compiles the elements of a list; invalid ones are left out.
fn compile_each<R, T>(
    key: &'static str,
    raw: Vec<Option<R>>,
    report: &mut Report,
    mut compile: impl FnMut(R, &mut Report) -> Option<T>,
) -> Vec<T> {
    report.within(PathElement::Key(key), |report| {
        let raw = raw.into_iter().enumerate();
        raw.filter_map(|(at, raw)| {
            report.within(PathElement::Index(at), |report| compile(raw?, report))
        })
        .collect()
    })
}
