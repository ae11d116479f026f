//! Heaps: how much is in use, and by whom it is told.

use crate::model::snapshot::{Measured, Trust};
use crate::region::Region;

/// One heap as its decoder tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapLook {
    /// Its name, made printable.
    pub name: String,
    /// Where it is.
    pub range: Region,
    /// In use now.
    pub used: Option<Measured>,
    /// The most ever in use.
    pub peak: Option<Measured>,
    /// Allocations that failed since the start.
    pub failures: Option<u32>,
    /// Allocations since the start.
    pub allocations: Option<u32>,
    /// Blocks in use.
    pub blocks: Option<u32>,
}

impl HeapLook {
    /// A heap of which only the place is known.
    #[must_use]
    pub fn unknown(name: &str, range: Region) -> Self {
        Self { name: name.into(), range, used: None, peak: None, failures: None, allocations: None, blocks: None }
    }

    /// A heap whose agent counts: totals wrap, and their difference stays right.
    #[must_use]
    pub fn counted(name: String, range: Region, counters: &Counted) -> Self {
        let trust = if counters.torn { Trust::Torn } else { Trust::Exact };
        let measured = |bytes: u32| Some(Measured { bytes, trust });
        Self {
            name,
            range,
            used: measured(counters.allocated.wrapping_sub(counters.freed)),
            peak: measured(counters.peak),
            failures: Some(counters.failures),
            allocations: Some(counters.allocs),
            blocks: Some(counters.allocs.wrapping_sub(counters.frees)),
        }
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
    /// They were read while they changed, three times over.
    pub torn: bool,
}
