//! Counts the target's resets from two witnesses that speak at different times: the core's sticky reset flag, which is
//! asked for now and then, and the boot count in the agent's block, which moves when the firmware starts.

use std::time::Duration;

/// How long after one witness the other still speaks of the same reset: the flag is asked for every tenth of a
/// second, and a firmware starts within a few seconds of its reset.
const SAME_RESET: Duration = Duration::from_secs(3);

/// What became known of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// The target was reset: a new epoch.
    Reset,
    /// The other witness of a reset that was counted already: what was read since may be of the old run.
    Confirmed,
}

/// The resets seen so far.
#[derive(Debug, Default)]
pub struct Epochs {
    count: u32,
    boots: Option<u32>,
    flagged: Option<Duration>,
    booted: Option<Duration>,
}

impl Epochs {
    /// How many resets there were.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The core's flag said that it was reset.
    pub fn flag(&mut self, now: Duration) -> News {
        if self.booted.take().is_some_and(|booted| now.saturating_sub(booted) < SAME_RESET) {
            return News::Confirmed;
        }
        self.flagged = Some(now);
        self.count += 1;
        News::Reset
    }

    /// The block's boot count was read.
    pub fn boots(&mut self, boots: u32, now: Duration) -> News {
        let before = self.boots.replace(boots);
        if before.is_none_or(|before| before == boots) {
            return News::None;
        }
        if self.flagged.take().is_some_and(|flagged| now.saturating_sub(flagged) < SAME_RESET) {
            return News::Confirmed;
        }
        self.booted = Some(now);
        self.count += 1;
        News::Reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reset_with_two_witnesses_is_one_reset() {
        let at = Duration::from_millis;
        // The flag first, the boot count when the firmware has started.
        let mut epochs = Epochs::default();
        assert_eq!(epochs.boots(1, at(0)), News::None);
        assert_eq!(epochs.flag(at(1000)), News::Reset);
        assert_eq!(epochs.boots(1, at(1001)), News::None);
        assert_eq!(epochs.boots(2, at(1100)), News::Confirmed);
        assert_eq!(epochs.count(), 1);
        // The boot count first, the flag when it is asked for.
        assert_eq!(epochs.boots(3, at(9000)), News::Reset);
        assert_eq!(epochs.flag(at(9080)), News::Confirmed);
        assert_eq!(epochs.count(), 2);
        // Long apart, they are two.
        assert_eq!(epochs.flag(at(20_000)), News::Reset);
        assert_eq!(epochs.boots(4, at(30_000)), News::Reset);
        assert_eq!(epochs.count(), 4);
    }
}
