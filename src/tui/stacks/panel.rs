//! The selected stack at full width, each mark named at the mark and the victim at the bar's end.
//!
//! ```text
//! growth ─────────────────────────────────────────────── thread stack · priority 24 · delayed
//!
//!   2000_5cc8 first use                            lowest SP 3640 B ▼     2000_4cc8 limit
//!   ██████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▼▌·········│ uart_rx_buf 520 B
//!            ╵ now 412 B                         high water 3656 B ╵      an overflow hits it
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Row, columns};
use crate::tui::bar::{Bar, Marks, Texture};
use crate::tui::frame::Density;
use crate::tui::lookup::Condition;
use crate::tui::map::words;
use crate::tui::paint::{self, Canvas, fit, safe};
use crate::units;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, density: Density, row: &Row<'_>) {
    if area.height < 4 {
        return;
    }
    let mut canvas = Canvas::new(canvas.buffer, area, canvas.theme);
    let roomy = density >= Density::Normal;
    title(&mut canvas, area, row);
    let indent = if roomy { 2 } else { 0 };
    let end = if roomy { 22 } else { 14 };
    let top = area.y + 1 + u16::from(roomy && area.height >= 6);
    let cells = Rect { x: area.x + indent, y: top, width: area.width.saturating_sub(indent + end), height: 3 };
    bar(&mut canvas, cells, area, row);
    let y = cells.bottom();
    if area.height > y - area.y {
        let mut words = vec![format!("trust {}", columns::trust_word(row))];
        if let Some(at) = row.stack.rescanned {
            words.push(format!("paint read {} ago", units::duration(row.model.snapshot.at.saturating_sub(at))));
        }
        if let Some(worst) = row.stack.worst_case {
            let note = row
                .stack
                .worst_case_note
                .as_deref()
                .map(|note| format!(" ({})", paint::safe_sentence(note, canvas.theme)));
            let bytes = units::bytes(worst.bytes.into());
            words.push(format!("static worst case {bytes}{}", note.unwrap_or_default()));
        }
        canvas.text(cells.x, y, &words.join("   "), canvas.theme.styles.muted);
    }
    if area.height > y + 1 - area.y {
        let suggestion = row.model.suggestion(row.stack);
        let size = suggestion.size.map(|size| {
            let sign = if size.basis.is_floor() { format!("{} ", canvas.theme.glyphs.at_least) } else { String::new() };
            format!("suggested {sign}{}: ", units::bytes(size.bytes.into()))
        });
        let text = format!("{}{}", size.unwrap_or_default(), suggestion.because);
        let text = paint::safe_sentence(&text, canvas.theme);
        let room = area.right().saturating_sub(cells.x);
        let mut lines = paint::wrap(&text, room);
        let lost = lines.len().saturating_sub(usize::from(area.bottom().saturating_sub(y + 1))) > 0;
        if lost {
            // There is one line for it: what does not fit is seen to be cut.
            lines = vec![fit(&text, room, canvas.theme)];
        }
        for (line, y) in lines.iter().zip(y + 1..) {
            canvas.text(cells.x, y, line, canvas.theme.styles.muted);
        }
    }
}

fn title(canvas: &mut Canvas<'_>, area: Rect, row: &Row<'_>) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let kind = words::stack_kind(row.stack.kind);
    let mut words = vec![kind.to_owned()];
    words.extend(row.stack.priority.map(|priority| format!("priority {priority}")));
    words.extend(row.stack.state.as_deref().map(|state| safe(state, canvas.theme)));
    let what = words.join(&format!(" {} ", glyphs.dot));
    let x = canvas.text(area.x, area.y, &fit(&row.stack.name, area.width / 2, canvas.theme), styles.strong) + 1;
    let end = area.right().saturating_sub(paint::width(&what) + 1);
    canvas.fill(x, end, area.y, glyphs.frame.horizontal, styles.muted);
    if end > x {
        canvas.text(end + 1, area.y, &what, styles.muted);
    }
}

fn bar(canvas: &mut Canvas<'_>, cells: Rect, area: Rect, row: &Row<'_>) {
    let (styles, glyphs) = (canvas.theme.styles, canvas.theme.glyphs);
    let stack = row.stack;
    let danger = row.condition.is_danger();
    let bar = Bar::of(&row.model.snapshot, stack, row.limit, Marks::All);
    let textures = bar.textures(cells.width);
    let find = |texture| textures.iter().position(|found| *found == texture).map(|at| cells.x + paint::count(at));
    let middle = cells.y + 1;
    let x = canvas.text(cells.x, cells.y, &units::address(stack.range.end()), styles.muted);
    canvas.text(x + 1, cells.y, "first use", styles.muted);
    let free = x + 12;
    if let (Some(at), Some(lowest)) = (find(Texture::Lowest), stack.lowest_sp) {
        let text = format!("lowest SP {}", units::bytes(lowest.bytes.into()));
        hang(canvas, (at, cells.y), &text, glyphs.lowest, styles.ink, (free, cells.right()));
    }
    canvas.spans(cells.x, middle, &bar.spans(cells.width, canvas.theme));
    let below = cells.y + 2;
    let mut free = cells.x;
    if let Some(current) = stack.current {
        let at = cells.x + bar.now(cells.width).saturating_sub(1);
        let text = format!("{} now {}", glyphs.tick, units::bytes(current.bytes.into()));
        free = canvas.text(at, below, &text, styles.muted) + 2;
    }
    if let Some(peak) = stack.peak {
        let at = (cells.x + bar.line(cells.width)).min(cells.right().saturating_sub(1));
        let text = format!("high water {}", units::bytes(peak.bytes.into()));
        let style = if danger { styles.danger_text } else { styles.ink };
        hang(canvas, (at, below), &text, glyphs.tick, style, (free, cells.right()));
    }
    // The limit and whom an overflow hits stand at the bar's end.
    let end = cells.right() + 1;
    let room = area.right().saturating_sub(end);
    canvas.text(cells.right(), middle, glyphs.frame.vertical, styles.strong);
    canvas.text(end, cells.y, &units::address(stack.range.start().into()), styles.muted);
    let Some(victim) = &stack.victim else { return };
    let word = match row.condition {
        Condition::Overflowed => "likely hit",
        _ if victim.range.is_empty() => "below the limit",
        _ => "an overflow hits it",
    };
    let style = if danger { styles.danger } else { styles.ink };
    canvas.text(end, middle, &fit(&victim.name, room, canvas.theme), style);
    canvas.text(end, below, &fit(word, room, canvas.theme), styles.muted);
}

/// Text that hangs at a cell: to the left of its mark when there is room, else to the right of it.
fn hang(canvas: &mut Canvas<'_>, (x, y): (u16, u16), text: &str, mark: &str, style: Style, (from, to): (u16, u16)) {
    let width = paint::width(text);
    if x > from + width {
        canvas.text(x - width - 1, y, text, style);
        canvas.text(x, y, mark, style);
    } else if x >= from && x + 2 + width <= to {
        canvas.text(x, y, mark, style);
        canvas.text(x + 2, y, text, style);
    } else if from + width + 2 <= to {
        canvas.text(from, y, text, style);
    }
}
