//! The table of results.

use std::io::Write;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) measure: fn() -> Result<Measured, Box<dyn std::error::Error>>,
}

/// The target of a row.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// None: the row is only shown.
    Shown,
}

/// The result of a row, and the numbers that it is made of.
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) detail: String,
    broken: bool,
}

impl Measured {
    pub(crate) fn of(value: f64, detail: impl Into<String>) -> Self {
        Self {
            value,
            detail: detail.into(),
            broken: false,
        }
    }

    /// Requires a condition beside the target.
    pub(crate) fn require(&mut self, holds: bool, or_else: &str) {
        if !holds {
            self.broken = true;
            self.detail.push_str("; ");
            self.detail.push_str(or_else);
        }
    }
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Shown => true,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::Shown => f.write_str("–"),
        }
    }
}

/// Prints a description of the machine.
pub(crate) fn machine(workers: usize) {
    let first = |path: &str, prefix: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(prefix));
        line.map_or("unknown", |line| line.trim_matches([' ', '\t', ':']))
            .to_owned()
    };
    println!(
        "{workers} workers; processor: {}, Linux {}\n",
        first("/proc/cpuinfo", "model name"),
        first("/proc/sys/kernel/osrelease", "")
    );
}

/// Prints the head of the table.
pub(crate) fn head() {
    println!("| row | target | measured | | details |\n|---|---|---|---|---|");
}

/// Measures a row and prints it.
pub(crate) fn print(row: &Row) -> Result<(), Box<dyn std::error::Error>> {
    let measured = (row.measure)()?;
    let verdict = match row.target {
        Target::Shown => "",
        target if target.is_met(measured.value) && !measured.broken => "pass",
        _ => "falls short",
    };
    let (name, target) = (row.name, row.target);
    println!(
        "| {name} | {target} | {:.2} | {verdict} | {} |",
        measured.value, measured.detail
    );
    Ok(std::io::stdout().flush()?)
}
