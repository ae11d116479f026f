//! The ELF of the firmware, opened once: sections, symbols, and the bytes that were linked.
//!
//! The file is hostile input: it is bounded before it is read, and a part that makes no sense is left out rather
//! than believed. What is kept is owned, so that the file may change while we look.

pub mod callgraph;
mod content;
mod debug_link;
mod dwarf;
mod elf_file;
mod flash;
pub mod frames;
pub mod layout;
pub mod lines;
pub mod link_map;
pub mod other;
mod parts;
mod scatter;
pub mod symbols;
pub mod types;
pub mod units;
pub mod unwind;
pub mod values;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use object::elf;
use object::{Endianness, FileKind};
use thiserror::Error;

use crate::region::Region;
use callgraph::CallGraph;
use content::Content;
pub use content::Original;
use dwarf::Debug;
use elf_file::ElfFile;
use frames::su::{self, Usage};
use other::Other;
use parts::Parts;
use symbols::Symbols;
use types::{Types, Variable};

/// The largest file that is read.
pub const MAX_FILE: u64 = 2 << 30;
/// The most sections and segments that are looked at.
const MAX_SECTIONS: usize = 1 << 16;
/// The largest `.su` file that is read: a line is about 60 bytes.
const MAX_USAGE: u64 = 16 << 20;

/// Why a file cannot be used as a firmware image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is not an ELF file.
    #[error("{} is not an ELF file (it {hint}); give the linker's output, not a .bin, .hex or .uf2 made from it", path.display())]
    NotElf {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        hint: String,
    },
    /// It is an ELF file for another kind of machine.
    #[error("{} is built for {machine}, not for a 32-bit Arm or RISC-V microcontroller: is it the host's program?", path.display())]
    WrongMachine {
        /// The file.
        path: PathBuf,
        /// What it is built for.
        machine: String,
    },
    /// Its tables make no sense.
    #[error("{} is damaged: {why}; was it still being written?", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that made no sense.
        why: String,
    },
}

/// What the firmware is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 32-bit Arm.
    Arm,
    /// 32-bit RISC-V.
    RiscV,
    /// Any machine of 64 bits.
    Wide,
    /// A machine of 32 bits that is no microcontroller that is known, by its ELF number (System V ABI, `e_machine`).
    Other(u16),
}

/// A loadable piece of the file.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where the program sees it.
    pub run: Region,
    /// Where it is stored (load address), as far as the file has bytes for it.
    pub load: Region,
    /// Where the stored bytes lie in the file.
    stored: Range<usize>,
}

impl Segment {
    /// The part of it that has bytes in the file, where the program sees it.
    fn stored_run(&self) -> Region {
        self.run.bottom(self.load.size())
    }

    /// Where a range of the file is stored.
    fn load_of(&self, place: &Range<usize>) -> Region {
        let offset = u32::try_from(place.start.saturating_sub(self.stored.start)).unwrap_or(u32::MAX);
        self.load.slice(offset, u32::try_from(place.len()).unwrap_or(u32::MAX))
    }
}

/// A section that takes memory.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name, made printable.
    pub name: String,
    /// Its number in the file, by which symbols tell where they belong; 0 when it has none there.
    pub number: u16,
    /// Where the program sees it.
    pub run: Region,
    /// Where its initial content is stored, when it has any.
    pub load: Option<Region>,
    /// Whether the file has content for it; else it is set up at run time.
    pub is_stored: bool,
    /// Whether that is compressed: then `load` is smaller than `run`, and what was linked is not known.
    pub is_packed: bool,
    /// Whether the memory it lies in is flash, as far as the whole file tells.
    pub in_flash: bool,
    /// Whether the program may write it.
    pub writable: bool,
    /// Whether it holds instructions.
    pub executable: bool,
}

/// One firmware image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it is built for.
    pub machine: Machine,
    /// The loadable pieces, in file order.
    pub segments: Vec<Segment>,
    /// The sections that take memory, in address order.
    pub sections: Vec<Section>,
    /// Its symbols.
    pub symbols: Symbols,
    /// The linker's build id, as bytes, when there is one.
    pub gnu_build_id: Option<Vec<u8>>,
    /// The chip named in the section `.probe-rs.chip`.
    pub chip: Option<String>,
    /// Other images in the same flash, as the user gave them.
    pub others: Vec<Other>,
    /// The file has all the bytes that its headers speak of: while a linker writes it, it has not.
    pub is_whole: bool,
    /// Where instructions and data begin among the code, by the mapping symbols, in address order.
    marks: Vec<(u32, callgraph::Content)>,
    /// What `.su` files say of its frames.
    usage: Vec<Usage>,
    call_graph: OnceLock<Option<CallGraph>>,
    debug: OnceLock<Arc<Debug>>,
    types: OnceLock<Types>,
    lines: OnceLock<Arc<lines::Lines>>,
    unwinder: OnceLock<Arc<unwind::Unwinder>>,
    largest_frame: OnceLock<Option<u32>>,
    content: Arc<Content>,
    /// The file that its debug information was moved to, when it was, and is there.
    stripped: OnceLock<Option<Arc<Content>>>,
}

impl Image {
    /// Reads and parses the file.
    ///
    /// # Errors
    ///
    /// See [`ImageError`]: each says what to do.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        Self::open_any(path)?.of_microcontroller()
    }

    /// The same for any machine, 64-bit ones included while all addresses are below 4 GiB: what takes how much of it is told
    /// by the symbols. The debug information of a 64-bit file is not read.
    ///
    /// # Errors
    ///
    /// See [`ImageError`].
    pub fn open_any(path: &Path) -> Result<Self, ImageError> {
        let unreadable = |why: String| ImageError::Unreadable { path: path.to_owned(), why };
        let file = std::fs::File::open(path).map_err(|error| unreadable(plain(&error)))?;
        let found = file.metadata().map_err(|error| unreadable(plain(&error)))?;
        if found.is_dir() {
            return Err(unreadable("it is a folder".into()));
        }
        if found.len() > MAX_FILE {
            return Err(unreadable(format!("it is larger than {MAX_FILE} bytes")));
        }
        let content = Content::open(file, found.len()).map_err(|error| unreadable(plain(&error)))?;
        Self::read(path, content)
    }

    /// Parses the content of `path`.
    ///
    /// # Errors
    ///
    /// See [`ImageError`].
    pub fn parse(path: &Path, data: &[u8]) -> Result<Self, ImageError> {
        Self::read(path, Content::Whole(data.to_vec()))?.of_microcontroller()
    }

    /// The file that it was read from: for what needs all its bytes, and the same ones.
    #[must_use]
    pub fn original(&self) -> Original {
        Original(Arc::clone(&self.content))
    }

    fn read(path: &Path, content: Content) -> Result<Self, ImageError> {
        let path = path.to_owned();
        let data = content.first();
        let parts = match FileKind::parse(data) {
            Ok(FileKind::Elf32) => parts::read::<elf::FileHeader32<Endianness>>(&content),
            Ok(FileKind::Elf64) => parts::read::<elf::FileHeader64<Endianness>>(&content),
            _ => return Err(ImageError::NotElf { path, hint: looks_like(data).into() }),
        };
        let Parts { segments, sections, symbols, marks, gnu_build_id, chip, machine, is_whole, is_wide } = match parts {
            Ok(parts) => parts,
            Err(why) => return Err(ImageError::Damaged { path, why: why.to_string() }),
        };
        if is_wide {
            return Err(ImageError::WrongMachine { path, machine: "a machine with addresses past 4 GiB".into() });
        }
        let mut image = Self {
            machine,
            segments,
            sections,
            symbols,
            gnu_build_id,
            chip,
            others: Vec::new(),
            is_whole,
            marks,
            usage: Vec::new(),
            call_graph: OnceLock::new(),
            debug: OnceLock::new(),
            types: OnceLock::new(),
            lines: OnceLock::new(),
            unwinder: OnceLock::new(),
            largest_frame: OnceLock::new(),
            content: Arc::new(content),
            stripped: OnceLock::new(),
            path,
        };
        image.take_moved_symbols();
        scatter::unpack(&mut image);
        flash::settle(&mut image);
        Ok(image)
    }

    /// The same image when it is for a microcontroller that is known.
    fn of_microcontroller(self) -> Result<Self, ImageError> {
        match self.machine {
            Machine::Arm | Machine::RiscV => Ok(self),
            Machine::Wide => Err(ImageError::WrongMachine { path: self.path, machine: "a 64-bit machine".into() }),
            Machine::Other(machine) => {
                Err(ImageError::WrongMachine { path: self.path, machine: machine_name(elf::Machine(machine)) })
            }
        }
    }

    /// Its types and statics, from the debug information, found when they are first asked for; empty when there is
    /// none.
    #[must_use]
    pub fn types(&self) -> &Types {
        self.types.get_or_init(|| Types::read(self.debug()))
    }

    /// The static of that name with its type. Where the debug information has no place for it, the symbol has.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Variable<'_>> {
        let symbol = self.symbols.address(name);
        let described = self.types().variable(name).or_else(|| self.types().variable_at(symbol?))?;
        Some(Variable { address: described.address.or(symbol), ..described })
    }

    /// The static that begins at `address` with its type, found by its place or else by its symbol's name.
    #[must_use]
    pub fn variable_at(&self, address: u32) -> Option<Variable<'_>> {
        let by_name = || {
            let symbol = self.symbols.at(address).filter(|symbol| symbol.range.start() == address)?;
            self.types().variable(&symbol.name)
        };
        let described = self.types().variable_at(address).or_else(by_name)?;
        Some(Variable { address: Some(address), ..described })
    }

    /// Whether its types were read: until then, asking for them takes a while on a large file.
    #[must_use]
    pub fn knows_types(&self) -> bool {
        self.types.get().is_some()
    }

    /// The compiled units by address, from the debug information; empty when there is none.
    #[must_use]
    pub fn units(&self) -> units::Units {
        units::Units::read(&self.debug(), self.types())
    }

    /// Takes what the `.su` files in `folder` say of the stack frames, not in folders below it; gives the number of
    /// functions. To be called before the first [`Image::call_graph`].
    ///
    /// # Errors
    ///
    /// The folder cannot be listed. A file in it that cannot be read is left out.
    pub fn read_stack_usage(&mut self, folder: &Path) -> Result<usize, ImageError> {
        let unreadable = |error: std::io::Error| ImageError::Unreadable { path: folder.to_owned(), why: plain(&error) };
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(unreadable)?
            .take(MAX_SECTIONS)
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "su")) {
            if std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_USAGE)
                && let Ok(bytes) = std::fs::read(path)
            {
                self.usage.extend(su::parse(&String::from_utf8_lossy(&bytes)));
            }
        }
        self.call_graph = OnceLock::new();
        Ok(self.usage.len())
    }

    /// Who calls whom, worked out when it is first asked for; `None` when the instructions are not known to us
    /// (RISC-V).
    #[must_use]
    pub fn call_graph(&self) -> Option<&CallGraph> {
        let read = || CallGraph::read(self, &self.file()?);
        self.call_graph.get_or_init(read).as_ref()
    }

    /// From addresses to functions, files and lines, read when it is first asked for; without debug information it
    /// knows nothing.
    #[must_use]
    pub fn lines(&self) -> &lines::Lines {
        self.lines.get_or_init(|| {
            let code_at_zero = self.symbols.at(0).is_some_and(|symbol| symbol.is_code);
            Arc::new(lines::Lines::read(self.debug(), code_at_zero))
        })
    }

    /// What follows a stopped core's calls outward, read when it is first asked for.
    #[must_use]
    pub fn unwinder(&self) -> &unwind::Unwinder {
        self.unwinder.get_or_init(|| Arc::new(unwind::Unwinder::read(self.file().as_ref())))
    }

    /// The most bytes that one function can reserve on a stack and leave untouched: its whole frame. `None` when neither
    /// the debug information nor the instructions tell.
    #[must_use]
    pub fn largest_hole(&self) -> Option<u32> {
        let by_debug_information = *self.largest_frame.get_or_init(|| self.file().as_ref().and_then(frames::largest));
        by_debug_information.max(self.call_graph().and_then(CallGraph::largest_frame))
    }

    /// Its debug information, read when it is first asked for.
    fn debug(&self) -> Arc<Debug> {
        Arc::clone(self.debug.get_or_init(|| Arc::new(Debug::read(self.file().as_ref(), &self.path))))
    }

    /// Why some of its debug information cannot be read, with the way out; `None` when all that the ELF speaks of is at hand.
    #[must_use]
    pub fn missing_debug_information(&self) -> Option<String> {
        self.debug().missing().map(ToString::to_string)
    }

    /// The file, with its debug information; `None` when it is none of 32 bits.
    fn file(&self) -> Option<ElfFile<'_>> {
        Some(ElfFile::of(&self.content)?.stripped_into(self.moved()))
    }

    /// The file that its debug information was moved to.
    fn moved(&self) -> Option<&Content> {
        self.stripped.get_or_init(|| debug_link::follow(&self.content, &self.path).map(Arc::new)).as_deref()
    }

    /// Takes the symbols of that file when the ELF itself has none left.
    fn take_moved_symbols(&mut self) {
        if self.symbols.iter().next().is_some() {
            return;
        }
        let moved = self.moved().and_then(|content| parts::read::<elf::FileHeader32<Endianness>>(content).ok());
        if let Some(parts) = moved {
            (self.symbols, self.marks) = (parts.symbols, parts.marks);
        }
    }

    /// The file's name without its folder, printable.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        crate::units::printable(&name, 80)
    }

    /// The linked bytes of a range, by run or load address; `None` where the file has none, and where several sections take
    /// turns at an address.
    #[must_use]
    pub fn bytes(&self, range: Region) -> Option<&[u8]> {
        let runs = |segment: &&Segment| segment.stored_run().covers(range);
        let mut running = self.segments.iter().filter(runs);
        if let Some(first) = running.next() {
            return running.next().is_none().then(|| self.stored(first, first.stored_run(), range)).flatten();
        }
        let loaded = self.segments.iter().find(|segment| segment.load.covers(range))?;
        self.stored(loaded, loaded.load, range)
    }

    /// The linked bytes of a range of a section, also where several take turns at an address.
    #[must_use]
    pub fn bytes_of(&self, section: &Section, range: Region) -> Option<&[u8]> {
        match (section.load, section.run.offset_of(range.start())) {
            (Some(load), Some(offset)) if !section.is_packed && section.run.covers(range) => {
                self.bytes(load.slice(offset, range.size()))
            }
            _ => self.bytes(range),
        }
    }

    /// A range of a segment that begins at `base`.
    fn stored(&self, segment: &Segment, base: Region, range: Region) -> Option<&[u8]> {
        let offset = base.offset_of(range.start()).unwrap_or(0) as usize;
        let stored = self.content.linked().get(segment.stored.clone())?;
        stored.get(offset..offset + range.size() as usize)
    }

    /// Whether the file has sections and no content of any: what debug information was split off into.
    #[must_use]
    pub fn is_debug_only(&self) -> bool {
        let is_code = |section: &Section| section.executable;
        self.sections.iter().all(|section| !section.is_stored) && self.sections.iter().any(is_code)
    }

    /// The linked word at `address`, little endian.
    #[must_use]
    pub fn word(&self, address: u32) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(Region::new(address, 4))?.try_into().ok()?))
    }

    /// The NUL-terminated text at `address` in the linked bytes, at most `limit` bytes of it, made printable.
    #[must_use]
    pub fn text(&self, address: u32, limit: u32) -> Option<String> {
        let mut bytes = Vec::new();
        for offset in 0..limit {
            match self.bytes(Region::new(address.checked_add(offset)?, 1))? {
                [0] => break,
                byte => bytes.extend_from_slice(byte),
            }
        }
        Some(crate::units::printable(&String::from_utf8_lossy(&bytes), limit as usize))
    }

    /// Up to `count` samples of 16 bytes that the read-only content of this build has and that of `before` has not, spread
    /// over them; none when both hold the same.
    #[must_use]
    pub fn differences(&self, before: &Self, count: usize) -> Vec<(Region, Vec<u8>)> {
        const SAMPLE: usize = 16;
        let mut differing: Vec<Region> = Vec::new();
        for section in self.sections.iter().filter(|section| !section.writable && section.load == Some(section.run)) {
            let Some(bytes) = self.bytes(section.run) else { continue };
            let old = before.bytes(section.run);
            for (index, sample) in bytes.chunks(SAMPLE).enumerate() {
                let at = index * SAMPLE;
                let place = section.run.slice(at as u32, sample.len() as u32);
                // Where the section moved or grew, it is looked up piece by piece.
                let known = old.and_then(|old| old.get(at..at + sample.len())).or_else(|| before.bytes(place));
                if known != Some(sample) {
                    differing.push(place);
                }
            }
        }
        let step = differing.len().div_ceil(count.max(1)).max(1);
        let spread = differing.into_iter().step_by(step);
        spread.filter_map(|place| Some((place, self.bytes(place)?.to_vec()))).collect()
    }

    /// Up to `count` samples of 16 bytes from read-only content, spread over it, the vector table first: what a
    /// target that runs this firmware has at those addresses.
    #[must_use]
    pub fn samples(&self, count: usize) -> Vec<(Region, Vec<u8>)> {
        const SAMPLE: u32 = 16;
        let fixed: Vec<&Section> = self
            .sections
            .iter()
            .filter(|section| !section.writable && section.load == Some(section.run) && section.run.size() >= SAMPLE)
            .collect();
        let total: u64 = fixed.iter().map(|section| u64::from(section.run.size())).sum();
        let mut samples = Vec::new();
        for index in 0..count as u64 {
            let mut offset = total * index / count.max(1) as u64;
            for section in &fixed {
                let size = u64::from(section.run.size());
                if offset < size {
                    let at = (offset as u32 & !3).min(section.run.size() - SAMPLE) & !3;
                    let range = section.run.slice(at, SAMPLE);
                    samples.extend(self.bytes(range).map(|bytes| (range, bytes.to_vec())));
                    break;
                }
                offset -= size;
            }
        }
        samples.dedup();
        samples
    }
}

/// An I/O error without the number that the system appends.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

fn looks_like(data: &[u8]) -> &'static str {
    match data {
        [] => "is empty",
        [b':', ..] => "looks like Intel HEX",
        [b'U', b'F', b'2', b'\n', ..] => "looks like UF2",
        [0x7f, b'E', b'L', b'F', ..] => "starts like one, but its header is cut off or damaged",
        _ if data.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "looks like text"
        }
        _ => "does not start with the ELF magic",
    }
}

fn machine_name(machine: elf::Machine) -> String {
    match machine {
        elf::EM_386 => "a 32-bit x86".into(),
        elf::EM_XTENSA => "an Xtensa core, which this tool does not know".into(),
        elf::EM_AVR => "an AVR, which this tool does not know".into(),
        elf::EM_MIPS => "a MIPS core".into(),
        other => format!("ELF machine number {}", other.0),
    }
}
