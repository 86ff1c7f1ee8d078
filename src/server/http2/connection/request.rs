//! HEADERS, CONTINUATION and DATA: how calls arrive.

use super::super::frame::{ErrorCode, FrameKind, flag};
use super::super::frame_reader::FrameContent;
use super::super::head::HeadReader;
use super::super::limits::{CONNECTION_WINDOW, WINDOW_STEP};
use super::super::message::{self, PREFIX_BYTES};
use super::super::rejection::Rejection;
use super::super::service::{CallRoute, Http2Service};
use super::super::status::{GrpcStatus, code};
use super::super::stream::{CallBody, CallStream};
use super::{BlockPurpose, ConnectionError, ConnectionEvent, HeaderBlock, Http2Connection};

/// A frame within a header block that is shorter than this counts as one that brings nothing: Envoy
/// and gRPC's clients fill frames before they begin another.
const SHORT_FRAGMENT: usize = 1024;

/// The body of a call of no service is read up to here before the call is answered all the same.
const MAX_UNKNOWN_BODY: u64 = 16_384;

impl<S: Http2Service> Http2Connection<S> {
    pub(super) fn headers(&mut self, content: &FrameContent<'_>) -> Result<(), ConnectionError> {
        let head = content.head;
        if content.is_first {
            if head.kind == FrameKind::Headers {
                self.begin_block(content)?;
            }
            if !head.has(flag::END_HEADERS) && head.length < SHORT_FRAGMENT {
                self.charge(1)?;
            }
        }
        let Some(block) = &mut self.block else {
            return Ok(());
        };
        block.bytes += content.bytes.len();
        if block.bytes > self.limits.max_header_block_bytes {
            let reason = Rejection::HeaderBlockTooLong;
            return Err(ConnectionError(ErrorCode::EnhanceYourCalm, reason));
        }
        let service = &mut self.service;
        let is_request = block.of == BlockPurpose::Request;
        let request = &mut block.head;
        let decoded = self.decoder.decode(content.bytes, &mut |field| {
            request.visit(&field, |path| match is_request {
                true => service.route(path),
                false => CallRoute::Unknown,
            });
        });
        let is_end = content.is_last && head.has(flag::END_HEADERS);
        let ended = match (decoded, is_end) {
            (Ok(()), true) => self.decoder.end_block(),
            (decoded, _) => decoded,
        };
        if ended.is_err() {
            let reason = Rejection::CompressionError;
            return Err(ConnectionError(ErrorCode::Compression, reason));
        }
        if let Some(block) = self.block.take_if(|_| is_end) {
            self.end_block(block);
        }
        Ok(())
    }

    fn begin_block(&mut self, content: &FrameContent<'_>) -> Result<(), ConnectionError> {
        let id = content.head.stream;
        if id.is_multiple_of(2) {
            return Err(ConnectionError::protocol());
        }
        let of = if id > self.last_stream {
            // A client that has the final GOAWAY knows that later streams are not served.
            match self.is_refusing() {
                true => BlockPurpose::Ignored,
                false => {
                    self.last_stream = id;
                    BlockPurpose::Request
                }
            }
        } else if let Some(stream) = self.streams.get_mut(id) {
            match stream.is_received {
                true => return Err(stream_closed()),
                false => BlockPurpose::Trailers,
            }
        } else if self.streams.has_ended(id) {
            self.charge(1)?;
            BlockPurpose::Ignored
        } else if id == self.last_stream {
            return Err(stream_closed());
        } else {
            return Err(ConnectionError::protocol());
        };
        let mut head = HeadReader::new(self.service.wants_trace());
        if content.depends_on == Some(id) {
            head.reject();
        }
        self.block = Some(HeaderBlock {
            stream: id,
            of,
            is_end: content.head.has(flag::END_STREAM),
            head,
            bytes: 0,
            began: self.now,
        });
        Ok(())
    }

    fn end_block(&mut self, block: HeaderBlock) {
        match block.of {
            BlockPurpose::Request => self.begin_call(block),
            BlockPurpose::Trailers if block.is_end && block.head.is_trailers() => {
                self.end_body(block.stream);
            }
            BlockPurpose::Trailers => {
                self.service.rejected(Rejection::MalformedHead);
                self.reset(block.stream, ErrorCode::Protocol);
            }
            BlockPurpose::Ignored => {}
        }
    }

    fn begin_call(&mut self, block: HeaderBlock) {
        let (id, head) = (block.stream, block.head);
        let Some(route) = head.route() else {
            self.service.rejected(Rejection::MalformedHead);
            return self.reset(id, ErrorCode::Protocol);
        };
        if self.streams.len() >= self.limits.max_streams {
            self.service.rejected(Rejection::TooManyStreams);
            return self.reset(id, ErrorCode::RefusedStream);
        }
        let body = match route {
            CallRoute::Unary(_) => CallBody::Unary(head.call),
            CallRoute::Exchange => CallBody::Exchange,
            CallRoute::Unknown => CallBody::Unknown {
                is_call: head.is_post,
            },
        };
        let mut stream = CallStream::new(body, self.now);
        stream.is_driven = route == CallRoute::Exchange;
        stream.encoding = head.encoding;
        stream.content_length = head.content_length;
        self.streams.insert(id, stream);
        if head.list_bytes > self.limits.max_header_list_bytes {
            let text = "the header fields of the call are too long";
            let status = GrpcStatus::new(code::RESOURCE_EXHAUSTED, text);
            return self.fail_call(id, &status, Some(Rejection::HeadersTooLong), block.is_end);
        }
        if let (CallRoute::Exchange, Some(head)) = (route, head.exchange) {
            self.events
                .push(ConnectionEvent::Exchange { stream: id, head });
        }
        if block.is_end {
            self.end_body(id);
        }
    }

    pub(super) fn data(&mut self, content: &FrameContent<'_>) -> Result<(), ConnectionError> {
        let (id, head) = (content.head.stream, content.head);
        let is_end = content.is_last && head.has(flag::END_STREAM);
        if content.is_first {
            if self.is_idle(id) {
                return Err(ConnectionError::protocol());
            }
            self.receive_window -= head.length as i64;
            if self.receive_window < 0 {
                let reason = Rejection::FlowControlError;
                return Err(ConnectionError(ErrorCode::FlowControl, reason));
            }
            if self.receive_window < CONNECTION_WINDOW / 2 {
                let more = CONNECTION_WINDOW - self.receive_window;
                self.output.put_window_update(0, more as u32);
                self.receive_window = CONNECTION_WINDOW;
            }
            if head.length == 0 && !is_end {
                self.charge(1)?;
            }
        }
        let Some(stream) = self.streams.get_mut(id) else {
            return self.data_of_none(content);
        };
        if content.is_first {
            stream.receive_window -= head.length as i64;
            if stream.receive_window < 0 {
                self.service.rejected(Rejection::FlowControlError);
                self.reset(id, ErrorCode::FlowControl);
                return Ok(());
            }
            if stream.is_received {
                self.service.rejected(Rejection::ProtocolError);
                self.reset(id, ErrorCode::StreamClosed);
                return Ok(());
            }
        }
        stream.received += content.bytes.len() as u64;
        stream.is_received = is_end;
        if stream.contradicts_length() {
            self.service.rejected(Rejection::MalformedHead);
            self.reset(id, ErrorCode::Protocol);
            return Ok(());
        }
        match stream.body {
            // The usual case: the whole message, which is not copied.
            CallBody::Unary(_) if is_end && stream.message.is_empty() => {
                if let Some(stream) = self.streams.remove(id) {
                    self.call(id, stream, content.bytes);
                }
            }
            CallBody::Unary(_) => self.gather(id, content.bytes, is_end),
            CallBody::Exchange => {
                if !self.budget.take(content.bytes.len()) {
                    self.service.rejected(Rejection::NoBudget);
                    self.reset(id, ErrorCode::EnhanceYourCalm);
                    return Ok(());
                }
                stream.reserved += content.bytes.len();
                if !content.bytes.is_empty() {
                    let bytes = content.bytes.to_vec();
                    self.events
                        .push(ConnectionEvent::Data { stream: id, bytes });
                }
                if is_end {
                    self.events.push(ConnectionEvent::End { stream: id });
                }
            }
            CallBody::Unknown { .. } if is_end || stream.received > MAX_UNKNOWN_BODY => {
                self.unknown(id);
            }
            CallBody::Unknown { .. } => {}
        }
        Ok(())
    }

    /// DATA of a stream that is over.
    fn data_of_none(&mut self, content: &FrameContent<'_>) -> Result<(), ConnectionError> {
        if !content.is_first {
            return Ok(());
        }
        self.charge(1)?;
        let id = content.head.stream;
        if id <= self.last_stream && !self.streams.has_ended(id) {
            self.reset(id, ErrorCode::StreamClosed);
        }
        Ok(())
    }

    /// Adds to a message that comes in several frames.
    fn gather(&mut self, id: u32, bytes: &[u8], is_end: bool) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if !self.budget.take(bytes.len()) {
            let text = "too many long messages arrive at once";
            let status = GrpcStatus::new(code::RESOURCE_EXHAUSTED, text);
            return self.fail_call(id, &status, Some(Rejection::NoBudget), is_end);
        }
        stream.reserved += bytes.len();
        stream.message.extend_from_slice(bytes);
        let expected = message::expected_bytes(&stream.message, self.limits.max_message_bytes);
        match expected {
            Err((reason, status)) => self.fail_call(id, &status, Some(reason), is_end),
            Ok(_) if is_end => self.end_body(id),
            Ok(expected) => {
                let expected = expected.unwrap_or(PREFIX_BYTES);
                let missing = expected.saturating_sub(stream.message.len()) as i64;
                let lacking = missing - stream.receive_window;
                if lacking > 0 && stream.receive_window < WINDOW_STEP / 8 {
                    let more = lacking.min(WINDOW_STEP);
                    stream.receive_window += more;
                    self.output.put_window_update(id, more as u32);
                }
            }
        }
    }

    /// The client has sent everything.
    fn end_body(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        stream.is_received = true;
        if stream.contradicts_length() {
            self.service.rejected(Rejection::MalformedHead);
            return self.reset(id, ErrorCode::Protocol);
        }
        match stream.body {
            CallBody::Exchange => self.events.push(ConnectionEvent::End { stream: id }),
            CallBody::Unknown { .. } => self.unknown(id),
            CallBody::Unary(_) => {
                let Some(mut stream) = self.streams.remove(id) else {
                    return;
                };
                let message = std::mem::take(&mut stream.message);
                self.budget.give_back(std::mem::take(&mut stream.reserved));
                self.call(id, stream, &message);
            }
        }
    }

    fn unknown(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let is_received = stream.is_received;
        if let CallBody::Unknown { is_call: false } = stream.body {
            return self.explain(id);
        }
        let status = GrpcStatus::new(code::UNIMPLEMENTED, "there is no such method");
        self.fail_call(id, &status, Some(Rejection::UnknownPath), is_received);
    }
}

fn stream_closed() -> ConnectionError {
    ConnectionError(ErrorCode::StreamClosed, Rejection::ProtocolError)
}
