//! Memory that was saved to files: an ELF core dump, raw images of RAM, or both. No time passes in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use object::Endianness;
use object::elf::{
    ELFCLASS64, ELFDATA2MSB, ELFMAG, EM_386, EM_AARCH64, EM_ARM, EM_AVR, EM_RISCV, EM_X86_64, EM_XTENSA, FileHeader32,
    Machine, PT_LOAD,
};
use object::read::elf::{FileHeader, ProgramHeader};
use thiserror::Error;

use super::{CoreStatus, Counters, Description, ReadError, Source};
use crate::region::Region;
use crate::units::{address, printable};

/// The most bytes of one file: no microcontroller has so much memory.
const MAX_FILE: u64 = 256 << 20;
/// The most pieces of memory that are kept: more are no dump.
const MOST_PIECES: usize = 4096;

/// A raw image as the command line names it: `0x20000000:ram.bin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Where its first byte lies.
    pub address: u32,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for Raw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "an address and a file, as in 0x20000000:ram.bin".to_owned();
        let (start, path) = text.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(bad)?;
        let address = match start.strip_prefix("0x").or_else(|| start.strip_prefix("0X")) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => start.parse(),
        };
        Ok(Self { address: address.map_err(|_| bad())?, path: path.into() })
    }
}

/// Why saved memory cannot be looked at.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        why: String,
    },
    /// It is no saved memory.
    #[error("{file} {why}")]
    Unfit {
        /// The file.
        file: String,
        /// What is wrong, and the way out.
        why: String,
    },
}

/// Memory as it was when it was saved.
#[derive(Debug)]
pub struct Saved {
    name: String,
    /// In address order, none of them empty, no two of which touch the same byte or each other.
    pieces: Vec<(Region, Vec<u8>)>,
    bytes: u64,
}

impl Saved {
    /// Reads an ELF with memory in its segments, raw images, or both.
    ///
    /// # Errors
    ///
    /// A file cannot be read, makes no sense, or two of them say something of the same byte.
    pub fn open(core: Option<&Path>, raw: &[Raw]) -> Result<Self, FileError> {
        let mut pieces = Vec::new();
        if let Some(path) = core {
            let unfit = |why: String| FileError::Unfit { file: shown(path), why };
            pieces.extend(segments(&content(path)?).map_err(unfit)?);
        }
        for Raw { address: start, path } in raw {
            let unfit = |why: &str| FileError::Unfit { file: shown(path), why: why.into() };
            let bytes = content(path)?;
            let range =
                region(*start, bytes.len()).ok_or_else(|| unfit("reaches past the end of the address space"))?;
            if bytes.is_empty() {
                return Err(unfit("is empty; give the file that the debugger saved"));
            }
            pieces.push((range, bytes));
        }
        let name = core.into_iter().chain(raw.iter().map(|raw| raw.path.as_path())).map(shown).collect::<Vec<_>>();
        let name = name.join(", ");
        let pieces = joined(pieces).map_err(|why| FileError::Unfit { file: name.clone(), why })?;
        Ok(Self { name, pieces, bytes: 0 })
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4096)
}

fn content(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |error: std::io::Error| FileError::Unreadable { file: shown(path), why: error.to_string() };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        let why = format!("is larger than {} MiB: no microcontroller's memory", MAX_FILE >> 20);
        return Err(FileError::Unfit { file: shown(path), why });
    }
    Ok(bytes)
}

/// A range of that many bytes, when it fits into the address space.
fn region(start: u32, size: usize) -> Option<Region> {
    let size = u32::try_from(size).ok()?;
    (u64::from(start) + u64::from(size) <= 1 << 32).then(|| Region::new(start, size))
}

/// The machine of an ELF file that is neither Arm nor RISC-V with 32 bits, as the header says (System V ABI, chapter 4:
/// class at 4, machine at 18).
fn other_machine(data: &[u8]) -> Option<String> {
    let header = data.get(..20)?;
    let is_64_bit = header[4] == ELFCLASS64.0;
    let machine = [header[18], header[19]];
    let is_big_endian = header[5] == ELFDATA2MSB.0;
    let machine = Machine(if is_big_endian { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) });
    if !header.starts_with(&ELFMAG) || (!is_64_bit && matches!(machine, EM_ARM | EM_RISCV)) {
        return None;
    }
    Some(match machine {
        EM_X86_64 => "x86-64".into(),
        EM_386 => "x86".into(),
        EM_AARCH64 => "64-bit Arm".into(),
        EM_RISCV => "64-bit RISC-V".into(),
        EM_XTENSA => "Xtensa".into(),
        EM_AVR => "AVR".into(),
        other => format!("ELF machine {}", other.0),
    })
}

/// What the PT_LOAD segments of an ELF32 hold in the file, by virtual address: the one that a running core sees.
/// Bytes that a segment has in memory only were not saved.
fn segments(data: &[u8]) -> Result<Vec<(Region, Vec<u8>)>, String> {
    if let Some(other) = other_machine(data) {
        return Err(format!(
            "is memory of another machine ({other}): only Arm's and 32-bit RISC-V's can be looked at; give what was saved \
             of the target, and not of a program on this computer"
        ));
    }
    let no_dump =
        "is not an ELF file of a 32-bit little-endian machine; for a raw image of RAM, use --ram ADDRESS:FILE";
    let header = FileHeader32::<Endianness>::parse(data).map_err(|_| no_dump)?;
    let endian = header.endian().ok().filter(|endian| *endian == Endianness::Little).ok_or(no_dump)?;
    let damaged = |what: &str| format!("is damaged: {what}; save it again");
    let headers = header.program_headers(endian, data).map_err(|_| damaged("its program headers are cut off"))?;
    let mut pieces = Vec::new();
    let mut total = 0;
    for segment in headers.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let bytes = segment.data(endian, data).map_err(|()| damaged("a segment lies outside of the file"))?;
        if bytes.is_empty() {
            continue;
        }
        // Segments that share the file's bytes must not make more memory out of them than there can be.
        total += bytes.len() as u64;
        if total > MAX_FILE || pieces.len() == MOST_PIECES {
            return Err(damaged("it has more segments than a microcontroller has memory"));
        }
        let start = segment.p_vaddr(endian);
        let range = region(start, bytes.len()).ok_or_else(|| damaged("a segment ends past the address space"))?;
        pieces.push((range, bytes.to_vec()));
    }
    if pieces.is_empty() {
        return Err("has no memory in it: no PT_LOAD segment with bytes".into());
    }
    Ok(pieces)
}

/// In address order, with those joined that follow each other: a read may run across their border.
fn joined(mut pieces: Vec<(Region, Vec<u8>)>) -> Result<Vec<(Region, Vec<u8>)>, String> {
    pieces.sort_by_key(|(range, _)| range.start());
    let mut joined: Vec<(Region, Vec<u8>)> = Vec::new();
    for (range, bytes) in pieces {
        match joined.last_mut() {
            Some((last, _)) if last.overlaps(range) => {
                return Err(format!("hold the byte at {} twice; leave one out", address(range.start().into())));
            }
            Some((last, content)) if last.end() == u64::from(range.start()) => {
                *last = last.hull(range);
                content.extend(bytes);
            }
            _ => joined.push((range, bytes)),
        }
    }
    Ok(joined)
}

impl Source for Saved {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let piece = self.pieces.iter().find(|(piece, _)| piece.covers(range));
        let found = piece.and_then(|(piece, bytes)| {
            let offset = piece.offset_of(range.start())? as usize;
            bytes.get(offset..offset.checked_add(into.len())?)
        });
        let found = found.ok_or_else(|| ReadError::Unreadable { range, why: "it was not saved".into() })?;
        into.copy_from_slice(found);
        self.bytes += found.len() as u64;
        Ok(())
    }

    /// Nothing that was saved says that the core had stopped by itself.
    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(CoreStatus::Running)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn describe(&self) -> Description {
        Description { source: self.name.clone(), is_saved: true, ..Description::default() }
    }

    fn counters(&self) -> Counters {
        Counters { bytes: self.bytes, ..Counters::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An ELF32 core file with one segment of `bytes` at `start`.
    fn core(start: u32, bytes: &[u8]) -> Vec<u8> {
        let mut elf = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for half in [4u16, 40] {
            elf.extend(half.to_le_bytes());
        }
        for word in [1u32, 0, 52, 0, 0] {
            elf.extend(word.to_le_bytes());
        }
        for half in [52u16, 32, 1, 0, 0, 0] {
            elf.extend(half.to_le_bytes());
        }
        let size = u32::try_from(bytes.len()).expect("a short segment");
        for word in [1, 84, start, 0, size, size, 6, 4] {
            elf.extend(u32::to_le_bytes(word));
        }
        elf.extend(bytes);
        elf
    }

    #[test]
    fn what_was_saved_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("a file can be written");
            path
        };
        let dump = path("core", &core(0x2000_0000, &[1, 2, 3, 4]));
        let next = Raw { address: 0x2000_0004, path: path("ram.bin", &[5, 6, 7, 8]) };
        let mut saved = Saved::open(Some(&dump), std::slice::from_ref(&next)).expect("it is good");
        let mut word = [0; 4];
        saved.read(Region::new(0x2000_0002, 4), &mut word).expect("it runs across the border");
        assert_eq!(word, [3, 4, 5, 6]);
        for start in [0x1fff_fffe, 0x2000_0006, 0] {
            let error = saved.read(Region::new(start, 4), &mut word);
            assert!(matches!(error, Err(ReadError::Unreadable { .. })), "{start:x}: {error:?}");
        }
        let twice = Saved::open(Some(&dump), &[Raw { address: 0x2000_0003, ..next.clone() }]);
        assert!(twice.expect_err("it overlaps").to_string().contains(&format!("{} twice", address(0x2000_0003))));
        let far = Saved::open(None, &[Raw { address: 0xffff_fffe, ..next }]);
        assert!(far.expect_err("it is too far up").to_string().contains("past the end"));
    }

    #[test]
    fn memory_of_another_machine_is_refused_by_its_name() {
        for (class, machine, name) in
            [(2, 62, "x86-64"), (1, 3, "x86"), (2, 183, "64-bit Arm"), (2, 243, "64-bit RISC-V"), (1, 94, "Xtensa")]
        {
            let mut elf = core(0x2000_0000, &[1, 2, 3, 4]);
            (elf[4], elf[18]) = (class, machine);
            let error = segments(&elf).expect_err("it is no target's");
            assert!(error.contains(&format!("another machine ({name})")), "{error}");
        }
        let mut riscv = core(0x2000_0000, &[1, 2, 3, 4]);
        riscv[18] = 243;
        assert!(segments(&riscv).is_ok());
    }

    #[test]
    fn a_raw_image_is_named_by_address_and_file() {
        for (text, address) in [("0x20000000:a", Some(0x2000_0000)), ("16:a:b", Some(16)), ("a", None), ("0x1:", None)]
        {
            assert_eq!(text.parse::<Raw>().ok().map(|raw| raw.address), address, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_dump_never_panics(at in 0usize..84, byte: u8, length in 0usize..100) {
            let mut elf = core(0x2000_0000, &[7; 16]);
            elf[at] = byte;
            elf.truncate(length);
            if let Ok(pieces) = segments(&elf) {
                prop_assert!(pieces.iter().all(|(range, bytes)| range.size() as usize == bytes.len()));
            }
        }
    }
}
