//! What is selected, in words.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::bytes;
use super::state::Entry;
use crate::inventory::tree::{Level, Node};
use crate::model::Model;
use crate::tui::fields;
use crate::tui::paint::{self, Canvas, safe, wrap};
use crate::tui::state::State;
use crate::units;

/// The most parts of a group that are listed.
const PARTS: usize = 12;

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    row: &Entry<'_>,
    root: &Node,
    (model, state): (&Model, &State),
) {
    let styles = canvas.theme.styles;
    let vertical = canvas.theme.glyphs.frame.vertical;
    for y in area.top()..area.bottom() {
        canvas.text(area.x, y, vertical, styles.muted);
    }
    let mut pen = Pen { canvas, x: area.x + 2, y: area.y, area };
    // A path has no spaces to break at.
    let name = row.node.name.replace("::", ":: ");
    for line in wrap(&safe(&name, pen.canvas.theme), area.width.saturating_sub(2)).iter().take(4) {
        pen.line(&line.replace(":: ", "::"), styles.strong);
    }
    pen.line(&kind(row), styles.muted);
    pen.skip();
    for (title, size, of) in [("flash", row.node.flash, root.flash), ("RAM", row.node.ram, root.ram)] {
        if size > 0 {
            let share = if of == 0 { 0.0 } else { size as f64 * 100.0 / of as f64 };
            pen.text(&format!("{title:<5}  {:>9}  {share:>5.1} % of it", bytes(size)), styles.ink);
        }
    }
    let first = row.node.first;
    if row.node.things <= 1 && !first.is_empty() {
        let (start, end) = (units::address(first.start().into()), units::address(first.end()));
        pen.text(&format!("at     {start} to {end}"), styles.ink);
    }
    if row.node.things > 1 {
        pen.line(&format!("{} functions and statics", row.node.things), styles.ink);
    }
    if let Some(range) = row.thing() {
        pen.skip();
        let theme = pen.canvas.theme;
        let room = usize::from(area.bottom().saturating_sub(pen.y));
        let lines = fields::lines(model, state, range, area.width.saturating_sub(2), theme);
        pen.canvas.lines(pen.x, pen.y, &fields::first(lines, room, theme));
    }
    if row.node.children.is_empty() {
        return;
    }
    pen.skip();
    pen.line("the largest in it", styles.muted);
    let mut children: Vec<&Node> = row.node.children.iter().collect();
    children.sort_by_key(|child| std::cmp::Reverse(child.taken()));
    for child in children.iter().take(PARTS) {
        pen.part(child);
    }
}

/// What kind of thing it is, and where it belongs.
fn kind(row: &Entry<'_>) -> String {
    let what = match row.node.level {
        Some(Level::Memory) => "memory",
        Some(Level::Section) => "section",
        Some(Level::Module) => "crate, library member or file",
        Some(Level::Name) if !row.node.children.is_empty() => "generic, all its instances",
        Some(Level::Name | Level::Instance) if row.node.is_code => "function",
        Some(Level::Name | Level::Instance) => "static",
        None => match row.node.name.as_str() {
            "(alignment)" => "bytes that only align what follows",
            "(no symbol)" => "linked, but no symbol names it: literals, tables, code without sizes",
            "(free)" => "in no section",
            _ => "reserved",
        },
    };
    let above = row.path[..row.path.len() - 1].join(" / ");
    if above.is_empty() { what.to_owned() } else { format!("{what} in {above}") }
}

struct Pen<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    x: u16,
    y: u16,
    area: Rect,
}

impl Pen<'_, '_> {
    fn line(&mut self, text: &str, style: Style) {
        let text = safe(text, self.canvas.theme);
        for line in wrap(&text, self.area.right().saturating_sub(self.x)) {
            if self.y < self.area.bottom() {
                self.canvas.text(self.x, self.y, &line, style);
                self.y += 1;
            }
        }
    }

    /// One line as it is.
    fn text(&mut self, text: &str, style: Style) {
        if self.y < self.area.bottom() {
            self.canvas.text(self.x, self.y, text, style);
            self.y += 1;
        }
    }

    fn part(&mut self, node: &Node) {
        if self.y >= self.area.bottom() {
            return;
        }
        let (styles, size) = (self.canvas.theme.styles, bytes(node.bytes()));
        let room = self.area.right().saturating_sub(self.x + paint::width(&size) + 2);
        let name = paint::fit_path(&node.name, room, self.canvas.theme);
        self.canvas.text(self.x, self.y, &name, if node.level.is_some() { styles.ink } else { styles.muted });
        self.canvas.right(self.area.right(), self.y, &size, styles.muted);
        self.y += 1;
    }

    fn skip(&mut self) {
        self.y = self.y.saturating_add(1);
    }
}
