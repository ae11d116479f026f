//! Whatever a source answers, nothing is told that memory does not have: no overflow, damage, fault or reset, and no number
//! that is called exact and is wrong.
//!
//! The truth is the memory of the emulated board, taken between refreshes of one calm run. Each case reads it through a source
//! that answers some reads wrongly: with errors, zeros, ones, what was there before, or another place's content. `LIES=10000`
//! tries as many cases.

mod common;
#[path = "../target-agent/demo/src/truth.rs"]
#[allow(dead_code, unreachable_pub)]
mod truth;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{Demo, INSTANT};
use highwater::image::Image;
use highwater::image::layout::{self, Memory};
use highwater::model::Model;
use highwater::model::alert::AlertKind;
use highwater::model::snapshot::{Health, Measured, Snapshot, Trust};
use highwater::region::Region;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::source::{CoreStatus, Counters, Description, Reach, ReadError, Source};

/// Between two moments of the board.
const PERIOD: Duration = Duration::from_millis(100);
/// How many moments ago it was what a stale answer tells.
const STALE: usize = 2;
/// Moments of one case.
const MOMENTS: usize = 60;

/// What the board's memory was at one moment.
struct Moment {
    at: Duration,
    memories: Vec<(Region, Vec<u8>)>,
    /// The deepest use of each stack in bytes, by its first address.
    peaks: HashMap<u32, u32>,
    heap_used: u32,
    /// What its agent counts: bytes asked for and the most of them, blocks in use, allocations.
    counted: [u32; 4],
}

/// A run of the board, moment by moment.
struct Run {
    image: Arc<Image>,
    memories: Vec<Memory>,
    moments: Vec<Moment>,
}

impl Run {
    fn record() -> Self {
        let demo = Demo::new(0, 7, INSTANT, Some(30.0));
        let memories = layout::memories(&demo.image, &[]);
        let registers = [Region::new(0xE000_ED00, 0x100), Region::new(0xE000_E010, 0x10)];
        demo.board.advance(Duration::from_secs(1));
        let mut moments = Vec::new();
        for _ in 0..MOMENTS {
            demo.board.advance(PERIOD);
            // The firmware's own accounts are exact at a quiet moment.
            demo.board.run_until(Duration::from_secs(2), |board| {
                let word = demo.image.symbols.address("DEMO_TRUTH").expect("it keeps accounts");
                board.peek_word(word + 4 * truth::QUIET as u32) == Some(1)
            });
            let peek = |word| demo.peek("DEMO_TRUTH", word);
            assert_eq!((peek(truth::QUIET), peek(truth::FAULT)), (1, 0));
            let entry = |index, word| peek(truth::FIRST_STACK + index * truth::stack::WORDS + word);
            let peaks = (0..peek(truth::STACK_COUNT) as usize)
                .map(|index| (entry(index, truth::stack::BASE), entry(index, truth::stack::PEAK)))
                .collect();
            let ranges = memories.iter().map(|memory| memory.range).chain(registers);
            let held = |range: Region| Some((range, demo.board.peek(range.start(), range.size() as usize)?));
            moments.push(Moment {
                at: demo.board.now(),
                memories: ranges.filter_map(held).collect(),
                peaks,
                heap_used: peek(truth::HEAP_OCCUPIED),
                counted: [
                    peek(truth::HEAP_USED),
                    peek(truth::HEAP_PEAK),
                    peek(truth::HEAP_ALLOCS) - peek(truth::HEAP_FREES),
                    peek(truth::HEAP_ALLOCS),
                ],
            });
        }
        Self { image: Arc::clone(&demo.image), memories, moments }
    }
}

/// What a source that lies answers instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    Error,
    Busy,
    Zeros,
    Ones,
    /// What was there two moments before.
    Stale,
    /// What the read before this one was answered.
    Swapped,
}

const LIES: [Lie; 7] = [Lie::None, Lie::Error, Lie::Busy, Lie::Zeros, Lie::Ones, Lie::Stale, Lie::Swapped];

/// How one case lies.
#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    reach: Reach,
    lie: Lie,
    /// One read in so many is answered wrongly.
    one_in: u64,
    /// Only one word of it, not all.
    word: bool,
}

impl Case {
    fn of(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let reach = [Reach::Probe, Reach::Server][random.below(2) as usize];
        let lie = LIES[random.below(LIES.len() as u64) as usize];
        Self { seed, reach, lie, one_in: [20, 100, 500, 2000][random.below(4) as usize], word: random.below(2) == 0 }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

struct Liar {
    run: Arc<Run>,
    case: Case,
    random: Random,
    moment: Arc<Mutex<usize>>,
    last: Vec<u8>,
}

impl Liar {
    fn moment(&self) -> usize {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn truth(&self, moment: usize, range: Region) -> Option<Vec<u8>> {
        let (held, bytes) = self.run.moments[moment].memories.iter().find(|(held, _)| held.covers(range))?;
        let start = held.offset_of(range.start())? as usize;
        Some(bytes[start..start + range.size() as usize].to_vec())
    }
}

impl Source for Liar {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let unreadable = || ReadError::Unreadable { range, why: "it failed".into() };
        let truth = self.truth(self.moment(), range).ok_or_else(unreadable)?;
        into.copy_from_slice(&truth);
        let lies = self.random.below(self.case.one_in) == 0;
        let words = range.size().div_ceil(4).max(1);
        let from = if self.case.word { 4 * self.random.below(words.into()) as usize } else { 0 };
        let end = if self.case.word { (from + 4).min(into.len()) } else { into.len() };
        if lies {
            match self.case.lie {
                Lie::None => {}
                Lie::Error => return Err(unreadable()),
                Lie::Busy => return Err(ReadError::Busy("it waits".into())),
                Lie::Zeros => into[from..end].fill(0),
                Lie::Ones => into[from..end].fill(0xFF),
                Lie::Stale => {
                    let before = self.moment().saturating_sub(STALE);
                    let old = self.truth(before, range).ok_or_else(unreadable)?;
                    into[from..end].copy_from_slice(&old[from..end]);
                }
                Lie::Swapped => {
                    for (at, byte) in into[from..end].iter_mut().enumerate() {
                        *byte = self.last.get(at).copied().unwrap_or_default();
                    }
                }
            }
        }
        self.last = truth;
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(CoreStatus::Running)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        self.run.moments[self.moment()].at
    }

    fn wait(&mut self, _time: Duration) {}

    fn describe(&self) -> Description {
        let packet_words = Some(60);
        Description { source: "liar".into(), packet_words, reach: self.case.reach, ..Description::default() }
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// What is told that is not so. A number is one of now, and of a short while ago from a source that answers what was there then.
fn wrong(run: &Run, case: Case, moment: usize, snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    if snapshot.health != Health::Live {
        return wrong;
    }
    let since = moment.saturating_sub(if case.lie == Lie::Stale { STALE } else { 0 });
    let moments = &run.moments[since..=moment];
    for stack in &snapshot.stacks {
        if stack.overflowed {
            wrong.push(format!("{} overflowed", stack.name));
        }
        let Some(peak) = stack.peak else { continue };
        let true_ones: Vec<u32> =
            moments.iter().filter_map(|moment| moment.peaks.get(&stack.range.start()).copied()).collect();
        let is_so = |deepest: &u32| match peak.trust {
            Trust::Exact => peak.bytes == *deepest,
            Trust::AtLeast => peak.bytes <= *deepest,
            _ => true,
        };
        if !true_ones.iter().any(is_so) {
            wrong.push(format!("{} peak {} {:?} is {true_ones:?}", stack.name, peak.bytes, peak.trust));
        }
    }
    // An old word in a list of free parts can be as sound as the right one: nothing tells them apart.
    let judged = if matches!(case.lie, Lie::Stale | Lie::Swapped) { &[][..] } else { &snapshot.heaps[..] };
    for heap in judged {
        let exact = |told: Option<Measured>| told.filter(|told| told.trust == Trust::Exact).map(|told| told.bytes);
        let counted = [exact(heap.requested), exact(heap.requested_peak), heap.in_use, heap.allocations];
        let is_so = |truth: &Moment| {
            counted.iter().zip(truth.counted).all(|(told, truth)| told.is_none_or(|told| told == truth))
        };
        if !moments.iter().any(is_so) {
            wrong.push(format!("{} counted {counted:?} is {:?}", heap.name, run.moments[moment].counted));
        }
        let Some(used) = heap.used.filter(|used| used.trust == Trust::Exact) else { continue };
        if !moments.iter().any(|moment| moment.heap_used == used.bytes) {
            wrong.push(format!("{} used {} is {}", heap.name, used.bytes, run.moments[moment].heap_used));
        }
    }
    wrong
}

fn lied_to(run: &Arc<Run>, case: Case) -> Vec<String> {
    let moment = Arc::new(Mutex::new(0));
    let liar = Liar {
        run: Arc::clone(run),
        case,
        random: Random(case.seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1),
        moment: Arc::clone(&moment),
        last: Vec::new(),
    };
    let mut model = Model::new(static_snapshot(&run.image, &run.memories));
    let options = Options { rate_hz: Some(10.0) };
    let Ok(mut sampler) = Sampler::new(Box::new(liar), Arc::clone(&run.image), run.memories.clone(), options) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for number in 0..run.moments.len() {
        *moment.lock().unwrap_or_else(PoisonError::into_inner) = number;
        model.ingest(sampler.refresh());
        found.extend(wrong(run, case, number, &model.snapshot).into_iter().map(|wrong| format!("{number}: {wrong}")));
    }
    let untrue = [
        AlertKind::Overflow,
        AlertKind::Fault,
        AlertKind::HeapCorrupt,
        AlertKind::HeapFailure,
        AlertKind::BlockOverStack,
        AlertKind::WrongElf,
        AlertKind::Reset,
        AlertKind::UnwrittenFrame,
        AlertKind::Refused,
    ];
    let alerts = model.alerts.iter().filter(|alert| untrue.contains(&alert.kind));
    found.extend(alerts.map(|alert| format!("alert: {:?} {} {}", alert.kind, alert.subject, alert.text)));
    found
}

#[test]
fn no_answer_of_a_source_makes_a_wrong_number_of_a_right_one() {
    let run = Arc::new(Run::record());
    let cases: u64 = std::env::var("LIES").ok().and_then(|number| number.parse().ok()).unwrap_or(150);
    let mut failed = 0;
    for seed in 0..cases {
        let case = Case::of(seed);
        let found = lied_to(&run, case);
        if !found.is_empty() {
            failed += 1;
            println!("{case:?}\n  {}", found.iter().take(4).cloned().collect::<Vec<_>>().join("\n  "));
        }
    }
    assert_eq!(failed, 0, "of {cases}");
}
