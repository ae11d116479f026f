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
//! equals the paint hides use by its length; a saved SP proves that much all the same. The paint is never searched by
//! halves: holes would mislead the search. A mark below which nothing but paint is left, where it was not, is that of a
//! thread before, or of another run: the stack was filled anew.

use std::time::Duration;

use crate::memory::Memory;
use crate::model::snapshot::Trust;
use crate::region::Region;

/// Bytes from the mark up that must be paint again before a stack is believed to be filled anew. A saved frame of
/// registers that hold the paint is shorter.
const FILLED_ANEW: u32 = 64;

/// How much of a stack one refresh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Bytes of the window below the mark.
    pub window: u32,
    /// Bytes of the background scan; 0 when it is another stack's turn.
    pub background: u32,
}

/// Use that was found in a range.
#[derive(Clone, Copy, Debug)]
struct Dirty {
    /// The lowest word that is not paint.
    lowest: u32,
    /// The lowest that is neither paint nor zero.
    telling: Option<u32>,
}

/// The high-water mark of one painted stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    stack: Region,
    paint: u32,
    guard: u32,
    mark: u32,
    /// A word in use at the mark or just above it, by which it is known that the stack was not filled anew. Not a zero where
    /// there is another: zeros at an answer's end may be those of a sleeping target, and are asked for again.
    used: u32,
    proven: u32,
    cursor: u32,
    rescanned: Option<Duration>,
    settled: bool,
    /// Whether the last look could not be had, or was contradicted: there may be use below that nobody saw.
    missed: bool,
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
            used: stack.end_address(),
            proven: 0,
            cursor: stack.start(),
            rescanned: None,
            settled: false,
            missed: false,
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
        let window = self.stack.below(self.mark).top(effort.window).whole_words();
        [window.hull(self.stack.from(self.used).bottom(4)), self.stack.bottom(4)]
    }

    /// Whether there is paint again where the mark is, and for some way above it: the stack was filled anew, for another
    /// thread or after a reset, and the mark says nothing of it. `sp` is an address that is in use.
    #[must_use]
    pub fn was_filled_anew(&self, memory: &mut Memory<'_>, sp: Option<u32>) -> bool {
        let above = self.stack.from(self.mark).bottom(FILLED_ANEW);
        let in_use = sp.is_some_and(|sp| sp < above.end_address());
        if above.size() < FILLED_ANEW || in_use || memory.word(self.used) != Some(self.paint) {
            return false;
        }
        // A second look decides.
        memory.forget_within(above);
        memory.words(above).is_some_and(|words| words.iter().all(|word| *word == self.paint))
    }

    /// The mark of the same stack that knows nothing yet.
    #[must_use]
    pub fn begun_anew(&self) -> Self {
        Self::new(self.stack, self.paint, self.guard)
    }

    /// Counts that so many bytes were in use, because an SP was there, whatever was written above it: registers that hold the
    /// paint leave no mark.
    pub fn prove(&mut self, bytes: u32) {
        self.proven = self.proven.max(bytes);
    }

    /// Counts the last look as none: what it found was not there in another one.
    pub fn doubt(&mut self) {
        self.missed = true;
    }

    /// The word it was painted with.
    #[must_use]
    pub fn paint(&self) -> u32 {
        self.paint
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
        self.missed = false;
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
        self.missed = false;
        self.cursor = self.stack.start();
        self.rescan(memory, self.stack.size().max(4), now);
    }

    /// Bytes from the first use down to the deepest word that was ever written, or that was proven to be.
    #[must_use]
    pub fn peak(&self) -> u32 {
        self.stack.from(self.mark).size().max(self.proven)
    }

    /// What lies below the deepest word that was ever written and is in use by an SP all the same; `None` when that is nothing,
    /// or when something deeper may have been written.
    #[must_use]
    pub fn unwritten(&self) -> Option<Region> {
        let range = self.stack.top(self.proven).below(self.mark);
        (!range.is_empty() && self.trust() == Trust::Exact).then_some(range)
    }

    /// The lowest word that is not paint; the end of the stack when there is none.
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// What [`Watermark::peak`] is worth.
    #[must_use]
    pub fn trust(&self) -> Trust {
        if self.settled && !self.missed { Trust::Exact } else { Trust::AtLeast }
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
            self.missed = true;
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

    fn lower(&mut self, dirty: Dirty) {
        if dirty.lowest < self.mark {
            self.mark = dirty.lowest;
            let near = self.stack.from(self.mark).bottom(FILLED_ANEW);
            let telling = dirty.telling.into_iter().chain([self.used]).find(|used| near.contains(*used));
            self.used = telling.unwrap_or(self.mark);
        }
        self.guard_broken |= self.stack.bottom(self.guard).contains(dirty.lowest);
    }

    fn lowest_dirty(&mut self, memory: &mut Memory<'_>, range: Region) -> Option<Dirty> {
        let Some(words) = memory.words(range) else {
            self.missed = true;
            return None;
        };
        let lowest = |is: &dyn Fn(u32) -> bool| {
            let index = words.iter().position(|word| is(*word))?;
            Some(range.slice(4 * u32::try_from(index).ok()?, 4).start())
        };
        let telling = lowest(&|word| word != self.paint && word != 0);
        lowest(&|word| word != self.paint).map(|lowest| Dirty { lowest, telling })
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
    fn a_chunk_that_cannot_be_read_is_never_taken_for_clean() {
        let upper = STACK.top(STACK.size() / 2);
        let mut bytes = Bytes::new(upper);
        bytes.content = PAINT.to_le_bytes().repeat(upper.size() as usize / 4);
        bytes.poke(STACK.end_address() - 20, 1);
        let mut mark = Watermark::new(STACK, PAINT, 32);
        for _ in 0..64 {
            refresh(&mut mark, &mut bytes, Effort { window: 32, background: 64 }, false);
            mark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
        }
        // What is known is what could be read: nothing says that there is no use below.
        assert_eq!((mark.peak(), mark.trust(), mark.rescanned()), (20, Trust::AtLeast, None));
    }

    #[test]
    fn exact_is_taken_back_when_a_window_that_bounds_no_frame_finds_new_use() {
        for (bound, below_sp, expected) in [
            (false, false, Trust::AtLeast),
            (true, false, Trust::Exact),
            (false, true, Trust::AtLeast),
            (true, true, Trust::Exact),
        ] {
            let mut bytes = painted();
            bytes.poke(STACK.end_address() - 100, 1);
            let mut mark = Watermark::new(STACK, PAINT, 32);
            mark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
            assert_eq!(mark.trust(), Trust::Exact);
            // Right below the mark, or across a hole that only a stack pointer leads over.
            let depth = if below_sp { 400 } else { 116 };
            bytes.poke(STACK.end_address() - depth, 1);
            let mut memory = Memory::new(&mut bytes, LinkCost::default(), 1 << 20);
            let sp = below_sp.then(|| STACK.end_address() - depth);
            mark.refresh(&mut memory, Effort { window: 32, background: 0 }, sp, bound, Duration::ZERO);
            assert_eq!((mark.peak(), mark.trust()), (depth, expected), "{bound} {below_sp}");
        }
    }

    #[test]
    fn a_stack_is_filled_anew_where_much_paint_is_again_and_not_where_registers_held_it() {
        let mut bytes = painted();
        for word in 0..100 {
            bytes.poke(STACK.end_address() - 4 - 4 * word, 1);
        }
        let mut mark = Watermark::new(STACK, PAINT, 32);
        mark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
        let deepest = mark.mark();
        let anew =
            |bytes: &mut Bytes, sp| mark.was_filled_anew(&mut Memory::new(bytes, LinkCost::default(), 1 << 20), sp);
        assert!(!anew(&mut bytes, None));
        // Eight registers and what an exception left out.
        for word in 0..15 {
            bytes.poke(deepest + 4 * word, PAINT);
            assert!(!anew(&mut bytes, None), "{word} words");
        }
        bytes.poke(deepest + 60, PAINT);
        assert!(anew(&mut bytes, None) && anew(&mut bytes, Some(deepest + 64)));
        assert!(!anew(&mut bytes, Some(deepest)), "a thread stands there");
    }

    #[test]
    fn a_steady_refresh_reads_one_window_and_one_guard_word() {
        let mut bytes = painted();
        bytes.poke(STACK.end_address() - 100, 1);
        let mut mark = Watermark::new(STACK, PAINT, 32);
        mark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
        bytes.reads.clear();
        refresh(&mut mark, &mut bytes, Effort { window: 32, background: 0 }, false);
        // The window and the mark itself, where paint would be that of another thread.
        assert_eq!(bytes.reads, [Region::new(STACK.start(), 4), Region::new(STACK.end_address() - 132, 36)]);
    }

    #[test]
    fn a_steady_refresh_does_not_end_in_zeros_where_other_use_is_near() {
        // The word that was written last, how far above the mark it lies, and how far up is read for it.
        for (word, above, read) in [(0, 8, 12), (PAINT, 8, 12), (0, 60, 64), (0, 64, 4)] {
            let mut bytes = painted();
            let mark = STACK.end_address() - 100;
            (0..above / 4).for_each(|index| bytes.poke(mark + 4 * index, word));
            bytes.poke(mark, 0);
            bytes.poke(mark + above, 1);
            let mut watermark = Watermark::new(STACK, PAINT, 32);
            watermark.finish_pass(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 20), Duration::ZERO);
            assert_eq!(watermark.wants(Effort { window: 32, background: 0 })[0], Region::new(mark - 32, 32 + read));
        }
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
