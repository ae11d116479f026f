//! Whose a function or a static is: the crate in its name, else the file the compiler noted, else the linker's map.

use super::Thing;
use crate::image::link_map::LinkMap;
use crate::image::symbols::{Symbol, demangle};
use crate::image::units::Units;
use crate::units::printable;

/// What a thing came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    /// A Rust crate.
    Crate(String),
    /// A member of a static library: `libc_nano.a(lib_a-memcpy.o)`.
    Archive {
        /// The library, without its folder.
        archive: String,
        /// The member.
        member: String,
    },
    /// A source file, or the object file made from it.
    File(String),
    /// Nothing tells.
    Unknown,
}

impl Module {
    /// What a person calls it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Crate(name) | Self::File(name) => name.clone(),
            Self::Archive { archive, member } => format!("{archive}({member})"),
            Self::Unknown => "unknown".into(),
        }
    }

    /// What it is, in a word: `crate`, `archive`, `file`, `unknown`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Crate(_) => "crate",
            Self::Archive { .. } => "archive",
            Self::File(_) => "file",
            Self::Unknown => "unknown",
        }
    }
}

/// Everything that tells where things came from.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The compiled units, by the debug information.
    pub units: Units,
    /// The linker's map, when there is one.
    pub map: LinkMap,
}

impl Names {
    /// What a symbol stands for; `bytes` are its linked ones.
    #[must_use]
    pub fn thing(&self, symbol: &Symbol, bytes: Option<&[u8]>) -> Thing {
        let name = demangle(&symbol.name);
        let folded = fold(&symbol.name, &name);
        let module = self.module(symbol, &name);
        Thing { name, folded, module, range: symbol.range, is_code: symbol.is_code, content: bytes.map(hash) }
    }

    fn module(&self, symbol: &Symbol, name: &str) -> Module {
        if is_rust(&symbol.name)
            && let Some(krate) = crate_of(name)
        {
            return Module::Crate(krate.to_owned());
        }
        let address = symbol.range.start();
        if let Some(input) = self.map.at(address) {
            return match &input.member {
                Some(member) => Module::Archive { archive: input.object.clone(), member: member.clone() },
                None => Module::File(input.object.clone()),
            };
        }
        // IAR's linker names files with their folders.
        let noted = || symbol.file.as_deref().and_then(|file| file.rsplit(['/', '\\']).next());
        match self.units.at(address).or_else(noted) {
            Some(file) => codegen_unit(file).map_or_else(|| Module::File(printable(file, 256)), Module::Crate),
            None => Module::Unknown,
        }
    }
}

/// The crate of one of rustc's units, which are called `crate.hash-cgu.number`, in the debug information after a path.
fn codegen_unit(file: &str) -> Option<String> {
    let (name, unit) = file.split_once('.')?;
    let (hash, number) = unit.split_once("-cgu.")?;
    let is_unit = !hash.is_empty() && hash.chars().all(|letter| letter.is_ascii_alphanumeric()) && !number.is_empty();
    is_unit.then(|| printable(name, 256))
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): saved reports have it in them, so it must never change.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether the name was mangled by rustc: the v0 scheme, or the older one with its hash.
fn is_rust(name: &str) -> bool {
    rustc_demangle::try_demangle(name).is_ok()
}

/// The crate of a demangled Rust name: of the type for a method, of the trait when the type is the language's own.
fn crate_of(name: &str) -> Option<&str> {
    let name = name.trim_start_matches(['&', '*', '[', '(']);
    let name = ["const ", "mut ", "dyn "].iter().fold(name, |name, word| name.trim_start_matches(word));
    if let Some(inner) = name.strip_prefix('<') {
        let end = matching(inner);
        let (of, by) = split_as(&inner[..end]);
        // `<u32 as core::fmt::Display>`: the language's own types belong to whoever wrote the trait.
        return [Some(of), by].into_iter().flatten().find_map(crate_of);
    }
    let path = name.split(['<', '(', ' ', ',', '>']).next()?;
    let (first, _) = path.split_once("::")?;
    let is_identifier = !first.is_empty() && first.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    is_identifier.then_some(first)
}

/// Where the angle bracket closes that was opened before `text`.
fn matching(text: &str) -> usize {
    let mut depth = 1usize;
    let mut previous = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            // The arrow of a function's type closes nothing.
            '>' if previous != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
        previous = letter;
    }
    text.len()
}

/// `T as Trait` into its two sides; brackets inside `T` are passed over.
fn split_as(text: &str) -> (&str, Option<&str>) {
    let mut depth = 0i32;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ' ' if depth <= 0 => {
                if let Some(by) = text[at..].strip_prefix(" as ") {
                    return (&text[..at], Some(by));
                }
            }
            _ => {}
        }
    }
    (text, None)
}

/// A type without the scopes of its parts: `Option<Task>` for `core::option::Option<demo::kernel::Task>`.
#[must_use]
pub fn short(kind: &str) -> String {
    let mut short = String::new();
    for part in kind.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

/// The last part of a path: `push` of `alloc::vec::Vec<a::B>::push`. What stands in angle brackets is one piece.
#[must_use]
pub fn last_part(name: &str) -> &str {
    let mut depth = 0usize;
    let mut start = 0;
    let mut previous = ' ';
    for (at, letter) in name.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if previous != '-' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && previous == ':' => start = at + 1,
            _ => {}
        }
        previous = letter;
    }
    &name[start..]
}

/// The name that all instances of one generic share: what stands in angle brackets is left out, except where it names the
/// type of a method. Constants without a name of their own share one.
fn fold(mangled: &str, name: &str) -> String {
    const ANONYMOUS: &[&str] =
        &["anon.", ".Lanon.", ".L__unnamed_", "__unnamed_", ".L.str", ".Lswitch.table", "switch.table"];
    if ANONYMOUS.iter().any(|prefix| mangled.starts_with(prefix)) {
        return "(constants without a name)".into();
    }
    let mut folded = String::with_capacity(name.len());
    let mut rest = name;
    // `<T as Trait>::f`: its type is its name.
    while rest.starts_with('<') {
        let end = matching(&rest[1..]) + 2;
        let end = end.min(rest.len());
        folded.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    let mut depth = 0usize;
    let mut previous = ' ';
    for letter in rest.chars() {
        match letter {
            '<' => depth += 1,
            '>' if previous != '-' && depth > 0 => depth -= 1,
            letter if depth == 0 => folded.push(letter),
            _ => {}
        }
        previous = letter;
    }
    // `Vec::<T>::push` leaves two separators where its arguments were.
    let folded = folded.replace("::::", "::");
    folded.trim_end_matches("::").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_is_read_from_the_name() {
        for (name, expected) in [
            ("core::fmt::write", Some("core")),
            ("<app::Led as embedded_hal::OutputPin>::set_low", Some("app")),
            ("<u32 as core::fmt::Display>::fmt", Some("core")),
            ("<&mut app::W<'_> as core::fmt::Write>::write_str", Some("app")),
            ("<[u8] as core::fmt::Debug>::fmt", Some("core")),
            ("<T as alloc::string::ToString>::to_string", Some("alloc")),
            ("<(dyn app::Tr + 'static)>::call", Some("app")),
            ("<fn(u8) -> u8 as app::Call>::call", Some("app")),
            ("main", None),
            ("<", None),
            ("<>", None),
            ("", None),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }

    #[test]
    fn the_last_part_of_a_path_keeps_its_arguments() {
        for (name, expected) in [
            ("core::ptr::drop_in_place<a::B>", "drop_in_place<a::B>"),
            ("<a::B as c::D>::f", "f"),
            ("a::b::<fn(u8) -> c::D>::e", "e"),
            ("main", "main"),
            ("a::", ""),
        ] {
            assert_eq!(last_part(name), expected, "{name}");
        }
    }

    #[test]
    fn a_unit_of_rustc_is_its_crate() {
        for (file, expected) in
            [("demo.c5d143356323f850-cgu.0", Some("demo")), ("main.c", None), ("a.b-cgu.", None), ("", None)]
        {
            assert_eq!(codegen_unit(file).as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn instances_of_one_generic_share_a_name() {
        for (name, expected) in [
            ("alloc::vec::Vec<u8>::push", "alloc::vec::Vec::push"),
            ("core::ptr::drop_in_place::<app::Foo<u8>>", "core::ptr::drop_in_place"),
            ("<app::Led<P> as hal::Pin>::set", "<app::Led<P> as hal::Pin>::set"),
            ("std::vector<int>::push_back", "std::vector::push_back"),
            ("app::run::<fn(u8) -> u8>::inner", "app::run::inner"),
            ("plain_c", "plain_c"),
            ("operator<", "operator"),
        ] {
            assert_eq!(fold(name, name), expected, "{name}");
        }
        assert_eq!(fold("anon.1234.5", "anon.1234.5"), "(constants without a name)");
    }

    #[test]
    fn a_type_is_told_without_scopes() {
        for (long, expected) in [
            ("usize", "usize"),
            ("core::option::Option<demo::kernel::Task>", "Option<Task>"),
            ("[core::cell::UnsafeCell<u32>; 4]", "[UnsafeCell<u32>; 4]"),
            ("*a::b::C", "*C"),
            ("(a::B, &c::D)", "(B, &D)"),
        ] {
            assert_eq!(short(long), expected);
        }
    }
}
