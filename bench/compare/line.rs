//! One connection of the load generator, and its calls.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::keys::Keys;
use crate::load::Outcome;
use crate::message::Template;
use crate::wire::{Event, Wire};

const BUFFER_BYTES: usize = 64 * 1024;

/// A connection to the server under load.
pub(crate) struct Line {
    pub(crate) socket: TcpStream,
    pub(crate) wire: Wire,
    keys: Keys,
    buffer: Vec<u8>,
    /// Length of the incomplete frame at the beginning of the buffer.
    begun: usize,
    /// When calls were due, from the oldest one in flight; `None` for those that have ended. Open loop only.
    due: VecDeque<Option<Instant>>,
    /// The stream of the first of these calls.
    oldest: u32,
    pub(crate) sent: u64,
    pub(crate) under_way: usize,
}

impl Line {
    pub(crate) fn connect(server: SocketAddr, message: Template, keys: Keys) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            wire: Wire::new(message),
            keys,
            buffer: vec![0; BUFFER_BYTES],
            begun: 0,
            due: VecDeque::new(),
            oldest: 1,
            sent: 0,
            under_way: 0,
        })
    }

    /// Starts a call. Returns false if the server does not accept another one yet.
    pub(crate) fn ask(&mut self) -> bool {
        let takes_one = self.wire.takes_one();
        if takes_one {
            self.wire.call(self.keys.next());
            self.sent += 1;
            self.under_way += 1;
        }
        takes_one
    }

    /// Starts a call whose latency is measured from the time at which it was due.
    pub(crate) fn ask_due(&mut self, due: Instant) -> bool {
        let asked = self.ask();
        if asked {
            self.due.push_back(Some(due));
        }
        asked
    }

    pub(crate) fn write(&mut self) -> io::Result<()> {
        let out = &mut self.wire.out;
        while !out.is_empty() {
            match self.socket.write(out) {
                Ok(written) if written == out.len() => out.clear(),
                Ok(written) => drop(out.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what the server has sent.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    pub(crate) fn read(&mut self, outcome: &mut Outcome) -> io::Result<()> {
        loop {
            let length = match self.socket.read(&mut self.buffer[self.begun..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let filled = self.begun + length;
            let was_full = filled == self.buffer.len();
            let now = (!self.due.is_empty()).then(Instant::now);
            let (due, oldest, under_way) = (&mut self.due, self.oldest, &mut self.under_way);
            let taken = self
                .wire
                .receive(&self.buffer[..filled], |event| match event {
                    Event::Message { refused } => {
                        outcome.messages += 1;
                        outcome.refused += u64::from(refused);
                    }
                    Event::Ended { stream } => {
                        outcome.ended += 1;
                        *under_way -= 1;
                        let due = due
                            .get_mut((stream - oldest) as usize / 2)
                            .and_then(Option::take);
                        if let (Some(now), Some(due)) = (now, due) {
                            let latency = now.duration_since(due).as_nanos() as u64;
                            outcome.latency.saturating_record(latency);
                        }
                    }
                    Event::CutOff => {
                        outcome.cut_off += 1;
                        *under_way = under_way.saturating_sub(1);
                    }
                });
            while let Some(None) = self.due.front() {
                self.due.pop_front();
                self.oldest += 2;
            }
            self.buffer.copy_within(taken..filled, 0);
            self.begun = filled - taken;
            if !was_full {
                return Ok(());
            }
        }
    }
}
