//! The symbols of an image: by name for finding tables, by address for naming what lies there.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, OnceLock};

use crate::region::Region;

/// A named place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name as linked (mangled); not made printable yet.
    pub name: String,
    /// Where it is; size 0 for a linker symbol.
    pub range: Region,
    /// It is a function.
    pub is_code: bool,
    /// It is an object.
    pub is_data: bool,
    /// The source file that the symbol table names for it: compilers name one for local symbols only. Not made
    /// printable yet.
    pub file: Option<Arc<str>>,
}

/// All symbols of an image.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// The hash of each name and its place in `all`, in ascending order; made when a name is first asked for.
    by_name: OnceLock<Vec<(u64, usize)>>,
    sized: Vec<usize>,
    all: Vec<Symbol>,
}

impl Symbols {
    /// Indexes the symbols. Of two with one name, the first with a size is found by that name.
    #[must_use]
    pub fn new(all: Vec<Symbol>) -> Self {
        let mut sized: Vec<usize> = (0..all.len()).filter(|index| !all[*index].range.is_empty()).collect();
        sized.sort_by_key(|index| all[*index].range);
        Self { by_name: OnceLock::new(), sized, all }
    }

    /// The symbol of that (mangled) name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        let index = self.by_name.get_or_init(|| {
            let mut index: Vec<(u64, usize)> =
                self.all.iter().enumerate().map(|(at, symbol)| (hash(&symbol.name), at)).collect();
            index.sort_unstable();
            index
        });
        let hash = hash(name);
        let first = index.partition_point(|(other, _)| *other < hash);
        let same = index[first..].iter().take_while(|(other, _)| *other == hash);
        let named = same.map(|(_, at)| &self.all[*at]).filter(|symbol| symbol.name == name);
        // `min_by_key` gives the first of several.
        named.min_by_key(|symbol| symbol.range.is_empty())
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
        let next = self.sized.partition_point(|index| self.all[*index].range.start() <= address);
        self.sized[next.saturating_sub(LOOK_BACK)..next]
            .iter()
            .map(|index| &self.all[*index])
            .filter(|symbol| symbol.range.contains(address))
            .min_by_key(|symbol| symbol.range.size())
    }

    /// The objects and functions that start in `range`, in address order.
    pub fn within(&self, range: Region) -> impl Iterator<Item = &Symbol> {
        let first = self.sized.partition_point(|index| self.all[*index].range.start() < range.start());
        self.sized[first..]
            .iter()
            .map(|index| &self.all[*index])
            .take_while(move |symbol| range.contains(symbol.range.start()))
    }

    /// All symbols, in file order.
    pub fn iter(&self) -> impl Iterator<Item = &Symbol> {
        self.all.iter()
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    hasher.finish()
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
            assert_eq!(symbols.at(address).map(|symbol| symbol.name.as_str()), expected, "{address:#x}");
        }
        assert_eq!(symbols.within(Region::new(0x101, 0x100)).count(), 2);
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
