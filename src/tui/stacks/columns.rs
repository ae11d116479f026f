//! The one list of the stacks' columns.

use std::cmp::Reverse;
use std::time::Duration;

use ratatui::text::Span;

use super::Row;
use crate::model::history::Quantity;
use crate::model::snapshot::{Measured, StackKind, Trust};
use crate::sizing::{Basis, Size};
use crate::tui::bar::{self, Bar, Marks};
use crate::tui::lookup::{self, Condition};
use crate::tui::paint::fit;
use crate::tui::table::{Column, Rank, Side, Width};
use crate::tui::theme::Theme;

/// The columns; those that can sort are also what `o` walks through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The name.
    Name,
    /// The size.
    Size,
    /// The bar.
    Bar,
    /// The share of the stack ever used, in percent.
    #[default]
    Percent,
    /// Bytes in use now.
    Now,
    /// The most bytes ever in use.
    Peak,
    /// The static worst case.
    Worst,
    /// Bytes never used.
    Margin,
    /// What the peak is worth.
    Trust,
    /// The share of the time in which its thread ran.
    Cpu,
    /// The last minute.
    History,
    /// The size to choose.
    Suggest,
    /// Bytes in use at the lowest SP ever seen.
    LowestSp,
    /// Whose stack it is.
    Kind,
}

fn always(_: &[Row<'_>]) -> bool {
    true
}

fn any_worst(rows: &[Row<'_>]) -> bool {
    rows.iter().any(|row| row.stack.worst_case.is_some())
}

fn any_lowest(rows: &[Row<'_>]) -> bool {
    rows.iter().any(|row| row.stack.lowest_sp.is_some())
}

fn any_cpu(rows: &[Row<'_>]) -> bool {
    rows.iter().any(|row| row.stack.cpu.is_some())
}

fn any_wish(rows: &[Row<'_>]) -> bool {
    rows.iter().any(|row| wish(row).is_some())
}

type Make = for<'a> fn(&Row<'a>, u16, &Theme) -> Vec<Span<'static>>;
type Order = for<'a> fn(&Row<'a>) -> Rank;

const fn column<'a>(
    key: Sort,
    title: &'static str,
    width: Width,
    side: Side,
    from: u16,
    cell: Make,
    rank: Option<Order>,
) -> Column<Sort, Row<'a>> {
    let rank = match rank {
        Some(rank) => Some(rank as fn(&Row<'a>) -> Rank),
        None => None,
    };
    Column { key, title, width, side, from, wanted: always, cell, rank }
}

/// All of them, from left to right.
pub(super) fn columns<'a>() -> [Column<Sort, Row<'a>>; 14] {
    [
        column(
            Sort::Name,
            "  stack",
            Width::Cells(12),
            Side::Left,
            0,
            name,
            Some(|row| Rank::Text(Reverse(row.stack.name.clone()))),
        ),
        column(
            Sort::Kind,
            "kind",
            Width::Cells(9),
            Side::Left,
            160,
            kind,
            Some(|row| Rank::Text(Reverse(kind_word(row.stack.kind).into()))),
        ),
        column(
            Sort::Size,
            "size",
            Width::Cells(8),
            Side::Right,
            54,
            size,
            Some(|row| number(Some(row.stack.range.size()))),
        ),
        column(Sort::Bar, "first use to limit", Width::Rest(4), Side::Left, 0, level, None),
        column(Sort::Percent, "%", Width::Cells(7), Side::Left, 0, percent, Some(|row| Rank::Number(share(row)))),
        column(
            Sort::Now,
            "now",
            Width::Cells(7),
            Side::Right,
            98,
            now,
            Some(|row| number(row.stack.current.map(bytes))),
        ),
        column(
            Sort::Peak,
            "peak",
            Width::Cells(8),
            Side::Right,
            64,
            peak,
            Some(|row| number(row.stack.deepest().map(bytes))),
        ),
        Column {
            wanted: any_lowest,
            ..column(
                Sort::LowestSp,
                "lowest SP",
                Width::Cells(9),
                Side::Right,
                160,
                lowest,
                Some(|row| number(row.stack.lowest_sp.map(bytes))),
            )
        },
        Column {
            wanted: any_worst,
            ..column(
                Sort::Worst,
                "worst",
                Width::Cells(7),
                Side::Right,
                98,
                worst,
                Some(|row| number(row.stack.worst_case.map(bytes))),
            )
        },
        column(
            Sort::Margin,
            "margin",
            Width::Cells(8),
            Side::Right,
            46,
            margin,
            Some(|row| number(row.stack.margin())),
        ),
        column(Sort::Trust, "trust", Width::Cells(9), Side::Left, 72, trust, None),
        Column {
            wanted: any_cpu,
            ..column(Sort::Cpu, "cpu", Width::Cells(7), Side::Right, 128, cpu, Some(|row| Rank::Number(load(row))))
        },
        column(Sort::History, "last 60 s", Width::Cells(10), Side::Left, 98, history, None),
        Column {
            wanted: any_wish,
            ..column(
                Sort::Suggest,
                "suggest",
                Width::Cells(10),
                Side::Right,
                98,
                suggest,
                Some(|row| number(wish(row).map(|size| size.bytes))),
            )
        },
    ]
}

fn number(bytes: Option<u32>) -> Rank {
    Rank::Number(bytes.map(u64::from))
}

fn bytes(measured: Measured) -> u32 {
    measured.bytes
}

/// Sorts finer than whole percents do.
fn share(row: &Row<'_>) -> Option<u64> {
    let size = u64::from(row.stack.range.size()).max(1);
    row.stack.deepest().map(|deepest| u64::from(deepest.bytes) * 1_000_000 / size)
}

fn name(row: &Row<'_>, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
    let styles = &theme.styles;
    let danger = row.condition.is_danger();
    let name = fit(&row.stack.name, cells.saturating_sub(3), theme);
    let gutter = if danger { "!" } else { " " };
    let (before, style, after) = match (row.selected, danger) {
        (true, true) => (" ", styles.danger_chip, " "),
        (true, false) => (" ", styles.chip, " "),
        (false, true) => ("", styles.danger_text, ""),
        (false, false) => ("", styles.ink, ""),
    };
    let gap = if row.selected { "" } else { " " };
    vec![
        Span::styled(format!("{gutter}{gap}"), styles.danger_text),
        Span::styled(format!("{before}{name}{after}"), style),
    ]
}

/// A number in ink and its unit in grey.
fn amount(sign: &str, bytes: Option<u32>, danger: bool, theme: &Theme) -> Vec<Span<'static>> {
    let styles = &theme.styles;
    let Some(bytes) = bytes else { return vec![Span::styled("-  ", styles.muted)] };
    let style = if danger { styles.danger_text } else { styles.ink };
    vec![Span::styled(format!("{sign}{bytes}"), style), Span::styled(" B", styles.muted)]
}

fn size(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    amount("", Some(row.stack.range.size()), false, theme)
}

fn level(row: &Row<'_>, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
    Bar::of(&row.model.snapshot, row.stack, row.limit, Marks::All).spans(cells, theme)
}

fn percent(row: &Row<'_>, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
    let styles = &theme.styles;
    let percent = bar::percent(row.stack.deepest().map(|deepest| deepest.bytes.into()), row.stack.range.size().into());
    let text = match row.condition {
        Condition::Overflowed | Condition::GuardBroken => " OVER !".to_owned(),
        Condition::PastLimit => format!(" {percent} !"),
        Condition::Calm => percent,
    };
    if row.condition.is_danger() {
        let text = text.chars().take(usize::from(cells)).collect::<String>();
        return vec![Span::styled(text, styles.danger_chip)];
    }
    let mut spans = vec![Span::styled(format!(" {text}"), styles.ink)];
    if super::just_grown(row) {
        spans.extend([Span::raw(" "), Span::styled("+", styles.lit)]);
    }
    spans
}

fn now(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    amount("", row.stack.current.map(bytes), false, theme)
}

/// A lowest SP is what was seen: it may have been lower in between.
fn lowest(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let sign = if row.stack.lowest_sp.is_some_and(is_bound) { theme.glyphs.at_least } else { "" };
    amount(sign, row.stack.lowest_sp.map(bytes), false, theme)
}

fn kind_word(kind: StackKind) -> &'static str {
    match kind {
        StackKind::Main => "main",
        StackKind::Isr => "interrupt",
        StackKind::Idle => "idle",
        StackKind::Timer => "timer",
        StackKind::User => "thread",
    }
}

fn kind(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    vec![Span::styled(kind_word(row.stack.kind), theme.styles.muted)]
}

fn is_bound(measured: Measured) -> bool {
    matches!(measured.trust, Trust::AtLeast | Trust::Unpainted)
}

/// Without paint the lowest SP is a lower bound of the peak too.
fn bound(row: &Row<'_>) -> bool {
    row.stack.peak.is_none() || row.stack.deepest().is_some_and(is_bound)
}

fn peak(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let sign = if bound(row) { theme.glyphs.at_least } else { "" };
    amount(sign, row.stack.deepest().map(bytes), row.condition.is_danger(), theme)
}

fn worst(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let sign = if row.stack.worst_case.is_some_and(is_bound) { theme.glyphs.at_least } else { "" };
    amount(sign, row.stack.worst_case.map(bytes), false, theme)
}

fn margin(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let sign = if bound(row) { theme.glyphs.at_most } else { "" };
    amount(sign, row.stack.margin(), row.condition.is_danger(), theme)
}

/// The word for what the numbers of a stack are worth.
pub(super) fn trust_word(row: &Row<'_>) -> &'static str {
    match row.stack.peak.map(|peak| peak.trust) {
        None | Some(Trust::Unpainted) => "unpainted",
        Some(Trust::Exact) => "exact",
        Some(Trust::AtLeast) => "at least",
        Some(Trust::Estimated) => "estimated",
        Some(Trust::Torn) => "torn",
        Some(Trust::Stale) => "stale",
        Some(Trust::Gap) => "not read",
    }
}

fn trust(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let word = trust_word(row);
    let style = if word == "exact" { theme.styles.muted } else { theme.styles.ink };
    vec![Span::styled(word, style)]
}

/// Sorts finer than the cell shows.
fn load(row: &Row<'_>) -> Option<u64> {
    row.stack.cpu.map(|share| (f64::from(share) * 1e6) as u64)
}

fn cpu(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let styles = &theme.styles;
    match row.stack.cpu {
        Some(share) => {
            vec![Span::styled(format!("{:.1}", share * 100.0), styles.ink), Span::styled(" %", styles.muted)]
        }
        None => vec![Span::styled("-  ", styles.muted)],
    }
}

fn history(row: &Row<'_>, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
    let Some(series) = row.model.history.series(Quantity::Peak, &row.stack.id) else { return Vec::new() };
    let columns = series.highest(row.model.snapshot.at, Duration::from_secs(60), usize::from(cells));
    let lines = bar::history(&columns, row.stack.range.size().into(), 1, theme);
    let style = if row.condition.is_danger() { theme.styles.danger } else { theme.styles.level };
    lines.into_iter().map(|line| Span::styled(line, style)).collect()
}

fn wish(row: &Row<'_>) -> Option<Size> {
    row.model.suggestion(row.stack).size
}

fn suggest(row: &Row<'_>, _: u16, theme: &Theme) -> Vec<Span<'static>> {
    let Some(wish) = wish(row) else { return amount("", None, false, theme) };
    let arrow = match wish.bytes.cmp(&row.stack.range.size()) {
        std::cmp::Ordering::Greater => theme.glyphs.up,
        std::cmp::Ordering::Less => theme.glyphs.down,
        std::cmp::Ordering::Equal => " ",
    };
    let sign = if wish.basis.is_floor() { theme.glyphs.at_least } else { "" };
    // That it must be larger is sure already; that it may be smaller is not.
    if wish.basis == Basis::NotYet && wish.bytes <= row.stack.range.size() {
        return vec![Span::styled(format!("{arrow} {sign}{} B", wish.bytes), theme.styles.muted)];
    }
    amount(
        &format!("{arrow} {sign}"),
        Some(wish.bytes),
        lookup::Condition::is_danger(row.condition) && arrow == theme.glyphs.up,
        theme,
    )
}
