//! Tests, run by the engine that serves, each with counters and a clock of its own.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::compare::{differences, overall};
use super::report::{Difference, Failure, TestReport};
use super::test_file::{ExpectedCode, ExpectedCounts, StepAction, Test, TestFile, TestRequest};
use crate::clock::{Clock, ManualClock, Micros};
use crate::engine::{Decision, Engine};
use crate::limit::Rate;
use crate::policy::{HIDDEN, Policy, Position, Redactor};
use crate::request::{Cost, Descriptor, Entry, LeaseId, Request};
use crate::store::{MemoryConfig, RngError, Store};

/// Runs the tests whose name `is_selected` takes, one after the other.
///
/// # Errors
/// When the system has no randomness for the counters' hash.
pub fn run(
    file: &TestFile,
    is_selected: impl Fn(&str) -> bool,
) -> Result<Vec<TestReport>, RngError> {
    let selected = file.tests.iter().filter(|test| is_selected(&test.name));
    selected.map(run_test).collect()
}

fn run_test(test: &Test) -> Result<TestReport, RngError> {
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
        leases: HashMap::new(),
    };
    let mut failure = None;
    for step in &test.steps {
        match &step.action {
            StepAction::Wait(span) => runner.pass(*span),
            StepAction::At(moment) => runner.clock.set(*moment),
            StepAction::Reload(policy) => {
                runner.engine.replace_policy(Arc::clone(policy));
                runner.policy = policy;
            }
            StepAction::Request(ask) => failure = runner.ask(ask, step.position),
        }
        // What comes after a failure would fail because of it.
        if failure.is_some() {
            break;
        }
    }
    Ok(TestReport {
        name: test.name.clone(),
        position: test.position,
        failure,
    })
}

/// Where a test takes place.
struct Runner<'t> {
    engine: Engine,
    policy: &'t Policy,
    clock: ManualClock,
    /// By the names under which they are kept.
    leases: HashMap<&'t str, SavedLeases>,
}

/// Leases of one name, in the order in which they were granted.
#[derive(Debug, Default)]
struct SavedLeases {
    leases: Vec<LeaseId>,
    /// How many were given back.
    given_back: usize,
}

impl SavedLeases {
    /// The oldest that was not given back; when all were, the last one again.
    fn next(&mut self) -> Option<LeaseId> {
        let lease = self.leases.get(self.given_back).or(self.leases.last())?;
        self.given_back = self.leases.len().min(self.given_back + 1);
        Some(*lease)
    }
}

impl<'t> Runner<'t> {
    fn pass(&self, span: Micros) {
        self.clock.set(self.clock.now().plus(span));
    }

    fn ask(&mut self, ask: &'t TestRequest, position: Position) -> Option<Failure> {
        let mut codes = CodeRuns::default();
        for time in 1..=ask.times {
            if time > 1 {
                self.pass(ask.every);
            }
            let failed = |runner: &Self, differences| Failure {
                position,
                asked: runner.words(ask),
                time: (time, ask.times),
                at: runner.clock.now().to_rfc3339(),
                differences,
            };
            let Some(request) = self.request(ask) else {
                return Some(failed(self, vec![nothing_to_give_back(ask)]));
            };
            let decision = self.decide(&request);
            if let (Some(name), Some(grant)) = (&ask.keep, &decision.grant) {
                self.leases
                    .entry(name)
                    .or_default()
                    .leases
                    .push(grant.lease);
            }
            codes.add(overall(&decision));
            let found = match ask.expect.counts {
                Some(_) if time < ask.times => Vec::new(),
                Some(tally) => {
                    let counts = codes.unlike(tally).into_iter();
                    counts.chain(differences(&ask.expect, &decision)).collect()
                }
                None => differences(&ask.expect, &decision),
            };
            if !found.is_empty() {
                return Some(failed(self, found));
            }
        }
        None
    }

    /// What is asked, with the lease that is given back; none if there is no such lease.
    fn request(&mut self, ask: &TestRequest) -> Option<Request> {
        let mut request = Request {
            domain: ask.domain.clone(),
            descriptors: ask.descriptors.clone(),
        };
        let Some(name) = &ask.give_back else {
            return Some(request);
        };
        let lease = self.leases.get_mut(name.as_str())?.next()?;
        let domain = self.policy.domain(&ask.domain);
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

    /// The request as people write it, without the values of secret keys.
    fn words(&self, ask: &TestRequest) -> String {
        let redactor = Redactor::new(self.policy.domain(&ask.domain));
        let descriptors = ask.descriptors.iter();
        let words: Vec<String> = descriptors
            .map(|descriptor| descriptor_in_words(descriptor, redactor))
            .collect();
        words.join(" + ")
    }
}

fn nothing_to_give_back(ask: &TestRequest) -> Difference {
    Difference {
        what: "lease".to_owned(),
        expected: ask.give_back.clone().unwrap_or_default(),
        got: "none was granted".to_owned(),
    }
}

fn descriptor_in_words(descriptor: &Descriptor, redactor: Redactor<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    for entry in &descriptor.entries {
        let value = redactor.value(entry).unwrap_or(HIDDEN.into());
        words.push(format!("{}: {value}", String::from_utf8_lossy(&entry.key)));
    }
    let mut text = format!("{{{}}}", words.join(", "));
    match descriptor.cost {
        Cost::Hits(1) => {}
        Cost::Hits(hits) => text.push_str(&format!(", {hits} hits")),
        Cost::Peek => text.push_str(", a look"),
        Cost::Refund(hits) => text.push_str(&format!(", {hits} given back")),
    }
    if let Some(limit) = descriptor.limit {
        text.push_str(&format!(", limit {}", Rate::from(limit)));
    }
    text
}

/// The codes of many answers: how many alike came one after the other.
#[derive(Debug, Default)]
struct CodeRuns(Vec<(ExpectedCode, u32)>);

impl CodeRuns {
    fn add(&mut self, word: ExpectedCode) {
        match self.0.last_mut() {
            Some((last, count)) if *last == word => *count += 1,
            _ => self.0.push((word, 1)),
        }
    }

    fn unlike(&self, tally: ExpectedCounts) -> Option<Difference> {
        let expected = [
            (ExpectedCode::Ok, tally.ok),
            (ExpectedCode::OverLimit, tally.over_limit),
        ];
        let expected = expected.into_iter().filter(|(_, count)| *count > 0);
        let expected: Vec<(ExpectedCode, u32)> = expected.collect();
        (self.0 != expected).then(|| Difference {
            what: "codes".to_owned(),
            expected: counts(&expected),
            got: counts(&self.0),
        })
    }
}

/// Such as `600 ok, 1 over_limit`.
fn counts(codes: &[(ExpectedCode, u32)]) -> String {
    const MOST: usize = 4;
    let shown = codes.iter().take(MOST);
    let shown = shown.map(|(word, count)| format!("{count} {}", word.as_str()));
    let mut shown: Vec<String> = shown.collect();
    if codes.len() > MOST {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
