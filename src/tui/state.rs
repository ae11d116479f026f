//! What the user has made of the screen: which one, what is selected, how it is shown. Nothing measured is in here,
//! but for the copy that freezing keeps.

use std::time::Duration;

use ratatui::layout::Size;

use super::deck::Deck;
use super::keymap::Keymap;
use super::logs::LogsState;
use super::lookup;
use super::symbols::{self, SymbolsState};
use super::theme::ThemeName;
use super::timeline::{TimelineState, Values};
use crate::console::Shared;
use crate::model::Model;
use crate::model::alert::{Alert, Limits};
use crate::model::snapshot::{Part, Snapshot, Stack};
use crate::region::Region;
use crate::sampler::interest::{Interest, Wish};
use crate::source::recorder::Desk;

/// What is said of the access to a target that nothing is written to.
pub(super) const READ_ONLY: &str = "read-only";

/// How the screens are to be, given once at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The theme.
    pub theme: ThemeName,
    /// Draw ASCII only.
    pub ascii: bool,
    /// Use colour; without it there is bold, dim and reverse.
    pub colour: bool,
    /// A stack whose peak reaches this share is in danger, in percent.
    pub stack_limit: u8,
    /// What may touch the target, in words for the status line.
    pub access: String,
    /// The screen to start with.
    pub screen: Screen,
    /// Where the screens say what they want read because somebody looks at it.
    pub interest: Interest,
    /// Who owns each byte by the ELF, when it is known.
    pub symbols: symbols::Shared,
    /// Where recordings are begun; none where there cannot be one.
    pub recorder: Option<Desk>,
    /// The player, when this is a recording.
    pub deck: Option<Deck>,
    /// What is to be said in the first picture.
    pub notice: Option<String>,
    /// What the firmware says, when it is listened to.
    pub log: Option<Shared>,
    /// Keys of the user's own choice.
    pub keymap: Keymap,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: ThemeName::Auto,
            ascii: false,
            colour: true,
            stack_limit: Limits::default().stack_percent,
            access: READ_ONLY.to_owned(),
            screen: Screen::Map,
            interest: Interest::default(),
            symbols: symbols::Shared::default(),
            recorder: None,
            deck: None,
            notice: None,
            log: None,
            keymap: Keymap::default(),
        }
    }
}

/// The screens, in the order of their tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Screen {
    /// Memories and their parts in address order.
    #[default]
    Map,
    /// All stacks, the fullest first.
    Stacks,
    /// One stack word by word: it belongs to the stacks and has no tab of its own.
    StackDetail,
    /// A heap block by block, and who holds it.
    Heap,
    /// Any series over time, with what happened.
    Timeline,
    /// Who owns the memory, by the ELF.
    Symbols,
    /// What is wrong, and what was.
    Alerts,
    /// What the firmware says.
    Logs,
}

impl Screen {
    /// All that have a tab, the last one where somebody listens to the firmware.
    pub const ALL: [Screen; 7] =
        [Screen::Map, Screen::Stacks, Screen::Heap, Screen::Timeline, Screen::Symbols, Screen::Alerts, Screen::Logs];

    /// All that exist.
    pub const EVERY: [Screen; 8] = [
        Screen::Map,
        Screen::Stacks,
        Screen::StackDetail,
        Screen::Heap,
        Screen::Timeline,
        Screen::Symbols,
        Screen::Alerts,
        Screen::Logs,
    ];

    /// The screen whose tab is lit.
    #[must_use]
    pub const fn tab(self) -> Self {
        match self {
            Screen::StackDetail => Screen::Stacks,
            other => other,
        }
    }

    /// The key that shows it: numbers stay what they are while screens in between do not exist yet.
    #[must_use]
    pub const fn number(self) -> char {
        match self {
            Screen::Map => '1',
            Screen::Stacks | Screen::StackDetail => '2',
            Screen::Heap => '3',
            Screen::Timeline => '4',
            Screen::Symbols => '5',
            Screen::Alerts => '6',
            Screen::Logs => '7',
        }
    }

    /// What its tab says, or its help when it has none.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Screen::Map => "Map",
            Screen::Stacks => "Stacks",
            Screen::StackDetail => "stack word by word",
            Screen::Heap => "Heap",
            Screen::Timeline => "Timeline",
            Screen::Symbols => "Symbols",
            Screen::Alerts => "Alerts",
            Screen::Logs => "Logs",
        }
    }
}

/// What lies over the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// The keys and the legend, scrolled down so many lines.
    Help(u16),
    /// What the tripwire caught: the catch of this number, the oldest first.
    Catch(usize),
    /// Which columns the stacks have: the one of this number is under the cursor.
    Columns(usize),
    /// All fields of the static that is selected, scrolled down so many lines.
    Fields(u16),
}

/// Where keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// To the table of keys.
    #[default]
    Keys,
    /// Into the filter of the screen.
    Filter,
}

/// Whether the screen follows the target.
#[derive(Clone, Debug, Default)]
pub enum Picture {
    /// It shows the newest.
    #[default]
    Live,
    /// It shows this, while the model goes on.
    Frozen(Box<Model>),
}

/// Which alerts the user knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The one under the cursor.
    Selected,
    /// All that hold.
    All,
}

/// What is selected. A thread's stack is the same thing on every screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Nothing by hand: the screens show the worst, if anything is in danger.
    #[default]
    Nothing,
    /// A part of a memory, by its id.
    Part(String),
    /// A stack, by its id.
    Stack(String),
}

/// How sizes become rows on the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Every part has a row, whatever its size.
    #[default]
    Schematic,
    /// A cell is always the same number of bytes.
    Linear,
}

/// Which address comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressOrder {
    /// The last address at the top.
    #[default]
    HighFirst,
    /// The first address at the top.
    LowFirst,
}

/// How the map is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapState {
    /// Schematic or linear.
    pub scale: Scale,
    /// Which end is up.
    pub order: AddressOrder,
    /// The part that fills the figure, by its id.
    pub zoom: Option<String>,
    /// The function or static that is looked at in a part, by the part's id and where it is.
    pub thing: Option<(String, Region)>,
}

/// Which way rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Largest first.
    #[default]
    Falling,
    /// Smallest first.
    Rising,
}

/// How the stacks are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StacksState {
    /// The column that sorts them.
    pub sort: super::stacks::Sort,
    /// Which way.
    pub direction: Direction,
    /// Only stacks whose name contains this are shown.
    pub filter: String,
    /// Columns that the user does not want to see.
    pub hidden: Vec<super::stacks::Sort>,
}

/// Where one looks in the stack that is shown word by word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// At the deepest call, wherever that goes.
    #[default]
    Deepest,
    /// At the trace that lies at this address.
    Trace(u32),
    /// So many rows down from the first use, at no word.
    Row(usize),
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The screen on show.
    pub screen: Screen,
    /// What lies over it.
    pub overlay: Overlay,
    /// Where keys go.
    pub input: Input,
    /// Live or frozen.
    pub picture: Picture,
    /// What is selected.
    pub selection: Selection,
    /// The map's own.
    pub map: MapState,
    /// The stacks' own.
    pub stacks: StacksState,
    /// The heap's own.
    pub heap: super::heap::HeapState,
    /// Where one looks in the stack that is shown word by word.
    pub cursor: Cursor,
    /// The symbols' own.
    pub symbols: SymbolsState,
    /// The log's own.
    pub logs: LogsState,
    /// Keys of the user's own choice.
    pub keymap: Keymap,
    /// The timeline's own.
    pub timeline: TimelineState,
    /// What values are compared with.
    pub values: Values,
    /// The alert under the cursor, counted from the top.
    pub alert: usize,
    /// A stack whose peak reaches this share is in danger, in percent.
    pub stack_limit: u8,
    /// What may touch the target, in words.
    pub access: String,
    /// Where recordings are begun; none where there cannot be one.
    pub recorder: Option<Desk>,
    /// The player, when this is a recording.
    pub deck: Option<Deck>,
    /// The answer to the last key that did something outside the screen.
    pub notice: Option<String>,
    /// The size of the terminal, for what a click hits.
    pub size: Size,
}

impl State {
    /// The state to start with.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            screen: options.screen,
            stack_limit: options.stack_limit,
            access: options.access.clone(),
            symbols: SymbolsState::new(options.symbols.clone()),
            recorder: options.recorder.clone(),
            deck: options.deck.clone(),
            notice: options.notice.clone(),
            keymap: options.keymap.clone(),
            logs: LogsState { log: options.log.clone(), ..LogsState::default() },
            ..Self::default()
        }
    }

    /// The screens that have a tab in this run.
    pub(crate) fn tabs(&self) -> impl Iterator<Item = Screen> {
        let listens = self.logs.log.is_some();
        Screen::ALL.into_iter().filter(move |screen| listens || *screen != Screen::Logs)
    }

    /// What is shown only where its name has this in it, on the screen on show.
    #[must_use]
    pub fn filter(&self) -> &str {
        match self.screen {
            Screen::Heap => &self.heap.asked,
            Screen::Symbols => &self.symbols.filter,
            Screen::Logs => &self.logs.filter,
            _ => &self.stacks.filter,
        }
    }

    /// The same, to be written into.
    pub fn filter_mut(&mut self) -> &mut String {
        match self.screen {
            Screen::Heap => &mut self.heap.asked,
            Screen::Symbols => &mut self.symbols.filter,
            Screen::Logs => &mut self.logs.filter,
            _ => &mut self.stacks.filter,
        }
    }

    /// The model to draw: the frozen one, or the newest.
    #[must_use]
    pub fn shown<'a>(&'a self, newest: &'a Model) -> &'a Model {
        match &self.picture {
            Picture::Live => newest,
            Picture::Frozen(model) => model,
        }
    }

    /// What this screen wants read: nothing while it is frozen.
    #[must_use]
    pub fn wanted(&self, newest: &Model) -> Option<Wish> {
        let snapshot = &newest.snapshot;
        match (self.screen, &self.picture) {
            (_, Picture::Frozen(_)) => None,
            (Screen::StackDetail, Picture::Live) => {
                self.selected_stack(snapshot).map(|stack| Wish::Stack(stack.id.clone()))
            }
            (Screen::Heap, Picture::Live) => super::heap::selected_payload(newest, self).map(Wish::Block),
            (_, Picture::Live) => {
                self.thing(snapshot).filter(|range| lookup::is_ram(snapshot, *range)).map(Wish::Static)
            }
        }
    }

    /// Where the function or static lies that is selected on this screen.
    #[must_use]
    pub fn thing(&self, snapshot: &Snapshot) -> Option<Region> {
        match self.screen {
            Screen::Symbols => self.symbols.thing(),
            Screen::Map => {
                let (part, range) = self.map.thing.as_ref()?;
                (self.selected_part(snapshot)?.id == *part).then_some(*range)
            }
            _ => None,
        }
    }

    /// Marks the moment that is on the screen as the baseline, in the model and in a frozen picture of it.
    pub fn mark_baseline(&mut self, newest: &mut Model) {
        match &mut self.picture {
            Picture::Live => newest.mark_baseline(),
            Picture::Frozen(model) => {
                model.mark_baseline();
                newest.baseline.clone_from(&model.baseline);
            }
        }
        self.notice = Some("baseline marked: d shows the difference".to_owned());
    }

    /// Notes that the user knows of alerts, in the model and in a frozen picture of it.
    pub fn acknowledge(&mut self, newest: &mut Model, which: Known) {
        // What is on the screen decides, and not what came since: nobody knows of what they have not seen.
        let shown = self.shown(newest);
        let Some(known) = shown.alerts.get(self.alert).cloned() else { return };
        let at = shown.snapshot.at;
        let noted: Vec<(Alert, Option<Duration>)> = match which {
            Known::Selected => vec![(known.clone(), known.acknowledged.is_none().then_some(at))],
            Known::All => {
                shown.alerts.iter().filter(|alert| alert.is_news()).map(|alert| (alert.clone(), Some(at))).collect()
            }
        };
        for (alert, since) in &noted {
            newest.acknowledge(alert, *since);
            if let Picture::Frozen(model) = &mut self.picture {
                model.acknowledge(alert, *since);
            }
        }
        // The alert may stand elsewhere now: the cursor stays on it.
        let alerts = &self.shown(newest).alerts;
        self.alert = alerts.iter().position(|alert| alert.is(&known) && alert.until == known.until).unwrap_or(0);
    }

    /// The selected stack, or the worst one when nothing is selected and something is in danger.
    pub(crate) fn selected_stack<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Stack> {
        match &self.selection {
            Selection::Nothing => lookup::worst(snapshot, self.stack_limit),
            Selection::Stack(id) => snapshot.stacks.iter().find(|stack| stack.id == *id),
            Selection::Part(id) => lookup::part(snapshot, id).and_then(|part| lookup::stack(snapshot, part)),
        }
    }

    /// The selected part, or that of the worst stack when nothing is selected and something is in danger.
    pub(crate) fn selected_part<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Part> {
        match &self.selection {
            Selection::Part(id) => lookup::part(snapshot, id),
            _ => lookup::part_of(snapshot, self.selected_stack(snapshot)?),
        }
    }
}
