//! Hears what a firmware says and asks: its RTT channels, and the operations that it stops for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Failure;
use crate::console::Line;
use crate::console::defmt::{self, Formats, Frames};
use crate::console::text::Lines;
use crate::image::Image;
use crate::region::Region;
use crate::source::ReadError;
use crate::source::control::semihosting::{self, Call};
use crate::source::control::{Control, halt};
use crate::source::rtt::{self, Rtt};

/// Operations that are answered in one go: a firmware that asks without end must not keep everything else waiting.
const CALLS: usize = 64;

/// What is listened to.
#[derive(Clone, Debug, Default)]
pub struct Ears {
    /// The RTT channels.
    pub rtt: bool,
    /// The firmware is begun anew, and may stop for what it asks; this is its command line. `None`: it runs on as it
    /// does, and halting debug stays as it is.
    pub from_reset: Option<String>,
}

/// What one moment has brought.
#[derive(Debug, Default)]
pub struct Heard {
    /// Lines, in order.
    pub lines: Vec<Line>,
    /// The end of the firmware.
    pub end: Option<End>,
}

/// How a firmware has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By its own wish, with this status.
    Exit(u32),
    /// It stands at a breakpoint of its own, at this address.
    Breakpoint(u32),
}

impl End {
    /// The exit code of the process: the firmware's, as far as one byte holds it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Exit(0) => 0,
            Self::Exit(status) => u8::try_from(status).unwrap_or(1),
            Self::Breakpoint(_) => 1,
        }
    }
}

/// Listens to one firmware. Dropping it leaves the core running, with halting debug off where it was switched on here;
/// a core whose firmware has ended is left standing.
pub struct Listener {
    control: Box<dyn Control>,
    ears: Ears,
    rtt: Option<Rtt>,
    formats: Option<&'static Formats>,
    channels: BTreeMap<usize, Channel>,
    console: Lines,
    refused: Vec<u32>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was changed.
    Untouched,
    /// Halting debug is on.
    Debugging,
    /// The firmware has ended.
    Ended,
}

/// How the bytes of one channel become lines.
enum Channel {
    Text(Lines),
    Frames(Frames<'static>),
}

impl Channel {
    fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        match self {
            Self::Text(lines) => lines.take(bytes),
            Self::Frames(frames) => frames.take(bytes),
        }
    }
}

impl Listener {
    /// Ears for the firmware of `image`, whose file has the content `elf`, on a target with these memories. Nothing is
    /// read or written yet. A word says what is missing.
    ///
    /// # Errors
    ///
    /// The firmware has defmt's format strings, and they cannot be used.
    pub fn new(
        control: Box<dyn Control>,
        ears: Ears,
        image: &Image,
        elf: &[u8],
        memories: Vec<Region>,
    ) -> Result<Self, Failure> {
        let block = image.symbols.address(rtt::SYMBOL).filter(|_| ears.rtt);
        let formats = match block {
            // The frames borrow their formats for as long as the process lives: there is one firmware to listen to.
            Some(_) => Formats::of(elf)
                .map_err(|why| Failure::Error(format!("cannot read the defmt messages of {}: {why}", image.name())))?
                .map(|formats| &*Box::leak(Box::new(formats))),
            None => None,
        };
        let rtt = block.map(|block| Rtt::new(block, memories));
        Ok(Self {
            control,
            ears,
            rtt,
            formats,
            channels: BTreeMap::new(),
            console: Lines::default(),
            refused: Vec::new(),
            state: State::Untouched,
        })
    }

    /// Whether the firmware has RTT channels that are listened to.
    #[must_use]
    pub fn has_rtt(&self) -> bool {
        self.rtt.is_some()
    }

    /// Begins the firmware anew, if that is meant; from its first instruction on it is heard.
    ///
    /// # Errors
    ///
    /// The chip cannot be reset.
    pub fn begin(&mut self) -> Result<(), ReadError> {
        if self.ears.from_reset.is_none() {
            return Ok(());
        }
        self.control.reset_and_hold()?;
        self.state = State::Debugging;
        if let Some(rtt) = &mut self.rtt {
            rtt.forget(&mut *self.control)?;
        }
        halt::go_on(&mut *self.control)
    }

    /// What there is to hear at `at`, the time since the attach.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn hear(&mut self, at: Duration) -> Result<Heard, ReadError> {
        let mut heard = Heard::default();
        if self.state == State::Debugging {
            self.answer(&mut heard)?;
        }
        // What was written before the end is in the buffers by now.
        self.read_channels(&mut heard.lines)?;
        if heard.end.is_some() {
            heard.lines.extend(self.rest());
        }
        for line in &mut heard.lines {
            line.at = at;
        }
        Ok(heard)
    }

    /// Lines that were begun and have no end.
    pub fn rest(&mut self) -> Vec<Line> {
        let mut rest: Vec<Line> = self.console.rest().into_iter().collect();
        for channel in self.channels.values_mut() {
            if let Channel::Text(lines) = channel {
                rest.extend(lines.rest());
            }
        }
        rest
    }

    fn answer(&mut self, heard: &mut Heard) -> Result<(), ReadError> {
        let command_line = self.ears.from_reset.clone().unwrap_or_default();
        for _ in 0..CALLS {
            if !semihosting::stands(&mut *self.control)? {
                return Ok(());
            }
            // What was written to a channel before the question comes before it.
            self.read_channels(&mut heard.lines)?;
            match semihosting::answer(&mut *self.control, &command_line)? {
                None => return Ok(()),
                Some(Call::Quiet) => {}
                Some(Call::Says(bytes)) => heard.lines.extend(self.console.take(&bytes)),
                Some(Call::Other(operation)) if self.refused.contains(&operation) => {}
                Some(Call::Other(operation)) => {
                    self.refused.push(operation);
                    let name = semihosting::name(operation);
                    heard.lines.push(Line::remark(format!("semihosting {name} is not carried out: it fails")));
                }
                Some(Call::Exit(status)) => heard.end = Some(End::Exit(status)),
                Some(Call::Breakpoint(address)) => heard.end = Some(End::Breakpoint(address)),
            }
            if heard.end.is_some() {
                self.state = State::Ended;
                return Ok(());
            }
        }
        Ok(())
    }

    fn read_channels(&mut self, lines: &mut Vec<Line>) -> Result<(), ReadError> {
        let Some(rtt) = &mut self.rtt else { return Ok(()) };
        let look = rtt.look(&mut *self.control)?;
        if look.began {
            self.channels.clear();
        }
        for piece in look.pieces {
            let formats = self.formats.filter(|_| piece.name == defmt::CHANNEL);
            let channel = self.channels.entry(piece.channel).or_insert_with(|| match formats {
                Some(formats) => Channel::Frames(Frames::new(formats)),
                None => Channel::Text(Lines::default()),
            });
            let is_first = piece.channel == 0 || matches!(channel, Channel::Frames(_));
            lines.extend(
                channel
                    .take(&piece.bytes)
                    .into_iter()
                    .map(|line| Line { channel: (!is_first).then(|| piece.name.clone()), ..line }),
            );
        }
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.state == State::Debugging {
            // Nobody answers any more: a core that stops from here on would stand for ever.
            if let Err(error) = halt::let_go(&mut *self.control) {
                tracing::warn!("halting debug stays on: {error}");
            }
        }
    }
}
