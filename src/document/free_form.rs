//! Free-form data, in which a plain scalar has the type that it looks like.

use serde_yaml::Value as Yaml;

use super::scalar::resolve;
use super::{
    DocumentCode, Kind, Metadata, Node, Pair, Report, Style, Value, mapping, quoted, wrong_type,
};

/// Reads a mapping; `None` and a finding for any other node.
pub fn read_metadata(node: &Node, report: &mut Report) -> Option<Metadata> {
    let pairs = mapping(node, report)?;
    Some(read_pairs(pairs, report))
}

fn read_pairs(pairs: &[Pair], report: &mut Report) -> Metadata {
    let mut metadata = Metadata::new();
    for pair in pairs {
        if pair.style == Style::Plain && !matches!(resolve(&pair.key), Yaml::String(_)) {
            let message = format!("the key {} is not text", quoted(&pair.key));
            let hint = "put it in quotes";
            report.add_with_hint(DocumentCode::WrongType, Some(pair.position), message, hint);
            continue;
        }
        if let Some(value) = read_value(&pair.node, report) {
            metadata.insert(pair.key.to_string(), value);
        }
    }
    metadata
}

/// Reads any node; `None` and a finding if it contains an infinite number.
pub fn read_value(node: &Node, report: &mut Report) -> Option<Value> {
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
