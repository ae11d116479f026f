//! The heaps of one target over its refreshes: a walk counts when it is confirmed, and the last good one is kept.
//!
//! ```text
//!   words that count the calls:   read them, walk, read them again: the same -> it counts
//!   nothing counts the calls:     walk twice: the same blocks -> it counts
//!   damage:                       always walked twice
//! ```

use std::sync::Arc;
use std::time::Duration;

use highwater_agent::layout::owner;

use super::{HeapLook, Walk, Walker, detect};
use crate::image::Image;
use crate::image::layout::Memory as Chip;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Heap, Measured, MemoryKind, Trust};
use crate::region::Region;

/// The alignment that most blocks ask for, in bytes: it pads the agent's header.
const HEADER_ALIGN: usize = 8;
/// Looks at a heap that changes while it is read.
const TRIES: usize = 3;
/// A walk that must be made in each look, because nothing tells that the heap stayed the same, is made at most once in
/// this many times of what it takes.
const PATIENCE: u32 = 8;

/// All heaps whose allocators are understood.
pub struct Heaps {
    watched: Vec<Watched>,
    ram: Vec<Region>,
}

/// One allocator and its last walk.
struct Watched {
    walker: Box<dyn Walker>,
    last: Option<Seen>,
}

/// A walk that may still be true.
struct Seen {
    walk: Walk,
    trust: Trust,
    witness: Option<Vec<u32>>,
    at: Duration,
    took: Duration,
}

impl Heaps {
    /// The heaps of this firmware, in those memories.
    #[must_use]
    pub fn new(image: &Image, memories: &[Chip]) -> Self {
        let ram = memories.iter().filter(|memory| memory.kind == MemoryKind::Ram).map(|memory| memory.range).collect();
        Self { watched: detect(image).into_iter().map(|walker| Watched { walker, last: None }).collect(), ram }
    }

    /// What the next [`Heaps::refresh`] will surely read.
    #[must_use]
    pub fn wants(&self) -> Vec<Region> {
        self.watched.iter().flat_map(|watched| watched.walker.wants()).collect()
    }

    /// Forgets what was seen: the target was reset.
    pub fn clear(&mut self) {
        for watched in &mut self.watched {
            watched.last = None;
        }
    }

    /// Puts the blocks of each heap into the one of `looks` that it is, and adds those that nobody told of.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, looks: &mut Vec<HeapLook>) {
        for watched in &mut self.watched {
            watched.refresh(memory, looks, &self.ram);
            if let Some(seen) = &watched.last {
                tell(seen, watched.walker.name(), memory.now(), looks);
            }
        }
    }
}

impl Watched {
    fn refresh(&mut self, memory: &mut Memory<'_>, looks: &mut [HeapLook], ram: &[Region]) {
        // The last walk says which heap it is; the first one has to find out.
        let known = self.last.as_ref().and_then(|seen| look_of(&seen.walk.ranges, looks));
        let witness = known.and_then(|look| memory.words(looks[look].witness?.at));
        let started = memory.now();
        if let Some(seen) = &mut self.last {
            let unchanged = witness.is_some() && seen.witness == witness && seen.trust != Trust::Torn;
            if unchanged {
                seen.at = started;
                return;
            }
            let pause = match witness {
                Some(_) => memory.max_age(),
                None => {
                    memory.max_age().max(if memory.max_age().is_zero() { Duration::ZERO } else { seen.took * PATIENCE })
                }
            };
            if started.saturating_sub(seen.at) < pause {
                return;
            }
            let headers: Vec<Region> =
                seen.walk.blocks.iter().map(|block| block.range.below(block.payload.start())).collect();
            memory.prefetch(&headers);
        }
        let statics = self.walker.wants();
        let mut before: Option<Walk> = None;
        for _ in 0..TRIES {
            if let Some(before) = &before {
                forget(memory, &statics, &before.ranges);
            }
            let Some(walk) = self.walker.walk(memory) else { break };
            if walk.ranges.iter().any(|range| !ram.is_empty() && !ram.iter().any(|ram| ram.covers(*range))) {
                break;
            }
            let known = look_of(&walk.ranges, looks);
            let counts = known.is_some_and(|look| looks[look].witness.is_some());
            let same = known.is_some_and(|look| stayed(memory, &mut looks[look], &walk, self.walker.rounding()));
            let again = before.as_ref() == Some(&walk);
            if (same || !counts) && again || same && walk.damage.is_none() {
                let witness = known.and_then(|look| memory.words(looks[look].witness?.at));
                let took = memory.now().saturating_sub(started);
                self.last = Some(Seen { walk, trust: Trust::Exact, witness, at: memory.now(), took });
                return;
            }
            before = Some(walk);
        }
        // Nothing better was ever seen: two halves that may not belong together are more than nothing.
        if let Some(walk) = before.filter(|walk| walk.damage.is_none())
            && self.last.as_ref().is_none_or(|seen| seen.trust == Trust::Torn)
            && look_of(&walk.ranges, looks).is_none_or(|look| looks[look].witness.is_none())
        {
            let took = memory.now().saturating_sub(started);
            self.last = Some(Seen { walk, trust: Trust::Torn, witness: None, at: memory.now(), took });
        }
    }
}

/// Which of the heaps that are told of is the one of those ranges: the allocator rounds its ends to its alignment, so
/// its range lies within, and not far from the ends.
fn look_of(ranges: &[Region], looks: &[HeapLook]) -> Option<usize> {
    const ROUNDING: u32 = 64;
    let [range] = ranges else { return None };
    looks.iter().position(|look| {
        let whole = look.heap.range;
        whole.covers(*range) && whole.size() - range.size() <= ROUNDING
    })
}

/// Whether the words that count the calls are what they were before the walk, and what is in use is what was asked for
/// plus rounding: a call that is not over yet is not counted yet. What is told of the heap is brought up to date.
fn stayed(memory: &mut Memory<'_>, look: &mut HeapLook, walk: &Walk, rounding: Option<u32>) -> bool {
    let Some(witness) = look.witness else { return false };
    let before = memory.words(witness.at);
    memory.forget_within(witness.at);
    let Some(now) = memory.words(witness.at) else { return false };
    let same = before.as_ref() == Some(&now);
    let Some(counted) = (witness.count)(&now) else { return false };
    if !same {
        *look = HeapLook::counted(&look.heap.name, look.heap.range, &counted, look.witness);
    }
    same && can_hold(walk, &look.heap, rounding)
}

/// Whether what was asked for can be what is in use: the allocator rounds each block up, and no further.
fn can_hold(walk: &Walk, heap: &Heap, rounding: Option<u32>) -> bool {
    let (Some(requested), Some(blocks)) = (heap.requested, heap.in_use) else { return true };
    let taken = |state| matches!(state, BlockState::Used | BlockState::Stretch | BlockState::Own);
    let used: u32 = walk.blocks.iter().filter(|block| taken(block.state)).map(|block| block.range.size()).sum();
    // Blocks that say who asked for them begin with a header of the agent's.
    let front = if heap.callers > 0 { owner::front(heap.callers as usize, HEADER_ALIGN) } else { 0 };
    let each = |rounding: u32| rounding.saturating_add(u32::try_from(front).unwrap_or(u32::MAX));
    let most = rounding.map_or(u32::MAX, |rounding| blocks.saturating_add(1).saturating_mul(each(rounding)));
    used >= requested.bytes && used - requested.bytes <= most
}

/// Drops what was read of a heap, so that a second walk sees it anew.
fn forget(memory: &mut Memory<'_>, statics: &[Region], ranges: &[Region]) {
    for range in statics.iter().chain(ranges) {
        memory.forget_within(*range);
    }
}

/// Says of the heaps what a walk found.
fn tell(seen: &Seen, allocator: &'static str, now: Duration, looks: &mut Vec<HeapLook>) {
    let trust = if seen.at < now && seen.trust == Trust::Exact { Trust::Stale } else { seen.trust };
    let single = seen.walk.ranges.len() == 1;
    for (index, range) in seen.walk.ranges.iter().enumerate() {
        let found = look_of(&[*range], looks);
        let place = found.unwrap_or_else(|| {
            let name = if single { allocator.to_owned() } else { format!("{allocator} {}", index + 1) };
            looks.push(HeapLook::unknown(&name, *range));
            looks.len() - 1
        });
        let heap = &mut looks[place].heap;
        if heap.blocks.is_some() {
            continue;
        }
        let mut blocks = seen.walk.blocks_of(*range);
        if heap.range != *range {
            blocks = framed(heap.range, *range, &blocks);
        }
        let damage = seen.walk.damage.clone().filter(|damage| range.contains(damage.address));
        let mut told = Heap { allocator: Some(allocator), ..heap.clone() };
        if single {
            told.failures = told.failures.or(seen.walk.failures);
            told.allocations = told.allocations.or(seen.walk.allocations);
            if let Some(lowest) = seen.walk.lowest_free {
                let bytes = range.size().saturating_sub(lowest);
                told.peak = Some(Measured { bytes, trust });
            }
        }
        *heap = told.with_blocks(blocks, damage, trust);
    }
}

/// The blocks of a heap whose allocator rounded its ends: what it cut off belongs to it.
fn framed(whole: Region, range: Region, blocks: &[Block]) -> Arc<[Block]> {
    let own = |range: Region| (!range.is_empty()).then(|| Block::new(range, range.size(), BlockState::Own));
    let above = whole.top(whole.size() - whole.below(range.start()).size() - range.size());
    own(whole.below(range.start())).into_iter().chain(blocks.iter().cloned()).chain(own(above)).collect()
}
