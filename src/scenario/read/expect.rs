//! `expect`: what answers are compared with.

use super::ask::MAX_TIMES;
use super::fields::{Fields, Known};
use super::{Reader, scalars};
use crate::document::{
    Kind, Node, PathElement, Position, Report, list, mapping, read_metadata, read_value, scalar,
};
use crate::scenario::ScenarioCode;
use crate::scenario::compare::from_json;
use crate::scenario::keys::Level;
use crate::scenario::test_file::{
    Expectation, ExpectedBody, ExpectedCode, ExpectedCounts, ExpectedHeader, ExpectedStatus,
};

/// What can be said of one descriptor, here or in an element of `descriptors`.
const OF_ONE: [&str; 4] = ["remaining", "reset", "limit", "name"];

impl Reader<'_> {
    /// Of a request with so many descriptors that is asked so often; none if there is no sense in running it.
    pub(super) fn expectation(
        &mut self,
        node: &Node,
        times: Option<u32>,
        descriptors: usize,
    ) -> Option<Expectation> {
        let mut expect = Expectation::default();
        if let Kind::Scalar(..) = node.kind {
            expect.code = Some(scalars::word(node, self.report)?);
            return Some(expect);
        }
        let fields = Fields::of(node, Level::Expect, self.report)?;
        expect.counts = self.tally(&fields, times);
        expect.statuses = self.statuses(&fields, descriptors);
        for field in fields.iter() {
            self.within(field, |reader| reader.fill(&mut expect, field));
        }
        if let Some(code) = fields.find("code").filter(|_| expect.counts.is_some()) {
            let message = "`code` beside the counts of `ok` and `over_limit`";
            self.report.add(
                ScenarioCode::InvalidExpectation,
                Some(code.position),
                message,
            );
        }
        Some(expect)
    }

    fn fill(&mut self, expect: &mut Expectation, field: &Known<'_>) {
        let (node, report) = (field.node, &mut *self.report);
        match field.name {
            "code" => expect.code = scalars::word(node, report),
            "headers" => {
                let all = headers(node, report).unwrap_or_default();
                for absent in all.iter().filter(|(_, header)| header.value.is_none()) {
                    let hint = "leave it out: `headers` are all that there are";
                    let message = "a header without a value";
                    report.add_with_hint(
                        ScenarioCode::InvalidExpectation,
                        Some(absent.0),
                        message,
                        hint,
                    );
                }
                expect.headers = Some(all.into_iter().map(|(_, header)| header).collect());
            }
            "headers_include" => {
                let some = headers(node, report).unwrap_or_default();
                expect.headers_include = some.into_iter().map(|(_, header)| header).collect();
            }
            "body" => expect.body = body(node, report),
            "lease" => expect.lease = scalar::boolean(node, report),
            "metadata" => expect.metadata = read_metadata(node, report),
            _ => {}
        }
    }

    /// So many pass, then the others do not.
    fn tally(&mut self, fields: &Fields<'_>, times: Option<u32>) -> Option<ExpectedCounts> {
        let mut count = |name| {
            let field = fields.find(name)?;
            self.within(field, |reader| scalars::number(field.node, reader.report))
        };
        let (ok, over_limit) = (count("ok"), count("over_limit"));
        let position = fields
            .find("ok")
            .or_else(|| fields.find("over_limit"))?
            .position;
        let (ok, over_limit) = match (ok, over_limit, times) {
            (Some(ok), Some(over), _) => (Some(ok), Some(over)),
            (Some(ok), None, times) => (Some(ok), times.unwrap_or(ok).checked_sub(ok)),
            (None, Some(over), times) => (times.unwrap_or(over).checked_sub(over), Some(over)),
            (None, None, _) => return None,
        };
        let tally = ok.zip(over_limit).and_then(|(ok, over_limit)| {
            let all = ok.checked_add(over_limit)?;
            let is_all = times.is_none_or(|times| times == all) && (1..=MAX_TIMES).contains(&all);
            is_all.then_some(ExpectedCounts { ok, over_limit })
        });
        if tally.is_none() {
            let message =
                "the counts of `ok` and `over_limit` do not add up to the number of requests";
            self.report
                .add(ScenarioCode::InvalidExpectation, Some(position), message);
        }
        tally
    }

    /// One per descriptor, or none.
    fn statuses(&mut self, fields: &Fields<'_>, descriptors: usize) -> Vec<ExpectedStatus> {
        let direct = fields.iter().find(|field| OF_ONE.contains(&field.name));
        let listed = fields.find("descriptors");
        match (direct, listed) {
            (None, None) => Vec::new(),
            (Some(_), None) if descriptors == 1 => vec![self.standing(fields)],
            (Some(direct), _) => {
                let message = format!("`{}` of which descriptor?", direct.name);
                let hint = "say it in an element of `descriptors`";
                let position = Some(direct.position);
                self.report.add_with_hint(
                    ScenarioCode::InvalidExpectation,
                    position,
                    message,
                    hint,
                );
                Vec::new()
            }
            (None, Some(listed)) => {
                self.within(listed, |reader| reader.listed(listed.node, descriptors))
            }
        }
    }

    fn listed(&mut self, node: &Node, descriptors: usize) -> Vec<ExpectedStatus> {
        let nodes = list(node, self.report).unwrap_or_default();
        if nodes.len() != descriptors && matches!(node.kind, Kind::List(_)) {
            let have = nodes.len();
            let message =
                format!("expected an element for each descriptor, {descriptors}, found {have}");
            let position = Some(node.position);
            self.report
                .add(ScenarioCode::InvalidExpectation, position, message);
        }
        let mut statuses = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            self.report.enter(PathElement::Index(at));
            statuses.push(self.element(node));
            self.report.leave();
        }
        statuses
    }

    fn element(&mut self, node: &Node) -> ExpectedStatus {
        if let Kind::Scalar(..) = node.kind {
            let word = scalars::word(node, self.report);
            return ExpectedStatus {
                code: word,
                ..ExpectedStatus::default()
            };
        }
        let Some(fields) = Fields::of(node, Level::Descriptor, self.report) else {
            return ExpectedStatus::default();
        };
        let word: Option<ExpectedCode> = fields.find("code").and_then(|field| {
            self.within(field, |reader| scalars::word(field.node, reader.report))
        });
        ExpectedStatus {
            code: word,
            ..self.standing(&fields)
        }
    }

    fn standing(&mut self, fields: &Fields<'_>) -> ExpectedStatus {
        let mut standing = ExpectedStatus::default();
        for field in fields.iter() {
            self.within(field, |reader| {
                let (node, report) = (field.node, &mut *reader.report);
                match field.name {
                    "remaining" => standing.remaining = scalars::number(node, report),
                    "reset" => standing.reset_after_secs = scalars::seconds(node, report),
                    "limit" => standing.limit = scalars::quota(node, report),
                    "name" => standing.name = scalars::written(node, report),
                    _ => {}
                }
            });
        }
        standing
    }
}

/// Names and values; null is no value.
fn headers(node: &Node, report: &mut Report) -> Option<Vec<(Position, ExpectedHeader)>> {
    let mut headers = Vec::new();
    for pair in mapping(node, report)? {
        let value = match pair.node.is_null() {
            true => None,
            false => Some(scalars::written(&pair.node, report)?),
        };
        let name = pair.key.to_string();
        headers.push((pair.position, ExpectedHeader { name, value }));
    }
    Some(headers)
}

fn body(node: &Node, report: &mut Report) -> Option<ExpectedBody> {
    if let Kind::List(_) | Kind::Map(_) = node.kind {
        return read_value(node, report).map(ExpectedBody::Json);
    }
    let text = scalars::written(node, report)?;
    if !text.trim_start().starts_with(['{', '[']) {
        return Some(ExpectedBody::Text(text));
    }
    match serde_json::from_str(&text) {
        Ok(json) => Some(ExpectedBody::Json(from_json(json))),
        Err(_) => {
            let message = "the body begins like JSON but is not valid JSON";
            let position = Some(node.position);
            report.add(ScenarioCode::InvalidExpectation, position, message);
            None
        }
    }
}
