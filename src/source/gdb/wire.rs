//! One connection to a GDB server: questions and answers, each within its time.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::packet::{Decoder, Incoming, encode};
use crate::source::endpoint::HostPort;
use crate::source::{ReadError, ending};

/// The longest packet that is taken: twice the largest that is asked for.
pub(super) const LONGEST: usize = 128 << 10;
/// How long an answer may take, however its bytes trickle in.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a server may take to say that it heard the farewell.
const FAREWELL: Duration = Duration::from_millis(300);
/// Times that a packet is sent again, or asked for again, before the link is given up.
const TRIES: u32 = 3;
/// Packets that answer nothing, console output for example, which are passed over while an answer is waited for.
const MOST_ASIDES: u32 = 1000;
/// How the core is stopped: a byte outside of any packet (GDB manual, E.9 "Interrupts").
const INTERRUPT: u8 = 3;

/// What is expected as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Anything but a stop, which may be told at any time: it is noted.
    Plain,
    /// Whether the core stands.
    State,
    /// That the core stopped.
    Stop,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The server closed it.
    Closed,
    /// The server says nothing at all.
    Silent,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    decoder: Decoder,
    inbox: VecDeque<u8>,
    /// Whether each packet is acknowledged.
    acks: bool,
    /// Whether a stop was told that nobody asked for.
    pub(super) told_stop: bool,
    /// Whether a byte ever came.
    was_heard: bool,
    /// How it ended, when the server did that.
    pub(super) ended: Option<Ended>,
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn gone(why: impl Into<String>) -> ReadError {
    ReadError::Gone(why.into())
}

impl Wire {
    /// Connects, and sends nothing yet but the `+` that GDB begins with.
    pub(super) fn open(server: &HostPort) -> Result<Self, ReadError> {
        let stream = server.connect().map_err(|error| gone(format!("no GDB server at {server}: {error}")))?;
        let lost = |error: std::io::Error| gone(error.to_string());
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(lost)?;
        let (decoder, inbox) = (Decoder::new(LONGEST), VecDeque::new());
        let mut wire = Self { stream, decoder, inbox, acks: true, told_stop: false, was_heard: false, ended: None };
        wire.send(b"+")?;
        Ok(wire)
    }

    /// From now on neither side acknowledges.
    pub(super) fn without_acks(&mut self) {
        self.acks = false;
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&mut self, question: &str, answer: Answer) -> Result<Vec<u8>, ReadError> {
        self.tell(question)?;
        self.answer(Some(question), answer, PATIENCE)
    }

    /// Says something that is not answered, or not at once.
    pub(super) fn tell(&mut self, order: &str) -> Result<(), ReadError> {
        self.send(&encode(order))
    }

    /// Stops the core.
    pub(super) fn interrupt(&mut self) -> Result<(), ReadError> {
        self.send(&[INTERRUPT])?;
        self.answer(None, Answer::Stop, PATIENCE).map(|_| ())
    }

    /// Says farewell and waits a little, so that the server has heard it before the connection closes.
    pub(super) fn farewell(&mut self, order: &str) {
        let _ = self.tell(order).and_then(|()| self.answer(None, Answer::Plain, FAREWELL));
    }

    /// Closes this direction and waits a little until the server has closed the other one: a connection that is closed
    /// with something unread in it takes back what was said last.
    pub(super) fn close(&mut self) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let deadline = Instant::now() + FAREWELL;
        while self.next(deadline).is_ok() {}
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        self.stream.write_all(bytes).map_err(|error| {
            self.ended = Some(Ended::Closed);
            gone(format!("the GDB server took no more: {error}"))
        })
    }

    fn answer(&mut self, question: Option<&str>, answer: Answer, patience: Duration) -> Result<Vec<u8>, ReadError> {
        let deadline = Instant::now() + patience;
        let (mut tries, mut asides) = (0, 0);
        loop {
            match self.next(deadline)? {
                Incoming::Ack => {}
                Incoming::Nack if !self.acks => {}
                Incoming::Nack => {
                    tries += 1;
                    if let Some(question) = question {
                        self.tell(question)?;
                    }
                }
                Incoming::Damaged(why) if self.acks && tries < TRIES => {
                    tracing::debug!("asked the GDB server for a packet again: {why}");
                    tries += 1;
                    self.send(b"-")?;
                }
                Incoming::Notice(body) => {
                    self.told_stop |= body.starts_with(b"Stop:");
                    asides += 1;
                }
                Incoming::Damaged(why) => return Err(gone(format!("the GDB server sent a damaged packet: {why}"))),
                Incoming::Packet(body) => {
                    if self.acks {
                        self.send(b"+")?;
                    }
                    let is_stop = matches!(body[..], [b'T' | b'S', high, low, ..] if is_hex(high) && is_hex(low));
                    let is_output = body.first() == Some(&b'O') && body != b"OK";
                    match answer {
                        Answer::Plain if !is_stop && !is_output => return Ok(body),
                        Answer::State if !is_output => return Ok(body),
                        Answer::Stop if is_stop => return Ok(body),
                        _ => {}
                    }
                    self.told_stop |= is_stop;
                    asides += 1;
                }
            }
            if tries > TRIES || asides > MOST_ASIDES {
                return Err(gone("the GDB server does not answer what it is asked"));
            }
        }
    }

    /// The next packet, before `deadline`.
    fn next(&mut self, deadline: Instant) -> Result<Incoming, ReadError> {
        loop {
            while let Some(byte) = self.inbox.pop_front() {
                if let Some(incoming) = self.decoder.push(byte) {
                    return Ok(incoming);
                }
            }
            let left = ending::deadline(deadline).saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.ended = (!self.was_heard).then_some(Ended::Silent);
                return Err(gone("the GDB server does not answer"));
            }
            // A timeout of zero would be none at all.
            let _ = self.stream.set_read_timeout(Some(ending::look(left).max(Duration::from_millis(1))));
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    self.ended = Some(Ended::Closed);
                    return Err(gone("the GDB server closed the connection"));
                }
                Ok(count) => {
                    self.was_heard = true;
                    self.inbox.extend(&chunk[..count]);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.ended = Some(Ended::Closed);
                    return Err(gone("the GDB server closed the connection"));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(gone(format!("the GDB server is gone: {error}"))),
            }
        }
    }
}
