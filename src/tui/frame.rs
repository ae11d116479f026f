//! What is around every screen: tabs, verdict, legend and status.
//!
//! ```text
//!  ≈ highwater    1 Map  2 Stacks  6 Alerts                                  demo.elf  Cortex-M3
//!
//!   ! DANGER  growth has 440 B of stack left. Next it overwrites uart_rx_buf.      8 other ...
//!
//!  (the screen)
//!
//!  (its legend)
//!  ● LIVE  30 Hz  read-only  schematic scale            ↑↓ select   Enter zoom   ? help
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::deck::{Deck, Place, Play};
use super::keys::{self, Action, Binding};
use super::paint::{self, Canvas, safe};
use super::state::{Input, Picture, READ_ONLY, Scale, Screen, State};
use super::theme::Theme;
use super::verdict::{Tone, verdict};
use crate::model::Model;
use crate::model::snapshot::Health;
use crate::source::recorder::Progress;
use crate::units;

/// Where things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) tabs: Rect,
    pub(crate) verdict: Rect,
    pub(crate) body: Rect,
    pub(crate) legend: Option<Rect>,
    pub(crate) status: Rect,
    pub(crate) density: Density,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Density {
    /// One pane.
    Small,
    /// Two panes without margins.
    Narrow,
    /// Two panes, frames on all sides, full addresses.
    Normal,
    /// Three panes.
    Wide,
}

/// Cells of the hint that is never left out, and of the gap before it.
const HELP_ROOM: u16 = 8;

/// The smallest terminal that shows more than a message.
pub(crate) const SMALLEST: (u16, u16) = (40, 10);

/// Divides the terminal.
pub(crate) fn areas(area: Rect) -> Areas {
    let density = match (area.width, area.height) {
        (..80, _) | (_, ..24) => Density::Small,
        (..100, _) => Density::Narrow,
        (..180, _) => Density::Normal,
        _ => Density::Wide,
    };
    let margin = u16::from(density >= Density::Normal);
    let roomy = area.height >= 30;
    let x = area.x + margin;
    let row = |y: u16, height: u16| {
        Rect { x, y: area.y + y, width: area.width.saturating_sub(2 * margin), height }.intersection(area)
    };
    let last = area.height.saturating_sub(1);
    let legend = (density >= Density::Normal && area.height >= 30).then(|| row(last.saturating_sub(1), 1));
    let (verdict, top) = if roomy { (2, 4) } else { (1, 2) };
    // The legend has a blank line above it.
    let bottom = if legend.is_some() { last.saturating_sub(2) } else { last };
    Areas {
        tabs: row(0, 1),
        verdict: row(verdict, 1),
        body: row(top, bottom.saturating_sub(top)),
        legend,
        status: row(last, 1),
        density,
    }
}

/// The tabs with their places, for drawing and for clicks.
pub(crate) fn tabs(areas: &Areas, state: &State) -> Vec<(Screen, Rect)> {
    let normal = areas.density >= Density::Normal;
    let mut x = areas.tabs.x + if normal { 14 } else { 10 };
    state
        .tabs()
        .map(|screen| {
            let width = paint::width(screen.title()) + 4;
            let place = Rect { x, y: areas.tabs.y, width, height: 1 };
            x = x.saturating_add(width);
            (screen, place.intersection(areas.tabs))
        })
        .collect()
}

/// Draws tabs, verdict and status.
pub(crate) fn draw(canvas: &mut Canvas<'_>, areas: &Areas, model: &Model, state: &State) {
    draw_tabs(canvas, areas, model, state);
    draw_verdict(canvas, areas.verdict, model, state);
    draw_status(canvas, areas, model, state);
}

fn draw_tabs(canvas: &mut Canvas<'_>, areas: &Areas, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let line = areas.tabs;
    let name = if areas.density >= Density::Normal {
        format!("{} highwater", canvas.theme.glyphs.wave)
    } else {
        "highwater".to_owned()
    };
    canvas.text(line.x, line.y, &name, styles.strong);
    let mut end = line.x;
    for (screen, place) in tabs(areas, state) {
        let shown = screen == state.screen.tab();
        let (number, title) = (format!(" {} ", screen.number()), format!("{} ", screen.title()));
        let (number_style, title_style) = if shown { (styles.chip, styles.chip) } else { (styles.muted, styles.muted) };
        let x = canvas.text(place.x, place.y, &number, number_style);
        end = canvas.text(x, place.y, &title, title_style);
    }
    let target = &model.snapshot.target;
    let what = [Some(target.elf.as_str()), target.chip.as_deref(), target.core.as_deref()];
    let mut what: Vec<String> =
        what.into_iter().flatten().filter(|word| !word.is_empty()).map(|word| safe(word, canvas.theme)).collect();
    while !what.is_empty() {
        let text = what.join("  ");
        if end + 2 + paint::width(&text) <= line.right() {
            canvas.right(line.right(), line.y, &text, styles.muted);
            break;
        }
        what.pop();
    }
}

fn draw_verdict(canvas: &mut Canvas<'_>, line: Rect, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let verdict = match state.screen {
        Screen::StackDetail => super::detail::verdict(model, state),
        Screen::Timeline => super::timeline::verdict(model, state),
        _ => verdict(model, state.stack_limit),
    };
    let (chip, subject) = match verdict.tone {
        Tone::Calm => (styles.strong, styles.strong),
        Tone::Warning => (styles.chip, styles.strong),
        Tone::Danger => (styles.danger_chip, styles.danger_text),
    };
    let mut x = if verdict.tone == Tone::Calm {
        canvas.text(line.x, line.y, verdict.chip, chip)
    } else {
        canvas.text(line.x, line.y, &format!(" {} ", verdict.chip), chip) + 1
    };
    let name = safe(&verdict.subject, canvas.theme);
    let room = line.right().saturating_sub(x);
    let sentence = paint::fit(&verdict.sentence, room.saturating_sub(paint::width(&name)), canvas.theme);
    x = canvas.text(x, line.y, &name, subject);
    x = canvas.text(x, line.y, &sentence, styles.ink);
    let aside = safe(&verdict.aside, canvas.theme);
    if x + 3 + paint::width(&aside) <= line.right() {
        canvas.right(line.right(), line.y, &aside, styles.muted);
    }
}

fn draw_status(canvas: &mut Canvas<'_>, areas: &Areas, model: &Model, state: &State) {
    let (theme, line) = (canvas.theme, areas.status);
    let left = status(model, state, theme, areas.density);
    let mut x = line.x;
    let mut first = true;
    for span in left {
        let gap = if first { 0 } else { 2 };
        // The way to the help always has its place.
        if !first && x + gap + paint::width(&span.content) + HELP_ROOM > line.right() {
            continue;
        }
        x = canvas.text(x + gap, line.y, &span.content, span.style);
        first = false;
    }
    let room = line.right().saturating_sub(x + 2);
    let gap = if areas.density >= Density::Normal { "   " } else { "  " };
    let hints = hints(state, theme, room, gap);
    canvas.spans(line.right().saturating_sub(paint::spans_width(&hints)), line.y, &hints);
}

fn status(model: &Model, state: &State, theme: &Theme, density: Density) -> Vec<Span<'static>> {
    let (styles, snapshot) = (&theme.styles, &model.snapshot);
    let muted = |text: String| Span::styled(text, styles.muted);
    let place = state.deck.as_ref().map(Deck::place);
    let mut words = vec![match (&state.picture, &snapshot.health) {
        _ if place.as_ref().is_some_and(|place| place.plays) => Span::styled(" REPLAY ", styles.chip),
        _ if place.is_some() => Span::styled(" STOPPED ", styles.chip),
        (Picture::Frozen(_), _) => Span::styled(" PAUSED ", styles.chip),
        (_, Health::Static) => Span::styled("STATIC", styles.strong),
        (_, Health::Saved) => Span::styled("SAVED", styles.strong),
        (_, Health::Live) => Span::styled(format!("{} LIVE", theme.glyphs.live), styles.strong),
        (_, Health::Stale { .. }) => Span::styled(" STALE ", styles.chip),
        (_, Health::Reconnecting { .. }) => Span::styled(" RECONNECTING ", styles.chip),
    }];
    if let Some(notice) = &state.notice {
        words.push(Span::styled(safe(notice, theme), styles.ink));
    }
    if state.input == Input::Filter {
        words.push(Span::styled(format!("/{}_", safe(state.filter(), theme)), styles.strong));
        return words;
    }
    words.extend(place.iter().flat_map(Place::words).map(|word| Span::styled(safe(&word, theme), styles.ink)));
    words.extend(state.recorder.as_ref().and_then(|desk| recording(&desk.progress(), theme)));
    let mut reason = None;
    if let Health::Stale { since, why } | Health::Reconnecting { since, why } = &snapshot.health {
        words.push(muted(format!("last read {} ago", units::duration(snapshot.at.saturating_sub(*since)))));
        reason = (!why.is_empty()).then(|| muted(safe(why, theme)));
    }
    if snapshot.health == Health::Live {
        words.push(muted(rate(snapshot.link.refresh_hz)));
    }
    // What went wrong is in ink: it is news.
    for (count, word) in [(u64::from(snapshot.link.gaps), "not read"), (snapshot.link.drops, "dropped")] {
        if count > 0 {
            words.push(Span::styled(format!("{count} {word}"), styles.ink));
        }
    }
    words.extend(reason);
    match &snapshot.tripwire {
        // What may touch the target is not to be overlooked.
        Some(tripwire) => {
            words.push(Span::styled(safe(&tripwire.access(), theme), styles.ink));
            if state.access != READ_ONLY {
                words.push(muted(safe(&state.access, theme)));
            }
        }
        None if snapshot.health != Health::Static => words.push(muted(safe(&state.access, theme))),
        None => {}
    }
    let steady = matches!(snapshot.health, Health::Live | Health::Static | Health::Saved);
    if state.screen == Screen::Map && density >= Density::Normal && steady {
        let scale = match (&state.map.zoom, state.map.scale) {
            (Some(_), _) => "zoomed, Esc back",
            (None, Scale::Schematic) => "schematic scale",
            (None, Scale::Linear) => "linear scale",
        };
        words.push(muted(scale.to_owned()));
    }
    if state.screen == Screen::Symbols && density >= Density::Normal && steady {
        words.push(muted(state.symbols.grouping.title().to_owned()));
        words.push(muted(state.symbols.order.title().to_owned()));
        if !state.symbols.filter.is_empty() && state.input == Input::Keys {
            words.push(muted(format!("filter: {}", safe(&state.symbols.filter, theme))));
        }
    }
    words
}

/// What there is to say of a recording that is being made.
fn recording(progress: &Progress, theme: &Theme) -> Option<Span<'static>> {
    let text = match progress {
        Progress::Off => return None,
        Progress::Beginning => "the recording begins".to_owned(),
        Progress::On { file, bytes } => {
            return Some(Span::styled(
                safe(&format!(" REC {}, {} ", file.display(), units::short(*bytes)), theme),
                theme.styles.chip,
            ));
        }
        Progress::Done { file, bytes } => format!("recorded {}, {}", file.display(), units::short(*bytes)),
        Progress::Failed { file, why } => format!("not recorded: {}: {why}", file.display()),
    };
    Some(Span::styled(safe(&text, theme), theme.styles.ink))
}

fn rate(hz: f64) -> String {
    if hz >= 10.0 { format!("{hz:.0} Hz") } else { format!("{hz:.1} Hz") }
}

/// The keys that work here, as many as fit; help always stays.
fn hints(state: &State, theme: &Theme, room: u16, gap: &'static str) -> Vec<Span<'static>> {
    let mut all: Vec<&Binding> = keys::meant(state).filter(|binding| binding.hint.is_some()).collect();
    // In a recording, what moves it comes first.
    all.sort_by_key(|binding| !matches!(binding.action, Action::Play(_)));
    let (help, mut others): (Vec<&Binding>, Vec<&Binding>) =
        all.into_iter().partition(|binding| binding.action == Action::Help);
    loop {
        let spans = hint_spans(others.iter().chain(&help).copied(), state, theme, gap);
        if paint::spans_width(&spans) <= room {
            return spans;
        }
        if others.pop().is_none() {
            return Vec::new();
        }
    }
}

fn hint_spans<'a>(
    bindings: impl Iterator<Item = &'a Binding>,
    state: &State,
    theme: &Theme,
    gap: &'static str,
) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for binding in bindings {
        if !spans.is_empty() {
            spans.push(Span::raw(gap));
        }
        let key = match binding.action {
            Action::Up => theme.glyphs.move_keys.to_owned(),
            Action::Play(Play::StepBack) => ", .".to_owned(),
            Action::Play(Play::JumpBack) => "< >".to_owned(),
            Action::Play(Play::Slower) => "{ }".to_owned(),
            _ => state.keymap.keys(binding).first().map(|key| keys::label(*key, &theme.glyphs)).unwrap_or_default(),
        };
        if key.is_empty() {
            continue;
        }
        let word = match (binding.action, &state.picture) {
            (Action::Freeze, _) if state.deck.is_some() => "stop/play",
            (Action::Freeze, Picture::Frozen(_)) => "go on",
            _ => binding.hint.unwrap_or_default(),
        };
        spans.push(Span::styled(key, theme.styles.strong));
        spans.push(Span::styled(format!(" {word}"), theme.styles.muted));
    }
    spans
}

/// The meaning of the textures in one line.
pub(crate) fn draw_legend(canvas: &mut Canvas<'_>, line: Rect, entries: &[(String, Style, String)]) {
    let muted = canvas.theme.styles.muted;
    let mut x = line.x;
    for (glyph, style, word) in entries {
        if x + paint::width(glyph) + 1 + paint::width(word) > line.right() {
            break;
        }
        x = canvas.text(x, line.y, glyph, *style);
        x = canvas.text(x + 1, line.y, word, muted) + 2;
    }
}
