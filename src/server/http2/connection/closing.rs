//! How streams and connections are given up.

use super::super::frame::ErrorCode;
use super::super::rejection::Rejection;
use super::super::service::Http2Service;
use super::{ConnectionEvent, ConnectionPhase, Http2Connection};

impl<S: Http2Service> Http2Connection<S> {
    /// Ends the connection: the client gets the reason, and every call is dropped.
    pub(super) fn fail(&mut self, code: ErrorCode, reason: Rejection) {
        self.service.rejected(reason);
        self.output.put_go_away(self.last_stream, code);
        self.close();
    }

    pub(super) fn close(&mut self) {
        self.phase = ConnectionPhase::Closed;
        self.held = Vec::new();
        self.block = None;
        let open = self.streams.iter().map(|(stream, _)| stream);
        let gone: Vec<u32> = open.collect();
        self.streams.clear();
        self.blocked.clear();
        self.events.clear();
        let cancelled = gone
            .into_iter()
            .map(|stream| ConnectionEvent::Cancelled { stream });
        self.events.extend(cancelled);
    }

    /// Whether a stream has not been opened. After the last GOAWAY, later ones may have been.
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        stream.is_multiple_of(2) || (stream > self.last_stream && !self.is_refusing())
    }

    /// Ends a stream with an error, and forgets it.
    pub(super) fn reset(&mut self, stream: u32, code: ErrorCode) {
        self.output.put_reset(stream, code);
        self.forget(stream);
        self.streams.push_ended(stream);
    }

    /// Forgets a stream that is over.
    pub(super) fn forget(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(id) else {
            return;
        };
        self.budget.give_back(stream.reserved);
        if let Some(outgoing) = &stream.outgoing {
            self.blocked_bytes -= outgoing.data.len() - outgoing.sent;
        }
        if stream.is_driven {
            self.events.push(ConnectionEvent::Cancelled { stream: id });
        }
    }
}
