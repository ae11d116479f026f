//! A framed box over the screen, with lines that scroll.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::paint::{Canvas, count};

/// Cells of a box at most, and those inside its frame.
const WIDTH: u16 = 80;

/// How many cells a line in the box has.
pub(crate) fn cells(body: Rect) -> u16 {
    body.width.min(WIDTH).saturating_sub(6)
}

/// Draws the lines in a box over the body, from line `scroll` on.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, title: &str, lines: &[Line<'_>], scroll: u16) {
    let (styles, frame) = (canvas.theme.styles, canvas.theme.glyphs.frame);
    let width = body.width.min(WIDTH);
    let height = (count(lines.len()) + 2).min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y, width, height };
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            canvas.buffer[(x, y)].reset();
        }
    }
    let mut canvas = Canvas::new(canvas.buffer, area, canvas.theme);
    let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
    for y in area.top()..area.bottom() {
        canvas.text(area.x, y, frame.vertical, styles.muted);
        canvas.text(right, y, frame.vertical, styles.muted);
    }
    for (y, left, end) in [(area.y, frame.top_left, frame.top_right), (bottom, frame.bottom_left, frame.bottom_right)] {
        let x = canvas.text(area.x, y, left, styles.muted);
        canvas.fill(x, right, y, frame.horizontal, styles.muted);
        canvas.text(right, y, end, styles.muted);
    }
    canvas.text(area.x + 2, area.y, &format!(" {title} "), styles.strong);
    let inside = usize::from(area.height.saturating_sub(2));
    let hidden = lines.len().saturating_sub(inside);
    let scroll = usize::from(scroll).min(hidden);
    for (line, y) in lines.iter().skip(scroll).take(inside).zip(area.y + 1..) {
        canvas.spans(area.x + 3, y, &line.spans);
    }
    let foot =
        if hidden > 0 { format!(" {} more {} ", hidden - scroll, canvas.theme.glyphs.down) } else { String::new() };
    canvas.right(right.saturating_sub(1), bottom, &foot, styles.strong);
}
