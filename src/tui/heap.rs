//! Screen 3: the heap block by block, who holds it, and whether a block would fit.
//!
//! ```text
//!  heap 48.9 KiB                       one cell, 64 B · last address first    figures
//!  2000_ec00 ······························································   used         24.4 KiB  49 %
//!  2000_dc00 ·············▐░░░++▐█████████◆◆◆◆◆◆◆◆◆▐██████████ growth ▐████   free         25.6 KiB
//!
//!  call site            where                blocks     bytes      B/min      would it fit?
//!  ◆ remember_packet    alloc.rs:72              31    3968 B       +512      2048 B would fit into heap now, ...
//! ```

mod figures;
mod picture;
mod sites;
mod sizes;

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::frame::Density;
use super::paint::{self, Canvas, count, safe};
use super::state::{Input, State};
use super::theme::Theme;
use super::timeline::Values;
use crate::heap::fit::{Fit, Unsure};
use crate::model::Model;
use crate::model::growth;
use crate::model::question::Question;
use crate::model::snapshot::{CallSite, Heap, LiveBlock, Trust};
use crate::region::Region;
use crate::report::{self, FitReport};
use crate::units;
use crate::view::text::{fit_sentence, unwalked_sentence};

/// The alignment of a block that is asked about.
const ALIGN: u32 = 8;

/// How the owners are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What grows fastest first.
    #[default]
    Growth,
    /// What holds most first.
    Bytes,
}

/// How the heap is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeapState {
    /// Which heap, by its id; the first when there is none.
    pub shown: Option<String>,
    /// The selected owner; the first when there is none.
    pub owner: Option<CallSite>,
    /// Where the selected block begins.
    pub block: Option<u32>,
    /// How owners are sorted.
    pub order: Order,
    /// The size that is asked about, as it was typed.
    pub asked: String,
}

fn shown<'a>(model: &'a Model, state: &State) -> Option<&'a Heap> {
    let heaps = &model.snapshot.heaps;
    heaps.iter().find(|heap| Some(heap.id()) == state.heap.shown).or(heaps.first())
}

/// The heap behind the one that is shown, by its id; the first again behind the last.
pub(super) fn next(model: &Model, state: &State) -> Option<String> {
    let (heaps, shown) = (&model.snapshot.heaps, shown(model, state)?);
    let at = heaps.iter().position(|heap| heap.id() == shown.id())?;
    Some(heaps[(at + 1) % heaps.len()].id())
}

/// The heap as it was at the baseline, when the difference from it is shown and there is one to show.
fn compared<'a>(model: &'a Model, heap: &Heap, state: &State) -> Option<(&'a Heap, Duration)> {
    let baseline = model.baseline.as_ref().filter(|_| state.values == Values::Difference)?;
    let same_run = baseline.snapshot.epoch == model.snapshot.epoch;
    let before = baseline.snapshot.heaps.iter().find(|before| same_run && before.id() == heap.id())?;
    Some((before, model.snapshot.at.saturating_sub(baseline.at())))
}

/// Goes so many call sites down.
pub(super) fn walk(model: &Model, state: &State, steps: isize) -> Option<CallSite> {
    let rows = sites::rows(model, shown(model, state)?, state);
    let at = super::update::step(Some(sites::selected(&rows, state)), rows.len(), steps)?;
    Some(rows[at].site.clone())
}

/// What the owner of the selected block may use.
pub(super) fn selected_payload(model: &Model, state: &State) -> Option<Region> {
    let block = shown(model, state)?.block_at(state.heap.block?)?;
    Some(payload(block))
}

fn payload(block: &LiveBlock) -> Region {
    block.range.from(block.range.start().saturating_add(block.front)).bottom(block.asked)
}

/// Goes to the next block of the picture, up to the right or down to the left in addresses.
pub(super) fn side(model: &Model, state: &State, to_right: bool) -> Option<u32> {
    let live = shown(model, state)?.live.as_ref()?;
    let at = state.heap.block.and_then(|start| live.iter().position(|block| block.range.start() == start));
    // The last address is on the left.
    let at = super::update::step(at.or(Some(live.len())), live.len(), if to_right { -1 } else { 1 })?;
    Some(live[at].range.start())
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, density: Density, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let Some(heap) = shown(model, state) else {
        let text = "This firmware has no heap that is known: the agent registers one with register_heap, and without an \
                    agent the linker's heap symbols tell of it.";
        for (line, y) in paint::wrap(text, area.width.max(1)).iter().zip(area.top()..area.bottom()) {
            canvas.text(area.x, y, line, styles.ink);
        }
        return;
    };
    let two = density >= Density::Normal;
    let right_width = if two { (area.width / 3).min(56) } else { 0 };
    let left = Rect { width: area.width.saturating_sub(if two { right_width + 3 } else { 0 }), ..area };
    let rows = sites::rows(model, heap, state);
    let below = count(rows.len() + 2).min(area.height / 3).max(3);
    let figure_rows = if two { 0 } else { 2 };
    let title = Rect { height: 1, ..left };
    let figure = Rect { y: area.y + 1, height: area.height.saturating_sub(below + figure_rows + 2), ..left };
    // What the picture does not need is the table's.
    let figure = Rect { height: picture::height(figure, heap), ..figure };
    let table = Rect { y: figure.bottom() + 1 + figure_rows, height: area.height, ..left }.intersection(area);
    draw_title(canvas, title, figure, model, heap);
    let asked = asked(model, heap, state);
    let marked = picture::Marked {
        owner: rows
            .get(sites::selected(&rows, state))
            .and_then(|row| heap.owners.as_ref()?.iter().position(|owner| owner.site == row.site)),
        block: state.heap.block.and_then(|start| heap.block_at(start)).map(|block| block.range),
        asked: match asked {
            Some((Fit::Yes { at, .. }, _)) => Some(at),
            _ => None,
        },
    };
    picture::draw(canvas, figure, &model.snapshot, heap, state, marked);
    let titles = match compared(model, heap, state) {
        Some(_) => ["+blocks", "+bytes", "B/min"],
        None => ["blocks", "bytes", "B/min"],
    };
    sites::draw(canvas, table, heap, state, &rows, titles);
    let notes = notes(model, heap, state, asked);
    if two {
        let right = Rect { x: left.right() + 3, width: right_width, ..area };
        let mut y = figures::draw(canvas, right, heap, model) + 1;
        for note in &notes {
            for line in paint::wrap(note, right.width.max(1)) {
                canvas.text(right.x, y, &safe(&line, canvas.theme), styles.ink);
                y += 1;
            }
            y += 1;
        }
        let y = draw_excerpt(canvas, Rect { y, height: right.bottom().saturating_sub(y), ..right }, model, state);
        let y = y.max(table.y);
        sizes::draw(canvas, Rect { y, height: right.bottom().saturating_sub(y), ..right }, heap);
    } else {
        for (note, y) in notes.iter().zip(figure.bottom()..table.y) {
            canvas.text(area.x, y, &paint::fit(note, area.width, canvas.theme), styles.ink);
        }
    }
}

fn draw_title(canvas: &mut Canvas<'_>, line: Rect, figure: Rect, model: &Model, heap: &Heap) {
    let styles = canvas.theme.styles;
    let number = match model.snapshot.heaps.len() {
        0 | 1 => String::new(),
        heaps => format!("  one of {heaps}"),
    };
    let x = canvas.text(line.x, line.y, &safe(&heap.name, canvas.theme), styles.strong);
    let x = canvas.text(x + 1, line.y, &format!("{}{number}", units::memory(heap.range.size().into())), styles.muted);
    if let Some(scale) = picture::scale(figure, heap) {
        let text = format!("one cell, {} B {} last address first", scale.cell, canvas.theme.glyphs.dot);
        if x + 2 + paint::width(&text) <= line.right() {
            canvas.right(line.right(), line.y, &text, styles.muted);
        }
    }
}

/// What is asked about, and the answer: where it would lie, and a sentence.
fn asked(model: &Model, heap: &Heap, state: &State) -> Option<(Fit, String)> {
    let question: Question = state.heap.asked.parse().ok()?;
    let demand = match question.demand(&model.snapshot, heap) {
        Ok(demand) => demand,
        Err(why) => return Some((Fit::Unknown(Unsure::Question), format!("That cannot be told: {why}."))),
    };
    let stack = question.stack().map(str::to_owned);
    let report = FitReport { stack, ..report::fit(heap, demand, ALIGN) };
    Some((heap.fit(demand, ALIGN), fit_sentence(&heap.name, &report)))
}

/// Sentences: the answer, the selected block, and what is not known.
fn notes(model: &Model, heap: &Heap, state: &State, asked: Option<(Fit, String)>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((_, sentence)) = asked {
        notes.push(sentence);
    } else if state.screen == super::state::Screen::Heap && state.input == Input::Filter {
        notes.push("Would it fit? Type a number of bytes, or a thread's name for a stack like its own.".into());
    }
    if let Some(block) = state.heap.block.and_then(|start| heap.block_at(start)) {
        notes.push(describe(model, heap, block));
    }
    notes.extend(since_baseline(model, heap, state));
    if let Some(unwalked) = &heap.unwalked {
        notes.push(unwalked_sentence(&heap.name, heap.used.is_some(), &unwalked.to_string()));
    } else if heap.blocks.is_none() {
        notes.push("Its blocks are told by a running target.".into());
    } else if heap.owners.is_none() {
        notes.push("Nobody keeps account of the blocks: the agent's Owned allocator does, for 8 B a block.".into());
    } else if heap.owners_trust != Trust::Exact {
        let ago = heap.owners_confirmed.map_or_else(String::new, |confirmed| {
            format!(", {} ago", units::age(model.snapshot.at.saturating_sub(confirmed)))
        });
        notes.push(format!("The blocks are from the last look at which they agreed with the counters{ago}."));
    }
    notes
}

/// How the heap as a whole changed since the baseline, and where that leads.
fn since_baseline(model: &Model, heap: &Heap, state: &State) -> Option<String> {
    if state.values == Values::Now {
        return None;
    }
    let at = model.baseline.as_ref()?.at();
    let ago = units::duration(model.snapshot.at.saturating_sub(at));
    let Some((before, time)) = compared(model, heap, state) else {
        return Some(format!("The baseline, {ago} ago, is from before the last reset: b marks another."));
    };
    let (Some(was), Some(is)) = (before.used, heap.used) else { return None };
    let change = i64::from(is.bytes) - i64::from(was.bytes);
    let rate = growth::per_minute(change, time);
    let each = rate.map_or_else(String::new, |rate| format!(", {rate:+.0} B each minute"));
    let full = rate
        .and_then(|rate| growth::until_full(heap, rate))
        .map_or_else(String::new, |time| format!(": full in about {} at that rate", units::duration(time)));
    Some(format!("Since the baseline, {ago} ago: {change:+} B in use{each}{full}."))
}

/// One block in words.
fn describe(model: &Model, heap: &Heap, block: &LiveBlock) -> String {
    let place = heap.owner_of(block).map(|owner| place(&owner.site));
    let age = units::duration(model.snapshot.at.saturating_sub(block.seen));
    format!(
        "Block at {}: {} asked for, {} with header and rounding, by {} {}; first seen {age} ago.",
        units::address((block.range.start() + block.front).into()),
        units::bytes(block.asked.into()),
        units::bytes(block.range.size().into()),
        heap.block_name(block.range.start()),
        place.unwrap_or_default(),
    )
}

/// The first bytes of the selected block, eight in a row, and where they end.
fn draw_excerpt(canvas: &mut Canvas<'_>, area: Rect, model: &Model, state: &State) -> u16 {
    const ROW: usize = 8;
    let styles = canvas.theme.styles;
    let selected = selected_payload(model, state);
    let Some(excerpt) =
        model.snapshot.excerpt.as_ref().filter(|told| selected.is_some_and(|block| block.start() == told.start))
    else {
        return area.y;
    };
    let mut end = area.y;
    for ((bytes, offset), y) in excerpt.bytes.chunks(ROW).zip((0..).step_by(ROW)).zip(area.top()..area.bottom()) {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let letter = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let x = canvas.text(area.x, y, &format!("+{offset:02x}  "), styles.muted);
        let x = canvas.text(x, y, &format!("{:<24}", hex.join(" ")), styles.ink);
        canvas.text(x, y, &bytes.iter().map(letter).collect::<String>(), styles.muted);
        end = y + 2;
    }
    end
}

fn place(site: &CallSite) -> String {
    site.place().unwrap_or_else(|| "-".to_owned())
}

/// The meaning of the cells.
pub(super) fn legend(theme: &Theme) -> Vec<(String, Style, String)> {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let entry = |glyph: &str, style: Style, word: &str| (glyph.to_owned(), style, word.to_owned());
    vec![
        entry(&format!("{}{}", glyphs.line_up, glyphs.used), styles.level, "block"),
        entry(glyphs.owner, styles.strong, "selected owner's"),
        entry("+", styles.lit, "new"),
        entry(glyphs.freed, styles.muted, "free again"),
        entry(glyphs.never, styles.muted, "never used"),
        entry(glyphs.line_up, styles.strong, "high water"),
        entry("?", styles.strong, "would go here"),
    ]
}
