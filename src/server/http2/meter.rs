//! A bound on frames that cost the server work and bring it none.

use std::time::Instant;

use super::limits::Http2Limits;

/// An allowance of frames, which time and answered calls refill.
///
/// One meter for all kinds: a client that resets every call is as wrong as one that only pings, and both
/// are right while they also make calls that get answers.
#[derive(Debug)]
pub(super) struct FrameMeter {
    left: u32,
    refilled: Instant,
}

impl FrameMeter {
    pub(super) fn new(limits: &Http2Limits, now: Instant) -> Self {
        Self {
            left: limits.frame_allowance,
            refilled: now,
        }
    }

    /// Charges a frame; false when the allowance is used up.
    pub(super) fn charge(&mut self, frames: u32, limits: &Http2Limits, now: Instant) -> bool {
        if let Some(left) = self.left.checked_sub(frames) {
            self.left = left;
            return true;
        }
        let elapsed = now.saturating_duration_since(self.refilled);
        let earned = elapsed.as_secs_f64() * f64::from(limits.frames_per_second);
        // A float beyond the range of u32 becomes its largest value.
        self.refill(earned as u32, limits);
        self.refilled = now;
        match self.left.checked_sub(frames) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// A call was answered.
    pub(super) fn earn(&mut self, limits: &Http2Limits) {
        self.refill(limits.frames_per_call, limits);
    }

    fn refill(&mut self, frames: u32, limits: &Http2Limits) {
        self.left = self.left.saturating_add(frames).min(limits.frame_allowance);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_and_calls_refill_the_allowance() {
        let limits = Http2Limits {
            frame_allowance: 10,
            frames_per_second: 5,
            frames_per_call: 2,
            ..Http2Limits::default()
        };
        let start = tokio::time::Instant::now().into_std();
        let mut meter = FrameMeter::new(&limits, start);
        assert!((0..10).all(|_| meter.charge(1, &limits, start)));
        assert!(!meter.charge(1, &limits, start));
        meter.earn(&limits);
        assert!(meter.charge(2, &limits, start) && !meter.charge(1, &limits, start));
        let later = start + Duration::from_secs(1);
        assert!(meter.charge(5, &limits, later) && !meter.charge(1, &limits, later));
        let much_later = start + Duration::from_secs(1_000_000);
        assert!(meter.charge(10, &limits, much_later) && !meter.charge(1, &limits, much_later));
    }
}
