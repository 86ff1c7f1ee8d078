//! JSON bodies, checked at load so that no value can make one invalid.

use super::parse::origin;
use super::{Escaping, Operator, TemplatePiece};

/// A fault of a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It does not parse with every operator replaced by 0.
    Json,
    /// An operator in the middle of an escape sequence.
    InEscape,
    /// An operator outside of strings that is part of a longer token.
    NotWhole,
    /// An operator outside of strings whose value may not be a number.
    NotNumber,
}

/// Chooses the escaping of each operator of a template that was split into `pieces`.
///
/// `is_number` says whether a piece of metadata is a number wherever the domain has it. A fault comes with the byte of the
/// template at which it is.
pub(crate) fn parse_body(
    template: &str,
    pieces: Vec<TemplatePiece>,
    is_number: impl Fn(&str) -> bool,
) -> Result<Vec<(TemplatePiece, Escaping)>, (usize, BodyError)> {
    let sample: String = pieces
        .iter()
        .map(|piece| match piece {
            TemplatePiece::Text(text) => &**text,
            TemplatePiece::Operator(_) => "0",
        })
        .collect();
    // A body that ends too early ends at its last character, not in the line below.
    let sample = sample.trim_end();
    if let Err(fault) = serde_json::from_str::<serde_json::Value>(sample) {
        let at = origin(template, byte(sample, &fault));
        return Err((at, BodyError::Json));
    }
    let mut lexer = Lexer::default();
    let mut slots = Vec::with_capacity(pieces.len());
    let mut passed = 0;
    for at in 0..pieces.len() {
        let fault = |fault| Err((origin(template, passed), fault));
        slots.push(match &pieces[at] {
            TemplatePiece::Text(text) => {
                lexer.read(text);
                Escaping::Plain
            }
            TemplatePiece::Operator(_) if lexer.escape > 0 => return fault(BodyError::InEscape),
            TemplatePiece::Operator(_) if lexer.in_string => Escaping::Quoted,
            TemplatePiece::Operator(operator) => {
                if !lexer.may_begin_token() || !may_end_token(pieces.get(at + 1)) {
                    return fault(BodyError::NotWhole);
                }
                let numeric = match operator {
                    Operator::Metadata(key) => is_number(key),
                    operator => operator.is_number(),
                };
                if !numeric {
                    return fault(BodyError::NotNumber);
                }
                Escaping::Token
            }
        });
        passed += match &pieces[at] {
            TemplatePiece::Text(text) => text.len(),
            TemplatePiece::Operator(_) => 1,
        };
    }
    Ok(pieces.into_iter().zip(slots).collect())
}

/// The byte at which a fault of JSON is.
fn byte(json: &str, fault: &serde_json::Error) -> usize {
    let lines = json
        .split_inclusive('\n')
        .take(fault.line().saturating_sub(1));
    let above: usize = lines.map(str::len).sum();
    above + fault.column().saturating_sub(1)
}

/// Reads JSON text far enough to know the context of the next character.
#[derive(Default)]
struct Lexer {
    in_string: bool,
    /// The number of characters left of an escape sequence.
    escape: u8,
    last: Option<char>,
}

impl Lexer {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            if self.escape > 0 {
                self.escape = match (self.last, c) {
                    (Some('\\'), 'u') => 4,
                    _ => self.escape - 1,
                };
                // An escaped backslash does not begin an escape sequence.
                self.last = Some('"');
                continue;
            }
            match c {
                '"' => self.in_string = !self.in_string,
                '\\' if self.in_string => self.escape = 1,
                _ => {}
            }
            self.last = Some(c);
        }
    }

    fn may_begin_token(&self) -> bool {
        self.last
            .is_none_or(|c| c.is_ascii_whitespace() || matches!(c, ':' | ',' | '['))
    }
}

fn may_end_token(next: Option<&TemplatePiece>) -> bool {
    match next {
        None => true,
        Some(TemplatePiece::Operator(_)) => false,
        Some(TemplatePiece::Text(text)) => {
            text.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ']' | '}'))
        }
    }
}
