//! How often each heap is asked for memory, from its count of allocations between two moments.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::snapshot::Heap;

/// What is looked back on.
const SPAN: Duration = Duration::from_secs(2);
/// Between two samples.
const STEP: Duration = Duration::from_millis(100);
/// The shortest time from which a rate is told.
const SHORTEST: Duration = Duration::from_millis(500);
/// Heaps that are followed.
const KEPT: usize = 64;

/// The last two seconds of every heap's count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    /// By the heap's id.
    heaps: BTreeMap<String, VecDeque<(Duration, u32)>>,
}

impl Pace {
    /// Takes each heap's count at `at`, and says in `heaps` how many allocations a second that makes.
    pub fn follow(&mut self, at: Duration, heaps: &mut [Heap]) {
        self.heaps.retain(|id, _| heaps.iter().any(|heap| heap.id() == *id && heap.allocations.is_some()));
        for heap in heaps {
            let Some(count) = heap.allocations else { continue };
            let id = heap.id();
            if self.heaps.len() >= KEPT && !self.heaps.contains_key(&id) {
                continue;
            }
            let samples = self.heaps.entry(id).or_default();
            if samples.back().is_none_or(|(last, _)| at.saturating_sub(*last) >= STEP) {
                samples.push_back((at, count));
            }
            // One sample from before the span is kept, so that all of the span is covered.
            while samples.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= SPAN) {
                samples.pop_front();
            }
            heap.alloc_rate = samples.front().and_then(|(first, before)| {
                let time = at.saturating_sub(*first);
                // The count wraps, and its difference stays right.
                (time >= SHORTEST).then(|| f64::from(count.wrapping_sub(*before)) / time.as_secs_f64())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;

    /// The rate after looks at those milliseconds, with those counts.
    fn check(looks: &[(u64, u32)], expected: Option<f64>) {
        let mut pace = Pace::default();
        let mut heap = Heap::unknown("heap", Region::new(0x2000_0000, 0x1000));
        for (millis, count) in looks {
            heap.allocations = Some(*count);
            pace.follow(Duration::from_millis(*millis), std::slice::from_mut(&mut heap));
        }
        assert_eq!(heap.alloc_rate, expected, "{looks:?}");
    }

    #[test]
    fn a_rate_is_told_from_half_a_second_on_over_the_last_two() {
        check(&[(0, 0)], None);
        check(&[(0, 0), (400, 8)], None);
        check(&[(0, 0), (400, 8), (500, 10)], Some(20.0));
        check(&[(0, u32::MAX - 4), (1000, 5)], Some(10.0));
        // What was long ago does not count, and a heap that rests comes to nothing.
        check(&[(0, 0), (1000, 100), (2000, 200), (3000, 210), (4000, 220)], Some(10.0));
        check(&[(0, 0), (1000, 100), (2000, 100), (3000, 100)], Some(0.0));
    }

    #[test]
    fn what_nobody_counts_has_no_rate() {
        let mut heap = Heap::unknown("heap", Region::new(0x2000_0000, 0x1000));
        let mut pace = Pace::default();
        for second in 0..3 {
            pace.follow(Duration::from_secs(second), std::slice::from_mut(&mut heap));
        }
        assert_eq!(heap.alloc_rate, None);
    }
}
