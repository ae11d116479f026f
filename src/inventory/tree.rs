//! The items of an inventory, grouped: by memory, section, module and name, in any order, largest first.

use std::collections::HashMap;

use super::{Copied, Holding, Inventory, Item, StackOf, Thing, What};
use crate::model::snapshot::MemoryKind;
use crate::region::Region;

/// What a level of a tree groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The memory.
    Memory,
    /// The section.
    Section,
    /// The crate, library member or file.
    Module,
    /// The name that instances of a generic share.
    Name,
    /// The name of one function or static.
    Instance,
}

/// The order of siblings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// The largest first.
    #[default]
    Size,
    /// By name.
    Name,
    /// By address.
    Address,
}

impl Order {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Size => Self::Name,
            Self::Name => Self::Address,
            Self::Address => Self::Size,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Size => "largest first",
            Self::Name => "by name",
            Self::Address => "by address",
        }
    }
}

/// A group of items.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What a person calls it.
    pub name: String,
    /// What it groups by; `None` for bytes that are no function and no static.
    pub level: Option<Level>,
    /// Bytes in flash, stored initial values included.
    pub flash: u64,
    /// Bytes in RAM.
    pub ram: u64,
    /// Bytes of it that nothing is placed in, what is left for the main stack included.
    pub free: u64,
    /// Functions and statics in it; one that is stored and copied counts where it is used.
    pub things: usize,
    /// All of them are functions.
    pub is_code: bool,
    /// The lowest place of what is in it.
    pub first: Region,
    /// Where the program uses it, when it is one function or static.
    pub run: Option<Region>,
    /// What it is made of, in the order asked for.
    pub children: Vec<Node>,
}

impl Node {
    /// Bytes in all memories.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.flash + self.ram
    }

    /// Bytes in all memories that somebody uses.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.bytes() - self.free
    }
}

/// Groups the items by `levels`, the outermost first. Kept are those whose names have `filter` in them, whatever the case;
/// free bytes are kept when there is no filter. The node that is returned stands for all of it.
#[must_use]
pub fn build(inventory: &Inventory, levels: &[Level], filter: &str, order: Order) -> Node {
    let filter = filter.to_lowercase();
    let mut root = Builder::default();
    for holding in &inventory.memories {
        for item in &holding.items {
            if matches(inventory, item, &filter) {
                let steps = steps(inventory, holding, item, levels);
                root.add(item, holding.memory.kind, inventory.thing(item), &steps);
            }
        }
    }
    root.finish(inventory.elf.clone(), None, order)
}

/// A group's name and what it groups by.
type Step = (String, Option<Level>);

fn steps(inventory: &Inventory, holding: &Holding, item: &Item, levels: &[Level]) -> Vec<Step> {
    let thing = inventory.thing(item);
    let section = item.section.and_then(|index| inventory.sections.get(index));
    let mut steps = Vec::with_capacity(levels.len());
    for level in levels {
        let name = match level {
            Level::Memory => Some(holding.memory.name.clone()),
            Level::Section => section.map(|section| section.name.clone()),
            Level::Module => thing.map(|thing| thing.module.name()),
            Level::Name => thing.map(|thing| thing.folded.clone()),
            Level::Instance => thing.map(|thing| thing.name.clone()),
        };
        let Some(name) = name else {
            // What has no name of this kind is told by what it is, and divided no further.
            steps.push((plain(item.what).to_owned(), None));
            break;
        };
        steps.push((name, Some(*level)));
    }
    steps
}

/// What bytes without a name are.
#[must_use]
pub fn plain(what: What) -> &'static str {
    match what {
        What::Thing(_) => "",
        What::Padding => "(alignment)",
        What::Unnamed => "(no symbol)",
        What::Heap => "(heap)",
        What::Stack(StackOf::Main) | What::Room(StackOf::Main) => "(main stack)",
        What::Stack(StackOf::Interrupts) | What::Room(StackOf::Interrupts) => "(ISR stack)",
        What::Stack(StackOf::Process) | What::Room(StackOf::Process) => "(process stack)",
        What::Other => "(other images)",
        What::Free => "(free)",
    }
}

fn matches(inventory: &Inventory, item: &Item, filter: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let section = item.section.and_then(|index| inventory.sections.get(index));
    let has = |text: &str| text.to_lowercase().contains(filter);
    match inventory.thing(item) {
        Some(thing) => {
            has(&thing.name) || has(&thing.module.name()) || section.is_some_and(|section| has(&section.name))
        }
        None => item.what != What::Free && (has(plain(item.what)) || section.is_some_and(|section| has(&section.name))),
    }
}

#[derive(Default)]
struct Builder {
    flash: u64,
    ram: u64,
    free: u64,
    things: usize,
    statics: usize,
    first: Option<Region>,
    runs: Vec<Region>,
    index: HashMap<Step, usize>,
    children: Vec<(Step, Builder)>,
}

impl Builder {
    fn add(&mut self, item: &Item, kind: MemoryKind, thing: Option<&Thing>, steps: &[Step]) {
        let bytes = u64::from(item.range.size());
        match kind {
            MemoryKind::Flash => self.flash += bytes,
            MemoryKind::Ram => self.ram += bytes,
        }
        self.things += usize::from(matches!(item.what, What::Thing(_)) && item.copy == Copied::Run);
        self.free += if item.what.is_room() { bytes } else { 0 };
        self.statics += usize::from(thing.is_some_and(|thing| !thing.is_code));
        // One more than one is enough to know that there are several.
        if let Some(run) = thing.map(|thing| thing.range).filter(|run| self.runs.len() < 2 && !self.runs.contains(run))
        {
            self.runs.push(run);
        }
        self.first = Some(self.first.map_or(item.range, |first| first.min(item.range)));
        if let Some((step, rest)) = steps.split_first() {
            let next = self.children.len();
            let at = *self.index.entry(step.clone()).or_insert(next);
            if at == next {
                self.children.push((step.clone(), Self::default()));
            }
            self.children[at].1.add(item, kind, thing, rest);
        }
    }

    fn finish(self, name: String, level: Option<Level>, order: Order) -> Node {
        let mut children: Vec<Node> =
            self.children.into_iter().map(|((name, level), child)| child.finish(name, level, order)).collect();
        match order {
            Order::Size => children.sort_by(|one, other| {
                (other.taken(), one.first, &one.name).cmp(&(one.taken(), other.first, &other.name))
            }),
            Order::Name => children.sort_by(|one, other| one.name.cmp(&other.name)),
            Order::Address => children.sort_by_key(|node| node.first),
        }
        Node {
            name,
            level,
            flash: self.flash,
            ram: self.ram,
            free: self.free,
            things: self.things,
            is_code: self.things > 0 && self.statics == 0,
            first: self.first.unwrap_or_default(),
            run: match self.runs.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
            children,
        }
    }
}
