//! FreeRTOS's heap_1, V9 to V11 (`portable/MemMang/heap_1.c`): it hands out one piece behind the other and takes none back.
//!
//! ```text
//!   ucHeap | cut | pieces .............. | free ............. | cut |
//!                ^ pucAlignedHeap        ^ + xNextFreeByte    ^ configADJUSTED_HEAP_SIZE from there
//! ```

use super::chain::{self, Step};
use super::{Place, Walk, Walker, static_of};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// `portBYTE_ALIGNMENT` of the Cortex-M ports, by which `configADJUSTED_HEAP_SIZE` is less than the array's size.
const ALIGNMENT: u32 = 8;

/// The statics of heap_1, by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap1 {
    array: Region,
    next: u32,
    /// `pucAlignedHeap`, where it is kept.
    aligned: Option<u32>,
}

impl Heap1 {
    /// The heap of this firmware, when it is that one.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let next = static_of(image, "xNextFreeByte", 4)?;
        let array = image.symbols.only("ucHeap")?.range;
        // A static of a function: compilers add a number to its name.
        let is_aligned = |name: &str| name.split('.').next() == Some("pucAlignedHeap");
        let aligned = image.symbols.iter().find(|symbol| symbol.range.size() == 4 && is_aligned(&symbol.name));
        (array.size() > 2 * ALIGNMENT).then_some(Self {
            array,
            next,
            aligned: aligned.map(|aligned| aligned.range.start()),
        })
    }
}

/// The allocator's name.
pub const NAME: &str = "heap_1";

impl Walker for Heap1 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn place(&self) -> Place {
        Place::At(self.array)
    }

    fn wants(&self) -> Vec<Region> {
        [Some(self.next), self.aligned].into_iter().flatten().map(|address| Region::new(address, 4)).collect()
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let next = memory.word(self.next)?;
        let first = match self.aligned {
            Some(aligned) => memory.word(aligned)?,
            None => self.array.start().checked_next_multiple_of(ALIGNMENT)?,
        };
        // Until the first call it is null. V9 leaves the first eight bytes of an aligned array out.
        if self.array.offset_of(first).is_none_or(|offset| offset > ALIGNMENT) {
            return None;
        }
        let given = self.array.from(first).bottom(self.array.size() - ALIGNMENT);
        let cut = self.array.below(first);
        let mut walk = chain::follow(self.array, |at| {
            let own = |range: Region| Step::Block(Block::new(range, range.size(), BlockState::Own));
            if at < first {
                return Some(own(cut));
            }
            if next > given.size() {
                return Some(Step::Wrong(self.next, format!("{next} B are counted, of {} B", given.size())));
            }
            let (taken, free) = (given.bottom(next), given.top(given.size() - next));
            Some(if taken.contains(at) {
                Step::Block(Block::new(taken, 0, BlockState::Stretch))
            } else if free.contains(at) {
                Step::Block(Block::new(free, 0, BlockState::Free))
            } else {
                own(self.array.from(at))
            })
        })?;
        let free = walk.damage.is_none().then(|| given.size().saturating_sub(next));
        walk.lowest_free = free;
        // A request is rounded up, and has to leave something.
        walk.largest_free = free.map(|free| free.saturating_sub(1) & !(ALIGNMENT - 1));
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{told, walk};
    use crate::source::testing::Bytes;

    const ARRAY: Region = Region::new(0x2000_0104, 0x204);

    #[test]
    fn what_was_handed_out_is_one_stretch_and_the_rest_is_free() {
        let mut bytes = Bytes::new(Region::new(0x2000_0000, 0x400));
        let heap = Heap1 { array: ARRAY, next: 0x2000_0000, aligned: Some(0x2000_0004) };
        assert_eq!(walk(&heap, &mut bytes), None, "nobody asked it yet");
        bytes.poke(0x2000_0004, 0x2000_0108);
        for (next, largest, expected) in [
            (0, 0x1f8, vec![(BlockState::Free, 0x1fc)]),
            (0x40, 0x1b8, vec![(BlockState::Stretch, 0x40), (BlockState::Free, 0x1bc)]),
            (0x1f0, 8, vec![(BlockState::Stretch, 0x1f0), (BlockState::Free, 12)]),
            // It has to leave something.
            (0x1f4, 0, vec![(BlockState::Stretch, 0x1f4), (BlockState::Free, 8)]),
            (0x1fc, 0, vec![(BlockState::Stretch, 0x1fc)]),
        ] {
            bytes.poke(0x2000_0000, next);
            let found = walk(&heap, &mut bytes).expect("it is set up");
            assert_eq!((told(&found), found.lowest_free, found.damage), (expected, Some(0x1fc - next), None), "{next}");
            assert_eq!(found.largest_free, Some(largest), "{next}");
        }
        bytes.poke(0x2000_0000, 1 << 20);
        assert!(walk(&heap, &mut bytes).is_some_and(|walk| walk.damage.is_some() && walk.lowest_free.is_none()));
        bytes.poke(0x2000_0000, 0x40);
        let kept = Heap1 { aligned: None, ..heap };
        assert_eq!(walk(&kept, &mut bytes).map(|walk| told(&walk)), walk(&heap, &mut bytes).map(|walk| told(&walk)));
    }
}
