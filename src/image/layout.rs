//! The memories of a firmware and what the linker put into them, without looking at any target.

mod names;
mod reach;

use super::flash::SAME_MEMORY;
use super::symbols::Symbol;
use super::{Image, Machine, Section};
use crate::model::snapshot::{MemoryKind, PartKind};
use crate::region::{Region, merge};
use crate::units;
pub(super) use names::{HEAP_PIECE, STACK_PIECE, is_dummy, is_for_programmer, is_named_flash};
use names::{
    HEAP_SYMBOLS, MEMORY_SETTINGS, MEMORY_SYMBOLS, PROCESS_STACK_SYMBOLS, SECTION_MEMORIES, STACK_SIZE_SYMBOLS,
    STACK_SYMBOLS, STACK_TOP_SYMBOLS, VECTOR_SYMBOLS, by_ilink, is_at_address,
};
pub use reach::{grown, ram};

/// One physical memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// `RAM`, `Flash`, or the chip's name for it.
    pub name: String,
    /// Flash or RAM.
    pub kind: MemoryKind,
    /// Where it is.
    pub range: Region,
    /// Whether the chip or the linker says so; else it only spans what the ELF puts there.
    pub size_known: bool,
}

/// Something the linker put into a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What a person calls it.
    pub name: String,
    /// What it is.
    pub kind: PartKind,
    /// Where it is.
    pub range: Region,
}

/// More than the RAM of any microcontroller: what is further away is another memory.
pub(super) const FAR: u32 = 4 << 20;

/// Flash and RAM outside of the chip (ARM DDI 0403E B3.1: external RAM and external device).
const EXTERNAL: Region = Region::new(0x6000_0000, 0x8000_0000);

/// The memories: the chip's when it is known, with the RAM that the firmware leaves alone; else the linker's, else what the
/// segments span.
#[must_use]
pub fn memories(image: &Image, chip: &[Memory]) -> Vec<Memory> {
    let used = used(image, chip);
    if !chip.is_empty() {
        let touched = |memory: &Memory| used.iter().any(|(_, range)| memory.range.overlaps(*range));
        let alone = |memory: &Memory| chip.iter().filter(|other| other.kind == memory.kind).count() == 1;
        let idle = |index: usize| is_idle_ram(index, chip, &touched);
        let shown = |(index, memory): &(usize, &Memory)| touched(memory) || alone(memory) || idle(*index);
        let mut all: Vec<Memory> = chip.iter().enumerate().filter(shown).map(|(_, memory)| memory.clone()).collect();
        add_missing(&mut all, &used, image);
        return all;
    }
    let mut all: Vec<Memory> = Vec::new();
    for (kind, name, range) in told(image) {
        if !range.is_empty() && !all.iter().any(|memory| memory.range.overlaps(range)) {
            all.push(Memory { name: name.into(), kind, range, size_known: true });
        }
    }
    add_missing(&mut all, &used, image);
    reach_up_to_stack(&mut all, image);
    all
}

/// The memories that the ELF itself tells of by symbols: its configuration first, because an end that a linker script
/// gives may be that of what it placed.
fn told(image: &Image) -> impl Iterator<Item = (MemoryKind, &'static str, Region)> {
    let address = |name: &str| image.symbols.address(name);
    let set = MEMORY_SETTINGS.iter().filter_map(move |(kind, name, start, size)| {
        let size = address(size)?.checked_mul(1024)?;
        Some((*kind, *name, Region::between(address(start)?, address(start)?.checked_add(size)?)))
    });
    let linked = MEMORY_SYMBOLS.iter().filter_map(move |(kind, name, start, end)| {
        Some((*kind, *name, Region::between(address(start)?, address(end)?)))
    });
    set.chain(linked)
}

/// Lets the RAM of which no size is known reach up to where the main stack begins: at the end of RAM, in most scripts.
fn reach_up_to_stack(all: &mut [Memory], image: &Image) {
    let Some(top) = stack_top(image).filter(|top| *top > 0) else { return };
    let last = Region::new(top - 1, 1);
    let below = all.iter_mut().filter(|memory| memory.range.end() <= u64::from(top));
    let Some(nearest) = below.max_by_key(|memory| memory.range.end()) else { return };
    let is_near = nearest.range.gap_to(last).is_some_and(|gap| gap <= FAR);
    if nearest.kind == MemoryKind::Ram && !nearest.size_known && is_near {
        nearest.range = nearest.range.hull(last);
    }
}

/// Whether a memory of the chip is RAM that the firmware leaves alone and could use. One of the same name is the same RAM at
/// another address, or another core's; external RAM is on some boards only.
fn is_idle_ram(index: usize, chip: &[Memory], touched: &dyn Fn(&Memory) -> bool) -> bool {
    let memory = &chip[index];
    let is_same = |(other, of): (usize, &Memory)| {
        other != index && of.kind == memory.kind && of.name == memory.name && (other < index || touched(of))
    };
    memory.kind == MemoryKind::Ram && !EXTERNAL.covers(memory.range) && !chip.iter().enumerate().any(is_same)
}

/// Adds a memory for each range in use that no memory covers: far-apart ranges are different memories. One that has any RAM
/// in it is RAM, with all that is near: some firmware runs from RAM as a whole.
fn add_missing(all: &mut Vec<Memory>, used: &[(MemoryKind, Region)], image: &Image) {
    let known: Vec<Region> = all.iter().map(|memory| memory.range).collect();
    let uncovered: Vec<Region> = used.iter().flat_map(|(_, range)| range.minus(&known)).collect();
    for range in merge(&uncovered, SAME_MEMORY) {
        // What lies on both sides of a known memory is not joined across it.
        for range in range.minus(&known) {
            let is_ram = used.iter().any(|(kind, used)| *kind == MemoryKind::Ram && used.overlaps(range));
            let kind = if is_ram { MemoryKind::Ram } else { MemoryKind::Flash };
            all.push(Memory { name: name_of(kind, range, image).into(), kind, range, size_known: false });
        }
    }
    all.sort_by_key(|memory| memory.range);
    name_apart(all);
}

/// What a memory is called that nobody describes: as its sections are, else by its place.
fn name_of(kind: MemoryKind, range: Region, image: &Image) -> &'static str {
    let within = image.sections.iter().filter(|section| range.covers(section.run));
    let mut names = within.map(|section| {
        let name = section.name.to_ascii_lowercase();
        SECTION_MEMORIES.iter().find(|(part, _)| name.contains(part)).map(|(_, memory)| *memory)
    });
    if kind == MemoryKind::Ram
        && let Some(Some(first)) = names.next()
        && names.all(|name| name == Some(first))
    {
        return first;
    }
    match (kind, EXTERNAL.covers(range)) {
        (MemoryKind::Ram, false) => "RAM",
        (MemoryKind::Ram, true) => "external RAM",
        (MemoryKind::Flash, false) => "Flash",
        (MemoryKind::Flash, true) => "external flash",
    }
}

/// Gives memories of one name numbers: `RAM 1`, `RAM 2`.
fn name_apart(all: &mut [Memory]) {
    let names: std::collections::BTreeSet<String> = all.iter().map(|memory| memory.name.clone()).collect();
    for name in names {
        let same: Vec<usize> = (0..all.len()).filter(|index| all[*index].name == name).collect();
        if same.len() > 1 {
            for (number, index) in same.into_iter().enumerate() {
                all[index].name = format!("{name} {}", number + 1);
            }
        }
    }
}

/// What the firmware uses, by kind: the memory that a section lies in, and the stored bytes are flash.
fn used(image: &Image, known: &[Memory]) -> Vec<(MemoryKind, Region)> {
    let mut used = Vec::new();
    for section in &image.sections {
        used.push((if section.in_flash { MemoryKind::Flash } else { MemoryKind::Ram }, section.run));
        if let Some(load) = section.load.filter(|load| *load != section.run) {
            used.push((MemoryKind::Flash, load));
        }
    }
    used.extend(image.others.iter().flat_map(|other| &other.ranges).map(|range| (MemoryKind::Flash, *range)));
    used.extend(heap_within(image, known).map(|range| (MemoryKind::Ram, range)));
    used.extend(linker_stack(image).map(|range| (MemoryKind::Ram, range)));
    used.extend(process_stack(image).map(|range| (MemoryKind::Ram, range)));
    used
}

/// Everything the linker placed, run and load addresses alike, in address order.
#[must_use]
pub fn placed(image: &Image) -> Vec<Placed> {
    let mut placed = Vec::new();
    let vectors = vectors(image);
    // armlink gives what it stores and what startup code clears of one region the same name.
    let is_rest = |section: &Section| {
        let same = |other: &Section| other.is_stored && other.name == section.name;
        !section.is_stored && image.sections.iter().any(same)
    };
    for together in sharing(image) {
        let told = together.iter().map(|section| match section_kind(section) {
            _ if vectors == Some(section.run) => ("vector table".into(), PartKind::Vectors),
            kind if is_rest(section) => (format!("{} ZI", section.name), kind),
            kind => (section_name(section), kind),
        });
        let told: Vec<(String, PartKind)> = told.collect();
        let range = together.iter().map(|section| section.run).reduce(Region::hull).unwrap_or_default();
        let kind = together.iter().zip(&told).max_by_key(|(section, _)| section.run.size()).map(|(_, (_, kind))| *kind);
        let name = match told.as_slice() {
            [(name, _)] => name.clone(),
            several => format!("overlay of {}", list(several.iter().map(|(name, _)| name.as_str()))),
        };
        placed.push(Placed { name, kind: kind.unwrap_or(PartKind::Other), range });
        for section in together {
            if let Some(load) = section.load.filter(|load| *load != section.run) {
                let packed = if section.is_packed { ", packed" } else { "" };
                let name = format!("{} values{packed}", section.name);
                placed.push(Placed { name, kind: PartKind::DataImage, range: load });
            }
        }
    }
    // What lies before the firmware is what starts it.
    let begins = image.sections.iter().filter_map(|section| section.load).map(Region::start).min();
    for other in &image.others {
        for range in &other.ranges {
            let is_before = begins.is_some_and(|begins| range.start() < begins);
            let kind = if is_before { PartKind::Bootloader } else { PartKind::Other };
            placed.push(Placed { name: other.name.clone(), kind, range: *range });
        }
    }
    placed.sort_by_key(|placed| placed.range);
    placed
}

/// The sections in address order, those that share addresses together: overlays take turns there.
pub fn sharing(image: &Image) -> impl Iterator<Item = &[Section]> {
    let mut end = 0;
    image.sections.chunk_by(move |one, next| {
        end = one.run.end().max(end);
        u64::from(next.run.start()) < end
    })
}

/// Names in a row; many are not all told.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const MOST: usize = 4;
    let more = names.len().saturating_sub(MOST);
    let first: Vec<&str> = names.take(MOST).collect();
    match (first.split_last(), more) {
        (Some((last, before)), 0) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        (_, 0) => first.join(", "),
        (_, more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// Whether startup code fills a section with zeros.
#[must_use]
pub fn starts_as_zero(section: &Section) -> bool {
    !section.is_stored
        && !section.in_flash
        && !is_kept(&section.name)
        && !matches!(section_kind(section), PartKind::Data | PartKind::Code)
}

/// What a reader has to know of the picture, in whole sentences: what is not in the file, what shares addresses, ends that
/// make no sense, and other images that take what the firmware takes.
#[must_use]
pub fn remarks(image: &Image, memories: &[Memory]) -> Vec<String> {
    let mut remarks = Vec::new();
    if image.is_debug_only() {
        remarks.push(format!(
            "{} has only the debug information of a firmware: its sections have no content, so what is stored in flash, \
             and how much, is not known. Give the ELF that it was split from.",
            image.name()
        ));
    }
    for together in sharing(image).filter(|together| together.len() > 1) {
        let range = together.iter().map(|section| section.run).reduce(Region::hull).unwrap_or_default();
        let names = list(together.iter().map(|section| section.name.as_str()));
        let (start, end) = (units::address(range.start().into()), units::address(range.end()));
        remarks.push(format!(
            "{names} share addresses from {start} to {end}: only one of them is there at a time, and the largest is counted."
        ));
    }
    if let Some(heap) = told_heap(image).filter(|_| heap_within(image, memories).is_none()) {
        let (start, end) = (units::address(heap.start().into()), units::address(heap.end()));
        remarks.push(format!(
            "The heap begins at {start}, and the end that its symbol tells, {end}, is not in the memory: how large it is is \
             not known."
        ));
    }
    remarks.extend(conflicts(image));
    remarks
}

/// What is wrong with the other images: those that take what the firmware takes.
fn conflicts(image: &Image) -> Vec<String> {
    let stored = || image.sections.iter().filter_map(|section| section.load);
    let clash = |range: &Region| stored().find_map(|load| load.intersection(*range));
    let told = image.others.iter().filter_map(|other| {
        let both = other.ranges.iter().find_map(clash)?;
        let (start, end) = (units::address(both.start().into()), units::address(both.end()));
        Some(format!("{} and the firmware both have bytes from {start} to {end}: is it a merged image?", other.name))
    });
    told.collect()
}

/// The heap by linker symbols, as far as nothing else was placed in it; `None` when the end that they tell makes no sense.
#[must_use]
pub fn heap(image: &Image) -> Option<Region> {
    told_heap(image).filter(|heap| is_credible(image, *heap))
}

fn told_heap(image: &Image) -> Option<Region> {
    let told = pair(image, HEAP_SYMBOLS).or_else(|| piece(image, HEAP_PIECE)).or_else(|| heap_section(image))?;
    let begins_in = |section: &&Section| told.contains(section.run.start()) && section.run.start() != told.start();
    let around = |section: &Section| section.run.covers(told);
    let next = image.sections.iter().find(begins_in).filter(|_| !image.sections.iter().any(around));
    Some(next.map_or(told, |next| told.below(next.run.start())))
}

/// The one section that says by its name that it is the heap.
fn heap_section(image: &Image) -> Option<Region> {
    let mut named = image.sections.iter().filter(|section| section_kind(section) == PartKind::Heap);
    let only = named.next()?;
    named.next().is_none().then_some(only.run)
}

/// Whether a heap can end where its symbols say: in the memory that it begins in, where the linker tells of one. Some scripts
/// give the end of the address space instead of the memory's: no RAM ends at such a border.
fn is_credible(image: &Image, heap: Region) -> bool {
    const BORDER: u64 = 1 << 28;
    let memory = told(image).find(|(_, _, range)| range.contains(heap.start()));
    match memory {
        Some((_, _, range)) => range.covers(heap),
        None => !heap.end().is_multiple_of(BORDER),
    }
}

/// The heap where nothing else is known of the memory that it lies in: `None` also when it goes on behind its end.
#[must_use]
pub fn heap_within(image: &Image, memories: &[Memory]) -> Option<Region> {
    heap(image).filter(|heap| !goes_past(*heap, memories))
}

/// Whether a heap goes on behind the end of the memory that it begins in.
fn goes_past(heap: Region, memories: &[Memory]) -> bool {
    let begins = |memory: &&Memory| memory.size_known && memory.range.contains(heap.start());
    memories.iter().find(begins).is_some_and(|memory| !memory.range.covers(heap))
}

/// The main stack by linker symbols that give both ends, without what else was placed between them: its high end is what the
/// core begins with, where a vector table tells that.
fn linker_stack(image: &Image) -> Option<Region> {
    let sp = initial_sp(image);
    // Startup files align the stack, as the core does (AAPCS, "Universal stack constraints": 8 bytes).
    let begins = |range: &Region| sp.is_none_or(|sp| range.end() & !7 == u64::from(sp & !7));
    let range = pairs(image, STACK_SYMBOLS).chain(piece(image, STACK_PIECE)).find(begins)?;
    if image.sections.iter().any(|section| section.run.covers(range)) {
        return Some(range);
    }
    let inside = image.sections.iter().map(|section| section.run).filter(|run| run.overlaps(range));
    let low = inside.map(|run| if run.end() < range.end() { run.end_address() } else { run.start() }).max();
    let range = range.from(low.unwrap_or(range.start()));
    (!range.is_empty()).then_some(range)
}

/// The stack of the main thread, where linker symbols tell of one beside the interrupts'.
#[must_use]
pub fn process_stack(image: &Image) -> Option<Region> {
    pair(image, PROCESS_STACK_SYMBOLS)
}

/// A section of a startup file that armlink made part of another one. A function or a static of that name is none.
fn piece(image: &Image, name: &str) -> Option<Region> {
    let symbol = image.symbols.get(name).filter(|symbol| !symbol.is_code && !symbol.is_data)?;
    (!symbol.range.is_empty()).then_some(symbol.range)
}

fn pair(image: &Image, names: &[(&str, &str)]) -> Option<Region> {
    pairs(image, names).next()
}

fn pairs<'a>(image: &'a Image, names: &'a [(&str, &str)]) -> impl Iterator<Item = Region> + 'a {
    let ends = names.iter().filter_map(|(low, high)| Some((image.symbols.address(low)?, image.symbols.address(high)?)));
    ends.map(|(low, high)| Region::between(low, high)).filter(|range| !range.is_empty())
}

/// The main (MSP) stack. Its top is a linker symbol or the first word of the vector table; when no symbol gives its
/// limit it reaches down to whatever the linker put below it, or to the start of the memory (flip-link). Within what the
/// linker placed, it is the array or the section in which it begins.
#[must_use]
pub fn main_stack(image: &Image, memories: &[Memory]) -> Option<Region> {
    if let Some(range) = linker_stack(image) {
        return Some(range);
    }
    let top = stack_top(image)?;
    let last = top.checked_sub(1)?;
    let memory = memories.iter().find(|memory| memory.kind == MemoryKind::Ram && memory.range.contains(last))?;
    if let Some(section) = image.sections.iter().find(|section| section.run.contains(last)) {
        let array = image.symbols.at(last).filter(|symbol| symbol.is_data).map(|symbol| symbol.range);
        let whole = Some(section.run).filter(|_| section_kind(section) == PartKind::Stack);
        return array.or(whole).map(|range| range.below(top));
    }
    let below = image.sections.iter().map(|section| section.run).chain(heap(image));
    let limit = below.filter(|range| range.end() <= u64::from(top)).map(Region::end_address).max();
    let limit = limit.filter(|limit| memory.range.contains(*limit)).unwrap_or(memory.range.start());
    let range = Region::between(limit, top);
    (!range.is_empty()).then_some(range)
}

/// The main stack where it is room and no reservation: it takes what is left of the memory, and becomes smaller when
/// something else becomes larger. `None` when the linker gives it a size of its own.
#[must_use]
pub fn stack_room(image: &Image, memories: &[Memory]) -> Option<Region> {
    /// Startup code aligns both ends.
    const ALIGNMENT: u64 = 16;
    let stack = main_stack(image, memories)?;
    let mut sections = image.sections.iter().map(|section| section.run);
    if sections.clone().any(|run| run.overlaps(stack)) {
        return None;
    }
    if linker_stack(image).is_none() {
        return Some(stack);
    }
    // A size of its own that just happens to fill the memory.
    if STACK_SIZE_SYMBOLS.iter().any(|name| image.symbols.address(name) == Some(stack.size())) {
        return None;
    }
    // A symbol gives its low end too: that of `.bss`, in scripts that leave the rest to the stack.
    let start = u64::from(stack.start());
    let touches = sections.any(|run| run.end() <= start && start - run.end() < ALIGNMENT);
    let to_the_end = memories
        .iter()
        .any(|memory| memory.size_known && memory.range.covers(stack) && memory.range.end() - stack.end() < ALIGNMENT);
    (touches && to_the_end).then_some(stack)
}

/// Where the main stack begins, at its high end: what the core loads, else a linker symbol.
fn stack_top(image: &Image) -> Option<u32> {
    initial_sp(image).or_else(|| STACK_TOP_SYMBOLS.iter().find_map(|name| image.symbols.address(name)))
}

/// The initial SP: the first word of the vector table, unless no memory can be written there.
#[must_use]
pub fn initial_sp(image: &Image) -> Option<u32> {
    /// Code, SRAM and external RAM; peripherals between them (ARM DDI 0403E B3.1).
    const MEMORIES: [Region; 2] = [Region::new(0, 0x4000_0000), Region::new(0x6000_0000, 0x4000_0000)];
    let sp = image.word(vectors(image)?.start()).filter(|sp| sp % 4 == 0)?;
    let last = sp.checked_sub(1)?;
    let is_fixed = |section: &Section| section.is_stored && !section.writable && section.run.contains(last);
    let is_memory = MEMORIES.iter().any(|memory| memory.contains(last)) && !image.sections.iter().any(is_fixed);
    is_memory.then_some(sp)
}

/// The reset handler, without the Thumb bit: the second word of the vector table.
#[must_use]
pub fn reset_handler(image: &Image) -> Option<u32> {
    let word = image.word(vectors(image)?.slice(4, 4).start())?;
    (word & 1 == 1).then_some(word & !1)
}

/// The vector table in flash: by its symbol, for there may be something before it in its section, else its section.
#[must_use]
pub fn vectors(image: &Image) -> Option<Region> {
    let table = |section: &&Section| section_kind(section) == PartKind::Vectors && !section.writable;
    let named = |(start, end): &(&str, &str)| vectors_at(image, image.symbols.get(start)?, end);
    let whole = || image.sections.iter().find(table).map(|section| section.run);
    VECTOR_SYMBOLS.iter().find_map(named).or_else(whole).or_else(|| unnamed_vectors(image))
}

/// A vector table that nothing names, at the beginning of the code: it is one by what is in it.
fn unnamed_vectors(image: &Image) -> Option<Region> {
    let is_start = |section: &&Section| {
        section.executable && !section.writable && section.is_stored && section.load == Some(section.run)
    };
    let code = image.sections.iter().filter(is_start);
    let section = code.clone().next().filter(|_| image.machine == Machine::Arm)?;
    let word = |index: u32| image.word(section.run.slice(4 * index, 4).start());
    let is_handler = |word: u32| word & 1 == 1 && code.clone().any(|section| section.run.contains(word & !1));
    let begins = |word: u32| match image.symbols.at(word & !1) {
        Some(symbol) => symbol.is_code && symbol.range.start() == word & !1,
        None => image.symbols.iter().next().is_none(),
    };
    let (sp, reset) = (word(0)?, word(1)?);
    let is_data = !image.sections.iter().any(|section| section.executable && section.run.contains(sp));
    // After the reset come the NMI and the hard fault (ARM DDI 0403E, B1.5.3).
    let others = [word(2)?, word(3)?].into_iter().all(|word| word == 0 || is_handler(word));
    let is_one = sp != 0 && sp % 4 == 0 && is_data && is_handler(reset) && begins(reset) && others;
    is_one.then(|| table_at(image, section, section.run.start(), [])).flatten()
}

/// The table that begins at a symbol, in a section with other things around it. Assembly rarely gives it a size: it ends
/// where something else begins.
fn vectors_at(image: &Image, symbol: &Symbol, end: &str) -> Option<Region> {
    let start = symbol.range.start();
    let section = image.sections.iter().find(|section| section.run.contains(start) && !section.writable)?;
    table_at(image, section, start, [image.symbols.address(end), Some(symbol.range.end_address())])
}

/// The table that begins at `start` in a section: up to the first of those ends, or to where something else begins.
fn table_at<const N: usize>(image: &Image, section: &Section, start: u32, ends: [Option<u32>; N]) -> Option<Region> {
    /// The entries that every core has (ARM DDI 0403E, B1.5.3).
    const LEAST: u32 = 16 * 4;
    /// The most that there can be: 16 of the core's and 496 of the chip's.
    const MOST: u32 = 512 * 4;
    let is_table = is_at_address(&section.name) || section_kind(section) == PartKind::Vectors;
    let all = is_table.then_some(section.run.end_address());
    let section = section.run;
    let next = image.symbols.within(section.from(start.saturating_add(1))).next().map(|next| next.range.start());
    let ends = ends.into_iter().chain([all, next, start.checked_add(LEAST)]);
    let tables = ends.flatten().map(|end| Region::between(start, end));
    tables.filter(|table| (LEAST..=MOST).contains(&table.size())).find_map(|table| table.intersection(section))
}

fn section_name(section: &Section) -> String {
    match section_kind(section) {
        PartKind::Vectors => "vector table".into(),
        PartKind::Bootloader => "bootloader".into(),
        PartKind::Code => match section.name.as_str() {
            ".text" => "code".into(),
            other => other.trim_start_matches('.').into(),
        },
        PartKind::Constants if section.name == ".rodata" => "constants".into(),
        _ => section.name.clone(),
    }
}

/// Whether startup code leaves a section as it is, by its name: it keeps its content over a reset.
#[must_use]
pub fn is_kept(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["uninit", "noinit"].iter().any(|part| lower.contains(part)) || by_ilink(name) == Some(PartKind::Uninit)
}

/// Whether a section has initial values, by its name, also where the file does not have them at that place: some linkers fill
/// it from a table of their own.
fn is_data(name: &str) -> bool {
    name == ".data" || name.starts_with(".data.") || by_ilink(name) == Some(PartKind::Data)
}

/// What a section is, by its name where names are conventions, else by its flags.
fn section_kind(section: &Section) -> PartKind {
    let name = section.name.trim_start_matches('.').to_ascii_lowercase();
    let named = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    // Zephyr's `rom_start` is the vector table and what a boot loader wants in front of it.
    if named(&["vector", "isr_vec", "intvec", "rom_start"]) || name.starts_with("interrupts") {
        PartKind::Vectors
    } else if named(&["bootloader", "boot2", "boot_loader"]) {
        PartKind::Bootloader
    } else if section.executable {
        PartKind::Code
    } else if section.in_flash && !section.is_stored {
        PartKind::Other
    } else if !section.writable {
        PartKind::Constants
    } else if is_kept(&section.name) {
        PartKind::Uninit
    } else if named(&["stack"]) {
        PartKind::Stack
    } else if named(&["heap"]) && !section.is_stored {
        PartKind::Heap
    } else if section.load.is_some() || is_data(&section.name) {
        PartKind::Data
    } else {
        PartKind::Bss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The demo's firmware, with data of no content in these sections in place of its own.
    fn image(sections: &[(&str, u32, u32)]) -> Image {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let mut image = Image::open(&path).expect("the demo opens");
        let section = |(name, start, size): &(&str, u32, u32)| Section {
            name: (*name).into(),
            number: 0,
            run: Region::new(*start, *size),
            load: None,
            is_stored: false,
            is_packed: false,
            in_flash: false,
            writable: true,
            executable: false,
        };
        image.sections = sections.iter().map(section).collect();
        image
    }

    #[test]
    fn a_memory_beside_the_main_ones_is_drawn_apart_by_the_name_of_its_sections_or_by_its_place() {
        let image = image(&[
            (".ccmram", 0x1000_0000, 0x400),
            (".bss", 0x2000_0000, 0x100),
            (".my_data", 0x3000_0000, 0x100),
            (".backup_sram", 0x4002_4000, 0x80),
            (".qspi_ram", 0x9000_0000, 0x200),
            (".sdram.frame", 0xd000_0000, 0x1000),
            (".sdram.sound", 0xd000_1000, 0x800),
        ]);
        let told = |memories: &[Memory]| -> Vec<(String, u32, bool)> {
            memories.iter().map(|memory| (memory.name.clone(), memory.range.size(), memory.size_known)).collect()
        };
        let expected = |expected: &[(&str, u32, bool)]| -> Vec<(String, u32, bool)> {
            expected.iter().map(|(name, size, known)| ((*name).to_owned(), *size, *known)).collect()
        };
        let beside = [
            ("RAM 2", 0x100, false),
            ("backup RAM", 0x80, false),
            ("external RAM 1", 0x200, false),
            ("external RAM 2", 0x1800, false),
        ];
        let mut alone = vec![("Flash", 0x4_0000, true), ("CCM", 0x400, false), ("RAM 1", 0x1_0000, true)];
        alone.extend(beside);
        assert_eq!(told(&memories(&image, &[])), expected(&alone));

        // A chip knows how large its own are.
        let chip = |name: &str, kind, start, size| Memory {
            name: name.into(),
            kind,
            range: Region::new(start, size),
            size_known: true,
        };
        let chip = [
            chip("Flash", MemoryKind::Flash, 0x0800_0000, 0x10_0000),
            chip("CCM", MemoryKind::Ram, 0x1000_0000, 0x1_0000),
            chip("RAM", MemoryKind::Ram, 0x2000_0000, 0x2_0000),
            chip("RAM", MemoryKind::Ram, 0x2100_0000, 0x2_0000),
            chip("CCM", MemoryKind::Ram, 0x2002_0000, 0x1_0000),
            chip("SRAM4", MemoryKind::Ram, 0x3800_0000, 0x1000),
            chip("SRAM4", MemoryKind::Ram, 0x3900_0000, 0x1000),
            chip("FMC", MemoryKind::Ram, 0x6000_0000, 0x1000),
        ];
        // RAM that nothing lies in is shown, once: not what is another address of a memory that is shown, nor what may
        // not be on the board.
        let mut known = vec![("Flash", 0x10_0000, true), ("CCM", 0x1_0000, true), ("RAM 1", 0x2_0000, true)];
        known.extend(&beside[..1]);
        known.push(("SRAM4", 0x1000, true));
        known.extend(&beside[1..]);
        assert_eq!(told(&memories(&image, &chip)), expected(&known));
    }

    #[test]
    fn ram_is_as_large_as_the_symbols_of_the_elf_say() {
        use crate::image::symbols::{Symbol, Symbols};
        let check = |symbols: &[(&str, u32)], expected: (u32, u32, bool)| {
            let mut image = image(&[("datas", 0x2000_0000, 0x100), ("noinit", 0x2000_4000, 0x100)]);
            let symbol = |(name, value): &(&str, u32)| Symbol {
                name: (*name).into(),
                range: Region::new(*value, 0),
                is_code: false,
                is_data: false,
                section: 0,
                file: None,
            };
            image.symbols = Symbols::new(symbols.iter().map(symbol).collect());
            let told: Vec<_> = memories(&image, &[])
                .iter()
                .map(|memory| (memory.range.start(), memory.range.size(), memory.size_known))
                .collect();
            assert_eq!(told, [expected], "{symbols:?}");
        };
        let (start, size) = (("CONFIG_SRAM_BASE_ADDRESS", 0x2000_0000), ("CONFIG_SRAM_SIZE", 192));
        let (first, last) = (("_image_ram_start", 0x2000_0000), ("__kernel_ram_end", 0x2000_4200));
        let used = (0x2000_0000, 0x4100, false);
        check(&[start, size], (0x2000_0000, 192 << 10, true));
        check(&[first, last], (0x2000_0000, 0x4200, true));
        check(&[first, last, start, size], (0x2000_0000, 192 << 10, true));
        check(&[("__ram0_start__", 0x2000_0000), ("__ram0_end__", 0x2000_8000)], (0x2000_0000, 0x8000, true));
        check(&[("_sram", 0x2000_0000), ("_eram", 0x2000_8000)], (0x2000_0000, 0x8000, true));
        // What tells nothing, or cannot be true.
        check(&[size], used);
        check(&[start, ("CONFIG_SRAM_SIZE", 0)], used);
        check(&[start, ("CONFIG_SRAM_SIZE", u32::MAX)], used);
        check(&[("CONFIG_SRAM_BASE_ADDRESS", u32::MAX - 4), size], used);
    }

    #[test]
    fn ram_of_no_known_size_reaches_up_to_where_the_stack_begins() {
        use crate::image::symbols::{Symbol, Symbols};
        let check = |top: u32, expected: &[(&str, u32, u64)], stack: Option<(u32, u32)>| {
            let mut image = image(&[(".ccmram", 0x1000_0000, 0x400), (".bss", 0x2000_0000, 0x100)]);
            let range = Region::new(top, 0);
            let symbol =
                Symbol { name: "_estack".into(), range, is_code: false, is_data: false, section: 0, file: None };
            image.symbols = Symbols::new(vec![symbol]);
            let found = memories(&image, &[]);
            let told: Vec<_> =
                found.iter().map(|memory| (memory.name.as_str(), memory.range.start(), memory.range.end())).collect();
            assert_eq!(told, expected, "{top:#x}");
            assert!(found.iter().all(|memory| !memory.size_known));
            let stack = stack.map(|(start, end)| Region::between(start, end));
            assert_eq!(main_stack(&image, &found), stack, "{top:#x}");
        };
        let (ccm, ram) = (("CCM", 0x1000_0000, 0x1000_0400), ("RAM", 0x2000_0000, 0x2000_0100));
        check(0x2002_0000, &[ccm, ("RAM", 0x2000_0000, 0x2002_0000)], Some((0x2000_0100, 0x2002_0000)));
        check(0x1001_0000, &[("CCM", 0x1000_0000, 0x1001_0000), ram], Some((0x1000_0400, 0x1001_0000)));
        // Within what is there already, and in a memory that nothing tells of.
        check(0x2000_0100, &[ccm, ram], None);
        check(0x2400_0000, &[ccm, ram], None);
        check(0, &[ccm, ram], None);
    }
}
