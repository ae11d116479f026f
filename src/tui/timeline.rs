//! Screen 4: any series over time, in percent of its own size, with what happened above and below.
//!
//! ```text
//! % of own size                                                   series          at cursor     now
//!        ● started        ≈ new mark                  ! alert
//! 100 │·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·              a growth peak        65 %    89 %
//!     │                            ╱╱╱╱              ⣀⣀⣀⣀◂a       · growth now                 10 %
//!  80 │╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╱╱╱╱╌╌╌╌╌╌╌╌╌╌╌╌╌⡏⠉⠉⠉╌╌◂a
//! ```

mod happened;
mod lines;
mod list;
mod plot;
mod state;

use std::time::Duration;

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::frame::Density;
use super::lookup::Condition;
use super::paint::{self, Canvas};
use super::state::State;
use super::theme::Theme;
use super::verdict::{self, Tone, Verdict};
use crate::model::Model;
use crate::model::event::EventKind;
use crate::model::history::Span;
use crate::model::snapshot::Health;
use crate::units;
use lines::Line;
use plot::{Grain, Plot};

pub use state::{TimelineState, Values};

/// Cells left of the picture for the shares, and right of it for the letters.
const SHARES: u16 = 5;
const LETTERS: u16 = 4;

/// Where things stand.
struct Layout {
    /// The line above the picture that says what the shares are of.
    header: u16,
    lane: Rect,
    plot: Rect,
    /// The line of the cursor's time and of the ticks.
    axis: u16,
    labels: u16,
    list: Option<Rect>,
    events: Rect,
}

impl Layout {
    fn of(body: Rect, density: Density) -> Self {
        let pane = match density {
            Density::Small => 0,
            Density::Narrow => 28,
            Density::Normal => 36,
            Density::Wide => 48,
        };
        let events = match body.height {
            ..14 => 0,
            14..24 => 4,
            24..40 => 7,
            _ => 13,
        };
        let around = 4;
        let height = body.height.saturating_sub(around + events);
        let gap = u16::from(pane > 0) * 2;
        let width = body.width.saturating_sub(SHARES + LETTERS + pane + gap);
        let plot = Rect { x: body.x + SHARES, y: body.y + 2, width, height };
        let list = (pane > 0).then(|| Rect {
            x: body.right().saturating_sub(pane),
            y: body.y,
            width: pane,
            height: height + around,
        });
        let below = u16::from(events >= 7);
        Self {
            header: body.y,
            lane: Rect { y: body.y + 1, height: 1, ..plot },
            plot,
            axis: plot.bottom(),
            labels: plot.bottom() + 1,
            list,
            events: Rect { y: plot.bottom() + 2 + below, height: events.saturating_sub(below), ..body }
                .intersection(body),
        }
    }
}

/// What is drawn, worked out once.
struct View<'a> {
    model: &'a Model,
    lines: Vec<Line<'a>>,
    /// The number of the series under the cursor of the list.
    selected: Option<usize>,
    span: Span,
    /// Columns of the picture.
    columns: usize,
    cursor: Option<Duration>,
}

impl<'a> View<'a> {
    fn of(model: &'a Model, state: &State, layout: &Layout, theme: &Theme) -> Self {
        let lines = lines::lines(model, &state.timeline, state.stack_limit, theme);
        let selected = match state.timeline.selected() {
            Some(key) => lines.iter().position(|line| line.key == key),
            None => lines::first(&lines),
        };
        let span = state.timeline.span(model);
        let columns = Grain::of(theme).columns(layout.plot.width);
        let cursor = state.timeline.cursor().filter(|cursor| span.contains(*cursor));
        Self { model, lines, selected, span, columns, cursor }
    }

    /// The series in the picture, the one under the cursor of the list on top.
    fn drawn(&self) -> Vec<&Line<'a>> {
        let mut drawn: Vec<(usize, &Line<'_>)> =
            self.lines.iter().enumerate().filter(|(_, line)| line.letter.is_some()).collect();
        drawn.sort_by_key(|(index, line)| (Some(*index) == self.selected, line.danger));
        drawn.into_iter().map(|(_, line)| line).collect()
    }

    /// The mean of a series in the column of the cursor; of a mark, where it stood at the end of that.
    fn at_cursor(&self, line: &Line<'_>) -> Option<f64> {
        let column = usize::try_from(self.span.column(self.cursor?, self.columns)).ok()?;
        let columns = line.columns(self.span, self.columns);
        let envelope = columns.get(column)?.envelope()?;
        Some(if line.key.quantity.is_mark() { envelope.most.into() } else { envelope.mean })
    }

    /// How far a value is from the baseline, in words.
    fn difference(&self, line: &Line<'_>, value: u32) -> Option<String> {
        let difference = self.model.baseline.as_ref()?.difference(line.key, value)?;
        let text = line.key.quantity.text(difference.unsigned_abs() as f64);
        let sign = match difference.signum() {
            1 => "+",
            -1 => "-",
            _ => "",
        };
        Some(format!("{sign}{text}"))
    }
}

/// Draws the screen.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let layout = Layout::of(body, density);
    let view = View::of(model, state, &layout, canvas.theme);
    if view.lines.is_empty() {
        let why = match model.snapshot.health {
            Health::Static => "no target: nothing is measured over time",
            _ => "nothing is measured yet",
        };
        canvas.text(body.x + 2, body.y + 1, why, styles.muted);
        return;
    }
    let drawn = view.drawn();
    let plot = Plot::new(layout.plot, &drawn, view.span, canvas.theme);
    let heading = match (&layout.list, view.selected.and_then(|selected| view.lines.get(selected))) {
        (None, Some(line)) => format!("% of own size, {}", line.title()),
        _ => "% of own size".to_owned(),
    };
    canvas.text(body.x, layout.header, &paint::fit(&heading, layout.plot.width + SHARES, canvas.theme), styles.muted);
    happened::draw_lane(canvas, layout.lane, model, view.span);
    draw_shares(canvas, &layout, &plot, state.stack_limit);
    draw_times(canvas, &layout, &view);
    draw_moments(canvas, &layout, &plot, &view);
    plot.draw(canvas, &drawn);
    plot.name_ends(canvas, &drawn);
    if drawn.is_empty() {
        canvas.text(layout.plot.x + 2, layout.plot.y + 1, "no series is chosen: Enter shows one", styles.muted);
    }
    if let Some(area) = layout.list {
        list::draw(canvas, area, &view, state);
    }
    happened::draw_list(canvas, layout.events, model, view.span, view.cursor);
}

/// The shares at the left, and what lies behind the lines.
fn draw_shares(canvas: &mut Canvas<'_>, layout: &Layout, plot: &Plot, limit: u8) {
    let muted = canvas.theme.styles.muted;
    let shares: &[u8] = if layout.plot.height >= 11 { &[0, 20, 40, 60, 80, 100] } else { &[0, 50, 100] };
    for y in layout.plot.top()..layout.plot.bottom() {
        canvas.text(layout.plot.x - 1, y, canvas.theme.glyphs.frame.vertical, muted);
    }
    for share in shares {
        let y = layout.plot.y + plot.line_at(f64::from(*share));
        canvas.right(layout.plot.x.saturating_sub(2), y, &share.to_string(), muted);
    }
    plot.draw_grid(canvas, shares, limit);
}

/// How long ago each tick is.
fn draw_times(canvas: &mut Canvas<'_>, layout: &Layout, view: &View<'_>) {
    let (muted, now) = (canvas.theme.styles.muted, view.model.snapshot.at);
    let ticks = match layout.plot.width {
        // A fifth of every length is a number that is easy to say.
        56.. => 5,
        _ => 1,
    };
    canvas.fill(layout.plot.left(), layout.plot.right(), layout.axis, canvas.theme.glyphs.frame.horizontal, muted);
    for tick in 0..=ticks {
        let x = layout.plot.x + (u32::from(layout.plot.width.saturating_sub(1)) * tick / ticks) as u16;
        canvas.text(x, layout.axis, canvas.theme.glyphs.tick, muted);
        // Before the attach there is no time to tell, but there is a length.
        let age = now.saturating_sub(view.span.end()) + view.span.length() * (ticks - tick) / ticks;
        let text = if age < Duration::from_millis(1) { "now".to_owned() } else { format!("-{}", units::duration(age)) };
        if tick == ticks {
            canvas.right(layout.plot.right(), layout.labels, &text, muted);
        } else {
            let start = if tick == 0 { x } else { x.saturating_sub(paint::width(&text) / 2) };
            canvas.text(start, layout.labels, &text, muted);
        }
    }
}

/// The baseline and the cursor, each with its time on the axis.
fn draw_moments(canvas: &mut Canvas<'_>, layout: &Layout, plot: &Plot, view: &View<'_>) {
    let styles = canvas.theme.styles;
    let cells = usize::from(layout.plot.width);
    let place = |at: Duration| {
        let column = view.span.contains(at).then(|| view.span.column(at, cells))?;
        u16::try_from(column).ok().filter(|column| *column < layout.plot.width).map(|column| layout.plot.x + column)
    };
    if let Some(x) = view.model.baseline.as_ref().and_then(|baseline| place(baseline.at())) {
        plot.draw_moment(canvas, x, styles.muted);
        let start = x.saturating_sub(4).clamp(layout.plot.x, layout.plot.right().saturating_sub(8).max(layout.plot.x));
        canvas.text(start, layout.axis, "baseline", styles.strong);
    }
    let Some((cursor, x)) = view.cursor.and_then(|cursor| Some((cursor, place(cursor)?))) else { return };
    plot.draw_moment(canvas, x, styles.strong);
    let age = units::duration(view.model.snapshot.at.saturating_sub(cursor));
    let text = format!(" {}, {age} ago ", units::clock(cursor));
    let width = paint::width(&text);
    let start =
        x.saturating_sub(width / 2).clamp(layout.plot.x, layout.plot.right().saturating_sub(width).max(layout.plot.x));
    canvas.text(start, layout.axis, &text, styles.chip);
}

/// What is to be said of the time in sight: which stack rose, unless something else is worse.
pub(crate) fn verdict(model: &Model, state: &State) -> Verdict {
    let usual = verdict::verdict(model, state.stack_limit);
    let span = state.timeline.span(model);
    let length = units::span(span.length());
    let aside = match model.snapshot.health {
        Health::Live if state.timeline.follows() => format!("last {length}"),
        Health::Live | Health::Static | Health::Saved => match model.snapshot.at.saturating_sub(span.end()) {
            age if age < Duration::from_secs(1) => format!("{length} up to now"),
            age => format!("{length} up to {} ago", units::duration(age)),
        },
        Health::Stale { .. } | Health::Reconnecting { .. } => usual.aside.clone(),
    };
    let Some((stack, sentence, condition)) = rise(model, span, state.stack_limit) else {
        return Verdict { aside, ..usual };
    };
    let (tone, chip) = match condition {
        // What a person knows of is no news here either.
        _ if usual.tone == Tone::Calm => (Tone::Calm, usual.chip),
        Condition::Calm => return Verdict { aside, ..usual },
        Condition::PastLimit => (Tone::Danger, "! DANGER"),
        Condition::GuardBroken | Condition::Overflowed => (Tone::Danger, "! OVERFLOW"),
    };
    let said = usual.tone == Tone::Calm || usual.subject == stack;
    if !said {
        return Verdict { aside, ..usual };
    }
    let subject = if tone == Tone::Calm { format!("  {stack}") } else { stack };
    Verdict { tone, chip, subject, sentence, aside }
}

/// The stack whose mark rose the most in a span, and how.
fn rise(model: &Model, span: Span, limit: u8) -> Option<(String, String, Condition)> {
    let stacks = model.snapshot.stacks.iter().filter_map(|stack| {
        let marks = model
            .events
            .marks(&stack.id)
            .filter(|event| span.contains(event.at) && event.epoch == model.snapshot.epoch);
        let steps: Vec<(Duration, u32, u32)> = marks
            .filter_map(|event| match event.kind {
                EventKind::Mark { from, to } => Some((event.at, from, to)),
                _ => None,
            })
            .collect();
        let (newest, oldest) = (steps.first()?, steps.last()?);
        let size = u64::from(stack.range.size());
        let (from, to) = (units::percent(oldest.1.into(), size)?, units::percent(newest.2.into(), size)?);
        let times = if steps.len() == 1 { "one step".to_owned() } else { format!("{} steps", steps.len()) };
        let when = match newest.0.saturating_sub(oldest.0) {
            Duration::ZERO => units::duration(model.snapshot.at.saturating_sub(newest.0)) + " ago",
            time => format!("within {}", units::duration(time)),
        };
        let condition = Condition::of(stack, limit);
        Some((to - from.min(to), stack, format!(" rose from {from} % to {to} % in {times}, {when}."), condition))
    });
    let (_, stack, sentence, condition) = stacks.max_by_key(|(by, _, _, condition)| (*condition, *by))?;
    Some((stack.name.clone(), sentence, condition))
}

/// How many columns the picture has, for what a step is.
pub(crate) fn columns(body: Rect, density: Density) -> usize {
    usize::from(Layout::of(body, density).plot.width)
}

/// Moves the cursor of the list.
pub(crate) fn walk(model: &Model, state: &mut State, steps: isize) {
    let theme = Theme::default();
    let lines = lines::lines(model, &state.timeline, state.stack_limit, &theme);
    let at = match state.timeline.selected() {
        Some(key) => lines.iter().position(|line| line.key == key),
        None => lines::first(&lines),
    };
    let to = super::update::step(at, lines.len(), steps).map(|at| lines[at].key.clone());
    if let Some(key) = to {
        state.timeline.select(key);
    }
}

/// Draws the selected series, or no more.
pub(crate) fn toggle(model: &Model, state: &mut State) {
    if state.timeline.selected().is_none() {
        walk(model, state, 0);
    }
    let Some(key) = state.timeline.selected().cloned() else { return };
    let shown = lines::shown(model, &state.timeline);
    state.timeline.toggle(&key, shown);
}

/// Puts the cursor on the next event, or on the one before; says when there is none.
pub(crate) fn next_event(model: &Model, state: &mut State, later: bool) {
    let mut times = model.events.iter().map(|event| event.at);
    let to = match state.timeline.cursor() {
        Some(cursor) if later => times.find(|at| *at > cursor),
        cursor => times.rfind(|at| cursor.is_none_or(|cursor| *at < cursor)),
    };
    match to {
        Some(at) => state.timeline.look_at(model, at),
        None => state.notice = Some(if later { "no later event" } else { "no earlier event" }.to_owned()),
    }
}

/// What a click does: on the picture it puts the cursor, on the list it selects.
pub(crate) fn click(body: Rect, density: Density, model: &Model, state: &mut State, at: Position) {
    let layout = Layout::of(body, density);
    if layout.plot.contains(at) {
        let span = state.timeline.span(model);
        let moment = span.middle(usize::from(at.x - layout.plot.x), usize::from(layout.plot.width));
        state.timeline.look_at(model, moment);
        return;
    }
    let theme = Theme::default();
    let view = View::of(model, state, &layout, &theme);
    let Some(area) = layout.list else { return };
    let (rows, offset) = list::rows(area, &view);
    if rows.contains(at)
        && let Some(line) = view.lines.get(offset + usize::from(at.y - rows.y))
    {
        let key = line.key.clone();
        state.timeline.select(key);
    }
}

/// The legend's entries.
pub(crate) fn legend(theme: &Theme) -> Vec<(String, Style, String)> {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let (mean, range) = if glyphs.ascii { ("a", ":") } else { ("⠒⠒", "⡪⡪") };
    let mut entries = vec![
        (mean.to_owned(), styles.level, "mean".to_owned()),
        (range.to_owned(), styles.level, "least to most".to_owned()),
        (glyphs.hatch.repeat(2), styles.muted, "no data".to_owned()),
        (glyphs.dashes.repeat(2), styles.muted, "limit".to_owned()),
    ];
    for kind in [EventKind::Mark { from: 0, to: 0 }, EventKind::Reset, EventKind::Started, EventKind::Gone] {
        entries.push((happened::glyph(kind, glyphs).to_owned(), styles.strong, kind.word().to_owned()));
    }
    entries
}
