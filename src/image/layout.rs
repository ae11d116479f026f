//! The memories of a firmware and what the linker put into them, without looking at any target.

mod names;

use super::symbols::Symbol;
use super::{Image, Section};
use crate::model::snapshot::{MemoryKind, PartKind};
use crate::region::{Region, merge};
use crate::units;
pub(super) use names::{HEAP_PIECE, STACK_PIECE};
use names::{
    HEAP_SYMBOLS, MEMORY_SETTINGS, MEMORY_SYMBOLS, SECTION_MEMORIES, STACK_SYMBOLS, STACK_TOP_SYMBOLS, VECTOR_SYMBOLS,
    by_ilink, is_at_address,
};

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

/// Flash and RAM outside of the chip (ARM DDI 0403E B3.1: external RAM and external device).
const EXTERNAL: Region = Region::new(0x6000_0000, 0x8000_0000);

/// The memories: the chip's when it is known, with the RAM that the firmware leaves alone; else the linker's, else what the
/// segments span.
#[must_use]
pub fn memories(image: &Image, chip: &[Memory]) -> Vec<Memory> {
    let used = used(image);
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
    /// More than the RAM of any microcontroller: what is further away is another memory.
    const FAR: u32 = 4 << 20;
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

/// Adds a memory for each range in use that no memory covers: far-apart ranges are different memories. One in which
/// anything is written is RAM, with all that is near: some firmware runs from RAM as a whole.
fn add_missing(all: &mut Vec<Memory>, used: &[(MemoryKind, Region)], image: &Image) {
    // Two uses within this distance are taken for one memory; microcontroller memories are further apart.
    const SAME_MEMORY: u32 = 64 * 1024;
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

/// What the firmware uses, by kind: written or zeroed at run time is RAM, the stored bytes are flash.
fn used(image: &Image) -> Vec<(MemoryKind, Region)> {
    let mut used = Vec::new();
    for section in &image.sections {
        let runs_from_ram =
            section.writable || !section.is_stored || section.load.is_some_and(|load| load != section.run);
        used.push((if runs_from_ram { MemoryKind::Ram } else { MemoryKind::Flash }, section.run));
        if let Some(load) = section.load.filter(|load| *load != section.run) {
            used.push((MemoryKind::Flash, load));
        }
    }
    used.extend(image.others.iter().flat_map(|other| &other.ranges).map(|range| (MemoryKind::Flash, *range)));
    used.extend(heap(image).map(|range| (MemoryKind::Ram, range)));
    used.extend(linker_stack(image).map(|range| (MemoryKind::Ram, range)));
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
    for section in &image.sections {
        let (name, kind) = match section_kind(section) {
            _ if vectors == Some(section.run) => ("vector table".into(), PartKind::Vectors),
            kind if is_rest(section) => (format!("{} ZI", section.name), kind),
            kind => (section_name(section), kind),
        };
        placed.push(Placed { name, kind, range: section.run });
        if let Some(load) = section.load.filter(|load| *load != section.run) {
            let packed = if section.is_packed { ", packed" } else { "" };
            let name = format!("{} values{packed}", section.name);
            placed.push(Placed { name, kind: PartKind::DataImage, range: load });
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

/// Whether startup code fills a section with zeros.
#[must_use]
pub fn starts_as_zero(section: &Section) -> bool {
    !section.is_stored && !is_kept(&section.name) && by_ilink(&section.name) != Some(PartKind::Data)
}

/// What is wrong with the other images, in whole sentences: those that take what the firmware takes.
#[must_use]
pub fn conflicts(image: &Image) -> Vec<String> {
    let stored = || image.sections.iter().filter_map(|section| section.load);
    let clash = |range: &Region| stored().find_map(|load| load.intersection(*range));
    let told = image.others.iter().filter_map(|other| {
        let both = other.ranges.iter().find_map(clash)?;
        let (start, end) = (units::address(both.start().into()), units::address(both.end()));
        Some(format!("{} and the firmware both have bytes from {start} to {end}: is it a merged image?", other.name))
    });
    told.collect()
}

/// The heap by linker symbols.
#[must_use]
pub fn heap(image: &Image) -> Option<Region> {
    pair(image, HEAP_SYMBOLS).or_else(|| piece(image, HEAP_PIECE))
}

/// The main stack by linker symbols that give both ends.
fn linker_stack(image: &Image) -> Option<Region> {
    pair(image, STACK_SYMBOLS).or_else(|| piece(image, STACK_PIECE))
}

/// A section of a startup file that armlink made part of another one. A function or a static of that name is none.
fn piece(image: &Image, name: &str) -> Option<Region> {
    let symbol = image.symbols.get(name).filter(|symbol| !symbol.is_code && !symbol.is_data)?;
    (!symbol.range.is_empty()).then_some(symbol.range)
}

fn pair(image: &Image, names: &[(&str, &str)]) -> Option<Region> {
    names.iter().find_map(|(low, high)| {
        let range = Region::between(image.symbols.address(low)?, image.symbols.address(high)?);
        (!range.is_empty()).then_some(range)
    })
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

/// Where the main stack begins, at its high end.
fn stack_top(image: &Image) -> Option<u32> {
    STACK_TOP_SYMBOLS.iter().find_map(|name| image.symbols.address(name)).or_else(|| initial_sp(image))
}

/// The initial SP: the first word of the vector table.
#[must_use]
pub fn initial_sp(image: &Image) -> Option<u32> {
    image.word(vectors(image)?.start()).filter(|sp| sp % 4 == 0 && *sp != 0)
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
    VECTOR_SYMBOLS.iter().find_map(named).or_else(whole)
}

/// The table that begins at a symbol, in a section with other things around it. Assembly rarely gives it a size: it ends
/// where something else begins.
fn vectors_at(image: &Image, symbol: &Symbol, end: &str) -> Option<Region> {
    /// The entries that every core has (ARM DDI 0403E, B1.5.3).
    const LEAST: u32 = 16 * 4;
    /// The most that there can be: 16 of the core's and 496 of the chip's.
    const MOST: u32 = 512 * 4;
    let start = symbol.range.start();
    let section = image.sections.iter().find(|section| section.run.contains(start) && !section.writable)?;
    let is_table = is_at_address(&section.name) || section_kind(section) == PartKind::Vectors;
    let all = is_table.then_some(section.run.end_address());
    let section = section.run;
    let next = image.symbols.within(section.from(start.saturating_add(1))).next().map(|next| next.range.start());
    let ends = [image.symbols.address(end), Some(symbol.range.end_address()), all, next, start.checked_add(LEAST)];
    let tables = ends.into_iter().flatten().map(|end| Region::between(start, end));
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
    } else if !section.writable {
        PartKind::Constants
    } else if is_kept(&section.name) {
        PartKind::Uninit
    } else if named(&["stack"]) {
        PartKind::Stack
    } else if named(&["heap"]) {
        PartKind::Heap
    } else if section.load.is_some() || by_ilink(&section.name) == Some(PartKind::Data) {
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
            run: Region::new(*start, *size),
            load: None,
            is_stored: false,
            is_packed: false,
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
            let symbol = Symbol { name: "_estack".into(), range, is_code: false, is_data: false, file: None };
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
