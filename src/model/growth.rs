//! How fast each place in the program that asks for memory holds more of it, and which of them leak.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::snapshot::{CallSite, Heap, Owner, Trust};

/// What is looked back on.
const SPAN: Duration = Duration::from_secs(60);
/// Between two samples.
const STEP: Duration = Duration::from_secs(1);
/// The shortest time from which a rate is told.
const SHORTEST: Duration = Duration::from_secs(4);
/// The shortest time from which a leak is told.
const LEAK: Duration = Duration::from_secs(8);
/// Places that are followed: far more than a firmware has.
const KEPT: usize = 1024;

type Samples = VecDeque<(Duration, u32)>;

/// The last minute of every place, a sample each second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    /// By the heap's id and the place.
    places: BTreeMap<(String, CallSite), Samples>,
    last: Option<Duration>,
}

impl Growth {
    /// Takes what each place holds at `at`, and says in `heaps` how fast that grows.
    pub fn follow(&mut self, at: Duration, heaps: &mut [Heap]) {
        let due = self.last.is_none_or(|last| at.saturating_sub(last) >= STEP);
        if due && heaps.iter().any(|heap| heap.owners_trust == Trust::Exact) {
            self.last = Some(at);
            self.sample(at, heaps);
        }
        for heap in heaps {
            let id = heap.id();
            for owner in heap.owners.iter_mut().flatten() {
                let samples = self.places.get(&(id.clone(), owner.site.clone()));
                owner.growth = samples.and_then(|samples| rate(samples, at));
                owner.leaks = owner.growth.is_some() && samples.is_some_and(leaks);
            }
        }
    }

    fn sample(&mut self, at: Duration, heaps: &[Heap]) {
        for samples in self.places.values_mut() {
            // Who is not told of any more holds nothing.
            samples.push_back((at, 0));
        }
        for heap in heaps {
            for owner in heap.owners.iter().flatten() {
                let key = (heap.id(), owner.site.clone());
                if let Some(sample) = self.places.get_mut(&key).and_then(VecDeque::back_mut) {
                    *sample = (at, owner.bytes);
                } else if self.places.len() < KEPT {
                    self.places.insert(key, VecDeque::from([(at, owner.bytes)]));
                }
            }
        }
        self.places.retain(|_, samples| {
            while samples.front().is_some_and(|(first, _)| at.saturating_sub(*first) > SPAN) {
                samples.pop_front();
            }
            samples.iter().any(|(_, bytes)| *bytes > 0)
        });
    }
}

/// The slope of the line that fits the samples best, in bytes per minute.
fn rate(samples: &Samples, now: Duration) -> Option<f64> {
    let (first, _) = samples.front()?;
    if now.saturating_sub(*first) < SHORTEST || samples.len() < 3 {
        return None;
    }
    let count = samples.len() as f64;
    let point = |(at, bytes): &(Duration, u32)| (at.saturating_sub(*first).as_secs_f64() / 60.0, f64::from(*bytes));
    let (sum_x, sum_y) = samples.iter().map(point).fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x, sum.1 + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in samples.iter().map(point) {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    (below > 0.0).then(|| above / below)
}

/// Whether nothing was ever given back, and more was taken in at least half of the seconds of each half of the time.
fn leaks(samples: &Samples) -> bool {
    let (Some((first, _)), Some((last, _))) = (samples.front(), samples.back()) else { return false };
    if last.saturating_sub(*first) < LEAK {
        return false;
    }
    let steps: Vec<bool> = samples
        .iter()
        .zip(samples.iter().skip(1))
        .map(|((_, before), (_, after))| if after < before { None } else { Some(after > before) })
        .collect::<Option<_>>()
        .unwrap_or_default();
    let mostly = |half: &[bool]| !half.is_empty() && half.iter().filter(|grew| **grew).count() * 2 >= half.len();
    let (early, late) = steps.split_at(steps.len() / 2);
    mostly(early) && mostly(late)
}

/// The owners of a heap, what grows fastest first.
#[must_use]
pub fn by_growth(heap: &Heap) -> Vec<&Owner> {
    let mut owners: Vec<&Owner> = heap.owners.iter().flatten().collect();
    // Equal ones stay in their order: the most bytes first.
    owners.sort_by(|a, b| b.growth.unwrap_or(0.0).total_cmp(&a.growth.unwrap_or(0.0)));
    owners
}

/// How much more a place in the program holds than at an earlier moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    /// The place.
    pub site: CallSite,
    /// Blocks, fewer when negative.
    pub blocks: i64,
    /// Bytes of heap in them.
    pub bytes: i64,
}

/// What changed since an earlier moment, place by place, what grew most first. Places that hold what they held are left
/// out. `None` when nobody kept account of it at either moment.
#[must_use]
pub fn since(before: &Heap, now: &Heap) -> Option<Vec<Grown>> {
    let mut places: BTreeMap<&CallSite, (i64, i64)> = BTreeMap::new();
    for (owners, sign) in [(before.owners.as_ref()?, -1), (now.owners.as_ref()?, 1)] {
        for owner in owners {
            let (blocks, bytes) = places.entry(&owner.site).or_default();
            *blocks += sign * i64::from(owner.blocks);
            *bytes += sign * i64::from(owner.bytes);
        }
    }
    let changed = places.into_iter().filter(|(_, change)| *change != (0, 0));
    let mut grown: Vec<Grown> =
        changed.map(|(site, (blocks, bytes))| Grown { site: site.clone(), blocks, bytes }).collect();
    grown.sort_by_key(|grown| std::cmp::Reverse(grown.bytes));
    Some(grown)
}

/// A change over some time in bytes per minute; `None` while that time is too short to say.
#[must_use]
pub fn per_minute(bytes: i64, time: Duration) -> Option<f64> {
    (time >= SHORTEST).then(|| bytes as f64 * 60.0 / time.as_secs_f64())
}

/// How long it takes until all that is free is gone, at so many bytes per minute.
#[must_use]
pub fn until_full(heap: &Heap, bytes_per_minute: f64) -> Option<Duration> {
    let minutes = f64::from(heap.free()?) / bytes_per_minute;
    // More than a year is not news.
    (bytes_per_minute > 0.0 && minutes < 525_600.0).then(|| Duration::from_secs_f64(minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;

    fn check(bytes: impl Fn(u64) -> u32, expected: f64, leak: bool) {
        let mut growth = Growth::default();
        let mut heap = Heap::unknown("heap", Region::new(0x2000_0000, 0x1000));
        for second in 0..20 {
            let site = CallSite { function: "f".into(), ..CallSite::default() };
            let bytes = bytes(second);
            heap.owners = Some(vec![Owner { site, blocks: 1, bytes, growth: None, leaks: false }]);
            heap.owners_trust = Trust::Exact;
            growth.follow(Duration::from_secs(second), std::slice::from_mut(&mut heap));
        }
        let owner = &heap.owners.as_ref().expect("it has one")[0];
        let rate = owner.growth.expect("it was watched for long enough");
        assert!((rate - expected).abs() < 1e-6, "{rate}");
        assert_eq!(owner.leaks, leak);
    }

    #[test]
    fn what_only_grows_leaks() {
        check(|second| 100 + 10 * second as u32, 600.0, true);
        check(|second| 10_000 - 10 * second as u32, -600.0, false);
        check(|_| 100, 0.0, false);
    }

    #[test]
    fn what_grew_once_or_gives_back_is_no_leak() {
        let mut growth = Growth::default();
        let step = |second: u64| if second < 3 { 100 * second as u32 } else { 300 };
        let mut heap = Heap::unknown("heap", Region::new(0x2000_0000, 0x1000));
        for (name, bytes) in [("once", step as fn(u64) -> u32), ("wave", |second| 100 + 20 * (second % 3) as u32)] {
            for second in 0..20 {
                let site = CallSite { function: name.into(), ..CallSite::default() };
                heap.owners = Some(vec![Owner { site, blocks: 1, bytes: bytes(second), growth: None, leaks: false }]);
                heap.owners_trust = Trust::Exact;
                growth.follow(Duration::from_secs(second), std::slice::from_mut(&mut heap));
            }
            assert!(!heap.owners.as_ref().expect("it has one")[0].leaks, "{name}");
            growth = Growth::default();
        }
    }

    #[test]
    fn what_changed_since_a_moment_is_told_place_by_place() {
        let held = |places: &[(&str, u32, u32)]| {
            let owner = |(name, blocks, bytes): &(&str, u32, u32)| Owner {
                site: CallSite { function: (*name).into(), ..CallSite::default() },
                blocks: *blocks,
                bytes: *bytes,
                growth: None,
                leaks: false,
            };
            let owners = Some(places.iter().map(owner).collect());
            Heap { owners, ..Heap::unknown("heap", Region::new(0x2000_0000, 0x1000)) }
        };
        let before = held(&[("still", 2, 64), ("leak", 3, 300), ("gone", 1, 40), ("less", 4, 80)]);
        let now = held(&[("still", 2, 64), ("leak", 5, 500), ("new", 1, 250), ("less", 3, 60)]);
        let grown = since(&before, &now).expect("both keep account");
        let told: Vec<(&str, i64, i64)> =
            grown.iter().map(|grown| (grown.site.short(), grown.blocks, grown.bytes)).collect();
        assert_eq!(told, [("new", 1, 250), ("leak", 2, 200), ("less", -1, -20), ("gone", -1, -40)]);
        assert_eq!(since(&Heap::unknown("heap", before.range), &now), None);
        assert_eq!(per_minute(200, Duration::from_secs(30)), Some(400.0));
        assert_eq!(per_minute(200, Duration::from_secs(3)), None);
    }

    #[test]
    fn the_time_until_the_heap_is_full_needs_growth() {
        let mut heap = Heap::unknown("heap", Region::new(0x2000_0000, 1200));
        assert_eq!(until_full(&heap, 100.0), None, "nobody knows what is free");
        heap.used = Some(crate::model::snapshot::Measured { bytes: 200, trust: Trust::Exact });
        assert_eq!(until_full(&heap, 100.0), Some(Duration::from_secs(600)));
        assert_eq!(until_full(&heap, 0.0), None);
        assert_eq!(until_full(&heap, -5.0), None);
    }
}
