//! How deep a painted stack was ever used, read bit by bit: exact, cheap, and honest about which it is.
//!
//! The mark is the lowest word that is not paint. It only falls, until a reset or a new thread in its place, so a
//! refresh reads the window just below it:
//!
//! ```text
//!   limit                                    mark                    first use
//!     |guard|............... untouched ......|█▒▒▒▒ used ▒▒▒▒▒▒▒▒▒▒▒▒|
//!                                   |window| <- moves down while it finds use, twice as wide each time
//!            |chunk| -> background: everything below the mark is read again, from the limit up
//! ```
//!
//! A clean window can only hide deeper use if one frame skipped all of it, so with a window as large as the largest
//! frame nothing is missed. With a smaller one, the background scan finds what was skipped within one pass. Data that
//! equals the paint hides use by its length. The paint is never searched by halves: holes would mislead the search.

use std::time::Duration;

use crate::memory::Memory;
use crate::model::snapshot::Trust;
use crate::region::Region;

/// How much of a stack one refresh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Bytes of the window below the mark.
    pub window: u32,
    /// Bytes of the background scan; 0 when it is another stack's turn.
    pub background: u32,
}

/// The high-water mark of one painted stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    stack: Region,
    paint: u32,
    guard: u32,
    mark: u32,
    cursor: u32,
    rescanned: Option<Duration>,
    settled: bool,
    guard_broken: bool,
}

impl Watermark {
    /// A mark that knows nothing yet, for a stack whose lowest `guard` bytes must stay paint.
    #[must_use]
    pub fn new(stack: Region, paint: u32, guard: u32) -> Self {
        let stack = stack.whole_words();
        Self {
            stack,
            paint,
            guard: guard.min(stack.size()),
            mark: stack.end_address(),
            cursor: stack.start(),
            rescanned: None,
            settled: false,
            guard_broken: false,
        }
    }

    /// Whether it is the mark of the stack with these bounds.
    #[must_use]
    pub fn is_of(&self, stack: Region) -> bool {
        self.stack == stack.whole_words()
    }

    /// What the next [`Watermark::refresh`] reads first.
    #[must_use]
    pub fn wants(&self, effort: Effort) -> [Region; 2] {
        [self.stack.below(self.mark).top(effort.window).whole_words(), self.stack.bottom(4)]
    }

    /// Reads as much as `effort` allows, and more only where use is found. `deepest_sp` is an address the stack is
    /// known to have reached, where the search may begin; `window_is_bound` says that no frame is larger than the
    /// window.
    pub fn refresh(
        &mut self,
        memory: &mut Memory<'_>,
        effort: Effort,
        deepest_sp: Option<u32>,
        window_is_bound: bool,
        now: Duration,
    ) {
        self.look_at_guard(memory, self.stack.bottom(4));
        if let Some(sp) = deepest_sp.filter(|sp| self.stack.below(self.mark).contains(*sp)) {
            self.look_above(memory, sp, effort.window, window_is_bound);
        }
        self.gallop(memory, effort.window, window_is_bound);
        if effort.background > 0 {
            self.look_at_guard(memory, self.stack.bottom(self.guard));
            self.rescan(memory, effort.background, now);
        }
    }

    /// Reads all that is left of a pass at once.
    pub fn finish_pass(&mut self, memory: &mut Memory<'_>, now: Duration) {
        self.cursor = self.stack.start();
        self.rescan(memory, self.stack.size().max(4), now);
    }

    /// Bytes from the first use down to the deepest word that was ever written.
    #[must_use]
    pub fn peak(&self) -> u32 {
        self.stack.from(self.mark).size()
    }

    /// The lowest word that is not paint; the end of the stack when there is none.
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// What [`Watermark::peak`] is worth.
    #[must_use]
    pub fn trust(&self) -> Trust {
        if self.settled { Trust::Exact } else { Trust::AtLeast }
    }

    /// When everything below the mark was last read to the end.
    #[must_use]
    pub fn rescanned(&self) -> Option<Duration> {
        self.rescanned
    }

    /// Whether a guard word was ever seen changed.
    #[must_use]
    pub fn guard_broken(&self) -> bool {
        self.guard_broken
    }

    fn look_at_guard(&mut self, memory: &mut Memory<'_>, guard: Region) {
        if let Some(dirty) = self.lowest_dirty(memory, guard) {
            self.lower(dirty);
        }
    }

    /// Finds the use at an SP that is far below the mark. The SP itself proves no write: paint at it stays untouched.
    fn look_above(&mut self, memory: &mut Memory<'_>, sp: u32, window: u32, bound: bool) {
        let reached = self.stack.from(sp & !3).below(self.mark).bottom(window.max(32));
        if let Some(dirty) = self.lowest_dirty(memory, reached) {
            self.lower(dirty);
            self.settled &= bound;
        }
    }

    /// Follows the use downward, with a window that doubles while it finds some.
    fn gallop(&mut self, memory: &mut Memory<'_>, window: u32, bound: bool) {
        let mut window = window.max(4);
        loop {
            let below = self.stack.below(self.mark).top(window).whole_words();
            let Some(dirty) = self.lowest_dirty(memory, below) else { break };
            self.lower(dirty);
            // Deeper use may hide below a hole, unless no frame can leave one this wide.
            self.settled &= bound;
            window = window.saturating_mul(2);
        }
    }

    /// Reads the next chunk below the mark; a pass that arrives at the mark has seen everything.
    fn rescan(&mut self, memory: &mut Memory<'_>, bytes: u32, now: Duration) {
        let chunk = self.stack.below(self.mark).from(self.cursor).bottom(bytes.next_multiple_of(4));
        if memory.words(chunk).is_none() {
            return;
        }
        match self.lowest_dirty(memory, chunk) {
            Some(dirty) => self.lower(dirty),
            None => self.cursor = chunk.end_address(),
        }
        if self.cursor >= self.mark || chunk.is_empty() || self.stack.below(self.mark).from(self.cursor).is_empty() {
            self.complete(now);
        } else if self.mark <= chunk.end_address() {
            // The lowest use of all lies in this chunk: the pass is over.
            self.complete(now);
        }
    }

    fn complete(&mut self, now: Duration) {
        self.cursor = self.stack.start();
        self.rescanned = Some(now);
        self.settled = true;
    }

    fn lower(&mut self, dirty: u32) {
        self.mark = self.mark.min(dirty);
        self.guard_broken |= self.stack.bottom(self.guard).contains(dirty);
    }

    fn lowest_dirty(&self, memory: &mut Memory<'_>, range: Region) -> Option<u32> {
        let words = memory.words(range)?;
        let index = words.iter().position(|word| *word != self.paint)?;
        Some(range.slice(4 * u32::try_from(index).ok()?, 4).start())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const PAINT: u32 = 0xCCCC_CCCC;
    const STACK: Region = Region::new(0x2000_0100, 1024);

    fn painted() -> Bytes {
        let mut bytes = Bytes::new(STACK);
        for word in bytes.content.chunks_exact_mut(4) {
            word.copy_from_slice(&PAINT.to_le_bytes());
        }
        bytes
    }

    fn full_scan(bytes: &Bytes) -> u32 {
        let dirty = bytes.content.chunks_exact(4).position(|word| word != PAINT.to_le_bytes());
        STACK.size() - dirty.map_or(STACK.size(), |word| 4 * word as u32)
    }

    fn refresh(mark: &mut Watermark, bytes: &mut Bytes, effort: Effort, bound: bool) {
        let mut memory = Memory::new(bytes, LinkCost::default(), 1 << 20);
        memory.prefetch(&mark.wants(effort));
        mark.refresh(&mut memory, effort, None, bound, Duration::ZERO);
    }

    proptest! {
        /// Frames of random size, each written only at its far end: the hole is as large as a frame gets.
        #[test]
        fn with_a_window_as_large_as_the_largest_frame_the_mark_is_always_right(
            calls in prop::collection::vec(prop::collection::vec(1u32..16, 0..20), 1..12),
        ) {
            let mut bytes = painted();
            let mut mark = Watermark::new(STACK, PAINT, 32);
            let effort = Effort { window: 64, background: 0 };
            mark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
            for frames in calls {
                let mut depth = 0;
                for words in frames {
                    depth += 4 * words;
                    if depth <= STACK.size() {
                        bytes.poke(STACK.end_address() - depth, 1);
                    }
                }
                refresh(&mut mark, &mut bytes, effort, true);
                prop_assert_eq!(mark.peak(), full_scan(&bytes));
                prop_assert_eq!(mark.trust(), Trust::Exact);
            }
        }

        /// Words written anywhere: after one background pass the mark is right, and before it says "at least".
        #[test]
        fn with_larger_holes_one_background_pass_makes_it_right(
            writes in prop::collection::vec(0u32..256, 0..10), chunk in 1u32..64,
        ) {
            let mut bytes = painted();
            let mut mark = Watermark::new(STACK, PAINT, 32);
            for word in writes {
                bytes.poke(STACK.start() + 4 * word, 1);
            }
            let effort = Effort { window: 32, background: 4 * chunk };
            for _ in 0..256u32.div_ceil(chunk) + 1 {
                refresh(&mut mark, &mut bytes, effort, false);
                prop_assert!(mark.peak() <= full_scan(&bytes));
                if mark.trust() == Trust::Exact {
                    break;
                }
            }
            prop_assert_eq!(mark.trust(), Trust::Exact);
            prop_assert_eq!(mark.peak(), full_scan(&bytes));
        }
    }

    #[test]
    fn a_steady_refresh_reads_one_window_and_one_guard_word() {
        let mut bytes = painted();
        bytes.poke(STACK.end_address() - 100, 1);
        let mut mark = Watermark::new(STACK, PAINT, 32);
        mark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
        bytes.reads.clear();
        refresh(&mut mark, &mut bytes, Effort { window: 32, background: 0 }, false);
        assert_eq!(bytes.reads, [Region::new(STACK.start(), 4), Region::new(STACK.end_address() - 132, 32)]);
    }

    #[test]
    fn a_write_across_a_hole_into_the_guard_is_seen_at_once() {
        let mut bytes = painted();
        let mut mark = Watermark::new(STACK, PAINT, 32);
        bytes.poke(STACK.start(), 7);
        refresh(&mut mark, &mut bytes, Effort { window: 32, background: 0 }, false);
        assert!(mark.guard_broken());
        assert_eq!(mark.peak(), STACK.size());
    }

    #[test]
    fn a_saved_sp_far_down_is_where_the_search_begins() {
        let mut bytes = painted();
        let sp = STACK.end_address() - 600;
        bytes.poke(sp, 1);
        bytes.poke(sp - 20, 1);
        let mut mark = Watermark::new(STACK, PAINT, 32);
        let effort = Effort { window: 32, background: 0 };
        mark.refresh(
            &mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20),
            effort,
            Some(sp),
            false,
            Duration::ZERO,
        );
        assert_eq!(mark.peak(), 620);
        assert_eq!(mark.trust(), Trust::AtLeast);
    }

    #[test]
    fn an_unreadable_stack_moves_nothing() {
        let mut bytes = Bytes::new(Region::new(0, 4));
        let mut mark = Watermark::new(STACK, PAINT, 32);
        refresh(&mut mark, &mut bytes, Effort { window: 32, background: 64 }, false);
        assert_eq!((mark.peak(), mark.trust(), mark.guard_broken()), (0, Trust::AtLeast, false));
    }
}
