//! Words of a closed set, such as the names of algorithms.

use crate::document::{DocumentCode, Field, Report, Text, did_you_mean, quoted};

/// One of the words that are valid for a key, by default the first; `None` if an error was reported.
pub(super) fn word(
    field: &Field<Text>,
    words: &[&'static str],
    report: &mut Report,
) -> Option<&'static str> {
    let written = match field {
        Field::Absent => return words.first().copied(),
        Field::Invalid => return None,
        Field::Given(written) => written,
    };
    let known = words.iter().find(|word| ***word == *written.value).copied();
    if known.is_none() {
        let message = format!("unknown value {}", quoted(&written.value));
        let near = did_you_mean(&written.value, words.iter().copied());
        let help = near.unwrap_or_else(|| format!("use one of {}", words.join(", ")));
        report.add_with_help(DocumentCode::InvalidValue, written.position, message, help);
    }
    known
}
