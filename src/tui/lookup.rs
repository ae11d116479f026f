//! Finding things in a snapshot: the part with an id, the part of a stack, who is in danger and who is hit.

use std::time::Duration;

use crate::model::Model;
use crate::model::history::Quantity;
use crate::model::snapshot::{Heap, MemoryKind, MemoryMap, Part, Snapshot, Stack};
use crate::region::Region;
use crate::units;

/// How a stack is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    /// Below its limit, or not measured.
    Calm,
    /// Its peak has reached the limit.
    PastLimit,
    /// A guard word at its end is gone, and the last word is not yet.
    GuardBroken,
    /// Its last word is gone: it likely went over its end.
    Overflowed,
}

impl Condition {
    pub(crate) fn of(stack: &Stack, limit: u8) -> Self {
        if stack.overflowed && stack.margin() == Some(0) {
            Self::Overflowed
        } else if stack.overflowed {
            Self::GuardBroken
        } else if peak_percent(stack).is_some_and(|percent| percent >= limit) {
            Self::PastLimit
        } else {
            Self::Calm
        }
    }

    pub(crate) fn is_danger(self) -> bool {
        self != Self::Calm
    }
}

/// The deepest use known, in percent of the stack.
pub(crate) fn peak_percent(stack: &Stack) -> Option<u8> {
    units::percent(stack.deepest()?.bytes.into(), stack.range.size().into())
}

/// Whether a range lies in memory that the program writes.
pub(crate) fn is_ram(snapshot: &Snapshot, range: Region) -> bool {
    snapshot.memories.iter().any(|memory| memory.kind == MemoryKind::Ram && memory.range.covers(range))
}

/// All parts of a snapshot with the memory and, for a heap's, the part they lie in.
pub(crate) fn parts(snapshot: &Snapshot) -> impl Iterator<Item = (&MemoryMap, Option<&Part>, &Part)> {
    snapshot.memories.iter().flat_map(|memory| {
        memory.parts.iter().flat_map(move |part| {
            std::iter::once((memory, None, part)).chain(part.parts.iter().map(move |inner| (memory, Some(part), inner)))
        })
    })
}

pub(crate) fn part<'a>(snapshot: &'a Snapshot, id: &str) -> Option<&'a Part> {
    parts(snapshot).find(|(_, _, part)| part.id == id).map(|(_, _, part)| part)
}

/// The memory and the surrounding part of a part.
pub(crate) fn place<'a>(snapshot: &'a Snapshot, id: &str) -> Option<(&'a MemoryMap, Option<&'a Part>)> {
    parts(snapshot).find(|(_, _, part)| part.id == id).map(|(memory, parent, _)| (memory, parent))
}

pub(crate) fn stack<'a>(snapshot: &'a Snapshot, part: &Part) -> Option<&'a Stack> {
    snapshot.stacks.get(part.stack?)
}

pub(crate) fn heap<'a>(snapshot: &'a Snapshot, part: &Part) -> Option<&'a Heap> {
    snapshot.heaps.get(part.heap?)
}

/// The part that a stack is.
pub(crate) fn part_of<'a>(snapshot: &'a Snapshot, stack: &Stack) -> Option<&'a Part> {
    let index = snapshot.stacks.iter().position(|other| other.id == stack.id)?;
    parts(snapshot).find(|(_, _, part)| part.stack == Some(index)).map(|(_, _, part)| part)
}

/// The stack in the worst danger, if any is in danger.
pub(crate) fn worst(snapshot: &Snapshot, limit: u8) -> Option<&Stack> {
    snapshot
        .stacks
        .iter()
        .filter(|stack| Condition::of(stack, limit).is_danger())
        .max_by_key(|stack| (Condition::of(stack, limit), peak_percent(stack)))
}

/// The stack that hits this range when it goes over its end, if it is in danger or already did.
pub(crate) fn attacker(snapshot: &Snapshot, range: Region, limit: u8) -> Option<(&Stack, Condition)> {
    snapshot
        .stacks
        .iter()
        .map(|stack| (stack, Condition::of(stack, limit)))
        .filter(|(stack, condition)| {
            condition.is_danger() && stack.victim.as_ref().is_some_and(|victim| victim.range.overlaps(range))
        })
        .max_by_key(|(_, condition)| *condition)
}

/// Whether a stack's peak rose within the last second of the snapshots.
pub(crate) fn just_grown(model: &Model, stack: &Stack) -> bool {
    let now = model.snapshot.at;
    let Some(series) = model.history.series(Quantity::Peak, &stack.id) else { return false };
    let recent = |at: Duration| now.saturating_sub(at) < Duration::from_secs(1);
    let mut newest = None;
    for (at, value) in series.iter().rev() {
        let Some(value) = value else { continue };
        match newest {
            None => newest = Some(value),
            Some(newest) if value < newest => return true,
            Some(_) => {}
        }
        // One sample from before the second is the one to compare with.
        if !recent(at) {
            return false;
        }
    }
    false
}
