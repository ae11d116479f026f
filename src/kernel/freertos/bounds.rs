//! Where a FreeRTOS task's stack ends: a TCB has no field for its size.
//!
//! ```text
//!   start                                 SP at the last switch      last word, rounded down to 8
//!     |A5 A5 A5 ... | ............... used ...........................|A5|A5|  what is left of the block
//!                                                                       ^ pxEndOfStack, where it is kept
//! ```
//!
//! The stack lies in something that has an end: a block of heap_2, heap_4, heap_5 or of newlib's malloc (heap_3), the
//! bytes up to its own TCB in heap_1, or an array, alone or within something larger. That may be a little larger than
//! what the kernel was told of. `prvInitialiseNewTask` of tasks.c fills exactly that much, and ports begin to push below
//! the last aligned word, which therefore is fill for ever: it tells the end to the word.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::super::rtos::target::{Fields, Target};
use super::{ALIGNMENT, FILL};
use crate::image::Image;
use crate::image::types::Type;
use crate::region::Region;

/// `heapBLOCK_ALLOCATED_BITMASK` of heap_4.c.
const ALLOCATED: u32 = 1 << 31;
/// Bytes that a block can be larger than what was asked for: two headers that are too few for a block of their own
/// (`heapMINIMUM_BLOCK_SIZE`), and the rounding to `portBYTE_ALIGNMENT`.
const SLACK: u32 = 24;
/// The most bytes at the end of an array or of a stretch of heap_1 in which the stack's own end is sought.
const SOUGHT: u32 = 4096;
/// The most types that are looked into on the way to an array.
const MAX_TYPES: u32 = 1024;

/// What tells where stacks end in one build.
pub(super) struct Bounds {
    heap: Option<Region>,
    allocator: Option<Allocator>,
    /// The C library's heap, from which stacks come in heap_3 and wherever the application asks it itself, and where that
    /// heap is.
    malloc: Option<(Allocator, Option<Region>)>,
    /// What was found out of the tasks of the last walk: a stack stays where it is as long as its task is there.
    found: RefCell<BTreeMap<Task, Region>>,
}

/// The TCB of a task, its number where it has one, and the start of its stack.
type Task = (u32, u32, u32);

/// Who hands out stacks, and what it keeps beside them.
enum Allocator {
    /// heap_2, heap_4 and heap_5: a header of that many bytes, with the block's size at that offset.
    Linked(u32, super::Field),
    /// heap_1 hands out one piece behind the other, a task's TCB behind its stack.
    Pieces,
    /// newlib's dlmalloc: the word before the payload is the chunk's size.
    DlMalloc,
    /// newlib-nano's malloc: that word may be padding, a negative offset to the size.
    Nano,
}

/// What one TCB says of its stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) tcb: u32,
    /// `uxTCBNumber`, 0 where it is not kept.
    pub(super) number: u32,
    /// `pxStack`.
    pub(super) start: u32,
    /// `pxTopOfStack`.
    pub(super) top: u32,
    /// `pxEndOfStack`, where it is kept.
    pub(super) last: Option<u32>,
}

/// Something that a stack lies in.
#[derive(Clone, Copy)]
struct Container {
    range: Region,
    /// The most bytes of it that are not the stack's, where they may hold anything; `None` when they hold nothing.
    slack: Option<u32>,
}

impl Bounds {
    /// The heap of the kernel is `heap`, where its place is fixed, and the C library's is `linked`, where that is known.
    pub(super) fn find(image: &Image, heap: Option<Region>, linked: Option<Region>) -> Self {
        let has = |name: &str| image.symbols.get(name).is_some();
        let headed = || {
            let kind = image.types().find("A_BLOCK_LINK")?;
            let header = kind.size()?.next_multiple_of(ALIGNMENT);
            Some(Allocator::Linked(header, Fields::of(kind).find("xBlockSize")?))
        };
        let allocator = headed().or_else(|| (heap.is_some() && has("xNextFreeByte")).then_some(Allocator::Pieces));
        let malloc = match (has("__malloc_av_"), has("__malloc_free_list")) {
            (true, _) => Some(Allocator::DlMalloc),
            (_, true) => Some(Allocator::Nano),
            _ => None,
        };
        // Without a heap of the kernel's or a place of the library's, any address may be one of its blocks.
        let malloc = malloc.filter(|_| linked.is_some() || heap.is_none() && allocator.is_none());
        Self { heap, allocator, malloc: malloc.map(|malloc| (malloc, linked)), found: RefCell::default() }
    }

    /// Where the stacks of those tasks are; `None` where nothing tells the end.
    pub(super) fn stacks(&self, target: &mut Target<'_, '_>, tasks: &[Told]) -> Vec<Option<Region>> {
        let mut known = self.found.take();
        let mut found = BTreeMap::new();
        let stacks = tasks.iter().map(|told| {
            let task = (told.tcb, told.number, told.start);
            let stack = known.remove(&task).or_else(|| self.stack(target, *told))?;
            found.insert(task, stack);
            Some(stack)
        });
        let stacks = stacks.collect();
        self.found.replace(found);
        stacks
    }

    fn stack(&self, target: &mut Target<'_, '_>, told: Told) -> Option<Region> {
        if !told.start.is_multiple_of(4) || told.top < told.start {
            return None;
        }
        let holds = |range: &Region| range.end() >= u64::from(told.top) && (16..=1 << 24).contains(&range.size());
        let container = self.container(target, told).filter(|container| holds(&container.range));
        let stack = match (told.last, container) {
            (Some(last), container) => Some(ended(target, told, last, container)),
            (None, Some(container)) => Some(filled(target, told, container)),
            (None, None) => None,
        };
        stack.filter(holds).filter(|stack| target.holds(*stack))
    }

    fn container(&self, target: &mut Target<'_, '_>, told: Told) -> Option<Container> {
        if self.heap.is_some_and(|heap| heap.contains(told.start)) {
            return block(target, told, self.allocator.as_ref()?, self.heap);
        }
        if let Some((malloc, Some(place))) = &self.malloc
            && place.contains(told.start)
        {
            return block(target, told, malloc, Some(*place));
        }
        // Where a heap's place is not fixed it may be an array of the application's.
        array(target, told).or_else(|| {
            let anywhere = self.malloc.as_ref().filter(|(_, place)| place.is_none()).map(|(malloc, _)| malloc);
            let allocator = self.allocator.as_ref().filter(|_| self.heap.is_none());
            block(target, told, allocator.or(anywhere)?, None)
        })
    }
}

/// The array that begins there.
fn array(target: &Target<'_, '_>, told: Told) -> Option<Container> {
    static_at(target.image, told.start).map(|range| Container { range, slack: None })
}

/// The block that begins there, without its header; it lies in `heap`, where that is known.
fn block(target: &mut Target<'_, '_>, told: Told, allocator: &Allocator, heap: Option<Region>) -> Option<Container> {
    let start = told.start;
    let range = match allocator {
        Allocator::Linked(header, size) => {
            let record = target.record(start.checked_sub(*header)?, *header)?;
            Region::new(start, (record.get(*size) & !ALLOCATED).checked_sub(*header)?)
        }
        Allocator::Pieces => {
            let piece = Region::between(start, told.tcb);
            return (told.tcb > start).then_some(Container { range: piece, slack: Some(SOUGHT) });
        }
        Allocator::DlMalloc => {
            // The payload reaches over the next chunk's `prev_size`.
            let size = target.word(start.checked_sub(4)?)? & !7;
            Region::new(start, size.checked_sub(4)?)
        }
        Allocator::Nano => {
            let before = start.checked_sub(4)?;
            let padding = target.word(before)?.wrapping_neg();
            let chunk = if (1..=ALIGNMENT).contains(&padding) { before.checked_sub(padding)? } else { before };
            let size = target.word(chunk)?;
            Region::between(start, chunk.checked_add(size)?)
        }
    };
    let fits = range.size().is_multiple_of(4) && heap.is_none_or(|heap| heap.covers(range));
    fits.then_some(Container { range, slack: Some(SLACK) })
}

fn is_fill(target: &mut Target<'_, '_>, address: u32) -> bool {
    target.word(address) == Some(FILL)
}

/// A stack whose last word, rounded down to [`ALIGNMENT`], is `last`: it ends behind that word or behind the next one. One
/// that is not a multiple of that was not rounded.
fn ended(target: &mut Target<'_, '_>, told: Told, last: u32, container: Option<Container>) -> Region {
    let behind = |bytes: u32| Region::between(told.start, last.saturating_add(bytes));
    let within = |range: Region| container.is_none_or(|container| container.range.covers(range));
    if !last.is_multiple_of(ALIGNMENT) {
        return behind(4);
    }
    if is_fill(target, last.saturating_add(4)) && within(behind(8)) {
        return behind(8);
    }
    if is_fill(target, last) {
        return behind(4);
    }
    let exact = container.map(|container| container.range).filter(|range| [behind(4), behind(8)].contains(range));
    // Nobody filled it: most stacks have an even number of words.
    let even = [behind(4), behind(8)].into_iter().find(|range| range.size().is_multiple_of(8));
    exact.or(even.filter(|even| container.is_some() && within(*even))).unwrap_or_else(|| behind(4))
}

/// A stack in something that may be larger: it ends behind the last word of fill, when the stack is filled.
fn filled(target: &mut Target<'_, '_>, told: Told, container: Container) -> Region {
    let whole = container.range;
    let Some(end) = whole.whole_words().end_address().checked_sub(4) else { return whole };
    // What most stacks look like is told by two words.
    if is_fill(target, end) || !is_fill(target, told.start) {
        return whole;
    }
    let above = whole.from(told.top.max(told.start)).whole_words();
    let sought = above.top(container.slack.map_or(SOUGHT, |slack| slack.saturating_add(4)).min(SOUGHT));
    let Some(words) = target.words(sought) else { return whole };
    let Some(last) = words.iter().rposition(|word| *word == FILL) else { return whole };
    let left = &words[last + 1..];
    if container.slack.is_none() && left.iter().any(|word| *word != 0) {
        return whole;
    }
    whole.bottom(whole.size() - 4 * left.len() as u32)
}

/// The static array that begins at `start`: alone, a row of one with two dimensions, or within something larger.
fn static_at(image: &Image, start: u32) -> Option<Region> {
    let symbol = image.symbols.at(start).filter(|symbol| symbol.is_data)?.range;
    let mut budget = MAX_TYPES;
    let kind = image.types().variable_at(symbol.start()).map(|held| held.kind);
    let size = kind.and_then(|kind| array_at(kind, symbol.offset_of(start)?, &mut budget));
    let array = size.map(|size| symbol.from(start).bottom(size));
    array.or_else(|| (symbol.start() == start).then_some(symbol))
}

/// The bytes of the innermost array that begins `offset` bytes into something of that type.
fn array_at(kind: Type<'_>, offset: u32, budget: &mut u32) -> Option<u32> {
    *budget = budget.checked_sub(1)?;
    if let Some(array) = kind.array() {
        if array.element.structure().is_some() || array.element.array().is_some() {
            return array_at(array.element, offset.checked_rem(array.stride)?, budget);
        }
        let size = kind.size()?;
        let row = array.row.filter(|row| *row > 0 && *row < size).unwrap_or(size);
        return (offset < size && offset.checked_rem(row)? == 0).then_some(row);
    }
    kind.members().find_map(|(_, field)| {
        let within = offset.checked_sub(field.offset)?;
        field.kind.size().filter(|all| within < *all)?;
        array_at(field.kind, within, budget)
    })
}
