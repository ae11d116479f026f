//! What the map says in words: one table for each question.

use crate::model::snapshot::{Part, PartKind, Stack, StackKind, Trust, Victim};
use crate::tui::lookup::Condition;

/// Whose stack it is.
pub(crate) fn stack_kind(kind: StackKind) -> &'static str {
    match kind {
        StackKind::Main => "main stack",
        StackKind::Isr => "interrupt stack",
        StackKind::Idle => "idle stack",
        StackKind::Timer => "timer stack",
        StackKind::User => "thread stack",
    }
}

/// What a number is worth.
pub(crate) fn trust_words(trust: Trust) -> &'static str {
    match trust {
        Trust::Exact => "exact",
        Trust::AtLeast => "at least, by paint",
        Trust::Estimated => "estimated",
        Trust::Torn => "torn read",
        Trust::Stale => "stale",
        Trust::Unpainted => "unpainted",
        Trust::Gap => "not read",
    }
}

/// Where a stack lies, and what happens when it goes on.
pub(crate) fn stack_sentence(stack: &Stack, condition: Condition, in_heap: bool) -> String {
    let place = if in_heap {
        "The kernel put this stack in a heap block, so it has neighbours."
    } else {
        "This stack has its place at link time."
    };
    let victim = stack.victim.as_ref();
    let hit = victim.map_or_else(|| "whatever lies below".into(), Victim::words);
    let ends = victim.is_some_and(|victim| victim.range.is_empty());
    let next = match (condition, stack.margin()) {
        (Condition::Overflowed, _) => format!("Its last word is used: it likely went over its end and hit {hit}."),
        (Condition::GuardBroken, left) => {
            format!("Its guard is broken: {} B deeper and it hits {hit}.", left.unwrap_or(0))
        }
        (_, None) => "Nobody painted it, so how deep it went cannot be told.".to_owned(),
        (_, Some(left)) if ends => format!("{left} B deeper and it reaches the {hit}, where no memory is."),
        (_, Some(left)) => format!("{left} B deeper and it overwrites {hit}."),
    };
    format!("{place} {next}")
}

/// What kind of memory a part is, beside its name.
pub(crate) fn kind_words(kind: PartKind, is_flash: bool) -> &'static str {
    match kind {
        PartKind::Vectors if is_flash => "vector table",
        PartKind::Vectors => "vector table, copy in RAM",
        PartKind::Bootloader => "bootloader",
        PartKind::Code => "code",
        PartKind::Constants => "read-only data",
        PartKind::DataImage => "initial values of .data",
        PartKind::Data => "initialised globals",
        PartKind::Bss => "globals that start as zero",
        PartKind::Uninit => "kept over a reset",
        PartKind::Stack => "stack",
        PartKind::Heap => "given out at run time",
        PartKind::Block => "heap block, in use",
        PartKind::Free if is_flash => "free",
        PartKind::Free => "free part of the heap",
        PartKind::Blocks => "part of the heap",
        PartKind::Buffer => "buffer",
        PartKind::Other => "fixed",
        PartKind::Unclaimed if is_flash => "not used",
        PartKind::Unclaimed => "claimed by nobody",
    }
}

/// Who writes a part, and when.
pub(crate) fn part_sentence(part: &Part, is_flash: bool) -> &'static str {
    match part.kind {
        PartKind::Vectors => "The core reads the start of each interrupt's handler from here.",
        PartKind::Bootloader => "It runs first and starts the application.",
        PartKind::Code => "What the core executes. Nothing writes here while the program runs.",
        PartKind::Constants => "Text and tables the program only reads.",
        PartKind::DataImage => "Copied to .data in RAM at every start.",
        PartKind::Data => "Globals with a value at start, copied here from flash. All of the program may write them.",
        PartKind::Bss => "Globals that are zero at start. All of the program may write them.",
        PartKind::Uninit => "The start-up code leaves it alone, so that it lives through a reset.",
        PartKind::Stack => "A stack of which no numbers are known.",
        PartKind::Heap => "Blocks are taken from its low end up, so that it grows into the free part at its top.",
        PartKind::Block => "Given out by the heap at run time; its owner writes it.",
        PartKind::Free => "The heap can hand this out again.",
        PartKind::Blocks => "Blocks and free parts are not told apart here.",
        PartKind::Buffer => "The program registered this buffer by name.",
        PartKind::Other => "The ELF or the agent names this range.",
        PartKind::Unclaimed if is_flash => "Room for more code and constants.",
        PartKind::Unclaimed => "No section, stack or heap claims it.",
    }
}
