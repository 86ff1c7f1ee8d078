//! A load generator for a server on loopback, bounded in calls and time.
//!
//! The generator is one thread with a lower priority than the server: it wakes when answers arrive, reads all of them,
//! and starts the next calls of a connection with one write. `docs/decisions/0003-measure-by-pairs-and-by-processor-time.md`
//! compares its cost with that of h2load.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::keys::{Choice, Keys};
use crate::line::Line;
use crate::message::Template;
use crate::processor;

/// The longest time that a run may take.
const LONGEST: Duration = Duration::from_secs(240);

/// The calls of a run, their clients and their rate.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) template: Template,
    pub(crate) choice: Choice,
    pub(crate) pace: Pace,
}

/// The rate of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// At most `calls` calls, or those answered within `lasts`; each connection has `streams` in flight.
    Closed {
        calls: u64,
        lasts: Duration,
        streams: usize,
    },
    /// `rate` calls per second for `lasts`, independent of answers: latency is measured from the time a call was due.
    Open { rate: f64, lasts: Duration },
}

/// The result of a run.
pub(crate) struct Outcome {
    /// Calls that have ended in any way.
    pub(crate) ended: u64,
    /// Answers.
    pub(crate) messages: u64,
    /// Answers with OVER_LIMIT.
    pub(crate) refused: u64,
    /// Calls and connections that the server aborted.
    pub(crate) cut_off: u64,
    pub(crate) elapsed: Duration,
    /// Processor time of the generator.
    pub(crate) generator: Duration,
    /// In nanoseconds; open loop only.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// Calls without an answer.
    pub(crate) fn failed(&self) -> u64 {
        self.ended.abs_diff(self.messages) + self.cut_off
    }
}

/// Runs a load.
///
/// # Errors
/// When the server cannot be reached or closes a connection.
pub(crate) fn run(load: &Load) -> io::Result<Outcome> {
    let generator = |load: &Load| {
        if let Pace::Closed { .. } = load.pace {
            // The server has priority on a shared core. If that is not permitted, both have the same priority.
            let _ = rustix::process::nice(10);
        }
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let before = processor::of_this_thread()?;
        let mut outcome = generate(load)?;
        outcome.generator = processor::of_this_thread()? - before;
        Ok(outcome)
    };
    thread::scope(|scope| scope.spawn(|| generator(load)).join())
        .unwrap_or_else(|_| Err(io::Error::other("the generator has panicked")))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn generate(load: &Load) -> io::Result<Outcome> {
    let connect = |index| {
        let keys = Keys::new(load.choice, index as u64 + 1);
        Line::connect(load.server, load.template.clone(), keys)
    };
    let mut lines = (0..load.connections)
        .map(connect)
        .collect::<io::Result<Vec<_>>>()?;
    let mut outcome = Outcome {
        ended: 0,
        messages: 0,
        refused: 0,
        cut_off: 0,
        elapsed: Duration::ZERO,
        generator: Duration::ZERO,
        latency: Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?,
    };
    let mut readable = vec![false; lines.len()];
    let mut sent = 0;
    let mut round = 0;
    let start = Instant::now();
    loop {
        let elapsed = start.elapsed();
        if let Pace::Open { rate, lasts } = load.pace {
            let count = lines.len();
            sent += ask_due(
                &mut lines[round % count],
                rate,
                start,
                elapsed.min(lasts),
                sent,
            );
            round += 1;
        }
        for (line, readable) in lines.iter_mut().zip(&readable) {
            if *readable {
                line.read(&mut outcome)?;
            }
            if let Pace::Closed {
                calls,
                lasts,
                streams,
            } = load.pace
                && elapsed < lasts
            {
                sent += refill(line, streams, calls - sent);
            }
            line.write()?;
        }
        let all_sent = match load.pace {
            Pace::Closed { calls, lasts, .. } => sent >= calls || elapsed >= lasts,
            Pace::Open { lasts, .. } => elapsed >= lasts,
        };
        let all_answered = lines.iter().all(|line| line.under_way == 0);
        if (all_sent && all_answered) || elapsed > LONGEST {
            break;
        }
        wait(&lines, &mut readable, load.pace)?;
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// Starts calls on a connection until `streams` are in flight. Returns the number of calls started.
fn refill(line: &mut Line, streams: usize, at_most: u64) -> u64 {
    let before = line.sent;
    // Half of them at once keeps batches large, whatever the scheduling of threads.
    if line.under_way <= streams / 2 {
        while line.under_way < streams && line.sent - before < at_most && line.ask() {}
    }
    line.sent - before
}

/// Starts the calls that are due, all on one connection, next time on the next. Returns the number of calls started.
fn ask_due(line: &mut Line, rate: f64, start: Instant, elapsed: Duration, sent: u64) -> u64 {
    let mut asked = 0;
    while ((sent + asked) as f64) < rate * elapsed.as_secs_f64() {
        let due = start + Duration::from_secs_f64((sent + asked) as f64 / rate);
        if !line.ask_due(due) {
            break;
        }
        asked += 1;
    }
    asked
}

/// Waits until there is data to read, or the next calls are due.
fn wait(lines: &[Line], readable: &mut [bool], pace: Pace) -> io::Result<()> {
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
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: nanos,
    };
    poll(&mut polled, Some(&timeout))?;
    for (readable, polled) in readable.iter_mut().zip(&polled) {
        *readable = polled
            .revents()
            .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    }
    Ok(())
}
