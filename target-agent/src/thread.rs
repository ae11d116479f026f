//! Threads and their stacks.

use core::ffi::CStr;

use crate::layout::thread::{BASE, INFO, NAME, PAINT, SIZE, WORDS};
use crate::layout::{self, ThreadKind};
use crate::table::Handle;

/// A thread to register with [`Block::register_thread`](crate::Block::register_thread).
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Its name. It must lie in flash, where the host reads it from the ELF: a string literal does.
    pub name: &'static CStr,
    /// What it is.
    pub kind: ThreadKind,
    /// The lowest address of its stack, 4-aligned.
    pub base: u32,
    /// The size of its stack in bytes, a multiple of 4.
    pub size: u32,
    /// Its priority as the kernel counts it.
    pub priority: u16,
    /// Whether the stack was painted with [`layout::PAINT`], see [`stack`](crate::stack).
    pub painted: bool,
}

impl Thread {
    #[inline]
    pub(crate) fn words(&self) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        words[BASE] = self.base;
        words[SIZE] = self.size;
        words[INFO] = self.kind as u32 | u32::from(self.priority) << 16;
        words[NAME] = address(self.name);
        words[PAINT] = if self.painted { layout::PAINT } else { 0 };
        words
    }
}

/// A registered thread. It names this one thread only: once the thread is retired, it names none, also when another
/// thread took its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct ThreadId(pub(crate) Handle);

impl ThreadId {
    /// The index of the thread's slot, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "targets have 32-bit addresses; tests do not look at names")]
pub(crate) fn address(name: &'static CStr) -> u32 {
    name.as_ptr().addr() as u32
}
