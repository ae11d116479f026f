//! Since when each stack's mark stands where it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::snapshot::{Health, Snapshot, Stack, Trust};

/// When each stack was last seen to go deeper. One that was there at the first look and did not move since is not in it:
/// how long it has stood is not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// By [`Stack::id`].
    risen: BTreeMap<String, Duration>,
}

impl Standing {
    /// When the mark of this stack was last seen to move, since the attach.
    #[must_use]
    pub fn since(&self, id: &str) -> Option<Duration> {
        self.risen.get(id).copied()
    }

    /// Takes what became of the stacks between two snapshots. A stack that appears, and each after a reset, begins there.
    pub fn follow(&mut self, before: &Snapshot, now: &Snapshot) {
        self.risen.retain(|id, _| now.stacks.iter().any(|stack| stack.id == *id));
        // The first look finds what was there before.
        if before.health == Health::Static || now.health != Health::Live {
            return;
        }
        let was_reset = before.epoch != now.epoch;
        for stack in &now.stacks {
            let earlier = before.stacks.iter().find(|earlier| earlier.id == stack.id);
            if was_reset || earlier.is_none_or(|earlier| rose(earlier, stack)) {
                self.risen.insert(stack.id.clone(), now.at);
            }
        }
    }
}

/// Whether it went deeper. Paint that is read bit by bit tells of more use as well, and that is older.
fn rose(earlier: &Stack, now: &Stack) -> bool {
    let sure = earlier.deepest().filter(|deepest| deepest.trust == Trust::Exact);
    sure.zip(now.deepest()).is_some_and(|(earlier, now)| now.bytes > earlier.bytes)
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Measured;
    use super::super::testing::{live, stack};
    use super::*;

    fn look(at: u64, epoch: u32, stacks: &[(&str, u32, Trust)]) -> Snapshot {
        let stacks = stacks.iter().map(|(name, bytes, trust)| Stack {
            id: (*name).into(),
            peak: Some(Measured { bytes: *bytes, trust: *trust }),
            ..stack(name, *bytes)
        });
        Snapshot { epoch, stacks: stacks.collect(), ..live(at) }
    }

    #[test]
    fn a_mark_stands_since_it_was_last_seen_to_move() {
        use Trust::{AtLeast, Exact};
        let first = Snapshot { health: Health::Static, ..look(0, 0, &[("a", 0, Exact)]) };
        let looks = [
            (look(1, 0, &[("a", 100, Exact)]), "a", None),
            (look(2, 0, &[("a", 100, Exact)]), "a", None),
            (look(3, 0, &[("a", 104, Exact)]), "a", Some(3)),
            (look(4, 0, &[("a", 104, Exact), ("b", 8, AtLeast)]), "b", Some(4)),
            (look(5, 0, &[("a", 104, Exact), ("b", 80, Exact)]), "b", Some(4)),
            (look(6, 0, &[("a", 104, Exact), ("b", 84, Exact)]), "a", Some(3)),
            (look(7, 0, &[("b", 88, Exact)]), "a", None),
            (look(8, 1, &[("b", 4, Exact)]), "b", Some(8)),
        ];
        let mut standing = Standing::default();
        let mut before = first;
        for (now, id, since) in looks {
            standing.follow(&before, &now);
            assert_eq!(standing.since(id), since.map(Duration::from_secs), "{id} at {:?}", now.at);
            before = now;
        }
    }
}
