//! The types of plain scalars, as the YAML library of envoyproxy/ratelimit (`gopkg.in/yaml.v2`) sees them.
//!
//! That is YAML 1.1 with Go's numbers: `010` is 8, `1_000` is 1000, `0b11` is 3, and `yes` is true. Timestamps are the
//! exception: they are text here.

/// What a plain scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text as written.
    Text,
}

/// A number, exact if it is whole and has at most 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A whole number.
    Whole(i128),
    /// Any other.
    Float(f64),
}

impl Number {
    /// The nearest float.
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// Longer texts are not numbers.
const MAX_LEN: usize = 64;

/// The meaning of a plain scalar.
pub(super) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Number(Number::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Number(Number::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Number(Number::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let may_be_number = text.len() <= MAX_LEN
        && text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    match may_be_number.then(|| number(text)).flatten() {
        Some(number) => Scalar::Number(number),
        None => Scalar::Text,
    }
}

/// Whether a text would be a number without quotes.
pub(super) fn is_number(text: &str) -> bool {
    matches!(resolve(text), Scalar::Number(_))
}

fn number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    if let Some(whole) = whole(&plain) {
        return Some(Number::Whole(whole));
    }
    // `1_000.5` is a number, `._5` is not.
    float(if text.starts_with('.') { text } else { &plain }).map(Number::Float)
}

/// A whole number of at most 64 bits, with the prefixes of Go.
fn whole(text: &str) -> Option<i128> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from(u64::from_str_radix(digits, radix).ok()?);
    if is_negative {
        return Some(-number).filter(|number| *number >= i128::from(i64::MIN));
    }
    Some(number)
}

/// A number with a point or an exponent, as in YAML 1.2.
fn float(text: &str) -> Option<f64> {
    let is_plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(is_plain) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // YAML 1.2 reads `09` as text and has no whole numbers of more than 64 bits, unlike Go.
    let is_whole = !text.contains(['.', 'e', 'E']);
    match serde_yaml::from_str(&format!("{text}{}", if is_whole { ".0" } else { "" })) {
        Ok(serde_yaml::Value::Number(number)) => number.as_f64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Option<i128> {
        match resolve(text) {
            Scalar::Number(Number::Whole(number)) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn whole_numbers_are_written_as_in_go() {
        for (text, number) in [
            ("0", 0),
            ("15", 15),
            ("+7", 7),
            ("-3", -3),
            ("010", 8),
            ("017", 15),
            ("0o17", 15),
            ("0x1F", 31),
            ("0b11", 3),
            ("-0b11", -3),
            ("1_000", 1000),
            ("1__0_", 10),
            ("18446744073709551615", i128::from(u64::MAX)),
        ] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_floats() {
        for (text, number) in [
            ("09", 9.0),
            ("1.5", 1.5),
            ("1_000.5", 1000.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("-1.5E-1", -0.15),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            (".inf", f64::INFINITY),
        ] {
            let expected = Scalar::Number(Number::Float(number));
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_booleans_null_or_text() {
        assert_eq!(resolve("yes"), Scalar::Bool(true));
        assert_eq!(resolve("n"), Scalar::Bool(false));
        assert_eq!(resolve("~"), Scalar::Null);
        for text in [
            "-",
            "---",
            "a: b",
            "0x",
            "0b2",
            "1:30",
            "1.2.3",
            "_1",
            "tRue",
            "+-1",
            "1e",
            "e1",
            "._5",
            "infinity",
            "2026-01-01",
            ".",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
    }
}
