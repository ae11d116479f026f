//! One heap at one moment: its blocks where they are known, and the figures that follow from them.
//!
//! ```text
//!   |own| used | free | used | used | free ........|   blocks: ascending, no gap, no overlap, the whole range
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use highwater_agent::layout::owner;

use super::question::Demand;
use super::snapshot::{Measured, Trust};
use crate::heap::fit::{self, Fit, Rule, Unsure};
use crate::region::Region;

/// The alignment of a stack, in bytes (AAPCS32, 6.2.1.2).
const STACK_ALIGN: usize = 8;

/// One heap.
#[derive(Clone, Debug, PartialEq)]
pub struct Heap {
    /// What a person calls it, made printable.
    pub name: String,
    /// Where it is.
    pub range: Region,
    /// The allocator whose structures were walked: `heap_4`; `None` when none was.
    pub allocator: Option<&'static str>,
    /// Why none was; `None` also where there is no target to walk in.
    pub unwalked: Option<Unwalked>,
    /// In use now, the allocator's own bytes included as far as they are known.
    pub used: Option<Measured>,
    /// The most ever in use.
    pub peak: Option<Measured>,
    /// Bytes in use as the program asked for them.
    pub requested: Option<Measured>,
    /// The most bytes ever in use as the program asked for them.
    pub requested_peak: Option<Measured>,
    /// The largest single free block, or the largest request that would be granted where the allocator's rule says other.
    pub largest_free: Option<Measured>,
    /// The largest request that would be granted now, where the allocator's rule tells that.
    pub granted: Option<u32>,
    /// The allocator asks for more memory behind it when it needs to, and nothing tells how much there is.
    pub may_grow: bool,
    /// Blocks in use.
    pub in_use: Option<u32>,
    /// Allocator's own bytes within `used`: headers, and rounding as far as it is known.
    pub overhead: Option<u32>,
    /// Allocations that failed since the start.
    pub failures: Option<u32>,
    /// Allocations since the start.
    pub allocations: Option<u32>,
    /// Allocations in a second, over the last two; `None` until they were counted for a while.
    pub alloc_rate: Option<f64>,
    /// The end of the highest block ever seen: above it nothing was handed out while we looked.
    pub high_water: Option<u32>,
    /// Its blocks in ascending address order; they fill `range` without gap or overlap. `None` when nobody walked it.
    pub blocks: Option<Arc<[Block]>>,
    /// Where its structures make no sense.
    pub damage: Option<Damage>,
    /// Bytes that the last failed allocation asked for.
    pub failed_size: Option<u32>,
    /// How many callers each block names in front of it; 0 when blocks say nothing of themselves.
    pub callers: u32,
    /// Each block that says who asked for it, in address order.
    pub live: Option<Vec<LiveBlock>>,
    /// Who holds the blocks, the most bytes first; `None` when nobody keeps account of it.
    pub owners: Option<Vec<Owner>>,
    /// What blocks and owners are worth.
    pub owners_trust: Trust,
    /// When the allocator's structures were last known to be as they are told here, since the attach.
    pub walked: Option<Duration>,
    /// When blocks and owners last agreed with the heap's counters, since the attach.
    pub owners_confirmed: Option<Duration>,
}

/// A block that says who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    /// All of it: header, what was asked for, rounding.
    pub range: Region,
    /// Bytes that were asked for.
    pub asked: u32,
    /// Where the caller's part begins, in bytes from the start.
    pub front: u32,
    /// Who asked: an index into [`Heap::owners`].
    pub owner: usize,
    /// What lies in it, when that has a name of its own: a thread's stack, a buffer.
    pub holds: Option<String>,
    /// When it was first seen, since the attach.
    pub seen: Duration,
}

/// A place in the program that asks for memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallSite {
    /// The function, by its author's name for it.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

impl CallSite {
    /// The function without the modules it lies in.
    #[must_use]
    pub fn short(&self) -> &str {
        // What has type parameters has paths in them too: there is no one last part.
        if self.function.contains('<') {
            return &self.function;
        }
        self.function.rsplit("::").next().unwrap_or(&self.function)
    }

    /// Its line without the folders: `alloc.rs:44`; `None` when the debug information names none.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        Some(format!("{}:{}", file.rsplit('/').next().unwrap_or(file), self.line?))
    }
}

/// What one place in the program holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// The place.
    pub site: CallSite,
    /// Blocks in use.
    pub blocks: u32,
    /// Bytes of heap in them, headers and rounding included.
    pub bytes: u32,
    /// How fast that grows, in bytes per minute; `None` until it was watched for a while.
    pub growth: Option<f64>,
    /// It only ever takes: nothing was given back in the last minute, and it took more again and again.
    pub leaks: bool,
}

/// One block of a heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The whole block, its header included.
    pub range: Region,
    /// What its owner may use, or could if it were handed out; empty where the allocator keeps it all.
    pub payload: Region,
    /// Who has it.
    pub state: BlockState,
    /// Bytes that were asked for, where somebody noted that.
    pub requested: Option<u32>,
    /// The code address that asked for it, where somebody noted that.
    pub owner: Option<u32>,
}

impl Block {
    /// A block whose first `header` bytes are the allocator's.
    #[must_use]
    pub fn new(range: Region, header: u32, state: BlockState) -> Self {
        Self { range, payload: range.top(range.size().saturating_sub(header)), state, requested: None, owner: None }
    }
}

/// Who has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// The program.
    Used,
    /// Nobody.
    Free,
    /// The allocator itself.
    Own,
    /// The program, as one block or as several: the allocator does not keep where they meet.
    Stretch,
    /// It lies behind damage: nothing tells.
    Lost,
}

/// Why nobody walked a heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwalked {
    /// No symbol tells which allocator hands it out.
    Unnamed,
    /// This one does, of an allocator's name and what is in the way of a walk.
    By(&'static str, Obstacle),
    /// One of these does, and nothing tells which.
    OneOf(Vec<(&'static str, Obstacle)>),
}

/// What is in the way of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nobody taught us its structures.
    Foreign,
    /// What was read of it makes no heap: it is not set up, or was not to be read.
    NotYet,
    /// Its structures are not found for certain, because of that.
    Uncertain(&'static str),
}

impl Unwalked {
    /// The allocators that may hand it out.
    #[must_use]
    pub fn allocators(&self) -> Vec<&'static str> {
        match self {
            Self::Unnamed => Vec::new(),
            Self::By(allocator, _) => vec![allocator],
            Self::OneOf(allocators) => allocators.iter().map(|(allocator, _)| *allocator).collect(),
        }
    }
}

/// In words without an end.
impl fmt::Display for Unwalked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => write!(f, "no symbol tells which allocator hands it out"),
            Self::By(allocator, Obstacle::Foreign) => {
                write!(f, "its allocator, {allocator}, is not one that highwater walks")
            }
            Self::By(allocator, Obstacle::NotYet) => {
                write!(f, "its allocator, {allocator}, has not set it up, or it could not be read")
            }
            Self::By(allocator, Obstacle::Uncertain(why)) => {
                write!(f, "its allocator, {allocator}, is not walked in this firmware: {why}")
            }
            Self::OneOf(allocators) => {
                let each = allocators.iter().map(|(allocator, obstacle)| match obstacle {
                    Obstacle::NotYet => format!("{allocator} (not set up)"),
                    Obstacle::Foreign | Obstacle::Uncertain(_) => format!("{allocator} (not walked)"),
                });
                let each: Vec<String> = each.collect();
                write!(f, "{} are linked, and nothing tells which of them hands it out", each.join(" and "))
            }
        }
    }
}

/// Where a heap's structures make no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The address of the word that cannot be right.
    pub address: u32,
    /// What is wrong with it, in words without an end: `a block of 3 B`.
    pub what: String,
    /// Who may have written there; `None` when nothing tells.
    pub suspect: Option<Suspect>,
}

/// Who may have damaged a heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// Whoever writes to the block before the damage may have gone past its end.
    Block(Region),
    /// A stack that begins above the damage, and overflowed: it grows towards it.
    Stack {
        /// The stack's name.
        name: String,
        /// Its lowest address.
        limit: u32,
    },
}

impl Suspect {
    /// The lowest address of the block or the stack.
    #[must_use]
    pub fn start(&self) -> u32 {
        match self {
            Self::Block(range) => range.start(),
            Self::Stack { limit, .. } => *limit,
        }
    }
}

/// Blocks of about one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass {
    /// The largest payload that counts here, in bytes: a power of two.
    pub up_to: u32,
    /// Blocks in use; `None` when what is in use cannot be told apart into blocks.
    pub used: Option<u32>,
    /// Free blocks.
    pub free: u32,
}

impl Heap {
    /// A heap of which only the place is known.
    #[must_use]
    pub fn unknown(name: &str, range: Region) -> Self {
        Self {
            name: name.into(),
            range,
            allocator: None,
            unwalked: Some(Unwalked::Unnamed),
            used: None,
            peak: None,
            requested: None,
            requested_peak: None,
            largest_free: None,
            granted: None,
            may_grow: false,
            in_use: None,
            overhead: None,
            failures: None,
            allocations: None,
            alloc_rate: None,
            high_water: None,
            blocks: None,
            damage: None,
            failed_size: None,
            callers: 0,
            live: None,
            owners: None,
            owners_trust: Trust::Gap,
            walked: None,
            owners_confirmed: None,
        }
    }

    /// What tells it from every other heap, stable from refresh to refresh: where it begins. Two may have one name.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:08x}", self.range.start())
    }

    /// The same heap with its blocks, which fill its range, and with every figure that follows from them. `trust` says
    /// what the walk that found them is worth.
    #[must_use]
    pub fn with_blocks(mut self, blocks: Arc<[Block]>, damage: Option<Damage>, trust: Trust) -> Self {
        let sum = |states: &[BlockState]| -> u32 {
            blocks.iter().filter(|block| states.contains(&block.state)).map(|block| block.range.size()).sum()
        };
        let used = sum(&[BlockState::Used, BlockState::Stretch, BlockState::Own]);
        let counted = |state| blocks.iter().filter(|block| block.state == state).count();
        // What lies behind damage may be in use too.
        let trust = if damage.is_some() { trust.max(Trust::AtLeast) } else { trust };
        self.used = Some(Measured { bytes: used, trust });
        // Two halves that may not belong together may add up to more than was ever in use.
        if trust != Trust::Torn {
            self.peak = self.peak.map(|peak| Measured { bytes: peak.bytes.max(used), ..peak });
        }
        self.largest_free = Some(Measured { bytes: free_runs(&blocks).map(Region::size).max().unwrap_or(0), trust });
        if counted(BlockState::Stretch) + counted(BlockState::Lost) == 0 {
            self.in_use = u32::try_from(counted(BlockState::Used)).ok();
            let inside = |block: &Block| block.requested.unwrap_or(block.payload.size());
            let own = |block: &Block| block.range.size().saturating_sub(inside(block));
            self.overhead = Some(
                blocks
                    .iter()
                    .map(|block| match block.state {
                        BlockState::Own => block.range.size(),
                        BlockState::Used => own(block),
                        _ => 0,
                    })
                    .sum(),
            );
        }
        // Who counts what was asked for knows the rounding too.
        if let Some(requested) =
            self.requested.filter(|requested| requested.trust == Trust::Exact && trust == Trust::Exact)
        {
            self.overhead = used.checked_sub(requested.bytes);
        }
        let taken = |block: &&Block| block.state != BlockState::Free;
        self.high_water =
            Some(blocks.iter().rfind(taken).map_or(self.range.start(), |block| block.range.end_address()));
        self.blocks = Some(blocks);
        self.unwalked = None;
        self.damage = damage;
        self
    }

    /// Bytes not in use: those of the free blocks, or what is left of the range when there are only totals.
    #[must_use]
    pub fn free(&self) -> Option<u32> {
        match &self.blocks {
            Some(blocks) => Some(
                blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range.size()).sum(),
            ),
            None => self.used.map(|used| self.range.size().saturating_sub(used.bytes)),
        }
    }

    /// `1 - largest free / free`, from 0 (one free block) to 1; `None` when nothing is free or not known.
    #[must_use]
    pub fn fragmentation(&self) -> Option<f64> {
        let free = self.free().filter(|free| *free > 0)?;
        Some(1.0 - f64::from(self.largest_free?.bytes.min(free)) / f64::from(free))
    }

    /// The same in whole percent, as limits are written.
    #[must_use]
    pub fn fragmentation_percent(&self) -> Option<u8> {
        self.fragmentation().map(|share| (share * 100.0).round() as u8)
    }

    /// The allocator's own bytes as a share of what is in use, from 0 to 1.
    #[must_use]
    pub fn overhead_share(&self) -> Option<f64> {
        let used = self.used.filter(|used| used.bytes > 0)?;
        Some(f64::from(self.overhead?) / f64::from(used.bytes))
    }

    /// Whether all that is asked for, aligned to `align`, could be allocated now, by the holes as they were last seen.
    #[must_use]
    pub fn fit(&self, demand: Demand, align: u32) -> Fit {
        match self.fit_within(demand, align) {
            Fit::No { .. } | Fit::TooLarge { .. } if self.may_grow => Fit::Unknown(Unsure::Growth),
            fit => fit,
        }
    }

    /// The same by its range as it is now.
    fn fit_within(&self, demand: Demand, align: u32) -> Fit {
        let front = if self.callers > 0 { owner::front(self.callers as usize, align as usize) } else { 0 };
        let front = u32::try_from(front).unwrap_or(u32::MAX);
        let wholes: Vec<u32> = demand.sizes().map(|size| size.saturating_add(front)).collect();
        let needs = wholes.iter().fold(0_u32, |all, whole| all.saturating_add(*whole));
        if needs > self.most_free() {
            return Fit::TooLarge { needs };
        }
        if let Some(unsure) = self.unsure() {
            return Fit::Unknown(unsure);
        }
        let Some(rule) = self.allocator.and_then(Rule::of) else {
            let most = fit::most(self.allocator, self.blocks.as_deref().unwrap_or_default(), self.granted);
            return match (wholes.iter().find(|whole| **whole > most), self.granted) {
                (Some(needs), _) => Fit::No { needs: *needs, in_the_way: None },
                (None, Some(granted)) if wholes.len() == 1 && needs <= granted => Fit::Granted,
                _ => Fit::Unknown(Unsure::Rule),
            };
        };
        let live = self.live.iter().flatten().map(|block| block.range);
        let used = self.blocks.iter().flat_map(|blocks| blocks.iter()).filter(|block| block.state == BlockState::Used);
        let mut blocks: Vec<Region> = live.chain(used.map(|block| block.range)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        rule.fit_all(self.free_runs().collect(), &blocks, &wholes, align)
    }

    /// Bytes that may be free at the most: all that is not known to be in use.
    fn most_free(&self) -> u32 {
        let in_use = self.used.filter(|used| used.trust != Trust::Torn && used.trust != Trust::Gap);
        self.range.size().saturating_sub(in_use.map_or(0, |used| used.bytes))
    }

    /// Why it is not known what would fit, whatever is asked about.
    fn unsure(&self) -> Option<Unsure> {
        let Some(blocks) = &self.blocks else { return Some(Unsure::Unwalked) };
        if self.damage.is_some() {
            return Some(Unsure::Damaged);
        }
        if blocks.iter().any(|block| block.state == BlockState::Lost) {
            return Some(Unsure::InPart);
        }
        self.used.is_none_or(|used| used.trust == Trust::Torn).then_some(Unsure::Torn)
    }

    /// That reason in words without an end.
    #[must_use]
    pub fn why(&self, unsure: Unsure) -> String {
        match unsure {
            Unsure::Unwalked => self.unwalked.as_ref().unwrap_or(&Unwalked::Unnamed).to_string(),
            Unsure::Damaged => "its structures are damaged".into(),
            Unsure::InPart => "it has more blocks than are walked".into(),
            Unsure::Torn => "it was read while it changed".into(),
            Unsure::Rule => match self.allocator {
                Some(allocator) => format!("so much is free, and which free block {allocator} takes is not known"),
                None => "by which rule it is given out is not known".into(),
            },
            Unsure::Growth => "its allocator would ask for more memory, and how much there is is not known".into(),
            Unsure::Question => "what is asked about is not there".into(),
        }
    }

    /// What the block at an address is called: by what it holds, or by who asked for it.
    #[must_use]
    pub fn block_name(&self, address: u32) -> String {
        let block = self.block_at(address);
        let owner = |block| Some(self.owner_of(block)?.site.short().to_owned());
        block.and_then(|block| block.holds.clone().or_else(|| owner(block))).unwrap_or_else(|| "a block".into())
    }

    /// The block that holds a stack, with the agent's header in front of it, whether or not that was overwritten since;
    /// `None` when it is not in this heap, or its blocks have no such headers.
    #[must_use]
    pub fn block_around(&self, stack: Region) -> Option<Region> {
        if self.callers == 0 || !self.range.covers(stack) {
            return None;
        }
        if let Some(block) = self.block_at(stack.start()) {
            return Some(block.range.hull(stack));
        }
        let front = u32::try_from(owner::front(self.callers as usize, STACK_ALIGN)).ok()?;
        let header = Region::before(stack.start(), front)?;
        self.range.covers(header).then(|| header.hull(stack))
    }

    /// The block that lies at an address.
    #[must_use]
    pub fn block_at(&self, address: u32) -> Option<&LiveBlock> {
        self.live.as_ref()?.iter().find(|block| block.range.contains(address))
    }

    /// Who asked for a block.
    #[must_use]
    pub fn owner_of(&self, block: &LiveBlock) -> Option<&Owner> {
        self.owners.as_ref()?.get(block.owner)
    }

    /// The free parts in address order; `None` when nobody walked it.
    #[must_use]
    pub fn holes(&self) -> Option<Vec<Region>> {
        self.blocks.as_ref().map(|_| self.free_runs().collect())
    }

    /// The free parts: free blocks that touch are one, because allocators join them when they need to.
    pub fn free_runs(&self) -> impl Iterator<Item = Region> {
        free_runs(self.blocks.as_deref().unwrap_or_default())
    }

    /// How many blocks there are of each size, the smallest first, by powers of two; empty when blocks are not known.
    /// Where the allocator does not keep where blocks meet, those that say who asked for them count, as they were when
    /// they last agreed with the heap's counters.
    #[must_use]
    pub fn sizes(&self) -> Vec<SizeClass> {
        let blocks = self.blocks.as_deref().unwrap_or_default();
        let of = |state| blocks.iter().filter(move |block| block.state == state).map(|block| block.payload.size());
        let used: Option<Vec<u32>> = match blocks.iter().any(|block| block.state == BlockState::Stretch) {
            false => Some(of(BlockState::Used).collect()),
            true => self
                .live
                .as_ref()
                .map(|live| live.iter().map(|block| block.range.size().saturating_sub(block.front)).collect()),
        };
        let mut classes = [(0u32, 0u32); 32];
        let class = |size: u32| size.clamp(1, 1 << 31).next_power_of_two().trailing_zeros() as usize;
        for size in used.iter().flatten() {
            classes[class(*size)].0 += 1;
        }
        for size in of(BlockState::Free) {
            classes[class(size)].1 += 1;
        }
        let told = |class: &(u32, u32)| *class != (0, 0);
        let Some(first) = classes.iter().position(told) else { return Vec::new() };
        let last = classes.iter().rposition(told).unwrap_or(first);
        (first..=last)
            .map(|index| {
                let (in_use, free) = classes[index];
                SizeClass { up_to: 1 << index, used: used.as_ref().map(|_| in_use), free }
            })
            .collect()
    }
}

/// The free parts of `blocks`, those that touch joined.
pub(crate) fn free_runs(blocks: &[Block]) -> impl Iterator<Item = Region> {
    blocks
        .chunk_by(|one, next| (one.state == BlockState::Free) == (next.state == BlockState::Free))
        .filter(|run| run[0].state == BlockState::Free)
        .map(|run| run[0].range.hull(run[run.len() - 1].range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(parts: &[(u32, BlockState)]) -> Heap {
        let mut at = 0x1000;
        let mut blocks = Vec::new();
        for (size, state) in parts {
            blocks.push(Block::new(Region::new(at, *size), 8, *state));
            at += size;
        }
        Heap::unknown("heap", Region::between(0x1000, at)).with_blocks(blocks.into(), None, Trust::Exact)
    }

    #[test]
    fn whether_it_fits_is_told_as_far_as_the_allocator_is_known() {
        use BlockState::{Free, Used};
        let heap = |allocator| Heap {
            allocator,
            ..heap(&[(0x40, Used), (0x100, Free), (0x20, Used), (0x80, Free), (0x200, Used)])
        };
        let check = |allocator, size, expected: fn(&Fit) -> bool| {
            let fit = heap(allocator).fit(Demand::of(size), 8);
            assert!(expected(&fit), "{size} B in {allocator:?}: {fit:?}");
        };
        let thread = |allocator, bytes, block| heap(allocator).fit(Demand { bytes, control_block: Some(block) }, 8);
        // The second hole takes the control block, when the stack has taken the first.
        assert!(matches!(thread(Some("heap_4"), 0xf8, 0x78), Fit::Yes { left: 0, .. }));
        assert!(matches!(thread(Some("heap_4"), 0xb8, 0x78), Fit::Yes { left: 0x40, .. }));
        assert!(matches!(thread(Some("heap_4"), 0xf8, 0x79), Fit::TooLarge { .. }));
        assert!(matches!(thread(Some("heap_4"), 0xd8, 0x79), Fit::No { needs: 0x88, .. }));
        assert!(matches!(thread(Some("newlib malloc"), 0x100, 0x80), Fit::Unknown(_)));
        assert!(matches!(thread(Some("newlib malloc"), 0x100, 0x81), Fit::TooLarge { .. }));
        let way = Some(Region::new(0x1140, 0x20));
        assert_eq!(heap(Some("heap_4")).fit(Demand::of(0x100), 8), Fit::No { needs: 0x108, in_the_way: way });
        check(Some("heap_4"), 0xf8, |fit| matches!(fit, Fit::Yes { .. }));
        check(Some("newlib malloc"), 0x100, |fit| *fit == Fit::Unknown(Unsure::Rule));
        check(Some("newlib malloc"), 0x101, |fit| matches!(fit, Fit::No { in_the_way: None, .. }));
        check(Some("newlib malloc"), 0x181, |fit| matches!(fit, Fit::TooLarge { .. }));
    }

    #[test]
    fn of_a_heap_known_in_part_it_is_not_known_what_would_fit_and_why() {
        use BlockState::{Free, Lost, Used};
        let walked = |parts: &[(u32, BlockState)], allocator| Heap { allocator: Some(allocator), ..heap(parts) };
        let place = Heap::unknown("heap", Region::new(0x1000, 0x400));
        let counted = |bytes, trust| Heap { used: Some(Measured { bytes, trust }), ..place.clone() };
        let by = |allocator, obstacle| Heap { unwalked: Some(Unwalked::By(allocator, obstacle)), ..place.clone() };
        let part = |allocator| walked(&[(0x40, Used), (0x100, Free), (0x2c0, Lost)], allocator);
        let damage = Some(Damage { address: 0x1140, what: "a block of 0 B".into(), suspect: None });
        let whole = &[(0x40, Used), (0x100, Free), (0x2c0, Used)];
        let torn = Some(Measured { bytes: 0x300, trust: Trust::Torn });
        let granted = |granted| Heap { granted, ..walked(whole, "newlib malloc") };
        let told = |told: &str| Err(Some(told.to_owned()));
        let (yes, no) = (Ok(true), Ok(false));
        let check = |what: &str, heap: &Heap, size: u32, expected: &Result<bool, Option<String>>| {
            let found = match heap.fit(Demand::of(size), 8) {
                Fit::Yes { .. } | Fit::Granted => Ok(true),
                Fit::No { .. } | Fit::TooLarge { .. } => Ok(false),
                Fit::Unknown(unsure) => Err(Some(heap.why(unsure))),
            };
            assert_eq!(found, *expected, "{what}, {size} B");
        };
        let unnamed = told("no symbol tells which allocator hands it out");
        check("only its place is known", &place, 8, &unnamed);
        check("only its place is known", &place, 0x400, &unnamed);
        check("larger than all of it", &place, 0x401, &no);
        check("counters only", &counted(0x300, Trust::AtLeast), 0x100, &unnamed);
        check("more than they leave", &counted(0x300, Trust::AtLeast), 0x101, &no);
        check("counters that were torn", &counted(0x300, Trust::Torn), 0x101, &unnamed);
        check("counters that were not read", &counted(0x300, Trust::Gap), 0x101, &unnamed);
        let foreign = by("talc", Obstacle::Foreign);
        check("a foreign one", &foreign, 8, &told("its allocator, talc, is not one that highwater walks"));
        let not_yet = told("its allocator, heap_4, has not set it up, or it could not be read");
        check("not set up", &by("heap_4", Obstacle::NotYet), 8, &not_yet);
        let several = Heap {
            unwalked: Some(Unwalked::OneOf(vec![("talc", Obstacle::Foreign), ("heap_5", Obstacle::NotYet)])),
            ..place.clone()
        };
        let one_of =
            told("talc (not walked) and heap_5 (not set up) are linked, and nothing tells which of them hands it out");
        check("one of two", &several, 8, &one_of);
        for allocator in ["heap_4", "linked_list_allocator", "picolibc malloc", "newlib malloc", "rlsf"] {
            let in_part = told("it has more blocks than are walked");
            check(allocator, &part(allocator), 0x20, &in_part);
            check(allocator, &part(allocator), 0x3c0, &in_part);
            check(allocator, &part(allocator), 0x3c1, &no);
            let damaged = Heap { damage: damage.clone(), ..part(allocator) };
            check(allocator, &damaged, 0x20, &told("its structures are damaged"));
            let torn = Heap { used: torn, ..walked(whole, allocator) };
            check(allocator, &torn, 0x20, &told("it was read while it changed"));
        }
        check("the whole heap", &walked(whole, "heap_4"), 0x20, &yes);
        check(
            "a rule that nobody knows",
            &walked(whole, "rlsf"),
            0x20,
            &told("so much is free, and which free block rlsf takes is not known"),
        );
        check("what is granted", &granted(Some(0xf0)), 0xf0, &yes);
        check(
            "more than is granted for sure",
            &granted(Some(0xf0)),
            0xf8,
            &told("so much is free, and which free block newlib malloc takes is not known"),
        );
        check("more than there is in one piece", &granted(Some(0xf0)), 0x101, &no);
        // Behind it may be more.
        let open = |allocator| Heap { may_grow: true, granted: Some(0xf0), ..walked(whole, allocator) };
        let growth = told("its allocator would ask for more memory, and how much there is is not known");
        for allocator in ["newlib malloc", "newlib-nano malloc", "picolibc malloc"] {
            check(allocator, &open(allocator), 0xf0, &yes);
            check(allocator, &open(allocator), 0x101, &growth);
            check(allocator, &open(allocator), 0x401, &growth);
        }
        let by_rule = |allocator, granted| Heap {
            granted: Some(granted),
            ..walked(&[(0x40, Used), (0x80, Free), (0xc0, Free), (0x280, Used)], allocator)
        };
        let of_heap_2 = told("so much is free, and which free block heap_2 takes is not known");
        for (allocator, granted, size, expected) in [
            ("rlsf", 0xb8, 0xb8, &yes),
            ("rlsf", 0xb0, 0xb1, &no),
            ("heap_1", 0x138, 0x138, &yes),
            ("heap_1", 0x138, 0x139, &no),
            // It does not join the two.
            ("heap_2", 0xb8, 0xb8, &yes),
            ("heap_2", 0xb8, 0xb9, &no),
            ("heap_2", 0xb0, 0xb1, &of_heap_2),
        ] {
            check(allocator, &by_rule(allocator, granted), size, expected);
        }
    }

    #[test]
    fn all_figures_follow_from_the_blocks() {
        use BlockState::{Free, Own, Used};
        let heap = heap(&[(8, Own), (40, Used), (24, Free), (72, Used), (16, Free), (80, Free), (8, Own)]);
        assert_eq!(heap.used, Some(Measured { bytes: 128, trust: Trust::Exact }));
        assert_eq!((heap.free(), heap.in_use, heap.overhead), (Some(120), Some(2), Some(32)));
        // Two free blocks that touch are one piece.
        assert_eq!(heap.largest_free.map(|free| free.bytes), Some(96));
        assert!(heap.fragmentation().is_some_and(|share| (share - 0.2).abs() < 1e-9));
        assert_eq!(heap.overhead_share(), Some(0.25));
        assert_eq!(heap.free_runs().map(Region::size).collect::<Vec<_>>(), [24, 96]);
        let sizes: Vec<(u32, Option<u32>, u32)> =
            heap.sizes().iter().map(|class| (class.up_to, class.used, class.free)).collect();
        let some = |up_to, used, free| (up_to, Some(used), free);
        assert_eq!(sizes, [some(8, 0, 1), some(16, 0, 1), some(32, 1, 0), some(64, 1, 0), some(128, 0, 1)]);
    }

    #[test]
    fn of_a_stretch_the_blocks_count_that_say_who_asked_for_them_and_none_is_not_zero() {
        use BlockState::{Free, Stretch};
        let told = |heap: &Heap| -> Vec<_> {
            heap.sizes().iter().map(|class| (class.up_to, class.used, class.free)).collect()
        };
        let stretch = heap(&[(96, Stretch), (24, Free)]);
        assert_eq!(told(&stretch), [(16, None, 1)]);
        let block = |start, size| LiveBlock {
            range: Region::new(start, size),
            asked: size - 8,
            front: 8,
            owner: 0,
            holds: None,
            seen: Duration::ZERO,
        };
        let noted = Heap { live: Some(vec![block(0x1000, 40), block(0x1028, 56)]), ..stretch };
        assert_eq!(told(&noted), [(16, Some(0), 1), (32, Some(1), 0), (64, Some(1), 0)]);
    }

    #[test]
    fn behind_damage_and_within_stretches_nothing_is_counted() {
        use BlockState::{Free, Lost, Stretch, Used};
        let stretches = heap(&[(40, Stretch), (24, Free)]);
        assert_eq!((stretches.in_use, stretches.overhead), (None, None));
        let parts = heap(&[(40, Used), (24, Free), (64, Lost)]);
        let damage = Damage { address: 0x1040, what: "a block of 0 B".into(), suspect: None };
        let damaged = Heap::unknown("heap", parts.range).with_blocks(
            parts.blocks.expect("it has blocks"),
            Some(damage),
            Trust::Exact,
        );
        assert_eq!(damaged.used, Some(Measured { bytes: 40, trust: Trust::AtLeast }));
        assert_eq!((damaged.free(), damaged.in_use), (Some(24), None));
    }
}
