//! The ELF file behind an image: its tables, and its debug sections when somebody asks for one.

use std::ops::Deref;
use std::sync::Arc;

use object::read::elf::ElfFile32;
use object::{CompressedData, CompressionFormat, Endianness, Object, ObjectSection};

use super::content::Content;

/// One file: everything but the content of debug sections is at hand.
pub(super) struct ElfFile<'a> {
    tables: ElfFile32<'a, Endianness>,
    content: &'a Content,
}

impl<'a> ElfFile<'a> {
    /// The file of that content; `None` when it is none of 32 bits.
    pub(super) fn of(content: &'a Content) -> Option<Self> {
        Some(Self { tables: ElfFile32::parse(content.first()).ok()?, content })
    }

    /// The content of a section, inflated when it is compressed; empty when there is none, and when the file was written to
    /// since it was opened. One that says it inflates beyond all measure is left out before it is inflated.
    pub(super) fn section(&self, name: &str) -> Arc<[u8]> {
        self.stored(name).unwrap_or_default()
    }

    fn stored(&self, name: &str) -> Option<Arc<[u8]>> {
        const AT_LEAST: u64 = 64 << 20;
        const AT_MOST: u64 = 1 << 30;
        let range = self.tables.section_by_name(name)?.compressed_file_range().ok()?;
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
