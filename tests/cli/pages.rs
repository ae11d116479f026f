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
fn a_page_says_what_is_wrong() {
    let place = Place::new();
    let page = place.output(&[&OVERFLOW[..], &["--format", "html"]].concat());
    assert!(page.contains("<strong>! DANGER</strong> growth overflowed"), "the verdict");
    assert!(page.contains("<strong class=\"bad\">OVERFLOW</strong>") && page.contains(">overwritten?</text>"));
    assert!(place.output(&["demo", "--sim-time", "2s", "--format", "html"]).contains("nothing is wrong"));
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
