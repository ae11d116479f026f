//! How much to read in one refresh, from what the link was measured to cost.

use crate::region::Region;
use crate::source::link::LinkCost;
use crate::stack::watermark::Effort;

/// The window below a mark when nothing bounds a frame, or its bound would cost too much, in bytes.
const SMALL_WINDOW: u32 = 32;
/// The background scan's chunk: at least the guard of a stack, at most a few pages.
const CHUNK: std::ops::RangeInclusive<u32> = 32..=4096;
/// The share of a refresh's time that may be spent reading: the rest is slack for reads that find use.
const SHARE: f64 = 0.7;

/// A plan for one refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to read of a stack; the background part is for the one whose turn it is.
    pub effort: Effort,
    /// The window is as large as the largest frame: nothing can hide below it.
    pub window_is_bound: bool,
}

/// Plans a refresh of `stacks` stacks that also reads `fixed`, within `period` seconds (`None`: as fast as it goes).
#[must_use]
pub fn plan(cost: &LinkCost, period: Option<f64>, stacks: usize, fixed: &[Region], largest_frame: Option<u32>) -> Plan {
    let somewhere = |size: u32| cost.seconds(Region::new(0, size));
    let fixed: f64 = fixed.iter().map(|range| cost.seconds(*range)).sum();
    let time_with = |window: u32| fixed + stacks as f64 * (somewhere(window) + somewhere(4));
    let allowed = period.map(|period| period * SHARE);
    let bound = largest_frame.map(|frame| frame.next_multiple_of(4).max(SMALL_WINDOW));
    let (window, window_is_bound) = match (bound, allowed) {
        (Some(bound), Some(allowed)) if time_with(bound) + somewhere(*CHUNK.start()) <= allowed => (bound, true),
        // A frame that fits into the small window costs nothing more.
        (Some(bound), None) if bound <= SMALL_WINDOW => (bound, true),
        _ => (SMALL_WINDOW, false),
    };
    let left = allowed.map_or(0.0, |allowed| allowed - time_with(window));
    let per_byte = (cost.word + cost.command / f64::from(cost.packet_words)) / 4.0;
    let background = ((left - cost.command) / per_byte).clamp(0.0, f64::from(*CHUNK.end())) as u32;
    Plan { effort: Effort { window, background: (background & !3).max(*CHUNK.start()) }, window_is_bound }
}

/// Bytes of the stack that somebody looks at word by word that one refresh may read.
#[must_use]
pub fn detail(cost: &LinkCost, period: Option<f64>) -> u32 {
    /// As many as fit here even on the fastest link: more would only be read again before anyone saw it.
    const AT_MOST: u32 = 4096;
    /// Progress even on the slowest.
    const AT_LEAST: u32 = 64;
    /// What it may take of a refresh: the rest of the time belongs to the marks.
    const PART: f64 = 0.3;
    let allowed = period.unwrap_or(1.0 / 30.0) * PART;
    let per_byte = (cost.word + cost.command / f64::from(cost.packet_words)) / 4.0;
    let bytes = ((allowed - cost.command) / per_byte.max(f64::MIN_POSITIVE)).clamp(0.0, f64::from(AT_MOST)) as u32;
    (bytes & !3).max(AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Reach;

    const FULL_SPEED: LinkCost = LinkCost { command: 260e-6, word: 11.5e-6, packet_words: 14, reach: Reach::Probe };

    #[test]
    fn at_thirty_hertz_the_window_is_as_large_as_the_largest_frame() {
        let plan = plan(&FULL_SPEED, Some(1.0 / 30.0), 8, &[], Some(120));
        assert!(plan.window_is_bound && plan.effort.window == 120 && plan.effort.background > 100, "{plan:?}");
    }

    #[test]
    fn as_fast_as_it_goes_reads_the_least() {
        let plan = plan(&FULL_SPEED, None, 8, &[], Some(120));
        assert_eq!(plan.effort, Effort { window: 32, background: 32 });
        assert!(!plan.window_is_bound);
    }

    #[test]
    fn a_link_that_is_too_slow_still_makes_progress() {
        let hid = LinkCost { command: 1.9e-3, word: 11.5e-6, packet_words: 14, ..LinkCost::default() };
        let plan = plan(&hid, Some(1.0 / 60.0), 32, &[], Some(4000));
        assert_eq!(plan.effort, Effort { window: 32, background: 32 });
    }

    #[test]
    fn a_stack_word_by_word_costs_what_the_link_can_bear() {
        let ideal = LinkCost { command: 0.0, word: 0.0, packet_words: 14, ..LinkCost::default() };
        let hid = LinkCost { command: 1.9e-3, word: 11.5e-6, packet_words: 14, ..LinkCost::default() };
        assert_eq!(detail(&ideal, Some(1.0 / 30.0)), 4096);
        assert!((1000..2000).contains(&detail(&FULL_SPEED, Some(1.0 / 30.0))));
        assert!((64..512).contains(&detail(&hid, Some(1.0 / 30.0))));
        assert_eq!(detail(&hid, Some(1.0 / 1000.0)), 64);
    }
}
