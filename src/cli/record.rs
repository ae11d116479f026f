//! The arguments of `record` and `replay`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::measure::MeasureArgs;
use super::{
    ChipArgs, Firmware, FitArgs, PaceArgs, ProbeArgs, SavedArgs, Scenario, ServerArgs, SimArgs, SizingArgs,
    parse_duration,
};
use crate::image::other::Given;
use crate::view::Format;

/// `highwater record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// Take the built-in demo firmware on the emulated board, in this scenario
    #[arg(long, value_name = "SCENARIO", value_enum, conflicts_with = "elf", help_heading = "Emulated board")]
    pub demo: Option<Scenario>,
    /// How long to record; else until Ctrl-C. On the emulated board in emulated time, as fast as it goes
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// The file, which must not be there yet [default: the first free one of highwater-1.hwr, highwater-2.hwr, ...]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave the ELF out of the recording: a replay then needs it
    #[arg(long)]
    pub without_elf: bool,
    /// Which probe.
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// A server in place of a probe.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The refresh.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// With `--probe sim` and the demo firmware: what it does
    #[arg(long, value_enum, help_heading = "Emulated board")]
    pub sim_scenario: Option<Scenario>,
    /// The emulated board.
    #[command(flatten)]
    pub sim: SimArgs,
}

impl RecordArgs {
    /// The same as for what is measured for a while.
    #[must_use]
    pub fn measure(&self) -> MeasureArgs {
        let Firmware { elf, su, also, chip } = self.firmware.clone();
        MeasureArgs {
            elf,
            demo: self.demo,
            duration: self.duration.unwrap_or(Duration::MAX),
            su,
            also,
            chip,
            probe: self.probe.clone(),
            saved: SavedArgs::default(),
            recording: None,
            server: self.server.clone(),
            pace: self.pace,
            sizing: SizingArgs { margin: None },
            sim_scenario: self.sim_scenario,
            sim: self.sim.clone(),
        }
    }
}

/// `highwater replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to begin, in time since the attach: 90s, 12m; with a format, the moment to report [default with a format: the end]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub at: Option<Duration>,
    /// How fast to play on the screen: 2 is twice as fast as it was
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = parse_speed, allow_negative_numbers = true)]
    pub speed: f64,
    /// Format of the report; asks for one even on a terminal. jsonl and csv write every refresh, html
    /// without --at one page of the whole time
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// A question about the heap.
    #[command(flatten)]
    pub fit: FitArgs,
    /// The ELF of the firmware, where the recording has none in it
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub elf: Option<PathBuf>,
    /// A folder with the compiler's .su files (gcc -fstack-usage), as when it was recorded
    #[arg(long, value_name = "DIR", help_heading = "Target")]
    pub su: Option<PathBuf>,
    /// Another image in the same flash, as when it was recorded
    #[arg(long, value_name = "FILE[@ADDRESS]", help_heading = "Target")]
    pub also: Vec<Given>,
    /// How stack sizes are suggested.
    #[command(flatten)]
    pub sizing: SizingArgs,
}

impl ReplayArgs {
    /// All of a recording, with the ELF and its companions that are measured.
    #[must_use]
    pub fn whole(file: &Path, args: &MeasureArgs) -> Self {
        Self {
            file: file.to_owned(),
            at: None,
            speed: 1.0,
            format: None,
            fit: FitArgs { would_fit: None },
            elf: args.elf.clone(),
            su: args.su.clone(),
            also: args.also.clone(),
            sizing: args.sizing,
        }
    }

    /// The firmware, as far as the command line names it.
    #[must_use]
    pub fn firmware(&self) -> Firmware {
        Firmware { elf: self.elf.clone(), su: self.su.clone(), also: self.also.clone(), chip: ChipArgs::default() }
    }
}

/// The slowest and the fastest that a recording is played.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if SPEEDS.contains(&speed) => Ok(speed),
        _ => Err("a number from 0.01 to 1000".into()),
    }
}
