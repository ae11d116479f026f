//! An ELF that is not the one on the target is found out: by samples of the flash, and by the build id in RAM.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{DEMO, Demo, emulation, image};
use highwater::image::Image;
use highwater::image::layout;
use highwater::model::Model;
use highwater::model::alert::AlertKind;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::LinkModel;
use highwater::source::emulated::open;

/// The demo's ELF with `change` made to its bytes.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Image {
    let mut bytes = std::fs::read(DEMO).expect("the demo is there");
    change(&mut bytes);
    Image::parse(Path::new("other.elf"), &bytes).expect("it is still an ELF")
}

fn sampler_of(image: Image) -> (Sampler, Model) {
    let on_target = common::image();
    let (source, _board) = open(&emulation(&on_target, 0, 1, LinkModel::ideal())).expect("the board opens");
    let memories = layout::memories(&image, &[]);
    let model = Model::new(static_snapshot(&image, &memories));
    let options = Options { rate_hz: Some(30.0) };
    (Sampler::new(Box::new(source), Arc::new(image), memories, options).expect("the link works"), model)
}

#[test]
fn the_right_elf_is_not_suspected() {
    let mut demo = Demo::new(0, 1, LinkModel::ideal(), Some(30.0));
    assert_eq!(demo.sampler.verify(), Ok(None));
    demo.watch_until(Duration::from_secs(1));
    let active: Vec<_> = demo.model.active_alerts().collect();
    assert!(active.is_empty(), "{active:?}");
    // Until its init ran, the agent was missing; nothing else may have been said.
    assert!(demo.model.alerts.iter().all(|alert| alert.kind == AlertKind::AgentMissing), "{:?}", demo.model.alerts);
}

#[test]
fn other_code_is_found_by_samples_of_the_flash() {
    // Another linker's output would differ everywhere; here every byte of the application does.
    let text = image().sections.iter().find(|section| section.name == ".text").expect("it has code").run;
    let code = image().bytes(text).expect("it is linked").to_vec();
    let other = changed(|bytes| {
        let at = bytes.windows(64).position(|window| window == &code[..64]).expect("the code is in the file");
        for byte in &mut bytes[at..at + code.len()] {
            *byte ^= 0x5a;
        }
    });
    let (mut sampler, _) = sampler_of(other);
    let difference = sampler.verify().expect("the link works").expect("it differs");
    assert!(
        difference.contains("samples of its flash differ from other.elf") && difference.contains("0000_"),
        "{difference}"
    );
}

#[test]
fn another_build_of_the_same_code_is_found_by_its_id() {
    let symbol = image().symbols.get("HIGHWATER_BUILD_ID").expect("the agent has one").range;
    let id = image().bytes(symbol).expect("it is linked").to_vec();
    let other = changed(|bytes| {
        let at = bytes.windows(id.len()).rposition(|window| window == id).expect("the id is in the file");
        bytes[at] ^= 1;
    });
    let (mut sampler, mut model) = sampler_of(other);
    for _ in 0..10 {
        model.ingest(sampler.refresh());
        sampler.wait(Duration::ZERO);
    }
    let alert = model.active_alerts().find(|alert| alert.kind == AlertKind::WrongElf).expect("it is told");
    assert!(alert.text.contains("build id") && alert.text.contains("other.elf"), "{}", alert.text);
}
