//! Recordings on the command line: made, replayed in every format, torn, foreign.

use std::fs;

use crate::Place;
use crate::common::DEMO;

/// Records a short run of the demo.
fn recorded(place: &Place, more: &[&str]) {
    let args = ["record", "--demo", "overflow", "--for", "2s", "--rate", "20", "--output", "a.hwr"];
    let ran = place.run(&[&args, more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("recorded 2.0 s in a.hwr"), "{}", ran.err);
    assert_eq!(ran.out, "", "the report is not its business");
}

#[test]
fn a_recording_replays_in_every_format_at_any_moment() {
    let place = Place::new();
    recorded(&place, &[]);
    let json = |args: &[&str]| -> serde_json::Value {
        let text = place.output(&[&["replay", "a.hwr", "--format", "json"], args].concat());
        serde_json::from_str(&text).expect("it is JSON")
    };
    let end = json(&[]);
    assert_eq!((&end["state"], &end["target"]["elf"]), (&"live".into(), &"demo.elf".into()));
    assert!(end["at_s"].as_f64().expect("a number") >= 2.0);
    assert_eq!(end, json(&[]), "it says the same each time");
    let middle = json(&["--at", "1s"]);
    assert!((1.0..1.1).contains(&middle["at_s"].as_f64().expect("a number")), "{}", middle["at_s"]);
    assert!(place.output(&["replay", "a.hwr"]).starts_with("demo.elf  Cortex-M3"));
    assert!(place.output(&["replay", "a.hwr", "--format", "svg"]).starts_with("<svg"));
    assert!(place.output(&["replay", "a.hwr", "--would-fit", "64"]).contains("64 B"));
}

#[test]
fn a_torn_recording_replays_up_to_the_tear_and_says_so() {
    let place = Place::new();
    recorded(&place, &[]);
    let bytes = fs::read(place.path("a.hwr")).expect("it is there");
    place.file("torn.hwr", &bytes[..bytes.len() - 7]);
    let ran = place.run(&["replay", "torn.hwr", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.err.contains("bytes of torn.hwr are cut off or damaged; the 41 refreshes before them replay"),
        "{}",
        ran.err
    );
}

#[test]
fn what_does_not_replay_is_named_with_the_way_out() {
    let place = Place::new();
    recorded(&place, &["--without-elf"]);
    place.file("text.hwr", "no recording");
    let bytes = fs::read(place.path("a.hwr")).expect("it is there");
    place.file("header.hwr", &bytes[..40]);
    place.file("newer.hwr", [&bytes[..8], &[9, 0, 0, 0], &bytes[12..]].concat());
    for (args, code, words) in [
        (["replay", "nowhere.hwr"].as_slice(), 1, ["nowhere.hwr cannot be read"].as_slice()),
        (&["replay", "text.hwr"], 1, &["text.hwr is no recording", "highwater record"]),
        (&["replay", "header.hwr"], 1, &["ends in its header"]),
        (&["replay", "newer.hwr"], 1, &["version 9", "take a newer one"]),
        (&["replay", "a.hwr"], 2, &["no ELF in it", "demo.elf", "--elf"]),
        (&["replay", "a.hwr", "--elf", "text.hwr"], 1, &["text.hwr is not the ELF of this recording", "demo.elf"]),
        (&["replay", "a.hwr", "--elf", DEMO, "--at", "1h"], 2, &["after the end of the recording"]),
        (&["replay", "a.hwr", "--speed", "0"], 2, &["--speed", "0.01 to 1000"]),
        (&["record", "--demo", "calm", "--for", "1s", "--output", "a.hwr"], 1, &["a.hwr is there already", "--output"]),
        (&["record", "--demo", "calm", "--for", "1s", "--output", "no/b.hwr"], 1, &["cannot write no/b.hwr"]),
        (&["record", "--demo", "calm", DEMO], 2, &["--demo", "ELF"]),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(code), "{args:?} says: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{args:?} does not say `{word}`: {}", ran.err);
        }
    }
    assert!(place.output(&["replay", "a.hwr", "--elf", DEMO]).starts_with("demo.elf"));
}
