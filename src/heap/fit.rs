//! Whether a block of some size would fit into a heap now, by the rule of its allocator.
//!
//! In linked_list_allocator 0.10 (`HoleList::allocate_first_fit`, src/hole.rs) sizes are rounded up to words and to the
//! smallest hole; the first hole wins in which the block leaves nothing, or room for a hole, on either side. In FreeRTOS's
//! heap_4 and heap_5 (`pvPortMalloc`, V9 to V11) a header of 8 bytes is added and rounded up to 8; the first free block wins,
//! and what is left of it is one again when it is larger than two headers. picolibc 1.8 (`nano-mallocr.c`) rounds up to 8 and
//! adds 8 bytes; the first free chunk wins, and the last one grows.

use super::{heap1, heap2, heap4, linked_list, picolibc, tlsf};
use crate::model::heap::free_runs;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// How an allocator places a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// As linked_list_allocator does.
    LinkedList {
        /// Bytes in a word of the machine: a hole is two words, and sizes are multiples of one.
        word: u32,
    },
    /// As heap_4 and heap_5 do.
    Heap4,
    /// As picolibc does.
    Picolibc,
}

/// Whether it would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Yes.
    Yes {
        /// The whole block.
        at: Region,
        /// The hole that it would be taken from.
        hole: Region,
        /// The largest hole that would be left, in bytes.
        left: u32,
    },
    /// No hole has room.
    No {
        /// Bytes that it needs in one piece, header and rounding included.
        needs: u32,
        /// The smallest block in use that would have to go for it to fit; `None` when no single one would do.
        in_the_way: Option<Region>,
    },
    /// More than all that is free: it cannot fit, wherever the holes are.
    TooLarge {
        /// Bytes that it needs.
        needs: u32,
    },
    /// Yes, by the allocator's rule: it gives a request that large, and where is not known.
    Granted,
    /// Nobody knows, because of that.
    Unknown(Unsure),
}

/// Why it is not known whether something would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// Nobody walked the heap.
    Unwalked,
    /// Its structures make no sense from somewhere on.
    Damaged,
    /// It has more blocks than are walked.
    InPart,
    /// It was read while it changed.
    Torn,
    /// It is not known which free block its allocator takes.
    Rule,
    /// Its allocator asks for more memory when it needs to, and how much it gets is not known.
    Growth,
    /// What is asked about is not there.
    Question,
}

impl Rule {
    /// That of 32-bit targets.
    pub const TARGET: Self = Self::LinkedList { word: 4 };

    /// That of an allocator by its name, which [`crate::heap::Walker::name`] gives; `None` when it is not known how that one
    /// chooses.
    #[must_use]
    pub fn of(allocator: &str) -> Option<Self> {
        match allocator {
            linked_list::NAME => Some(Self::TARGET),
            heap4::NAME | "heap_5" => Some(Self::Heap4),
            picolibc::NAME => Some(Self::Picolibc),
            _ => None,
        }
    }

    /// The size that the allocator makes of `size`, its header included; `None` when it passes the address space.
    #[must_use]
    pub fn rounded(self, size: u32) -> Option<u32> {
        match self {
            Self::LinkedList { word } => size.max(2 * word).checked_next_multiple_of(word),
            Self::Heap4 => size.checked_add(8)?.checked_next_multiple_of(8),
            Self::Picolibc => size.checked_next_multiple_of(8)?.checked_add(8),
        }
    }

    /// Where a block of `size` bytes, rounded already, would lie in `hole`.
    #[must_use]
    pub fn place(self, hole: Region, size: u32, align: u32) -> Option<Region> {
        let word = match self {
            Self::LinkedList { word } => word,
            Self::Picolibc => {
                // What the break is not aligned by is left out.
                let start = hole.start().checked_add(4)?.checked_next_multiple_of(8)?.checked_sub(4)?;
                let block = Region::new(start, size);
                return (align <= 8 && hole.covers(block) && block.size() == size).then_some(block);
            }
            Self::Heap4 => {
                let left = hole.size().checked_sub(size)?;
                return Some(if left > 16 { hole.bottom(size) } else { hole });
            }
        };
        let align = align.max(1);
        let start = if hole.start().is_multiple_of(align) {
            hole.start()
        } else {
            // What is left in front has to be a hole of its own.
            hole.start().checked_add(2 * word)?.checked_next_multiple_of(align)?
        };
        let end = start.checked_add(size)?;
        let left = hole.end().checked_sub(u64::from(end))?;
        (left == 0 || left >= u64::from(2 * word)).then(|| Region::new(start, size))
    }

    /// Whether blocks of these sizes would fit one after the other; the place told is that of the first, and what is left is
    /// what they all leave.
    #[must_use]
    pub fn fit_all(self, mut holes: Vec<Region>, blocks: &[Region], sizes: &[u32], align: u32) -> Fit {
        let mut first: Option<(Region, Region)> = None;
        let mut last = Fit::Unknown(Unsure::Question);
        for size in sizes {
            let fit = self.fit(&holes, blocks, *size, align);
            let Fit::Yes { at, hole, left } = fit else { return fit };
            holes =
                holes.into_iter().flat_map(|free| if free == hole { hole.minus(&[at]) } else { vec![free] }).collect();
            let (at, hole) = *first.get_or_insert((at, hole));
            last = Fit::Yes { at, hole, left };
        }
        last
    }

    /// Whether `size` bytes would fit into one of `holes`, in address order; `blocks` are those that may be in the way.
    #[must_use]
    pub fn fit(self, holes: &[Region], blocks: &[Region], size: u32, align: u32) -> Fit {
        let free: u64 = holes.iter().map(|hole| u64::from(hole.size())).sum();
        let Some(needs) = self.rounded(size).filter(|needs| u64::from(*needs) <= free) else {
            return Fit::TooLarge { needs: size };
        };
        if let Some((hole, at)) = holes.iter().find_map(|hole| Some((*hole, self.place(*hole, needs, align)?))) {
            let rest =
                [Region::between(hole.start(), at.start()), Region::between(at.end_address(), hole.end_address())];
            let others = holes.iter().filter(|other| **other != hole);
            let left = others.chain(&rest).map(|region| region.size()).max().unwrap_or(0);
            return Fit::Yes { at, hole, left };
        }
        let would_do = |block: &&Region| {
            let below = holes.iter().find(|hole| hole.end() == u64::from(block.start()));
            let above = holes.iter().find(|hole| u64::from(hole.start()) == block.end());
            let joined = below.map_or(**block, |hole| hole.hull(**block));
            let joined = above.map_or(joined, |hole| hole.hull(joined));
            self.place(joined, needs, align).is_some()
        };
        Fit::No { needs, in_the_way: blocks.iter().filter(would_do).min_by_key(|block| block.size()).copied() }
    }
}

/// The largest request that may be granted by an allocator whose rule is none of those: more than `granted`, which surely is,
/// where versions differ.
#[must_use]
pub fn most(allocator: Option<&str>, blocks: &[Block], granted: Option<u32>) -> u32 {
    let free = || blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range.size());
    match (allocator, granted) {
        (Some(heap1::NAME | tlsf::NAME), Some(granted)) => granted,
        (Some(heap2::NAME), _) => free().max().unwrap_or(0).saturating_sub(8),
        // The others join neighbours, at the latest when they need to.
        _ => free_runs(blocks).map(Region::size).max().unwrap_or(0).max(granted.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(holes: &[(u32, u32)], size: u32, align: u32, expected: Fit) {
        let holes: Vec<Region> = holes.iter().map(|(start, size)| Region::new(*start, *size)).collect();
        let blocks = [Region::new(100, 60), Region::new(200, 20), Region::new(260, 40)];
        assert_eq!(Rule::TARGET.fit(&holes, &blocks, size, align), expected, "{size} in {holes:?}");
    }

    #[test]
    fn heap_4_adds_a_header_and_gives_a_small_rest_away() {
        let holes = [Region::new(0x100, 0x40), Region::new(0x200, 0x80)];
        let fit = |size| Rule::Heap4.fit(&holes, &[Region::new(0x140, 0xc0)], size, 8);
        let yes = |start, size, hole, left| Fit::Yes { at: Region::new(start, size), hole: holes[hole], left };
        assert_eq!(fit(1), yes(0x100, 16, 0, 0x80));
        assert_eq!(fit(0x20), yes(0x100, 0x28, 0, 0x80));
        assert_eq!(fit(0x28), yes(0x100, 0x40, 0, 0x80));
        assert_eq!(fit(0x38), yes(0x100, 0x40, 0, 0x80));
        assert_eq!(fit(0x39), yes(0x200, 0x48, 1, 0x40));
        assert_eq!(fit(0x78), yes(0x200, 0x80, 1, 0x40));
        assert_eq!(fit(0x79), Fit::No { needs: 0x88, in_the_way: Some(Region::new(0x140, 0xc0)) });
        assert_eq!(fit(0xc0), Fit::TooLarge { needs: 0xc0 });
    }

    #[test]
    fn the_answer_names_the_place_or_what_is_in_the_way() {
        let holes = [(160, 40), (220, 40)];
        let yes = |start, size, hole: (u32, u32), left| Fit::Yes {
            at: Region::new(start, size),
            hole: Region::new(hole.0, hole.1),
            left,
        };
        check(&holes, 40, 4, yes(160, 40, (160, 40), 40));
        check(&holes, 1, 4, yes(160, 8, (160, 40), 40));
        check(&holes, 33, 4, Fit::No { needs: 36, in_the_way: Some(Region::new(200, 20)) });
        check(&holes, 80, 4, Fit::No { needs: 80, in_the_way: Some(Region::new(200, 20)) });
        check(&holes, 81, 4, Fit::TooLarge { needs: 81 });
        check(&holes, u32::MAX, 4, Fit::TooLarge { needs: u32::MAX });
        check(&holes, 8, 64, yes(192, 8, (160, 40), 40));
    }
}
