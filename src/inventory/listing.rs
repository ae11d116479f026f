//! An inventory as plain rows: what `highwater symbols --format json` writes and `highwater diff` reads again.

use serde::{Deserialize, Serialize};

use super::{Copied, Inventory, What, tree};
use crate::model::snapshot::MemoryKind;

/// The schema's name and version.
pub const SCHEMA: &str = "highwater/symbols@1";

/// What every byte of a firmware's memories belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// File name of the ELF.
    pub elf: String,
    /// The memories in address order.
    pub memories: Vec<ListedMemory>,
    /// The sections in address order.
    pub sections: Vec<ListedSection>,
    /// What they hold, in address order; those of one memory add up to its size.
    pub rows: Vec<Row>,
}

/// A memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedMemory {
    /// Its name.
    pub name: String,
    /// `flash` or `ram`.
    pub kind: String,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that are not free.
    pub used: u64,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSection {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// The kind of a row that is in no section.
pub(super) const FREE: &str = "free";
/// That of what the linker left for the main stack.
pub(super) const ROOM: &str = "room";

/// A range that has one owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The memory's name.
    pub memory: String,
    /// The section's name; `null` between sections.
    pub section: Option<String>,
    /// `function`, `static`, `alignment`, `unnamed`, `heap`, `stack`, `other`, `room` (what is left for a stack) or
    /// `free`.
    pub kind: String,
    /// Its name; for what has none, what it is.
    pub name: String,
    /// The crate, library member or file; `null` when nothing tells.
    pub module: Option<String>,
    /// `crate`, `archive`, `file` or `unknown`; `null` for what is no function and no static.
    pub module_kind: Option<String>,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// It is the stored initial value of something that is used elsewhere.
    pub stored_copy: bool,
    /// A hash of its linked bytes, to know it again under another name.
    pub content: Option<String>,
}

impl Row {
    /// Whether it is there to be taken: no use, whatever its size.
    #[must_use]
    pub fn is_room(&self) -> bool {
        [FREE, ROOM].contains(&self.kind.as_str())
    }
}

impl Listing {
    /// The rows of an inventory.
    #[must_use]
    pub fn new(inventory: &Inventory) -> Self {
        let memories = inventory
            .memories
            .iter()
            .map(|holding| ListedMemory {
                name: holding.memory.name.clone(),
                kind: match holding.memory.kind {
                    MemoryKind::Flash => "flash".into(),
                    MemoryKind::Ram => "ram".into(),
                },
                start: holding.memory.range.start().into(),
                size: holding.memory.range.size().into(),
                used: holding.used(),
            })
            .collect();
        let sections = inventory
            .sections
            .iter()
            .map(|section| ListedSection { name: section.name.clone(), size: section.size.into() })
            .collect();
        let rows = inventory.memories.iter().flat_map(|holding| {
            holding.items.iter().map(|item| {
                let thing = inventory.thing(item);
                Row {
                    memory: holding.memory.name.clone(),
                    section: item.section.and_then(|index| Some(inventory.sections.get(index)?.name.clone())),
                    kind: match (item.what, thing) {
                        (_, Some(thing)) if thing.is_code => "function",
                        (What::Thing(_), _) => "static",
                        (What::Padding, _) => "alignment",
                        (What::Unnamed, _) => "unnamed",
                        (What::Heap, _) => "heap",
                        (What::Stack(_), _) => "stack",
                        (What::Other, _) => "other",
                        (What::Room(_), _) => ROOM,
                        (What::Free, _) => FREE,
                    }
                    .into(),
                    name: thing.map_or_else(|| tree::plain(item.what).into(), |thing| thing.name.clone()),
                    module: thing.filter(|thing| thing.module.kind() != "unknown").map(|thing| thing.module.name()),
                    module_kind: thing.map(|thing| thing.module.kind().into()),
                    start: item.range.start().into(),
                    size: item.range.size().into(),
                    stored_copy: item.copy == Copied::Load,
                    content: thing.and_then(|thing| Some(format!("{:016x}", thing.content?))),
                }
            })
        });
        Self { schema: SCHEMA.into(), elf: inventory.elf.clone(), memories, sections, rows: rows.collect() }
    }
}
