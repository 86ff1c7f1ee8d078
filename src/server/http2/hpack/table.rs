//! The static and the dynamic table of HPACK.

use std::collections::VecDeque;

use super::{ENTRY_OVERHEAD, TABLE_BYTES};

/// Names of header fields that the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum FieldName {
    Method,
    Path,
    Scheme,
    Authority,
    ContentLength,
    GrpcEncoding,
    GrpcTimeout,
    TraceParent,
    TraceState,
    /// One that RFC 9113 forbids in a request: of one connection, not lower case, or an unknown pseudo-header.
    Forbidden,
    /// Any other.
    Other,
}

impl FieldName {
    pub(super) const fn classify(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b"content-length" => Self::ContentLength,
            b"grpc-encoding" => Self::GrpcEncoding,
            b"grpc-timeout" => Self::GrpcTimeout,
            b"traceparent" => Self::TraceParent,
            b"tracestate" => Self::TraceState,
            b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"transfer-encoding"
            | b"upgrade"
            | b""
            | [b':', ..] => Self::Forbidden,
            _ => match has_upper_case(name) {
                true => Self::Forbidden,
                false => Self::Other,
            },
        }
    }
}

const fn has_upper_case(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if name[at].is_ascii_uppercase() {
            return true;
        }
        at += 1;
    }
    false
}

/// An entry of either table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableField<'a> {
    pub(super) known: FieldName,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// The dynamic table: the newest entry is the first after the static ones.
#[derive(Debug)]
pub(super) struct HeaderTable {
    /// Newest first.
    entries: VecDeque<TableEntry>,
    /// Names and values of the entries, oldest first, after `begin`.
    bytes: Vec<u8>,
    begin: usize,
    /// By the count of RFC 7541: bytes and overhead.
    size: usize,
    max_size: usize,
}

#[derive(Clone, Copy, Debug)]
struct TableEntry {
    known: FieldName,
    at: u16,
    name: u16,
    value: u16,
}

impl Default for HeaderTable {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: Vec::new(),
            begin: 0,
            size: 0,
            max_size: TABLE_BYTES,
        }
    }
}

impl HeaderTable {
    /// The entry of an index, which begins with 1.
    pub(super) fn get(&self, index: usize) -> Option<TableField<'_>> {
        let index = index.checked_sub(1)?;
        if let Some(field) = STATIC.get(index) {
            return Some(*field);
        }
        let entry = self.entries.get(index - STATIC.len())?;
        let name_end = usize::from(entry.at) + usize::from(entry.name);
        Some(TableField {
            known: entry.known,
            name: &self.bytes[entry.at.into()..name_end],
            value: &self.bytes[name_end..name_end + usize::from(entry.value)],
        })
    }

    /// Adds an entry, and evicts the oldest ones for it; one that is longer than the table only evicts.
    pub(super) fn insert(&mut self, known: FieldName, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        if size > self.max_size {
            return;
        }
        if self.bytes.len() + name.len() + value.len() > 2 * TABLE_BYTES {
            self.compact();
        }
        // Below two tables' bytes, and so below 65,536.
        let entry = TableEntry {
            known,
            at: self.bytes.len() as u16,
            name: name.len() as u16,
            value: value.len() as u16,
        };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push_front(entry);
        self.size += size;
    }

    /// Evicts all entries: a field that is longer than any table was to be added.
    pub(super) fn clear(&mut self) {
        self.evict(0);
    }

    /// Changes the size; false when it is more than the server allows.
    pub(super) fn resize(&mut self, max_size: usize) -> bool {
        if max_size > TABLE_BYTES {
            return false;
        }
        self.max_size = max_size;
        self.evict(max_size);
        true
    }

    fn evict(&mut self, size: usize) {
        while self.size > size {
            let Some(entry) = self.entries.pop_back() else {
                return;
            };
            let bytes = usize::from(entry.name) + usize::from(entry.value);
            self.begin += bytes;
            self.size -= bytes + ENTRY_OVERHEAD;
        }
    }

    fn compact(&mut self) {
        self.bytes.drain(..self.begin);
        for entry in &mut self.entries {
            entry.at -= self.begin as u16;
        }
        self.begin = 0;
    }
}

const fn field(name: &'static [u8], value: &'static [u8]) -> TableField<'static> {
    TableField {
        known: FieldName::classify(name),
        name,
        value,
    }
}

/// RFC 7541, appendix A.
static STATIC: [TableField<'static>; 61] = [
    field(b":authority", b""),
    field(b":method", b"GET"),
    field(b":method", b"POST"),
    field(b":path", b"/"),
    field(b":path", b"/index.html"),
    field(b":scheme", b"http"),
    field(b":scheme", b"https"),
    field(b":status", b"200"),
    field(b":status", b"204"),
    field(b":status", b"206"),
    field(b":status", b"304"),
    field(b":status", b"400"),
    field(b":status", b"404"),
    field(b":status", b"500"),
    field(b"accept-charset", b""),
    field(b"accept-encoding", b"gzip, deflate"),
    field(b"accept-language", b""),
    field(b"accept-ranges", b""),
    field(b"accept", b""),
    field(b"access-control-allow-origin", b""),
    field(b"age", b""),
    field(b"allow", b""),
    field(b"authorization", b""),
    field(b"cache-control", b""),
    field(b"content-disposition", b""),
    field(b"content-encoding", b""),
    field(b"content-language", b""),
    field(b"content-length", b""),
    field(b"content-location", b""),
    field(b"content-range", b""),
    field(b"content-type", b""),
    field(b"cookie", b""),
    field(b"date", b""),
    field(b"etag", b""),
    field(b"expect", b""),
    field(b"expires", b""),
    field(b"from", b""),
    field(b"host", b""),
    field(b"if-match", b""),
    field(b"if-modified-since", b""),
    field(b"if-none-match", b""),
    field(b"if-range", b""),
    field(b"if-unmodified-since", b""),
    field(b"last-modified", b""),
    field(b"link", b""),
    field(b"location", b""),
    field(b"max-forwards", b""),
    field(b"proxy-authenticate", b""),
    field(b"proxy-authorization", b""),
    field(b"range", b""),
    field(b"referer", b""),
    field(b"refresh", b""),
    field(b"retry-after", b""),
    field(b"server", b""),
    field(b"set-cookie", b""),
    field(b"strict-transport-security", b""),
    field(b"transfer-encoding", b""),
    field(b"user-agent", b""),
    field(b"vary", b""),
    field(b"via", b""),
    field(b"www-authenticate", b""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_evicted_from_the_oldest_and_numbered_from_the_newest() {
        let mut table = HeaderTable::default();
        let mut expected: VecDeque<(Vec<u8>, Vec<u8>)> = VecDeque::new();
        for round in 0..2_000_usize {
            let name = format!("name-{round}").into_bytes();
            let value = vec![b'v'; round * 37 % 900];
            table.insert(FieldName::Other, &name, &value);
            expected.push_front((name, value));
            let size = |it: &(Vec<u8>, Vec<u8>)| it.0.len() + it.1.len() + ENTRY_OVERHEAD;
            while expected.iter().map(size).sum::<usize>() > TABLE_BYTES {
                expected.pop_back();
            }
            for (at, (name, value)) in expected.iter().enumerate() {
                let field = table.get(62 + at).unwrap();
                assert_eq!((field.name, field.value), (&name[..], &value[..]));
            }
            assert_eq!(table.get(62 + expected.len()), None);
            assert!(table.bytes.len() <= 2 * TABLE_BYTES);
        }
        table.clear();
        assert_eq!((table.get(62), table.size), (None, 0));
    }

    #[test]
    fn sizes_up_to_the_setting_are_allowed() {
        let mut table = HeaderTable::default();
        table.insert(FieldName::Other, b"a", b"b");
        assert!(!table.resize(TABLE_BYTES + 1));
        assert!(table.resize(34));
        assert!(table.get(62).is_some());
        assert!(table.resize(33));
        assert_eq!(table.get(62), None);
        table.insert(FieldName::Other, b"a", b"b");
        assert_eq!(table.get(62), None);
        assert_eq!(
            (table.get(0), table.get(61).unwrap().name),
            (None, &b"www-authenticate"[..])
        );
    }

    #[test]
    fn names_that_a_request_must_not_have_are_known() {
        for name in ["", ":status", ":x", "Te", "connection", "upgrade", "x-A"] {
            assert_eq!(FieldName::classify(name.as_bytes()), FieldName::Forbidden);
        }
        for name in ["te", "x-a", "content-type", "host"] {
            assert_eq!(FieldName::classify(name.as_bytes()), FieldName::Other);
        }
    }
}
