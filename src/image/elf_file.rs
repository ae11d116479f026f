//! The ELF file behind an image: its tables, and its debug sections when somebody asks for one.

use std::ops::Deref;
use std::sync::Arc;

use object::read::elf::{ElfFile32, ElfSection32};
use object::{CompressedData, CompressionFormat, Endianness, Object, ObjectSection};

use super::content::Content;

/// The most sections of one name that are read.
const MOST_SECTIONS: usize = 1 << 14;

/// One file: everything but the content of debug sections is at hand.
pub(super) struct ElfFile<'a> {
    tables: ElfFile32<'a, Endianness>,
    content: &'a Content,
    /// The file that its debug information was moved to.
    stripped: Option<Box<ElfFile<'a>>>,
}

impl<'a> ElfFile<'a> {
    /// The file of that content; `None` when it is none of 32 bits.
    pub(super) fn of(content: &'a Content) -> Option<Self> {
        Some(Self { tables: ElfFile32::parse(content.first()).ok()?, content, stripped: None })
    }

    /// The same, whose debug information was moved to a file of that content.
    pub(super) fn stripped_into(self, content: Option<&'a Content>) -> Self {
        Self { stripped: content.and_then(ElfFile::of).map(Box::new), ..self }
    }

    /// The content of a section, inflated when it is compressed; empty when there is none, and when the file was written to
    /// since it was opened. One that says it inflates beyond all measure is left out before it is inflated.
    pub(super) fn section(&self, name: &str) -> Arc<[u8]> {
        let moved = || self.stripped.as_ref().and_then(|file| file.stored(name));
        self.stored(name).or_else(moved).unwrap_or_default()
    }

    /// The content of all sections of that name, one behind the other: in an object file, what may be dropped as one has a
    /// section of its own.
    pub(super) fn sections(&self, name: &str) -> Arc<[u8]> {
        let is_named = |section: &ElfSection32<'_, '_, Endianness>| section.name() == Ok(name);
        let all: Vec<_> = self.tables.sections().filter(is_named).take(MOST_SECTIONS).collect();
        if all.len() < 2 {
            return self.section(name);
        }
        all.iter().filter_map(|section| self.content_of(section)).flat_map(|bytes| bytes.to_vec()).collect()
    }

    fn stored(&self, name: &str) -> Option<Arc<[u8]>> {
        self.content_of(&self.tables.section_by_name(name)?)
    }

    fn content_of(&self, section: &ElfSection32<'_, '_, Endianness>) -> Option<Arc<[u8]>> {
        const AT_LEAST: u64 = 64 << 20;
        const AT_MOST: u64 = 1 << 30;
        let range = section.compressed_file_range().ok()?;
        let allowed = (self.content.first().len() as u64 * 8).clamp(AT_LEAST, AT_MOST);
        if range.uncompressed_size > allowed {
            return None;
        }
        let data = self.content.part(range.offset, range.compressed_size)?;
        if range.format == CompressionFormat::None {
            return Some(data);
        }
        let packed = CompressedData { format: range.format, data: &data, uncompressed_size: range.uncompressed_size };
        Some(packed.decompress().ok()?.into())
    }
}

impl<'a> Deref for ElfFile<'a> {
    type Target = ElfFile32<'a, Endianness>;

    fn deref(&self) -> &Self::Target {
        &self.tables
    }
}
