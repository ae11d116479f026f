//! Pages to open in a browser: what is on them, and that a browser shows it and asks nobody for anything.

mod browser;

use serde_json::Value;

use crate::Place;
use crate::common::DEMO;
use browser::Browser;

const OVERFLOW: [&str; 5] = ["demo", "--scenario", "overflow", "--sim-time", "12s"];

/// What a figure looks like on a page.
fn bytes(figure: &Value) -> String {
    figure.as_u64().map_or_else(|| "–".into(), |bytes| format!("{bytes}&nbsp;B"))
}

fn json(place: &Place, args: &[&str]) -> Value {
    serde_json::from_str(&place.output(&[args, &["--format", "json"]].concat())).expect("it is JSON")
}

/// Checks that each stack and heap of a report has its row on a page.
fn tells(page: &str, report: &Value) {
    for stack in report["stacks"].as_array().expect("a list") {
        let name = format!("<tr><th scope=\"row\">{}", stack["name"].as_str().expect("a name"));
        let row = page.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("{name} has no row"));
        for key in ["size", "current", "peak", "worst_case", "margin", "suggested"] {
            assert!(row.contains(&bytes(&stack[key])), "{key} of {row}");
        }
    }
    for heap in report["heaps"].as_array().expect("a list") {
        let row =
            page.lines().find(|line| line.starts_with("<tr><th scope=\"row\">heap <small>")).expect("it has a row");
        for key in ["size", "used", "peak", "free", "largest_free"] {
            assert!(row.contains(&bytes(&heap[key])), "{key} of {row}");
        }
    }
}

#[test]
fn a_page_has_the_figures_of_the_report() {
    let place = Place::new();
    for args in [&OVERFLOW[..], &["snapshot", DEMO, "--probe", "sim"], &["layout", DEMO]] {
        let page = place.output(&[args, &["--format", "html"]].concat());
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        assert!(!page.contains("<script"), "a page of one moment has no script");
        tells(&page, &json(&place, args));
    }
}

#[test]
fn a_page_of_symbols_has_every_row_of_the_listing() {
    let place = Place::new();
    let page = place.output(&["symbols", DEMO, "--format", "html"]);
    let listing = json(&place, &["symbols", DEMO]);
    let rows = listing["rows"].as_array().expect("a list");
    let taken: Vec<&Value> = rows.iter().filter(|row| row["kind"] != "free").collect();
    let (_, table) = page.split_once("<table id=\"symbols\">").expect("it has the table");
    assert_eq!(table.matches("<tr><th scope=\"row\"").count(), taken.len());
    let sum: u64 = taken.iter().filter_map(|row| row["size"].as_u64()).sum();
    let (_, data) = page.split_once("id=\"data\">").expect("it has data");
    let data: Value = serde_json::from_str(data.split_once("</script>").expect("they end").0).expect("it is JSON");
    assert_eq!(data["bytes"].as_array().expect("a list").iter().filter_map(Value::as_u64).sum::<u64>(), sum);
    assert!(page.contains("<title>demo::threads::main::LOG: 1664 B</title>"), "the treemap is there");
    let few = place.output(&["symbols", DEMO, "--format", "html", "--filter", "LOG"]);
    assert!(few.len() < page.len() && few.contains("demo::threads::main::LOG"));
}

#[test]
fn a_page_says_what_is_wrong() {
    let place = Place::new();
    let page = place.output(&[&OVERFLOW[..], &["--format", "html"]].concat());
    assert!(page.contains("<strong>! DANGER</strong> growth overflowed"), "the verdict");
    assert!(page.contains("<strong class=\"bad\">OVERFLOW</strong>") && page.contains(">was hit?</text>"));
    assert!(place.output(&["demo", "--sim-time", "2s", "--format", "html"]).contains("nothing is wrong"));
}

#[test]
#[ignore = "needs Chromium"]
fn a_browser_searches_the_symbols() {
    let place = Place::new();
    place.file("a.html", place.output(&["symbols", DEMO, "--format", "html"]));
    let seen = Browser::new().open(&place.path("a.html"), "#q=main%3A%3Alog");
    assert_eq!((seen.complaints, seen.requests), (Vec::<String>::new(), Vec::new()));
    let (_, table) = seen.dom.split_once("<table id=\"symbols\">").expect("it has the table");
    let shown: Vec<&str> = table.lines().filter(|line| line.starts_with("<tr><th scope=\"row\"")).collect();
    assert!(shown.iter().all(|row| row.to_lowercase().contains("main::log")), "{shown:?}");
    assert!(shown.len() >= 2 && table.contains("<tr hidden="), "the others are hidden");
    let sizes = shown
        .iter()
        .filter_map(|row| row.split_once("<td class=\"n\">")?.1.split_once("&nbsp;B")?.0.parse::<u64>().ok());
    let expected = format!(" rows, {} B</output>", sizes.sum::<u64>());
    assert!(seen.dom.contains(&expected), "they are added up: {expected}");
}

/// Records twelve seconds in which a stack overflows.
fn recorded(place: &Place) {
    let args = ["record", "--demo", "overflow", "--for", "12s", "--rate", "10", "--output", "a.hwr"];
    let ran = place.run(&args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn a_recording_is_one_page_whose_last_moment_is_its_report() {
    let place = Place::new();
    recorded(&place);
    let page = place.output(&["replay", "a.hwr", "--format", "html"]);
    assert!(page.contains("<input type=\"range\"") && page.contains("refreshes of the recording are on this page"));
    // What is shown without a script is the last moment.
    let (before, _) = page.split_once("<script").expect("it has a script");
    tells(before, &json(&place, &["replay", "a.hwr"]));
    let (_, data) = page.split_once("id=\"data\">").expect("it has data");
    let data: Value = serde_json::from_str(data.split_once("</script>").expect("they end").0).expect("it is JSON");
    let lines = place.output(&["replay", "a.hwr", "--format", "jsonl"]);
    let times: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON")["at_s"].clone()).collect();
    assert_eq!(data["at_s"], Value::Array(times), "every refresh is there");
    // A moment that is asked for is a page without a script.
    let page = place.output(&["replay", "a.hwr", "--format", "html", "--at", "3s"]);
    assert!(!page.contains("<script"));
    tells(&page, &json(&place, &["replay", "a.hwr", "--at", "3s"]));
}

#[test]
#[ignore = "needs Chromium"]
fn a_browser_goes_to_any_moment_of_a_recording() {
    let place = Place::new();
    recorded(&place);
    place.file("a.html", place.output(&["replay", "a.hwr", "--format", "html"]));
    let browser = Browser::new();
    let maps: Vec<String> = ["3s", "12s"]
        .into_iter()
        .map(|at| {
            let seen = browser.open(&place.path("a.html"), &format!("#t={}", at.trim_end_matches('s')));
            assert_eq!((seen.complaints, seen.requests), (Vec::<String>::new(), Vec::new()), "{at}");
            let (_, moment) = seen.dom.split_once("<main id=\"moment\">").expect("it shows a moment");
            let moment = moment.split_once("</main>").expect("it ends").0;
            tells(moment, &json(&place, &["replay", "a.hwr", "--at", at]));
            moment.split_once("<ul class=\"legend\"").expect("the map is there").0.to_owned()
        })
        .collect();
    assert!(!maps[0].contains("OVERFLOW") && maps[1].contains("OVERFLOW"), "the map changes too");
}

#[test]
#[ignore = "needs Chromium"]
fn a_browser_shows_a_page_and_asks_nobody_for_anything() {
    let place = Place::new();
    place.file("a.html", place.output(&[&OVERFLOW[..], &["--format", "html"]].concat()));
    place.file("b.html", place.output(&["layout", DEMO, "--format", "html"]));
    let evil = crate::patched(b"growth", b"<b>&\"'");
    place.file("evil.elf", evil);
    let args = ["snapshot", "evil.elf", "--probe", "sim", "--sim-time", "2s", "--format", "html"];
    place.file("c.html", place.output(&args));
    let browser = Browser::new();
    // What would be wrong is seen.
    place.file("bad.html", "<img src=\"http://example.invalid/a.png\"><script>console.error('no')</script>");
    let seen = browser.open(&place.path("bad.html"), "");
    assert_eq!((seen.complaints.len(), seen.requests), (1, vec!["http://example.invalid/a.png".to_owned()]));
    for page in ["a.html", "b.html", "c.html"] {
        let seen = browser.open(&place.path(page), "");
        assert_eq!(seen.complaints, Vec::<String>::new(), "{page}");
        assert_eq!(seen.requests, Vec::<String>::new(), "{page}");
        assert!(seen.dom.contains("<svg viewBox=") && seen.dom.contains("RAM 64 KiB"), "{page} shows the map");
    }
    let seen = browser.open(&place.path("c.html"), "");
    assert!(seen.dom.contains("&lt;b&gt;&amp;\"'"), "the name is shown as it is");
}
