//! Finds in one walk over the debug information (DWARF versions 2 to 5) which names each unit gives a meaning, and every
//! static: enough to know which units to read when somebody asks for a type.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use gimli::{Abbreviation, AttributeValue, DebugStrOffset, EntriesRaw};

use super::attributes::{Files, MAX_DEPTH, Unit, enter, flag, listed};
use crate::image::dwarf::{Debug, Entry, Slice, Unit as Compiled};

/// The most entries that are looked at.
const MAX_ENTRIES: usize = 1 << 23;

/// What the units say, in their order.
#[derive(Debug, Default)]
pub(super) struct Index {
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
pub(super) fn read(debug: &Debug) -> Index {
    let mut index = Index::default();
    let mut by_offset = Vec::new();
    let mut budget = MAX_ENTRIES;
    for number in 0..u32::try_from(debug.len()).unwrap_or(u32::MAX) {
        if budget == 0 {
            break;
        }
        let Some(unit) = debug.unit(number as usize) else { continue };
        let mut walk = Walk::new(&unit, &mut index.statics);
        // What a damaged unit says before the damage counts.
        let _ = walk.entries(&mut budget);
        note(&mut index.words, walk.words, number);
        note(&mut by_offset, walk.listed, number);
    }
    sort(&mut by_offset);
    let mut last = None;
    by_offset.retain_mut(|(word, _)| {
        let hash = match last {
            Some((offset, hash)) if offset == *word => hash,
            _ => listed(debug.own(), DebugStrOffset(*word as usize)).map(|name| hash(&name)),
        };
        last = Some((*word, hash));
        *word = hash.unwrap_or_default();
        hash.is_some()
    });
    index.words.append(&mut by_offset);
    sort(&mut index.words);
    index.words.dedup();
    complete(debug, &mut index);
    index
}

/// Adds what one unit said, each word once.
fn note(all: &mut Vec<(u32, u32)>, mut words: Vec<u32>, unit: u32) {
    words.sort_unstable();
    words.dedup();
    all.extend(words.into_iter().map(|word| (word, unit)));
}

/// Sorts pairs as one number each, which takes half the time.
fn sort(words: &mut [(u32, u32)]) {
    words.sort_unstable_by_key(|(word, unit)| u64::from(*word) << 32 | u64::from(*unit));
}

/// Reads the entries that statics with a place leave their names and types to, as far as they were passed over: with
/// link-time optimisation, the unit that the compiler wrote first says what a static is, and another one where it is.
fn complete(debug: &Debug, index: &mut Index) {
    let known: HashSet<usize> = index.statics.iter().map(|(at, _)| *at).collect();
    let wanted = index.statics.iter().filter(|(_, raw)| raw.address.is_some()).filter_map(|(_, raw)| raw.origin);
    let mut wanted: Vec<usize> = wanted.filter(|origin| !known.contains(origin)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut rest = wanted.as_slice();
    while let Some(first) = rest.first() {
        let number = debug.number_of(*first);
        let end = debug.start(number.map_or(0, |number| number + 1)).unwrap_or(usize::MAX);
        let (here, others) = rest.split_at(rest.partition_point(|at| *at < end));
        rest = others;
        let Some(unit) = number.and_then(|number| debug.unit(number)) else { continue };
        let mut walk = Walk::new(&unit, &mut index.statics);
        for at in here {
            let Some(offset) = unit.offset(*at) else { continue };
            if let Ok(entry) = unit.unit.entry(offset)
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
    /// Names by their offset in the table of strings. Most are there, and units share them: each is looked up once for all
    /// units, and in the order of the table.
    listed: Vec<u32>,
    statics: &'a mut Vec<(usize, Raw)>,
    /// The names of the scopes around the next entry, with the depth of each.
    scopes: Vec<(isize, AttributeValue<Slice>)>,
    /// The outer ones of them as a path, as far as somebody asked: `core::fmt`. Most scopes have no static in them.
    path: String,
    /// How long the path was outside of each scope that is in it.
    entered: Vec<usize>,
    files: Files,
}

impl<'a> Walk<'a> {
    fn new(unit: &'a Compiled<'a>, statics: &'a mut Vec<(usize, Raw)>) -> Self {
        Self {
            unit: Unit(unit),
            words: Vec::new(),
            listed: Vec::new(),
            statics,
            scopes: Vec::new(),
            path: String::new(),
            entered: Vec::new(),
            files: Files::default(),
        }
    }

    fn entries(&mut self, budget: &mut usize) -> gimli::Result<()> {
        let mut entries = self.unit.0.unit.entries_raw(None)?;
        while *budget > 0 && !entries.is_empty() {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let Some(kind) = entries.read_abbreviation()? else { continue };
            *budget -= 1;
            self.leave(depth);
            if depth > MAX_DEPTH as isize {
                entries.skip_attributes(kind.attributes())?;
                continue;
            }
            match kind.tag() {
                gimli::DW_TAG_namespace
                | gimli::DW_TAG_structure_type
                | gimli::DW_TAG_class_type
                | gimli::DW_TAG_union_type => {
                    if let Some(name) = attribute(&mut entries, kind, gimli::DW_AT_name)? {
                        self.name(&name);
                        self.scopes.push((depth, name));
                    }
                }
                gimli::DW_TAG_base_type
                | gimli::DW_TAG_enumeration_type
                | gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_typedef
                | gimli::DW_TAG_enumerator => {
                    if let Some(name) = attribute(&mut entries, kind, gimli::DW_AT_name)? {
                        self.name(&name);
                    }
                }
                gimli::DW_TAG_variable if self.may_be_static(&mut entries, kind)? => {
                    self.variable(&self.unit.0.unit.entry(offset)?);
                }
                // A static member is a variable that is declared here and defined elsewhere.
                gimli::DW_TAG_member if has(kind, gimli::DW_AT_external) => {
                    entries.skip_attributes(kind.attributes())?;
                    let entry = self.unit.0.unit.entry(offset)?;
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

    /// Notes that the unit gives a name a meaning.
    fn name(&mut self, name: &AttributeValue<Slice>) {
        match self.unit.listed(name).map(|offset| u32::try_from(offset.0)) {
            Some(offset) => self.listed.extend(offset),
            None => self.words.extend(self.unit.string(name.clone()).map(|name| hash(&name))),
        }
    }

    /// Reads a variable's entry: whether it is more than a local one, which has no place of its own. What an inlined
    /// function keeps says no more than its origin when it has no place either.
    fn may_be_static(&self, entries: &mut EntriesRaw<'_, Slice>, kind: &Abbreviation) -> gimli::Result<bool> {
        let links = [gimli::DW_AT_external, gimli::DW_AT_specification];
        let place = attribute(entries, kind, gimli::DW_AT_location)?;
        Ok(links.into_iter().any(|link| has(kind, link))
            || place.is_some_and(|place| self.unit.place(&place).is_some()))
    }

    /// Leaves the scopes that do not hold an entry at that depth.
    fn leave(&mut self, depth: isize) {
        while self.scopes.pop_if(|(scope, _)| *scope >= depth).is_some() {
            if self.entered.len() > self.scopes.len()
                && let Some(length) = self.entered.pop()
            {
                self.path.truncate(length);
            }
        }
    }

    /// The path of all scopes around the next entry.
    fn path(&mut self) -> &str {
        for (_, name) in &self.scopes[self.entered.len()..] {
            self.entered.push(self.path.len());
            if let Some(name) = self.unit.string(name.clone()) {
                enter(&mut self.path, &name);
            }
        }
        &self.path
    }

    fn variable(&mut self, entry: &Entry) {
        let offset = self.unit.offset(entry);
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
        let path = self.path();
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

/// Reads an entry to its end for one of its attributes.
fn attribute(
    entries: &mut EntriesRaw<'_, Slice>,
    kind: &Abbreviation,
    wanted: gimli::DwAt,
) -> gimli::Result<Option<AttributeValue<Slice>>> {
    let all = kind.attributes();
    let Some(at) = all.iter().position(|known| known.name() == wanted) else {
        return entries.skip_attributes(all).map(|()| None);
    };
    entries.skip_attributes(&all[..at])?;
    let value = entries.read_attribute(all[at])?.value();
    entries.skip_attributes(&all[at + 1..])?;
    Ok(Some(value))
}

fn has(kind: &Abbreviation, attribute: gimli::DwAt) -> bool {
    kind.attributes().iter().any(|known| known.name() == attribute)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::image::Image;

    /// Words with their unit, and where addresses are given to variables.
    #[derive(Default)]
    struct Plain {
        words: BTreeSet<(u32, u32)>,
        places: BTreeSet<(usize, u32)>,
    }

    /// What the units say by a walk that reads every attribute of every entry.
    fn plain(debug: &Debug) -> Plain {
        let mut plain = Plain::default();
        let Plain { words, places } = &mut plain;
        for number in 0..debug.len() {
            let unit = debug.unit(number).expect("the unit is whole");
            let (all, number) = (Unit(&unit), number as u32);
            let mut entries = unit.unit.entries();
            while let Ok(Some(entry)) = entries.next_dfs() {
                match entry.tag() {
                    gimli::DW_TAG_namespace
                    | gimli::DW_TAG_structure_type
                    | gimli::DW_TAG_class_type
                    | gimli::DW_TAG_union_type
                    | gimli::DW_TAG_base_type
                    | gimli::DW_TAG_enumeration_type
                    | gimli::DW_TAG_pointer_type
                    | gimli::DW_TAG_typedef
                    | gimli::DW_TAG_enumerator => words.extend(all.name(entry).map(|name| (hash(&name), number))),
                    gimli::DW_TAG_variable => {
                        let place = entry.attr_value(gimli::DW_AT_location).and_then(|place| all.place(&place));
                        places.extend(place.map(|place| (all.offset(entry), place)));
                    }
                    _ => {}
                }
            }
        }
        plain
    }

    #[test]
    fn the_index_has_all_that_a_plain_walk_finds_and_no_more() {
        for file in ["assets/demo.elf", "tests/fixtures/static/tasks.elf", "tests/fixtures/run/run.elf"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let debug = Image::open(&path).expect("it opens").debug();
            let Plain { words, places } = plain(&debug);
            let index = read(&debug);
            assert!(words.len() > 50 && !places.is_empty(), "{file}: {} {}", words.len(), places.len());
            assert!(index.words.is_sorted() && index.words.iter().copied().eq(words), "{file}");
            let placed = index.statics.iter().filter_map(|(at, raw)| Some((*at, raw.address?)));
            assert!(placed.eq(places), "{file}");
        }
    }

    #[test]
    fn a_static_has_the_scopes_around_it_and_no_other() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/static/tasks.elf");
        let image = Image::open(&path).expect("it opens");
        let mut known = 0;
        for (_, raw) in read(&image.debug()).statics {
            let (Some(name), Some(linkage)) = (raw.name, raw.linkage) else { continue };
            let linkage = crate::image::symbols::demangle(&linkage);
            // Rust's linked names have the scopes in them, and `{impl}` blocks and closures besides.
            if linkage.contains("::") && !linkage.contains(['<', '{']) {
                assert_eq!(name, linkage);
                known += 1;
            }
        }
        assert!(known > 3, "{known}");
    }

    #[test]
    fn names_without_an_end_are_cut() {
        use object::{Object, ObjectSection};

        use super::super::attributes::MAX_PATH;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let mut bytes = std::fs::read(&path).expect("the demo is there");
        let file = object::File::parse(&*bytes).expect("it is an ELF");
        let (start, size) =
            file.section_by_name(".debug_str").and_then(|held| held.file_range()).expect("it has names");
        for byte in &mut bytes[start as usize..(start + size) as usize] {
            *byte = if *byte == 0 { b'x' } else { *byte };
        }
        let image = Image::parse(&path, &bytes).expect("it opens");
        let longest =
            read(&image.debug()).statics.iter().filter_map(|(_, raw)| raw.linkage.as_ref()?.len().into()).max();
        // The last character stands for the rest.
        assert_eq!(longest, Some(MAX_PATH - 1 + '…'.len_utf8()));
    }
}
