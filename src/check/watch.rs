//! What a run showed from its start to its end: the worst of each stack and heap, resets and threads that end included.

use std::collections::BTreeMap;

use super::trend::Trend;
use crate::model::Model;
use crate::model::alert::AlertKind;
use crate::model::snapshot::{Health, Trust};

/// The most stacks that are kept: far more than a microcontroller has threads.
const MAX_STACKS: usize = 4096;

/// The worst of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// By name and first address: threads of one name are told apart, and one that starts again is the same.
    pub(super) stacks: BTreeMap<(String, u32), StackSeen>,
    /// By name.
    pub(super) heaps: BTreeMap<String, HeapSeen>,
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
            let seen = self.heaps.entry(heap.name.clone()).or_default();
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
