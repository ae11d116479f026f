//! Memory that was saved of a running board, in place of the board.
#![cfg(feature = "simulator")]

mod common;

use std::process::{Command, Output};
use std::time::Duration;

use highwater::report::Report;
use serde_json::Value;

/// The RAM of the demo after some seconds of a scenario, in a file, and what was told while it ran.
struct Saved {
    folder: tempfile::TempDir,
    live: Report,
}

impl Saved {
    fn after(seconds: u64, scenario: u32) -> Self {
        let mut demo = common::Demo::new(scenario, 1, common::INSTANT, Some(30.0));
        demo.watch_until(Duration::from_secs(seconds));
        demo.model.ingest(demo.sampler.refresh_thoroughly());
        let ram = demo.board.peek(0x2000_0000, 0x1_0000).expect("the board has RAM");
        let folder = tempfile::tempdir().expect("there is room");
        std::fs::write(folder.path().join("ram.bin"), ram).expect("it can be written");
        Self { folder, live: Report::new(&demo.model) }
    }

    fn run(&self, command: &str, elf: &str) -> (Output, Value) {
        let given = format!("0x20000000:{}", self.folder.path().join("ram.bin").display());
        let out = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args([command, elf, "--ram", &given, "--format", "json"])
            .current_dir(self.folder.path())
            .output()
            .expect("the binary runs");
        let json = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)));
        (out, json)
    }
}

/// What became of one budget.
fn verdict<'a>(outcome: &'a Value, name: &str, rule: &str) -> &'a str {
    let checks = outcome["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["name"] == name && check["rule"] == rule);
    found.and_then(|check| check["verdict"].as_str()).unwrap_or_else(|| panic!("no {rule} of {name}: {outcome:#}"))
}

#[test]
fn what_was_saved_of_a_running_board_is_told_as_it_was_while_it_ran() {
    let saved = Saved::after(5, 0);
    let live = &saved.live;
    let (_, saved) = saved.run("snapshot", common::DEMO);
    assert_eq!(saved["state"], "saved");
    let stacks = saved["stacks"].as_array().expect("there are stacks");
    assert_eq!(stacks.len(), live.stacks.len());
    for (stack, live) in stacks.iter().zip(&live.stacks) {
        assert_eq!(stack["name"], live.name.as_str());
        assert_eq!(stack["peak"].as_u64(), live.peak.map(u64::from), "{}", live.name);
    }
    assert_eq!(saved["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from));
    assert_eq!(saved["heaps"][0]["blocks"].as_u64(), live.heaps[0].blocks.map(u64::from));
}

#[test]
fn what_was_saved_is_judged_and_what_was_not_saved_is_unknown() {
    let (out, outcome) = Saved::after(5, 0).run("check", common::DEMO);
    assert_eq!(out.status.code(), Some(0), "{outcome:#}");
    assert_eq!((&outcome["judged"], verdict(&outcome, "demo.elf", "faults")), (&Value::from("saved"), "unknown"));
    for (name, rule) in [("growth", "overflow"), ("growth", "margin"), ("heap", "damage"), ("heap", "failures")] {
        assert_eq!(verdict(&outcome, name, rule), "passed", "{rule} of {name}");
    }
    assert_eq!(verdict(&outcome, "heap", "leak"), "unknown");
    let (out, outcome) = Saved::after(14, 1).run("check", common::DEMO);
    assert_eq!((out.status.code(), verdict(&outcome, "growth", "overflow")), (Some(3), "failed"));
}

#[test]
fn a_paint_that_was_saved_is_seen_at_once_where_no_agent_tells_of_it() {
    let saved = Saved::after(5, 0);
    let main = saved.live.stacks.iter().find(|stack| stack.kind == "main" || stack.kind == "isr");
    let peak = main.and_then(|main| main.peak).expect("the demo paints the main stack");
    // The same firmware whose symbols do not say that there is an agent.
    let mut elf = std::fs::read(common::DEMO).expect("it is there");
    let name = b"\0HIGHWATER\0";
    let at: Vec<usize> = (0..elf.len() - name.len()).filter(|at| elf[*at..].starts_with(name)).collect();
    at.iter().for_each(|at| elf[at + 1] = b'_');
    assert!(!at.is_empty(), "the agent's block has a symbol");
    let path = saved.folder.path().join("bare.elf");
    std::fs::write(&path, elf).expect("there is room");
    let (_, report) = saved.run("snapshot", path.to_str().expect("it is text"));
    let stack = &report["stacks"][0];
    assert_eq!((stack["peak"].as_u64(), &stack["trust"]), (Some(peak.into()), &Value::from("exact")), "{report:#}");
    let hints = report["hints"].as_array().expect("a list");
    assert!(hints.iter().all(|hint| !hint.as_str().is_some_and(|hint| hint.contains("not painted"))), "{hints:?}");
    let (_, outcome) = saved.run("check", path.to_str().expect("it is text"));
    assert_eq!(verdict(&outcome, "main", "margin"), "passed");
}
