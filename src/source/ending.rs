//! That this process was told to end: from then on nobody waits long for an answer.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a server may still take to answer: enough to let a core go on that stands.
const GRACE: Duration = Duration::from_millis(100);
/// How often whoever waits looks whether the end has come.
const LOOK: Duration = Duration::from_millis(20);

/// One process ends once, so this is the process's.
static SINCE: OnceLock<Instant> = OnceLock::new();

/// The end has come.
pub fn begin() {
    SINCE.get_or_init(Instant::now);
}

/// Until when is waited for what may take until `deadline`.
pub(super) fn deadline(deadline: Instant) -> Instant {
    capped(deadline, SINCE.get().copied())
}

/// How long may be waited at once, of `left`, before somebody looks again.
pub(super) fn look(left: Duration) -> Duration {
    left.min(LOOK)
}

/// Lets `time` pass, or what is left of it when the end comes.
pub(super) fn sleep(time: Duration) {
    let until = Instant::now().checked_add(time);
    while SINCE.get().is_none() {
        let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return;
        }
        std::thread::sleep(look(left));
    }
}

fn capped(deadline: Instant, since: Option<Instant>) -> Instant {
    since.map_or(deadline, |since| deadline.min(since + GRACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_end_has_come_nobody_waits_longer_than_a_tenth_of_a_second() {
        let now = Instant::now();
        let later = |ms| now + Duration::from_millis(ms);
        for (deadline, since, until) in
            [(3000, None, 3000), (3000, Some(0), 100), (3000, Some(500), 600), (50, Some(0), 50), (50, Some(500), 50)]
        {
            assert_eq!(capped(later(deadline), since.map(later)), later(until), "{deadline} {since:?}");
        }
    }
}
