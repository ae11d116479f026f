//! The treemap: the areas of one group, and of the groups in it where there is room.

use ratatui::layout::{Position, Rect};

use super::state::Entry;
use super::{at, bytes};
use crate::inventory::owner::last_part;
use crate::inventory::tree::Node;
use crate::inventory::treemap::{self, squarify};
use crate::tui::paint::{self, Canvas};

/// A cell is about twice as high as it is wide.
const ASPECT: f64 = 2.0;
/// The least cells of a box that has a name in it, and of one that is divided.
const NAMED: (u16, u16) = (6, 3);
const DIVIDED: (u16, u16) = (20, 6);
/// Below this, a box is only hatched.
const SMALLEST: (u16, u16) = (3, 2);

/// The areas of a node's children within `area`, the largest first. What is free is left out, or it would leave no room.
fn boxes(node: &Node, area: Rect) -> Vec<(&Node, Rect)> {
    let mut children: Vec<&Node> = node.children.iter().filter(|child| child.taken() > 0).collect();
    children.sort_by_key(|child| std::cmp::Reverse(child.taken()));
    let sizes: Vec<u64> = children.iter().map(|child| child.taken()).collect();
    let canvas =
        treemap::Rect { x: 0.0, y: 0.0, width: f64::from(area.width), height: f64::from(area.height) * ASPECT };
    let cell = |at: f64| paint::count(at.round().max(0.0) as usize);
    let placed = squarify(&sizes, canvas).into_iter().map(|rect| {
        // Edges are rounded and not sizes, so that neighbours meet.
        let (left, right) = (cell(rect.x), cell(rect.x + rect.width));
        let (top, bottom) = (cell(rect.y / ASPECT), cell((rect.y + rect.height) / ASPECT));
        let place = Rect { x: area.x + left, y: area.y + top, width: right - left, height: bottom - top };
        place.intersection(area)
    });
    children.into_iter().zip(placed).collect()
}

/// The group whose areas are shown: that of the selected row.
fn group<'a>(root: &'a Node, row: &Entry<'_>) -> &'a Node {
    at(root, &row.path[..row.path.len() - 1]).unwrap_or(root)
}

pub(super) fn draw(canvas: &mut Canvas<'_>, header: u16, area: Rect, root: &Node, row: Option<&Entry<'_>>) {
    let Some(row) = row else { return };
    let group = group(root, row);
    let styles = canvas.theme.styles;
    let path = [std::slice::from_ref(&root.name), &row.path[..row.path.len() - 1]].concat().join(" / ");
    let taken = crate::units::bytes(group.taken());
    canvas.right(area.right(), header, &taken, styles.muted);
    canvas.text(
        area.x,
        header,
        &paint::fit_path(&path, area.width.saturating_sub(paint::width(&taken) + 2), canvas.theme),
        styles.strong,
    );
    divide(canvas, group, area, Some(row.node));
}

fn divide(canvas: &mut Canvas<'_>, node: &Node, area: Rect, selected: Option<&Node>) {
    for (child, place) in boxes(node, area) {
        let is_selected = selected.is_some_and(|selected| std::ptr::eq(selected, child));
        one(canvas, child, place, is_selected);
    }
}

fn one(canvas: &mut Canvas<'_>, node: &Node, place: Rect, is_selected: bool) {
    let styles = canvas.theme.styles;
    let frame = canvas.theme.glyphs.frame;
    let line = if is_selected { styles.strong } else { styles.muted };
    if place.width < SMALLEST.0 || place.height < SMALLEST.1 {
        let style = if is_selected { styles.chip } else { styles.muted };
        for y in place.top()..place.bottom() {
            canvas.fill(place.left(), place.right(), y, canvas.theme.glyphs.hatch, style);
        }
        return;
    }
    let (last_x, last_y) = (place.right() - 1, place.bottom() - 1);
    for y in [place.y, last_y] {
        canvas.fill(place.x, last_x, y, frame.horizontal, line);
    }
    for y in place.y..last_y {
        canvas.text(place.x, y, frame.vertical, line);
        canvas.text(last_x, y, frame.vertical, line);
    }
    for (x, y, glyph) in [
        (place.x, place.y, frame.top_left),
        (last_x, place.y, frame.top_right),
        (place.x, last_y, frame.bottom_left),
        (last_x, last_y, frame.bottom_right),
    ] {
        canvas.text(x, y, glyph, line);
    }
    let inner = Rect { x: place.x + 1, y: place.y + 1, width: place.width - 2, height: place.height.saturating_sub(2) };
    let divides = !node.children.is_empty() && place.width >= DIVIDED.0 && place.height >= DIVIDED.1;
    if place.width < NAMED.0 {
        return;
    }
    let last = last_part(&node.name);
    let name = if paint::width(&node.name) <= inner.width { node.name.as_str() } else { last };
    let style = match node.level {
        _ if is_selected => styles.chip,
        None => styles.muted,
        Some(_) => styles.ink,
    };
    // The name stands in the upper edge, so that the smallest boxes have one too.
    canvas.text(inner.x, place.y, &paint::fit(name, inner.width, canvas.theme), style);
    if divides {
        divide(canvas, node, inner, None);
    } else if place.height >= NAMED.1 {
        canvas.text(inner.x, inner.y, &paint::fit(&bytes(node.taken()), inner.width, canvas.theme), styles.level);
    }
}

/// What a click selects: the area of the group's own children, not of theirs.
pub(super) fn hit(area: Rect, root: &Node, row: &Entry<'_>, position: Position) -> Option<Vec<String>> {
    let group = group(root, row);
    let (node, _) = boxes(group, area).into_iter().find(|(_, place)| place.contains(position))?;
    Some([&row.path[..row.path.len() - 1], std::slice::from_ref(&node.name)].concat())
}
