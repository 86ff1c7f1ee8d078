//! Envoy's default access log, which is text, and Istio's. Their fields are named as in Istio's JSON format.

use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::fields::FieldNames;

/// The formats that have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Formats {
    Both,
    IstioAlone,
}

/// The fields of the default formats of Envoy and of Istio, in their order.
const FIELDS: [(Formats, &str); 24] = [
    (Formats::Both, "start_time"),
    (Formats::Both, "method"),
    (Formats::Both, "path"),
    (Formats::Both, "protocol"),
    (Formats::Both, "response_code"),
    (Formats::Both, "response_flags"),
    (Formats::IstioAlone, "response_code_details"),
    (Formats::IstioAlone, "connection_termination_details"),
    (Formats::IstioAlone, "upstream_transport_failure_reason"),
    (Formats::Both, "bytes_received"),
    (Formats::Both, "bytes_sent"),
    (Formats::Both, "duration"),
    (Formats::Both, "upstream_service_time"),
    (Formats::Both, "x_forwarded_for"),
    (Formats::Both, "user_agent"),
    (Formats::Both, "request_id"),
    (Formats::Both, "authority"),
    (Formats::Both, "upstream_host"),
    (Formats::IstioAlone, "upstream_cluster"),
    (Formats::IstioAlone, "upstream_local_address"),
    (Formats::IstioAlone, "downstream_local_address"),
    (Formats::IstioAlone, "downstream_remote_address"),
    (Formats::IstioAlone, "requested_server_name"),
    (Formats::IstioAlone, "route_name"),
];

/// How many fields Envoy's format has.
const ENVOY_FIELDS: usize = 15;

/// The fields of a line.
type TextFields<'l> = SmallVec<[&'l [u8]; FIELDS.len()]>;

/// Whether a line begins as the text formats do, with a time in brackets: `[2026-`.
pub(super) fn is_text(line: &[u8]) -> bool {
    let year = line.strip_prefix(b"[").unwrap_or_default();
    year.get(4) == Some(&b'-') && year[..4].iter().all(u8::is_ascii_digit)
}

/// The names of the fields of a line; `None` if it has another format.
pub(super) fn names(line: &[u8]) -> Option<impl Iterator<Item = &'static str> + use<>> {
    names_of(&fields(line)?)
}

/// The wanted fields of a line; `None` if it has another format.
pub(super) fn read(line: &[u8], wanted: &FieldNames) -> Option<Map<String, Value>> {
    let fields = fields(line)?;
    let names = names_of(&fields)?.zip(&fields);
    let wanted = names.filter(|(name, _)| wanted.contains(name));
    let values = wanted.map(|(name, text)| {
        let text = String::from_utf8_lossy(text).into_owned();
        (name.to_owned(), Value::String(text))
    });
    Some(values.collect())
}

fn names_of(fields: &[&[u8]]) -> Option<impl Iterator<Item = &'static str> + use<>> {
    let is_istio = match fields.len() {
        ENVOY_FIELDS => false,
        len if len == FIELDS.len() => true,
        _ => return None,
    };
    let present = FIELDS
        .iter()
        .filter(move |(formats, _)| is_istio || *formats == Formats::Both);
    Some(present.map(|(_, name)| *name))
}

/// The parts of a line: words, and texts between brackets or quotation marks. The first text between quotation marks is
/// the method, the path and the protocol.
fn fields(line: &[u8]) -> Option<TextFields<'_>> {
    let mut fields = TextFields::new();
    let mut rest = line;
    loop {
        let (text, behind) = match rest {
            [b'[', inner @ ..] if fields.is_empty() => split(inner, b"]")?,
            [b'"', inner @ ..] => split(inner, b"\"")?,
            word => split(word, b"")?,
        };
        if fields.len() == 1 {
            let method = text.iter().position(|&byte| byte == b' ')?;
            let protocol = text.iter().rposition(|&byte| byte == b' ')?;
            let path = text.get(method + 1..protocol)?;
            fields.extend([&text[..method], path, &text[protocol + 1..]]);
        } else {
            fields.push(text);
        }
        match behind {
            Some(behind) if fields.len() < FIELDS.len() => rest = behind,
            Some(_) => return None,
            None => return Some(fields),
        }
    }
}

/// Splits at the first `end` that a space or the end of the line follows. The second part is `None` at the end.
fn split<'l>(text: &'l [u8], end: &[u8]) -> Option<(&'l [u8], Option<&'l [u8]>)> {
    let spaces = text.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    for (at, _) in spaces {
        if let Some(inner) = text[..at].strip_suffix(end) {
            return Some((inner, Some(&text[at + 1..])));
        }
    }
    Some((text.strip_suffix(end)?, None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LINE: &str = r#"[2026-11-22T10:00:00.123Z] "GET /a?b=c HTTP/1.1" 200 - 0 11 3 2 "10.0.0.9,1.2.3.4" "curl/8 (a "b")" "id" "shop.example" "10.1.0.1:80""#;
    const ISTIO_LINE: &str = r#"[2026-11-22T10:00:00.123Z] "POST /x HTTP/2" 429 RL request_rate_limited - "-" 0 18 0 - "-" "curl/8" "id" "shop.example:8080" "-" outbound|80||shop - 10.2.0.1:8080 198.51.100.7:40001 - default"#;

    fn wanted(names: &[&str]) -> FieldNames {
        let mut wanted = FieldNames::default();
        for name in names {
            wanted.add(name);
        }
        wanted
    }

    #[test]
    fn the_formats_of_envoy_and_istio_are_told_apart() {
        assert!(is_text(LINE.as_bytes()));
        assert_eq!(names(LINE.as_bytes()).unwrap().count(), ENVOY_FIELDS);
        assert_eq!(names(ISTIO_LINE.as_bytes()).unwrap().count(), FIELDS.len());
        for other in [
            &LINE[..LINE.len() - 1],
            &format!("{LINE} x"),
            "[2026-11-22]",
            "[2026-11-22] \"a\" b",
        ] {
            assert!(is_text(other.as_bytes()), "{other}");
            assert!(names(other.as_bytes()).is_none(), "{other}");
        }
        for other in ["", "[", "[1]", "[2026]", r#"{"a": 1}"#] {
            assert!(!is_text(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn only_wanted_fields_are_built() {
        let fields = wanted(&["start_time", "method", "path", "user_agent", "other"]);
        assert_eq!(
            Value::Object(read(LINE.as_bytes(), &fields).unwrap()),
            json!({
                "start_time": "2026-11-22T10:00:00.123Z",
                "method": "GET",
                "path": "/a?b=c",
                "user_agent": "curl/8 (a \"b\")",
            })
        );
        let fields = wanted(&["downstream_remote_address", "route_name", "authority"]);
        assert_eq!(
            Value::Object(read(ISTIO_LINE.as_bytes(), &fields).unwrap()),
            json!({
                "authority": "shop.example:8080",
                "downstream_remote_address": "198.51.100.7:40001",
                "route_name": "default",
            })
        );
    }
}
