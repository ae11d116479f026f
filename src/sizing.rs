//! How large a stack must be: one function from what is known of it to a size, with the reason in one sentence.
//!
//! ```text
//! deepest use measured + one exception frame ─┐
//! static worst case (its frames included) ────┴─ the larger + the margin, rounded up to 8 bytes
//! ```
//!
//! A worst case that is a bound stands alone: nothing can go deeper. One that is not is only a floor, and so is what was
//! measured; then the size is a step for the next measurement and no promise. It is never below what is proven. A measured
//! size waits until the mark has stood for a while, and for ever where calls come back to themselves.

use std::time::Duration;

use crate::amount::Amount;
use crate::model::snapshot::{Measured, Snapshot, Stack, StackKind, Trust};
use crate::units;

/// The margin when nobody says another. A measured peak misses what one run did not do.
pub const DEFAULT_MARGIN: Amount = Amount::Percent(20);

/// Stacks end on 8 bytes: SP is 8-byte aligned at every public interface (AAPCS32, 6.2.1.2).
const STEP: u64 = 8;

/// The most bytes that one exception pushes: r0-r3, r12, LR, PC and xPSR, and one word to align SP
/// (Armv7-M ARM, DDI 0403, B1.5.7).
const BASIC_FRAME: u32 = 32 + 4;

/// The same with s0-s15, FPSCR and a reserved word, for code that was built for a floating-point unit.
const EXTENDED_FRAME: u32 = 104 + 4;

/// A run that was watched for less is called short, and a mark that is younger is not taken for the last: many firmwares
/// have work that they do once a minute.
const SHORT: Duration = Duration::from_secs(60);

/// What is known of one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// Its size in bytes.
    pub size: u32,
    /// Bytes down to the deepest word ever written; `None` when nobody painted it.
    pub peak: Option<Measured>,
    /// Bytes in use at the lowest SP seen.
    pub lowest_sp: Option<Measured>,
    /// The static worst case, in bytes, exception frames included.
    pub worst_case: Option<Measured>,
    /// Its guard is broken.
    pub overflowed: bool,
    /// Bytes that one exception pushes onto it.
    pub exception_frame: u32,
    /// Interrupts run on it, and may nest: it is the main stack (MSP). On a thread's stack (PSP) at most one exception
    /// pushes its frame, since handlers always use MSP.
    pub nests: bool,
    /// A function in which its calls come back to themselves: each time round takes another frame.
    pub recursion: Option<&'a str>,
    /// How long ago it was seen to go deeper than before; `None` when it was not.
    pub grew: Option<Duration>,
    /// How long the run was watched that its marks are from.
    pub watched: Duration,
}

impl<'a> Evidence<'a> {
    /// What `snapshot` tells of `stack`, which `grew` so long ago.
    #[must_use]
    pub fn of(stack: &'a Stack, snapshot: &Snapshot, grew: Option<Duration>, watched: Duration) -> Self {
        let is_only = stack.kind == StackKind::Main && snapshot.stacks.len() == 1;
        Self {
            size: stack.range.size(),
            peak: stack.peak.filter(|peak| !matches!(peak.trust, Trust::Unpainted | Trust::Gap)),
            lowest_sp: stack.lowest_sp,
            worst_case: stack.worst_case,
            overflowed: stack.overflowed,
            exception_frame: if snapshot.target.has_float { EXTENDED_FRAME } else { BASIC_FRAME },
            nests: stack.kind == StackKind::Isr || is_only,
            recursion: stack.recursion.as_deref(),
            grew,
            watched,
        }
    }
}

/// What a suggested size rests on, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// A static worst case that is a bound.
    Bound,
    /// All of the stack was read: what this run used, to the byte.
    Measured,
    /// The same of a stack that grew a moment ago, or that recurses: it may well go deeper.
    NotYet,
    /// Less than what may have been used: paint that was not read to its end, or an overflow.
    AtLeast,
}

impl Basis {
    /// The contract's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Measured => "measured",
            Self::NotYet => "not yet",
            Self::AtLeast => "at least",
        }
    }

    /// The one that the contract has this word for.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Bound, Self::Measured, Self::NotYet, Self::AtLeast].into_iter().find(|basis| basis.word() == word)
    }

    /// The size is a floor: it may turn out to be too small.
    #[must_use]
    pub fn is_floor(self) -> bool {
        self > Self::Measured
    }
}

/// A size to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes, a multiple of 8.
    pub bytes: u32,
    /// What it rests on.
    pub basis: Basis,
}

/// A size, or none, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The size; `None` when too little is known.
    pub size: Option<Size>,
    /// How it came to that, or why there is none, in one sentence.
    pub because: String,
}

/// The size to choose for a stack of which this is known, with that margin.
#[must_use]
pub fn suggest(evidence: &Evidence<'_>, margin: Amount) -> Suggestion {
    let measured = deepest(evidence);
    let bound = evidence.worst_case.filter(|worst| worst.trust == Trust::Estimated);
    let refuted = bound.zip(measured).is_some_and(|(bound, measured)| measured.bytes > bound.bytes);
    let bound = bound.filter(|_| !refuted);
    let Some((need, basis, mut words)) = (match (bound, measured) {
        (Some(bound), _) => Some((bound.bytes, Basis::Bound, format!("static worst case {} B, a bound", bound.bytes))),
        (None, Some(measured)) if evidence.peak.is_some() || evidence.overflowed => Some(need(evidence, measured)),
        _ => None,
    }) else {
        return Suggestion { size: None, because: nothing_known(evidence) };
    };
    // An interrupt may come at any instruction, also at those of a function that takes nothing.
    let least = need.max(evidence.exception_frame);
    if least > need {
        words += &format!(", and never less than the {least} B of an exception frame");
    }
    let need = least;
    let with_margin = u64::from(need) + margin.of_rounded_up(need.into());
    let bytes = u32::try_from(with_margin.next_multiple_of(STEP)).unwrap_or(!7);
    words += &format!(", + {margin} margin");
    if !with_margin.is_multiple_of(STEP) {
        words += &format!(", rounded up to {STEP} B");
    }
    for note in notes(evidence, basis, refuted) {
        words += &format!("; {note}");
    }
    words.push('.');
    Suggestion { size: Some(Size { bytes, basis }), because: words }
}

/// The most that is known to have been used. An overflow used all of the stack, and nobody knows how much more.
fn deepest(evidence: &Evidence<'_>) -> Option<Measured> {
    if evidence.overflowed {
        let seen = [evidence.peak, evidence.lowest_sp].into_iter().flatten().map(|one| one.bytes);
        return Some(Measured { bytes: seen.fold(evidence.size, u32::max), trust: Trust::AtLeast });
    }
    match (evidence.peak, evidence.lowest_sp) {
        (Some(peak), Some(sp)) if sp.bytes > peak.bytes => Some(Measured { bytes: sp.bytes, trust: peak.trust }),
        (peak, sp) => peak.or(sp),
    }
}

/// Bytes that are needed when there is no bound, what that rests on, and the same in words.
fn need(evidence: &Evidence<'_>, measured: Measured) -> (u32, Basis, String) {
    let frame = evidence.exception_frame;
    let with_frame = measured.bytes.saturating_add(frame);
    let basis = match measured.trust {
        Trust::Exact if recent_growth(evidence).is_some() || evidence.recursion.is_some() => Basis::NotYet,
        Trust::Exact => Basis::Measured,
        _ => Basis::AtLeast,
    };
    if let Some(worst) = evidence.worst_case.filter(|worst| worst.bytes > with_frame) {
        let words = format!("static worst case at least {} B, more than the {} B in use", worst.bytes, measured.bytes);
        return (worst.bytes, Basis::AtLeast, words);
    }
    let by_sp = evidence.peak.is_none_or(|peak| measured.bytes > peak.bytes);
    let what = match (evidence.overflowed, by_sp, basis) {
        (true, ..) => format!("it overflowed its {} B", evidence.size),
        (_, true, _) => format!("lowest SP {} B deep", measured.bytes),
        (_, _, Basis::Measured | Basis::NotYet) => format!("peak {} B, exact", measured.bytes),
        _ => format!("peak at least {} B", measured.bytes),
    };
    (with_frame, basis, format!("{what}, + {frame} B exception frame"))
}

/// How long ago it grew, where that is too short a time to take its mark for the last.
fn recent_growth(evidence: &Evidence<'_>) -> Option<Duration> {
    evidence.grew.filter(|ago| *ago < SHORT)
}

/// What a reader must know of the number besides.
fn notes(evidence: &Evidence<'_>, basis: Basis, refuted: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if evidence.overflowed {
        notes.push("how much more it needs is not known: enlarge it and measure again".to_owned());
    } else if refuted {
        notes.push("the run went deeper than the static worst case, so that is no bound".to_owned());
    }
    if basis == Basis::Bound {
        return notes;
    }
    if basis == Basis::AtLeast && !evidence.overflowed {
        notes.push("it may need more".to_owned());
    }
    if basis == Basis::NotYet {
        let recursion = evidence.recursion.map(|function| format!("{} calls itself", units::printable(function, 80)));
        let growth = recent_growth(evidence).map(|ago| format!("it grew {} ago", units::duration(ago)));
        let reasons: Vec<String> = recursion.into_iter().chain(growth).collect();
        notes.push(format!("not yet to be relied on: {}", reasons.join(", and ")));
    }
    if evidence.nests {
        notes.push("interrupts may nest deeper than they did".to_owned());
    }
    if evidence.watched < SHORT {
        notes.push(format!("watched for {} only", units::duration(evidence.watched)));
    }
    notes
}

fn nothing_known(evidence: &Evidence<'_>) -> String {
    let worst = match evidence.worst_case {
        Some(worst) => format!("its static worst case is at least {} B, which is no bound", worst.bytes),
        None => "it has no static worst case".into(),
    };
    format!("No suggestion: the stack has no mark to read, and {worst}.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: Evidence<'static> = Evidence {
        size: 4096,
        peak: None,
        lowest_sp: None,
        worst_case: None,
        overflowed: false,
        exception_frame: BASIC_FRAME,
        nests: false,
        recursion: None,
        grew: None,
        watched: Duration::from_secs(600),
    };

    fn measured(bytes: u32, trust: Trust) -> Option<Measured> {
        Some(Measured { bytes, trust })
    }

    fn exact(bytes: u32) -> Evidence<'static> {
        Evidence { peak: measured(bytes, Trust::Exact), ..NOTHING }
    }

    #[track_caller]
    fn check(evidence: Evidence<'_>, size: Option<(u32, Basis)>, because: &str) {
        let found = suggest(&evidence, DEFAULT_MARGIN);
        assert_eq!((found.size.map(|size| (size.bytes, size.basis)), found.because.as_str()), (size, because));
    }

    #[test]
    fn an_exact_peak_gets_a_frame_and_the_margin() {
        check(
            exact(848),
            Some((1064, Basis::Measured)),
            "peak 848 B, exact, + 36 B exception frame, + 20 % margin, rounded up to 8 B.",
        );
        check(
            Evidence { exception_frame: EXTENDED_FRAME, ..exact(848) },
            Some((1152, Basis::Measured)),
            "peak 848 B, exact, + 108 B exception frame, + 20 % margin, rounded up to 8 B.",
        );
    }

    #[test]
    fn no_stack_is_smaller_than_what_an_interrupt_pushes() {
        let worst_case = measured(0, Trust::Estimated);
        for (exception_frame, bytes) in [(BASIC_FRAME, 48), (EXTENDED_FRAME, 136)] {
            let because = format!(
                "static worst case 0 B, a bound, and never less than the {exception_frame} B of an exception frame, + 20 % \
                 margin, rounded up to 8 B."
            );
            check(Evidence { worst_case, exception_frame, ..NOTHING }, Some((bytes, Basis::Bound)), &because);
        }
    }

    #[test]
    fn a_bound_stands_alone_and_has_its_frames_in_it() {
        let worst_case = measured(200, Trust::Estimated);
        let because = "static worst case 200 B, a bound, + 20 % margin.";
        check(Evidence { worst_case, ..exact(160) }, Some((240, Basis::Bound)), because);
        check(Evidence { worst_case, ..NOTHING }, Some((240, Basis::Bound)), because);
    }

    #[test]
    fn a_run_that_was_deeper_refutes_a_bound() {
        check(
            Evidence { worst_case: measured(200, Trust::Estimated), ..exact(204) },
            Some((288, Basis::Measured)),
            "peak 204 B, exact, + 36 B exception frame, + 20 % margin; the run went deeper than the static worst \
             case, so that is no bound.",
        );
    }

    #[test]
    fn a_worst_case_that_is_no_bound_is_a_floor() {
        check(
            Evidence { worst_case: measured(1000, Trust::AtLeast), ..exact(848) },
            Some((1200, Basis::AtLeast)),
            "static worst case at least 1000 B, more than the 848 B in use, + 20 % margin; it may need more.",
        );
    }

    #[test]
    fn what_is_less_than_certain_says_so() {
        check(
            Evidence {
                peak: measured(848, Trust::AtLeast),
                lowest_sp: measured(900, Trust::Exact),
                nests: true,
                watched: Duration::from_secs(5),
                ..NOTHING
            },
            Some((1128, Basis::AtLeast)),
            "lowest SP 900 B deep, + 36 B exception frame, + 20 % margin, rounded up to 8 B; it may \
             need more; interrupts may nest deeper than they did; watched for 5.0 s only.",
        );
    }

    #[test]
    fn a_mark_that_may_still_move_is_not_relied_on() {
        let peak = "peak 848 B, exact, + 36 B exception frame, + 20 % margin, rounded up to 8 B";
        let grew = |ago: u64| Evidence { grew: Some(Duration::from_secs(ago)), ..exact(848) };
        let recurses = Evidence { recursion: Some("descend"), ..exact(848) };
        let grew_words = "not yet to be relied on: it grew 4.0 s ago";
        let recursion_words = "not yet to be relied on: descend calls itself";
        check(grew(4), Some((1064, Basis::NotYet)), &format!("{peak}; {grew_words}."));
        check(grew(60), Some((1064, Basis::Measured)), &format!("{peak}."));
        check(recurses, Some((1064, Basis::NotYet)), &format!("{peak}; {recursion_words}."));
        check(
            Evidence { grew: grew(4).grew, ..recurses },
            Some((1064, Basis::NotYet)),
            &format!("{peak}; {recursion_words}, and it grew 4.0 s ago."),
        );
        // Who knows that nothing can go deeper need not wait.
        let worst_case = measured(900, Trust::Estimated);
        check(
            Evidence { worst_case, ..grew(4) },
            Some((1080, Basis::Bound)),
            "static worst case 900 B, a bound, + 20 % margin.",
        );
    }

    #[test]
    fn each_basis_has_one_word_and_says_whether_it_is_a_floor() {
        for (basis, is_floor) in
            [(Basis::Bound, false), (Basis::Measured, false), (Basis::NotYet, true), (Basis::AtLeast, true)]
        {
            assert_eq!((Basis::named(basis.word()), basis.is_floor()), (Some(basis), is_floor));
        }
        assert_eq!(Basis::named("exact"), None);
    }

    #[test]
    fn an_overflow_only_tells_that_more_is_needed() {
        check(
            Evidence { overflowed: true, ..exact(4096) },
            Some((4960, Basis::AtLeast)),
            "it overflowed its 4096 B, + 36 B exception frame, + 20 % margin, rounded up to 8 B; how \
             much more it needs is not known: enlarge it and measure again.",
        );
    }

    #[test]
    fn without_a_mark_and_a_bound_there_is_no_suggestion() {
        check(NOTHING, None, "No suggestion: the stack has no mark to read, and it has no static worst case.");
        check(
            Evidence { lowest_sp: measured(96, Trust::Exact), worst_case: measured(180, Trust::AtLeast), ..NOTHING },
            None,
            "No suggestion: the stack has no mark to read, and its static worst case is at least 180 B, which is no bound.",
        );
    }

    #[test]
    fn a_margin_may_be_in_bytes() {
        assert_eq!(suggest(&exact(848), Amount::Bytes(256)).size.map(|size| size.bytes), Some(1144));
        assert_eq!(suggest(&exact(848), Amount::Bytes(0)).size.map(|size| size.bytes), Some(888));
    }

    fn any_measured() -> impl Strategy<Value = Option<Measured>> {
        let trust = prop_oneof![Just(Trust::Exact), Just(Trust::AtLeast), Just(Trust::Estimated), Just(Trust::Stale)];
        prop::option::of((any::<u32>(), trust).prop_map(|(bytes, trust)| Measured { bytes, trust }))
    }

    proptest! {
        #[test]
        fn it_is_never_below_what_is_proven(
            size: u32, peak in any_measured(), lowest_sp in any_measured(), worst_case in any_measured(),
            overflowed: bool, nests: bool, percent in 0u32..1000,
        ) {
            let evidence = Evidence { size, peak, lowest_sp, worst_case, overflowed, nests, ..NOTHING };
            let suggestion = suggest(&evidence, Amount::Percent(percent));
            prop_assert!(suggestion.because.ends_with('.'));
            if let Some(found) = suggestion.size {
                prop_assert_eq!(found.bytes % 8, 0);
                // The last bytes of the address space cannot be rounded up.
                let proven = [peak, lowest_sp, worst_case].into_iter().flatten().map(|one| one.bytes).max();
                prop_assert!(found.bytes >= proven.unwrap_or(0).min(!7));
                prop_assert!(!overflowed || found.bytes >= size.min(!7));
            } else {
                prop_assert!(peak.is_none() && !overflowed);
            }
        }
    }
}
