//! Reads lines of bounded length.

use std::io::{self, BufRead};

/// The longest line in bytes. A request in an access log of Envoy is smaller.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Reads lines one after another into the same buffer.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// A line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogLine<'a> {
    /// The text of the line.
    Whole(&'a [u8]),
    /// Longer than a mebibyte; it was skipped.
    TooLong,
}

impl<R: BufRead> LineReader<R> {
    /// Reads from `reader`.
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
            number: 0,
            bytes: 0,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// If reading fails.
    pub(super) fn read(&mut self) -> io::Result<Option<LogLine<'_>>> {
        self.line.clear();
        let mut is_any = false;
        let mut is_too_long = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() {
                break;
            }
            is_any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let text = &buffer[..end.unwrap_or(buffer.len())];
            is_too_long |= self.line.len() + text.len() > MAX_BYTES;
            if !is_too_long {
                self.line.extend_from_slice(text);
            }
            let read = text.len() + usize::from(end.is_some());
            self.reader.consume(read);
            self.bytes += read as u64;
            if end.is_some() {
                break;
            }
        }
        if !is_any {
            return Ok(None);
        }
        self.number += 1;
        let line = if is_too_long {
            LogLine::TooLong
        } else {
            LogLine::Whole(self.line.trim_ascii())
        };
        Ok(Some(line))
    }

    /// The number of the last line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_a_newline_or_with_the_record() {
        let mut lines = LineReader::new(io::BufReader::with_capacity(3, &b"abcdef\r\n\nlast"[..]));
        assert_eq!(lines.read().unwrap(), Some(LogLine::Whole(b"abcdef")));
        assert_eq!(lines.read().unwrap(), Some(LogLine::Whole(b"")));
        assert_eq!(lines.read().unwrap(), Some(LogLine::Whole(b"last")));
        assert_eq!((lines.number(), lines.bytes()), (3, 13));
        assert_eq!(lines.read().unwrap(), None);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut record = vec![b'x'; 3 * MAX_BYTES];
        record.extend_from_slice(b"\nnext\n");
        let mut lines = LineReader::new(&record[..]);
        assert_eq!(lines.read().unwrap(), Some(LogLine::TooLong));
        assert!(lines.line.capacity() <= 2 * MAX_BYTES);
        assert_eq!(lines.read().unwrap(), Some(LogLine::Whole(b"next")));
        assert_eq!(lines.number(), 2);
    }
}
