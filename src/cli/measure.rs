//! The arguments of what watches a firmware for a while and then judges: `check` and `sizes`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    ChipArgs, Firmware, PaceArgs, ProbeArgs, SavedArgs, Scenario, ServerArgs, SimArgs, SizingArgs, parse_duration,
};
use crate::image::other::Given;
use crate::view::sizes::Dialect;

/// Which firmware, where, and for how long.
#[derive(Args, Clone, Debug)]
pub struct MeasureArgs {
    /// The firmware's ELF file, as the linker wrote it
    #[arg(value_name = "ELF")]
    pub elf: Option<PathBuf>,
    /// Take the built-in demo firmware on the emulated board, in this scenario
    #[arg(long, value_name = "SCENARIO", value_enum, conflicts_with = "elf", help_heading = "Emulated board")]
    pub demo: Option<Scenario>,
    /// How long to watch; on the emulated board in emulated time, as fast as it goes
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub duration: Duration,
    /// A folder with the compiler's .su files (gcc -fstack-usage): stack frames for the static worst case
    #[arg(long, value_name = "DIR", help_heading = "Target")]
    pub su: Option<PathBuf>,
    /// Another image in the same flash, a bootloader or a file system: ELF, HEX, UF2, or plain bytes as FILE@ADDRESS
    #[arg(long, value_name = "FILE[@ADDRESS]", help_heading = "Target")]
    pub also: Vec<Given>,
    /// The chip.
    #[command(flatten)]
    pub chip: ChipArgs,
    /// Which probe.
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Saved memory in place of a target.
    #[command(flatten)]
    pub saved: SavedArgs,
    /// Look at a recording from its begin to its end, in place of a target; ELF is needed where it has none in it
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Saved memory",
        conflicts_with_all = ["demo", "duration", "core", "ram", "gdb", "qemu", "sim_time", "sim_mishap"]
    )]
    pub recording: Option<PathBuf>,
    /// A server in place of a probe.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The refresh.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How stack sizes are suggested.
    #[command(flatten)]
    pub sizing: SizingArgs,
    /// With `--probe sim` and the demo firmware: what it does
    #[arg(long, value_enum, help_heading = "Emulated board")]
    pub sim_scenario: Option<Scenario>,
    /// The emulated board.
    #[command(flatten)]
    pub sim: SimArgs,
}

impl MeasureArgs {
    /// The firmware; its file is looked for when none is named.
    #[must_use]
    pub fn firmware(&self) -> Firmware {
        Firmware { elf: self.elf.clone(), su: self.su.clone(), also: self.also.clone(), chip: self.chip.clone() }
    }
}

/// `highwater check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// What to watch.
    #[command(flatten)]
    pub measure: MeasureArgs,
    /// The file with the budgets, in place of the nearest highwater.toml
    #[arg(long, value_name = "FILE")]
    pub budgets: Option<PathBuf>,
    /// The worst ever seen of each stack and heap: more than in this file fails
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Take what is new or worse into the ledger, in place of failing on it
    #[arg(long, requires = "ledger")]
    pub update_ledger: bool,
    /// Look at the ELF alone: what the linker placed, without a target
    #[arg(long = "static", conflicts_with_all = ["demo", "duration", "recording", "ledger"])]
    pub is_static: bool,
    /// Format of the outcome
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub format: CheckFormat,
}

/// Formats of what became of the budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// A table to read
    Human,
    /// JSON, schema highwater/check@1
    Json,
    /// JUnit XML, one case for each budget
    Junit,
    /// A table in GitHub-flavoured Markdown
    Markdown,
}

/// `highwater sizes`.
#[derive(Args, Clone, Debug)]
pub struct SizesArgs {
    /// What to watch.
    #[command(flatten)]
    pub measure: MeasureArgs,
    /// For which sources
    #[arg(long = "as", value_enum, default_value_t = Dialect::Text)]
    pub dialect: Dialect,
}

/// `highwater config`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting with what it does, to begin a highwater.toml with
    #[command(after_help = "Example:
  highwater config template > highwater.toml")]
    Template,
    /// What holds, and which file or variable says so
    Show,
}
