//! Firmware that is not what the tool would like: without an agent, another one than the ELF's, a hostile one.

use std::sync::Arc;
use std::time::Duration;

use highwater::image::Image;
use highwater::image::layout;
use highwater::model::Model;
use highwater::model::alert::AlertKind;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::LinkModel;
use highwater::source::emulated::open;
use highwater::source::probe::{HostInstruments, OpenError, ProbeOptions, ProbeSource};

use crate::{Place, common, patched};

#[test]
fn a_firmware_without_an_agent_gets_the_picture_that_any_firmware_has() {
    let place = Place::new();
    place.file("plain.elf", patched(b"\0HIGHWATER\0", b"\0HIGHWATEZ\0"));
    let args = ["snapshot", "plain.elf", "--probe", "sim", "--sim-time", "1s"];
    let out = place.output(&args);
    assert!(out.contains("bare metal") && out.contains("hint: No agent and no known kernel"), "{out}");
    assert!(out.contains("highwater-agent"), "{out}");
    let report: serde_json::Value =
        serde_json::from_str(&place.output(&[&args[..], &["--format", "json"]].concat())).expect("it is JSON");
    let stacks = report["stacks"].as_array().expect("there are stacks");
    assert_eq!(stacks.len(), 1, "a firmware without threads has one stack: {stacks:?}");
    assert_eq!(stacks[0]["kind"], "main");
    assert!(stacks[0]["peak"].as_u64().is_some_and(|peak| peak > 0), "its paint is read: {stacks:?}");
    let heap = &report["heaps"][0];
    assert!(heap["used"].as_u64().is_some_and(|used| used > 0), "its allocator is known by its types: {heap}");
    assert_eq!(heap["failures"], serde_json::Value::Null, "what is not known is null");
    assert_eq!(report["target"]["kernel"], "bare metal");
}

/// The demo on the board, and an ELF that differs from it in one function.
#[test]
fn an_elf_that_is_not_on_the_target_is_told() {
    let demo = common::image();
    // Ten bytes in each page of code differ: a build with one more line.
    let mut bytes = crate::demo_bytes();
    for at in (0x11000..0x14900).step_by(16) {
        bytes[at] ^= 0x55;
    }
    let other = Arc::new(Image::parse(std::path::Path::new("other.elf"), &bytes).expect("it is an ELF"));
    let attach = |image: &Arc<Image>| {
        let (source, _board) = open(&common::emulation(&demo, 0, 1, LinkModel::ideal())).expect("the board opens");
        let memories = layout::memories(image, &[]);
        let model = Model::new(static_snapshot(image, &memories));
        let sampler = Sampler::new(Box::new(source), Arc::clone(image), memories, Options { rate_hz: Some(30.0) });
        (sampler.expect("the link works"), model)
    };
    let (mut same, _) = attach(&demo);
    assert_eq!(same.verify().expect("the link works"), None);
    let (mut sampler, mut model) = attach(&other);
    let difference = sampler.verify().expect("the link works").expect("they differ");
    assert!(difference.contains("other.elf") && difference.contains("0000_"), "{difference}");
    // Whoever looks anyway is reminded of it.
    sampler.wait(Duration::ZERO);
    model.ingest(sampler.refresh());
    assert!(model.active_alerts().any(|alert| alert.kind == AlertKind::WrongElf), "{:?}", model.alerts);
}

#[test]
fn of_several_probes_none_is_guessed() {
    let demo = common::image();
    let board = || open(&common::emulation(&demo, 0, 1, LinkModel::ideal())).expect("the board opens");
    let (one, two) = (board(), board());
    let opened = ProbeSource::open(ProbeOptions::default(), Box::<HostInstruments>::default());
    let Err(OpenError::SeveralProbes { listed }) = opened else { panic!("one of them was taken") };
    for (_, board) in [&one, &two] {
        let selector = board.selector().to_string();
        assert!(listed.iter().any(|line| line.contains(&selector)), "{selector} is not in {listed:?}");
    }
    let message = OpenError::SeveralProbes { listed }.to_string();
    assert!(message.contains("--probe") && message.lines().count() >= 3, "{message}");
}

/// Whatever a firmware calls its threads and sections, the terminal stays as it is.
#[test]
fn names_from_the_target_cannot_paint_the_terminal() {
    let place = Place::new();
    let mut bytes = patched(b"growth", b"gr\x1b[2J");
    let section = bytes.windows(7).rposition(|window| window == b".uninit").expect("the demo has that section");
    bytes[section..section + 7].copy_from_slice(b"\x1b]0;hi\x07");
    place.file("evil.elf", bytes);
    for args in [
        ["snapshot", "evil.elf", "--probe", "sim", "--sim-time", "4s"].as_slice(),
        &["snapshot", "evil.elf", "--probe", "sim", "--sim-time", "12s", "--sim-scenario", "overflow"],
        &["snapshot", "evil.elf", "--probe", "sim", "--sim-time", "4s", "--format", "svg"],
        &["snapshot", "evil.elf", "--probe", "sim", "--sim-time", "4s", "--format", "json"],
        &["layout", "evil.elf"],
        &["layout", "evil.elf", "--format", "svg"],
        &["layout", "evil.elf", "--format", "json"],
        &["snapshot", "evil.elf", "--probe", "sim", "--sim-time", "4s", "--format", "html"],
        &["layout", "evil.elf", "--format", "html"],
    ] {
        let out = place.output(args);
        let bad = out.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bad, None, "{args:?} prints a control character");
        assert!(out.contains("]0;hi") || out.contains("gr?[2J"), "{args:?} still names it");
    }
}

#[test]
fn ascii_means_ascii_whatever_the_names_are() {
    let place = Place::new();
    place.file("umlaut.elf", patched(b"growth", "größ".as_bytes()));
    let args = ["snapshot", "umlaut.elf", "--probe", "sim", "--sim-time", "4s"];
    let wide = place.output(&args);
    assert!(wide.contains("größ") && wide.contains('▒'), "{wide}");
    let out = place.output(&[&args[..], &["--ascii"]].concat());
    assert!(out.is_ascii() && out.contains("gr??"), "{out}");
    assert_eq!(out.lines().count(), wide.lines().count());
}
