//! Heaps: how much is in use, and by whom it is told.
//!
//! ```text
//!   detect(image) -> walkers -> Heaps::refresh(memory, heaps that the kernel told of) -> their blocks, confirmed
//! ```
//!
//! A walker knows one allocator's structures. It reads through [`Memory`] only, never more than [`MAX_BLOCKS`] blocks of
//! one heap, and ends at the first word that cannot be right.

pub mod blocks;
pub mod byte_pool;
mod chain;
pub mod fit;
pub mod heap1;
pub mod heap2;
pub mod heap4;
pub mod linked;
pub mod linked_list;
pub mod mbed_stats;
pub mod newlib;
pub mod picolibc;
pub mod rows;
pub mod rtx_memory;
mod sbrk;
pub mod sites;
pub mod sys_heap;
#[cfg(test)]
mod testing;
pub mod tlsf;
pub mod watch;

use std::sync::Arc;

use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, Damage, Heap, Measured, Trust};
use crate::region::Region;
use blocks::NotedBlocks;

/// The most blocks of one heap that are walked. A heap with more is shown up to there, and the rest as unknown.
pub const MAX_BLOCKS: usize = 1 << 13;

/// One heap as its kernel or agent tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapLook {
    /// What is told of it.
    pub heap: Heap,
    /// What tells whether the heap stayed the same.
    pub witness: Option<Witness>,
    /// The agent's table of who asked for its blocks.
    pub rows: Option<rows::Table>,
    /// The blocks that say who asked for them.
    pub noted: Option<NotedBlocks>,
}

/// Words that change with each call of alloc or free: as long as they stay the same, so does the heap.
#[derive(Clone, Copy, Debug)]
pub struct Witness {
    /// Where they lie.
    pub at: Region,
    /// What they say of the heap; `None` when they were read while they changed.
    pub count: fn(&[u32]) -> Option<Counted>,
}

impl PartialEq for Witness {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl HeapLook {
    /// A heap of which only the place is known.
    #[must_use]
    pub fn unknown(name: &str, range: Region) -> Self {
        Self { heap: Heap::unknown(name, range), witness: None, rows: None, noted: None }
    }

    /// A heap whose agent counts: totals wrap, and their difference stays right. What the program asked for is the
    /// least that is in use: the allocator rounds up.
    #[must_use]
    pub fn counted(name: &str, range: Region, counters: &Counted, witness: Option<Witness>) -> Self {
        let exact = if counters.torn { Trust::Torn } else { Trust::Exact };
        let at_least = if counters.torn { Trust::Torn } else { Trust::AtLeast };
        let requested = counters.allocated.wrapping_sub(counters.freed);
        let measured = |bytes: u32, trust: Trust| Some(Measured { bytes, trust });
        let heap = Heap {
            used: measured(requested, at_least),
            peak: measured(counters.peak, at_least),
            requested: measured(requested, exact),
            requested_peak: measured(counters.peak, exact),
            failures: Some(counters.failures),
            allocations: Some(counters.allocs),
            in_use: Some(counters.allocs.wrapping_sub(counters.frees)),
            failed_size: counters.failed_size.filter(|size| *size > 0),
            callers: counters.callers,
            ..Heap::unknown(name, range)
        };
        Self { heap, witness, rows: None, noted: None }
    }

    /// The same with the agent's table: the blocks that found no row in it were not counted.
    #[must_use]
    pub fn with_rows(mut self, rows: Option<rows::Table>) -> Self {
        if let Some(table) = rows {
            for measured in [&mut self.heap.requested, &mut self.heap.requested_peak].into_iter().flatten() {
                measured.trust = measured.trust.max(table.trust());
            }
        }
        self.rows = rows;
        self
    }
}

/// An agent's counters of one heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Bytes given back since the start.
    pub freed: u32,
    /// Calls of free since the start.
    pub frees: u32,
    /// Bytes handed out since the start.
    pub allocated: u32,
    /// Successful calls of alloc since the start.
    pub allocs: u32,
    /// Failed calls of alloc since the start.
    pub failures: u32,
    /// The most bytes in use at once.
    pub peak: u32,
    /// Bytes that the last failed allocation asked for, 0 when none failed; `None` from an agent before 1.1.
    pub failed_size: Option<u32>,
    /// How many callers the header of each block names; 0 when blocks have none.
    pub callers: u32,
    /// They were read while they changed, three times over.
    pub torn: bool,
}

/// What one walk over an allocator's structures found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk {
    /// The memory that the allocator was given, in ascending order: most have one range, some several.
    pub ranges: Vec<Region>,
    /// Blocks in ascending address order. They fill the ranges exactly.
    pub blocks: Arc<[Block]>,
    /// Where the walk had to end.
    pub damage: Option<Damage>,
    /// The largest request in bytes that would be granted now, where that is not the largest free part by the allocator's
    /// rule.
    pub largest_free: Option<u32>,
    /// The fewest bytes that were ever free, where the allocator keeps that.
    pub lowest_free: Option<u32>,
    /// The most bytes ever in use with the allocator's own, where it keeps that.
    pub peak: Option<Measured>,
    /// Allocations that failed, where it counts them.
    pub failures: Option<u32>,
    /// Allocations that succeeded, where it counts them.
    pub allocations: Option<u32>,
    /// What the program calls this heap, printable, where it says so.
    pub name: Option<String>,
}

impl Walk {
    /// The blocks within one of the ranges.
    #[must_use]
    pub fn blocks_of(&self, range: Region) -> Arc<[Block]> {
        if self.ranges.len() == 1 {
            return self.blocks.clone();
        }
        self.blocks.iter().filter(|block| range.covers(block.range)).cloned().collect()
    }
}

/// Where the heap of an allocator lies, as far as that is known before it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// There.
    At(Region),
    /// In any memory that the program gives it: what the linker calls the heap too.
    Any,
    /// In memory of its own.
    Elsewhere,
}

/// Knows the structures of one allocator, at one place in one firmware.
pub trait Walker: Send {
    /// The allocator's name as people write it: `heap_4`.
    fn name(&self) -> &'static str;

    /// Where the object lies that holds this heap's structures; `None` for an allocator of which a program has but one.
    fn object(&self) -> Option<u32> {
        None
    }

    /// Where its heap lies before it is set up.
    fn place(&self) -> Place {
        Place::Elsewhere
    }

    /// The statics that each walk reads.
    fn wants(&self) -> Vec<Region>;

    /// One walk over the structures as they are now. `None` when the heap is not set up yet, or could not be read.
    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk>;

    /// The most bytes by which one block is larger than what was asked for, where that is known.
    fn rounding(&self) -> Option<u32> {
        None
    }
}

/// All allocators of this firmware that are understood.
#[must_use]
pub fn detect(image: &Image) -> Vec<Box<dyn Walker>> {
    let mut walkers: Vec<Box<dyn Walker>> = Vec::new();
    walkers.extend(linked_list::LinkedList::find(image).into_iter().map(boxed));
    walkers.extend(tlsf::Tlsf::find(image).into_iter().map(boxed));
    walkers.extend(heap1::Heap1::find(image).map(boxed));
    walkers.extend(heap2::Heap2::find(image).map(boxed));
    walkers.extend(heap4::Heap4::find(image).map(boxed));
    walkers.extend(newlib::DlMalloc::find(image).map(boxed));
    walkers.extend(newlib::Nano::find(image).map(boxed));
    walkers.extend(picolibc::Picolibc::find(image).map(boxed));
    walkers.extend(rtx_memory::RtxMemory::find(image).into_iter().map(boxed));
    walkers.extend(sys_heap::SysHeap::find(image).into_iter().map(boxed));
    walkers.extend(byte_pool::BytePool::find(image).into_iter().map(boxed));
    walkers
}

fn boxed<W: Walker + 'static>(walker: W) -> Box<dyn Walker> {
    Box::new(walker)
}
