//! Screen 7: what the firmware says, when it is listened to.
//!
//! ```text
//! 2 of 41 lines, warn and above, newest last
//!      read  time  level                                                   where
//!    0.02 s  3     WARN   battery at 17 %                                  run/src/main.rs:41
//!    0.05 s  4     ERROR  asked to fail                                    run/src/main.rs:51
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::frame::Density;
use super::paint::{Canvas, fit, fit_path, safe, safe_text, width, wrap};
use super::state::{Input, State};
use super::theme::Styles;
use crate::console::{Level, Line, Log, MAX_LINE, Shared};

/// Cells of the time at which a line was read.
const READ: u16 = 9;
/// Cells of a level, and of the blanks behind it.
const LEVEL: u16 = 7;
/// The most cells of the firmware's own time.
const STAMP: u16 = 14;
/// Cells of a place in the sources, where there is room for it.
const PLACE: u16 = 28;
/// The least width that has room for places.
const FOR_PLACES: u16 = 100;
/// Rows that one line may take; the rest of it is cut.
const ROWS: usize = 8;

/// How the log is shown.
#[derive(Clone, Debug, Default)]
pub struct LogsState {
    /// The log; none where nothing is listened to.
    pub log: Option<Shared>,
    /// Only lines that matter at least as much; all, plain text too, when nothing is chosen.
    pub least: Option<Level>,
    /// Only lines that contain this.
    pub filter: String,
    /// The last line on the screen, by its number since the beginning; the newest when nobody has scrolled.
    pub last: Option<u64>,
}

impl LogsState {
    /// Chooses the next level: all, then less and less.
    pub(crate) fn next_level(&mut self) {
        self.least = match self.least {
            None => Some(Level::Debug),
            Some(Level::Error) => None,
            Some(level) => Level::ALL.into_iter().find(|other| *other > level),
        };
    }

    /// Keeps what is on the screen where it is, or follows the newest again.
    pub(crate) fn hold(&mut self, held: bool) {
        self.last = if held { self.numbers().last().copied() } else { None };
    }

    /// Goes up or down by so many lines; behind the newest it follows again.
    pub(crate) fn walk(&mut self, steps: isize) {
        let numbers = self.numbers();
        let Some(end) = numbers.len().checked_sub(1) else { return };
        let at = self.last.map_or(end, |last| numbers.partition_point(|number| *number <= last).saturating_sub(1));
        let to = at.saturating_add_signed(steps);
        self.last = (to < end).then(|| numbers[to]);
    }

    /// The numbers of the lines that are to be shown.
    fn numbers(&self) -> Vec<u64> {
        self.log.as_ref().map(|log| self.among(&log.log()).map(|(number, _)| number).collect()).unwrap_or_default()
    }

    /// The lines that are to be shown, with their numbers.
    fn among<'a>(&'a self, log: &'a Log) -> impl DoubleEndedIterator<Item = (u64, &'a Line)> {
        let numbered = log.lines().iter().enumerate();
        let numbered = numbered.map(|(index, line)| (log.dropped() + index as u64, line));
        numbered.filter(|(_, line)| self.shows(line))
    }

    fn shows(&self, line: &Line) -> bool {
        // A word about the log itself is never filtered by its level: it has none.
        let matters = self.least.is_none_or(|least| line.is_remark || line.level.is_some_and(|level| level >= least));
        matters && (self.filter.is_empty() || line.plain().to_lowercase().contains(&self.filter.to_lowercase()))
    }
}

/// Draws the screen.
pub(crate) fn draw(canvas: &mut Canvas<'_>, body: Rect, density: Density, state: &State) {
    let styles = canvas.theme.styles;
    let Some(shared) = &state.logs.log else {
        let words =
            "Nobody listens to the firmware: `highwater run`, or `highwater attach --rtt`, shows what it says here.";
        for (line, y) in wrap(words, body.width).iter().zip(body.top()..body.bottom()) {
            canvas.text(body.x, y, line, styles.muted);
        }
        return;
    };
    let log = shared.log();
    // From the last line up, until the rows are full.
    let area = Rect { y: body.y + 2, height: body.height.saturating_sub(2), ..body }.intersection(body);
    let until = state.logs.last.unwrap_or(u64::MAX);
    let mut shown: Vec<&Line> = Vec::new();
    let all: Vec<(u64, &Line)> = state.logs.among(&log).collect();
    let visible = all.iter().rev().filter(|(number, _)| *number <= until).map(|(_, line)| *line);
    shown.extend(visible.take(usize::from(area.height)));
    shown.reverse();
    let columns = Columns::of(&shown, area, density);
    head(canvas, body, all.len(), &log, state);
    columns.head(canvas, body.y + 1);
    let mut rows: Vec<(&Line, Vec<String>)> = shown.iter().map(|line| (*line, columns.wrapped(line, canvas))).collect();
    let mut height: usize = rows.iter().map(|(_, texts)| texts.len()).sum();
    while height > usize::from(area.height) && rows.len() > 1 {
        height -= rows.remove(0).1.len();
    }
    let mut y = area.y;
    for (line, texts) in rows {
        columns.draw(canvas, y, line);
        for text in &texts {
            if y < area.bottom() {
                canvas.text(columns.text, y, text, style(line, &styles));
            }
            y += 1;
        }
    }
}

/// How many lines there are, and which of them are shown.
fn head(canvas: &mut Canvas<'_>, body: Rect, shown: usize, log: &Log, state: &State) {
    let styles = canvas.theme.styles;
    let kept = log.lines().len();
    let mut words = vec![if shown == kept { format!("{kept} lines") } else { format!("{shown} of {kept} lines") }];
    if let Some(least) = state.logs.least {
        let name = least.name();
        words.push(if least == Level::Error { name.to_owned() } else { format!("{name} and above") });
    }
    if !state.logs.filter.is_empty() || state.input == Input::Filter {
        let cursor = if state.input == Input::Filter { "_" } else { "" };
        words.push(format!("with /{}{cursor}", safe(&state.logs.filter, canvas.theme)));
    }
    words.push(if state.logs.last.is_some() { "scrolled: End follows".to_owned() } else { "newest last".to_owned() });
    if log.dropped() > 0 {
        words.push(format!("{} older ones are not kept", log.dropped()));
    }
    canvas.text(body.x, body.y, &fit(&words.join(", "), body.width, canvas.theme), styles.muted);
}

/// Where the parts of a line stand.
struct Columns {
    read: Option<u16>,
    stamp: Option<(u16, u16)>,
    level: Option<u16>,
    text: u16,
    cells: u16,
    place: Option<u16>,
}

impl Columns {
    fn of(lines: &[&Line], area: Rect, density: Density) -> Self {
        let mut x = area.x;
        let mut take = |cells: u16| {
            let at = x;
            x = x.saturating_add(cells);
            at
        };
        let read = (density >= Density::Normal).then(|| take(READ + 2));
        let stamps = lines.iter().filter_map(|line| line.stamp.as_ref()).map(|stamp| width(stamp)).max();
        let stamp = stamps.map(|cells| (take(cells.clamp(4, STAMP) + 2), cells.clamp(4, STAMP)));
        let level = lines.iter().any(|line| line.level.is_some()).then(|| take(LEVEL));
        let has_places = area.width >= FOR_PLACES && lines.iter().any(|line| line.place.is_some());
        let place = has_places.then(|| area.right().saturating_sub(PLACE));
        let end = place.map_or(area.right(), |place| place.saturating_sub(2));
        Self { read, stamp, level, text: x, cells: end.saturating_sub(x).max(1), place }
    }

    fn head(&self, canvas: &mut Canvas<'_>, y: u16) {
        let muted = canvas.theme.styles.muted;
        if let Some(x) = self.read {
            canvas.right(x + READ, y, "read", muted);
        }
        if let Some((x, _)) = self.stamp {
            canvas.text(x, y, "time", muted);
        }
        if let Some(x) = self.level {
            canvas.text(x, y, "level", muted);
        }
        if let Some(x) = self.place {
            canvas.text(x, y, "where", muted);
        }
    }

    fn wrapped(&self, line: &Line, canvas: &Canvas<'_>) -> Vec<String> {
        let channel = line.channel.as_ref().map(|channel| format!("[{channel}] ")).unwrap_or_default();
        let text = safe_text(&format!("{channel}{}", line.text), MAX_LINE, canvas.theme);
        // What is aligned by blanks stays so while it fits.
        let mut rows = if width(&text) <= self.cells { vec![text] } else { wrap(&text, self.cells) };
        rows.truncate(ROWS);
        if rows.is_empty() {
            rows.push(String::new());
        }
        rows.iter().map(|row| fit(row, self.cells, canvas.theme)).collect()
    }

    fn draw(&self, canvas: &mut Canvas<'_>, y: u16, line: &Line) {
        let styles = canvas.theme.styles;
        if let Some(x) = self.read {
            canvas.right(x + READ, y, &format!("{:.2} s", line.at.as_secs_f64()), styles.muted);
        }
        if let (Some((x, cells)), Some(stamp)) = (self.stamp, &line.stamp) {
            canvas.text(x, y, &fit(stamp, cells, canvas.theme), styles.muted);
        }
        if let (Some(x), Some(level)) = (self.level, line.level) {
            let word = Span::styled(level.name().to_uppercase(), level_style(level, &styles));
            canvas.spans(x, y, &[word]);
        }
        if let (Some(x), Some(place)) = (self.place, &line.place) {
            canvas.text(x, y, &fit_path(place, PLACE, canvas.theme), styles.muted);
        }
    }
}

/// A level is a word everywhere, so that nothing is told by a colour alone.
fn level_style(level: Level, styles: &Styles) -> Style {
    match level {
        Level::Trace | Level::Debug => styles.muted,
        Level::Info => styles.ink,
        Level::Warn => styles.strong,
        Level::Error => styles.danger_text,
    }
}

fn style(line: &Line, styles: &Styles) -> Style {
    match line.level {
        _ if line.is_remark => styles.muted,
        Some(level) => level_style(level, styles),
        None => styles.ink,
    }
}

/// Rows of a page: as many as there are on the screen.
pub(crate) fn page(body: Rect) -> isize {
    isize::try_from(body.height.saturating_sub(3).max(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> LogsState {
        let log = Shared::default();
        let line = |level, text: &str| Line { level, text: text.to_owned(), ..Line::default() };
        log.add(vec![
            line(None, "plain"),
            line(Some(Level::Trace), "step"),
            line(Some(Level::Info), "Up"),
            line(Some(Level::Warn), "low"),
            Line::remark("3 bytes were not understood".into()),
        ]);
        LogsState { log: Some(log), ..LogsState::default() }
    }

    #[test]
    fn lines_are_chosen_by_level_and_by_what_they_contain() {
        for (level, filter, expected) in [
            (None, "", vec![0, 1, 2, 3, 4]),
            (Some(Level::Debug), "", vec![2, 3, 4]),
            (Some(Level::Warn), "", vec![3, 4]),
            (Some(Level::Error), "", vec![4]),
            (None, "UP", vec![2]),
            (None, "info", vec![2]),
            (Some(Level::Warn), "o", vec![3, 4]),
        ] {
            let logs = LogsState { least: level, filter: filter.to_owned(), ..logs() };
            assert_eq!(logs.numbers(), expected, "{level:?} {filter:?}");
        }
    }

    #[test]
    fn scrolling_stays_at_a_line_and_follows_again_at_the_end() {
        let mut logs = logs();
        logs.walk(-2);
        assert_eq!(logs.last, Some(2));
        logs.log.as_ref().expect("there is one").add(vec![Line::default()]);
        assert_eq!(logs.last, Some(2), "what comes does not move it");
        logs.walk(isize::MIN);
        assert_eq!(logs.last, Some(0));
        logs.walk(isize::MAX);
        assert_eq!(logs.last, None);
        logs.hold(true);
        assert_eq!(logs.last, Some(5));
        logs.hold(false);
        assert_eq!(logs.last, None);
    }

    #[test]
    fn levels_go_round() {
        let mut logs = logs();
        let mut seen = Vec::new();
        for _ in 0..5 {
            logs.next_level();
            seen.push(logs.least.map(Level::name));
        }
        assert_eq!(seen, [Some("debug"), Some("info"), Some("warn"), Some("error"), None]);
    }
}
