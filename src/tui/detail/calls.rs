//! The traces of a stack as calls with a letter each.

use crate::model::snapshot::{Trace, TracePlace};
use crate::units::without_paths;

/// Letters that tell calls apart, in the order in which the stack grows.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A call, or many of a recursion that look the same.
pub(super) struct Call<'a> {
    pub(super) letter: char,
    /// At least one; the outermost first.
    pub(super) traces: Vec<&'a Trace>,
}

impl Call<'_> {
    /// The outermost of its traces: what is said of one holds for all.
    pub(super) fn trace(&self) -> &Trace {
        self.traces[0]
    }

    /// The bytes of one frame: those of the last, whose distance is to another one of the same.
    pub(super) fn frame(&self) -> u32 {
        self.traces[self.traces.len() - 1].frame
    }
}

/// The calls of traces that come outermost first. When there are more than `rows`, the levels of a recursion share a
/// letter and a row: its pattern is what is to be seen, and no list holds a hundred levels.
pub(super) fn group<'a>(traces: &[&'a Trace], rows: usize) -> Vec<Call<'a>> {
    let fold = traces.len() > rows;
    let runs = traces.chunk_by(|one, next| fold && alike(one, next));
    runs.enumerate()
        .map(|(index, run)| Call { letter: char::from(LETTERS[index % LETTERS.len()]), traces: run.to_vec() })
        .collect()
}

fn alike(one: &Trace, next: &Trace) -> bool {
    one.value == next.value && one.place == next.place && one.kind == next.kind && one.in_chain == next.in_chain
}

/// The name of a trace's function, without the outer parts of its path when they do not fit.
pub(super) fn name(trace: &Trace, cells: usize) -> String {
    let Some(name) = trace.function.as_deref() else { return crate::units::address((trace.value & !1).into()) };
    let mut short = name;
    // Paths in the brackets of generics are no place to cut.
    while short.chars().count() > cells && !short.contains('<') {
        match short.split_once("::") {
            Some((_, inner)) => short = inner,
            None => break,
        }
    }
    if short.chars().count() > cells { without_paths(short) } else { short.to_owned() }
}

/// Where a trace lies, in words.
pub(super) fn place(place: TracePlace) -> &'static str {
    match place {
        TracePlace::Now => "in use now",
        TracePlace::LeftBehind => "left behind",
        TracePlace::Unknown => "SP unknown",
    }
}
