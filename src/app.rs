//! Carries out what the command line asks for. All effects on files, terminals and targets start here.

mod desk;
mod doctor;
mod export;
mod film;
pub mod find;
mod firmware;
pub mod flash;
mod ledger;
pub mod listen;
pub mod live;
pub mod log;
mod measure;
pub mod open;
pub mod place;
pub mod record;
pub mod replay;
mod run;
mod statics;
mod stream;
mod transport;
pub mod wanted;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::CommandFactory;

use crate::cli::measure::ConfigCommand;
use crate::cli::{Cli, Color, Command, FitArgs, LayoutArgs, ListArgs, ListFormat, Look};
use crate::config::{self, Rules, Settings};
use crate::image::layout;
use crate::model::Model;
use crate::model::catch::Tripwire;
use crate::report::Report;
use crate::report::schema::JSON_SCHEMA;
use crate::sampler::{Sampler, static_snapshot};
use crate::source::probe;
use crate::view::{self, Format};
use open::Opened;
use watch::Stamp;

/// How long a snapshot of the emulated board runs first, in emulated time.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(5);

/// How long a snapshot of a real board looks first: until a stack's paint is believed.
const SETTLING: Duration = Duration::from_millis(300);

/// How long a snapshot with a tripwire waits for the first catch.
const CATCHING: Duration = Duration::from_secs(30);

/// Why a command ended without doing what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Something is wrong with a file, an option's value, or the output.
    Error(String),
    /// The command line does not say enough.
    Usage(String),
    /// The probe or the target cannot be reached.
    Unreachable(String),
    /// A budget is exceeded, and the output says which.
    OverBudget,
    /// The firmware itself has ended with this status, and not with 0.
    Firmware(u8),
    /// The user ended what would have gone on.
    Interrupted,
    /// Nobody reads the output any more: not an error.
    BrokenPipe,
}

impl Failure {
    /// The exit code: 1 error, 2 usage, 3 a budget is exceeded, 4 not reachable, 130 interrupted, 0 for a closed pipe;
    /// the firmware's own status where that has ended.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Error(_) => 1,
            Self::Usage(_) => 2,
            Self::OverBudget => 3,
            Self::Unreachable(_) => 4,
            Self::Firmware(status) => *status,
            Self::Interrupted => 130,
            Self::BrokenPipe => 0,
        }
    }

    /// What to tell the user.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Error(text) | Self::Usage(text) | Self::Unreachable(text) => Some(text),
            Self::OverBudget | Self::Firmware(_) | Self::Interrupted | Self::BrokenPipe => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Error(format!("cannot write the output: {error}")),
        }
    }
}

/// Does what the command line says.
///
/// # Errors
///
/// See [`Failure`].
pub fn run(mut cli: Cli) -> Result<(), Failure> {
    if let Some(file) = &cli.look.log_file {
        log::start(file)?;
    }
    let outcome = settings(&cli.command).and_then(|settings| {
        cli.fill(&settings);
        carry_out(&cli.command, &cli.look, &settings)
    });
    match &outcome {
        Err(Failure::Error(text) | Failure::Usage(text) | Failure::Unreachable(text)) => tracing::error!("{text}"),
        Err(Failure::OverBudget) => tracing::error!("a budget is exceeded"),
        Err(Failure::Firmware(status)) => tracing::error!("the firmware ended with the status {status}"),
        Err(Failure::Interrupted) => tracing::info!("interrupted"),
        Err(Failure::BrokenPipe) => tracing::error!("nobody reads the output any more"),
        Ok(()) => {}
    }
    outcome
}

/// What the files of settings say; those that no command needs are not read, so that a broken one is not in the way.
fn settings(command: &Command) -> Result<Settings, Failure> {
    let project = match command {
        Command::Completions { .. } | Command::Schema | Command::Man | Command::List(_) => {
            return Ok(Settings::default());
        }
        Command::Config { command: ConfigCommand::Template } => return Ok(Settings::default()),
        Command::Check(args) => args.budgets.as_deref(),
        _ => None,
    };
    let folder = std::env::current_dir().unwrap_or_default();
    let user = config::user_file();
    Settings::load(project, &folder, user.as_deref()).map_err(|error| Failure::Error(error.to_string()))
}

fn carry_out(command: &Command, look: &Look, settings: &Settings) -> Result<(), Failure> {
    match command {
        #[cfg(feature = "simulator")]
        Command::Demo(args) => {
            let wanted = wanted::Wanted::demo(args, settings.rules(args.sizing.margin));
            match args.serve.prometheus {
                Some(address) => export::run(&wanted, address),
                None => watch(&wanted, args.format, &args.fit, look),
            }
        }
        Command::Run(args) => {
            let loading = flash::Loading { verify: args.verify, ascii: look.ascii.unwrap_or(false) };
            run::run(&wanted::Wanted::run(args, loading, settings.rules(args.sizing.margin)), args.lines, look)
        }
        Command::Attach(args) => {
            let wanted = wanted::Wanted::attach(args, settings.rules(args.sizing.margin));
            match args.serve.prometheus {
                Some(address) => export::run(&wanted, address),
                None if args.rtt => run::run(&wanted, false, look),
                None => watch(&wanted, args.format, &args.fit, look),
            }
        }
        Command::Snapshot(args) if args.serve.prometheus.is_some() => Err(Failure::Usage(
            "a snapshot ends at once: `highwater attach --prometheus` goes on and is scraped".into(),
        )),
        Command::Snapshot(args) if args.rtt => {
            Err(Failure::Usage("a snapshot has no log: `highwater attach --rtt` shows what the firmware says".into()))
        }
        Command::Snapshot(args) => {
            let wanted = wanted::Wanted::attach(args, settings.rules(args.sizing.margin));
            print_snapshot(&wanted, args.format.unwrap_or(Format::Human), &args.fit, look)
        }
        Command::Record(args) => record::record(args, settings),
        Command::Replay(args) => replay::replay(args, look, settings),
        Command::Layout(args) => print_layout(args, look, settings.rules(None)),
        Command::Check(args) => measure::check(args, look, settings),
        Command::Sizes(args) => measure::sizes(args, settings),
        Command::Config { command: ConfigCommand::Template } => {
            Ok(io::stdout().write_all(config::TEMPLATE.as_bytes())?)
        }
        Command::Config { command: ConfigCommand::Show } => {
            let shown = config::show(settings, |name| std::env::var(name).ok());
            Ok(io::stdout().write_all(shown.as_bytes())?)
        }
        Command::Symbols(args) => statics::symbols(args),
        Command::Tasks(args) => statics::tasks(args),
        Command::Diff(args) => statics::diff(args),
        Command::Doctor(args) => doctor::run(args, settings),
        Command::List(args) => list(args),
        Command::Schema => Ok(io::stdout().write_all(JSON_SCHEMA.as_bytes())?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "highwater", &mut script);
            Ok(io::stdout().write_all(&script)?)
        }
        Command::Man => Ok(clap_mangen::Man::new(Cli::command()).render(&mut io::stdout())?),
    }
}

/// The live screen on a terminal; elsewhere, or when a format is asked for, one snapshot or a stream of reports.
fn watch(wanted: &wanted::Wanted, format: Option<Format>, fit: &FitArgs, look: &Look) -> Result<(), Failure> {
    let on_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if let Some(format) = format.filter(|format| format.is_stream()) {
        return stream::watch(wanted, format, fit, look);
    }
    if format.is_some() || fit.would_fit.is_some() || !on_terminal {
        return print_snapshot(wanted, format.unwrap_or(Format::Human), fit, look);
    }
    let opened = open::open(wanted, open::For::Watching, &open::Taping::OnRequest)?;
    live::run(opened, look)
}

/// One report, after a thorough look.
fn print_snapshot(wanted: &wanted::Wanted, format: Format, fit: &FitArgs, look: &Look) -> Result<(), Failure> {
    // Before the target is touched: from then on the process is not to end without a word.
    let ended = if wanted.must_clean_up() { live::note_the_end()? } else { Arc::default() };
    let Opened { mut sampler, mut model, run_first, .. } =
        open::open(wanted, open::For::Snapshot, &open::Taping::Never)?;
    let time = match (wanted.is_emulated(), wanted.has_tripwire()) {
        // However long one looks, it stays the same.
        _ if wanted.is_saved() => Duration::ZERO,
        (_, true) => CATCHING,
        (true, _) => SNAPSHOT_AFTER,
        // From the first look on: a link may be slow to open, and a paint is believed when it was seen twice.
        (false, _) => {
            model.ingest(sampler.refresh());
            sampler.now().saturating_add(SETTLING)
        }
    };
    let caught = |model: &Model| model.snapshot.tripwire.as_ref().is_some_and(Tripwire::has_caught);
    pass_time_until(&mut sampler, &mut model, run_first.unwrap_or(time), |model| {
        ended.load(Ordering::Relaxed) || (run_first.is_none() && caught(model))
    });
    as_last_seen(&mut sampler, &mut model, |_| {})?;
    let report = Report::new(&model);
    let report = match &fit.would_fit {
        Some(question) => report.with_fit(&model, question, MALLOC_ALIGN).map_err(Failure::Error)?,
        None => report,
    };
    print(&report, format, look)
}

/// A thorough look at what is there now.
fn as_last_seen(sampler: &mut Sampler, model: &mut Model, mut seen: impl FnMut(&Model)) -> Result<(), Failure> {
    // The first refresh finds the stacks, the second reads each of them to the end.
    model.ingest(sampler.refresh());
    model.ingest(sampler.refresh_thoroughly());
    seen(model);
    let health = &model.snapshot.health;
    if let crate::model::snapshot::Health::Reconnecting { why, .. }
    | crate::model::snapshot::Health::Stale { why, .. } = health
    {
        return Err(Failure::Unreachable(why.clone()));
    }
    Ok(())
}

/// Refreshes until that much time has passed since the attach.
fn pass_time(sampler: &mut Sampler, model: &mut Model, until: Duration, mut seen: impl FnMut(&Model)) {
    pass_time_until(sampler, model, until, |model| {
        seen(model);
        false
    });
}

/// The same, or until it is over earlier, by a refusal of the target for example.
fn pass_time_until(sampler: &mut Sampler, model: &mut Model, until: Duration, mut over: impl FnMut(&Model) -> bool) {
    while sampler.now() < until {
        let before = sampler.now();
        model.ingest(sampler.refresh());
        if over(model) || sampler.refused().is_some() {
            return;
        }
        let spent = sampler.now().saturating_sub(before);
        sampler.wait_at_most(spent, until.saturating_sub(sampler.now()));
    }
}

/// The alignment of a block that is asked about: what C's `malloc` and most of Rust's types need at most.
const MALLOC_ALIGN: u32 = 8;

fn print_layout(args: &LayoutArgs, look: &Look, rules: Rules) -> Result<(), Failure> {
    let path = firmware::path(&args.firmware)?;
    let opened = Stamp::of(&path);
    let image = firmware::read(&args.firmware, &path)?;
    let chip = firmware::chip(&args.firmware.chip, &image)?;
    let known = chip.map(|chip| chip.memories()).unwrap_or_default();
    let chips = layout::memories(&image, &known);
    if args.tui {
        let watcher = firmware::watcher(&args.firmware, &path, opened, known);
        return live::browse(image, chips, look, rules, watcher);
    }
    print(&Report::new(&rules.apply(Model::new(static_snapshot(&image, &chips)))), args.format, look)
}

fn print(report: &Report, format: Format, look: &Look) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    view::write(report, format, style(look), &mut out)?;
    Ok(out.flush()?)
}

fn style(look: &Look) -> view::text::Style {
    view::text::Style { ascii: look.ascii.unwrap_or(false), color: uses_color(look.color) }
}

/// Whether standard output takes colour.
fn uses_color(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let probes = probe::list();
    let mut out = io::stdout().lock();
    match args.format {
        ListFormat::Json => {
            let probes: Vec<serde_json::Value> = probes
                .iter()
                .map(|probe| serde_json::json!({"selector": probe.selector, "name": probe.name, "kind": probe.kind}))
                .collect();
            let document = serde_json::json!({"schema": "highwater/list@1", "probes": probes});
            writeln!(out, "{document:#}")?;
        }
        ListFormat::Human => {
            if probes.is_empty() {
                writeln!(out, "no debug probe is connected")?;
            }
            for probe in &probes {
                writeln!(out, "--probe {:<28} {} ({})", probe.selector, probe.name, probe.kind)?;
            }
            if cfg!(feature = "simulator") {
                writeln!(out, "--probe {:<28} the emulated board, always there", "sim")?;
            }
        }
    }
    Ok(())
}
