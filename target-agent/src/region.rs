//! Regions of memory that have a name: heaps, buffers, tables.

use core::ffi::CStr;

use crate::layout::RegionKind;
use crate::layout::region::{BASE, INFO, NAME, SIZE, WORDS};
use crate::table::Handle;
use crate::thread::address;

/// A region to register with [`Block::register_region`](crate::Block::register_region).
///
/// It is held as the block holds it, so that registering is a copy.
#[derive(Clone, Copy, Debug)]
pub struct Region(pub(crate) [u32; WORDS]);

impl Region {
    /// The `size` bytes from `base` on. A heap goes through [`Block::register_heap`](crate::Block::register_heap)
    /// instead, which says which counters are its own.
    ///
    /// The name must lie in flash, where the host reads it from the ELF: a literal does.
    #[inline]
    #[must_use]
    pub fn new(name: &'static CStr, kind: RegionKind, base: u32, size: u32) -> Self {
        let mut words = [0; WORDS];
        words[INFO] = kind as u32;
        words[BASE] = base;
        words[SIZE] = size;
        words[NAME] = address(name);
        Self(words)
    }

    #[inline]
    pub(crate) fn of_heap(name: &'static CStr, index: u8, base: u32, size: u32) -> Self {
        let mut region = Self::new(name, RegionKind::Heap, base, size);
        region.0[INFO] |= u32::from(index) << 8;
        region
    }
}

/// A registered region. It names this one region only: once the region is retired, it names none, also when another
/// region took its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct RegionId(pub(crate) Handle);

impl RegionId {
    /// The index of the region's slot, from 0.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }
}
