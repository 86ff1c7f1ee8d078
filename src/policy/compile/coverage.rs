//! Operators of a response that have no value for a limit that the response covers.

use crate::document::{FilePosition, PathElement, Position, Report, shortened};
use crate::limit::{Limit, LimitKind};
use crate::policy::raw::RawResponse;
use crate::policy::template::{self, Operator, TemplatePiece};
use crate::policy::{LevelName, PolicyCode, ResponseTemplate};

/// The operators of one `response`, and what is known about the limits that it covers.
#[derive(Debug, Default)]
pub(super) struct ResponseCoverage(Vec<OperatorUse>);

/// An operator in a header or in the body.
#[derive(Debug)]
struct OperatorUse {
    operator: Operator,
    place: OperatorPlace,
    position: Option<Position>,
    /// Whether a limit has a value for it.
    has_value: bool,
    /// The first limit that has none, and why.
    lacking: Option<(FilePosition, &'static str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OperatorPlace {
    /// A header of every response, of refusals, or for the upstream; left out if its value is missing.
    Header,
    RefusalHeader,
    RequestHeader,
    /// Text; a missing value leaves a gap.
    Body,
}

impl ResponseCoverage {
    /// The operators of a block that can lack a value.
    pub(super) fn new(raw: &RawResponse, compiled: &ResponseTemplate) -> Self {
        let mut uses = Vec::new();
        let mut add = |operator: &Operator, place, position| {
            if can_lack(operator) {
                uses.push(OperatorUse {
                    operator: operator.clone(),
                    place,
                    position,
                    has_value: false,
                    lacking: None,
                });
            }
        };
        let of_refusals = raw.over_limit_headers.iter();
        let of_refusals = of_refusals.map(|header| (header, OperatorPlace::RefusalHeader));
        let headers = raw.headers.iter();
        let headers = headers.map(|header| (header, OperatorPlace::Header));
        let of_requests = raw.request_headers.iter();
        let of_requests = of_requests.map(|header| (header, OperatorPlace::RequestHeader));
        for (header, place) in headers.chain(of_refusals).chain(of_requests) {
            for piece in template::parse(&header.value.value).0 {
                if let TemplatePiece::Operator(operator) = piece {
                    add(&operator, place, header.value.position);
                }
            }
        }
        let position = raw.body.as_ref().and_then(|body| body.template.position);
        let body = compiled.over_limit.body.iter();
        for operator in body.flat_map(|body| body.operators_in_text()) {
            add(operator, OperatorPlace::Body, position);
        }
        Self(uses)
    }

    /// Adds a limit that the response reports, of a rule of that name.
    pub(super) fn add(&mut self, limit: &Limit, levels: &[LevelName], at: FilePosition) {
        for used in &mut self.0 {
            match lack(&used.operator, limit, levels) {
                None => used.has_value = true,
                Some(why) => {
                    used.lacking.get_or_insert((at, why));
                }
            }
        }
    }

    /// Warns of gaps in the body, and of headers that are never sent.
    pub(super) fn report(self, report: &mut Report) {
        for used in self.0 {
            let Some((at, why)) = used.lacking else {
                continue;
            };
            let name = shortened(&used.operator.to_string());
            let is_entry = matches!(used.operator, Operator::Entry(_));
            let (keys, message, help): (&[_], _, _) = match used.place {
                // Other descriptors may have the entry.
                OperatorPlace::Body if used.has_value && is_entry => continue,
                OperatorPlace::Body => {
                    let limit = report.describe(at).unwrap_or_default();
                    let message = format!("`%{name}%` is empty for the limit {limit}, {why}");
                    let help =
                        "give that descriptor a `response` of its own, or use other words here";
                    (&["over_limit", "body"], message, help)
                }
                _ if used.has_value => continue,
                place => {
                    let message =
                        format!("`%{name}%` never has a value here, so the header is never sent");
                    let keys: &[_] = match place {
                        OperatorPlace::Header => &["headers"],
                        OperatorPlace::RequestHeader => &["over_limit", "request_headers"],
                        OperatorPlace::RefusalHeader | OperatorPlace::Body => {
                            &["over_limit", "headers"]
                        }
                    };
                    (keys, message, "remove the header, or use another operator")
                }
            };
            let mut path = vec![PathElement::Key("response")];
            path.extend(keys.iter().map(|key| PathElement::Key(key)));
            report.within_all(&path, |report| {
                report.add_with_help(PolicyCode::EmptyOperator, used.position, message, help);
            });
        }
    }
}

fn can_lack(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Burst | Operator::Name | Operator::Unit | Operator::Window | Operator::Entry(_)
    )
}

/// Why a limit never has a value for an operator; `None` if it can have one.
fn lack(operator: &Operator, limit: &Limit, levels: &[LevelName]) -> Option<&'static str> {
    let is_bucket = matches!(limit.kind, LimitKind::TokenBucket(_));
    Some(match operator {
        Operator::Burst if !is_bucket => "which is not a token bucket",
        Operator::Name if limit.name.is_none() => "which has no `name`",
        Operator::Unit | Operator::Window if limit.is_concurrency() => {
            "which limits concurrency and has no window"
        }
        Operator::Entry(key) if levels.iter().all(|level| *level.key != **key) => {
            "whose descriptor has no such key"
        }
        _ => return None,
    })
}
