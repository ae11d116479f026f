//! What share of the time each thread ran, from counters that a kernel keeps of each.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long is counted for one share: shorter, and a thread that runs now and then flickers.
const WINDOW: Duration = Duration::from_secs(1);

/// How long a thread ran since it began, in whatever unit its kernel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Counter {
    /// The count.
    pub(in crate::kernel) value: u64,
    /// Whether it wraps at 32 bits; else at 64.
    pub(in crate::kernel) wraps_at_32: bool,
}

impl Counter {
    fn since(self, before: Counter) -> u64 {
        let passed = self.value.wrapping_sub(before.value);
        if self.wraps_at_32 { passed & u64::from(u32::MAX) } else { passed }
    }
}

/// The shares of all threads over the last second or so.
#[derive(Clone, Debug, Default)]
pub(in crate::kernel) struct Load {
    before: Option<(Duration, BTreeMap<String, Counter>)>,
    shares: BTreeMap<String, f32>,
}

impl Load {
    /// Takes the counters of all threads by their ids.
    pub(in crate::kernel) fn update(&mut self, now: Duration, counters: impl Iterator<Item = (String, Counter)>) {
        if self.before.as_ref().is_some_and(|(at, _)| now.saturating_sub(*at) < WINDOW) {
            return;
        }
        let counters: BTreeMap<String, Counter> = counters.collect();
        if let Some((_, before)) = &self.before {
            let ran: BTreeMap<&String, u64> =
                counters.iter().filter_map(|(id, counter)| Some((id, counter.since(*before.get(id)?)))).collect();
            let all = ran.values().fold(0u64, |sum, ran| sum.saturating_add(*ran));
            self.shares = match all {
                0 => BTreeMap::new(),
                all => ran.into_iter().map(|(id, ran)| (id.clone(), (ran as f64 / all as f64) as f32)).collect(),
            };
        }
        self.before = Some((now, counters));
    }

    /// The share of one thread, from 0 to 1; `None` when its kernel does not count, or not long enough yet.
    pub(in crate::kernel) fn share(&self, id: &str) -> Option<f32> {
        self.shares.get(id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_was_counted_since_and_counters_may_wrap() {
        let count = |value, wraps_at_32| Counter { value, wraps_at_32 };
        let all = |a: u64, b: u64| vec![("a".to_owned(), count(a, true)), ("b".to_owned(), count(b, true))].into_iter();
        let mut load = Load::default();
        load.update(Duration::ZERO, all(u64::from(u32::MAX) - 9, 100));
        assert_eq!(load.share("a"), None);
        load.update(Duration::from_millis(500), all(1 << 20, 1 << 20));
        assert_eq!(load.share("a"), None, "the window is not over");
        load.update(Duration::from_secs(1), all(20, 190));
        assert_eq!((load.share("a"), load.share("b")), (Some(0.25), Some(0.75)));
        load.update(Duration::from_secs(3), all(20, 190));
        assert_eq!(load.share("a"), None, "nothing was counted: nothing is said");
    }
}
