//! The first thing a person reads: what is in danger, or that all is well.
//!
//! ```text
//!  ! DANGER  growth has 440 B of stack left. Next it overwrites uart_rx_buf.      8 other stacks below 80 %
//! ok  all 9 stacks below 80 %, the fullest is comms, 41 %
//! ```

use super::lookup::{self, Condition};
use crate::model::Model;
use crate::model::alert::{Alert, AlertKind, Severity};
use crate::model::snapshot::{Health, Snapshot, Stack};
use crate::units;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Calm,
    Warning,
    Danger,
}

/// The sentence at the top of every screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) tone: Tone,
    pub(crate) chip: &'static str,
    /// Whom it concerns, when the sentence begins with that.
    pub(crate) subject: String,
    pub(crate) sentence: String,
    /// What else there is to say, where there is room.
    pub(crate) aside: String,
}

/// What is to be said about a model.
pub(crate) fn verdict(model: &Model, limit: u8) -> Verdict {
    let snapshot = &model.snapshot;
    let active = || model.alerts.iter().filter(|alert| alert.is_news() && alert.severity != Severity::Info);
    let known = || model.alerts.iter().filter(|alert| alert.until.is_none() && alert.acknowledged.is_some());
    let mut verdict = if let Some(alert) = active().min_by_key(|alert| (alert.severity, alert.kind)) {
        from_alert(alert)
    } else if let Some(alert) =
        known().filter(|alert| alert.severity != Severity::Info).min_by_key(|alert| alert.severity)
    {
        from_known(alert, known().count())
    } else if let Some(stack) = lookup::worst(snapshot, limit) {
        from_stack(stack)
    } else {
        calm(snapshot, limit)
    };
    if verdict.tone != Tone::Calm {
        verdict.aside = match active().count().saturating_sub(1) {
            0 => others(snapshot, limit),
            more => format!("{more} more in 6 Alerts"),
        };
    } else if let Some(info) = model.alerts.iter().find(|alert| holds(alert) && alert.severity == Severity::Info) {
        verdict.aside.clone_from(&info.text);
    }
    match &snapshot.health {
        Health::Stale { since, .. } | Health::Reconnecting { since, .. } => {
            verdict.aside = format!("as it was {} ago", units::duration(snapshot.at.saturating_sub(*since)));
        }
        Health::Live | Health::Static | Health::Saved => {}
    }
    verdict
}

pub(crate) fn holds(alert: &Alert) -> bool {
    alert.until.is_none()
}

/// The word on an alert's chip.
pub(crate) fn chip(alert: &Alert) -> (Tone, &'static str) {
    match (alert.severity, alert.kind) {
        (Severity::Danger, AlertKind::Overflow) => (Tone::Danger, "! OVERFLOW"),
        (Severity::Danger, _) => (Tone::Danger, "! DANGER"),
        (Severity::Warning, _) => (Tone::Warning, "! WARNING"),
        (Severity::Info, _) => (Tone::Calm, "i info"),
    }
}

fn from_alert(alert: &Alert) -> Verdict {
    let (tone, chip) = chip(alert);
    let (subject, sentence) = match alert.text.strip_prefix(alert.subject.as_str()) {
        Some(rest) => (alert.subject.clone(), rest.to_owned()),
        None => (String::new(), alert.text.clone()),
    };
    Verdict { tone, chip, subject, sentence, aside: String::new() }
}

/// Nothing is news, and yet all is not well: what is known of is said without alarm.
fn from_known(alert: &Alert, count: usize) -> Verdict {
    let others = if count > 1 { format!(" ({count} alerts are known)") } else { String::new() };
    let verdict = from_alert(alert);
    Verdict {
        tone: Tone::Calm,
        chip: "known",
        subject: format!("  {}", verdict.subject),
        sentence: format!("{}{others}", verdict.sentence),
        aside: "nothing else: 6 Alerts".to_owned(),
    }
}

fn from_stack(stack: &Stack) -> Verdict {
    let victim = stack.victim.as_ref();
    let left = stack.margin().unwrap_or(0);
    let (chip, sentence) = if stack.overflowed {
        let hit = victim.map(|victim| format!(", {} below may be overwritten", victim.name)).unwrap_or_default();
        ("! OVERFLOW", format!(" overflowed: its guard is broken{hit}."))
    } else {
        let next = match victim {
            Some(victim) if victim.range.is_empty() => format!(" Next it reaches the {}.", victim.name),
            Some(victim) => format!(" Next it overwrites {}.", victim.name),
            None => String::new(),
        };
        ("! DANGER", format!(" has {left} B of stack left.{next}"))
    };
    Verdict { tone: Tone::Danger, chip, subject: stack.name.clone(), sentence, aside: String::new() }
}

fn calm(snapshot: &Snapshot, limit: u8) -> Verdict {
    let (chip, sentence) = if snapshot.health == Health::Static {
        ("static picture", ", no target".to_owned())
    } else {
        ("ok", format!("  {}", calm_sentence(snapshot, limit)))
    };
    Verdict { tone: Tone::Calm, chip, subject: String::new(), sentence, aside: String::new() }
}

fn calm_sentence(snapshot: &Snapshot, limit: u8) -> String {
    let measured = snapshot.stacks.iter().filter_map(|stack| Some((lookup::peak_percent(stack)?, stack)));
    let count = measured.clone().count();
    let fullest = measured.max_by_key(|(percent, _)| *percent);
    match (snapshot.stacks.len(), fullest) {
        (0, _) => "nothing is in danger; no stack is known".to_owned(),
        (_, None) => "nothing is in danger; no stack is measured yet".to_owned(),
        (1, Some((percent, stack))) => format!("the only stack, {}, is {percent} % full at its peak", stack.name),
        (all, Some((percent, stack))) if count == all => {
            format!("all {all} stacks below {limit} %, the fullest is {}, {percent} %", stack.name)
        }
        (all, Some((percent, stack))) => {
            format!("{count} of {all} stacks measured, all below {limit} %, the fullest is {}, {percent} %", stack.name)
        }
    }
}

/// What there is to say of the stacks that are not the trouble.
fn others(snapshot: &Snapshot, limit: u8) -> String {
    let all = snapshot.stacks.len();
    let below = snapshot.stacks.iter().filter(|stack| Condition::of(stack, limit) == Condition::Calm).count();
    match below {
        0 => String::new(),
        1 if all == 1 => format!("the only stack is below {limit} %"),
        // The trouble is another's: a heap's, the link's.
        _ if below == all => format!("all {all} stacks below {limit} %"),
        1 => format!("1 other stack below {limit} %"),
        _ => format!("{below} other stacks below {limit} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{live, stack};

    #[test]
    fn stacks_are_others_only_beside_one_that_is_in_trouble() {
        let check = |peaks: &[u32], expected: &str| {
            let named = |(index, peak): (usize, &u32)| stack(&index.to_string(), *peak);
            let stacks = peaks.iter().enumerate().map(named).collect();
            assert_eq!(others(&Snapshot { stacks, ..live(1) }, 80), expected, "{peaks:?}");
        };
        check(&[900, 100, 100], "2 other stacks below 80 %");
        check(&[900, 100], "1 other stack below 80 %");
        check(&[100, 100, 100], "all 3 stacks below 80 %");
        check(&[100], "the only stack is below 80 %");
        check(&[900], "");
        check(&[], "");
    }
}
