//! The heap of the crate linked_list_allocator (embedded-alloc's `LlffHeap`): a list of holes, in address order.
//!
//! `HoleList { first: Hole { size, next }, bottom, top }` as in version 0.10; the offsets are read from the debug
//! information, because Rust may order the fields as it likes. `first` is a dummy; each hole begins with its size and
//! the address of the next. The allocator keeps no header in front of a block, so what lies between two holes is in
//! use, and cannot be told apart into blocks.

use super::{MAX_BLOCKS, Walk, Walker, chain};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Damage};
use crate::region::Region;

/// One such heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedList {
    list: u32,
    first_next: u32,
    bottom: u32,
    top: u32,
    hole_size: u32,
    hole_next: u32,
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
        "linked_list_allocator"
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
    chain::damaged(blocks, address, what.into())
}
