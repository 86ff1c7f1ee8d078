//! Free-form data: the one place where scalars are what they look like.

use serde_yaml::Value as Yaml;

use super::fields::{mapping, wrong_type};
use super::scalar::resolve;
use super::yaml::{Kind, Node, Pair, Style};
use crate::policy::report::{Report, quoted};
use crate::policy::{Code, Metadata, Value};

/// Reads a mapping.
pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Metadata> {
    let pairs = mapping(node, report)?;
    Some(read_pairs(pairs, report))
}

fn read_pairs(pairs: &[Pair], report: &mut Report) -> Metadata {
    let mut metadata = Metadata::new();
    for pair in pairs {
        if pair.style == Style::Plain && !matches!(resolve(&pair.key), Yaml::String(_)) {
            let message = format!("the key {} is not text", quoted(&pair.key));
            let hint = "put it in quotes";
            report.hint(Code::WrongType, Some(pair.place), (message, hint));
            continue;
        }
        if let Some(value) = read_value(&pair.node, report) {
            metadata.insert(pair.key.to_string(), value);
        }
    }
    metadata
}

pub(crate) fn read_value(node: &Node, report: &mut Report) -> Option<Value> {
    let (text, style) = match &node.kind {
        Kind::Map(pairs) => return Some(Value::Map(read_pairs(pairs, report))),
        Kind::List(nodes) => {
            let values = nodes.iter().filter_map(|node| read_value(node, report));
            return Some(Value::List(values.collect()));
        }
        Kind::Scalar(text, style) => (text, style),
    };
    if *style == Style::Quoted {
        return Some(Value::Text(text.to_string()));
    }
    Some(match resolve(text) {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => match number.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Value::Number(number),
            None => {
                wrong_type(node, "a finite number", report);
                return None;
            }
        },
        _ => Value::Text(text.to_string()),
    })
}
