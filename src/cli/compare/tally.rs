//! The counts of a comparison.

use std::collections::BTreeMap;

use super::answers::{Aspect, differences};
use super::windows::ShiftedWindows;
use crate::client::{ClientError, ServerAnswer};
use crate::clock::{Micros, Timestamp};
use crate::request::{Descriptor, Request};

/// Groups of differences, at most: a log can have any number of keys.
const MAX_GROUPS: usize = 1000;

/// A request, and the answers to it.
pub(super) struct Sample<'a> {
    /// The number of its line, or of the generated request.
    pub(super) number: u64,
    pub(super) request: &'a Request,
    pub(super) answers: [&'a ServerAnswer; 2],
    /// When both had answered.
    pub(super) now: Timestamp,
    /// The time that the calls took.
    pub(super) elapsed: Micros,
}

/// What requests have in common whose answers differ in the same way. No value of a client is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DifferenceGroup {
    pub(super) aspect: Aspect,
    pub(super) domain: String,
    /// The keys of the descriptor, or of all descriptors.
    pub(super) keys: String,
    pub(super) says: [String; 2],
}

/// The requests of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupTally {
    pub(super) requests: u64,
    /// The number of the first.
    pub(super) first: u64,
}

/// The calls to one server that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FailedCalls {
    pub(super) calls: u64,
    pub(super) first_error: String,
}

/// All counts.
#[derive(Debug, Default)]
pub(super) struct ComparisonTally {
    pub(super) same: u64,
    pub(super) details_differ: u64,
    pub(super) decisions_differ: u64,
    /// Requests for which a server reports a limit, or that one refuses.
    pub(super) limited: u64,
    /// Requests that differ because the servers count them in different windows.
    pub(super) shifted: u64,
    /// Requests that a server, or both, did not answer.
    pub(super) unanswered: u64,
    pub(super) failed: [FailedCalls; 2],
    pub(super) groups: BTreeMap<DifferenceGroup, GroupTally>,
    /// Differences that are in no group, because there are too many groups.
    pub(super) ungrouped: u64,
    windows: ShiftedWindows,
}

impl ComparisonTally {
    /// Requests that both servers have answered.
    pub(super) fn compared(&self) -> u64 {
        self.same + self.details_differ + self.decisions_differ + self.shifted
    }

    /// Whether all calls were answered, with the same decisions.
    pub(super) fn is_equal(&self) -> bool {
        self.decisions_differ == 0 && self.failed.iter().all(|failed| failed.calls == 0)
    }

    pub(super) fn push(&mut self, sample: &Sample<'_>) {
        let elapsed_secs = sample.elapsed.secs_ceil();
        self.limited += u64::from(sample.answers.into_iter().any(is_limited));
        let shifted = self.observe_windows(sample, elapsed_secs);
        let mut found = differences(sample.answers, elapsed_secs);
        let is_found = !found.is_empty();
        let codes_are_shifted = found
            .iter()
            .filter(|found| found.aspect == Aspect::Code)
            .all(|found| found.descriptor.is_some_and(|index| shifted[index]));
        let is_any_shifted = shifted.contains(&true);
        found.retain(|found| match found.descriptor {
            Some(index) => !shifted[index],
            // The rest of the answer follows from its descriptors.
            None => !(is_any_shifted && codes_are_shifted),
        });
        let count = if found.iter().any(|found| found.aspect.is_decision()) {
            &mut self.decisions_differ
        } else if !found.is_empty() {
            &mut self.details_differ
        } else if is_found {
            &mut self.shifted
        } else {
            &mut self.same
        };
        *count += 1;
        for difference in found {
            let group = DifferenceGroup {
                aspect: difference.aspect,
                domain: text(&sample.request.domain),
                keys: keys(sample.request, difference.descriptor),
                says: difference.says,
            };
            self.push_group(group, sample.number);
        }
    }

    /// Adds a request that a server, or both, did not answer.
    pub(super) fn push_unanswered(&mut self, errors: [Option<&ClientError>; 2]) {
        self.unanswered += 1;
        for (failed, error) in self.failed.iter_mut().zip(errors) {
            let Some(error) = error else {
                continue;
            };
            failed.calls += 1;
            if failed.calls == 1 {
                failed.first_error = error.to_string();
            }
        }
    }

    /// Which descriptors have statuses of different windows.
    fn observe_windows(&mut self, sample: &Sample<'_>, elapsed_secs: u64) -> Vec<bool> {
        let [server, against] = sample.answers;
        let statuses = server.statuses.iter().zip(&against.statuses);
        let descriptors = sample.request.descriptors.iter().zip(statuses);
        let mut shifted: Vec<bool> = descriptors
            .map(|(descriptor, (server, against))| {
                let counter = (&*sample.request.domain, descriptor);
                let statuses = [server, against];
                self.windows
                    .observe(sample.now, elapsed_secs, counter, statuses)
            })
            .collect();
        // A server may have sent more statuses than were asked for.
        let most = server.statuses.len().max(against.statuses.len());
        shifted.resize(most.max(shifted.len()), false);
        shifted
    }

    fn push_group(&mut self, group: DifferenceGroup, number: u64) {
        if self.groups.len() == MAX_GROUPS && !self.groups.contains_key(&group) {
            self.ungrouped += 1;
            return;
        }
        let tally = self.groups.entry(group).or_insert(GroupTally {
            requests: 0,
            first: number,
        });
        tally.requests += 1;
    }
}

fn is_limited(answer: &ServerAnswer) -> bool {
    answer.over_limit || answer.statuses.iter().any(|status| status.limit.is_some())
}

fn keys(request: &Request, descriptor: Option<usize>) -> String {
    let of = |descriptor: &Descriptor| {
        let keys = descriptor.entries.iter().map(|entry| text(&entry.key));
        keys.collect::<Vec<_>>().join(" ")
    };
    match descriptor.and_then(|index| request.descriptors.get(index)) {
        Some(descriptor) => of(descriptor),
        None => {
            let all = request.descriptors.iter().map(of);
            all.collect::<Vec<_>>().join(" + ")
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::answers::minute_answer;
    use super::*;

    fn answer(over_limit: bool, remaining: u32, reset: u64) -> ServerAnswer {
        minute_answer(over_limit, remaining, Some(reset))
    }

    fn push(comparison: &mut ComparisonTally, number: u64, answers: [&ServerAnswer; 2]) {
        let request = Request {
            domain: "shop".into(),
            descriptors: vec![Descriptor::new([("api_key", "s3cret"), ("plan", "free")])],
        };
        comparison.push(&Sample {
            number,
            request: &request,
            answers,
            now: Timestamp::from_secs(100 + number),
            elapsed: Micros::ZERO,
        });
    }

    #[test]
    fn differences_are_grouped_without_values() {
        let mut comparison = ComparisonTally::default();
        let (ok, over) = (answer(false, 1, 30), answer(true, 0, 30));
        push(&mut comparison, 1, [&ok, &ok]);
        push(&mut comparison, 2, [&ok, &over]);
        push(&mut comparison, 3, [&ok, &over]);
        push(&mut comparison, 4, [&ok, &answer(false, 2, 30)]);
        let counts = (comparison.same, comparison.details_differ);
        assert_eq!((counts, comparison.decisions_differ), ((1, 1), 2));
        assert!(!comparison.is_equal());
        let (group, tally) = comparison.groups.first_key_value().unwrap();
        assert_eq!(
            (group.aspect, &*group.keys),
            (Aspect::Decision, "api_key plan")
        );
        let expected = GroupTally {
            requests: 2,
            first: 2,
        };
        assert_eq!(*tally, expected);
        assert!(!format!("{:?}", comparison.groups).contains("s3cret"));
    }

    #[test]
    fn what_comes_of_different_windows_is_counted_apart() {
        let mut comparison = ComparisonTally::default();
        push(
            &mut comparison,
            1,
            [&answer(true, 0, 1), &answer(false, 9, 60)],
        );
        push(
            &mut comparison,
            2,
            [&answer(false, 3, 58), &answer(false, 2, 58)],
        );
        assert_eq!((comparison.shifted, comparison.compared()), (2, 2));
        assert!(comparison.is_equal());
        assert!(comparison.groups.is_empty());
        // The next window.
        push(
            &mut comparison,
            90,
            [&answer(false, 3, 50), &answer(false, 2, 50)],
        );
        assert_eq!(comparison.details_differ, 1);
    }

    #[test]
    fn a_failed_call_is_not_equal() {
        let mut comparison = ComparisonTally::default();
        let ok = answer(false, 1, 30);
        push(&mut comparison, 1, [&ok, &ok]);
        let error = ClientError::Connect {
            server: "127.0.0.1:1".parse().unwrap(),
            reason: "refused".to_owned(),
        };
        comparison.push_unanswered([None, Some(&error)]);
        assert_eq!((comparison.compared(), comparison.unanswered), (1, 1));
        assert!(!comparison.is_equal());
        assert_eq!(comparison.failed[1].calls, 1);
    }
}
