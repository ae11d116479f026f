//! Pipes, colours, help, completions, logs: how a command behaves among others.

use std::fs;
use std::process::Stdio;

use crate::common::DEMO;
use crate::{Place, finish};

const COMMANDS: [&str; 7] = ["demo", "attach", "snapshot", "layout", "list", "completions", "man"];

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::new();
    for args in [
        ["layout", DEMO].as_slice(),
        &["layout", DEMO, "--format", "json"],
        &["layout", DEMO, "--format", "svg"],
        &["demo", "--sim-time", "100ms"],
        &["list"],
        &["list", "--format", "json"],
        &["completions", "zsh"],
        &["man"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let mut command = place.command(args);
        let status = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("it starts").wait_with_output();
        let output = status.expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_an_error() {
    let place = Place::new();
    for args in [["layout", DEMO].as_slice(), &["layout", DEMO, "--format", "json"], &["list"], &["man"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let output = place.command(args).stdout(full).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("cannot write the output"), "{args:?}: {said}");
    }
}

#[test]
fn without_a_terminal_demo_and_attach_print_one_snapshot_and_end() {
    let place = Place::new();
    let demo = place.output(&["demo", "--sim-time", "2s"]);
    let attach = place.output(&["attach", DEMO, "--probe", "sim", "--sim-time", "2s"]);
    for out in [&demo, &attach] {
        assert!(out.starts_with("demo.elf  ") && out.contains("  live\n"), "{out}");
        assert!(out.contains("halts 0, writes 0"), "{out}");
    }
    assert_eq!(demo, attach, "the demo is the demo firmware on the emulated board, and no more");
}

#[test]
fn text_is_tidy() {
    let place = Place::new();
    let run = ["demo", "--sim-time", "12s", "--scenario", "overflow"];
    for args in [run.as_slice(), &["layout", DEMO], &["list"]] {
        let out = place.output(args);
        assert!(out.ends_with('\n') && !out.ends_with("\n\n"), "{args:?} ends with one line break");
        for line in out.lines() {
            assert_eq!(line, line.trim_end(), "{args:?} has spaces at a line's end");
            assert!(!line.contains('\t') && !line.contains('\x1b'), "{args:?}: {line:?}");
        }
    }
    let out = place.output(&run);
    let at = |words: &str| out.find(words).unwrap_or_else(|| panic!("no `{words}` in {out}"));
    assert!(at("! DANGER  growth overflowed") < at("\nRAM 64 KiB"), "what is wrong comes first");
    assert!(at("\nRAM 64 KiB") < at("\nFlash 256 KiB"), "then what moves, then what does not");
    let growth = out.lines().find(|line| line.contains("growth") && line.contains("100 %")).expect("its row");
    assert!(growth.ends_with("OVERFLOW") && !growth.contains('·'), "{growth}");
}

#[test]
fn colour_is_used_when_asked_for_and_only_then() {
    let place = Place::new();
    let run = ["demo", "--sim-time", "100ms"];
    let always = [&run[..], &["--color", "always"]].concat();
    assert!(place.output(&always).contains("\x1b["));
    assert!(!place.output(&run).contains('\x1b'), "a pipe takes no colour");
    // A flag is nearer than a variable.
    let ran = finish(place.command(&always).env("NO_COLOR", "1"));
    assert!(ran.code == Some(0) && ran.out.contains("\x1b["));
}

#[test]
fn probes_are_listed_for_people_and_for_scripts() {
    let place = Place::new();
    assert!(place.output(&["list"]).contains("--probe sim"));
    let list: serde_json::Value = serde_json::from_str(&place.output(&["list", "--format", "json"])).expect("JSON");
    assert_eq!(list["schema"], "highwater/list@1");
    assert!(list["probes"].is_array());
}

#[test]
fn each_shell_can_be_taught_the_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.output(&["completions", shell]);
        for word in ["highwater", "attach", "sim-scenario"] {
            assert!(script.contains(word), "{shell} knows nothing of {word}");
        }
    }
}

#[test]
fn the_manual_page_names_every_command() {
    let page = Place::new().output(&["man"]);
    assert!(page.contains(".TH highwater 1"), "{page}");
    for command in COMMANDS {
        assert!(page.contains(command), "{command}");
    }
}

#[test]
fn help_has_examples_and_fits_a_terminal() {
    let place = Place::new();
    for command in COMMANDS {
        let help = place.output(&[command, "--help"]);
        assert!(
            help.contains("Usage: highwater ") && help.contains("  highwater "),
            "{command} has no example: {help}"
        );
        for line in help.lines() {
            assert!(line.chars().count() <= 110, "{command}: {line}");
        }
    }
    let help = place.output(&["--help"]);
    for words in COMMANDS.iter().chain(&["Examples:", "Exit codes: 0 done, 1 error, 2 usage"]) {
        assert!(help.contains(words), "{words}");
    }
    let ran = place.run(&[]);
    assert_eq!(ran.code, Some(2), "no command is no command");
    assert!(ran.err.contains("Usage: highwater"), "{}", ran.err);
}

#[test]
fn the_version_is_one_line() {
    assert_eq!(Place::new().output(&["--version"]), format!("highwater {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_log_goes_to_its_file_and_nowhere_else() {
    let place = Place::new();
    let args = ["demo", "--sim-time", "100ms", "--log-file", "log.txt"];
    let read = || fs::read_to_string(place.path("log.txt")).expect("there is a log");
    place.output(&args);
    let first = read();
    assert!(first.contains(" INFO highwater") && first.contains("demo.elf on "), "{first}");
    assert!(!first.contains('\x1b') && !first.contains("DEBUG"), "{first}");
    // The next run keeps it, and the variable says how much there is.
    let ran = finish(place.command(&args).env("RUST_LOG", "debug"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(read().starts_with(&first) && read().contains("DEBUG"));
    let all = read();
    finish(place.command(&args).env("RUST_LOG", "off"));
    assert_eq!(read(), all);
    // What went wrong is in it as well.
    let ran = place.run(&["layout", "nowhere.elf", "--log-file", "log.txt"]);
    assert_eq!(ran.code, Some(1));
    assert!(read().contains("ERROR") && read().contains("cannot read nowhere.elf"));
}
