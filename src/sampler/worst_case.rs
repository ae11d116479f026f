//! The static worst case of each stack, worked out once for each entry function.

use std::collections::BTreeMap;

use crate::image::Image;
use crate::image::callgraph::{WorstCase, note, recursion};
use crate::kernel::StackLook;
use crate::model::snapshot::{Measured, Stack, StackKind, Trust};
use crate::units::printable;

/// The most entry functions that are remembered: a damaged thread table could name new ones in each refresh.
const MAX_ENTRIES: usize = 1024;

/// What was worked out so far.
#[derive(Debug, Default)]
pub struct WorstCases {
    /// By entry function, and whether interrupts run on the same stack.
    known: BTreeMap<(u32, bool), Option<WorstCase>>,
}

impl WorstCases {
    /// Puts the worst case into each of `stacks`, which are those of `looks` in their order. Gives a hint, in a whole
    /// sentence, about guards that a single frame can jump over.
    pub fn tell(&mut self, image: &Image, looks: &[StackLook], stacks: &mut [Stack]) -> Option<String> {
        let mut found = Vec::new();
        for (look, stack) in looks.iter().zip(stacks) {
            let Some(worst) = self.of(image, look) else { continue };
            let trust = if worst.exact { Trust::Estimated } else { Trust::AtLeast };
            // A floor below what was in use already says nothing.
            let says = worst.exact || stack.deepest().is_none_or(|deepest| worst.bytes > deepest.bytes);
            stack.worst_case = says.then_some(Measured { bytes: worst.bytes, trust });
            stack.worst_case_note = note(&worst.why).filter(|_| says).map(|note| printable(&note, 400));
            stack.recursion = recursion(&worst.why).map(|function| printable(function, 200));
            if let Some((function, bytes)) =
                worst.largest.clone().filter(|(_, bytes)| look.guard > 0 && *bytes > look.guard)
            {
                found.push((look, function, bytes));
            }
        }
        jumps(&found)
    }

    fn of(&mut self, image: &Image, look: &StackLook) -> Option<&WorstCase> {
        let entry = look.entry?;
        // Threads that a kernel switches have stacks of their own; the only stack of a firmware has the interrupts too.
        let is_only = look.kind == StackKind::Main && look.priority.is_none();
        if self.known.len() >= MAX_ENTRIES && !self.known.contains_key(&(entry, is_only)) {
            self.known.clear();
        }
        let work_out = || {
            let graph = image.call_graph()?;
            if is_only { graph.of_only_stack(entry) } else { graph.of_thread(entry) }
        };
        self.known.entry((entry, is_only)).or_insert_with(work_out).as_ref()
    }
}

/// A guard tells an overflow only when something is written into it. A frame that is larger can reach across it with
/// nothing written there. One sentence says it of all threads that it holds for.
fn jumps(found: &[(&StackLook, String, u32)]) -> Option<String> {
    let (first, function, bytes) = found.iter().max_by_key(|(_, _, bytes)| *bytes)?;
    let names: Vec<&str> = found.iter().map(|(look, ..)| look.name.as_str()).collect();
    let guards = if found.len() == 1 { "guard" } else { "guards" };
    Some(format!(
        "The {guards} of {} ({} B) can be jumped without a trace by a frame that is larger and not written: the largest \
         is {bytes} B, in {}.",
        names.join(", "),
        first.guard,
        printable(function, 200)
    ))
}
