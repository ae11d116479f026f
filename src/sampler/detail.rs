//! The words of the one stack that somebody looks at, read piece by piece within a budget.
//!
//! ```text
//!   limit ........ untouched ........|256 B|▒▒▒ left behind ▒▒▒|███ in use ███| first use
//!                                    |<---------- read, from the first use down ---------|
//! ```

use std::time::Duration;

use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Stack, StackWords, Trace};
use crate::region::Region;
use crate::stack::Paint;
use crate::stack::traces::{self, Span};

/// Bytes of untouched stack that are shown below the mark.
const BELOW_MARK: u32 = 256;
/// Bytes from the first use down when nothing tells how deep the stack was used.
const UNKNOWN_DEPTH: u32 = 2048;
/// Bytes of one stack that are kept at most.
const LIMIT: u32 = 64 << 10;

/// What is known of the words of one stack.
#[derive(Debug, Default)]
pub struct Detail {
    id: String,
    stack: Region,
    /// From the first use down, so that what is known keeps its index when the mark falls.
    words: Vec<Option<u32>>,
    next: usize,
    told: Option<StackWords>,
}

impl Detail {
    /// Reads at most `budget` bytes of `stack`, and tells all that is known of its words; `None` before the first.
    pub fn refresh(
        &mut self,
        memory: &mut Memory<'_>,
        image: &Image,
        stack: &Stack,
        paint: Paint,
        budget: u32,
        now: Duration,
    ) -> Option<StackWords> {
        let range = stack.range.whole_words();
        if self.id != stack.id || self.stack != range {
            *self = Self { id: stack.id.clone(), stack: range, ..Self::default() };
        }
        let deepest = stack.deepest().into_iter().chain(stack.current).map(|measured| measured.bytes).max();
        let deep = deepest.unwrap_or(UNKNOWN_DEPTH);
        let wanted = range.top(deep.saturating_add(BELOW_MARK).min(LIMIT)).size() as usize / 4;
        if self.words.len() < wanted {
            self.words.resize(wanted, None);
        }
        self.read(memory, budget);
        let known: Vec<u32> = self.words.iter().map_while(|word| *word).collect();
        if known.is_empty() {
            return None;
        }
        let sp = stack.current.map(|current| range.top(current.bytes).start());
        self.tell(image, known, sp, paint, now)
    }

    /// Reads the next piece; after the last one, the first again.
    fn read(&mut self, memory: &mut Memory<'_>, budget: u32) {
        let count = self.words.len();
        if self.next >= count {
            self.next = 0;
        }
        let end = count.min(self.next + (budget as usize / 4).max(1));
        let bytes = |words: usize| u32::try_from(4 * words).unwrap_or(u32::MAX);
        let piece = self.stack.top(bytes(end)).bottom(bytes(end - self.next));
        if let Some(words) = memory.words(piece) {
            for (place, word) in self.words[self.next..end].iter_mut().zip(words.iter().rev()) {
                *place = Some(*word);
            }
        }
        self.next = end;
    }

    /// The words in address order, with the traces in them. These are sought again only when something changed: a
    /// thread that waits has the same stack for many refreshes.
    fn tell(
        &mut self,
        image: &Image,
        mut words: Vec<u32>,
        sp: Option<u32>,
        paint: Paint,
        now: Duration,
    ) -> Option<StackWords> {
        words.reverse();
        let start = self.stack.top(u32::try_from(4 * words.len()).unwrap_or(u32::MAX)).start();
        let same = self.told.take().filter(|told| told.words == words && told.sp == sp);
        let traces: Vec<Trace> = match same {
            Some(told) => told.traces,
            None => traces::find(image, &Span { start, words: &words, sp }),
        };
        let paint = match paint {
            Paint::Word(word) => Some(word),
            Paint::None => None,
        };
        self.told = Some(StackWords { id: self.id.clone(), start, words, sp, paint, at: now, traces });
        self.told.clone()
    }
}
