//! The heap of the crate linked_list_allocator (embedded-alloc's `LlffHeap`): a list of holes, in address order.
//!
//! `HoleList { first: Hole { size, next }, bottom, top }` as in version 0.10; the offsets are read from the debug
//! information, because Rust may order the fields as it likes. `first` is a dummy; each hole begins with its size and
//! the address of the next. The allocator keeps no header in front of a block, so what lies between two holes is in
//! use, and cannot be told apart into blocks.

use std::time::Duration;

use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::Trust;
use crate::region::Region;

/// The most holes that are followed: more than a 1 MiB heap of 16-byte blocks can have.
const MAX_HOLES: usize = 1 << 15;
/// Looks at a list that changes while it is read.
const TRIES: usize = 3;

/// A walk that may still be true.
#[derive(Clone, Debug)]
pub struct Walked {
    /// What it found.
    pub holes: Holes,
    at: Duration,
    calls: (u32, u32),
}

/// One such heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedList {
    list: u32,
    first_next: u32,
    bottom: u32,
    top: u32,
    hole_size: u32,
    hole_next: u32,
}

/// The free parts of a heap, in address order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holes {
    /// From the allocator's lowest address to its highest.
    pub range: Region,
    /// The holes.
    pub free: Vec<Region>,
}

impl Holes {
    /// Bytes that are no hole.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.range.size().saturating_sub(self.free.iter().map(|hole| hole.size()).sum())
    }

    /// Whether `blocks` blocks of `requested` bytes in all can be what is in use: the allocator rounds each one up to
    /// its smallest hole and its alignment, and no further.
    #[must_use]
    pub fn can_hold(&self, requested: u32, blocks: u32) -> bool {
        const ROUNDING: u32 = 24;
        let used = self.used();
        used >= requested && used - requested <= blocks.saturating_add(1).saturating_mul(ROUNDING)
    }
}

impl LinkedList {
    /// All heaps of this kind in the firmware.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        // The debug information is read only when a symbol says that it is worth it.
        let signs = ["linked_list_allocator", "embedded_alloc..llff", "embedded_alloc4llff"];
        if !image.symbols.iter().any(|symbol| signs.iter().any(|sign| symbol.name.contains(sign))) {
            return Vec::new();
        }
        let types = image.types();
        types
            .holders("linked_list_allocator::hole::HoleList")
            .into_iter()
            .filter_map(|(list, held)| {
                let offset = |path: &[&str]| types.offset(held, path);
                let first = offset(&["first"])?;
                Some(Self {
                    list,
                    first_next: offset(&["first", "next"])?,
                    bottom: offset(&["bottom"])?,
                    top: offset(&["top"])?,
                    hole_size: offset(&["first", "size"])?.checked_sub(first)?,
                    hole_next: offset(&["first", "next"])?.checked_sub(first)?,
                })
            })
            .collect()
    }

    /// What a refresh surely reads.
    #[must_use]
    pub fn wants(&self) -> Region {
        self.fields().unwrap_or(Region::new(self.list, 0))
    }

    /// The holes now or a little earlier, kept in `last`, and what they are worth: a list cannot change between two
    /// looks that count the same `calls` of alloc and free. A running allocator may be met with half of its list: a
    /// walk counts only when `confirm` finds that nothing happened meanwhile.
    pub fn walk_when_due(
        &self,
        memory: &mut Memory<'_>,
        calls: (u32, u32),
        last: &mut Option<Walked>,
        confirm: &mut dyn FnMut(&mut Memory<'_>, &Holes) -> bool,
    ) -> Option<(Holes, Trust)> {
        let now = memory.now();
        let same = last.as_ref().is_some_and(|walked| walked.calls == calls);
        let due = last.as_ref().is_none_or(|walked| now.saturating_sub(walked.at) >= memory.max_age());
        if due && !same {
            for attempt in 0..TRIES {
                if attempt > 0 {
                    memory.read_again(self.fields()?)?;
                }
                if let Some(holes) = self.try_walk(memory, attempt > 0)
                    && confirm(memory, &holes)
                {
                    *last = Some(Walked { holes: holes.clone(), at: now, calls });
                    return Some((holes, Trust::Exact));
                }
            }
        }
        last.as_ref().map(|walked| (walked.holes.clone(), if same { Trust::Exact } else { Trust::Stale }))
    }

    fn fields(&self) -> Option<Region> {
        let lowest = self.first_next.min(self.bottom).min(self.top);
        let highest = self.first_next.max(self.bottom).max(self.top);
        Some(Region::new(self.list.checked_add(lowest)?, highest - lowest + 4))
    }

    fn try_walk(&self, memory: &mut Memory<'_>, again: bool) -> Option<Holes> {
        let word = |memory: &mut Memory<'_>, offset: u32| memory.word(self.list.checked_add(offset)?);
        let range = Region::between(word(memory, self.bottom)?, word(memory, self.top)?);
        let mut next = word(memory, self.first_next)?;
        if range.is_empty() {
            return None;
        }
        let mut free: Vec<Region> = Vec::new();
        while next != 0 {
            // The list is sorted by address: a hole that lies before the last one is damage, or a torn read.
            let in_order = free.last().is_none_or(|last| u64::from(next) >= last.end());
            if !range.contains(next) || next % 4 != 0 || !in_order || free.len() == MAX_HOLES {
                return None;
            }
            let header = Region::new(next, self.hole_size.max(self.hole_next) + 4);
            if again {
                memory.read_again(header)?;
            }
            let hole = Region::new(next, memory.word(header.slice(self.hole_size, 4).start())?);
            if hole.size() < 8 || !range.covers(hole) {
                return None;
            }
            next = memory.word(header.slice(self.hole_next, 4).start())?;
            free.push(hole);
        }
        Some(Holes { range, free })
    }
}
