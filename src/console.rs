//! What a firmware says: its lines, in bounded memory.

pub mod defmt;
pub mod text;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// The most lines that are kept.
const MAX_LINES: usize = 20_000;
/// The most bytes that their texts may take.
const MAX_BYTES: usize = 4 << 20;
/// The longest line: characters. What is longer is broken.
pub const MAX_LINE: usize = 2000;

/// How much a line matters, by the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For who looks for an error.
    Debug,
    /// The course of things.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// Its name, as the firmware's macros have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// One line. All its texts are safe for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// When it was read, since the attach.
    pub at: Duration,
    /// The channel it came through, where there are several.
    pub channel: Option<String>,
    /// How much it matters; plain text does not say.
    pub level: Option<Level>,
    /// The firmware's own time, as it writes it.
    pub stamp: Option<String>,
    /// What it says.
    pub text: String,
    /// Where in the sources it comes from: `src/main.rs:12`.
    pub place: Option<String>,
    /// Whether it is a word of this tool about the log, and not the firmware's.
    pub is_remark: bool,
}

impl Line {
    /// A word of this tool.
    #[must_use]
    pub fn remark(text: String) -> Self {
        Self { text, is_remark: true, ..Self::default() }
    }

    fn bytes(&self) -> usize {
        let texts = [&self.channel, &self.stamp, &self.place];
        size_of::<Self>() + self.text.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    /// The line as standard output has it: `0.012 INFO  text (src/main.rs:12)`.
    #[must_use]
    pub fn plain(&self) -> String {
        if self.is_remark {
            return format!("({})", self.text);
        }
        let mut plain = String::new();
        if let Some(channel) = &self.channel {
            let _ = write!(plain, "[{channel}] ");
        }
        if let Some(stamp) = &self.stamp {
            let _ = write!(plain, "{stamp} ");
        }
        if let Some(level) = self.level {
            let _ = write!(plain, "{:<5} ", level.name().to_uppercase());
        }
        plain.push_str(&self.text);
        if let Some(place) = &self.place {
            let _ = write!(plain, " ({place})");
        }
        plain
    }
}

/// The newest lines.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
}

impl Log {
    /// Adds a line; the oldest go when there are too many.
    pub fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.dropped += 1;
        }
    }

    /// The lines, the oldest first.
    #[must_use]
    pub fn lines(&self) -> &VecDeque<Line> {
        &self.lines
    }

    /// How many lines are not kept any more.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// A log that one thread writes and another one shows.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    log: Arc<Mutex<Log>>,
    bell: Arc<Notify>,
}

impl Shared {
    /// The log, for as long as it is held.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines, and tells who waits for them.
    pub fn add(&self, lines: Vec<Line>) {
        if !lines.is_empty() {
            let mut log = self.log();
            lines.into_iter().for_each(|line| log.push(line));
            self.bell.notify_one();
        }
    }

    /// Returns when lines were added since the last time.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }
}

impl PartialEq for Shared {
    /// Two handles are equal when they lead to the same log.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.log, &other.log)
    }
}

impl Eq for Shared {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_in_lines_and_in_bytes() {
        let mut log = Log::default();
        for number in 0..MAX_LINES + 10 {
            log.push(Line { text: number.to_string(), ..Line::default() });
        }
        assert_eq!((log.lines().len(), log.dropped(), log.lines()[0].text.as_str()), (MAX_LINES, 10, "10"));
        let mut log = Log::default();
        for _ in 0..2 * MAX_BYTES / MAX_LINE {
            log.push(Line { text: "x".repeat(MAX_LINE), ..Line::default() });
        }
        assert!(log.bytes <= MAX_BYTES && log.lines().len() * MAX_LINE <= MAX_BYTES && log.dropped() > 0);
    }

    #[test]
    fn a_line_says_what_it_knows() {
        let line = Line {
            stamp: Some("0.5".into()),
            level: Some(Level::Warn),
            text: "low".into(),
            place: Some("src/main.rs:7".into()),
            ..Line::default()
        };
        assert_eq!(line.plain(), "0.5 WARN  low (src/main.rs:7)");
        assert_eq!(Line { text: "low".into(), ..Line::default() }.plain(), "low");
        assert_eq!(Line { channel: Some("one".into()), text: "low".into(), ..Line::default() }.plain(), "[one] low");
        assert_eq!(Line::remark("3 bytes were not understood".into()).plain(), "(3 bytes were not understood)");
    }
}
