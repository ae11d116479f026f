//! Who owns a memory, as a picture: areas are bytes. Light, and readable without colour.

use std::fmt::Write;

use super::svg::escape;
use crate::inventory::owner::last_part;
use crate::inventory::tree::Node;
use crate::inventory::treemap::{Rect, squarify};
use crate::units;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 540.0;
const EDGE: f64 = 24.0;
/// The height of a group's head line.
const HEAD: f64 = 16.0;
/// The width of a letter, with some to spare.
const LETTER: f64 = 6.3;
/// What a rectangle must have before anything is written into it.
const ROOM: (f64, f64) = (40.0, 14.0);
/// Below this edge a rectangle is not divided any further.
const SMALLEST: f64 = 3.0;

/// The picture, ended by a line break: what is free is left out, or it would leave no room. The children of `root` become one canvas each, one below the other.
#[must_use]
pub fn svg(root: &Node) -> String {
    let canvases: Vec<&Node> = root.children.iter().filter(|node| node.taken() > 0).collect();
    let height = 56.0 + canvases.len() as f64 * (HEIGHT + 48.0);
    let width = WIDTH + 2.0 * EDGE;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut out, root, &canvases, width, height);
    out
}

/// The same canvases, one picture each, without a style: the page around them has one.
pub(super) fn canvases(root: &Node) -> String {
    let mut out = String::new();
    for node in root.children.iter().filter(|node| node.taken() > 0) {
        // Writing to a string cannot fail.
        let _ = canvas(&mut out, node);
    }
    out
}

fn canvas(out: &mut String, node: &Node) -> std::fmt::Result {
    let title = escape(&units::printable(&format!("{}  {}", node.name, units::bytes(node.taken())), 80));
    writeln!(
        out,
        "<figure>\n<figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-size=\"10\" role=\"img\" \
         aria-label=\"{title}: who owns it, areas are bytes\">"
    )?;
    group(out, node, Rect { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT }, 0)?;
    writeln!(out, "</svg>\n</figure>")
}

fn draw(out: &mut String, root: &Node, canvases: &[&Node], width: f64, height: f64) -> std::fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace, DejaVu Sans Mono, monospace\" \
         font-size=\"10\">"
    )?;
    writeln!(out, "<title>{}: who owns the memory</title>", escape(&root.name))?;
    out.push_str(
        "<style>rect{stroke:#333;stroke-width:.6}.g{fill:#f2f2f2;stroke-width:1.2}.a{fill:#cfe8ee}.b{fill:#e4f1f4}\
         .o{fill:#fff;stroke-dasharray:3 2}text{fill:#111}.h{font-weight:bold}</style>\n",
    );
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\" stroke=\"none\"/>")?;
    writeln!(out, "<text x=\"{EDGE}\" y=\"28\" font-size=\"16\" class=\"h\">{}</text>", escape(&root.name))?;
    for (index, node) in canvases.iter().enumerate() {
        let y = 56.0 + index as f64 * (HEIGHT + 48.0);
        let title = format!("{}  {}", node.name, units::bytes(node.taken()));
        writeln!(
            out,
            "<text x=\"{EDGE}\" y=\"{:.1}\" font-size=\"13\" class=\"h\">{}</text>",
            y + 12.0,
            escape(&title)
        )?;
        group(out, node, Rect { x: EDGE, y: y + 20.0, width: WIDTH, height: HEIGHT }, 0)?;
    }
    writeln!(out, "</svg>")
}

fn group(out: &mut String, node: &Node, canvas: Rect, depth: usize) -> std::fmt::Result {
    let mut children: Vec<&Node> = node.children.iter().filter(|child| child.taken() > 0).collect();
    children.sort_by_key(|child| std::cmp::Reverse(child.taken()));
    let sizes: Vec<u64> = children.iter().map(|child| child.taken()).collect();
    for (child, rect) in children.into_iter().zip(squarify(&sizes, canvas)) {
        if rect.width < SMALLEST || rect.height < SMALLEST {
            continue;
        }
        let inner =
            Rect { x: rect.x + 2.0, y: rect.y + HEAD, width: rect.width - 4.0, height: rect.height - HEAD - 2.0 };
        let is_group = child.children.len() > 1 || child.children.iter().any(|inner| !inner.children.is_empty());
        let divides = is_group && inner.width > ROOM.0 && inner.height > ROOM.1;
        let class = match child.level {
            None => "o",
            Some(_) if divides => "g",
            Some(_) if depth.is_multiple_of(2) => "a",
            Some(_) => "b",
        };
        write!(
            out,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">",
            rect.x, rect.y, rect.width, rect.height
        )?;
        writeln!(out, "<title>{}: {}</title></rect>", escape(&child.name), units::bytes(child.taken()))?;
        label(out, child, rect, divides)?;
        if divides {
            group(out, child, inner, depth + 1)?;
        }
    }
    Ok(())
}

fn label(out: &mut String, node: &Node, rect: Rect, is_head: bool) -> std::fmt::Result {
    if rect.width < ROOM.0 || rect.height < ROOM.1 {
        return Ok(());
    }
    let letters = ((rect.width - 8.0) / LETTER) as usize;
    // The end of a path says more than its beginning.
    let last = last_part(&node.name);
    let name = if node.name.chars().count() <= letters { node.name.as_str() } else { last };
    let class = if is_head { " class=\"h\"" } else { "" };
    let text = |out: &mut String, line: f64, text: &str| {
        let text = escape(&units::printable(text, letters));
        writeln!(out, "<text{class} x=\"{:.1}\" y=\"{:.1}\">{text}</text>", rect.x + 4.0, rect.y + line)
    };
    text(out, 11.0, name)?;
    if !is_head && rect.height > 2.0 * ROOM.1 {
        text(out, 23.0, &units::bytes(node.taken()))?;
    }
    Ok(())
}
