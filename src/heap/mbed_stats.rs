//! Mbed's own account of the C library's heap, with MBED_HEAP_STATS_ENABLED.
//!
//! `mbed_alloc_wrappers.cpp` (Mbed OS 5 and 6, Mbed CE 7) keeps a static `mbed_stats_heap_t` of `mbed_stats.h`. It counts
//! bytes as they were asked for. `alloc_cnt` is no count of calls: each free takes one off.

use super::HeapLook;
use crate::image::Image;
use crate::image::layout;
use crate::memory::Memory;
use crate::model::snapshot::{Measured, Trust};
use crate::region::Region;

/// The most bytes of the structure that are believed.
const MOST: u32 = 256;

/// Where Mbed keeps its account, and of which heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbedStats {
    at: Region,
    heap: Region,
    /// In words from the start.
    current: usize,
    max: usize,
    in_use: usize,
    failed: usize,
}

impl MbedStats {
    /// The account of this firmware, when it keeps one.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        if !image.symbols.iter().any(|symbol| symbol.name.contains("heap_stats")) {
            return None;
        }
        let heap = layout::heap(image)?;
        // Programs have copies of the same name and type, to show them.
        let is_kept = |(file, _): (&str, u32)| file.contains("mbed_alloc_wrappers");
        let mut statics = image.types().variables();
        let kept = statics.find(|held| held.name == "heap_stats" && held.declared.is_some_and(is_kept))?;
        let word = |path: &str| {
            let field = kept.kind.field(path).filter(|field| field.kind.size() == Some(4) && field.offset % 4 == 0)?;
            Some(field.offset as usize / 4)
        };
        Some(Self {
            at: Region::new(kept.address?, kept.kind.size().filter(|size| *size <= MOST)?),
            heap,
            current: word("current_size")?,
            max: word("max_size")?,
            in_use: word("alloc_cnt")?,
            failed: word("alloc_fail_cnt")?,
        })
    }

    /// What [`MbedStats::tell`] reads.
    #[must_use]
    pub fn wants(&self) -> Region {
        self.at
    }

    /// Says of the C library's heap what Mbed counted. An agent that counts knows as much.
    pub fn tell(&self, memory: &mut Memory<'_>, looks: &mut [HeapLook]) {
        let of_it = looks.iter_mut().filter(|look| look.heap.range.overlaps(self.heap));
        let Some(look) = of_it.max_by_key(|look| look.heap.range.size()) else { return };
        let heap = &mut look.heap;
        let Some(words) = memory.words(self.at).filter(|_| heap.requested.is_none()) else { return };
        let word = |index: usize| words.get(index).copied();
        let (Some(current), Some(max), Some(in_use), Some(failed)) =
            (word(self.current), word(self.max), word(self.in_use), word(self.failed))
        else {
            return;
        };
        // Read in the middle of a call, or before the start-up code cleared it.
        if current > max || max > self.heap.size() || in_use == 0 && current > 0 {
            return;
        }
        heap.requested = Some(Measured { bytes: current, trust: Trust::Exact });
        heap.requested_peak = Some(Measured { bytes: max, trust: Trust::Exact });
        // The allocator takes more than it is asked for.
        let used = heap.used.map_or(current, |used| used.bytes);
        let most = heap.peak.map_or(0, |peak| peak.bytes).max(max).max(used);
        heap.used = heap.used.or(Some(Measured { bytes: current, trust: Trust::AtLeast }));
        heap.peak = Some(Measured { bytes: most, trust: Trust::AtLeast });
        heap.in_use = heap.in_use.or(Some(in_use));
        heap.failures = Some(failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    #[test]
    fn what_mbed_counted_is_told_and_what_it_cannot_have_counted_is_not() {
        let (at, heap) = (Region::new(0x2000_0000, 28), Region::new(0x2000_1000, 0x1000));
        let stats = MbedStats { at, heap, current: 0, max: 1, in_use: 4, failed: 5 };
        let check = |words: [u32; 7], used: Option<u32>, expected: Option<[u32; 4]>| {
            let mut bytes = Bytes::new(Region::new(0x2000_0000, 0x100));
            for (address, word) in (at.start()..).step_by(4).zip(words) {
                bytes.poke(address, word);
            }
            let mut looks = vec![HeapLook::unknown("heap", heap)];
            looks[0].heap.used = used.map(|bytes| Measured { bytes, trust: Trust::Exact });
            stats.tell(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 16), &mut looks);
            let told = &looks[0].heap;
            let figures = told.requested.zip(told.peak).zip(told.in_use).zip(told.failures);
            let figures = figures.map(|(((asked, peak), blocks), failed)| [asked.bytes, peak.bytes, blocks, failed]);
            assert_eq!(figures, expected, "{words:?}");
            assert!(told.peak.is_none_or(|peak| peak.trust == Trust::AtLeast));
            // It does not count calls.
            assert_eq!(told.allocations, None);
        };
        check([300, 900, 5000, 0x1000, 3, 2, 40], None, Some([300, 900, 3, 2]));
        check([300, 900, 5000, 0x1000, 3, 2, 40], Some(1000), Some([300, 1000, 3, 2]));
        check([0; 7], None, Some([0, 0, 0, 0]));
        check([901, 900, 5000, 0x1000, 3, 2, 40], None, None);
        check([300, 0x1001, 5000, 0x1000, 3, 2, 40], None, None);
        check([300, 900, 5000, 0x1000, 0, 2, 40], None, None);
    }
}
