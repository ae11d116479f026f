//! Counts the target's resets from witnesses that speak at different times: the core's sticky reset flag, which is asked for
//! now and then and which a server may have cleared, the boot count in the agent's block, which moves when the firmware
//! starts, and what `witnesses` sees in its memory.

use std::time::Duration;

/// How long after one witness the others still speak of the same reset: the flag is asked for every tenth of a
/// second, and a firmware starts within a few seconds of its reset.
const SAME_RESET: Duration = Duration::from_secs(3);

/// Who speaks of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The core's flag.
    Flag,
    /// The agent's boot count moved.
    Boots,
    /// A counter that only grows has fallen.
    Count,
    /// A stack that was used is paint again.
    Paint,
}

/// What became known of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// The target was reset: a new epoch.
    Reset,
    /// Another witness of a reset that was counted already: what was read since may be of the old run.
    Confirmed,
}

/// The resets seen so far.
#[derive(Debug, Default)]
pub struct Epochs {
    count: u32,
    boots: Option<u32>,
    /// When the last one was counted, and who has spoken of it. None of them speaks of one reset twice.
    last: Option<(Duration, Vec<Witness>)>,
}

impl Epochs {
    /// How many resets there were.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// A witness speaks of a reset.
    pub fn hear(&mut self, witness: Witness, now: Duration) -> News {
        if let Some((at, heard)) = &mut self.last
            && now.saturating_sub(*at) < SAME_RESET
            && !heard.contains(&witness)
        {
            heard.push(witness);
            return News::Confirmed;
        }
        self.last = Some((now, vec![witness]));
        self.count += 1;
        News::Reset
    }

    /// The block's boot count was read.
    pub fn boots(&mut self, boots: u32, now: Duration) -> News {
        match self.boots.replace(boots) {
            Some(before) if before != boots => self.hear(Witness::Boots, now),
            _ => News::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reset_with_several_witnesses_is_one_reset() {
        let at = Duration::from_millis;
        // The flag first, the boot count when the firmware has started.
        let mut epochs = Epochs::default();
        assert_eq!(epochs.boots(1, at(0)), News::None);
        assert_eq!(epochs.hear(Witness::Flag, at(1000)), News::Reset);
        assert_eq!(epochs.boots(1, at(1001)), News::None);
        assert_eq!(epochs.boots(2, at(1100)), News::Confirmed);
        assert_eq!(epochs.hear(Witness::Count, at(1100)), News::Confirmed);
        assert_eq!(epochs.hear(Witness::Paint, at(1133)), News::Confirmed);
        assert_eq!(epochs.count(), 1);
        // The boot count first, the flag when it is asked for.
        assert_eq!(epochs.boots(3, at(9000)), News::Reset);
        assert_eq!(epochs.hear(Witness::Flag, at(9080)), News::Confirmed);
        assert_eq!(epochs.count(), 2);
        // Soon after, one that has spoken of it already speaks of another.
        assert_eq!(epochs.hear(Witness::Flag, at(10_000)), News::Reset);
        // Long apart, they are two.
        assert_eq!(epochs.hear(Witness::Flag, at(20_000)), News::Reset);
        assert_eq!(epochs.boots(4, at(30_000)), News::Reset);
        assert_eq!(epochs.count(), 5);
    }
}
