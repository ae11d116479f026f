//! Screen 5: who owns the memory, as a tree or as a treemap, with what is selected beside it.
//!
//! ```text
//!   name                        of its group        flash        RAM  symbols
//! ────────────────────────────────────────────────────────────────────────────
//! ▾ Flash                       ████████████      20480 B          -       99   demo::threads::main::LOG
//!   ▾ .text                     ████████▌         14444 B          -       77   static in .bss of demo
//! ▸   ▸ demo                    ███▌               7902 B          -       40   2000_0610 .. 2000_0c90
//! ```

mod pane;
mod shared;
mod state;
mod tree;
mod treemap;

use ratatui::layout::{Position, Rect};

use super::frame::Density;
use super::paint::{self, Canvas};
use super::state::State;
use super::table;
use crate::inventory::tree::Node;
use crate::model::Model;

pub use shared::Shared;
pub use state::{Figure, Grouping, SymbolsState};
pub(crate) use state::{step_in, step_out, walk};

/// Cells of the pane beside the figure, from the density on at which there is one, and where there is much room.
const PANE: u16 = 40;
const WIDE_PANE: u16 = 72;

struct Layout {
    header: u16,
    rule: u16,
    figure: Rect,
    pane: Option<Rect>,
}

fn layout(body: Rect, density: Density) -> Layout {
    let cells = if density == Density::Wide { WIDE_PANE } else { PANE };
    let pane = (density >= Density::Normal).then(|| Rect {
        x: body.right().saturating_sub(cells),
        width: cells.min(body.width),
        ..body
    });
    let width = body.width.saturating_sub(pane.map_or(0, |pane| pane.width + 2));
    let figure = Rect { y: body.y + 2, height: body.height.saturating_sub(2), width, ..body };
    Layout { header: body.y, rule: body.y + 1, figure, pane }
}

/// Draws the screen.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, model: &Model, state: &State) {
    let symbols = &state.symbols;
    let styles = canvas.theme.styles;
    let Some(root) = symbols.tree() else {
        let text = if symbols.shared.is_expected() { "reading the symbols ..." } else { "no ELF is known here" };
        canvas.text(body.x + 2, body.y + 2, text, styles.muted);
        return;
    };
    let layout = layout(body, density);
    let rows = symbols.rows();
    let selected = symbols.selected(&rows);
    let horizontal = canvas.theme.glyphs.frame.horizontal;
    canvas.fill(body.x, layout.figure.right(), layout.rule, horizontal, styles.muted);
    if rows.is_empty() {
        canvas.text(body.x + 2, layout.figure.y + 1, "nothing has such a name", styles.muted);
        return;
    }
    match symbols.figure {
        Figure::Tree => tree::draw(canvas, layout.header, layout.figure, &rows, selected),
        Figure::Treemap => treemap::draw(canvas, layout.header, layout.figure, root, rows.get(selected)),
    }
    if let (Some(area), Some(row)) = (layout.pane, rows.get(selected)) {
        pane::draw(canvas, area, row, root, (model, state));
    }
}

/// What a click on the figure selects.
pub(crate) fn hit(body: Rect, density: Density, state: &State, at: Position) -> Option<Vec<String>> {
    let layout = layout(body, density);
    if !layout.figure.contains(at) {
        return None;
    }
    let rows = state.symbols.rows();
    let selected = state.symbols.selected(&rows);
    match state.symbols.figure {
        Figure::Tree => {
            let offset = table::offset(Some(selected), rows.len(), usize::from(layout.figure.height));
            rows.get(offset + usize::from(at.y - layout.figure.y)).map(|row| row.path.clone())
        }
        Figure::Treemap => treemap::hit(layout.figure, state.symbols.tree()?, rows.get(selected)?, at),
    }
}

/// Bytes of a node in words, nothing for none.
fn bytes(bytes: u64) -> String {
    if bytes == 0 { "-".into() } else { crate::units::bytes(bytes) }
}

/// How many eighths of a cell `part` of `whole` is on a bar of so many cells, as text.
fn bar(part: u64, whole: u64, cells: u16, canvas: &Canvas<'_>) -> String {
    canvas.theme.glyphs.used.repeat(usize::from(paint::share(part, whole, cells)))
}

/// The node that a path leads to.
fn at<'a>(root: &'a Node, path: &[String]) -> Option<&'a Node> {
    path.iter().try_fold(root, |node, name| node.children.iter().find(|child| child.name == *name))
}
