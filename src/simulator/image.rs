//! What is loaded into the board's memory: an ELF's segments at their load addresses, or bytes given by hand.

use std::fmt;

use object::elf::{PF_W, PT_LOAD};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};
use thiserror::Error;

use super::attributes;
use super::memory::MemoryKind;
use crate::region::{Region, merge};

/// Why an ELF cannot be run on the emulated board.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It is not a 32-bit ELF, or a damaged one.
    #[error("not a 32-bit ELF: {0}")]
    Elf(String),
    /// It is an ELF for another machine.
    #[error("an ELF for machine {0}, not for ARM")]
    NotArm(u16),
    /// No loadable segment has a byte in it.
    #[error("the ELF has nothing to load")]
    Empty,
    /// Nothing in it looks like a Cortex-M vector table.
    #[error("no vector table found: no loaded word pair looks like a stack pointer and a reset handler")]
    NoVectors,
}

/// Bytes that lie in memory at power-on.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where the first byte goes: the physical (load) address.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Segment {
    pub(crate) fn range(&self) -> Region {
        Region::new(self.address, u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    fn word(&self, address: u32) -> Option<u32> {
        let offset = self.range().offset_of(address)? as usize;
        let bytes = self.bytes.get(offset..offset + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({:?})", self.range())
    }
}

/// A firmware, as far as a board needs it: what to load, where the vector table is, which core and memories it expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What is loaded, by load address.
    pub segments: Vec<Segment>,
    /// Address of the vector table the core boots from (128-byte aligned: VTOR, ARM DDI 0403 B3.2.5).
    pub vectors: u32,
    /// The core it was built for, when it says so.
    pub core: Option<CoreKind>,
    /// The memories it needs, as far as its segments tell.
    pub memory: Vec<(MemoryKind, Region)>,
}

/// The cores that can be emulated; an `F` has the single-precision floating-point unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the name of a core")]
pub enum CoreKind {
    M0Plus,
    M3,
    M4,
    M4F,
    M7,
    M7F,
    M33,
    M33F,
}

impl CoreKind {
    /// The generic target of this core in probe-rs, for `Probe::attach`.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            CoreKind::M0Plus => "Cortex-M0+",
            CoreKind::M3 => "Cortex-M3",
            CoreKind::M4 | CoreKind::M4F => "Cortex-M4",
            CoreKind::M7 | CoreKind::M7F => "Cortex-M7",
            CoreKind::M33 | CoreKind::M33F => "Cortex-M33",
        }
    }
}

/// RAM that is assumed when the firmware does not fill more: bytes.
const LEAST_RAM: u32 = 64 * 1024;
/// Memories that are guessed from segments are rounded to this many bytes.
const ROUNDING: u32 = 64 * 1024;
/// Where Cortex-M parts have their SRAM (ARM DDI 0403 B3.1).
const SRAM: Region = Region::new(0x2000_0000, 0x2000_0000);
/// Where they have their peripherals.
const PERIPHERALS: Region = Region::new(0x4000_0000, 0x2000_0000);

impl Image {
    /// An image of hand-made segments that boots from the vector table at `vectors`.
    #[must_use]
    pub fn from_segments(segments: Vec<Segment>, vectors: u32) -> Self {
        let flash: Vec<Region> = segments.iter().map(Segment::range).collect();
        let top = segments.iter().find_map(|segment| segment.word(vectors)).unwrap_or(SRAM.start());
        Self { memory: guess_memory(&flash, &[], top), segments, vectors, core: None }
    }

    /// The same board with nothing in it, as it comes from its maker: what is to run has to be flashed.
    #[must_use]
    pub fn erased(self) -> Self {
        Self { segments: Vec::new(), ..self }
    }

    /// Reads an ELF: its `PT_LOAD` segments by physical address, its vector table, its core.
    ///
    /// # Errors
    ///
    /// Says what keeps it from running on a Cortex-M.
    pub fn from_elf(elf: &[u8]) -> Result<Self, ImageError> {
        let file = ElfFile32::<Endianness>::parse(elf).map_err(|error| ImageError::Elf(error.to_string()))?;
        let endian = file.endian();
        let machine = file.elf_header().e_machine(endian);
        if machine != object::elf::EM_ARM {
            return Err(ImageError::NotArm(machine.0));
        }
        let (mut segments, mut flash, mut ram) = (Vec::new(), Vec::new(), Vec::new());
        for header in file.elf_program_headers() {
            if header.p_type(endian) != PT_LOAD || header.p_memsz(endian) == 0 {
                continue;
            }
            let load = Region::new(header.p_paddr(endian), header.p_filesz(endian));
            let run = Region::new(header.p_vaddr(endian), header.p_memsz(endian));
            if !load.is_empty() {
                let bytes = header
                    .data(endian, elf)
                    .map_err(|()| ImageError::Elf("a segment lies outside the file".to_owned()))?
                    .to_vec();
                segments.push(Segment { address: load.start(), bytes });
            }
            // What is written at run time, or copied somewhere else by the startup code, runs in RAM.
            let writable = (header.p_flags(endian).0 & PF_W.0) != 0 || run.size() > load.size();
            if run.start() != load.start() || writable || SRAM.covers(run) {
                ram.push(run);
            }
            if run.start() != load.start() || !(writable || SRAM.covers(run)) {
                flash.push(load);
            }
        }
        if segments.is_empty() {
            return Err(ImageError::Empty);
        }
        let named = file
            .sections()
            .filter(|section| {
                section.name().is_ok_and(|name| {
                    let name = name.trim_start_matches('.');
                    ["vector_table", "isr_vector", "vectors", "intvecs", "rom_start"].contains(&name)
                })
            })
            .map(|section| section.address());
        let symbols = file
            .symbols()
            .filter(|symbol| {
                symbol
                    .name()
                    .is_ok_and(|name| ["__VECTOR_TABLE", "__Vectors", "_vector_table", "g_pfnVectors"].contains(&name))
            })
            .map(|symbol| symbol.address());
        let sections = file.sections().map(|section| section.address());
        let loads = segments.iter().map(|segment| u64::from(segment.address));
        let vectors = named
            .chain(symbols)
            .chain(loads)
            .chain(sections)
            .filter_map(|address| u32::try_from(address).ok())
            .find(|address| looks_like_vectors(&segments, *address))
            .ok_or(ImageError::NoVectors)?;
        let top = segments.iter().find_map(|segment| segment.word(vectors)).unwrap_or(SRAM.start());
        let core = file
            .section_by_name(".ARM.attributes")
            .and_then(|section| section.data().ok())
            .and_then(attributes::core_kind);
        Ok(Self { memory: guess_memory(&flash, &ram, top), segments, vectors, core })
    }
}

/// Whether the two words at `address` can be a stack pointer and a Thumb reset handler inside what is loaded.
fn looks_like_vectors(segments: &[Segment], address: u32) -> bool {
    let word = |address| segments.iter().find_map(|segment| segment.word(address));
    let (Some(stack), Some(reset)) = (word(address), word(address.wrapping_add(4))) else {
        return false;
    };
    address.is_multiple_of(128)
        && stack.is_multiple_of(4)
        && can_be_stack(stack)
        && reset & 1 == 1
        && segments.iter().any(|segment| segment.range().contains(reset & !1))
}

/// Whether the word below `stack` can lie in a RAM: not in the peripherals, not where flash usually starts.
fn can_be_stack(stack: u32) -> bool {
    (0x1000_0004..=0xe000_0000).contains(&stack) && !PERIPHERALS.contains(stack - 4)
}

/// Memories around what is loaded and used: flash rounded to 64 KiB, at least 64 KiB of RAM at `0x2000_0000` up to the
/// power of two that holds the initial stack pointer, and peripherals that read as zero.
fn guess_memory(flash: &[Region], ram: &[Region], stack: u32) -> Vec<(MemoryKind, Region)> {
    let mut ram: Vec<Region> = ram.to_vec();
    // The word below the initial stack pointer is the first that is pushed.
    if can_be_stack(stack) {
        ram.push(Region::new(stack - 4, 4));
    }
    ram.push(SRAM.bottom(LEAST_RAM));
    let (main, other): (Vec<Region>, Vec<Region>) = ram.into_iter().partition(|region| SRAM.covers(*region));
    let main = main.into_iter().fold(SRAM.bottom(0), Region::hull);
    let main = SRAM.bottom(main.size().checked_next_power_of_two().unwrap_or(SRAM.size()));
    let other = merge(&other.into_iter().map(rounded).collect::<Vec<_>>(), 0);
    let mut taken = other.clone();
    taken.push(main);
    let flash = merge(&flash.iter().copied().map(rounded).collect::<Vec<_>>(), 0);
    let flash = flash.into_iter().flat_map(|region| region.minus(&taken));
    flash
        .map(|region| (MemoryKind::Flash, region))
        .chain(taken.iter().map(|region| (MemoryKind::Ram, *region)))
        .chain([(MemoryKind::Peripheral, PERIPHERALS)])
        .collect()
}

/// Grown to whole multiples of [`ROUNDING`].
fn rounded(region: Region) -> Region {
    let start = region.start() & !(ROUNDING - 1);
    let end = region.end().next_multiple_of(u64::from(ROUNDING));
    Region::new(start, u32::try_from(end - u64::from(start)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minimal ELF: one header, program headers of (virtual address, load address, bytes, memory size, flags).
    fn elf(segments: &[(u32, u32, &[u8], u32, u32)]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend([2, 0, 40, 0]);
        let count = u16::try_from(segments.len()).expect("few");
        for word in [1, 0, 52, 0, 0] {
            bytes.extend(u32::to_le_bytes(word));
        }
        for half in [52, 32, count, 40, 0, 0] {
            bytes.extend(u16::to_le_bytes(half));
        }
        let mut offset = 52 + 32 * u32::from(count);
        for (address, load, content, size, flags) in segments {
            let length = u32::try_from(content.len()).expect("few");
            for word in [1, offset, *address, *load, length, *size, *flags, 4] {
                bytes.extend(u32::to_le_bytes(word));
            }
            offset += length;
        }
        for (_, _, content, _, _) in segments {
            bytes.extend_from_slice(content);
        }
        bytes
    }

    fn vectors(stack: u32, reset: u32) -> Vec<u8> {
        [stack, reset, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn an_elf_is_loaded_by_physical_address_and_its_memories_are_guessed() {
        let code = vectors(0x2001_8000, 0x0800_0009);
        let image = Image::from_elf(&elf(&[
            (0x0800_0000, 0x0800_0000, &code, 16, 5),
            (0x2000_0000, 0x0800_0010, &[1, 2, 3, 4], 4, 6),
            (0x1000_0000, 0x1000_0000, &[], 0x4000, 6),
        ]))
        .expect("a good ELF");
        assert_eq!(image.vectors, 0x0800_0000);
        assert_eq!(image.segments[1], Segment { address: 0x0800_0010, bytes: vec![1, 2, 3, 4] });
        let of = |kind| {
            let found = image.memory.iter().filter(move |(other, _)| *other == kind);
            found.map(|(_, region)| *region).collect::<Vec<_>>()
        };
        assert_eq!(of(MemoryKind::Flash), [Region::new(0x0800_0000, 0x1_0000)]);
        assert_eq!(of(MemoryKind::Ram), [Region::new(0x1000_0000, 0x1_0000), Region::new(0x2000_0000, 0x2_0000)]);
    }

    #[test]
    fn what_cannot_run_is_refused_with_its_reason() {
        assert!(matches!(Image::from_elf(b"nothing"), Err(ImageError::Elf(_))));
        let mut other = elf(&[(0, 0, &[0; 16], 16, 5)]);
        assert!(matches!(Image::from_elf(&other), Err(ImageError::NoVectors)));
        other[18] = 0xf3;
        assert!(matches!(Image::from_elf(&other), Err(ImageError::NotArm(0xf3))));
        assert!(matches!(Image::from_elf(&elf(&[])), Err(ImageError::Empty)));
        let mut cut = elf(&[(0x0800_0000, 0x0800_0000, &vectors(0x2000_1000, 0x0800_0009), 16, 5)]);
        cut.truncate(cut.len() - 1);
        assert!(matches!(Image::from_elf(&cut), Err(ImageError::Elf(_))));
    }
}
