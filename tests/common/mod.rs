//! The demo firmware on an emulated board in lockstep: what most tests look at.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater::image::Image;
use highwater::image::layout;
use highwater::model::Model;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::{Board, Clock, LinkModel};
use highwater::source::emulated::{Emulation, open};

pub(crate) const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.elf");

/// The scenarios of the demo, by number.
pub(crate) const SCENARIOS: [&str; 4] = ["calm", "overflow", "leak", "fragmentation"];

/// A wire so fast that the firmware hardly moves while it is read.
pub(crate) const INSTANT: LinkModel = LinkModel { swd_hz: 2_000_000_000, ..LinkModel::ideal() };

/// The demo, attached at power-on.
pub(crate) struct Demo {
    pub(crate) image: Arc<Image>,
    pub(crate) board: Arc<Board>,
    pub(crate) sampler: Sampler,
    pub(crate) model: Model,
}

pub(crate) fn image() -> Arc<Image> {
    Arc::new(Image::open(Path::new(DEMO)).expect("the demo's ELF opens"))
}

/// How to run the demo in lockstep.
pub(crate) fn emulation(image: &Image, scenario: u32, seed: u32, link: LinkModel) -> Emulation {
    let address = |name: &str| image.symbols.address(name).expect("the demo has its words");
    Emulation {
        elf: std::fs::read(DEMO).expect("the demo's ELF is there"),
        memories: layout::memories(image, &[]),
        pokes: vec![
            (address("HIGHWATER_DEMO_SCENARIO"), 0xD0D0_0000 | scenario),
            (address("HIGHWATER_DEMO_SEED"), seed),
        ],
        seed: seed.into(),
        link,
        clock: Clock::Lockstep,
        paced_from: None,
        faults: Vec::new(),
        comparators: None,
        erased: false,
        core: None,
        chip: None,
    }
}

impl Demo {
    pub(crate) fn new(scenario: u32, seed: u32, link: LinkModel, rate_hz: Option<f64>) -> Self {
        let image = image();
        let (source, board) = open(&emulation(&image, scenario, seed, link)).expect("the board opens");
        let memories = layout::memories(&image, &[]);
        let model = Model::new(static_snapshot(&image, &memories));
        let options = Options { rate_hz };
        let sampler = Sampler::new(Box::new(source), Arc::clone(&image), memories, options).expect("the link works");
        Self { image, board, sampler, model }
    }

    pub(crate) fn refresh(&mut self) {
        let observation = self.sampler.refresh();
        self.model.ingest(observation);
    }

    /// Refreshes at the sampler's rate until that much time has passed since power-on.
    pub(crate) fn watch_until(&mut self, end: Duration) {
        while self.board.now() < end {
            let before = self.sampler.now();
            self.refresh();
            self.sampler.wait(self.sampler.now() - before);
        }
    }

    /// A word of one of the firmware's own symbols, read past the probe.
    pub(crate) fn peek(&self, symbol: &str, word: usize) -> u32 {
        let address = self.image.symbols.address(symbol).expect("the symbol is there");
        self.board.peek_word(address + 4 * word as u32).expect("it lies in memory")
    }
}
