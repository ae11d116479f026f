//! What the tool itself costs: medians of plain repetitions, printed. `cargo bench --bench speed` runs it.
//!
//! Only the demo's ELF is opened here, which is small; nothing is asserted, since machines differ.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::report::Report;
use highwater::sampler::static_snapshot;
use highwater::tui::state::{Options, State};
use highwater::tui::theme::{Theme, ThemeName};
use highwater::view::{self, Format, text::Style};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

/// Time for all repetitions of one line.
const TIME: Duration = Duration::from_millis(500);

/// Repeats `work` and prints the median of the times it took.
fn bench(name: &str, mut work: impl FnMut()) {
    work();
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < TIME || times.len() < 5 {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("{name:<44} {:>10.1} us  ({} times)", times[times.len() / 2].as_secs_f64() * 1e6, times.len());
}

fn draw(name: &str, model: &Model, width: u16, height: u16) {
    let state = State::new(&Options::default());
    let theme = Theme::new(ThemeName::Dark, false, true);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
    bench(name, || {
        terminal.draw(|frame| highwater::tui::draw(frame, model, &state, &theme)).expect("it draws");
    });
}

fn main() {
    // `cargo test` builds benches and may start them: they measure only when `cargo bench` asks.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
    let image = Arc::new(Image::open(&path).expect("the demo's ELF opens"));
    let chips = layout::memories(&image, &[]);

    bench("open demo.elf", || {
        black_box(Image::open(&path).expect("the demo's ELF opens"));
    });
    bench("types of its statics", || {
        black_box(image.types());
    });
    bench("static picture", || {
        black_box(static_snapshot(&image, &chips));
    });
    let model = live(&image, &chips).unwrap_or_else(|| Model::new(static_snapshot(&image, &chips)));
    bench("report", || {
        black_box(Report::new(&model));
    });
    let report = Report::new(&model);
    let style = Style { ascii: false, color: false };
    for (name, format) in [("as JSON", Format::Json), ("as text", Format::Human), ("as SVG", Format::Svg)] {
        bench(&format!("report {name}"), || {
            view::write(&report, format, style, &mut std::io::sink()).expect("a sink takes all");
        });
    }
    draw("draw the map at 80x24", &model, 80, 24);
    draw("draw the map at 200x60", &model, 200, 60);
}

/// The demo after two seconds on the emulated board, with the time of its refreshes printed on the way.
#[cfg(feature = "simulator")]
fn live(image: &Arc<Image>, chips: &[layout::Memory]) -> Option<Model> {
    use highwater::sampler::{Options, Sampler};
    use highwater::simulator::{Clock, LinkModel};
    use highwater::source::emulated::{Emulation, open};

    let emulation = Emulation {
        elf: std::fs::read(&image.path).ok()?,
        memories: chips.to_vec(),
        pokes: vec![(image.symbols.address("HIGHWATER_DEMO_SCENARIO")?, 0xD0D0_0000)],
        seed: 1,
        link: LinkModel::ideal(),
        clock: Clock::Lockstep,
        paced_from: None,
        faults: Vec::new(),
        comparators: None,
        erased: false,
        core: None,
        chip: None,
    };
    let (source, board) = open(&emulation).ok()?;
    let mut sampler =
        Sampler::new(Box::new(source), Arc::clone(image), chips.to_vec(), Options { rate_hz: None }).ok()?;
    board.advance(Duration::from_secs(2));
    let mut model = Model::new(static_snapshot(image, chips));
    // The emulated core runs while it is read, in the same thread: its time is in this number.
    bench("refresh from the emulated board", || model.ingest(sampler.refresh()));
    Some(model)
}

#[cfg(not(feature = "simulator"))]
fn live(_image: &Arc<Image>, _chips: &[layout::Memory]) -> Option<Model> {
    None
}
