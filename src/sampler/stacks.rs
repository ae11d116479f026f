//! The stacks of one target over its refreshes: a watermark for each, dropped when its thread is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::budget::Plan;
use crate::kernel::StackLook;
use crate::memory::Memory;
use crate::model::snapshot::{Measured, Stack, Trust};
use crate::region::Region;
use crate::stack::Paint;
use crate::stack::watermark::{Effort, Watermark};

/// What a peak is worth on a stack that was painted while in use, so that it counts from then on. `clear` is how many
/// bytes from the first use down were not painted, `used` how many were in use then: both are no measure of more.
#[must_use]
pub fn measured_since(peak: Measured, clear: u32, used: u32) -> Measured {
    Measured { bytes: if peak.bytes <= clear { used } else { peak.bytes }, trust: Trust::AtLeast }
}

/// The watermarks of all stacks, by id.
#[derive(Debug, Default)]
pub struct Stacks {
    marks: BTreeMap<String, Watermark>,
    /// Where kernels keep a word at the limit.
    canaries: Vec<Region>,
    /// Stacks whose kernel's word at the limit was seen changed.
    broken: BTreeSet<String>,
    /// Stacks whose word at the limit was as it was left, at the last look.
    whole: BTreeSet<String>,
    turn: usize,
}

impl Stacks {
    /// What the next [`Stacks::refresh`] will read of the stacks that are known.
    #[must_use]
    pub fn wants(&self, plan: &Plan) -> Vec<Region> {
        let marks = self.marks.values().flat_map(|mark| mark.wants(plan.effort));
        marks.chain(self.canaries.iter().copied()).collect()
    }

    /// How many stacks are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether none is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Forgets everything: the target was reset.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Reads what the plan allows of each stack, and tells what is known of it now.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, looks: &[StackLook], plan: &Plan, now: Duration) -> Vec<Stack> {
        self.follow(looks);
        self.look_at_canaries(memory, looks);
        let turn = self.next_turn();
        let mut stacks = Vec::with_capacity(looks.len());
        for look in looks {
            let mark = self.marks.get_mut(&look.id);
            if let Some(mark) = mark {
                let background = if turn.as_ref() == Some(&look.id) { plan.effort.background } else { 0 };
                let effort = Effort { background, ..plan.effort };
                let deepest = look.current.map(|current| look.range.top(current.bytes).start());
                let deepest = deepest.into_iter().chain(look.lowest_sp).min();
                mark.refresh(memory, effort, deepest, plan.window_is_bound, now);
            }
        }
        self.look_at_limits(memory, looks);
        stacks.extend(looks.iter().map(|look| self.tell(look)));
        stacks
    }

    /// Reads everything below each mark at once, so that each is exact.
    pub fn finish(&mut self, memory: &mut Memory<'_>, looks: &[StackLook], now: Duration) -> Vec<Stack> {
        self.follow(looks);
        self.look_at_canaries(memory, looks);
        for mark in self.marks.values_mut() {
            mark.finish_pass(memory, now);
        }
        self.look_at_limits(memory, looks);
        looks.iter().map(|look| self.tell(look)).collect()
    }

    /// What is known of stacks that were never read.
    #[must_use]
    pub fn refresh_none(&self, looks: &[StackLook]) -> Vec<Stack> {
        looks.iter().map(|look| self.tell(look)).collect()
    }

    /// Drops the marks of stacks that are gone and begins those of new ones.
    fn follow(&mut self, looks: &[StackLook]) {
        self.marks.retain(|id, _| looks.iter().any(|look| look.id == *id));
        self.broken.retain(|id| looks.iter().any(|look| look.id == *id));
        for look in looks {
            if let Paint::Word(paint) = look.paint {
                // The kernel's own word at the limit is no paint, and no use either.
                let kept = if look.canary.is_some() { 4 } else { 0 };
                let painted = look.range.top(look.range.size().saturating_sub(kept));
                let guard = look.guard.saturating_sub(kept);
                let mark = self.marks.entry(look.id.clone()).or_insert_with(|| Watermark::new(painted, paint, guard));
                // A control block that says other bounds than before has another stack, of which nothing is known.
                if !mark.is_of(painted) {
                    *mark = Watermark::new(painted, paint, guard);
                }
            }
        }
    }

    /// Whether the words that kernels keep at the limits are still there.
    fn look_at_canaries(&mut self, memory: &mut Memory<'_>, looks: &[StackLook]) {
        self.canaries.clear();
        for look in looks {
            if let Some(canary) = look.canary {
                self.canaries.push(look.range.bottom(4));
                if memory.word(look.range.start()).is_some_and(|word| word != canary) {
                    self.broken.insert(look.id.clone());
                }
            }
        }
    }

    /// Which stacks have the word at their limit that their kernel or the paint left there.
    fn look_at_limits(&mut self, memory: &mut Memory<'_>, looks: &[StackLook]) {
        let left = |look: &StackLook| match (look.canary, look.paint) {
            (Some(canary), _) => Some((look.range.start(), canary)),
            (None, Paint::Word(paint)) => Some((look.range.whole_words().start(), paint)),
            (None, Paint::None) => None,
        };
        let whole = looks.iter().filter(|look| left(look).is_some_and(|(at, word)| memory.word(at) == Some(word)));
        self.whole = whole.map(|look| look.id.clone()).collect();
    }

    /// The stack whose turn it is to be rescanned.
    fn next_turn(&mut self) -> Option<String> {
        if self.marks.is_empty() {
            return None;
        }
        self.turn = (self.turn + 1) % self.marks.len();
        self.marks.keys().nth(self.turn).cloned()
    }

    fn tell(&self, look: &StackLook) -> Stack {
        let mark = self.marks.get(&look.id);
        let lowest_sp = look.lowest_sp.map(|sp| Measured { bytes: look.range.from(sp).size(), trust: Trust::AtLeast });
        Stack {
            id: look.id.clone(),
            name: look.name.clone(),
            kind: look.kind,
            range: look.range,
            control_block: look.control_block,
            current: look.current,
            lowest_sp,
            peak: mark.map(|mark| Measured { bytes: mark.peak(), trust: mark.trust() }),
            worst_case: None,
            worst_case_note: None,
            rescanned: mark.and_then(Watermark::rescanned),
            victim: None,
            overflowed: mark.is_some_and(Watermark::guard_broken) || self.broken.contains(&look.id),
            limit_whole: self.whole.contains(&look.id),
            priority: look.priority,
            state: look.state.clone(),
            cpu: look.cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    #[test]
    fn a_stack_whose_bounds_changed_is_looked_at_anew() {
        const PAINT: u32 = 0xAAAA_AAAA;
        let whole = Region::new(0x2000_0000, 0x100);
        let mut bytes = Bytes::new(whole);
        for word in (0..0x100).step_by(4) {
            bytes.poke(whole.start() + word, if word < 0x40 { PAINT } else { 1 });
        }
        let mut stacks = Stacks::default();
        for (size, peak) in [(0x100, 0xc0), (0x80, 0x40), (0x81, 0x40), (0x100, 0xc0)] {
            let range = whole.bottom(size);
            let look = StackLook { paint: Paint::Word(PAINT), ..StackLook::unknown("a".into(), range) };
            let mut memory = Memory::new(&mut bytes, LinkCost::default(), 1 << 16);
            let told = stacks.finish(&mut memory, &[look], Duration::ZERO);
            assert_eq!(told[0].peak, Some(Measured { bytes: peak, trust: Trust::Exact }), "{size:#x} bytes");
        }
    }
}
