//! Finds in one walk over the debug information (DWARF versions 2 to 5) which names each unit gives a meaning, and every
//! static: enough to know which units to read when somebody asks for a type.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use gimli::{Abbreviation, EntriesRaw};

use super::attributes::{Files, MAX_DEPTH, Unit, enter, flag};
use crate::image::dwarf::{Debug, Entry, Slice};

/// The most entries that are looked at.
const MAX_ENTRIES: usize = 1 << 23;

/// What the units say, in their order.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Where each unit begins.
    pub(super) units: Vec<usize>,
    /// Hashes of the names that units give to types and enumerators, without their scopes, each with the place of the unit
    /// in `units`; in ascending order.
    pub(super) words: Vec<(u32, u32)>,
    /// Statics by their place in the debug information.
    pub(super) statics: Vec<(usize, Raw)>,
}

/// A static as one entry tells it: a definition may leave its name and type to a declaration.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) name: Option<String>,
    pub(super) linkage: Option<String>,
    pub(super) address: Option<u32>,
    pub(super) kind: Option<usize>,
    pub(super) origin: Option<usize>,
    pub(super) declared: Option<(Arc<str>, u32)>,
}

/// What a name is found by.
pub(super) fn hash(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as u32
}

/// Looks through all units.
pub(super) fn read(dwarf: &Debug) -> Index {
    let mut index = Index::default();
    let mut budget = MAX_ENTRIES;
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next()
        && budget > 0
    {
        let (Some(offset), Ok(unit)) = (header.debug_info_offset(), dwarf.unit(header)) else { continue };
        let mut walk = Walk {
            unit: Unit { dwarf, unit: &unit },
            words: Vec::new(),
            statics: &mut index.statics,
            path: String::new(),
            scopes: Vec::new(),
            files: Files::default(),
        };
        // What a damaged unit says before the damage counts.
        let _ = walk.entries(&mut budget);
        let mut words = walk.words;
        words.sort_unstable();
        words.dedup();
        let number = u32::try_from(index.units.len()).unwrap_or(u32::MAX);
        index.words.extend(words.into_iter().map(|word| (word, number)));
        index.units.push(offset.0);
    }
    index.words.sort_unstable();
    complete(dwarf, &mut index);
    index
}

/// Reads the entries that statics with a place leave their names and types to, as far as they were passed over: with
/// link-time optimisation, the unit that the compiler wrote first says what a static is, and another one where it is.
fn complete(dwarf: &Debug, index: &mut Index) {
    let known: HashSet<usize> = index.statics.iter().map(|(at, _)| *at).collect();
    let wanted = index.statics.iter().filter(|(_, raw)| raw.address.is_some()).filter_map(|(_, raw)| raw.origin);
    let mut wanted: Vec<usize> = wanted.filter(|origin| !known.contains(origin)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut rest = wanted.as_slice();
    while let Some(first) = rest.first() {
        let next = index.units.partition_point(|start| start <= first);
        let end = index.units.get(next).copied().unwrap_or(usize::MAX);
        let (here, others) = rest.split_at(rest.partition_point(|at| *at < end));
        rest = others;
        let Some(start) = next.checked_sub(1).and_then(|unit| index.units.get(unit)) else { continue };
        let header = dwarf.debug_info.header_from_offset(gimli::DebugInfoOffset(*start));
        let Ok(unit) = header.and_then(|header| dwarf.unit(header)) else { continue };
        let mut walk = Walk {
            unit: Unit { dwarf, unit: &unit },
            words: Vec::new(),
            statics: &mut index.statics,
            path: String::new(),
            scopes: Vec::new(),
            files: Files::default(),
        };
        for at in here {
            let Some(offset) = gimli::DebugInfoOffset(*at).to_unit_offset(&unit.header) else { continue };
            if let Ok(entry) = unit.entry(offset)
                && entry.tag() == gimli::DW_TAG_variable
            {
                let raw = walk.told(&entry);
                walk.statics.push((*at, raw));
            }
        }
    }
}

/// A walk over one unit.
struct Walk<'a> {
    unit: Unit<'a>,
    words: Vec<u32>,
    statics: &'a mut Vec<(usize, Raw)>,
    /// The scopes around the next entry: `core::fmt`.
    path: String,
    /// The depth of each of them, and how long the path was outside of it.
    scopes: Vec<(isize, usize)>,
    files: Files,
}

impl Walk<'_> {
    fn entries(&mut self, budget: &mut usize) -> gimli::Result<()> {
        let mut entries = self.unit.unit.entries_raw(None)?;
        while *budget > 0 && !entries.is_empty() {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let Some(kind) = entries.read_abbreviation()? else { continue };
            *budget -= 1;
            while let Some((_, length)) = self.scopes.pop_if(|(scope, _)| *scope >= depth) {
                self.path.truncate(length);
            }
            if depth > MAX_DEPTH as isize {
                entries.skip_attributes(kind.attributes())?;
                continue;
            }
            match kind.tag() {
                gimli::DW_TAG_namespace
                | gimli::DW_TAG_structure_type
                | gimli::DW_TAG_class_type
                | gimli::DW_TAG_union_type => {
                    if let Some(name) = self.name(&mut entries, kind)? {
                        self.words.push(hash(&name));
                        self.scopes.push((depth, self.path.len()));
                        enter(&mut self.path, &name);
                    }
                }
                gimli::DW_TAG_base_type
                | gimli::DW_TAG_enumeration_type
                | gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_typedef
                | gimli::DW_TAG_enumerator => {
                    let name = self.name(&mut entries, kind)?;
                    self.words.extend(name.map(|name| hash(&name)));
                }
                gimli::DW_TAG_variable if self.may_be_static(&mut entries, kind)? => {
                    self.variable(&self.unit.unit.entry(offset)?);
                }
                // A static member is a variable that is declared here and defined elsewhere.
                gimli::DW_TAG_member if has(kind, gimli::DW_AT_external) => {
                    entries.skip_attributes(kind.attributes())?;
                    let entry = self.unit.unit.entry(offset)?;
                    if flag(&entry, gimli::DW_AT_external) {
                        self.variable(&entry);
                    }
                }
                gimli::DW_TAG_variable => {}
                _ => entries.skip_attributes(kind.attributes())?,
            }
        }
        Ok(())
    }

    /// Reads an entry for its name.
    fn name(&self, entries: &mut EntriesRaw<'_, Slice>, kind: &Abbreviation) -> gimli::Result<Option<String>> {
        let mut name = None;
        for attribute in kind.attributes() {
            let attribute = entries.read_attribute(*attribute)?;
            if attribute.name() == gimli::DW_AT_name {
                name = self.unit.string(attribute.value());
            }
        }
        Ok(name)
    }

    /// Reads a variable's entry: whether it is more than a local one, which has no place of its own.
    fn may_be_static(&self, entries: &mut EntriesRaw<'_, Slice>, kind: &Abbreviation) -> gimli::Result<bool> {
        let links = [gimli::DW_AT_external, gimli::DW_AT_specification, gimli::DW_AT_abstract_origin];
        let mut may = links.into_iter().any(|link| has(kind, link));
        for attribute in kind.attributes() {
            let attribute = entries.read_attribute(*attribute)?;
            if !may && attribute.name() == gimli::DW_AT_location {
                may = self.unit.place(&attribute.value()).is_some();
            }
        }
        Ok(may)
    }

    fn variable(&mut self, entry: &Entry) {
        let Some(offset) = self.unit.offset(entry) else { return };
        let is_placed = entry.attr_value(gimli::DW_AT_location).is_some_and(|place| self.unit.place(&place).is_some());
        let links = [gimli::DW_AT_specification, gimli::DW_AT_abstract_origin];
        let is_linked = links.into_iter().any(|link| self.unit.reference(entry, link).is_some());
        if is_placed || is_linked || flag(entry, gimli::DW_AT_external) {
            let raw = self.told(entry);
            self.statics.push((offset, raw));
        }
    }

    fn told(&mut self, entry: &Entry) -> Raw {
        let unit = self.unit;
        let path = &self.path;
        let scoped = |name| if path.is_empty() { name } else { format!("{path}::{name}") };
        let name = unit.name(entry).map(scoped);
        Raw {
            name,
            linkage: entry.attr_value(gimli::DW_AT_linkage_name).and_then(|name| unit.string(name)),
            address: entry.attr_value(gimli::DW_AT_location).and_then(|place| unit.place(&place)),
            kind: unit.kind(entry),
            origin: unit
                .reference(entry, gimli::DW_AT_specification)
                .or_else(|| unit.reference(entry, gimli::DW_AT_abstract_origin)),
            declared: self.files.declared(unit, entry),
        }
    }
}

fn has(kind: &Abbreviation, attribute: gimli::DwAt) -> bool {
    kind.attributes().iter().any(|known| known.name() == attribute)
}
