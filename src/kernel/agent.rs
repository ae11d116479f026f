//! The block that highwater-agent keeps in RAM, decoded.
//!
//! The block is hostile until it proves itself: the magic must be right in every burst, and every offset, stride and
//! count is held against the block's size before it is used. A frame whose two counters differ was read while it
//! changed: it is read again, and after the third time its numbers are called torn.

use std::collections::BTreeMap;

use highwater_agent::layout::{self, ThreadKind, ThreadState};

use super::{Kernel, Look, Sign, StackLook};
use crate::heap::rows::Table as OwnerTable;
use crate::heap::{Counted, HeapLook, Witness};
use crate::image::Image;
use crate::image::layout::{Memory as Chip, Placed, ram as reach};
use crate::memory::{LOOKS, Memory};
use crate::model::snapshot::{Measured, Trust};
use crate::model::snapshot::{PartKind, StackKind};
use crate::region::Region;
use crate::stack::Paint;
use crate::units::printable;

/// The symbol of the block.
pub const SYMBOL: &str = "HIGHWATER";
/// The symbol of the build id in flash.
pub const BUILD_ID_SYMBOL: &str = "HIGHWATER_BUILD_ID";

const HEADER_BYTES: u32 = 4 * layout::header::WORDS as u32;
/// Looks at one frame before it is called torn.
const TRIES: usize = 3;
/// Refreshes between two looks at what changes rarely without telling: thread states and the region table.
const SLOW: u32 = 16;
/// The longest name that is read, in bytes.
const NAME_LIMIT: u32 = 64;
/// What is read of a name that a kernel keeps in RAM, in bytes: FreeRTOS gives it 16 by default.
const NAME_IN_RAM: u32 = 16;

/// Decodes the block.
#[derive(Clone, Debug)]
pub struct Agent {
    block: Region,
    ram: Vec<Region>,
    version: Option<u32>,
    tables: Option<Tables>,
    threads: Vec<Vec<u32>>,
    /// The tag and the address of each slot's name, and the name.
    names: Vec<((u32, u32), Option<String>)>,
    tags: Vec<u32>,
    threads_frame: Option<u32>,
    regions: Vec<Vec<u32>>,
    regions_frame: Option<u32>,
    looks: u32,
    /// The words of the header as they were last believed.
    header: Option<Vec<u32>>,
    /// What each heap has counted, by the heap's first address.
    counted: BTreeMap<u32, Counted>,
}

/// Where the parts of the block are, checked against its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tables {
    heaps: Table,
    marks: Table,
    threads: Table,
    regions: Table,
}

/// One part of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Table {
    range: Region,
    stride: u32,
    count: u32,
}

impl Table {
    /// Unpacks and checks a table; `framed` tables have a counter at either end.
    fn unpack(packed: u32, block: Region, min_words: usize, framed: bool) -> Option<Self> {
        let (offset, stride, count) =
            (layout::table_offset(packed), layout::table_stride(packed), layout::table_count(packed));
        let frame = if framed { 8 } else { 0 };
        let size = stride * count + frame;
        let range = block.slice(offset, size);
        let sound = offset % 4 == 0
            && stride % 4 == 0
            && offset >= HEADER_BYTES
            && range.size() == size
            && (count == 0 || stride >= 4 * u32::try_from(min_words).unwrap_or(u32::MAX));
        sound.then_some(Self { range, stride, count })
    }

    fn slot(self, index: u32) -> Region {
        self.range.slice(index * self.stride, self.stride)
    }

    /// Where the tag of a slot of the framed table of threads lies.
    fn tag(self, index: u32) -> u32 {
        self.range.slice(4 + index * self.stride + 4 * layout::thread::TAG as u32, 4).start()
    }

    /// Cuts a framed table's words into slots, without its two counters.
    fn slots(self, words: &[u32]) -> Vec<Vec<u32>> {
        let inner = &words[1..words.len() - 1];
        if self.stride == 0 {
            return Vec::new();
        }
        inner.chunks_exact(self.stride as usize / 4).map(<[u32]>::to_vec).collect()
    }
}

impl Agent {
    /// The words of the header. What they say of the firmware is told once, or opens a new epoch: one wrong answer must not.
    fn header(&mut self, memory: &mut Memory<'_>) -> Option<Vec<u32>> {
        use layout::header as h;
        let steady = |words: &[u32]| {
            let moves = |word: &usize| [h::HEARTBEAT, h::RUNNING].contains(word);
            (0..words.len()).filter(|word| !moves(word)).map(|word| words[word]).collect::<Vec<u32>>()
        };
        let range = self.block.bottom(HEADER_BYTES);
        let words = memory.words(range)?;
        let says = steady(&words);
        let as_before = self.header.as_deref().is_some_and(|before| steady(before) == says);
        if as_before || memory.confirms(range, |again| steady(again) == says) {
            self.header = Some(words);
        }
        self.header.clone()
    }

    /// The block of this firmware, if it has one.
    #[must_use]
    pub fn find(image: &Image, memories: &[Chip]) -> Option<Self> {
        let symbol = image.symbols.get(SYMBOL)?;
        // A block in C may have no size in the symbol table; the header tells it then.
        let size = if symbol.range.size() >= HEADER_BYTES { symbol.range.size() } else { 16 * 1024 };
        Some(Self {
            block: Region::new(symbol.range.start(), size),
            ram: reach(memories),
            version: None,
            tables: None,
            threads: Vec::new(),
            names: Vec::new(),
            tags: Vec::new(),
            threads_frame: None,
            regions: Vec::new(),
            regions_frame: None,
            looks: 0,
            header: None,
            counted: BTreeMap::new(),
        })
    }

    /// Everything up to the thread table's first counter: one burst a refresh.
    fn burst(&self) -> Region {
        match self.tables {
            Some(tables) => self.block.below(tables.threads.range.start()).hull(tables.threads.range.bottom(4)),
            None => self.block.bottom(HEADER_BYTES),
        }
    }

    fn read_tables(&mut self, header: &[u32]) -> Option<Tables> {
        use layout::{header as h, heap, mark, region, thread};
        let size = header[h::SIZE].min(self.block.size());
        let block = self.block.bottom(size);
        Some(Tables {
            // ABI 1.0 had nothing behind the frame.
            heaps: Table::unpack(header[h::HEAPS], block, heap::FRAME, false)?,
            marks: Table::unpack(header[h::MARKS], block, mark::WORDS, false)?,
            threads: Table::unpack(header[h::THREADS], block, thread::WORDS, true)?,
            regions: Table::unpack(header[h::REGIONS], block, region::WORDS, true)?,
        })
    }

    fn look_at_threads(&mut self, memory: &mut Memory<'_>, table: Table) -> bool {
        let slow = self.looks % SLOW == 1;
        let first = memory.word(table.range.start());
        if first == self.threads_frame && self.threads_frame.is_some() && !slow {
            return true;
        }
        match believed_slots(memory, table, &self.threads) {
            Some((slots, frame)) => {
                (self.threads, self.threads_frame) = (slots, frame);
                true
            }
            None => {
                self.threads_frame = None;
                false
            }
        }
    }

    fn look_at_regions(&mut self, memory: &mut Memory<'_>, table: Table, threads_changed: bool) {
        if !threads_changed && self.regions_frame.is_some() && self.looks % SLOW != 1 {
            return;
        }
        let told = believed_slots(memory, table, &self.regions);
        // What was not believed is asked for again in the next look.
        self.regions_frame = told.as_ref().and_then(|(_, frame)| *frame);
        if let Some((slots, _)) = told {
            self.regions = slots;
        }
    }

    fn in_ram(&self, range: Region) -> bool {
        !range.is_empty() && (self.ram.is_empty() || self.ram.iter().any(|ram| ram.covers(range)))
    }

    /// The same of what the firmware tells of; where it does not lie in RAM, that something is there is remembered.
    fn holds(&self, memory: &mut Memory<'_>, range: Region) -> bool {
        let holds = self.in_ram(range);
        if !holds && !range.is_empty() {
            memory.remember_stray(range);
        }
        holds
    }

    /// Finds the names of threads that are new: in the ELF, or in RAM where a kernel keeps them with its threads.
    fn learn_names(&mut self, memory: &mut Memory<'_>, image: &Image) {
        use layout::thread;
        let known = std::mem::take(&mut self.names);
        for (index, slot) in self.threads.iter().enumerate() {
            let (tag, address) = (slot[thread::TAG], slot[thread::NAME]);
            self.names.push(match known.get(index) {
                Some((of, Some(name))) if *of == (tag, address) => ((tag, address), Some(name.clone())),
                _ if tag & layout::LIVE == 0 => ((tag, address), None),
                _ => ((tag, address), name_of(image, address).or_else(|| self.name_in_ram(memory, address))),
            });
        }
    }

    fn name_in_ram(&self, memory: &mut Memory<'_>, address: u32) -> Option<String> {
        let range = Region::new(address, NAME_IN_RAM);
        let bytes = if self.in_ram(range) { memory.read(range)? } else { return None };
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        readable(&String::from_utf8_lossy(text))
    }

    fn stacks(&self, memory: &mut Memory<'_>, tables: &Tables, header: &[u32]) -> Vec<StackLook> {
        use layout::{mark, thread};
        let (running, paint) = (header[layout::header::RUNNING], header[layout::header::PAINT]);
        let mut stacks = Vec::new();
        for (index, slot) in (0u32..).zip(&self.threads) {
            let range = Region::new(slot[thread::BASE], slot[thread::SIZE]);
            if slot[thread::TAG] & layout::LIVE == 0 || !self.holds(memory, range) {
                continue;
            }
            // Marks are read before the table: in the look that first shows a new thread they may be the old one's.
            let settled = self.tags.get(index as usize) == Some(&slot[thread::TAG]);
            let known = settled && index < tables.marks.count;
            let marks = known.then(|| memory.words(tables.marks.slot(index))).flatten();
            let inside = |sp: u32| (sp != 0 && sp >= range.start() && u64::from(sp) <= range.end()).then_some(sp);
            let lowest_sp = marks.as_ref().and_then(|marks| inside(marks[mark::LOWEST]));
            let saved = marks.as_ref().and_then(|marks| inside(marks[mark::SAVED]));
            // The running thread's SP is in the core, where it cannot be read without a halt: the one it was saved
            // with last is old.
            let trust = if running == index + 1 { Trust::Stale } else { Trust::Exact };
            let info = slot[thread::INFO];
            let kind = kind_of(info);
            let painted = info & layout::PAINTED != 0;
            stacks.push(StackLook {
                id: format!("{:08x}.{}", range.start(), slot[thread::TAG] & layout::GENERATION),
                name: self.names[index as usize].1.clone().unwrap_or_else(|| default_name(kind, index)),
                kind,
                range,
                control_block: None,
                // The tag counts the threads that were ever told of in this place.
                signs: vec![Sign::Same { at: tables.threads.tag(index), mask: u32::MAX, word: slot[thread::TAG] }],
                paint: if painted { Paint::Word(paint) } else { Paint::None },
                guard: layout::GUARD_BYTES,
                canary: None,
                entry: (slot[thread::ENTRY] != 0).then_some(slot[thread::ENTRY]),
                current: saved.map(|sp| Measured { bytes: range.from(sp).size(), trust }),
                lowest_sp,
                priority: (kind != StackKind::Isr).then_some((info >> 16 & 0xff).cast_signed()),
                state: state_of(info).map(Into::into),
                cpu: None,
            });
        }
        stacks
    }

    fn heaps(&mut self, memory: &mut Memory<'_>, table: Table, image: &Image) -> Vec<HeapLook> {
        use layout::region;
        let mut heaps = Vec::new();
        let before = std::mem::take(&mut self.counted);
        let mut counted = BTreeMap::new();
        for slot in self.live_regions(layout::RegionKind::Heap) {
            let range = Region::new(slot[region::BASE], slot[region::SIZE]);
            let index = slot[region::INFO] >> 8 & 0xff;
            if !self.holds(memory, range) {
                continue;
            }
            let name = name_of(image, slot[region::NAME]).unwrap_or_else(|| "heap".into());
            let slot = (index < table.count).then(|| table.slot(index));
            let counters = slot.and_then(|slot| believed_counters(memory, slot, range, before.get(&range.start())));
            let sure = counters.filter(|counters| !counters.torn);
            counted.extend(sure.or_else(|| before.get(&range.start()).copied()).map(|known| (range.start(), known)));
            let owners = self.live_regions(layout::RegionKind::Owners);
            let mut rows = owners.filter(|slot| slot[region::INFO] >> 8 & 0xff == index).filter_map(|slot| {
                let range = Region::new(slot[region::BASE], slot[region::SIZE]);
                if self.in_ram(range) { OwnerTable::read(memory, range) } else { None }
            });
            let rows = rows.next();
            // What cannot be believed now is counted all the same: no walk is right without it.
            let witness = slot.map(|slot| Witness { at: counters_in(slot), count: untorn_counters });
            heaps.push(match counters {
                Some(counters) => HeapLook::counted(&name, range, &counters, witness).with_rows(rows),
                None => HeapLook { witness, ..HeapLook::unknown(&name, range) },
            });
        }
        self.counted = counted;
        heaps
    }

    fn named(&self, image: &Image) -> Vec<Placed> {
        use layout::region;
        let kinds = [
            (layout::RegionKind::Vectors, PartKind::Vectors, "vector table"),
            (layout::RegionKind::Data, PartKind::Data, "data"),
            (layout::RegionKind::Buffer, PartKind::Buffer, "buffer"),
            (layout::RegionKind::Bootloader, PartKind::Bootloader, "bootloader"),
            (layout::RegionKind::Code, PartKind::Code, "code"),
            (layout::RegionKind::Other, PartKind::Other, "region"),
        ];
        let mut named = Vec::new();
        for (kind, part, fallback) in kinds {
            for slot in self.live_regions(kind) {
                let range = Region::new(slot[region::BASE], slot[region::SIZE]);
                let name = name_of(image, slot[region::NAME]).unwrap_or_else(|| fallback.into());
                if !range.is_empty() {
                    named.push(Placed { name, kind: part, range });
                }
            }
        }
        named
    }

    fn live_regions(&self, kind: layout::RegionKind) -> impl Iterator<Item = &Vec<u32>> {
        self.regions.iter().filter(move |slot| {
            slot[layout::region::TAG] & layout::LIVE != 0 && slot[layout::region::INFO] & 0xff == kind as u32
        })
    }
}

impl Kernel for Agent {
    fn name(&self) -> String {
        match self.version {
            Some(version) => format!("agent {}.{}", version >> 16, version & 0xffff),
            None => "agent".into(),
        }
    }

    fn wants(&self) -> Vec<Region> {
        vec![self.burst()]
    }

    fn look(&mut self, memory: &mut Memory<'_>, image: &Image) -> Option<Look> {
        use layout::header as h;
        let header = self.header(memory)?;
        let ours = header[h::MAGIC] == layout::MAGIC && header[h::ABI] >> 16 == layout::ABI >> 16;
        let tables = if ours { self.read_tables(&header) } else { None };
        let Some(tables) = tables else {
            self.tables = None;
            self.threads_frame = None;
            return None;
        };
        self.version = Some(header[h::ABI]);
        if self.tables != Some(tables) {
            self.tables = Some(tables);
            (self.threads_frame, self.regions_frame) = (None, None);
            self.looks = 0;
        }
        self.looks = self.looks.wrapping_add(1);
        let before = self.threads_frame;
        if !self.look_at_threads(memory, tables.threads) && self.threads.is_empty() {
            return None;
        }
        self.look_at_regions(memory, tables.regions, before != self.threads_frame || before.is_none());
        let refused = header[h::REFUSED];
        let mut hints = Vec::new();
        if refused > 0 {
            hints.push(format!(
                "{refused} registrations found no free slot in the agent's tables: enlarge its Block, the picture is \
                 not whole."
            ));
        }
        self.learn_names(memory, image);
        let stacks = self.stacks(memory, &tables, &header);
        self.tags = self.threads.iter().map(|slot| slot[layout::thread::TAG]).collect();
        Some(Look {
            stacks,
            heaps: self.heaps(memory, tables.heaps, image),
            named: self.named(image),
            hints,
            boots: Some(header[h::BOOTS]),
            heartbeat: Some(header[h::HEARTBEAT]),
            build_id: Some(u64::from(header[h::BUILD_ID_HIGH]) << 32 | u64::from(header[h::BUILD_ID_LOW])),
            refused,
        })
    }
}

/// The words of a frame, and whether its two counters still differed at the last try.
fn frame(memory: &mut Memory<'_>, range: Region) -> Option<(Vec<u32>, bool)> {
    let mut words = memory.words(range)?;
    for _ in 1..TRIES {
        if words.len() < 2 || words.first() == words.last() {
            break;
        }
        memory.read_again(range)?;
        words = memory.words(range)?;
    }
    (words.len() >= 2).then(|| {
        let torn = words.first() != words.last();
        (words, torn)
    })
}

/// The slots of a table and its frame counter, `None` where that never settled. What is new counts when several looks say the same:
/// one wrong answer would be another stack.
fn believed_slots(memory: &mut Memory<'_>, table: Table, known: &[Vec<u32>]) -> Option<(Vec<Vec<u32>>, Option<u32>)> {
    let (words, torn) = frame(memory, table.range)?;
    let slots = table.slots(&words);
    if torn {
        return known.is_empty().then_some((slots, None));
    }
    let is_so = slots == known || memory.confirms(table.range, |again| again == words);
    is_so.then(|| (slots, words.first().copied()))
}

/// The counters of the heap at `range`. One wrong answer of a link or of a server is none: counters are taken over that can follow
/// those `before`, or the last of several looks of which each can follow the one before it.
fn believed_counters(
    memory: &mut Memory<'_>,
    slot: Region,
    range: Region,
    before: Option<&Counted>,
) -> Option<Counted> {
    let is_sound = |counted: &Counted| counted.is_sound(range.size());
    let goes_on = |from: &Counted, to: &Counted| is_sound(from) == is_sound(to) && to.follows(from);
    let mut last = heap_counters(memory, slot)?;
    if last.torn || before.is_some_and(|before| goes_on(before, &last)) {
        return Some(last);
    }
    for _ in 1..LOOKS {
        memory.forget_within(counters_in(slot));
        let next = heap_counters(memory, slot)?;
        if before.is_some_and(|before| goes_on(before, &next)) {
            return Some(next);
        }
        // One of the two is wrong, and nothing says which.
        if next.torn || !goes_on(&last, &next) {
            return None;
        }
        last = next;
        // A heap that nothing is known of yet has counted what two looks say, when it can be so.
        if before.is_none() && is_sound(&last) {
            break;
        }
    }
    Some(last)
}

/// Where a slot of the table has the counters of its heap.
fn counters_in(slot: Region) -> Region {
    slot.bottom(4 * layout::heap::WORDS as u32)
}

/// The counters of one heap.
fn heap_counters(memory: &mut Memory<'_>, slot: Region) -> Option<Counted> {
    let at = counters_in(slot);
    let (mut words, torn) = frame(memory, at.bottom(4 * layout::heap::FRAME as u32))?;
    // What lies behind the frame is single words: an older block has none.
    words.extend(memory.words(at.from(at.start() + 4 * layout::heap::FRAME as u32)).unwrap_or_default());
    Some(counters(&words, torn))
}

/// The counters in the words of their frame and behind it, unless they were read while they changed.
fn untorn_counters(words: &[u32]) -> Option<Counted> {
    let frame = words.get(..layout::heap::FRAME)?;
    (frame.first() == frame.last()).then(|| counters(words, false))
}

fn counters(words: &[u32], torn: bool) -> Counted {
    use layout::heap;
    let behind = |word: usize| words.get(word).copied();
    Counted {
        freed: words[heap::FREED],
        frees: words[heap::FREES],
        allocated: words[heap::ALLOCATED],
        allocs: words[heap::ALLOCS],
        failures: words[heap::FAILURES],
        peak: words[heap::PEAK],
        failed_size: behind(heap::FAILED_SIZE),
        callers: behind(heap::OWNERS).filter(|depth| *depth <= layout::owner::MAX_DEPTH as u32).unwrap_or(0),
        torn,
    }
}

/// A name from the linked bytes: names are pointers into flash, so they cost no read.
fn name_of(image: &Image, address: u32) -> Option<String> {
    readable(&(address != 0).then(|| image.text(address, NAME_LIMIT)).flatten()?)
}

/// A name as it may be shown; `None` when nothing of it can be.
fn readable(name: &str) -> Option<String> {
    let name = printable(name.trim(), 32);
    (!name.is_empty()).then_some(name)
}

fn default_name(kind: StackKind, index: u32) -> String {
    match kind {
        StackKind::Main => "main".into(),
        StackKind::Isr => "ISR".into(),
        StackKind::Idle => "idle".into(),
        StackKind::Timer => "timer".into(),
        StackKind::User => format!("thread {index}"),
    }
}

fn kind_of(info: u32) -> StackKind {
    match info & 0xff {
        kind if kind == ThreadKind::Main as u32 => StackKind::Main,
        kind if kind == ThreadKind::Isr as u32 => StackKind::Isr,
        kind if kind == ThreadKind::Idle as u32 => StackKind::Idle,
        kind if kind == ThreadKind::Timer as u32 => StackKind::Timer,
        _ => StackKind::User,
    }
}

fn state_of(info: u32) -> Option<&'static str> {
    match info >> 8 & 0xff {
        state if state == ThreadState::Ready as u32 => Some("ready"),
        state if state == ThreadState::Running as u32 => Some("running"),
        state if state == ThreadState::Blocked as u32 => Some("blocked"),
        state if state == ThreadState::Delayed as u32 => Some("delayed"),
        state if state == ThreadState::Ended as u32 => Some("ended"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::image::layout::memories;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    /// The demo's image has the symbol; its block is replaced by one that is made here.
    fn demo() -> (Image, Agent) {
        // Reading the debug information takes its time: once is enough for all cases of a property.
        static DEMO: LazyLock<(Image, Agent)> = LazyLock::new(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
            let image = Image::open(&path).expect("the demo opens");
            let agent = Agent::find(&image, &memories(&image, &[])).expect("it has an agent");
            (image, agent)
        });
        DEMO.clone()
    }

    /// RAM with a block of two threads and one heap.
    fn ram(agent: &Agent) -> Bytes {
        use layout::{header as h, heap, mark, region, thread};
        let mut ram = Bytes::new(Region::new(0x2000_0000, 0x1_0000));
        let block = agent.block;
        let at = |offset: u32| block.slice(offset, 4).start();
        let tables = [
            (h::HEAPS, 64, 4 * heap::WORDS as u32, 1),
            (h::MARKS, 96, 4 * mark::WORDS as u32, 2),
            (h::THREADS, 112, 4 * thread::WORDS as u32, 2),
            (h::REGIONS, 168, 4 * region::WORDS as u32, 1),
        ];
        for (word, offset, stride, count) in tables {
            ram.poke(at(4 * word as u32), offset | stride << 16 | count << 24);
        }
        let words =
            [(h::MAGIC, layout::MAGIC), (h::ABI, layout::ABI), (h::SIZE, 200), (h::PAINT, 0xA5A5_A5A5), (h::BOOTS, 1)];
        for (word, value) in words {
            ram.poke(at(4 * word as u32), value);
        }
        let frame = [7, 100, 2, 300, 5, 1, 250, 7];
        for (word, value) in (0u32..).zip(frame) {
            ram.poke(at(64 + 4 * word), value);
        }
        for (word, value) in (0u32..).zip([0x2000_8100, 0x2000_8180, 0, 0]) {
            ram.poke(at(96 + 4 * word), value);
        }
        let info = 5 | 3 << 8 | 24 << 16 | layout::PAINTED;
        let first = [layout::LIVE | 3, 0x2000_8000, 0x200, info, 0, 0x1235];
        let second = [layout::EMPTY | 4, 0x2000_9000, 0x200, 5, 0, 0];
        for (word, value) in (0u32..).zip([1].iter().chain(&first).chain(&second).chain(&[1]).copied()) {
            ram.poke(at(112 + 4 * word), value);
        }
        let heap = [layout::LIVE, layout::RegionKind::Heap as u32, 0x2000_8000, 0x4000, 0];
        for (word, value) in (0u32..).zip([1].iter().chain(&heap).chain(&[1]).copied()) {
            ram.poke(at(168 + 4 * word), value);
        }
        ram
    }

    fn look(agent: &mut Agent, ram: &mut Bytes, image: &Image) -> Option<Look> {
        agent.look(&mut Memory::new(ram, LinkCost::default(), 1 << 20), image)
    }

    #[test]
    fn one_wrong_answer_in_the_table_of_threads_is_no_other_stack() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let ranges = |look: Option<Look>| {
            let stacks = look.expect("the block is sound").stacks;
            stacks.iter().map(|stack| (stack.id.clone(), stack.range)).collect::<Vec<_>>()
        };
        let right = ranges(look(&mut agent, &mut ram, &image));
        // The tag, the base and the size of the first slot, while the table has another frame counter.
        for word in 1..4 {
            let at = agent.block.slice(112 + 4 * word, 4);
            let truth = [layout::LIVE | 3, 0x2000_8000, 0x200][word as usize - 1];
            for (frame, lie) in (2..).zip([0x2000_8100, 0x40, truth ^ 0x100]) {
                for counter in [112, 164] {
                    ram.poke(agent.block.slice(counter, 4).start(), frame);
                }
                ram.poke(at.start(), lie);
                ram.after.push((at, at.start(), truth));
                assert_eq!(ranges(look(&mut agent, &mut ram, &image)), right, "word {word} as {lie:#x}");
                assert_eq!(ranges(look(&mut agent, &mut ram, &image)), right, "word {word} after {lie:#x}");
            }
        }
    }

    #[test]
    fn one_wrong_answer_among_the_counters_of_a_heap_is_no_count() {
        use layout::heap;
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let heap_of = |look: Option<Look>| look.expect("the block is sound").heaps.swap_remove(0).heap;
        let right = heap_of(look(&mut agent, &mut ram, &image));
        assert_eq!(
            (right.requested.map(|told| told.bytes), right.in_use, right.allocations),
            (Some(200), Some(3), Some(5))
        );
        for word in [heap::FREED, heap::FREES, heap::ALLOCATED, heap::ALLOCS, heap::PEAK] {
            let at = agent.block.slice(64 + 4 * word as u32, 4);
            let truth: u32 = [7, 100, 2, 300, 5, 1, 250, 7][word];
            for lie in [0, u32::MAX, truth.wrapping_sub(1)] {
                // Right behind the first look it answers right again.
                ram.poke(at.start(), lie);
                ram.after.push((at, at.start(), truth));
                assert_eq!(heap_of(look(&mut agent, &mut ram, &image)), right, "word {word} as {lie:#x}");
            }
            // What each look says is so: a firmware that was begun anew, or that counts like that.
            ram.poke(at.start(), 0);
            let told = heap_of(look(&mut agent, &mut ram, &image));
            assert_ne!(told, right, "word {word}");
            ram.poke(at.start(), truth);
            look(&mut agent, &mut ram, &image);
        }
    }

    #[test]
    fn a_block_is_decoded() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        look(&mut agent, &mut ram, &image).expect("the block is good");
        let seen = look(&mut agent, &mut ram, &image).expect("the block is good");
        assert_eq!(seen.stacks.len(), 1, "an empty slot is no thread");
        let stack = &seen.stacks[0];
        assert_eq!((stack.id.as_str(), stack.range), ("20008000.3", Region::new(0x2000_8000, 0x200)));
        assert_eq!((stack.priority, stack.state.as_deref()), (Some(24), Some("blocked")));
        assert_eq!(stack.lowest_sp, Some(0x2000_8100));
        assert_eq!(stack.current, Some(Measured { bytes: 0x80, trust: Trust::Exact }));
        assert_eq!((stack.paint, stack.entry), (Paint::Word(0xA5A5_A5A5), Some(0x1235)), "the header's paint word");
        let heap = &seen.heaps[0];
        assert_eq!(heap.heap.requested, Some(Measured { bytes: 200, trust: Trust::Exact }));
        assert_eq!((heap.heap.in_use, heap.heap.failures, heap.heap.allocations), (Some(3), Some(1), Some(5)));
    }

    #[test]
    fn a_thread_without_the_flag_is_not_painted_and_may_have_no_entry() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let slot = agent.block.slice(116, 24).start();
        ram.poke(slot + 12, 5);
        ram.poke(slot + 20, 0);
        let seen = look(&mut agent, &mut ram, &image).expect("the block is good");
        assert_eq!((seen.stacks[0].paint, seen.stacks[0].entry), (Paint::None, None));
    }

    #[test]
    fn a_name_in_ram_is_read_when_its_thread_is_new() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let slot = agent.block.slice(116, 24).start();
        let name = 0x2000_f000;
        let seen = |ram: &mut Bytes, agent: &mut Agent| {
            look(agent, ram, &image).expect("the block is good").stacks[0].name.clone()
        };
        for (word, bytes) in (0u32..).zip([*b"idle", *b"\x1b[2J", *b"\0xyz"]) {
            ram.poke(name + 4 * word, u32::from_le_bytes(bytes));
        }
        for (address, expected) in [(0x3000_0000, "thread 0"), (name, "idle?[2J"), (name + 4, "?[2J")] {
            ram.poke(slot + 16, address);
            agent.threads_frame = None;
            assert_eq!(seen(&mut ram, &mut agent), expected, "{address:#x}");
        }
        ram.poke(name + 4, 0x2020_2020);
        assert_eq!(seen(&mut ram, &mut agent), "?[2J", "it is known");
    }

    #[test]
    fn the_marks_of_the_thread_before_are_not_a_new_threads() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let first = look(&mut agent, &mut ram, &image).expect("the block is good");
        assert_eq!((first.stacks[0].lowest_sp, first.stacks[0].current), (None, None));
        look(&mut agent, &mut ram, &image).expect("the block is good");
        let at = |offset: u32| agent.block.slice(offset, 4).start();
        let (tag, counters) = (at(116), [at(112), at(164)]);
        ram.poke(tag, layout::LIVE | 4);
        for counter in counters {
            ram.poke(counter, 2);
        }
        let next = look(&mut agent, &mut ram, &image).expect("the block is good");
        assert_eq!((next.stacks[0].id.as_str(), next.stacks[0].lowest_sp), ("20008000.4", None));
    }

    #[test]
    fn a_table_that_is_not_made_of_words_is_none() {
        let block = Region::new(0x2000_0000, 200);
        let table = |offset: u32, stride: u32| Table::unpack(offset | stride << 16 | 2 << 24, block, 2, true);
        assert!(table(64, 8).is_some());
        for (offset, stride) in [(65, 8), (66, 8), (67, 8), (64, 9), (64, 10), (64, 4), (60, 8), (184, 8)] {
            assert_eq!(table(offset, stride), None, "{offset} {stride}");
        }
        // So is a block with one: its words would be made of halves.
        let (image, mut agent) = demo();
        for (word, by) in [(layout::header::HEAPS, 2), (layout::header::MARKS, 1), (layout::header::THREADS, 1)] {
            let mut ram = ram(&agent);
            let address = agent.block.slice(4 * word as u32, 4).start();
            let packed = Memory::new(&mut ram, LinkCost::default(), 1 << 16).word(address).expect("it is there");
            ram.poke(address, packed + by);
            assert_eq!(look(&mut agent, &mut ram, &image), None, "{word}");
        }
    }

    #[test]
    fn a_stack_is_a_threads_as_long_as_its_tag_says_so() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let first = look(&mut agent, &mut ram, &image).expect("the block is good").stacks.swap_remove(0);
        let tag = agent.block.slice(116, 4).start();
        let mut hold = |word: u32| {
            ram.poke(tag, word);
            let mut memory = Memory::new(&mut ram, LinkCost::default(), 1 << 16);
            first.signs.iter().all(|sign| sign.holds(&mut memory))
        };
        assert!(!first.signs.is_empty() && hold(layout::LIVE | 3));
        assert!(!hold(layout::EMPTY | 3) && !hold(layout::LIVE | 4));
    }

    #[test]
    fn a_frame_that_never_settles_is_called_torn() {
        let (image, mut agent) = demo();
        let mut ram = ram(&agent);
        let first = agent.block.slice(64, 4).start();
        ram.poke(first, 6);
        let seen = look(&mut agent, &mut ram, &image).expect("the block is good");
        assert_eq!(seen.heaps[0].heap.used.map(|used| used.trust), Some(Trust::Torn));
    }

    #[test]
    fn a_block_that_is_not_there_yet_is_no_block() {
        let (image, mut agent) = demo();
        for (word, value) in
            [(layout::header::MAGIC, 0), (layout::header::MAGIC, !layout::MAGIC), (layout::header::ABI, 2 << 16)]
        {
            let mut ram = ram(&agent);
            let address = agent.block.slice(4 * word as u32, 4).start();
            ram.poke(address, value);
            assert_eq!(look(&mut agent, &mut ram, &image), None);
        }
    }

    proptest! {
        /// Any words after the magic: no panic, no endless walk, nothing outside the RAM.
        #[test]
        fn a_damaged_block_is_survived(damage in prop::collection::vec((1u32..50, any::<u32>()), 1..20)) {
            let (image, mut agent) = demo();
            let mut ram = ram(&agent);
            for (word, value) in damage {
                ram.poke(agent.block.slice(4 * word, 4).start(), value);
            }
            for _ in 0..3 {
                if let Some(seen) = look(&mut agent, &mut ram, &image) {
                    let ranges = seen.stacks.iter().map(|stack| stack.range).chain(seen.heaps.iter().map(|heap| heap.heap.range));
                    for range in ranges {
                        prop_assert!(ram.range.covers(range));
                    }
                }
            }
        }
    }
}
