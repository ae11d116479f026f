//! The bar of a stack, the same on every screen. It fills from the left:
//!
//! ```text
//! ███▒▒▒▒▌·······┊···    in use now, touched before, high-water line, never touched, the limit
//! ███▒▒▼▌··◇·····┊···    with the lowest SP seen and the static worst case
//! ██▒▼  not painted      nothing tells what lies beyond
//! ```

use ratatui::style::Style;
use ratatui::text::Span;

use super::lookup::Condition;
use super::paint::{self, share};
use super::theme::Theme;
use crate::model::snapshot::{Health, Measured, Snapshot, Stack, Trust};
use crate::units;

/// The numbers a bar shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    size: u64,
    now: Option<u64>,
    peak: Option<u64>,
    lowest: Option<u64>,
    /// What the peak is at least, where paint does not tell.
    bound: Option<u64>,
    worst: Option<u64>,
    limit: u8,
    danger: bool,
    marks: Marks,
    /// What is said of the part that nothing is known of.
    words: &'static str,
}

/// Which marks stand in a bar besides the high-water line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// Only the limit.
    Limit,
    /// The lowest SP and the static worst case.
    All,
}

/// What one cell of a bar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texture {
    Used,
    Touched,
    Line,
    Never,
    Limit,
    Lowest,
    Worst,
    Unknown,
}

impl Bar {
    pub(crate) fn of(snapshot: &Snapshot, stack: &Stack, limit: u8, marks: Marks) -> Self {
        let bytes = |measured: Option<Measured>| {
            measured.filter(|measured| measured.trust != Trust::Gap).map(|measured| u64::from(measured.bytes))
        };
        Self {
            size: stack.range.size().into(),
            now: bytes(stack.current),
            peak: bytes(stack.peak).filter(|_| stack.peak.is_some_and(|peak| peak.trust != Trust::Unpainted)),
            lowest: bytes(stack.lowest_sp),
            bound: bytes(stack.deepest()),
            // A bound that the stack has passed already says nothing about what is to come.
            worst: bytes(
                stack.worst_case.filter(|worst| Some(worst.bytes) >= stack.deepest().map(|deepest| deepest.bytes)),
            ),
            limit,
            danger: Condition::of(stack, limit).is_danger(),
            marks,
            words: if snapshot.health == Health::Static { "not measured" } else { "not painted" },
        }
    }

    /// The same bar for a second row: what was said once is not said again.
    pub(crate) fn again(self) -> Self {
        Self { words: "", ..self }
    }

    /// The cell at which the high-water line stands; the bar's end when it is full.
    pub(crate) fn line(&self, cells: u16) -> u16 {
        self.level(self.peak.or(self.bound), cells)
    }

    /// The number of cells in use now.
    pub(crate) fn now(&self, cells: u16) -> u16 {
        self.level(self.now, cells)
    }

    /// Any use is at least one cell, and only a full stack fills all of them.
    fn level(&self, bytes: Option<u64>, cells: u16) -> u16 {
        let Some(bytes) = bytes else { return 0 };
        let level = share(bytes, self.size, cells);
        if bytes >= self.size {
            cells
        } else if bytes == 0 {
            0
        } else {
            level.clamp(1, cells.saturating_sub(1).max(1))
        }
    }

    /// Cells from the first use to the limit.
    pub(crate) fn textures(&self, cells: u16) -> Vec<Texture> {
        let line = self.line(cells);
        let now = self.now(cells);
        let limit = cells * u16::from(self.limit.min(100)) / 100;
        let beyond = |cell| if cell == limit { Texture::Limit } else { Texture::Never };
        let mut textures: Vec<Texture> = (0..cells)
            .map(|cell| match cell {
                cell if cell < now => Texture::Used,
                cell if cell < line => Texture::Touched,
                _ if self.peak.is_none() => Texture::Unknown,
                cell if cell == line => Texture::Line,
                cell if self.marks == Marks::All => match beyond(cell) {
                    Texture::Limit if self.worst.is_none() => Texture::Limit,
                    _ => Texture::Never,
                },
                cell => beyond(cell),
            })
            .collect();
        if self.marks == Marks::All {
            self.mark(&mut textures, cells);
        }
        textures
    }

    fn mark(&self, textures: &mut [Texture], cells: u16) {
        let line = usize::from(self.line(cells));
        if let Some(lowest) = self.lowest {
            // The high-water line keeps its cell, and the lowest SP steps back by one.
            let at =
                usize::from(self.level(Some(lowest), cells)).min(line.saturating_sub(usize::from(self.peak.is_some())));
            if let Some(texture) = textures.get_mut(at) {
                *texture = Texture::Lowest;
            }
        }
        if let Some(worst) = self.worst {
            // The worst case steps past the line.
            let at = usize::from(share(worst, self.size, cells)).max(line + 1);
            if let Some(texture) = textures.get_mut(at) {
                *texture = Texture::Worst;
            }
        }
    }

    /// The bar as styled text.
    pub(crate) fn spans(&self, cells: u16, theme: &Theme) -> Vec<Span<'static>> {
        let textures = self.textures(cells);
        let mut spans: Vec<Span<'static>> = Vec::new();
        for run in textures.chunk_by(PartialEq::eq) {
            if run[0] == Texture::Unknown {
                spans.push(unknown(self.words, run.len(), theme));
                continue;
            }
            let (glyph, style) = self.look(run[0], theme);
            spans.push(Span::styled(glyph.repeat(run.len()), style));
        }
        spans
    }

    /// How a texture looks in this bar.
    pub(crate) fn look(&self, texture: Texture, theme: &Theme) -> (&'static str, Style) {
        let (glyphs, styles) = (&theme.glyphs, &theme.styles);
        let level = if self.danger { styles.danger } else { styles.level };
        match texture {
            Texture::Used => (glyphs.used, level),
            Texture::Touched => (glyphs.touched, level),
            // One mark, one look, in danger too.
            Texture::Line => (glyphs.line, styles.strong),
            Texture::Never => (glyphs.never, styles.muted),
            Texture::Limit => (glyphs.limit, styles.muted),
            Texture::Lowest => (glyphs.lowest, styles.strong),
            Texture::Worst => (glyphs.worst, styles.strong),
            Texture::Unknown => (" ", styles.muted),
        }
    }
}

fn unknown(words: &str, cells: usize, theme: &Theme) -> Span<'static> {
    let text = match cells.checked_sub(words.len()) {
        Some(2..) => format!("  {words}"),
        Some(_) => words.to_owned(),
        None => "?".repeat(cells.min(1)),
    };
    Span::styled(format!("{text:<cells$}"), theme.styles.muted)
}

/// The history of a series as rows of levels, highest row first; a gap stays blank.
pub(crate) fn history(columns: &[Option<f64>], top: f64, rows: u16, theme: &Theme) -> Vec<String> {
    let steps = f64::from(rows) * 8.0;
    (0..rows)
        .map(|row| {
            let below = f64::from(rows - 1 - row) * 8.0;
            columns
                .iter()
                .map(|value| {
                    let Some(value) = value else { return " " };
                    let level = if top > 0.0 { (value / top).clamp(0.0, 1.0) * steps } else { 0.0 };
                    // What was measured is never nothing: the lowest row keeps a trace.
                    let level = if below == 0.0 { level.max(1.0) } else { level };
                    theme.glyphs.history[eighths(level - below)]
                })
                .collect()
        })
        .collect()
}

/// A level in one row as an index into its glyphs.
fn eighths(level: f64) -> usize {
    const EDGES: [f64; 8] = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5];
    EDGES.iter().filter(|edge| level >= **edge).count()
}

/// A share as text: `41 %`, a dash when it is not known.
pub(crate) fn percent(part: Option<u64>, whole: u64) -> String {
    part.and_then(|part| units::percent(part, whole)).map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"))
}

/// Spans cut to so many cells, padded with blanks.
pub(crate) fn padded(mut spans: Vec<Span<'static>>, cells: u16) -> Vec<Span<'static>> {
    let used = paint::spans_width(&spans);
    if used < cells {
        spans.push(Span::raw(" ".repeat(usize::from(cells - used))));
    }
    spans
}
