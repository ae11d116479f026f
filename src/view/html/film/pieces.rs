//! Texts that are much alike, each of their pieces kept once: a piece is a line, or a cell of a table.

use std::collections::HashMap;

/// Pieces and the texts that they make.
#[derive(Default)]
pub(super) struct Pieces {
    known: HashMap<String, i64>,
    all: Vec<String>,
    moments: Vec<Vec<i64>>,
    /// Those of the text that was added last, by their numbers.
    before: Vec<i64>,
}

impl Pieces {
    /// Takes a text apart.
    pub(super) fn add(&mut self, text: &str) {
        let numbers: Vec<i64> = text.split_inclusive('\n').flat_map(cells).map(|piece| self.number(piece)).collect();
        // Where each piece was in the text before; of several, the last one.
        let places: HashMap<i64, usize> =
            self.before.iter().enumerate().map(|(place, number)| (*number, place)).collect();
        let mut runs: Vec<i64> = Vec::new();
        for number in &numbers {
            match runs.last_chunk_mut() {
                Some([start, length])
                    if *start >= 0 && self.before.get((*start + *length) as usize) == Some(number) =>
                {
                    *length += 1;
                }
                Some([start, length]) if *start < 0 && -1 - *start + *length == *number => *length += 1,
                _ => runs.extend([places.get(number).map_or(-1 - number, |place| *place as i64), 1]),
            }
        }
        self.before = numbers;
        self.moments.push(runs);
    }

    fn number(&mut self, piece: &str) -> i64 {
        if let Some(number) = self.known.get(piece) {
            return *number;
        }
        let number = self.all.len() as i64;
        self.known.insert(piece.to_owned(), number);
        self.all.push(piece.to_owned());
        number
    }

    /// Every piece, in the order in which they were first met.
    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// The texts, each as runs: where one begins and how many pieces it has, in turn. A place from 0 up is one in the text
    /// before; below 0 it stands for the piece of the number `-1 - place`.
    pub(super) fn moments(&self) -> &[Vec<i64>] {
        &self.moments
    }
}

/// A line cut before each of its cells.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("<td").map(|(at, _)| at).filter(|at| *at > 0);
    let ends = starts.clone().chain([line.len()]);
    std::iter::once(0).chain(starts).zip(ends).map(|(start, end)| &line[start..end])
}

/// Puts the texts together again, as the script of the page does.
#[cfg(test)]
pub(in crate::view::html) fn together(all: &[String], moments: &[Vec<i64>]) -> Vec<String> {
    let mut before: Vec<usize> = Vec::new();
    let mut texts = Vec::new();
    for runs in moments {
        let mut numbers = Vec::new();
        for run in runs.chunks_exact(2) {
            let numbers_of = |step: i64| match run[0] {
                start @ 0.. => before[(start + step) as usize],
                start => (-1 - start + step) as usize,
            };
            numbers.extend((0..run[1]).map(numbers_of));
        }
        texts.push(numbers.iter().map(|number| all[*number].as_str()).collect());
        before = numbers;
    }
    texts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back_as_they_were(texts in prop::collection::vec("([abc]|<td>|\n){0,12}", 1..6)) {
            let mut pieces = Pieces::default();
            for text in &texts {
                pieces.add(text);
            }
            prop_assert_eq!(together(pieces.all(), pieces.moments()), texts);
        }
    }
}
