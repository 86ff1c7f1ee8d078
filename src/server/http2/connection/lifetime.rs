//! Deadlines, pings, and the orderly end of a connection.

use std::time::{Duration, Instant};

use super::super::frame::ErrorCode;
use super::super::rejection::Rejection;
use super::super::service::Http2Service;
use super::super::status::{GrpcStatus, code};
use super::super::stream::CallBody;
use super::{ConnectionPhase, Http2Connection};

/// How often a connection with open calls is looked at.
const TICK: Duration = Duration::from_secs(1);

/// How long a client may take to see the first GOAWAY before the second one.
const DRAIN_DELAY: Duration = Duration::from_secs(1);

/// What pings carry, so that their answers are known apart.
const ALIVE: [u8; 8] = *b"alive?\0\0";
const DRAINED: [u8; 8] = *b"drained?";

/// The highest stream identifier: "no stream is refused yet" (RFC 9113, section 6.8).
const ANY_STREAM: u32 = 0x7fff_ffff;

/// When the client was heard of last.
#[derive(Debug)]
pub(super) struct KeepAlive {
    began: Instant,
    heard: Instant,
    /// When an unanswered ping was sent.
    pinged: Option<Instant>,
    /// Since when the client was seen not to read.
    stalled: Option<Instant>,
    /// When the connection is to be drained because of its age.
    retires: Option<Instant>,
}

impl KeepAlive {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            heard: now,
            pinged: None,
            stalled: None,
            retires: None,
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    pub(super) fn wrote(&mut self) {
        self.stalled = None;
    }
}

/// How far the orderly end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DrainStage {
    No,
    /// The client was asked to go; calls that are on their way are still served.
    Announced(Instant),
    /// The client knows which calls are the last.
    Final,
}

impl<S: Http2Service> Http2Connection<S> {
    /// Drains the connection at this time, as [`Self::shut_down`] does.
    pub fn set_retirement(&mut self, at: Option<Instant>) {
        self.keep_alive.retires = at;
    }

    /// Asks the client to go. Calls that it makes before it knows, and those that are open, are answered.
    pub fn shut_down(&mut self, now: Instant) {
        self.now = now;
        match (&self.phase, self.drain) {
            (ConnectionPhase::Preface(_) | ConnectionPhase::Settings, _) => self.close(),
            (ConnectionPhase::Open, DrainStage::No) => {
                self.output.put_go_away(ANY_STREAM, ErrorCode::NoError);
                self.output.put_ping(0, DRAINED);
                self.drain = DrainStage::Announced(now);
            }
            _ => {}
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        self.now = now;
        let limits = &self.limits;
        let since = |then: Instant| now.saturating_duration_since(then);
        let is_early = matches!(
            self.phase,
            ConnectionPhase::Preface(_) | ConnectionPhase::Settings
        );
        if is_early && since(self.keep_alive.began) >= limits.preface_timeout {
            self.service.rejected(Rejection::PrefaceTimeout);
            return self.close();
        }
        let block = self.block.as_ref().map(|block| block.began);
        if block.is_some_and(|began| since(began) >= limits.call_timeout) {
            return self.fail(ErrorCode::EnhanceYourCalm, Rejection::CallTimeout);
        }
        if self.is_stalled(now) {
            self.service.rejected(Rejection::WriteTimeout);
            self.output.discard();
            return self.close();
        }
        self.end_late_calls();
        self.streams.shrink();
        if let ConnectionPhase::Open = self.phase {
            self.keep_alive();
        }
        match self.drain {
            DrainStage::Announced(at) if now.saturating_duration_since(at) >= DRAIN_DELAY => {
                self.refuse_calls();
            }
            DrainStage::No if self.keep_alive.retires.is_some_and(|at| at <= now) => {
                self.shut_down(now);
            }
            _ => {}
        }
    }

    /// When [`Self::tick`] is to be called at the latest.
    pub fn next_tick(&self) -> Instant {
        let keep_alive = &self.keep_alive;
        let limits = &self.limits;
        let mut next = match (&self.phase, keep_alive.pinged) {
            (ConnectionPhase::Preface(_) | ConnectionPhase::Settings, _) => {
                keep_alive.began + limits.preface_timeout
            }
            (_, Some(pinged)) => pinged + limits.ping_timeout,
            (_, None) => keep_alive.heard + limits.ping_interval,
        };
        let is_busy =
            self.block.is_some() || !self.streams.is_empty() || !self.output.unwritten().is_empty();
        if is_busy {
            next = next.min(self.now + TICK);
        }
        match self.drain {
            DrainStage::Announced(at) => next = next.min(at + DRAIN_DELAY),
            DrainStage::No => next = keep_alive.retires.map_or(next, |at| next.min(at)),
            DrainStage::Final => {}
        }
        next
    }

    /// Whether calls that begin now are refused.
    pub(super) fn is_refusing(&self) -> bool {
        self.drain == DrainStage::Final
    }

    /// Whether all that was to be answered was, after the client was asked to go.
    pub(super) fn is_drained(&self) -> bool {
        self.drain == DrainStage::Final && self.streams.is_empty() && self.block.is_none()
    }

    /// The answer to a ping.
    pub(super) fn pong(&mut self, payload: [u8; 8]) {
        if payload == DRAINED && matches!(self.drain, DrainStage::Announced(_)) {
            self.refuse_calls();
        }
    }

    fn refuse_calls(&mut self) {
        self.output
            .put_go_away(self.last_stream, ErrorCode::NoError);
        self.drain = DrainStage::Final;
    }

    fn is_stalled(&mut self, now: Instant) -> bool {
        if self.output.unwritten().is_empty() {
            return false;
        }
        let since = *self.keep_alive.stalled.get_or_insert(now);
        now.saturating_duration_since(since) >= self.limits.write_timeout
    }

    fn keep_alive(&mut self) {
        let silent = |since: Instant| self.now.saturating_duration_since(since);
        match self.keep_alive.pinged {
            Some(pinged) if silent(pinged) >= self.limits.ping_timeout => {
                self.service.rejected(Rejection::PingTimeout);
                self.output.discard();
                self.close();
            }
            None if silent(self.keep_alive.heard) >= self.limits.ping_interval => {
                self.output.put_ping(0, ALIVE);
                self.keep_alive.pinged = Some(self.now);
            }
            _ => {}
        }
    }

    /// Ends calls that do not arrive, and answers that are not read.
    fn end_late_calls(&mut self) {
        let limits = &self.limits;
        let is_over = |then: Instant, allowed| self.now.saturating_duration_since(then) >= allowed;
        let (mut unfinished, mut blocked) = (Vec::new(), Vec::new());
        for (id, stream) in self.streams.iter() {
            let waits = stream
                .outgoing
                .as_ref()
                .and_then(|outgoing| outgoing.blocked);
            let allowed = match &stream.body {
                CallBody::Unary(head) => head
                    .timeout
                    .unwrap_or(Duration::MAX)
                    .min(limits.call_timeout),
                CallBody::Unknown { .. } => limits.call_timeout,
                CallBody::Exchange => Duration::MAX,
            };
            if waits.is_some_and(|since| is_over(since, limits.write_timeout)) {
                blocked.push(id);
            } else if !stream.is_received && is_over(stream.opened, allowed) {
                unfinished.push(id);
            }
        }
        for id in unfinished {
            let text = "the call did not arrive in time";
            let status = GrpcStatus::new(code::DEADLINE_EXCEEDED, text);
            self.fail_call(id, &status, Some(Rejection::CallTimeout), false);
        }
        for id in blocked {
            self.service.rejected(Rejection::AnswerBlocked);
            self.reset(id, ErrorCode::Cancel);
        }
    }
}
