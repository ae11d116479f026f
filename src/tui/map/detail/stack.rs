//! What the pane says of a stack: its bar with the marks named, its numbers, what it hits next.

use ratatui::text::{Line, Span};

use super::{Block, Paper};
use crate::model::event::EventKind;
use crate::model::history::Quantity;
use crate::model::snapshot::{Measured, Part, Stack, Trust};
use crate::sizing::Basis;
use crate::tui::bar::{Bar, Marks};
use crate::tui::frame::Density;
use crate::tui::lookup::{self, Condition};
use crate::tui::map::words;
use crate::tui::paint::{self, fit, spread};
use crate::units;

impl Paper<'_> {
    pub(super) fn stack(&self, stack: &Stack, part: Option<&Part>) -> Vec<Block> {
        let condition = Condition::of(stack, self.state.stack_limit);
        let mut blocks = vec![
            self.title(&stack.name, &self.stack_kind(stack, part)),
            self.stack_bar(stack, condition),
            Block { rank: 1, lines: self.stack_numbers(stack, condition) },
        ];
        if !self.narrow() {
            blocks.push(Block { rank: 5, lines: self.stack_depth(stack) });
        }
        if let (true, Some(victim)) = (self.narrow(), &stack.victim) {
            let word = if stack.overflowed { "it hit" } else { "next it hits" };
            let name = fit(&victim.name, self.cells.saturating_sub(14), self.theme);
            let line = spread(vec![self.muted(word)], vec![self.ink(name)], self.cells);
            blocks.push(Block { rank: 2, lines: vec![line] });
        }
        blocks.push(Block { rank: 6, lines: self.marks(stack) });
        let history = self.model.history.series(Quantity::Peak, &stack.id);
        blocks.push(self.history(history, stack.range.size().into()));
        if self.density == Density::Wide {
            if let Some(part) = part {
                blocks.push(Block { rank: 6, lines: self.neighbours(part) });
            }
            blocks.push(Block { rank: 7, lines: self.suggestion(stack) });
        }
        if !self.narrow() {
            blocks.push(self.sentence(4, &words::stack_sentence(stack, condition, self.in_heap(part))));
        }
        blocks
    }

    fn in_heap(&self, part: Option<&Part>) -> bool {
        part.and_then(|part| lookup::place(&self.model.snapshot, &part.id)).is_some_and(|(_, parent)| parent.is_some())
    }

    fn stack_kind(&self, stack: &Stack, part: Option<&Part>) -> String {
        let kind = words::stack_kind(stack.kind);
        match self.in_heap(part) {
            _ if self.narrow() => kind.to_owned(),
            true => format!("{kind} in the heap"),
            false => format!("{kind}, fixed"),
        }
    }

    /// The bar at the pane's width, from the first use to the limit.
    fn stack_bar(&self, stack: &Stack, condition: Condition) -> Block {
        let cells = self.cells;
        let bar = Bar::of(&self.model.snapshot, stack, self.state.stack_limit, Marks::Limit);
        let from = units::address(stack.range.end());
        let to = units::address(stack.range.start().into());
        let what = format!("{}, grows down", units::memory(stack.range.size().into()));
        let used = paint::width(&from) + paint::width(&to) + paint::width(&what);
        let mut bounds = vec![self.muted(from)];
        if used + 4 <= cells {
            let gap = cells - used;
            bounds.push(Span::raw(" ".repeat(usize::from(gap / 2))));
            bounds.push(self.muted(what));
        }
        let mut lines = vec![spread(bounds, vec![self.muted(to)], cells), Line::from(bar.spans(cells, self.theme))];
        if !self.narrow() {
            lines.push(self.callouts(&bar, stack, condition));
        }
        Block { rank: 0, lines }
    }

    /// The words below the bar: each hangs at the cell it speaks of.
    fn callouts(&self, bar: &Bar, stack: &Stack, condition: Condition) -> Line<'static> {
        let tick = self.theme.glyphs.tick;
        let cells = usize::from(self.cells);
        let mut spans = Vec::new();
        let mut x = 0;
        if stack.current.is_some() {
            let now = usize::from(bar.now(self.cells)).saturating_sub(1);
            spans.push(Span::raw(" ".repeat(now)));
            spans.push(self.muted(format!("{tick}now")));
            x = now + 4;
        }
        if stack.peak.is_some() {
            let line = usize::from(bar.line(self.cells)).min(cells.saturating_sub(1));
            let style = if condition.is_danger() { self.theme.styles.danger_text } else { self.theme.styles.ink };
            let (text, width) =
                if line >= x + 13 { (format!("high water {tick}"), 12) } else { (format!("{tick} high water"), 12) };
            let start = if line >= x + 13 { line + 1 - width } else { line.max(x + 1) };
            if start + width <= cells {
                spans.push(Span::raw(" ".repeat(start.saturating_sub(x))));
                spans.push(Span::styled(text, style));
            }
        }
        Line::from(spans)
    }

    fn stack_numbers(&self, stack: &Stack, condition: Condition) -> Vec<Line<'static>> {
        let size = stack.range.size();
        let ink = self.theme.styles.ink;
        let left = stack
            .margin()
            .map(|bytes| Measured { bytes, trust: stack.deepest().map_or(Trust::Gap, |deepest| deepest.trust) });
        let left_style = if condition.is_danger() { self.theme.styles.danger_text } else { ink };
        let towards = stack.victim.as_ref().map(|victim| format!("to {}", victim.name)).unwrap_or_default();
        let at_most = matches!(left, Some(Measured { trust: Trust::AtLeast | Trust::Unpainted, .. }));
        let mut lines = vec![
            self.number("now", stack.current, size, ink, None),
            match stack.peak {
                None => self.number("peak", None, size, ink, Some("not painted")),
                Some(_) => self.number("peak", stack.peak, size, ink, None),
            },
        ];
        if stack.worst_case.is_some() {
            lines.push(self.number("worst", stack.worst_case, size, ink, Some("by call graph")));
        }
        let exact = left.map(|left| Measured { trust: Trust::Exact, ..left });
        let mut last = self.number("left", exact, size, left_style, Some(&towards));
        if at_most {
            mark(&mut last, self.theme.glyphs.at_most);
        }
        lines.push(last);
        if self.narrow() {
            lines.extend(stack.lowest_sp.map(|lowest| {
                let sp = Span::styled(lowest_address(stack, lowest), ink);
                spread(vec![self.muted("low SP")], vec![sp, Span::raw("     ")], self.cells)
            }));
        }
        lines
    }

    fn stack_depth(&self, stack: &Stack) -> Vec<Line<'static>> {
        let Some(lowest) = stack.lowest_sp else { return Vec::new() };
        let mut spans = vec![self.muted("lowest SP   "), self.ink(lowest_address(stack, lowest))];
        if let Some(at) = stack.rescanned {
            let age = self.model.snapshot.at.saturating_sub(at);
            spans.push(self.muted(format!("   paint {} ago", units::duration(age))));
        }
        vec![Line::from(spans)]
    }

    /// When each deeper mark was set, the newest first.
    fn marks(&self, stack: &Stack) -> Vec<Line<'static>> {
        let wanted = match self.density {
            Density::Small | Density::Narrow => 1,
            Density::Normal => 3,
            Density::Wide => 6,
        };
        let epoch = self.model.snapshot.epoch;
        let marks = || self.model.events.marks(&stack.id).filter(|event| event.epoch == epoch);
        let mut lines = Vec::new();
        for event in marks().take(wanted) {
            let EventKind::Mark { from, to } = event.kind else { continue };
            let label = if lines.is_empty() { "marks" } else { "" };
            let width = if self.narrow() { 6 } else { 9 };
            let calls = event.calls.as_ref().and_then(|calls| calls.first()).map(|call| format!("  in {call}"));
            let mut text = vec![
                self.muted(format!("{label:<width$}")),
                self.ink(units::bytes(to.into())),
                self.muted(format!(" since {}", units::clock(event.at))),
            ];
            if !self.narrow() {
                text.push(self.muted(format!(", +{} B{}", to.saturating_sub(from), calls.unwrap_or_default())));
            }
            let used = paint::spans_width(&text);
            if used > self.cells
                && let Some(last) = text.pop()
            {
                let room = self.cells.saturating_sub(used - paint::width(&last.content));
                text.push(self.muted(fit(&last.content, room, self.theme)));
            }
            lines.push(Line::from(text));
        }
        let more = marks().count().saturating_sub(wanted);
        if more > 0 && !self.narrow() {
            lines.push(Line::from(self.muted(format!("{:9}and {more} before, see 4 Timeline", ""))));
        }
        lines
    }

    fn suggestion(&self, stack: &Stack) -> Vec<Line<'static>> {
        let suggestion = self.model.suggestion(stack);
        let Some(size) = suggestion.size else { return Vec::new() };
        let bytes = units::bytes(size.bytes.into());
        let sign = if size.basis.is_floor() { format!("{} ", self.theme.glyphs.at_least) } else { String::new() };
        let bytes = format!("{sign}{bytes}");
        let label = "suggested size";
        // Where there is little room, the number is not what is cut.
        let gap = usize::from(self.cells.saturating_sub(paint::width(label) + paint::width(&bytes)).clamp(1, 3));
        let mut lines = vec![Line::from(vec![
            self.muted(format!("{label}{:gap$}", "")),
            if size.basis == Basis::NotYet { self.muted(bytes) } else { self.strong(bytes) },
            self.muted(format!("  {}", size.basis.word())),
        ])];
        lines.extend(self.sentence(7, &suggestion.because).lines);
        lines
    }
}

/// Puts a sign before the number that stands in a line's second span.
fn mark(line: &mut Line<'static>, sign: &str) {
    let Some(span) = line.spans.get_mut(1) else { return };
    let width = span.content.chars().count();
    let text = format!("{sign} {}", span.content.trim_start());
    span.content = format!("{text:>width$}").into();
}

fn lowest_address(stack: &Stack, lowest: Measured) -> String {
    units::address(stack.range.top(lowest.bytes).start().into())
}
