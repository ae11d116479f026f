//! Heaps: how much is in use, and by whom it is told.

pub mod blocks;
pub mod fit;
pub mod linked_list;
pub mod sites;

use crate::model::snapshot::{Measured, Trust};
use crate::region::Region;
use blocks::Block;
use linked_list::Holes;

/// One heap as its decoder tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapLook {
    /// Its name, made printable.
    pub name: String,
    /// Where it is.
    pub range: Region,
    /// In use now, the allocator's own bytes included where they are known.
    pub used: Option<Measured>,
    /// The most ever in use.
    pub peak: Option<Measured>,
    /// In use as the program asked for it.
    pub requested: Option<Measured>,
    /// The most ever in use as the program asked for it.
    pub requested_peak: Option<Measured>,
    /// The free parts in address order, where the allocator's list was walked.
    pub free: Option<Vec<Region>>,
    /// Where its highest block ends now.
    pub top: Option<u32>,
    /// Allocations that failed since the start.
    pub failures: Option<u32>,
    /// Allocations since the start.
    pub allocations: Option<u32>,
    /// Blocks in use.
    pub blocks: Option<u32>,
    /// Bytes that the last failed allocation asked for.
    pub failed_size: Option<u32>,
    /// How many callers each block names; 0 when blocks say nothing of themselves.
    pub callers: u32,
    /// Each block in address order and what that is worth, where they could be told apart.
    pub known: Option<(Vec<Block>, Trust)>,
}

impl HeapLook {
    /// A heap of which only the place is known.
    #[must_use]
    pub fn unknown(name: &str, range: Region) -> Self {
        Self {
            name: name.into(),
            range,
            used: None,
            peak: None,
            requested: None,
            requested_peak: None,
            free: None,
            top: None,
            failures: None,
            allocations: None,
            blocks: None,
            failed_size: None,
            callers: 0,
            known: None,
        }
    }

    /// A heap whose agent counts: totals wrap, and their difference stays right. What the program asked for is the
    /// least that is in use: the allocator rounds up.
    #[must_use]
    pub fn counted(name: &str, range: Region, counters: &Counted) -> Self {
        let exact = if counters.torn { Trust::Torn } else { Trust::Exact };
        let at_least = if counters.torn { Trust::Torn } else { Trust::AtLeast };
        let requested = counters.allocated.wrapping_sub(counters.freed);
        let measured = |bytes: u32, trust: Trust| Some(Measured { bytes, trust });
        Self {
            used: measured(requested, at_least),
            peak: measured(counters.peak, at_least),
            requested: measured(requested, exact),
            requested_peak: measured(counters.peak, exact),
            failures: Some(counters.failures),
            allocations: Some(counters.allocs),
            blocks: Some(counters.allocs.wrapping_sub(counters.frees)),
            failed_size: counters.failed_size.filter(|size| *size > 0),
            callers: counters.callers,
            ..Self::unknown(name, range)
        }
    }

    /// The same with the holes its allocator has: what is not a hole is in use.
    #[must_use]
    pub fn with_holes(mut self, holes: &Holes, trust: Trust) -> Self {
        let free: u32 = holes.free.iter().map(|hole| hole.size()).sum();
        let used = self.range.size().saturating_sub(free);
        self.used = Some(Measured { bytes: used, trust });
        // The peak is counted as asked for; with the allocator's rounding it was at least what is in use now.
        self.peak = self.peak.map(|peak| Measured { bytes: peak.bytes.max(used), ..peak });
        // The end of the last block: the hole above it, if there is one, reaches the end.
        let last = holes.free.last().filter(|hole| hole.end() >= holes.range.end());
        self.top = Some(last.map_or(self.range.end_address(), |hole| hole.start()));
        self.free = Some(holes.free.clone());
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
