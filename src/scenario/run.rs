//! Runs tests on the real engine. Each test has its own counters and its own clock.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::ScenarioCode;
use super::compare::{differences, overall, status_code};
use super::report::{Difference, Failure, TestReport};
use super::test_file::{ExpectedCode, ExpectedCounts, StepAction, Test, TestFile, TestRequest};
use crate::clock::{Clock, ManualClock, Micros};
use crate::document::{Report, quoted};
use crate::engine::{Decision, Engine};
use crate::limit::Rate;
use crate::policy::{
    AddedAssignment, AssignmentId, Domain, HIDDEN, Policy, Position, Redactor, TracedLevel,
};
use crate::request::{Cost, Descriptor, Entry, LeaseId, Request};
use crate::store::{MemoryConfig, RngError, Store};

/// Runs the tests whose name satisfies `is_selected`, in order.
///
/// # Errors
/// If the system has no randomness for the key of the counters' hash.
pub fn run(
    file: &TestFile,
    is_selected: impl Fn(&str) -> bool,
) -> Result<Vec<TestReport>, RngError> {
    let selected = file.tests.iter().filter(|test| is_selected(&test.name));
    selected.map(|test| run_test(test, &file.file)).collect()
}

fn run_test(test: &Test, file: &Path) -> Result<TestReport, RngError> {
    let clock = ManualClock::new(test.start);
    let store = Store::memory(MemoryConfig::default())?;
    let mut runner = Runner {
        engine: Engine::new(
            Arc::clone(&test.policy),
            store,
            Clock::Manual(clock.clone()),
        ),
        policy: &test.policy,
        clock,
        added: BTreeMap::new(),
        leases: HashMap::new(),
        report: Report::new(file),
    };
    let mut failure = None;
    for step in &test.steps {
        match &step.action {
            StepAction::Wait(span) => runner.advance(*span),
            StepAction::At(time) => runner.clock.set(*time),
            StepAction::Reload(policy) => {
                runner.policy = policy;
                runner.put_in_force();
            }
            StepAction::Assign(row) => {
                runner.added.insert(&row.id, row);
                runner.put_in_force();
            }
            StepAction::Unassign(id) => {
                runner.added.remove(id);
                runner.put_in_force();
            }
            StepAction::Request(request) => failure = runner.send(request, step.position),
        }
        // Later steps would fail because of this failure.
        if failure.is_some() {
            break;
        }
    }
    Ok(TestReport {
        name: test.name.clone(),
        position: test.position,
        // A failure says more.
        warnings: match failure {
            None => runner.report.into_diagnostics(),
            Some(_) => Vec::new(),
        },
        failure,
    })
}

/// The engine, the clock and the leases of one test.
struct Runner<'t> {
    engine: Engine,
    policy: &'t Policy,
    clock: ManualClock,
    added: BTreeMap<&'t AssignmentId, &'t AddedAssignment>,
    /// Granted leases, by the name that `keep` gives them.
    leases: HashMap<&'t str, SavedLeases>,
    report: Report,
}

/// Leases of one name, in the order in which they were granted.
#[derive(Debug, Default)]
struct SavedLeases {
    leases: Vec<LeaseId>,
    /// How many of them were released.
    released: usize,
}

impl SavedLeases {
    /// The oldest lease that was not released, or the newest if all were.
    fn next(&mut self) -> Option<LeaseId> {
        let lease = self.leases.get(self.released).or(self.leases.last())?;
        self.released = self.leases.len().min(self.released + 1);
        Some(*lease)
    }
}

impl<'t> Runner<'t> {
    fn advance(&self, span: Micros) {
        self.clock.set(self.clock.now().plus(span));
    }

    /// Puts the policy in force with what was assigned.
    fn put_in_force(&self) {
        let rows = self.added.values().copied().cloned();
        let rows: Vec<AddedAssignment> = rows.collect();
        let (policy, _) = self.policy.with_assignments(&rows);
        self.engine.replace_policy(policy);
    }

    /// Sends the request `times` times; the first answer that is not as expected is a failure.
    fn send(&mut self, test: &'t TestRequest, position: Position) -> Option<Failure> {
        let mut codes = CodeRuns::default();
        for call in 1..=test.times {
            if call > 1 {
                self.advance(test.every);
            }
            let differences = match self.request(test) {
                Some(request) => {
                    let decision = self.decide(&request);
                    if let (Some(name), Some(grant)) = (&test.keep, &decision.grant) {
                        let saved = self.leases.entry(name).or_default();
                        saved.leases.push(grant.lease);
                    }
                    if call == 1 {
                        self.warn_of_no_rule(test, &decision, position);
                    }
                    codes.push(overall(&decision));
                    compare(test, call, &decision, &codes)
                }
                None => vec![no_lease_to_release(test)],
            };
            if !differences.is_empty() {
                return Some(Failure {
                    position,
                    request: self.describe(test),
                    call,
                    calls: test.times,
                    at: self.clock.now().to_rfc3339(),
                    differences,
                });
            }
        }
        None
    }

    /// Warns of descriptors that match no rule, unless that is expected: they pass for ever.
    fn warn_of_no_rule(&mut self, test: &TestRequest, decision: &Decision, position: Position) {
        let none = Some(ExpectedCode::NoLimit);
        if test.expect.code == none {
            return;
        }
        for (at, (descriptor, status)) in
            test.descriptors.iter().zip(&decision.statuses).enumerate()
        {
            let expected = test.expect.statuses.get(at).and_then(|status| status.code);
            // The limits of a rule may be replaced.
            let domain = self.policy.domain(&test.domain);
            let has_rule = |domain: &Domain| {
                let last = domain.trace(&descriptor.entries).pop();
                matches!(last, Some(TracedLevel::Selected { has_rule: true, .. }))
            };
            if Some(status_code(status)) != none || expected == none || domain.is_some_and(has_rule)
            {
                continue;
            }
            let keys = descriptor.entries.iter();
            let keys = keys.map(|entry| quoted(&String::from_utf8_lossy(&entry.key)));
            let keys = keys.collect::<Vec<_>>().join(", ");
            let message = format!("the descriptor with {keys} matches no rule");
            self.report
                .add(ScenarioCode::NoRule, Some(position), message);
        }
    }

    /// The request with the lease that it releases; `None` if no lease of that name was granted.
    fn request(&mut self, test: &TestRequest) -> Option<Request> {
        let mut request = Request {
            domain: test.domain.clone(),
            descriptors: test.descriptors.clone(),
        };
        let Some(name) = &test.give_back else {
            return Some(request);
        };
        let lease = self.leases.get_mut(name.as_str())?.next()?;
        let domain = self.policy.domain(&test.domain);
        let key = domain.and_then(|domain| domain.lease_entry());
        for descriptor in &mut request.descriptors {
            if let (Cost::Refund(_), Some(key)) = (descriptor.cost, key) {
                descriptor.entries.push(Entry {
                    key: Bytes::copy_from_slice(key),
                    value: lease.to_string().into(),
                });
            }
        }
        Some(request)
    }

    /// A store in this process never waits: the first poll is the last.
    fn decide(&self, request: &Request) -> Decision {
        let mut deciding = pin!(self.engine.decide(request));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(decision) = deciding.as_mut().poll(&mut context) {
                return decision;
            }
        }
    }

    /// The request as text, without hidden values.
    fn describe(&self, test: &TestRequest) -> String {
        let redactor = Redactor::new(self.policy.domain(&test.domain));
        let descriptors = test.descriptors.iter();
        let texts: Vec<String> = descriptors
            .map(|descriptor| describe_descriptor(descriptor, redactor))
            .collect();
        texts.join(" + ")
    }
}

/// The differences of one answer. Expected counts are compared after the last call.
fn compare(
    test: &TestRequest,
    call: u32,
    decision: &Decision,
    codes: &CodeRuns,
) -> Vec<Difference> {
    match test.expect.counts {
        Some(_) if call < test.times => Vec::new(),
        Some(counts) => {
            let codes = codes.difference(counts).into_iter();
            codes.chain(differences(&test.expect, decision)).collect()
        }
        None => differences(&test.expect, decision),
    }
}

fn no_lease_to_release(test: &TestRequest) -> Difference {
    Difference {
        what: "lease".to_owned(),
        expected: test.give_back.clone().unwrap_or_default(),
        got: "none was granted".to_owned(),
    }
}

fn describe_descriptor(descriptor: &Descriptor, redactor: Redactor<'_>) -> String {
    let mut entries: Vec<String> = Vec::new();
    for entry in &descriptor.entries {
        let value = redactor.value(entry).unwrap_or(HIDDEN.into());
        entries.push(format!("{}: {value}", String::from_utf8_lossy(&entry.key)));
    }
    let mut text = format!("{{{}}}", entries.join(", "));
    match descriptor.cost {
        Cost::Hits(1) => {}
        Cost::Hits(hits) => text.push_str(&format!(", {hits} hits")),
        Cost::Peek => text.push_str(", a peek"),
        Cost::Refund(hits) => text.push_str(&format!(", {hits} refunded")),
    }
    if let Some(limit) = descriptor.limit {
        text.push_str(&format!(", limit {}", Rate::from(limit)));
    }
    text
}

/// The codes of a sequence of answers, run-length encoded.
#[derive(Debug, Default)]
struct CodeRuns(Vec<(ExpectedCode, u32)>);

impl CodeRuns {
    fn push(&mut self, code: ExpectedCode) {
        match self.0.last_mut() {
            Some((last, count)) if *last == code => *count += 1,
            _ => self.0.push((code, 1)),
        }
    }

    fn difference(&self, counts: ExpectedCounts) -> Option<Difference> {
        let expected = [
            (ExpectedCode::Ok, counts.ok),
            (ExpectedCode::OverLimit, counts.over_limit),
        ];
        let expected = expected.into_iter().filter(|(_, count)| *count > 0);
        let expected = Self(expected.collect());
        (self.0 != expected.0).then(|| Difference {
            what: "codes".to_owned(),
            expected: expected.to_string(),
            got: self.to_string(),
        })
    }
}

/// Such as `600 ok, 1 over_limit`; long sequences are cut.
impl fmt::Display for CodeRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN: usize = 4;
        let shown = self.0.iter().take(MAX_SHOWN);
        let shown = shown.map(|(code, count)| format!("{count} {}", code.as_str()));
        let mut shown: Vec<String> = shown.collect();
        if self.0.len() > MAX_SHOWN {
            shown.push("…".to_owned());
        }
        f.write_str(&shown.join(", "))
    }
}
