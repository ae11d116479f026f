//! The heaps of one target over its refreshes: a walk counts when it is confirmed, and the last good one is kept.
//!
//! ```text
//!   words that count the calls:   read them, walk, read them again: the same -> it counts
//!   nothing counts the calls:     walk twice: the same blocks -> it counts
//!   damage:                       walked several times: the same damage in each -> it counts
//! ```

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_agent::layout::owner;

use super::linked::{self, Linked};
use super::mbed_stats::MbedStats;
use super::{HeapLook, Walk, Walker, detect};
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip};
use crate::image::symbols::{as_written, demangle};
use crate::memory::{LOOKS, Memory};
use crate::model::snapshot::{Block, BlockState, Heap, Measured, MemoryKind, Trust};
use crate::region::Region;
use crate::units;

/// The alignment that most blocks ask for, in bytes: it pads the agent's header.
const HEADER_ALIGN: usize = 8;
/// Looks at a heap that changes while it is read.
const TRIES: usize = 3;
/// A walk that must be made in each look, because nothing tells that the heap stayed the same, is made at most once in
/// this many times of what it takes.
const PATIENCE: u32 = 8;

/// All heaps whose allocators are understood.
#[derive(Default)]
pub struct Heaps {
    watched: Vec<Watched>,
    ram: Ram,
    mbed: Option<MbedStats>,
    failures: Failures,
    /// The allocators that nobody walks.
    linked: Vec<Linked>,
    /// What was said of those among them whose heaps nobody knows.
    homeless: Vec<String>,
}

/// What was last believed of failed allocations, by where the counters lie: how many, and the size of the last.
type Failures = BTreeMap<u32, (Option<u32>, Option<u32>)>;

/// One allocator and its last walk.
struct Watched {
    walker: Box<dyn Walker>,
    /// What the program calls the object that holds it.
    object: Option<String>,
    last: Option<Seen>,
    /// Where the heap lies when that is beyond all RAM that is known.
    beyond: Option<Region>,
}

impl Watched {
    fn new(walker: Box<dyn Walker>, object: Option<String>) -> Self {
        Self { walker, object, last: None, beyond: None }
    }

    /// A sentence for a heap that cannot be shown because of where it lies.
    fn beyond(&self, ram: &Ram) -> Option<String> {
        let beyond = self.beyond?;
        let place =
            |range: &Region| format!("{} to {}", units::address(range.start().into()), units::address(range.end()));
        let allocator = self.walker.name();
        let name = self.object.as_ref().map_or_else(|| allocator.to_owned(), |object| format!("{allocator} {object}"));
        let known: Vec<String> = ram.reach.iter().map(place).collect();
        Some(format!(
            "The heap {name} lies at {}, which is not in the RAM that is known ({}), so it is not shown. --chip tells how \
             large RAM is.",
            place(&beyond),
            known.join(", ")
        ))
    }
}

/// A walk that may still be true.
struct Seen {
    walk: Walk,
    trust: Trust,
    witness: Option<Vec<u32>>,
    /// When the walk began.
    began: Duration,
    /// When it was last known to be true.
    at: Duration,
    took: Duration,
}

/// Where a heap can lie.
#[derive(Debug, Default)]
struct Ram {
    /// What is known of it.
    known: Vec<Region>,
    /// As far as it can go where nobody told its end.
    reach: Vec<Region>,
}

impl Ram {
    fn of(memories: &[Chip]) -> Self {
        let ram = memories.iter().filter(|memory| memory.kind == MemoryKind::Ram);
        Self { known: ram.map(|memory| memory.range).collect(), reach: layout::ram(memories) }
    }

    /// Whether one of the areas holds all of `range`; where none is known, any does.
    fn holds(areas: &[Region], range: Region) -> bool {
        areas.is_empty() || areas.iter().any(|area| area.covers(range))
    }
}

impl Heaps {
    /// The heaps of this firmware, in those memories.
    #[must_use]
    pub fn new(image: &Image, memories: &[Chip]) -> Self {
        let ram = Ram::of(memories);
        let walkers = detect(image);
        let linked = linked::find(image, &walkers);
        let objects: Vec<Option<u32>> = walkers.iter().map(|walker| walker.object()).collect();
        let watched = walkers.into_iter().zip(&objects).map(|(walker, object)| {
            let object = object.and_then(|object| object_name(image, object, &objects));
            Watched::new(walker, object)
        });
        Self { watched: watched.collect(), ram, mbed: MbedStats::find(image), linked, ..Self::default() }
    }

    /// What the next [`Heaps::refresh`] will surely read.
    #[must_use]
    pub fn wants(&self) -> Vec<Region> {
        let walked = self.watched.iter().flat_map(|watched| watched.walker.wants());
        walked.chain(self.mbed.iter().map(MbedStats::wants)).collect()
    }

    /// Forgets what was seen: the target was reset.
    pub fn clear(&mut self) {
        for watched in &mut self.watched {
            (watched.last, watched.beyond) = (None, None);
        }
        self.failures.clear();
    }

    /// What is known of a heap as a whole and of none of its parts, in whole sentences.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let told = self.watched.iter().filter_map(|watched| {
            let walk = &watched.last.as_ref()?.walk;
            let lowest = walk.lowest_free.filter(|_| walk.ranges.len() > 1)?;
            let (all, name) = (walk.ranges.iter().map(|range| range.size()).sum::<u32>(), watched.walker.name());
            Some(format!(
                "{name} counts the fewest bytes that were ever free for its {} regions together: {lowest} B of {all} B. So \
                 the regions have no peak, each by itself.",
                walk.ranges.len()
            ))
        });
        let beyond = self.watched.iter().filter_map(|watched| watched.beyond(&self.ram));
        told.chain(beyond).chain(self.homeless.iter().cloned()).collect()
    }

    /// Puts the blocks of each heap into the one of `looks` that it is, and adds those that nobody told of.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, looks: &mut Vec<HeapLook>) {
        linked::add_own(&self.linked, looks);
        for watched in &mut self.watched {
            let began = memory.now();
            watched.refresh(memory, looks, &self.ram);
            if let Some(seen) = &watched.last {
                tell(seen, watched.walker.name(), watched.object.as_deref(), began, looks);
            }
        }
        if let Some(mbed) = &self.mbed {
            mbed.tell(memory, looks);
        }
        let waiting = self.watched.iter().filter(|watched| watched.last.is_none());
        let waiting: Vec<Linked> = waiting.map(|watched| Linked::waiting(&*watched.walker)).collect();
        for look in looks.iter_mut().filter(|look| look.heap.blocks.is_none()) {
            look.heap.unwalked = Some(linked::unwalked(look.heap.range, self.linked.iter().chain(&waiting)));
        }
        self.homeless = linked::homeless(&self.linked, looks);
        for look in looks {
            believe_failures(memory, look, &mut self.failures);
        }
    }
}

/// Takes a failed allocation over when several looks at the counters say the same of it: it is told once, and for good.
fn believe_failures(memory: &mut Memory<'_>, look: &mut HeapLook, believed: &mut Failures) {
    let (Some(witness), Some(_)) = (look.witness, look.heap.failures) else { return };
    let told = (look.heap.failures, look.heap.failed_size);
    let before = believed.entry(witness.at.start()).or_insert((Some(0), None));
    // It may go on failing between two looks.
    let again = |words: &[u32]| match ((witness.count)(words), told.0.cmp(&before.0)) {
        (None, _) => true,
        (Some(now), Ordering::Greater) => Some(now.failures) >= told.0,
        (Some(now), Ordering::Less) => Some(now.failures) <= told.0,
        (Some(now), Ordering::Equal) => now.failed_size.filter(|size| *size > 0) == told.1,
    };
    if told == *before || memory.confirms(witness.at, again) {
        *before = told;
    }
    (look.heap.failures, look.heap.failed_size) = *before;
}

impl Watched {
    fn refresh(&mut self, memory: &mut Memory<'_>, looks: &mut [HeapLook], ram: &Ram) {
        // The last walk says which heap it is; the first one has to find out.
        let known = self.last.as_ref().and_then(|seen| look_of(&seen.walk.ranges, looks));
        let witness = known.and_then(|look| memory.words(looks[look].witness?.at));
        let started = memory.now();
        if let Some(seen) = &mut self.last {
            let unchanged = witness.is_some() && seen.witness == witness && seen.trust != Trust::Torn;
            if unchanged {
                seen.at = memory.now();
                return;
            }
            let pause = match witness {
                Some(_) => memory.max_age(),
                None => {
                    memory.max_age().max(if memory.max_age().is_zero() { Duration::ZERO } else { seen.took * PATIENCE })
                }
            };
            if started.saturating_sub(seen.began) < pause {
                return;
            }
            let headers: Vec<Region> =
                seen.walk.blocks.iter().map(|block| block.range.below(block.payload.start())).collect();
            memory.prefetch(&headers);
        }
        let statics = self.walker.wants();
        let mut before: Option<Walk> = None;
        let mut alike = 0;
        for number in 0..=LOOKS {
            let may_be_damaged = alike == number && before.as_ref().is_some_and(|before| before.damage.is_some());
            if number >= TRIES && !may_be_damaged {
                break;
            }
            if let Some(before) = &before {
                forget(memory, &statics, &before.ranges);
            }
            let Some(walk) = self.walker.walk(memory) else { break };
            let seen = self.last.iter().flat_map(|seen| &seen.walk.ranges);
            let was_there = |range: &Region| seen.clone().any(|seen| seen.overlaps(*range));
            let is_beyond = |range: &&Region| !Ram::holds(&ram.reach, **range);
            // What makes sense as a heap is one, whatever is believed of RAM; before it is set up, words are anything.
            let is_anything = |range: &Region| !was_there(range) && !Ram::holds(&ram.known, *range);
            if walk.damage.is_some() && walk.ranges.iter().any(is_anything) {
                break;
            }
            if let Some(range) = walk.ranges.iter().find(is_beyond) {
                self.beyond = Some(*range);
                break;
            }
            self.beyond = None;
            let known = look_of(&walk.ranges, looks);
            let counts = known.is_some_and(|look| looks[look].witness.is_some());
            let same = known.is_some_and(|look| stayed(memory, &mut looks[look], &walk, self.walker.rounding()));
            let again = before.as_ref() == Some(&walk);
            alike = if again { alike + 1 } else { 1 };
            let looks_enough = if walk.damage.is_some() { LOOKS } else { 2 };
            if (same || !counts) && alike >= looks_enough || same && walk.damage.is_none() {
                let witness = known.and_then(|look| memory.words(looks[look].witness?.at));
                let took = memory.now().saturating_sub(started);
                self.last = Some(Seen { walk, trust: Trust::Exact, witness, began: started, at: memory.now(), took });
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
            self.last = Some(Seen { walk, trust: Trust::Torn, witness: None, began: started, at: memory.now(), took });
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
    let earlier = before.as_ref().and_then(|before| (witness.count)(before));
    if !counted.is_sound(look.heap.range.size()) || earlier.is_none_or(|earlier| !counted.follows(&earlier)) {
        return false;
    }
    if !same {
        let told = HeapLook::counted(&look.heap.name, look.heap.range, &counted, look.witness);
        *look = told.with_rows(look.rows);
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

/// What the program calls the object at an address, by the last part of its name: `my_kernel_heap`. Where several of
/// `objects` lie in one symbol, in an array or in a structure, each has its offset too.
fn object_name(image: &Image, object: u32, objects: &[Option<u32>]) -> Option<String> {
    let symbol = image.symbols.at(object)?;
    let written = demangle(as_written(&symbol.name));
    let short = if written.contains('<') { &*written } else { written.rsplit("::").next().unwrap_or(&written) };
    let mates = objects.iter().flatten().filter(|mate| symbol.range.contains(**mate)).count();
    let offset = object - symbol.range.start();
    Some(if mates > 1 { format!("{short}+{offset:#x}") } else { short.to_owned() })
}

/// Says of the heaps what a walk found; what was last true before this refresh `began` is stale. One that nobody told of
/// is called by its own name, the `object` that holds it, or its allocator.
fn tell(seen: &Seen, allocator: &'static str, object: Option<&str>, began: Duration, looks: &mut Vec<HeapLook>) {
    let trust = if seen.at < began && seen.trust == Trust::Exact { Trust::Stale } else { seen.trust };
    let single = seen.walk.ranges.len() == 1;
    for (index, range) in seen.walk.ranges.iter().enumerate() {
        let found = look_of(&[*range], looks);
        let place = found.unwrap_or_else(|| {
            let own = seen.walk.name.as_deref().or(object).unwrap_or(allocator);
            let name = if single { own.to_owned() } else { format!("{own} {}", index + 1) };
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
        let mut told = Heap { allocator: Some(allocator), walked: Some(seen.at), ..heap.clone() };
        if single {
            told.failures = told.failures.or(seen.walk.failures);
            told.allocations = told.allocations.or(seen.walk.allocations);
            if let Some(lowest) = seen.walk.lowest_free {
                let bytes = range.size().saturating_sub(lowest);
                told.peak = Some(Measured { bytes, trust });
            }
            if let Some(peak) = seen.walk.peak {
                told.peak = Some(Measured { trust: peak.trust.max(trust), ..peak });
            }
        }
        *heap = told.with_blocks(blocks, damage, trust);
        if let Some((bytes, largest)) = seen.walk.largest_free.zip(heap.largest_free.as_mut()).filter(|_| single) {
            largest.bytes = bytes;
            heap.granted = Some(bytes);
        }
        if let Some(largest) = heap.largest_free.as_mut().filter(|_| seen.walk.may_grow) {
            largest.trust = largest.trust.max(Trust::AtLeast);
        }
        heap.may_grow = seen.walk.may_grow;
    }
}

/// The blocks of a heap whose allocator rounded its ends: what it cut off belongs to it.
fn framed(whole: Region, range: Region, blocks: &[Block]) -> Arc<[Block]> {
    let own = |range: Region| (!range.is_empty()).then(|| Block::new(range, range.size(), BlockState::Own));
    let above = whole.top(whole.size() - whole.below(range.start()).size() - range.size());
    own(whole.below(range.start())).into_iter().chain(blocks.iter().cloned()).chain(own(above)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::testing::{code, image_with};
    use super::super::{Counted, Witness};
    use super::*;
    use crate::model::snapshot::Damage;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;
    use crate::source::{CoreStatus, Counters, Description, ReadError, Source};

    const RAM: Region = Region::new(0x2000_0000, 0x1000);
    const HEAP: Region = Region::new(0x2000_0800, 0x800);
    /// Two words of the allocator's: what is in use, twice.
    const USED: u32 = 0x2000_0100;
    /// The agent's count of calls.
    const CALLS: Region = Region::new(0x2000_0200, 4);

    /// Two regions of one heap, which counts the fewest bytes ever free for both.
    struct Two;

    impl Walker for Two {
        fn name(&self) -> &'static str {
            "two"
        }

        fn wants(&self) -> Vec<Region> {
            Vec::new()
        }

        fn walk(&self, _memory: &mut Memory<'_>) -> Option<Walk> {
            let ranges = vec![HEAP.bottom(0x100), HEAP.top(0x200)];
            let blocks = ranges.iter().map(|range| Block::new(*range, 8, BlockState::Used)).collect();
            Some(Walk { ranges, blocks, lowest_free: Some(0x40), ..Walk::default() })
        }
    }

    #[test]
    fn what_is_counted_for_several_regions_together_is_told_of_none_and_in_a_hint() {
        let mut heaps = Heaps { watched: vec![Watched::new(Box::new(Two), None)], ram: ram(RAM), ..Heaps::default() };
        assert_eq!(heaps.hints(), Vec::<String>::new());
        let mut source = Bytes::new(RAM);
        let mut looks = Vec::new();
        heaps.refresh(&mut Memory::new(&mut source, LinkCost::default(), 1 << 16), &mut looks);
        assert_eq!(looks.iter().map(|look| look.heap.peak).collect::<Vec<_>>(), [None, None]);
        let hints = heaps.hints();
        assert!(hints.len() == 1 && hints[0].contains("2 regions") && hints[0].contains("64 B of 768 B"), "{hints:?}");
    }

    #[test]
    fn an_allocator_that_nobody_walks_is_named_and_what_was_counted_stays() {
        let check = |name: &str,
                     counted: bool,
                     walker: Option<Simple>,
                     expected: (Option<u32>, Option<&str>, usize)| {
            let image = image_with(vec![code("umm_malloc", 0x100)]);
            let mut heaps = Heaps::new(&image, &[]);
            heaps.watched.extend(walker.map(|walker| Watched::new(Box::new(walker), None)));
            let (mut source, mut looks) = (Bytes::new(RAM), Vec::new());
            if counted {
                looks.push(HeapLook::counted("heap", RAM, &super::tests::counted(&[1]).expect("they are words"), None));
            } else if name == "place" {
                looks.push(HeapLook::unknown("heap", RAM));
            }
            heaps.refresh(&mut Memory::new(&mut source, LinkCost::default(), 1 << 16), &mut looks);
            let told = looks.first().map(|look| &look.heap);
            let used = told.and_then(|heap| heap.used).map(|used| used.bytes);
            let why = told.and_then(|heap| heap.unwalked.as_ref()).map(ToString::to_string);
            assert_eq!((used, why.as_deref(), heaps.hints().len()), expected, "{name}");
            assert!(told.is_none_or(|heap| heap.blocks.is_some() || heap.allocator.is_none()), "{name}");
        };
        let named = Some("its allocator, umm_malloc, is not one that highwater walks");
        check("place", false, None, (None, named, 0));
        check("counted", true, None, (Some(40), named, 0));
        // No heap is known that may be its own.
        check("nothing", false, None, (None, None, 1));
        check("walked", false, Some(Simple { rounding: None }), (Some(0), None, 1));
    }

    #[test]
    fn a_heap_beyond_what_is_known_of_ram_is_told_in_a_hint() {
        let check = |ram: Option<Region>, expected: usize| {
            let mut heaps = Heaps {
                watched: vec![Watched::new(Box::new(Simple { rounding: None }), Some("pool".into()))],
                ram: Ram { known: ram.into_iter().collect(), reach: ram.into_iter().collect() },
                ..Heaps::default()
            };
            let (mut source, mut looks) = (Bytes::new(RAM), Vec::new());
            heaps.refresh(&mut Memory::new(&mut source, LinkCost::default(), 1 << 16), &mut looks);
            let hints = heaps.hints();
            assert_eq!((hints.len(), looks.len()), (expected, 1 - expected), "{hints:?}");
            let words = ["simple pool", "2000_0800 to 2000_1000", "2000_0000 to 2000_0c00"];
            assert!(hints.iter().all(|hint| words.iter().all(|word| hint.contains(word))), "{hints:?}");
        };
        check(Some(RAM.bottom(0xc00)), 1);
        check(Some(RAM), 0);
        check(None, 0);
    }

    #[test]
    fn where_nobody_told_the_end_of_ram_a_heap_is_one_when_it_makes_sense_and_may_be_damaged_then() {
        let (mut heaps, mut source) = (heaps_of_simple(), Bytes::new(RAM));
        heaps.ram = Ram { known: vec![RAM.bottom(0xc00)], reach: vec![RAM] };
        let look = |heaps: &mut Heaps, source: &mut Bytes, words: [u32; 2]| {
            source.poke(USED, words[0]);
            source.poke(USED + 4, words[1]);
            source.time += Duration::from_secs(10);
            let mut looks = Vec::new();
            heaps.refresh(&mut Memory::new(source, LinkCost::default(), 1 << 16), &mut looks);
            assert_eq!(heaps.hints(), Vec::<String>::new());
            looks.first().map(|look| look.heap.damage.is_some())
        };
        // Before startup code has run, anything is there.
        assert_eq!(look(&mut heaps, &mut source, [32, 64]), None);
        assert_eq!(look(&mut heaps, &mut source, [32, 32]), Some(false));
        assert_eq!(look(&mut heaps, &mut source, [32, 64]), Some(true));
    }

    fn heaps_of_simple() -> Heaps {
        Heaps {
            watched: vec![Watched::new(Box::new(Simple { rounding: None }), Some("pool".into()))],
            ram: ram(RAM),
            ..Heaps::default()
        }
    }

    /// RAM that is known to be that.
    fn ram(range: Region) -> Ram {
        Ram { known: vec![range], reach: vec![range] }
    }

    /// Says that so many bytes are in use, and finds damage where its two words differ.
    struct Simple {
        rounding: Option<u32>,
    }

    impl Walker for Simple {
        fn name(&self) -> &'static str {
            "simple"
        }

        fn wants(&self) -> Vec<Region> {
            vec![Region::new(USED, 8)]
        }

        fn rounding(&self) -> Option<u32> {
            self.rounding
        }

        fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
            let (used, again) = (memory.word(USED)?, memory.word(USED + 4)?);
            let damage = (used != again).then(|| Damage { address: HEAP.start(), what: "two".into(), suspect: None });
            let used = HEAP.bottom(used);
            let free = HEAP.top(HEAP.size() - used.size());
            let blocks = [Block::new(used, 0, BlockState::Used), Block::new(free, 0, BlockState::Free)];
            Some(Walk { ranges: vec![HEAP], blocks: blocks.into(), damage, ..Walk::default() })
        }
    }

    /// A target that does something after each read of a certain word, under a clock that never stands still.
    struct Busy {
        bytes: Bytes,
        clock: Cell<Duration>,
        on: u32,
        /// What it does, and how often it still does it.
        does: fn(&mut Bytes),
        left: u32,
    }

    impl Source for Busy {
        fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
            self.bytes.read(range, into)?;
            if range.contains(self.on) && self.left > 0 {
                self.left -= 1;
                (self.does)(&mut self.bytes);
            }
            Ok(())
        }

        fn status(&mut self) -> Result<CoreStatus, ReadError> {
            Ok(CoreStatus::Running)
        }

        fn reopen(&mut self) -> Result<(), ReadError> {
            Ok(())
        }

        fn now(&self) -> Duration {
            self.clock.set(self.clock.get() + Duration::from_micros(1));
            self.clock.get()
        }

        fn wait(&mut self, time: Duration) {
            self.clock.set(self.clock.get() + time);
        }

        fn describe(&self) -> Description {
            Description::default()
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }
    }

    /// A heap of 32 bytes in use and the target it is on.
    fn target() -> (Heaps, Busy) {
        let heaps = Heaps {
            watched: vec![Watched::new(Box::new(Simple { rounding: None }), None)],
            ram: ram(RAM),
            ..Heaps::default()
        };
        let mut bytes = Bytes::new(RAM);
        set(&mut bytes, 32);
        (heaps, Busy { bytes, clock: Cell::default(), on: 0, does: |_| (), left: 0 })
    }

    fn set(bytes: &mut Bytes, used: u32) {
        bytes.poke(USED, used);
        bytes.poke(USED + 4, used);
    }

    fn word(bytes: &Bytes, address: u32) -> u32 {
        let offset = (address - RAM.start()) as usize;
        u32::from_le_bytes(bytes.content[offset..offset + 4].try_into().expect("a word"))
    }

    /// One call: eight bytes more.
    fn call(bytes: &mut Bytes) {
        let (used, calls) = (word(bytes, USED + 4), word(bytes, CALLS.start()));
        set(bytes, used + 8);
        bytes.poke(CALLS.start(), calls + 1);
    }

    fn counted(words: &[u32]) -> Option<Counted> {
        let calls = *words.first()?;
        Some(Counted {
            freed: 0,
            frees: 0,
            allocated: 32 + 8 * calls,
            allocs: 1,
            failures: 0,
            peak: 32 + 8 * calls,
            failed_size: None,
            callers: 0,
            torn: false,
        })
    }

    /// One refresh; an agent counts the calls, or nobody does.
    fn refresh(heaps: &mut Heaps, busy: &mut Busy, agent: bool) -> Heap {
        let mut memory = Memory::new(busy, LinkCost::default(), 1 << 20).with_max_age(Duration::from_millis(30));
        let mut looks = Vec::new();
        if agent {
            let words = memory.words(CALLS).expect("it is RAM");
            let counted_now = counted(&words).expect("they can be read");
            looks.push(HeapLook::counted("heap", HEAP, &counted_now, Some(Witness { at: CALLS, count: counted })));
        }
        heaps.refresh(&mut memory, &mut looks);
        let told = looks.into_iter().next().map_or_else(|| Heap::unknown("none", HEAP), |look| look.heap);
        busy.wait(Duration::from_millis(33));
        told
    }

    fn check(heap: &Heap, bytes: u32, trust: Trust) {
        assert_eq!(heap.used, Some(Measured { bytes, trust }));
    }

    #[test]
    fn what_is_confirmed_is_exact_also_by_a_clock_that_never_stands_still() {
        for agent in [true, false] {
            let (mut heaps, mut busy) = target();
            check(&refresh(&mut heaps, &mut busy, agent), 32, Trust::Exact);
            check(&refresh(&mut heaps, &mut busy, agent), 32, Trust::Exact);
            call(&mut busy.bytes);
            let heap = refresh(&mut heaps, &mut busy, agent);
            check(&heap, 40, Trust::Exact);
            assert!(heap.walked.is_some_and(|walked| busy.clock.get() - walked < Duration::from_millis(34)));
        }
    }

    #[test]
    fn a_call_meanwhile_costs_a_second_walk() {
        for (agent, on) in [(true, USED), (true, USED + 4), (false, USED)] {
            let (mut heaps, mut busy) = target();
            (busy.on, busy.does, busy.left) = (on, call, 1);
            check(&refresh(&mut heaps, &mut busy, agent), 40, Trust::Exact);
        }
    }

    #[test]
    fn a_heap_that_never_rests_keeps_its_last_good_walk_with_its_age() {
        let (mut heaps, mut busy) = target();
        let before = refresh(&mut heaps, &mut busy, true);
        check(&before, 32, Trust::Exact);
        (busy.on, busy.does, busy.left) = (USED, call, u32::MAX);
        call(&mut busy.bytes);
        let heap = refresh(&mut heaps, &mut busy, true);
        check(&heap, 32, Trust::Stale);
        assert_eq!(heap.walked, before.walked, "it is as old as it was");
        busy.left = 0;
        let heap = refresh(&mut heaps, &mut busy, true);
        assert_eq!(heap.used.map(|used| used.trust), Some(Trust::Exact));
    }

    #[test]
    fn before_anything_was_confirmed_halves_are_called_torn() {
        let (mut heaps, mut busy) = target();
        (busy.on, busy.does, busy.left) = (USED + 4, call, u32::MAX);
        let heap = refresh(&mut heaps, &mut busy, false);
        assert_eq!(heap.used.map(|used| used.trust), Some(Trust::Torn));
        let (mut heaps, mut busy) = target();
        (busy.on, busy.does, busy.left) = (USED, call, u32::MAX);
        let heap = refresh(&mut heaps, &mut busy, true);
        assert_eq!(heap.blocks, None, "counters prove that it is nothing");
    }

    #[test]
    fn damage_is_told_when_a_second_walk_finds_it_too() {
        for agent in [true, false] {
            let (mut heaps, mut busy) = target();
            busy.bytes.poke(USED, 36);
            (busy.on, busy.does, busy.left) = (USED + 4, |bytes: &mut Bytes| bytes.poke(USED, 32), 1);
            assert_eq!(refresh(&mut heaps, &mut busy, agent).damage, None, "it was only half written");
            if agent {
                // What is in use is then still what was asked for, and the rounding is not known.
                busy.bytes.poke(USED, 64);
                busy.bytes.poke(CALLS.start(), 1);
            } else {
                busy.bytes.poke(USED, 64);
                busy.wait(Duration::from_secs(1));
            }
            assert!(refresh(&mut heaps, &mut busy, agent).damage.is_some());
        }
    }

    #[test]
    fn a_walk_does_not_count_that_the_counters_contradict() {
        // One block, rounded up by 8 B at most, and as much for what is the allocator's own; 32 B and 8 B a call were asked for.
        for (used, calls, counts) in
            [(32, 0, true), (48, 0, true), (49, 0, false), (31, 0, false), (32, 1, false), (40, 1, true), (56, 2, true)]
        {
            let (mut heaps, mut busy) = target();
            heaps.watched = vec![Watched::new(Box::new(Simple { rounding: Some(8) }), None)];
            set(&mut busy.bytes, used);
            busy.bytes.poke(CALLS.start(), calls);
            let heap = refresh(&mut heaps, &mut busy, true);
            assert_eq!(heap.blocks.is_some(), counts, "{used} B after {calls} calls");
            let told = if counts { (used, Trust::Exact) } else { (32 + 8 * calls, Trust::AtLeast) };
            check(&heap, told.0, told.1);
        }
    }

    #[test]
    fn a_walk_during_which_the_firmware_allocated_is_none_though_its_bytes_agree() {
        for (calls, walks) in [(0, 1), (1, 2)] {
            let (mut heaps, mut busy) = target();
            heaps.watched = vec![Watched::new(Box::new(Simple { rounding: Some(8) }), None)];
            // What one more call asks for is within what the allocator may have rounded up.
            set(&mut busy.bytes, 48);
            (busy.on, busy.left) = (USED, calls);
            busy.does = |bytes| bytes.poke(CALLS.start(), 1);
            refresh(&mut heaps, &mut busy, true);
            let reads = busy.bytes.reads.iter().filter(|range| range.contains(USED)).count();
            assert_eq!(reads, walks, "{calls} calls in between");
        }
    }

    #[test]
    fn nothing_is_walked_again_while_the_count_stands_and_all_is_after_a_reset() {
        let (mut heaps, mut busy) = target();
        refresh(&mut heaps, &mut busy, true);
        let walks = |busy: &Busy| busy.bytes.reads.iter().filter(|range| range.contains(USED)).count();
        let before = walks(&busy);
        check(&refresh(&mut heaps, &mut busy, true), 32, Trust::Exact);
        assert_eq!(walks(&busy), before);
        heaps.clear();
        check(&refresh(&mut heaps, &mut busy, true), 32, Trust::Exact);
        assert_eq!(walks(&busy), before + 1);
    }

    #[test]
    fn a_heap_outside_of_the_memory_is_not_believed() {
        let (mut heaps, mut busy) = target();
        heaps.ram = ram(RAM.bottom(0x800));
        assert_eq!(refresh(&mut heaps, &mut busy, true).blocks, None);
    }
}
