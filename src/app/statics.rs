//! What can be said without a target: who owns the memory, and what changed between two builds.

use std::io::{self, Write};
use std::path::Path;

use super::{Failure, firmware};
use crate::cli::{DiffArgs, SymbolsArgs, TasksArgs};
use crate::image::Image;
use crate::image::layout;
use crate::image::link_map::LinkMap;
use crate::image::units::Units;
use crate::inventory::listing::{self, Listing};
use crate::inventory::owner::Names;
use crate::inventory::regions::Saved;
use crate::inventory::tree::{self, Level};
use crate::inventory::{Inventory, diff, tasks};
use crate::model::Model;
use crate::report::Report;
use crate::sampler::static_snapshot;
use crate::view::{self, symbols};

/// The largest linker map and saved listing that are read, in bytes.
const MAX_TEXT: u64 = 512 << 20;

/// Prints who owns the memory.
///
/// # Errors
///
/// A file cannot be used, or the output cannot be written.
pub(super) fn symbols(args: &SymbolsArgs) -> Result<(), Failure> {
    let image = firmware::any_image(&args.firmware)?;
    let map = args.map.as_deref().map(link_map).transpose()?.unwrap_or_default();
    let chip = firmware::chip(&args.firmware.chip, &image)?;
    let memories = layout::memories(&image, &chip.map(|chip| chip.memories()).unwrap_or_default());
    let levels: Vec<Level> = args.by.iter().map(|level| level.level()).collect();
    // The debug information is most of the file: it is read when somebody wants to see or find what it tells.
    let is_listed = matches!(args.format, symbols::Format::Json | symbols::Format::Csv | symbols::Format::Html);
    let shows_modules = is_listed || levels.contains(&Level::Module) || args.filter.is_some();
    let units = if shows_modules { image.units() } else { Units::default() };
    let inventory = Inventory::new(&image, &memories, &Names { units, map });
    for remark in layout::remarks(&image, &memories) {
        eprintln!("note: {remark}");
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let tree = || tree::build(&inventory, &levels, args.filter.as_deref().unwrap_or(""), args.sort);
    match args.format {
        symbols::Format::Human => out.write_all(symbols::text(&tree(), limit(args.top)).as_bytes())?,
        symbols::Format::Svg => out.write_all(view::treemap::svg(&tree()).as_bytes())?,
        symbols::Format::Html => {
            let page =
                view::html::symbols::page(&tree(), &Listing::new(&inventory), args.filter.as_deref().unwrap_or(""));
            out.write_all(page.as_bytes())?;
        }
        symbols::Format::Json => symbols::json(&Listing::new(&inventory), &mut out)?,
        symbols::Format::Csv => symbols::csv(&Listing::new(&inventory), &mut out)?,
    }
    Ok(out.flush()?)
}

/// Prints the async tasks.
///
/// # Errors
///
/// The file cannot be used or has no debug information, or the output cannot be written.
pub(super) fn tasks(args: &TasksArgs) -> Result<(), Failure> {
    let image = firmware::image(&args.firmware)?;
    if image.types().is_empty() {
        let way = image
            .missing_debug_information()
            .unwrap_or_else(|| "build it with `debug = 2` in its profile and do not strip it".into());
        return Err(Failure::Error(format!(
            "{} has no debug information, which alone tells what is in a task: {way}",
            image.name()
        )));
    }
    let tasks = tasks::read(&image);
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        view::tasks::Format::Human if tasks.tasks.is_empty() && tasks.resources.is_empty() => {
            writeln!(out, "{}: no static of embassy or RTIC, and none that holds a future", tasks.elf)?;
        }
        view::tasks::Format::Human => out.write_all(view::tasks::text(&tasks, limit(args.top)).as_bytes())?,
        view::tasks::Format::Json => view::tasks::json(&tasks, &mut out)?,
        view::tasks::Format::Csv => view::tasks::csv(&tasks, &mut out)?,
    }
    Ok(out.flush()?)
}

/// Prints what changed between two builds.
///
/// # Errors
///
/// A file cannot be used, or the output cannot be written.
pub(super) fn diff(args: &DiffArgs) -> Result<(), Failure> {
    let (old, new) = sides(args)?;
    let diff = diff::diff(&old, &new);
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        view::diff::Format::Human => out.write_all(view::diff::text(&diff, limit(args.top)).as_bytes())?,
        view::diff::Format::Markdown => out.write_all(view::diff::markdown(&diff, limit(args.top)).as_bytes())?,
        view::diff::Format::Json => {
            serde_json::to_writer_pretty(&mut out, &diff).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(out.flush()?)
}

/// Zero asks for all.
fn limit(top: usize) -> usize {
    if top == 0 { usize::MAX } else { top }
}

/// One side of a comparison.
enum Side {
    /// Every symbol.
    Listing(Listing),
    /// Regions alone.
    Report(Saved),
    /// A build, of which either can be made.
    Build(Box<Image>),
}

/// The rows of both sides: of regions when one of them is a report, else of symbols.
fn sides(args: &DiffArgs) -> Result<(Listing, Listing), Failure> {
    let (old, new) = (side(&args.old)?, side(&args.new)?);
    let by_region = matches!(old, Side::Report(_)) || matches!(new, Side::Report(_));
    let rows = |side: Side, path: &Path| match (side, by_region) {
        (Side::Listing(listing), false) => Ok(listing),
        (Side::Listing(_), true) => Err(Failure::Usage(format!(
            "{} lists symbols and the other side is a report, which has none: give an ELF in place of one of them",
            path.display()
        ))),
        (Side::Report(saved), _) => Ok(saved.listing()),
        (Side::Build(image), _) => of_build(&image, args, by_region),
    };
    Ok((rows(old, &args.old)?, rows(new, &args.new)?))
}

fn side(path: &Path) -> Result<Side, Failure> {
    let starts_as_json = {
        let mut first = [0];
        let read = std::fs::File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut first));
        read.is_ok_and(|read| read == 1) && first == *b"{"
    };
    if !starts_as_json {
        let image = Image::open_any(path).map_err(|error| Failure::Error(error.to_string()))?;
        return Ok(Side::Build(Box::new(image)));
    }
    let text = text(path)?;
    if let Ok(saved) = serde_json::from_str::<Saved>(&text)
        && saved.is_known()
    {
        return Ok(Side::Report(saved));
    }
    let anew = "write one with `highwater symbols ELF --format json`";
    let listing: Listing = serde_json::from_str(&text)
        .map_err(|error| Failure::Error(format!("{} is not a saved listing: {error}; {anew}", path.display())))?;
    if listing.schema == listing::SCHEMA {
        return Ok(Side::Listing(listing));
    }
    let schema = crate::units::printable(&listing.schema, 80);
    let known = listing::SCHEMA;
    Err(Failure::Error(format!("{} has the schema {schema}, not {known}: {anew}", path.display())))
}

fn of_build(image: &Image, args: &DiffArgs, by_region: bool) -> Result<Listing, Failure> {
    let chip = firmware::chip(&args.chip, image)?;
    let memories = layout::memories(image, &chip.map(|chip| chip.memories()).unwrap_or_default());
    if !by_region {
        let names = Names { units: image.units(), map: LinkMap::default() };
        return Ok(Listing::new(&Inventory::new(image, &memories, &names)));
    }
    // What a report of this build would say, by way of its own format: both sides are read by the same code.
    let report = Report::new(&Model::new(static_snapshot(image, &memories)));
    let saved = serde_json::to_value(&report).and_then(serde_json::from_value::<Saved>).map_err(io::Error::from)?;
    Ok(saved.listing())
}

fn link_map(path: &Path) -> Result<LinkMap, Failure> {
    let map = LinkMap::parse(&text(path)?);
    if map.is_empty() {
        return Err(Failure::Error(format!(
            "{} has no input sections in it; give the map of GNU ld or lld (-Wl,-Map=FILE, or for Rust \
             -C link-arg=-Map=FILE), or of armlink or IAR's linker (--map)",
            path.display()
        )));
    }
    Ok(map)
}

fn text(path: &Path) -> Result<String, Failure> {
    let unreadable = |why: String| Failure::Error(format!("cannot read {}: {why}", path.display()));
    let found = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if found.len() > MAX_TEXT {
        return Err(unreadable(format!("it is larger than {MAX_TEXT} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
