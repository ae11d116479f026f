//! The debug information: its sections, read once and shared by all that look into it.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;

use gimli::{AbbreviationsCacheStrategy, Dwarf, EndianArcSlice, Reader, RunTimeEndian, Section, SectionId};
use object::Object;

use super::elf_file::ElfFile;

/// A piece of a section.
pub(super) type Slice = EndianArcSlice<RunTimeEndian>;
/// A compiled unit.
pub(super) type Unit = gimli::Unit<Slice>;
/// One entry of a unit.
pub(super) type Entry = gimli::DebuggingInformationEntry<Slice>;

/// The sections that say what lies where; those of locals and of macros are left out.
pub(super) struct Debug(Dwarf<Slice>);

impl Debug {
    /// Reads the sections; there are none when there is no file.
    pub(super) fn read(file: Option<&ElfFile<'_>>) -> Self {
        let little = file.is_none_or(|file| file.is_little_endian());
        let endian = if little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let load = |id: SectionId| -> Result<Slice, Infallible> {
            let bytes = file.filter(|_| is_wanted(id)).map(|file| file.section(id.name()));
            Ok(EndianArcSlice::new(bytes.unwrap_or_default(), endian))
        };
        let Ok(mut dwarf) = Dwarf::load(load);
        // Units that share a table would each parse it again.
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        Self(dwarf)
    }
}

fn is_wanted(id: SectionId) -> bool {
    matches!(
        id,
        SectionId::DebugAbbrev
            | SectionId::DebugAddr
            | SectionId::DebugInfo
            | SectionId::DebugLine
            | SectionId::DebugLineStr
            | SectionId::DebugRanges
            | SectionId::DebugRngLists
            | SectionId::DebugStr
            | SectionId::DebugStrOffsets
    )
}

impl Default for Debug {
    fn default() -> Self {
        Self::read(None)
    }
}

impl Deref for Debug {
    type Target = Dwarf<Slice>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for Debug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debug({} bytes of entries)", self.0.debug_info.reader().len())
    }
}
