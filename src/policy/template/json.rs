//! JSON bodies, checked at load so that no value can make one invalid.

use super::{Escaping, Operator, TemplatePiece};

/// A fault of a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It does not parse with every operator replaced by 0; a line and a column inside the body.
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// An operator in the middle of an escape sequence.
    InEscape,
    /// An operator outside of strings that is part of a longer token.
    NotWhole,
    /// An operator outside of strings whose value may not be a number.
    NotNumber,
}

/// Chooses the escaping of each operator.
///
/// `is_number` says whether a piece of metadata is a number wherever the domain has it.
pub(crate) fn parse_body(
    pieces: Vec<TemplatePiece>,
    is_number: impl Fn(&str) -> bool,
) -> Result<Vec<(TemplatePiece, Escaping)>, BodyError> {
    let sample: String = pieces
        .iter()
        .map(|piece| match piece {
            TemplatePiece::Text(text) => &**text,
            TemplatePiece::Operator(_) => "0",
        })
        .collect();
    if let Err(fault) = serde_json::from_str::<serde_json::Value>(&sample) {
        return Err(BodyError::Json {
            line: fault.line(),
            column: fault.column(),
        });
    }
    let mut lexer = Lexer::default();
    let mut slots = Vec::with_capacity(pieces.len());
    for at in 0..pieces.len() {
        slots.push(match &pieces[at] {
            TemplatePiece::Text(text) => {
                lexer.read(text);
                Escaping::Plain
            }
            TemplatePiece::Operator(_) if lexer.escape > 0 => return Err(BodyError::InEscape),
            TemplatePiece::Operator(_) if lexer.in_string => Escaping::Quoted,
            TemplatePiece::Operator(operator) => {
                if !lexer.may_begin_token() || !may_end_token(pieces.get(at + 1)) {
                    return Err(BodyError::NotWhole);
                }
                let numeric = match operator {
                    Operator::Metadata(key) => is_number(key),
                    operator => operator.is_number(),
                };
                if !numeric {
                    return Err(BodyError::NotNumber);
                }
                Escaping::Token
            }
        });
    }
    Ok(pieces.into_iter().zip(slots).collect())
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
