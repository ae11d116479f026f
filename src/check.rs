//! Budgets held against what a run showed, or against an ELF alone: what passed, what failed, and by how much.
//!
//! A number that nobody measured neither passes nor fails, unless its budget says that it is required. One that is only
//! a lower bound can prove that a budget is exceeded and never that it is kept; what is left then is an upper bound.

pub mod budgets;
pub mod ledger;
mod statics;
mod trend;
mod watch;
mod worth;

use serde::Serialize;

use crate::amount::Amount;
use crate::report::{Region, Report, StackReport};
use crate::sizing::Basis;
use crate::units;
use budgets::{Budgets, HeapBudget, StackBudget};
pub use watch::Watch;
use watch::{HeapSeen, StackSeen};
use worth::Worth;

/// The schema's name and version.
pub const SCHEMA: &str = "highwater/check@1";

/// Why a share of a memory is not known.
const UNKNOWN_SIZE: &str = "how large its memory is is not known: give --chip";

/// What became of all budgets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// No budget is exceeded, and all that are required are known.
    pub passed: bool,
    /// File name of the ELF.
    pub elf: String,
    /// Where the bytes came from: a probe's name, `file` without a target.
    pub source: String,
    /// What the budgets were held against.
    pub judged: Judged,
    /// How long the target was watched, in seconds.
    pub watched_s: f64,
    /// Resets meanwhile; the worst from before each of them counts too.
    pub resets: u32,
    /// The file that the budgets are from; `null` when only the usual ones hold.
    pub budgets: Option<String>,
    /// Each budget.
    pub checks: Vec<Check>,
}

/// What budgets are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Judged {
    /// What a target showed over some time.
    Run,
    /// Memory that was saved of one, in which no time passes.
    Saved,
    /// The ELF alone.
    Elf,
}

/// One budget and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `target`, `stack`, `heap`, `memory` or `region`.
    pub kind: &'static str,
    /// Whose: a stack's name, a heap's.
    pub name: String,
    /// Where the stack or heap begins, which tells those of one name apart; `null` for what is judged by its name alone.
    pub start: Option<u32>,
    /// What is held: `margin`, `peak`, `overflow`, `suggested`, `fragmentation`, `leak`, `failures`, `damage`, `used`,
    /// `size`, `faults`, `other firmware`, `worst ever`.
    pub rule: &'static str,
    /// `at least` or `at most`.
    pub sense: Sense,
    /// The limit in `unit`.
    pub limit: f64,
    /// The limit as it was written: `20 %`, `60 KiB`.
    pub written: String,
    /// What was found, in `unit`; `null` when it is not known.
    pub found: Option<f64>,
    /// Of the limit and of what was found.
    pub unit: Unit,
    /// What the number is worth, where it carries that: `at least` and `at most` are bounds of the true one, and prove
    /// one side of the limit only.
    pub trust: Option<&'static str>,
    /// Passed, failed or not known.
    pub verdict: Verdict,
    /// Not known is a failure.
    pub required: bool,
    /// What follows, or why it is not known, in words; may be empty.
    pub note: String,
}

/// On which side of the limit it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Sense {
    /// At the limit or above it.
    #[serde(rename = "at least")]
    AtLeast,
    /// At the limit or below it.
    #[serde(rename = "at most")]
    AtMost,
}

/// Units of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes in a minute.
    BytesPerMinute,
    /// Hundredths.
    Percent,
    /// Times that something happened.
    Count,
}

/// What became of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is kept.
    Passed,
    /// It is exceeded.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    /// The same with more checks.
    #[must_use]
    pub fn and(mut self, more: Vec<Check>) -> Self {
        self.passed &= !more.iter().any(Check::is_failure);
        self.checks.extend(more);
        self
    }

    /// All in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let count = |pick: &dyn Fn(&&Check) -> bool| self.checks.iter().filter(pick).count();
        let (all, exceeded) = (self.checks.len(), count(&|check| check.verdict == Verdict::Failed));
        let unknown = count(&|check| check.verdict == Verdict::Unknown);
        let missing = count(&|check| check.verdict == Verdict::Unknown && check.required);
        let mut text = match exceeded {
            0 => format!("{} of {all} budgets are kept", all - unknown),
            1 => format!("1 of {all} budgets is exceeded"),
            _ => format!("{exceeded} of {all} budgets are exceeded"),
        };
        match unknown {
            0 => {}
            1 => text += ", 1 is not known",
            _ => text += &format!(", {unknown} are not known"),
        }
        if missing > 0 {
            text += &format!(" ({missing} required)");
        }
        text
    }

    /// What was looked at, for how long, and where the budgets are from.
    #[must_use]
    pub fn circumstances(&self) -> String {
        let watched = match self.judged {
            Judged::Elf => "without a target".into(),
            Judged::Saved => format!("as saved in {}", self.source),
            Judged::Run => format!("on {}, watched for {:.1} s", self.source, self.watched_s),
        };
        let resets = match self.resets {
            0 => String::new(),
            1 => ", reset once".into(),
            count => format!(", reset {count} times"),
        };
        let from = self.budgets.as_deref().unwrap_or("the usual ones");
        format!("{} {watched}{resets}; budgets: {from}", self.elf)
    }
}

impl Check {
    /// It makes the whole check fail.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self.verdict {
            Verdict::Passed => false,
            Verdict::Failed => true,
            Verdict::Unknown => self.required,
        }
    }

    /// How far what was found is from the limit on the wrong side; zero when that is not proven.
    #[must_use]
    pub fn excess(&self) -> f64 {
        if self.verdict == Verdict::Failed { self.beyond() } else { 0.0 }
    }

    /// The same of the number alone, whatever it proves.
    fn beyond(&self) -> f64 {
        let Some(found) = self.found else { return 0.0 };
        match self.sense {
            Sense::AtLeast => (self.limit - found).max(0.0),
            Sense::AtMost => (found - self.limit).max(0.0),
        }
    }

    /// A number in the unit of this check.
    #[must_use]
    pub fn figure(&self, number: f64) -> String {
        match self.unit {
            Unit::Bytes => format!("{number:.0} B"),
            Unit::BytesPerMinute => format!("{number:.0} B/min"),
            Unit::Percent => format!("{number:.0} %"),
            Unit::Count => format!("{number:.0}"),
        }
    }

    /// The limit in words: `at most 60 KiB (61440 B)`.
    #[must_use]
    pub fn limit_words(&self) -> String {
        let sense = match self.sense {
            Sense::AtLeast => "at least",
            Sense::AtMost => "at most",
        };
        let figure = self.figure(self.limit);
        if figure == self.written {
            format!("{sense} {figure}")
        } else {
            format!("{sense} {} ({figure})", self.written)
        }
    }

    /// What was found, in words.
    #[must_use]
    pub fn found_words(&self) -> String {
        let Some(found) = self.found else { return "unknown".into() };
        let figure = self.figure(found);
        match self.trust {
            None | Some("exact") => figure,
            Some(bound @ ("at least" | "at most")) => format!("{bound} {figure}"),
            Some(doubt) => format!("{figure} ({doubt})"),
        }
    }

    /// By how much it is exceeded, in words; empty when it is not.
    #[must_use]
    pub fn excess_words(&self) -> String {
        match (self.excess(), self.sense) {
            (0.0, _) => String::new(),
            (excess, Sense::AtLeast) => format!("{} short", self.figure(excess)),
            (excess, Sense::AtMost) => format!("{} over", self.figure(excess)),
        }
    }

    fn new(kind: &'static str, name: &str, rule: &'static str, sense: Sense, unit: Unit) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            start: None,
            rule,
            sense,
            limit: 0.0,
            written: "0".into(),
            found: None,
            unit,
            trust: None,
            verdict: Verdict::Unknown,
            required: false,
            note: String::new(),
        }
    }

    fn limit(mut self, limit: f64, written: impl Into<String>) -> Self {
        self.limit = limit;
        self.written = written.into();
        self
    }

    /// Judges by what was found for certain; `why` says why nothing was.
    fn judge(self, found: Option<f64>, why: &str) -> Self {
        self.judge_bound(found, Worth::Exact, why)
    }

    /// The same of a number that says so much of the true one.
    fn weigh(self, found: Option<f64>, worth: Worth, why: &str) -> Self {
        let trust = found.is_some().then(|| worth.word());
        Self { trust, ..self.judge_bound(found, worth, why) }
    }

    fn judge_bound(mut self, found: Option<f64>, worth: Worth, why: &str) -> Self {
        self.found = found;
        let exceeded = self.beyond() > 0.0;
        let (verdict, note) = match found {
            None => (Verdict::Unknown, why),
            Some(_) if exceeded && worth.proves_exceeded(self.sense) => (Verdict::Failed, ""),
            Some(_) if !exceeded && worth.proves_kept(self.sense) => (Verdict::Passed, ""),
            Some(_) => (Verdict::Unknown, worth.doubt()),
        };
        self.verdict = verdict;
        self.note = note.into();
        self
    }

    fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Holds the budgets against the newest report and, when there was a target, the worst of the run. `file` is where the
/// budgets are from.
///
/// # Errors
///
/// A budget names something that is not there, in a sentence that says what is.
pub fn check(
    budgets: &Budgets,
    file: Option<String>,
    report: &Report,
    watch: Option<&Watch>,
) -> Result<Outcome, String> {
    let mut checks = Vec::new();
    match watch {
        Some(watch) => {
            names_exist("stack", budgets.stack.keys(), watch.stacks.keys().map(|(name, _)| name.as_str()))?;
            names_exist("heap", budgets.heap.keys(), watch.heaps.keys().map(|(name, _)| name.as_str()))?;
            checks.extend(other_firmware(watch, report));
            if !budgets.allow_faults {
                checks.push(faults(watch, report));
            }
            for ((name, start), seen) in &watch.stacks {
                stack(&mut checks, (name, *start), seen, report, budgets.of_stack(name));
            }
            for ((name, start), seen) in &watch.heaps {
                heap(&mut checks, (name, *start), seen, (report, watch), budgets.of_heap(name));
            }
        }
        None => statics::hold(&mut checks, budgets, report),
    }
    memories(&mut checks, budgets, report)?;
    regions(&mut checks, budgets, report)?;
    Ok(Outcome {
        schema: SCHEMA,
        passed: !checks.iter().any(Check::is_failure),
        elf: report.target.elf.clone(),
        source: report.target.source.clone(),
        judged: match watch {
            None => Judged::Elf,
            Some(watch) if watch.saved => Judged::Saved,
            Some(_) => Judged::Run,
        },
        watched_s: report.at_s,
        resets: watch.map_or(0, |watch| watch.resets),
        budgets: file,
        checks,
    })
}

/// Every name that is budgeted is one that is there; upper and lower case are the same.
fn names_exist<'a>(
    kind: &str,
    budgeted: impl Iterator<Item = &'a String>,
    there: impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    let there: Vec<&str> = there.collect();
    for name in budgeted {
        if !there.iter().any(|one| one.eq_ignore_ascii_case(name)) {
            let near = units::nearest(name, there.iter().copied());
            let hint = match (near, there.is_empty()) {
                (Some(near), _) => format!("; did you mean `{near}`?"),
                (None, true) => format!("; there is no {kind} at all"),
                (None, false) => format!("; there are: {}", there.join(", ")),
            };
            let name = units::printable(name, 100);
            return Err(format!("a budget names the {kind} `{name}`, which is not there{hint}"));
        }
    }
    Ok(())
}

/// Numbers of another firmware are none of this one: nothing is told of an ELF that may be the right one.
fn other_firmware(watch: &Watch, report: &Report) -> Option<Check> {
    let note = watch.wrong_elf.as_ref()?;
    let check = Check::new("target", &report.target.elf, "other firmware", Sense::AtMost, Unit::Count);
    Some(check.judge(Some(1.0), "").noting(note))
}

fn faults(watch: &Watch, report: &Report) -> Check {
    let check = Check::new("target", &report.target.elf, "faults", Sense::AtMost, Unit::Count);
    let why = if watch.saved { "the fault registers were not saved" } else { "no fault registers were read" };
    match &watch.fault {
        Some(fault) => check.judge(Some(1.0), "").noting(fault),
        None => check.judge(watch.faults_read.holds().then_some(0.0), why),
    }
}

fn stack(checks: &mut Vec<Check>, (name, start): (&str, u32), seen: &StackSeen, report: &Report, budget: StackBudget) {
    let size = f64::from(seen.size);
    let required = budget.required.unwrap_or_default();
    let mut add = |check: Check| checks.push(Check { required, start: Some(start), ..check });
    let of_this = |rule, sense| Check::new("stack", name, rule, sense, Unit::Bytes);
    if budget.allow_overflow != Some(true) {
        let check = Check::new("stack", name, "overflow", Sense::AtMost, Unit::Count);
        add(if seen.overflowed {
            let hit = seen.victim.as_ref().map(|victim| format!("{victim} below may be overwritten"));
            check.judge(Some(1.0), "").noting(hit.unwrap_or_default())
        } else {
            let why = "nothing at its limit tells whether it was passed";
            check.judge(seen.limit_whole.holds().then_some(0.0), why)
        });
    }
    let (deepest, worth) = (seen.deepest.bytes().map(f64::from), seen.deepest.worth());
    if let Some(margin) = budget.margin {
        let limit = margin.of_rounded_up(seen.size.into()) as f64;
        let left = deepest.map(|deepest| (size - deepest).max(0.0));
        let check = of_this("margin", Sense::AtLeast).limit(limit, margin.to_string());
        add(check.weigh(left, worth.of_rest(), "not painted"));
    }
    if let Some(peak) = budget.peak {
        let limit = peak.of(seen.size.into()) as f64;
        add(of_this("peak", Sense::AtMost).limit(limit, peak.to_string()).weigh(deepest, worth, "not painted"));
    }
    if budget.suggested == Some(true) {
        let now = report.stacks.iter().find(|stack| stack.name == name && stack.start == u64::from(start));
        let because = now.map_or("it is not there any more", |stack| &stack.suggested_because);
        add(suggested(of_this("suggested", Sense::AtMost).limit(size, format!("{size} B")), now).noting(because));
    }
}

/// Holds a stack's size against the one to choose, which is a floor where too little is known.
fn suggested(check: Check, stack: Option<&StackReport>) -> Check {
    let worth = match stack.and_then(|stack| stack.suggested_trust).and_then(Basis::named) {
        Some(basis) if !basis.is_floor() => Worth::Exact,
        _ => Worth::AtLeast,
    };
    check.weigh(stack.and_then(|stack| stack.suggested).map(f64::from), worth, "")
}

fn heap(
    checks: &mut Vec<Check>,
    (name, start): (&str, u32),
    seen: &HeapSeen,
    (report, watch): (&Report, &Watch),
    budget: HeapBudget,
) {
    let required = budget.required.unwrap_or_default();
    let mut add = |check: Check| checks.push(Check { required, start: Some(start), ..check });
    let of_this = |rule, unit| Check::new("heap", name, rule, Sense::AtMost, unit);
    if budget.allow_damage != Some(true) {
        let check = of_this("damage", Unit::Count);
        add(match &seen.damage {
            Some(damage) => check.judge(Some(1.0), "").noting(damage),
            None => check.judge(seen.walked.holds().then_some(0.0), "its structures are not known"),
        });
    }
    if let Some(peak) = budget.peak {
        let limit = peak.of(seen.size.into()) as f64;
        let check = of_this("peak", Unit::Bytes).limit(limit, peak.to_string());
        add(check.weigh(seen.peak.bytes().map(f64::from), seen.peak.worth(), "nobody tells it"));
    }
    if let Some(fragmentation) = budget.fragmentation {
        let check = of_this("fragmentation", Unit::Percent).limit(fragmentation.0.into(), fragmentation.to_string());
        add(check.judge(seen.fragmentation.map(f64::round), "its free parts are not known"));
    }
    if let Some(leak) = budget.leak {
        let check = of_this("leak", Unit::BytesPerMinute).limit(leak.of(seen.size.into()) as f64, a_minute(leak));
        let why = if watch.saved {
            "no time passes in what was saved"
        } else {
            "what is in use was not measured long enough"
        };
        let check = check.judge(seen.used.per_minute().map(f64::round), why);
        let owner = grower(report, start).filter(|_| check.verdict == Verdict::Failed);
        add(match owner {
            Some(owner) => check.noting(owner),
            None => check,
        });
    }
    if let Some(failures) = budget.failures {
        let check = of_this("failures", Unit::Count).limit(failures.into(), failures.to_string());
        add(check.judge(seen.failures.map(f64::from), "nobody counts them"));
    }
}

fn a_minute(leak: Amount) -> String {
    match leak {
        Amount::Bytes(bytes) => format!("{bytes} B/min"),
        Amount::Percent(percent) => format!("{percent} %/min"),
    }
}

/// The call site whose memory grows fastest, where somebody keeps account of that.
fn grower(report: &Report, start: u32) -> Option<String> {
    let owners = report.heaps.iter().find(|one| one.start == u64::from(start))?.owners.as_ref()?;
    let growing = owners.iter().filter_map(|owner| Some((owner, owner.bytes_per_minute.filter(|rate| *rate > 0.0)?)));
    let (owner, rate) = growing.max_by(|one, other| one.1.total_cmp(&other.1))?;
    let place = match (&owner.file, owner.line) {
        (Some(file), Some(line)) => format!(" at {file}:{line}"),
        _ => String::new(),
    };
    Some(format!("{}{place} grows by {rate:.0} B/min", owner.function))
}

fn memories(checks: &mut Vec<Check>, budgets: &Budgets, report: &Report) -> Result<(), String> {
    let all = || report.regions.iter().filter(|region| region.parent.is_none());
    names_exist("memory", budgets.memory.keys(), all().map(|memory| memory.name.as_str()))?;
    for (name, budget) in &budgets.memory {
        for memory in all().filter(|memory| memory.name.eq_ignore_ascii_case(name)) {
            let check = Check::new("memory", &memory.name, "used", Sense::AtMost, Unit::Bytes);
            let found = Some(placed(report, memory) as f64);
            let known = memory.size_known || matches!(budget.used, Amount::Bytes(_));
            let check = check.limit(budget.used.of(memory.size) as f64, budget.used.to_string());
            let check = check.judge(found.filter(|_| known), UNKNOWN_SIZE);
            checks.push(Check { required: budget.required, ..check });
        }
    }
    Ok(())
}

/// Bytes of a memory that the linker placed something in. A heap is what is left for the program to take, and a stack that
/// reaches to the end of the memory is room too.
fn placed(report: &Report, memory: &Region) -> u64 {
    let inside = report.regions.iter().filter(|region| region.parent.as_deref() == Some(memory.id.as_str()));
    let is_room = |region: &Region| region.is_room || ["heap", "free", "unclaimed"].contains(&region.kind);
    let placed = inside.filter(|region| region.is_static && !is_room(region));
    placed.map(|region| region.size).sum()
}

fn regions(checks: &mut Vec<Check>, budgets: &Budgets, report: &Report) -> Result<(), String> {
    let all = || report.regions.iter().filter(|region| region.parent.is_some() && region.is_static);
    names_exist("region", budgets.region.keys(), all().map(|region| region.name.as_str()))?;
    for (name, budget) in &budgets.region {
        let parts = || all().filter(|region| region.name.eq_ignore_ascii_case(name));
        let size: u64 = parts().map(|region| region.size).sum();
        let memories = || parts().filter_map(|region| parent(report, region));
        let whole = memories().map(|memory| memory.size).max().unwrap_or(0);
        let known = memories().all(|memory| memory.size_known) || matches!(budget.size, Amount::Bytes(_));
        let check = Check::new("region", name, "size", Sense::AtMost, Unit::Bytes);
        let check = check.limit(budget.size.of(whole) as f64, budget.size.to_string());
        checks.push(check.judge(Some(size as f64).filter(|_| known), UNKNOWN_SIZE));
    }
    Ok(())
}

fn parent<'a>(report: &'a Report, region: &Region) -> Option<&'a Region> {
    report.regions.iter().find(|one| Some(&one.id) == region.parent.as_ref())
}

#[cfg(test)]
mod tests;
