//! What the tripwire caught: who wrote where, what, the calls that led there, and whom it hits.
//!
//! ```text
//! ┌─ caught: 1 of 1 ──────────────────────────────────────────────────────────┐
//! │  ! STOPPED   growth wrote into its guard, 10.6 s after the attach          │
//! │  stored      0x2000_4d3c at 2000_4cd0                                      │
//! │  by          demo::threads::growth::descend   src/threads/growth.rs:42     │
//! │  next below  uart_rx_buf, 520 B                                            │
//! │  calls       demo::threads::growth::descend   src/threads/growth.rs:42 ×69 │
//! │              demo::threads::growth::run       src/threads/growth.rs:22     │
//! └────────────────────────────────────────────────────────────────────────────┘
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::keymap::Keymap;
use super::keys::{self, Action};
use super::overlay;
use super::paint::{Canvas, fit, width, wrap};
use super::state::State;
use super::theme::Theme;
use crate::model::Model;
use crate::model::catch::{Call, Catch, CatchKind, Tripwire};
use crate::units;

/// Cells of the words on the left.
const HEAD: u16 = 13;
/// Calls that are shown; of more, the outermost are counted.
const CALLS: usize = 14;

/// Draws the catch of this number over the body.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, index: usize, model: &Model, state: &State) {
    let Some(tripwire) = &model.snapshot.tripwire else { return };
    let theme = canvas.theme;
    let cells = overlay::cells(body);
    let last = tripwire.catches.len().saturating_sub(1);
    let lines = match tripwire.catches.get(index.min(last)) {
        Some(catch) => told(catch, (tripwire.held && index >= last).then_some(&state.keymap), cells, theme),
        None => waiting(tripwire, cells, theme),
    };
    let title = match tripwire.catches.len() {
        0 => "tripwire".to_owned(),
        count => format!("caught: {} of {count}   {} others", index.min(last) + 1, theme.glyphs.move_keys),
    };
    overlay::draw(canvas, body, &title, &lines, 0);
}

/// Nothing was caught yet: what is watched.
fn waiting(tripwire: &Tripwire, cells: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for aim in &tripwire.aims {
        let whole = if aim.watched() == aim.wanted { "all" } else { "part" };
        let pieces: Vec<String> = aim
            .pieces
            .iter()
            .map(|piece| format!("{} +{}", units::address(piece.start().into()), piece.size()))
            .collect();
        let text = format!("{whole} of {} B: {}", aim.wanted, pieces.join(", "));
        row(&mut lines, &aim.stack, &text, theme.styles.ink, cells, theme);
    }
    if lines.is_empty() {
        lines.push(Line::styled("Nothing is watched yet.", theme.styles.muted));
    }
    note(&mut lines, tripwire, cells, theme);
    lines
}

fn note(lines: &mut Vec<Line<'static>>, tripwire: &Tripwire, cells: u16, theme: &Theme) {
    for line in tripwire.note.iter().flat_map(|note| wrap(note, cells)) {
        lines.push(Line::styled(line, theme.styles.strong));
    }
}

/// `held` are the keys, where the core stands at this catch and one of them lets it go on.
fn told(catch: &Catch, held: Option<&Keymap>, cells: u16, theme: &Theme) -> Vec<Line<'static>> {
    let styles = &theme.styles;
    let mut lines = Vec::new();
    let (chip, style) = match catch.kind {
        CatchKind::Noted => (" ! NOTED ", styles.danger_chip),
        CatchKind::Stopped if held.is_some() => (" ! STOPPED ", styles.danger_chip),
        CatchKind::Stopped => (" ! CAUGHT ", styles.danger_chip),
        CatchKind::Mark => (" new mark ", styles.chip),
        CatchKind::Missed => (" unseen ", styles.chip),
    };
    let what = match (catch.kind, catch.depth) {
        (CatchKind::Noted, _) => format!("somebody wrote into {}'s guard; the core ran on", catch.owner),
        (CatchKind::Stopped, _) => format!("{}'s guard was written", catch.owner),
        (CatchKind::Mark, Some(depth)) => format!("{} used {}", catch.owner, units::bytes(depth.into())),
        (CatchKind::Missed, Some(depth)) => {
            format!(
                "{} used at least {}: a frame left what is watched untouched",
                catch.owner,
                units::bytes(depth.into())
            )
        }
        (_, None) => catch.owner.clone(),
    };
    let what = fit(&what, cells.saturating_sub(width(chip) + 1), theme);
    lines.push(Line::from(vec![Span::styled(chip, style), Span::raw(" "), Span::styled(what, styles.strong)]));
    let mut add = |head: &str, text: &str| row(&mut lines, head, text, styles.ink, cells, theme);
    add("when", &format!("{} after the attach", units::duration(catch.at)));
    if let Some(thread) = &catch.thread {
        add("thread", thread);
    }
    if let (Some(address), Some(value)) = (catch.address, catch.value) {
        add("stored", &format!("0x{value:08x} at {}", units::address(address.into())));
    }
    if let Some(pc) = catch.pc {
        let by = if catch.by_exception { " (an exception's frame, when this was interrupted)" } else { "" };
        add("pc", &format!("{}{by}", units::address(pc.into())));
    }
    if let Some(victim) = &catch.victim {
        let size = if victim.range.is_empty() {
            String::new()
        } else {
            format!(", {}", units::bytes(victim.range.size().into()))
        };
        add("next below", &format!("{}{size}", victim.words()));
    }
    let calls = catch.folded();
    for (index, (call, times)) in calls.iter().take(CALLS).enumerate() {
        let head = if index == 0 { "calls" } else { "" };
        call_row(&mut lines, head, call, *times, cells, theme);
    }
    let more = calls.len().saturating_sub(CALLS);
    let end = match (more, catch.complete, catch.chain.is_empty()) {
        (0, true, _) | (_, _, true) => String::new(),
        (0, false, _) => "further out they cannot be followed".into(),
        (more, ..) => format!("and {more} more"),
    };
    if !end.is_empty() {
        row(&mut lines, "", &end, styles.muted, cells, theme);
    }
    if let Some(keymap) = held {
        lines.push(Line::default());
        let binding = keys::BINDINGS.iter().find(|binding| binding.action == Action::GoOn);
        let key = binding.and_then(|binding| keymap.keys(binding).first().map(|key| keys::label(*key, &theme.glyphs)));
        lines.push(Line::from(vec![
            Span::styled("The core is stopped.  ", styles.strong),
            Span::styled(key.unwrap_or_default(), styles.chip),
            Span::styled(" lets it run on", styles.ink),
        ]));
    }
    lines
}

fn row(lines: &mut Vec<Line<'static>>, head: &str, text: &str, style: Style, cells: u16, theme: &Theme) {
    let head = fit(head, HEAD - 1, theme);
    let pad = " ".repeat(usize::from(HEAD.saturating_sub(width(&head))));
    let text = fit(text, cells.saturating_sub(HEAD), theme);
    lines.push(Line::from(vec![Span::styled(head, theme.styles.muted), Span::raw(pad), Span::styled(text, style)]));
}

/// Function on the left, its place on the right; what was inlined stands a little to the right of its caller.
fn call_row(lines: &mut Vec<Line<'static>>, head: &str, call: &Call, times: usize, cells: u16, theme: &Theme) {
    let styles = &theme.styles;
    let mut place = call.place().unwrap_or_default();
    if times > 1 {
        let sign = if theme.glyphs.ascii { "x" } else { "×" };
        place = format!("{place}  {sign}{times}");
    }
    if call.interrupted && !call.inlined {
        place = format!("{place}  interrupted");
    }
    let room = cells.saturating_sub(HEAD);
    let place = fit(&place, room / 2, theme);
    let left = room.saturating_sub(width(&place) + 2);
    let indent = if call.inlined { "  " } else { "" };
    let name = fit(&format!("{indent}{}", call.function), left, theme);
    let gap = " ".repeat(usize::from(room.saturating_sub(width(&name) + width(&place))));
    let pad = " ".repeat(usize::from(HEAD.saturating_sub(width(head))));
    let style = if call.inlined { styles.ink } else { styles.strong };
    lines.push(Line::from(vec![
        Span::styled(head.to_owned(), styles.muted),
        Span::raw(pad),
        Span::styled(name, style),
        Span::raw(gap),
        Span::styled(place, styles.muted),
    ]));
}
