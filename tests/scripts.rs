//! What linker scripts of many projects make of a firmware: pages for settings in flash, boot data that may be written, headers of
//! the file in a segment, overlays, metadata, stripped files. Each is an ELF file of sections, segments and symbols as GNU ld 2.40
//! and lld 14 lay them out, and nothing else; what is right stands in the script that each is told by.

use std::path::Path;

use highwater::amount::Amount;
use highwater::check::budgets::{Budgets, MemoryBudget};
use highwater::check::{Verdict, check};
use highwater::image::layout;
use highwater::image::{Image, Section};
use highwater::inventory::diff::diff;
use highwater::inventory::listing::Listing;
use highwater::inventory::owner::Names;
use highwater::inventory::regions::Saved;
use highwater::inventory::{Copied, Inventory};
use highwater::model::Model;
use highwater::model::snapshot::{MemoryKind, PartKind, Snapshot};
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::static_snapshot;

const ARM: u32 = 40;
const RISC_V: u32 = 243;

const WRITE: u32 = 1;
const ALLOC: u32 = 2;
const EXEC: u32 = 4;
const R: u32 = ALLOC;
const RX: u32 = ALLOC | EXEC;
const RW: u32 = ALLOC | WRITE;

const OBJECT: u32 = 1;
const FUNCTION: u32 = 2;
const NO_KIND: u32 = 0;
/// A symbol of no section.
const ABSOLUTE: &str = "";

/// A section of the file.
struct Part {
    name: &'static str,
    flags: u32,
    run: u32,
    /// Where it is stored; `None` for a section without content.
    load: Option<u32>,
    bytes: Vec<u8>,
}

/// A section with content that is stored at `load`.
fn stored(name: &'static str, flags: u32, run: u32, load: u32, bytes: Vec<u8>) -> Part {
    Part { name, flags, run, load: Some(load), bytes }
}

/// A section that only takes room.
fn nobits(name: &'static str, flags: u32, run: u32, size: usize) -> Part {
    Part { name, flags, run, load: None, bytes: vec![0; size] }
}

/// A vector table: the stack's top, a reset handler, and no other.
fn vectors(sp: u32, reset: u32, size: usize) -> Vec<u8> {
    let mut table = [sp.to_le_bytes(), (reset | 1).to_le_bytes()].concat();
    table.resize(size, 0);
    table
}

/// A 32-bit ELF file with a segment for each of its sections.
struct Elf {
    machine: u32,
    parts: Vec<Part>,
    /// Name, address, size, kind, section.
    symbols: Vec<(&'static str, u32, u32, u32, &'static str)>,
    /// A segment that begins with the headers of the file: where it runs and is loaded, its bytes, its size in memory.
    headers: Option<(u32, u32, u32, u32)>,
    /// Without the table of sections, and so without symbols.
    is_stripped: bool,
}

fn elf(parts: Vec<Part>, symbols: &[(&'static str, u32, u32, u32, &'static str)]) -> Elf {
    Elf { machine: ARM, parts, symbols: symbols.to_vec(), headers: None, is_stripped: false }
}

impl Elf {
    fn open(&self) -> Image {
        Image::parse(Path::new("firmware.elf"), &self.bytes()).expect("it is an ELF file")
    }

    fn bytes(&self) -> Vec<u8> {
        const HEADER: usize = 52;
        let mut file = vec![0; HEADER];
        let mut names = vec![0u8];
        let mut name_of = |text: &str| {
            let at = names.len() as u32;
            names.extend(text.bytes().chain([0]));
            at
        };
        let (mut sections, mut symbols, mut segments) = (vec![[0u32; 10]], vec![[0u32; 4]], Vec::new());
        if let Some((run, load, stored, size)) = self.headers {
            segments.push([1, 0, run, load, stored, size, 6, 4]);
        }
        for part in &self.parts {
            let (at, size) = (file.len() as u32, part.bytes.len() as u32);
            let kind = if part.load.is_some() { 1 } else { 8 };
            sections.push([name_of(part.name), kind, part.flags, part.run, at, size, 0, 0, 4, 0]);
            let flags = 4 | (u32::from(part.flags & WRITE != 0) * 2) | u32::from(part.flags & EXEC != 0);
            let in_file = if part.load.is_some() { size } else { 0 };
            segments.push([1, at, part.run, part.load.unwrap_or(part.run), in_file, size, flags, 4]);
            if part.load.is_some() {
                file.extend(&part.bytes);
            }
        }
        for (name, address, size, kind, section) in &self.symbols {
            let of = self.parts.iter().position(|part| part.name == *section).map_or(0xfff1, |at| at as u32 + 1);
            symbols.push([name_of(name), *address, *size, 1 << 4 | kind | of << 16]);
        }
        let text = name_of(".strtab");
        let strings = sections.len() as u32;
        sections.push([text, 3, 0, 0, file.len() as u32, names.len() as u32, 0, 0, 1, 0]);
        file.extend(&names);
        sections.push([text, 2, 0, 0, file.len() as u32, symbols.len() as u32 * 16, strings, 1, 4, 16]);
        file.extend(symbols.iter().flatten().flat_map(|word| word.to_le_bytes()));
        let program = file.len() as u32;
        file.extend(segments.iter().flatten().flat_map(|word: &u32| word.to_le_bytes()));
        let table = file.len() as u32;
        let count = if self.is_stripped { 0 } else { sections.len() as u32 };
        let names_at = if self.is_stripped { 0 } else { strings };
        if !self.is_stripped {
            file.extend(sections.iter().flatten().flat_map(|word| word.to_le_bytes()));
        }
        let header = [
            2 | self.machine << 16,
            1,
            0,
            program,
            if self.is_stripped { 0 } else { table },
            0x0500_0000,
            HEADER as u32 | 32 << 16,
            segments.len() as u32 | 40 << 16,
            count | names_at << 16,
        ];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1, 1, 1]);
        for (at, word) in header.iter().enumerate() {
            file[16 + 4 * at..20 + 4 * at].copy_from_slice(&word.to_le_bytes());
        }
        file
    }
}

/// The memories of a file with their kinds and ranges.
fn memories(image: &Image) -> Vec<(MemoryKind, u32, u64)> {
    let told = layout::memories(image, &[]);
    told.iter().map(|memory| (memory.kind, memory.range.start(), memory.range.end())).collect()
}

fn snapshot(image: &Image) -> Snapshot {
    static_snapshot(image, &layout::memories(image, &[]))
}

/// The parts of the map by name and range, free ones left out.
fn parts(image: &Image) -> Vec<(String, u32, u64)> {
    let snapshot = snapshot(image);
    let parts = snapshot.memories.iter().flat_map(|memory| &memory.parts);
    let taken = parts.filter(|part| part.kind != PartKind::Unclaimed);
    taken.map(|part| (part.name.clone(), part.range.start(), part.range.end())).collect()
}

fn named(parts: &[(&str, u32, u64)]) -> Vec<(String, u32, u64)> {
    parts.iter().map(|(name, start, end)| ((*name).to_owned(), *start, *end)).collect()
}

fn inventory(image: &Image) -> Inventory {
    let inventory = Inventory::new(image, &layout::memories(image, &[]), &Names::default());
    for holding in &inventory.memories {
        let mut at = u64::from(holding.memory.range.start());
        for item in &holding.items {
            assert_eq!(u64::from(item.range.start()), at, "{item:?}");
            at = item.range.end();
        }
        assert_eq!(at, holding.memory.range.end());
    }
    inventory
}

/// Bytes in use of flash and RAM.
fn used(inventory: &Inventory) -> (u64, u64) {
    let of = |kind: MemoryKind| {
        inventory
            .memories
            .iter()
            .filter(|holding| holding.memory.kind == kind)
            .map(highwater::inventory::Holding::used)
            .sum()
    };
    (of(MemoryKind::Flash), of(MemoryKind::Ram))
}

/// Where functions and statics are counted: name, bytes, and whether it is a stored copy, with the section's name.
fn things(inventory: &Inventory) -> Vec<(String, u32, Copied, String)> {
    let items = inventory.memories.iter().flat_map(|holding| &holding.items);
    let told = items.filter_map(|item| {
        let section = inventory.sections.get(item.section?)?.name.clone();
        Some((inventory.thing(item)?.name.clone(), item.range.size(), item.copy, section))
    });
    told.collect()
}

fn section<'a>(image: &'a Image, name: &str) -> &'a Section {
    image.sections.iter().find(|section| section.name == name).expect("it is there")
}

const FLASH: u32 = 0x0800_0000;
const RAM: u32 = 0x2000_0000;
/// The end of 20 KiB of RAM.
const TOP: u32 = 0x2000_5000;

/// `.vectors`, `.text`, `.data` AT> FLASH, `.bss`: what every script has, with something between code and initial values.
fn plain(between: Option<Part>, data_at: u32) -> Elf {
    let mut parts = vec![
        stored(".vectors", R, FLASH, FLASH, vectors(TOP, FLASH + 0x40, 0x40)),
        stored(".text", RX, FLASH + 0x40, FLASH + 0x40, vec![0xbf; 0xec]),
    ];
    parts.extend(between);
    parts.push(stored(".data", RW, RAM, data_at, vec![7; 260]));
    parts.push(nobits(".bss", RW, RAM + 260, 1024));
    elf(parts, &[("reset", FLASH + 0x41, 72, FUNCTION, ".text"), ("_estack", TOP, 0, NO_KIND, ".bss")])
}

#[test]
fn what_may_be_written_in_flash_does_not_make_it_ram() {
    // Pages for settings, `(NOLOAD) : { . = ALIGN(1024); . = . + 2048; } > FLASH`; two bytes that only align what follows;
    // and a table that is stored where it runs and was not `const`.
    let between = [
        nobits(".storage", RW, FLASH + 0x12c, 0xad4),
        nobits(".etext", RW, FLASH + 0x12c, 2),
        stored(".etext", RW, FLASH + 0x12c, FLASH + 0x12c, vec![0; 2]),
    ];
    for part in between {
        let (name, size) = (part.name, part.bytes.len() as u32);
        let load = FLASH + 0x12c + size;
        let image = plain(Some(part), load).open();
        let end = u64::from(load) + 260;
        let expected = [(MemoryKind::Flash, FLASH, end), (MemoryKind::Ram, RAM, TOP.into())];
        assert_eq!(memories(&image), expected, "{name} of {size} B");
        assert_eq!(used(&inventory(&image)), (end - u64::from(FLASH), 260 + 1024));
        // Startup code clears nothing in flash.
        assert!(!layout::starts_as_zero(section(&image, name)) && layout::starts_as_zero(section(&image, ".bss")));
    }
}

#[test]
fn pages_for_settings_are_in_flash_also_where_the_firmware_copies_nothing() {
    let parts = vec![
        stored(".vector_table", R, FLASH, FLASH, vectors(TOP, FLASH + 0x100, 0x100)),
        stored(".text", RX, FLASH + 0x100, FLASH + 0x100, vec![0xbf; 0x80]),
        nobits(".storage", RW, FLASH + 0x400, 0x800),
        nobits(".bss", RW, RAM, 0x100),
    ];
    let image = elf(parts, &[]).open();
    let flash = (MemoryKind::Flash, FLASH, u64::from(FLASH) + 0xc00);
    assert_eq!(memories(&image), [flash, (MemoryKind::Ram, RAM, TOP.into())]);
    // The same program where a debugger puts it into SRAM is one memory, with its stack.
    let parts = vec![
        stored(".vector_table", R, RAM, RAM, vectors(TOP, RAM + 0x100, 0x100)),
        stored(".text", RX, RAM + 0x100, RAM + 0x100, vec![0xbf; 0x80]),
        nobits(".bss", RW, RAM + 0x400, 0x800),
    ];
    assert_eq!(memories(&elf(parts, &[]).open()), [(MemoryKind::Ram, RAM, TOP.into())]);
}

#[test]
fn boot_data_that_is_not_const_lies_in_external_flash() {
    const XIP: u32 = 0x6000_0000;
    const TOP: u32 = 0x2002_0000;
    let parts = vec![
        stored(".headers", RW, XIP, XIP, vec![0x42; 512]),
        stored(".vectors", R, XIP + 0x200, XIP + 0x200, vectors(TOP, XIP + 0x240, 0x40)),
        stored(".text", RX, XIP + 0x240, XIP + 0x240, vec![0xbf; 2]),
        stored(".data", RW, RAM, XIP + 0x242, vec![7; 4]),
        nobits(".bss", RW, RAM + 4, 64),
    ];
    let image = elf(parts, &[]).open();
    let flash = (MemoryKind::Flash, XIP, u64::from(XIP) + 0x246);
    assert_eq!(memories(&image), [(MemoryKind::Ram, RAM, TOP.into()), flash]);
    assert_eq!(used(&inventory(&image)), (582, 4 + 64));
    // It is there to be compared with what the target has.
    assert!(!section(&image, ".headers").writable && section(&image, ".data").writable);
}

#[test]
fn a_section_belongs_to_the_segment_that_holds_its_bytes() {
    const XIP: u32 = 0x6000_0000;
    let parts = vec![
        stored(".vectors", R, XIP, XIP, vectors(0x2002_0000, XIP + 0x40, 0x40)),
        stored(".text", RX, XIP + 0x40, XIP + 0x40, vec![0xbf; 2]),
        stored(".data", RW, RAM, XIP + 0x42, vec![7; 0x404]),
        nobits(".bss", RW, RAM + 0x420, 0x40),
    ];
    // `.bss AT> DTCM` gets a segment that GNU ld begins with the headers of the file, over the addresses of `.data`.
    let headers = Some((RAM, 0x1fff_ffe4, 0x94, 0x460));
    let image = Elf { headers, ..elf(parts, &[]) }.open();
    assert_eq!(section(&image, ".data").load, Some(Region::new(XIP + 0x42, 0x404)));
    let flash = (MemoryKind::Flash, XIP, u64::from(XIP) + 0x446);
    assert_eq!(memories(&image), [(MemoryKind::Ram, RAM, 0x2002_0000), flash]);
    assert_eq!(used(&inventory(&image)).0, 0x446);
    // What the program finds there is not the header of the file.
    assert_eq!(image.bytes(Region::new(RAM, 4)), Some(&[7; 4][..]));
    assert_eq!(image.bytes(Region::new(0x1fff_ffe4, 4)), None);
}

/// A vector table in the section of the code, which no symbol names, and a section for the stack.
fn unnamed_vectors(symbols: &[(&'static str, u32, u32, u32, &'static str)]) -> Elf {
    let code = [vectors(TOP, FLASH + 0x40, 0x40), vec![0xbf; 2]].concat();
    let parts = vec![
        stored(".text", RX, FLASH, FLASH, code),
        stored(".data", RW, RAM, FLASH + 0x42, vec![7; 4]),
        nobits(".bss", RW, RAM + 4, 64),
        nobits(".stack", RW, TOP - 512, 512),
    ];
    elf(parts, &[&[("reset", FLASH + 0x41, 2, FUNCTION, ".text")], symbols].concat())
}

#[test]
fn the_stack_begins_where_the_vector_table_says_and_not_where_a_symbol_that_disagrees_does() {
    let stack = |symbols: &[(&'static str, u32, u32, u32, &'static str)]| {
        let image = unnamed_vectors(symbols).open();
        layout::main_stack(&image, &layout::memories(&image, &[]))
    };
    let right = Some(Region::between(TOP - 512, TOP));
    let low = ("_stack_start", TOP - 512, 0, NO_KIND, ".stack");
    // Some call the low end the start, and some have a pair that is another core's.
    assert_eq!(stack(&[low, ("_stack_end", TOP, 0, NO_KIND, ".stack")]), right);
    assert_eq!(stack(&[low]), right);
    assert_eq!(
        stack(&[("_sstack", RAM + 0x1000, 0, NO_KIND, ".bss"), ("_estack", RAM + 0x2000, 0, NO_KIND, ".bss")]),
        right
    );
    // One that agrees is taken for both ends.
    let pair = [("_sstack", TOP - 0x100, 0, NO_KIND, ".stack"), ("_estack", TOP, 0, NO_KIND, ".stack")];
    assert_eq!(stack(&pair), Some(Region::between(TOP - 0x100, TOP)));
}

#[test]
fn what_only_looks_like_a_vector_table_is_none() {
    let image = unnamed_vectors(&[]).open();
    assert_eq!(layout::vectors(&image), Some(Region::new(FLASH, 0x40)));
    assert_eq!(layout::reset_handler(&image), Some(FLASH + 0x40));
    // A reset handler that is no function's beginning, a stack in the code, an entry that leads nowhere.
    for (at, word) in
        [(4, FLASH + 0x43), (4, FLASH + 0x40), (0, FLASH + 0x20), (0, 0), (8, 0x1234_5679), (12, 0x0800_0040)]
    {
        let mut elf = unnamed_vectors(&[]);
        elf.parts[0].bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        assert_eq!(layout::vectors(&elf.open()), None, "{word:#x} at {at}");
    }
}

#[test]
fn the_second_cores_stack_and_fast_data_are_parts_and_the_main_stack_ends_above_them() {
    const XIP: u32 = 0x1000_0000;
    let code = [vectors(0x2004_2000, XIP + 0x40, 0x40), vec![0xbf; 2]].concat();
    let parts_of = |dummy: usize| {
        vec![
            stored(".text", RX, XIP, XIP, code.clone()),
            stored(".data", RW, RAM, XIP + 0x42, vec![7; 4]),
            nobits(".bss", RW, RAM + 4, 0x400),
            stored(".scratch_x", RW, 0x2004_0000, XIP + 0x46, vec![1; 0x100]),
            nobits(".stack1_dummy", RW, 0x2004_0100, 0x800),
            nobits(".stack_dummy", RW, 0x2004_1000, dummy),
        ]
    };
    let symbols = [
        ("__vectors", XIP, 0, NO_KIND, ".text"),
        ("reset", XIP + 0x41, 2, FUNCTION, ".text"),
        ("__end__", 0x2000_0404, 0, NO_KIND, ".bss"),
        ("__HeapLimit", 0x2004_0000, 0, NO_KIND, ABSOLUTE),
        ("__StackLimit", 0x2004_0000, 0, NO_KIND, ABSOLUTE),
        ("__StackTop", 0x2004_2000, 0, NO_KIND, ABSOLUTE),
        ("core1_stack", 0x2004_0100, 0x800, OBJECT, ".stack1_dummy"),
    ];
    let image = elf(parts_of(0x800), &symbols).open();
    let expected = [
        ("code", XIP, 0x1000_0042),
        (".data values", XIP + 0x42, 0x1000_0046),
        (".scratch_x values", XIP + 0x46, 0x1000_0146),
        (".data", RAM, 0x2000_0004),
        (".bss", RAM + 4, 0x2000_0404),
        ("heap", 0x2000_0404, 0x2004_0000),
        (".scratch_x", 0x2004_0000, 0x2004_0100),
        (".stack1_dummy", 0x2004_0100, 0x2004_0900),
        (".stack_dummy", 0x2004_1000, 0x2004_1800),
        ("main stack", 0x2004_1800, 0x2004_2000),
    ];
    assert_eq!(parts(&image), named(&expected));
    // The rows of the symbols say the same of each.
    let inventory = inventory(&image);
    let row = |start: u32| {
        let items = inventory.memories.iter().flat_map(|holding| &holding.items);
        items.filter(|item| item.range.start() == start).map(|item| item.range.end()).next()
    };
    for (name, start, end) in expected {
        let whole = name != "code";
        assert!(!whole || row(start) == Some(end), "{name}: {:?}", row(start));
    }
    // A stack for which the script reserves all of its memory is that reservation.
    let image = elf(parts_of(0x1000), &symbols).open();
    let stack = layout::main_stack(&image, &layout::memories(&image, &[]));
    assert_eq!(stack, Some(Region::between(0x2004_1000, 0x2004_2000)));
}

#[test]
fn sections_that_share_addresses_have_their_own_bytes_and_symbols_and_are_said_to() {
    let parts_of = |first: usize, second: usize| {
        vec![
            stored(".vectors", R, FLASH, FLASH, vectors(TOP, FLASH + 8, 8)),
            stored(".text", RX, FLASH + 8, FLASH + 8, vec![0xbf; 2]),
            stored(".ovl1", RW, RAM, FLASH + 10, vec![1; first]),
            stored(".ovl2", RW, RAM, FLASH + 10 + first as u32, vec![2; second]),
        ]
    };
    for (first, second) in [(200, 120), (16, 48)] {
        let symbols = [("a", RAM, first as u32, OBJECT, ".ovl1"), ("b", RAM, second as u32, OBJECT, ".ovl2")];
        let image = elf(parts_of(first, second), &symbols).open();
        // Each has its own load image.
        let load = |name: &str| section(&image, name).load;
        assert_eq!(load(".ovl1"), Some(Region::new(FLASH + 10, first as u32)));
        assert_eq!(load(".ovl2"), Some(Region::new(FLASH + 10 + first as u32, second as u32)));
        assert_eq!(image.bytes_of(section(&image, ".ovl2"), Region::new(RAM, 4)), Some(&[2; 4][..]));
        assert_eq!(image.bytes(Region::new(RAM, 4)), None);
        let inventory = inventory(&image);
        let larger = first.max(second) as u64;
        assert_eq!(used(&inventory).0, 10 + first as u64 + second as u64);
        let counted = things(&inventory);
        for (name, size, section) in [("a", first, ".ovl1"), ("b", second, ".ovl2")] {
            let own = |copy| (name.to_owned(), size as u32, copy, section.to_owned());
            assert!(counted.contains(&own(Copied::Load)), "{counted:?}");
            assert_eq!(counted.contains(&own(Copied::Run)), size as u64 == larger, "{counted:?}");
            let others = counted.iter().filter(|(of, ..)| of == name).all(|(.., by)| by == section);
            assert!(others, "{counted:?}");
        }
        // They are one part of the map, and a sentence says why.
        let overlay = parts(&image).into_iter().find(|(name, ..)| name.starts_with("overlay of "));
        assert_eq!(overlay.map(|(_, start, end)| (start, end)), Some((RAM, u64::from(RAM) + larger)));
        let hints = snapshot(&image).hints;
        let said = |hint: &String| hint.contains(".ovl1") && hint.contains(".ovl2") && hint.contains("share addresses");
        assert!(hints.iter().any(said), "{hints:?}");
    }
}

#[test]
fn constants_in_flash_are_no_ram_and_room_in_an_address_space_has_no_bytes() {
    const DRAM: u32 = 0x3fc8_0000;
    let parts_of = || {
        vec![
            stored(".dram0.data", RW, DRAM, DRAM, vec![7; 4]),
            nobits(".dram0.bss", RW, DRAM + 4, 64),
            stored(".flash.text", RX, 0x4200_0020, 0x4200_0020, vec![1; 54]),
            nobits(".flash_rodata_dummy", RW, 0x3c00_0020, 0x1_0000),
            stored(".flash.rodata", RW, 0x3c01_0020, 0x3c01_0020, vec![1; 1004]),
        ]
    };
    let heap =
        |end: u32| [("_heap_start", DRAM + 0x44, 0, NO_KIND, ".dram0.bss"), ("_heap_end", end, 0, NO_KIND, ABSOLUTE)];
    let image = Elf { machine: RISC_V, ..elf(parts_of(), &heap(0x4000_0000)) }.open();
    let flash = [(MemoryKind::Flash, 0x3c01_0020, 0x3c01_040c), (MemoryKind::Flash, 0x4200_0020, 0x4200_0056)];
    assert_eq!(memories(&image), [flash[0], (MemoryKind::Ram, DRAM, 0x3fc8_0044), flash[1]]);
    assert_eq!(used(&inventory(&image)), (1058, 68));
    // The end of the address space is not the end of a heap, and that is said.
    let picture = snapshot(&image);
    assert!(picture.heaps.is_empty());
    assert!(
        picture.hints.iter().any(|hint| hint.contains("4000_0000") && hint.contains("not known")),
        "{:?}",
        picture.hints
    );
    // One that ends with the memory is one.
    let image = Elf { machine: RISC_V, ..elf(parts_of(), &heap(0x3fce_0000)) }.open();
    assert_eq!(
        snapshot(&image).heaps.iter().map(|heap| heap.range).collect::<Vec<_>>(),
        [Region::between(DRAM + 0x44, 0x3fce_0000)]
    );
    // Nor does it end behind the memory that the chip is known to have.
    let chip = [layout::Memory {
        name: "DRAM".into(),
        kind: MemoryKind::Ram,
        range: Region::new(DRAM, 0x5_0000),
        size_known: true,
    }];
    let memories = layout::memories(&image, &chip);
    assert_eq!(memories.iter().filter(|memory| memory.kind == MemoryKind::Ram).count(), 1, "{memories:?}");
    let picture = static_snapshot(&image, &memories);
    assert!(picture.heaps.is_empty());
    assert!(picture.hints.iter().any(|hint| hint.contains("3fce_0000")), "{:?}", picture.hints);
}

#[test]
fn a_file_of_debug_information_alone_is_said_to_be_that() {
    let mut elf = plain(None, FLASH + 0x12c);
    for part in &mut elf.parts {
        part.load = None;
    }
    let image = elf.open();
    let flash = (MemoryKind::Flash, FLASH, u64::from(FLASH) + 0x12c);
    assert_eq!(memories(&image), [flash, (MemoryKind::Ram, RAM, TOP.into())]);
    let hints = snapshot(&image).hints;
    assert!(hints.iter().any(|hint| hint.contains("only the debug information")), "{hints:?}");
    assert!(snapshot(&plain(None, FLASH + 0x12c).open()).hints.is_empty());
}

#[test]
fn a_file_without_sections_is_told_by_its_segments() {
    // GNU ld makes one segment of `.data` and `.bss`; one for each is as good.
    let image = Elf { is_stripped: true, ..plain(None, FLASH + 0x12c) }.open();
    let flash = (MemoryKind::Flash, FLASH, u64::from(FLASH) + 0x230);
    assert_eq!(memories(&image), [flash, (MemoryKind::Ram, RAM, u64::from(RAM) + 0x504)]);
    assert_eq!(used(&inventory(&image)), (560, 1284));
    let told = parts(&image);
    let expected = [
        ("segment 0", FLASH, 0x0800_0040),
        ("segment 1", FLASH + 0x40, 0x0800_012c),
        ("segment 2 values", FLASH + 0x12c, 0x0800_0230),
        ("segment 2", RAM, 0x2000_0104),
        ("segment 3", RAM + 0x104, 0x2000_0504),
    ];
    assert_eq!(told, named(&expected));
}

#[test]
fn heap_and_stacks_are_found_by_the_symbols_of_chibios() {
    let parts_of = vec![
        stored(".vectors", R, FLASH, FLASH, vectors(RAM + 0x400, FLASH + 0x40, 0x40)),
        stored(".text", RX, FLASH + 0x40, FLASH + 0x40, vec![0xbf; 0xec]),
        nobits(".mstack", RW, RAM, 0x400),
        nobits(".pstack", RW, RAM + 0x400, 0x400),
        stored(".data", RW, RAM + 0x800, FLASH + 0x12c, vec![7; 260]),
        nobits(".heap", RW, RAM + 0x904, 0x3000),
    ];
    let symbols = [
        ("__main_stack_base__", RAM, 0, NO_KIND, ".mstack"),
        ("__main_stack_end__", RAM + 0x400, 0, NO_KIND, ".mstack"),
        ("__process_stack_base__", RAM + 0x400, 0, NO_KIND, ".pstack"),
        ("__process_stack_end__", RAM + 0x800, 0, NO_KIND, ".pstack"),
        ("__heap_base__", RAM + 0x904, 0, NO_KIND, ".heap"),
        ("__heap_end__", RAM + 0x3904, 0, NO_KIND, ".heap"),
    ];
    let image = elf(parts_of, &symbols).open();
    let picture = snapshot(&image);
    let stacks: Vec<(&str, Region)> = picture.stacks.iter().map(|stack| (stack.name.as_str(), stack.range)).collect();
    assert_eq!(stacks, [("main", Region::new(RAM, 0x400)), ("process", Region::new(RAM + 0x400, 0x400))]);
    assert_eq!(picture.heaps.iter().map(|heap| heap.range).collect::<Vec<_>>(), [Region::new(RAM + 0x904, 0x3000)]);
}

#[test]
fn sections_for_the_programmer_lie_in_no_memory() {
    let mut elf = plain(None, FLASH + 0x12c);
    elf.parts.push(stored(".cymeta", R, 0x9050_0000, 0x9050_0000, vec![1; 12]));
    elf.parts.push(stored(".cychecksum", R, 0x9030_0000, 0x9030_0000, vec![1; 2]));
    let image = elf.open();
    let flash = (MemoryKind::Flash, FLASH, u64::from(FLASH) + 0x230);
    assert_eq!(memories(&image), [flash, (MemoryKind::Ram, RAM, TOP.into())]);
    assert_eq!(used(&inventory(&image)).0, 560);
    // Where a chip has memory, the name says nothing; nor does the address alone.
    let mut elf = plain(None, FLASH + 0x12c);
    elf.parts.push(stored(".cy_em_eeprom", R, 0x1400_0000, 0x1400_0000, vec![1; 12]));
    elf.parts.push(stored(".pictures", R, 0x9050_0000, 0x9050_0000, vec![1; 12]));
    assert_eq!(used(&inventory(&elf.open())).0, 584);
}

#[test]
fn a_section_that_is_called_heap_is_the_heap_of_every_screen_and_a_table_of_heaps_is_none() {
    let mut elf = plain(None, FLASH + 0x12c);
    elf.parts.push(nobits(".heap", RW, RAM + 0x800, 0x400));
    let heaps = |elf: &Elf| snapshot(&elf.open()).heaps.iter().map(|heap| heap.range).collect::<Vec<_>>();
    assert_eq!(heaps(&elf), [Region::new(RAM + 0x800, 0x400)]);
    let picture = snapshot(&elf.open());
    let drawn = picture.memories.iter().flat_map(|memory| &memory.parts).filter(|part| part.kind == PartKind::Heap);
    assert!(drawn.clone().count() == 1 && drawn.clone().all(|part| part.heap == Some(0)));
    // Zephyr's structures of its heaps have initial values.
    elf.parts.last_mut().expect("it is there").name = "k_heap_area";
    elf.parts.last_mut().expect("it is there").load = Some(FLASH + 0x230);
    assert_eq!(heaps(&elf), []);
}

#[test]
fn a_stack_that_takes_what_is_left_is_room_and_no_use() {
    type Symbols<'a> = &'a [(&'static str, u32)];
    let firmware = |bss: u32, symbols: Symbols<'_>| {
        let top = symbols.iter().find(|(name, _)| *name == "_stack_start").map_or(TOP, |(_, address)| *address);
        let code = [vectors(top, FLASH + 0x40, 0x40), vec![0xbf; 2]].concat();
        let parts = vec![stored(".text", RX, FLASH, FLASH, code), nobits(".bss", RW, RAM, bss as usize)];
        let told = symbols.iter().map(|(name, address)| (*name, *address, 0, NO_KIND, ABSOLUTE));
        let fixed = [
            ("reset", FLASH + 0x41, 2, FUNCTION, ".text"),
            ("__ram_start", RAM, 0, NO_KIND, ABSOLUTE),
            ("__ram_end", TOP, 0, NO_KIND, ABSOLUTE),
        ];
        let symbols: Vec<_> = fixed.into_iter().chain(told).collect();
        elf(parts, &symbols).open()
    };
    let used = |image: &Image| {
        let model = Model::new(snapshot(image));
        let budget = MemoryBudget { used: Amount::Percent(90), required: true };
        let budgets = Budgets { memory: [("RAM".to_owned(), budget)].into(), ..Budgets::default() };
        let outcome = check(&budgets, None, &Report::new(&model), None).expect("RAM is known");
        let ram = outcome.checks.iter().find(|check| check.name == "RAM").expect("it has a budget");
        let rows = Listing::new(&inventory(image));
        let listed = rows.memories.iter().find(|memory| memory.kind == "ram").expect("it is listed").used;
        // What is checked, listed and, in a saved report, compared is the same.
        let report = serde_json::to_string(&Report::new(&model)).expect("it is written");
        let saved: Saved = serde_json::from_str(&report).expect("it is read");
        let again = saved.listing().memories.iter().find(|memory| memory.kind == "ram").map(|memory| memory.used);
        assert_eq!((ram.found, again), (Some(listed as f64), Some(listed)));
        (listed, ram.verdict)
    };
    // The size of .bss, the symbols, and what of RAM is in use. The last stacks have a size of their own.
    let cases: [(u32, Symbols<'_>, u32); 6] = [
        (0x400, &[], 0x400),
        (0xc00, &[], 0xc00),
        (0x400, &[("_stack_end", RAM + 0x400), ("_stack_start", TOP)], 0x400),
        (0x404, &[("_stack_end", RAM + 0x408), ("_stack_start", TOP)], 0x404),
        (0x400, &[("_stack_end", TOP - 0x800), ("_stack_start", TOP)], 0xc00),
        // Behind .bss, but not up to the end.
        (0x400, &[("_stack_end", RAM + 0x400), ("_stack_start", RAM + 0xc00)], 0xc00),
    ];
    for (bss, symbols, expected) in cases {
        let image = firmware(bss, symbols);
        assert_eq!(used(&image), (u64::from(expected), Verdict::Passed), "{bss:x} {symbols:x?}");
    }
    assert_eq!(used(&firmware(TOP - RAM - 0x200, &[])).1, Verdict::Failed);
    // One with a size of its own that fills the memory to its last byte.
    let (full, low) = (TOP - RAM - 0x800, ("_stack_end", TOP - 0x800));
    for (name, expected) in [("__STACK_SIZE", TOP - RAM), ("other", full)] {
        let image = firmware(full, &[low, ("_stack_start", TOP), (name, 0x800)]);
        assert_eq!(used(&image).0, u64::from(expected), "{name}");
    }
    // Whose it is depends on who is linked: a kernel leaves it to the interrupts.
    let kernel: Symbols<'_> = &[("pxReadyTasksLists", RAM), ("pxCurrentTCB", RAM + 0x100)];
    for (symbols, name) in [(&[][..], "(main stack)"), (kernel, "(ISR stack)")] {
        let rows = Listing::new(&inventory(&firmware(0x400, symbols))).rows;
        assert_eq!(rows.iter().find(|row| row.kind == "room").map(|row| row.name.as_str()), Some(name));
    }
    let listing = |bss| Listing::new(&inventory(&firmware(bss, &[])));
    let grown = diff(&listing(0x400), &listing(0xc00));
    let ram = grown.memories.iter().find(|memory| memory.name == "RAM").expect("it is compared");
    assert_eq!((ram.growth(), ram.word()), (0x800, "grown"));
}
