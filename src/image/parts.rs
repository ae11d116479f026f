//! What the headers and tables of an ELF file say, of 32 bits and of 64.

use std::ops::Range;
use std::sync::Arc;

use object::elf;
use object::read::StringTable;
use object::read::elf::{ElfFile, FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, Object, ObjectSection, SectionFlags};

use super::callgraph;
use super::content::Content;
use super::layout::{HEAP_PIECE, STACK_PIECE, is_dummy, is_for_programmer};
use super::symbols::{Name, Symbol, Symbols};
use super::{MAX_SECTIONS, Machine, Section, Segment};
use crate::region::Region;
use crate::units::printable;

/// The most symbols that are looked at: the largest firmware known has a hundredth of it.
const MAX_SYMBOLS: usize = 1 << 22;

/// The most sections that run elsewhere than their segment tells: scatter files have a handful.
const MOST_MOVED: usize = 256;

/// Where instructions or data begin.
type Mark = (u32, callgraph::Content);

/// All of it.
pub(super) struct Parts {
    pub(super) machine: Machine,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    pub(super) symbols: Symbols,
    pub(super) marks: Vec<Mark>,
    pub(super) gnu_build_id: Option<Vec<u8>>,
    pub(super) chip: Option<String>,
    /// The file has all the bytes that its headers speak of.
    pub(super) is_whole: bool,
    /// Something that takes memory lies past 4 GiB, and was left out.
    pub(super) is_wide: bool,
}

/// Reads the parts of an ELF file of the class `E`.
///
/// # Errors
///
/// Its tables make no sense.
pub(super) fn read<E: FileHeader<Endian = Endianness>>(content: &Content) -> object::Result<Parts> {
    let data = content.first();
    let file = ElfFile::<E>::parse(data)?;
    let endian = file.endian();
    let (mut is_whole, mut is_wide) = (true, false);
    let (mut segments, mut flags) = (Vec::new(), Vec::new());
    for header in file.elf_program_headers().iter().take(MAX_SECTIONS) {
        if header.p_type(endian) != elf::PT_LOAD || header.p_memsz(endian).into() == 0 {
            continue;
        }
        let bytes = header.data(endian, data);
        is_whole &= bytes.is_ok();
        let length = bytes.unwrap_or_default().len();
        let places = (narrow(header.p_vaddr(endian)), narrow(header.p_paddr(endian)), narrow(header.p_memsz(endian)));
        let (Some(run), Some(load), Some(size)) = places else {
            is_wide = true;
            continue;
        };
        let start = usize::try_from(header.p_offset(endian).into()).unwrap_or(usize::MAX);
        segments.push(Segment {
            run: Region::new(run, size),
            load: Region::new(load, u32::try_from(length).unwrap_or(u32::MAX)),
            stored: start..start.saturating_add(length),
        });
        flags.push(header.p_flags(endian));
    }

    let loaded = segments.len();
    let mut held: Vec<Option<Range<usize>>> = vec![None; loaded];
    let mut sections = Vec::new();
    let mut chip = None;
    for section in file.sections().take(MAX_SECTIONS) {
        is_whole &= section.data().is_ok();
        // IAR's linker leaves blanks behind some.
        let name = String::from_utf8_lossy(section.name_bytes().unwrap_or_default());
        let name = printable(name.trim_end(), 256);
        if name == ".probe-rs.chip" {
            let text = String::from_utf8_lossy(section.data().unwrap_or_default());
            chip = Some(printable(text.trim_matches('\0').trim(), 64)).filter(|chip| !chip.is_empty());
        }
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        if !sh_flags.contains(elf::SHF_ALLOC) || section.size() == 0 {
            continue;
        }
        let (Some(start), Some(size)) = (narrow(section.address()), narrow(section.size())) else {
            is_wide = true;
            continue;
        };
        let run = Region::new(start, size);
        let has_content = section.kind() != object::SectionKind::UninitializedData
            && section.elf_section_header().sh_type(endian) != elf::SHT_NOBITS;
        // What each thread has a zeroed copy of is nowhere itself.
        if !has_content && sh_flags.contains(elf::SHF_TLS) {
            continue;
        }
        if is_for_programmer(&name, run) || (!has_content && is_dummy(&name)) {
            continue;
        }
        let start = section.elf_section_header().sh_offset(endian).into();
        let place = usize::try_from(start).ok().and_then(|start| Some(start..start.checked_add(run.size() as usize)?));
        let mut load = None;
        if let Some(place) = place.filter(|_| has_content) {
            if let Some(holder) = holder(run, &place, &segments[..loaded]) {
                load = Some(segments[holder].load_of(&place)).filter(|load| !load.is_empty());
                let held = held[holder].get_or_insert_with(|| place.clone());
                *held = held.start.min(place.start)..held.end.max(place.end);
            } else if segments.len() < loaded + MOST_MOVED
                && let Some(moved) = moved(run, place, &mut held, &segments[..loaded])
            {
                load = Some(moved.load).filter(|load| !load.is_empty());
                segments.push(moved);
            }
        }
        sections.push(Section {
            name,
            number: u16::try_from(section.index().0).unwrap_or(0),
            run,
            is_stored: has_content,
            load,
            is_packed: false,
            in_flash: false,
            writable: sh_flags.contains(elf::SHF_WRITE),
            executable: sh_flags.contains(elf::SHF_EXECINSTR),
        });
    }
    if file.elf_section_table().is_empty() {
        sections = flags
            .iter()
            .zip(&segments)
            .enumerate()
            .flat_map(|(at, (flags, segment))| whole(at, *flags, segment))
            .collect();
    } else {
        trim(&mut segments, &held);
    }
    correct(&mut sections, file.elf_header().e_machine(endian) == elf::EM_ARM);
    sections.sort_by_key(|section| section.run);

    let (symbols, marks) = symbols(&file, content);
    let gnu_build_id = file.build_id().ok().flatten().map(<[u8]>::to_vec);
    let machine = machine(file.elf_header().e_machine(endian), file.is_64());
    Ok(Parts { machine, segments, sections, symbols, marks, gnu_build_id, chip, is_whole, is_wide })
}

/// A number of the file's class as one of 32 bits, when it is one.
fn narrow(value: impl Into<u64>) -> Option<u32> {
    u32::try_from(value.into()).ok()
}

/// Takes it back of sections in flash that their flags call writable, as some of Zephyr's tables: they are stored where they
/// run. On a Cortex-M, that is in the code region (ARM DDI 0403E B3.1); elsewhere, in a program that copies other sections.
fn correct(sections: &mut [Section], is_arm: bool) {
    const CODE: Region = Region::new(0, 0x2000_0000);
    let is_copied = |section: &Section| section.writable && section.load.is_some_and(|load| load != section.run);
    let is_from_flash = sections.iter().any(is_copied);
    for section in sections.iter_mut().filter(|section| section.load == Some(section.run)) {
        section.writable &= !(if is_arm { CODE.covers(section.run) } else { is_from_flash });
    }
}

/// The segment whose bytes in the file are the section's, and that tells where they run. Two segments may run at the same
/// addresses: overlays do, and so does one that linkers begin with the headers of the file.
fn holder(run: Region, place: &Range<usize>, segments: &[Segment]) -> Option<usize> {
    segments.iter().position(|segment| {
        let offset = place.start.checked_sub(segment.stored.start).and_then(|offset| u32::try_from(offset).ok());
        place.end <= segment.stored.end && segment.run.covers(run) && segment.run.offset_of(run.start()) == offset
    })
}

/// What a section is made of that lies in a segment of the file but not of the memory: armlink stores code and data as one
/// segment, and tells only of the code where it runs.
fn moved(run: Region, place: Range<usize>, held: &mut [Option<Range<usize>>], segments: &[Segment]) -> Option<Segment> {
    if segments.iter().any(|segment| segment.run.covers(run)) {
        return None;
    }
    let is_in = |segment: &Segment| segment.stored.start <= place.start && place.end <= segment.stored.end;
    let whole = segments.iter().position(is_in)?;
    let held = held.get_mut(whole)?.get_or_insert_with(|| place.clone());
    *held = held.start.min(place.start)..held.end.max(place.end);
    Some(Segment { run, load: segments[whole].load_of(&place), stored: place })
}

/// Takes from the segments what lies in no section: the headers of the file, which linkers put in front of the first one, are
/// not the program's.
fn trim(segments: &mut Vec<Segment>, held: &[Option<Range<usize>>]) {
    for (segment, held) in segments.iter_mut().zip(held) {
        let held = held.clone().unwrap_or(segment.stored.start..segment.stored.start);
        let before = u32::try_from(held.start - segment.stored.start).unwrap_or(u32::MAX);
        *segment = Segment { run: segment.run.slice(before, u32::MAX), load: segment.load_of(&held), stored: held };
    }
    segments.retain(|segment| !segment.load.is_empty());
}

/// A segment in place of the sections that a stripped file does not tell of: what is stored, and what is cleared behind it.
fn whole(number: usize, flags: object::elf::ProgramFlags, segment: &Segment) -> Vec<Section> {
    let stored = segment.load.size();
    let rest = segment.run.slice(stored, u32::MAX);
    let parts = [(segment.run.bottom(stored), Some(segment.load)), (rest, None)];
    let parts = parts.into_iter().filter(|(run, _)| !run.is_empty());
    let section = |(run, load): (Region, Option<Region>)| Section {
        name: format!("segment {number}"),
        number: 0,
        run,
        is_stored: load.is_some(),
        load,
        is_packed: false,
        in_flash: false,
        writable: flags.contains(elf::PF_W),
        executable: flags.contains(elf::PF_X) && load.is_some(),
    };
    parts.map(section).collect()
}

/// The symbols, each local one with the file whose name stands before it (System V ABI, "Symbol Table": `STT_FILE`).
/// Beside them, where instructions and data begin among the code.
fn symbols<E: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, E>, content: &Content) -> (Symbols, Vec<Mark>) {
    let table = file.elf_symbol_table();
    let endian = file.endian();
    let names = file.elf_section_table().section(table.string_section()).ok();
    let names = names.and_then(|section| content.own(section.sh_offset(endian).into(), section.sh_size(endian).into()));
    // Most files have text in their table of names and nothing else: then all symbols share it.
    let (whole, other) = match String::from_utf8(names.unwrap_or_default()) {
        Ok(text) => (Some(Arc::new(text)), Vec::new()),
        Err(other) => (None, other.into_bytes()),
    };
    let bytes = whole.as_ref().map_or(&*other, |text| text.as_bytes());
    let strings = StringTable::new(bytes, 0, bytes.len() as u64);
    let has_modes = file.elf_header().e_machine(endian) == elf::EM_ARM;
    let mut source: Option<Arc<str>> = None;
    let mut symbols = Vec::with_capacity(table.len().min(MAX_SYMBOLS));
    let mut marks = Vec::new();
    // The first entry stands for no symbol.
    for symbol in table.iter().skip(1).take(MAX_SYMBOLS) {
        let Ok(name) = symbol.name(endian, strings) else { continue };
        let is_defined = symbol.st_shndx(endian) != elf::SHN_UNDEF;
        let kind = symbol.st_type();
        if is_defined {
            marks.extend(mark(name).zip(narrow(symbol.st_value(endian))).map(|(content, at)| (at, content)));
        }
        if kind == elf::STT_FILE {
            source = Some(String::from_utf8_lossy(name).as_ref().into()).filter(|name: &Arc<str>| !name.is_empty());
            continue;
        }
        let (is_code, is_data) = match kind {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => (true, false),
            elf::STT_OBJECT | elf::STT_COMMON | elf::STT_TLS => (false, true),
            elf::STT_NOTYPE => (false, false),
            elf::STT_SECTION if [STACK_PIECE, HEAP_PIECE].iter().any(|piece| name == piece.as_bytes()) => {
                (false, false)
            }
            _ => continue,
        };
        if !is_defined || name.is_empty() || is_mapping(name) {
            continue;
        }
        let name = match &whole {
            Some(table) => Name::within(table, symbol.st_name(endian), name.len()),
            None => String::from_utf8_lossy(name).as_ref().into(),
        };
        let (Some(address), Some(size)) = (narrow(symbol.st_value(endian)), narrow(symbol.st_size(endian))) else {
            continue;
        };
        // The lowest bit of a Thumb function's address is a mode, not a place.
        let address = address & if is_code && has_modes { !1 } else { !0 };
        let range = Region::new(address, size);
        let file = source.clone().filter(|_| symbol.st_bind() == elf::STB_LOCAL);
        let section = symbol.st_shndx(endian).0;
        symbols.push(Symbol { name, range, is_code, is_data, section, file });
    }
    marks.sort_unstable();
    (Symbols::new(symbols), marks)
}

/// Whether a symbol marks an instruction set, not a thing: `$t`, `$d.12`, `$v0`. armlink's `$Sub$$main` is a function.
fn is_mapping(name: &[u8]) -> bool {
    match name {
        [b'$', letter, rest @ ..] => {
            letter.is_ascii_lowercase() && rest.first().is_none_or(|next| *next == b'.' || next.is_ascii_digit())
        }
        _ => false,
    }
}

/// What a mapping symbol says of the bytes behind it: `$t` and `$t.name` are Thumb instructions, `$a` and `$d` are not.
fn mark(name: &[u8]) -> Option<callgraph::Content> {
    match name {
        [b'$', b't'] | [b'$', b't', b'.', ..] => Some(callgraph::Content::Thumb),
        [b'$', b'a' | b'd'] | [b'$', b'a' | b'd', b'.', ..] => Some(callgraph::Content::Other),
        _ => None,
    }
}

/// What a file is built for.
fn machine(machine: elf::Machine, is_64: bool) -> Machine {
    match machine {
        _ if is_64 => Machine::Wide,
        elf::EM_ARM => Machine::Arm,
        elf::EM_RISCV => Machine::RiscV,
        other => Machine::Other(other.0),
    }
}
