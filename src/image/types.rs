//! Where the fields of a firmware's statics lie, read from the debug information by name: never by fixed offset.

use std::collections::HashMap;

use gimli::{AttributeValue, DwarfSections, EndianSlice, EntriesTreeNode, RunTimeEndian, Unit};
use object::read::elf::ElfFile32;
use object::{Endianness, Object};

use super::section_content;

/// The deepest nesting of scopes that is followed.
const MAX_DEPTH: usize = 256;
/// The most entries that are read.
const MAX_ENTRIES: usize = 1 << 22;
/// The deepest nesting of fields that is followed from a static.
const MAX_FIELDS: usize = 16;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The structures of a firmware and the statics that hold them.
#[derive(Clone, Debug, Default)]
pub struct Types {
    structs: HashMap<usize, Struct>,
    statics: Vec<(u32, usize)>,
}

/// A structure.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// Its name with its scopes: `linked_list_allocator::hole::HoleList`.
    pub name: String,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    offset: u32,
    kind: usize,
}

impl Types {
    pub(super) fn read(file: &ElfFile32<'_, Endianness>) -> Self {
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let load = |id: gimli::SectionId| -> Result<_, gimli::Error> {
            Ok(section_content(file, id.name()).unwrap_or_default())
        };
        let mut types = Self::default();
        let Ok(sections) = DwarfSections::load(load) else { return types };
        let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
        let mut units = dwarf.units();
        let mut budget = MAX_ENTRIES;
        while let Ok(Some(header)) = units.next() {
            let Ok(unit) = dwarf.unit(header) else { continue };
            let mut reader = Reader { dwarf: &dwarf, unit: &unit, types: &mut types, budget: &mut budget };
            if let Ok(mut tree) = unit.entries_tree(None)
                && let Ok(root) = tree.root()
            {
                reader.scope(root, "", 0);
            }
        }
        types
    }

    /// The statics that hold, at any depth, a structure whose name ends with `name`: the address of each such
    /// structure, and the structure.
    #[must_use]
    pub fn holders(&self, name: &str) -> Vec<(u32, &Struct)> {
        let mut found = Vec::new();
        for (address, kind) in &self.statics {
            self.search(*address, *kind, name, 0, &mut found);
        }
        found.sort_by_key(|(address, _)| *address);
        found.dedup_by_key(|(address, _)| *address);
        found
    }

    /// The offset in bytes of the field that `path` names from `within`: `["first", "next"]`.
    #[must_use]
    pub fn offset(&self, within: &Struct, path: &[&str]) -> Option<u32> {
        let (first, rest) = path.split_first()?;
        let member = within.members.iter().find(|member| member.name == *first)?;
        if rest.is_empty() {
            return Some(member.offset);
        }
        Some(member.offset + self.offset(self.structs.get(&member.kind)?, rest)?)
    }

    fn search<'a>(&'a self, address: u32, kind: usize, name: &str, depth: usize, found: &mut Vec<(u32, &'a Struct)>) {
        let Some(held) = self.structs.get(&kind) else { return };
        if held.name.ends_with(name) {
            found.push((address, held));
            return;
        }
        if depth < MAX_FIELDS {
            for member in &held.members {
                self.search(address.saturating_add(member.offset), member.kind, name, depth + 1, found);
            }
        }
    }
}

/// Reads one unit.
struct Reader<'a, 'data> {
    dwarf: &'a gimli::Dwarf<Slice<'data>>,
    unit: &'a Unit<Slice<'data>>,
    types: &'a mut Types,
    budget: &'a mut usize,
}

impl<'data> Reader<'_, 'data> {
    fn scope(&mut self, node: EntriesTreeNode<'_, '_, Slice<'data>>, path: &str, depth: usize) {
        if depth > MAX_DEPTH || *self.budget == 0 {
            return;
        }
        *self.budget -= 1;
        let entry = node.entry().clone();
        let name = self.name(&entry);
        let inner = match (entry.tag(), &name) {
            (
                gimli::DW_TAG_namespace
                | gimli::DW_TAG_structure_type
                | gimli::DW_TAG_class_type
                | gimli::DW_TAG_union_type,
                Some(name),
            ) => {
                if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}::{name}")
                }
            }
            _ => path.to_owned(),
        };
        let offset = entry.offset().to_debug_info_offset(&self.unit.header).map(|offset| offset.0);
        match entry.tag() {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type | gimli::DW_TAG_union_type => {
                if let Some(offset) = offset {
                    self.types.structs.insert(offset, Struct { name: inner.clone(), members: Vec::new() });
                }
            }
            gimli::DW_TAG_variable => {
                if let (Some(address), Some(kind)) = (self.address(&entry), self.kind(&entry)) {
                    self.types.statics.push((address, kind));
                }
            }
            _ => {}
        }
        let parent = offset;
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            if child.entry().tag() == gimli::DW_TAG_member {
                let entry = child.entry().clone();
                let member = self.member(&entry);
                let held = parent.and_then(|parent| self.types.structs.get_mut(&parent));
                if let (Some(held), Some(member)) = (held, member) {
                    held.members.push(member);
                }
            } else {
                self.scope(child, &inner, depth + 1);
            }
        }
    }

    fn member(&self, entry: &gimli::DebuggingInformationEntry<Slice<'data>>) -> Option<Member> {
        let offset = entry.attr_value(gimli::DW_AT_data_member_location).and_then(|value| value.udata_value());
        Some(Member {
            name: self.name(entry).unwrap_or_default(),
            // A union's members have no location: they lie at its start.
            offset: u32::try_from(offset.unwrap_or(0)).ok()?,
            kind: self.kind(entry)?,
        })
    }

    fn name(&self, entry: &gimli::DebuggingInformationEntry<Slice<'data>>) -> Option<String> {
        let value = entry.attr_value(gimli::DW_AT_name)?;
        let text = self.dwarf.attr_string(self.unit, value).ok()?;
        Some(crate::units::printable(&text.to_string_lossy(), 4096))
    }

    fn kind(&self, entry: &gimli::DebuggingInformationEntry<Slice<'data>>) -> Option<usize> {
        match entry.attr_value(gimli::DW_AT_type)? {
            AttributeValue::UnitRef(offset) => Some(offset.to_debug_info_offset(&self.unit.header)?.0),
            AttributeValue::DebugInfoRef(offset) => Some(offset.0),
            _ => None,
        }
    }

    /// The address of a static: a location that is one address and nothing else.
    fn address(&self, entry: &gimli::DebuggingInformationEntry<Slice<'data>>) -> Option<u32> {
        let AttributeValue::Exprloc(expression) = entry.attr_value(gimli::DW_AT_location)? else { return None };
        let mut operations = expression.operations(self.unit.encoding());
        let first = operations.next().ok()??;
        let address = match first {
            gimli::Operation::Address { address } => address,
            gimli::Operation::AddressIndex { index } => self.dwarf.address(self.unit, index).ok()?,
            _ => return None,
        };
        operations.next().ok()?.is_none().then(|| u32::try_from(address).ok())?
    }
}
