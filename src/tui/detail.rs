//! Screen 2b: one stack word by word, with the return addresses that calls left in it.
//!
//! ```text
//! SP here      depth  one cell, one word · reads as the stack grows →                     calls            frame
//! ─────────────────────────────────────────────────────────────────────────────────────   ──────────────────────
//! 2000_58d0        0  ███a██████████b█ ████████████████ ███c████████████ ████████████     a thread_entry    48 B
//! 2000_57d0      256  ████████████████ ████████████████ ███d███▼ SP now, 412 B ▒▒▒▒▒▒     b growth::run     80 B
//! 2000_56d0      512  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒▒▒▒▒e▒▒▒▒ ▒·········▒▒▒▒▒▒ ▒▒▒▒▒▒▒▒▒▒▒▒     ▼ SP now ───────────
//! ```

mod calls;
mod grid;
mod layout;
mod list;
mod marks;
mod word;

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::frame::Density;
use super::lookup::{self, Condition};
use super::map::words;
use super::paint::Canvas;
use super::state::{Cursor, State};
use super::theme::Theme;
use super::update;
use super::verdict::{self, Tone, Verdict};
use crate::model::Model;
use crate::model::snapshot::{Health, Snapshot, Stack, StackWords, Trace, Trust};
use crate::region::Region;
use crate::units;
use calls::Call;
use layout::Layout;

/// One stack with what is known of its words.
struct View<'a> {
    snapshot: &'a Snapshot,
    stack: &'a Stack,
    /// Its whole words: what lies before or after them is never used as stack.
    range: Region,
    words: Option<&'a StackWords>,
    /// Bytes in use now.
    now: Option<u32>,
    /// Bytes of the high-water mark, when paint tells it.
    peak: Option<u32>,
    /// Bytes that were used at least.
    deepest: u32,
    /// Bytes at which the danger begins.
    limit: u32,
    condition: Condition,
}

impl<'a> View<'a> {
    fn of(model: &'a Model, state: &State) -> Option<Self> {
        let snapshot = &model.snapshot;
        let stack = state.selected_stack(snapshot)?;
        let range = stack.range.whole_words();
        let words = snapshot.detail.as_ref().filter(|detail| detail.id == stack.id);
        let bytes = |measured: Option<crate::model::snapshot::Measured>| {
            measured.filter(|measured| measured.trust != Trust::Gap).map(|measured| measured.bytes.min(range.size()))
        };
        let percent = u64::from(state.stack_limit.min(100));
        let limit = u32::try_from(u64::from(range.size()) * percent / 100).unwrap_or(u32::MAX);
        Some(Self {
            snapshot,
            stack,
            range,
            words,
            now: bytes(stack.current),
            peak: bytes(stack.peak.filter(|peak| peak.trust != Trust::Unpainted)),
            deepest: bytes(stack.deepest()).into_iter().chain(bytes(stack.current)).max().unwrap_or(0),
            limit,
            condition: Condition::of(stack, state.stack_limit),
        })
    }

    /// The static worst case, unless more than that was seen in use: then it is none.
    fn worst(&self) -> Option<u32> {
        self.stack.worst_case.map(|worst| worst.bytes).filter(|worst| *worst >= self.deepest)
    }

    /// How many words it has.
    fn count(&self) -> usize {
        self.range.size() as usize / 4
    }

    /// A word's number, counted from the first use down.
    fn index(&self, address: u32) -> Option<usize> {
        let above = self.range.contains(address).then(|| self.range.from(address).size())?;
        (above as usize / 4).checked_sub(1)
    }

    /// What a word holds, when it was read.
    fn word(&self, index: usize) -> Option<u32> {
        let words = &self.words?.words;
        words.len().checked_sub(index + 1).and_then(|at| words.get(at)).copied()
    }

    /// The traces in the order in which the stack grows.
    fn traces(&self) -> Vec<&'a Trace> {
        self.words.map(|words| words.traces.iter().rev().collect()).unwrap_or_default()
    }

    /// The address of the SP when so many bytes are in use.
    fn address(&self, depth: u32) -> String {
        units::address(self.range.end().saturating_sub(depth.into()))
    }

    fn level(&self, depth: u32, theme: &Theme) -> Style {
        if depth >= self.limit { theme.styles.danger } else { theme.styles.level }
    }
}

/// The call under the cursor, as an index into the calls.
fn selected(calls: &[Call<'_>], cursor: Cursor) -> Option<usize> {
    match cursor {
        Cursor::Deepest => calls
            .iter()
            .rposition(|call| call.traces.iter().any(|trace| trace.in_chain))
            .or_else(|| calls.len().checked_sub(1)),
        Cursor::Trace(address) => {
            calls.iter().position(|call| call.traces.iter().any(|trace| trace.address == address))
        }
        Cursor::Row(_) => None,
    }
}

/// Draws the screen.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, model: &Model, state: &State) {
    let Some(view) = View::of(model, state) else {
        canvas.text(body.x + 2, body.y + 1, "this stack is gone: its thread ended", canvas.theme.styles.muted);
        return;
    };
    let layout = Layout::of(body, density, &view, marks::wanted(model, &view.stack.id));
    let traces = view.traces();
    let calls = calls::group(&traces, layout.list_rows());
    let selected = selected(&calls, state.cursor);
    let first = layout.first_row(&view, &calls, selected, state.cursor);
    layout.draw_frame(canvas, body, &view, first);
    grid::draw(canvas, &layout, &view, &calls, selected, first);
    list::draw(canvas, &layout, &view, &calls, selected);
    word::draw(canvas, &layout, &view, &calls, selected);
    if let Some(area) = layout.marks {
        marks::draw(canvas, area, model, &view.stack.id);
    }
}

/// Where the cursor is after a walk of so many steps: along the calls, or down the rows where there is none.
pub(crate) fn walk(body: Rect, density: Density, model: &Model, state: &State, steps: isize) -> Cursor {
    let Some(view) = View::of(model, state) else { return state.cursor };
    let layout = Layout::of(body, density, &view, marks::wanted(model, &view.stack.id));
    let traces = view.traces();
    let calls = calls::group(&traces, layout.list_rows());
    let at = selected(&calls, state.cursor);
    if let Some(at) = update::step(at, calls.len(), steps) {
        return Cursor::Trace(calls[at].traces[0].address);
    }
    let first = layout.first_row(&view, &calls, None, state.cursor);
    Cursor::Row(first.saturating_add_signed(steps).min(layout.hidden_rows()))
}

/// The call at a cell, in the figure or in the list.
pub(crate) fn hit(body: Rect, density: Density, model: &Model, state: &State, at: Position) -> Option<Cursor> {
    let view = View::of(model, state)?;
    let layout = Layout::of(body, density, &view, marks::wanted(model, &view.stack.id));
    let traces = view.traces();
    let calls = calls::group(&traces, layout.list_rows());
    let selected = selected(&calls, state.cursor);
    let first = layout.first_row(&view, &calls, selected, state.cursor);
    if let Some(index) = layout.word_at(at, first) {
        let trace = traces.iter().find(|trace| view.index(trace.address) == Some(index))?;
        let call = calls.iter().find(|call| call.traces.contains(trace))?;
        return Some(Cursor::Trace(call.traces[0].address));
    }
    list::hit(&layout, &view, &calls, selected, at).map(|call| Cursor::Trace(calls[call].traces[0].address))
}

/// What is to be said about the stack on show.
pub(crate) fn verdict(model: &Model, state: &State) -> Verdict {
    let usual = verdict::verdict(model, state.stack_limit);
    let Some(view) = View::of(model, state) else { return usual };
    let stack = view.stack;
    let victim = stack.victim.as_ref();
    let below = victim.map_or("its limit", |victim| victim.name.as_str());
    let margin = stack.margin();
    let exact = view.peak.is_some() && stack.deepest().is_some_and(|deepest| deepest.trust == Trust::Exact);
    let most = if exact { "" } else { "at most " };
    let sentence = match (view.condition, margin) {
        _ if view.snapshot.health == Health::Static => " word by word: there is no target to read it from.".to_owned(),
        (Condition::Overflowed, _) => format!(" word by word: its last word is used, and {below} was likely hit."),
        (Condition::GuardBroken, Some(left)) => format!(" word by word: its guard is broken, {left} B above {below}."),
        (_, Some(left)) => format!(" word by word: the deepest call ended {most}{left} B above {below}."),
        (_, None) => " word by word: nobody painted it, so how deep it went cannot be told.".to_owned(),
    };
    let (tone, chip) = match view.condition {
        Condition::Calm => (Tone::Calm, "ok"),
        Condition::PastLimit => (Tone::Danger, "! DANGER"),
        Condition::GuardBroken | Condition::Overflowed => (Tone::Danger, "! OVERFLOW"),
    };
    let worst = lookup::worst(view.snapshot, state.stack_limit).filter(|worst| worst.id != stack.id);
    let aside = match (&view.snapshot.health, worst) {
        (Health::Stale { .. } | Health::Reconnecting { .. }, _) => usual.aside,
        (_, Some(worst)) if tone == Tone::Calm => format!("! {} is in danger: 2 Stacks", worst.name),
        _ => format!("{}, {}", units::bytes(stack.range.size().into()), words::stack_kind(stack.kind)),
    };
    let subject = if tone == Tone::Calm { format!("  {}", stack.name) } else { stack.name.clone() };
    Verdict { tone, chip, subject, sentence, aside }
}

/// The legend's entries.
pub(crate) fn legend(theme: &Theme, model: &Model, state: &State) -> Vec<(String, Style, String)> {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let view = View::of(model, state);
    let mut entries = vec![
        (glyphs.used.repeat(2), styles.level, "in use".to_owned()),
        (glyphs.touched.repeat(2), styles.level, "left behind".to_owned()),
    ];
    if view.as_ref().is_some_and(|view| view.deepest > view.limit) {
        entries.push((glyphs.touched.repeat(2), styles.danger, format!("past {} %", state.stack_limit)));
    }
    entries.extend([
        (glyphs.never.to_owned(), styles.muted, "never written".to_owned()),
        ("a".to_owned(), styles.chip, "return address".to_owned()),
        (glyphs.lowest.to_owned(), styles.strong, "SP".to_owned()),
        (glyphs.line.to_owned(), styles.strong, "high water".to_owned()),
    ]);
    if view.is_some_and(|view| view.worst().is_some()) {
        entries.push((glyphs.worst.to_owned(), styles.strong, "worst case".to_owned()));
    }
    entries
}
