//! What scripts rely on: the JSON report, and that the same run prints the same bytes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::Place;
use crate::common::{DEMO, SCENARIOS};

fn report(place: &Place, args: &[&str]) -> Value {
    let out = place.output(&[args, &["--format", "json"]].concat());
    serde_json::from_str(&out).expect("it is JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is a list"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} is a number of bytes in {value}"))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is a word in {value}"))
}

/// Every one of these keys is there, be it with null.
fn has_keys(value: &Value, keys: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is an object"));
    for key in keys.split_whitespace() {
        assert!(object.contains_key(key), "no `{key}` in {value}");
    }
}

/// The regions in `parent` lie one after the other and fill it; and so on within each of them.
fn adds_up(regions: &[Value], parent: &Value) {
    let id = word(parent, "id");
    let mut inner: Vec<&Value> = regions.iter().filter(|region| region["parent"] == id).collect();
    inner.sort_by_key(|region| number(region, "start"));
    if inner.is_empty() {
        assert_ne!(parent["kind"], "memory", "{id} is empty");
        return;
    }
    let mut at = number(parent, "start");
    for region in inner {
        assert_eq!(number(region, "start"), at, "a gap or an overlap in {id} before {region}");
        assert!(number(region, "size") > 0, "{region}");
        assert_eq!(region["memory"], parent["memory"], "{region}");
        at += number(region, "size");
        adds_up(regions, region);
    }
    assert_eq!(at, number(parent, "start") + number(parent, "size"), "the parts of {id} add up to it");
}

/// The published schema, closed: a field that it does not name is a fault here, and an addition for everybody else.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                fields.values_mut().for_each(close);
                if fields.get("properties").is_some_and(Value::is_object) && fields.contains_key("type") {
                    fields.insert("additionalProperties".into(), false.into());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema: Value = serde_json::from_str(&Place::new().output(&["schema"])).expect("it is JSON");
    close(&mut schema);
    jsonschema::validator_for(&schema).expect("it is a schema")
});

pub(crate) fn keeps_the_contract(report: &Value) {
    let faults: Vec<String> =
        SCHEMA.iter_errors(report).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "not by its schema: {faults:#?}");
    assert_eq!(report["schema"], "highwater/report@1");
    has_keys(report, "schema at_s epoch target regions limits stacks heaps alerts events link");
    has_keys(&report["limits"], "stack_percent heap_percent fragmentation_percent");
    has_keys(&report["target"], "elf build_id chip core kernel source");
    has_keys(&report["link"], "refresh_hz transactions_per_refresh usb_commands_per_refresh bytes_per_refresh halts");
    has_keys(&report["link"], "writes gaps");
    let regions = list(report, "regions");
    let mut ids = BTreeSet::new();
    for region in regions {
        has_keys(region, "id parent memory kind name start size static");
        assert!(["ram", "flash"].contains(&word(region, "memory")), "{region}");
        assert!(ids.insert(word(region, "id")), "two regions have the id of {region}");
    }
    for region in regions {
        match region["parent"].as_str() {
            Some(parent) => assert!(ids.contains(parent), "{region} lies in nothing"),
            None => adds_up(regions, region),
        }
    }
    for stack in list(report, "stacks") {
        has_keys(
            stack,
            "id name kind start size current lowest_sp_used peak worst_case margin trust victim victim_is overflowed",
        );
        has_keys(stack, "suggested suggested_trust suggested_because");
        assert!(["main", "isr", "idle", "timer", "user"].contains(&word(stack, "kind")), "{stack}");
        let same = |region: &&Value| region["start"] == stack["start"] && region["size"] == stack["size"];
        assert!(regions.iter().filter(|region| region["kind"] == "stack").any(|region| same(&region)), "{stack}");
        if let (Some(peak), Some(margin)) = (stack["peak"].as_u64(), stack["margin"].as_u64()) {
            assert_eq!(peak + margin, number(stack, "size"), "{stack}");
        }
    }
    for heap in list(report, "heaps") {
        has_keys(
            heap,
            "name start size used peak free largest_free blocks overhead failures allocations allocations_per_second \
             fragmentation trust age_s owners allocator linked_allocators not_walked",
        );
        assert!(heap["allocator"].is_null() || heap["not_walked"].is_null(), "{heap}");
        assert!(list(heap, "linked_allocators").is_empty() || heap["not_walked"].is_string(), "{heap}");
        if let (Some(used), Some(free)) = (heap["used"].as_u64(), heap["free"].as_u64()) {
            assert_eq!(used + free, number(heap, "size"), "{heap}");
            assert!(heap["peak"].as_u64().is_none_or(|peak| peak >= used), "{heap}");
        }
    }
    for alert in list(report, "alerts") {
        has_keys(alert, "kind severity subject text since_s");
        assert!(["danger", "warning", "info"].contains(&word(alert, "severity")), "{alert}");
    }
}

#[test]
fn every_scenario_keeps_the_contract() {
    let place = Place::new();
    for scenario in SCENARIOS {
        let report = report(&place, &["demo", "--scenario", scenario, "--sim-time", "4s"]);
        keeps_the_contract(&report);
        assert_eq!(list(&report, "stacks").len(), 9, "{scenario}");
        assert_eq!((number(&report["link"], "halts"), number(&report["link"], "writes")), (0, 0), "{scenario}");
        assert_eq!(report["target"]["kernel"], "agent 1.1", "{scenario}");
    }
}

#[test]
fn an_overflow_is_in_the_report() {
    let report = report(&Place::new(), &["demo", "--scenario", "overflow", "--sim-time", "12s"]);
    keeps_the_contract(&report);
    let growth = list(&report, "stacks").iter().find(|stack| stack["name"] == "growth").expect("the thread is there");
    assert_eq!((&growth["overflowed"], &growth["victim"]), (&Value::Bool(true), &Value::from("uart_rx_buf")));
    assert_eq!(number(growth, "margin"), 0);
    let alert = &list(&report, "alerts")[0];
    assert_eq!(
        (word(alert, "kind"), word(alert, "severity"), word(alert, "subject")),
        ("overflow", "danger", "growth")
    );
    assert!(word(alert, "text").contains("uart_rx_buf"), "{alert}");
}

#[test]
fn a_static_layout_keeps_the_contract() {
    let place = Place::new();
    let unknown = report(&place, &["layout", DEMO]);
    keeps_the_contract(&unknown);
    assert_eq!(unknown["state"], "static");
    assert!(list(&unknown, "stacks").iter().all(|stack| stack["peak"].is_null()), "nothing is known of a run");
    // A chip's own memories are shown to their ends.
    let chip = report(&place, &["layout", DEMO, "--chip", "nRF52840_xxAA"]);
    keeps_the_contract(&chip);
    let flash = list(&chip, "regions").iter().find(|region| region["id"] == "flash").expect("it has flash");
    assert_eq!((number(flash, "start"), number(flash, "size")), (0, 1 << 20));
}

#[test]
fn the_same_seed_prints_the_same_bytes() {
    let place = Place::new();
    for format in ["human", "json", "svg"] {
        let run = |seed: &str| place.output(&["demo", "--seed", seed, "--sim-time", "2s", "--format", format]);
        let first = run("7");
        assert_eq!(first, run("7"), "{format}");
        assert_ne!(first, run("8"), "{format}: the seed has an effect");
    }
}

#[test]
fn the_picture_is_well_formed_and_shows_every_stack() {
    let place = Place::new();
    for scenario in ["overflow", "fragmentation"] {
        let run = ["demo", "--scenario", scenario, "--sim-time", "12s"];
        let svg = place.output(&[&run[..], &["--format", "svg"]].concat());
        let texts = well_formed(&svg);
        for stack in list(&report(&place, &run), "stacks") {
            let name = word(stack, "name");
            assert!(texts.iter().any(|text| text.contains(name)), "{name} is not in the picture");
        }
        // A heap of many small parts stays a picture that one can look at.
        let rows = texts.iter().filter(|text| text.as_str() == "free" || text.as_str() == "blocks").count();
        assert!(rows <= 16, "{scenario}: {rows} rows of free and blocks");
    }
}

#[test]
fn markup_in_a_name_stays_text() {
    let place = Place::new();
    place.file("a&b <i>.elf", crate::patched(b"growth", b"<g>&\"'"));
    let svg = place.output(&["snapshot", "a&b <i>.elf", "--probe", "sim", "--sim-time", "2s", "--format", "svg"]);
    let texts = well_formed(&svg);
    assert!(texts.iter().any(|text| text.contains("<g>&\"'")), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("a&b <i>.elf")), "{texts:?}");
}

/// Checks what a parser would stumble over: tags that do not match, attributes without quotes, bare `<` and `&`,
/// characters that XML does not have. Gives the texts.
fn well_formed(xml: &str) -> Vec<String> {
    assert!(xml.chars().all(|c| c == '\n' || !c.is_control()), "a control character");
    let (mut open, mut texts, mut roots) = (Vec::new(), Vec::new(), 0);
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let text = plain(&rest[..start]);
        assert!(!open.is_empty() || text.trim().is_empty(), "text outside of the root: {text}");
        if !text.trim().is_empty() {
            texts.push(text);
        }
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "a tag is closed that is not open");
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(), "<{tag}>");
        check_attributes(attributes);
        roots += usize::from(open.is_empty());
        if !empty {
            open.push(name);
        }
    }
    assert!(open.is_empty() && roots == 1 && rest.trim().is_empty(), "{open:?} {roots} {rest}");
    texts
}

fn check_attributes(mut rest: &str) {
    let mut seen = BTreeSet::new();
    while !rest.trim().is_empty() {
        let (name, value) = rest.trim_start().split_once("=\"").unwrap_or_else(|| panic!("no value in {rest}"));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && seen.insert(name), "{name}");
        let (value, after) = value.split_once('"').unwrap_or_else(|| panic!("no end of {value}"));
        let _ = plain(value);
        rest = after;
    }
}

/// The text that the five named entities stand for.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('&');
    plain.extend(parts.next());
    for part in parts {
        let (name, after) = part.split_once(';').unwrap_or_else(|| panic!("a bare & before {part}"));
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => panic!("no entity is called {other}"),
        });
        plain.push_str(after);
    }
    plain
}

/// Every region of the reference picture, from the top of RAM and of flash down.
#[test]
fn the_demo_is_laid_out_like_the_reference_picture() {
    let place = Place::new();
    let report = report(&place, &["demo"]);
    for (parent, names) in [
        ("ram", &["ISR stack", "heap", "idle stack", "timer stack", "main stack", ".bss", ".data", "RAM vectors"][..]),
        ("ram/heap", &["waiter", "alloc", "growth", "uart_rx_buf", "comms", "uart_tx_buf", "sensor"]),
        ("flash", &[".data values", "constants", "code", "bootloader", "vector table"]),
    ] {
        let inner = list(&report, "regions").iter().rev().filter(|region| region["parent"] == parent);
        let found: Vec<&str> = inner.map(|region| word(region, "name")).filter(|name| names.contains(name)).collect();
        assert_eq!(found, names, "{parent}");
    }
}
