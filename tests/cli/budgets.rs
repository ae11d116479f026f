//! `check`: budgets against the demo in each of its scenarios, against an ELF alone, and what a person gets wrong.

use serde_json::Value;

use crate::common::{DEMO, SCENARIOS};
use crate::{Place, Ran};

/// Runs a check that ends as it is told, and gives its JSON.
fn check(place: &Place, args: &[&str], code: i32) -> Value {
    let ran = place.run(&[&["check"], args, &["--format", "json"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(code), ""), "{args:?}: {}", ran.out);
    let outcome: Value = serde_json::from_str(&ran.out).expect("it is JSON");
    assert_eq!((&outcome["schema"], &outcome["passed"]), (&Value::from("highwater/check@1"), &Value::from(code == 0)));
    outcome
}

fn failed(outcome: &Value) -> Vec<(&str, &str, &str)> {
    let word = |check: &'static str, value: &Value| value[check].as_str().map(str::to_owned).expect("a word");
    let checks = outcome["checks"].as_array().expect("a list");
    assert!(checks.iter().all(|check| !word("name", check).is_empty()));
    checks
        .iter()
        .filter(|check| check["verdict"] == "failed")
        .map(|check| ["kind", "name", "rule"].map(|key| check[key].as_str().expect("a word")).into())
        .collect()
}

#[test]
fn each_scenario_passes_or_fails_by_its_own_trouble() {
    let place = Place::new();
    for (scenario, code, expected) in [
        ("calm", 0, &[][..]),
        ("overflow", 3, &[("stack", "growth", "overflow"), ("stack", "growth", "margin")]),
        ("leak", 3, &[("heap", "heap", "leak")]),
        ("fragmentation", 3, &[("heap", "heap", "fragmentation"), ("heap", "heap", "failures")]),
    ] {
        // A leak is seen long before the heap is full: 12 s are too short for an allocation to fail.
        let time = if scenario == "leak" { "12s" } else { "30s" };
        let outcome = check(&place, &["--demo", scenario, "--for", time], code);
        assert_eq!(failed(&outcome), expected, "{scenario}");
        let checks = outcome["checks"].as_array().expect("a list");
        assert!(checks.len() > 20 && checks.iter().all(|check| check["verdict"] != "unknown"), "{scenario}");
        if scenario == "leak" {
            let leak = checks.iter().find(|check| check["rule"] == "leak").expect("it is held");
            assert!(leak["found"].as_f64().is_some_and(|rate| rate > 30_000.0), "{leak}");
        }
        if scenario == "overflow" {
            let overflow = checks.iter().find(|check| check["verdict"] == "failed").expect("it fails");
            assert!(overflow["note"].as_str().is_some_and(|note| note.contains("uart_rx_buf")), "{overflow}");
        }
    }
}

#[test]
fn an_elf_on_the_emulated_board_is_checked_like_the_demo() {
    let place = Place::new();
    let run = |args: &[&str]| place.run(&[&["check"], args, &["--for", "9s"]].concat());
    let demo = run(&["--demo", "overflow"]);
    let elf = run(&[DEMO, "--probe", "sim", "--sim-scenario", "overflow"]);
    assert_eq!((demo.code, &demo.out), (elf.code, &elf.out));
    // The same each time, to the byte.
    assert_eq!(run(&["--demo", "overflow"]).out, demo.out);
}

#[test]
fn a_file_of_budgets_is_held() {
    let place = Place::new();
    place.file(
        "highwater.toml",
        "[budgets.every-stack]\nmargin = \"5%\"\n[budgets.stack.growth]\npeak = \"1KiB\"\nsuggested = true\n\
         [budgets.stack.Timer]\nsuggested = true\n[budgets.memory.ram]\nused = \"90%\"\n[budgets.memory.flash]\n\
         used = 1024\n[budgets.region.\".bss\"]\nsize = \"64 KiB\"\n[budgets.every-heap]\npeak = \"10%\"\n",
    );
    let outcome = check(&place, &["--demo", "calm", "--for", "9s"], 3);
    let expected = [("stack", "growth", "peak"), ("heap", "heap", "peak"), ("memory", "Flash", "used")];
    assert_eq!(failed(&outcome), expected);
    assert!(outcome["budgets"].as_str().is_some_and(|file| file.ends_with("highwater.toml")));
    // Another file is taken in place of the nearest, and says what it is called.
    place.file("ci/loose.toml", "[budgets.stack.growth]\nmargin = 0\n");
    let outcome = check(&place, &["--demo", "calm", "--for", "9s", "--budgets", "ci/loose.toml"], 0);
    assert_eq!(outcome["budgets"], "ci/loose.toml");
    assert_eq!(failed(&outcome), []);
}

#[test]
fn what_is_not_known_fails_only_when_it_is_required() {
    let place = Place::new();
    let run = |text: &str, code| {
        place.file("highwater.toml", text);
        check(&place, &[DEMO, "--static"], code)
    };
    let growth = "[budgets.stack.growth]\npeak = \"1KiB\"\n";
    let outcome = run(growth, 0);
    assert_eq!(outcome["checks"][0]["verdict"], "unknown");
    assert!(outcome["checks"][0]["found"].is_null());
    run(&format!("{growth}required = true\n"), 3);
    // A run that is too short for a rate.
    place.file("highwater.toml", "[budgets.every-heap]\nrequired = true\n");
    let outcome = check(&place, &["--demo", "calm", "--for", "3s"], 3);
    let leak = outcome["checks"].as_array().expect("a list").iter().find(|check| check["rule"] == "leak");
    assert_eq!(leak.map(|leak| &leak["verdict"]), Some(&Value::from("unknown")));
}

#[test]
fn an_elf_alone_has_static_budgets() {
    let place = Place::new();
    let run = |text: &str, code| {
        place.file("highwater.toml", text);
        check(&place, &[DEMO, "--static"], code)
    };
    run("[budgets.memory.RAM]\nused = \"60KiB\"\n[budgets.memory.flash]\nused = \"90%\"\n", 0);
    let outcome = run("[budgets.memory.RAM]\nused = \"8KiB\"\n[budgets.region.code]\nsize = 100\n", 3);
    assert_eq!(failed(&outcome), [("memory", "RAM", "used"), ("region", "code", "size")]);
}

#[test]
fn what_is_wrong_with_a_budget_is_said_with_the_way_out() {
    let place = Place::new();
    for (text, words) in [
        ("[budgets.stack.grwoth]\nmargin = 1\n", &["`grwoth`", "did you mean `growth`?", "highwater.toml"][..]),
        ("[budgets.heap.zzz]\npeak = 1\n", &["the heap `zzz`", "there are: heap"]),
        ("[budgets.memory.flsh]\nused = 1\n", &["did you mean `Flash`?"]),
        ("[budgets.region.\".bs\"]\nsize = 1\n", &["did you mean `.bss`?"]),
        ("[budgets.every-stack]\nmargn = 1\n", &["line 2", "did you mean `margin`?"]),
        ("[budgets.memory.ram]\nused = \"lots\"\n", &["line 2", "`lots` is no amount"]),
        ("[budgets\n", &["line 1"]),
    ] {
        place.file("highwater.toml", text);
        let Ran { code, out, err } = place.run(&["check", "--demo", "calm", "--for", "1s"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{text}: {err}");
        for word in words {
            assert!(err.contains(word), "{text} does not say `{word}`: {err}");
        }
    }
    let ran = place.run(&["check", "--demo", "calm", "--budgets", "nowhere.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("cannot read nowhere.toml"), "{}", ran.err);
    place.file("highwater.toml", "");
    let ran = place.run(&["check", DEMO, "--static"]);
    assert!(ran.code == Some(1) && ran.err.contains("nothing to check"), "{}", ran.err);
    assert_eq!(place.run(&["check"]).code, Some(2));
    assert_eq!(place.run(&["check", DEMO, "--demo", "calm"]).code, Some(2));
}

#[test]
fn junit_is_well_formed_and_has_a_case_for_each_budget() {
    let place = Place::new();
    // A name that is markup must not become any.
    place.file("app.elf", crate::patched(b"growth", b"<g>&\"'"));
    for scenario in SCENARIOS {
        let run = |format: &str| {
            let args = ["check", "app.elf", "--probe", "sim", "--sim-scenario", scenario, "--for", "9s"];
            place.run(&[&args[..], &["--format", format]].concat()).out
        };
        let (xml, json) = (run("junit"), run("json"));
        let document = roxmltree::Document::parse(&xml).unwrap_or_else(|error| panic!("{scenario}: {error}\n{xml}"));
        let json: Value = serde_json::from_str(&json).expect("it is JSON");
        let checks = json["checks"].as_array().expect("a list");
        let count = |tag: &str| document.descendants().filter(|node| node.has_tag_name(tag)).count();
        let failing = checks.iter().filter(|check| check["verdict"] == "failed").count();
        assert_eq!((count("testcase"), count("failure")), (checks.len(), failing), "{scenario}");
        assert_eq!(document.root_element().tag_name().name(), "testsuites");
        let suite = document.root_element().first_element_child().expect("there is a suite");
        assert_eq!(suite.attribute("tests"), Some(checks.len().to_string().as_str()));
        assert_eq!(suite.attribute("failures"), Some(failing.to_string().as_str()));
        let classes: Vec<&str> = suite.children().filter_map(|case| case.attribute("classname")).collect();
        assert!(classes.contains(&"stack <g>&\"'"), "{classes:?}");
        let names: Vec<_> = suite
            .children()
            .filter(roxmltree::Node::is_element)
            .map(|case| (case.attribute("classname"), case.attribute("name")))
            .collect();
        let mut apart = names.clone();
        apart.sort_unstable();
        apart.dedup();
        assert_eq!(apart.len(), names.len(), "every case has a name of its own");
    }
}

#[test]
fn a_summary_in_markdown_names_what_failed_first() {
    let place = Place::new();
    let ran = place.run(&["check", "--demo", "overflow", "--for", "14s", "--format", "markdown"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.starts_with("### Memory budgets: failed\n\n2 of 23 budgets are exceeded"), "{}", ran.out);
    let rows: Vec<&str> = ran.out.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows[2].starts_with("| **FAILED** | stack growth | overflow |"), "{}", rows[2]);
    for row in &rows {
        let cells = row.replace("\\|", "").matches('|').count();
        assert_eq!(cells, 8, "{row}");
    }
}

#[test]
fn a_recorded_run_is_judged_like_the_run() {
    let place = Place::new();
    for (scenario, code) in [("calm", 0), ("overflow", 3)] {
        let file = format!("{scenario}.hwr");
        let ran = place.run(&["record", "--demo", scenario, "--for", "12s", "--output", &file]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let recorded = check(&place, &["--recording", &file], code);
        let live = check(&place, &["--demo", scenario, "--for", "12s"], code);
        assert_eq!(failed(&recorded), failed(&live), "{scenario}");
        assert!(recorded["watched_s"].as_f64().is_some_and(|time| time >= 12.0));
    }
    let sizes = place.output(&["sizes", "--recording", "calm.hwr", "--as", "rust"]);
    assert!(sizes.contains("GROWTH"), "{sizes}");
    let ran = place.run(&["check", "--recording", "nowhere.hwr"]);
    assert!(ran.code == Some(1) && ran.err.contains("nowhere.hwr cannot be read"), "{}", ran.err);
}

#[test]
fn the_ledger_goes_up_only_when_told_to() {
    let place = Place::new();
    let run = |scenario: &str, more: &[&str]| {
        place.run(&[&["check", "--demo", scenario, "--for", "9s", "--ledger", "memory.toml"], more].concat())
    };
    let ran = run("calm", &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there is no ledger memory.toml: --update-ledger begins one"), "{}", ran.err);
    let ran = run("calm", &["--update-ledger"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), "memory.toml: 10 new, 0 raised\n"), "{}", ran.out);
    let calm = std::fs::read_to_string(place.path("memory.toml")).expect("it is there");
    assert!(calm.contains("[stack.growth]\npeak = ") && calm.contains("[heap.heap]"), "{calm}");
    assert_eq!(run("calm", &[]).code, Some(0), "the same run is no worse");
    let ran = run("overflow", &[]);
    let line = ran.out.lines().find(|line| line.contains("stack growth") && line.contains("worst ever"));
    assert!(ran.code == Some(3) && line.is_some_and(|line| line.starts_with("FAILED")), "{}", ran.out);
    assert_eq!(std::fs::read_to_string(place.path("memory.toml")).expect("it is there"), calm, "it was not told to");
    let ran = run("overflow", &["--update-ledger"]);
    assert!(ran.err.starts_with("memory.toml: 0 new, ") && !ran.err.contains(" 0 raised"), "{}", ran.err);
    place.file("memory.toml", "[stack.growth]\npeak = \"many\"\n");
    let ran = run("calm", &["--update-ledger"]);
    assert!(ran.code == Some(1) && ran.err.contains("memory.toml") && ran.err.contains("line 2"), "{}", ran.err);
    assert_eq!(run("calm", &["--static"]).code, Some(2));
}
