//! The heap of the crate linked_list_allocator (embedded-alloc's `LlffHeap`): a list of holes, in address order.
//!
//! `HoleList { first: Hole { size, next }, bottom, top }` as in version 0.10; the offsets are read from the debug
//! information, because Rust may order the fields as it likes. `first` is a dummy; each hole begins with its size and
//! the address of the next. The allocator keeps no header in front of a block, so what lies between two holes is in
//! use, and cannot be told apart into blocks.

use super::{MAX_BLOCKS, Place, Walk, Walker, chain};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Damage};
use crate::region::Region;

/// The allocator's name.
pub const NAME: &str = "linked_list_allocator";

/// The most bytes from the first to the last of the list's own words that are read in one.
const NEIGHBOURS: u32 = 16;

/// Where the words of one such heap lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedList {
    /// Address of the `HoleList`.
    pub list: u32,
    /// The address of the first hole, in bytes from the list.
    pub first_next: u32,
    /// The heap's first address, in bytes from the list.
    pub bottom: u32,
    /// The address behind its last byte, in bytes from the list.
    pub top: u32,
    /// A hole's size, in bytes from the hole.
    pub hole_size: u32,
    /// The address of the next hole, in bytes from the hole.
    pub hole_next: u32,
}

impl LinkedList {
    /// All heaps of this kind in the firmware.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        // The debug information is read only when a symbol says that it is worth it.
        let signs = ["linked_list_allocator", "embedded_alloc..llff", "embedded_alloc4llff"];
        if !image.symbols.iter().any(|symbol| signs.iter().any(|sign| symbol.name.contains(sign))) {
            return Vec::new();
        }
        let types = image.types();
        types
            .holders("linked_list_allocator::hole::HoleList")
            .into_iter()
            .filter_map(|(list, held)| {
                let offset = |path: &[&str]| types.offset(held, path);
                let first = offset(&["first"])?;
                Some(Self {
                    list,
                    first_next: offset(&["first", "next"])?,
                    bottom: offset(&["bottom"])?,
                    top: offset(&["top"])?,
                    hole_size: offset(&["first", "size"])?.checked_sub(first)?,
                    hole_next: offset(&["first", "next"])?.checked_sub(first)?,
                })
            })
            .collect()
    }

    fn fields(&self) -> Option<Region> {
        let lowest = self.first_next.min(self.bottom).min(self.top);
        let highest = self.first_next.max(self.bottom).max(self.top);
        Some(Region::new(self.list.checked_add(lowest)?, highest - lowest + 4))
    }
}

impl Walker for LinkedList {
    fn name(&self) -> &'static str {
        NAME
    }

    fn object(&self) -> Option<u32> {
        Some(self.list)
    }

    fn place(&self) -> Place {
        Place::Any
    }

    fn wants(&self) -> Vec<Region> {
        self.fields().into_iter().collect()
    }

    /// Each block is rounded up to the smallest hole and to the alignment.
    fn rounding(&self) -> Option<u32> {
        Some(24)
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let word = |memory: &mut Memory<'_>, offset: u32| memory.word(self.list.checked_add(offset)?);
        // They are neighbours in every build that was seen, and are asked for together then.
        let ends = [self.bottom, self.top, self.first_next];
        let (first, last) = ends.iter().fold((u32::MAX, 0), |(low, high), at| (low.min(*at), high.max(*at)));
        if last - first <= NEIGHBOURS {
            memory.read(Region::new(self.list.checked_add(first)?, last - first + 4))?;
        }
        let range = Region::between(word(memory, self.bottom)?, word(memory, self.top)?);
        let mut next = word(memory, self.first_next)?;
        if range.is_empty() {
            return None;
        }
        let mut link = self.list.saturating_add(self.first_next);
        let mut blocks: Vec<Block> = Vec::new();
        let mut rest = range;
        let mut damage = None;
        while next != 0 && blocks.len() < MAX_BLOCKS {
            // The list is sorted by address: a hole that lies before the last one is damage, or a torn read.
            if !rest.contains(next) || next % 4 != 0 {
                damage = Some((link, "a link to where no free part can be"));
                break;
            }
            let header = Region::new(next, self.hole_size.max(self.hole_next) + 4);
            // Both words at once: that is as quick as one after the other, and the end of the list, a zero beside a size, is
            // not taken for a sleeping target's.
            memory.read(header)?;
            let size = header.slice(self.hole_size, 4).start();
            let hole = Region::new(next, memory.word(size)?);
            if hole.size() < 8 || !rest.covers(hole) {
                damage = Some((size, "a free part of a size that cannot be"));
                break;
            }
            push(&mut blocks, rest.below(hole.start()), BlockState::Stretch);
            push(&mut blocks, hole, BlockState::Free);
            rest = rest.top(rest.size() - rest.below(hole.start()).size() - hole.size());
            link = header.slice(self.hole_next, 4).start();
            next = memory.word(link)?;
        }
        let damage = damage.map(|(address, what)| damaged(&blocks, address, what));
        let behind = if damage.is_none() && next == 0 { BlockState::Stretch } else { BlockState::Lost };
        push(&mut blocks, rest, behind);
        Some(Walk { ranges: vec![range], blocks: blocks.into(), damage, ..Walk::default() })
    }
}

fn push(blocks: &mut Vec<Block>, range: Region, state: BlockState) {
    if !range.is_empty() {
        let header = if state == BlockState::Lost { range.size() } else { 0 };
        blocks.push(Block::new(range, header, state));
    }
}

/// A hole's header is written by whoever writes too far in the stretch before it.
fn damaged(blocks: &[Block], address: u32, what: &str) -> Damage {
    let taken: Vec<Block> = blocks.iter().filter(|block| block.state == BlockState::Stretch).cloned().collect();
    chain::damaged(&taken, address, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{no_flip_goes_unseen, told, walk};
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x800);
    const HEAP: Region = Region::new(0x2000_0100, 0x200);
    const LIST: LinkedList =
        LinkedList { list: RAM.start(), first_next: 4, bottom: 8, top: 12, hole_size: 0, hole_next: 4 };
    const HOLES: [Region; 3] =
        [Region::new(0x2000_0140, 0x20), Region::new(0x2000_0190, 8), Region::new(0x2000_0200, 0x100)];

    fn heap() -> Bytes {
        let mut bytes = Bytes::new(RAM);
        let mut link = LIST.list + LIST.first_next;
        for hole in HOLES {
            bytes.poke(link, hole.start());
            bytes.poke(hole.start(), hole.size());
            link = hole.start() + 4;
        }
        bytes.poke(LIST.list + LIST.bottom, HEAP.start());
        bytes.poke(LIST.list + LIST.top, HEAP.end_address());
        bytes
    }

    /// What is said when one word has another value: the address, and the stretch before it.
    fn check(word: u32, value: u32, address: Option<u32>) {
        let mut bytes = heap();
        bytes.poke(word, value);
        let damage = walk(&LIST, &mut bytes).expect("it is set up").damage;
        assert_eq!(damage.as_ref().map(|damage| damage.address), address, "{word:08x} = {value:08x}: {damage:?}");
        if let Some((damage, suspect)) = damage.as_ref().and_then(|damage| Some((damage, damage.suspect.as_ref()?))) {
            assert!(
                suspect.start() < damage.address && !HOLES.iter().any(|hole| hole.start() == suspect.start()),
                "{damage:?}"
            );
        }
    }

    #[test]
    fn what_lies_between_holes_is_in_use() {
        let found = walk(&LIST, &mut heap()).expect("it is set up");
        assert_eq!(found.damage, None);
        use BlockState::{Free, Stretch};
        let expected = [(Stretch, 0x40), (Free, 0x20), (Stretch, 0x30), (Free, 8), (Stretch, 0x68), (Free, 0x100)];
        assert_eq!(told(&found), expected);
    }

    #[test]
    fn damage_is_told_where_it_can_be_proven_and_no_flip_goes_unseen() {
        let [first, second, last] = HOLES.map(Region::start);
        // A size: none, no word's multiple that fits, past the end.
        check(first, 0, Some(first));
        check(first, 4, Some(first));
        check(first, 0x2000, Some(first));
        check(last, 0x104, Some(last));
        check(first, u32::MAX, Some(first));
        // A hole that reaches over the next one: the link leads back into it.
        check(first, 0x60, Some(first + 4));
        // A link: not to a word, out of the heap, back, in a circle.
        check(first + 4, second + 1, Some(first + 4));
        check(first + 4, HEAP.end_address(), Some(first + 4));
        check(second + 4, first, Some(second + 4));
        check(last + 4, last, Some(last + 4));
        check(LIST.list + LIST.first_next, 4, Some(LIST.list + LIST.first_next));
        // A list that ends too soon, and a hole that is a little larger: nothing contradicts them but the counters.
        check(first + 4, 0, None);
        check(first, 0x28, None);
        let words: Vec<u32> = HOLES.iter().flat_map(|hole| [hole.start(), hole.start() + 4]).collect();
        no_flip_goes_unseen(&LIST, &mut heap(), &words);
        let fields = [LIST.first_next, LIST.bottom, LIST.top].map(|offset| LIST.list + offset);
        no_flip_goes_unseen(&LIST, &mut heap(), &fields);
    }
}
