//! `block_seconds`: what a breach of a limit costs.

use crate::document::{DocumentCode, Field, Position, Report};
use crate::limit::{Penalty, Window};
use crate::policy::raw::RawLimit;

/// The key, if it is written, with its position.
pub(super) fn position(raw: &RawLimit) -> (&'static str, Option<Option<Position>>) {
    let written = raw.extras.block_seconds.given();
    ("block_seconds", written.map(|written| written.position))
}

/// The penalty, if there is one; `None` if an error was reported.
pub(super) fn compile(raw: &RawLimit, report: &mut Report) -> Option<Option<Penalty>> {
    let written = match &raw.extras.block_seconds {
        Field::Absent => return Some(None),
        Field::Invalid => return None,
        Field::Given(written) => written,
    };
    let is_length = |secs: u32| (1..=Window::MAX_SECS).contains(&secs.into());
    for secs in written.value.iter().filter(|secs| !is_length(secs.value)) {
        let message = "a block lasts at least a second and at most ten years";
        let help = "write the seconds, such as `block_seconds: 600`";
        report.add_with_help(DocumentCode::InvalidNumber, secs.position, message, help);
    }
    if written.value.is_empty() {
        let message = "the list of blocks is empty";
        report.add(DocumentCode::EmptyList, written.position, message);
    }
    if written.value.len() > Penalty::MAX_LEVELS {
        let message = format!(
            "`block_seconds` has at most {} numbers",
            Penalty::MAX_LEVELS
        );
        let help = "remove some: the last one is also for all breaches that follow";
        report.add_with_help(DocumentCode::InvalidValue, written.position, message, help);
    }
    let lengths: Vec<u32> = written.value.iter().map(|secs| secs.value).collect();
    Penalty::new(&lengths).map(Some)
}
