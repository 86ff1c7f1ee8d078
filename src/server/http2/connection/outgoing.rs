//! Answers that are not sent at once: they wait for the client's windows, or are made in parts.

use super::super::frame::{ErrorCode, FrameKind, flag};
use super::super::hpack::{AnswerEncoder, put_field};
use super::super::message::PREFIX_BYTES;
use super::super::rejection::Rejection;
use super::super::service::Http2Service;
use super::super::stream::{AnswerTail, OutgoingAnswer};
use super::{ConnectionEvent, Http2Connection};

impl<S: Http2Service> Http2Connection<S> {
    /// Answers a request that is not a gRPC call, for people who try a browser or curl.
    pub(super) fn explain(&mut self, id: u32) {
        const TEXT: &[u8] = b"This port serves gRPC: rate limit decisions for Envoy.\n";
        self.service.rejected(Rejection::NotACall);
        let text = b"text/plain";
        let fields: [(&[u8], &[u8]); 2] = [(b"content-type", text), (b"allow", b"POST")];
        self.send_head(id, 405, &fields, false);
        self.push_outgoing(id, TEXT.to_vec(), AnswerTail::End);
    }

    /// Begins an answer that has no room in the client's windows, or not in one frame.
    pub(super) fn begin_outgoing(&mut self, id: u32, message: &[u8], receipt: Option<S::Receipt>) {
        if self.blocked_bytes + message.len() > self.limits.max_blocked_bytes {
            self.service.rejected(Rejection::AnswerBlocked);
            return self.reset(id, ErrorCode::EnhanceYourCalm);
        }
        self.put_block(id, 0, AnswerEncoder::put_literal_head);
        let mut data = Vec::with_capacity(PREFIX_BYTES + message.len());
        data.push(0);
        data.extend_from_slice(&(message.len() as u32).to_be_bytes());
        data.extend_from_slice(message);
        if let Some(stream) = self.streams.get_mut(id) {
            stream.outgoing.get_or_insert_default().receipt = receipt;
        }
        self.push_outgoing(id, data, AnswerTail::Ok);
    }

    /// Adds to what a stream sends, and sends what has room.
    fn push_outgoing(&mut self, id: u32, data: Vec<u8>, tail: AnswerTail) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let outgoing = stream.outgoing.get_or_insert_default();
        self.blocked_bytes += data.len();
        match outgoing.sent == outgoing.data.len() {
            true => (outgoing.data, outgoing.sent) = (data, 0),
            false => outgoing.data.extend_from_slice(&data),
        }
        outgoing.tail = tail;
        self.flush(id);
    }

    /// Sends what has room of every answer that waits.
    pub(super) fn flush_blocked(&mut self) {
        for _ in 0..self.blocked.len() {
            if self.send_window <= 0 {
                return;
            }
            let Some(id) = self.blocked.pop_front() else {
                return;
            };
            if let Some(outgoing) = self.outgoing(id) {
                outgoing.is_queued = false;
                self.flush(id);
            }
        }
    }

    fn outgoing(&mut self, id: u32) -> Option<&mut OutgoingAnswer<S::Receipt>> {
        self.streams.get_mut(id)?.outgoing.as_deref_mut()
    }

    /// Sends what has room of one answer.
    pub(super) fn flush(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let Some(outgoing) = &mut stream.outgoing else {
            return;
        };
        while outgoing.sent < outgoing.data.len() {
            let left = &outgoing.data[outgoing.sent..];
            let window = self
                .send_window
                .min(self.peer.initial_window + stream.send_credit);
            // Windows may be negative.
            let length = left
                .len()
                .min(window.max(0) as usize)
                .min(self.peer.max_payload);
            if length == 0 {
                outgoing.blocked.get_or_insert(self.now);
                if !std::mem::replace(&mut outgoing.is_queued, true) {
                    self.blocked.push_back(id);
                }
                return;
            }
            self.output.put_head(FrameKind::Data, 0, id, length);
            self.output.bytes.extend_from_slice(&left[..length]);
            outgoing.sent += length;
            self.blocked_bytes -= length;
            self.send_window -= length as i64;
            stream.send_credit -= length as i64;
        }
        outgoing.blocked = None;
        let is_received = stream.is_received;
        let receipt = outgoing.receipt.take();
        match std::mem::take(&mut outgoing.tail) {
            AnswerTail::Open => return self.events.push(ConnectionEvent::Room { stream: id }),
            AnswerTail::Ok => self.put_ok_literal(id),
            AnswerTail::End => self
                .output
                .put_head(FrameKind::Data, flag::END_STREAM, id, 0),
            AnswerTail::Block(fields) => {
                self.put_block(id, flag::END_STREAM, |block| block.extend(fields));
            }
        }
        self.meter.earn(&self.limits);
        if let Some(receipt) = receipt {
            self.output.push_receipt(id, receipt);
        }
        self.finish_exchange(id, is_received);
    }

    fn put_ok_literal(&mut self, id: u32) {
        self.put_block(id, flag::END_STREAM, |block| {
            put_field(block, b"grpc-status", b"0");
        });
    }

    /// The last byte of an answer has its place: nothing is left to cancel.
    fn finish_exchange(&mut self, id: u32, is_received: bool) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.outgoing = None;
            stream.is_driven = false;
        }
        self.end(id, is_received);
    }

    /// Begins the answer of an exchange with these fields, `:status` excepted.
    pub fn send_head(&mut self, id: u32, status: u16, fields: &[(&[u8], &[u8])], is_end: bool) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let is_received = stream.is_received;
        let digits = status.to_string();
        let flags = if is_end { flag::END_STREAM } else { 0 };
        self.put_block(id, flags, |block| {
            put_field(block, b":status", digits.as_bytes());
            for (name, value) in fields {
                put_field(block, name, value);
            }
        });
        if is_end {
            self.finish_exchange(id, is_received);
        }
    }

    /// Sends a part of the body of an exchange; [`ConnectionEvent::Room`] follows when the next one is wanted.
    pub fn send_data(&mut self, id: u32, data: Vec<u8>) {
        self.push_outgoing(id, data, AnswerTail::Open);
    }

    /// Ends the answer of an exchange with these trailers.
    pub fn send_trailers(&mut self, id: u32, fields: &[(&[u8], &[u8])]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            put_field(&mut block, name, value);
        }
        self.push_outgoing(id, Vec::new(), AnswerTail::Block(block));
    }

    /// Ends the answer of an exchange without trailers.
    pub fn send_end(&mut self, id: u32) {
        self.push_outgoing(id, Vec::new(), AnswerTail::End);
    }

    /// Gives up the answer of an exchange.
    pub fn send_reset(&mut self, id: u32, code: ErrorCode) {
        if self.streams.get_mut(id).is_some() {
            self.reset(id, code);
        }
    }

    /// An exchange has taken bytes of its body: the client may send as many more.
    pub fn release(&mut self, id: u32, bytes: usize) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let bytes = bytes.min(stream.reserved);
        stream.reserved -= bytes;
        self.budget.give_back(bytes);
        if bytes > 0 && !stream.is_received {
            stream.receive_window += bytes as i64;
            self.output.put_window_update(id, bytes as u32);
        }
    }
}
