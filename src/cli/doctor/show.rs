//! Findings, as text and as JSON.

use serde_json::json;

use super::finding::{Finding, Symptom};
use super::observations::Observations;
use crate::cli::output::escape;

pub(super) fn text(seen: &Observations, findings: &[Finding]) -> String {
    let mut out = String::new();
    for symptom in Symptom::ALL {
        let of_symptom = findings.iter().filter(|finding| finding.symptom == symptom);
        for (number, finding) in of_symptom.enumerate() {
            if number == 0 {
                out.push_str(&format!("{}\n", symptom.title()));
            }
            out.push_str(&format!("  {}\n", escape(&finding.cause)));
            for line in &finding.evidence {
                out.push_str(&format!("    {}\n", escape(line)));
            }
            out.push_str(&format!("    next: {}\n\n", escape(&finding.next_step)));
        }
    }
    out.push_str(&match findings.len() {
        0 => "no findings\n".to_owned(),
        1 => "1 finding\n".to_owned(),
        many => format!("{many} findings\n"),
    });
    for (part, how) in unchecked(seen) {
        out.push_str(&format!("not checked: {part} ({how})\n"));
    }
    out
}

pub(super) fn json(seen: &Observations, findings: &[Finding]) -> String {
    let unchecked = unchecked(seen).into_iter();
    let unchecked: Vec<_> = unchecked
        .map(|(part, how)| json!({"part": part, "how": how}))
        .collect();
    let value = json!({
        "version": seen.server.as_ref().ok().map(|server| &server.overview.version),
        "findings": findings,
        "not_checked": unchecked,
        "during_seconds": seen.during_secs,
    });
    format!("{value:#}\n")
}

/// What nobody was asked about, and the flag that changes this.
fn unchecked(seen: &Observations) -> Vec<(&'static str, &'static str)> {
    let hides_clients = matches!(&seen.server, Ok(server) if server.top.is_err());
    let parts = [
        (seen.envoy.is_none(), ("Envoy", "--envoy HOST:PORT")),
        (hides_clients, ("clients", "--admin-token-file PATH")),
    ];
    let parts = parts.into_iter().filter(|(is_unchecked, _)| *is_unchecked);
    parts.map(|(_, part)| part).collect()
}
