//! What holds, and who says so.

use std::fmt::Write;

use clap::ValueEnum;

use super::{DEFAULT_RATE, File, Settings};
use crate::model::alert::Limits;
use crate::units;

/// One setting: its name, its variable if it has one, what a file says, and what is built in.
type Row = (&'static str, &'static str, fn(&File) -> Option<String>, String);

/// Every setting with its value and where it is from, flags left out; `variable` gives the environment's.
#[must_use]
pub fn show(settings: &Settings, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, settings, variable);
    out
}

fn rows() -> [Row; 9] {
    let limits = Limits::default();
    [
        ("margin", "HIGHWATER_MARGIN", |file| text(file.margin), crate::sizing::DEFAULT_MARGIN.to_string()),
        ("rate", "HIGHWATER_RATE", |file| text(file.rate), DEFAULT_RATE.to_string()),
        (
            "theme",
            "HIGHWATER_THEME",
            |file| Some(file.theme?.to_possible_value()?.get_name().to_owned()),
            "auto".into(),
        ),
        ("ascii", "HIGHWATER_ASCII", |file| text(file.ascii), "false".into()),
        ("chip", "PROBE_RS_CHIP", |file| file.chip.clone(), "by the ELF or the project".into()),
        ("probe", "PROBE_RS_PROBE", |file| file.probe.clone(), "the only one".into()),
        ("limits.stack", "", |file| text(file.limits.stack), format!("{} %", limits.stack_percent)),
        ("limits.heap", "", |file| text(file.limits.heap), format!("{} %", limits.heap_percent)),
        (
            "limits.fragmentation",
            "",
            |file| text(file.limits.fragmentation),
            format!("{} %", limits.fragmentation_percent),
        ),
    ]
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn write_all(out: &mut String, settings: &Settings, variable: impl Fn(&str) -> Option<String>) -> std::fmt::Result {
    let mut line =
        |name: &str, value: &str, from: &str| writeln!(out, "{name:<20} {:<28} {from}", units::printable(value, 100));
    for (name, env, get, usual) in rows() {
        let by_variable = (!env.is_empty()).then(|| variable(env)).flatten();
        match (by_variable, settings.find(get)) {
            (Some(value), _) => line(name, &value, env)?,
            (None, Some(said)) => line(name, &said.value, &said.by.display().to_string())?,
            (None, None) => line(name, &usual, "built in")?,
        }
    }
    match settings.find(|file| file.keys.clone()) {
        Some(said) => line("keys", &said.value.to_string(), &said.by.display().to_string())?,
        None => line("keys", "as `?` lists them", "built in")?,
    }
    match settings.budgets() {
        Some(said) => line("budgets", &count(&said.value), &said.by.display().to_string()),
        None => line("budgets", "the usual ones", "built in"),
    }
}

fn count(budgets: &crate::check::budgets::Budgets) -> String {
    let named = budgets.stack.len() + budgets.heap.len() + budgets.memory.len() + budgets.region.len();
    format!("the usual ones, {named} by name")
}
