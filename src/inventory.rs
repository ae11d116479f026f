//! Every byte of the memories by its owner, as far as the ELF tells: functions, statics, padding, and what nobody names.
//!
//! ```text
//!   sections ──> tiles (symbols cut so that no byte counts twice) ──> items of each memory ──> tree, treemap, diff
//! ```
//!
//! The items of a memory tile it: their sizes add up to the memory's, and those of a section to the section's.

pub mod diff;
pub mod listing;
pub mod owner;
pub mod regions;
pub mod tasks;
mod tiles;
pub mod told;
pub mod tree;
pub mod treemap;

use std::collections::HashMap;

use crate::image::layout::{self, Memory};
use crate::image::symbols::Symbol;
use crate::image::{Image, Section};
use crate::kernel;
use crate::region::{Region, merge};
use owner::{Module, Names};

/// What each byte of a firmware's memories belongs to.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// File name of the ELF.
    pub elf: String,
    /// The memories in address order, each with its items.
    pub memories: Vec<Holding>,
    /// The sections that take memory, in address order: [`Item::section`] counts them.
    pub sections: Vec<SectionSize>,
    /// Functions and statics: [`What::Thing`] counts them.
    pub things: Vec<Thing>,
}

/// One memory and what it holds.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The memory.
    pub memory: Memory,
    /// Its items in address order, without gap or overlap.
    pub items: Vec<Item>,
}

/// A section by its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSize {
    /// Its name.
    pub name: String,
    /// Bytes, counted once: what is stored in flash and copied to RAM takes them in both.
    pub size: u32,
}

/// A range of a memory that has one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it is in this memory.
    pub range: Region,
    /// The section it is in; `None` between sections.
    pub section: Option<usize>,
    /// Whether it is what the program uses, or the stored copy of it that startup code reads.
    pub copy: Copied,
    /// Whose it is.
    pub what: What,
}

/// Which of its two places an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Copied {
    /// Where the program uses it.
    Run,
    /// Where its initial value is stored.
    Load,
}

/// What a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A function or a static, by its place in [`Inventory::things`].
    Thing(usize),
    /// Bytes between two things that only align the second.
    Padding,
    /// In a section, but no symbol names it: literals, tables, assembly without sizes.
    Unnamed,
    /// Reserved by the linker for the heap.
    Heap,
    /// Reserved by the linker for a stack.
    Stack(StackOf),
    /// Left by the linker for a stack: it becomes smaller when something else becomes larger.
    Room(StackOf),
    /// Taken by another image in the same memory.
    Other,
    /// In no section.
    Free,
}

/// Whose stack the linker makes room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StackOf {
    /// What the core begins with (MSP), where the firmware has no kernel.
    Main,
    /// The same where a kernel gives its threads stacks of their own: only interrupts are left on it.
    Interrupts,
    /// The main thread's, beside the main stack (PSP).
    Process,
}

impl What {
    /// Whether it is there to be taken: free, or what is left for a stack.
    #[must_use]
    pub const fn is_room(self) -> bool {
        matches!(self, Self::Free | Self::Room(_))
    }
}

/// A function or a static.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Its name, demangled and printable.
    pub name: String,
    /// The name that all instances of one generic function share.
    pub folded: String,
    /// What it came from.
    pub module: Module,
    /// Where the program uses it.
    pub range: Region,
    /// It is a function.
    pub is_code: bool,
    /// A hash of its linked bytes; `None` when it has none.
    pub content: Option<u64>,
}

impl Inventory {
    /// Everything that `image` says of those memories.
    #[must_use]
    pub fn new(image: &Image, memories: &[Memory], names: &Names) -> Self {
        let mut inventory = Self { elf: image.name(), ..Self::default() };
        let mut placed: Vec<Item> = Vec::new();
        let whose = if kernel::is_linked(image) { StackOf::Interrupts } else { StackOf::Main };
        let is_room = layout::stack_room(image, memories).is_some();
        let stack = if is_room { What::Room(whose) } else { What::Stack(whose) };
        let reserved = [
            (layout::heap_within(image, memories), What::Heap),
            (layout::main_stack(image, memories), stack),
            (layout::process_stack(image), What::Stack(StackOf::Process)),
        ];
        let hidden = hidden(image);
        for (index, section) in image.sections.iter().enumerate() {
            inventory.sections.push(SectionSize { name: section.name.clone(), size: section.run.size() });
            let tiles = inventory.tiles(image, section, hidden.contains_key(&index), names);
            for (range, what) in tiles {
                let what = match what {
                    What::Unnamed => named_by_linker(range, &reserved).unwrap_or(what),
                    what => what,
                };
                let shown = |range| Item { range, section: Some(index), copy: Copied::Run, what };
                match hidden.get(&index) {
                    Some(by) => placed.extend(range.minus(by).into_iter().map(shown)),
                    None => placed.push(shown(range)),
                }
                let offset = section.run.offset_of(range.start()).filter(|_| !section.is_packed);
                if let (Some(load), Some(offset)) = (section.load.filter(|load| *load != section.run), offset) {
                    let range = load.slice(offset, range.size());
                    placed.push(Item { range, section: Some(index), copy: Copied::Load, what });
                }
            }
        }
        for (index, section) in image.sections.iter().enumerate().filter(|(_, section)| section.is_packed) {
            let whole = |range| Item { range, section: Some(index), copy: Copied::Load, what: What::Unnamed };
            placed.extend(section.load.map(whole));
        }
        for (range, what) in reserved {
            placed.extend(range.map(|range| Item { range, section: None, copy: Copied::Run, what }));
        }
        for range in image.others.iter().flat_map(|other| &other.ranges) {
            placed.push(Item { range: *range, section: None, copy: Copied::Run, what: What::Other });
        }
        // What a section holds comes before what the linker only reserves.
        placed.sort_by_key(|item| (item.range.start(), item.section.is_none()));
        inventory.memories = memories.iter().map(|memory| hold(memory, &placed)).collect();
        inventory
    }

    /// What the section is made of, in address order. Symbols that begin in it become things: where it shares its addresses
    /// with others, only its own.
    fn tiles(&mut self, image: &Image, section: &Section, is_shared: bool, names: &Names) -> Vec<(Region, What)> {
        let is_own = |symbol: &&Symbol| !is_shared || symbol.section == section.number;
        let symbols: Vec<&Symbol> = image.symbols.within(section.run).filter(is_own).collect();
        let first = self.things.len();
        let linked = |range: Region| image.bytes_of(section, range);
        self.things.extend(symbols.iter().map(|symbol| names.thing(symbol, linked(symbol.range))));
        let ranges: Vec<Region> = symbols.iter().map(|symbol| symbol.range).collect();
        let is_blank = |range: Region| linked(range).is_none_or(tiles::is_filler);
        tiles::cut(section.run, &ranges)
            .into_iter()
            .map(|tile| {
                let what = match tile.owner {
                    Some(index) => What::Thing(first + index),
                    None if tile.only_aligns && is_blank(tile.range) => What::Padding,
                    None => What::Unnamed,
                };
                (tile.range, what)
            })
            .collect()
    }

    /// The thing of an item.
    #[must_use]
    pub fn thing(&self, item: &Item) -> Option<&Thing> {
        match item.what {
            What::Thing(index) => self.things.get(index),
            _ => None,
        }
    }

    /// The functions and statics that the program uses within a range, the largest first.
    #[must_use]
    pub fn within(&self, range: Region) -> Vec<&Thing> {
        let mut inside: Vec<&Thing> = self.things.iter().filter(|thing| range.covers(thing.range)).collect();
        inside.sort_by_key(|thing| (std::cmp::Reverse(thing.range.size()), thing.range.start()));
        inside.dedup_by_key(|thing| thing.range);
        inside
    }

    /// Bytes of all items that are used where the program runs, or stored for it, by section. Of sections that share
    /// addresses, the largest has them.
    #[must_use]
    pub fn section_bytes(&self, section: usize) -> u64 {
        let items = self.memories.iter().flat_map(|holding| &holding.items);
        let own = items.filter(|item| item.section == Some(section) && item.copy == Copied::Run);
        own.map(|item| u64::from(item.range.size())).sum()
    }
}

impl Holding {
    /// Bytes that a section or the linker's reservation takes.
    #[must_use]
    pub fn used(&self) -> u64 {
        let taken = self.items.iter().filter(|item| !item.what.is_room());
        taken.map(|item| u64::from(item.range.size())).sum()
    }
}

/// What of which section is not counted, because a larger one that shares its addresses is: overlays take turns.
fn hidden(image: &Image) -> HashMap<usize, Vec<Region>> {
    /// More at one place are no overlays: the file is damaged, or was not linked yet.
    const MOST_SHARING: usize = 256;
    let mut hidden = HashMap::new();
    let mut first = 0;
    for together in layout::sharing(image) {
        let mut order: Vec<usize> = (0..together.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(together[*at].run.size()));
        let mut taken: Vec<Region> = Vec::new();
        for at in order.into_iter().filter(|_| (2..=MOST_SHARING).contains(&together.len())) {
            hidden.insert(first + at, taken.clone());
            taken = merge(&[taken.as_slice(), &[together[at].run]].concat(), 0);
        }
        first += together.len();
    }
    hidden
}

/// What the linker reserved a range for.
fn named_by_linker(range: Region, reserved: &[(Option<Region>, What)]) -> Option<What> {
    reserved.iter().find(|(place, _)| place.is_some_and(|place| place.covers(range))).map(|(_, what)| *what)
}

/// The items of one memory: what was placed in it, and the free bytes between.
fn hold(memory: &Memory, placed: &[Item]) -> Holding {
    let mut items: Vec<Item> = Vec::new();
    let mut rest = memory.range;
    let free = |range: Region| Item { range, section: None, copy: Copied::Run, what: What::Free };
    for item in placed {
        // Where two sections claim one byte, the one that begins first has it.
        let Some(range) = item.range.intersection(rest).filter(|range| !range.is_empty()) else { continue };
        if range.start() > rest.start() {
            items.push(free(rest.below(range.start())));
        }
        items.push(Item { range, ..*item });
        // A memory may end with the address space, where there is no address behind its last byte.
        rest = if range.end() == rest.end() { Region::default() } else { rest.from(range.end_address()) };
    }
    if !rest.is_empty() {
        items.push(free(rest));
    }
    Holding { memory: memory.clone(), items }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::MemoryKind;

    #[test]
    fn a_memory_that_ends_with_the_address_space_adds_up() {
        let range = Region::new(0xffff_ffe0, 0x20);
        let memory = Memory { name: "Flash".into(), kind: MemoryKind::Flash, range, size_known: true };
        let item =
            |start, size, what| Item { range: Region::new(start, size), section: Some(0), copy: Copied::Run, what };
        for placed in [
            vec![],
            vec![item(0xffff_ffe0, 0x20, What::Unnamed), item(0xffff_ffe0, 0x20, What::Padding)],
            vec![item(0xffff_fff0, 0x10, What::Unnamed)],
            vec![item(0xffff_ffe4, 4, What::Unnamed), item(0xffff_fff8, 4, What::Unnamed)],
        ] {
            let items = hold(&memory, &placed).items;
            assert_eq!(items.iter().map(|item| item.range.size()).sum::<u32>(), 0x20, "{items:?}");
        }
    }
}
