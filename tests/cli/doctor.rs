//! What `doctor` says when all is well, and when a step fails.

use serde_json::Value;

use crate::Place;
use crate::common::DEMO;

#[test]
fn a_board_that_works_is_told_step_by_step_and_figure_by_figure() {
    let place = Place::new();
    let text = place.output(&["doctor", DEMO, "--probe", "sim"]);
    for line in [
        "ok    probe         the emulated board",
        "ok    target        Cortex-M3",
        "ok    threads       9 stacks, told by agent",
        "ok    in the way    the core was stopped 0 times, 0 words were written",
        "ok    stack peaks   of all 9 stacks",
        "ok    owners        heap: 3 caller(s)",
        "less  CPU share     nobody counts it",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    let json: Value = serde_json::from_str(&place.output(&["doctor", DEMO, "--probe", "sim", "--format", "json"]))
        .expect("it is JSON");
    assert_eq!((&json["schema"], &json["failed"]), (&Value::from("highwater/doctor@1"), &Value::Bool(false)));
    let steps: Vec<&str> =
        json["steps"].as_array().expect("a list").iter().filter_map(|step| step["what"].as_str()).collect();
    assert_eq!(steps, ["settings", "probe", "firmware", "chip", "target", "threads", "link", "in the way"]);
}

#[test]
fn it_comes_back_on_firmware_of_which_a_refresh_reads_nothing() {
    let place = Place::new();
    let elf = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/run.elf");
    let text = place.output(&["doctor", elf, "--probe", "sim"]);
    assert!(text.contains("less  stack peaks   of 0 of 1 stacks; nobody painted main"), "{text}");
}

#[test]
fn the_step_that_fails_is_the_last_and_its_reason_the_exit_code() {
    let place = Place::new();
    place.file("other.elf", "no ELF");
    place.file("highwater.toml", "chip = \"nRF52840_xxAA\"\n");
    for (args, code, last) in [
        (["doctor", "other.elf"].as_slice(), 1, "BAD   firmware      other.elf is not an ELF file"),
        (&["doctor"], 2, "BAD   firmware      no ELF is named"),
        (&["doctor", DEMO, "--chip", "nothing"], 1, "BAD   chip "),
        (&["doctor", DEMO, "--probe", "dead:beef"], 4, "BAD   target        the probe dead:beef is not connected"),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        let line = ran.out.lines().last().unwrap_or_default();
        assert!(line.starts_with(last), "{args:?}: {}", ran.out);
        assert!(ran.out.contains("highwater.toml"), "the settings are named: {}", ran.out);
    }
}
