//! The symbols of an image: by name for finding tables, by address for naming what lies there.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::region::Region;

/// A named place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name as linked (mangled); not made printable yet.
    pub name: Name,
    /// Where it is; size 0 for a linker symbol.
    pub range: Region,
    /// It is a function.
    pub is_code: bool,
    /// It is an object.
    pub is_data: bool,
    /// The number of the section it was defined in (System V ABI, `st_shndx`); 0 where the file tells none.
    pub section: u16,
    /// The source file that the symbol table names for it: compilers name one for local symbols only. Not made
    /// printable yet.
    pub file: Option<Arc<str>>,
}

/// A text within the table of names, which all symbols of a file share: a large file has hundreds of thousands.
#[derive(Clone)]
pub struct Name {
    table: Arc<String>,
    start: u32,
    length: u32,
}

impl Name {
    /// The `length` bytes from `start` on; empty when the table has no such text.
    pub(super) fn within(table: &Arc<String>, start: u32, length: usize) -> Self {
        Self { table: Arc::clone(table), start, length: u32::try_from(length).unwrap_or(0) }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        let start = self.start as usize;
        self.table.get(start..start + self.length as usize).unwrap_or_default()
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self::within(&Arc::new(name.to_owned()), 0, name.len())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// All symbols of an image.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// Hashes of names and places in `all`, in ascending order; made when a name is first asked for.
    by_name: OnceLock<Vec<(u32, u32)>>,
    /// Places in `all` of those that have a size, by address; made when an address is first asked for.
    sized: OnceLock<Vec<u32>>,
    all: Vec<Symbol>,
}

impl Symbols {
    /// Takes the symbols. Of two with one name, the first with a size is found by that name.
    #[must_use]
    pub fn new(all: Vec<Symbol>) -> Self {
        Self { by_name: OnceLock::new(), sized: OnceLock::new(), all }
    }

    /// The symbols with a size, in address order.
    fn sized(&self) -> &[u32] {
        self.sized.get_or_init(|| {
            let sized = (0u32..).zip(&self.all).filter(|(_, symbol)| !symbol.range.is_empty());
            let mut sized: Vec<(Region, u32)> = sized.map(|(at, symbol)| (symbol.range, at)).collect();
            sized.sort_unstable();
            sized.into_iter().map(|(_, at)| at).collect()
        })
    }

    fn symbol(&self, at: u32) -> &Symbol {
        &self.all[at as usize]
    }

    /// The symbol of that (mangled) name. A static that link-time optimisation renamed is found by its own name, when
    /// nothing else has that one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        let index = self.by_name.get_or_init(|| {
            let mut index: Vec<(u32, u32)> =
                (0u32..).zip(&self.all).map(|(at, symbol)| (hash(as_written(&symbol.name)), at)).collect();
            index.sort_unstable();
            index
        });
        let hash = hash(as_written(name));
        let first = index.partition_point(|(other, _)| *other < hash);
        let same = index[first..].iter().take_while(|(other, _)| *other == hash);
        let is_meant = |symbol: &&Symbol| symbol.name == *name || as_written(&symbol.name) == name;
        let named = same.map(|(_, at)| self.symbol(*at)).filter(is_meant);
        // `min_by_key` gives the first of several.
        named.min_by_key(|symbol| (symbol.name != *name, symbol.range.is_empty()))
    }

    /// The symbol of that name, when nothing else at another address has it: statics of several files may share one.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&Symbol> {
        let found = self.get(name)?;
        let hash = hash(as_written(name));
        let index = self.by_name.get()?;
        let first = index.partition_point(|(other, _)| *other < hash);
        let same = index[first..].iter().take_while(|(other, _)| *other == hash).map(|(_, at)| self.symbol(*at));
        let mut others = same.filter(|other| as_written(&other.name) == as_written(name));
        others.all(|other| other.range.start() == found.range.start()).then_some(found)
    }

    /// The address of that symbol.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<u32> {
        self.get(name).map(|symbol| symbol.range.start())
    }

    /// The smallest object or function that covers `address`.
    #[must_use]
    pub fn at(&self, address: u32) -> Option<&Symbol> {
        // Objects rarely nest: looking back over a few starts finds the innermost without an interval tree.
        const LOOK_BACK: usize = 16;
        let sized = self.sized();
        let next = sized.partition_point(|at| self.symbol(*at).range.start() <= address);
        sized[next.saturating_sub(LOOK_BACK)..next]
            .iter()
            .map(|at| self.symbol(*at))
            .filter(|symbol| symbol.range.contains(address))
            .min_by_key(|symbol| symbol.range.size())
    }

    /// The objects and functions that start in `range`, in address order.
    pub fn within(&self, range: Region) -> impl Iterator<Item = &Symbol> {
        let sized = self.sized();
        let first = sized.partition_point(|at| self.symbol(*at).range.start() < range.start());
        sized[first..].iter().map(|at| self.symbol(*at)).take_while(move |symbol| range.contains(symbol.range.start()))
    }

    /// All symbols, in file order.
    pub fn iter(&self) -> impl Iterator<Item = &Symbol> {
        self.all.iter()
    }
}

/// The name of a static without what link-time optimisation adds when it makes it known to other parts of the program:
/// `.lto_priv.0` (GCC, `lto-partition.cc`) or `.llvm.` and a number (LLVM's ThinLTO).
#[must_use]
pub fn as_written(name: &str) -> &str {
    let cut = [".lto_priv.", ".llvm."].into_iter().find_map(|mark| {
        let (before, number) = name.rsplit_once(mark)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !before.is_empty()).then_some(before)
    });
    cut.unwrap_or(name)
}

/// A few bits of a name, to find it by: made of its length and its two ends, because mangled names are long and differ at
/// their ends. Names that share one are told apart by comparing them.
fn hash(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let word = |bytes: &[u8]| bytes.iter().take(8).fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let ends = word(bytes) ^ word(&bytes[bytes.len().saturating_sub(8)..]).rotate_left(29) ^ bytes.len() as u64;
    // A multiplication by an odd number close to the golden ratio spreads the bits (Knuth, volume 3, 6.4).
    (ends.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// A symbol's name as its author wrote it, printable: Rust without the hash, C++ with its arguments left out.
#[must_use]
pub fn demangle(name: &str) -> String {
    let text = if let Ok(rust) = rustc_demangle::try_demangle(name) {
        format!("{rust:#}")
    } else if let Some(cpp) = name.starts_with("_Z").then(|| cpp_demangle::Symbol::new(name).ok()).flatten() {
        let options = cpp_demangle::DemangleOptions::new().no_params().no_return_type();
        cpp.demangle_with_options(&options).unwrap_or_else(|_| name.to_owned())
    } else {
        name.to_owned()
    };
    crate::units::printable(&text, 4096)
}

/// A C++ function's name with its parameters and without its result; `None` when the symbol is of another language.
pub(super) fn demangle_cpp(name: &str) -> Option<String> {
    // Rust's older scheme is C++'s with a hash for a last part.
    let may_be = name.starts_with("_Z") && rustc_demangle::try_demangle(name).is_err();
    let symbol = may_be.then(|| cpp_demangle::Symbol::new(name).ok()).flatten()?;
    symbol.demangle_with_options(&cpp_demangle::DemangleOptions::new().no_return_type()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_symbol_names_an_address() {
        let symbol = |name: &str, start, size| Symbol {
            name: name.into(),
            range: Region::new(start, size),
            is_code: false,
            is_data: true,
            section: 0,
            file: None,
        };
        let symbols = Symbols::new(vec![
            symbol("outer", 0x100, 0x100),
            symbol("inner", 0x140, 0x10),
            symbol("mark", 0x140, 0),
            symbol("next", 0x200, 4),
        ]);
        for (address, expected) in [
            (0x0ff, None),
            (0x100, Some("outer")),
            (0x144, Some("inner")),
            (0x150, Some("outer")),
            (0x200, Some("next")),
            (0x204, None),
        ] {
            assert_eq!(symbols.at(address).map(|symbol| &*symbol.name), expected, "{address:#x}");
        }
        assert_eq!(symbols.within(Region::new(0x101, 0x100)).count(), 2);
    }

    #[test]
    fn a_symbol_is_found_by_its_name_and_the_one_with_a_size_first() {
        let symbol = |name: &str, size| Symbol {
            name: name.into(),
            range: Region::new(0x100, size),
            is_code: false,
            is_data: true,
            section: 0,
            file: None,
        };
        // Alike in length and at both ends: their hashes are the same.
        let (one, other) = ("beginning_one_the_end", "beginning_two_the_end");
        let symbols = Symbols::new(vec![symbol(one, 0), symbol(other, 8), symbol(one, 4), symbol("", 1)]);
        assert_eq!(hash(one), hash(other));
        for (name, size) in [(one, Some(4)), (other, Some(8)), ("", Some(1)), ("beginning_six_the_end", None)] {
            assert_eq!(symbols.get(name).map(|symbol| symbol.range.size()), size, "{name}");
        }
    }

    #[test]
    fn a_static_that_link_time_optimisation_renamed_is_found_by_its_own_name() {
        let symbol = |name: &str, size| Symbol {
            name: name.into(),
            range: Region::new(0x100, size),
            is_code: false,
            is_data: true,
            section: 0,
            file: None,
        };
        let symbols = Symbols::new(vec![
            symbol("lists.lto_priv.0", 4),
            symbol("twice.lto_priv.12", 8),
            symbol("twice", 12),
            symbol("other.llvm.1234567890", 16),
            symbol("heap.3", 20),
            symbol("odd.lto_priv.x", 24),
        ]);
        for (name, size) in [
            ("lists", Some(4)),
            ("lists.lto_priv.0", Some(4)),
            ("lists.lto_priv.1", None),
            ("twice", Some(12)),
            ("other", Some(16)),
            ("heap", None),
            ("odd", None),
        ] {
            assert_eq!(symbols.get(name).map(|symbol| symbol.range.size()), size, "{name}");
        }
    }

    #[test]
    fn a_name_outside_of_its_table_is_empty() {
        let table = Arc::new("größe".to_owned());
        for (start, length, expected) in [(0, 2, "gr"), (0, 3, ""), (7, 0, ""), (7, 9, ""), (u32::MAX, 9, "")] {
            assert_eq!(*Name::within(&table, start, length), *expected, "{start} {length}");
        }
    }

    #[test]
    fn names_are_demangled_and_printable() {
        for (name, expected) in [
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_ZN4rtos6Thread5startEv", "rtos::Thread::start"),
            ("plain_c", "plain_c"),
            ("evil\x1b[31m", "evil?[31m"),
        ] {
            assert_eq!(demangle(name), expected);
        }
    }
}
