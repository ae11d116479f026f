//! Reads types and statics from DWARF (versions 2 to 5), bounded in entries, depth and members.

use std::collections::HashMap;
use std::sync::Arc;

use gimli::{
    AttributeValue, DebuggingInformationEntry, DwarfSections, EndianSlice, EntriesTreeNode, RunTimeEndian, Unit,
};
use object::read::elf::ElfFile32;
use object::{Endianness, Object};

use super::{Coding, Member, Shape, Static, Struct, Types, Variants};
use crate::image::{lines, section_content};

/// The deepest nesting of scopes that is followed.
const MAX_DEPTH: usize = 256;
/// The most entries that are read.
const MAX_ENTRIES: usize = 1 << 22;
/// The most members of one structure that are kept.
const MAX_MEMBERS: usize = 1 << 12;
/// The longest way from a definition to the declaration that it completes.
const MAX_LINKS: usize = 4;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// A static as one entry tells it: a definition may leave its name and type to a declaration.
#[derive(Debug, Default)]
struct Raw {
    name: Option<String>,
    linkage: Option<String>,
    address: Option<u32>,
    kind: Option<usize>,
    origin: Option<usize>,
    declared: Option<(Arc<str>, u32)>,
}

/// All types and statics of `file`.
pub(super) fn read(file: &ElfFile32<'_, Endianness>) -> Types {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let load =
        |id: gimli::SectionId| -> Result<_, gimli::Error> { Ok(section_content(file, id.name()).unwrap_or_default()) };
    let mut types = Types::default();
    let Ok(sections) = DwarfSections::load(load) else { return types };
    let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
    let mut units = dwarf.units();
    let mut budget = MAX_ENTRIES;
    let mut raw = Vec::new();
    while let Ok(Some(header)) = units.next() {
        let Ok(unit) = dwarf.unit(header) else { continue };
        let mut reader = Reader {
            dwarf: &dwarf,
            unit: &unit,
            types: &mut types,
            raw: &mut raw,
            budget: &mut budget,
            files: HashMap::new(),
        };
        if let Ok(mut tree) = unit.entries_tree(None)
            && let Ok(root) = tree.root()
        {
            reader.scope(root, "", 0);
        }
    }
    join(&mut types, &raw);
    types
}

/// Gives each static the name and type of the declaration that it completes.
fn join(types: &mut Types, raw: &[(usize, Raw)]) {
    let by_offset: HashMap<usize, &Raw> = raw.iter().map(|(offset, raw)| (*offset, raw)).collect();
    for (_, first) in raw {
        let mut chain = vec![first];
        while let Some(origin) = chain.last().and_then(|last| last.origin)
            && let Some(next) = by_offset.get(&origin)
            && chain.len() <= MAX_LINKS
        {
            chain.push(next);
        }
        let Some(name) = chain.iter().find_map(|raw| raw.name.clone()) else { continue };
        let linkage = chain.iter().find_map(|raw| raw.linkage.clone());
        let held = Static {
            address: chain.iter().find_map(|raw| raw.address),
            kind: chain.iter().find_map(|raw| raw.kind),
            declared: chain.iter().find_map(|raw| raw.declared.clone()),
            name,
        };
        let index = types.statics.len();
        let short = held.name.rsplit("::").next().filter(|short| *short != held.name).map(ToOwned::to_owned);
        for known in [Some(held.name.clone()), short, linkage].into_iter().flatten() {
            let known = types.statics_by_name.entry(known).or_default();
            if known.last() != Some(&index) {
                known.push(index);
            }
        }
        if let Some(address) = held.address.filter(|_| held.kind.is_some()) {
            types.statics_by_address.entry(address).or_insert(index);
        }
        types.statics.push(held);
    }
}

/// Reads one unit.
struct Reader<'a, 'data> {
    dwarf: &'a gimli::Dwarf<Slice<'data>>,
    unit: &'a Unit<Slice<'data>>,
    types: &'a mut Types,
    raw: &'a mut Vec<(usize, Raw)>,
    budget: &'a mut usize,
    /// Paths of source files, by their number in this unit.
    files: HashMap<u64, Option<Arc<str>>>,
}

impl<'data> Reader<'_, 'data> {
    fn scope(&mut self, node: EntriesTreeNode<'_, '_, Slice<'data>>, path: &str, depth: usize) {
        if depth > MAX_DEPTH || *self.budget == 0 {
            return;
        }
        *self.budget -= 1;
        let entry = node.entry().clone();
        let Some(offset) = entry.offset().to_debug_info_offset(&self.unit.header).map(|offset| offset.0) else {
            return;
        };
        let name = self.name(&entry);
        let named = || match &name {
            Some(name) if path.is_empty() => name.clone(),
            Some(name) => format!("{path}::{name}"),
            None => String::new(),
        };
        let opens_scope = matches!(
            entry.tag(),
            gimli::DW_TAG_namespace
                | gimli::DW_TAG_structure_type
                | gimli::DW_TAG_class_type
                | gimli::DW_TAG_union_type
        ) && name.is_some();
        let inner = if opens_scope { named() } else { path.to_owned() };
        if let Some(shape) = self.shape(&entry, &named) {
            if name.is_some() {
                self.types.names.entry(named()).or_default().push(offset);
            }
            self.types.shapes.insert(offset, shape);
        } else if entry.tag() == gimli::DW_TAG_variable {
            self.variable(&entry, offset, name.as_ref().map(|_| named()));
        }
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            match child.entry().tag() {
                gimli::DW_TAG_member => {
                    let entry = child.entry().clone();
                    self.member(offset, &entry, &inner);
                }
                gimli::DW_TAG_subrange_type => self.dimension(offset, &child.entry().clone()),
                gimli::DW_TAG_enumerator => self.enumerator(offset, &child.entry().clone()),
                gimli::DW_TAG_variant_part => self.variants(offset, child),
                _ => self.scope(child, &inner, depth + 1),
            }
        }
    }

    /// What kind of type an entry is; `None` when it is none.
    fn shape(&self, entry: &Entry<'data>, name: &dyn Fn() -> String) -> Option<Shape> {
        let size = number(entry, gimli::DW_AT_byte_size);
        Some(match entry.tag() {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type | gimli::DW_TAG_union_type => {
                Shape::Struct(Struct {
                    name: name(),
                    size,
                    is_declaration: flag(entry, gimli::DW_AT_declaration),
                    members: Vec::new(),
                    variants: None,
                })
            }
            gimli::DW_TAG_base_type => {
                let coding = match entry.attr_value(gimli::DW_AT_encoding) {
                    Some(AttributeValue::Encoding(encoding)) => coding(encoding),
                    _ => Coding::Unsigned,
                };
                Shape::Base { name: self.name(entry).unwrap_or_default(), size: size?, coding }
            }
            gimli::DW_TAG_enumeration_type => {
                Shape::Enumeration { name: name(), size: size.unwrap_or(4), of: self.kind(entry), names: Vec::new() }
            }
            gimli::DW_TAG_pointer_type | gimli::DW_TAG_reference_type | gimli::DW_TAG_rvalue_reference_type => {
                let size = size.unwrap_or_else(|| u32::from(self.unit.encoding().address_size));
                Shape::Pointer { to: self.kind(entry), size }
            }
            gimli::DW_TAG_array_type => Shape::Array { of: self.kind(entry), counts: Vec::new() },
            gimli::DW_TAG_typedef
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type => Shape::Alias { to: self.kind(entry) },
            _ => return None,
        })
    }

    fn variable(&mut self, entry: &Entry<'data>, offset: usize, name: Option<String>) {
        let raw = Raw {
            name,
            linkage: self.text(entry, gimli::DW_AT_linkage_name),
            address: self.address(entry),
            kind: self.kind(entry),
            origin: self
                .reference(entry, gimli::DW_AT_specification)
                .or_else(|| self.reference(entry, gimli::DW_AT_abstract_origin)),
            declared: None,
        };
        // A local variable has no place of its own: only its function's frames do.
        if raw.address.is_some() || raw.origin.is_some() || flag(entry, gimli::DW_AT_external) {
            let declared = self.declared(entry);
            self.raw.push((offset, Raw { declared, ..raw }));
        }
    }

    /// The file and line of a declaration.
    fn declared(&mut self, entry: &Entry<'data>) -> Option<(Arc<str>, u32)> {
        let index = match entry.attr_value(gimli::DW_AT_decl_file)? {
            AttributeValue::FileIndex(index) => index,
            value => value.udata_value()?,
        };
        let line = number(entry, gimli::DW_AT_decl_line)?;
        let (dwarf, unit) = (self.dwarf, self.unit);
        let file = self.files.entry(index).or_insert_with(|| lines::file(dwarf, unit, index).map(Into::into));
        Some((file.clone()?, line))
    }

    fn member(&mut self, parent: usize, entry: &Entry<'data>, path: &str) {
        // A static member is a variable that is declared here and defined elsewhere.
        if flag(entry, gimli::DW_AT_external) {
            if let Some(offset) = entry.offset().to_debug_info_offset(&self.unit.header) {
                let name = self.name(entry).map(|name| format!("{path}::{name}"));
                self.variable(entry, offset.0, name);
            }
            return;
        }
        let member = self.member_of(entry);
        if let (Some(Shape::Struct(held)), Some(member)) = (self.types.shapes.get_mut(&parent), member)
            && held.members.len() < MAX_MEMBERS
        {
            held.members.push(member);
        }
    }

    /// The variants of a Rust enumeration (DWARF 5, 5.7.10).
    fn variants(&mut self, parent: usize, node: EntriesTreeNode<'_, '_, Slice<'data>>) {
        let tag = self.reference(node.entry(), gimli::DW_AT_discr);
        let mut found = Variants::default();
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            let Some(rest) = self.budget.checked_sub(1) else { break };
            *self.budget = rest;
            let entry = child.entry().clone();
            let offset = entry.offset().to_debug_info_offset(&self.unit.header).map(|offset| offset.0);
            if entry.tag() == gimli::DW_TAG_member && offset.is_some() && offset == tag {
                found.tag = self.member_of(&entry);
            } else if entry.tag() == gimli::DW_TAG_variant && found.list.len() < MAX_MEMBERS {
                let value = match entry.attr_value(gimli::DW_AT_discr_value) {
                    Some(AttributeValue::Sdata(value)) => Some(value.cast_unsigned()),
                    Some(value) => value.udata_value(),
                    None => None,
                };
                let mut members = child.children();
                if let Ok(Some(member)) = members.next()
                    && let Some(member) = self.member_of(&member.entry().clone())
                {
                    found.list.push((value, member));
                }
            }
        }
        if let Some(Shape::Struct(held)) = self.types.shapes.get_mut(&parent) {
            held.variants = Some(found);
        }
    }

    fn member_of(&self, entry: &Entry<'data>) -> Option<Member> {
        let offset = match entry.attr_value(gimli::DW_AT_data_member_location) {
            Some(AttributeValue::Exprloc(expression)) => {
                let mut operations = expression.operations(self.unit.encoding());
                match operations.next().ok()?? {
                    gimli::Operation::PlusConstant { value } => u32::try_from(value).ok()?,
                    _ => return None,
                }
            }
            Some(value) => u32::try_from(value.udata_value()?).ok()?,
            // A union's members have no location: they lie at its start. A bit field may count in bits.
            None => number(entry, gimli::DW_AT_data_bit_offset).unwrap_or(0) / 8,
        };
        Some(Member { name: self.name(entry).unwrap_or_default(), offset, kind: self.kind(entry)? })
    }

    fn dimension(&mut self, parent: usize, entry: &Entry<'data>) {
        let upper = || number(entry, gimli::DW_AT_upper_bound)?.checked_add(1);
        let count = number(entry, gimli::DW_AT_count).or_else(upper);
        if let Some(Shape::Array { counts, .. }) = self.types.shapes.get_mut(&parent)
            && counts.len() < MAX_DEPTH
        {
            counts.push(count);
        }
    }

    fn enumerator(&mut self, parent: usize, entry: &Entry<'data>) {
        let Some(name) = self.name(entry).filter(|_| *self.budget > 0) else { return };
        *self.budget -= 1;
        let value = match entry.attr_value(gimli::DW_AT_const_value) {
            Some(AttributeValue::Sdata(value)) => Some(value),
            Some(value) => value.udata_value().and_then(|value| i64::try_from(value).ok()),
            None => None,
        };
        if let Some(value) = value {
            if let Some(Shape::Enumeration { names, .. }) = self.types.shapes.get_mut(&parent)
                && names.len() < MAX_MEMBERS
            {
                names.push((value, name.clone()));
            }
            self.types.enumerators.entry(name).or_insert(value);
        }
    }

    fn name(&self, entry: &Entry<'data>) -> Option<String> {
        self.text(entry, gimli::DW_AT_name)
    }

    fn text(&self, entry: &Entry<'data>, attribute: gimli::DwAt) -> Option<String> {
        let text = self.dwarf.attr_string(self.unit, entry.attr_value(attribute)?).ok()?;
        Some(crate::units::printable(&text.to_string_lossy(), 4096))
    }

    fn kind(&self, entry: &Entry<'data>) -> Option<usize> {
        self.reference(entry, gimli::DW_AT_type)
    }

    fn reference(&self, entry: &Entry<'data>, attribute: gimli::DwAt) -> Option<usize> {
        match entry.attr_value(attribute)? {
            AttributeValue::UnitRef(offset) => Some(offset.to_debug_info_offset(&self.unit.header)?.0),
            AttributeValue::DebugInfoRef(offset) => Some(offset.0),
            _ => None,
        }
    }

    /// The address of a static: a location that is one address and nothing else.
    fn address(&self, entry: &Entry<'data>) -> Option<u32> {
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

fn coding(encoding: gimli::DwAte) -> Coding {
    match encoding {
        gimli::DW_ATE_signed => Coding::Signed,
        gimli::DW_ATE_float => Coding::Float,
        gimli::DW_ATE_boolean => Coding::Boolean,
        gimli::DW_ATE_unsigned_char => Coding::Character,
        gimli::DW_ATE_signed_char => Coding::SignedCharacter,
        gimli::DW_ATE_UTF | gimli::DW_ATE_UCS => Coding::Unicode,
        _ => Coding::Unsigned,
    }
}

fn number(entry: &Entry<'_>, attribute: gimli::DwAt) -> Option<u32> {
    entry.attr_value(attribute)?.udata_value().and_then(|value| u32::try_from(value).ok())
}

fn flag(entry: &Entry<'_>, attribute: gimli::DwAt) -> bool {
    matches!(entry.attr_value(attribute), Some(AttributeValue::Flag(true)))
}
