//! Regions of memory that have a name: heaps, buffers, tables.

use core::ffi::CStr;

use crate::layout::RegionKind;
use crate::layout::region::{BASE, INFO, NAME, SIZE, WORDS};
use crate::table::Handle;
use crate::thread::address;

/// A region to register with [`Block::register_region`](crate::Block::register_region).
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Its name. It must lie in flash, where the host reads it from the ELF: a string literal does.
    pub name: &'static CStr,
    /// What it is. Heaps go through [`Block::register_heap`](crate::Block::register_heap).
    pub kind: RegionKind,
    /// Its lowest address.
    pub base: u32,
    /// Its size in bytes.
    pub size: u32,
}

impl Region {
    #[inline]
    pub(crate) fn words(&self, index: u32) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        words[INFO] = self.kind as u32 | index << 8;
        words[BASE] = self.base;
        words[SIZE] = self.size;
        words[NAME] = address(self.name);
        words
    }
}

/// A registered region. It names this one region only: once the region is retired, it names none, also when another
/// region took its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct RegionId(pub(crate) Handle);

impl RegionId {
    /// The index of the region's slot, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }
}
