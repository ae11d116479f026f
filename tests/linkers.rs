//! What linkers make of a firmware, in ELF files that have what theirs have and nothing else: sections, segments and symbols
//! as in files of Arm Compiler 5.06 and 6.14, of IAR's linker 8.40, and of Zephyr's and ESP-IDF's scripts for GNU ld.

use std::path::Path;

use highwater::image::layout::{self, Placed};
use highwater::image::{Image, Section};
use highwater::inventory::owner::Names;
use highwater::inventory::{Copied, Inventory, What};
use highwater::model::snapshot::{MemoryKind, PartKind};
use highwater::region::Region;

const FUNCTION: u8 = 2;
const OBJECT: u8 = 1;
const FILE: u8 = 4;
const SECTION: u8 = 3;
const NO_KIND: u8 = 0;

/// What a section has in the file: these bytes, or only a size.
enum Held {
    Bytes(Vec<u8>),
    Size(u32),
}

/// A 32-bit Arm ELF, of one segment over all sections with bytes.
#[derive(Default)]
struct Elf {
    sections: Vec<(&'static str, u32, bool, Held)>,
    /// Name, address, size, kind.
    symbols: Vec<(&'static str, u32, u32, u8)>,
}

impl Elf {
    fn bytes(&self) -> Vec<u8> {
        const HEADER: usize = 52;
        const TABLES: u32 = 2;
        let mut file = vec![0; HEADER];
        let mut names = vec![0u8];
        // The first entry of both tables stands for nothing.
        let (mut headers, mut symbols) = (vec![[0u32; 10]], vec![[0u32; 4]]);
        let mut name_of = |text: &str| {
            let at = names.len() as u32;
            names.extend(text.bytes().chain([0]));
            at
        };
        for (name, address, is_written, held) in &self.sections {
            let (kind, size) = match held {
                Held::Bytes(bytes) => (1, bytes.len() as u32),
                Held::Size(size) => (8, *size),
            };
            let flags = if *is_written { 0b011 } else { 0b110 };
            // What each thread has its own copy of.
            let flags = flags | if *name == "tbss" { 0x400 } else { 0 };
            headers.push([name_of(name), kind, flags, *address, file.len() as u32, size, 0, 0, 4, 0]);
            if let Held::Bytes(bytes) = held {
                file.extend(bytes);
            }
        }
        let stored = file.len() - HEADER;
        for (name, address, size, kind) in &self.symbols {
            symbols.push([name_of(name), *address, *size, 1 << 16 | u32::from(*kind)]);
        }
        let text = name_of(".strtab");
        let (strings, table) = (headers.len() as u32, headers.len() as u32 + 1);
        headers.push([text, 3, 0, 0, file.len() as u32, names.len() as u32, 0, 0, 1, 0]);
        file.extend(&names);
        headers.push([text, 2, 0, 0, file.len() as u32, symbols.len() as u32 * 16, strings, 1, 4, 16]);
        assert_eq!(headers.len() as u32, 1 + self.sections.len() as u32 + TABLES);
        assert_eq!(table, strings + 1);
        file.extend(symbols.iter().flatten().flat_map(|word| word.to_le_bytes()));
        let program = file.len();
        let start = self.sections[0].1;
        let segment = [1, HEADER as u32, start, start, stored as u32, stored as u32 + 0x800, 7, 4];
        file.extend(segment.iter().flat_map(|word: &u32| word.to_le_bytes()));
        let section_headers = file.len();
        file.extend(headers.iter().flatten().flat_map(|word| word.to_le_bytes()));
        let header = [
            // Executable, Arm, version, no entry, where the headers are.
            2 | 40 << 16,
            1,
            0,
            program as u32,
            section_headers as u32,
            0x0500_0000,
            HEADER as u32 | 32 << 16,
            1 | 40 << 16,
            headers.len() as u32 | strings << 16,
        ];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1, 1, 1]);
        for (at, word) in header.iter().enumerate() {
            file[16 + 4 * at..20 + 4 * at].copy_from_slice(&word.to_le_bytes());
        }
        file
    }

    fn open(&self) -> Image {
        Image::parse(Path::new("firmware.axf"), &self.bytes()).expect("it is an ELF")
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What armlink makes: code, then initial values, which it stores behind the code and gives no segment of their own.
fn armlink(size: u32, routine: &'static str) -> Elf {
    const TABLE: usize = 0x180;
    let mut code = vec![0; 0x200];
    code[..8].copy_from_slice(&words(&[0x2000_0600, 0x0800_0101]));
    code[TABLE..TABLE + 32].copy_from_slice(&words(&[
        // Stored at, belongs to, bytes there, put there by.
        0x0800_0200,
        0x2000_0000,
        size,
        0x0800_0120,
        0x0800_0218,
        0x2000_0100,
        0x500,
        0x0800_0140,
    ]));
    Elf {
        sections: vec![
            ("ER_IROM1", 0x0800_0000, false, Held::Bytes(code)),
            ("RW_IRAM1", 0x2000_0000, true, Held::Bytes((1..=24).collect())),
            ("RW_IRAM1", 0x2000_0100, true, Held::Size(0x500)),
        ],
        symbols: vec![
            ("$Sub$$main", 0x0800_0111, 8, FUNCTION),
            ("$t.7", 0x0800_0110, 0, NO_KIND),
            ("$v0", 0x0800_0110, 0, NO_KIND),
            ("__Vectors", 0x0800_0000, 4, OBJECT),
            ("__Vectors_End", 0x0800_00ec, 0, OBJECT),
            ("Region$$Table$$Base", 0x0800_0180, 0, NO_KIND),
            ("Region$$Table$$Limit", 0x0800_01a0, 0, NO_KIND),
            (routine, 0x0800_0121, 0x20, FUNCTION),
            ("__scatterload_zeroinit", 0x0800_0141, 0x20, FUNCTION),
            ("settings", 0x2000_0008, 8, OBJECT),
            ("HEAP", 0x2000_0180, 0x80, SECTION),
            ("STACK", 0x2000_0200, 0x400, SECTION),
            ("__initial_sp", 0x2000_0600, 0, OBJECT),
        ],
    }
}

fn section<'a>(image: &'a Image, name: &str) -> &'a Section {
    image.sections.iter().find(|section| section.name == name && section.is_stored).expect("it is there")
}

fn placed(image: &Image) -> Vec<(String, PartKind, Region)> {
    let told = |Placed { name, kind, range }| (name, kind, range);
    layout::placed(image).into_iter().map(told).collect()
}

fn inventory(image: &Image) -> Inventory {
    let inventory = Inventory::new(image, &layout::memories(image, &[]), &Names::default());
    for holding in &inventory.memories {
        let mut at = holding.memory.range.start();
        for item in &holding.items {
            assert_eq!(item.range.start(), at, "{item:?}");
            at = item.range.end_address();
        }
        assert_eq!(at, holding.memory.range.end_address());
    }
    for (index, section) in image.sections.iter().enumerate() {
        assert_eq!(inventory.section_bytes(index), u64::from(section.run.size()), "{}", section.name);
    }
    inventory
}

#[test]
fn what_armlink_stores_behind_the_code_is_in_flash_and_in_ram() {
    let image = armlink(24, "__scatterload_copy").open();
    let data = section(&image, "RW_IRAM1");
    assert_eq!((data.run, data.load), (Region::new(0x2000_0000, 24), Some(Region::new(0x0800_0200, 24))));
    assert_eq!(image.bytes(Region::new(0x2000_0008, 4)), Some(&[9, 10, 11, 12][..]));
    assert_eq!(image.bytes(Region::new(0x0800_0208, 4)), Some(&[9, 10, 11, 12][..]));
    let expected = [
        ("ER_IROM1", PartKind::Code, Region::new(0x0800_0000, 0x200)),
        ("RW_IRAM1 values", PartKind::DataImage, Region::new(0x0800_0200, 24)),
        ("RW_IRAM1", PartKind::Data, Region::new(0x2000_0000, 24)),
        ("RW_IRAM1 ZI", PartKind::Bss, Region::new(0x2000_0100, 0x500)),
    ];
    assert_eq!(placed(&image), expected.map(|(name, kind, range)| (name.to_owned(), kind, range)));
    let inventory = inventory(&image);
    let settings =
        |item: &&highwater::inventory::Item| inventory.thing(item).is_some_and(|thing| thing.name == "settings");
    let copies: Vec<Region> =
        inventory.memories.iter().flat_map(|holding| &holding.items).filter(settings).map(|item| item.range).collect();
    assert!(copies.contains(&Region::new(0x2000_0008, 8)) && copies.contains(&Region::new(0x0800_0208, 8)));
}

#[test]
fn the_stack_the_heap_and_the_vectors_of_arms_startup_files_are_found() {
    let image = armlink(24, "__scatterload_copy").open();
    assert_eq!(layout::vectors(&image), Some(Region::new(0x0800_0000, 0xec)));
    assert_eq!(layout::reset_handler(&image), Some(0x0800_0100));
    assert_eq!(layout::heap(&image), Some(Region::new(0x2000_0180, 0x80)));
    let memories = layout::memories(&image, &[]);
    assert_eq!(layout::main_stack(&image, &memories), Some(Region::new(0x2000_0200, 0x400)));
    // Without that, how much of the region is stack is not known; and a static of that name is no stack.
    for kind in [OBJECT, FUNCTION] {
        let mut elf = armlink(24, "__scatterload_copy");
        for symbol in elf.symbols.iter_mut().filter(|symbol| symbol.3 == SECTION) {
            (symbol.1, symbol.3) = (symbol.1 - 0x20, kind);
        }
        let image = elf.open();
        assert_eq!((layout::heap(&image), layout::main_stack(&image, &memories)), (None, None));
    }
    // A function that armlink puts in place of another is one; marks of instruction sets are none.
    let named = |name| image.symbols.get(name).is_some();
    assert!(named("$Sub$$main") && !named("$t.7") && !named("$v0"));
}

#[test]
fn data_that_armlink_compressed_takes_what_it_takes_when_the_program_runs() {
    let image = armlink(0x100, "__decompress1").open();
    let data = section(&image, "RW_IRAM1");
    assert!(data.is_packed);
    assert_eq!((data.run, data.load), (Region::new(0x2000_0000, 0x100), Some(Region::new(0x0800_0200, 24))));
    // What the file has there is not what the program finds there.
    assert_eq!(image.bytes(Region::new(0x2000_0008, 4)), None);
    assert!(!layout::starts_as_zero(data));
    let packed = ("RW_IRAM1 values, packed".to_owned(), PartKind::DataImage, Region::new(0x0800_0200, 24));
    assert!(placed(&image).contains(&packed));
    let inventory = inventory(&image);
    let items = || inventory.memories.iter().flat_map(|holding| &holding.items);
    let stored: Vec<(Region, What)> =
        items().filter(|item| item.copy == Copied::Load).map(|item| (item.range, item.what)).collect();
    assert_eq!(stored, [(Region::new(0x0800_0200, 24), What::Unnamed)]);
}

#[test]
fn a_damaged_table_of_regions_changes_nothing() {
    let before = armlink(24, "__scatterload_copy").open();
    for size in [0, 23, 24, 0x101, 0x7fff_ffff, u32::MAX] {
        let image = armlink(size, "__decompress1").open();
        let data = section(&image, "RW_IRAM1");
        assert_eq!((data.run, data.is_packed), (section(&before, "RW_IRAM1").run, false), "{size:#x}");
        inventory(&image);
    }
    let mut elf = armlink(0x100, "__decompress1");
    for (base, limit) in
        [(0x0800_01a0, 0x0800_0180), (0, u32::MAX), (0xffff_fff0, u32::MAX), (0x0800_0181, 0x0800_01a1)]
    {
        for symbol in &mut elf.symbols {
            match symbol.0 {
                "Region$$Table$$Base" => symbol.1 = base,
                "Region$$Table$$Limit" => symbol.1 = limit,
                _ => {}
            }
        }
        assert!(!section(&elf.open(), "RW_IRAM1").is_packed, "{base:#x}");
    }
}

/// What IAR's linker makes: sections that are named after the directives that place them, and no content for what it fills
/// from a table of its own.
fn ilink() -> Elf {
    let mut vectors = vec![0; 0x188];
    vectors[..8].copy_from_slice(&words(&[0x2000_0230, 0x0800_0201]));
    Elf {
        sections: vec![
            ("A0", 0x0800_0000, false, Held::Bytes(vectors)),
            ("P1 ro", 0x0800_0188, false, Held::Bytes(vec![0xbf; 0x100])),
            ("P2 s0", 0x2000_0000, true, Held::Size(0x10)),
            ("P2 zi ", 0x2000_0010, true, Held::Size(0x20)),
            ("P2 ui", 0x2000_0030, true, Held::Size(0x200)),
        ],
        symbols: vec![
            ("D:\\work\\app\\startup_ewarm.c", 0, 0, FILE),
            ("pui32Stack", 0x2000_0030, 0x200, OBJECT),
            ("__vector_table", 0x0800_0000, 0, OBJECT),
            ("Region$$Table$$Base", 0x0800_0200, 0, NO_KIND),
            ("Region$$Table$$Limit", 0x0800_0220, 0, NO_KIND),
            (".iar.init_table$$Base", 0x0800_0200, 0, NO_KIND),
        ],
    }
}

#[test]
fn the_sections_of_iars_linker_are_what_their_names_say() {
    let image = ilink().open();
    let expected = [
        ("vector table", PartKind::Vectors),
        ("P1 ro", PartKind::Code),
        ("P2 s0", PartKind::Data),
        ("P2 zi", PartKind::Bss),
        ("P2 ui", PartKind::Uninit),
    ];
    let told: Vec<(String, PartKind)> = placed(&image).into_iter().map(|(name, kind, _)| (name, kind)).collect();
    assert_eq!(told, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let zero: Vec<&str> =
        image.sections.iter().filter(|section| layout::starts_as_zero(section)).map(|section| &*section.name).collect();
    assert_eq!(zero, ["P2 zi"]);
    assert_eq!(layout::vectors(&image), Some(Region::new(0x0800_0000, 0x188)));
    let memories = layout::memories(&image, &[]);
    assert_eq!(layout::main_stack(&image, &memories), Some(Region::new(0x2000_0030, 0x200)));
    let inventory = inventory(&image);
    let stack = inventory.things.iter().find(|thing| thing.name == "pui32Stack").expect("it is there");
    assert_eq!(stack.module.name(), "startup_ewarm.c");
}

/// The memories of a file with their kinds and ranges.
fn memories(image: &Image) -> Vec<(MemoryKind, u32, u64)> {
    let told = layout::memories(image, &[]);
    told.iter().map(|memory| (memory.kind, memory.range.start(), memory.range.end())).collect()
}

#[test]
fn a_table_that_zephyr_calls_writable_is_in_flash_and_what_threads_copy_is_nowhere() {
    let mut start = vec![0; 0x300];
    start[0x200..0x208].copy_from_slice(&words(&[0x2000_0400, 0x0001_0301]));
    let elf = Elf {
        sections: vec![
            // Bytes for a boot loader before the vector table, in one section with it.
            ("rom_start", 0x0001_0000, false, Held::Bytes(start)),
            ("text", 0x0001_0300, false, Held::Bytes(vec![0; 0x100])),
            ("sw_isr_table", 0x0001_0400, true, Held::Bytes(vec![0; 0x80])),
            ("tbss", 0x0001_0480, true, Held::Size(4)),
            ("rodata", 0x0001_0480, false, Held::Bytes(vec![0; 0x80])),
            ("bss", 0x2000_0000, true, Held::Size(0x80)),
            ("noinit", 0x2000_0080, true, Held::Size(0x400)),
        ],
        symbols: vec![
            ("_vector_table", 0x0001_0200, 0, NO_KIND),
            ("__reset", 0x0001_0301, 4, FUNCTION),
            // The stack ends before its array does: there is a guard in it.
            ("z_main_stack", 0x2000_0100, 0x320, OBJECT),
        ],
    };
    let image = elf.open();
    let found = layout::memories(&image, &[]);
    assert_eq!(
        memories(&image),
        [(MemoryKind::Flash, 0x0001_0000, 0x0001_0500), (MemoryKind::Ram, 0x2000_0000, 0x2000_0480)]
    );
    assert_eq!(layout::vectors(&image), Some(Region::new(0x0001_0200, 0x100)));
    assert_eq!(layout::reset_handler(&image), Some(0x0001_0300));
    assert_eq!(layout::main_stack(&image, &found), Some(Region::between(0x2000_0100, 0x2000_0400)));
    let kind = |name: &str| layout::placed(&image).iter().find(|placed| placed.name == name).map(|placed| placed.kind);
    assert_eq!((kind("sw_isr_table"), kind("tbss")), (Some(PartKind::Constants), None));
}

#[test]
fn a_program_that_runs_from_ram_is_one_memory_with_all_its_parts() {
    let elf = Elf {
        sections: vec![
            (".iram.text", 0x2000_0000, false, Held::Bytes(vec![0; 0x200])),
            (".dram.data", 0x2000_0200, true, Held::Bytes(vec![0; 0x20])),
            (".dram.rodata", 0x2000_0220, false, Held::Bytes(vec![0; 0x60])),
            (".dram.bss", 0x2000_0280, true, Held::Size(0x80)),
            (".iram.late", 0x2000_0300, false, Held::Size(0x100)),
        ],
        symbols: Vec::new(),
    };
    let image = elf.open();
    assert_eq!(memories(&image), [(MemoryKind::Ram, 0x2000_0000, 0x2000_0400)]);
    assert_eq!(layout::placed(&image).len(), 5);
}
