//! Free-form data, in which a plain scalar has the type that it looks like.

use super::yaml11::{Number, Scalar, resolve};
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
        let Some(key) = key(pair) else {
            let message = format!("the key {} is not text", quoted(&pair.key));
            let help = "put it in quotes";
            report.add_with_help(DocumentCode::WrongType, Some(pair.position), message, help);
            continue;
        };
        let Some(value) = read_value(&pair.node, report) else {
            continue;
        };
        if metadata.insert(key.clone(), value).is_some() {
            let message = format!("the key {} is repeated in one mapping", quoted(&key));
            report.add(DocumentCode::RepeatedKey, Some(pair.position), message);
        }
    }
    metadata
}

/// The key as text: numbers and booleans are written as in JSON. `None` for null and infinite numbers.
fn key(pair: &Pair) -> Option<String> {
    if pair.style != Style::Plain {
        return Some(pair.key.to_string());
    }
    match resolve(&pair.key) {
        Scalar::Text => Some(pair.key.to_string()),
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Number(Number::Whole(number)) => Some(number.to_string()),
        Scalar::Number(Number::Float(number)) => number.is_finite().then(|| number.to_string()),
        Scalar::Null => None,
    }
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
    if *style != Style::Plain {
        return Some(Value::Text(text.to_string()));
    }
    Some(match resolve(text) {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Number(number) => match Some(number.as_f64()).filter(|number| number.is_finite()) {
            Some(number) => Value::Number(number),
            None => {
                wrong_type(node, "a finite number", report);
                return None;
            }
        },
        Scalar::Text => Value::Text(text.to_string()),
    })
}
