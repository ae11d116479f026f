//! The debug information: its sections, read once and shared by all that look into it, and those of the files beside the
//! ELF that it names.
//!
//! A unit may lie in `.debug_info`, in `.debug_types` (DWARF 4), or in a `.dwo` or `.dwp` file of which the ELF has a
//! skeleton only (DWARF 5, 3.1.2 and 7.3.2). To the readers they are one list: every entry has one place, a number that grows
//! from unit to unit, whatever file it is from.

mod beside;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::path::Path;

use gimli::{
    AbbreviationsCacheStrategy, AttributeValue, DebugAddrBase, DebugRngListsBase, DebugTypeSignature, Dwarf,
    EndianArcSlice, Reader, RunTimeEndian, Section, SectionId, UnitHeader, UnitOffset, UnitType,
};
use object::Object;

use super::elf_file::ElfFile;
pub(super) use beside::Missing;

/// A piece of a section.
pub(super) type Slice = EndianArcSlice<RunTimeEndian>;
/// One entry of a unit.
pub(super) type Entry = gimli::DebuggingInformationEntry<Slice>;

/// The most units that are kept.
const MAX_UNITS: usize = 1 << 20;

/// The sections that say what lies where, of the ELF and of the files beside it; those of locals and of macros are left out.
pub(super) struct Debug {
    /// The ELF's first.
    files: Vec<Dwarf<Slice>>,
    /// In the order of their places.
    units: Vec<Known>,
    /// The place of the type that a signature stands for.
    signatures: HashMap<DebugTypeSignature, usize>,
    missing: Option<Missing>,
}

/// A unit, before it is read.
struct Known {
    /// The place of its header.
    start: usize,
    /// The place of its section.
    section: usize,
    /// Whose it is, in `files`.
    file: usize,
    header: UnitHeader<Slice>,
    /// What the ELF itself has of it, when it lies in another file.
    skeleton: Option<UnitHeader<Slice>>,
}

/// A compiled unit.
pub(super) struct Unit<'a> {
    debug: &'a Debug,
    /// Where it begins in the debug information.
    pub(super) start: usize,
    section: usize,
    /// The sections that it is in.
    pub(super) dwarf: &'a Dwarf<Slice>,
    /// Its entries.
    pub(super) unit: gimli::Unit<Slice>,
    skeleton: Option<gimli::Unit<Slice>>,
}

impl Debug {
    /// Reads the sections of the file at `path`; there are none when there is no file.
    pub(super) fn read(file: Option<&ElfFile<'_>>, path: &Path) -> Self {
        let Ok(mut dwarf) = Dwarf::load(|id| -> Result<Slice, Infallible> { Ok(wanted(file, id.name(), id)) });
        // Units that share a table would each parse it again.
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let mut debug = Self { files: vec![dwarf], units: Vec::new(), signatures: HashMap::new(), missing: None };
        let skeletons = debug.add(0, None);
        if !skeletons.is_empty() {
            let (others, missing) = beside::read(&debug.files[0], skeletons, path);
            for (dwarf, skeleton) in others {
                debug.files.push(dwarf);
                debug.add(debug.files.len() - 1, skeleton.as_ref());
            }
            debug.missing = missing;
        }
        debug
    }

    /// Takes the units of one file. A skeleton is none: it is given back when the ELF has one.
    fn add(&mut self, file: usize, skeleton: Option<&UnitHeader<Slice>>) -> Vec<UnitHeader<Slice>> {
        let mut skeletons = Vec::new();
        let dwarf = &self.files[file];
        let base = self.units.last().map_or(0, |last| last.start.saturating_add(last.header.length_including_self()));
        let types = base.saturating_add(dwarf.debug_info.reader().len());
        let (mut infos, mut apart) = (dwarf.units(), dwarf.type_units());
        let infos = std::iter::from_fn(|| infos.next().ok().flatten()).map(|header| (base, header));
        let apart = std::iter::from_fn(|| apart.next().ok().flatten()).map(|header| (types, header));
        for (section, header) in infos.chain(apart) {
            if self.units.len() >= MAX_UNITS {
                break;
            }
            let offset = header.debug_info_offset().map(|offset| offset.0);
            let Some(offset) = offset.or_else(|| header.debug_types_offset().map(|offset| offset.0)) else { continue };
            if file == 0 && beside::is_skeleton(dwarf, &header) {
                skeletons.push(header);
                continue;
            }
            let start = section.saturating_add(offset);
            let signed = match header.type_() {
                UnitType::Type { type_signature, type_offset }
                | UnitType::SplitType { type_signature, type_offset } => {
                    Some((type_signature, start.saturating_add(type_offset.0)))
                }
                _ => None,
            };
            // The code of a skeleton is of the unit that was split off, not of the types beside it.
            let skeleton = skeleton.filter(|_| signed.is_none()).cloned();
            if let Some((signature, place)) = signed {
                self.signatures.entry(signature).or_insert(place);
            }
            self.units.push(Known { start, section, file, header, skeleton });
        }
        skeletons
    }

    /// How many units there are.
    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// A unit by its number, from 0 on; `None` when it is damaged.
    pub(super) fn unit(&self, number: usize) -> Option<Unit<'_>> {
        let known = self.units.get(number)?;
        let dwarf = self.files.get(known.file)?;
        let mut unit = dwarf.unit(known.header.clone()).ok()?;
        let skeleton = known.skeleton.clone().and_then(|header| self.skeleton(header));
        if let Some(skeleton) = &skeleton {
            unit.copy_relocated_attributes(skeleton);
        }
        Some(Unit { debug: self, start: known.start, section: known.section, dwarf, unit, skeleton })
    }

    fn skeleton(&self, header: UnitHeader<Slice>) -> Option<gimli::Unit<Slice>> {
        let mut skeleton = self.files[0].unit(header).ok()?;
        // In DWARF 2 and 3 a place in a section has the form of a number, and gimli knows it as a place only where the
        // standard does: not in attributes of GCC's own.
        if skeleton.header.version() < 4 {
            let base = |name| {
                let mut entries = skeleton.entries();
                let base = entries.next_dfs().ok()??.attr_value(name)?.udata_value();
                usize::try_from(base?).ok()
            };
            let (addresses, ranges) = (base(gimli::DW_AT_GNU_addr_base), base(gimli::DW_AT_GNU_ranges_base));
            skeleton.addr_base = addresses.map_or(skeleton.addr_base, DebugAddrBase);
            skeleton.rnglists_base = ranges.map_or(skeleton.rnglists_base, DebugRngListsBase);
        }
        Some(skeleton)
    }

    /// The number of the unit that has the entry at a place.
    pub(super) fn number_of(&self, place: usize) -> Option<usize> {
        self.units.partition_point(|unit| unit.start <= place).checked_sub(1)
    }

    /// Where a unit begins.
    pub(super) fn start(&self, number: usize) -> Option<usize> {
        Some(self.units.get(number)?.start)
    }

    /// What the ELF names and what could not be read.
    pub(super) fn missing(&self) -> Option<&Missing> {
        self.missing.as_ref()
    }

    /// The sections that the ELF itself has: its table of strings is shared by most units.
    pub(super) fn own(&self) -> &Dwarf<Slice> {
        &self.files[0]
    }
}

impl Unit<'_> {
    /// The place of an entry of this unit.
    pub(super) fn place(&self, entry: UnitOffset) -> usize {
        self.start.saturating_add(entry.0)
    }

    /// The entry of this unit at a place.
    pub(super) fn offset(&self, place: usize) -> Option<UnitOffset> {
        let offset = UnitOffset(place.checked_sub(self.start)?);
        offset.is_in_bounds(&self.unit.header).then_some(offset)
    }

    /// The place of the entry that an attribute names.
    pub(super) fn reference(&self, value: &AttributeValue<Slice>) -> Option<usize> {
        match *value {
            AttributeValue::UnitRef(offset) => offset.is_in_bounds(&self.unit.header).then(|| self.place(offset)),
            AttributeValue::DebugInfoRef(offset) => self.section.checked_add(offset.0),
            AttributeValue::DebugTypesRef(signature) => self.debug.signatures.get(&signature).copied(),
            _ => None,
        }
    }

    /// Whether its strings are in the ELF's own table.
    pub(super) fn is_own(&self) -> bool {
        self.skeleton.is_none() && std::ptr::eq(self.dwarf, self.debug.own())
    }

    /// Where its code is.
    ///
    /// # Errors
    ///
    /// Its ranges make no sense.
    pub(super) fn ranges(&self) -> gimli::Result<gimli::RangeIter<Slice>> {
        match &self.skeleton {
            Some(skeleton) => self.debug.own().unit_ranges(skeleton),
            None => self.dwarf.unit_ranges(&self.unit),
        }
    }

    /// The unit that lists the files which its entries name by number, with the sections that it is in: GCC gives a unit that
    /// was split off no list of its own.
    pub(super) fn files(&self) -> (&Dwarf<Slice>, &gimli::Unit<Slice>) {
        if self.unit.line_program.is_some() { (self.dwarf, &self.unit) } else { self.lines() }
    }

    /// The unit that has the lines of its code, with the sections that it is in.
    pub(super) fn lines(&self) -> (&Dwarf<Slice>, &gimli::Unit<Slice>) {
        match &self.skeleton {
            Some(skeleton) => (self.debug.own(), skeleton),
            None => (self.dwarf, &self.unit),
        }
    }
}

/// The sections of that name in a file, joined; empty when it has none.
fn section(file: Option<&ElfFile<'_>>, name: &str) -> Slice {
    let little = file.is_none_or(|file| file.is_little_endian());
    let endian = if little { RunTimeEndian::Little } else { RunTimeEndian::Big };
    EndianArcSlice::new(file.map(|file| file.sections(name)).unwrap_or_default(), endian)
}

/// The same, empty also when nobody looks into such a section.
fn wanted(file: Option<&ElfFile<'_>>, name: &str, id: SectionId) -> Slice {
    section(file, if is_wanted(id) { name } else { "" })
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
            | SectionId::DebugTypes
    )
}

impl Default for Debug {
    fn default() -> Self {
        Self::read(None, Path::new(""))
    }
}

impl fmt::Debug for Debug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debug({} units)", self.units.len())
    }
}
