//! Watches a firmware for a while, then judges: `check` and `sizes`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::open::{self, Opened};
use super::replay::Player;
use super::wanted::Wanted;
use super::{Failure, as_last_seen, firmware, ledger, live, pass_time, pass_time_until, uses_color};
use crate::check::{self, Watch};
use crate::cli::Look;
use crate::cli::measure::{CheckArgs, CheckFormat, MeasureArgs, SizesArgs};
use crate::cli::record::ReplayArgs;
use crate::config::{Rules, Settings};
use crate::image::layout;
use crate::model::Model;
use crate::report::Report;
use crate::sampler::static_snapshot;
use crate::view::{self, text::Style};

/// Holds the budgets.
pub(super) fn check(args: &CheckArgs, look: &Look, settings: &Settings) -> Result<(), Failure> {
    let (report, watch) = if args.is_static {
        (without_target(args)?, None)
    } else {
        let rules = settings.rules(args.measure.sizing.margin);
        let (report, watch) = run(&args.measure, rules)?;
        (report, Some(watch))
    };
    let (budgets, file) = match settings.budgets() {
        Some(said) => (said.value, Some(said.by.display().to_string())),
        None => Default::default(),
    };
    let named = file.clone();
    let outcome = check::check(&budgets, file, &report, watch.as_ref()).map_err(|error| match named {
        Some(file) => Failure::Error(format!("{file}: {error}")),
        None => Failure::Error(error),
    })?;
    let outcome = match (&args.ledger, &watch) {
        (Some(file), Some(watch)) => {
            let ledger = ledger::open(file, args.update_ledger, watch, report.target.build_id.as_deref())?;
            outcome.and(ledger.checks(watch))
        }
        _ => outcome,
    };
    if outcome.checks.is_empty() {
        let text = "without a target there is nothing to check: no budget names a memory or a region; `highwater config \
                    template` shows how";
        return Err(Failure::Error(text.into()));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        CheckFormat::Human => {
            let style = Style { ascii: look.ascii.unwrap_or(false), color: uses_color(look.color) };
            out.write_all(view::check::text(&outcome, style).as_bytes())?;
        }
        CheckFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &outcome).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        CheckFormat::Junit => view::junit::write(&outcome, &mut out)?,
        CheckFormat::Markdown => out.write_all(view::markdown::markdown(&outcome).as_bytes())?,
    }
    out.flush()?;
    if outcome.passed { Ok(()) } else { Err(Failure::OverBudget) }
}

/// Prints suggested stack sizes.
pub(super) fn sizes(args: &SizesArgs, settings: &Settings) -> Result<(), Failure> {
    let rules = settings.rules(args.measure.sizing.margin);
    let (report, _) = run(&args.measure, rules)?;
    Ok(io::stdout().write_all(view::sizes::sizes(&report, args.dialect).as_bytes())?)
}

/// What a run shows, one that is now or one that was recorded.
fn run(args: &MeasureArgs, rules: Rules) -> Result<(Report, Watch), Failure> {
    match &args.recording {
        Some(file) => played(file, args, rules),
        None => watch(&Wanted::measure(args, rules), args.duration),
    }
}

/// What a recording shows from its begin to its end.
fn played(file: &Path, args: &MeasureArgs, rules: Rules) -> Result<(Report, Watch), Failure> {
    let args = ReplayArgs::whole(file, args);
    let mut player = Player::open(&args, rules)?;
    for note in player.notes(&args) {
        eprintln!("note: {note}");
    }
    let mut watch = Watch::default();
    while player.step() {
        watch.see(player.model());
    }
    if !watch.has_seen() {
        let text =
            format!("the target never answered in {}", crate::units::printable(&args.file.to_string_lossy(), 4096));
        return Err(Failure::Unreachable(text));
    }
    Ok((Report::new(player.model()), watch))
}

/// What a target shows in that time.
fn watch(wanted: &Wanted, duration: Duration) -> Result<(Report, Watch), Failure> {
    // Before the target is touched: from then on the process is not to end without a word.
    let ended = if wanted.must_clean_up() { live::note_the_end()? } else { Arc::default() };
    let Opened { mut sampler, mut model, run_first, .. } =
        open::open(wanted, open::For::Snapshot, &open::Taping::Never)?;
    // However long one looks at what was saved, it stays the same.
    let duration = if wanted.is_saved() { Duration::ZERO } else { duration };
    if !wanted.is_emulated() && !wanted.is_saved() && io::stderr().is_terminal() {
        eprintln!("watching for {}", crate::units::duration(duration));
    }
    let mut watch = Watch::default();
    let first = run_first.unwrap_or_default();
    pass_time(&mut sampler, &mut model, first, |_| {});
    pass_time_until(&mut sampler, &mut model, first.saturating_add(duration), |model| {
        watch.see(model);
        ended.load(Ordering::Relaxed)
    });
    if ended.load(Ordering::Relaxed) {
        return Err(Failure::Error("it was told to end before the time was over".into()));
    }
    as_last_seen(&mut sampler, &mut model, |model| watch.see(model))?;
    Ok((Report::new(&model), watch))
}

/// What the ELF tells without one.
fn without_target(args: &CheckArgs) -> Result<Report, Failure> {
    let firmware = args.measure.firmware();
    let image = firmware::image(&firmware)?;
    let chip = firmware::chip(&firmware.chip, &image)?;
    let chips = layout::memories(&image, &chip.map(|chip| chip.memories()).unwrap_or_default());
    Ok(Report::new(&Model::new(static_snapshot(&image, &chips))))
}
