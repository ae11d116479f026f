//! A table of slots in one frame: what threads and regions have in common.

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

    pub(crate) fn clear(&self) {
        self.first.store(0, Relaxed);
        for word in self.slots.as_flattened() {
            word.store(0, Relaxed);
        }
        self.last.store(0, Relaxed);
    }

    /// Fills a free slot with `words`, whose first is ignored, and gives its handle. The caller masks interrupts.
    #[inline]
    pub(crate) fn claim(&self, words: &[u32; WORDS]) -> Option<Handle> {
        for (index, slot) in self.slots.iter().enumerate() {
            let [tag, payload @ ..] = slot.as_slice() else { return None };
            let free = tag.load(Relaxed);
            if free & LIVE == 0 {
                framed(&self.first, &self.last, || {
                    for (cell, word) in payload.iter().zip(&words[1..]) {
                        cell.store(*word, Relaxed);
                    }
                    tag.store(free | LIVE, Relaxed);
                });
                return Some(Handle::new(index, free));
            }
        }
        None
    }

    /// Frees the slot that `handle` names, and says whether it still named one. The caller masks interrupts.
    #[inline]
    pub(crate) fn release(&self, handle: Handle) -> bool {
        let Some([tag, ..]) = self.live(handle).map(|slot| slot.as_slice()) else { return false };
        framed(&self.first, &self.last, || {
            tag.store(tag.load(Relaxed).wrapping_add(1) & GENERATION, Relaxed);
        });
        true
    }

    /// The slot that `handle` names, unless it was released since.
    #[inline]
    pub(crate) fn live(&self, handle: Handle) -> Option<&[AtomicU32; WORDS]> {
        let slot = self.slots.get(handle.index())?;
        let tag = slot.first()?.load(Relaxed);
        (tag & LIVE != 0 && Handle::new(handle.index(), tag) == handle).then_some(slot)
    }
}

/// A slot's index in the low byte, and as much of its generation as fits above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Handle(u32);

impl Handle {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "`layout::table` keeps tables below 256 slots")]
    fn new(index: usize, tag: u32) -> Self {
        Self(tag << 8 | index as u32)
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        (self.0 & 0xff) as usize
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
        assert!(table.release(old));
        let new = table.claim(&[0, 9, 10]).unwrap();
        assert_eq!(new.index(), old.index(), "the slot is used again");
        assert!(!table.release(old));
        assert!(table.live(old).is_none());
        assert_eq!(table.live(new).unwrap()[1].load(Relaxed), 9);
    }

    #[test]
    fn a_full_table_refuses_and_stays_as_it_is() {
        let table = Table::<2, 3>::new();
        table.claim(&[0; 3]).unwrap();
        table.claim(&[0; 3]).unwrap();
        let before = table.first.load(Relaxed);
        assert!(table.claim(&[0; 3]).is_none());
        assert_eq!(table.first.load(Relaxed), before);
        assert_eq!(table.last.load(Relaxed), before);
    }

    #[test]
    fn generations_wrap_within_a_tag() {
        let table = Table::<1, 2>::new();
        table.slots[0][0].store(GENERATION, Relaxed);
        let last = table.claim(&[0; 2]).unwrap();
        assert!(table.release(last));
        assert_eq!(table.slots[0][0].load(Relaxed), 0);
        assert!(!table.release(last));
    }
}
