//! What is different in two answers to the same request.

use crate::client::{DescriptorStatus, ServerAnswer};

/// What two answers do not agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    /// Whether the request is refused.
    Decision,
    /// Whether a descriptor is over its limit.
    Code,
    /// How many descriptors have a status.
    Statuses,
    /// The limit that is reported for a descriptor.
    Limit,
    /// The hits that remain.
    Remaining,
    /// The time until the limit resets, by more than a second.
    Reset,
    /// The names of the headers for the client or the upstream.
    Headers,
    /// The body for the client, but for numbers that differ by as much as a reset may.
    Body,
}

impl Aspect {
    /// Whether clients are treated differently, and not only informed differently.
    pub(super) fn is_decision(self) -> bool {
        matches!(self, Self::Decision | Self::Code)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Code => "code",
            Self::Statuses => "number of statuses",
            Self::Limit => "limit",
            Self::Remaining => "remaining",
            Self::Reset => "reset",
            Self::Headers => "header names",
            Self::Body => "body",
        }
    }
}

/// A difference of two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerDifference {
    pub(super) aspect: Aspect,
    /// The index of its descriptor; `None` if it is of the whole answer.
    pub(super) descriptor: Option<usize>,
    /// What each server says, unless that depends on the time. No value of a client is in it.
    pub(super) says: [String; 2],
}

/// The differences of two answers that were asked for at the same time, and came within `elapsed_secs`.
pub(super) fn differences(answers: [&ServerAnswer; 2], elapsed_secs: u64) -> Vec<AnswerDifference> {
    let mut found = AnswerDifferences(Vec::new());
    let [server, against] = answers;
    found.compare(
        Aspect::Decision,
        None,
        answers.map(|answer| code(answer.over_limit)),
    );
    let counts = answers.map(|answer| answer.statuses.len().to_string());
    found.compare(Aspect::Statuses, None, counts);
    let statuses = server.statuses.iter().zip(&against.statuses);
    for (index, (server, against)) in statuses.enumerate() {
        let both = [server, against];
        let at = Some(index);
        found.compare(Aspect::Code, at, both.map(|status| code(status.over_limit)));
        found.compare(Aspect::Limit, at, both.map(limit));
        found.note(Aspect::Remaining, at, server.remaining != against.remaining);
        found.note(Aspect::Reset, at, !is_same_reset(both, elapsed_secs));
    }
    found.compare(Aspect::Headers, None, answers.map(header_names));
    let is_same_body = is_same_text([&server.body, &against.body], elapsed_secs);
    found.note(Aspect::Body, None, !is_same_body);
    found.0
}

struct AnswerDifferences(Vec<AnswerDifference>);

impl AnswerDifferences {
    fn compare(&mut self, aspect: Aspect, descriptor: Option<usize>, says: [String; 2]) {
        if says[0] != says[1] {
            self.0.push(AnswerDifference {
                aspect,
                descriptor,
                says,
            });
        }
    }

    fn note(&mut self, aspect: Aspect, descriptor: Option<usize>, differs: bool) {
        if differs {
            self.0.push(AnswerDifference {
                aspect,
                descriptor,
                says: Default::default(),
            });
        }
    }
}

fn code(over_limit: bool) -> String {
    if over_limit { "OVER_LIMIT" } else { "OK" }.to_owned()
}

fn limit(status: &DescriptorStatus) -> String {
    let limit = status.limit.as_ref();
    limit.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn is_same_reset(both: [&DescriptorStatus; 2], elapsed_secs: u64) -> bool {
    match both.map(|status| status.reset_after_secs) {
        [Some(server), Some(against)] => server.abs_diff(against) <= 1 + elapsed_secs,
        [server, against] => server.is_some() == against.is_some(),
    }
}

/// Whether texts are equal but for numbers that are seconds to wait, perhaps.
fn is_same_text(both: [&str; 2], elapsed_secs: u64) -> bool {
    if both[0] == both[1] {
        return true;
    }
    let [server, against] = both.map(number_runs);
    server.len() == against.len()
        && server.iter().zip(against).all(|(server, against)| {
            let numbers = (server.parse::<u64>(), against.parse::<u64>());
            match numbers {
                (Ok(server), Ok(against)) => server.abs_diff(against) <= 1 + elapsed_secs,
                _ => *server == against,
            }
        })
}

/// The text, cut where digits begin and end.
fn number_runs(text: &str) -> Vec<&str> {
    text.as_bytes()
        .chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit())
        .scan(0, |start, run| {
            let from = *start;
            *start += run.len();
            text.get(from..*start)
        })
        .collect()
}

fn header_names(answer: &ServerAnswer) -> String {
    let names = |headers: &[(String, String)]| {
        let mut names: Vec<_> = headers
            .iter()
            .map(|(name, _)| name.to_lowercase())
            .collect();
        names.sort_unstable();
        names.join(" ")
    };
    let upstream = names(&answer.request_headers);
    match (names(&answer.headers), upstream.as_str()) {
        (client, "") if client.is_empty() => "none".to_owned(),
        (client, "") => client,
        (client, upstream) => format!("{client} upstream: {upstream}")
            .trim_start()
            .to_owned(),
    }
}

/// An answer about one descriptor, with a limit of 10 a minute.
#[cfg(test)]
pub(super) fn minute_answer(over_limit: bool, remaining: u32, reset: Option<u64>) -> ServerAnswer {
    ServerAnswer {
        over_limit,
        statuses: vec![DescriptorStatus {
            over_limit,
            limit: Some(crate::client::ReportedLimit {
                name: String::new(),
                requests_per_unit: 10,
                unit: "minute".to_owned(),
                unit_multiplier: 1,
            }),
            remaining,
            reset_after_secs: reset,
        }],
        ..ServerAnswer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::minute_answer as answer;
    use super::*;

    fn aspects(server: &ServerAnswer, against: &ServerAnswer, elapsed: u64) -> Vec<Aspect> {
        let found = differences([server, against], elapsed);
        found.into_iter().map(|found| found.aspect).collect()
    }

    #[test]
    fn equal_answers_do_not_differ() {
        let one = answer(false, 3, Some(30));
        assert_eq!(aspects(&one, &one, 0), []);
    }

    #[test]
    fn resets_may_differ_by_the_time_that_the_calls_took() {
        let (one, other) = (answer(false, 3, Some(30)), answer(false, 3, Some(28)));
        assert_eq!(aspects(&one, &other, 1), []);
        assert_eq!(aspects(&one, &other, 0), [Aspect::Reset]);
        let none = answer(false, 3, None);
        assert_eq!(aspects(&one, &none, 9), [Aspect::Reset]);
    }

    #[test]
    fn bodies_may_differ_by_a_second_to_wait() {
        let same = |one, other| is_same_text([one, other], 0);
        assert!(same("wait 30 s, é", "wait 31 s, é"));
        assert!(!same("wait 30 s", "wait 32 s"));
        assert!(!same("wait 30 s", "wait 30 min"));
        assert!(!same("9", "9a"));
        assert!(!same("", "1"));
    }

    #[test]
    fn every_part_of_an_answer_is_compared() {
        let one = answer(false, 1, Some(30));
        let mut other = answer(true, 0, Some(30));
        if let Some(limit) = &mut other.statuses[0].limit {
            limit.requests_per_unit = 20;
        }
        other.headers.push(("RateLimit".to_owned(), "x".to_owned()));
        other.body.push('x');
        let found = differences([&one, &other], 0);
        let expected = [
            (Aspect::Decision, None, ["OK", "OVER_LIMIT"]),
            (Aspect::Code, Some(0), ["OK", "OVER_LIMIT"]),
            (Aspect::Limit, Some(0), ["10 per minute", "20 per minute"]),
            (Aspect::Remaining, Some(0), ["", ""]),
            (Aspect::Headers, None, ["none", "ratelimit"]),
            (Aspect::Body, None, ["", ""]),
        ];
        let expected = expected.map(|(aspect, descriptor, says)| AnswerDifference {
            aspect,
            descriptor,
            says: says.map(str::to_owned),
        });
        assert_eq!(found, expected);
        other.statuses.clear();
        assert!(aspects(&one, &other, 0).contains(&Aspect::Statuses));
    }
}
