//! What is followed over time, and where a snapshot tells it.

use crate::model::snapshot::{Health, Heap, Measured, Snapshot, Stack, Trust};

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// The most bytes of a stack ever used.
    Peak,
    /// Bytes of a stack in use.
    Current,
    /// Bytes of a stack in use at the lowest SP ever seen.
    LowestSp,
    /// Bytes of a heap in use.
    Used,
    /// The most bytes of a heap ever in use.
    HeapPeak,
    /// Bytes of a heap's largest free block.
    LargestFree,
    /// Blocks of a heap in use.
    Blocks,
    /// A heap's fragmentation, in thousandths.
    Fragmentation,
    /// Refreshes of the link, in thousandths of a Hz.
    Rate,
}

impl Quantity {
    /// What it is called beside its subject's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Peak | Self::HeapPeak => "peak",
            Self::Current => "now",
            Self::LowestSp => "lowest SP",
            Self::Used => "used",
            Self::LargestFree => "largest free",
            Self::Blocks => "blocks",
            Self::Fragmentation => "fragmentation",
            Self::Rate => "refreshes",
        }
    }

    /// Whether it only rises within one run of the target.
    #[must_use]
    pub const fn is_mark(self) -> bool {
        matches!(self, Self::Peak | Self::LowestSp | Self::HeapPeak)
    }

    /// A value with its unit.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Blocks => format!("{value:.0}"),
            Self::Fragmentation => format!("{:.2}", value / 1000.0),
            Self::Rate => format!("{:.1} Hz", value / 1000.0),
            _ => format!("{value:.0} B"),
        }
    }
}

/// Which series: of what, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// A stack's id or a heap's; empty for the link.
    pub subject: String,
    /// What it counts.
    pub quantity: Quantity,
}

/// One value of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which series it belongs to.
    pub key: Key,
    /// What a person calls the subject.
    pub name: String,
    /// All there is of it; `None` for what has no size of its own.
    pub whole: Option<u32>,
    /// The value; `None` when it is not measured.
    pub value: Option<u32>,
}

/// Everything in a snapshot that is followed over time. What is not fresh is not measured.
#[must_use]
pub fn readings(snapshot: &Snapshot) -> Vec<Reading> {
    let live = snapshot.health == Health::Live;
    let stacks = snapshot.stacks.iter().flat_map(of_stack);
    let heaps = snapshot.heaps.iter().flat_map(of_heap);
    let link = Reading {
        key: Key { subject: String::new(), quantity: Quantity::Rate },
        name: "link".into(),
        whole: None,
        value: Some((snapshot.link.refresh_hz * 1000.0).round() as u32),
    };
    stacks
        .chain(heaps)
        .chain([link])
        .map(|reading| Reading { value: reading.value.filter(|_| live), ..reading })
        .collect()
}

fn bytes(measured: Option<Measured>) -> Option<u32> {
    measured.filter(|measured| measured.trust != Trust::Gap).map(|measured| measured.bytes)
}

fn of_stack(stack: &Stack) -> [Reading; 3] {
    [(Quantity::Peak, stack.deepest()), (Quantity::Current, stack.current), (Quantity::LowestSp, stack.lowest_sp)].map(
        |(quantity, measured)| Reading {
            key: Key { subject: stack.id.clone(), quantity },
            name: stack.name.clone(),
            whole: Some(stack.range.size()),
            value: bytes(measured),
        },
    )
}

fn of_heap(heap: &Heap) -> [Reading; 5] {
    let size = Some(heap.range.size());
    let share = heap.fragmentation().map(|share| (share * 1000.0).round() as u32);
    [
        (Quantity::Used, size, bytes(heap.used)),
        (Quantity::HeapPeak, size, bytes(heap.peak)),
        (Quantity::LargestFree, size, bytes(heap.largest_free)),
        (Quantity::Blocks, None, heap.in_use),
        (Quantity::Fragmentation, Some(1000), share),
    ]
    .map(|(quantity, whole, value)| Reading {
        key: Key { subject: heap.id(), quantity },
        name: heap.name.clone(),
        whole,
        value,
    })
}
