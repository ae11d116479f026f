//! FreeRTOS's heap_4 and heap_5, V9 to V11 (`portable/MemMang/heap_4.c`, `heap_5.c`).
//!
//! ```text
//!   BlockLink_t { pxNextFreeBlock, xBlockSize | 1 << 31 when it is allocated }, then the payload, to the next header
//!   xStart -> free block -> free block -> pxEnd, in address order; a block in use has no link
//! ```
//!
//! heap_5 has several regions, each with an end marker of size 0; where they are stands in the application's array of
//! `HeapRegion_t`. With configENABLE_HEAP_PROTECTOR every link is stored XOR `xHeapCanary`.

use super::chain::{self, Step};
use super::{MAX_BLOCKS, Walk, Walker, static_of};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Damage};
use crate::region::Region;

/// The name of the one with an array.
pub const NAME: &str = "heap_4";

/// `heapBLOCK_ALLOCATED_BITMASK`.
const ALLOCATED: u32 = 1 << 31;
/// `xHeapStructSize`: the header, rounded up to `portBYTE_ALIGNMENT`, which is 8 in every Cortex-M port.
const HEADER: u32 = 8;
/// The most regions of heap_5 that are walked.
const MAX_REGIONS: u32 = 16;

/// The statics of one such heap, by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap4 {
    place: Place,
    start: u32,
    free: u32,
    lowest: u32,
    /// The counts of successful calls of malloc and free; V10.2 and up.
    calls: Option<(u32, u32)>,
    canary: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// heap_4: `ucHeap`.
    Array(Region),
    /// heap_5: the application's array of `HeapRegion_t`, and how many it can have.
    Table(u32, u32),
}

impl Heap4 {
    /// The heap of this firmware.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let address = |name: &str| static_of(image, name, 4);
        let (start, free) = (static_of(image, "xStart", HEADER)?, address("xFreeBytesRemaining")?);
        // heap_2 has a static xEnd, and blocks in the order of their sizes.
        let (lowest, _) = (address("xMinimumEverFreeBytesRemaining")?, address("pxEnd")?);
        let array = match image.symbols.get("ucHeap") {
            Some(_) => Some(Place::Array(image.symbols.only("ucHeap")?.range)),
            None => None,
        };
        let table = || {
            image.types().variables().find_map(|variable| {
                let array = variable.kind.array()?;
                let is_region = array.element.structure().is_some_and(|held| held.name == "HeapRegion");
                is_region.then_some(Place::Table(variable.address?, array.count?.min(MAX_REGIONS)))
            })
        };
        Some(Self {
            place: array.or_else(table)?,
            start,
            free,
            lowest,
            calls: address("xNumberOfSuccessfulAllocations").zip(address("xNumberOfSuccessfulFrees")),
            canary: address("xHeapCanary"),
        })
    }

    fn ranges(&self, memory: &mut Memory<'_>) -> Option<Vec<Region>> {
        match self.place {
            Place::Array(array) => Some(vec![array]),
            Place::Table(table, count) => {
                let mut ranges: Vec<Region> = Vec::new();
                for index in 0..count {
                    let entry = memory.words(Region::new(table.checked_add(8 * index)?, 8))?;
                    let range = Region::new(entry[0], entry[1]);
                    if range.is_empty() || ranges.last().is_some_and(|last| u64::from(range.start()) < last.end()) {
                        break;
                    }
                    ranges.push(range);
                }
                (!ranges.is_empty()).then_some(ranges)
            }
        }
    }

    fn statics(&self) -> Vec<u32> {
        let mut statics = vec![self.free, self.lowest];
        statics.extend(self.calls.map(|(allocations, _)| allocations));
        statics.extend(self.calls.map(|(_, frees)| frees));
        statics.extend(self.canary);
        statics
    }
}

impl Walker for Heap4 {
    fn name(&self) -> &'static str {
        match self.place {
            Place::Array(_) => NAME,
            Place::Table(..) => "heap_5",
        }
    }

    fn place(&self) -> super::Place {
        match self.place {
            Place::Array(array) => super::Place::At(array),
            Place::Table(..) => super::Place::Any,
        }
    }

    fn wants(&self) -> Vec<Region> {
        let words = self.statics().into_iter().map(|address| Region::new(address, 4));
        words.chain([Region::new(self.start, 8)]).collect()
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let canary = self.canary.map_or(Some(0), |canary| memory.word(canary))?;
        let first = memory.word(self.start)?;
        if first == 0 {
            return None;
        }
        // The free block that must come next, and the word that says so.
        let mut expected = (self.start, first ^ canary);
        let ranges = self.ranges(memory)?;
        let last = ranges.last()?.end_address().checked_sub(HEADER)? & !7;
        let mut blocks: Vec<Block> = Vec::new();
        let mut damage: Option<Damage> = None;
        for range in &ranges {
            // `pxEnd`: the last header that fits.
            let first = range.start().checked_next_multiple_of(HEADER)?;
            let marker = range.end_address().checked_sub(HEADER)? & !7;
            let walk = chain::follow(*range, |at| {
                if at < first {
                    let cut = range.below(first);
                    return Some(Step::Block(Block::new(cut, cut.size(), BlockState::Own)));
                }
                let header = memory.words(Region::new(at, HEADER))?;
                let (link, size) = (header[0], header[1]);
                let ends = at == marker;
                // The list goes through every free block and the last end marker. Another marker leaves it when the
                // block before it is freed: heap_5 joins the two.
                let left_out = ends && at < last && expected.1 > at;
                if size & ALLOCATED == 0 && expected.1 != at && !left_out {
                    return Some(Step::Wrong(expected.0, format!("a link to {:08x} past a free block", expected.1)));
                }
                if ends {
                    if !left_out {
                        expected = (at, link ^ canary);
                    }
                    let rest = range.from(at);
                    return Some(match size {
                        0 => Step::Block(Block::new(rest, rest.size(), BlockState::Own)),
                        _ => Step::Wrong(at + 4, "an end marker with a size".into()),
                    });
                }
                let state = if size & ALLOCATED == 0 { BlockState::Free } else { BlockState::Used };
                let size = size & !ALLOCATED;
                if size < 2 * HEADER && state == BlockState::Free || size <= HEADER || !size.is_multiple_of(HEADER) {
                    return Some(Step::Wrong(at + 4, format!("a block of {size} B")));
                }
                match state {
                    BlockState::Free => expected = (at, link ^ canary),
                    _ if link != canary => return Some(Step::Wrong(at, "a link in a block that is in use".into())),
                    _ => {}
                }
                let block = Region::new(at, size);
                if block.end() > u64::from(marker) {
                    return Some(Step::Wrong(at + 4, format!("a block of {size} B, past the end")));
                }
                Some(Step::Block(Block::new(block, HEADER, state)))
            })?;
            blocks.extend(walk.blocks.iter().cloned());
            damage = damage.or(walk.damage);
        }
        let counted = |state| blocks.iter().filter(move |block| block.state == state);
        let free: u32 = counted(BlockState::Free).map(|block| block.range.size()).sum();
        let allocations = self.calls.and_then(|(allocations, _)| memory.word(allocations));
        let frees = self.calls.and_then(|(_, frees)| memory.word(frees));
        let lost = blocks.len() >= MAX_BLOCKS;
        if damage.is_none() && !lost {
            let told = memory.word(self.free)?;
            let in_use = allocations.zip(frees).map(|(allocations, frees)| allocations.wrapping_sub(frees) as usize);
            let found = counted(BlockState::Used).count();
            if told != free {
                damage = Some(chain::damaged(&[], self.free, format!("{free} B are free, and {told} B are counted")));
            } else if let Some(told) = in_use.filter(|told| *told != found) {
                let address = self.calls.map_or(self.free, |(allocations, _)| allocations);
                damage =
                    Some(chain::damaged(&[], address, format!("{found} blocks are in use, and {told} are counted")));
            }
        }
        let lowest_free = memory.word(self.lowest);
        Some(Walk { ranges, blocks: blocks.into(), damage, lowest_free, allocations, ..Walk::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, no_flip_goes_unseen, told, walk};
    use crate::source::testing::Bytes;

    const STATICS: u32 = 0x2000_0000;
    const ARRAY: Region = Region::new(0x2000_0104, 0x204);
    const SIZES: [(u32, bool); 6] =
        [(0x40, true), (0x60, false), (0x28, true), (0x30, true), (0x80, false), (0x80, true)];

    /// Lays those blocks out in each of `ranges`, as heap_4.c and heap_5.c do, and tells the addresses of all header words.
    fn lay(ranges: &[Region], canary: u32) -> (Bytes, Vec<u32>) {
        let mut bytes = Bytes::new(Region::new(STATICS, 0x800));
        let (mut link, mut free, mut words) = (STATICS, 0, Vec::new());
        for range in ranges {
            let mut at = range.start().next_multiple_of(8);
            for (size, used) in SIZES {
                words.extend([at, at + 4]);
                if used {
                    bytes.poke(at, canary);
                    bytes.poke(at + 4, size | ALLOCATED);
                } else {
                    bytes.poke(link, at ^ canary);
                    link = at;
                    bytes.poke(at + 4, size);
                    free += size;
                }
                at += size;
            }
            // The end marker is the last of the list, until a range follows.
            bytes.poke(link, at ^ canary);
            bytes.poke(at, canary);
            words.extend([at, at + 4]);
            link = at;
        }
        let calls = 3 * ranges.len() as u32;
        for (index, word) in [free, 0x20, 5 + 4 * calls / 3, 5, canary].into_iter().enumerate() {
            bytes.poke(STATICS + 0x10 + 4 * index as u32, word);
        }
        (bytes, words)
    }

    fn of(place: Place) -> Heap4 {
        Heap4 {
            place,
            start: STATICS,
            free: STATICS + 0x10,
            lowest: STATICS + 0x14,
            calls: Some((STATICS + 0x18, STATICS + 0x1c)),
            canary: Some(STATICS + 0x20),
        }
    }

    fn heap(canary: u32) -> (Heap4, Bytes, Vec<u32>) {
        let (bytes, mut words) = lay(&[ARRAY], canary);
        // What the last marker's link says is of no use to anybody.
        words.truncate(words.len() - 2);
        (of(Place::Array(ARRAY)), bytes, words)
    }

    #[test]
    fn heap_5_is_walked_region_by_region_with_and_without_its_protector() {
        let ranges = [ARRAY, Region::new(0x2000_0404, 0x204)];
        for canary in [0, 0x5eed_1234] {
            let (mut bytes, mut words) = lay(&ranges, canary);
            words.truncate(words.len() - 2);
            let table = STATICS + 0x40;
            for (range, at) in ranges.iter().zip([table, table + 8]) {
                bytes.poke(at, range.start());
                bytes.poke(at + 4, range.size());
            }
            let heap = of(Place::Table(table, 3));
            let walk = walk(&heap, &mut bytes).expect("it is set up");
            assert_eq!((walk.damage.as_ref(), &walk.ranges[..]), (None, &ranges[..]));
            let expected = SIZES.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size));
            assert_eq!(told(&walk), [expected, expected].concat());
            damage_is_found(&heap, &mut bytes, &words);
            no_flip_goes_unseen(&heap, &mut bytes, &words);
        }
    }

    #[test]
    fn heap_4_is_walked_with_and_without_its_protector() {
        for canary in [0, 0x5eed_1234] {
            let (heap, mut bytes, words) = heap(canary);
            let walk = walk(&heap, &mut bytes).expect("it is set up");
            assert_eq!((walk.damage.as_ref(), walk.lowest_free, walk.allocations), (None, Some(0x20), Some(9)));
            let expected = SIZES.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size));
            assert_eq!(told(&walk), expected);
            damage_is_found(&heap, &mut bytes, &words);
            no_flip_goes_unseen(&heap, &mut bytes, &words);
        }
    }

    #[test]
    fn a_heap_that_is_not_set_up_is_not_walked() {
        let (heap, mut bytes, _) = heap(0);
        bytes.poke(STATICS, 0);
        assert_eq!(walk(&heap, &mut bytes), None);
    }
}
