//! Bounded series of what was measured, one for each stack and heap, with gaps where nothing was.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples kept of a series: a minute at 30 Hz and more at lower rates.
pub const CAPACITY: usize = 2048;

/// One series: ascending times, bounded, the oldest dropped first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    samples: VecDeque<(Duration, Option<f64>)>,
}

impl Series {
    /// Adds a sample; `None` is a gap: nothing was measured then.
    pub fn push(&mut self, at: Duration, value: Option<f64>) {
        if self.samples.len() == CAPACITY {
            self.samples.pop_front();
        }
        self.samples.push_back((at, value));
    }

    /// The samples, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Duration, Option<f64>)> + '_ {
        self.samples.iter().copied()
    }

    /// The newest value that is not a gap.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.samples.iter().rev().find_map(|(_, value)| *value)
    }

    /// The largest value in each of `columns` equal slices of the last `span` before `now`, oldest first; `None`
    /// where nothing was measured.
    #[must_use]
    pub fn columns(&self, now: Duration, span: Duration, columns: usize) -> Vec<Option<f64>> {
        let mut slices = vec![None; columns];
        if columns == 0 || span.is_zero() {
            return slices;
        }
        let start = now.as_secs_f64() - span.as_secs_f64();
        for (at, value) in self.iter() {
            let share = (at.as_secs_f64() - start) / span.as_secs_f64();
            if !(0.0..=1.0).contains(&share) {
                continue;
            }
            let column = ((share * columns as f64) as usize).min(columns - 1);
            if let Some(value) = value {
                slices[column] = Some(slices[column].map_or(value, |old: f64| old.max(value)));
            }
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_bounded_and_keeps_its_gaps() {
        let mut series = Series::default();
        for second in 0..3000u32 {
            series.push(Duration::from_secs(second.into()), (second % 2 == 0).then_some(f64::from(second)));
        }
        assert_eq!(series.iter().count(), CAPACITY);
        assert_eq!(series.last(), Some(2998.0));
    }

    #[test]
    fn columns_take_the_largest_and_leave_gaps_open() {
        let mut series = Series::default();
        for (second, value) in [(0, Some(1.0)), (1, Some(5.0)), (2, Some(2.0)), (9, None), (10, Some(3.0))] {
            series.push(Duration::from_secs(second), value);
        }
        let columns = series.columns(Duration::from_secs(10), Duration::from_secs(10), 5);
        assert_eq!(columns, [Some(5.0), Some(2.0), None, None, Some(3.0)]);
    }
}
