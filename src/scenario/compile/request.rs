//! A request, its costs and its expected answers.

use bytes::Bytes;

use super::TestContext;
use crate::document::{PathElement, Position, Report, Spanned};
use crate::request::{Cost, Descriptor};
use crate::scenario::ScenarioCode;
use crate::scenario::raw::{PerDescriptor, RawExpectation, RawRequest};
use crate::scenario::test_file::{
    Expectation, ExpectedCounts, ExpectedStatus, MAX_TIMES, TestRequest,
};

pub(super) fn compile(
    mut raw: RawRequest,
    position: Position,
    context: &mut TestContext,
    report: &mut Report,
) -> Option<TestRequest> {
    // The rest is checked even if a descriptor is invalid.
    let all_valid = raw.descriptors.iter().all(Option::is_some);
    let descriptors = std::mem::take(&mut raw.descriptors).into_iter();
    let mut descriptors: Vec<Descriptor> = descriptors.map(Option::unwrap_or_default).collect();
    let domain = domain(raw.domain.take(), position, context, report);
    if let Some(name) = &raw.keep {
        context.kept.insert(name.value.clone());
    }
    if let Some(name) = &raw.give_back {
        check_kept(name, context, report);
        for descriptor in &mut descriptors {
            descriptor.cost = Cost::Refund(1);
        }
    }
    set_costs(&raw, &mut descriptors, report);
    if let Some(overrides) = &raw.overrides {
        let set = |descriptor: &mut Descriptor, limit: &Option<_>| {
            descriptor.limit = limit.map(Into::into);
        };
        for_each_descriptor("limit", overrides, &mut descriptors, report, set);
    }
    let expect = raw.expect.unwrap_or_default();
    let expect = report.within(PathElement::Key("expect"), |report| {
        expectation(expect, raw.times, descriptors.len(), report)
    });
    let count = expect.counts.map(|counts| counts.ok + counts.over_limit);
    if !all_valid {
        return None;
    }
    Some(TestRequest {
        domain: domain?,
        descriptors,
        times: raw.times.or(count).unwrap_or(1),
        every: raw.every.unwrap_or_default(),
        keep: raw.keep.map(|name| name.value),
        give_back: raw.give_back.map(|name| name.value),
        expect,
    })
}

/// The domain of the step or of the test, or the only one of the policy.
pub(super) fn domain(
    written: Option<String>,
    position: Position,
    context: &TestContext,
    report: &mut Report,
) -> Option<Bytes> {
    if let Some(domain) = written.or_else(|| context.domain.clone()) {
        return Some(domain.into());
    }
    if let [only] = context.policy.domains()[..] {
        return Some(Bytes::copy_from_slice(only.name.as_bytes()));
    }
    let message = "ambiguous domain: the policy does not have exactly one";
    let help = "name it: `domain: NAME`, in the step, in the test or in the file";
    let position = Some(position);
    report.add_with_help(ScenarioCode::MissingDomain, position, message, help);
    None
}

fn check_kept(name: &Spanned<String>, context: &TestContext, report: &mut Report) {
    if !context.kept.contains(&name.value) {
        let message = "no earlier step keeps a lease under this name";
        let help = "add `keep: NAME` to the `ask` that is granted it";
        report.within(PathElement::Key("give_back"), |report| {
            report.add_with_help(ScenarioCode::InvalidStep, name.position, message, help);
        });
    }
}

/// Sets the costs of `hits`, `refund` or `look`.
fn set_costs(raw: &RawRequest, descriptors: &mut [Descriptor], report: &mut Report) {
    match &raw.costs[..] {
        [] => {}
        [only] => {
            let raw = &only.value;
            for_each_descriptor(raw.key, &raw.costs, descriptors, report, |it, cost| {
                it.cost = *cost;
            });
        }
        [_, second, ..] => {
            let message = "a request has one of `hits`, `refund` and `look`";
            report.add(ScenarioCode::InvalidStep, second.position, message);
        }
    }
}

/// Applies a value to each descriptor.
fn for_each_descriptor<T>(
    key: &'static str,
    values: &PerDescriptor<T>,
    descriptors: &mut [Descriptor],
    report: &mut Report,
    set: impl Fn(&mut Descriptor, &T),
) {
    match values {
        PerDescriptor::All(value) => {
            for descriptor in descriptors {
                set(descriptor, value);
            }
        }
        PerDescriptor::Each(values) if values.value.len() != descriptors.len() => {
            let message = wrong_length(descriptors.len(), values.value.len());
            report.within(PathElement::Key(key), |report| {
                report.add(ScenarioCode::InvalidStep, values.position, message);
            });
        }
        PerDescriptor::Each(values) => {
            for (descriptor, value) in descriptors.iter_mut().zip(&values.value) {
                set(descriptor, value);
            }
        }
    }
}

fn wrong_length(descriptors: usize, elements: usize) -> String {
    format!("expected one element for each of the {descriptors} descriptors, found {elements}")
}

fn expectation(
    mut raw: RawExpectation,
    times: Option<u32>,
    descriptors: usize,
    report: &mut Report,
) -> Expectation {
    let counts = counts(&raw, times, report);
    if counts.is_some() && raw.code.is_some() {
        let message = "`code` beside the counts of `ok` and `over_limit`";
        report.add(ScenarioCode::InvalidExpectation, raw.code, message);
    }
    Expectation {
        counts,
        statuses: statuses(&mut raw, descriptors, report),
        ..raw.expectation
    }
}

/// The counts of `ok` and `over_limit`; one that is not written follows from `times`.
fn counts(raw: &RawExpectation, times: Option<u32>, report: &mut Report) -> Option<ExpectedCounts> {
    let first = raw.ok.as_ref().or(raw.over_limit.as_ref())?;
    let written = |count: &Option<Spanned<u32>>| count.as_ref().map(|count| count.value);
    let total = times.unwrap_or(first.value);
    let counts = match (written(&raw.ok), written(&raw.over_limit)) {
        (Some(ok), Some(over_limit)) => Some((ok, over_limit)),
        (Some(ok), None) => total.checked_sub(ok).map(|over_limit| (ok, over_limit)),
        (None, Some(over_limit)) => total.checked_sub(over_limit).map(|ok| (ok, over_limit)),
        (None, None) => None,
    };
    let counts = counts.filter(|(ok, over_limit)| {
        let total = ok.checked_add(*over_limit);
        total.is_some_and(|total| {
            (1..=MAX_TIMES).contains(&total) && times.is_none_or(|times| times == total)
        })
    });
    if counts.is_none() {
        let message = "the counts of `ok` and `over_limit` do not add up to the number of requests";
        report.add(ScenarioCode::InvalidExpectation, first.position, message);
    }
    counts.map(|(ok, over_limit)| ExpectedCounts { ok, over_limit })
}

/// One status for each descriptor, or none.
fn statuses(
    raw: &mut RawExpectation,
    descriptors: usize,
    report: &mut Report,
) -> Vec<ExpectedStatus> {
    match (&raw.status_key, raw.descriptors.take()) {
        (None, None) => Vec::new(),
        (Some(_), None) if descriptors == 1 => vec![std::mem::take(&mut raw.status)],
        (Some(key), _) => {
            let message = format!("`{}` does not name its descriptor", key.value);
            let help = "put it in an element of `descriptors`";
            report.add_with_help(
                ScenarioCode::InvalidExpectation,
                key.position,
                message,
                help,
            );
            Vec::new()
        }
        (None, Some(listed)) => {
            if listed.value.len() != descriptors {
                let message = wrong_length(descriptors, listed.value.len());
                report.within(PathElement::Key("descriptors"), |report| {
                    report.add(ScenarioCode::InvalidExpectation, listed.position, message);
                });
            }
            listed.value
        }
    }
}
