//! A load on a server of ours, on loopback, bounded in count and time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::keys::{Choice, Keys};
use crate::message::Template;
use crate::wire::{Event, Wire};

const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// A run ends after this whatever happens.
const LONGEST: Duration = Duration::from_secs(240);

/// What is asked, by whom, and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) template: Template,
    pub(crate) choice: Choice,
    pub(crate) pace: Pace,
}

/// How fast.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many calls, each connection having so many under way.
    Closed { calls: u64, streams: usize },
    /// So many calls a second for so long, whether answers come or not: latency counts from the moment a call was due.
    Open { rate: f64, lasts: Duration },
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) elapsed: Duration,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

/// One connection and its calls.
struct Line {
    socket: TcpStream,
    wire: Wire,
    keys: Keys,
    template: Template,
    /// When each call was due, by its stream's number.
    due: Vec<Instant>,
    sent: u64,
    under_way: usize,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be reached or closes a connection.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn run(load: &Load) -> io::Result<Outcome> {
    let mut lines = (0..load.connections)
        .map(|index| Line::connect(load, index as u64 + 1))
        .collect::<io::Result<Vec<_>>>()?;
    let mut buffer = vec![0; 65_536];
    let start = Instant::now();
    let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
    let mut outcome = Outcome {
        answered: 0,
        failed: 0,
        elapsed: Duration::ZERO,
        latency: histogram,
    };
    let each = |total: f64| total / load.connections as f64;
    while start.elapsed() < LONGEST {
        for line in &mut lines {
            let now = Instant::now();
            match load.pace {
                Pace::Closed { calls, streams } => {
                    while line.under_way < streams
                        && (line.sent as f64) < each(calls as f64)
                        && line.ask(now)
                    {}
                }
                Pace::Open { rate, lasts } => {
                    let until = now.duration_since(start).min(lasts).as_secs_f64();
                    while (line.sent as f64) < each(rate * until) {
                        let due = start + Duration::from_secs_f64(line.sent as f64 / each(rate));
                        if !line.ask(due) {
                            break;
                        }
                    }
                }
            }
            line.write()?;
            line.read(&mut buffer, &mut outcome)?;
        }
        let all_sent = match load.pace {
            Pace::Closed { calls, .. } => lines
                .iter()
                .all(|line| line.sent as f64 >= each(calls as f64)),
            Pace::Open { lasts, .. } => start.elapsed() >= lasts,
        };
        if all_sent && lines.iter().all(|line| line.under_way == 0) {
            break;
        }
        wait(&lines, load.pace)?;
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// Waits until there is something to read, or the next calls are due.
fn wait(lines: &[Line], pace: Pace) -> io::Result<()> {
    let mut polled: Vec<_> = lines
        .iter()
        .map(|line| {
            let writes = if line.wire.out.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            PollFd::new(&line.socket, PollFlags::IN | writes)
        })
        .collect();
    let nanos = match pace {
        Pace::Closed { .. } => 100_000_000,
        Pace::Open { .. } => 50_000,
    };
    poll(
        &mut polled,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: nanos,
        }),
    )?;
    Ok(())
}

impl Line {
    fn connect(load: &Load, seed: u64) -> io::Result<Self> {
        let socket = TcpStream::connect(load.server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            wire: Wire::new(PATH),
            keys: Keys::new(load.choice, seed),
            template: load.template.clone(),
            due: Vec::new(),
            sent: 0,
            under_way: 0,
        })
    }

    /// Asks once; false if the server takes nothing now.
    fn ask(&mut self, due: Instant) -> bool {
        let message = self.template.of(self.keys.next());
        if !self.wire.takes(message) {
            return false;
        }
        self.wire.call(message);
        self.due.push(due);
        self.sent += 1;
        self.under_way += 1;
        true
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.wire.out.is_empty() {
            match self.socket.write(&self.wire.out) {
                Ok(written) => drop(self.wire.out.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has come, through a buffer that all lines share.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn read(&mut self, buffer: &mut [u8], outcome: &mut Outcome) -> io::Result<()> {
        loop {
            let length = match self.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let (due, under_way) = (&self.due, &mut self.under_way);
            let now = Instant::now();
            self.wire.receive(&buffer[..length], |event| match event {
                Event::Answered { stream } => {
                    let latency = now.duration_since(due[stream as usize / 2]);
                    outcome.latency.saturating_record(latency.as_nanos() as u64);
                    outcome.answered += 1;
                    *under_way -= 1;
                }
                Event::Failed => {
                    outcome.failed += 1;
                    *under_way = under_way.saturating_sub(1);
                }
            });
            if length < buffer.len() {
                return Ok(());
            }
        }
    }
}
