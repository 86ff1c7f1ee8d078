//! Limits files of Limitador.
//!
//! There a limit applies to every request whose descriptor fulfils its conditions, whatever else the descriptor has. weir
//! walks the entries in their order, so each combination of keys becomes a descriptor of its own, which Envoy must send.

use std::fmt;

use serde::Deserialize;

use super::condition::{self, Comparison, Condition};
use super::tree::{Branches, Step, StepValue, quoted};

/// The file is not one of Limitador's.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a limits file of Limitador, which is a list with `namespace`, `max_value` and `seconds`"
)]
pub(super) struct InvalidLimits(#[from] serde_yaml::Error);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitadorLimit {
    namespace: String,
    max_value: u64,
    seconds: u64,
    name: Option<String>,
    /// Only its own API uses it.
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(default)]
    conditions: Option<Vec<String>>,
    #[serde(default)]
    variables: Option<Vec<String>>,
}

/// The limits of a namespace, converted.
pub(super) struct ImportedDomain {
    pub(super) name: String,
    /// The keys of each descriptor that Envoy must send.
    sent: Vec<Vec<String>>,
    /// Limits that have no equivalent, and why.
    left_out: Vec<String>,
    tree: Branches,
}

/// The key of a descriptor for limits that apply to all requests.
const WHOLE_NAMESPACE: &str = "namespace";

/// Converts a file: one domain for each namespace, in the order of the file.
pub(super) fn convert(text: &str) -> Result<Vec<ImportedDomain>, InvalidLimits> {
    let limits: Option<Vec<LimitadorLimit>> = serde_yaml::from_str(text)?;
    let mut domains: Vec<ImportedDomain> = Vec::new();
    for (index, limit) in limits.unwrap_or_default().iter().enumerate() {
        let at = domains.iter().position(|it| it.name == limit.namespace);
        let at = at.unwrap_or_else(|| {
            domains.push(ImportedDomain {
                name: limit.namespace.clone(),
                sent: Vec::new(),
                left_out: Vec::new(),
                tree: Branches::default(),
            });
            domains.len() - 1
        });
        if let Err(reason) = domains[at].add(limit) {
            let LimitadorLimit {
                max_value, seconds, ..
            } = limit;
            let number = index + 1;
            domains[at].left_out.push(format!(
                "limit {number} ({max_value} in {seconds} s): {reason}"
            ));
        }
    }
    Ok(domains)
}

impl ImportedDomain {
    /// Adds a limit, or says why it has no equivalent.
    fn add(&mut self, limit: &LimitadorLimit) -> Result<(), String> {
        let rate_limit = rate_limit(limit)?;
        let mut conditions = Vec::new();
        for text in limit.conditions.iter().flatten() {
            let parsed = condition::conditions(text);
            conditions.extend(parsed.ok_or_else(|| {
                format!("the condition {text} is more than a comparison with a text")
            })?);
        }
        let mut variables = Vec::new();
        for text in limit.variables.iter().flatten() {
            let key = condition::variable(text);
            variables
                .push(key.ok_or_else(|| format!("the variable {text} is more than an entry"))?);
        }
        let LimitPath {
            steps: path,
            excluded,
        } = path(&conditions, &variables, &self.name)?;
        let keys: Vec<String> = path.iter().map(|step| step.key.clone()).collect();
        if !self.sent.contains(&keys) {
            self.sent.push(keys);
        }
        for (at, value) in excluded {
            let mut other = path[..=at].to_vec();
            other[at].value = StepValue::Exactly(value);
            self.tree.exclude(&other);
        }
        self.tree.add(&path, rate_limit);
        Ok(())
    }
}

/// The path to the rule.
#[derive(Debug, Default)]
struct LimitPath {
    steps: Vec<Step>,
    /// Values that the steps at these indices must not have.
    excluded: Vec<(usize, String)>,
}

/// The path of the rule that these conditions and variables describe.
fn path(
    conditions: &[Condition],
    variables: &[String],
    namespace: &str,
) -> Result<LimitPath, String> {
    let mut path: Vec<Step> = Vec::new();
    let mut excluded = Vec::new();
    let equal = conditions
        .iter()
        .filter(|it| it.comparison == Comparison::Equal);
    for Condition { key, value, .. } in equal {
        match path.iter().find(|step| step.key == *key) {
            None => path.push(Step {
                key: key.clone(),
                value: StepValue::Exactly(value.clone()),
            }),
            Some(step) if step.value == StepValue::Exactly(value.clone()) => {}
            Some(_) => return Err(format!("`{key}` cannot have two values")),
        }
    }
    for variable in variables {
        // A variable that a condition fixes has one value.
        if !path.iter().any(|step| step.key == *variable) {
            path.push(Step {
                key: variable.clone(),
                value: StepValue::Each,
            });
        }
    }
    for condition in conditions
        .iter()
        .filter(|it| it.comparison == Comparison::NotEqual)
    {
        let at = path.iter().position(|step| step.key == condition.key);
        let at = at.unwrap_or_else(|| {
            path.push(Step {
                key: condition.key.clone(),
                value: StepValue::Shared,
            });
            path.len() - 1
        });
        if matches!(path[at].value, StepValue::Exactly(_)) {
            continue;
        }
        if at + 1 != path.len() {
            return Err(format!(
                "`{}` is compared by != and is not the last entry",
                condition.key
            ));
        }
        excluded.push((at, condition.value.clone()));
    }
    if path.is_empty() {
        path.push(Step {
            key: WHOLE_NAMESPACE.to_owned(),
            value: StepValue::Exactly(namespace.to_owned()),
        });
    }
    Ok(LimitPath {
        steps: path,
        excluded,
    })
}

/// The limit as a flow mapping.
fn rate_limit(limit: &LimitadorLimit) -> Result<String, String> {
    let requests = u32::try_from(limit.max_value)
        .map_err(|_| "max_value is more than 4,294,967,295".to_owned())?;
    if limit.seconds == 0 {
        return Err("seconds is 0".to_owned());
    }
    let units = [
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
        ("second", 1),
    ];
    let unit = units
        .into_iter()
        .find(|(_, secs)| limit.seconds.is_multiple_of(*secs));
    let (unit, secs) = unit.unwrap_or(("second", 1));
    let multiplier = match limit.seconds / secs {
        1 => String::new(),
        many => format!(", unit_multiplier: {many}"),
    };
    let name = match &limit.name {
        Some(name) if !name.is_empty() => format!(", name: {}", quoted(&header_safe(name))),
        _ => String::new(),
    };
    Ok(format!(
        "{{unit: {unit}{multiplier}, requests_per_unit: {requests}{name}}}"
    ))
}

/// A name that Envoy can copy into a header.
fn header_safe(name: &str) -> String {
    let letter = |letter: char| match letter.is_ascii_alphanumeric() || "_.-".contains(letter) {
        true => letter,
        false => '_',
    };
    name.chars().map(letter).collect()
}

/// The policy.
impl fmt::Display for ImportedDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Converted from a limits file of Limitador by `weir import limitador`."
        )?;
        writeln!(
            f,
            "#\n# Envoy must send one descriptor for each line, with these keys in this order:"
        )?;
        for keys in &self.sent {
            let keys: Vec<String> = keys
                .iter()
                .map(|key| format!("({})", one_line(key)))
                .collect();
            writeln!(f, "#   {}", keys.concat())?;
        }
        if !self.left_out.is_empty() {
            writeln!(f, "#\n# Not converted:")?;
        }
        for reason in &self.left_out {
            writeln!(f, "#   {}", one_line(reason))?;
        }
        writeln!(f, "domain: {}", quoted(&self.name))?;
        writeln!(
            f,
            "# As in Limitador: a refused request is charged to no limit.\natomic: true"
        )?;
        let tree = self.tree.to_string();
        match tree.is_empty() {
            true => writeln!(f, "descriptors: []"),
            false => write!(f, "descriptors:\n{tree}"),
        }
    }
}

/// For a comment.
fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}
