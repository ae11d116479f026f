//! The command line: names and variables are those of probe-rs where it has them.

mod fill;
pub mod measure;
pub mod record;
pub mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::amount::Amount;
use crate::config::{DEFAULT_RATE, MAX_RATE};
use crate::image::other::Given;
use crate::inventory::tree::{Level, Order};
use crate::model::catch::Mode;
use crate::model::question::Question;
use crate::source::endpoint::{Endpoint, HostPort};
use crate::source::file::Raw;
use crate::source::probe::Protocol;
use crate::tui::keymap::Keymap;
use crate::tui::theme::ThemeName;
use crate::view::{self, Format};
use measure::{CheckArgs, ConfigCommand, SizesArgs};
use record::{RecordArgs, ReplayArgs};
use run::RunArgs;

/// See where memory goes on a microcontroller, live, without stopping it.
#[derive(Debug, Parser)]
#[command(
    name = "highwater",
    version,
    about = "See where memory goes on a microcontroller, live, without stopping it",
    after_help = "Examples:
  highwater demo                              the whole tool on the built-in emulated board
  highwater demo --scenario overflow          watch a stack overflow happen
  highwater attach firmware.elf               the live map of a board on the only probe
  highwater attach firmware.elf --chip STM32F407VGTx --probe 0483:374b
  highwater run firmware.elf                  flash it, begin it, and watch it; as cargo's runner too
  highwater snapshot firmware.elf --format json > report.json
  highwater record firmware.elf --for 10m     all that is read, to look at later
  highwater replay highwater-1.hwr            the same screens and formats, at any moment of it
  highwater layout firmware.elf               the static picture, no target needed
  highwater check firmware.elf --for 30s      hold the budgets of highwater.toml; for CI
  highwater sizes firmware.elf --as rust      how large each stack must be

Settings: a flag comes before its variable, that before the nearest highwater.toml, that before
$XDG_CONFIG_HOME/highwater/config.toml. `highwater config show` says what holds.

Exit codes: 0 done, 1 error, 2 usage, 3 budget exceeded, 4 probe or target not reachable.",
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to print.
    #[command(flatten)]
    pub look: Look,
}

/// How to print and draw.
#[derive(Args, Clone, Debug)]
pub struct Look {
    /// Use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, help_heading = "Look")]
    pub color: Color,
    /// Draw with ASCII characters only
    #[arg(long, global = true, help_heading = "Look", env = "HIGHWATER_ASCII", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub ascii: Option<bool>,
    /// Colours of the screen [default: auto]
    #[arg(long, global = true, value_enum, help_heading = "Look", env = "HIGHWATER_THEME")]
    pub theme: Option<ThemeName>,
    /// Write the tool's own log to this file; RUST_LOG chooses how much
    #[arg(long, global = true, value_name = "FILE", help_heading = "Look")]
    pub log_file: Option<PathBuf>,
    /// Keys of the user's own choice, by the files of settings.
    #[arg(skip)]
    pub keys: Keymap,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole tool on the built-in emulated board
    #[cfg(feature = "simulator")]
    #[command(after_help = "Examples:
  highwater demo                           a calm firmware
  highwater demo --scenario overflow       one stack grows until it breaks its guard
  highwater demo --scenario leak --sim-link fs
  highwater demo --sim-time 12s --scenario overflow --format json | jq .alerts
  highwater demo --scenario overflow --tripwire=halt       stop at the store that breaks the guard
  highwater demo --culprit growth          who makes that stack deeper, call by call

Without a terminal it prints one snapshot and ends.")]
    Demo(DemoArgs),
    /// Flash a firmware, begin it, and watch it; for `runner = "highwater run"` in .cargo/config.toml
    #[command(
        after_help = "This is the one command that writes to flash, by probe-rs's flash loader: only what is not there already, and never
by erasing a chip that is locked. Flashing takes what the chip's vendor does for debuggers: it halts, resets, and may set
registers that keep the chip awake. Then the chip is reset, and from the firmware's first instruction on the rest is as with
`attach`, with two differences: what the firmware writes to RTT is read (one word of its RAM is written each time, --no-rtt
leaves that out), and halting debug is on, so that the core stops where the firmware asks for something by semihosting.

Without a terminal, or with --lines, it prints what the firmware says, text or defmt, until the firmware ends. It ends with
the firmware's status: 0 or the code of its semihosting exit, 1 when it stands at a breakpoint. Ctrl-C ends with 130; the
firmware runs on then.

Examples:
  highwater run target/thumbv7em-none-eabihf/debug/app --chip nRF52840_xxAA
  highwater run app.elf --verify           read everything back once it is written
  highwater run app.elf --no-flash         what is there already, from its beginning
  highwater run app.elf --lines | tee log  what the firmware says, line by line
  highwater run app.elf --probe sim        on the emulated board, which is flashed like any other
  highwater run app.elf -- --fast          `--fast` is for the firmware, when it asks for its command line"
    )]
    Run(RunArgs),
    /// The live map of a running firmware
    #[command(
        after_help = "Nothing is written to the target and its core is not stopped, from attach to detach, unless a flag under
`Touches the target` asks for it. What such a flag changed is put back at the end.

Examples:
  highwater attach target/thumbv7em-none-eabihf/debug/app --chip nRF52840_xxAA
  highwater attach app.elf --probe 0d28:0204 --speed 4000 --rate 60
  highwater attach app.elf --probe sim     run it on the emulated board
  highwater attach app.elf --tripwire      note stores into stack guards, without stopping
  highwater attach app.elf --tripwire=halt stop at such a store: who, where, and the calls
  highwater attach app.elf --gdb :3333     through OpenOCD, pyOCD or another GDB server
  highwater attach app.elf --qemu qmp.sock a machine in QEMU (-qmp unix:qmp.sock,server=on,wait=off)
  highwater attach app.elf --prometheus    no screen: numbers for Prometheus on http://127.0.0.1:9185/metrics

  highwater attach app.elf --format jsonl  no screen: a report a line for each refresh, until Ctrl-C
  highwater attach app.elf --format csv > run.csv

Without a terminal it prints one snapshot and ends."
    )]
    Attach(AttachArgs),
    /// One report of a running firmware, and out
    #[command(after_help = "Examples:
  highwater snapshot app.elf
  highwater snapshot app.elf --format json | jq '.stacks[] | {name, peak, margin}'
  highwater snapshot app.elf --would-fit 2048
  highwater snapshot app.elf --would-fit comms    whether a stack like that of comms would fit
  highwater snapshot app.elf --core crash.core                    memory that was saved
  highwater snapshot app.elf --ram 0x20000000:ram.bin
  highwater snapshot app.elf --format json | jq '.heaps[].owners'
  highwater snapshot app.elf --format svg > map.svg
  highwater snapshot app.elf --format html > memory.html          one page for a browser, which loads nothing
  highwater snapshot app.elf --format markdown >> notes.md")]
    Snapshot(AttachArgs),
    /// Record all that is read of a running firmware, to look at later
    #[command(
        after_help = "A recording holds every read with its answer and, unless told otherwise, the ELF: all that `highwater replay` needs.
It is written refresh by refresh, so that a crash loses the last one at most. On the screen, `r` begins and ends one.

Examples:
  highwater record app.elf                          until Ctrl-C, to the first free highwater-N.hwr
  highwater record app.elf --for 1h --output night.hwr
  highwater record --demo overflow --for 15s        the emulated board, as fast as it goes"
    )]
    Record(RecordArgs),
    /// Play a recording: every screen and every format, at any moment of it
    #[command(
        after_help = "On the screen: space stops and goes on, `,` and `.` go one refresh, `<` and `>` ten seconds, `(` and `)` a twentieth
of the recording, `{` and `}` halve and double the speed.

Examples:
  highwater replay highwater-1.hwr
  highwater replay highwater-1.hwr --at 12m --speed 4
  highwater replay highwater-1.hwr --format json                   the report at its end
  highwater replay highwater-1.hwr --at 90s --format svg > map.svg
  highwater replay highwater-1.hwr --format csv > run.csv          every refresh
  highwater replay highwater-1.hwr --format html > run.html        one page with a slider; add #t=90 for 90 s
  highwater replay highwater-1.hwr --at 90s --format html > at.html

Without a terminal it prints the report at the end and ends."
    )]
    Replay(ReplayArgs),
    /// The static picture of an ELF, without a target
    #[command(after_help = "Examples:
  highwater layout app.elf
  highwater layout app.elf --chip STM32F407VGTx --format svg > map.svg
  highwater layout app.elf --format html > layout.html
  highwater layout app.elf --tui              the same on the screens, to walk through
  highwater layout app.elf --also bootloader.hex --also settings.bin@0x0803f000")]
    Layout(LayoutArgs),
    /// Who owns the memory: functions and statics by memory, section, crate or file
    #[command(after_help = "Examples:
  highwater symbols app.elf                          the largest of each section and crate
  highwater symbols app.elf --by module,name         by crate or file, whatever section it is in
  highwater symbols app.elf --filter fmt --top 0     everything with `fmt` in its name
  highwater symbols app.elf --map app.map            C objects and library members, from the linker's map
  highwater symbols app.elf --format svg > tree.svg  a treemap
  highwater symbols app.elf --format html > who.html the treemap and a table to search, in a browser; #q=fmt searches
  highwater symbols app.elf --format json > v1.json  every row, to compare a later build with

Rows of one memory add up to its size, and those of one section to the section's. Programs of this machine open too, while
their addresses are below 4 GiB.")]
    Symbols(SymbolsArgs),
    /// Async tasks: how large each is, and which await and local make it so
    #[command(after_help = "Examples:
  highwater tasks app.elf                   the largest tasks of embassy and RTIC, and RTIC's resources
  highwater tasks app.elf --top 0           all of it
  highwater tasks app.elf --format csv > tasks.csv

A task takes its memory when the program is linked, for the await across which most lives. It is read from the debug
information (`debug = 2`), and so are other statics that hold a future.")]
    Tasks(TasksArgs),
    /// What changed between two builds, by memory, section, module and name
    #[command(after_help = "Examples:
  highwater diff old.elf new.elf
  highwater diff v1.json new.elf                     against what `symbols --format json` saved
  highwater diff report.json new.elf                 against a saved report of `layout` or `snapshot`, by region
  highwater diff old.elf new.elf --format markdown   for a pull request

What only moved is counted, and what was renamed is told from what was added.")]
    Diff(DiffArgs),
    /// Hold memory budgets against a running firmware, or an ELF alone; for CI
    #[command(
        after_help = "Exits with 3 when a budget is exceeded. Without budgets of its own it holds the usual ones: no overflow and no fault, a
tenth of each stack unused, no failed allocation, no heap that grows by more than 4 KiB a minute or is fragmented by
more than 80 %. A leak is looked for when the watch is 8 s or longer.

Examples:
  highwater config template > highwater.toml       the budgets, to be changed
  highwater check app.elf --for 30s
  highwater check app.elf --probe sim --for 1m     on the emulated board, the same each time
  highwater check --demo leak                      see one fail
  highwater check --recording night.hwr            a run that was recorded
  highwater check app.elf --ledger memory.toml     no stack and no heap may be worse than it ever was
  highwater check app.elf --static                 what the linker placed, without a target
  highwater check app.elf --format junit > memory.xml
  highwater check app.elf --format markdown >> $GITHUB_STEP_SUMMARY"
    )]
    Check(CheckArgs),
    /// How large each stack must be, ready to paste
    #[command(
        after_help = "Each size is what was used or the static worst case, an exception frame, and the margin, with the reason as a comment.

Examples:
  highwater sizes app.elf --for 5m
  highwater sizes app.elf --as rust --margin 25% > src/stacks.rs
  highwater sizes app.elf --as freertos --margin 256B
  highwater sizes --demo calm --as zephyr"
    )]
    Sizes(SizesArgs),
    /// What works, what does not, and what it takes to see more
    #[command(
        after_help = "Goes the way to a live picture: settings, probe, permissions, ELF, chip, target, threads, link. Then each figure, with
what it is missing. Nothing is written to the target and its core is not stopped.

Examples:
  highwater doctor app.elf
  highwater doctor app.elf --probe sim     without a board
  highwater doctor --format json | jq '.steps[] | select(.verdict != \"ok\")'"
    )]
    Doctor(DoctorArgs),
    /// The settings
    #[command(
        after_help = "A flag comes before its variable, that before the nearest highwater.toml from here upward, that before
$XDG_CONFIG_HOME/highwater/config.toml. An unknown key is an error.

Examples:
  highwater config template > highwater.toml
  highwater config show"
    )]
    Config {
        /// What to do
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// The debug probes that are connected
    #[command(after_help = "Examples:
  highwater list
  highwater list --format json | jq -r '.probes[].selector'")]
    List(ListArgs),
    /// The JSON Schema of a report
    #[command(after_help = "Examples:
  highwater schema > report.schema.json
  highwater snapshot app.elf --format json > report.json && check-jsonschema --schemafile report.schema.json report.json

`--format jsonl` writes one such report a line. Later versions may add fields, and change the meaning of none.")]
    Schema,
    /// A completion script for a shell
    #[command(after_help = "Example:
  highwater completions bash > ~/.local/share/bash-completion/completions/highwater")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The manual page, in roff
    #[command(after_help = "Example:
  highwater man | man -l -")]
    Man,
}

/// Which firmware, on which chip.
#[derive(Args, Clone, Debug)]
pub struct Firmware {
    /// The firmware's ELF file, as the linker wrote it; else the only one that Cargo, Zephyr, PlatformIO, Mbed or CMake built here
    #[arg(value_name = "ELF")]
    pub elf: Option<PathBuf>,
    /// A folder with the compiler's .su files (gcc -fstack-usage): stack frames for the static worst case
    #[arg(long, value_name = "DIR", help_heading = "Target")]
    pub su: Option<PathBuf>,
    /// Another image in the same flash, a bootloader or a file system: ELF, HEX, UF2, or plain bytes as FILE@ADDRESS
    #[arg(long, value_name = "FILE[@ADDRESS]", help_heading = "Target")]
    pub also: Vec<Given>,
    /// The chip
    #[command(flatten)]
    pub chip: ChipArgs,
}

/// Which chip.
#[derive(Args, Clone, Debug, Default)]
pub struct ChipArgs {
    /// The chip, by probe-rs's name; else it is taken from the ELF, Embed.toml, .cargo/config.toml or Zephyr's runners.yaml
    #[arg(long, value_name = "NAME", env = "PROBE_RS_CHIP", help_heading = "Target")]
    pub chip: Option<String>,
    /// The file of settings that names the chip, when no flag and no variable does.
    #[arg(skip)]
    pub said_by: Option<String>,
    /// A probe-rs target description that has the chip
    #[arg(long, value_name = "FILE", env = "PROBE_RS_CHIP_DESCRIPTION_PATH", help_heading = "Target")]
    pub chip_description_path: Option<PathBuf>,
}

/// How to reach the target.
#[derive(Args, Clone, Debug, Default)]
pub struct ProbeArgs {
    /// The probe: VID:PID, VID:PID:SERIAL, or `sim` for the emulated board
    #[arg(long, value_name = "PROBE", env = "PROBE_RS_PROBE", help_heading = "Target")]
    pub probe: Option<String>,
    /// Whether only the settings name the probe: what the command line says in its place goes before them.
    #[arg(skip)]
    pub by_settings: bool,
    /// The wire protocol
    #[arg(long, value_enum, env = "PROBE_RS_PROTOCOL", help_heading = "Target")]
    pub protocol: Option<Protocol>,
    /// The wire's clock in kHz
    #[arg(long, value_name = "KHZ", env = "PROBE_RS_SPEED", help_heading = "Target")]
    pub speed: Option<u32>,
    /// Hold the target in reset while connecting (this resets it)
    #[arg(long, env = "PROBE_RS_CONNECT_UNDER_RESET", value_parser = clap::builder::BoolishValueParser::new(), help_heading = "Target")]
    pub connect_under_reset: bool,
    /// Look even if the target does not run this ELF
    #[arg(long, help_heading = "Target")]
    pub allow_mismatch: bool,
}

/// Saved memory in place of a target.
#[derive(Args, Clone, Debug, Default)]
pub struct SavedArgs {
    /// Look at a core dump, or any ELF with RAM in its segments, in place of a target
    #[arg(long, value_name = "FILE", help_heading = "Saved memory")]
    pub core: Option<PathBuf>,
    /// Look at a raw image of memory in place of a target: 0x20000000:ram.bin; can be given several times
    #[arg(long, value_name = "ADDRESS:FILE", help_heading = "Saved memory")]
    pub ram: Vec<Raw>,
}

/// A server in place of a probe.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerArgs {
    /// Read through a GDB server in place of a probe: OpenOCD, pyOCD, J-Link, Renode; one that stops the core is refused
    #[arg(long, value_name = "HOST:PORT", help_heading = "Server")]
    pub gdb: Option<HostPort>,
    /// Read a machine in QEMU through its QMP socket, without stopping it: a path, or tcp:HOST:PORT
    #[arg(long, value_name = "SOCKET", help_heading = "Server")]
    pub qemu: Option<Endpoint>,
    /// Let the GDB server stop the core for each look; it goes on in between and at the end
    #[arg(long, requires = "gdb", help_heading = "Server")]
    pub allow_halt: bool,
    /// Leave a core standing that stands when the GDB server is connected to, where nothing tells who stopped it
    #[arg(long, requires = "gdb", help_heading = "Server")]
    pub keep_halted: bool,
}

/// The refresh.
#[derive(Args, Clone, Copy, Debug)]
pub struct PaceArgs {
    /// Refreshes per second; 0 for as many as the link gives [default: 30]
    #[arg(long, value_name = "HZ", value_parser = parse_rate, allow_negative_numbers = true, env = "HIGHWATER_RATE")]
    pub rate: Option<f64>,
}

impl PaceArgs {
    /// Refreshes per second; `None` for as many as possible.
    #[must_use]
    pub fn rate_hz(&self) -> Option<f64> {
        Some(self.rate.unwrap_or(DEFAULT_RATE)).filter(|rate| *rate > 0.0)
    }
}

/// What this run may do to the target beyond reading it.
#[derive(Args, Clone, Debug, Default)]
pub struct TouchArgs {
    /// Catch stores into stack guards with the core's watchpoint comparators: `watch` notes them and never stops the
    /// core, `halt` stops it at the store
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "watch", help_heading = "Touches the target")]
    pub tripwire: Option<TripwireMode>,
    /// Record each new high-water mark of this thread's stack with its calls; the core stops for a moment at each
    #[arg(long, value_name = "THREAD", conflicts_with = "tripwire", help_heading = "Touches the target")]
    pub culprit: Option<String>,
    /// Fill the untouched part of stacks that nobody painted, so that they have a mark from then on; the core stops for
    /// some milliseconds, once
    #[arg(long, help_heading = "Touches the target")]
    pub paint: bool,
    /// Keep the chip's debug port awake while the chip sleeps (STM32: DBGMCU), so that it can be read then: sleep takes
    /// more current; what was set is put back at the end
    #[arg(long, help_heading = "Touches the target")]
    pub debug_in_sleep: bool,
}

impl TouchArgs {
    /// The tripwire that is asked for.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        match (&self.culprit, self.tripwire) {
            (Some(thread), _) => Some(Mode::Culprit(crate::units::printable(thread, 64))),
            (None, Some(TripwireMode::Watch)) => Some(Mode::Watch),
            (None, Some(TripwireMode::Halt)) => Some(Mode::Halt),
            (None, None) => None,
        }
    }
}

/// What the tripwire does at a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TripwireMode {
    /// Note it; the core runs on
    Watch,
    /// Stop the core
    Halt,
}

/// How stack sizes are suggested.
#[derive(Args, Clone, Copy, Debug)]
pub struct SizingArgs {
    /// What to add to a suggested stack size: 20% or 256B [default: 20%]
    #[arg(long, value_name = "AMOUNT", env = "HIGHWATER_MARGIN")]
    pub margin: Option<Amount>,
}

/// The emulated board.
#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    /// Seed of the emulated board: the content of RAM at power-on, and the demo's choices
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Emulated board")]
    pub seed: u64,
    /// The link that is modelled: HID, full-speed or high-speed CMSIS-DAP, or one without latency
    #[arg(long, value_enum, default_value_t = SimLink::Hs, help_heading = "Emulated board")]
    pub sim_link: SimLink,
    /// Run this long in emulated time first, the same every time for the same seed
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Emulated board")]
    pub sim_time: Option<Duration>,
    /// What happens to the emulated board while it runs, for trying out: reset, unplug or sleep, at a time
    #[arg(long, value_name = "WHAT@TIME", value_parser = parse_mishap, help_heading = "Emulated board")]
    pub sim_mishap: Vec<Mishap>,
}

/// Something that happens to the emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mishap {
    /// What happens.
    pub kind: MishapKind,
    /// When, in emulated time.
    pub at: Duration,
}

/// What can happen to the emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MishapKind {
    /// It is reset; RAM keeps its content.
    Reset,
    /// It loses its power for a moment; RAM is lost.
    PowerCycle,
    /// The probe is unplugged, and plugged in again two seconds later.
    Unplug,
}

/// Modelled links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SimLink {
    /// CMSIS-DAP v1 over HID
    Hid,
    /// CMSIS-DAP v2, full speed, 64-byte packets
    Fs,
    /// CMSIS-DAP v2, high speed, 512-byte packets
    Hs,
    /// No latency
    Ideal,
}

/// Scenarios of the demo firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Every stack keeps its distance, the heap is stable
    #[default]
    Calm,
    /// One thread's stack grows until it breaks its guard
    Overflow,
    /// One call site never gives back what it takes
    Leak,
    /// Holes between blocks: much is free, nothing large fits
    Fragmentation,
}

impl Scenario {
    /// The number that the demo firmware reads at boot.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Calm => 0,
            Self::Overflow => 1,
            Self::Leak => 2,
            Self::Fragmentation => 3,
        }
    }
}

/// `highwater demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// What the demo firmware does
    #[arg(long, value_enum, default_value_t = Scenario::Calm)]
    pub scenario: Scenario,
    /// The emulated board.
    #[command(flatten)]
    pub sim: SimArgs,
    /// The refresh.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// What it may do to the target.
    #[command(flatten)]
    pub touch: TouchArgs,
    /// How stack sizes are suggested.
    #[command(flatten)]
    pub sizing: SizingArgs,
    /// Format of the snapshot; asks for one even on a terminal. jsonl and csv go on, a report for each refresh
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// A question about the heap.
    #[command(flatten)]
    pub fit: FitArgs,
    /// Numbers for others to collect.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Numbers for others to collect.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ServeArgs {
    /// Watch without a screen and serve the numbers to Prometheus, by default to this machine alone
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:9185", conflicts_with_all = ["format", "would_fit"])]
    pub prometheus: Option<std::net::SocketAddr>,
}

/// A question about the heap.
#[derive(Args, Clone, Debug)]
pub struct FitArgs {
    /// In a snapshot, say too whether a block of so many bytes, or a stack as large as this thread's, could be allocated
    /// now, and what is in the way
    #[arg(long, value_name = "BYTES|THREAD")]
    pub would_fit: Option<Question>,
}

/// `highwater attach` and `highwater snapshot`.
#[derive(Args, Clone, Debug)]
pub struct AttachArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// Which probe.
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Saved memory in place of a target.
    #[command(flatten)]
    pub saved: SavedArgs,
    /// A server in place of a probe.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The refresh.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// What it may do to the target.
    #[command(flatten)]
    pub touch: TouchArgs,
    /// Show what the firmware says through RTT, as text or defmt; each time one word of its RAM is written. Without a
    /// terminal its lines are printed until Ctrl-C
    #[arg(long, conflicts_with_all = ["format", "would_fit", "prometheus"], help_heading = "Touches the target")]
    pub rtt: bool,
    /// How stack sizes are suggested.
    #[command(flatten)]
    pub sizing: SizingArgs,
    /// Format of the snapshot; with attach, asks for one even on a terminal, and jsonl and csv go on there, a report for
    /// each refresh
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// A question about the heap.
    #[command(flatten)]
    pub fit: FitArgs,
    /// Numbers for others to collect.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// With `--probe sim` and the demo firmware: what it does
    #[arg(long, value_enum, help_heading = "Emulated board")]
    pub sim_scenario: Option<Scenario>,
    /// The emulated board.
    #[command(flatten)]
    pub sim: SimArgs,
}

/// `highwater layout`.
#[derive(Args, Clone, Debug)]
pub struct LayoutArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Show it on the screens: the map, and who owns the memory
    #[arg(long, conflicts_with = "format")]
    pub tui: bool,
}

/// `highwater symbols`.
#[derive(Args, Clone, Debug)]
pub struct SymbolsArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// What to group by, the outermost first
    #[arg(
        long,
        value_name = "LEVELS",
        value_enum,
        value_delimiter = ',',
        default_value = "memory,section,module,name"
    )]
    pub by: Vec<By>,
    /// Only what has this in its name, its module or its section
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Rows of each group; 0 for all
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub top: usize,
    /// The order within a group
    #[arg(long, value_enum, default_value_t = Order::Size)]
    pub sort: Order,
    /// The linker's map, of GNU ld, lld, armlink or IAR: it knows which library member each byte came from
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Format of the listing
    #[arg(long, value_enum, default_value_t = view::symbols::Format::Human)]
    pub format: view::symbols::Format,
}

/// `highwater tasks`.
#[derive(Args, Clone, Debug)]
pub struct TasksArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// Rows of each group; 0 for all
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub top: usize,
    /// Format of the listing
    #[arg(long, value_enum, default_value_t = view::tasks::Format::Human)]
    pub format: view::tasks::Format,
}

/// What to group by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Flash, RAM
    Memory,
    /// .text, .data
    Section,
    /// Crate, library member or source file
    Module,
    /// Name, with all instances of a generic as one
    Name,
    /// Name of each instance
    Instance,
}

impl By {
    /// The level of the tree.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Memory => Level::Memory,
            Self::Section => Level::Section,
            Self::Module => Level::Module,
            Self::Name => Level::Name,
            Self::Instance => Level::Instance,
        }
    }
}

/// `highwater diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The older ELF, or what `symbols --format json` saved of it
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The newer ELF, or what `symbols --format json` saved of it
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// The chip
    #[command(flatten)]
    pub chip: ChipArgs,
    /// Rows of each kind; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// Format of the comparison
    #[arg(long, value_enum, default_value_t = view::diff::Format::Human)]
    pub format: view::diff::Format,
}

/// `highwater doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Which firmware.
    #[command(flatten)]
    pub firmware: Firmware,
    /// Which probe.
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// A server in place of a probe.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The emulated board.
    #[command(flatten)]
    pub sim: SimArgs,
    /// Format of the findings
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

/// `highwater list`.
#[derive(Args, Clone, Copy, Debug)]
pub struct ListArgs {
    /// Format of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

/// Formats of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Text
    Human,
    /// JSON, schema highwater/list@1 or highwater/doctor@1
    Json,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=MAX_RATE).contains(&rate) => Ok(rate),
        _ => Err("a number from 0 to 10000".into()),
    }
}

/// `5s`, `250ms`, `2m`, `8h`, or plain seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time: write 250ms, 5s, 2m or 8h");
    let (number, scale) = if let Some(number) = text.strip_suffix("ms") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else if let Some(number) = text.strip_suffix('h') {
        (number, 3600.0)
    } else {
        (text, 1.0)
    };
    let seconds = number.trim().parse::<f64>().map_err(|_| bad())? * scale;
    if !(0.0..=86_400.0 * 7.0).contains(&seconds) {
        return Err(format!("`{text}` is not between 0 and a week"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// `reset@3s`.
fn parse_mishap(text: &str) -> Result<Mishap, String> {
    let (kind, at) = text.split_once('@').ok_or_else(|| format!("`{text}` has no time: write reset@3s"))?;
    let kind = match kind {
        "reset" => MishapKind::Reset,
        "power-cycle" => MishapKind::PowerCycle,
        "unplug" => MishapKind::Unplug,
        other => return Err(format!("`{other}` cannot happen here: reset, power-cycle, unplug")),
    };
    Ok(Mishap { kind, at: parse_duration(at)? })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_units() {
        for (text, expected) in [("5s", 5000), ("250ms", 250), ("2m", 120_000), ("1h", 3_600_000), ("1.5", 1500)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "s", "-1s", "NaN", "1e30s", "5 weeks"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
