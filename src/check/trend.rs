//! How fast something grows that also goes up and down all the time.
//!
//! Bytes in use of a heap rise and fall with the work that is done. What leaks stays, so it is the least in use that
//! rises. The time is cut into quarters after a first part that is left out, because a firmware that starts takes memory
//! and keeps it; a line is laid through the least of each quarter.

use std::time::Duration;

/// The most slots that are kept; when time runs past them, two become one.
const SLOTS: usize = 128;
/// The time of one slot at first, in seconds.
const FIRST_SLOT: f64 = 0.125;
/// The shortest run that a rate is told of, in seconds.
const SHORTEST: f64 = 8.0;
/// The share of the run that is left out at its start: one part of this many.
const LEFT_OUT: usize = 5;
/// Parts of the rest.
const PARTS: usize = 4;

/// The least value in each slot of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trend {
    start: Option<f64>,
    slot: f64,
    least: Vec<Option<f64>>,
}

impl Default for Trend {
    fn default() -> Self {
        Self { start: None, slot: FIRST_SLOT, least: Vec::new() }
    }
}

impl Trend {
    /// Takes a value; times ascend.
    pub(super) fn push(&mut self, at: Duration, value: f64) {
        let at = at.as_secs_f64();
        let since = (at - *self.start.get_or_insert(at)).max(0.0);
        while (since / self.slot) as usize >= SLOTS {
            self.slot *= 2.0;
            self.least = self.least.chunks(2).map(least).collect();
        }
        let index = (since / self.slot) as usize;
        if index >= self.least.len() {
            self.least.resize(index + 1, None);
        }
        let slot = &mut self.least[index];
        *slot = Some(slot.map_or(value, |least| least.min(value)));
    }

    /// How much the least in use grows in a minute; `None` when the run was too short to tell, or nothing was measured in
    /// some part of it.
    #[must_use]
    pub(super) fn per_minute(&self) -> Option<f64> {
        if self.least.len() as f64 * self.slot < SHORTEST {
            return None;
        }
        let rest = &self.least[self.least.len() / LEFT_OUT..];
        let edge = |part: usize| rest.len() * part / PARTS;
        let least: Option<Vec<f64>> = (0..PARTS).map(|part| least(&rest[edge(part)..edge(part + 1)])).collect();
        let apart = rest.len() as f64 / PARTS as f64 * self.slot;
        Some(slope(&least?) / apart * 60.0)
    }
}

fn least(slots: &[Option<f64>]) -> Option<f64> {
    slots.iter().copied().flatten().reduce(f64::min)
}

/// The slope of the line of least squares through values one step apart.
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let steps = || values.iter().enumerate().map(|(index, value)| (index as f64 - middle, value - mean));
    steps().map(|(x, y)| x * y).sum::<f64>() / steps().map(|(x, _)| x * x).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in use that saw up and down every three seconds, and grow by `leak` in a second.
    fn run(seconds: u32, leak: f64) -> Trend {
        let mut trend = Trend::default();
        for tenth in 0..seconds * 10 {
            let at = f64::from(tenth) / 10.0;
            trend.push(Duration::from_secs_f64(at), 10_000.0 + 5000.0 * (at % 3.0) / 3.0 + leak * at);
        }
        trend
    }

    #[test]
    fn a_leak_is_told_from_the_work_that_is_done() {
        for (seconds, leak) in [(20, 100.0), (30, 10.0), (120, 1.0), (4000, 0.5)] {
            let found = run(seconds, leak).per_minute().expect("it is long enough");
            let error = (found - leak * 60.0).abs();
            assert!(error < 0.2 * leak * 60.0 + 1.0, "{seconds} s at {leak} B/s: {found} B/min");
            let found = run(seconds, 0.0).per_minute().expect("it is long enough");
            assert!(found.abs() < 1.0, "{seconds} s without a leak: {found} B/min");
        }
    }

    #[test]
    fn memory_that_is_taken_at_the_start_is_no_leak() {
        let mut trend = Trend::default();
        for second in 0..30 {
            trend.push(Duration::from_secs(second), if second < 4 { 1000.0 * second as f64 } else { 4000.0 });
        }
        assert_eq!(trend.per_minute(), Some(0.0));
    }

    #[test]
    fn too_little_is_no_rate() {
        assert_eq!(Trend::default().per_minute(), None);
        assert_eq!(run(5, 100.0).per_minute(), None);
        let mut gap = Trend::default();
        gap.push(Duration::ZERO, 1.0);
        gap.push(Duration::from_secs(60), 1.0);
        assert_eq!(gap.per_minute(), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut trend = Trend::default();
        for second in 0..10_000 {
            trend.push(Duration::from_secs(second * 60), 5.0);
            assert!(trend.least.len() <= SLOTS);
        }
    }
}
