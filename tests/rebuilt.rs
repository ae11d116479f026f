//! An ELF that is built anew while the tool is attached: it is taken over when the target runs it, and not before.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{DEMO, emulation, image};
use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::model::alert::AlertKind;
use highwater::model::event::EventKind;
use highwater::sampler::rebuilt::FileNews;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::LinkModel;
use highwater::source::emulated::open;

/// The demo's ELF with one byte of its code changed: what a build looks like that fixes a constant.
fn other() -> Image {
    let text = image().sections.iter().find(|section| section.name == ".text").expect("it has code").run;
    let code = image().bytes(text).expect("it is linked").to_vec();
    let mut bytes = std::fs::read(DEMO).expect("the demo is there");
    let at = bytes.windows(64).position(|window| window == &code[..64]).expect("the code is in the file");
    // Far behind the start, where only a look at what differs finds it.
    bytes[at + code.len() / 3] ^= 0x5a;
    Image::parse(Path::new("demo.elf"), &bytes).expect("it is still an ELF")
}

/// A board that runs the demo, looked at with the build `shown`.
fn attached(shown: Image) -> (Sampler, Model) {
    let on_target = image();
    let (source, _board) = open(&emulation(&on_target, 0, 1, LinkModel::ideal())).expect("the board opens");
    let memories = layout::memories(&shown, &[]);
    let model = Model::new(static_snapshot(&shown, &memories));
    let options = Options { rate_hz: Some(30.0) };
    (Sampler::new(Box::new(source), Arc::new(shown), memories, options).expect("the link works"), model)
}

fn watch(sampler: &mut Sampler, model: &mut Model, time: Duration) {
    let end = sampler.now() + time;
    while sampler.now() < end {
        let before = sampler.now();
        model.ingest(sampler.refresh());
        sampler.wait(sampler.now() - before);
    }
}

fn built(image: Image) -> FileNews {
    let memories = layout::memories(&image, &[]);
    FileNews::Built(Arc::new(image), memories)
}

fn told(model: &Model) -> Option<&str> {
    model.active_alerts().find(|alert| alert.kind == AlertKind::Rebuilt).map(|alert| alert.text.as_str())
}

fn demo() -> Image {
    Image::open(Path::new(DEMO)).expect("the demo opens")
}

#[test]
fn one_byte_tells_two_builds_apart() {
    let differing = other().differences(&demo(), 8);
    assert_eq!(differing.len(), 1, "{differing:?}");
    assert!(demo().differences(&demo(), 8).is_empty());
}

#[test]
fn a_build_that_the_target_does_not_run_is_held_back_and_said_to_be_newer() {
    let (mut sampler, mut model) = attached(demo());
    watch(&mut sampler, &mut model, Duration::from_secs(2));
    let (shown, stacks) = (sampler.image(), model.snapshot.stacks.len());
    sampler.hear(built(other()));
    watch(&mut sampler, &mut model, Duration::from_secs(3));
    assert!(Arc::ptr_eq(&sampler.image(), &shown));
    assert!(told(&model).is_some_and(|text| text.contains("newer than what runs")), "{:?}", model.alerts);
    assert_eq!(model.snapshot.stacks.len(), stacks, "the picture goes on");
    assert!(!model.active_alerts().any(|alert| alert.kind == AlertKind::WrongElf), "{:?}", model.alerts);
    assert!(model.events.iter().all(|event| event.kind != EventKind::Rebuilt));
}

#[test]
fn a_build_is_taken_over_once_the_target_runs_it_and_the_timeline_says_so() {
    // It shows a build that the board does not run; what it does run is built now.
    let (mut sampler, mut model) = attached(other());
    watch(&mut sampler, &mut model, Duration::from_secs(2));
    sampler.hear(built(demo()));
    let expected = sampler.image();
    watch(&mut sampler, &mut model, Duration::from_secs(3));
    assert!(!Arc::ptr_eq(&sampler.image(), &expected));
    assert_eq!(told(&model), None);
    assert_eq!(model.snapshot.target.rebuilds, 1);
    let events: Vec<_> = model.events.iter().filter(|event| event.kind == EventKind::Rebuilt).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].text, "demo.elf was built anew and read again: flash as before, RAM as before");
    // Its threads and their marks are there as if it had been opened with that build.
    let (mut fresh, mut known) = attached(demo());
    watch(&mut fresh, &mut known, Duration::from_secs(5));
    let names = |model: &Model| model.snapshot.stacks.iter().map(|stack| stack.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&model), names(&known));
    assert!(model.snapshot.stacks.iter().all(|stack| stack.peak.is_some()), "{:#?}", model.snapshot.stacks);
}

#[test]
fn a_build_with_the_same_code_is_taken_over_at_once() {
    let (mut sampler, mut model) = attached(demo());
    watch(&mut sampler, &mut model, Duration::from_secs(1));
    sampler.hear(built(demo()));
    model.ingest(sampler.refresh());
    assert_eq!(model.snapshot.target.rebuilds, 1);
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_picture_and_says_why() {
    let (mut sampler, mut model) = attached(demo());
    sampler.hear(FileNews::Unusable("it is being written".into()));
    watch(&mut sampler, &mut model, Duration::from_secs(1));
    assert!(told(&model).is_some_and(|text| text.contains("it is being written")), "{:?}", model.alerts);
    assert!(!model.snapshot.stacks.is_empty());
    sampler.hear(built(demo()));
    watch(&mut sampler, &mut model, Duration::from_secs(1));
    assert_eq!(told(&model), None);
}
