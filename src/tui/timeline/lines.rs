//! The series of the list and of the picture: their order, which of them are drawn, and how.

use std::collections::BTreeSet;

use ratatui::style::Style;

use super::state::TimelineState;
use crate::model::Model;
use crate::model::history::{Column, Kept, Key, Quantity, Span};
use crate::tui::lookup;
use crate::tui::theme::Theme;

/// Series that the screen draws before the user chooses: the fullest stacks.
const STACKS: usize = 2;

/// One series on this screen.
pub(super) struct Line<'a> {
    pub(super) key: &'a Key,
    pub(super) kept: &'a Kept,
    /// The letter that names it in the picture; `None` when it is not drawn.
    pub(super) letter: Option<char>,
    /// How it is drawn.
    pub(super) style: Style,
    /// It stands past its limit.
    pub(super) danger: bool,
}

impl Line<'_> {
    /// `growth peak`
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kept.name, self.key.quantity.word())
    }

    /// Its columns in a picture.
    pub(super) fn columns(&self, span: Span, count: usize) -> Vec<Column> {
        self.kept.series.columns(span, count)
    }
}

/// All series: stacks, heaps, the link, and those that are over last.
pub(super) fn lines<'a>(model: &'a Model, state: &TimelineState, limit: u8, theme: &Theme) -> Vec<Line<'a>> {
    let shown = shown(model, state);
    let mut kept: Vec<(&Key, &Kept)> = model.history.iter().collect();
    kept.sort_by_key(|(key, kept)| (kept.series.ended().is_some(), place(key.quantity)));
    let mut letters = 'a'..='z';
    let mut colours = theme.styles.series.iter().cycle();
    kept.into_iter()
        .map(|(key, kept)| {
            let letter = if shown.contains(key) { letters.next() } else { None };
            let percent = kept.series.last().map(|last| kept.percent(last.into()));
            let danger = key.quantity == Quantity::Peak && percent.is_some_and(|share| share >= f64::from(limit));
            let style = match (letter, danger) {
                (None, _) => theme.styles.muted,
                (Some(_), true) => theme.styles.danger,
                (Some(_), false) => *colours.next().expect("a theme has colours for series"),
            };
            Line { key, kept, letter, style, danger }
        })
        .collect()
}

/// The series that is selected until somebody selects one: the first that is drawn, one in danger before others.
pub(super) fn first(lines: &[Line<'_>]) -> Option<usize> {
    let drawn = |line: &Line<'_>| line.letter.is_some();
    lines.iter().position(|line| drawn(line) && line.danger).or_else(|| lines.iter().position(drawn))
}

/// The order of the list beside the order of names.
fn place(quantity: Quantity) -> u8 {
    match quantity {
        Quantity::Peak | Quantity::Current | Quantity::LowestSp => 0,
        Quantity::Rate => 2,
        _ => 1,
    }
}

/// The series to draw: the user's choice, or else the fullest stacks, what the fullest uses, and the first heap.
pub(super) fn shown(model: &Model, state: &TimelineState) -> BTreeSet<Key> {
    if let Some(chosen) = state.chosen() {
        return chosen.clone();
    }
    let snapshot = &model.snapshot;
    let mut stacks: Vec<_> = snapshot.stacks.iter().filter(|stack| stack.deepest().is_some()).collect();
    stacks.sort_by_key(|stack| std::cmp::Reverse((stack.overflowed, lookup::peak_percent(stack))));
    let key = |subject: &str, quantity| Key { subject: subject.to_owned(), quantity };
    let peaks = stacks.iter().take(STACKS).map(|stack| key(&stack.id, Quantity::Peak));
    let current = stacks.first().map(|stack| key(&stack.id, Quantity::Current));
    let heap = snapshot.heaps.first().map(|heap| key(&heap.id(), Quantity::Used));
    peaks.chain(current).chain(heap).collect()
}
