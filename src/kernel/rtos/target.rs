//! Structures of a running kernel, read whole and within bounds.

use std::collections::HashSet;

use crate::image::Image;
use crate::image::types::Type;
use crate::kernel::Sign;
use crate::memory::Memory;
use crate::region::Region;
use crate::units::printable;

/// The most structures that one walk reads.
const MAX_RECORDS: u32 = 4096;
/// The most bytes of one structure that are read.
const MAX_SPAN: u32 = 2048;
/// The longest name that is read, in bytes.
const NAME_LIMIT: u32 = 64;

/// Where one field lies in its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Field {
    /// Bytes from the structure's start.
    pub(in crate::kernel) offset: u32,
    size: u32,
    signed: bool,
}

impl Field {
    /// A word at that offset.
    pub(in crate::kernel) fn word(offset: u32) -> Option<Self> {
        offset.checked_add(4).filter(|end| *end <= MAX_SPAN)?;
        Some(Self { offset, size: 4, signed: false })
    }

    /// The same field of a structure that itself begins `offset` bytes into another.
    pub(in crate::kernel) fn within(self, offset: u32) -> Self {
        Self { offset: self.offset.saturating_add(offset), ..self }
    }
}

impl Field {
    /// The word that a field lies in, in a structure at `base`, and the bits of it that are the field's; those of its first
    /// word when it is longer.
    fn bits(self, base: u32) -> (u32, u32) {
        let at = base.wrapping_add(self.offset);
        let shift = 8 * (at & 3);
        let width = u32::MAX.checked_shr(32 - 8 * self.size.clamp(1, 4)).unwrap_or(u32::MAX);
        (at & !3, width << shift)
    }

    /// The sign that the bits of `mask` of it stay as `record` says, which lies at `base`.
    pub(in crate::kernel) fn stays(self, base: u32, record: &Record, mask: u32) -> Sign {
        let (at, bits) = self.bits(base);
        let shift = bits.trailing_zeros();
        Sign::Same { at, mask: bits & (mask << shift), word: record.get(self) << shift }
    }

    /// The sign that some bit of `mask` of it is set.
    pub(in crate::kernel) fn is_set(self, base: u32, mask: u32) -> Sign {
        let (at, bits) = self.bits(base);
        Sign::Set { at, mask: bits & (mask << bits.trailing_zeros()) }
    }
}

/// How long a structure is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Extent {
    /// Up to the end of the last field that is read.
    pub(in crate::kernel) read: u32,
    /// All of it.
    pub(in crate::kernel) whole: u32,
}

/// A structure whose fields are looked up, and how much of it they span.
pub(in crate::kernel) struct Fields<'a> {
    kind: Type<'a>,
    /// Bytes from the structure's start to the end of the last field that was asked for.
    pub(in crate::kernel) span: u32,
}

impl<'a> Fields<'a> {
    pub(in crate::kernel) fn of(kind: Type<'a>) -> Self {
        Self { kind, span: 0 }
    }

    /// The field at `path`; `None` when this build of the kernel has none.
    pub(in crate::kernel) fn find(&mut self, path: &str) -> Option<Field> {
        let found = self.kind.field(path)?;
        let field = Field { offset: found.offset, size: found.kind.size()?, signed: found.kind.is_signed() };
        let end = field.offset.checked_add(field.size).filter(|end| *end <= MAX_SPAN)?;
        self.span = self.span.max(end);
        Some(field)
    }

    /// How long it is.
    pub(in crate::kernel) fn extent(&self) -> Extent {
        Extent { read: self.span, whole: self.kind.size().unwrap_or(self.span) }
    }

    /// The field at `path`, without which the kernel cannot be followed.
    pub(in crate::kernel) fn must(&mut self, path: &str) -> Result<Field, String> {
        self.find(path).ok_or_else(|| path.to_owned())
    }
}

/// The bytes of one structure.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct Record(Vec<u8>);

impl Record {
    /// The bytes of a field; none when it lies past what was read.
    pub(in crate::kernel) fn bytes(&self, field: Field) -> &[u8] {
        let start = field.offset as usize;
        self.0.get(start..start + field.size as usize).unwrap_or_default()
    }

    /// A field of up to eight bytes, without a sign.
    pub(in crate::kernel) fn wide(&self, field: Field) -> u64 {
        self.bytes(field).iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// A field of up to four bytes, without a sign.
    pub(in crate::kernel) fn get(&self, field: Field) -> u32 {
        (self.wide(field) & u64::from(u32::MAX)) as u32
    }

    /// A field of up to four bytes, with its sign when it has one.
    pub(in crate::kernel) fn signed(&self, field: Field) -> i32 {
        let unused = 32 - 8 * field.size.clamp(1, 4);
        let shifted = self.get(field) << unused;
        if field.signed { shifted.cast_signed() >> unused } else { (shifted >> unused).cast_signed() }
    }

    /// Text that the structure itself holds.
    pub(in crate::kernel) fn text(&self, field: Field) -> Option<String> {
        text(self.bytes(field))
    }
}

/// The target as one walk sees it.
pub(in crate::kernel) struct Target<'m, 's> {
    memory: &'m mut Memory<'s>,
    /// The ELF.
    pub(in crate::kernel) image: &'m Image,
    ram: &'m [Region],
    left: u32,
    visited: HashSet<u32>,
}

impl<'m, 's> Target<'m, 's> {
    pub(in crate::kernel) fn new(memory: &'m mut Memory<'s>, image: &'m Image, ram: &'m [Region]) -> Self {
        Self { memory, image, ram, left: MAX_RECORDS, visited: HashSet::new() }
    }

    /// Reads what will be asked for, joined where that is cheaper.
    pub(in crate::kernel) fn prefetch(&mut self, ranges: &[Region]) {
        self.memory.prefetch(ranges);
    }

    /// Whether all of it lies in RAM.
    pub(in crate::kernel) fn in_ram(&self, range: Region) -> bool {
        !range.is_empty() && self.ram.iter().any(|ram| ram.covers(range))
    }

    /// Whether a thread's stack lies in RAM; where it does not, that something leads there is remembered.
    pub(in crate::kernel) fn holds(&mut self, stack: Region) -> bool {
        let holds = self.in_ram(stack);
        if !holds && !stack.is_empty() {
            self.memory.remember_stray(stack);
        }
        holds
    }

    /// The structure at `address`, which must be word-aligned and in RAM.
    pub(in crate::kernel) fn record(&mut self, address: u32, span: u32) -> Option<Record> {
        let range = Region::new(address, span);
        if !address.is_multiple_of(4) {
            return None;
        }
        if !self.in_ram(range) {
            self.memory.remember_stray(range);
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(Record(self.memory.read(range)?.into_owned()))
    }

    /// The word at `address`, in RAM.
    pub(in crate::kernel) fn word(&mut self, address: u32) -> Option<u32> {
        let word = Field { offset: 0, size: 4, signed: false };
        Some(self.record(address, 4)?.get(word))
    }

    /// The words of a range, which must be word-aligned and in RAM.
    pub(in crate::kernel) fn words(&mut self, range: Region) -> Option<Vec<u32>> {
        if !range.start().is_multiple_of(4) || !self.in_ram(range) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.memory.words(range)
    }

    /// Remembers an item of a list; `false` when the walk has come by it before.
    pub(in crate::kernel) fn visit(&mut self, item: u32) -> bool {
        self.visited.insert(item)
    }

    /// The text at `address`: from the linked bytes where the program cannot change them, else from the target.
    pub(in crate::kernel) fn text(&mut self, address: u32) -> Option<String> {
        if address == 0 {
            return None;
        }
        let Some(ram) = self.ram.iter().find(|ram| ram.contains(address)) else {
            let found = self.image.text(address, NAME_LIMIT)?;
            return text(found.as_bytes());
        };
        let range = ram.from(address).bottom(NAME_LIMIT);
        self.left = self.left.checked_sub(1)?;
        text(&self.memory.read(range)?)
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = printable(String::from_utf8_lossy(&bytes[..end]).trim(), 32);
    (!text.is_empty()).then_some(text)
}
