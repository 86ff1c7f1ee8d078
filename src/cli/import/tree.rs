//! The tree of a converted policy, and its YAML.

use std::fmt::{self, Write as _};

/// One step of a path to a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) key: String,
    pub(super) value: StepValue,
}

/// Which values a step matches, and what is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StepValue {
    /// One value.
    Exactly(String),
    /// Any other value, all on one counter.
    Shared,
    /// Any other value, each on its own counter.
    Each,
}

/// A node, with the YAML of its limits.
#[derive(Clone, Debug)]
struct Branch {
    step: Step,
    limits: Vec<String>,
    /// Requests that end here have no limit.
    is_unlimited: bool,
    below: Branches,
}

/// The nodes of one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Branches(Vec<Branch>);

impl Branches {
    /// Adds a limit at the end of a path. Limits of the same path become a list.
    pub(super) fn add(&mut self, path: &[Step], limit: String) {
        if let Some(end) = self.end(path) {
            end.limits.push(limit);
        }
    }

    /// Makes sure that the path has no limit, unless another one adds one.
    pub(super) fn exclude(&mut self, path: &[Step]) {
        if let Some(end) = self.end(path) {
            end.is_unlimited = true;
        }
    }

    fn end(&mut self, path: &[Step]) -> Option<&mut Branch> {
        let (first, rest) = path.split_first()?;
        let at = self.0.iter().position(|branch| branch.step == *first);
        let at = at.unwrap_or_else(|| {
            self.0.push(Branch {
                step: first.clone(),
                limits: Vec::new(),
                is_unlimited: false,
                below: Self::default(),
            });
            self.0.len() - 1
        });
        match rest {
            [] => Some(&mut self.0[at]),
            rest => self.0[at].below.end(rest),
        }
    }

    fn write(&self, text: &mut String, indent: usize) {
        let mut branches: Vec<&Branch> = self.0.iter().collect();
        // Single values first, for readers; weir prefers them anyway.
        branches.sort_by_key(|branch| {
            matches!(branch.step.value, StepValue::Exactly(_))
                .then_some(0)
                .unwrap_or(1)
        });
        for branch in branches {
            branch.write(text, indent);
        }
    }
}

impl Branch {
    fn write(&self, text: &mut String, indent: usize) {
        let pad = " ".repeat(indent);
        // Writing to a String is infallible.
        let _ = writeln!(text, "{pad}- key: {}", quoted(&self.step.key));
        match &self.step.value {
            StepValue::Exactly(value) => {
                let _ = writeln!(text, "{pad}  value: {}", quoted(value));
            }
            StepValue::Shared => {
                let _ = writeln!(text, "{pad}  value: \"*\"\n{pad}  share_threshold: true");
            }
            StepValue::Each => {}
        }
        match &self.limits[..] {
            [] if self.is_unlimited => {
                let _ = writeln!(text, "{pad}  rate_limit: {{unlimited: true}}");
            }
            [] => {}
            [limit] => {
                let _ = writeln!(text, "{pad}  rate_limit: {limit}");
            }
            limits => {
                let _ = writeln!(text, "{pad}  rate_limit:");
                for limit in limits {
                    let _ = writeln!(text, "{pad}    - {limit}");
                }
            }
        }
        if !self.below.0.is_empty() {
            let _ = writeln!(text, "{pad}  descriptors:");
            self.below.write(text, indent + 4);
        }
    }
}

/// The list of `descriptors`, without the key.
impl fmt::Display for Branches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text, 2);
        f.write_str(&text)
    }
}

/// A double-quoted scalar: JSON's strings are YAML's.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
