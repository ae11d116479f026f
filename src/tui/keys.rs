//! The one table of keys: dispatch, the hints in the status line and the help all read it.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use super::deck::Play;
use super::state::{Input, Screen, State};
use super::theme::Glyphs;

/// What a key or the mouse asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave.
    Quit,
    /// Close what is open, or take back the selection.
    Back,
    /// Show or hide the help.
    Help,
    /// Show a screen.
    Show(Screen),
    /// Show the next screen.
    Next,
    /// Show the screen before.
    Previous,
    /// Select what is above.
    Up,
    /// Select what is below.
    Down,
    /// Go to the figure on the left.
    Left,
    /// Go to the figure on the right.
    Right,
    /// Select the first.
    First,
    /// Select the last.
    Last,
    /// Go ten up.
    PageUp,
    /// Go ten down.
    PageDown,
    /// Look closer at what is selected.
    Enter,
    /// Show what is selected on the map.
    OnMap,
    /// Look at the next function or static in what is selected.
    NextThing,
    /// Look at the one before.
    ThingBefore,
    /// Show or hide all fields of the static that is selected.
    Fields,
    /// Change between the schematic and the linear scale.
    Scale,
    /// Turn the address order over.
    Order,
    /// Sort by the next column.
    Sort,
    /// Sort the other way round.
    Reverse,
    /// Change between the tree and the treemap.
    Figure,
    /// Group by something else.
    Grouping,
    /// Write into the filter.
    Filter,
    /// Show only lines that matter more.
    Level,
    /// Choose the columns.
    Columns,
    /// Show a shorter time.
    Closer,
    /// Show a longer time.
    Farther,
    /// Go to the next event.
    NextEvent,
    /// Go to the event before.
    EventBefore,
    /// Mark this moment, to see what changes from now on.
    Baseline,
    /// Show values, or how far they are from the baseline.
    Difference,
    /// Say that the selected alert is known, or take that back.
    Acknowledge,
    /// Say that all alerts are known.
    AcknowledgeAll,
    /// Stop or follow.
    Freeze,
    /// Save a picture of the screen.
    Export,
    /// Show or hide what the tripwire caught.
    Catches,
    /// Let a core go on that the tripwire stopped.
    GoOn,
    /// Begin a recording, or end it.
    Record,
    /// Go elsewhere in a recording, or at another speed.
    Play(Play),
    /// Put a character at the end of the filter.
    Type(char),
    /// Take a character from the end of the filter.
    Erase,
    /// A click.
    Click {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
}

/// A key, as far as bindings tell keys apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A key by its code, with nothing held but Shift.
    Plain(KeyCode),
    /// A letter with Ctrl held.
    Ctrl(char),
}

impl Key {
    /// The key of an event; `None` with something held that no binding has.
    #[must_use]
    pub fn of(event: KeyEvent) -> Option<Self> {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        Some(match event.code {
            KeyCode::Char(c) if ctrl => Self::Ctrl(c),
            code => Self::Plain(code),
        })
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys, the one to show first.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// Where they do it.
    pub screens: &'static [Screen],
    /// The word in the status line, for keys worth a place there.
    pub hint: Option<&'static str>,
    /// The line in the help.
    pub help: &'static str,
}

const ALL: &[Screen] = &Screen::EVERY;
const MAP: &[Screen] = &[Screen::Map];
const STACKS: &[Screen] = &[Screen::Stacks];
const SYMBOLS: &[Screen] = &[Screen::Symbols];
const HEAP: &[Screen] = &[Screen::Heap];
const DETAIL: &[Screen] = &[Screen::StackDetail];
const STACK_PLACES: &[Screen] = &[Screen::Stacks, Screen::StackDetail];
const TIMELINE: &[Screen] = &[Screen::Timeline];
const ALERTS: &[Screen] = &[Screen::Alerts];
const LOGS: &[Screen] = &[Screen::Logs];
/// Screens on which the keys for first, last and pages walk a selection.
const WALKS: &[Screen] =
    &[Screen::Map, Screen::Stacks, Screen::StackDetail, Screen::Heap, Screen::Symbols, Screen::Alerts, Screen::Logs];
/// Screens that compare with the baseline.
const COMPARES: &[Screen] = &[Screen::Timeline, Screen::Heap];
const LISTS: &[Screen] = &[Screen::Stacks, Screen::Symbols, Screen::Logs];
/// Screens on which a static can be selected.
const THINGS: &[Screen] = &[Screen::Map, Screen::Symbols];
const PLACES: &[Screen] = &[Screen::Map, Screen::Stacks, Screen::Heap];

const fn letter(c: char) -> Key {
    Key::Plain(KeyCode::Char(c))
}

const fn bind(
    keys: &'static [Key],
    action: Action,
    screens: &'static [Screen],
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { keys, action, screens, hint, help }
}

/// All keys, in the order of the help.
pub const BINDINGS: &[Binding] = &[
    bind(&[Key::Plain(KeyCode::Up), letter('k')], Action::Up, ALL, Some("select"), "select what is above"),
    bind(&[Key::Plain(KeyCode::Down), letter('j')], Action::Down, ALL, None, "select what is below"),
    bind(&[Key::Plain(KeyCode::Left), letter('h')], Action::Left, MAP, None, "go to RAM"),
    bind(&[Key::Plain(KeyCode::Right), letter('l')], Action::Right, MAP, None, "go to flash"),
    bind(&[Key::Plain(KeyCode::Home), letter('g')], Action::First, WALKS, None, "select the first"),
    bind(&[Key::Plain(KeyCode::End), letter('G')], Action::Last, WALKS, None, "select the last"),
    bind(&[Key::Plain(KeyCode::PageUp)], Action::PageUp, WALKS, None, "go ten up"),
    bind(&[Key::Plain(KeyCode::PageDown)], Action::PageDown, WALKS, None, "go ten down"),
    bind(&[Key::Plain(KeyCode::Enter)], Action::Enter, MAP, Some("zoom"), "zoom into what is selected"),
    bind(&[letter('n')], Action::NextThing, MAP, None, "look into it: its next static, the largest first"),
    bind(&[letter('N')], Action::ThingBefore, MAP, None, "look into it: the static before"),
    bind(&[letter('f')], Action::Fields, THINGS, None, "all fields of a static, with their values"),
    bind(&[Key::Plain(KeyCode::Left), letter('h')], Action::Left, DETAIL, Some("stack before"), "the stack before"),
    bind(&[Key::Plain(KeyCode::Right), letter('l')], Action::Right, DETAIL, Some("next"), "the next stack"),
    bind(&[Key::Plain(KeyCode::Enter)], Action::Enter, STACKS, Some("word by word"), "show this stack word by word"),
    bind(&[Key::Plain(KeyCode::Esc)], Action::Back, DETAIL, Some("back"), "back to all stacks"),
    bind(&[letter('m')], Action::OnMap, STACK_PLACES, None, "show this stack on the map"),
    bind(&[Key::Plain(KeyCode::Enter)], Action::Enter, &[Screen::Alerts], Some("show it"), "show whom it concerns"),
    bind(&[Key::Plain(KeyCode::Enter)], Action::Enter, SYMBOLS, Some("open"), "open a group, or go into it"),
    bind(&[Key::Plain(KeyCode::Right), letter('l')], Action::Right, SYMBOLS, None, "open a group, or go into it"),
    bind(&[Key::Plain(KeyCode::Left), letter('h')], Action::Left, SYMBOLS, None, "close a group, or go out of it"),
    bind(&[letter('t')], Action::Figure, SYMBOLS, Some("tree/treemap"), "tree or treemap"),
    bind(&[letter('v')], Action::Grouping, SYMBOLS, Some("group"), "group by section, memory, module or name"),
    bind(&[letter('o')], Action::Sort, SYMBOLS, Some("sort"), "by size, name or address"),
    bind(&[Key::Plain(KeyCode::Esc)], Action::Back, SYMBOLS, None, "back: filter, group"),
    bind(&[letter('s')], Action::Scale, MAP, Some("scale"), "schematic or linear scale"),
    bind(&[letter('v')], Action::Order, MAP, None, "turn the address order over"),
    bind(&[letter('o'), letter('s')], Action::Sort, STACKS, Some("sort"), "sort by the next column"),
    bind(&[letter('O'), letter('S')], Action::Reverse, STACKS, None, "sort the other way round"),
    bind(&[letter('C')], Action::Columns, STACKS, Some("columns"), "choose the columns"),
    bind(&[Key::Plain(KeyCode::Left), letter('h')], Action::Left, TIMELINE, Some("cursor"), "the cursor to the left"),
    bind(&[Key::Plain(KeyCode::Right), letter('l')], Action::Right, TIMELINE, None, "the cursor to the right"),
    bind(&[letter('+'), letter('=')], Action::Closer, TIMELINE, Some("closer"), "a shorter time, down to 10 s"),
    bind(&[letter('-')], Action::Farther, TIMELINE, Some("farther"), "a longer time, up to 10 days"),
    bind(
        &[letter('s'), Key::Plain(KeyCode::Enter)],
        Action::Enter,
        TIMELINE,
        Some("series"),
        "draw this series, or not",
    ),
    bind(&[letter('e')], Action::NextEvent, TIMELINE, Some("event"), "the cursor to the next event"),
    bind(&[letter('E')], Action::EventBefore, TIMELINE, None, "the cursor to the event before"),
    bind(&[letter('['), Key::Plain(KeyCode::PageUp)], Action::PageUp, TIMELINE, None, "half a picture back"),
    bind(&[letter(']'), Key::Plain(KeyCode::PageDown)], Action::PageDown, TIMELINE, None, "half a picture on"),
    bind(&[Key::Plain(KeyCode::Home), letter('g')], Action::First, TIMELINE, None, "the oldest that is kept"),
    bind(&[Key::Plain(KeyCode::End), letter('G')], Action::Last, TIMELINE, None, "the newest, and follow it"),
    bind(&[Key::Plain(KeyCode::Esc)], Action::Back, TIMELINE, None, "back: cursor, follow, the map"),
    bind(&[letter('b')], Action::Baseline, COMPARES, Some("baseline"), "mark this moment as the baseline"),
    bind(&[letter('d')], Action::Difference, COMPARES, None, "values, or their difference from the baseline"),
    bind(
        &[letter('a')],
        Action::Acknowledge,
        ALERTS,
        Some("known"),
        "say that you know of this one; again to take it back",
    ),
    bind(&[letter('A')], Action::AcknowledgeAll, ALERTS, Some("all known"), "say that you know of all"),
    bind(&[letter('v')], Action::Level, LOGS, Some("level"), "all lines, or those of a level and above"),
    bind(&[letter('/')], Action::Filter, LISTS, Some("filter"), "show only names that contain ..."),
    bind(&[Key::Plain(KeyCode::Left), letter('h')], Action::Left, HEAP, None, "the block at higher addresses"),
    bind(
        &[Key::Plain(KeyCode::Right), letter('l')],
        Action::Right,
        HEAP,
        Some("block"),
        "the block at lower addresses",
    ),
    bind(&[letter('f')], Action::Filter, HEAP, Some("would it fit"), "ask whether so many bytes would fit"),
    bind(&[letter('o'), letter('s')], Action::Sort, HEAP, Some("sort"), "sort by growth or by bytes"),
    bind(&[letter('n')], Action::Enter, HEAP, None, "the next heap"),
    bind(&[letter('3')], Action::Show(Screen::Heap), ALL, None, "the heap"),
    bind(&[letter('1')], Action::Show(Screen::Map), ALL, None, "the map"),
    bind(&[letter('2')], Action::Show(Screen::Stacks), ALL, None, "the stacks"),
    bind(&[letter('4')], Action::Show(Screen::Timeline), ALL, None, "what was measured over time"),
    bind(&[letter('5')], Action::Show(Screen::Symbols), ALL, None, "who owns the memory"),
    bind(&[letter('6')], Action::Show(Screen::Alerts), ALL, None, "the alerts"),
    bind(&[letter('7'), letter('L')], Action::Show(Screen::Logs), ALL, None, "what the firmware says"),
    bind(&[Key::Plain(KeyCode::Tab)], Action::Next, ALL, None, "the next screen"),
    bind(&[Key::Plain(KeyCode::BackTab)], Action::Previous, ALL, None, "the screen before"),
    bind(&[letter(' ')], Action::Freeze, ALL, Some("freeze"), "freeze the screen; again to go on live"),
    bind(&[letter('r')], Action::Record, ALL, None, "record all that is read to a file; again to end it"),
    bind(&[letter(',')], Action::Play(Play::StepBack), ALL, Some("step"), "in a recording, one refresh back"),
    bind(&[letter('.')], Action::Play(Play::StepOn), ALL, None, "in a recording, one refresh on"),
    bind(&[letter('<')], Action::Play(Play::JumpBack), ALL, Some("10 s"), "in a recording, ten seconds back"),
    bind(&[letter('>')], Action::Play(Play::JumpOn), ALL, None, "in a recording, ten seconds on"),
    bind(&[letter('(')], Action::Play(Play::LeapBack), ALL, None, "a twentieth of the recording back"),
    bind(&[letter(')')], Action::Play(Play::LeapOn), ALL, None, "a twentieth of the recording on"),
    bind(&[letter('{')], Action::Play(Play::Slower), ALL, Some("speed"), "play a recording half as fast"),
    bind(&[letter('}')], Action::Play(Play::Faster), ALL, None, "play a recording twice as fast"),
    bind(&[letter('c')], Action::GoOn, ALL, None, "let a core run on that the tripwire stopped"),
    bind(&[letter('!')], Action::Catches, ALL, None, "what the tripwire caught; up and down for others"),
    bind(&[letter('x')], Action::Export, ALL, None, "save a picture of the screen"),
    bind(&[Key::Plain(KeyCode::Esc)], Action::Back, PLACES, None, "back: zoom, filter, selection"),
    bind(&[Key::Plain(KeyCode::Esc)], Action::Back, &[Screen::Alerts], None, "back to the map"),
    bind(&[Key::Plain(KeyCode::Esc)], Action::Back, LOGS, None, "back: filter, newest, the map"),
    bind(&[letter('?'), Key::Plain(KeyCode::F(1))], Action::Help, ALL, Some("help"), "this help"),
    bind(&[letter('q'), Key::Ctrl('c')], Action::Quit, ALL, None, "quit"),
];

/// The bindings that work on a screen.
pub fn bindings(screen: Screen) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.screens.contains(&screen))
}

/// Those of them that mean something in this run.
pub(crate) fn meant(state: &State) -> impl Iterator<Item = &'static Binding> {
    let (replay, listens) = (state.deck.is_some(), state.logs.log.is_some());
    bindings(state.screen).filter(move |binding| match binding.action {
        Action::Play(_) => replay,
        Action::Record | Action::GoOn | Action::Catches => !replay,
        Action::Show(Screen::Logs) => listens,
        _ => true,
    })
}

/// What an event asks for; `None` for what means nothing here.
#[must_use]
pub fn action(event: &Event, screen: Screen, input: Input) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_action(*key, screen, input),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Action::Click { x: mouse.column, y: mouse.row }),
            MouseEventKind::ScrollUp => Some(Action::Up),
            MouseEventKind::ScrollDown => Some(Action::Down),
            _ => None,
        },
        _ => None,
    }
}

fn key_action(event: KeyEvent, screen: Screen, input: Input) -> Option<Action> {
    let key = Key::of(event)?;
    if input == Input::Filter {
        match key {
            Key::Plain(KeyCode::Char(c)) => return Some(Action::Type(c)),
            Key::Plain(KeyCode::Backspace) => return Some(Action::Erase),
            Key::Plain(KeyCode::Enter) => return Some(Action::Filter),
            _ => {}
        }
    }
    bindings(screen).find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
}

/// A key as people call it.
#[must_use]
pub fn label(key: Key, glyphs: &Glyphs) -> String {
    let arrow = |unicode: &str, ascii: &str| if glyphs.ascii { ascii.to_owned() } else { unicode.to_owned() };
    match key {
        Key::Ctrl(c) => format!("Ctrl-{c}"),
        Key::Plain(KeyCode::Char(' ')) => "space".to_owned(),
        Key::Plain(KeyCode::Char(c)) => c.to_string(),
        Key::Plain(KeyCode::Up) => arrow("↑", "Up"),
        Key::Plain(KeyCode::Down) => arrow("↓", "Down"),
        Key::Plain(KeyCode::Left) => arrow("←", "Left"),
        Key::Plain(KeyCode::Right) => arrow("→", "Right"),
        Key::Plain(KeyCode::PageUp) => "PgUp".to_owned(),
        Key::Plain(KeyCode::PageDown) => "PgDn".to_owned(),
        Key::Plain(KeyCode::BackTab) => "Shift-Tab".to_owned(),
        Key::Plain(KeyCode::F(number)) => format!("F{number}"),
        Key::Plain(code) => format!("{code:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_on_one_screen() {
        for screen in Screen::ALL {
            let keys: Vec<Key> = bindings(screen).flat_map(|binding| binding.keys.iter().copied()).collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].contains(key), "{key:?} is bound twice on {screen:?}");
            }
        }
    }

    #[test]
    fn every_screen_has_its_number() {
        for screen in Screen::ALL {
            let event = Event::Key(KeyEvent::new(KeyCode::Char(screen.number()), KeyModifiers::NONE));
            assert_eq!(action(&event, Screen::Map, Input::Keys), Some(Action::Show(screen)));
        }
    }
}
