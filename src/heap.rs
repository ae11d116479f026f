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

impl Counted {
    /// Whether a heap of so many bytes can have counted this: no more was given back than handed out, and no more is in use than
    /// ever was at once.
    #[must_use]
    pub fn is_sound(&self, size: u32) -> bool {
        let (requested, blocks) = (self.allocated.wrapping_sub(self.freed), self.allocs.wrapping_sub(self.frees));
        requested <= self.peak && self.peak <= size && blocks <= size
    }

    /// Whether it can have been counted after `before`: everything that is counted goes up, modulo 2^32.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let counts = |counted: &Self| [counted.allocated, counted.freed, counted.allocs, counted.frees];
        let went_up = |(now, before): (u32, u32)| now.wrapping_sub(before) < 1 << 31;
        self.peak >= before.peak && counts(self).into_iter().zip(counts(before)).all(went_up)
    }
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
    /// The allocator asks for more memory behind that when it needs to, and nothing tells how much there is.
    pub may_grow: bool,
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
    // A program has one of FreeRTOS's heaps and one malloc: where the names of two are there, neither is known for certain.
    let heap1 = heap1::Heap1::find(image).map(boxed);
    let heap2 = heap2::Heap2::find(image).map(boxed);
    let heap4 = heap4::Heap4::find(image).map(boxed);
    walkers.extend(only([heap1, heap2, heap4]));
    let newlib = newlib::DlMalloc::find(image).map(boxed);
    let nano = newlib::Nano::find(image).map(boxed);
    let picolibc = picolibc::Picolibc::find(image).map(boxed);
    walkers.extend(only([newlib, nano, picolibc]));
    walkers.extend(rtx_memory::RtxMemory::find(image).into_iter().map(boxed));
    walkers.extend(sys_heap::SysHeap::find(image).into_iter().map(boxed));
    walkers.extend(byte_pool::BytePool::find(image).into_iter().map(boxed));
    walkers
}

/// The one that is there, when it is the only one.
fn only(found: [Option<Box<dyn Walker>>; 3]) -> Option<Box<dyn Walker>> {
    let mut found = found.into_iter().flatten();
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

/// The address of a static of `size` bytes, when it is the only object of that name. Some linkers tell no sizes.
fn static_of(image: &Image, name: &str, size: u32) -> Option<u32> {
    let symbol = image.symbols.only(name)?;
    let range = symbol.range;
    (!symbol.is_code && (range.size() == size || range.is_empty())).then_some(range.start())
}

fn boxed<W: Walker + 'static>(walker: W) -> Box<dyn Walker> {
    Box::new(walker)
}

#[cfg(test)]
mod tests {
    use super::testing::{code, image_with, object};
    use super::*;
    use crate::image::symbols::Symbol;

    #[test]
    fn a_heap_that_is_not_known_for_certain_is_not_walked() {
        // In bytes, each behind the one before.
        let place = |statics: &[(&str, u32)]| -> Vec<Symbol> {
            let mut at = 0x2000_0000;
            let mut next = |(name, size): &(&str, u32)| {
                at += 0x1000;
                object(name, Region::new(at, *size))
            };
            statics.iter().map(&mut next).collect()
        };
        let check = |what: &str, symbols: Vec<Symbol>, expected: &[&str]| {
            let image = image_with(symbols);
            let walkers = detect(&image);
            let names: Vec<&str> = walkers.iter().map(|walker| walker.name()).collect();
            assert_eq!(names, expected, "{what}");
            // What is linked and not walked is told.
            let linked = linked::find(&image, &walkers);
            assert!(linked.is_empty() || expected.is_empty(), "{what}: {linked:?}");
        };
        const HEAP: (&str, u32) = ("ucHeap", 0x1000);
        const HEAP_1: [(&str, u32); 2] = [HEAP, ("xNextFreeByte", 4)];
        const HEAP_2: [(&str, u32); 4] = [HEAP, ("xStart", 8), ("xEnd", 8), ("xFreeBytesRemaining", 4)];
        const HEAP_4: [(&str, u32); 5] =
            [HEAP, ("xStart", 8), ("pxEnd", 4), ("xFreeBytesRemaining", 4), ("xMinimumEverFreeBytesRemaining", 4)];
        const NANO: [(&str, u32); 3] = [("__malloc_sbrk_start", 4), ("__malloc_free_list", 4), ("heap_end.0", 4)];
        const LARGE: [(&str, u32); 2] = [("__malloc_sbrk_base", 4), ("__malloc_av_", 1032)];
        const PICOLIBC: [(&str, u32); 3] =
            [("__malloc_sbrk_start", 4), ("__malloc_sbrk_top", 4), ("__malloc_free_list", 4)];
        let with = |statics: &[(&str, u32)], more: &[(&str, u32)]| place(&[statics, more].concat());
        let without = |statics: &[(&str, u32)], name: &str| place(&all_but(statics, name));
        check("nothing", vec![], &[]);
        check("other objects of usual names", place(&[("HEAP", 64), ("heap", 8), ("heap_end", 4), ("xEnd", 8)]), &[]);
        check("heap_1", place(&HEAP_1), &["heap_1"]);
        check("heap_2", place(&HEAP_2), &["heap_2"]);
        check("heap_4", place(&HEAP_4), &["heap_4"]);
        check(
            "no sizes are told",
            place(&HEAP_4.map(|(name, size)| (name, if name == "ucHeap" { size } else { 0 }))),
            &["heap_4"],
        );
        for (name, size) in HEAP_4 {
            check(&format!("two are called {name}"), with(&HEAP_4, &[(name, size)]), &[]);
            check(&format!("there is no {name}"), without(&HEAP_4, name), &[]);
            if name != "ucHeap" {
                check(&format!("{name} is another thing"), with(&all_but(&HEAP_4, name), &[(name, size + 4)]), &[]);
                let mut function = without(&HEAP_4, name);
                function.push(code(name, 0x100));
                check(&format!("{name} is a function"), function, &[]);
            }
        }
        check("heap_1 beside heap_4", with(&HEAP_4, &[("xNextFreeByte", 4)]), &[]);
        check("heap_2 beside heap_4", with(&HEAP_4, &[("xEnd", 8)]), &[]);
        check("an index of two queues", with(&HEAP_1, &[("xNextFreeByte", 4)]), &[]);
        check("newlib", place(&LARGE), &["newlib malloc"]);
        check("another dlmalloc", place(&[("__malloc_sbrk_base", 4), ("__malloc_av_", 512)]), &[]);
        check("newlib-nano", place(&NANO), &["newlib-nano malloc"]);
        check("its break is nowhere", place(&NANO[..2]), &[]);
        check("its break may be either", with(&NANO, &[("heap_ptr", 4)]), &[]);
        check("what is called so is no word", place(&[NANO[0], NANO[1], ("heap_end", 64)]), &[]);
        check("picolibc", place(&PICOLIBC), &["picolibc malloc"]);
        check("another picolibc", with(&PICOLIBC, &[("__malloc_bucket_list", 64)]), &[]);
        check("newlib and newlib-nano", with(&NANO, &LARGE), &[]);
        check("newlib and picolibc", with(&PICOLIBC, &LARGE), &[]);
        check("a kernel without its types", place(&[("osRtxInfo", 164), ("_tx_byte_pool_created_ptr", 4)]), &[]);
        check("FreeRTOS over newlib", with(&LARGE, &HEAP_4), &["heap_4", "newlib malloc"]);
    }

    fn all_but<'a>(statics: &[(&'a str, u32)], name: &str) -> Vec<(&'a str, u32)> {
        statics.iter().copied().filter(|(other, _)| *other != name).collect()
    }
}
