//! Any content of RAM behind the demo's ELF: the agent's block, the heap's list, the stacks. The input is a list of
//! changes to a RAM that holds a sound block, some of which happen between two refreshes, so that the fuzzer starts
//! deep inside of the decoders. Nothing panics or hangs, and nothing is read that is no memory of the target.
#![no_main]

mod hostile;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use highwater::heap::watch::Heaps;
use highwater::image::Image;
use highwater::image::layout;
use highwater::memory::Memory;
use highwater::model::Model;
use highwater::model::snapshot::Snapshot;
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::interest::Wish;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::source::Source;
use highwater::source::link::LinkCost;
use highwater::view::{self, Format, text::Style};
use highwater_agent::layout as block;
use hostile::{Ram, Target};
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
/// Bytes of the block that the fuzzer changes first of all.
const BLOCK_BYTES: u32 = 0x400;

fn block_start() -> u32 {
    IMAGE.symbols.address("HIGHWATER").expect("the demo has a block")
}

fuzz_target!(|data: &[u8]| {
    let image = Arc::clone(&IMAGE);
    let chips = layout::memories(&image, &[]);
    let ram = Ram { range: RAM_RANGE, bytes: RAM.clone(), favoured: Region::new(block_start(), BLOCK_BYTES) };
    let mut target = Target::new(Arc::clone(&image), &chips, ram, data);
    let refreshes = target.refreshes();
    target.advance();
    walk(target.clone(), refreshes);
    let mut model = Model::new(static_snapshot(&image, &chips));
    let options = Options { rate_hz: Some(30.0) };
    let Ok(mut sampler) = Sampler::new(Box::new(target), image, chips, options) else { return };
    for refresh in 0..refreshes {
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
    for _ in 0..refreshes {
        let mut looks = Vec::new();
        heaps.refresh(&mut Memory::new(&mut target, LinkCost::default(), 1 << 20), &mut looks);
        for heap in looks.iter().map(|look| &look.heap) {
            let blocks = heap.blocks.as_deref().unwrap_or_default();
            assert_eq!(
                blocks.iter().map(|block| u64::from(block.range.size())).sum::<u64>(),
                u64::from(heap.range.size())
            );
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
        hostile::poke(&mut ram, RAM_RANGE, base + 4 * word, 0);
    }
    let (threads, regions) = (8, 4);
    let heaps_at = 4 * block::header::WORDS;
    let marks_at = heaps_at + 4 * heap::WORDS;
    let threads_at = marks_at + 4 * mark::WORDS * threads;
    let regions_at = threads_at + 8 + 4 * thread::WORDS * threads;
    let mut put = |offset: usize, word: u32| hostile::poke(&mut ram, RAM_RANGE, base + offset as u32, word);
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
        hostile::poke(&mut ram, RAM_RANGE, list + next, low);
        hostile::poke(&mut ram, RAM_RANGE, list + bottom, heap_start);
        hostile::poke(&mut ram, RAM_RANGE, list + top, heap_end);
        hostile::poke(&mut ram, RAM_RANGE, low + size - first, 0x100);
        hostile::poke(&mut ram, RAM_RANGE, low + next - first, high);
        hostile::poke(&mut ram, RAM_RANGE, high + size - first, heap_end - high);
        hostile::poke(&mut ram, RAM_RANGE, high + next - first, 0);
    }
    ram
}
