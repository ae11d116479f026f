//! Formats for other programs: streams of reports, and tables.

use serde_json::Value;

use crate::Place;
use crate::common::DEMO;
use crate::contract::keeps_the_contract;

const RUN: [&str; 7] = ["demo", "--scenario", "overflow", "--sim-time", "1s", "--rate", "10"];

/// The rows of a table without quotes in it, by the names of its columns.
fn rows(text: &str) -> Vec<Vec<(&str, &str)>> {
    let mut lines = text.split_terminator("\r\n").map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("there is a head line");
    lines
        .map(|row| {
            assert_eq!(row.len(), head.len(), "{row:?}");
            head.iter().copied().zip(row).collect()
        })
        .collect()
}

fn of<'a>(row: &[(&str, &'a str)], column: &str) -> &'a str {
    row.iter().find(|(name, _)| *name == column).map_or("", |(_, cell)| cell)
}

#[test]
fn a_stream_has_a_line_of_json_for_each_refresh() {
    let place = Place::new();
    let text = place.output(&[&RUN[..], &["--format", "jsonl"]].concat());
    let reports: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert!((9..=11).contains(&reports.len()), "{}", reports.len());
    for report in &reports {
        keeps_the_contract(report);
    }
    let times: Vec<f64> = reports.iter().map(|report| report["at_s"].as_f64().expect("a number")).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(text, place.output(&[&RUN[..], &["--format", "jsonl"]].concat()), "it says the same each time");
    // A snapshot is one line, and a layout too.
    for args in
        [["snapshot", DEMO, "--probe", "sim", "--format", "jsonl"].as_slice(), &["layout", DEMO, "--format", "jsonl"]]
    {
        let text = place.output(args);
        assert_eq!(text.lines().count(), 1, "{args:?}");
        keeps_the_contract(&serde_json::from_str(&text).expect("it is JSON"));
    }
}

#[test]
fn a_table_has_the_figures_of_the_report() {
    let place = Place::new();
    let report: Value = serde_json::from_str(&place.output(&["snapshot", DEMO, "--probe", "sim", "--format", "json"]))
        .expect("it is JSON");
    let text = place.output(&["snapshot", DEMO, "--probe", "sim", "--format", "csv"]);
    let rows = rows(&text);
    for stack in report["stacks"].as_array().expect("a list") {
        let row = rows.iter().find(|row| of(row, "id") == stack["id"]).expect("each stack has a row");
        for (column, key) in [("size", "size"), ("peak", "peak"), ("used", "current"), ("worst_case", "worst_case")] {
            let expected = stack[key].as_u64().map(|bytes| bytes.to_string()).unwrap_or_default();
            assert_eq!(of(row, column), expected, "{key} of {}", stack["name"]);
        }
    }
    let sum: u64 = rows
        .iter()
        .filter(|row| of(row, "parent") == "ram")
        .map(|row| of(row, "size").parse::<u64>().expect("a number"))
        .sum();
    let ram = rows.iter().find(|row| of(row, "id") == "ram").expect("RAM has a row");
    assert_eq!(sum.to_string(), of(ram, "size"), "what lies in RAM fills it");
}

#[test]
fn a_recording_streams_what_it_recorded() {
    let place = Place::new();
    let ran = place.run(&["record", "--demo", "leak", "--for", "2s", "--rate", "10", "--output", "a.hwr"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines = place.output(&["replay", "a.hwr", "--format", "jsonl"]);
    let last: Value = serde_json::from_str(lines.lines().last().expect("there are some")).expect("it is JSON");
    let end: Value = serde_json::from_str(&place.output(&["replay", "a.hwr", "--format", "json"])).expect("it is JSON");
    assert_eq!(last, end);
    let half = place.output(&["replay", "a.hwr", "--format", "jsonl", "--at", "1s"]);
    assert!(lines.starts_with(&half) && half.len() < lines.len());
    let text = place.output(&["replay", "a.hwr", "--format", "csv"]);
    let rows = rows(&text);
    let moving = rows.iter().filter(|row| of(row, "kind") == "heap").count();
    assert_eq!(moving, lines.lines().count(), "one row of the heap for each refresh");
    assert_eq!(rows.iter().filter(|row| of(row, "kind") == "bss").count(), 1, "what is fixed is told once");
}

#[test]
fn markdown_has_a_table_for_each_kind() {
    let place = Place::new();
    let text = place.output(&["demo", "--sim-time", "12s", "--scenario", "overflow", "--format", "markdown"]);
    for expected in
        ["### Memory of demo.elf", "| stack | size |", "| growth | 4096 B |", "| heap | 50032 B |", "- **danger**: "]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(place.output(&["layout", DEMO, "--format", "markdown"]).contains("the static picture"));
}
