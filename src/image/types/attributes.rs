//! What an entry's attributes say.

use std::collections::HashMap;
use std::sync::Arc;

use gimli::{AttributeValue, DebugStrOffset, Dwarf, Reader, Section};

use crate::image::dwarf::{Entry, Slice, Unit as Compiled};
use crate::image::lines;

/// The deepest nesting of scopes that is followed.
pub(super) const MAX_DEPTH: usize = 256;
/// The longest path of scopes, in bytes: what is deeper inside counts as in the last scope that fits.
pub(super) const MAX_PATH: usize = 4096;

/// The unit that entries are in.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a>(pub(super) &'a Compiled<'a>);

impl Unit<'_> {
    /// Where an entry is in the debug information.
    pub(super) fn offset(self, entry: &Entry) -> usize {
        self.0.place(entry.offset())
    }

    pub(super) fn name(self, entry: &Entry) -> Option<String> {
        self.string(entry.attr_value(gimli::DW_AT_name)?)
    }

    /// A text, printable.
    pub(super) fn string(self, value: AttributeValue<Slice>) -> Option<String> {
        match self.string_offset(&value) {
            Some(offset) => listed(self.0.dwarf, offset),
            None => safe(&self.0.dwarf.attr_string(&self.0.unit, value).ok()?),
        }
    }

    /// Where a text is in the ELF's own table of strings, when it is there.
    pub(super) fn listed(self, value: &AttributeValue<Slice>) -> Option<DebugStrOffset> {
        if self.0.is_own() { self.string_offset(value) } else { None }
    }

    fn string_offset(self, value: &AttributeValue<Slice>) -> Option<DebugStrOffset> {
        match *value {
            AttributeValue::DebugStrRef(offset) => Some(offset),
            AttributeValue::DebugStrOffsetsIndex(index) => self.0.dwarf.string_offset(&self.0.unit, index).ok(),
            _ => None,
        }
    }

    /// The type that an entry has.
    pub(super) fn kind(self, entry: &Entry) -> Option<usize> {
        self.reference(entry, gimli::DW_AT_type)
    }

    /// The entry that an attribute names.
    pub(super) fn reference(self, entry: &Entry, attribute: gimli::DwAt) -> Option<usize> {
        self.0.reference(&entry.attr_value(attribute)?)
    }

    /// The address of a place that is one address and nothing else.
    pub(super) fn place(self, value: &AttributeValue<Slice>) -> Option<u32> {
        let AttributeValue::Exprloc(expression) = value else { return None };
        // Most are places on the stack.
        let first = expression.0.bytes().first().map(|code| gimli::DwOp(*code));
        if !matches!(first, Some(gimli::DW_OP_addr | gimli::DW_OP_addrx | gimli::DW_OP_GNU_addr_index)) {
            return None;
        }
        let mut operations = expression.clone().operations(self.0.unit.encoding());
        let address = match operations.next().ok()?? {
            gimli::Operation::Address { address } => address,
            gimli::Operation::AddressIndex { index } => self.0.dwarf.address(&self.0.unit, index).ok()?,
            _ => return None,
        };
        operations.next().ok()?.is_none().then(|| u32::try_from(address).ok())?
    }
}

/// A text of the table of strings, printable: as far as it counts, for a damaged table may have no end of one in it.
pub(super) fn listed(dwarf: &Dwarf<Slice>, offset: DebugStrOffset) -> Option<String> {
    /// More than the bytes of as many characters as are kept.
    const MOST: usize = 4 * (MAX_PATH + 2);
    let mut text = dwarf.debug_str.reader().clone();
    text.skip(offset.0).ok()?;
    let length = text.len().min(MOST);
    text.truncate(length).ok()?;
    let end = text.find(0).ok().or((length == MOST).then_some(MOST))?;
    text.truncate(end).ok()?;
    safe(&text)
}

fn safe(text: &Slice) -> Option<String> {
    Some(crate::units::printable(&text.to_string_lossy().ok()?, MAX_PATH))
}

/// Paths of source files, by their number in one unit.
#[derive(Default)]
pub(super) struct Files(HashMap<u64, Option<Arc<str>>>);

impl Files {
    /// The file and line where something was written.
    pub(super) fn declared(&mut self, unit: Unit<'_>, entry: &Entry) -> Option<(Arc<str>, u32)> {
        let index = match entry.attr_value(gimli::DW_AT_decl_file)? {
            AttributeValue::FileIndex(index) => index,
            value => value.udata_value()?,
        };
        let line = number(entry, gimli::DW_AT_decl_line)?;
        let file = self.0.entry(index).or_insert_with(|| {
            let (dwarf, unit) = unit.0.files();
            lines::file(dwarf, unit, index).map(Into::into)
        });
        Some((file.clone()?, line))
    }
}

/// A name with the scopes around it, as far as they fit.
pub(super) fn enter(path: &mut String, name: &str) {
    if path.len() + name.len() <= MAX_PATH {
        if !path.is_empty() {
            path.push_str("::");
        }
        path.push_str(name);
    }
}

/// A number without a sign.
pub(super) fn number(entry: &Entry, attribute: gimli::DwAt) -> Option<u32> {
    entry.attr_value(attribute)?.udata_value().and_then(|value| u32::try_from(value).ok())
}

pub(super) fn flag(entry: &Entry, attribute: gimli::DwAt) -> bool {
    matches!(entry.attr_value(attribute), Some(AttributeValue::Flag(true)))
}
