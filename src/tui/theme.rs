//! What a meaning looks like: the glyphs and the styles, chosen once from the options.
//!
//! Colour tells the kind and texture the state, so every theme keeps the glyphs; danger is told by words and by
//! reversed chips too, so that nothing is lost without colour.

use ratatui::style::{Color, Modifier, Style};

/// The themes a user can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ThemeName {
    /// The terminal's own sixteen colours.
    #[default]
    Auto,
    /// The sixteen colours, for a dark background.
    Dark,
    /// The sixteen colours, for a light background.
    Light,
    /// No grey: everything in ink or a bright colour.
    HighContrast,
    /// Bold, dim and reverse only.
    Mono,
    /// A palette that all kinds of colour vision tell apart.
    OkabeIto,
}

/// Glyphs and styles of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    /// The characters drawn.
    pub glyphs: Glyphs,
    /// Their styles.
    pub styles: Styles,
}

/// The six characters of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BoxGlyphs {
    pub top_left: &'static str,
    pub top_right: &'static str,
    pub bottom_left: &'static str,
    pub bottom_right: &'static str,
    pub horizontal: &'static str,
    pub vertical: &'static str,
}

/// One glyph for each meaning, the same on every screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Only ASCII may be drawn.
    pub ascii: bool,
    /// The tool's own mark.
    pub wave: &'static str,
    /// In use now.
    pub used: &'static str,
    /// Touched before, up to the peak.
    pub touched: &'static str,
    /// The high-water line of a stack, which fills from the left.
    pub line: &'static str,
    /// The high-water line of a heap, which fills from the right.
    pub line_up: &'static str,
    /// Never touched.
    pub never: &'static str,
    /// Used once, free again.
    pub freed: &'static str,
    /// Blocks of a heap in use, without a level.
    pub block: &'static str,
    /// Fixed memory, without a level.
    pub hatch: &'static str,
    /// Fixed memory next to other fixed memory.
    pub hatch_back: &'static str,
    /// The limit, in the untouched part.
    pub limit: &'static str,
    /// Grows down.
    pub down: &'static str,
    /// Grows up.
    pub up: &'static str,
    /// Points at what is selected, from the left.
    pub pointer: &'static str,
    /// Points at what is selected, from the right.
    pub pointer_left: &'static str,
    /// Ties a word to the cell above it.
    pub tick: &'static str,
    /// The live mark.
    pub live: &'static str,
    /// The lowest SP ever seen.
    pub lowest: &'static str,
    /// The static worst case.
    pub worst: &'static str,
    /// Blocks of the selected owner.
    pub owner: &'static str,
    /// A line of dashes: a limit over time.
    pub dashes: &'static str,
    /// A reset.
    pub reset: &'static str,
    /// A thread that is gone.
    pub gone: &'static str,
    /// Something that is over.
    pub over: &'static str,
    /// The column that rows are sorted by, largest first.
    pub sorted_down: &'static str,
    /// The column that rows are sorted by, smallest first.
    pub sorted_up: &'static str,
    /// A group that is closed.
    pub closed: &'static str,
    /// Before a lower bound.
    pub at_least: &'static str,
    /// Before an upper bound.
    pub at_most: &'static str,
    /// Where text was cut.
    pub cut: &'static str,
    /// Between words of one kind.
    pub dot: &'static str,
    /// Keys that move the selection.
    pub move_keys: &'static str,
    /// Levels of a history, lowest first; the first is "nothing".
    pub history: [&'static str; 9],
    /// Frame of a memory.
    pub frame: BoxGlyphs,
    /// Frame of a heap in it.
    pub heap: BoxGlyphs,
}

const UNICODE: Glyphs = Glyphs {
    ascii: false,
    wave: "≈",
    used: "█",
    touched: "▒",
    line: "▌",
    line_up: "▐",
    never: "·",
    freed: "░",
    block: "╳",
    hatch: "╱",
    hatch_back: "╲",
    limit: "┊",
    down: "↓",
    up: "↑",
    pointer: "▸",
    pointer_left: "◂",
    tick: "╵",
    live: "●",
    lowest: "▼",
    worst: "◇",
    owner: "◆",
    dashes: "╌",
    reset: "↺",
    gone: "○",
    over: "✓",
    sorted_down: "▾",
    sorted_up: "▴",
    closed: "▹",
    at_least: "≥",
    at_most: "≤",
    cut: "…",
    dot: "·",
    move_keys: "↑↓",
    history: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    frame: BoxGlyphs {
        top_left: "┌",
        top_right: "┐",
        bottom_left: "└",
        bottom_right: "┘",
        horizontal: "─",
        vertical: "│",
    },
    heap: BoxGlyphs {
        top_left: "╭",
        top_right: "╮",
        bottom_left: "╰",
        bottom_right: "╯",
        horizontal: "─",
        vertical: "│",
    },
};

const ASCII_BOX: BoxGlyphs =
    BoxGlyphs { top_left: "+", top_right: "+", bottom_left: "+", bottom_right: "+", horizontal: "-", vertical: "|" };

const ASCII: Glyphs = Glyphs {
    ascii: true,
    wave: "~",
    used: "#",
    touched: "=",
    line: "|",
    line_up: "|",
    never: ".",
    freed: "-",
    block: "%",
    hatch: "/",
    hatch_back: "\\",
    limit: ":",
    down: "v",
    up: "^",
    pointer: ">",
    pointer_left: "<",
    tick: "'",
    live: "*",
    lowest: "v",
    worst: "o",
    owner: "@",
    dashes: "-",
    reset: "R",
    gone: "o",
    over: "+",
    sorted_down: "v",
    sorted_up: "^",
    closed: "+",
    at_least: ">=",
    at_most: "<=",
    cut: "~",
    dot: "-",
    move_keys: "up/down",
    history: [" ", ".", ".", ":", ":", "+", "+", "#", "#"],
    frame: ASCII_BOX,
    heap: ASCII_BOX,
};

/// One style for each meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Styles {
    /// Names of stacks, values.
    pub ink: Style,
    /// Addresses, sizes, frames, fixed memory, hints.
    pub muted: Style,
    /// Titles, keys, arrows and the high-water line.
    pub strong: Style,
    /// Level of a stack or a heap.
    pub level: Style,
    /// Level, name and victim of what is past its limit.
    pub danger: Style,
    /// Words about danger.
    pub danger_text: Style,
    /// A chip that says danger.
    pub danger_chip: Style,
    /// A chip or name without danger.
    pub chip: Style,
    /// What has just grown.
    pub lit: Style,
    /// Lines that lie over each other in one picture.
    pub series: [Style; 3],
}

impl Theme {
    /// The theme of that name, with ASCII glyphs when asked for, and without colour when `colour` is false.
    #[must_use]
    pub fn new(name: ThemeName, ascii: bool, colour: bool) -> Self {
        let glyphs = if ascii { ASCII } else { UNICODE };
        let styles = match name {
            _ if !colour => mono(),
            ThemeName::Mono => mono(),
            // Index colours come from the terminal's own palette, so that one set serves dark and light.
            ThemeName::Auto | ThemeName::Dark | ThemeName::Light => {
                coloured(Style::new().fg(Color::DarkGray), [Color::Cyan, Color::Magenta], Color::Red)
            }
            ThemeName::HighContrast => coloured(Style::new(), [Color::LightCyan, Color::LightMagenta], Color::LightRed),
            ThemeName::OkabeIto => {
                let series = [Color::Rgb(0x56, 0xb4, 0xe9), Color::Rgb(0xcc, 0x79, 0xa7)];
                coloured(Style::new().fg(Color::DarkGray), series, Color::Rgb(0xd5, 0x5e, 0x00))
            }
        };
        Self { glyphs, styles }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(ThemeName::Auto, false, true)
    }
}

fn coloured(muted: Style, [level, other]: [Color; 2], danger: Color) -> Styles {
    let ink = Style::new();
    let danger = ink.fg(danger);
    Styles {
        ink,
        muted,
        strong: ink.add_modifier(Modifier::BOLD),
        level: ink.fg(level),
        danger,
        danger_text: danger.add_modifier(Modifier::BOLD),
        danger_chip: danger.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        chip: ink.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        lit: ink.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        series: [ink.fg(level), ink.fg(other), muted],
    }
}

fn mono() -> Styles {
    let ink = Style::new();
    let bold = ink.add_modifier(Modifier::BOLD);
    let reversed = bold.add_modifier(Modifier::REVERSED);
    Styles {
        ink,
        muted: ink.add_modifier(Modifier::DIM),
        strong: bold,
        level: ink,
        danger: bold,
        danger_text: bold,
        danger_chip: reversed,
        chip: reversed,
        lit: reversed,
        series: [ink, bold, ink.add_modifier(Modifier::DIM)],
    }
}
