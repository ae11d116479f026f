//! `highwater run` on the emulated board: flashed by probe-rs, begun, heard, ended.

use crate::{Place, Ran};

const FIRMWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/run.elf");

fn run(args: &[&str]) -> Ran {
    let place = Place::new();
    place.run(&[&["run", FIRMWARE, "--probe", "sim"], args].concat())
}

#[test]
fn a_firmware_is_flashed_heard_and_ends_with_its_own_status() {
    for (wanted, code, last) in [
        ("well", 0, "hello from semihosting"),
        ("fail", 7, "4 ERROR asked to fail (run/src/main.rs:51)"),
        ("panic", 1, "ERROR asked to panic"),
    ] {
        let ran = run(&["--", wanted]);
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!((ran.code, ran.err.as_str()), (Some(code), "flashed 13.6 K to highwater emulated board\n"));
        assert_eq!(lines.first(), Some(&format!("hello from RTT, asked for {wanted:?}").as_str()));
        assert!(lines.contains(&last), "{lines:#?}");
        // Text, defmt and semihosting come by three ways, and each is whole and in order.
        let rounds: Vec<String> = (0..40).map(|round| format!("round {round}")).collect();
        let heard: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("round ")).collect();
        assert_eq!(heard, rounds);
        for line in [
            "0 INFO  sensors are up (run/src/main.rs:37)",
            "1 DEBUG read Reading { sensor: 0, celsius: 21 } (run/src/main.rs:39)",
            "2 DEBUG read Reading { sensor: 1, celsius: -4 } (run/src/main.rs:39)",
            "3 WARN  battery at 17 % (run/src/main.rs:41)",
        ] {
            assert!(lines.contains(&line), "{line}: {lines:#?}");
        }
    }
}

#[test]
fn a_breakpoint_of_the_firmware_is_an_error_that_names_it() {
    let ran = run(&["--", "stand"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("stands at a breakpoint of its own, at 0x0800") && ran.err.contains("main"),
        "{}",
        ran.err
    );
}

#[test]
fn without_flashing_the_rest_is_the_same() {
    let flashed = run(&["--verify", "--", "fail"]);
    assert_eq!((flashed.code, flashed.err.as_str()), (Some(7), "flashed 13.6 K to highwater emulated board\n"));
    let left = run(&["--no-flash", "--", "fail"]);
    assert_eq!((left.code, left.err.as_str(), left.out), (Some(7), "", flashed.out));
}

#[test]
fn the_same_run_says_the_same() {
    assert_eq!(run(&[]).out, run(&[]).out);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_130() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let place = Place::new();
    let mut command = place.command(&["run", FIRMWARE, "--probe", "sim", "--", "run"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "hello from semihosting")), "it ran");
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("there is kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

/// Lines that a process prints until one of them is `last`; then it is interrupted.
#[cfg(unix)]
fn heard(args: &[&str], last: &str) -> (Vec<String>, String) {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let place = Place::new();
    let mut command = place.command(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        lines.push(line.expect("it is text"));
        if lines.last().is_some_and(|line| line == last) {
            break;
        }
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("there is kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let mut err = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("it is text");
    (lines, err)
}

#[cfg(unix)]
#[test]
fn a_firmware_that_runs_is_heard_without_a_halt() {
    let (lines, _) = heard(&["attach", FIRMWARE, "--probe", "sim", "--rtt"], "round 39");
    for line in ["round 38", "3 WARN  battery at 17 % (run/src/main.rs:41)"] {
        assert!(lines.iter().any(|heard| heard == line), "{line}: {lines:#?}");
    }
    // Nobody debugs the core: its questions by semihosting fail, and it goes on without an answer.
    assert!(lines.iter().all(|line| !line.contains("semihosting")), "{lines:#?}");
}

#[test]
fn channels_that_are_not_asked_for_are_left_alone() {
    let ran = run(&["--no-rtt", "--", "short"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "hello from semihosting\n"), "{}", ran.err);
    let ran = run(&["--", "short"]);
    assert!(ran.out.starts_with("hello from RTT, asked for \"short\"\n"), "{}", ran.out);
}

#[test]
#[ignore = "needs Rust's target thumbv7m-none-eabi, and builds a firmware"]
fn cargo_runs_a_firmware_and_ends_with_its_status() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run");
    let runner =
        format!("target.thumbv7m-none-eabi.runner = [{:?}, 'run', '--probe', 'sim']", env!("CARGO_BIN_EXE_highwater"));
    let flags = format!(
        "target.thumbv7m-none-eabi.rustflags = ['-Clink-arg=-L{fixture}', '-Clink-arg=-Tlink.x', '-Clink-arg=-Tdefmt.x']"
    );
    let place = Place::new();
    let target = place.path("target");
    let ran = std::process::Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--locked", "--target", "thumbv7m-none-eabi", "--manifest-path"])
        .arg(format!("{fixture}/Cargo.toml"))
        .args(["--config", &runner, "--config", &flags, "--", "--", "fail"])
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("there is cargo");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(7), "{err}");
    assert!(out.starts_with("hello from RTT, asked for \"fail\"\n"), "{out}");
}
