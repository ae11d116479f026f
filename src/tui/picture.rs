//! A screen as an SVG, cell by cell as a terminal shows it: blocks and boxes are drawn edge to edge, text as text.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Pixels of a cell.
const CELL: (u16, u16) = (10, 19);

/// The colours of a background.
struct Palette {
    paper: u32,
    ink: u32,
    named: [u32; 16],
}

const DARK: Palette = Palette {
    paper: 0x121212,
    ink: 0xd0d0d0,
    named: [
        0x1c1c1c, 0xd75f5f, 0x87af5f, 0xd7af5f, 0x5f87d7, 0xaf87d7, 0x5fafaf, 0xc6c6c6, 0x6c6c6c, 0xff8787, 0xafd787,
        0xffd787, 0x87afff, 0xd7afff, 0x87d7d7, 0xffffff,
    ],
};

const LIGHT: Palette = Palette {
    paper: 0xfafafa,
    ink: 0x262626,
    named: [
        0x1c1c1c, 0xd75f5f, 0x5f8700, 0xaf8700, 0x5f87d7, 0x875faf, 0x5fafaf, 0x6c6c6c, 0x6c6c6c, 0xd70000, 0x5f8700,
        0xaf8700, 0x005fd7, 0x875faf, 0x008787, 0x303030,
    ],
};

/// Turns a drawn screen into an SVG document.
#[must_use]
pub fn svg(buffer: &Buffer, dark: bool) -> String {
    let palette = if dark { &DARK } else { &LIGHT };
    let area = buffer.area;
    let (width, height) = (u32::from(area.width) * u32::from(CELL.0), u32::from(area.height) * u32::from(CELL.1));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\">\n<style>text{{font:16.61px 'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}\
         .b{{font-weight:bold}}</style>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#{:06x}\"/>\n",
        palette.paper
    );
    for y in area.top()..area.bottom() {
        let cells: Vec<(u16, Ink<'_>)> =
            (area.left()..area.right()).map(|x| (x - area.x, ink(&buffer[(x, y)], palette))).collect();
        for run in cells.chunk_by(|(_, one), (_, next)| one.joins(next)) {
            draw_run(&mut svg, run, y - area.y);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// What one cell shows.
#[derive(Clone, Copy, PartialEq)]
struct Ink<'a> {
    symbol: &'a str,
    front: u32,
    back: Option<u32>,
    bold: bool,
    dim: bool,
}

impl Ink<'_> {
    /// Whether two cells can be one piece of the drawing.
    fn joins(&self, next: &Self) -> bool {
        let same = self.front == next.front && self.back == next.back && self.bold == next.bold && self.dim == next.dim;
        match (shape(self.symbol), shape(next.symbol)) {
            (Shape::Text, Shape::Text) => same,
            (Shape::Text, _) | (_, Shape::Text) => false,
            _ => same && self.symbol == next.symbol,
        }
    }
}

fn ink<'a>(cell: &'a Cell, palette: &Palette) -> Ink<'a> {
    let reversed = cell.modifier.contains(Modifier::REVERSED);
    let front = colour(cell.fg, palette.ink, palette);
    let back = colour(cell.bg, palette.paper, palette);
    let bold = cell.modifier.contains(Modifier::BOLD);
    let dim = cell.modifier.contains(Modifier::DIM);
    if reversed {
        return Ink { symbol: cell.symbol(), front: back, back: Some(front), bold, dim };
    }
    let back = (cell.bg != Color::Reset).then_some(back);
    Ink { symbol: cell.symbol(), front, back, bold, dim }
}

fn colour(colour: Color, default: u32, palette: &Palette) -> u32 {
    let index = match colour {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Indexed(index) => usize::from(index % 16),
        Color::Rgb(r, g, b) => return u32::from_be_bytes([0, r, g, b]),
        Color::Reset => return default,
    };
    palette.named[index]
}

/// How a symbol is drawn.
enum Shape {
    /// As text.
    Text,
    /// As a rectangle: left, top, width and height in percent of the cell, and how much of it is ink.
    Block(u16, u16, u16, u16, f32),
    /// As lines from the middle: to the left, up, right, down.
    Lines(bool, bool, bool, bool),
}

fn shape(symbol: &str) -> Shape {
    match symbol {
        "█" => Shape::Block(0, 0, 100, 100, 1.0),
        "▒" => Shape::Block(0, 0, 100, 100, 0.45),
        "░" => Shape::Block(0, 0, 100, 100, 0.22),
        "▌" => Shape::Block(0, 0, 50, 100, 1.0),
        "▐" => Shape::Block(50, 0, 50, 100, 1.0),
        "▁" => Shape::Block(0, 87, 100, 13, 1.0),
        "▂" => Shape::Block(0, 75, 100, 25, 1.0),
        "▃" => Shape::Block(0, 62, 100, 38, 1.0),
        "▄" => Shape::Block(0, 50, 100, 50, 1.0),
        "▅" => Shape::Block(0, 37, 100, 63, 1.0),
        "▆" => Shape::Block(0, 25, 100, 75, 1.0),
        "▇" => Shape::Block(0, 12, 100, 88, 1.0),
        "─" => Shape::Lines(true, false, true, false),
        "│" => Shape::Lines(false, true, false, true),
        "┌" | "╭" => Shape::Lines(false, false, true, true),
        "┐" | "╮" => Shape::Lines(true, false, false, true),
        "└" | "╰" => Shape::Lines(false, true, true, false),
        "┘" | "╯" => Shape::Lines(true, true, false, false),
        _ => Shape::Text,
    }
}

fn draw_run(svg: &mut String, run: &[(u16, Ink<'_>)], row: u16) {
    let (first, ink) = run[0];
    let count = u32::try_from(run.len()).unwrap_or(0);
    let (x, y) = (u32::from(first) * u32::from(CELL.0), u32::from(row) * u32::from(CELL.1));
    let (width, height) = (count * u32::from(CELL.0), u32::from(CELL.1));
    if let Some(back) = ink.back {
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"#{back:06x}\"/>");
    }
    let front = format!("#{:06x}", ink.front);
    let opacity = if ink.dim { 0.55 } else { 1.0 };
    match shape(ink.symbol) {
        Shape::Block(left, top, wide, high, share) => {
            let fill = share * opacity;
            let (left, top) = (f32::from(left) / 10.0, f32::from(top) * f32::from(CELL.1) / 100.0);
            let wide = if wide == 100 { width as f32 } else { f32::from(wide) / 10.0 };
            let high = f32::from(high) * f32::from(CELL.1) / 100.0;
            let (x, y) = (x as f32 + left, y as f32 + top);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" fill=\"{front}\" \
                 fill-opacity=\"{fill:.2}\" shape-rendering=\"crispEdges\"/>"
            );
        }
        Shape::Lines(left, up, right, down) => {
            for index in 0..count {
                lines(svg, x + index * u32::from(CELL.0), y, (left, up, right, down), &front, opacity);
                // A horizontal run is one line.
                if left && right {
                    let (y, end) = (y + 9, x + width);
                    let _ =
                        writeln!(svg, "<path d=\"M{x} {y}.5H{end}\" stroke=\"{front}\" stroke-opacity=\"{opacity}\"/>");
                    break;
                }
            }
        }
        Shape::Text => text(svg, run, y, &front, opacity),
    }
}

fn lines(
    svg: &mut String,
    x: u32,
    y: u32,
    (left, up, right, down): (bool, bool, bool, bool),
    front: &str,
    opacity: f32,
) {
    if left && right {
        return;
    }
    let (middle_x, middle_y) = (x + 5, y + 9);
    let mut path = String::new();
    for (drawn, to) in [
        (left, format!("H{x}")),
        (up, format!("V{y}")),
        (right, format!("H{}", x + u32::from(CELL.0))),
        (down, format!("V{}", y + u32::from(CELL.1))),
    ] {
        if drawn {
            let _ = write!(path, "M{middle_x} {middle_y}.5{to}");
        }
    }
    let _ = writeln!(svg, "<path d=\"{path}\" stroke=\"{front}\" stroke-opacity=\"{opacity}\"/>");
}

/// Text goes out word by word: viewers differ in what they make of several blanks.
fn text(svg: &mut String, run: &[(u16, Ink<'_>)], y: u32, front: &str, opacity: f32) {
    let class = if run[0].1.bold { " class=\"b\"" } else { "" };
    let opacity = if opacity < 1.0 { format!(" opacity=\"{opacity}\"") } else { String::new() };
    for word in run.split(|(_, ink)| ink.symbol.trim().is_empty()).filter(|word| !word.is_empty()) {
        let content: String = word.iter().map(|(_, ink)| ink.symbol).collect();
        let escaped = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let x = u32::from(word[0].0) * u32::from(CELL.0);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\"{class} fill=\"{front}\"{opacity}>{escaped}</text>", y + 14);
    }
}
