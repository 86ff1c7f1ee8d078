//! An explanation for people.

use std::fmt::Write as _;

use crate::engine::{
    Code, End, Explained, ExplainedCandidate, ExplainedLevel, ExplainedLimit, Explanation, Status,
    Verdict,
};
use crate::limit::Limit;
use crate::request::Cost;

/// Of more candidates that do not fit only the number is told.
const MOST_CANDIDATES: usize = 20;

/// All of it.
pub(in crate::cli) fn text(explanation: &Explanation) -> String {
    let mut out = String::new();
    let (domain, at) = (&explanation.domain, explanation.at.to_rfc3339());
    let counters = match explanation.is_live {
        true => "the counters of the server",
        false => "fresh counters",
    };
    line(
        &mut out,
        0,
        &format!("domain {domain}, at {at}, with {counters}"),
    );
    if !explanation.is_known {
        line(
            &mut out,
            0,
            "No policy has this domain, so nothing is limited.",
        );
    }
    let statuses = &explanation.decision.statuses;
    for (at, (explained, status)) in explanation.descriptors.iter().zip(statuses).enumerate() {
        out.push('\n');
        let cost = match explained.cost {
            Cost::Hits(1) => "1 hit".to_owned(),
            Cost::Hits(hits) => format!("{hits} hits"),
            Cost::Peek => "a look".to_owned(),
            Cost::Refund(hits) => format!("{hits} given back"),
        };
        line(&mut out, 0, &format!("descriptor {}, {cost}", at + 1));
        descriptor(&mut out, explained, status);
    }
    out.push('\n');
    answer(&mut out, explanation);
    out
}

fn descriptor(out: &mut String, explained: &Explained, status: &Status) {
    for (at, (key, value)) in explained.entries.iter().enumerate() {
        line(
            out,
            1,
            &format!("{key}={}", value.as_deref().unwrap_or("***")),
        );
        if let Some(level) = explained.levels.get(at) {
            let is_last = at + 1 == explained.entries.len();
            tried(out, level, is_last);
        }
    }
    let end = match explained.end {
        End::UnknownDomain => "",
        End::NotFound => "no rule is reached, so there is no limit",
        End::NoRule => "the descriptor that is reached has no rate_limit, so there is no limit",
        End::Replaced => "another descriptor's rule replaces this one, so it does not count",
        End::Unlimited => "the rule is unlimited",
        End::Override => "the limit that came with the request counts, not the policy's",
        End::Rule => "",
    };
    if !end.is_empty() {
        line(out, 1, end);
    }
    if let Some(rule) = &explained.rule {
        let mut place = String::new();
        if let (Some(file), Some(at)) = (&rule.file, rule.position) {
            place = format!("{}:{}:{}  ", file.display(), at.line, at.column);
        }
        line(out, 1, &format!("rule   {place}{}", rule.path));
        if rule.shadow_mode {
            line(out, 1, "       in shadow mode: it counts and never refuses");
        }
        if rule.quota_mode {
            line(
                out,
                1,
                "       in quota mode: it refuses when every quota of the request is over",
            );
        }
    }
    for limit in &explained.limits {
        line(out, 1, &format!("limit  {}", limit_in_words(limit)));
    }
    line(out, 1, &format!("so     {}", status_in_words(status)));
}

/// What there was to choose from for one entry.
fn tried(out: &mut String, level: &ExplainedLevel, is_last: bool) {
    let (candidates, counter, has_rule) = match level {
        ExplainedLevel::TooDeep => {
            return line(out, 2, "the policy has no level for this entry");
        }
        ExplainedLevel::UnknownKey(known) => {
            let known = known.join(", ");
            return line(
                out,
                2,
                &format!("no descriptor of this level has this key; there are: {known}"),
            );
        }
        ExplainedLevel::Known {
            candidates,
            counter,
            has_rule,
        } => (candidates, counter, *has_rule),
    };
    let is_told = |(at, candidate): &(usize, &ExplainedCandidate)| {
        *at < MOST_CANDIDATES || candidate.verdict != Verdict::DoesNotFit
    };
    let shown: Vec<_> = candidates.iter().enumerate().filter(is_told).collect();
    let width = shown
        .iter()
        .map(|(_, one)| one.text.chars().count())
        .max()
        .unwrap_or(0);
    for (_, candidate) in &shown {
        let (kind, text) = (candidate.kind, &candidate.text);
        let verdict = match candidate.verdict {
            Verdict::Taken => "taken",
            Verdict::PassedOver => "fits, but another one goes first",
            Verdict::DoesNotFit => "does not fit",
        };
        line(out, 2, &format!("{kind:9}  {text:width$}  {verdict}"));
    }
    match candidates.len() - shown.len() {
        0 => {}
        more => line(out, 2, &format!("and {more} more that do not fit")),
    }
    if !candidates
        .iter()
        .any(|candidate| candidate.verdict == Verdict::Taken)
    {
        return line(out, 2, "nothing fits");
    }
    line(out, 2, &format!("counted by {}", counter.join(", ")));
    if has_rule && !is_last {
        line(
            out,
            2,
            "its rate_limit is for requests that end here, and not for this one",
        );
    }
}

fn limit_in_words(explained: &ExplainedLimit) -> String {
    let mut words = in_words(&explained.limit);
    let Some(standing) = explained.standing else {
        words.push_str("; replaced, so it does not count");
        return words;
    };
    let (before, after) = (standing.before, standing.after);
    let over = if standing.over { ": over" } else { "" };
    let reset = standing.reset_after_secs;
    let _ = write!(
        words,
        "; {before} left before, {after} after{over}; resets in {reset}s"
    );
    words
}

fn in_words(limit: &Limit) -> String {
    let algorithm = limit.algorithm().as_str();
    let name = limit
        .name
        .as_deref()
        .map_or(String::new(), |name| format!("{name}: "));
    let shadow = if limit.shadow_mode {
        ", in shadow mode"
    } else {
        ""
    };
    format!("{name}{limit}, {algorithm}{shadow}")
}

fn status_in_words(status: &Status) -> String {
    let code = code(status.code);
    match (&status.limit, status.reset_after_secs) {
        (Some(limit), Some(reset)) => {
            let (quota, remaining) = (limit.quota, status.remaining);
            format!("{code}, {remaining} remaining of {quota}, reset in {reset}s")
        }
        _ if *status == Status::UNLIMITED => format!("{code}, unlimited"),
        _ => format!("{code}, no limit"),
    }
}

fn answer(out: &mut String, explanation: &Explanation) {
    let decision = &explanation.decision;
    line(out, 0, &format!("the answer is {}", code(decision.code)));
    if decision.grant.is_some() {
        line(out, 1, "with a lease, by which the slots are given back");
    }
    for header in &decision.headers {
        line(out, 1, &format!("{}: {}", header.name, header.value));
    }
    if let Some(body) = &decision.body {
        out.push('\n');
        for text in body.lines() {
            line(out, 1, text);
        }
    }
}

const fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::OverLimit => "OVER_LIMIT",
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    let _ = writeln!(out, "{:width$}{text}", "", width = 2 * depth);
}
