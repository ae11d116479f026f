//! What a run showed from its start to its end: the worst of each stack and heap, resets and threads that end included.

use std::collections::BTreeMap;

use super::trend::Trend;
use super::worth::Worth;
use crate::model::Model;
use crate::model::alert::{self, Alert, AlertKind, Severity};
use crate::model::snapshot::{Health, Heap, Measured, Stack, Trust};

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
    /// The sentence of the first fault that the core recorded, or of its lockup.
    pub(super) fault: Option<String>,
    /// The core's fault registers could be read, up to the end of each epoch.
    pub(super) faults_read: Throughout,
    /// What differs between the ELF and the target.
    pub(super) wrong_elf: Option<String>,
    /// Resets of the target.
    pub(super) resets: u32,
    /// It is memory that was saved: no time passed in it.
    pub(super) saved: bool,
    seen: bool,
}

/// The worst of one stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StackSeen {
    pub(super) size: u32,
    /// The deepest use in bytes.
    pub(super) deepest: Worst,
    pub(super) overflowed: bool,
    pub(super) victim: Option<String>,
    /// The word at its limit was as it was left.
    pub(super) limit_whole: Throughout,
    pub(super) life: Option<Life>,
}

/// The worst of one heap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HeapSeen {
    pub(super) size: u32,
    pub(super) peak: Worst,
    pub(super) failures: Option<u32>,
    /// In percent.
    pub(super) fragmentation: Option<f64>,
    pub(super) used: Trend,
    /// The sentence of the first damage.
    pub(super) damage: Option<String>,
    /// Its structures were walked to their end.
    pub(super) walked: Throughout,
    pub(super) life: Option<Life>,
}

/// From a reset or the start of a thread to the next: figures begin anew with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Life {
    epoch: u32,
    id: String,
    /// Who tells of it: before the kernel is set up it is the ELF alone.
    kernel: Option<String>,
}

impl Life {
    fn of(model: &Model, id: &str) -> Self {
        let snapshot = &model.snapshot;
        Self { epoch: snapshot.epoch, id: id.to_owned(), kernel: snapshot.target.kernel.clone() }
    }

    /// Whether another life began, and not only somebody else who tells of the same.
    fn ends(&self, next: &Self) -> bool {
        self.epoch != next.epoch || self.kernel == next.kernel && self.id != next.id
    }
}

/// Whether something held at the last look at each life: only then is it true of the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Throughout {
    now: bool,
    missed: bool,
}

impl Throughout {
    fn see(&mut self, holds: bool) {
        self.now = holds;
    }

    fn end_life(&mut self) {
        self.missed |= !self.now;
        self.now = false;
    }

    /// Whether it did.
    pub(super) fn holds(self) -> bool {
        self.now && !self.missed
    }
}

/// The most that was seen of something that only grows while its owner lives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Worst {
    bytes: Option<u32>,
    /// What the number of the life that is watched was worth at last.
    newest: Option<Trust>,
    /// A life ended before its number was known for certain.
    missed: bool,
}

impl Worst {
    fn see(&mut self, found: Option<Measured>) {
        self.bytes = self.bytes.max(found.map(|found| found.bytes));
        self.newest = found.map(|found| found.trust);
    }

    fn end_life(&mut self) {
        self.missed |= self.newest != Some(Trust::Exact);
        self.newest = None;
    }

    /// The most of all lives, in bytes.
    pub(super) fn bytes(self) -> Option<u32> {
        self.bytes
    }

    /// What that says of the most there was.
    pub(super) fn worth(self) -> Worth {
        match self.newest.map(Worth::of_most) {
            Some(Worth::Exact) if !self.missed => Worth::Exact,
            Some(Worth::Doubtful(why)) => Worth::Doubtful(why),
            _ => Worth::AtLeast,
        }
    }

    #[cfg(test)]
    pub(super) fn known(bytes: Option<u32>, trust: Trust) -> Self {
        Self { bytes, newest: Some(trust), missed: false }
    }
}

impl Watch {
    /// Takes what the model knows after a refresh.
    pub fn see(&mut self, model: &Model) {
        let snapshot = &model.snapshot;
        match snapshot.health {
            Health::Live => {}
            Health::Saved => self.saved = true,
            Health::Static | Health::Stale { .. } | Health::Reconnecting { .. } => return,
        }
        self.seen = true;
        if snapshot.epoch != self.resets {
            self.resets = snapshot.epoch;
            self.faults_read.end_life();
            // What was in use before the reset is gone.
            for heap in self.heaps.values_mut() {
                heap.used = Trend::default();
            }
        }
        let sentence = |of: fn(&&Alert) -> bool| model.active_alerts().find(of).map(|alert| alert.text.clone());
        self.faults_read.see(model.faults.is_some());
        self.fault = self.fault.take().or_else(|| {
            sentence(|alert| match alert.kind {
                AlertKind::Fault => true,
                AlertKind::Stalled => alert.severity == Severity::Danger,
                _ => false,
            })
        });
        self.wrong_elf = self.wrong_elf.take().or_else(|| sentence(|alert| alert.kind == AlertKind::WrongElf));
        for stack in &snapshot.stacks {
            let key = (stack.name.clone(), stack.range.start());
            if self.stacks.len() < MAX_STACKS || self.stacks.contains_key(&key) {
                self.stacks.entry(key).or_default().see(stack, Life::of(model, &stack.id));
            }
        }
        for heap in &snapshot.heaps {
            let key = (heap.name.clone(), heap.range.start());
            if self.heaps.len() >= MAX_HEAPS && !self.heaps.contains_key(&key) {
                continue;
            }
            let seen = self.heaps.entry(key).or_default();
            seen.see(heap, Life::of(model, ""));
            let Some(used) = heap.used.filter(|used| used.trust == Trust::Exact) else { continue };
            seen.used.push(snapshot.at, used.bytes.into());
        }
    }

    /// Whether the target, or what was saved of it, was seen at all.
    #[must_use]
    pub fn has_seen(&self) -> bool {
        self.seen
    }
}

impl StackSeen {
    fn see(&mut self, stack: &Stack, life: Life) {
        if self.life.as_ref().is_some_and(|before| before.ends(&life)) {
            self.deepest.end_life();
            self.limit_whole.end_life();
        }
        self.life = Some(life);
        self.size = stack.range.size();
        // Where the paint is known, so is how deep it was written to; the lowest SP alone may have been lower.
        let trust = stack.peak.map_or(Trust::AtLeast, |peak| peak.trust);
        self.deepest.see(stack.deepest().map(|deepest| Measured { bytes: deepest.bytes, trust }));
        self.limit_whole.see(stack.limit_whole);
        if stack.overflowed && !self.overflowed {
            self.overflowed = true;
            self.victim = stack.victim.as_ref().map(|victim| victim.name.clone());
        }
    }
}

impl HeapSeen {
    fn see(&mut self, heap: &Heap, life: Life) {
        if self.life.as_ref().is_some_and(|before| before.ends(&life)) {
            self.peak.end_life();
            self.walked.end_life();
        }
        self.life = Some(life);
        self.size = heap.range.size();
        self.peak.see(heap.peak);
        self.failures = self.failures.max(heap.failures);
        self.damage = self.damage.take().or_else(|| alert::corrupt(heap));
        self.walked.see(heap.blocks.is_some());
        let confirmed = |figure: Option<Measured>| figure.is_some_and(|figure| figure.trust == Trust::Exact);
        if let Some(share) = heap.fragmentation().filter(|_| confirmed(heap.used) && confirmed(heap.largest_free)) {
            self.fragmentation = Some(self.fragmentation.map_or(100.0 * share, |worst| worst.max(100.0 * share)));
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
