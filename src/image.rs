//! The ELF of the firmware, opened once: sections, symbols, and the bytes that were linked.
//!
//! The file is hostile input: it is bounded before it is read, and a part that makes no sense is left out rather
//! than believed. What is kept is owned, so that the file may change while we look.

pub mod callgraph;
mod content;
pub mod frames;
pub mod layout;
pub mod lines;
pub mod link_map;
pub mod other;
pub mod symbols;
pub mod types;
pub mod units;
pub mod unwind;
pub mod values;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use object::elf;
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind};
use thiserror::Error;

use crate::region::Region;
use callgraph::CallGraph;
use content::Content;
use frames::su::{self, Usage};
use other::Other;
use symbols::{Symbol, Symbols};
use types::{Types, Variable};

/// The largest file that is read.
pub const MAX_FILE: u64 = 2 << 30;
/// The most sections and segments that are looked at.
const MAX_SECTIONS: usize = 1 << 16;
/// The largest `.su` file that is read: a line is about 60 bytes.
const MAX_USAGE: u64 = 16 << 20;
/// The most symbols that are looked at: the largest firmware known has a hundredth of it.
const MAX_SYMBOLS: usize = 1 << 22;

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
}

/// A loadable piece of the file.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where the program sees it.
    pub run: Region,
    /// Where it is stored (load address), as far as the file has bytes for it.
    pub load: Region,
    /// The stored bytes.
    pub data: Vec<u8>,
}

/// A section that takes memory.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name, made printable.
    pub name: String,
    /// Where the program sees it.
    pub run: Region,
    /// Where its initial content is stored, when it has any.
    pub load: Option<Region>,
    /// Whether the file has content for it; else it is set up at run time.
    pub is_stored: bool,
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
    types: OnceLock<Types>,
    lines: OnceLock<Arc<lines::Lines>>,
    unwinder: OnceLock<Arc<unwind::Unwinder>>,
    largest_frame: OnceLock<Option<u32>>,
    content: Arc<Content>,
}

impl Image {
    /// Reads and parses the file.
    ///
    /// # Errors
    ///
    /// See [`ImageError`]: each says what to do.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
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
        Self::read(path, Content::Whole(data.to_vec()))
    }

    fn read(path: &Path, content: Content) -> Result<Self, ImageError> {
        let path = path.to_owned();
        let data = content.first();
        match FileKind::parse(data) {
            Ok(FileKind::Elf32) => {}
            Ok(FileKind::Elf64) => {
                return Err(ImageError::WrongMachine { path, machine: "a 64-bit machine".into() });
            }
            _ => return Err(ImageError::NotElf { path, hint: looks_like(data).into() }),
        }
        let damaged = |why: object::Error| ImageError::Damaged { path: path.clone(), why: why.to_string() };
        let file = ElfFile32::<Endianness>::parse(data).map_err(damaged)?;
        let endian = file.endian();
        let machine = match file.elf_header().e_machine(endian) {
            elf::EM_ARM => Machine::Arm,
            elf::EM_RISCV => Machine::RiscV,
            other => return Err(ImageError::WrongMachine { path, machine: machine_name(other) }),
        };

        let mut is_whole = true;
        let mut segments = Vec::new();
        for header in file.elf_program_headers().iter().take(MAX_SECTIONS) {
            if header.p_type(endian) != elf::PT_LOAD || header.p_memsz(endian) == 0 {
                continue;
            }
            let stored = header.data(endian, data);
            is_whole &= stored.is_ok();
            let stored = stored.unwrap_or_default();
            segments.push(Segment {
                run: Region::new(header.p_vaddr(endian), header.p_memsz(endian)),
                load: Region::new(header.p_paddr(endian), u32::try_from(stored.len()).unwrap_or(u32::MAX)),
                data: stored.to_vec(),
            });
        }

        let mut sections = Vec::new();
        let mut chip = None;
        for section in file.sections().take(MAX_SECTIONS) {
            is_whole &= section.data().is_ok();
            let name = crate::units::printable(&String::from_utf8_lossy(section.name_bytes().unwrap_or_default()), 256);
            if name == ".probe-rs.chip" {
                let text = String::from_utf8_lossy(section.data().unwrap_or_default());
                chip =
                    Some(crate::units::printable(text.trim_matches('\0').trim(), 64)).filter(|chip| !chip.is_empty());
            }
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let (Ok(start), Ok(size)) = (u32::try_from(section.address()), u32::try_from(section.size())) else {
                continue;
            };
            if !sh_flags.contains(elf::SHF_ALLOC) || size == 0 {
                continue;
            }
            let run = Region::new(start, size);
            let has_content = section.kind() != object::SectionKind::UninitializedData
                && section.elf_section_header().sh_type.get(endian) != elf::SHT_NOBITS;
            sections.push(Section {
                name,
                run,
                is_stored: has_content,
                load: has_content.then(|| load_of(run, &segments)).flatten(),
                writable: sh_flags.contains(elf::SHF_WRITE),
                executable: sh_flags.contains(elf::SHF_EXECINSTR),
            });
        }
        sections.sort_by_key(|section| section.run);

        let (symbols, marks) = read_symbols(&file);
        let gnu_build_id = file.build_id().ok().flatten().map(<[u8]>::to_vec);
        Ok(Self {
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
            types: OnceLock::new(),
            lines: OnceLock::new(),
            unwinder: OnceLock::new(),
            largest_frame: OnceLock::new(),
            content: Arc::new(content),
            path,
        })
    }

    /// Its types and statics, from the debug information, read when they are first asked for; empty when there is
    /// none.
    #[must_use]
    pub fn types(&self) -> &Types {
        let read = || self.file().map(|file| Types::read(&file)).unwrap_or_default();
        self.types.get_or_init(read)
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
        self.file().map(|file| units::Units::read(&file)).unwrap_or_default()
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
            Arc::new(lines::Lines::read(self.file().as_ref(), code_at_zero))
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

    /// The whole file, its debug information included; `None` when it was rewritten since it was opened.
    fn file(&self) -> Option<ElfFile32<'_, Endianness>> {
        ElfFile32::parse(self.content.whole()?).ok()
    }

    /// The file's name without its folder, printable.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        crate::units::printable(&name, 80)
    }

    /// The linked bytes of a range, by run or load address; `None` where the file has none.
    #[must_use]
    pub fn bytes(&self, range: Region) -> Option<&[u8]> {
        self.segments.iter().find_map(|segment| {
            let stored = Region::new(segment.run.start(), segment.load.size());
            let base = [stored, segment.load].into_iter().find(|base| base.covers(range))?;
            let offset = base.offset_of(range.start()).unwrap_or(0) as usize;
            segment.data.get(offset..offset + range.size() as usize)
        })
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

/// The content of a section, inflated when it is compressed. A section that says it inflates beyond all measure is
/// left out before it is inflated.
fn section_content<'data>(file: &ElfFile32<'data, Endianness>, name: &str) -> Option<Cow<'data, [u8]>> {
    const AT_LEAST: u64 = 64 << 20;
    const AT_MOST: u64 = 1 << 30;
    let compressed = file.section_by_name(name)?.compressed_data().ok()?;
    let allowed = (file.data().len() as u64 * 8).clamp(AT_LEAST, AT_MOST);
    (compressed.uncompressed_size <= allowed).then_some(())?;
    compressed.decompress().ok()
}

fn load_of(run: Region, segments: &[Segment]) -> Option<Region> {
    segments.iter().find(|segment| segment.run.covers(run)).and_then(|segment| {
        let offset = segment.run.offset_of(run.start())?;
        let load = segment.load.slice(offset, run.size());
        (!load.is_empty()).then_some(load)
    })
}

/// The symbols, each local one with the file whose name stands before it (System V ABI, "Symbol Table": `STT_FILE`).
/// Beside them, where instructions and data begin among the code.
fn read_symbols(file: &ElfFile32<'_, Endianness>) -> (Symbols, Vec<(u32, callgraph::Content)>) {
    let mut source: Option<Arc<str>> = None;
    let mut symbols = Vec::new();
    let mut marks = Vec::new();
    for symbol in file.symbols().take(MAX_SYMBOLS) {
        marks.extend(mark(&symbol));
        if symbol.kind() == SymbolKind::File {
            let name = String::from_utf8_lossy(symbol.name_bytes().unwrap_or_default());
            source = Some(name.as_ref().into()).filter(|name: &Arc<str>| !name.is_empty());
        } else if let Some(found) = read_symbol(&symbol) {
            let file = source.clone().filter(|_| symbol.is_local());
            symbols.push(Symbol { file, ..found });
        }
    }
    marks.sort_unstable();
    (Symbols::new(symbols), marks)
}

fn read_symbol<'data>(symbol: &impl ObjectSymbol<'data>) -> Option<Symbol> {
    let is_data = match symbol.kind() {
        SymbolKind::Data | SymbolKind::Tls => true,
        SymbolKind::Text | SymbolKind::Unknown | SymbolKind::Label => false,
        _ => return None,
    };
    if symbol.is_undefined() {
        return None;
    }
    let name = String::from_utf8_lossy(symbol.name_bytes().ok()?).into_owned();
    // Mapping symbols ($t, $d, $a) mark instruction sets, not things.
    if name.is_empty() || name.starts_with('$') {
        return None;
    }
    let is_code = symbol.kind() == SymbolKind::Text;
    let address = u32::try_from(symbol.address()).ok()?;
    // The lowest bit of a Thumb function's address is a mode, not a place.
    let address = if is_code { address & !1 } else { address };
    let range = Region::new(address, u32::try_from(symbol.size()).ok()?);
    Some(Symbol { name, range, is_code, is_data, file: None })
}

/// What a mapping symbol says of the bytes behind it: `$t` and `$t.name` are Thumb instructions, `$a` and `$d` are not.
fn mark<'data>(symbol: &impl ObjectSymbol<'data>) -> Option<(u32, callgraph::Content)> {
    use callgraph::Content;
    let content = match symbol.name_bytes().ok()? {
        [b'$', b't'] | [b'$', b't', b'.', ..] => Content::Thumb,
        [b'$', b'a' | b'd'] | [b'$', b'a' | b'd', b'.', ..] => Content::Other,
        _ => return None,
    };
    (!symbol.is_undefined()).then_some((u32::try_from(symbol.address()).ok()?, content))
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
