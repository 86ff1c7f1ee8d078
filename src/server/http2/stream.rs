//! A stream: one call between its first and its last byte.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::limits::STREAM_WINDOW;
use super::message::MessageEncoding;
use super::service::CallHead;

/// Streams that were reset are remembered, so that frames that were on their way are not held against
/// the client. This many are enough for what fits into the connection's window.
const MAX_ENDED: usize = 1_024;

/// What becomes of a stream's body.
#[derive(Debug)]
pub(super) enum CallBody {
    /// The message of a unary call.
    Unary(CallHead),
    /// Handed on as it comes.
    Exchange,
    /// Dropped; the request is of no service.
    Unknown {
        /// Whether it may be a gRPC call: a POST.
        is_call: bool,
    },
}

/// One open stream.
#[derive(Debug)]
pub(super) struct CallStream<R> {
    pub(super) body: CallBody,
    pub(super) encoding: MessageEncoding,
    pub(super) content_length: Option<u64>,
    pub(super) received: u64,
    /// Whether the client has sent everything.
    pub(super) is_received: bool,
    pub(super) receive_window: i64,
    /// The window for sending is the peer's initial window and this.
    pub(super) send_credit: i64,
    pub(super) opened: Instant,
    /// What has come of a message that does not come at once.
    pub(super) message: Vec<u8>,
    /// Bytes of the budget that the stream uses.
    pub(super) reserved: usize,
    /// What waits for the client's windows, if an answer was begun.
    pub(super) outgoing: Option<Box<OutgoingAnswer<R>>>,
    /// Whether something outside works on the answer, and must hear when the stream is gone.
    pub(super) is_driven: bool,
}

/// A part of an answer that waits for room in the client's windows.
#[derive(Debug)]
pub(super) struct OutgoingAnswer<R> {
    pub(super) data: Vec<u8>,
    pub(super) sent: usize,
    pub(super) tail: AnswerTail,
    /// Whether the stream is in the queue of blocked ones.
    pub(super) is_queued: bool,
    /// When it first found no room.
    pub(super) blocked: Option<Instant>,
    pub(super) receipt: Option<R>,
}

impl<R> Default for OutgoingAnswer<R> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            sent: 0,
            tail: AnswerTail::Open,
            is_queued: false,
            blocked: None,
            receipt: None,
        }
    }
}

/// What follows the data.
#[derive(Debug, Default)]
pub(super) enum AnswerTail {
    /// More data.
    #[default]
    Open,
    /// The status OK.
    Ok,
    /// The end of the stream alone.
    End,
    /// This header block, of literals.
    Block(Vec<u8>),
}

impl<R> CallStream<R> {
    pub(super) fn new(body: CallBody, now: Instant) -> Self {
        Self {
            body,
            encoding: MessageEncoding::default(),
            content_length: None,
            received: 0,
            is_received: false,
            receive_window: STREAM_WINDOW,
            send_credit: 0,
            opened: now,
            message: Vec::new(),
            reserved: 0,
            outgoing: None,
            is_driven: false,
        }
    }

    /// Whether the body is not what `content-length` said, as far as it has come.
    pub(super) fn contradicts_length(&self) -> bool {
        self.content_length
            .is_some_and(|length| match self.is_received {
                true => self.received != length,
                false => self.received > length,
            })
    }
}

/// The open streams of a connection, and those that ended lately.
#[derive(Debug)]
pub(super) struct StreamTable<R> {
    open: HashMap<u32, CallStream<R>, foldhash::fast::RandomState>,
    /// Streams that the server ended before the client did.
    ended: VecDeque<u32>,
}

impl<R> StreamTable<R> {
    pub(super) fn new() -> Self {
        Self {
            open: HashMap::default(),
            ended: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut CallStream<R>> {
        self.open.get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: u32, stream: CallStream<R>) {
        self.open.insert(id, stream);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<CallStream<R>> {
        self.open.remove(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &CallStream<R>)> {
        self.open.iter().map(|(id, stream)| (*id, stream))
    }

    /// Forgets all of them, and frees their memory.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Frees the memory of a table that was large and is empty.
    pub(super) fn shrink(&mut self) {
        if self.open.is_empty() && self.open.capacity() > 128 {
            self.open.shrink_to_fit();
        }
    }

    /// Remembers a stream that the client may still be sending on.
    pub(super) fn push_ended(&mut self, id: u32) {
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(id);
    }

    /// Whether the server ended that stream lately.
    pub(super) fn has_ended(&self, id: u32) -> bool {
        self.ended.contains(&id)
    }
}
