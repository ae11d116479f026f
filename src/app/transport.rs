//! Moves a player on at the speed that is wished for, and sends the screens what is known at each moment.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::replay::Player;
use crate::tui::News;
use crate::tui::deck::{Deck, Place, Play};

/// The least time between two pictures.
const PICTURE: Duration = Duration::from_millis(33);
/// How far a jump goes.
const JUMP: Duration = Duration::from_secs(10);
/// Leaps that the whole recording has.
const LEAPS: u32 = 20;
/// The slowest and the fastest that keys lead to.
const SPEEDS: (f64, f64) = (0.0625, 1024.0);
/// Where nothing is to be played, the next wish is waited for, and no longer than this at a time.
const IDLE: Duration = Duration::from_secs(3600);

/// Plays a recording for the screens.
pub(super) struct Transport {
    player: Player,
    speed: f64,
    plays: bool,
    /// When the next refresh is due.
    due: Instant,
    deck: Deck,
    feed: watch::Sender<Option<News>>,
    trouble: Option<String>,
}

impl Transport {
    pub(super) fn new(player: Player, speed: f64, deck: Deck, feed: watch::Sender<Option<News>>) -> Self {
        let transport = Self { player, speed, plays: true, due: Instant::now(), deck, feed, trouble: None };
        transport.tell_place();
        transport
    }

    /// Plays until nobody wishes for anything any more.
    pub(super) fn run(&mut self, wishes: &Receiver<Play>) {
        loop {
            let pause = if self.plays { self.due.saturating_duration_since(Instant::now()) } else { IDLE };
            match wishes.recv_timeout(pause) {
                Ok(wish) => {
                    self.trouble = self.fulfil(wish).err();
                    self.due = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) if self.plays => self.play(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tell_place();
            if self.feed.send(Some(News::Known(Arc::new(self.player.model().clone())))).is_err() {
                return;
            }
        }
    }

    /// Plays what is due by now, for no longer than a picture stays.
    fn play(&mut self) {
        let began = Instant::now();
        while self.due <= Instant::now() && began.elapsed() < PICTURE {
            let before = self.player.at();
            if !self.player.step() {
                self.plays = false;
                return;
            }
            let took = self.player.at().saturating_sub(before).div_f64(self.speed);
            // The first refresh is at once there, and what lies between the attach and it is not waited for.
            self.due += if self.player.played() == 1 { Duration::ZERO } else { took };
        }
        // Too slow a machine plays more slowly, and does not try to catch up for ever.
        self.due = self.due.max(Instant::now());
    }

    fn fulfil(&mut self, wish: Play) -> Result<(), String> {
        let (at, played) = (self.player.at(), self.player.played());
        let leap = self.player.recording().end() / LEAPS;
        match wish {
            Play::Pause => {
                self.plays = !self.plays;
                // From the end, playing begins anew.
                if self.plays && played == self.player.recording().refreshes() {
                    return self.player.go_to(1);
                }
            }
            Play::Slower => self.speed = (self.speed / 2.0).max(SPEEDS.0),
            Play::Faster => self.speed = (self.speed * 2.0).min(SPEEDS.1),
            Play::StepBack => {
                self.plays = false;
                return self.player.go_to(played.saturating_sub(1));
            }
            Play::StepOn => {
                self.plays = false;
                self.player.step();
            }
            Play::JumpBack => return self.player.go_to_time(at.saturating_sub(JUMP)),
            Play::JumpOn => return self.player.go_to_time(at.saturating_add(JUMP)),
            Play::LeapBack => return self.player.go_to_time(at.saturating_sub(leap)),
            Play::LeapOn => return self.player.go_to_time(at.saturating_add(leap)),
        }
        Ok(())
    }

    fn tell_place(&self) {
        let recording = self.player.recording();
        self.deck.set(Place {
            at: self.player.at(),
            end: recording.end(),
            refresh: self.player.played(),
            refreshes: recording.refreshes(),
            speed: self.speed,
            plays: self.plays,
            knows_all: self.player.knows_all(),
            trouble: self.trouble.clone(),
        });
    }
}
