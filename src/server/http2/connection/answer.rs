//! Answers of unary calls, as frames.

use super::super::frame::{ErrorCode, FrameHead, FrameKind, HEAD_BYTES, flag};
use super::super::hpack::AnswerEncoder;
use super::super::message::{self, PREFIX_BYTES};
use super::super::rejection::Rejection;
use super::super::service::{CallOutcome, Http2Service, LateAnswer};
use super::super::status::GrpcStatus;
use super::super::stream::{CallBody, CallStream};
use super::{ConnectionEvent, Http2Connection};

impl<S: Http2Service> Http2Connection<S> {
    /// Calls the service with a body that has come whole. The stream is not in the table.
    pub(super) fn call(&mut self, id: u32, mut stream: CallStream<S::Receipt>, body: &[u8]) {
        let CallBody::Unary(head) = &stream.body else {
            return;
        };
        let max_bytes = self.limits.max_message_bytes;
        let message = match message::unwrap(body, stream.encoding, max_bytes) {
            Ok(message) => message,
            Err((reason, status)) => {
                self.service.rejected(reason);
                return self.put_status(id, &status);
            }
        };
        let begin = self.output.bytes.len();
        let block = self.encoder.answer_head_bytes();
        let prefix = HEAD_BYTES + PREFIX_BYTES;
        let message_begin = begin + HEAD_BYTES + block + prefix;
        self.output
            .put_head(FrameKind::Headers, flag::END_HEADERS, id, block);
        let block_begin = self.output.bytes.len();
        // Room for the block and the head of the message, which are known when the message is.
        self.output.bytes.resize(block_begin + block + prefix, 0);
        match self.service.call(head, &message, &mut self.output.bytes) {
            CallOutcome::Message(receipt) => {
                let length = self.output.bytes.len() - message_begin;
                self.finish_answer(id, stream, begin, length, receipt);
            }
            CallOutcome::Failed(status) => {
                self.output.bytes.truncate(begin);
                self.meter.earn(&self.limits);
                self.put_status(id, &status);
            }
            CallOutcome::Later(future) => {
                self.output.bytes.truncate(begin);
                let opened = stream.opened;
                let deadline = head.timeout.and_then(|timeout| opened.checked_add(timeout));
                stream.is_received = true;
                stream.is_driven = true;
                self.streams.insert(id, stream);
                self.events.push(ConnectionEvent::Later {
                    stream: id,
                    future,
                    deadline,
                });
            }
        }
    }

    /// Completes an answer whose message is at the end of the output, behind room for its heads.
    fn finish_answer(
        &mut self,
        id: u32,
        mut stream: CallStream<S::Receipt>,
        begin: usize,
        length: usize,
        receipt: Option<S::Receipt>,
    ) {
        let framed = PREFIX_BYTES + length;
        let window = self
            .send_window
            .min(self.peer.initial_window + stream.send_credit);
        if framed as i64 > window || framed > self.peer.max_payload {
            let message = self
                .output
                .bytes
                .split_off(self.output.bytes.len() - length);
            self.output.bytes.truncate(begin);
            stream.is_received = true;
            self.streams.insert(id, stream);
            return self.begin_outgoing(id, &message, receipt);
        }
        self.send_window -= framed as i64;
        let out = &mut self.output.bytes;
        let block_begin = begin + HEAD_BYTES;
        let block_end = out.len() - length - PREFIX_BYTES - HEAD_BYTES;
        self.encoder
            .fill_answer_head(&mut out[block_begin..block_end]);
        let data = FrameHead::new(FrameKind::Data, 0, id, framed);
        out[block_end..block_end + HEAD_BYTES].copy_from_slice(&data.encode());
        let prefix = block_end + HEAD_BYTES;
        // The first byte stays 0: not compressed.
        out[prefix + 1..prefix + PREFIX_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        self.put_ok(id);
        self.meter.earn(&self.limits);
        if let Some(receipt) = receipt {
            self.output.push_receipt(id, receipt);
        }
    }

    /// The trailers of an answer that succeeded.
    fn put_ok(&mut self, id: u32) {
        let flags = flag::END_HEADERS | flag::END_STREAM;
        let tail = self.encoder.answer_tail();
        self.output
            .put_head(FrameKind::Headers, flags, id, tail.len());
        self.output.bytes.extend_from_slice(tail);
    }

    /// Writes a header block, whose length is known afterwards.
    pub(super) fn put_block(&mut self, id: u32, flags: u8, fill: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.output.bytes.len();
        self.output
            .put_head(FrameKind::Headers, flags | flag::END_HEADERS, id, 0);
        self.encoder.begin_block(&mut self.output.bytes);
        fill(&mut self.output.bytes);
        let length = self.output.bytes.len() - begin - HEAD_BYTES;
        let [_, a, b, c] = (length as u32).to_be_bytes();
        self.output.bytes[begin..begin + 3].copy_from_slice(&[a, b, c]);
    }

    /// An answer that is a status alone.
    fn put_status(&mut self, id: u32, status: &GrpcStatus) {
        self.put_block(id, flag::END_STREAM, |block| {
            AnswerEncoder::put_literal_head(block);
            status.put(block);
        });
    }

    /// Fails an open call. When the client is still sending, it is asked to stop.
    pub(super) fn fail_call(
        &mut self,
        id: u32,
        status: &GrpcStatus,
        reason: Option<Rejection>,
        is_received: bool,
    ) {
        if let Some(reason) = reason {
            self.service.rejected(reason);
        }
        self.put_status(id, status);
        self.end(id, is_received);
    }

    /// Forgets a stream whose answer is complete.
    pub(super) fn end(&mut self, id: u32, is_received: bool) {
        match is_received {
            true => self.forget(id),
            false => self.reset(id, ErrorCode::NoError),
        }
    }

    /// Takes the answer of [`ConnectionEvent::Later`]; one whose call is gone is dropped.
    pub fn answer(&mut self, id: u32, answer: LateAnswer<S::Receipt>) {
        let Some(mut stream) = self.streams.remove(id) else {
            return;
        };
        stream.is_driven = false;
        self.meter.earn(&self.limits);
        match answer {
            LateAnswer::Failed(status) => self.put_status(id, &status),
            LateAnswer::Message(message, receipt) => {
                let begin = self.output.bytes.len();
                let block = self.encoder.answer_head_bytes();
                self.output
                    .put_head(FrameKind::Headers, flag::END_HEADERS, id, block);
                let filled = self.output.bytes.len() + block + HEAD_BYTES + PREFIX_BYTES;
                self.output.bytes.resize(filled, 0);
                self.output.bytes.extend_from_slice(&message);
                self.finish_answer(id, stream, begin, message.len(), receipt);
            }
        }
    }
}
