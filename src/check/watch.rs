//! What a run showed from its start to its end: the worst of each stack and heap, resets and threads that end included.

use std::collections::BTreeMap;

use super::trend::Trend;
use crate::model::Model;
use crate::model::alert::AlertKind;
use crate::model::snapshot::{Health, Trust};

/// The most stacks that are kept: far more than a microcontroller has threads.
const MAX_STACKS: usize = 4096;

/// The most heaps that are kept.
const MAX_HEAPS: usize = 1024;

/// The worst of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// By name and first address: threads of one name are told apart, and one that starts again is the same.
    pub(super) stacks: BTreeMap<(String, u32), StackSeen>,
    /// The same for heaps.
    pub(super) heaps: BTreeMap<(String, u32), HeapSeen>,
    /// The sentence of the first fault that the core recorded.
    pub(super) fault: Option<String>,
    /// Resets of the target.
    pub(super) resets: u32,
}

/// The worst of one stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StackSeen {
    pub(super) size: u32,
    /// The deepest use in bytes.
    pub(super) deepest: Option<u32>,
    /// What its newest mark is worth.
    pub(super) trust: Option<Trust>,
    pub(super) overflowed: bool,
    pub(super) victim: Option<String>,
}

/// The worst of one heap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HeapSeen {
    pub(super) size: u32,
    pub(super) peak: Option<u32>,
    pub(super) failures: Option<u32>,
    /// In percent.
    pub(super) fragmentation: Option<f64>,
    pub(super) used: Trend,
}

impl Watch {
    /// Takes what the model knows after a refresh.
    pub fn see(&mut self, model: &Model) {
        let snapshot = &model.snapshot;
        if snapshot.health != Health::Live {
            return;
        }
        if snapshot.epoch != self.resets {
            self.resets = snapshot.epoch;
            // What was in use before the reset is gone.
            for heap in self.heaps.values_mut() {
                heap.used = Trend::default();
            }
        }
        if self.fault.is_none() {
            let fault = model.active_alerts().find(|alert| alert.kind == AlertKind::Fault);
            self.fault = fault.map(|alert| alert.text.clone());
        }
        for stack in &snapshot.stacks {
            let key = (stack.name.clone(), stack.range.start());
            if self.stacks.len() >= MAX_STACKS && !self.stacks.contains_key(&key) {
                continue;
            }
            let seen = self.stacks.entry(key).or_default();
            seen.size = stack.range.size();
            seen.deepest = seen.deepest.max(stack.deepest().map(|deepest| deepest.bytes));
            seen.trust = stack.peak.map(|peak| peak.trust);
            if stack.overflowed && !seen.overflowed {
                seen.overflowed = true;
                seen.victim = stack.victim.as_ref().map(|victim| victim.name.clone());
            }
        }
        for heap in &snapshot.heaps {
            let key = (heap.name.clone(), heap.range.start());
            if self.heaps.len() >= MAX_HEAPS && !self.heaps.contains_key(&key) {
                continue;
            }
            let seen = self.heaps.entry(key).or_default();
            seen.size = heap.range.size();
            seen.peak = seen.peak.max(heap.peak.map(|peak| peak.bytes));
            seen.failures = seen.failures.max(heap.failures);
            let Some(used) = heap.used.filter(|used| used.trust == Trust::Exact) else { continue };
            seen.used.push(snapshot.at, used.bytes.into());
            let confirmed = heap.largest_free.is_some_and(|free| free.trust == Trust::Exact);
            if let Some(share) = heap.fragmentation().filter(|_| confirmed) {
                seen.fragmentation = Some(seen.fragmentation.map_or(100.0 * share, |worst| worst.max(100.0 * share)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::budgets::{Budgets, HeapBudget};
    use super::super::{Check, Verdict, check};
    use super::*;
    use crate::amount::Amount;
    use crate::model::snapshot::{Heap, Measured, Snapshot};
    use crate::model::testing;
    use crate::region::Region;
    use crate::report::Report;
    use crate::sampler::observation::{Facts, Observation};

    fn heap(start: u32, size: u32, used: u32) -> Heap {
        let used = Some(Measured { bytes: used, trust: Trust::Exact });
        Heap { used, peak: used, ..Heap::unknown("sys_heap", Region::new(start, size)) }
    }

    /// The leak's check of each heap after half a minute, in which the first one takes 8 B every 31.25 ms.
    fn leaks(idle: &[Heap]) -> Vec<Check> {
        let mut model = Model::new(testing::live(0));
        let mut watch = Watch::default();
        for step in 1..=960_u32 {
            let heaps = [heap(0x2000_1000, 0x8000, 1000 + 8 * step)].into_iter().chain(idle.iter().cloned());
            let at = Duration::from_micros(31_250 * u64::from(step));
            let snapshot = Snapshot { at, heaps: heaps.collect(), ..testing::live(0) };
            model.ingest(Observation { snapshot, facts: Facts::default() });
            watch.see(&model);
        }
        let every_heap = HeapBudget { leak: Some(Amount::Bytes(64)), ..HeapBudget::default() };
        let budgets = Budgets { every_heap, ..Budgets::default() };
        let outcome = check(&budgets, None, &Report::new(&model), Some(&watch)).expect("every name is there");
        outcome.checks.into_iter().filter(|check| check.rule == "leak").collect()
    }

    #[test]
    fn a_leak_does_not_hide_behind_an_idle_heap_of_the_same_name() {
        let told = |checks: Vec<Check>| -> Vec<_> {
            checks.iter().map(|check| (check.start, check.found, check.verdict)).collect()
        };
        let growing = (Some(0x2000_1000), Some(15_360.0), Verdict::Failed);
        assert_eq!(told(leaks(&[])), [growing]);
        let quiet = (Some(0x2001_0000), Some(0.0), Verdict::Passed);
        assert_eq!(told(leaks(&[heap(0x2001_0000, 0x400, 500)])), [growing, quiet]);
    }
}
