//! One step of what is done with an ELF, and nothing else, so that a script can take its time and memory from outside.
//!
//! ```text
//!   highwater-elf-bench picture|symbols|lines|index|fields|probe-rs FILE
//! ```

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result, bail};
use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::sampler::first_snapshot;
use highwater::tui::state::{Options, State};
use highwater::tui::theme::{Theme, ThemeName};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(step), Some(file)) = (arguments.next(), arguments.next()) else {
        bail!("give a step (picture, symbols, lines, index, fields, probe-rs) and an ELF");
    };
    let file = Path::new(&file);
    match step.as_str() {
        "picture" => keep(Image::open(file)?, picture),
        "symbols" => keep(Image::open(file)?, symbols),
        "lines" => keep(Image::open(file)?, lines),
        "index" => keep(Image::open(file)?, index),
        "fields" => keep(Image::open(file)?, fields),
        "probe-rs" => {
            let info = probe_rs_debug::DebugInfo::from_file(file).context("probe-rs-debug cannot read it")?;
            std::mem::forget(black_box(info));
        }
        other => bail!("no step is called {other}"),
    }
    Ok(())
}

/// Does the step, and leaves what it made where it is: a tool keeps it while it runs, and ends without taking it apart.
fn keep(image: Image, step: impl Fn(&Image)) {
    step(&image);
    std::mem::forget(image);
}

/// The first picture: memories, sections and reservations, drawn as the terminal would show them.
fn picture(image: &Image) {
    let memories = layout::memories(image, &[]);
    let model = Model::new(first_snapshot(image, &memories));
    let state = State::new(&Options::default());
    let theme = Theme::new(ThemeName::Dark, false, true);
    let mut terminal = Terminal::new(TestBackend::new(120, 36)).expect("a terminal in memory");
    terminal.draw(|frame| highwater::tui::draw(frame, &model, &state, &theme)).expect("it draws");
    black_box(&terminal);
}

/// All symbols by size, as `nm --size-sort` has them: without the step of writing them.
fn symbols(image: &Image) {
    let mut sorted: Vec<_> = image.symbols.iter().filter(|symbol| !symbol.range.is_empty()).collect();
    sorted.sort_by_cached_key(|symbol| symbol.range.size());
    println!("{} symbols with a size", sorted.len());
    black_box(&sorted);
}

/// From addresses to functions and lines: the table of units, and one question.
fn lines(image: &Image) {
    let code = image.symbols.iter().find(|symbol| symbol.is_code && !symbol.range.is_empty());
    let frames = code.map(|symbol| image.lines().at(symbol.range.start()));
    println!("{frames:?}");
}

/// All of the debug information that the tool ever indexes: lines, units, every static, and the names of all types.
fn index(image: &Image) {
    lines(image);
    black_box(image.units());
    println!("{} statics with a place", image.types().variables().count());
}

/// The same, and what every static is made of: all units that have one are read.
fn fields(image: &Image) {
    index(image);
    let fields: usize = image.types().variables().map(|variable| variable.kind.members().count()).sum();
    println!("{fields} fields of statics");
}
