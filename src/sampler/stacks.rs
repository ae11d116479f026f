//! The stacks of one target over its refreshes: a watermark for each, dropped when its thread is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::budget::Plan;
use super::confirm::{Finding, confirm};
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

/// The bytes in use at the lowest SP that anybody knows of: the least that the thread has used.
fn proven(look: &StackLook) -> Option<u32> {
    let lowest = look.lowest_sp.map(|sp| look.range.from(sp).size());
    look.current.map(|current| current.bytes).into_iter().chain(lowest).max()
}

/// The SP that a thread goes on with, or went on with when it last ran.
fn in_use(look: &StackLook) -> Option<u32> {
    look.current.map(|current| look.range.top(current.bytes).start())
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
        self.follow(memory, looks);
        let turn = self.next_turn();
        self.read(memory, looks, |look, mark, memory| {
            let background = if turn.as_ref() == Some(&look.id) { plan.effort.background } else { 0 };
            let effort = Effort { background, ..plan.effort };
            let deepest = in_use(look).into_iter().chain(look.lowest_sp).min();
            mark.refresh(memory, effort, deepest, plan.window_is_bound, now);
        })
    }

    /// Reads everything below each mark at once, so that each is exact.
    pub fn finish(&mut self, memory: &mut Memory<'_>, looks: &[StackLook], now: Duration) -> Vec<Stack> {
        self.follow(memory, looks);
        self.read(memory, looks, |_, mark, memory| mark.finish_pass(memory, now))
    }

    /// Lets `look_deeper` read each stack, and the words that kernels keep. What is new is taken over when it is confirmed;
    /// else all stays as it was, to be read again.
    fn read(
        &mut self,
        memory: &mut Memory<'_>,
        looks: &[StackLook],
        look_deeper: impl Fn(&StackLook, &mut Watermark, &mut Memory<'_>),
    ) -> Vec<Stack> {
        let mut findings = Vec::new();
        let mut news = Vec::new();
        self.canaries.clear();
        for look in looks {
            if let Some(before) = self.marks.get_mut(&look.id) {
                let mut mark = before.clone();
                mark.prove(proven(look).unwrap_or(0));
                look_deeper(look, &mut mark, memory);
                // What was not written yet at the last look, and is by now, is no frame that was left out.
                if let Some(unwritten) = mark.unwritten().filter(|_| mark.unwritten() != before.unwritten())
                    && !memory.confirms(unwritten.whole_words(), |words| words.iter().all(|word| *word == mark.paint()))
                {
                    mark.doubt();
                }
                if mark.mark() < before.mark() {
                    findings.push(Finding { look, at: mark.mark(), untouched: mark.paint() });
                    news.push(Some(mark));
                } else {
                    *before = mark;
                }
            }
            if let Some(canary) = look.canary {
                self.canaries.push(look.range.bottom(4));
                let is_changed = memory.word(look.range.start()).is_some_and(|word| word != canary);
                if is_changed && !self.broken.contains(&look.id) {
                    findings.push(Finding { look, at: look.range.start(), untouched: canary });
                    news.push(None);
                }
            }
        }
        let confirmed = confirm(memory, &findings);
        for ((finding, new), confirmed) in findings.iter().zip(news).zip(confirmed) {
            let id = &finding.look.id;
            match new {
                Some(mark) if confirmed => drop(self.marks.insert(id.clone(), mark)),
                Some(_) => self.marks.get_mut(id).into_iter().for_each(|mark| {
                    mark.prove(proven(finding.look).unwrap_or(0));
                    mark.doubt();
                }),
                None if confirmed => drop(self.broken.insert(id.clone())),
                None => {}
            }
        }
        self.look_at_limits(memory, looks);
        looks.iter().map(|look| self.tell(look)).collect()
    }

    /// What is known of stacks that were never read.
    #[must_use]
    pub fn refresh_none(&self, looks: &[StackLook]) -> Vec<Stack> {
        looks.iter().map(|look| self.tell(look)).collect()
    }

    /// Whether this stack was filled anew since it was last read, for another thread or after a reset.
    pub fn was_filled_anew(&self, memory: &mut Memory<'_>, look: &StackLook) -> bool {
        self.marks.get(&look.id).is_some_and(|mark| mark.was_filled_anew(memory, in_use(look)))
    }

    /// Drops the marks of stacks that are gone or were filled anew, and begins those of new ones.
    fn follow(&mut self, memory: &mut Memory<'_>, looks: &[StackLook]) {
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
                } else if mark.was_filled_anew(memory, in_use(look)) {
                    *mark = mark.begun_anew();
                    self.broken.remove(&look.id);
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
        let overflowed = mark.is_some_and(Watermark::guard_broken) || self.broken.contains(&look.id);
        let peak = mark.map(|mark| Measured { bytes: mark.peak(), trust: mark.trust() });
        // What broke the guard used all of the stack, and nobody knows how much more.
        let beyond = overflowed.then_some(Measured { bytes: look.range.size(), trust: Trust::AtLeast });
        let lowest_sp = look.lowest_sp.and(proven(look)).map(|bytes| Measured { bytes, trust: Trust::AtLeast });
        Stack {
            id: look.id.clone(),
            name: look.name.clone(),
            kind: look.kind,
            range: look.range,
            control_block: look.control_block,
            current: look.current,
            lowest_sp,
            peak: beyond.or(peak),
            worst_case: None,
            worst_case_note: None,
            recursion: None,
            rescanned: mark.and_then(Watermark::rescanned),
            victim: None,
            overflowed,
            limit_whole: self.whole.contains(&look.id),
            unwritten: mark.and_then(Watermark::unwritten).filter(|_| !overflowed).map(Region::size),
            priority: look.priority,
            state: look.state.clone(),
            cpu: look.cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Sign;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const PAINT: u32 = 0xCCCC_CCCC;
    /// What the stack's kernel keeps at its limit.
    const CANARY: u32 = 0xE25A_2EA5;
    const STACK: Region = Region::new(0x2000_0000, 0x400);
    /// The word that says whose the stack is.
    const OWNER: u32 = 0x2000_0400;

    /// Memory with a thread's stack, used that deep.
    fn thread(depth: u32) -> Bytes {
        let mut bytes = Bytes::new(Region::new(STACK.start(), 0x500));
        fill(&mut bytes, PAINT, depth);
        bytes.poke(OWNER, 1);
        bytes
    }

    /// Fills the stack as a kernel does, and uses it that deep.
    fn fill(bytes: &mut Bytes, with: u32, depth: u32) {
        for word in STACK.pages(4) {
            bytes.poke(word.start(), if word.start() < STACK.end_address() - depth { with } else { 1 });
        }
        bytes.poke(STACK.start(), CANARY);
    }

    fn told_of_thread() -> StackLook {
        StackLook {
            paint: Paint::Word(PAINT),
            canary: Some(CANARY),
            guard: 4,
            signs: vec![Sign::Same { at: OWNER, mask: 0xff, word: 1 }],
            ..StackLook::unknown("a".into(), STACK)
        }
    }

    fn read(stacks: &mut Stacks, bytes: &mut Bytes, look: &StackLook) -> Stack {
        let mut memory = Memory::new(bytes, LinkCost::default(), 1 << 16);
        stacks.finish(&mut memory, std::slice::from_ref(look), Duration::ZERO).swap_remove(0)
    }

    fn exact(bytes: u32) -> Option<Measured> {
        Some(Measured { bytes, trust: Trust::Exact })
    }

    fn at_least(bytes: u32) -> Option<Measured> {
        Some(Measured { bytes, trust: Trust::AtLeast })
    }

    #[test]
    fn a_mark_of_a_thread_that_ended_before_its_stack_was_read_does_not_count() {
        let (mut bytes, mut stacks, look) = (thread(0x40), Stacks::default(), told_of_thread());
        assert_eq!(read(&mut stacks, &mut bytes, &look).peak, exact(0x40));
        // The next thread's stack is being filled with another word, and nothing says yet that it is there.
        fill(&mut bytes, CANARY, 0x40);
        bytes.poke(STACK.start(), 0);
        bytes.poke(OWNER, 0);
        for _ in 0..3 {
            let told = read(&mut stacks, &mut bytes, &look);
            assert_eq!((told.peak, told.overflowed), (at_least(0x40), false));
        }
        // The same is true as soon as the thread is.
        bytes.poke(OWNER, 1);
        let told = read(&mut stacks, &mut bytes, &look);
        assert_eq!((told.peak, told.overflowed), (at_least(0x400), true));
    }

    #[test]
    fn nothing_is_read_any_more_of_a_stack_that_is_gone() {
        let (mut bytes, mut stacks, look) = (thread(0x40), Stacks::default(), told_of_thread());
        let plan = Plan { effort: Effort { window: 64, background: 0 }, window_is_bound: true };
        read(&mut stacks, &mut bytes, &look);
        assert_eq!((stacks.len(), stacks.wants(&plan).len()), (1, 3));
        stacks.finish(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 16), &[], Duration::ZERO);
        assert_eq!((stacks.len(), stacks.wants(&plan).len()), (0, 0));
    }

    #[test]
    fn a_mark_in_a_stack_that_was_being_filled_does_not_count_though_its_next_thread_is_there() {
        let (mut bytes, mut stacks, look) = (thread(0x40), Stacks::default(), told_of_thread());
        read(&mut stacks, &mut bytes, &look);
        // Half of it is filled when it is read, and all of it right behind that.
        for (at, word, filled) in [(STACK.start() + 0x100, CANARY, PAINT), (STACK.start(), 0, CANARY)] {
            bytes.poke(at, word);
            bytes.after.push((Region::new(at, 4), at, filled));
        }
        let told = read(&mut stacks, &mut bytes, &look);
        assert_eq!((told.peak, told.overflowed), (at_least(0x40), false));
    }

    #[test]
    fn what_cannot_be_confirmed_is_no_mark_of_a_new_thread_either() {
        let (mut bytes, mut stacks, look) = (thread(0x40), Stacks::default(), told_of_thread());
        bytes.poke(OWNER, 2);
        assert_eq!(read(&mut stacks, &mut bytes, &look).peak, at_least(0));
        bytes.poke(OWNER, 1);
        assert_eq!(read(&mut stacks, &mut bytes, &look).peak, exact(0x40));
        // Signs lie in no memory that can be read: nothing is told by them.
        let lost = StackLook { signs: vec![Sign::Set { at: 0x3000_0000, mask: 1 }], ..told_of_thread() };
        bytes.poke(STACK.start() + 0x80, 1);
        assert_eq!(read(&mut stacks, &mut bytes, &lost).peak, at_least(0x40));
    }

    #[test]
    fn a_stack_that_was_filled_anew_is_measured_anew() {
        let (mut bytes, mut stacks, look) = (thread(0x200), Stacks::default(), told_of_thread());
        read(&mut stacks, &mut bytes, &look);
        bytes.poke(STACK.start(), 0);
        assert!(read(&mut stacks, &mut bytes, &look).overflowed);
        // The next thread of the same function in the same place: nothing but its paint tells them apart.
        fill(&mut bytes, PAINT, 0x40);
        let told = read(&mut stacks, &mut bytes, &look);
        assert_eq!((told.peak, told.overflowed), (exact(0x40), false));
    }

    #[test]
    fn the_broken_word_of_a_thread_that_is_gone_is_not_the_next_ones() {
        let (mut bytes, mut stacks, look) = (thread(0x40), Stacks::default(), told_of_thread());
        bytes.poke(STACK.start(), 0);
        assert!(read(&mut stacks, &mut bytes, &look).overflowed);
        bytes.poke(STACK.start(), CANARY);
        assert!(read(&mut stacks, &mut bytes, &look).overflowed, "it was, whatever is there now");
        stacks.finish(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 16), &[], Duration::ZERO);
        assert!(!read(&mut stacks, &mut bytes, &look).overflowed);
    }

    #[test]
    fn a_broken_word_at_the_limit_is_use_of_the_whole_stack_and_more_with_and_without_paint() {
        for paint in [Paint::Word(PAINT), Paint::None] {
            let (mut bytes, mut stacks) = (thread(0x3fc - 4), Stacks::default());
            let look = StackLook { paint, ..told_of_thread() };
            let before = read(&mut stacks, &mut bytes, &look).peak;
            assert_eq!(before, (paint != Paint::None).then_some(()).and(exact(0x3f8)));
            bytes.poke(STACK.start(), 0x1234);
            let told = read(&mut stacks, &mut bytes, &look);
            assert_eq!((told.peak, told.margin()), (at_least(0x400), Some(0)));
        }
    }

    #[test]
    fn the_peak_is_at_least_what_a_saved_sp_proves() {
        let (mut bytes, mut stacks) = (thread(40), Stacks::default());
        // A frame of registers that hold the paint leaves no mark.
        let saved = |used| StackLook { current: exact(used), ..told_of_thread() };
        assert_eq!(read(&mut stacks, &mut bytes, &saved(72)).peak, exact(72));
        assert_eq!(read(&mut stacks, &mut bytes, &saved(36)).peak, exact(72), "it was there once");
        assert_eq!(read(&mut stacks, &mut bytes, &told_of_thread()).peak, exact(72));
    }

    #[test]
    fn a_frame_that_was_reserved_and_not_written_is_told_apart_from_what_was() {
        let lowest = |used| StackLook { lowest_sp: Some(STACK.end_address() - used), ..told_of_thread() };
        for (used, unwritten) in [(72, Some(32)), (40, None), (16, None)] {
            let (mut bytes, mut stacks) = (thread(40), Stacks::default());
            let told = read(&mut stacks, &mut bytes, &lowest(used));
            assert_eq!((told.peak, told.unwritten), (exact(used.max(40)), unwritten), "{used}");
        }
        // Of a stack that was not read to its end it is not known what was written.
        let (mut bytes, mut stacks) = (thread(40), Stacks::default());
        bytes.range = bytes.range.from(STACK.start() + 0x200);
        bytes.content.drain(..0x200);
        assert_eq!(read(&mut stacks, &mut bytes, &lowest(72)).unwritten, None);
    }

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
            assert_eq!(read(&mut stacks, &mut bytes, &look).peak, exact(peak), "{size:#x} bytes");
        }
    }
}
