//! Any content of RAM behind the demo's ELF: the agent's block, the heap's list, the stacks. The input is a list of
//! changes to a RAM that holds a sound block, some of which happen between two refreshes, so that the fuzzer starts
//! deep inside of the decoders. Nothing panics or hangs, and nothing is read that is no memory of the target.
#![no_main]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use highwater::heap::watch::Heaps;
use highwater::image::Image;
use highwater::image::layout::{self, Memory as Chip};
use highwater::memory::Memory;
use highwater::model::Model;
use highwater::model::snapshot::Snapshot;
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::interest::Wish;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::source::link::LinkCost;
use highwater::source::{CoreStatus, Counters, Description, ReadError, Source};
use highwater::view::{self, Format, text::Style};
use highwater_agent::layout as block;
use libfuzzer_sys::fuzz_target;

const ELF: &[u8] = include_bytes!("../../assets/demo.elf");

/// The demo without its debug information: the sampler reads that anew for each input, which would take nearly all of
/// the time. What it tells is put back by hand.
static IMAGE: LazyLock<Arc<Image>> = LazyLock::new(|| {
    let mut elf = ELF.to_vec();
    for at in 0..elf.len() {
        if elf[at..].starts_with(b".debug_") {
            elf[at + 1] = b'_';
        }
    }
    Arc::new(Image::parse(Path::new("demo.elf"), &elf).expect("the demo's ELF is sound"))
});

/// The demo with its debug information.
static WHOLE: LazyLock<Image> =
    LazyLock::new(|| Image::parse(Path::new("demo.elf"), ELF).expect("the demo's ELF is sound"));

/// A RAM with a sound block, as the demo has it after its start.
static RAM: LazyLock<Vec<u8>> = LazyLock::new(sound_ram);

/// All of the demo's RAM.
const RAM_RANGE: Region = Region::new(0x2000_0000, 0x1_0000);
/// The registers of the core itself: the fault registers are read there.
const CORE_REGISTERS: Region = Region::new(0xe000_0000, 0x10_0000);
/// Refreshes of one input at the most.
const REFRESHES: usize = 6;
/// Bytes that one refresh may read: the sampler's own limit, and some for the second look at what may be asleep.
const BYTES: u64 = 3 << 20;
/// Reads that one refresh may make.
const READS: u32 = 200_000;

/// One change, six bytes of input: a place and a word.
#[derive(Clone, Copy)]
enum Change {
    /// A word of RAM.
    Word(u32, u32),
    /// The next refresh begins; the core is in that state then.
    Refresh(CoreStatus),
    /// The n-th read from here fails in one of three ways.
    Fail(u32),
}

fn change(bytes: &[u8]) -> Change {
    let place = u16::from_le_bytes([bytes[0], bytes[1]]);
    let word = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    match place {
        0xffff | 0x7fff => Change::Refresh(match word % 8 {
            0 => CoreStatus::WasReset,
            1 => CoreStatus::LockedUp,
            2 => CoreStatus::Halted,
            _ => CoreStatus::Running,
        }),
        0xfffe => Change::Fail(word),
        // The upper half of all places is the block itself, word by word: that is where decoding happens.
        0x8000.. => Change::Word(block_start() + 4 * u32::from(place & 0xff), word),
        _ => Change::Word(RAM_RANGE.start() + 4 * (u32::from(place) & 0x3fff), word),
    }
}

fn block_start() -> u32 {
    IMAGE.symbols.address("HIGHWATER").expect("the demo has a block")
}

#[derive(Clone)]
struct Target {
    ram: Vec<u8>,
    changes: VecDeque<Change>,
    status: CoreStatus,
    fail: Option<(u32, u32)>,
    now: Duration,
    bytes: u64,
    reads: u32,
    chips: Vec<Chip>,
}

impl Target {
    /// Makes the changes up to the next refresh.
    fn advance(&mut self) {
        self.bytes = 0;
        self.reads = 0;
        while let Some(change) = self.changes.pop_front() {
            match change {
                Change::Word(address, word) => poke(&mut self.ram, address, word),
                Change::Fail(how) => self.fail = Some((how >> 2 & 0x3f, how & 3)),
                Change::Refresh(status) => {
                    self.status = status;
                    break;
                }
            }
        }
    }
}

fn poke(ram: &mut [u8], address: u32, word: u32) {
    if let Some(offset) = RAM_RANGE.offset_of(address)
        && let Some(place) = ram.get_mut(offset as usize..offset as usize + 4)
    {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

impl Source for Target {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        assert_eq!(range.size() as usize, into.len());
        assert!(
            CORE_REGISTERS.covers(range) || self.chips.iter().any(|chip| chip.range.covers(range)),
            "{range:?} is no memory of the target: a read there may disturb it"
        );
        self.bytes += u64::from(range.size());
        self.reads += 1;
        assert!(
            self.bytes <= BYTES && self.reads <= READS,
            "{} bytes in {} reads of one refresh",
            self.bytes,
            self.reads
        );
        // Time passes with each read, as on a wire.
        self.now += Duration::from_micros(100);
        if let Some((left, how)) = self.fail.take() {
            match (left, how) {
                (0, 0) => return Err(ReadError::Unreadable { range, why: "protected".into() }),
                (0, 1) => return Err(ReadError::Busy("asleep".into())),
                (0, _) => return Err(ReadError::Gone("unplugged".into())),
                _ => self.fail = Some((left - 1, how)),
            }
        }
        match RAM_RANGE.offset_of(range.start()) {
            Some(offset) if RAM_RANGE.covers(range) => into.copy_from_slice(&self.ram[offset as usize..][..into.len()]),
            _ => match IMAGE.bytes(range) {
                Some(bytes) => into.copy_from_slice(bytes),
                None => into.fill(0),
            },
        }
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(self.status)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        self.now
    }

    /// The sampler waits between two refreshes: that is when the target's memory changes.
    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.advance();
    }

    fn describe(&self) -> Description {
        Description { source: "fuzzer".into(), packet_words: Some(14), ..Description::default() }
    }

    fn counters(&self) -> Counters {
        Counters { bytes: self.bytes, ..Counters::default() }
    }
}

fuzz_target!(|data: &[u8]| {
    let image = Arc::clone(&IMAGE);
    let chips = layout::memories(&image, &[]);
    let mut target = Target {
        ram: RAM.clone(),
        changes: data.chunks_exact(6).map(change).collect(),
        status: CoreStatus::Running,
        fail: None,
        now: Duration::ZERO,
        bytes: 0,
        reads: 0,
        chips: chips.clone(),
    };
    let refreshes = target.changes.iter().filter(|change| matches!(change, Change::Refresh(_))).count() + 1;
    target.advance();
    walk(target.clone(), refreshes);
    let mut model = Model::new(static_snapshot(&image, &chips));
    let options = Options { rate_hz: Some(30.0) };
    let Ok(mut sampler) = Sampler::new(Box::new(target), image, chips, options) else { return };
    for refresh in 0..refreshes.min(REFRESHES) {
        // Each second refresh reads every stack to its end, as a snapshot does.
        let observation = if refresh % 2 == 0 { sampler.refresh() } else { sampler.refresh_thoroughly() };
        sampler.interest().set(wish(&observation.snapshot, refresh));
        model.ingest(observation);
        let report = Report::new(&model);
        for format in [Format::Human, Format::Json, Format::Svg] {
            view::write(&report, format, Style { ascii: true, color: false }, &mut std::io::sink())
                .expect("a sink takes all");
        }
        sampler.wait(Duration::ZERO);
    }
});

/// What somebody looks at: one stack after the other word by word, then a block's first bytes, then a static's fields.
fn wish(snapshot: &Snapshot, refresh: usize) -> Option<Wish> {
    let nth = refresh / 3;
    let stacks = &snapshot.stacks;
    let blocks = snapshot.heaps.first().and_then(|heap| heap.blocks.as_deref()).unwrap_or_default();
    let parts = snapshot.memories.last().map(|memory| memory.parts.as_slice()).unwrap_or_default();
    match refresh % 3 {
        0 => stacks.get(nth % stacks.len().max(1)).map(|stack| Wish::Stack(stack.id.clone())),
        1 => blocks.get(nth % blocks.len().max(1)).map(|block| Wish::Block(block.payload)),
        _ => parts.get(nth % parts.len().max(1)).map(|part| Wish::Static(part.range)),
    }
}

/// Walks the heap's list over the same changes.
fn walk(mut target: Target, refreshes: usize) {
    let mut heaps = Heaps::new(&WHOLE, &[]);
    for _ in 0..refreshes.min(REFRESHES) {
        let mut looks = Vec::new();
        heaps.refresh(&mut Memory::new(&mut target, LinkCost::default(), 1 << 20), &mut looks);
        for heap in looks.iter().map(|look| &look.heap) {
            let blocks = heap.blocks.as_deref().unwrap_or_default();
            assert_eq!(blocks.iter().map(|block| u64::from(block.range.size())).sum::<u64>(), u64::from(heap.range.size()));
        }
        target.wait(Duration::from_millis(33));
    }
}

/// The block of a firmware with three threads, of which two have their stacks in the heap, and a heap with two holes.
fn sound_ram() -> Vec<u8> {
    use block::{heap, mark, region, thread};
    let mut ram = vec![0xcc; RAM_RANGE.size() as usize];
    let base = block_start();
    let size = IMAGE.symbols.get("HIGHWATER").expect("the demo has a block").range.size();
    for word in 0..size / 4 {
        poke(&mut ram, base + 4 * word, 0);
    }
    let (threads, regions) = (8, 4);
    let heaps_at = 4 * block::header::WORDS;
    let marks_at = heaps_at + 4 * heap::WORDS;
    let threads_at = marks_at + 4 * mark::WORDS * threads;
    let regions_at = threads_at + 8 + 4 * thread::WORDS * threads;
    let mut put = |offset: usize, word: u32| poke(&mut ram, base + offset as u32, word);
    let header = [
        (block::header::MAGIC, block::MAGIC),
        (block::header::ABI, block::ABI),
        (block::header::SIZE, size),
        (block::header::PAINT, block::PAINT),
        (block::header::BOOTS, 1),
        (block::header::HEARTBEAT, 100),
        (block::header::RUNNING, 1),
        (block::header::HEAPS, block::table(heaps_at, 4 * heap::WORDS, 1)),
        (block::header::MARKS, block::table(marks_at, 4 * mark::WORDS, threads)),
        (block::header::THREADS, block::table(threads_at, 4 * thread::WORDS, threads)),
        (block::header::REGIONS, block::table(regions_at, 4 * region::WORDS, regions)),
    ];
    for (index, word) in header {
        put(4 * index, word);
    }
    if let Some(id) = IMAGE.symbols.get("HIGHWATER_BUILD_ID").and_then(|symbol| IMAGE.bytes(symbol.range.bottom(8))) {
        for (half, index) in [block::header::BUILD_ID_LOW, block::header::BUILD_ID_HIGH].into_iter().enumerate() {
            put(4 * index, u32::from_le_bytes([id[4 * half], id[4 * half + 1], id[4 * half + 2], id[4 * half + 3]]));
        }
    }
    let (heap_start, heap_end) = (0x2000_3890, 0x2000_fc00);
    for (index, word) in [(heap::ALLOCATED, 4096), (heap::ALLOCS, 8), (heap::PEAK, 4096)] {
        put(heaps_at + 4 * index, word);
    }
    // Any function stands for the thread's entry: its static worst case is worked out.
    let entry = IMAGE.symbols.iter().find(|symbol| symbol.is_code && symbol.range.size() > 64);
    let entry = entry.map_or(0, |symbol| symbol.range.start() | 1);
    for (slot, (start, size, kind)) in
        [(0x2000_1530, 0x1000, 1), (0x2000_3c90, 0x400, 5), (0x2000_4cc8, 0x1000, 5)].into_iter().enumerate()
    {
        let at = threads_at + 4 + 4 * thread::WORDS * slot;
        let words = [
            (thread::TAG, block::LIVE),
            (thread::BASE, start),
            (thread::SIZE, size),
            (thread::INFO, kind | block::PAINTED),
        ];
        for (index, word) in words.into_iter().chain([(thread::ENTRY, entry)]) {
            put(at + 4 * index, word);
        }
        put(marks_at + 4 * (mark::WORDS * slot + mark::LOWEST), start + size - 200);
        put(marks_at + 4 * (mark::WORDS * slot + mark::SAVED), start + size - 100);
    }
    let at = regions_at + 4;
    for (index, word) in [
        (region::TAG, block::LIVE),
        (region::INFO, block::RegionKind::Heap as u32),
        (region::BASE, heap_start),
        (region::SIZE, heap_end - heap_start),
    ] {
        put(at + 4 * index, word);
    }
    // The list of holes, where the debug information says its fields are.
    let types = WHOLE.types();
    for (list, held) in types.holders("linked_list_allocator::hole::HoleList") {
        let offset = |path: &[&str]| types.offset(held, path);
        let (Some(first), Some(next), Some(bottom), Some(top), Some(size)) = (
            offset(&["first"]),
            offset(&["first", "next"]),
            offset(&["bottom"]),
            offset(&["top"]),
            offset(&["first", "size"]),
        ) else {
            continue;
        };
        let (low, high) = (0x2000_4000, 0x2000_8000);
        poke(&mut ram, list + next, low);
        poke(&mut ram, list + bottom, heap_start);
        poke(&mut ram, list + top, heap_end);
        poke(&mut ram, low + size - first, 0x100);
        poke(&mut ram, low + next - first, high);
        poke(&mut ram, high + size - first, heap_end - high);
        poke(&mut ram, high + next - first, 0);
    }
    ram
}
