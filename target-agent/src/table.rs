//! A table of slots in one frame: what threads and regions have in common.
//!
//! What is written here ends up inline in the functions of the block: with the sizes known, it is shorter than a call.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::critical;
use crate::layout::{GENERATION, LIVE};

/// No slot was free: the block was declared too small. The host shows how often this happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the highwater block has no free slot")
    }
}

impl core::error::Error for Full {}

/// Slots whose first word is a tag, between the two counters of a frame.
#[repr(C)]
pub(crate) struct Table<const SLOTS: usize, const WORDS: usize> {
    first: AtomicU32,
    slots: [[AtomicU32; WORDS]; SLOTS],
    last: AtomicU32,
}

impl<const SLOTS: usize, const WORDS: usize> Table<SLOTS, WORDS> {
    pub(crate) const fn new() -> Self {
        Self {
            first: AtomicU32::new(0),
            slots: [const { [const { AtomicU32::new(0) }; WORDS] }; SLOTS],
            last: AtomicU32::new(0),
        }
    }

    /// Fills a free slot with `words`, whose first is the tag's place and ignored, and gives its handle. The caller
    /// masks interrupts.
    #[inline(always)]
    pub(crate) fn claim(&self, words: &[u32; WORDS]) -> Option<Handle> {
        let mut index = 0;
        while index < SLOTS {
            let slot = &self.slots[index];
            let tag = slot[0].load(Relaxed);
            if tag & LIVE == 0 {
                framed(&self.first, &self.last, || {
                    let mut word = 1;
                    while word < WORDS {
                        slot[word].store(words[word], Relaxed);
                        word += 1;
                    }
                    slot[0].store(tag | LIVE, Relaxed);
                });
                return Some(Handle::new(index, tag));
            }
            index += 1;
        }
        None
    }

    /// Frees the slot that `handle` names, and gives its index; `None` when the handle names none any more. The caller
    /// masks interrupts.
    #[inline(always)]
    pub(crate) fn release(&self, handle: Handle) -> Option<usize> {
        let slot = self.live(handle)?;
        framed(&self.first, &self.last, || {
            slot[0].store(slot[0].load(Relaxed).wrapping_add(1) & GENERATION, Relaxed);
        });
        Some(handle.index())
    }

    /// The slot that `handle` names, unless it was released since.
    #[inline(always)]
    pub(crate) fn live(&self, handle: Handle) -> Option<&[AtomicU32; WORDS]> {
        let slot = self.slots.get(handle.index())?;
        handle.names(slot[0].load(Relaxed)).then_some(slot)
    }
}

/// A slot's index in the low byte, and as much of its generation as fits above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Handle(u32);

impl Handle {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "`layout::table` keeps tables below 256 slots")]
    fn new(index: usize, tag: u32) -> Self {
        Self(tag << 8 | index as u32)
    }

    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// Whether a slot with this tag is in use, and by the one that got the handle.
    #[inline(always)]
    fn names(self, tag: u32) -> bool {
        tag & LIVE != 0 && (tag << 8 ^ self.0) <= 0xff
    }
}

/// Changes a frame: bumps its last word, runs `body`, and bumps its first word. The caller masks interrupts.
#[inline(always)]
pub(crate) fn framed(first: &AtomicU32, last: &AtomicU32, body: impl FnOnce()) {
    let count = last.load(Relaxed).wrapping_add(1);
    last.store(count, Relaxed);
    critical::publish();
    body();
    critical::publish();
    first.store(count, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_handle_releases_nothing() {
        let table = Table::<2, 3>::new();
        let old = table.claim(&[0, 7, 8]).unwrap();
        assert_eq!(table.release(old), Some(0));
        let new = table.claim(&[0, 9, 10]).unwrap();
        assert_eq!(new.index(), old.index(), "the slot is used again");
        assert!(table.release(old).is_none());
        assert!(table.live(old).is_none());
        assert_eq!(table.live(new).unwrap()[1].load(Relaxed), 9);
    }

    #[test]
    fn a_full_table_refuses_and_stays_as_it_is() {
        let table = Table::<2, 3>::new();
        table.claim(&[0; 3]).unwrap();
        assert_eq!(table.claim(&[0; 3]).unwrap().index(), 1);
        let before = table.first.load(Relaxed);
        assert!(table.claim(&[0; 3]).is_none());
        assert_eq!(table.first.load(Relaxed), before);
        assert_eq!(table.last.load(Relaxed), before);
    }

    #[test]
    fn a_table_without_slots_refuses() {
        let table = Table::<0, 3>::new();
        assert!(table.claim(&[0; 3]).is_none());
        assert!(table.release(Handle::new(0, LIVE)).is_none());
    }

    #[test]
    fn generations_wrap_within_a_tag() {
        let table = Table::<1, 2>::new();
        table.slots[0][0].store(GENERATION, Relaxed);
        let last = table.claim(&[0; 2]).unwrap();
        assert_eq!(table.slots[0][0].load(Relaxed), u32::MAX);
        assert!(table.release(last).is_some());
        assert_eq!(table.slots[0][0].load(Relaxed), 0);
        assert!(table.release(last).is_none());
    }
}
