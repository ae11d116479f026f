//! What a future of an async function or block keeps while it waits, by the variants that rustc writes of it.
//!
//! Each await is a variant `SuspendN` whose fields are the locals that live across it, `__awaitee` the future that is
//! waited for; `Unresumed` has the arguments (rustc_codegen_llvm, debuginfo/metadata/enums).

use serde::Serialize;

use crate::image::types::Type;
use crate::inventory::owner::last_part;

/// The deepest nesting of types and of futures that is followed.
const MAX_DEPTH: usize = 16;
/// The most fields of one state that are told.
const MAX_PARTS: usize = 1 << 10;

/// How much more is looked at: a damaged file may hold types that hold themselves.
#[derive(Debug)]
pub(super) struct Budget {
    types: usize,
    parts: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { types: 1 << 20, parts: 1 << 16 }
    }
}

impl Budget {
    fn one(left: &mut usize) -> Option<()> {
        *left = left.checked_sub(1)?;
        Some(())
    }
}

/// The future of an async function or block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Future {
    /// The function's name with its scopes.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// Where it begins: the end of the path and the line.
    pub source: Option<String>,
    /// What it keeps in each of its states, the largest first.
    pub awaits: Vec<Await>,
}

/// A state in which a future waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Await {
    /// Which one, counted from 1 in the order of the source; 0 before the first poll, when it has its arguments only.
    pub number: u32,
    /// Where it waits: the end of the path and the line.
    pub source: Option<String>,
    /// Bytes of all that lives across it; what shares bytes is counted once.
    pub size: u32,
    /// What that is, the largest first.
    pub parts: Vec<Part>,
}

/// A local, an argument or a future that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The local's name; `null` for what is waited for.
    pub name: Option<String>,
    /// Its type.
    pub kind: String,
    /// Bytes from the start of the future.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// The futures of async functions and blocks in it.
    pub futures: Vec<Future>,
}

/// Whether it is the future of an async function, block or closure.
fn is_future(kind: Type<'_>) -> bool {
    kind.has_variants()
        && kind.structure().is_some_and(|held| {
            let last = last_part(&held.name);
            last.starts_with("{async_") && last.contains("_env#")
        })
}

/// What a type is called: the name of its function when it is a future.
fn name(kind: Type<'_>) -> String {
    let name = kind.name();
    if !is_future(kind) {
        return name;
    }
    let last = last_part(&name);
    let what = if last.starts_with("{async_block") { "async block in " } else { "" };
    let scope = name[..name.len() - last.len()].trim_end_matches(':');
    let scope = scope.strip_suffix("::{async_fn#0}").unwrap_or(scope);
    // embassy-executor's macro puts the author's function into others.
    let outer = scope.rsplit_once("::").filter(|(_, inner)| inner.ends_with("_task_inner_function"));
    let own = outer.and_then(|(outer, _)| {
        let (scope, function) = outer.rsplit_once("::")?;
        let function = function.strip_prefix("__")?.strip_suffix("_task")?;
        Some(format!("{scope}::{}", if function == "__embassy_main" { "main" } else { function }))
    });
    format!("{what}{}", own.as_deref().unwrap_or(scope))
}

/// The futures in a type, through structures, unions, variants and arrays, each with how many of it there are.
pub(super) fn inside<'a>(kind: Type<'a>, budget: &mut Budget) -> Vec<(Type<'a>, u32)> {
    let mut found: Vec<(Type<'a>, u32)> = Vec::new();
    let mut open = vec![(kind, 1u32, 0)];
    while let Some((kind, count, depth)) = open.pop() {
        if Budget::one(&mut budget.types).is_none() {
            break;
        }
        if is_future(kind) {
            // A union tells one future by each of its members.
            let name = kind.name();
            match found.iter_mut().find(|(known, _)| known.name() == name) {
                Some((_, known)) => *known = (*known).max(count),
                None => found.push((kind, count)),
            }
        } else if depth < MAX_DEPTH && open.len() < MAX_PARTS {
            if let Some(array) = kind.array() {
                let count = count.saturating_mul(array.count.unwrap_or(0));
                open.extend((count > 0).then_some((array.element, count, depth + 1)));
            }
            open.extend(kind.members().map(|(_, field)| (field.kind, count, depth + 1)));
            open.extend(kind.variants().map(|(field, _)| (field.kind, count, depth + 1)));
        }
    }
    found
}

/// What a future keeps; `None` when its size is not known.
pub(super) fn read(kind: Type<'_>, budget: &mut Budget) -> Option<Future> {
    at_depth(kind, 0, budget)
}

fn at_depth(kind: Type<'_>, depth: usize, budget: &mut Budget) -> Option<Future> {
    let size = kind.size()?;
    let place = |written: Option<(&str, u32)>| written.map(|(file, line)| format!("{file}:{line}"));
    let mut future = Future { name: name(kind), size, source: None, awaits: Vec::new() };
    for (state, written) in kind.variants() {
        let state_name = state.kind.structure().map(|held| last_part(&held.name)).unwrap_or_default();
        let number = match state_name {
            "Unresumed" => 0,
            name => match name.strip_prefix("Suspend").and_then(|number| number.parse::<u32>().ok()) {
                Some(number) => number.saturating_add(1),
                // It has ended, and keeps nothing that counts.
                None => continue,
            },
        };
        if number == 0 {
            future.source = place(written);
        }
        let parts = parts(state.kind, state.offset, depth, budget);
        future.awaits.push(Await { number, source: place(written), size: covered(&parts), parts });
    }
    future.awaits.sort_by_key(|state| (std::cmp::Reverse(state.size), state.number));
    Some(future)
}

fn parts(state: Type<'_>, start: u32, depth: usize, budget: &mut Budget) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (local, field) in state.members().take(MAX_PARTS) {
        let (Some(size), Some(offset)) = (field.kind.size().filter(|size| *size > 0), start.checked_add(field.offset))
        else {
            continue;
        };
        let name = Some(local).filter(|local| *local != "__awaitee").map(ToOwned::to_owned);
        // An argument is there twice: as what was given, and as the local of that name.
        if parts.iter().any(|part| part.offset == offset && part.size == size && part.name == name) {
            continue;
        }
        if Budget::one(&mut budget.parts).is_none() {
            break;
        }
        let inner = if depth < MAX_DEPTH { inside(field.kind, budget) } else { Vec::new() };
        let futures = inner.into_iter().filter_map(|(kind, _)| at_depth(kind, depth + 1, budget)).collect();
        parts.push(Part { name, kind: self::name(field.kind), offset, size, futures });
    }
    parts.sort_by_key(|part| (std::cmp::Reverse(part.size), part.offset));
    parts
}

/// Bytes that the parts cover together.
fn covered(parts: &[Part]) -> u32 {
    let mut ranges: Vec<(u32, u32)> =
        parts.iter().map(|part| (part.offset, part.offset.saturating_add(part.size))).collect();
    ranges.sort_unstable();
    let (mut end, mut sum) = (0, 0u32);
    for (from, to) in ranges {
        sum = sum.saturating_add(to.saturating_sub(from.max(end)));
        end = end.max(to);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_shared_count_once() {
        let part = |offset, size| Part { name: None, kind: String::new(), offset, size, futures: Vec::new() };
        for (parts, expected) in [
            (vec![], 0),
            (vec![part(4, 4), part(0, 4)], 8),
            (vec![part(0, 8), part(4, 8)], 12),
            (vec![part(0, 16), part(4, 4), part(20, 1)], 17),
            (vec![part(u32::MAX, 8)], 0),
        ] {
            assert_eq!(covered(&parts), expected, "{parts:?}");
        }
    }
}
