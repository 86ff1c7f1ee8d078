//! The head of a request: the few header fields that matter, taken as they are decoded.

use std::time::Duration;

use super::hpack::{FieldName, HeaderField};
use super::limits::MAX_EXCHANGE_HEAD_BYTES;
use super::message::MessageEncoding;
use super::service::{CallHead, CallRoute, TraceFields};

/// The longest `traceparent` and `tracestate` that are kept (W3C Trace Context, sections 3.2 and 3.3).
const MAX_TRACE_PARENT: usize = 128;
const MAX_TRACE_STATE: usize = 512;

/// Reads the fields of one header block.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    pub(super) route: Option<CallRoute>,
    pub(super) call: CallHead,
    pub(super) encoding: MessageEncoding,
    pub(super) content_length: Option<u64>,
    /// For [`CallRoute::Exchange`] only.
    pub(super) exchange: Option<Box<ExchangeHead>>,
    /// By the count of RFC 7541.
    pub(super) list_bytes: usize,
    keeps_trace: bool,
    is_malformed: bool,
    has_regular: bool,
    pub(super) is_post: bool,
    /// Pseudo-headers that were seen, a bit each.
    seen: u8,
}

/// The head of a call of a service that has bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeHead {
    /// `:path`.
    pub path: Vec<u8>,
    /// Fields that are not pseudo-headers, up to a bound.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl HeadReader {
    /// A reader that keeps the fields of W3C Trace Context only if they are wanted.
    pub(super) fn new(keeps_trace: bool) -> Self {
        Self {
            keeps_trace,
            ..Self::default()
        }
    }

    /// Takes note of a field.
    pub(super) fn visit(
        &mut self,
        field: &HeaderField<'_>,
        route: impl FnOnce(&[u8]) -> CallRoute,
    ) {
        self.list_bytes = self.list_bytes.saturating_add(field.size);
        match field.name {
            FieldName::Method => {
                self.pseudo(1);
                self.is_post = field.value == b"POST";
            }
            FieldName::Path => {
                self.pseudo(2);
                self.is_malformed |= field.value.is_empty();
                let route = match field.is_cut {
                    true => CallRoute::Unknown,
                    false => route(field.value),
                };
                self.route = Some(route);
                self.path(route, field.value);
            }
            FieldName::Scheme => self.pseudo(4),
            FieldName::Authority => self.pseudo(8),
            FieldName::Forbidden => self.is_malformed = true,
            _ => {
                self.has_regular = true;
                self.regular(field);
            }
        }
    }

    fn pseudo(&mut self, bit: u8) {
        self.is_malformed |= self.has_regular || self.seen & bit != 0;
        self.seen |= bit;
    }

    fn path(&mut self, route: CallRoute, path: &[u8]) {
        match route {
            CallRoute::Unary(method) => self.call.method = method,
            CallRoute::Exchange => {
                self.exchange = Some(Box::new(ExchangeHead {
                    path: path.to_vec(),
                    ..ExchangeHead::default()
                }));
            }
            CallRoute::Unknown => {}
        }
    }

    fn regular(&mut self, field: &HeaderField<'_>) {
        if let Some(exchange) = &mut self.exchange
            && !field.is_cut
            && exchange.bytes + field.size <= MAX_EXCHANGE_HEAD_BYTES
        {
            exchange.bytes += field.size;
            let pair = (field.name_bytes.to_vec(), field.value.to_vec());
            exchange.fields.push(pair);
        }
        if field.is_cut {
            return;
        }
        match field.name {
            FieldName::ContentLength => {
                let length = std::str::from_utf8(field.value);
                self.content_length = length.ok().and_then(|length| length.parse().ok());
                self.is_malformed |= self.content_length.is_none();
            }
            FieldName::GrpcEncoding => self.encoding = MessageEncoding::parse(field.value),
            FieldName::GrpcTimeout => self.call.timeout = parse_timeout(field.value),
            FieldName::TraceParent | FieldName::TraceState if !self.keeps_trace => {}
            FieldName::TraceParent if field.value.len() <= MAX_TRACE_PARENT => {
                self.trace().parent = field.value.to_vec();
            }
            FieldName::TraceState if field.value.len() <= MAX_TRACE_STATE => {
                self.trace().state = field.value.to_vec();
            }
            _ => {}
        }
    }

    fn trace(&mut self) -> &mut TraceFields {
        self.call.trace.get_or_insert_default()
    }

    /// Who serves the request; `None` when it is malformed (RFC 9113, section 8.1.1).
    pub(super) fn route(&self) -> Option<CallRoute> {
        const REQUIRED: u8 = 1 | 2 | 4;
        let route = self.route?;
        if self.is_malformed || self.seen & REQUIRED != REQUIRED {
            return None;
        }
        // gRPC calls are POSTs.
        Some(if self.is_post {
            route
        } else {
            CallRoute::Unknown
        })
    }

    /// Makes the request malformed, whatever its fields are.
    pub(super) fn reject(&mut self) {
        self.is_malformed = true;
    }

    /// Whether the block may be a trailer section.
    pub(super) fn is_trailers(&self) -> bool {
        !self.is_malformed && self.seen == 0
    }
}

/// A timeout of gRPC: at most eight digits and a unit. One that is not is ignored, as if absent.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(FieldName, &[u8])]) -> HeadReader {
        let mut head = HeadReader::default();
        for &(name, value) in fields {
            let field = HeaderField {
                name,
                name_bytes: b"x",
                value,
                is_cut: false,
                size: 1 + value.len() + 32,
            };
            head.visit(&field, |path| match path {
                b"/unary" => CallRoute::Unary(7),
                b"/exchange" => CallRoute::Exchange,
                _ => CallRoute::Unknown,
            });
        }
        head
    }

    const POST: (FieldName, &[u8]) = (FieldName::Method, b"POST");
    const PATH: (FieldName, &[u8]) = (FieldName::Path, b"/unary");
    const SCHEME: (FieldName, &[u8]) = (FieldName::Scheme, b"\xff|");
    const OTHER: (FieldName, &[u8]) = (FieldName::Other, b"te, or anything");

    #[test]
    fn any_authority_and_scheme_are_accepted() {
        let authority = (FieldName::Authority, &b"outbound|8081||a b\xff"[..]);
        let head = head(&[POST, PATH, SCHEME, authority, OTHER]);
        assert_eq!(head.route(), Some(CallRoute::Unary(7)));
        assert_eq!(head.call.method, 7);
    }

    #[test]
    fn malformed_requests_are_recognized() {
        for wrong in [
            &[POST, PATH][..],
            &[PATH, SCHEME],
            &[POST, SCHEME],
            &[POST, PATH, PATH, SCHEME],
            &[POST, OTHER, PATH, SCHEME],
            &[POST, PATH, SCHEME, (FieldName::Forbidden, b"")],
            &[POST, (FieldName::Path, b""), SCHEME],
            &[POST, PATH, SCHEME, (FieldName::ContentLength, b"x")],
        ] {
            assert_eq!(head(wrong).route(), None, "{wrong:?}");
        }
        let get = (FieldName::Method, &b"GET"[..]);
        assert_eq!(head(&[get, PATH, SCHEME]).route(), Some(CallRoute::Unknown));
    }

    #[test]
    fn fields_are_kept_for_exchanges_up_to_a_bound() {
        let path = (FieldName::Path, &b"/exchange"[..]);
        let long = (FieldName::Other, &[b'x'; 3_000][..]);
        let head = head(&[POST, path, SCHEME, long, long, long, OTHER]);
        let exchange = head.exchange.unwrap();
        assert_eq!(
            (&exchange.path[..], exchange.fields.len()),
            (&b"/exchange"[..], 3)
        );
    }

    #[test]
    fn timeouts_have_units() {
        for (text, expected) in [
            ("20m", Some(Duration::from_millis(20))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("1S", Some(Duration::from_secs(1))),
            ("2M", Some(Duration::from_secs(120))),
            ("3u", Some(Duration::from_micros(3))),
            ("4n", Some(Duration::from_nanos(4))),
            ("123456789m", None),
            ("m", None),
            ("", None),
            ("-1m", None),
            ("5", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text}");
        }
    }
}
