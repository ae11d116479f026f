//! Screen 3: the heap block by block, who holds it, and whether a block would fit.
//!
//! ```text
//!  heap 48.9 KiB                       one cell, 64 B · last address first    figures
//!  2000_ec00 ······························································   used         24.4 KiB  49 %
//!  2000_dc00 ·············▐░░░++▐█████████◆◆◆◆◆◆◆◆◆▐██████████ growth ▐████   free         25.6 KiB
//!
//!  call site            where                blocks     bytes      B/min      would it fit?
//!  ◆ remember_packet    alloc.rs:72              31    3968 B       +512      2048 B would fit into heap now, ...
//! ```

mod picture;

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::frame::Density;
use super::paint::{self, Canvas, count, safe};
use super::state::{Input, State};
use super::theme::Theme;
use crate::heap::fit::Fit;
use crate::model::Model;
use crate::model::growth;
use crate::model::snapshot::{CallSite, Heap, LiveBlock, Owner, Trust};
use crate::region::Region;
use crate::report;
use crate::units;
use crate::view::text::fit_sentence;

/// The alignment of a block that is asked about.
const ALIGN: u32 = 8;

/// How the owners are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What grows fastest first.
    #[default]
    Growth,
    /// What holds most first.
    Bytes,
}

/// How the heap is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeapState {
    /// Which heap.
    pub shown: usize,
    /// The selected owner; the first when there is none.
    pub owner: Option<CallSite>,
    /// Where the selected block begins.
    pub block: Option<u32>,
    /// How owners are sorted.
    pub order: Order,
    /// The size that is asked about, as it was typed.
    pub asked: String,
}

fn shown<'a>(model: &'a Model, state: &State) -> Option<&'a Heap> {
    let heaps = &model.snapshot.heaps;
    heaps.get(state.heap.shown).or(heaps.first())
}

fn owners<'a>(heap: &'a Heap, state: &State) -> Vec<&'a Owner> {
    match state.heap.order {
        Order::Growth => growth::by_growth(heap),
        Order::Bytes => heap.owners.iter().flatten().collect(),
    }
}

/// Goes so many owners down.
pub(super) fn walk(model: &Model, state: &State, steps: isize) -> Option<CallSite> {
    let owners = owners(shown(model, state)?, state);
    let at = owners.iter().position(|owner| Some(&owner.site) == state.heap.owner.as_ref()).unwrap_or(0);
    let at = super::update::step(Some(at), owners.len(), steps)?;
    Some(owners[at].site.clone())
}

/// Goes to the next block of the picture, up to the right or down to the left in addresses.
pub(super) fn side(model: &Model, state: &State, to_right: bool) -> Option<u32> {
    let live = shown(model, state)?.live.as_ref()?;
    let at = state.heap.block.and_then(|start| live.iter().position(|block| block.range.start() == start));
    // The last address is on the left.
    let at = super::update::step(at.or(Some(live.len())), live.len(), if to_right { -1 } else { 1 })?;
    Some(live[at].range.start())
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, density: Density, model: &Model, state: &State) {
    let styles = canvas.theme.styles;
    let Some(heap) = shown(model, state) else {
        let text = "This firmware has no heap that is known: the agent registers one with register_heap, and without an \
                    agent the linker's heap symbols tell of it.";
        for (line, y) in paint::wrap(text, area.width.max(1)).iter().zip(area.top()..area.bottom()) {
            canvas.text(area.x, y, line, styles.ink);
        }
        return;
    };
    let two = density >= Density::Normal;
    let right_width = if two { (area.width / 3).min(56) } else { 0 };
    let left = Rect { width: area.width.saturating_sub(if two { right_width + 3 } else { 0 }), ..area };
    let rows = owners(heap, state).len();
    let below = count(rows + 2).min(area.height / 3).max(3);
    let figure_rows = if two { 0 } else { 2 };
    let title = Rect { height: 1, ..left };
    let figure = Rect { y: area.y + 1, height: area.height.saturating_sub(below + figure_rows + 2), ..left };
    let table = Rect { y: figure.bottom() + 1 + figure_rows, height: below, ..left }.intersection(area);
    draw_title(canvas, title, figure, model, heap);
    let asked = asked(heap, state);
    let marked = picture::Marked {
        owner: selected_owner(heap, state),
        block: state.heap.block.and_then(|start| heap.block_at(start)).map(|block| block.range),
        asked: match asked {
            Some((_, Fit::Yes { at, .. })) => Some(at),
            _ => None,
        },
    };
    picture::draw(canvas, figure, &model.snapshot, heap, state, marked);
    draw_owners(canvas, table, heap, state);
    let notes = notes(model, heap, state, asked);
    if two {
        let right = Rect { x: left.right() + 3, width: right_width, ..area };
        let mut y = draw_figures(canvas, right, heap, model) + 1;
        for note in &notes {
            for line in paint::wrap(note, right.width.max(1)) {
                canvas.text(right.x, y, &safe(&line, canvas.theme), styles.ink);
                y += 1;
            }
            y += 1;
        }
    } else {
        for (note, y) in notes.iter().zip(figure.bottom()..table.y) {
            canvas.text(area.x, y, &paint::fit(note, area.width, canvas.theme), styles.ink);
        }
    }
}

fn draw_title(canvas: &mut Canvas<'_>, line: Rect, figure: Rect, model: &Model, heap: &Heap) {
    let styles = canvas.theme.styles;
    let number = match model.snapshot.heaps.len() {
        0 | 1 => String::new(),
        heaps => format!("  one of {heaps}"),
    };
    let x = canvas.text(line.x, line.y, &safe(&heap.name, canvas.theme), styles.strong);
    let x = canvas.text(x + 1, line.y, &format!("{}{number}", units::memory(heap.range.size().into())), styles.muted);
    if let Some(scale) = picture::scale(figure, heap) {
        let text = format!("one cell, {} B {} last address first", scale.cell, canvas.theme.glyphs.dot);
        if x + 2 + paint::width(&text) <= line.right() {
            canvas.right(line.right(), line.y, &text, styles.muted);
        }
    }
}

fn selected_owner(heap: &Heap, state: &State) -> Option<usize> {
    let list = owners(heap, state);
    let selected = list.iter().find(|owner| Some(&owner.site) == state.heap.owner.as_ref()).or(list.first())?;
    heap.owners.as_ref()?.iter().position(|owner| owner.site == selected.site)
}

/// The size that is asked about, and the answer.
fn asked(heap: &Heap, state: &State) -> Option<(u32, Fit)> {
    let size: u32 = state.heap.asked.trim().parse().ok().filter(|size| *size > 0)?;
    Some((size, heap.fit(size, ALIGN)))
}

/// Sentences: the answer, the selected block, and what is not known.
fn notes(model: &Model, heap: &Heap, state: &State, asked: Option<(u32, Fit)>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((size, _)) = asked {
        notes.push(fit_sentence(&heap.name, &report::fit(heap, size, ALIGN)));
    } else if state.screen == super::state::Screen::Heap && state.input == Input::Filter {
        notes.push("Would it fit? Type a number of bytes.".into());
    }
    if let Some(block) = state.heap.block.and_then(|start| heap.block_at(start)) {
        notes.push(describe(model, heap, block));
    }
    if heap.blocks.is_none() {
        notes.push("Only totals are known of this heap: its allocator's list is not one that is understood.".into());
    } else if heap.owners.is_none() {
        notes.push("Nobody keeps account of the blocks: the agent's Owned allocator does, for 8 B a block.".into());
    } else if heap.owners_trust != Trust::Exact {
        let ago = heap.owners_confirmed.map_or_else(String::new, |confirmed| {
            format!(", {} ago", units::age(model.snapshot.at.saturating_sub(confirmed)))
        });
        notes.push(format!("The blocks are from the last look at which they agreed with the counters{ago}."));
    }
    notes
}

/// One block in words.
fn describe(model: &Model, heap: &Heap, block: &LiveBlock) -> String {
    let place = heap.owners.as_ref().and_then(|owners| owners.get(block.owner)).map(|owner| place(&owner.site));
    let age = units::duration(model.snapshot.at.saturating_sub(block.seen));
    format!(
        "Block at {}: {} asked for, {} with header and rounding, by {} {}; first seen {age} ago.",
        units::address((block.range.start() + block.front).into()),
        units::bytes(block.asked.into()),
        units::bytes(block.range.size().into()),
        heap.block_name(block.range.start()),
        place.unwrap_or_default(),
    )
}

fn place(site: &CallSite) -> String {
    match (&site.file, site.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.rsplit('/').next().unwrap_or(file)),
        _ => "-".to_owned(),
    }
}

fn draw_owners(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap, state: &State) {
    let styles = canvas.theme.styles;
    let list = owners(heap, state);
    if list.is_empty() || area.height < 2 {
        return;
    }
    let wide = area.width >= 70;
    let name_width = if wide { 22 } else { 16 };
    let rest = area.right();
    let columns = [(rest.saturating_sub(26), "blocks"), (rest.saturating_sub(13), "bytes"), (rest, "B/min")];
    canvas.text(area.x + 2, area.y, "call site", styles.muted);
    for (end, title) in columns {
        let sorts = matches!((title, state.heap.order), ("B/min", Order::Growth) | ("bytes", Order::Bytes));
        canvas.right(end, area.y, title, if sorts { styles.strong } else { styles.muted });
    }
    let selected = selected_owner(heap, state).and_then(|index| heap.owners.as_ref()?.get(index));
    let at = list.iter().position(|owner| Some(*owner) == selected).unwrap_or(0);
    let room = usize::from(area.height - 1);
    let first = at.saturating_sub(room.saturating_sub(1));
    for (owner, y) in list.iter().skip(first).zip(area.y + 1..area.bottom()) {
        let chosen = Some(*owner) == selected;
        let ink = if owner.leaks { styles.danger_text } else { styles.ink };
        if chosen {
            canvas.text(area.x, y, canvas.theme.glyphs.owner, ink);
        }
        let name = paint::fit(owner.site.short(), name_width, canvas.theme);
        canvas.text(area.x + 2, y, &name, if chosen { styles.chip } else { ink });
        let place = place(&owner.site);
        let x = area.x + 4 + name_width;
        let end = columns[0].0.saturating_sub(8);
        canvas.text(x, y, &paint::fit(&place, end.saturating_sub(x), canvas.theme), styles.muted);
        bar(canvas, x + 20, end, y, heap, owner);
        canvas.right(columns[0].0, y, &owner.blocks.to_string(), ink);
        canvas.right(columns[1].0, y, &units::bytes(owner.bytes.into()), ink);
        let rate = owner.growth.map_or_else(
            || "-".to_owned(),
            |rate| if rate.abs() < 0.5 { "0".to_owned() } else { format!("{rate:+.0}") },
        );
        canvas.right(columns[2].0, y, &rate, ink);
    }
}

/// What share of all that is in use it is, as a bar.
fn bar(canvas: &mut Canvas<'_>, x: u16, end: u16, y: u16, heap: &Heap, owner: &Owner) {
    let Some(used) = heap.used.filter(|_| end > x + 6) else { return };
    let cells = paint::share(owner.bytes.into(), used.bytes.into(), end - x).max(1);
    let style = if owner.leaks { canvas.theme.styles.danger } else { canvas.theme.styles.level };
    let glyph = canvas.theme.glyphs.used;
    canvas.fill(x, x + cells, y, glyph, style);
}

/// The numbers, and where they end.
fn draw_figures(canvas: &mut Canvas<'_>, area: Rect, heap: &Heap, model: &Model) -> u16 {
    let styles = canvas.theme.styles;
    canvas.text(area.x, area.y, "figures", styles.strong);
    let size = heap.range.size();
    let share =
        |bytes: u32| units::percent(bytes.into(), size.into()).map_or(String::new(), |part| format!("{part} %"));
    let number = |bytes: Option<u32>| bytes.map_or_else(|| "-".to_owned(), |bytes| units::bytes(bytes.into()));
    let plain = |count: Option<u32>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let part = |bytes: Option<u32>| bytes.map_or_else(String::new, share);
    let (used, peak) = (heap.used.map(|used| used.bytes), heap.peak.map(|peak| peak.bytes));
    let largest = heap.largest_free.map(|largest| largest.bytes);
    let place = heap.holes().into_iter().flatten().max_by_key(|hole| hole.size()).map(Region::start);
    let failed = heap.failed_size.map_or_else(String::new, |size| format!("last for {}", units::bytes(size.into())));
    let trust = heap.used.map(|used| used.trust);
    // What was exact a moment ago is told with the moment: it is as good as it ever was.
    let (trust, ago) = match (trust, heap.walked) {
        (Some(Trust::Stale), Some(walked)) => {
            (Some(Trust::Exact), format!("{} ago", units::age(model.snapshot.at.saturating_sub(walked))))
        }
        (trust, _) => (trust, String::new()),
    };
    let each_second = heap.alloc_rate.map_or_else(String::new, |rate| format!("{rate:.1}/s"));
    let rows = [
        ("used", number(used), part(used)),
        ("peak", number(peak), part(peak)),
        ("free", number(heap.free()), part(heap.free())),
        ("largest free", number(largest), place.map_or_else(String::new, |at| units::address(at.into()))),
        (
            "fragmentation",
            heap.fragmentation().map_or_else(|| "-".to_owned(), |share| format!("{share:.2}")),
            String::new(),
        ),
        ("blocks", plain(heap.in_use), heap.holes().map_or_else(String::new, |holes| format!("{} free", holes.len()))),
        ("overhead", number(heap.overhead), String::new()),
        ("allocations", plain(heap.allocations), each_second),
        ("failures", plain(heap.failures), failed),
        ("trust", trust.map_or("-", report::trust).to_owned(), ago),
    ];
    let mut y = area.y + 1;
    for (name, value, aside) in rows {
        let is_past = name == "fragmentation" && is_fragmented(heap, model);
        canvas.text(area.x, y, name, styles.muted);
        canvas.right(area.x + 26, y, &value, if is_past { styles.danger_text } else { styles.ink });
        canvas.text(area.x + 28, y, &aside, styles.muted);
        y += 1;
    }
    y
}

/// Whether what is free lies in pieces, past its limit.
fn is_fragmented(heap: &Heap, model: &Model) -> bool {
    heap.fragmentation_percent().is_some_and(|percent| percent >= model.limits().fragmentation_percent)
}

/// The meaning of the cells.
pub(super) fn legend(theme: &Theme) -> Vec<(String, Style, String)> {
    let (glyphs, styles) = (&theme.glyphs, &theme.styles);
    let entry = |glyph: &str, style: Style, word: &str| (glyph.to_owned(), style, word.to_owned());
    vec![
        entry(&format!("{}{}", glyphs.line_up, glyphs.used), styles.level, "block"),
        entry(glyphs.owner, styles.strong, "selected owner's"),
        entry("+", styles.lit, "new"),
        entry(glyphs.freed, styles.muted, "free again"),
        entry(glyphs.never, styles.muted, "never used"),
        entry(glyphs.line_up, styles.strong, "high water"),
        entry("?", styles.strong, "would go here"),
    ]
}
