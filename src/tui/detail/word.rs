//! What is known of the selected call: its word, where that points, and its frame.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::View;
use super::calls::{self, Call};
use super::layout::Layout;
use crate::model::snapshot::{Trace, TraceKind};
use crate::region::Region;
use crate::tui::paint::{self, Canvas, fit};
use crate::units;

/// Draws the panel, or one line where there is no room for one.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    layout: &Layout,
    view: &View<'_>,
    calls: &[Call<'_>],
    selected: Option<usize>,
) {
    let (Some(area), Some(selected)) = (layout.word, selected) else { return };
    let call = &calls[selected];
    if area.height >= 5 { panel(canvas, area, view, calls, call) } else { line(canvas, area, call) }
}

fn line(canvas: &mut Canvas<'_>, area: Rect, call: &Call<'_>) {
    let styles = canvas.theme.styles;
    let trace = call.trace();
    let x = canvas.text(area.x, area.y, &call.letter.to_string(), styles.chip) + 1;
    let x = canvas.text(x, area.y, &units::address(trace.address.into()), styles.muted) + 1;
    let text = format!("{}, {}", points_into(trace, 200), calls::place(trace.place));
    canvas.text(x, area.y, &fit(&text, area.right().saturating_sub(x), canvas.theme), styles.ink);
}

fn panel(canvas: &mut Canvas<'_>, area: Rect, view: &View<'_>, calls: &[Call<'_>], call: &Call<'_>) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let trace = call.trace();
    let word = Region::new(trace.address, 4);
    let title = format!("word {}", call.letter);
    let place = format!("{} .. {}", units::address(word.start().into()), units::address(word.end()));
    let x = canvas.text(area.x, area.y, &title, styles.strong) + 1;
    let end = area.right().saturating_sub(paint::width(&place) + 1);
    canvas.fill(x, end, area.y, glyphs.frame.horizontal, styles.muted);
    canvas.text(end + 1, area.y, &place, styles.muted);

    let middle = area.x + area.width * 3 / 5;
    let room = middle.saturating_sub(area.x + 11);
    let after = match (&trace.calls, trace.kind) {
        (Some(callee), _) => format!("a call of {}", short(callee, room)),
        (None, TraceKind::Return) => "a call through a pointer".to_owned(),
        (None, TraceKind::Interrupted) => "an exception, or a switch to another thread".to_owned(),
    };
    let left = [
        ("value", format!("0x{}", units::address(trace.value.into()))),
        ("is", points_into(trace, room)),
        ("after", after),
    ];
    let depth = view.index(trace.address).map_or(0, |index| 4 * (index as u64 + 1));
    let right = [
        ("state", format!("{}, {} deep", calls::place(trace.place), units::bytes(depth))),
        ("frame", frame(call)),
        ("repeats", repeats(calls, call, glyphs.ascii)),
    ];
    let y = area.y + area.height.saturating_sub(3).min(2);
    column(canvas, (area.x + 2, y), (7, room), &left, styles.ink);
    column(canvas, (middle, y), (9, area.right().saturating_sub(middle + 9)), &right, styles.ink);
}

fn column(canvas: &mut Canvas<'_>, at: (u16, u16), (tab, room): (u16, u16), rows: &[(&str, String)], style: Style) {
    let muted = canvas.theme.styles.muted;
    for ((label, text), y) in rows.iter().zip(at.1..) {
        canvas.text(at.0, y, label, muted);
        canvas.text(at.0 + tab, y, &fit(text, room, canvas.theme), style);
    }
}

fn short(name: &str, room: u16) -> String {
    let mut short = name;
    while short.chars().count() + 10 > usize::from(room) && !short.contains('<') {
        match short.split_once("::") {
            Some((_, inner)) => short = inner,
            None => break,
        }
    }
    short.to_owned()
}

/// What the word is.
fn points_into(trace: &Trace, room: u16) -> String {
    let what = match trace.kind {
        TraceKind::Return => "return address into",
        TraceKind::Interrupted => "interrupted in",
    };
    let name = calls::name(trace, usize::from(room).saturating_sub(what.len() + 9));
    match trace.function {
        Some(_) => format!("{what} {name} + 0x{:x}", trace.offset),
        None => format!("{what} {name}, which has no symbol"),
    }
}

fn frame(call: &Call<'_>) -> String {
    let certain = if call.trace().in_chain { "about" } else { "at most" };
    format!("{certain} {}", units::bytes(call.frame().into()))
}

/// How often the same place is found, and under which letters.
fn repeats(calls: &[Call<'_>], call: &Call<'_>, ascii: bool) -> String {
    let times = if ascii { "x" } else { "×" };
    let same: Vec<&Call<'_>> = calls.iter().filter(|other| other.trace().value == call.trace().value).collect();
    let count: usize = same.iter().map(|call| call.traces.len()).sum();
    let letters: Vec<String> = same.iter().map(|call| call.letter.to_string()).collect();
    match (count, same.len()) {
        (1, _) => "once".to_owned(),
        (_, 1) => format!("{count} {times}, one per level"),
        _ => format!("{count} {times}: {}", letters.join(" ")),
    }
}
