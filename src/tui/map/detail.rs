//! The pane that explains what is selected.
//!
//! ```text
//! growth             thread stack in the heap
//!
//! 2000_5cc8   4.0 KiB, grows down   2000_4cc8
//! ████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▌····
//!    ╵now                    high water ╵
//!
//! now        412 B  10 %
//! peak    ≥ 3656 B  89 %  at least, by paint
//! left       440 B  11 %  to uart_rx_buf
//!
//! 60 s                 ▁▁▁▁▄▄▄▄▄▄▄▄▆▆▆▆  89 %
//!          ▄▄▄▄▄▄▇▇▇▇▇▇▇▇████████████████
//! ```

mod blocks;
mod stack;

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::words;
use crate::inventory::Thing;
use crate::model::Model;
use crate::model::history::{Quantity, Series};
use crate::model::snapshot::{Heap, Measured, MemoryKind, Part, PartKind, Stack, Trust};
use crate::region::Region;
use crate::tui::bar::{self, Bar, Marks};
use crate::tui::fields;
use crate::tui::frame::Density;
use crate::tui::lookup::{self, Condition};
use crate::tui::paint::{self, Canvas, fit, safe_sentence, spread, wrap};
use crate::tui::state::State;
use crate::tui::theme::Theme;
use crate::tui::verdict;
use crate::units;
use crate::view::text::unwalked_sentence;

/// How far the history reaches back.
const SPAN: Duration = Duration::from_secs(60);

/// The most functions and statics of a part that are listed, and the most lines of one that is looked at.
const MOST_THINGS: usize = 5;
const MOST_FIELDS: usize = 14;

/// Lines that stay together; those of the highest rank go first when rows are short.
struct Block {
    rank: u8,
    lines: Vec<Line<'static>>,
}

/// What every block is made with.
struct Paper<'a> {
    model: &'a Model,
    state: &'a State,
    theme: &'a Theme,
    cells: u16,
    density: Density,
}

/// Draws the pane.
pub(crate) fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, state: &State, density: Density) {
    let paper = Paper { model, state, theme: canvas.theme, cells: area.width, density };
    let part = state.selected_part(&model.snapshot);
    let stack = state.selected_stack(&model.snapshot);
    let blocks = match (stack, part) {
        (Some(stack), _) => paper.stack(stack, part),
        (None, Some(part)) => paper.part(part),
        (None, None) => paper.overview(),
    };
    let lines = arrange(blocks, area.height);
    let mut inside = Canvas::new(canvas.buffer, area, canvas.theme);
    inside.lines(area.x, area.y, &lines);
}

/// Puts blank lines between blocks while there is room, and leaves out what matters least when there is not.
fn arrange(mut blocks: Vec<Block>, height: u16) -> Vec<Line<'static>> {
    blocks.retain(|block| !block.lines.is_empty());
    let height = usize::from(height);
    let rows = |blocks: &[Block]| blocks.iter().map(|block| block.lines.len()).sum::<usize>();
    while rows(&blocks) > height && blocks.len() > 1 {
        let last = blocks.iter().enumerate().max_by_key(|(_, block)| block.rank).map_or(0, |(index, _)| index);
        blocks.remove(last);
    }
    let mut spare = height.saturating_sub(rows(&blocks));
    let mut lines = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        if index > 0 && spare > 0 {
            lines.push(Line::default());
            spare -= 1;
        }
        lines.extend(block.lines);
    }
    lines
}

impl Paper<'_> {
    fn ink(&self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.theme.styles.ink)
    }

    fn muted(&self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.theme.styles.muted)
    }

    fn strong(&self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.theme.styles.strong)
    }

    fn sentence(&self, rank: u8, text: &str) -> Block {
        let text = safe_sentence(text, self.theme);
        let lines = wrap(&text, self.cells).into_iter().map(|line| Line::from(self.ink(line))).collect();
        Block { rank, lines }
    }

    fn title(&self, name: &str, what: &str) -> Block {
        let room = self.cells.saturating_sub(paint::width(what).min(self.cells / 2) + 2);
        let what = fit(what, self.cells.saturating_sub(paint::width(name) + 2), self.theme);
        let line = spread(vec![self.strong(fit(name, room, self.theme))], vec![self.muted(what)], self.cells);
        Block { rank: 0, lines: vec![line] }
    }

    fn narrow(&self) -> bool {
        self.density < Density::Normal
    }

    /// `peak    ≥ 3656 B  89 %  at least, by paint`
    fn number(
        &self,
        word: &str,
        measured: Option<Measured>,
        whole: u32,
        style: Style,
        note: Option<&str>,
    ) -> Line<'static> {
        let label = if self.narrow() { 6 } else { 8 };
        let note_width = if self.narrow() { 0 } else { 24 };
        let (sign, bytes, percent) = match measured {
            None => ("", "-".to_owned(), String::new()),
            Some(Measured { trust: Trust::Gap, .. }) => ("", "?".to_owned(), String::new()),
            Some(Measured { bytes, trust }) => {
                let sign =
                    if matches!(trust, Trust::AtLeast | Trust::Unpainted) { self.theme.glyphs.at_least } else { "" };
                (sign, units::bytes(bytes.into()), bar::percent(Some(bytes.into()), whole.into()))
            }
        };
        // Room for the largest number this can be, its sign and its unit.
        let widest = whole.to_string().len() + self.theme.glyphs.at_least.chars().count() + 3;
        let bytes_width = if self.narrow() { usize::from(self.cells.saturating_sub(label + 6)) } else { widest };
        let gap = if sign.is_empty() { "" } else { " " };
        let bytes = format!("{sign}{gap}{bytes}");
        let mut spans = vec![
            self.muted(format!("{word:<width$}", width = usize::from(label))),
            Span::styled(format!("{bytes:>bytes_width$}"), style),
            Span::styled(format!("{percent:>6}"), style),
        ];
        let trust = measured.map_or("", |measured| words::trust_words(measured.trust));
        let note = note.filter(|note| !note.is_empty()).unwrap_or(trust);
        if note_width > 0 && !note.is_empty() {
            let used = paint::spans_width(&spans) + 2;
            spans.push(self.muted(format!("  {}", fit(note, self.cells.saturating_sub(used), self.theme))));
        }
        Line::from(spans)
    }

    /// The last minute, as a share of the whole.
    fn history(&self, series: Option<&Series>, whole: f64) -> Block {
        let Some(series) = series.filter(|series| series.iter().count() > 1) else {
            return Block { rank: 8, lines: Vec::new() };
        };
        let last = series.last().map_or_else(String::new, |last| share_text(last.into(), whole));
        let rows = match self.density {
            Density::Small | Density::Narrow => 1,
            Density::Normal => 2,
            Density::Wide => 5,
        };
        let (label, end) = (if self.narrow() { 6 } else { 7 }, if self.narrow() { 0 } else { paint::width(&last) + 2 });
        let columns = self.cells.saturating_sub(label + end);
        let columns = series.highest(self.model.snapshot.at, SPAN, usize::from(columns));
        let lines = bar::history(&columns, whole, rows, self.theme)
            .into_iter()
            .enumerate()
            .map(|(row, text)| {
                let label_text = if row == 0 { "60 s" } else { "" };
                let mut spans =
                    vec![self.muted(format!("{label_text:<width$}", width = usize::from(label))), self.muted(text)];
                match row {
                    0 if end > 0 => spans.push(self.ink(format!("  {last}"))),
                    row if end > 0 && rows > 2 && row + 1 == usize::from(rows) => spans.push(self.muted("   0 %")),
                    _ => {}
                }
                Line::from(spans)
            })
            .collect();
        Block { rank: 3, lines }
    }

    /// What lies above and below, in address order.
    fn neighbours(&self, part: &Part) -> Vec<Line<'static>> {
        let snapshot = &self.model.snapshot;
        let Some((memory, parent)) = lookup::place(snapshot, &part.id) else { return Vec::new() };
        let siblings = parent.map_or(&memory.parts, |parent| &parent.parts);
        let Some(index) = siblings.iter().position(|sibling| sibling.id == part.id) else { return Vec::new() };
        let mut lines = vec![Line::from(self.strong("around it"))];
        let shown = siblings.iter().enumerate().rev();
        for (at, sibling) in shown.filter(|(at, _)| at.abs_diff(index) <= 1) {
            let note = match at.cmp(&index) {
                std::cmp::Ordering::Less if part.stack.is_some() => "hit next",
                std::cmp::Ordering::Equal if part.stack.is_some() => "grows down",
                _ => "",
            };
            let name = format!("{:<18}", fit(&sibling.name, 17, self.theme));
            let style = if at == index { self.ink(name) } else { self.muted(name) };
            lines.push(Line::from(vec![
                self.muted(format!("{}   ", units::address(sibling.range.start().into()))),
                style,
                self.muted(format!("{:>8}   {note}", units::short(sibling.range.size().into()))),
            ]));
        }
        lines
    }

    fn part(&self, part: &Part) -> Vec<Block> {
        let snapshot = &self.model.snapshot;
        let place = lookup::place(snapshot, &part.id);
        let memory = place.map(|(memory, _)| memory);
        let is_flash = memory.is_some_and(|memory| memory.kind == MemoryKind::Flash);
        let name = if part.kind == PartKind::Unclaimed && is_flash { "free" } else { part.name.as_str() };
        let mut blocks = vec![self.title(name, words::kind_words(part.kind, is_flash)), self.bounds(part.range)];
        if part.is_static && part.heap.is_none() {
            blocks.extend(self.things(part));
        }
        if let Some(heap) = lookup::heap(snapshot, part) {
            blocks.push(Block { rank: 1, lines: self.heap_numbers(heap) });
            blocks.extend(heap.unwalked.as_ref().map(|unwalked| {
                self.sentence(1, &unwalked_sentence(&heap.name, heap.used.is_some(), &unwalked.to_string()))
            }));
            blocks.push(self.history(self.model.history.series(Quantity::Used, &heap.id()), heap.range.size().into()));
        }
        blocks.extend(self.heap_blocks(part));
        // Of a memory that only reaches as far as what is known of it, a share says nothing.
        if let Some(memory) = memory.filter(|memory| memory.size_known) {
            let share = bar::percent(Some(part.range.size().into()), memory.range.size().into());
            let text = format!("{share} of {}", memory.name);
            blocks.push(Block { rank: 2, lines: vec![Line::from(self.muted(fit(&text, self.cells, self.theme)))] });
        }
        // A heap is not hit as a whole: the part of it that is says so itself.
        let attacker = lookup::attacker(snapshot, part.range, self.state.stack_limit);
        if let Some((stack, condition)) = attacker.filter(|_| part.kind != PartKind::Heap) {
            let text = match condition {
                Condition::Overflowed => format!("{} overflowed and has likely hit this.", stack.name),
                _ => {
                    format!("{} is next to overwrite this: it has {} B left.", stack.name, stack.margin().unwrap_or(0))
                }
            };
            blocks.push(self.sentence(1, &text));
        }
        if !self.narrow() {
            blocks.push(Block { rank: 6, lines: self.neighbours(part) });
        }
        blocks.push(self.sentence(4, words::part_sentence(part, is_flash)));
        blocks
    }

    /// The static that is looked at, field by field; else the largest functions and statics in the part.
    fn things(&self, part: &Part) -> Option<Block> {
        let inventory = self.state.symbols.shared.get()?;
        let inside = inventory.within(part.range);
        let row = |thing: &Thing, style: Style| {
            let size = units::bytes(thing.range.size().into());
            let name = paint::fit_path(&thing.name, self.cells.saturating_sub(paint::width(&size) + 2), self.theme);
            spread(vec![Span::styled(name, style)], vec![self.muted(size)], self.cells)
        };
        let looked_at = self.state.thing(&self.model.snapshot);
        if let Some(thing) = inside.iter().find(|thing| Some(thing.range) == looked_at) {
            let mut lines = vec![row(thing, self.theme.styles.strong)];
            lines.extend(fields::lines(self.model, self.state, thing.range, self.cells, self.theme));
            return Some(Block { rank: 1, lines: fields::first(lines, MOST_FIELDS, self.theme) });
        }
        let heading = format!("the largest of {} in it, n looks into them", inside.len());
        let heading = Line::from(self.strong(fit(&heading, self.cells, self.theme)));
        let rows = inside.iter().take(MOST_THINGS).map(|thing| row(thing, self.theme.styles.ink));
        let lines = std::iter::once(heading).chain(rows).collect();
        (!inside.is_empty()).then_some(Block { rank: 5, lines })
    }

    fn bounds(&self, range: Region) -> Block {
        let size = units::memory(range.size().into());
        let mut spans = vec![
            self.ink(units::address(range.start().into())),
            self.muted(" to "),
            self.ink(units::address(range.end())),
        ];
        let right = if self.narrow() { Vec::new() } else { vec![self.ink(size.clone())] };
        let mut lines = Vec::new();
        if self.narrow() {
            lines.push(Line::from(std::mem::take(&mut spans)));
            lines.push(Line::from(self.ink(format!("{size}, {}", units::bytes(range.size().into())))));
        } else {
            lines.push(spread(spans, right, self.cells));
        }
        Block { rank: 0, lines }
    }

    fn heap_numbers(&self, heap: &Heap) -> Vec<Line<'static>> {
        let size = heap.range.size();
        let ink = self.theme.styles.ink;
        let mut lines =
            vec![self.number("now", heap.used, size, ink, None), self.number("peak", heap.peak, size, ink, None)];
        if heap.largest_free.is_some() {
            lines.push(self.number("room", heap.largest_free, size, ink, Some("largest free block")));
        }
        let mut words = Vec::new();
        words.extend(heap.in_use.map(|blocks| format!("{blocks} blocks")));
        words.extend(heap.overhead.map(|overhead| format!("{overhead} B of headers")));
        words.extend(heap.fragmentation().map(|share| format!("fragmentation {share:.2}")));
        let failures = heap.failures.unwrap_or(0);
        if failures > 0 {
            words.push(format!("{failures} failed"));
        }
        for text in wrap(&words.join(", "), self.cells) {
            let style = if failures > 0 { self.ink(text) } else { self.muted(text) };
            lines.push(Line::from(style));
        }
        lines
    }

    /// What is said when nothing is selected: how full things are, and what the user can do to know more.
    fn overview(&self) -> Vec<Block> {
        let snapshot = &self.model.snapshot;
        let stacks = snapshot.stacks.len();
        let what = match stacks {
            0 => "no stack known".to_owned(),
            1 => "1 stack".to_owned(),
            _ => format!("{stacks} stacks"),
        };
        let mut blocks = vec![self.title("overview", &what)];
        let mut lines = Vec::new();
        for heap in &snapshot.heaps {
            let label = if self.narrow() { 8 } else { 10 };
            let name = fit(&heap.name, label - 1, self.theme);
            let pad = " ".repeat(usize::from(label - paint::width(&name)));
            let size = u64::from(heap.range.size());
            let now = bar::percent(heap.used.map(|used| used.bytes.into()), size);
            let peak = bar::percent(heap.peak.map(|peak| peak.bytes.into()), size);
            lines.push(Line::from(vec![self.ink(name + &pad), self.muted(format!("now {now}  peak {peak}"))]));
        }
        blocks.push(Block { rank: 1, lines });
        blocks.push(Block { rank: 2, lines: self.fullest() });
        let active = self.model.alerts.iter().filter(|alert| verdict::holds(alert)).count();
        if active > 0 {
            blocks.push(Block { rank: 3, lines: vec![Line::from(self.muted(format!("{active} alerts, key 6")))] });
        }
        for hint in &snapshot.hints {
            blocks.push(self.sentence(4, hint));
        }
        if snapshot.hints.is_empty() {
            let keys = format!("Select a part with {} to have it explained.", self.theme.glyphs.move_keys);
            blocks.push(Block {
                rank: 5,
                lines: wrap(&keys, self.cells).into_iter().map(|line| Line::from(self.muted(line))).collect(),
            });
        }
        blocks
    }

    fn fullest(&self) -> Vec<Line<'static>> {
        let mut stacks: Vec<&Stack> = self.model.snapshot.stacks.iter().collect();
        stacks.sort_by_key(|stack| std::cmp::Reverse(lookup::peak_percent(stack)));
        let wanted = if self.narrow() { 4 } else { 6 };
        let cells = self.cells.saturating_sub(20).min(24);
        let mut lines = Vec::new();
        for stack in stacks.into_iter().take(wanted) {
            let bar = Bar::of(&self.model.snapshot, stack, self.state.stack_limit, Marks::Limit);
            let name = fit(&stack.name, 11, self.theme);
            let pad = " ".repeat(usize::from(12 - paint::width(&name)));
            let percent = bar::percent(stack.deepest().map(|deepest| deepest.bytes.into()), stack.range.size().into());
            let mut spans = vec![self.ink(name), Span::raw(pad)];
            spans.extend(bar::padded(bar.spans(cells, self.theme), cells));
            spans.push(self.ink(format!("  {percent:>5}")));
            lines.push(Line::from(spans));
        }
        lines
    }
}

/// The share of a measured value, rounded so that neither "nothing" nor "full" is said when it is not so.
fn share_text(value: f64, whole: f64) -> String {
    let share = if value <= 0.0 || whole <= 0.0 {
        0.0
    } else if value >= whole {
        100.0
    } else {
        (value / whole * 100.0).clamp(1.0, 99.0)
    };
    format!("{share:.0} %")
}
