//! The real binary in a real pseudo-terminal: pictures, keys, mouse, resize, and a clean terminal afterwards.
#![cfg(unix)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// Long enough for a loaded machine; a test that works never waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Session {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_in(None, arguments, environment)
    }

    fn start_in(folder: Option<&Path>, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("there is a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_highwater"));
        command.args(arguments);
        if let Some(folder) = folder {
            command.cwd(folder);
        }
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        command.env("RUST_BACKTRACE", "0");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the binary starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("it can be read");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().expect("it can be written to");
        let parser = vt100::Parser::new(36, 120, 0);
        Self { child, master: pair.master, keys, output, parser, bytes: Vec::new() }
    }

    fn demo(more: &[&str]) -> Self {
        let mut arguments = vec!["demo", "--sim-link", "ideal"];
        arguments.extend(more);
        Self::start(&arguments, &[])
    }

    /// Takes what the program prints, up to `time` of silence; whether anything came.
    fn take(&mut self, time: Duration) -> Result<(), RecvTimeoutError> {
        let bytes = self.output.recv_timeout(time)?;
        self.parser.process(&bytes);
        self.bytes.extend(bytes);
        Ok(())
    }

    fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    fn wait_until(&mut self, what: &str, reached: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !reached(&self.screen()) {
            let left = end.saturating_duration_since(Instant::now());
            let more = self.take(left);
            assert!(more.is_ok(), "never saw `{what}`, but:\n{}", self.screen());
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it can be written to");
        self.keys.flush().expect("it can be written to");
    }

    /// Where a text stands: column and row, counted from one.
    fn find(&self, text: &str) -> (usize, usize) {
        let rows: Vec<String> = self.parser.screen().rows(0, 200).collect();
        let (row, column) = rows
            .iter()
            .enumerate()
            .find_map(|(row, line)| line.find(text).map(|at| (row, line[..at].chars().count())))
            .unwrap_or_else(|| panic!("no `{text}` in\n{}", self.screen()));
        (column + 1, row + 1)
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().expect("it runs").to_string();
        // The shell's own: a bare machine need not have the program.
        let sent =
            Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name, &pid]).status().expect("a shell is there");
        assert!(sent.success());
    }

    /// Waits for the end, and checks that the terminal is as it was.
    fn end_clean(mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while self.take(end.saturating_duration_since(Instant::now())).is_ok() {}
        let status = self.child.wait().expect("it ended");
        let text = String::from_utf8_lossy(&self.bytes);
        for (what, sequence) in [
            ("the alternate screen was left", "\x1b[?1049l"),
            ("the cursor is shown", "\x1b[?25h"),
            ("the mouse is released", "\x1b[?1000l"),
        ] {
            assert!(text.contains(sequence), "{what}");
        }
        assert!(!self.parser.screen().alternate_screen() && !self.parser.screen().hide_cursor());
        status
    }
}

#[test]
fn keys_lead_through_the_screens_and_out() {
    let mut session = Session::demo(&[]);
    session.wait_for("ISR stack");
    session.wait_for("LIVE");
    session.wait_for("uart_rx_buf");
    for (key, expected) in [
        ("2", "margin"),
        ("6", "holds"),
        ("?", "help: Alerts"),
        ("1", "schematic scale"),
        ("s", "linear scale"),
        ("s", "schematic scale"),
        (" ", "PAUSED"),
        (" ", "LIVE"),
    ] {
        // The alerts of a calm demo are none: its screen says what is watched instead of what holds.
        let expected = if key == "6" { "Alerts" } else { expected };
        session.press(key);
        session.wait_for(expected);
        if key == "?" {
            // Only once the help is gone: a key right behind the escape would be taken for one with Alt.
            session.press("\x1b");
            session.wait_until("no help", |screen| !screen.contains("help: Alerts"));
        }
    }
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn a_firmware_is_run_on_the_screens_and_its_status_is_the_end() {
    let firmware = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/run.elf");
    let mut session = Session::start(&["run", firmware, "--probe", "sim", "--", "run"], &[]);
    session.wait_for("LIVE");
    session.press("L");
    session.wait_for("hello from semihosting");
    session.press("vv");
    session.wait_for("info and above");
    session.wait_until("no plain text", |screen| screen.contains("battery at 17 %") && !screen.contains("round 39"));
    session.press("q");
    assert!(session.end_clean().success());
    let mut session = Session::start(&["run", firmware, "--probe", "sim", "--", "fail"], &[]);
    session.wait_for("ERROR asked to fail (run/src/main.rs:51)");
    assert_eq!(session.end_clean().exit_code(), 7);
}

#[test]
fn a_click_on_a_tab_shows_its_screen() {
    let mut session = Session::demo(&[]);
    session.wait_for("2 Stacks");
    session.wait_for("schematic scale");
    let (column, row) = session.find("2 Stacks");
    session.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    session.wait_for("margin");
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn the_picture_follows_the_terminals_size() {
    let mut session = Session::demo(&[]);
    session.wait_for("schematic scale");
    for (rows, cols) in [(24, 80), (60, 200), (5, 20), (1, 1), (36, 120)] {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        session.parser.screen_mut().set_size(rows, cols);
        session.master.resize(size).expect("it can be resized");
    }
    session.wait_for("schematic scale");
    session.wait_for("ISR stack");
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn signals_leave_the_terminal_clean() {
    for name in ["TERM", "HUP", "INT"] {
        let mut session = Session::demo(&[]);
        session.wait_for("LIVE");
        session.signal(name);
        session.end_clean();
    }
    let mut session = Session::demo(&[]);
    session.wait_for("LIVE");
    session.press("\x03");
    assert!(session.end_clean().success(), "Ctrl-C quits like q");
}

#[test]
fn signals_and_keys_let_a_stopped_core_run_on_and_put_its_registers_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, end) in ["TERM", "HUP", "INT", "q"].into_iter().enumerate() {
        let log = folder.path().join(format!("{number}.log"));
        let log = log.to_str().expect("it is text");
        let mut session =
            Session::demo(&["--scenario", "overflow", "--sim-time", "12s", "--tripwire=halt", "--log-file", log]);
        session.wait_for("The core is stopped.");
        match end {
            "q" => session.press("q"),
            signal => session.signal(signal),
        }
        session.end_clean();
        let log = std::fs::read_to_string(log).expect("there is a log");
        assert!(log.contains("the debug registers were put back as they were found"), "{end}: {log}");
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_leaves_the_terminal_clean_and_its_message_readable() {
    let session = Session::start(&["demo", "--sim-link", "ideal"], &[("HIGHWATER_TEST_PANIC", "screen")]);
    let status = {
        let mut session = session;
        session.wait_for("LIVE");
        session.press("x");
        session.wait_for("asked to panic");
        session.end_clean()
    };
    assert!(!status.success());
}

#[test]
fn a_frozen_screen_prints_nothing_and_costs_next_to_nothing() {
    let mut session = Session::demo(&[]);
    session.wait_for("LIVE");
    session.press(" ");
    session.wait_for("PAUSED");
    while session.take(Duration::from_millis(300)).is_ok() {}
    let pid = session.child.process_id().expect("it runs");
    let before = cpu_ticks(pid);
    let quiet = session.take(Duration::from_secs(3));
    assert_eq!(quiet, Err(RecvTimeoutError::Timeout), "a frozen screen is drawn once");
    println!("CPU time of the screen's thread in 3 s: {} ms", 10 * (cpu_ticks(pid) - before));
    session.press("q");
    assert!(session.end_clean().success());
}

/// User and system time of a process's first thread, the screen's, in hundredths of a second, from /proc.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[test]
fn an_unplugged_probe_is_told_and_recovered_on_screen() {
    let mut session = Session::demo(&["--sim-mishap", "unplug@2s"]);
    session.wait_for("LIVE");
    session.wait_for("RECONNECTING");
    assert!(session.screen().contains("ISR stack"), "the picture stays:\n{}", session.screen());
    session.wait_for("LIVE");
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn a_reset_is_told_on_screen() {
    let mut session = Session::demo(&["--sim-mishap", "reset@2s"]);
    session.wait_for("LIVE");
    session.press("6");
    session.wait_for("The target was reset");
    session.wait_for("LIVE");
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn the_timeline_is_walked_zoomed_and_compared() {
    let mut session = Session::demo(&["--sim-time", "4s"]);
    session.wait_for("LIVE");
    session.press("4");
    session.wait_for("% of own size");
    for (key, expected) in [
        ("-", "last 2 min"),
        ("++", "last 30 s"),
        // An event under the cursor, with its age and the values at that time.
        ("E", "at cursor"),
        ("G", "last 30 s"),
        ("d", "no baseline: b marks one"),
        ("b", "baseline marked"),
        ("d", "change"),
        ("\x1b[D", "at cursor"),
        ("]", "last 30 s"),
    ] {
        session.press(key);
        session.wait_for(expected);
    }
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn a_known_overflow_is_no_longer_the_verdict() {
    let mut session = Session::demo(&["--scenario", "overflow", "--sim-time", "12s"]);
    session.wait_for("! OVERFLOW");
    session.press("6");
    session.wait_for("all known");
    session.press("A");
    session.wait_until("no alarm", |screen| !screen.contains("! OVERFLOW") && screen.contains("known"));
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn keys_of_ones_own_work_and_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("highwater");
    std::fs::create_dir(&settings).expect("it is new");
    std::fs::write(settings.join("config.toml"), "[keys]\n\"w\" = \"2\"\n\"f2\" = \"space\"\n\"q\" = \"none\"\n")
        .expect("there is room");
    let home = folder.path().to_str().expect("it is text");
    let mut session = Session::start(&["demo", "--sim-link", "ideal"], &[("XDG_CONFIG_HOME", home)]);
    session.wait_for("LIVE");
    session.press("qw");
    session.wait_for("margin");
    session.wait_for("F2 freeze");
    session.press("\x03");
    assert!(session.end_clean().success());
}

#[test]
fn a_column_is_hidden_from_its_box() {
    let mut session = Session::demo(&[]);
    session.wait_for("LIVE");
    session.press("2");
    session.wait_for("margin");
    session.press("C");
    session.wait_for("columns of the stacks");
    // The second one is the size.
    session.press("j ");
    session.wait_for("[ ]  size");
    session.press("C");
    session.wait_until("no size", |screen| !screen.contains("columns of the stacks") && !screen.contains("  size"));
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn an_overflow_is_the_verdict_on_screen() {
    let mut session = Session::demo(&["--scenario", "overflow", "--sim-time", "12s"]);
    session.wait_for("growth overflowed");
    session.press("q");
    assert!(session.end_clean().success());
}

#[test]
fn a_recording_is_made_by_a_key_and_walked_through_by_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = env!("CARGO_BIN_EXE_highwater");
    let record = |args: &[&str]| {
        let status =
            Command::new(binary).args(args).current_dir(folder.path()).stderr(std::process::Stdio::null()).status();
        assert!(status.expect("the binary runs").success(), "{args:?}");
    };
    // By a key, in the middle of a run.
    let mut live = Session::start_in(Some(folder.path()), &["demo", "--sim-link", "ideal"], &[]);
    live.wait_for("LIVE");
    live.press("r");
    live.wait_for("REC highwater-1.hwr");
    live.press("r");
    live.wait_for("recorded highwater-1.hwr");
    live.press(".");
    live.wait_for("this is no recording");
    live.press("q");
    assert!(live.end_clean().success());
    record(&["replay", "highwater-1.hwr", "--format", "svg"]);
    // From the attach on.
    record(&["record", "--demo", "overflow", "--rate", "10", "--for", "12s", "--output", "a.hwr"]);
    let file = folder.path().join("a.hwr");
    let mut session = Session::start(&["replay", file.to_str().expect("a plain path"), "--at", "5s"], &[]);
    session.wait_for("REPLAY");
    for (key, expected) in [
        (" ", "STOPPED"),
        ("}", "x2"),
        ("{{", "x0.5"),
        (">>>", "refresh 122 of 122"),
        ("2", "OVERFLOW"),
        (",", "refresh 121 of 122"),
        ("<", "00:02 of 00:12"),
        ("1", "below 80 %"),
        (".", "STOPPED"),
        ("(((((", "00:00 of 00:12"),
        ("r", "this is a recording already"),
        ("4", "% of own size"),
        ("?", "help: Timeline"),
        (" ", "REPLAY"),
    ] {
        session.press(key);
        session.wait_for(expected);
    }
    session.press("q");
    assert!(session.end_clean().success());
}
