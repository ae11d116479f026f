//! What an action does to the state. It changes nothing else: what the outside has to do is handed back.

use ratatui::layout::{Position, Rect};

use super::deck::Play;
use super::frame::{self, Areas};
use super::keys::Action;
use super::state::{AddressOrder, Cursor, Direction, Input, Known, Overlay, Picture, Scale, Screen, Selection, State};
use super::symbols::Figure;
use super::timeline::{self, Values};
use super::{alerts, detail, heap, logs, lookup, map, stacks, symbols};
use crate::model::Model;
use crate::model::catch::{Catch, CatchKind, Tripwire};
use crate::model::event::EventKind;
use crate::model::snapshot::{Part, Snapshot, Stack};
use crate::region::Region;

/// What the caller has to do after an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Leave.
    Quit,
    /// Save a picture of the screen.
    Export,
    /// Let a core go on that the tripwire stopped.
    GoOn,
    /// Begin a recording, or end it.
    Record,
    /// Go elsewhere in the recording that is played.
    Play(Play),
    /// Mark the moment on the screen.
    Baseline,
    /// Note which alerts are known.
    Acknowledge(Known),
}

/// Rows of a page.
const PAGE: isize = 10;

/// Carries an action out on the state; `newest` is the model as it is now, frozen screen or not.
pub fn update(state: &mut State, newest: &Model, action: Action) -> Effect {
    state.notice = None;
    let action = match (state.overlay, action) {
        // What is under the cursor of a box is switched like what is under any other.
        (Overlay::Columns(_), Action::Freeze) => Action::Enter,
        // A recording is not frozen but stopped: nothing is lost meanwhile.
        (_, Action::Freeze) if state.deck.is_some() => Action::Play(Play::Pause),
        (_, action) => action,
    };
    match action {
        Action::Quit => return Effect::Quit,
        Action::Record => return Effect::Record,
        Action::Play(play) if state.deck.is_some() => return Effect::Play(play),
        Action::Play(_) => state.notice = Some("this is no recording: r makes one".into()),
        Action::Export => return Effect::Export,
        Action::GoOn => {
            if matches!(state.overlay, Overlay::Catch(_)) {
                state.overlay = Overlay::None;
            }
            return Effect::GoOn;
        }
        Action::Catches => {
            state.overlay = match (state.overlay, newest.snapshot.tripwire.as_ref()) {
                (Overlay::Catch(_), _) => Overlay::None,
                (_, Some(tripwire)) => Overlay::Catch(first_catch(tripwire, state, newest)),
                (_, None) => {
                    state.notice = Some("no tripwire in this run: see --tripwire".into());
                    Overlay::None
                }
            };
        }
        Action::Baseline => return Effect::Baseline,
        Action::Acknowledge => return Effect::Acknowledge(Known::Selected),
        Action::AcknowledgeAll => return Effect::Acknowledge(Known::All),
        Action::Difference => {
            state.values = match (state.values, &state.shown(newest).baseline) {
                (Values::Now, Some(_)) => Values::Difference,
                (Values::Now, None) => {
                    state.notice = Some("no baseline: b marks one".into());
                    Values::Now
                }
                (Values::Difference, _) => Values::Now,
            };
        }
        Action::Columns => {
            state.overlay = match state.overlay {
                Overlay::Columns(_) => Overlay::None,
                _ => Overlay::Columns(0),
            };
        }
        Action::Fields => {
            state.overlay = match state.overlay {
                Overlay::Fields(_) => Overlay::None,
                _ if state.thing(&state.shown(newest).snapshot).is_some() => Overlay::Fields(0),
                _ => {
                    state.notice = Some("select a function or static first".into());
                    Overlay::None
                }
            };
        }
        Action::Freeze => {
            state.picture = match std::mem::take(&mut state.picture) {
                Picture::Live => Picture::Frozen(Box::new(newest.clone())),
                Picture::Frozen(_) => Picture::Live,
            };
            // What is said goes on meanwhile, and stays where it is on the screen.
            state.logs.hold(matches!(state.picture, Picture::Frozen(_)));
        }
        Action::Help => {
            state.overlay = match state.overlay {
                Overlay::Help(_) => Overlay::None,
                _ => Overlay::Help(0),
            };
        }
        Action::Show(Screen::Logs) if state.logs.log.is_none() => {
            state.notice = Some("nobody listens to the firmware: see `highwater run`, or attach --rtt".into());
        }
        Action::Level => state.logs.next_level(),
        Action::Show(screen) => show(state, screen),
        Action::Next => step_screen(state, 1),
        Action::Previous => step_screen(state, state.tabs().count() - 1),
        Action::Type(c) => state.filter_mut().push(c),
        Action::Erase => {
            state.filter_mut().pop();
        }
        Action::Filter => {
            state.input = match state.input {
                Input::Keys => Input::Filter,
                Input::Filter => Input::Keys,
            };
        }
        Action::Scale => {
            state.map.scale = match state.map.scale {
                Scale::Schematic => Scale::Linear,
                Scale::Linear => Scale::Schematic,
            };
        }
        Action::Order => {
            state.map.order = match state.map.order {
                AddressOrder::HighFirst => AddressOrder::LowFirst,
                AddressOrder::LowFirst => AddressOrder::HighFirst,
            };
        }
        Action::Reverse => {
            state.stacks.direction = match state.stacks.direction {
                Direction::Falling => Direction::Rising,
                Direction::Rising => Direction::Falling,
            };
        }
        Action::Back => back(state),
        Action::Figure => {
            state.symbols.figure = match state.symbols.figure {
                Figure::Tree => Figure::Treemap,
                Figure::Treemap => Figure::Tree,
            };
        }
        Action::Grouping => state.symbols.grouping = state.symbols.grouping.next(),
        other => with_model(state, newest, other),
    }
    Effect::None
}

/// How many stores the tripwire caught so far.
pub(super) fn caught(model: &Model) -> usize {
    model.snapshot.tripwire.as_ref().map_or(0, |tripwire| tripwire.catches.len())
}

/// The catch to show first: the newest of the stack on show, or of all.
fn first_catch(tripwire: &Tripwire, state: &State, model: &Model) -> usize {
    let shown = state.selected_stack(&model.snapshot).filter(|_| state.screen == Screen::StackDetail);
    let of_shown = |stack: &Stack| tripwire.catches.iter().rposition(|catch| catch.stack == stack.id);
    shown.and_then(of_shown).unwrap_or(tripwire.catches.len().saturating_sub(1))
}

/// Shows a store into a guard at once: the core may stand there and wait. New marks come often, and wait to be asked for.
pub(super) fn notice_catch(state: &mut State, model: &Model, before: usize) {
    let guard = |catch: &Catch| matches!(catch.kind, CatchKind::Noted | CatchKind::Stopped);
    let tripwire = model.snapshot.tripwire.as_ref().filter(|tripwire| tripwire.catches.len() > before);
    if let Some(tripwire) = tripwire.filter(|tripwire| tripwire.catches.last().is_some_and(guard))
        && state.overlay == Overlay::None
        && matches!(state.picture, Picture::Live)
    {
        state.overlay = Overlay::Catch(tripwire.catches.len() - 1);
    }
}

/// Keeps the selected stack selected when a new build has it elsewhere. Parts keep their names, and so do rows of symbols.
pub(super) fn keep_selection(state: &mut State, before: &Snapshot, now: &Snapshot) {
    let Selection::Stack(id) = &state.selection else { return };
    if now.stacks.iter().any(|stack| stack.id == *id) {
        return;
    }
    let Some(old) = before.stacks.iter().find(|stack| stack.id == *id) else { return };
    let moved = now.stacks.iter().find(|stack| stack.name == old.name && stack.kind == old.kind);
    state.selection = moved.map_or(Selection::Nothing, |stack| Selection::Stack(stack.id.clone()));
}

/// Says that a new build is shown.
pub(super) fn notice_build(state: &mut State, model: &Model) {
    let mut newest = model.events.iter().rev();
    state.notice = newest.find(|event| event.kind == EventKind::Rebuilt).map(|event| event.text.clone());
}

fn show(state: &mut State, screen: Screen) {
    state.screen = screen;
    state.overlay = Overlay::None;
    state.input = Input::Keys;
}

fn step_screen(state: &mut State, steps: usize) {
    let all: Vec<Screen> = state.tabs().collect();
    let at = all.iter().position(|screen| *screen == state.screen.tab()).unwrap_or(0);
    show(state, all[(at + steps) % all.len()]);
}

/// One step out: the help, the filter, the zoom, the selection.
fn back(state: &mut State) {
    if state.overlay != Overlay::None {
        state.overlay = Overlay::None;
        return;
    }
    match state.screen {
        Screen::Map if state.map.thing.is_some() => state.map.thing = None,
        Screen::Map if state.map.zoom.is_some() => state.map.zoom = None,
        Screen::Stacks | Screen::Symbols | Screen::Heap
            if state.input == Input::Filter || !state.filter().is_empty() =>
        {
            state.input = Input::Keys;
            state.filter_mut().clear();
        }
        Screen::Map | Screen::Stacks => state.selection = Selection::Nothing,
        Screen::Heap => state.heap.block = None,
        Screen::StackDetail => show(state, Screen::Stacks),
        Screen::Timeline if state.timeline.cursor().is_some() || !state.timeline.follows() => state.timeline.follow(),
        Screen::Timeline => show(state, Screen::Map),
        Screen::Symbols => symbols::step_out(&mut state.symbols),
        Screen::Logs if !state.logs.filter.is_empty() => state.logs.filter.clear(),
        Screen::Logs if state.logs.last.is_some() => state.logs.last = None,
        Screen::Alerts | Screen::Logs => show(state, Screen::Map),
    }
}

/// Actions that ask what is on the screen.
fn with_model(state: &mut State, newest: &Model, action: Action) {
    // The frozen model is put back below: it is only taken out to be read while the state changes.
    let picture = std::mem::take(&mut state.picture);
    let model = match &picture {
        Picture::Live => newest,
        Picture::Frozen(model) => model,
    };
    let areas = frame::areas(Rect::new(0, 0, state.size.width, state.size.height));
    match action {
        Action::Up => walk(state, model, &areas, -1),
        Action::Down => walk(state, model, &areas, 1),
        Action::PageUp => walk(state, model, &areas, -PAGE),
        Action::PageDown => walk(state, model, &areas, PAGE),
        Action::First => walk(state, model, &areas, isize::MIN),
        Action::Last => walk(state, model, &areas, isize::MAX),
        Action::Left => side(state, model, &areas, false),
        Action::Right => side(state, model, &areas, true),
        Action::Enter => enter(state, model),
        Action::OnMap => open(state, model, Screen::Map),
        Action::NextThing => walk_things(state, model, 1),
        Action::ThingBefore => walk_things(state, model, -1),
        Action::Sort => next_sort(state, model, &areas),
        Action::Closer => state.timeline.zoom(model, 1),
        Action::Farther => state.timeline.zoom(model, -1),
        Action::NextEvent => timeline::next_event(model, state, true),
        Action::EventBefore => timeline::next_event(model, state, false),
        Action::Click { x, y } => click(state, model, &areas, Position { x, y }),
        _ => {}
    }
    state.picture = picture;
}

/// Where a walk of so many steps in a list ends.
pub(super) fn step(at: Option<usize>, count: usize, steps: isize) -> Option<usize> {
    let last = count.checked_sub(1)?;
    let Some(at) = at else {
        // Nothing is selected yet: going up begins at the end.
        return Some(if steps < 0 && steps != isize::MIN { last } else { 0 })
            .filter(|_| steps != isize::MAX)
            .or(Some(last));
    };
    Some(at.saturating_add_signed(steps).min(last))
}

fn walk(state: &mut State, model: &Model, areas: &Areas, steps: isize) {
    if let Overlay::Help(scroll) | Overlay::Fields(scroll) = &mut state.overlay {
        let steps = i16::try_from(steps.clamp(-1000, 1000)).unwrap_or(0);
        *scroll = scroll.saturating_add_signed(steps).min(1000);
        return;
    }
    if let Overlay::Catch(at) = state.overlay {
        let count = model.snapshot.tripwire.as_ref().map_or(0, |tripwire| tripwire.catches.len());
        state.overlay = Overlay::Catch(step(Some(at), count, steps).unwrap_or(0));
        return;
    }
    if let Overlay::Columns(at) = state.overlay {
        state.overlay = Overlay::Columns(step(Some(at), stacks::choose::count(), steps).unwrap_or(0));
        return;
    }
    match state.screen {
        Screen::Map => {
            let (ram, flash) = map::order(areas.body, areas.density, model, state);
            let selected = state.selected_part(&model.snapshot).map(|part| part.id.as_str());
            let in_flash = selected.is_some_and(|id| flash.iter().any(|other| other == id));
            let list = if in_flash { flash } else { ram };
            let at = list.iter().position(|id| Some(id.as_str()) == selected);
            if let Some(at) = step(at, list.len(), steps) {
                state.selection = Selection::Part(list[at].clone());
            }
        }
        Screen::Stacks => {
            let list = stacks::order(model, state);
            let selected = state.selected_stack(&model.snapshot).map(|stack| stack.id.as_str());
            let at = list.iter().position(|id| Some(id.as_str()) == selected);
            if let Some(at) = step(at, list.len(), steps) {
                state.selection = Selection::Stack(list[at].clone());
            }
        }
        Screen::StackDetail => state.cursor = detail::walk(areas.body, areas.density, model, state, steps),
        Screen::Heap => state.heap.owner = heap::walk(model, state, steps),
        Screen::Timeline => match steps {
            isize::MIN => state.timeline.oldest(model),
            isize::MAX => state.timeline.follow(),
            // Pages go through time; single steps go through the list.
            PAGE => state.timeline.scroll(model, true),
            steps if steps == -PAGE => state.timeline.scroll(model, false),
            steps => timeline::walk(model, state, steps),
        },
        Screen::Symbols => symbols::walk(&mut state.symbols, steps),
        Screen::Logs => match steps {
            // A page is what is on the screen.
            PAGE => state.logs.walk(logs::page(areas.body)),
            steps if steps == -PAGE => state.logs.walk(-logs::page(areas.body)),
            steps => state.logs.walk(steps),
        },
        Screen::Alerts => state.alert = step(Some(state.alert), model.alerts.len(), steps).unwrap_or(0),
    }
}

/// Looks at the next function or static in the selected part of the map.
fn walk_things(state: &mut State, model: &Model, steps: isize) {
    let Some(part) = state.selected_part(&model.snapshot) else { return };
    let Some(inventory) = state.symbols.shared.get() else { return };
    let inside: Vec<Region> = inventory.within(part.range).into_iter().map(|thing| thing.range).collect();
    let now = state.thing(&model.snapshot);
    let at = now.and_then(|range| inside.iter().position(|other| *other == range));
    match step(at, inside.len(), steps) {
        Some(at) => state.map.thing = Some((part.id.clone(), inside[at])),
        None => state.notice = Some("no symbol lies in it".into()),
    }
}

/// Goes to the figure beside this one: flash or RAM on the map, another stack where one is shown.
fn side(state: &mut State, model: &Model, areas: &Areas, to_right: bool) {
    if state.screen == Screen::Timeline {
        let columns = timeline::columns(areas.body, areas.density);
        return state.timeline.step(model, columns, if to_right { 1 } else { -1 });
    }
    if state.screen == Screen::Symbols {
        return if to_right { symbols::step_in(&mut state.symbols) } else { symbols::step_out(&mut state.symbols) };
    }
    if state.screen == Screen::Heap {
        state.heap.block = heap::side(model, state, to_right);
        return;
    }
    if state.screen == Screen::StackDetail {
        let list = stacks::order(model, state);
        let selected = state.selected_stack(&model.snapshot).map(|stack| stack.id.as_str());
        let at = list.iter().position(|id| Some(id.as_str()) == selected);
        if let Some(at) = step(at, list.len(), if to_right { 1 } else { -1 }) {
            state.selection = Selection::Stack(list[at].clone());
            state.cursor = Cursor::Deepest;
        }
        return;
    }
    let (ram, flash) = map::order(areas.body, areas.density, model, state);
    let list = if to_right { flash } else { ram };
    let here = state.selected_part(&model.snapshot).is_some_and(|part| list.contains(&part.id));
    if let Some(first) = list.into_iter().next().filter(|_| !here) {
        state.selection = Selection::Part(first);
    }
}

fn enter(state: &mut State, model: &Model) {
    if let Overlay::Columns(at) = state.overlay {
        return stacks::choose::toggle(&mut state.stacks, at);
    }
    match state.screen {
        Screen::Map => {
            let part = state.selected_part(&model.snapshot).map(|part| part.id.clone());
            if let Some(id) = part {
                state.map.zoom = Some(id.clone());
                state.selection = Selection::Part(id);
            }
        }
        Screen::Stacks => open(state, model, Screen::StackDetail),
        Screen::StackDetail | Screen::Logs => {}
        Screen::Heap => {
            state.heap.shown = super::heap::next(model, state);
            state.heap.block = None;
        }
        Screen::Timeline => timeline::toggle(model, state),
        Screen::Symbols => symbols::step_in(&mut state.symbols),
        Screen::Alerts => {
            let Some(alert) = model.alerts.get(state.alert) else { return };
            let snapshot = &model.snapshot;
            let by_id = snapshot.stacks.iter().find(|stack| Some(&stack.id) == alert.stack.as_ref());
            let stack = by_id.or_else(|| snapshot.stacks.iter().find(|stack| stack.name == alert.subject));
            let heap = snapshot.heaps.iter().position(|heap| Some(heap.id()) == alert.heap);
            let is_meant = |part: &Part| match heap {
                Some(_) => part.heap == heap,
                None => part.name == alert.subject,
            };
            let part = lookup::parts(snapshot).find(|(_, _, part)| is_meant(part));
            if let Some(stack) = stack {
                state.selection = Selection::Stack(stack.id.clone());
                show(state, Screen::Map);
            } else if let Some((_, _, part)) = part {
                state.selection = Selection::Part(part.id.clone());
                show(state, Screen::Map);
            }
        }
    }
}

/// Shows the selected stack, or else the first, on another screen.
fn open(state: &mut State, model: &Model, screen: Screen) {
    let stack = state.selected_stack(&model.snapshot).map(|stack| stack.id.clone());
    if let Some(id) = stack.or_else(|| stacks::order(model, state).into_iter().next()) {
        state.selection = Selection::Stack(id);
        state.cursor = Cursor::Deepest;
        show(state, screen);
    }
}

fn next_sort(state: &mut State, model: &Model, areas: &Areas) {
    if state.screen == Screen::Symbols {
        state.symbols.order = state.symbols.order.next();
        return;
    }
    if state.screen == Screen::Heap {
        state.heap.order = match state.heap.order {
            heap::Order::Growth => heap::Order::Bytes,
            heap::Order::Bytes => heap::Order::Growth,
        };
        return;
    }
    let sorts = stacks::sorts(model, state, areas.body.width);
    let at = sorts.iter().position(|sort| *sort == state.stacks.sort);
    if !sorts.is_empty() {
        state.stacks.sort = sorts[at.map_or(0, |at| (at + 1) % sorts.len())];
    }
}

fn click(state: &mut State, model: &Model, areas: &Areas, at: Position) {
    if let Some((screen, _)) = frame::tabs(areas, state).into_iter().find(|(_, place)| place.contains(at)) {
        show(state, screen);
        return;
    }
    if state.overlay != Overlay::None {
        state.overlay = Overlay::None;
        return;
    }
    if !areas.body.contains(at) {
        return;
    }
    match state.screen {
        Screen::Map => {
            if let Some(id) = map::hit(areas.body, areas.density, model, state, at.x, at.y) {
                state.selection = Selection::Part(id);
            }
        }
        Screen::Stacks => {
            if let Some(id) = stacks::hit(areas.body, areas.density, model, state, at.y) {
                state.selection = Selection::Stack(id);
            }
        }
        Screen::StackDetail => {
            if let Some(cursor) = detail::hit(areas.body, areas.density, model, state, at) {
                state.cursor = cursor;
            }
        }
        Screen::Heap | Screen::Logs => {}
        Screen::Timeline => timeline::click(areas.body, areas.density, model, state, at),
        Screen::Symbols => {
            if let Some(path) = symbols::hit(areas.body, areas.density, state, at) {
                state.symbols.select(path);
            }
        }
        Screen::Alerts => {
            if let Some(index) = alerts::hit(areas.body, model, state, at.y) {
                state.alert = index;
            }
        }
    }
}
