//! The screens: one loop that listens and draws, and one file for each panel.
//!
//! Nothing here reads a clock to show it: every age on the screen is a difference of two times of the snapshots, so
//! an unchanged model has nothing to draw and the loop sleeps.

mod alerts;
mod bar;
mod catch;
pub mod deck;
mod detail;
mod fields;
mod frame;
pub mod heap;
mod help;
pub mod keymap;
pub mod keys;
pub mod logs;
mod lookup;
mod map;
mod overlay;
mod paint;
pub mod picture;
pub mod stacks;
pub mod state;
pub mod symbols;
mod table;
pub mod theme;
pub mod timeline;
pub mod update;
mod verdict;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event;
use futures_util::{Stream, StreamExt as _};
use ratatui::backend::Backend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::{Frame, Terminal};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::console::Shared;
use crate::model::Model;
use crate::sampler::observation::Observation;
use frame::SMALLEST;
use paint::Canvas;
use state::{Options, Overlay, Picture, Screen, State};
use theme::Theme;
use update::{Effect, update};

/// The least time between two frames: thirty a second are more than anyone reads.
const FRAME: Duration = Duration::from_millis(33);

/// Why the screens cannot go on.
#[derive(Debug, Error)]
pub enum Failure<E> {
    /// The terminal takes no more output.
    #[error("cannot draw on the terminal: {0}")]
    Terminal(E),
    /// The terminal gives no more input.
    #[error("cannot read keys from the terminal: {0}")]
    Events(io::Error),
}

/// What the sampler's side sends.
#[derive(Clone, Debug)]
pub enum News {
    /// What one refresh found.
    Seen(Arc<Observation>),
    /// All that is known at another moment: of a recording, in which one can jump.
    Known(Arc<Model>),
}

/// Shows the screens until the user quits or the events end, and hands back what was learnt.
///
/// `feed` brings news, the latest wins; when it closes, the last picture stays. `carry_out` is called with
/// every effect but quitting and with the screen as it is drawn; what it returns is shown in the status line. The
/// terminal's modes are the caller's business, before and after.
///
/// # Errors
///
/// The terminal cannot be drawn on, or its events cannot be read.
pub async fn run<B: Backend>(
    terminal: &mut Terminal<B>,
    mut events: impl Stream<Item = io::Result<Event>> + Unpin,
    mut feed: watch::Receiver<Option<News>>,
    mut model: Model,
    options: &Options,
    mut carry_out: impl FnMut(Effect, &Buffer) -> Option<String>,
) -> Result<Model, Failure<B::Error>> {
    let theme = Theme::new(options.theme, options.ascii, options.colour);
    let mut state = State::new(options);
    state.size = terminal.size().map_err(Failure::Terminal)?;
    // What was sent before this loop began is news too.
    feed.mark_changed();
    let mut feeding = Feed::Open;
    let mut screen = Picturing::Outdated;
    let mut next_frame = Instant::now();
    loop {
        // Whatever woke the loop may have changed what is looked at: a key, or a thread that ended.
        options.interest.set(state.wanted(&model));
        state.symbols.prepare();
        options.symbols.ask(state.thing(&state.shown(&model).snapshot));
        if screen == Picturing::Outdated && Instant::now() >= next_frame {
            terminal.draw(|frame| draw(frame, &model, &state, &theme)).map_err(Failure::Terminal)?;
            screen = Picturing::Current;
            next_frame = Instant::now() + FRAME;
        }
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { return Ok(model) };
                let event = event.map_err(Failure::Events)?;
                if let Event::Resize(width, height) = event {
                    state.size = Size { width, height };
                    // A terminal that was made small and large again between two frames has lost what was on it.
                    terminal.resize(Rect::new(0, 0, width, height)).map_err(Failure::Terminal)?;
                    screen = Picturing::Outdated;
                    continue;
                }
                let Some(event) = state.keymap.translate(event, state.input) else { continue };
                let Some(action) = keys::action(&event, state.screen, state.input) else { continue };
                screen = Picturing::Outdated;
                match update(&mut state, &model, action) {
                    Effect::None => {}
                    Effect::Quit => return Ok(model),
                    Effect::Baseline => state.mark_baseline(&mut model),
                    Effect::Acknowledge(which) => state.acknowledge(&mut model, which),
                    effect @ (Effect::Export | Effect::GoOn | Effect::Record | Effect::Play(_)) => {
                        let drawn = terminal.draw(|frame| draw(frame, &model, &state, &theme));
                        state.notice = carry_out(effect, drawn.map_err(Failure::Terminal)?.buffer);
                    }
                }
            }
            changed = feed.changed(), if feeding == Feed::Open => {
                if changed.is_err() {
                    feeding = Feed::Closed;
                    continue;
                }
                let Some(news) = feed.borrow_and_update().clone() else { continue };
                let before = model.revision;
                match news {
                    News::Seen(observation) => {
                        let catches = update::caught(&model);
                        let is_new_build = observation.snapshot.target.rebuilds != model.snapshot.target.rebuilds;
                        if is_new_build {
                            update::keep_selection(&mut state, &model.snapshot, &observation.snapshot);
                        }
                        model.ingest(Arc::unwrap_or_clone(observation));
                        update::notice_catch(&mut state, &model, catches);
                        if is_new_build {
                            update::notice_build(&mut state, &model);
                        }
                        if model.revision != before && matches!(state.picture, Picture::Live) {
                            screen = Picturing::Outdated;
                        }
                    }
                    News::Known(known) => {
                        model = Arc::unwrap_or_clone(known).with_marks_of(&model);
                        screen = Picturing::Outdated;
                    }
                }
            }
            () = options.symbols.changed() => screen = Picturing::Outdated,
            () = heard(options.log.as_ref()) => {
                if state.screen == Screen::Logs {
                    screen = Picturing::Outdated;
                }
            }
            () = tokio::time::sleep_until(next_frame), if screen == Picturing::Outdated => {}
        }
    }
}

/// Returns when the firmware has said something more; never where nobody listens.
async fn heard(log: Option<&Shared>) {
    match log {
        Some(log) => log.changed().await,
        None => std::future::pending().await,
    }
}

/// Whether there can be more observations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feed {
    Open,
    Closed,
}

/// Whether the screen shows what is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Picturing {
    Current,
    Outdated,
}

/// Draws one frame. Nothing but the buffer changes.
pub fn draw(frame: &mut Frame<'_>, model: &Model, state: &State, theme: &Theme) {
    let area = frame.area();
    let model = state.shown(model);
    let mut canvas = Canvas::new(frame.buffer_mut(), area, theme);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut canvas, area, model, state);
        return;
    }
    let areas = frame::areas(area);
    frame::draw(&mut canvas, &areas, model, state);
    if let Some(legend) = areas.legend {
        match state.screen {
            Screen::Map => {
                let line = Rect { x: legend.x + 10, width: legend.width.saturating_sub(10), ..legend };
                frame::draw_legend(&mut canvas, line, &map::legend(theme, state));
            }
            Screen::Stacks => {
                let line = Rect { x: legend.x + 2, width: legend.width.saturating_sub(2), ..legend };
                frame::draw_legend(&mut canvas, line, &stacks::legend(theme, model));
            }
            Screen::StackDetail => {
                let line = Rect { x: legend.x + 2, width: legend.width.saturating_sub(2), ..legend };
                frame::draw_legend(&mut canvas, line, &detail::legend(theme, model, state));
            }
            Screen::Heap => frame::draw_legend(&mut canvas, legend, &heap::legend(theme)),
            Screen::Timeline => {
                let line = Rect { x: legend.x + 2, width: legend.width.saturating_sub(2), ..legend };
                frame::draw_legend(&mut canvas, line, &timeline::legend(theme));
            }
            Screen::Symbols | Screen::Alerts | Screen::Logs => {}
        }
    }
    let (body, density) = (areas.body, areas.density);
    match state.screen {
        Screen::Map => map::draw(&mut canvas, body, density, model, state),
        Screen::Stacks => stacks::draw(&mut canvas, body, density, model, state),
        Screen::StackDetail => detail::draw(&mut canvas, body, density, model, state),
        Screen::Heap => heap::draw(&mut canvas, body, density, model, state),
        Screen::Timeline => timeline::draw(&mut canvas, body, density, model, state),
        Screen::Symbols => symbols::draw(&mut canvas, body, density, model, state),
        Screen::Alerts => alerts::draw(&mut canvas, body, density, model, state),
        Screen::Logs => logs::draw(&mut canvas, body, density, state),
    }
    match state.overlay {
        Overlay::Help(scroll) => help::draw(&mut canvas, body, scroll, model, state),
        Overlay::Columns(index) => stacks::choose::draw(&mut canvas, body, index, model, state),
        Overlay::Fields(scroll) => fields::draw(&mut canvas, body, scroll, model, state),
        Overlay::Catch(index) => catch::draw(&mut canvas, body, index, model, state),
        Overlay::None => {}
    }
}

/// There is no room for a picture: the verdict alone, as far as it goes, and what would help.
fn too_small(canvas: &mut Canvas<'_>, area: Rect, model: &Model, state: &State) {
    let verdict = verdict::verdict(model, state.stack_limit);
    let text = format!("{} {}{}", verdict.chip, verdict.subject, verdict.sentence);
    let text = paint::safe(&text, canvas.theme);
    let mut lines = paint::wrap(&text, area.width.max(1));
    lines.extend(paint::wrap("(40x10 or more shows a map)", area.width.max(1)));
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        canvas.text(area.x, y, line, canvas.theme.styles.ink);
    }
}
