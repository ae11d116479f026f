//! Reads the types of one unit from DWARF (versions 2 to 5), bounded in entries, depth and members.

use gimli::{AttributeValue, EntriesTreeNode};

use super::attributes::{Files, MAX_DEPTH, Unit, enter, flag, number};
use super::{Choice, Coding, Defined, Member, Shape, Struct, Variants};
use crate::image::dwarf::{Debug, Entry, Slice};

/// The most entries that are read.
const MAX_ENTRIES: usize = 1 << 22;
/// The most members of one structure that are kept.
const MAX_MEMBERS: usize = 1 << 12;

/// What the unit of that number defines.
pub(super) fn read(debug: &Debug, number: usize) -> Defined {
    let mut types = Defined::default();
    let Some(unit) = debug.unit(number) else { return types };
    let mut budget = MAX_ENTRIES;
    let mut reader = Reader { unit: Unit(&unit), types: &mut types, budget: &mut budget, files: Files::default() };
    if let Ok(mut tree) = unit.unit.entries_tree(None)
        && let Ok(root) = tree.root()
    {
        reader.scope(root, "", 0);
    }
    types
}

/// Reads one unit.
struct Reader<'a> {
    unit: Unit<'a>,
    types: &'a mut Defined,
    budget: &'a mut usize,
    files: Files,
}

impl Reader<'_> {
    fn scope(&mut self, node: EntriesTreeNode<'_, '_, Slice>, path: &str, depth: usize) {
        if depth > MAX_DEPTH || *self.budget == 0 {
            return;
        }
        *self.budget -= 1;
        let entry = node.entry();
        let offset = self.unit.offset(entry);
        // Most entries are of functions' insides, and nobody asks for their names.
        let name = if is_named(entry.tag()) { self.unit.name(entry) } else { None };
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
        );
        let mut inner = path.to_owned();
        if let Some(name) = name.as_ref().filter(|_| opens_scope) {
            enter(&mut inner, name);
        }
        if let Some(shape) = self.shape(entry, &named) {
            if name.is_some() {
                self.types.names.entry(named()).or_default().push(offset);
            }
            self.types.shapes.insert(offset, shape);
        }
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            match child.entry().tag() {
                // What a class inherits lies in it as a member without a name.
                gimli::DW_TAG_member | gimli::DW_TAG_inheritance => self.member(offset, child.entry()),
                gimli::DW_TAG_subrange_type => self.dimension(offset, child.entry()),
                gimli::DW_TAG_enumerator => self.enumerator(offset, child.entry()),
                gimli::DW_TAG_variant_part => self.variants(offset, child),
                _ => self.scope(child, &inner, depth + 1),
            }
        }
    }

    /// What kind of type an entry is; `None` when it is none.
    fn shape(&self, entry: &Entry, name: &dyn Fn() -> String) -> Option<Shape> {
        // A declaration whose definition is in a unit of its own (`-fdebug-types-section`).
        if let Some(to) = self.unit.reference(entry, gimli::DW_AT_signature) {
            return Some(Shape::Alias { to: Some(to) });
        }
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
                Shape::Base { name: self.unit.name(entry).unwrap_or_default(), size: size?, coding }
            }
            gimli::DW_TAG_enumeration_type => Shape::Enumeration {
                name: name(),
                size: size.unwrap_or(4),
                of: self.unit.kind(entry),
                names: Vec::new(),
            },
            gimli::DW_TAG_pointer_type | gimli::DW_TAG_reference_type | gimli::DW_TAG_rvalue_reference_type => {
                let size = size.unwrap_or_else(|| u32::from(self.unit.0.unit.encoding().address_size));
                Shape::Pointer { to: self.unit.kind(entry), size }
            }
            gimli::DW_TAG_array_type => Shape::Array { of: self.unit.kind(entry), counts: Vec::new() },
            gimli::DW_TAG_typedef
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type => Shape::Alias { to: self.unit.kind(entry) },
            _ => return None,
        })
    }

    fn member(&mut self, parent: usize, entry: &Entry) {
        // A static member is a variable, and takes no bytes here.
        if flag(entry, gimli::DW_AT_external) {
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
    fn variants(&mut self, parent: usize, node: EntriesTreeNode<'_, '_, Slice>) {
        let tag = self.unit.reference(node.entry(), gimli::DW_AT_discr);
        let mut found = Variants::default();
        let mut children = node.children();
        while let Ok(Some(child)) = children.next() {
            let Some(rest) = self.budget.checked_sub(1) else { break };
            *self.budget = rest;
            let entry = child.entry();
            let offset = self.unit.offset(entry);
            if entry.tag() == gimli::DW_TAG_member && tag == Some(offset) {
                found.tag = self.member_of(entry);
            } else if entry.tag() == gimli::DW_TAG_variant && found.list.len() < MAX_MEMBERS {
                let value = match entry.attr_value(gimli::DW_AT_discr_value) {
                    Some(AttributeValue::Sdata(value)) => Some(value.cast_unsigned()),
                    Some(value) => value.udata_value(),
                    None => None,
                };
                let mut members = child.children();
                if let Ok(Some(member)) = members.next()
                    && let Some(held) = self.member_of(member.entry())
                {
                    let written = self.files.declared(self.unit, member.entry());
                    found.list.push(Choice { value, held, written });
                }
            }
        }
        if let Some(Shape::Struct(held)) = self.types.shapes.get_mut(&parent) {
            held.variants = Some(found);
        }
    }

    fn member_of(&self, entry: &Entry) -> Option<Member> {
        let offset = match entry.attr_value(gimli::DW_AT_data_member_location) {
            Some(AttributeValue::Exprloc(expression)) => {
                let mut operations = expression.operations(self.unit.0.unit.encoding());
                match operations.next().ok()?? {
                    gimli::Operation::PlusConstant { value } => u32::try_from(value).ok()?,
                    _ => return None,
                }
            }
            Some(value) => u32::try_from(value.udata_value()?).ok()?,
            // A union's members have no location: they lie at its start. A bit field may count in bits.
            None => number(entry, gimli::DW_AT_data_bit_offset).unwrap_or(0) / 8,
        };
        Some(Member { name: self.unit.name(entry).unwrap_or_default(), offset, kind: self.unit.kind(entry)? })
    }

    fn dimension(&mut self, parent: usize, entry: &Entry) {
        let upper = || number(entry, gimli::DW_AT_upper_bound)?.checked_add(1);
        let count = number(entry, gimli::DW_AT_count).or_else(upper);
        if let Some(Shape::Array { counts, .. }) = self.types.shapes.get_mut(&parent)
            && counts.len() < MAX_DEPTH
        {
            counts.push(count);
        }
    }

    fn enumerator(&mut self, parent: usize, entry: &Entry) {
        let Some(name) = self.unit.name(entry).filter(|_| *self.budget > 0) else { return };
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
}

/// Whether the name of such an entry matters: it opens a scope, or is a type.
fn is_named(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_base_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_pointer_type
            | gimli::DW_TAG_typedef
    )
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
