//! Threads and their stacks.

use core::ffi::CStr;

use crate::layout::thread::{BASE, ENTRY, INFO, NAME, SIZE, WORDS};
use crate::layout::{self, ThreadKind};
use crate::table::Handle;

/// A thread to register with [`Block::register_thread`](crate::Block::register_thread).
///
/// It is held as the block holds it, so that registering is a copy.
#[derive(Clone, Copy, Debug)]
pub struct Thread(pub(crate) [u32; WORDS]);

impl Thread {
    /// A thread whose stack has `size` bytes from `base` on, both multiples of 4. Its priority is 0, its stack not
    /// painted and its entry function unknown, until the functions below say otherwise.
    ///
    /// The name must lie in flash, where the host reads it from the ELF: a literal does.
    #[inline]
    #[must_use]
    pub fn new(name: &'static CStr, kind: ThreadKind, base: u32, size: u32) -> Self {
        let mut words = [0; WORDS];
        words[BASE] = base;
        words[SIZE] = size;
        words[INFO] = kind as u32;
        words[NAME] = address(name);
        Self(words)
    }

    /// With this priority, as the kernel counts it.
    #[inline]
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.0[INFO] = self.0[INFO] & !(0xff << 16) | u32::from(priority) << 16;
        self
    }

    /// With a stack that was painted with [`layout::PAINT`], see [`stack`](crate::stack).
    #[inline]
    #[must_use]
    pub fn painted(mut self) -> Self {
        self.0[INFO] |= layout::PAINTED;
        self
    }

    /// With this entry function, the first one that runs on the stack: `.entry(run as usize)`. The host follows its calls
    /// in the ELF and says how deep they can go.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "targets have 32-bit addresses; tests give small numbers")]
    pub fn entry(mut self, function: usize) -> Self {
        self.0[ENTRY] = function as u32;
        self
    }
}

/// A registered thread. It names this one thread only: once the thread is retired, it names none, also when another
/// thread took its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct ThreadId(pub(crate) Handle);

impl ThreadId {
    /// The index of the thread's slot, from 0.
    #[inline]
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
