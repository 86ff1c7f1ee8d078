//! The first bytes of a connection: HTTP/2's preface, or what a client sent in its place.

use super::rejection::Rejection;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much of the preface has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PrefaceReader {
    matched: usize,
}

impl PrefaceReader {
    /// Takes what belongs to the preface from the front of `input`; true when it is complete.
    ///
    /// # Errors
    /// What the client speaks in its place.
    pub(super) fn accept(&mut self, input: &mut &[u8]) -> Result<bool, Rejection> {
        let wanted = &PREFACE[self.matched..];
        let common = wanted.len().min(input.len());
        if input[..common] != wanted[..common] {
            let mut first = [0; 16];
            let known = self.matched.min(first.len());
            first[..known].copy_from_slice(&PREFACE[..known]);
            let fresh = input.len().min(first.len() - known);
            first[known..known + fresh].copy_from_slice(&input[..fresh]);
            return Err(recognize(&first[..known + fresh]));
        }
        *input = &input[common..];
        self.matched += common;
        Ok(self.matched == PREFACE.len())
    }
}

fn recognize(first: &[u8]) -> Rejection {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"OPTIONS ",
        b"DELETE ",
        b"PATCH ",
        b"CONNECT ",
        b"TRACE ",
    ];
    let begins = |start: &[u8]| first.starts_with(start);
    if begins(&[0x16, 3]) {
        Rejection::Tls
    } else if METHODS.into_iter().any(begins) {
        Rejection::Http1
    } else if begins(b"PROXY ") || begins(b"\r\n\r\n\0\r\nQUIT\n") {
        Rejection::ProxyProtocol
    } else {
        Rejection::UnknownProtocol
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_accepted_in_pieces() {
        for size in 1..=PREFACE.len() {
            let mut preface = PrefaceReader::default();
            let mut done = false;
            for piece in PREFACE.chunks(size) {
                assert!(!done);
                done = preface.accept(&mut &*piece).unwrap();
            }
            assert!(done);
        }
        let mut input = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest"[..];
        assert_eq!(PrefaceReader::default().accept(&mut input), Ok(true));
        assert_eq!(input, b"rest");
    }

    #[test]
    fn other_protocols_are_recognized() {
        for (first, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Rejection::Http1),
            (b"POST /envoy.service", Rejection::Http1),
            (b"PRI * HTTP/1.1\r\n", Rejection::UnknownProtocol),
            (b"\x16\x03\x01\x02\0\x01", Rejection::Tls),
            (b"PROXY TCP4 1.2.3.4", Rejection::ProxyProtocol),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", Rejection::ProxyProtocol),
            (b"\0\0\0\0", Rejection::UnknownProtocol),
        ] {
            assert_eq!(PrefaceReader::default().accept(&mut &*first), Err(expected));
        }
        // Cut after the letter that POST and the preface share.
        let mut preface = PrefaceReader::default();
        assert_eq!(preface.accept(&mut &b"P"[..]), Ok(false));
        assert_eq!(
            preface.accept(&mut &b"OST / HTTP/1.1"[..]),
            Err(Rejection::Http1)
        );
    }
}
