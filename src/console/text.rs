//! A channel of plain text, line by line.

use super::{Line, MAX_LINE};
use crate::units;

/// Cuts bytes into lines, wherever the pieces end that they come in.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// Takes bytes, and gives the lines that end in them.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.open.push(*byte);
            }
            if *byte == b'\n' || self.open.len() >= MAX_LINE {
                lines.push(self.close());
            }
        }
        lines
    }

    /// What was begun and has no end, when no more is to come.
    pub fn rest(&mut self) -> Option<Line> {
        (!self.open.is_empty()).then(|| self.close())
    }

    fn close(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.open);
        Line { text: clean(&String::from_utf8_lossy(&bytes)), ..Line::default() }
    }
}

/// A text without what moves a cursor: colours are taken out, and a tabulator is four blanks.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::new();
    let mut characters = text.trim_end_matches('\r').chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            // A control sequence (ECMA-48, 5.4): parameters, then one character that ends it.
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                for c in characters.by_ref() {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            }
            '\t' => clean.push_str("    "),
            c => clean.push(c),
        }
    }
    units::printable(&clean, MAX_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_the_firmware_ends_them() {
        let mut lines = Lines::default();
        let mut texts = Vec::new();
        for piece in [&b"one\r\ntw"[..], b"o\n\n", b"\x1b[31mred\x1b[0m\tx\x07\n", b"\xff\xfe\n", b"open"] {
            texts.extend(lines.take(piece).into_iter().map(|line| line.text));
        }
        assert_eq!(texts, ["one", "two", "", "red    x?", "\u{fffd}\u{fffd}"]);
        assert_eq!((lines.rest().map(|line| line.text), lines.rest()), (Some("open".into()), None));
    }

    #[test]
    fn a_line_without_an_end_is_broken() {
        let mut lines = Lines::default();
        let found = lines.take(&vec![b'x'; 2 * MAX_LINE + 1]);
        assert!(found.iter().all(|line| line.text.len() == MAX_LINE));
        assert_eq!((found.len(), lines.rest().map(|line| line.text)), (2, Some("x".into())));
    }
}
