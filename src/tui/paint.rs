//! Putting text into cells: clipped, by display width, and never out of the buffer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use crate::units;

/// The longest name that is looked at: names come from the target, and may be anything.
const NAME_LIMIT: usize = 160;
/// The longest sentence, with a few such names in it.
const SENTENCE_LIMIT: usize = 4 * NAME_LIMIT;

/// Words that stay with the number before them.
const UNITS: [&str; 6] = ["B", "%", "%,", "s", "KiB", "min"];

/// A part of the screen to draw in; nothing drawn leaves it.
pub(crate) struct Canvas<'a> {
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) area: Rect,
    pub(crate) theme: &'a Theme,
}

impl<'a> Canvas<'a> {
    pub(crate) fn new(buffer: &'a mut Buffer, area: Rect, theme: &'a Theme) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme }
    }

    /// Draws text from `x` on and says where it ended.
    pub(crate) fn text(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if y < self.area.top() || y >= self.area.bottom() || x < self.area.left() || x >= self.area.right() {
            return x;
        }
        let room = self.area.right() - x;
        // A figure that lost its last digits is another figure: words and numbers are not cut without a sign.
        let cut = width(text.trim_end()) > room && text.contains(char::is_alphanumeric);
        let cut = cut.then(|| fit(text, room, self.theme));
        let text = cut.as_deref().unwrap_or(text);
        // What stood here before leaves nothing of its style behind.
        self.buffer.set_stringn(x, y, text, usize::from(room), Style::reset().patch(style)).0
    }

    /// Draws text that ends before `end`.
    pub(crate) fn right(&mut self, end: u16, y: u16, text: &str, style: Style) {
        self.text(end.saturating_sub(width(text)), y, text, style);
    }

    /// Draws styled text and says where it ended.
    pub(crate) fn spans(&mut self, x: u16, y: u16, spans: &[Span<'_>]) -> u16 {
        spans.iter().fold(x, |x, span| self.text(x, y, &span.content, span.style))
    }

    /// Draws lines one below the other.
    pub(crate) fn lines(&mut self, x: u16, y: u16, lines: &[Line<'_>]) {
        for (line, y) in lines.iter().zip(y..) {
            self.spans(x, y, &line.spans);
        }
    }

    /// Repeats one glyph from `x` up to `end`.
    pub(crate) fn fill(&mut self, x: u16, end: u16, y: u16, glyph: &str, style: Style) {
        for x in x..end {
            self.text(x, y, glyph, style);
        }
    }
}

/// The number of cells that text takes.
pub(crate) fn width(text: &str) -> u16 {
    count(Span::raw(text).width())
}

/// The number of cells that spans take.
pub(crate) fn spans_width(spans: &[Span<'_>]) -> u16 {
    spans.iter().map(|span| width(&span.content)).fold(0, u16::saturating_add)
}

/// A count as a number of cells.
pub(crate) fn count(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// How many of `cells` cells `part` of `whole` is, rounded.
pub(crate) fn share(part: u64, whole: u64, cells: u16) -> u16 {
    if whole == 0 {
        return 0;
    }
    let part = part.min(whole);
    u16::try_from((part * u64::from(cells) * 2 + whole) / (whole * 2)).unwrap_or(cells)
}

/// A name from the target or a file, safe to draw: no control characters, and only ASCII when nothing else is drawn.
pub(crate) fn safe(name: &str, theme: &Theme) -> String {
    safe_text(name, NAME_LIMIT, theme)
}

/// The same for a sentence with such names in it.
pub(crate) fn safe_sentence(sentence: &str, theme: &Theme) -> String {
    safe_text(sentence, SENTENCE_LIMIT, theme)
}

/// The same for a text of at most `limit` characters.
pub(crate) fn safe_text(text: &str, limit: usize, theme: &Theme) -> String {
    let name = units::printable(text, limit);
    if theme.glyphs.ascii {
        return name.chars().map(|c| if c.is_ascii() { c } else { ascii_for(c) }).collect();
    }
    name
}

fn ascii_for(c: char) -> char {
    if c == '…' { '~' } else { '?' }
}

/// A name cut to so many cells, with a mark where it was cut.
pub(crate) fn fit(name: &str, cells: u16, theme: &Theme) -> String {
    let name = safe(name, theme);
    if width(&name) <= cells {
        return name;
    }
    if cells == 0 {
        return String::new();
    }
    let mut cut = String::new();
    for c in name.chars() {
        cut.push(c);
        // The mark of the cut needs a cell too.
        if width(&cut) >= cells {
            cut.pop();
            break;
        }
    }
    cut.push_str(theme.glyphs.cut);
    cut
}

/// A path cut in its middle to so many cells: its end says more than what is before it.
pub(crate) fn fit_path(name: &str, cells: u16, theme: &Theme) -> String {
    let name = safe(name, theme);
    if width(&name) <= cells {
        return name;
    }
    let tail_cells = cells.saturating_sub(1) * 2 / 3;
    let mut tail: Vec<char> = Vec::new();
    for c in name.chars().rev() {
        tail.insert(0, c);
        if width(&tail.iter().collect::<String>()) > tail_cells {
            tail.remove(0);
            break;
        }
    }
    let tail: String = tail.into_iter().collect();
    let head = fit(&name, cells.saturating_sub(width(&tail)), theme);
    head + &tail
}

/// One line with something at its left and something at its right; the right side goes when both do not fit.
pub(crate) fn spread(left: Vec<Span<'static>>, right: Vec<Span<'static>>, cells: u16) -> Line<'static> {
    let used = spans_width(&left).saturating_add(spans_width(&right));
    if right.is_empty() || used >= cells {
        return Line::from(left);
    }
    let gap = Span::raw(" ".repeat(usize::from(cells - used)));
    Line::from(left.into_iter().chain([gap]).chain(right).collect::<Vec<_>>())
}

/// A sentence in lines of at most so many cells.
pub(crate) fn wrap(sentence: &str, cells: u16) -> Vec<String> {
    let mut lines = vec![String::new()];
    let words: Vec<&str> = sentence.split_whitespace().collect();
    // A number and its unit stay on one line.
    let apart = |one: &&str, next: &&str| !(one.bytes().all(|byte| byte.is_ascii_digit()) && UNITS.contains(next));
    for words in words.chunk_by(|one, next| !apart(one, next)) {
        let word = &words.join(" ");
        let last = lines.last_mut().expect("there is always a line");
        if last.is_empty() {
            last.push_str(word);
        } else if width(last) + 1 + width(word) <= cells {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.clone());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_by_what_they_take_on_the_screen() {
        let theme = Theme::default();
        assert_eq!(fit("uart_rx_buf", 20, &theme), "uart_rx_buf");
        assert_eq!(fit("uart_rx_buf", 6, &theme), "uart_…");
        // A wide character takes two cells, and half a one cannot be drawn.
        assert_eq!(width(&fit("漢字漢字漢字", 6, &theme)), 5);
        assert_eq!(fit("abc", 0, &theme), "");
        assert_eq!(fit("abc", 1, &theme), "…");
    }

    #[test]
    fn what_does_not_fit_is_cut_with_a_sign() {
        let theme = Theme::default();
        for (text, expected) in
            [("1033 B", "1033 B"), ("1033 KiB", "1033 …"), ("1033 B   ", "1033 B"), ("██████████", "██████")]
        {
            let area = Rect::new(0, 0, 8, 1);
            let mut buffer = Buffer::empty(area);
            Canvas::new(&mut buffer, area, &theme).text(2, 0, text, Style::default());
            let drawn: String = (2..8).map(|x| buffer[(x, 0)].symbol()).collect();
            assert_eq!(drawn, expected);
        }
    }

    #[test]
    fn a_share_is_rounded_and_stays_inside() {
        assert_eq!(share(3656, 4096, 23), 21);
        assert_eq!(share(1, 0, 23), 0);
        assert_eq!(share(9, 3, 23), 23);
    }

    #[test]
    fn sentences_wrap_at_words() {
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
        assert_eq!(wrap("it has 440 B left", 8), ["it has", "440 B", "left"]);
        assert_eq!(wrap("", 8), [""]);
    }
}
