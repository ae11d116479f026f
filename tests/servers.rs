//! Real debug servers over the emulated board.
#![cfg(feature = "simulator")]

mod common;
#[path = "common/jtag.rs"]
mod jtag;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater::report::Report;
use highwater::simulator::{Board, Fault};
use highwater::source::emulated::power_on;
use serde_json::Value;

/// OpenOCD over a board that has run for five seconds.
struct OpenOcd {
    board: Arc<Board>,
    wear: Arc<jtag::Wear>,
    process: Child,
    server: String,
}

impl OpenOcd {
    /// With these commands before `init`, and those after it.
    fn start(before: &str, after: &str) -> Self {
        let image = common::image();
        let board = power_on(&common::emulation(&image, 0, 1, common::INSTANT)).expect("the board is made");
        board.advance(Duration::from_secs(5));
        let wear = Arc::new(jtag::Wear::default());
        let port = jtag::serve(Arc::clone(&board), Arc::clone(&wear));
        let adapter = format!(
            "adapter driver remote_bitbang; remote_bitbang host 127.0.0.1; remote_bitbang port {port}; \
             transport select jtag; bindto 127.0.0.1; gdb_port 0; telnet_port disabled; tcl_port disabled"
        );
        let chip = format!(
            "jtag newtap chip cpu -irlen 4 -expected-id {:#x}; dap create chip.dap -chain-position chip.cpu; \
             target create chip.cpu cortex_m -dap chip.dap",
            jtag::IDCODE
        );
        let mut process = Command::new("openocd")
            .args(["-c", &adapter, "-c", &chip, "-c", before, "-c", "init", "-c", after])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openocd runs");
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let port = lines.by_ref().find_map(|line| {
            let port = line.split_once("istening on port ").map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
            said.push(line);
            port
        });
        let port = port.unwrap_or_else(|| panic!("OpenOCD serves no GDB: {said:#?}"));
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { board, wear, process, server: format!("127.0.0.1:{port}") }
    }

    fn snapshot(&self, more: &[&str]) -> (Option<i32>, Value, String) {
        let arguments = [&["snapshot", common::DEMO, "--gdb", &self.server, "--format", "json"], more].concat();
        let out: Output =
            Command::new(env!("CARGO_BIN_EXE_highwater")).args(arguments).output().expect("the binary runs");
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        (out.status.code(), serde_json::from_slice(&out.stdout).unwrap_or_default(), err)
    }

    /// Whether the core executes: its memory changes as time goes on.
    fn runs(&self) -> bool {
        let ram = || self.board.peek(0x2000_0000, 0x1_0000).expect("the board has it");
        let before = ram();
        self.board.advance(Duration::from_millis(200));
        before != ram()
    }
}

impl Drop for OpenOcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const LOOKS_ON: &str = "chip.cpu configure -event gdb-attach { }";

/// What the probe tells of a board that ran as long.
fn truth() -> Report {
    let mut demo = common::Demo::new(0, 1, common::INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(5));
    demo.model.ingest(demo.sampler.refresh_thoroughly());
    Report::new(&demo.model)
}

#[test]
#[ignore = "needs openocd"]
fn through_openocd_the_numbers_are_the_probes_and_the_core_never_stops() {
    let (live, openocd) = (truth(), OpenOcd::start(LOOKS_ON, ""));
    let (code, told, err) = openocd.snapshot(&[]);
    assert_eq!(code, Some(0), "{err}");
    let stacks = told["stacks"].as_array().expect("there are stacks");
    assert_eq!(stacks.len(), live.stacks.len());
    for (stack, live) in stacks.iter().zip(&live.stacks) {
        let peak = |stack: &Value| (stack["name"].clone(), stack["peak"].as_u64());
        assert_eq!(peak(stack), (live.name.clone().into(), live.peak.map(u64::from)));
    }
    assert_eq!(told["target"]["core"], "Cortex-M3");
    assert_eq!((&told["link"]["halts"], &told["link"]["writes"]), (&0.into(), &0.into()));
    let counters = openocd.board.counters();
    assert_eq!((counters.halts, counters.memory_writes), (0, 0));
    assert!(openocd.runs());
}

#[test]
#[ignore = "needs openocd"]
fn openocd_that_halts_is_refused_and_the_core_goes_on() {
    // What is advised without its blank is nothing to OpenOCD.
    for before in ["", "chip.cpu configure -event gdb-attach {}"] {
        let openocd = OpenOcd::start(before, "");
        let (code, _, err) = openocd.snapshot(&[]);
        assert!(code == Some(4) && err.contains("stops the core") && err.contains("gdb-attach { }"), "{err}");
        assert_eq!(openocd.board.counters().halts, 1, "{before}");
        assert!(openocd.runs(), "the core was left standing");
    }
}

#[test]
#[ignore = "needs openocd"]
fn a_core_that_a_person_halted_in_openocd_stays_so() {
    let openocd = OpenOcd::start(LOOKS_ON, "halt");
    let (code, told, err) = openocd.snapshot(&[]);
    assert_eq!((code, &told["link"]["halts"]), (Some(0), &0.into()), "{err}");
    assert_eq!(openocd.board.counters().halts, 1);
    assert!(!openocd.runs(), "it was set running");
}

#[test]
#[ignore = "needs openocd"]
fn words_that_openocd_cannot_read_make_no_overflow_and_no_peak() {
    let (live, openocd) = (truth(), OpenOcd::start(LOOKS_ON, ""));
    openocd.wear.fails_each.store(499, Ordering::SeqCst);
    for _ in 0..3 {
        let (code, told, err) = openocd.snapshot(&[]);
        // A link that fails too often is told to be one; no number comes from it.
        if code != Some(0) {
            assert!(told.is_null(), "{err}");
            continue;
        }
        for (stack, live) in told["stacks"].as_array().expect("there are stacks").iter().zip(&live.stacks) {
            assert_eq!(stack["overflowed"], false, "{stack}");
            assert!(stack["peak"].as_u64() <= live.peak.map(u64::from), "{stack}");
        }
    }
    assert!(openocd.wear.failed.load(Ordering::SeqCst) > 0);
}

/// The reports of a firmware that is watched through OpenOCD, and reset after the first.
struct Watched<'a> {
    openocd: &'a OpenOcd,
    process: Child,
}

impl<'a> Watched<'a> {
    fn new(openocd: &'a OpenOcd, elf: &Path) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .arg("attach")
            .arg(elf)
            .args(["--gdb", &openocd.server, "--format", "jsonl"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        Self { openocd, process }
    }

    /// The first report, and the first after a reset that begins another epoch. A report comes with each refresh: hundreds are
    /// more than enough.
    fn before_and_after_a_reset(&mut self) -> (Value, Value) {
        let lines = BufReader::new(self.process.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut told = lines.map(|line| {
            self.openocd.board.advance(Duration::from_millis(100));
            serde_json::from_str::<Value>(&line).expect("a report")
        });
        let first = told.find(|told| told["stacks"][0]["trust"] == "exact").expect("a report comes");
        self.openocd.board.inject(Fault::Reset);
        let next = told.by_ref().take(300).find(|told| told["epoch"].as_u64() > first["epoch"].as_u64());
        let next = next.unwrap_or_else(|| panic!("the reset was not seen: {first:#}"));
        (first, next)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs openocd"]
fn a_reset_is_seen_through_openocd() {
    let openocd = OpenOcd::start(LOOKS_ON, "");
    Watched::new(&openocd, Path::new(common::DEMO)).before_and_after_a_reset();
}

/// Its registers tell of no reset: OpenOCD has read that bit, which clears it.
#[test]
#[ignore = "needs openocd"]
fn a_reset_of_a_firmware_without_an_agent_is_seen_through_openocd_by_its_paint() {
    let mut elf = std::fs::read(common::DEMO).expect("it is there");
    let name = b"\0HIGHWATER\0";
    for at in 0..elf.len() - name.len() {
        if elf[at..].starts_with(name) {
            elf[at + 1] = b'_';
        }
    }
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("bare.elf");
    std::fs::write(&path, elf).expect("there is room");
    // The run before went deeper than the one that begins now: 800 of 1024 B at the end of RAM.
    let openocd = OpenOcd::start(LOOKS_ON, "mww 0x2000fce0 1");
    let (first, next) = Watched::new(&openocd, &path).before_and_after_a_reset();
    assert_eq!((&first["target"]["kernel"], &first["stacks"][0]["peak"]), (&"bare metal".into(), &800.into()));
    assert!(next["stacks"][0]["peak"].as_u64() < Some(800), "{}", next["stacks"][0]);
}
