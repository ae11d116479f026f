//! Which rows the schematic figure has: one band for each part, runs of like parts folded, spare rows given away.
//!
//! When rows are short, things fold in this order: tail rows, frame bottoms, globals, runs of blocks. Never a stack,
//! and never what a stack in danger hits next.

use crate::model::snapshot::{MemoryMap, Part, PartKind, Snapshot};
use crate::region::Region;
use crate::tui::lookup;
use crate::tui::state::AddressOrder;

/// A part, or a run of parts that share rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Band<'a> {
    /// The parts, in ascending address order; at least one.
    pub(crate) parts: &'a [Part],
    /// The heap whose box it stands in.
    pub(crate) heap: Option<&'a Part>,
    /// How many rows it has.
    pub(crate) rows: u16,
    /// Whether the fixed band before it is hatched the same way.
    pub(crate) turned: bool,
}

impl<'a> Band<'a> {
    pub(crate) fn part(&self) -> &'a Part {
        &self.parts[0]
    }

    pub(crate) fn range(&self) -> Region {
        self.parts[0].range.hull(self.parts[self.parts.len() - 1].range)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.parts.iter().any(|part| part.id == id)
    }

    pub(crate) fn is_stack(&self) -> bool {
        self.part().kind == PartKind::Stack
    }

    pub(crate) fn is_fixed(&self) -> bool {
        !matches!(
            self.part().kind,
            PartKind::Stack | PartKind::Heap | PartKind::Free | PartKind::Blocks | PartKind::Unclaimed
        )
    }
}

/// One row of the figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    /// The memory's name, above its frame.
    Title(&'a MemoryMap),
    /// The first row of a memory's frame.
    Top(&'a MemoryMap),
    /// The first row of a heap's box.
    HeapTop(&'a Part),
    /// One row of a band: the band's index, the row's number in it.
    Band(usize, u16),
    /// The last row of a heap's box.
    HeapBottom,
    /// Parts stacks from globals.
    Rule,
    /// The last row of a memory's frame.
    Bottom(&'a MemoryMap),
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure<'a> {
    pub(crate) bands: Vec<Band<'a>>,
    pub(crate) rows: Vec<Row<'a>>,
}

/// What a figure is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Rows there are.
    pub(crate) height: u16,
    /// Titles stand in the frames, which have no bottoms, and globals are one band.
    pub(crate) narrow: bool,
    /// Stacks have a second row.
    pub(crate) tall: bool,
    pub(crate) order: AddressOrder,
    pub(crate) selected: Option<&'a str>,
    pub(crate) limit: u8,
}

/// How far things are folded, each step on top of those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fold {
    Blocks,
    Bottoms,
    Globals,
    Runs,
    Rules,
}

const FOLDS: [Fold; 5] = [Fold::Blocks, Fold::Bottoms, Fold::Globals, Fold::Runs, Fold::Rules];

/// The figure of these memories, folded until it fits; when it still does not, the caller scrolls.
pub(crate) fn figure<'a>(memories: &[&'a MemoryMap], ask: &Ask<'a>) -> Figure<'a> {
    folded(ask, |fold| {
        let mut figure = Figure::default();
        let mut memories = memories.to_vec();
        if ask.order == AddressOrder::HighFirst {
            memories.reverse();
        }
        for memory in memories {
            memory_rows(&mut figure, memory, ask, fold);
        }
        figure
    })
}

/// The figure of one heap's inside.
pub(crate) fn heap_figure<'a>(heap: &'a Part, ask: &Ask<'a>) -> Figure<'a> {
    folded(ask, |fold| {
        let mut figure = Figure::default();
        heap_rows(&mut figure, heap, ask, fold);
        figure
    })
}

fn folded<'a>(ask: &Ask<'a>, build: impl Fn(Fold) -> Figure<'a>) -> Figure<'a> {
    let first = usize::from(ask.narrow) * 2;
    let mut figure = Figure::default();
    for fold in &FOLDS[first..] {
        figure = build(*fold);
        if figure.rows.len() <= usize::from(ask.height) {
            break;
        }
    }
    let spare = ask.height.saturating_sub(crate::tui::paint::count(figure.rows.len()));
    grow(&mut figure, spare, ask);
    figure
}

fn memory_rows<'a>(figure: &mut Figure<'a>, memory: &'a MemoryMap, ask: &Ask<'a>, fold: Fold) {
    if !ask.narrow {
        figure.rows.push(Row::Title(memory));
    }
    figure.rows.push(Row::Top(memory));
    let mut before: Option<&Part> = None;
    for parts in in_order(runs(&memory.parts, ask, fold), ask.order) {
        let part = &parts[0];
        let bottom_drawn = fold < Fold::Bottoms && before.is_some_and(|before| before.kind == PartKind::Heap);
        if fold < Fold::Rules
            && !ask.narrow
            && !bottom_drawn
            && before.is_some_and(|before| is_global(before) != is_global(part) && part.kind != PartKind::Heap)
            && memory.kind == crate::model::snapshot::MemoryKind::Ram
            && (stands_alone(part) || before.is_some_and(stands_alone))
        {
            figure.rows.push(Row::Rule);
        }
        if part.kind == PartKind::Heap {
            heap_rows(figure, part, ask, fold);
        } else {
            push(figure, parts, None);
        }
        before = Some(part);
    }
    if fold < Fold::Bottoms {
        figure.rows.push(Row::Bottom(memory));
    }
}

/// What may have a rule between it and the globals.
fn stands_alone(part: &Part) -> bool {
    matches!(part.kind, PartKind::Stack | PartKind::Heap)
}

fn is_global(part: &Part) -> bool {
    matches!(part.kind, PartKind::Data | PartKind::Bss | PartKind::Uninit | PartKind::Vectors | PartKind::Other)
}

fn heap_rows<'a>(figure: &mut Figure<'a>, heap: &'a Part, ask: &Ask<'a>, fold: Fold) {
    figure.rows.push(Row::HeapTop(heap));
    if heap.parts.is_empty() {
        push(figure, std::slice::from_ref(heap), Some(heap));
    }
    for parts in in_order(runs(&heap.parts, ask, fold), ask.order) {
        push(figure, parts, Some(heap));
    }
    if fold < Fold::Bottoms {
        figure.rows.push(Row::HeapBottom);
    }
}

fn push<'a>(figure: &mut Figure<'a>, parts: &'a [Part], heap: Option<&'a Part>) {
    let band = Band { parts, heap, rows: 1, turned: false };
    let turned = figure.bands.last().is_some_and(|before| before.is_fixed() && !before.turned) && band.is_fixed();
    figure.rows.push(Row::Band(figure.bands.len(), 0));
    figure.bands.push(Band { turned, ..band });
}

fn in_order(mut runs: Vec<&[Part]>, order: AddressOrder) -> Vec<&[Part]> {
    if order == AddressOrder::HighFirst {
        runs.reverse();
    }
    runs
}

/// What may be folded with its like.
#[derive(PartialEq, Eq)]
enum Class {
    Blocks,
    Globals,
}

fn runs<'a>(parts: &'a [Part], ask: &Ask<'a>, fold: Fold) -> Vec<&'a [Part]> {
    let whole: u64 = parts.iter().map(|part| u64::from(part.range.size())).sum();
    let class = |part: &Part| {
        let kept = part.stack.is_some()
            || ask.selected == Some(part.id.as_str())
            || lookup::attacker(ask.snapshot, part.range, ask.limit).is_some();
        if kept {
            return None;
        }
        let small = u64::from(part.range.size()) * 8 < whole;
        match part.kind {
            PartKind::Block => Some(Class::Blocks),
            PartKind::Free | PartKind::Blocks if fold >= Fold::Runs && small => Some(Class::Blocks),
            PartKind::Data | PartKind::Bss | PartKind::Uninit if fold >= Fold::Globals => Some(Class::Globals),
            PartKind::Other | PartKind::Buffer if fold >= Fold::Runs => Some(Class::Globals),
            PartKind::Unclaimed if fold >= Fold::Runs && small => Some(Class::Globals),
            _ => None,
        }
    };
    parts.chunk_by(|one, next| class(one).is_some() && class(one) == class(next)).collect()
}

/// Gives spare rows away: a second row to every stack, then the tail, then whatever is largest for its rows.
fn grow(figure: &mut Figure<'_>, mut spare: u16, ask: &Ask<'_>) {
    let has_stacks = figure.bands.iter().any(Band::is_stack);
    // A figure of few parts uses the rows that many would need.
    let sparse = usize::from(ask.height) > figure.rows.len() * 2 && has_stacks;
    if ask.tall || sparse {
        let wanted: u16 = figure.bands.iter().filter(|band| band.is_stack()).map(|band| tall_rows(band) - 1).sum();
        if wanted <= spare {
            for band in figure.bands.iter_mut().filter(|band| band.is_stack()) {
                band.rows = tall_rows(band);
            }
            spare -= wanted;
        }
    }
    let tail_limit = ask.height / if has_stacks { 4 } else { 2 };
    if let Some(tail) = tail(figure) {
        // A small part drawn tall would look like the most there is.
        let worth = u16::try_from(figure.bands[tail].range().size() / 256).unwrap_or(u16::MAX);
        let more = spare.min(tail_limit).min(worth);
        figure.bands[tail].rows += more;
        spare -= more;
    }
    while spare > 0 && (ask.tall || sparse) {
        let largest = figure
            .bands
            .iter_mut()
            .filter(|band| {
                (sparse || !band.is_stack())
                    && band.rows < tail_limit
                    && u32::from(band.rows) * 256 < band.range().size()
            })
            .max_by_key(|band| band.range().size() / u32::from(band.rows).pow(2));
        let Some(band) = largest else { break };
        band.rows += 1;
        spare -= 1;
    }
    let bands = std::mem::take(&mut figure.bands);
    figure.rows = std::mem::take(&mut figure.rows)
        .into_iter()
        .flat_map(|row| {
            let count = if let Row::Band(band, _) = row { bands[band].rows } else { 1 };
            (0..count).map(move |line| if let Row::Band(band, _) = row { Row::Band(band, line) } else { row })
        })
        .collect();
    figure.bands = bands;
}

/// A stack's rows where there is room: a large one is taller.
fn tall_rows(band: &Band<'_>) -> u16 {
    if band.range().size() >= 4096 { 3 } else { 2 }
}

/// The band that shows spare rows best: the largest that is free.
fn tail(figure: &Figure<'_>) -> Option<usize> {
    let free = |kind: PartKind| {
        figure
            .bands
            .iter()
            .enumerate()
            .filter(|(_, band)| band.part().kind == kind)
            .max_by_key(|(_, band)| band.range().size())
            .map(|(index, _)| index)
    };
    [PartKind::Free, PartKind::Blocks, PartKind::Heap, PartKind::Unclaimed].into_iter().find_map(free)
}
