//! What an ELF alone says of the budgets of stacks and heaps: what was written, and that a target has to tell the rest.

use super::budgets::{Budgets, HeapBudget, StackBudget};
use super::{Check, Sense, Unit, a_minute, suggested};
use crate::amount::Amount;
use crate::report::Report;

const NEEDS_A_TARGET: &str = "needs a target";

/// Holds what the budgets say of stacks and heaps by name.
pub(super) fn hold(checks: &mut Vec<Check>, budgets: &Budgets, report: &Report) {
    for (name, budget) in &budgets.stack {
        let required = budgets.of_stack(name).required.unwrap_or_default();
        let of_this = stack(name, *budget, report);
        checks.extend(of_this.into_iter().map(|check| Check { required, ..check }));
    }
    for (name, budget) in &budgets.heap {
        let required = budgets.of_heap(name).required.unwrap_or_default();
        let size = report.heaps.iter().find(|heap| heap.name.eq_ignore_ascii_case(name)).map(|heap| heap.size);
        checks.extend(heap(name, *budget, size).into_iter().map(|check| Check { required, ..check }));
    }
}

fn stack(name: &str, budget: StackBudget, report: &Report) -> Vec<Check> {
    let known = report.stacks.iter().find(|stack| stack.name.eq_ignore_ascii_case(name));
    let size = known.map(|stack| stack.size);
    let mut checks = Vec::new();
    if budget.allow_overflow == Some(false) {
        let check = Check::new("stack", name, "overflow", Sense::AtMost, Unit::Count);
        checks.push(check.judge(None, NEEDS_A_TARGET));
    }
    if let Some(margin) = budget.margin {
        let check = Check::new("stack", name, "margin", Sense::AtLeast, Unit::Bytes);
        checks.push(unmeasured(check, margin, size.map(|size| margin.of_rounded_up(size))));
    }
    if let Some(peak) = budget.peak {
        let check = Check::new("stack", name, "peak", Sense::AtMost, Unit::Bytes);
        checks.push(unmeasured(check, peak, size.map(|size| peak.of(size))));
    }
    if budget.suggested == Some(true) {
        let check = Check::new("stack", name, "suggested", Sense::AtMost, Unit::Bytes);
        checks.push(match known {
            Some(stack) => {
                let check = check.limit(stack.size as f64, format!("{} B", stack.size));
                suggested(check, known).noting(&stack.suggested_because)
            }
            None => check.limit(100.0, "its size").judge(None, NEEDS_A_TARGET).of_shares(),
        });
    }
    checks
}

fn heap(name: &str, budget: HeapBudget, size: Option<u64>) -> Vec<Check> {
    let of_this = |rule, unit| Check::new("heap", name, rule, Sense::AtMost, unit);
    let mut checks = Vec::new();
    if budget.allow_damage == Some(false) {
        checks.push(of_this("damage", Unit::Count).judge(None, NEEDS_A_TARGET));
    }
    if let Some(peak) = budget.peak {
        checks.push(unmeasured(of_this("peak", Unit::Bytes), peak, size.map(|size| peak.of(size))));
    }
    if let Some(percent) = budget.fragmentation {
        let check = of_this("fragmentation", Unit::Percent).limit(percent.0.into(), percent.to_string());
        checks.push(check.judge(None, NEEDS_A_TARGET));
    }
    if let Some(leak) = budget.leak {
        let check = unmeasured(of_this("leak", Unit::BytesPerMinute), leak, size.map(|size| leak.of(size)));
        checks.push(Check { written: a_minute(leak), ..check });
    }
    if let Some(failures) = budget.failures {
        let check = of_this("failures", Unit::Count).limit(failures.into(), failures.to_string());
        checks.push(check.judge(None, NEEDS_A_TARGET));
    }
    checks
}

/// A budget as it was written, in bytes where that is known: a share of what has no known size stays a share.
fn unmeasured(check: Check, amount: Amount, limit: Option<u64>) -> Check {
    let check = match (amount, limit) {
        (Amount::Bytes(bytes), _) => check.limit(bytes as f64, amount.to_string()),
        (Amount::Percent(_), Some(limit)) => check.limit(limit as f64, amount.to_string()),
        (Amount::Percent(percent), None) => check.limit(percent.into(), amount.to_string()).of_shares(),
    };
    check.judge(None, NEEDS_A_TARGET)
}

impl Check {
    /// The same in hundredths of what it is a budget of.
    fn of_shares(self) -> Self {
        Self { unit: Unit::Percent, ..self }
    }
}
