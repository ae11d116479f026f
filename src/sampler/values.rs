//! The fields of the one static that somebody looks at, read within bounds.
//!
//! ```text
//!   the static, in one burst ──> its fields, by the debug information ──> what pointers lead to ──> the static again
//! ```
//!
//! The second look tells whether it changed meanwhile: then its fields may not belong together. On a slow link it is
//! looked at so seldom that most of the time is left for the rest.

use std::borrow::Cow;
use std::time::Duration;

use crate::image::Image;
use crate::image::symbols::demangle;
use crate::image::values::{self, Look};
use crate::memory::Memory;
use crate::model::snapshot::{StaticValues, Trust};
use crate::region::Region;

/// The most bytes of the static itself that one look reads, twice.
const MOST_OF_IT: u32 = 512;
/// The most bytes that it reads beside: what pointers lead to, and what lies behind in a large static.
const MOST_BESIDE: u32 = 512;
/// The most reads that it makes for that: each of them costs a way there and back.
const MOST_READS: u32 = 24;
/// One part of the time is for this, so many are for the rest.
const REST: u32 = 2;
/// A word is read whole: it cannot change halfway.
const WORD: u32 = 4;

/// The most bytes that one look reads.
pub const MOST_BYTES: u32 = 2 * MOST_OF_IT + MOST_BESIDE;

/// What was read of one static.
#[derive(Debug, Default)]
pub struct Values {
    told: Option<StaticValues>,
    /// When the last look was over, and how long it took.
    ended: Duration,
    spent: Duration,
}

impl Values {
    /// Looks at the static that lies in `range`, unless the last look was too dear to have another one so soon. `None`
    /// while its type is not known: nobody asked for the debug information yet, or there is none.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, image: &Image, range: Region) -> Option<StaticValues> {
        let now = memory.now();
        let is_fresh = |told: &&StaticValues| told.range == range && now.saturating_sub(self.ended) < self.spent * REST;
        if let Some(told) = self.told.as_ref().filter(is_fresh) {
            return Some(told.clone());
        }
        self.told = read(memory, image, range);
        self.ended = memory.now();
        self.spent = self.ended.saturating_sub(now);
        self.told.clone()
    }
}

fn read(memory: &mut Memory<'_>, image: &Image, range: Region) -> Option<StaticValues> {
    if !image.knows_types() {
        return None;
    }
    let variable = image.variable_at(range.start())?;
    let whole = range.bottom(MOST_OF_IT);
    let first = memory.read_again(whole)?.into_owned();
    let mut look = Bounded { memory, image, whole, bytes: MOST_BESIDE, reads: MOST_READS, is_cut: false };
    let rows = values::rows(&variable, &mut look);
    let is_cut = look.is_cut;
    let at = memory.now();
    let is_torn = whole.size() > WORD && memory.read_again(whole).is_none_or(|second| *second != *first);
    let trust = if is_torn { Trust::Torn } else { Trust::Exact };
    Some(StaticValues { range, rows, trust, is_cut, at })
}

/// Reads within what is left.
struct Bounded<'a, 'm> {
    memory: &'a mut Memory<'m>,
    image: &'a Image,
    whole: Region,
    bytes: u32,
    reads: u32,
    is_cut: bool,
}

impl Look for Bounded<'_, '_> {
    fn bytes(&mut self, range: Region) -> Option<Vec<u8>> {
        if !self.whole.covers(range) {
            let left = (self.bytes.checked_sub(range.size()), self.reads.checked_sub(1));
            let (Some(bytes), Some(reads)) = left else {
                self.is_cut = true;
                return None;
            };
            (self.bytes, self.reads) = (bytes, reads);
        }
        self.memory.read(range).map(Cow::into_owned)
    }

    fn name(&self, address: u32) -> Option<String> {
        self.image.symbols.at(address).map(|symbol| demangle(&symbol.name))
    }
}
