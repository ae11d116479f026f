//! FreeRTOS's heap_2, V9 to V11 (`portable/MemMang/heap_2.c`): free blocks in the order of their sizes, never joined.
//!
//! ```text
//!   BlockLink_t { pxNextFreeBlock, xBlockSize }, then the payload, to the next header; since V10.5 bit 31 of the size says
//!   that the block is in use
//!   xStart -> smallest free block -> ... -> largest -> xEnd, a static
//! ```

use std::collections::BTreeMap;

use super::chain::{self, Step};
use super::{MAX_BLOCKS, Place, Walk, Walker, static_of};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// `heapBLOCK_ALLOCATED_BITMASK`.
const ALLOCATED: u32 = 1 << 31;
/// `xHeapStructSize`: the header, rounded up to `portBYTE_ALIGNMENT`, which is 8 in every Cortex-M port. The blocks have
/// as much less room than the array (`configADJUSTED_HEAP_SIZE`).
const HEADER: u32 = 8;

/// The statics of heap_2, by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap2 {
    array: Region,
    start: u32,
    end: u32,
    free: u32,
}

impl Heap2 {
    /// The heap of this firmware, when it is that one.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let address = |name: &str, size| static_of(image, name, size);
        // heap_4 has a pointer `pxEnd` into the array.
        let (start, end) = (address("xStart", HEADER)?, address("xEnd", HEADER)?);
        let free = address("xFreeBytesRemaining", 4)?;
        let array = image.symbols.only("ucHeap")?.range;
        (array.size() > 2 * HEADER).then_some(Self { array, start, end, free })
    }

    /// The free blocks by address with their sizes; or the word that leads nowhere.
    fn list(&self, memory: &mut Memory<'_>, first: u32) -> Option<Result<BTreeMap<u32, u32>, u32>> {
        let mut free = BTreeMap::new();
        let (mut link, mut next, mut least) = (self.start, first, 0);
        for _ in 0..MAX_BLOCKS {
            if next == self.end {
                return Some(Ok(free));
            }
            if next % HEADER != 0 || !self.array.covers(Region::new(next, HEADER)) || free.contains_key(&next) {
                return Some(Err(link));
            }
            let header = memory.words(Region::new(next, HEADER))?;
            if header[1] < least {
                return Some(Err(link));
            }
            free.insert(next, header[1]);
            least = header[1];
            (link, next) = (next, header[0]);
        }
        Some(Err(link))
    }

    /// The blocks, of which the first one begins there.
    fn blocks(&self, memory: &mut Memory<'_>, first: u32, free: &Result<BTreeMap<u32, u32>, u32>) -> Option<Walk> {
        let given = self.array.from(first).bottom(self.array.size() - HEADER);
        let cut = self.array.below(first);
        let none = BTreeMap::new();
        let (listed, broken) = match free {
            Ok(free) => (free, None),
            Err(link) => (&none, Some(*link)),
        };
        let mut met = 0;
        let mut walk = chain::follow(self.array, |at| {
            let own = |range: Region| Step::Block(Block::new(range, range.size(), BlockState::Own));
            if at < first {
                return Some(own(cut));
            }
            if !given.contains(at) {
                return Some(own(self.array.from(at)));
            }
            if let Some(link) = broken.filter(|link| !self.array.contains(*link) || *link < at) {
                return Some(Step::Wrong(link, "a link to where no free block can be".into()));
            }
            let word = memory.word(at.checked_add(4)?)?;
            let (size, marked) = (word & !ALLOCATED, word & ALLOCATED != 0);
            let block = Region::new(at, size);
            if size < HEADER || block.size() != size || !given.covers(block) {
                return Some(Step::Wrong(at + 4, format!("a block of {size} B")));
            }
            let state = if listed.contains_key(&at) { BlockState::Free } else { BlockState::Used };
            if state == BlockState::Free {
                met += 1;
                if marked {
                    return Some(Step::Wrong(at + 4, "a free block that is marked as in use".into()));
                }
            }
            Some(Step::Block(Block::new(block, HEADER, state)))
        })?;
        let is_whole = walk.damage.is_none() && walk.blocks.iter().all(|block| block.state != BlockState::Lost);
        if is_whole && met != listed.len() {
            walk.damage = Some(chain::damaged(&[], self.start, "a link to where no block begins".into()));
        }
        Some(walk)
    }
}

/// The allocator's name.
pub const NAME: &str = "heap_2";

impl Walker for Heap2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn place(&self) -> Place {
        Place::At(self.array)
    }

    fn wants(&self) -> Vec<Region> {
        vec![Region::new(self.start, HEADER), Region::new(self.free, 4)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let first = memory.word(self.start).filter(|first| *first != 0)?;
        let free = self.list(memory, first)?;
        let aligned = self.array.start().checked_next_multiple_of(HEADER)?;
        // V9 leaves the first eight bytes of an aligned array out.
        let later = self.array.from(self.array.start().checked_add(HEADER)?).start() & !(HEADER - 1);
        let mut walk = self.blocks(memory, aligned, &free)?;
        if walk.damage.is_some()
            && later != aligned
            && let Some(other) = self.blocks(memory, later, &free).filter(|other| other.damage.is_none())
        {
            walk = other;
        }
        // Neighbours stay apart. A request for all that there is was refused before V10.5.
        let free = walk.blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range.size());
        let largest = free.max().unwrap_or(0);
        let kept = if largest + HEADER >= self.array.size() { 2 * HEADER } else { HEADER };
        walk.largest_free = walk.damage.is_none().then(|| largest.saturating_sub(kept));
        let told = memory.word(self.free)?;
        let counted: u32 =
            walk.blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range.size()).sum();
        let lost = walk.blocks.iter().any(|block| block.state == BlockState::Lost);
        if walk.damage.is_none() && !lost && told != counted {
            let what = format!("{counted} B are free, and {told} B are counted");
            walk.damage = Some(chain::damaged(&[], self.free, what));
        }
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, told, walk};
    use crate::source::testing::Bytes;

    const STATICS: u32 = 0x2000_0000;
    const SIZES: [(u32, bool); 6] =
        [(0x40, true), (0x60, false), (0x28, true), (0x30, true), (0x20, false), (0xd8, false)];

    /// Lays those blocks out from `first` on, the free ones linked in the order of their sizes.
    fn lay(first: u32, mark: u32) -> (Bytes, Vec<u32>) {
        let mut bytes = Bytes::new(Region::new(STATICS, 0x800));
        let (mut at, mut words, mut free) = (first, Vec::new(), Vec::new());
        for (size, used) in SIZES {
            words.push(at + 4);
            bytes.poke(at + 4, size | if used { mark } else { 0 });
            if !used {
                free.push((size, at));
            }
            at += size;
        }
        free.sort_unstable();
        let mut link = STATICS;
        for (_, block) in &free {
            words.push(link);
            bytes.poke(link, *block);
            link = *block;
        }
        words.push(link);
        bytes.poke(link, STATICS + 8);
        bytes.poke(STATICS + 0x10, free.iter().map(|(size, _)| size).sum());
        (bytes, words)
    }

    #[test]
    fn heap_2_is_walked_as_every_version_lays_it_out() {
        for (array, first, mark) in [
            (Region::new(0x2000_0104, 0x1f8), 0x2000_0108, 0),
            (Region::new(0x2000_0100, 0x1f8), 0x2000_0100, ALLOCATED),
            // As V9 does.
            (Region::new(0x2000_0100, 0x1f8), 0x2000_0108, 0),
        ] {
            let (mut bytes, words) = lay(first, mark);
            let heap = Heap2 { array, start: STATICS, end: STATICS + 8, free: STATICS + 0x10 };
            let found = walk(&heap, &mut bytes).expect("it is set up");
            assert_eq!((found.damage.as_ref(), found.lowest_free), (None, None), "{array:?}");
            // The last two touch, and are two all the same.
            assert_eq!(found.largest_free, Some(0xd8 - 8), "{array:?}");
            let expected = SIZES.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size));
            assert_eq!(told(&found), expected, "{array:?}");
            damage_is_found(&heap, &mut bytes, &words);
        }
    }

    #[test]
    fn a_heap_that_is_not_set_up_is_not_walked() {
        let (mut bytes, _) = lay(0x2000_0108, 0);
        bytes.poke(STATICS, 0);
        let heap =
            Heap2 { array: Region::new(0x2000_0104, 0x1f8), start: STATICS, end: STATICS + 8, free: STATICS + 0x10 };
        assert_eq!(walk(&heap, &mut bytes), None);
    }
}
