//! What to do when the link fails: wait a little, then open it again, with longer and longer pauses.

use std::time::Duration;

use crate::model::snapshot::Health;
use crate::source::{ReadError, Source};

/// Refreshes in a row that may find the target busy before the link is opened again.
const PATIENCE: u32 = 20;
/// The first pause between two tries to open the link.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The state of a link that failed.
#[derive(Debug)]
pub struct Ladder {
    last_good: Duration,
    busy: u32,
    lost: Option<Lost>,
}

/// A link that is gone.
#[derive(Debug)]
struct Lost {
    why: String,
    /// When it is opened again; never after a refusal.
    next_try: Option<Duration>,
    pause: Duration,
}

impl Ladder {
    /// A link that works, at `now`.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self { last_good: now, busy: 0, lost: None }
    }

    /// Whether the link can be used now; tries to open it when it is time to.
    pub fn ready(&mut self, source: &mut dyn Source) -> bool {
        let Some(lost) = &mut self.lost else { return true };
        let now = source.now();
        if lost.next_try.is_none_or(|next| now < next) {
            return false;
        }
        match source.reopen() {
            Ok(()) => {
                self.lost = None;
                self.busy = 0;
                true
            }
            Err(error) => {
                lost.why = error.to_string();
                lost.pause = (lost.pause * 2).min(LONGEST_PAUSE);
                // A refused target would be touched by each try.
                let is_refused = matches!(error, ReadError::Refused(_));
                lost.next_try = (!is_refused).then_some(now + lost.pause);
                false
            }
        }
    }

    /// Why the link is not opened again, when it is not.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.lost.as_ref().filter(|lost| lost.next_try.is_none()).map(|lost| lost.why.as_str())
    }

    /// A refresh came through.
    pub fn succeed(&mut self, now: Duration) {
        self.last_good = now;
        self.busy = 0;
    }

    /// A refresh failed.
    pub fn fail(&mut self, error: &ReadError, now: Duration) {
        self.busy += 1;
        if matches!(error, ReadError::Gone(_)) || self.busy > PATIENCE {
            self.lost = Some(Lost { why: error.to_string(), next_try: Some(now), pause: FIRST_PAUSE });
        }
    }

    /// What to tell the user after a failure with this reason.
    #[must_use]
    pub fn health(&self, why: &str) -> Health {
        match &self.lost {
            Some(lost) => Health::Reconnecting { since: self.last_good, why: lost.why.clone() },
            None => Health::Stale { since: self.last_good, why: why.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;
    use crate::source::{CoreStatus, Counters, Description};

    /// A link that is gone until a moment, and counts when somebody tried to open it.
    struct Gone {
        now: Duration,
        until: Duration,
        why: fn() -> ReadError,
        tries: Vec<u64>,
    }

    impl Source for Gone {
        fn read(&mut self, range: Region, _into: &mut [u8]) -> Result<(), ReadError> {
            Err(ReadError::Unreadable { range, why: "gone".into() })
        }

        fn status(&mut self) -> Result<CoreStatus, ReadError> {
            Ok(CoreStatus::Running)
        }

        fn reopen(&mut self) -> Result<(), ReadError> {
            self.tries.push(u64::try_from(self.now.as_millis()).unwrap_or(0));
            if self.now < self.until { Err((self.why)()) } else { Ok(()) }
        }

        fn now(&self) -> Duration {
            self.now
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
        }

        fn describe(&self) -> Description {
            Description::default()
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }
    }

    fn gone(until: Duration) -> Gone {
        Gone { now: Duration::ZERO, until, why: || ReadError::Gone("still".into()), tries: Vec::new() }
    }

    fn busy() -> ReadError {
        ReadError::Busy("asleep".into())
    }

    #[test]
    fn tries_to_open_a_link_come_in_longer_and_longer_pauses() {
        let mut source = gone(Duration::from_millis(7000));
        let mut ladder = Ladder::new(Duration::ZERO);
        assert!(ladder.ready(&mut source) && source.tries.is_empty(), "a link that works is not opened");
        ladder.fail(&ReadError::Gone("unplugged".into()), Duration::ZERO);
        while !ladder.ready(&mut source) {
            source.wait(Duration::from_millis(50));
        }
        // At once, then 200 ms later, and twice as long each time, up to two seconds.
        assert_eq!(source.tries, [0, 200, 600, 1400, 3000, 5000, 7000]);
        ladder.succeed(source.now);
        assert!(ladder.ready(&mut source));
        // The next loss begins with short pauses again.
        source.until = Duration::from_secs(20);
        source.tries.clear();
        ladder.fail(&ReadError::Gone("unplugged".into()), source.now);
        for _ in 0..10 {
            assert!(!ladder.ready(&mut source));
            source.wait(Duration::from_millis(50));
        }
        assert_eq!(source.tries, [7000, 7200]);
    }

    #[test]
    fn a_target_that_was_refused_is_not_asked_again() {
        let mut source = gone(Duration::from_secs(3600));
        source.why = || ReadError::Refused("it stops the core".into());
        let mut ladder = Ladder::new(Duration::ZERO);
        ladder.fail(&ReadError::Gone("unplugged".into()), Duration::ZERO);
        for _ in 0..100 {
            assert!(!ladder.ready(&mut source));
            source.wait(Duration::from_secs(1));
        }
        assert_eq!(source.tries, [0]);
        assert!(ladder.refused().is_some_and(|why| why.contains("it stops the core")));
    }

    #[test]
    fn a_busy_target_is_waited_for_before_the_link_is_opened_again() {
        let mut source = gone(Duration::ZERO);
        let mut ladder = Ladder::new(Duration::ZERO);
        // As often as its patience lasts, and one good refresh gives it all back.
        for _ in 0..2 {
            for _ in 0..PATIENCE {
                ladder.fail(&busy(), Duration::ZERO);
                assert!(matches!(ladder.health("asleep"), Health::Stale { .. }));
                assert!(ladder.ready(&mut source));
            }
            ladder.succeed(Duration::ZERO);
        }
        assert_eq!(source.tries, [0; 0]);
        for _ in 0..=PATIENCE {
            ladder.fail(&busy(), Duration::ZERO);
        }
        assert!(matches!(ladder.health("asleep"), Health::Reconnecting { .. }));
        assert!(ladder.ready(&mut source));
        assert_eq!(source.tries, [0]);
    }
}
