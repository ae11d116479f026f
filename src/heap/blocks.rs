//! The blocks of a heap, where each one begins with the agent's header: the size asked for, and who asked.
//!
//! Sizes lead from block to block between two holes. A header stays what it is while its block lives, so what was read
//! is kept, and a read is spent on new blocks and on those beside which a hole came, went or moved: they may be others by
//! now. Whether the whole is true is held against the agent's counters: as many blocks, and together the bytes that were
//! asked for. Where it is not, a block gave its place to another of the same size, and all headers are looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_agent::layout::owner;

use super::HeapLook;
use super::fit::Rule;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState, Heap, Trust};
use crate::region::Region;

/// Headers that one look reads.
const HEADERS: usize = 64;
/// Headers of known blocks that one look reads again.
const AGAIN: usize = 1;
/// How long known blocks are believed without another look at their headers.
const BELIEF: Duration = Duration::from_millis(250);

/// One block in use that says who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// All of it, from its header to where the next one may begin.
    pub range: Region,
    /// Bytes that were asked for.
    pub asked: u32,
    /// Where the caller's part begins, in bytes from the start.
    pub front: u32,
    /// Return addresses of those who asked, the innermost first; 0 where none is known.
    pub callers: Vec<u32>,
    /// When it was first seen, since the attach.
    pub seen: Duration,
}

/// The blocks of one heap that say who asked for them.
#[derive(Clone, Debug, PartialEq)]
pub struct NotedBlocks {
    /// They, in address order.
    pub blocks: Vec<Noted>,
    /// What that is worth.
    pub trust: Trust,
    /// When they last agreed with the heap's counters, since the attach.
    pub confirmed: Option<Duration>,
}

/// The blocks of one heap, kept from look to look.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    known: BTreeMap<u32, Noted>,
    /// Where blocks and holes met when the known blocks were read, in address order.
    edges: Vec<u32>,
    /// The known blocks agreed with the counters, when these were so many calls.
    agreed: Option<(u32, u32)>,
    confirmed: Option<Duration>,
    looked: Option<Duration>,
    next: u32,
}

/// What the counters say of the blocks in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Bytes asked for.
    pub bytes: u32,
    /// Blocks.
    pub blocks: u32,
    /// Successful calls of alloc and of free: whether anything happened.
    pub calls: (u32, u32),
}

/// A heap as far as its list of free parts tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holes {
    /// Where the heap is.
    pub range: Region,
    /// Its free parts in address order.
    pub free: Vec<Region>,
}

/// The noted blocks of all heaps.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    heaps: BTreeMap<u32, Blocks>,
}

impl Notes {
    /// Divides what is in use of each heap whose blocks say who asked for them; what agrees with the heap's counters
    /// becomes its blocks.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, looks: &mut [HeapLook]) {
        for look in looks {
            let heap = &look.heap;
            let (Some(parts), Some(requested), true) = (&heap.blocks, heap.requested, heap.callers > 0) else {
                continue;
            };
            let (Some(blocks), Some(allocations)) = (heap.in_use, heap.allocations) else { continue };
            let (Some(first), Some(last)) = (parts.first(), parts.last()) else { continue };
            let holes = Holes { range: first.range.hull(last.range), free: heap.holes().unwrap_or_default() };
            let account =
                Account { bytes: requested.bytes, blocks, calls: (allocations, allocations.wrapping_sub(blocks)) };
            let trust = heap.used.map_or(Trust::Gap, |used| used.trust);
            let blocks = self.heaps.entry(heap.range.start()).or_default();
            // Free parts that are older than the counters do not say where the blocks of now begin.
            let agrees = match trust {
                Trust::Exact => blocks.look(memory, &holes, heap.callers, account),
                _ => blocks.agrees(account),
            };
            if agrees && trust == Trust::Exact {
                look.heap = divided(look.heap.clone(), &blocks.list());
            }
            look.noted = Some(NotedBlocks {
                blocks: blocks.list(),
                trust: if agrees { trust } else { Trust::Stale },
                confirmed: blocks.confirmed,
            });
        }
    }

    /// Forgets what was seen: the target was reset.
    pub fn clear(&mut self) {
        self.heaps.clear();
    }
}

/// The heap with its blocks told apart, which fill what was in use.
fn divided(heap: Heap, noted: &[Noted]) -> Heap {
    let Some(parts) = heap.blocks.clone() else { return heap };
    let mut blocks = Vec::with_capacity(parts.len() + noted.len());
    for part in parts.iter() {
        let within: Vec<&Noted> = noted.iter().filter(|block| part.range.covers(block.range)).collect();
        let filled: u32 = within.iter().map(|block| block.range.size()).sum();
        if part.state != BlockState::Stretch || filled != part.range.size() {
            blocks.push(part.clone());
            continue;
        }
        blocks.extend(within.iter().map(|block| Block {
            requested: Some(block.asked),
            owner: block.callers.first().copied().filter(|caller| *caller != 0),
            ..Block::new(block.range, block.front, BlockState::Used)
        }));
    }
    let damage = heap.damage.clone();
    heap.with_blocks(blocks.into(), damage, Trust::Exact)
}

impl Blocks {
    /// Looks for the blocks between `holes`, each with a header that names `depth` callers, and says whether they agree
    /// with the account; what does not may be older, or not be whole yet.
    pub fn look(&mut self, memory: &mut Memory<'_>, holes: &Holes, depth: u32, account: Account) -> bool {
        let now = memory.now();
        let age = self.looked.map(|looked| now.saturating_sub(looked));
        let period = if self.agrees(account) { BELIEF } else { Duration::ZERO };
        if age.is_none_or(|age| age >= period) {
            self.looked = Some(now);
            self.walk(memory, holes, depth, account, now);
        }
        if self.agrees(account) {
            self.confirmed = Some(now);
        }
        self.agrees(account)
    }

    /// The blocks of the last look, in address order.
    #[must_use]
    pub fn list(&self) -> Vec<Noted> {
        self.known.values().cloned().collect()
    }

    fn agrees(&self, account: Account) -> bool {
        self.agreed == Some(account.calls)
    }

    fn walk(&mut self, memory: &mut Memory<'_>, holes: &Holes, depth: u32, account: Account, now: Duration) {
        let edges = edges(holes);
        let moved = |edge: u32| edges.binary_search(&edge).is_ok() != self.edges.binary_search(&edge).is_ok();
        let beside = |block: &Noted| moved(block.range.start()) || moved(block.range.end_address());
        let mut again: BTreeSet<u32> =
            self.known.iter().filter(|(_, block)| beside(block)).map(|(start, _)| *start).collect();
        again.extend(self.turn(AGAIN));
        let mut found = self.step(memory, holes, depth, &again, now);
        if !found.agrees(account) && !again.is_empty() {
            // A header that was overwritten since says nothing of its block: what was known of it may still be true.
            found = self.step(memory, holes, depth, &BTreeSet::new(), now);
        }
        if !found.agrees(account) && !self.known.is_empty() {
            let all: BTreeSet<u32> = self.turn(HEADERS).into_iter().collect();
            let header = 4 * (owner::CALLERS as u32 + depth);
            memory.prefetch(&all.iter().map(|start| Region::new(*start, header)).collect::<Vec<_>>());
            found = self.step(memory, holes, depth, &all, now);
        }
        if found.agrees(account) {
            self.agreed = Some(account.calls);
        } else if !found.whole && found.left > 0 {
            // It leads nowhere: the heap changed meanwhile.
            return;
        }
        self.known = found.blocks;
        self.edges = edges;
    }

    /// The next so many known blocks, round and round.
    fn turn(&mut self, count: usize) -> Vec<u32> {
        let starts = |known: &BTreeMap<u32, Noted>, from: u32, count: usize| -> Vec<u32> {
            known.range(from..).map(|(start, _)| *start).take(count).collect()
        };
        let turn = starts(&self.known, self.next, count);
        self.next = match turn.last() {
            Some(last) if turn.len() == count => last.saturating_add(1),
            _ => 0,
        };
        if turn.len() < count && self.known.len() <= count {
            return starts(&self.known, 0, count);
        }
        turn
    }

    /// Goes from block to block in what lies between the holes, and looks at the headers of those in `again` anew.
    fn step(&self, memory: &mut Memory<'_>, holes: &Holes, depth: u32, again: &BTreeSet<u32>, now: Duration) -> Found {
        let mut found = Found { blocks: BTreeMap::new(), whole: true, left: HEADERS };
        for run in used(holes) {
            let mut at = run;
            while !at.is_empty() {
                let known = self.known.get(&at.start()).filter(|block| at.covers(block.range));
                let mut block = known.cloned();
                if (block.is_none() || again.contains(&at.start())) && found.left > 0 {
                    found.left -= 1;
                    if let Some(read) = read(memory, at, depth, now) {
                        let same = |known: &Noted| Noted { seen: known.seen, ..read.clone() } == *known;
                        block = Some(block.filter(same).unwrap_or(read));
                    }
                }
                let Some(block) = block else {
                    found.whole = false;
                    break;
                };
                at = Region::between(block.range.end_address(), run.end_address());
                found.blocks.insert(block.range.start(), block);
            }
        }
        found
    }
}

/// What one walk found.
struct Found {
    blocks: BTreeMap<u32, Noted>,
    /// Every byte that is in use belongs to a block.
    whole: bool,
    /// Headers that may still be read.
    left: usize,
}

impl Found {
    fn agrees(&self, account: Account) -> bool {
        let bytes = self.blocks.values().fold(0u32, |sum, block| sum.wrapping_add(block.asked));
        self.whole && bytes == account.bytes && self.blocks.len() == account.blocks as usize
    }
}

/// Where blocks and holes meet, in address order.
fn edges(holes: &Holes) -> Vec<u32> {
    holes.free.iter().flat_map(|hole| [hole.start(), hole.end_address()]).collect()
}

/// What lies between the holes.
fn used(holes: &Holes) -> Vec<Region> {
    let mut at = holes.range.start();
    let mut runs = Vec::new();
    for hole in &holes.free {
        runs.push(Region::between(at, hole.start()));
        at = hole.end_address();
    }
    runs.push(Region::between(at, holes.range.end_address()));
    runs.retain(|run| !run.is_empty());
    runs
}

/// The block that begins where `run` does, if its header can be one's.
fn read(memory: &mut Memory<'_>, run: Region, depth: u32, now: Duration) -> Option<Noted> {
    let header = run.bottom(4 * (owner::CALLERS as u32 + depth));
    let words = memory.words(header)?;
    let (asked, align) = owner::unpack(*words.get(owner::ASKED)?);
    let front = u32::try_from(owner::front(depth as usize, align)).ok()?;
    let whole = Rule::TARGET.rounded(front.checked_add(asked)?)?;
    let fits = asked > 0 && whole <= run.size() && run.start().is_multiple_of(u32::try_from(align).ok()?);
    let callers = words.get(owner::CALLERS..)?.to_vec();
    fits.then(|| Noted { range: run.bottom(whole), asked, front, callers, seen: now })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const HEAP: Region = Region::new(0x2000_1000, 4096);

    fn lay(ram: &mut Bytes, sizes: &[u32]) -> (Holes, Account) {
        let mut at = HEAP.start();
        for size in sizes {
            ram.poke(at, owner::pack(*size, 4));
            ram.poke(at + 4, 0x101);
            at += Rule::TARGET.rounded(8 + size).unwrap();
        }
        let holes = Holes { range: HEAP, free: vec![Region::between(at, HEAP.end_address())] };
        (holes, Account { bytes: sizes.iter().sum(), blocks: sizes.len() as u32, calls: (sizes.len() as u32, 0) })
    }

    fn look(blocks: &mut Blocks, ram: &mut Bytes, holes: &Holes, account: Account) -> bool {
        let mut memory = Memory::new(ram, LinkCost::default(), 1 << 16);
        blocks.look(&mut memory, holes, 1, account)
    }

    #[test]
    fn more_blocks_than_one_look_may_read_are_found_in_several() {
        let mut ram = Bytes::new(HEAP);
        let sizes: Vec<u32> = (1..=100).map(|index| 1 + index % 30).collect();
        let (holes, account) = lay(&mut ram, &sizes);
        let mut blocks = Blocks::default();
        assert!(!look(&mut blocks, &mut ram, &holes, account), "not whole yet");
        assert!(look(&mut blocks, &mut ram, &holes, account));
        assert_eq!(blocks.list().iter().map(|block| block.asked).collect::<Vec<_>>(), sizes);
    }

    #[test]
    fn a_block_that_took_another_s_place_is_noticed_at_once() {
        // Freed and taken again between two looks: smaller, larger, as large, and two in the place of one.
        for (before, after) in [
            (&[40, 40, 40][..], &[40, 20, 40][..]),
            (&[40, 20, 40], &[40, 60, 40]),
            (&[40, 22, 40], &[40, 24, 40]),
            (&[40, 40, 40], &[40, 16, 16, 40]),
            (&[40, 16, 16, 40], &[40, 40, 40]),
        ] {
            let mut ram = Bytes::new(HEAP);
            let mut blocks = Blocks::default();
            let (holes, account) = lay(&mut ram, before);
            assert!(look(&mut blocks, &mut ram, &holes, account));
            let (holes, account) = lay(&mut ram, after);
            let account = Account { calls: (9, 9), ..account };
            assert!(look(&mut blocks, &mut ram, &holes, account), "{before:?} became {after:?}");
            assert_eq!(blocks.list().iter().map(|block| block.asked).collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn what_does_not_agree_with_the_counters_is_not_believed() {
        let mut ram = Bytes::new(HEAP);
        let (holes, account) = lay(&mut ram, &[10, 20, 30]);
        for wrong in [Account { bytes: 61, ..account }, Account { blocks: 2, ..account }] {
            assert!(!look(&mut Blocks::default(), &mut ram, &holes, wrong), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn damage_gives_no_block_outside_of_the_heap(words in proptest::collection::vec(any::<u32>(), 64)) {
            let mut ram = Bytes::new(HEAP);
            for (word, at) in words.iter().zip(HEAP.words().pages(4)) {
                ram.poke(at.start(), *word);
            }
            let range = HEAP.bottom(256);
            let holes = Holes { range, free: Vec::new() };
            let account = Account { bytes: 0, blocks: 0, calls: (0, 0) };
            let mut blocks = Blocks::default();
            look(&mut blocks, &mut ram, &holes, account);
            for block in blocks.list() {
                prop_assert!(range.covers(block.range));
            }
        }
    }
}
