//! The bytes of the file: at first those that the first picture needs, the rest when somebody asks.
//!
//! Debug information is nine tenths of most firmware files. What is left out reads as zeros, in memory that is never
//! touched and so costs nothing. The file is read and not mapped: a linker that rewrites a mapped file would take this
//! process down. What a microcontroller can hold is read at once, so that it is known even when the file is overwritten;
//! the linked bytes of a larger program, only when somebody asks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use object::Endianness;
use object::elf::{
    ELFCLASS64, FileHeader32, FileHeader64, PT_LOAD, PT_NOTE, SHF_ALLOC, SHT_NOBITS, SHT_NOTE, SHT_STRTAB,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

/// The start of the file that is always read: every header is in it, and what tells what else the file may be.
const HEAD: u64 = 4096;
/// The longest header of a compressed section: that of 64-bit files (System V ABI, `Elf64_Chdr`).
const COMPRESSION_HEADER: u64 = 24;
/// The most sections and segments that are looked at.
const MAX_TABLE: usize = 1 << 16;

/// The most linked bytes that are read at once: the flash memories of microcontrollers are smaller.
const MOST_LINKED: u64 = 16 << 20;

/// A range of the file: its start and its size.
type Range = (u64, u64);
/// Ranges of the file that were read.
type Parts = HashMap<Range, Weak<[u8]>>;

/// The content of one file.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it, given from the start.
    Whole(Vec<u8>),
    /// A file that is held open: one that is replaced stays readable here as it was.
    File {
        /// The file, with what tells whether it was written to since.
        file: Mutex<File>,
        /// What the first picture needs, the rest zero.
        head: Vec<u8>,
        /// When it was last written, where the system tells.
        stamp: Option<std::time::Duration>,
        /// Parts that were read since, by their place: they are kept while somebody uses them.
        parts: Mutex<Parts>,
        /// Where the linked bytes are, when they are too many to be in `head`.
        late: Vec<Range>,
        /// The same bytes once somebody asked, at their places, the rest zero.
        linked: OnceLock<Vec<u8>>,
    },
}

impl Content {
    /// All of a file beside the ELF; `None` when it is not there, no file, or of more than `most` bytes.
    pub(super) fn beside(path: &Path, most: u64) -> Option<Self> {
        std::fs::metadata(path).ok().filter(|found| found.is_file() && found.len() <= most)?;
        std::fs::read(path).ok().map(Self::Whole)
    }

    /// Opens a file of that many bytes and reads what the first picture needs.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn open(mut file: File, length: u64) -> io::Result<Self> {
        let (head, late) = first_part(&mut file, length)?;
        let stamp = stamp(&file);
        let (file, parts, linked) = (Mutex::new(file), Mutex::default(), OnceLock::new());
        Ok(Self::File { file, head, stamp, parts, late, linked })
    }

    /// As many bytes as the file has; those of debug sections and of tables of names may be zero, and the linked ones of a
    /// large program.
    pub(super) fn first(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::File { head, .. } => head,
        }
    }

    /// As many bytes as the file has, with all that is linked; empty when the file was written to before it was asked for.
    pub(super) fn linked(&self) -> &[u8] {
        match self {
            Self::File { head, late, linked, .. } if !late.is_empty() => linked.get_or_init(|| {
                let mut bytes = vec![0; head.len()];
                let is_read = late.iter().all(|(start, size)| {
                    let place = usize::try_from(*start).ok().zip(usize::try_from(start.saturating_add(*size)).ok());
                    let place = place.map(|(from, to)| from.min(head.len())..to.min(head.len()));
                    place.is_some_and(|place| self.fill(*start, &mut bytes[place]).is_some())
                });
                if is_read { bytes } else { Vec::new() }
            }),
            _ => self.first(),
        }
    }

    /// The bytes of a range, whatever they are; `None` when the file has none there, was written to since it was opened, or
    /// can no longer be read.
    pub(super) fn own(&self, start: u64, size: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.within(start, size)?.len()];
        self.fill(start, &mut bytes)?;
        Some(bytes)
    }

    /// The same, to be shared with others who ask for this range.
    pub(super) fn part(&self, start: u64, size: u64) -> Option<Arc<[u8]>> {
        let first = self.within(start, size)?;
        let Self::File { parts, .. } = self else { return Some(first.into()) };
        let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = parts.get(&(start, size)).and_then(Weak::upgrade) {
            return Some(known);
        }
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, first.len()).collect();
        self.fill(start, Arc::get_mut(&mut bytes)?)?;
        parts.retain(|_, part| part.strong_count() > 0);
        parts.insert((start, size), Arc::downgrade(&bytes));
        Some(bytes)
    }

    /// A range of what is at hand; `None` when the file ends before it does.
    fn within(&self, start: u64, size: u64) -> Option<&[u8]> {
        self.first().get(usize::try_from(start).ok()?..usize::try_from(start.checked_add(size)?).ok()?)
    }

    /// Fills `bytes` with what the file has from `start` on.
    fn fill(&self, start: u64, bytes: &mut [u8]) -> Option<()> {
        let Self::File { file, head, stamp: then, .. } = self else {
            bytes.copy_from_slice(self.within(start, bytes.len() as u64)?);
            return Some(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start)).ok()?;
        file.read_exact(bytes).ok()?;
        let is_same = file.metadata().is_ok_and(|found| found.len() == head.len() as u64);
        (is_same && stamp(&file) == *then).then_some(())
    }
}

/// The file that an image was read from, whatever lies at its path by now.
#[derive(Clone, Debug)]
pub struct Original(pub(super) Arc<Content>);

impl Original {
    /// All its bytes, of which those that the image was read from are part; `None` when it was written to since.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let known = self.0.first();
        let bytes = self.0.own(0, known.len() as u64)?;
        // Two writes within one tick of the file system's clock have one time. What was left out reads as zero.
        let is_same = known.iter().zip(&bytes).all(|(known, now)| *known == 0 || known == now);
        is_same.then_some(bytes)
    }
}

/// When the file was last written, since 1970.
fn stamp(file: &File) -> Option<std::time::Duration> {
    file.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()
}

/// What the first picture needs, and where the linked bytes are when they are left out of it.
fn first_part(file: &mut File, length: u64) -> io::Result<(Vec<u8>, Vec<Range>)> {
    let size = usize::try_from(length).map_err(|_| io::Error::other("it is larger than this machine's memory"))?;
    let mut bytes = vec![0; size];
    read_at(file, &mut bytes, 0, HEAD)?;
    // The fifth byte of an ELF file is its class.
    let late = if bytes.get(4).is_some_and(|class| *class == ELFCLASS64.0) {
        fill::<FileHeader64<Endianness>>(file, &mut bytes)?
    } else {
        fill::<FileHeader32<Endianness>>(file, &mut bytes)?
    };
    Ok((bytes, late))
}

fn fill<H: FileHeader<Endian = Endianness>>(file: &mut File, bytes: &mut [u8]) -> io::Result<Vec<Range>> {
    for (start, length) in tables::<H>(bytes) {
        read_at(file, bytes, start, length)?;
    }
    // The names of the sections lie in a section, and tell which ones are debug information.
    for (start, length) in names::<H>(bytes) {
        read_at(file, bytes, start, length)?;
    }
    let (mut now, linked) = parts::<H>(bytes);
    let is_late = linked.iter().fold(0u64, |sum, (_, size)| sum.saturating_add(*size)) > MOST_LINKED;
    let late = if is_late {
        linked
    } else {
        now.extend(linked);
        Vec::new()
    };
    for (start, length) in joined(now) {
        read_at(file, bytes, start, length)?;
    }
    Ok(late)
}

/// Reads a range of the file to the same place in `bytes`, as far as the file goes.
fn read_at(file: &mut File, bytes: &mut [u8], start: u64, length: u64) -> io::Result<()> {
    let end = start.saturating_add(length).min(bytes.len() as u64);
    if start >= end {
        return Ok(());
    }
    file.seek(SeekFrom::Start(start))?;
    // Both are within `bytes`, so they fit.
    file.read_exact(&mut bytes[start as usize..end as usize])
}

/// Where the tables of segments and sections are.
fn tables<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Vec<(u64, u64)> {
    let Ok(header) = H::parse(bytes) else { return Vec::new() };
    let Ok(endian) = header.endian() else { return Vec::new() };
    let size = |count: u16, entry: u16| u64::from(count) * u64::from(entry);
    vec![
        (header.e_phoff(endian).into(), size(header.e_phnum(endian), header.e_phentsize(endian))),
        // A count that does not fit stands in the first entry: then the table may be as long as any we look at.
        (header.e_shoff(endian).into(), size(header.e_shnum(endian).max(1), header.e_shentsize(endian))),
    ]
}

fn names<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Vec<(u64, u64)> {
    let Ok(header) = H::parse(bytes) else { return Vec::new() };
    let Ok(endian) = header.endian() else { return Vec::new() };
    let (Ok(sections), Ok(index)) = (header.section_headers(endian, bytes), header.shstrndx(endian, bytes)) else {
        return Vec::new();
    };
    let Some(section) = sections.get(index as usize) else { return Vec::new() };
    vec![(section.sh_offset(endian).into(), section.sh_size(endian).into())]
}

/// What is needed at once: notes, and every section that is neither linked nor debug information nor the names of symbols,
/// which are read apart; and what is linked.
fn parts<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> (Vec<Range>, Vec<Range>) {
    let (mut now, mut linked) = (Vec::new(), Vec::new());
    let Ok(header) = H::parse(bytes) else { return (now, linked) };
    let Ok(endian) = header.endian() else { return (now, linked) };
    for segment in header.program_headers(endian, bytes).unwrap_or_default().iter().take(MAX_TABLE) {
        let range = (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
        match segment.p_type(endian) {
            PT_LOAD => linked.push(range),
            PT_NOTE => now.push(range),
            _ => {}
        }
    }
    if let Ok(sections) = header.sections(endian, bytes) {
        for section in sections.iter().take(MAX_TABLE) {
            let name = sections.section_name(endian, section).unwrap_or_default();
            let is_debug = name.starts_with(b".debug") || name.starts_with(b".zdebug");
            let (start, size) = (section.sh_offset(endian).into(), section.sh_size(endian).into());
            match section.sh_type(endian) {
                SHT_NOBITS | SHT_STRTAB => {}
                // A debug section's first bytes tell whether it is compressed.
                _ if is_debug => now.push((start, size.min(COMPRESSION_HEADER))),
                SHT_NOTE => now.push((start, size)),
                _ if section.sh_flags(endian).contains(SHF_ALLOC) => linked.push((start, size)),
                _ => now.push((start, size)),
            }
        }
    }
    (now, joined(linked))
}

/// The same ranges, none of them twice: a damaged file may name one range a thousand times.
fn joined(mut parts: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    parts.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, length) in parts {
        match joined.last_mut() {
            Some((before, known)) if start <= before.saturating_add(*known) => {
                *known = (*known).max(start.saturating_add(length).saturating_sub(*before));
            }
            _ => joined.push((start, length)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use object::{Object, ObjectSection};

    use super::*;

    const DEMO: &[u8] = include_bytes!("../../assets/demo.elf");

    fn opened(bytes: &[u8]) -> (File, Content) {
        let mut file = tempfile::tempfile().expect("there is room");
        file.write_all(bytes).expect("it can be written");
        let other = file.try_clone().expect("it can be held twice");
        (other, Content::open(file, bytes.len() as u64).expect("it can be read"))
    }

    #[test]
    fn all_but_debug_information_is_there_from_the_start() {
        let (_file, content) = opened(DEMO);
        let (first, whole) = (content.first(), object::File::parse(DEMO).expect("it is an ELF"));
        let file = object::File::parse(first).expect("it is an ELF still");
        for (one, other) in file.sections().zip(whole.sections()) {
            let name = other.name().expect("it has a name");
            if name.starts_with(".debug") {
                let data = one.data().expect("it is within the file");
                assert!(data.iter().skip(COMPRESSION_HEADER as usize).all(|byte| *byte == 0), "{name} was read");
            } else if name == ".strtab" {
                let (start, size) = one.file_range().expect("it is in the file");
                assert_eq!(content.own(start, size).as_deref(), other.data().ok());
            } else {
                assert_eq!(one.data(), other.data(), "{name}");
            }
        }
        assert_eq!(content.part(0, DEMO.len() as u64).as_deref(), Some(DEMO));
        assert_eq!(content.part(1, DEMO.len() as u64), None);
        assert_eq!(content.part(u64::MAX, 2), None);
        let (one, other) = (content.part(64, 64), content.part(64, 64));
        assert!(one.zip(other).is_some_and(|(one, other)| Arc::ptr_eq(&one, &other)), "it is read once");
    }

    /// A header, one segment of that many bytes right behind it, and no section.
    fn program(size: u32) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 1, 1, 1];
        bytes.resize(84, 0);
        for (at, value) in [(16, 2), (18, 40), (40, 52), (42, 32), (44, 1)] {
            bytes[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
        }
        for (at, value) in [(20, 1), (28, 52), (52, 1), (56, 84), (68, size), (72, size)] {
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        bytes.resize(84 + size as usize, 0xa5);
        bytes
    }

    #[test]
    fn the_linked_bytes_of_a_large_program_are_read_when_somebody_asks() {
        let (small, large) = (program(1 << 16), program((MOST_LINKED + 1) as u32));
        let (_file, content) = opened(&small);
        assert_eq!((content.first(), content.linked()), (&*small, &*small));
        let (_file, content) = opened(&large);
        assert!(content.first()[HEAD as usize..].iter().all(|byte| *byte == 0));
        // Only what is linked is there: the header is not.
        assert_eq!(content.linked()[84..], large[84..]);
        let (mut file, content) = opened(&large);
        file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(b"more")).expect("it can be written");
        assert!(content.linked().is_empty());
    }

    #[test]
    fn a_file_that_was_written_to_since_gives_no_more() {
        let (mut file, content) = opened(DEMO);
        file.seek(SeekFrom::End(0)).expect("it has an end");
        file.write_all(b"more").expect("it can be written");
        assert_eq!(content.part(0, 64), None);
        assert_eq!(content.first().len(), DEMO.len());
    }

    #[test]
    fn the_original_is_what_was_parsed_or_nothing() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("app.elf");
        let mut other = DEMO.to_vec();
        let last = other.len() - 1;
        other[last] ^= 0xff;
        let read = (64..HEAD as usize).find(|at| DEMO[*at] != 0).expect("there is something");
        other[read] ^= 0xff;
        let opened = |path: &Path| {
            std::fs::write(path, DEMO).expect("it can be written");
            let file = File::open(path).expect("it can be opened");
            Original(Arc::new(Content::open(file, DEMO.len() as u64).expect("it can be read")))
        };
        let original = opened(&path);
        assert_eq!(original.bytes().as_deref(), Some(DEMO));
        // Another file in its place, as most linkers do it.
        std::fs::write(path.with_extension("tmp"), &other).expect("it can be written");
        std::fs::rename(path.with_extension("tmp"), &path).expect("it can be renamed");
        assert_eq!(original.bytes().as_deref(), Some(DEMO));
        std::fs::remove_file(&path).expect("it can be removed");
        assert_eq!(original.bytes().as_deref(), Some(DEMO));
        // Written to in place, by its time and without.
        for keeps_its_time in [false, true] {
            let original = opened(&path);
            let then = std::fs::metadata(&path).and_then(|found| found.modified()).expect("there is a clock");
            std::fs::write(&path, &other).expect("it can be written");
            let time = if keeps_its_time { then } else { then + std::time::Duration::from_secs(1) };
            let file = File::options().write(true).open(&path).expect("it can be opened");
            file.set_modified(time).expect("its time can be set");
            assert_eq!(original.bytes(), None, "{keeps_its_time}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_survived() {
        for length in (0..DEMO.len()).step_by(997).chain(0..128) {
            let (_file, content) = opened(&DEMO[..length]);
            assert_eq!(content.first().len(), length);
        }
    }

    #[test]
    fn a_range_that_is_named_often_is_read_once() {
        assert_eq!(joined(vec![(0, 8), (4, 8), (0, 8), (20, 4), (12, 1)]), [(0, 13), (20, 4)]);
        assert_eq!(joined(vec![(u64::MAX, 9), (1, u64::MAX)]), [(1, u64::MAX)]);
    }
}
