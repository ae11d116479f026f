//! What a kernel keeps beside its threads: queues, pools, mutexes and their like. Each kernel gives a table of the kinds
//! that it has; how they are found and told is the same for all.
//!
//! ```text
//!   list of a kind -> control block { id, name, next, where its storage is } -> ...
//!   statics of its type, by the debug information
//! ```
//!
//! A storage is told wherever it lies. A control block is told where nothing else says what it is: a static of the
//! kernel's own type has a symbol with that type.

use super::MAX_OBJECTS;
use super::target::{Field, Fields, Record, Target};
use crate::image::Image;
use crate::image::layout::Placed;
use crate::image::types::Type;
use crate::model::snapshot::PartKind;
use crate::region::Region;

/// One kind of object, by the names that the kernel's sources give to everything.
pub(in crate::kernel) struct Kind {
    /// The type of its control block.
    pub(in crate::kernel) block: &'static str,
    /// What a person calls it.
    pub(in crate::kernel) word: &'static str,
    /// The field in which a control block says that it is one, and what it says.
    pub(in crate::kernel) sign: Option<(&'static str, u32)>,
    /// The field that points to its name.
    pub(in crate::kernel) name: Option<&'static str>,
    /// The static that leads to the first one, and the field that leads to the next: in a circle, or up to a null.
    pub(in crate::kernel) list: Option<(&'static str, &'static str)>,
    /// Where its storage is.
    pub(in crate::kernel) storage: Option<Storage<&'static str>>,
}

/// Where an object's storage is, in terms of its fields.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) enum Storage<F> {
    /// The addresses of its first byte and of the one after its last.
    Ends(F, F),
    /// Its address and its size in bytes.
    Size(F, F),
    /// Its address, how many items it has room for, and the size of one in bytes.
    Items(F, F, F),
}

impl Storage<&'static str> {
    fn find(self, fields: &mut Fields<'_>) -> Option<Storage<Field>> {
        Some(match self {
            Self::Ends(start, end) => Storage::Ends(fields.find(start)?, fields.find(end)?),
            Self::Size(start, size) => Storage::Size(fields.find(start)?, fields.find(size)?),
            Self::Items(start, count, size) => {
                Storage::Items(fields.find(start)?, fields.find(count)?, fields.find(size)?)
            }
        })
    }
}

impl Storage<Field> {
    fn range(self, record: &Record) -> Region {
        match self {
            Self::Ends(start, end) => Region::between(record.get(start), record.get(end)),
            Self::Size(start, size) => Region::new(record.get(start), record.get(size)),
            Self::Items(start, count, size) => {
                Region::new(record.get(start), record.get(count).saturating_mul(record.get(size)))
            }
        }
    }
}

/// One kind of object as this build lays it out.
struct Laid {
    kind: &'static Kind,
    sign: Option<(Field, u32)>,
    name: Option<Field>,
    /// Where the list begins, and the field that leads on.
    list: Option<(u32, Field)>,
    storage: Option<Storage<Field>>,
    /// Bytes of a control block that are read, and all of it.
    read: u32,
    whole: u32,
    /// Those that the linker placed and that have a storage.
    placed: Vec<Region>,
}

impl Laid {
    /// `None` when this build has no such kind, or keeps it otherwise.
    fn find(image: &Image, kind: &'static Kind) -> Option<Self> {
        let block = image.types().find(kind.block)?;
        let mut fields = Fields::of(block);
        let sign = match kind.sign {
            Some((field, value)) => Some((fields.find(field)?, value)),
            None => None,
        };
        let storage = match kind.storage {
            Some(storage) => Some(storage.find(&mut fields)?),
            None => None,
        };
        let name = kind.name.and_then(|name| fields.find(name));
        let list = kind.list.and_then(|(head, next)| Some((image.symbols.address(head)?, fields.find(next)?)));
        let extent = fields.extent();
        let sized = |range: &Region| storage.is_some() && range.size() == extent.whole;
        let placed = image.symbols.iter().filter(|symbol| symbol.is_data).map(|symbol| symbol.range).filter(sized);
        let placed = placed.filter(|range| is_static(image, range.start(), block)).take(MAX_OBJECTS).collect();
        Some(Self { kind, sign, name, list, storage, read: extent.read, whole: extent.whole, placed })
    }

    /// The control block at `address`, if it is one of this kind.
    fn record(&self, target: &mut Target<'_, '_>, address: u32) -> Option<Record> {
        let record = target.record(address, self.read)?;
        self.sign.is_none_or(|(field, value)| record.get(field) == value).then_some(record)
    }

    /// What one control block and its storage are called.
    fn tell(&self, target: &mut Target<'_, '_>, address: u32, record: &Record, given: Option<Named>) -> Vec<Placed> {
        let Named { name, word } = given.unwrap_or_else(|| {
            let told = self.name.and_then(|field| target.text(record.get(field)));
            let symbol = target.image.symbols.at(address).filter(|symbol| symbol.range.start() == address);
            let name = told.or_else(|| Some(crate::units::printable(&symbol?.name, 32)));
            Named { name: name.unwrap_or_else(|| format!("{address:08x}")), word: self.kind.word }
        });
        let mut placed = Vec::new();
        let storage = self.storage.map(|storage| storage.range(record)).filter(|range| target.in_ram(*range));
        let block = Region::new(address, self.whole);
        let is_told =
            target.image.types().find(self.kind.block).is_some_and(|kind| is_static(target.image, address, kind));
        if !is_told && target.in_ram(block) {
            let what = if storage.is_some() { " control block" } else { "" };
            placed.push(Placed { name: format!("{name} {word}{what}"), kind: PartKind::Other, range: block });
        }
        placed.extend(storage.map(|range| Placed { name: format!("{name} {word}"), kind: PartKind::Buffer, range }));
        placed
    }
}

/// What an object is called by whoever keeps a register of names.
pub(in crate::kernel) struct Named {
    /// Its name, printable.
    pub(in crate::kernel) name: String,
    /// What it is, in a word.
    pub(in crate::kernel) word: &'static str,
}

/// All kinds of one kernel.
pub(in crate::kernel) struct Objects(Vec<Laid>);

impl Objects {
    /// Those of `kinds` that this build has; of several for one type, the first whose fields are all there.
    pub(in crate::kernel) fn find(image: &Image, kinds: &'static [Kind]) -> Self {
        let mut found: Vec<Laid> = Vec::new();
        for kind in kinds {
            if !found.iter().any(|laid| laid.kind.block == kind.block) {
                found.extend(Laid::find(image, kind));
            }
        }
        Self(found)
    }

    /// Those in the kernel's lists, and the storages of those that the linker placed.
    pub(in crate::kernel) fn read(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        let known: Vec<Region> = self.0.iter().flat_map(|laid| laid.placed.iter().copied()).collect();
        target.prefetch(&known);
        let mut placed = Vec::new();
        for laid in &self.0 {
            for block in &laid.placed {
                if target.visit(block.start())
                    && let Some(record) = laid.record(target, block.start())
                {
                    placed.extend(laid.tell(target, block.start(), &record, None));
                }
            }
            let Some((head, link)) = laid.list else { continue };
            let mut next = target.word(head).unwrap_or(0);
            let mut met = 0;
            // One that the linker placed was told already: the way leads on through it.
            while next != 0
                && met < MAX_OBJECTS
                && (target.visit(next) || laid.placed.iter().any(|block| block.start() == next))
                && let Some(record) = laid.record(target, next)
            {
                if !laid.placed.iter().any(|block| block.start() == next) {
                    placed.extend(laid.tell(target, next, &record, None));
                }
                met += 1;
                next = record.get(link);
            }
        }
        placed
    }

    /// What is at `address`, by what it says of itself, or by `given`.
    pub(in crate::kernel) fn at(&self, target: &mut Target<'_, '_>, address: u32, given: Option<Named>) -> Vec<Placed> {
        let found = self.0.iter().find_map(|laid| Some((laid, laid.record(target, address)?)));
        found.map(|(laid, record)| laid.tell(target, address, &record, given)).unwrap_or_default()
    }
}

/// Whether a static of that type begins at `address`.
fn is_static(image: &Image, address: u32, kind: Type<'_>) -> bool {
    let members = |kind: Type<'_>| -> Vec<(String, u32)> {
        kind.members().map(|(name, field)| (name.to_owned(), field.offset)).collect()
    };
    // Units describe one structure each for itself, and some have no name.
    image.types().variable_at(address).is_some_and(|held| {
        held.kind.size() == kind.size() && held.kind.structure().is_some() && members(held.kind) == members(kind)
    })
}
