//! What is in a static while the firmware runs: read only while somebody looks, and right.

mod common;

use std::time::Duration;

use common::{Demo, INSTANT};
use highwater::image::values::{self, Look, Row};
use highwater::model::snapshot::{StaticValues, Trust};
use highwater::region::Region;
use highwater::sampler::interest::Wish;
use highwater::simulator::{Board, LinkModel};

/// The board's own memory, past the probe.
struct Inside<'a>(&'a Board, &'a highwater::image::Image);

impl Look for Inside<'_> {
    fn bytes(&mut self, range: Region) -> Option<Vec<u8>> {
        let first = range.start() & !3;
        let end = range.end_address().next_multiple_of(4);
        let words = (first..end).step_by(4).map(|at| self.0.peek_word(at)).collect::<Option<Vec<u32>>>()?;
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let skip = (range.start() - first) as usize;
        bytes.get(skip..skip + range.size() as usize).map(<[u8]>::to_vec)
    }

    fn name(&self, address: u32) -> Option<String> {
        self.1.symbols.at(address).map(|symbol| highwater::image::symbols::demangle(&symbol.name))
    }
}

fn place(demo: &Demo, name: &str) -> Region {
    let variable = demo.image.types().variable(name).expect("the demo has it");
    Region::new(variable.address.expect("it has a place"), variable.kind.size().expect("it has a size"))
}

fn values(demo: &Demo) -> &StaticValues {
    demo.model.snapshot.values.as_ref().expect("somebody looks at a static")
}

/// Its fields as the board has them now.
fn inside(demo: &Demo, range: Region) -> Vec<Row> {
    let variable = demo.image.variable_at(range.start()).expect("it is described");
    values::rows(&variable, &mut Inside(&demo.board, &demo.image))
}

#[test]
fn a_static_is_told_as_the_firmware_holds_it() {
    let mut demo = Demo::new(0, 1, INSTANT, Some(30.0));
    for name in ["KERNEL", "HIGHWATER", "DEMO_TRUTH"] {
        let range = place(&demo, name);
        demo.sampler.interest().set(Some(Wish::Static(range)));
        let end = demo.board.now() + Duration::from_secs(1);
        demo.watch_until(end);
        // The firmware goes on while it is read: of a few refreshes, one was at rest.
        let same = (0..20).any(|_| {
            demo.refresh();
            let values = values(&demo);
            assert_eq!(values.range, range);
            let quiet = values.trust == Trust::Exact && !values.is_cut;
            quiet && values.rows == inside(&demo, range)
        });
        assert!(same, "{name}: {:#?}\n{:#?}", values(&demo).rows, inside(&demo, range));
        assert!(values(&demo).rows.iter().any(|row| !row.value.is_empty()), "{name}");
    }
}

#[test]
fn a_static_that_changes_while_it_is_read_is_said_to_be_torn() {
    // Over a slow link, the counters of the kernel move between the two looks.
    let mut demo = Demo::new(0, 1, LinkModel::hid(), Some(5.0));
    let range = place(&demo, "KERNEL");
    demo.sampler.interest().set(Some(Wish::Static(range)));
    let mut torn = 0;
    for _ in 0..20 {
        demo.refresh();
        let now = demo.sampler.now();
        demo.sampler.wait(Duration::from_millis(200).saturating_sub(demo.sampler.now() - now));
        torn += usize::from(demo.model.snapshot.values.as_ref().is_some_and(|values| values.trust == Trust::Torn));
    }
    assert!(torn > 0, "{:?}", values(&demo).trust);
}

#[test]
fn nothing_is_read_for_statics_while_nobody_looks() {
    let mut demo = Demo::new(0, 1, INSTANT, Some(30.0));
    assert!(!demo.image.types().is_empty());
    demo.watch_until(Duration::from_secs(1));
    assert_eq!(demo.model.snapshot.values, None);
    let range = place(&demo, "KERNEL");
    demo.sampler.interest().set(Some(Wish::Static(range)));
    demo.refresh();
    assert!(demo.model.snapshot.values.is_some());
    demo.sampler.interest().set(None);
    demo.refresh();
    assert_eq!(demo.model.snapshot.values, None);
}

#[test]
fn the_debug_information_is_not_read_by_the_sampler() {
    let mut demo = Demo::new(0, 1, INSTANT, Some(30.0));
    // The address of the kernel, from the symbols: nobody asked for types.
    let symbol = demo.image.symbols.iter().find(|symbol| symbol.name.contains("KERNEL")).expect("it is there").range;
    demo.sampler.interest().set(Some(Wish::Static(symbol)));
    if !demo.image.knows_types() {
        demo.refresh();
        assert_eq!(demo.model.snapshot.values, None);
        assert!(!demo.image.knows_types());
    }
    assert!(!demo.image.types().is_empty());
    demo.refresh();
    assert!(demo.model.snapshot.values.is_some());
}
