//! The arguments of `run`.

use clap::Args;

use super::{Firmware, PaceArgs, ProbeArgs, Scenario, SimArgs, SizingArgs};

/// `highwater run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// Which probe.
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Leave the flash as it is, which has this firmware already; the chip is still reset
    #[arg(long, help_heading = "Touches the target")]
    pub no_flash: bool,
    /// Read everything back once it is written
    #[arg(long, conflicts_with = "no_flash", help_heading = "Touches the target")]
    pub verify: bool,
    /// Leave the firmware's RTT channels alone; one that waits for a reader then waits
    #[arg(long, help_heading = "Touches the target")]
    pub no_rtt: bool,
    /// Print what the firmware says in place of the screen, also on a terminal
    #[arg(long)]
    pub lines: bool,
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
    /// The firmware's command line, for when it asks for one by semihosting
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}
