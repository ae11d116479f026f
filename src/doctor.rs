//! What `highwater doctor` finds: each step on the way to a live picture, and each figure with what it is missing.
//!
//! Pure: whoever looks puts the findings together, whoever prints takes them.

use crate::image::Image;
use crate::model::Model;
use crate::model::snapshot::{Snapshot, Stack, Trust};
use crate::source::Reach;
use crate::source::link::LinkCost;
use crate::units;

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and there could be more.
    Less,
    /// It does not work: what comes after it was not tried.
    Bad,
}

impl Verdict {
    /// The word for it, as it stands in the output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Less => "less",
            Self::Bad => "BAD",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `probe`, `link`, `stack peaks`.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, in a line.
    pub found: String,
    /// What to do for more, in whole sentences; `None` when there is nothing to do.
    pub way: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    #[must_use]
    pub fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Good, found: found.into(), way: None }
    }

    /// Something that works, and how to get more.
    #[must_use]
    pub fn less(what: &'static str, found: impl Into<String>, way: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Less, found: found.into(), way: Some(way.into()) }
    }

    /// Something that does not work. The reason says the way out itself.
    #[must_use]
    pub fn bad(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Bad, found: found.into(), way: None }
    }
}

/// The whole examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// The way to the target, in the order in which it was gone.
    pub steps: Vec<Finding>,
    /// What can be told once one is there; empty when one did not get there.
    pub figures: Vec<Finding>,
}

impl Examination {
    /// Whether a step failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.steps.iter().any(|step| step.verdict == Verdict::Bad)
    }
}

/// What the link gives: its speed, and how often it can refresh.
#[must_use]
pub fn link(cost: LinkCost, snapshot: &Snapshot) -> Finding {
    let words = f64::from(cost.packet_words);
    let rate = 4.0 * words / (cost.command + words * cost.word).max(f64::MIN_POSITIVE);
    let speed = match rate {
        rate if rate >= 1e6 => format!("{:.1} MB/s", rate / 1e6),
        rate => format!("{:.0} kB/s", rate / 1e3),
    };
    let found = format!(
        "{speed} in blocks, {:.0} µs for a command; {:.0} refreshes a second of {}",
        cost.command * 1e6,
        snapshot.link.refresh_hz,
        units::bytes(snapshot.link.bytes_per_refresh.into())
    );
    if snapshot.link.refresh_hz >= 10.0 {
        Finding::good("link", found)
    } else {
        let way = match cost.reach {
            Reach::Probe => {
                "A faster wire (--speed KHZ), or a probe with CMSIS-DAP v2 at high speed, refreshes more often."
            }
            Reach::Server => {
                "The server sets the speed of its wire (OpenOCD: `adapter speed KHZ`; pyOCD: `-f HZ`); a faster one refreshes \
                 more often."
            }
            Reach::Emulator => "The emulator's own speed is all that there is.",
        };
        Finding::less("link", found, way)
    }
}

/// What can be told of this firmware, and what it would take to tell more.
#[must_use]
pub fn figures(model: &Model, image: &Image) -> Vec<Finding> {
    let snapshot = &model.snapshot;
    let mut figures = vec![peaks(&snapshot.stacks), worst_cases(&snapshot.stacks)];
    figures.extend(snapshot.heaps.iter().flat_map(|heap| {
        let why = heap.unwalked.as_ref().map_or_else(String::new, |unwalked| format!(", because {unwalked}"));
        let blocks = match heap.allocator {
            Some(allocator) => Finding::good("heap", format!("{}: block by block, as {allocator} keeps it", heap.name)),
            None if heap.used.is_some() => Finding::less(
                "heap",
                format!("{}: totals only{why}", heap.name),
                "The agent's counters are all there is.",
            ),
            None => Finding::less(
                "heap",
                format!("{}: its place only{why}", heap.name),
                "The agent's `Tracked` counts what goes in and out of any allocator.",
            ),
        };
        let owners = match heap.callers {
            0 if heap.owners.is_some() => Finding::good("owners", format!("{}: noted in a table", heap.name)),
            0 => Finding::less(
                "owners",
                format!("{}: nobody notes who asked", heap.name),
                "The agent's `Owned` (HIGHWATER_OWNERS in C) notes the caller in front of each block, for 8 bytes a block.",
            ),
            callers => Finding::good("owners", format!("{}: {callers} caller(s) noted in each block", heap.name)),
        };
        [blocks, owners]
    }));
    figures.push(if snapshot.stacks.iter().any(|stack| stack.cpu.is_some()) {
        Finding::good("CPU share", "of each thread, by its kernel's count")
    } else {
        Finding::less(
            "CPU share",
            "nobody counts it",
            "FreeRTOS: configGENERATE_RUN_TIME_STATS; Zephyr: CONFIG_SCHED_THREAD_USAGE; ThreadX: \
             TX_EXECUTION_PROFILE_ENABLE.",
        )
    });
    figures.push(match (image.types().is_empty(), image.missing_debug_information()) {
        (_, Some(why)) => Finding::less("source lines", "not of all the debug information", sentence(&why)),
        (true, None) => Finding::less(
            "source lines",
            "the ELF has no debug information",
            "Compile with -g (C) or `debug = 2` (Cargo's profile): it stays in the file, not in flash.",
        ),
        (false, None) => Finding::good("source lines", "functions, files, lines and types, by debug information"),
    });
    figures.extend(snapshot.hints.iter().map(|hint| Finding::less("hint", hint.clone(), "")));
    for finding in &mut figures {
        finding.way = finding.way.take().filter(|way| !way.is_empty());
    }
    figures
}

/// A reason as a sentence of its own.
fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

fn peaks(stacks: &[Stack]) -> Finding {
    let is_unpainted = |stack: &&Stack| stack.peak.is_none_or(|peak| peak.trust == Trust::Unpainted);
    let unpainted: Vec<&str> = stacks.iter().filter(is_unpainted).map(|stack| stack.name.as_str()).collect();
    match (stacks.len(), unpainted.is_empty()) {
        (0, _) => Finding::less(
            "stack peaks",
            "no stack is known",
            "Link the agent, or a kernel that is known (FreeRTOS, RTX5, Zephyr, ThreadX), with its debug information.",
        ),
        (all, true) => Finding::good("stack peaks", format!("of all {all} stacks, by their paint")),
        (all, false) => Finding::less(
            "stack peaks",
            format!("of {} of {all} stacks; nobody painted {}", all - unpainted.len(), unpainted.join(", ")),
            "--paint fills what was never used of them. FreeRTOS: configCHECK_FOR_STACK_OVERFLOW 2; Zephyr: \
             CONFIG_INIT_STACKS; RTX5: OS_STACK_WATERMARK; ThreadX: leave TX_DISABLE_STACK_FILLING off; cortex-m-rt: \
             the feature `paint-stack`.",
        ),
    }
}

fn worst_cases(stacks: &[Stack]) -> Finding {
    let count =
        |trust: Trust| stacks.iter().filter(|stack| stack.worst_case.is_some_and(|worst| worst.trust == trust)).count();
    let (bounded, open) = (count(Trust::Estimated), count(Trust::AtLeast));
    let rest = stacks.len().saturating_sub(bounded + open);
    let found = format!("{bounded} bounded, {open} at least (recursion, calls through pointers), {rest} unknown");
    if rest == 0 || bounded + open > 0 {
        Finding::good("worst cases", found)
    } else {
        Finding::less(
            "worst cases",
            found,
            "They start at a thread's entry function: the agent tells it, and kernels that keep it (RTX5, Zephyr, \
             ThreadX).",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::heap::{Heap, Obstacle, Unwalked};
    use crate::model::snapshot::Measured;
    use crate::model::testing::{live, stack};
    use crate::region::Region;

    fn model(stacks: Vec<Stack>, heaps: Vec<Heap>) -> Model {
        Model::new(Snapshot { stacks, heaps, ..live(1) })
    }

    fn image() -> Image {
        let elf = include_bytes!("../assets/demo.elf");
        Image::parse(std::path::Path::new("demo.elf"), elf).expect("the demo's ELF is read")
    }

    fn found<'a>(figures: &'a [Finding], what: &str) -> &'a Finding {
        figures.iter().find(|finding| finding.what == what).expect("it is there")
    }

    #[test]
    fn what_a_figure_is_missing_is_said_with_the_way_to_it() {
        let painted = Stack { peak: Some(Measured { bytes: 8, trust: Trust::Exact }), ..stack("painted", 8) };
        let bare = Stack { peak: None, ..stack("bare", 8) };
        let unwalked = Some(Unwalked::By("talc", Obstacle::Foreign));
        let heap = Heap { unwalked, ..Heap::unknown("heap", Region::new(0x2000_0000, 64)) };
        let figures = figures(&model(vec![painted.clone(), bare], vec![heap.clone()]), &image());
        for (what, verdict, words, way) in [
            ("stack peaks", Verdict::Less, "of 1 of 2 stacks; nobody painted bare", "--paint"),
            ("worst cases", Verdict::Less, "0 bounded, 0 at least", "entry function"),
            ("heap", Verdict::Less, "heap: its place only, because its allocator, talc, is not one", "`Tracked`"),
            ("owners", Verdict::Less, "nobody notes who asked", "`Owned`"),
            ("CPU share", Verdict::Less, "nobody counts it", "CONFIG_SCHED_THREAD_USAGE"),
        ] {
            let finding = found(&figures, what);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(words), "{finding:?}");
            assert!(finding.way.as_ref().is_some_and(|text| text.contains(way)), "{finding:?}");
        }
        assert_eq!(found(&figures, "source lines").verdict, Verdict::Good);
        let known = Heap { allocator: Some("heap_4"), callers: 1, ..heap };
        let busy = Stack { cpu: Some(0.5), ..painted };
        let figures = super::figures(&model(vec![busy], vec![known]), &image());
        for what in ["stack peaks", "heap", "owners", "CPU share"] {
            assert_eq!(found(&figures, what).verdict, Verdict::Good, "{what}");
        }
        assert_eq!(
            found(&super::figures(&model(Vec::new(), Vec::new()), &image()), "stack peaks").found,
            "no stack is known"
        );
    }

    #[test]
    fn a_slow_link_is_told_with_the_way_to_a_faster_one() {
        let cost = LinkCost { command: 1e-3, word: 1e-5, packet_words: 14, ..LinkCost::default() };
        let slow = link(cost, &live(1));
        assert_eq!(slow.verdict, Verdict::Less);
        assert!(slow.way.as_ref().is_some_and(|way| way.contains("--speed")), "{slow:?}");
        let served = link(LinkCost { reach: Reach::Server, ..cost }, &live(1)).way.expect("there is one");
        assert!(served.contains("adapter speed") && !served.contains("--speed"), "{served}");
        assert!(slow.found.starts_with("49 kB/s in blocks, 1000 µs for a command"), "{}", slow.found);
    }

    #[test]
    fn a_step_that_fails_fails_it_all() {
        let mut examination = Examination::default();
        examination.steps.push(Finding::less("chip", "nobody names one", "--chip NAME"));
        assert!(!examination.has_failed());
        examination.steps.push(Finding::bad("probe", "none"));
        assert!(examination.has_failed());
    }
}
