//! The table of results.

use std::io::Write;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) measure: fn() -> Result<Measured, Box<dyn std::error::Error>>,
}

/// What is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// What was found, and what it comes from.
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) detail: String,
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

pub(crate) fn head(workers: usize) {
    let machine = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = machine
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    println!(
        "{workers} workers, {}\n",
        model.map_or("an unknown processor", |(_, name)| name)
    );
    println!("| what | target | measured | | from |\n|---|---|---|---|---|");
}

pub(crate) fn print(row: &Row) -> Result<(), Box<dyn std::error::Error>> {
    let measured = (row.measure)()?;
    let verdict = if row.target.is_met(measured.value) {
        "pass"
    } else {
        "falls short"
    };
    let (name, target) = (row.name, row.target);
    println!(
        "| {name} | {target} | {:.2} | {verdict} | {} |",
        measured.value, measured.detail
    );
    Ok(std::io::stdout().flush()?)
}
