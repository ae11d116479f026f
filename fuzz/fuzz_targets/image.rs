//! Any file in the place of an ELF: it is refused, or drawn without a target in every format. Nothing panics or hangs.
#![no_main]

use std::path::Path;

use highwater::heap::linked_list::LinkedList;
use highwater::image::{Image, layout};
use highwater::inventory::listing::Listing;
use highwater::inventory::owner::Names;
use highwater::inventory::{Inventory, diff, tasks};
use highwater::model::Model;
use highwater::report::Report;
use highwater::sampler::static_snapshot;
use highwater::view::{self, Format, text::Style};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(image) = Image::parse(Path::new("fuzzed.elf"), data) else { return };
    let memories = layout::memories(&image, &[]);
    for pair in memories.windows(2) {
        assert!(!pair[0].range.is_empty() && !pair[0].range.overlaps(pair[1].range), "two memories share an address");
    }
    let _ = (layout::placed(&image), layout::heap(&image), layout::main_stack(&image, &memories));
    let _ = (image.types(), LinkedList::find(&image));
    for (range, bytes) in image.samples(8) {
        assert_eq!(range.size() as usize, bytes.len());
    }
    for symbol in image.symbols.iter().take(64) {
        let _ = image.text(symbol.range.start(), 64);
    }
    let names = Names { units: image.units(), ..Names::default() };
    let inventory = Inventory::new(&image, &memories, &names);
    for holding in &inventory.memories {
        let whole: u64 = holding.items.iter().map(|item| u64::from(item.range.size())).sum();
        assert_eq!(whole, u64::from(holding.memory.range.size()), "the rows of {} add up", holding.memory.name);
    }
    for task in tasks::read(&image).tasks {
        assert!(!task.rows(usize::MAX).is_empty());
    }
    let listing = Listing::new(&inventory);
    assert_eq!(diff::diff(&listing, &listing).names, [], "nothing changed");
    let report = Report::new(&Model::new(static_snapshot(&image, &memories)));
    for format in [Format::Human, Format::Json, Format::Svg] {
        view::write(&report, format, Style { ascii: false, color: false }, &mut std::io::sink())
            .expect("a sink takes all");
    }
});
