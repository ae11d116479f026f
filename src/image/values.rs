//! What is in a static: its fields and values, by the debug information, from whatever answers reads.
//!
//! ```text
//! KERNEL        demo::kernel::Kernel
//!   current     usize                 3
//!   threads     [Thread; 8]
//!     [0]       Thread
//!       state   State                 Ready
//! ```
//!
//! Bounded in rows, depth, elements and pointers followed: the target's memory may hold anything.

use std::collections::HashSet;

use super::types::{Array, Coding, Field, Type, Variable};
use crate::region::Region;
use crate::units::{self, printable};

/// The most rows of one static.
const MOST_ROWS: usize = 512;
/// The deepest nesting that is shown.
const MOST_DEPTH: usize = 10;
/// The most elements of an array of plain values, which share a row, and of one of structures, which do not.
const MOST_VALUES: u32 = 16;
const MOST_ELEMENTS: u32 = 16;
/// The most characters of a text.
const MOST_TEXT: u32 = 96;
/// The most pointers that are followed one after the other.
const MOST_HOPS: usize = 2;
/// The most wrappers of one field (`UnsafeCell`, `Mutex`) that are passed over.
const MOST_WRAPPERS: usize = 16;

/// What a static is read with.
pub trait Look {
    /// The bytes of a range; `None` when they cannot be read.
    fn bytes(&mut self, range: Region) -> Option<Vec<u8>>;

    /// What lies at an address, by the symbols.
    fn name(&self, address: u32) -> Option<String>;
}

/// One field, element or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// How deep it lies: 0 for the static itself.
    pub depth: usize,
    /// The field's name, or `[3]` for an element.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its value in words; empty for what only has parts.
    pub value: String,
    /// Where it is.
    pub place: Region,
}

/// Everything in `variable`, the static itself first. Empty when it has no fixed address.
#[must_use]
pub fn rows(variable: &Variable<'_>, look: &mut dyn Look) -> Vec<Row> {
    let Some(address) = variable.address else { return Vec::new() };
    let name = variable.name.rsplit("::").next().unwrap_or(variable.name);
    let mut walk = Walk { look, rows: Vec::new(), followed: HashSet::new() };
    walk.add(name, Field { offset: 0, kind: variable.kind }, address, 0, 0);
    walk.rows
}

struct Walk<'b> {
    look: &'b mut dyn Look,
    rows: Vec<Row>,
    followed: HashSet<u32>,
}

impl Walk<'_> {
    /// Adds a field that lies `field.offset` behind `base`, and what is in it.
    fn add(&mut self, name: &str, field: Field<'_>, base: u32, depth: usize, hops: usize) {
        if depth > MOST_DEPTH || self.rows.len() >= MOST_ROWS {
            return;
        }
        let kind_name = field.kind.name();
        let Some(start) = base.checked_add(field.offset) else { return };
        let (kind, start) = unwrapped(field.kind, start);
        let place = Region::new(start, kind.size().unwrap_or(0));
        let at = self.rows.len();
        self.rows.push(Row {
            depth,
            name: printable(name, 256),
            kind: printable(&kind_name, 256),
            value: String::new(),
            place,
        });
        self.rows[at].value = if let Some(array) = kind.array() {
            self.array(array, start, depth, hops)
        } else if kind.has_variants() {
            self.variant(kind, start, depth, hops)
        } else if let Some(text) = self.text_slice(kind, start) {
            text
        } else if kind.structure().is_some() {
            for (name, member) in kind.members() {
                self.add(name, member, start, depth + 1, hops);
            }
            String::new()
        } else if kind.is_pointer() {
            self.pointer(kind, place, depth, hops)
        } else {
            self.plain(kind, place)
        };
    }

    fn plain(&mut self, kind: Type<'_>, place: Region) -> String {
        if place.is_empty() {
            return String::new();
        }
        match self.look.bytes(place) {
            Some(bytes) => plain(kind, &bytes),
            None => "not read".into(),
        }
    }

    fn pointer(&mut self, kind: Type<'_>, place: Region, depth: usize, hops: usize) -> String {
        let Some(target) = self.word(place) else { return "not read".into() };
        if target == 0 {
            return "null".into();
        }
        let name = self.look.name(target).map(|name| format!("  {name}")).unwrap_or_default();
        let pointed = kind.target().filter(|pointed| pointed.structure().is_some() && pointed.size() != Some(0));
        if let Some(pointed) = pointed.filter(|_| hops < MOST_HOPS)
            && self.followed.insert(target)
        {
            for (name, member) in pointed.members() {
                self.add(name, member, target, depth + 1, hops + 1);
            }
        }
        format!("-> {}{name}", units::address(target.into()))
    }

    fn array(&mut self, array: Array<'_>, start: u32, depth: usize, hops: usize) -> String {
        let Some(count) = array.count else { return "of unknown length".into() };
        let (element, _) = unwrapped(array.element, 0);
        let is_character = matches!(element.coding(), Some(Coding::Character | Coding::SignedCharacter));
        if is_character && array.stride == 1 {
            return self.text(start, count.min(MOST_TEXT), Ends::AtZero);
        }
        if element.coding().is_some() && !element.is_pointer() {
            let shown = count.min(MOST_VALUES);
            let Some(bytes) = self.look.bytes(Region::new(start, array.stride.saturating_mul(shown))) else {
                return "not read".into();
            };
            let step = usize::try_from(array.stride.max(1)).unwrap_or(1);
            let values: Vec<String> = bytes.chunks(step).map(|bytes| plain(element, bytes)).collect();
            let more = if count > shown { format!(" … {} more", count - shown) } else { String::new() };
            return values.join(", ") + &more;
        }
        for index in 0..count.min(MOST_ELEMENTS) {
            let Some(offset) = index.checked_mul(array.stride) else { break };
            self.add(&format!("[{index}]"), Field { offset, kind: array.element }, start, depth + 1, hops);
        }
        if count > MOST_ELEMENTS { format!("{} more are not shown", count - MOST_ELEMENTS) } else { String::new() }
    }

    fn variant(&mut self, kind: Type<'_>, start: u32, depth: usize, hops: usize) -> String {
        let tag = match kind.tag() {
            None => None,
            Some(tag) => {
                let size = tag.kind.size().unwrap_or(0).min(8);
                let place = start.checked_add(tag.offset).map(|start| Region::new(start, size));
                match place.and_then(|place| self.look.bytes(place)) {
                    Some(bytes) => Some(unsigned(&bytes)),
                    None => return "not read".into(),
                }
            }
        };
        let Some((name, held)) = kind.variant(tag) else {
            return format!("no variant has the tag {}", tag.unwrap_or_default());
        };
        let Some(start) = start.checked_add(held.offset) else { return String::new() };
        for (name, member) in held.kind.members() {
            self.add(name, member, start, depth + 1, hops);
        }
        printable(name, 256)
    }

    /// The text of Rust's `&str`, which is an address and a length.
    fn text_slice(&mut self, kind: Type<'_>, start: u32) -> Option<String> {
        if kind.structure()?.name != "&str" {
            return None;
        }
        let word = |walk: &mut Self, name: &str| {
            let field = kind.field(name)?;
            walk.word(Region::new(start.checked_add(field.offset)?, 4))
        };
        let (address, length) = (word(self, "data_ptr")?, word(self, "length")?);
        Some(self.text(address, length.min(MOST_TEXT), Ends::AtLength))
    }

    fn text(&mut self, start: u32, length: u32, ends: Ends) -> String {
        let Some(bytes) = self.look.bytes(Region::new(start, length)) else { return "not read".into() };
        let end = match ends {
            Ends::AtZero => bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()),
            Ends::AtLength => bytes.len(),
        };
        format!("{:?}", printable(&String::from_utf8_lossy(&bytes[..end]), MOST_TEXT as usize))
    }

    fn word(&mut self, place: Region) -> Option<u32> {
        let bytes = self.look.bytes(place).filter(|bytes| bytes.len() == 4)?;
        u32::try_from(unsigned(&bytes)).ok()
    }
}

/// Where a text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    AtZero,
    AtLength,
}

/// The type within wrappers that hold one thing only, and where that is: `Mutex<UnsafeCell<T>>` is a `T` to a reader.
fn unwrapped(mut kind: Type<'_>, mut start: u32) -> (Type<'_>, u32) {
    for _ in 0..MOST_WRAPPERS {
        if kind.has_variants() {
            break;
        }
        // What takes no room is no member to a reader.
        let mut solid = kind.members().filter(|(_, member)| member.kind.size() != Some(0));
        let (Some((_, only)), None) = (solid.next(), solid.next()) else { break };
        let Some(inner) = start.checked_add(only.offset) else { break };
        if only.kind.size() != kind.size() {
            break;
        }
        (kind, start) = (only.kind, inner);
    }
    (kind, start)
}

/// A plain value in words.
fn plain(kind: Type<'_>, bytes: &[u8]) -> String {
    if bytes.is_empty() || bytes.len() > 16 {
        return String::new();
    }
    let raw = unsigned(bytes);
    let shift = 64usize.saturating_sub(bytes.len() * 8);
    let signed = (raw << shift).cast_signed() >> shift;
    match kind.coding() {
        Some(Coding::Boolean) => match raw {
            0 => "false".into(),
            1 => "true".into(),
            other => format!("{other}, neither true nor false"),
        },
        Some(Coding::Float) => match *bytes {
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).to_string(),
            [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]).to_string(),
            _ => format!("{raw:#x}"),
        },
        Some(Coding::Character | Coding::SignedCharacter) => {
            let letter = char::from(bytes[0]);
            let number = if kind.is_signed() { signed } else { raw.cast_signed() };
            if letter.is_ascii_graphic() { format!("{number} '{letter}'") } else { number.to_string() }
        }
        Some(Coding::Unicode) => {
            let letter = u32::try_from(raw).ok().and_then(char::from_u32).filter(|letter| !letter.is_control());
            letter.map_or_else(|| format!("{raw:#x}"), |letter| format!("'{letter}'"))
        }
        Some(Coding::Signed) => named(kind, signed),
        Some(Coding::Unsigned) if bytes.len() > 8 => format!("{:#x}", wide(bytes)),
        Some(Coding::Unsigned) => match i64::try_from(raw) {
            Ok(value) => named(kind, value),
            Err(_) => raw.to_string(),
        },
        None => String::new(),
    }
}

/// A number, with the name that its enumeration has for it.
fn named(kind: Type<'_>, value: i64) -> String {
    kind.enumerator(value).map_or_else(|| value.to_string(), |name| format!("{name} ({value})"))
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn wide(bytes: &[u8]) -> u128 {
    bytes.iter().take(16).rev().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::image::Image;
    use crate::image::symbols::demangle;

    /// The linked values of the demo.
    struct Linked<'a>(&'a Image);

    impl Look for Linked<'_> {
        fn bytes(&mut self, range: Region) -> Option<Vec<u8>> {
            self.0.bytes(range).map(<[u8]>::to_vec)
        }

        fn name(&self, address: u32) -> Option<String> {
            self.0.symbols.at(address).map(|symbol| demangle(&symbol.name))
        }
    }

    /// Bytes that are all the same, wherever one looks.
    struct Same(u8);

    impl Look for Same {
        fn bytes(&mut self, range: Region) -> Option<Vec<u8>> {
            Some(vec![self.0; range.size().min(1 << 16) as usize])
        }

        fn name(&self, _: u32) -> Option<String> {
            None
        }
    }

    fn demo() -> Image {
        Image::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf")).expect("the demo opens")
    }

    #[test]
    fn the_demos_kernel_is_told_field_by_field() {
        let image = demo();
        let kernel = image.types().variable("KERNEL").expect("the demo has a kernel");
        let rows = rows(&kernel, &mut Linked(&image));
        assert_eq!((rows[0].name.as_str(), rows[0].depth), ("KERNEL", 0));
        let size = image.symbols.iter().find(|symbol| symbol.name.contains("KERNEL")).map(|symbol| symbol.range.size());
        assert_eq!(Some(rows[0].place.size()), size);
        for row in &rows {
            assert!(rows[0].place.covers(row.place) || row.depth > 1, "{row:?} lies in the static");
        }
        let tasks = rows.iter().filter(|row| row.name.starts_with('[') && row.value == "None").count();
        assert_eq!(tasks, 10, "no task is there before it runs: {rows:#?}");
    }

    #[test]
    fn every_static_of_the_demo_is_survived_whatever_it_holds() {
        let image = demo();
        for variable in image.types().variables() {
            for byte in [0, 1, 0x20, 0x7f, 0x80, 0xff] {
                let rows = rows(&variable, &mut Same(byte));
                assert!(rows.len() <= MOST_ROWS);
            }
        }
    }
}
