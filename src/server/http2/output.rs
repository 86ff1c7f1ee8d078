//! Bytes for the socket, and what depends on whether they are written.

use std::collections::VecDeque;

use super::frame::{ErrorCode, FrameHead, FrameKind, flag};
use super::service::Receipt;

/// An empty buffer that has grown beyond this is freed: most connections are idle most of the time.
const KEPT_CAPACITY: usize = 16 * 1024;

/// Frames that wait for the socket.
#[derive(Debug)]
pub(super) struct OutputBuffer<R> {
    pub(super) bytes: Vec<u8>,
    /// Where the unwritten bytes begin.
    begin: usize,
    /// Bytes that were written and dropped from the buffer.
    dropped: u64,
    /// By their streams, and where the last byte of each answer is.
    receipts: VecDeque<(u64, u32, R)>,
}

impl<R: Receipt> OutputBuffer<R> {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            begin: 0,
            dropped: 0,
            receipts: VecDeque::new(),
        }
    }

    /// What is to be written.
    pub(super) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }

    /// The socket took this many bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.begin += bytes;
        let written = self.dropped + self.begin as u64;
        while self
            .receipts
            .front()
            .is_some_and(|(end, ..)| *end <= written)
        {
            if let Some((_, _, receipt)) = self.receipts.pop_front() {
                receipt.sent();
            }
        }
        if self.begin == self.bytes.len() {
            self.dropped = written;
            self.begin = 0;
            if self.bytes.capacity() > KEPT_CAPACITY {
                self.bytes = Vec::new();
            }
            self.bytes.clear();
        }
    }

    /// Ties a receipt to everything that was put so far.
    pub(super) fn push_receipt(&mut self, stream: u32, receipt: R) {
        let end = self.dropped + self.bytes.len() as u64;
        self.receipts.push_back((end, stream, receipt));
    }

    /// Drops the receipt of a stream: its client no longer wants the answer.
    pub(super) fn cancel_receipt(&mut self, stream: u32) {
        self.receipts.retain(|(_, of, _)| *of != stream);
    }

    /// Drops what is unwritten: the client does not read it.
    pub(super) fn discard(&mut self) {
        self.receipts.clear();
        self.bytes.truncate(self.begin);
    }

    pub(super) fn put_head(&mut self, kind: FrameKind, flags: u8, stream: u32, length: usize) {
        let head = FrameHead::new(kind, flags, stream, length);
        self.bytes.extend_from_slice(&head.encode());
    }

    fn put(&mut self, kind: FrameKind, flags: u8, stream: u32, payload: &[u8]) {
        self.put_head(kind, flags, stream, payload.len());
        self.bytes.extend_from_slice(payload);
    }

    pub(super) fn put_reset(&mut self, stream: u32, code: ErrorCode) {
        self.put(FrameKind::Reset, 0, stream, &(code as u32).to_be_bytes());
    }

    pub(super) fn put_window_update(&mut self, stream: u32, increment: u32) {
        self.put(FrameKind::WindowUpdate, 0, stream, &increment.to_be_bytes());
    }

    pub(super) fn put_ping(&mut self, flags: u8, payload: [u8; 8]) {
        self.put(FrameKind::Ping, flags, 0, &payload);
    }

    pub(super) fn put_settings(&mut self, settings: &[(u16, u32)]) {
        self.put_head(FrameKind::Settings, 0, 0, settings.len() * 6);
        for (id, value) in settings {
            self.bytes.extend_from_slice(&id.to_be_bytes());
            self.bytes.extend_from_slice(&value.to_be_bytes());
        }
    }

    pub(super) fn put_settings_ack(&mut self) {
        self.put(FrameKind::Settings, flag::ACK, 0, &[]);
    }

    pub(super) fn put_go_away(&mut self, last_stream: u32, code: ErrorCode) {
        self.put_head(FrameKind::GoAway, 0, 0, 8);
        self.bytes.extend_from_slice(&last_stream.to_be_bytes());
        self.bytes.extend_from_slice(&(code as u32).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    struct Counted(Rc<Cell<u32>>);

    impl Receipt for Counted {
        fn sent(self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn an_answer_is_sent_with_its_last_byte() {
        let sent = Rc::new(Cell::new(0));
        let mut output = OutputBuffer::new();
        for stream in [1, 3, 5] {
            output.bytes.extend([0; 10]);
            output.push_receipt(stream, Counted(Rc::clone(&sent)));
        }
        output.wrote(9);
        assert_eq!(sent.get(), 0);
        output.wrote(1);
        assert_eq!(sent.get(), 1);
        output.cancel_receipt(3);
        output.wrote(20);
        assert_eq!(sent.get(), 2);
        output.bytes.extend([0; 10]);
        output.push_receipt(7, Counted(Rc::clone(&sent)));
        output.wrote(10);
        assert_eq!((sent.get(), output.unwritten().len()), (3, 0));
    }
}
