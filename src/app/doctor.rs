//! `highwater doctor`: goes the way to a live picture step by step, and says how far it came.

mod usb;

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::open::{self, For, Opened, Program};
use super::wanted::Wanted;
use super::{Failure, as_last_seen, firmware, pass_time_until};
use crate::cli::{DoctorArgs, ListFormat};
use crate::config::Settings;
use crate::doctor::{self, Examination, Finding};
use crate::image::Image;
use crate::model::Model;
use crate::model::snapshot::Health;
use crate::source::chip::Chip;
use crate::source::gdb::NO_CONTENT;
use crate::source::probe;
use crate::view;

/// How long the link is watched, at full speed.
const WATCHING: Duration = Duration::from_secs(2);
/// The longest that is waited for that time to pass, by this computer's clock: emulation may be slower.
const LONGEST: Duration = Duration::from_secs(20);
/// Where Linux lists its USB devices.
const SYSFS: &str = "/sys/bus/usb/devices";
/// What to do about permissions.
const PERMISSIONS: &str = "On Linux, install probe-rs's udev rules (https://probe.rs/docs/getting-started/probe-setup/), \
                           and plug the probe in again.";

/// Examines everything, and prints what was found.
///
/// # Errors
///
/// A step failed: the last one that is printed.
pub(super) fn run(args: &DoctorArgs, settings: &Settings) -> Result<(), Failure> {
    let mut notes = Notes { examination: Examination::default(), aloud: args.format == ListFormat::Human };
    let outcome = examine(args, settings, &mut notes);
    let examination = &notes.examination;
    let text = match args.format {
        ListFormat::Human => view::doctor::figures(examination),
        ListFormat::Json => view::doctor::json(examination),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    outcome
}

/// What was found so far.
struct Notes {
    examination: Examination,
    /// Whether each step is printed when it is known: the next one may take its time.
    aloud: bool,
}

impl Notes {
    fn step(&mut self, finding: Finding) -> Result<(), Failure> {
        if self.aloud {
            let mut out = io::stdout().lock();
            out.write_all(view::doctor::line(&finding).as_bytes())?;
            out.flush()?;
        }
        self.examination.steps.push(finding);
        Ok(())
    }
}

fn examine(args: &DoctorArgs, settings: &Settings, found: &mut Notes) -> Result<(), Failure> {
    let wanted = Wanted::doctor(args, settings.rules(None));
    found.step(of_settings(settings))?;
    probes(&wanted, found)?;
    let program = attempt(found, "firmware", Program::read(&wanted))?;
    found.step(firmware(&program.image))?;
    let chip = attempt(found, "chip", firmware::chip(&args.firmware.chip, &program.image))?;
    found.step(of_chip(chip.as_ref()))?;
    // From then on a signal does not end the process with the core left standing: the examination ends by itself.
    let _noted = if wanted.must_clean_up() { Some(super::live::note_the_end()?) } else { None };
    let opened = attempt(found, "target", open::with(&wanted, program, For::Snapshot, &open::Taping::Never))?;
    let Opened { mut sampler, mut model, run_first, .. } = opened;
    let time = run_first.unwrap_or(if wanted.is_emulated() { super::SNAPSHOT_AFTER } else { WATCHING });
    let began = Instant::now();
    // However slow the link or the emulation is.
    pass_time_until(&mut sampler, &mut model, time, |_| began.elapsed() >= LONGEST);
    // How often it can be refreshed is what it was before each stack is read to its end.
    let link = doctor::link(sampler.cost(), &model.snapshot);
    let seen = as_last_seen(&mut sampler, &mut model, |_| {});
    attempt(found, "target", seen)?;
    for finding in [target(&model), threads(&model), link, untouched(&model)] {
        found.step(finding)?;
    }
    found.examination.figures = doctor::figures(&model, &sampler.image());
    Ok(())
}

/// Notes a step that failed.
fn attempt<T>(found: &mut Notes, what: &'static str, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(failure) = &outcome {
        found.step(Finding::bad(what, failure.message().unwrap_or("it ended")))?;
    }
    outcome
}

fn of_settings(settings: &Settings) -> Finding {
    let files = settings.files();
    if files.is_empty() {
        return Finding::good("settings", "no file of settings: what is built in holds");
    }
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Finding::good("settings", files.join(", "))
}

/// The probes that are seen, and those that this user may not open.
fn probes(wanted: &Wanted, found: &mut Notes) -> Result<(), Failure> {
    if let Some(why) = wanted.place().without_probe() {
        return found.step(Finding::good("probe", why));
    }
    let listed = probe::list();
    let names: Vec<String> = listed.iter().map(|probe| format!("{} {}", probe.selector, probe.name)).collect();
    found.step(match names.len() {
        0 => Finding::less(
            "probe",
            "none is seen",
            "Plug one in, with a cable that carries data; `--probe sim` is the emulated board.",
        ),
        1 => Finding::good("probe", names.join(", ")),
        _ => Finding::less("probe", names.join(", "), "There are several: choose one with --probe."),
    })?;
    for device in usb::denied(Path::new(SYSFS), usb::open) {
        let node = device.node.display();
        let text = format!("this user may not open {node}, {}", device.name);
        found.step(Finding::less("permission", text, PERMISSIONS))?;
    }
    Ok(())
}

fn firmware(image: &Image) -> Finding {
    let functions = image.symbols.iter().filter(|symbol| symbol.is_code).count();
    let statics = image.symbols.iter().filter(|symbol| symbol.is_data).count();
    let name = crate::units::printable(&image.path.display().to_string(), 200);
    let found = format!("{name}: {functions} functions, {statics} statics");
    match functions {
        0 => Finding::less(
            "firmware",
            found,
            "It is stripped: without symbols neither threads nor heaps are found. Give the file as the linker wrote it.",
        ),
        _ => Finding::good("firmware", found),
    }
}

fn of_chip(chip: Option<&Chip>) -> Finding {
    match chip {
        Some(chip) => Finding::good("chip", format!("{}, {}", chip.name(), chip.core())),
        None => Finding::less(
            "chip",
            "nobody names it: memories end where the linker's end",
            "--chip NAME, or `chip` in highwater.toml, draws all of its flash and RAM.",
        ),
    }
}

fn target(model: &Model) -> Finding {
    let target = &model.snapshot.target;
    let core = target.core.as_deref().unwrap_or("an unknown core");
    let found = format!("{core} on {}, and it runs {}", target.source, target.elf);
    match model.snapshot.hints.iter().find(|hint| hint.contains(NO_CONTENT)) {
        Some(hint) => Finding::less("target", found, hint.as_str()),
        None => Finding::good("target", found),
    }
}

fn threads(model: &Model) -> Finding {
    let snapshot = &model.snapshot;
    let kernel = snapshot.target.kernel.as_deref().unwrap_or("nobody");
    let stacks = snapshot.stacks.len();
    match (&snapshot.health, stacks) {
        (Health::Live, 0) => Finding::less(
            "threads",
            format!("{kernel} tells of none"),
            "Link the agent, or a kernel that is known (FreeRTOS, RTX5, Zephyr, ThreadX).",
        ),
        _ => Finding::good("threads", format!("{stacks} stacks, told by {kernel}")),
    }
}

/// That the examination itself left no trace.
fn untouched(model: &Model) -> Finding {
    let link = &model.snapshot.link;
    match (link.halts, link.writes) {
        (Some(halts), Some(writes)) => {
            Finding::good("in the way", format!("the core was stopped {halts} times, {writes} words were written"))
        }
        _ => Finding::good("in the way", "reads only: nothing was written, the core was not stopped"),
    }
}
