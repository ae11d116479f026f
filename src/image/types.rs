//! Where the fields of a firmware's structures and statics lie, read from the debug information by name: never by
//! fixed offset.
//!
//! ```text
//!   types.find("tskTaskControlBlock")?.field("xStateListItem.pvOwner")?.offset
//!   image.variable("pxReadyTasksLists")  ->  its address, and a type that is an array of List_t
//! ```
//!
//! A name stands for what a compiler wrote down of it, so the same question serves C, C++ and Rust. A structure that one
//! unit only declares is answered with the definition that another unit gives.
//!
//! At first it is only found out which unit speaks of which name. A unit is read when one of its types is asked for: a large
//! firmware has a hundred times more types than anybody looks at.

mod attributes;
mod handles;
mod index;
mod read;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::dwarf::Debug;
use index::Raw;

/// The deepest nesting of fields that is followed from a static.
const MAX_FIELDS: usize = 16;
/// The most elements of one array that are looked at.
const MAX_ELEMENTS: u32 = 64;
/// The longest chain of typedefs and qualifiers that is followed.
const MAX_ALIASES: usize = 32;
/// The most structures that one question looks into: a damaged file may hold structures that hold themselves.
const MAX_STRUCTURES: usize = 1 << 16;
/// The longest way from the definition of a static to the declaration that it completes.
const MAX_LINKS: usize = 4;
/// The deepest nesting of arrays that is followed.
const MAX_ARRAYS: usize = 16;

/// The types of a firmware and the statics that hold them.
#[derive(Clone, Debug, Default)]
pub struct Types {
    debug: Arc<Debug>,
    /// What each unit defines, in the order of the debug information, read when it is first asked for.
    units: Vec<OnceLock<Defined>>,
    /// Hashes of names without their scopes, each with the place in `units` of a unit that gives it a meaning.
    words: Vec<(u32, u32)>,
    statics: Vec<Static>,
    statics_by_name: HashMap<String, Vec<usize>>,
    statics_by_address: HashMap<u32, usize>,
    /// Where in the debug information addresses are given to variables, in its order.
    placed: Vec<(usize, u32)>,
}

/// What one unit defines.
#[derive(Clone, Debug, Default)]
struct Defined {
    shapes: HashMap<usize, Shape>,
    names: HashMap<String, Vec<usize>>,
    enumerators: HashMap<String, i64>,
}

/// What a type is made of. Other types are named by their place in the debug information.
#[derive(Clone, Debug)]
enum Shape {
    Struct(Struct),
    Base {
        name: String,
        size: u32,
        coding: Coding,
    },
    Enumeration {
        name: String,
        size: u32,
        of: Option<usize>,
        names: Vec<(i64, String)>,
    },
    Pointer {
        to: Option<usize>,
        size: u32,
    },
    Array {
        of: Option<usize>,
        counts: Vec<Option<u32>>,
    },
    /// Another name, or the same type with a qualifier.
    Alias {
        to: Option<usize>,
    },
}

/// How the bits of a plain value are to be read (DWARF 5, 7.8, table 7.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// A number without a sign, or an address.
    Unsigned,
    /// A number in two's complement.
    Signed,
    /// A number in IEEE 754.
    Float,
    /// Zero is false.
    Boolean,
    /// A character of one byte without a sign.
    Character,
    /// A character of one byte with a sign.
    SignedCharacter,
    /// A character of Unicode.
    Unicode,
}

/// The variants of a Rust enumeration: which one holds is told by a field, or by a value that no other one can have.
#[derive(Clone, Debug, Default)]
struct Variants {
    /// The field that tells.
    tag: Option<Member>,
    list: Vec<Choice>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Choice {
    /// The tag's value, or `None` for the variant that has all others.
    value: Option<u64>,
    /// What it holds.
    held: Member,
    /// Where its author wrote it, where the compiler says so: it does for the states of a future.
    written: Option<(Arc<str>, u32)>,
}

/// A structure, a class or a union.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// Its name with its scopes: `linked_list_allocator::hole::HoleList`; empty when it has none.
    pub name: String,
    size: Option<u32>,
    is_declaration: bool,
    members: Vec<Member>,
    variants: Option<Variants>,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    offset: u32,
    kind: usize,
}

#[derive(Clone, Debug, Default)]
struct Static {
    name: String,
    address: Option<u32>,
    kind: Option<usize>,
    declared: Option<(Arc<str>, u32)>,
}

/// A type, with the debug information that it is from.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    types: &'a Types,
    id: usize,
}

/// A field of a structure, however deep in it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Bytes from the start of the structure that was asked.
    pub offset: u32,
    /// What it holds.
    pub kind: Type<'a>,
}

/// An array.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    /// Elements, those of all dimensions together; `None` when the type does not tell (`extern int list[]`).
    pub count: Option<u32>,
    /// Bytes from one element to the next.
    pub stride: u32,
    /// Bytes of one row, in an array of more than one dimension.
    pub row: Option<u32>,
    /// What each holds.
    pub element: Type<'a>,
}

/// A static.
#[derive(Clone, Copy, Debug)]
pub struct Variable<'a> {
    /// Its name with its scopes.
    pub name: &'a str,
    /// Where it is; `None` when the debug information gives no fixed place.
    pub address: Option<u32>,
    /// What it holds.
    pub kind: Type<'a>,
    /// Where its author wrote it: the end of the path, and the line.
    pub declared: Option<(&'a str, u32)>,
}

impl Types {
    pub(super) fn read(debug: Arc<Debug>) -> Self {
        let index = index::read(&debug);
        let units = std::iter::repeat_with(OnceLock::new).take(debug.len()).collect();
        let placed = index.statics.iter().filter_map(|(at, raw)| Some((*at, raw.address?))).collect();
        let mut types = Self { debug, units, words: index.words, placed, ..Self::default() };
        types.join(&index.statics);
        types
    }

    /// Gives each static the name and type of the declaration that it completes.
    fn join(&mut self, raw: &[(usize, Raw)]) {
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
            let index = self.statics.len();
            let short = held.name.rsplit("::").next().filter(|short| *short != held.name).map(ToOwned::to_owned);
            for known in [Some(held.name.clone()), short, linkage].into_iter().flatten() {
                let known = self.statics_by_name.entry(known).or_default();
                if known.last() != Some(&index) {
                    known.push(index);
                }
            }
            if let Some(address) = held.address.filter(|_| held.kind.is_some()) {
                self.statics_by_address.entry(address).or_insert(index);
            }
            self.statics.push(held);
        }
    }

    /// What the unit of that number defines.
    fn defined(&self, number: usize) -> Option<&Defined> {
        Some(self.units.get(number)?.get_or_init(|| read::read(&self.debug, number)))
    }

    /// The units that may define a type or an enumerator of that name, which may have scopes in it, in their order.
    fn speaking_of(&self, name: &str) -> impl Iterator<Item = &Defined> {
        // Where the scopes end is not known: `a::Option<b::C>` has a `::` in its last part.
        let parts = std::iter::once(0).chain(name.match_indices("::").map(|(at, _)| at + 2));
        let mut units: Vec<u32> = Vec::new();
        for part in parts {
            let hash = index::hash(&name[part..]);
            let first = self.words.partition_point(|(word, _)| *word < hash);
            units.extend(self.words[first..].iter().take_while(|(word, _)| *word == hash).map(|(_, unit)| unit));
        }
        units.sort_unstable();
        units.dedup();
        units.into_iter().filter_map(|unit| self.defined(unit as usize))
    }

    /// The type at a place in the debug information.
    fn shape(&self, id: usize) -> Option<&Shape> {
        self.defined(self.debug.number_of(id)?)?.shapes.get(&id)
    }

    /// The addresses that the unit of that number gives to variables.
    pub(super) fn placed_by(&self, unit: usize) -> impl Iterator<Item = u32> {
        let start = self.debug.start(unit).unwrap_or(usize::MAX);
        let end = self.debug.start(unit + 1).unwrap_or(usize::MAX);
        let first = self.placed.partition_point(|(at, _)| *at < start);
        self.placed[first..].iter().take_while(move |(at, _)| *at < end).map(|(_, address)| *address)
    }

    /// The address of the variable whose entry is at a place.
    pub(super) fn placed_at(&self, entry: usize) -> Option<u32> {
        let found = self.placed.binary_search_by_key(&entry, |(at, _)| *at).ok()?;
        Some(self.placed[found].1)
    }

    /// Whether there is no debug information to speak of.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The type of that name: the tag of a structure, union or enumeration, a typedef, or a base type; in Rust and C++
    /// with its scopes, or the last of them. Of several, one that is defined and not only declared.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Type<'_>> {
        self.find_all(name).next()
    }

    /// All types of that name, the defined ones first: units may define one name differently.
    pub fn find_all<'a>(&'a self, name: &str) -> impl Iterator<Item = Type<'a>> + use<'a> {
        let exact = self.speaking_of(name).filter_map(|unit| unit.names.get(name));
        let mut ids: Vec<usize> = exact.flatten().copied().collect();
        if ids.is_empty() {
            let tail = format!("::{name}");
            let names = self.speaking_of(name).flat_map(|unit| &unit.names);
            ids = names.filter(|(known, _)| known.ends_with(&tail)).flat_map(|(_, ids)| ids).copied().collect();
        }
        let rank = |id: usize| match self.shape(id) {
            Some(Shape::Struct(held)) if held.is_declaration => 2,
            Some(Shape::Alias { .. }) => 1,
            _ => 0,
        };
        ids.sort_by_key(|id| (rank(*id), *id));
        ids.into_iter().map(|id| Type { types: self, id })
    }

    /// The value of an enumerator: `osRtxThreadReady`. When several enumerations have one of that name, the first's.
    #[must_use]
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        self.speaking_of(name).find_map(|unit| unit.enumerators.get(name).copied())
    }

    /// The static of that name or linkage name; one with an address before one that is only declared.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Variable<'_>> {
        let described = || {
            let known = self.statics_by_name.get(name).into_iter().flatten();
            known.map(|index| &self.statics[*index]).filter(|held| held.kind.is_some())
        };
        self.tell(described().find(|held| held.address.is_some()).or_else(|| described().next())?)
    }

    /// The static that starts at `address`.
    #[must_use]
    pub fn variable_at(&self, address: u32) -> Option<Variable<'_>> {
        self.tell(self.statics.get(*self.statics_by_address.get(&address)?)?)
    }

    /// All statics that have a place.
    pub fn variables(&self) -> impl Iterator<Item = Variable<'_>> {
        self.statics.iter().filter(|held| held.address.is_some()).filter_map(|held| self.tell(held))
    }

    fn tell<'a>(&'a self, held: &'a Static) -> Option<Variable<'a>> {
        let declared = held.declared.as_ref().map(|(file, line)| (&**file, *line));
        Some(Variable { name: &held.name, address: held.address, kind: Type { types: self, id: held.kind? }, declared })
    }

    /// The statics that hold, at any depth and in arrays, a structure of that name, with its scopes or the last of them: the address
    /// of each such structure, and the structure.
    #[must_use]
    pub fn holders(&self, name: &str) -> Vec<(u32, &Struct)> {
        let mut search = Search { types: self, name, found: Vec::new(), budget: MAX_STRUCTURES };
        for held in &self.statics {
            if let (Some(address), Some(kind)) = (held.address, held.kind) {
                search.within(address, kind, 0);
            }
        }
        let mut found = search.found;
        found.sort_by_key(|(address, _)| *address);
        found.dedup_by_key(|(address, _)| *address);
        found
    }

    /// The offset in bytes of the field that `path` names from `within`: `["first", "next"]`.
    #[must_use]
    pub fn offset(&self, within: &Struct, path: &[&str]) -> Option<u32> {
        let (first, rest) = path.split_first()?;
        let mut budget = MAX_STRUCTURES;
        let (offset, kind) = self.member(within, first, &mut budget)?;
        if rest.is_empty() {
            return Some(offset);
        }
        offset.checked_add(self.offset(self.held(kind)?, rest)?)
    }

    /// The structure that `id` is, through other names of it, and its definition where it is only declared.
    fn held(&self, id: usize) -> Option<&Struct> {
        let Shape::Struct(held) = self.shape(self.resolved(id))? else { return None };
        Some(held)
    }

    /// The type itself, without typedefs and qualifiers; the definition of one that is only declared.
    fn resolved(&self, mut id: usize) -> usize {
        for _ in 0..MAX_ALIASES {
            match self.shape(id) {
                Some(Shape::Alias { to: Some(to) }) => id = *to,
                Some(Shape::Struct(held)) if held.is_declaration => {
                    let is_defined = |other: &&usize| matches!(self.shape(**other), Some(Shape::Struct(held)) if !held.is_declaration);
                    let mut named =
                        self.speaking_of(&held.name).filter_map(|unit| unit.names.get(&held.name)).flatten();
                    return named.find(is_defined).copied().unwrap_or(id);
                }
                _ => break,
            }
        }
        id
    }

    /// The offset and type of a member, sought in nameless members too.
    fn member(&self, within: &Struct, name: &str, budget: &mut usize) -> Option<(u32, usize)> {
        let mut open: Vec<(u32, &Struct)> = vec![(0, within)];
        while let Some((start, held)) = open.pop() {
            *budget = budget.checked_sub(1)?;
            for member in &held.members {
                let offset = start.checked_add(member.offset)?;
                if member.name == name {
                    return Some((offset, member.kind));
                }
                // What is pushed is paid for here, so that the list stays as short as the budget.
                if member.name.is_empty()
                    && let Some(nameless) = self.held(member.kind)
                {
                    *budget = budget.checked_sub(1)?;
                    open.push((offset, nameless));
                }
            }
        }
        None
    }

    fn size(&self, id: usize, depth: usize) -> Option<u32> {
        match self.shape(self.resolved(id))? {
            Shape::Struct(held) => held.size,
            Shape::Base { size, .. } | Shape::Enumeration { size, .. } | Shape::Pointer { size, .. } => Some(*size),
            Shape::Array { of, counts } if depth < MAX_ARRAYS => {
                product(counts)?.checked_mul(self.size((*of)?, depth + 1)?)
            }
            Shape::Array { .. } | Shape::Alias { .. } => None,
        }
    }
}

/// Elements of an array of that many dimensions.
fn product(counts: &[Option<u32>]) -> Option<u32> {
    (!counts.is_empty()).then_some(())?;
    counts.iter().try_fold(1u32, |product, count| product.checked_mul((*count)?))
}

/// A search for the statics that hold a structure.
struct Search<'a, 'b> {
    types: &'a Types,
    name: &'b str,
    found: Vec<(u32, &'a Struct)>,
    budget: usize,
}

impl Search<'_, '_> {
    fn within(&mut self, address: u32, kind: usize, depth: usize) {
        let Some(budget) = self.budget.checked_sub(1) else { return };
        if let Some(Shape::Array { of: Some(of), counts }) = self.types.shape(self.types.resolved(kind)) {
            return self.within_each(address, *of, product(counts).unwrap_or(0), depth);
        }
        let Some(held) = self.types.held(kind) else { return };
        self.budget = budget;
        let is_it = |rest: &str| rest.is_empty() || rest.ends_with("::");
        if held.name.strip_suffix(self.name).is_some_and(is_it) {
            self.found.push((address, held));
        } else if depth < MAX_FIELDS {
            for member in &held.members {
                self.within(address.saturating_add(member.offset), member.kind, depth + 1);
            }
        }
    }

    /// Within the elements of an array, which are all alike: most hold nothing, so one is looked into.
    fn within_each(&mut self, address: u32, of: usize, count: u32, depth: usize) {
        let Some(stride) = self.types.size(of, 0).filter(|_| count > 0 && depth < MAX_FIELDS) else { return };
        let first = self.found.len();
        self.within(address, of, depth + 1);
        let held = self.found[first..].to_vec();
        for index in 1..count.min(MAX_ELEMENTS) {
            let further = |at: u32| at.saturating_add(index.saturating_mul(stride));
            self.found.extend(held.iter().map(|(at, held)| (further(*at), *held)));
        }
    }
}

impl Coding {
    const fn has_sign(self) -> bool {
        matches!(self, Self::Signed | Self::SignedCharacter | Self::Float)
    }
}

impl<'a> Type<'a> {
    fn shape(self) -> Option<&'a Shape> {
        self.types.shape(self.types.resolved(self.id))
    }

    /// The structure that it is; `None` when it is none.
    #[must_use]
    pub fn structure(self) -> Option<&'a Struct> {
        self.types.held(self.id)
    }

    /// Its size in bytes; `None` when it is only declared, or an array of unknown length.
    #[must_use]
    pub fn size(self) -> Option<u32> {
        self.types.size(self.id, 0)
    }

    /// Whether its values have a sign.
    #[must_use]
    pub fn is_signed(self) -> bool {
        match self.shape() {
            Some(Shape::Base { coding, .. }) => coding.has_sign(),
            Some(Shape::Enumeration { of: Some(of), .. }) => {
                matches!(self.types.shape(self.types.resolved(*of)), Some(Shape::Base { coding, .. }) if coding.has_sign())
            }
            _ => false,
        }
    }

    /// What it is called; for what has no name of its own, what it is made of.
    #[must_use]
    pub fn name(self) -> String {
        self.named(0)
    }

    fn named(self, depth: usize) -> String {
        let of = |id: Option<usize>| match id {
            Some(id) if depth < MAX_ARRAYS => Type { types: self.types, id }.named(depth + 1),
            Some(_) => "...".into(),
            None => "void".into(),
        };
        match self.shape() {
            Some(Shape::Struct(held)) if held.name.is_empty() => "struct".into(),
            Some(Shape::Struct(held)) => held.name.clone(),
            Some(Shape::Base { name, .. }) => name.clone(),
            Some(Shape::Enumeration { name, .. }) if name.is_empty() => "enum".into(),
            Some(Shape::Enumeration { name, .. }) => name.clone(),
            Some(Shape::Pointer { to, .. }) => format!("*{}", of(*to)),
            Some(Shape::Array { of: element, counts }) => {
                let counts: Vec<String> =
                    counts.iter().map(|count| count.map_or_else(|| "?".into(), |count| count.to_string())).collect();
                format!("[{}; {}]", of(*element), counts.join(" x "))
            }
            Some(Shape::Alias { .. }) | None => "?".into(),
        }
    }

    /// How its bits are to be read; `None` for what is no plain value.
    #[must_use]
    pub fn coding(self) -> Option<Coding> {
        match self.shape()? {
            Shape::Base { coding, .. } => Some(*coding),
            Shape::Enumeration { .. } if self.is_signed() => Some(Coding::Signed),
            Shape::Enumeration { .. } | Shape::Pointer { .. } => Some(Coding::Unsigned),
            Shape::Struct(_) | Shape::Array { .. } | Shape::Alias { .. } => None,
        }
    }

    /// The name that its enumeration gives a value.
    #[must_use]
    pub fn enumerator(self, value: i64) -> Option<&'a str> {
        let Shape::Enumeration { names, .. } = self.shape()? else { return None };
        names.iter().find(|(known, _)| *known == value).map(|(_, name)| name.as_str())
    }

    /// The members of the structure that it is, each with its name, its offset in bytes and its type.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        let members = self.structure().map(|held| held.members.as_slice()).unwrap_or_default();
        members.iter().map(move |member| (member.name.as_str(), self.field_of(member)))
    }

    /// Whether it is one of several variants at a time.
    #[must_use]
    pub fn has_variants(self) -> bool {
        self.structure().is_some_and(|held| held.variants.is_some())
    }

    /// The field whose value tells which variant holds; `None` when there is only one.
    #[must_use]
    pub fn tag(self) -> Option<Field<'a>> {
        self.structure()?.variants.as_ref()?.tag.as_ref().map(|member| self.field_of(member))
    }

    /// The variant that holds when the tag has this value: its name and what it is made of.
    #[must_use]
    pub fn variant(self, tag: Option<u64>) -> Option<(&'a str, Field<'a>)> {
        let list = &self.structure()?.variants.as_ref()?.list;
        // A compiler may write a negative tag with more bits than the field has.
        let bits = self.tag().and_then(|tag| tag.kind.size()).map_or(64, |size| size.saturating_mul(8).min(64));
        let cut = |value: u64| if bits == 64 { value } else { value & ((1 << bits) - 1) };
        let exact = list.iter().find(|choice| choice.value.is_some() && choice.value.map(cut) == tag.map(cut));
        let choice = exact.or_else(|| list.iter().find(|choice| choice.value.is_none()))?;
        Some((&choice.held.name, self.field_of(&choice.held)))
    }

    /// All variants: what each is made of, and the end of the path and the line where it was written. The states of a
    /// future are variants of it, and those lines are where it waits.
    pub fn variants(self) -> impl Iterator<Item = (Field<'a>, Option<(&'a str, u32)>)> {
        let variants = self.structure().and_then(|held| held.variants.as_ref());
        let list = variants.map(|variants| variants.list.as_slice()).unwrap_or_default();
        list.iter().map(move |choice| {
            let written = choice.written.as_ref().map(|(file, line)| (&**file, *line));
            (self.field_of(&choice.held), written)
        })
    }

    fn field_of(self, member: &Member) -> Field<'a> {
        Field { offset: member.offset, kind: Type { types: self.types, id: member.kind } }
    }

    /// The field that `path` names, with dots between the steps: `thread.run.curr`. It goes through nameless members
    /// and typedefs, and not through pointers.
    #[must_use]
    pub fn field(self, path: &str) -> Option<Field<'a>> {
        let mut field = Field { offset: 0, kind: self };
        let mut budget = MAX_STRUCTURES;
        for step in path.split('.') {
            let (offset, id) = self.types.member(field.kind.structure()?, step, &mut budget)?;
            field = Field { offset: field.offset.checked_add(offset)?, kind: Type { types: self.types, id } };
        }
        Some(field)
    }

    /// What it points to; `None` when it is no pointer, or points to anything (`void *`).
    #[must_use]
    pub fn target(self) -> Option<Type<'a>> {
        match self.shape()? {
            Shape::Pointer { to, .. } => Some(Type { types: self.types, id: (*to)? }),
            _ => None,
        }
    }

    /// Whether it is a pointer, to whatever.
    #[must_use]
    pub fn is_pointer(self) -> bool {
        matches!(self.shape(), Some(Shape::Pointer { .. }))
    }

    /// The array that it is; `None` when it is none.
    #[must_use]
    pub fn array(self) -> Option<Array<'a>> {
        let Shape::Array { of, counts } = self.shape()? else { return None };
        let element = Type { types: self.types, id: (*of)? };
        let stride = element.size()?;
        let row = match counts.get(1..)? {
            [] => None,
            inner => product(inner).and_then(|count| count.checked_mul(stride)),
        };
        Some(Array { count: product(counts), stride, row, element })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use super::*;
    use crate::image::Image;

    static DEMO: LazyLock<Image> = LazyLock::new(|| {
        Image::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf")).expect("the demo opens")
    });

    #[test]
    fn types_are_read_once() {
        assert!(std::ptr::eq(DEMO.types(), DEMO.types()));
    }

    #[test]
    fn a_structure_is_found_by_its_name_with_and_without_scopes() {
        let types = DEMO.types();
        let list = types.find("linked_list_allocator::hole::HoleList").expect("the demo has a heap");
        let hole = types.find("HoleList").and_then(Type::structure).expect("by its last name");
        assert_eq!(hole.name, "linked_list_allocator::hole::HoleList");
        // `first` is { size, next }, and the two ends follow: five words with the byte that is kept for the remainder.
        let field = |path: &str| list.field(path).unwrap_or_else(|| panic!("{path}"));
        let (first, next) = (field("first"), field("first.next"));
        assert!(next.offset >= first.offset && next.offset < first.offset + first.kind.size().expect("it is defined"));
        assert_eq!(field("first.size").kind.size(), Some(4));
        assert!(!field("first.size").kind.is_signed());
        assert!(list.field("bottom").expect("a field").kind.is_pointer());
        assert!(list.size().is_some_and(|size| size >= 16));
        assert!(list.field("no_such_field").is_none());
    }

    #[test]
    fn a_static_has_the_address_of_its_symbol() {
        for name in ["HIGHWATER", "HIGHWATER_BUILD_ID"] {
            let symbol = DEMO.symbols.get(name).expect("the demo has an agent").range;
            let variable = DEMO.types().variable(name).unwrap_or_else(|| panic!("{name} is described"));
            assert_eq!(variable.address, Some(symbol.start()), "{name}");
            assert_eq!(variable.kind.size(), Some(symbol.size()), "{name}");
            assert_eq!(DEMO.types().variable_at(symbol.start()).map(|held| held.name), Some(variable.name));
            assert_eq!(DEMO.variable(name).map(|held| held.address), Some(Some(symbol.start())));
        }
    }

    #[test]
    fn an_array_tells_its_length_and_stride() {
        let words = DEMO.types().variable("DEMO_TRUTH").expect("the demo keeps accounts");
        let array = words.kind.array().or_else(|| words.kind.field("0")?.kind.array());
        let size = words.kind.size().expect("it is defined");
        if let Some(array) = array {
            assert_eq!(array.count.map(|count| count * array.stride), Some(size));
        }
        assert_eq!(DEMO.symbols.get("DEMO_TRUTH").map(|symbol| symbol.range.size()), Some(size));
    }

    #[test]
    fn a_unit_is_read_when_one_of_its_types_is_asked_for_and_not_before() {
        let types = Types::read(DEMO.debug());
        let read = || types.units.iter().filter(|unit| unit.get().is_some()).count();
        assert!(types.variables().count() > 10 && !types.is_empty());
        assert_eq!(read(), 0);
        assert!(types.find("HoleList").is_some() && types.find("no_such_type").is_none());
        assert!((1..types.units.len()).contains(&read()), "{}", read());
    }

    #[test]
    fn all_that_a_unit_defines_is_found_by_its_name() {
        let types = DEMO.types();
        let mut known = 0;
        for defined in (0..types.units.len()).filter_map(|unit| types.defined(unit)) {
            for (name, ids) in &defined.names {
                let found: Vec<usize> = types.find_all(name).map(|found| found.id).collect();
                assert!(ids.iter().all(|id| found.contains(id)), "{name}");
                known += 1;
            }
            for name in defined.enumerators.keys() {
                assert!(types.enumerator(name).is_some(), "{name}");
            }
        }
        assert!(known > 500, "{known}");
    }

    #[test]
    fn damaged_debug_information_is_survived() {
        use object::{Object, ObjectSection};
        let clean = std::fs::read(&DEMO.path).expect("the demo is there");
        let file = object::File::parse(&*clean).expect("it is an ELF");
        for name in [".debug_info", ".debug_abbrev", ".debug_str"] {
            let (start, size) = file.section_by_name(name).and_then(|section| section.file_range()).expect(name);
            for step in [61, 997] {
                let mut bytes = clean.clone();
                for at in (start..start + size).step_by(step) {
                    bytes[at as usize] ^= 0x5a;
                }
                let Ok(image) = Image::parse(&DEMO.path, &bytes) else { continue };
                let types = image.types();
                for defined in (0..types.units.len()).filter_map(|unit| types.defined(unit)) {
                    for id in defined.shapes.keys() {
                        let held = Type { types, id: *id };
                        let _ = (held.size(), held.name(), held.array().is_some(), held.members().count());
                    }
                }
                let _ = (types.find("HoleList").is_some(), types.holders("HoleList"), image.units());
            }
        }
    }

    #[test]
    fn types_that_hold_themselves_are_survived() {
        let itself = |name: &str| Member { name: name.into(), offset: 4, kind: 1 };
        let held = Struct { name: "s".into(), members: vec![itself(""), itself("a"), itself("")], ..Struct::default() };
        let defined = Defined {
            shapes: [
                (1, Shape::Struct(held)),
                (2, Shape::Array { of: Some(2), counts: vec![Some(2)] }),
                (3, Shape::Alias { to: Some(3) }),
            ]
            .into(),
            names: [("s".into(), vec![1]), ("a".into(), vec![2]), ("t".into(), vec![3])].into(),
            ..Defined::default()
        };
        let mut words = ["s", "a", "t"].map(|name| (index::hash(name), 0)).to_vec();
        words.sort_unstable();
        let types = Types {
            // Its first unit begins at place 0.
            debug: DEMO.debug(),
            units: vec![OnceLock::from(defined)],
            words,
            statics: vec![Static { name: "v".into(), address: Some(0), kind: Some(1), declared: None }],
            ..Types::default()
        };
        assert!(types.find("s").is_some_and(|held| held.field("missing").is_none()));
        assert_eq!(types.find("s").and_then(|held| held.field("a.a.a")).map(|field| field.offset), Some(12));
        assert_eq!(types.find("a").and_then(Type::size), None);
        assert_eq!(types.find("t").and_then(Type::size), None);
        assert!(types.holders("nobody").is_empty());
    }

    #[test]
    fn what_is_not_there_is_none() {
        let types = Types::default();
        assert!(types.is_empty() && types.find("x").is_none() && types.variable("x").is_none());
        assert_eq!(types.enumerator("x"), None);
    }
}
