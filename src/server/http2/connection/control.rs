//! Control frames: SETTINGS, PING, RST_STREAM, WINDOW_UPDATE and PRIORITY.

use super::super::frame::{ErrorCode, FrameHead, FrameKind, flag};
use super::super::limits::MAX_WINDOW;
use super::super::rejection::Rejection;
use super::super::service::Http2Service;
use super::{ConnectionError, Http2Connection};

/// What a SETTINGS frame counts: it may change every stream, and must be acknowledged.
const SETTINGS_COST: u32 = 50;

/// Settings that matter to a server (RFC 9113, section 6.5.2).
const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

/// The longest payload that is sent, though a client may accept longer ones.
const MAX_SENT_PAYLOAD: u32 = 16_384;

impl<S: Http2Service> Http2Connection<S> {
    pub(super) fn control(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<(), ConnectionError> {
        self.check_order(head)?;
        let of_connection = matches!(head.kind, FrameKind::Settings | FrameKind::Ping);
        let is_either = head.kind == FrameKind::WindowUpdate;
        if !is_either && of_connection != (head.stream == 0) {
            return Err(ConnectionError::protocol());
        }
        match (head.kind, payload) {
            (FrameKind::Settings, _) => self.settings(head, payload),
            (FrameKind::Ping, payload) => self.ping(head, payload),
            (FrameKind::Reset, _) => self.peer_reset(head.stream),
            (FrameKind::WindowUpdate, &[a, b, c, d]) => {
                let increment = u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff;
                self.window_update(head.stream, increment.into())
            }
            (FrameKind::Priority, &[a, b, c, d, _]) => {
                self.charge(1)?;
                if u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff == head.stream {
                    self.reset(head.stream, ErrorCode::Protocol);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), ConnectionError> {
        self.charge(SETTINGS_COST)?;
        if head.has(flag::ACK) {
            return match payload {
                [] => Ok(()),
                _ => Err(ConnectionError(
                    ErrorCode::FrameSize,
                    Rejection::ProtocolError,
                )),
            };
        }
        for setting in payload.chunks_exact(6) {
            if let &[a, b, c, d, e, f] = setting {
                self.setting(u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))?;
            }
        }
        self.output.put_settings_ack();
        self.flush_blocked();
        Ok(())
    }

    fn setting(&mut self, id: u16, value: u32) -> Result<(), ConnectionError> {
        match id {
            HEADER_TABLE_SIZE => self.encoder.set_table_size(value),
            ENABLE_PUSH if value > 1 => return Err(ConnectionError::protocol()),
            INITIAL_WINDOW_SIZE => {
                let window = i64::from(value);
                let overflows = |credit: i64| !Self::window_is_valid(window + credit);
                let mut credits = self.streams.iter().map(|(_, stream)| stream.send_credit);
                if window > MAX_WINDOW || credits.any(overflows) {
                    return Err(flow_control());
                }
                self.peer.initial_window = window;
            }
            MAX_FRAME_SIZE => {
                if !(16_384..=16_777_215).contains(&value) {
                    return Err(ConnectionError::protocol());
                }
                self.peer.max_payload = value.min(MAX_SENT_PAYLOAD) as usize;
            }
            _ => {}
        }
        Ok(())
    }

    fn ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), ConnectionError> {
        self.charge(1)?;
        let Ok(payload) = payload.try_into() else {
            return Ok(());
        };
        match head.has(flag::ACK) {
            true => self.pong(payload),
            false => self.output.put_ping(flag::ACK, payload),
        }
        Ok(())
    }

    /// The client gave up a call.
    fn peer_reset(&mut self, stream: u32) -> Result<(), ConnectionError> {
        if self.is_idle(stream) {
            return Err(ConnectionError::protocol());
        }
        self.forget(stream);
        self.output.cancel_receipt(stream);
        self.charge(1)
    }

    fn window_update(&mut self, id: u32, increment: i64) -> Result<(), ConnectionError> {
        self.charge(1)?;
        if id == 0 {
            self.send_window += increment;
            if increment == 0 {
                return Err(ConnectionError::protocol());
            }
            if !Self::window_is_valid(self.send_window) {
                return Err(flow_control());
            }
            self.flush_blocked();
            return Ok(());
        }
        if self.is_idle(id) {
            return Err(ConnectionError::protocol());
        }
        let Some(stream) = self.streams.get_mut(id) else {
            return Ok(());
        };
        stream.send_credit += increment;
        if increment == 0 {
            self.reset(id, ErrorCode::Protocol);
        } else if !Self::window_is_valid(self.peer.initial_window + stream.send_credit) {
            self.service.rejected(Rejection::FlowControlError);
            self.reset(id, ErrorCode::FlowControl);
        } else {
            self.flush(id);
        }
        Ok(())
    }
}

fn flow_control() -> ConnectionError {
    ConnectionError(ErrorCode::FlowControl, Rejection::FlowControlError)
}
