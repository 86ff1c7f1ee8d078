//! "Nothing is limited", because weir does not run where it is looked for.

use crate::cli::doctor::finding::{Finding, Symptom};

pub(super) fn finding(reason: &str) -> Finding {
    Symptom::NothingIsLimited.finding(
        "weir does not answer, so Envoy lets all requests pass, or refuses all with `failure_mode_deny: true`",
        [reason.to_owned()],
        "start `weir serve`, whose log says why it ended; if it runs, name its --http with `--server`",
    )
}
