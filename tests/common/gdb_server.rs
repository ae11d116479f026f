//! A GDB server in this process, written from the manual and not from the client: it reads memory, runs and stops, and
//! misbehaves on demand.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Whose ways the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody's in particular.
    Plain,
    /// QEMU's: it says signal 5 always, and lets the core go on at a detach.
    Qemu,
    /// OpenOCD's: what its configuration does when GDB attaches, and the type of its target. It clears DFSR.
    OpenOcd(&'static str, &'static str),
    /// rp2040js's: signal 5 always, and ones where there is nothing.
    Rp2040js,
}

/// How the server is.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Whose ways it has.
    pub(crate) kind: Kind,
    /// Why the core stands, as a signal.
    pub(crate) signal: u8,
    /// What is in DFSR.
    pub(crate) dfsr: u32,
    /// What is in DHCSR in place of what the core does.
    pub(crate) dhcsr: Option<u32>,
    /// It closes each connection at once.
    pub(crate) turns_away: bool,
    /// It answers nothing.
    pub(crate) is_mute: bool,
    /// How long a byte of memory takes.
    pub(crate) byte_time: Duration,
    /// It stops the core as soon as somebody connects, as QEMU does.
    pub(crate) stops_on_connect: bool,
    /// It stops the core as soon as somebody connects, and no more after that.
    pub(crate) stops_once: bool,
    /// It reads memory while the core runs, where it does not stop it.
    pub(crate) reads_running: bool,
    /// It has the debug registers of a core with a debugger, and answers from them.
    pub(crate) has_dhcsr: bool,
    /// What it offers.
    pub(crate) offers: &'static str,
    /// Bytes of its largest packet.
    pub(crate) packet: usize,
    /// It answers with runs.
    pub(crate) runs: bool,
    /// The sum of each n-th packet is wrong; 0: of none.
    pub(crate) damages: u32,
    /// What is answered to every question, in place of what is right.
    pub(crate) says: Option<&'static [u8]>,
    /// The target description.
    pub(crate) features: &'static str,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            kind: Kind::Plain,
            signal: 5,
            dfsr: 0,
            dhcsr: None,
            turns_away: false,
            is_mute: false,
            byte_time: Duration::ZERO,
            stops_on_connect: false,
            stops_once: false,
            reads_running: true,
            has_dhcsr: true,
            offers: "QStartNoAckMode+;qXfer:features:read+;qXfer:memory-map:read+",
            packet: 0x400,
            runs: false,
            damages: 0,
            says: None,
            features: "<?xml version=\"1.0\"?><target><architecture>armv7e-m</architecture></target>",
        }
    }
}

/// What the server and the test share.
#[derive(Debug, Default)]
pub(crate) struct Core {
    /// Pieces of memory, by address.
    pub(crate) memory: Mutex<Vec<(u32, Vec<u8>)>>,
    /// It executes.
    pub(crate) runs: AtomicBool,
    /// Times that it was stopped.
    pub(crate) halts: AtomicU32,
    /// Times that somebody connected.
    pub(crate) visits: AtomicU32,
    /// Reads that came in digits, and as bytes.
    pub(crate) reads: AtomicU32,
    pub(crate) binary_reads: AtomicU32,
    /// Packets that change something: a client that only looks sends none.
    pub(crate) writes: AtomicU32,
    /// Reads while the core ran, of a server that cannot do so.
    pub(crate) bad_reads: AtomicU32,
    /// The longest packet that came in, and the longest answer.
    pub(crate) longest: AtomicU32,
    /// The reset since the last look at DHCSR.
    pub(crate) was_reset: AtomicBool,
    /// SysTick: it counts the looks at it while the core runs.
    pub(crate) tick: AtomicU32,
    /// The core stops by itself before the next answer, and in non-stop mode that is told.
    pub(crate) stops_next: AtomicBool,
    /// Addresses that cannot be read, from the first to before the second: OpenOCD answers zeros for them.
    pub(crate) hole: Mutex<(u32, u32)>,
    /// One packet of memory in so many fails, as if it lay in the hole; 0: none.
    pub(crate) fails_each: AtomicU32,
    /// It answers nothing any more.
    pub(crate) fell_silent: AtomicBool,
}

/// A server; its end closes all connections.
pub(crate) struct Server {
    pub(crate) core: Arc<Core>,
    pub(crate) port: u16,
    ends: Arc<AtomicBool>,
    clients: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

const MAP: &str = "<memory-map><memory type=\"flash\" start=\"0x0\" length=\"0x40000\"/>\
                   <memory type=\"ram\" start=\"0x20000000\" length=\"0x10000\"/>\
                   <memory type=\"ram\" start=\"0x40000000\" length=\"0xbfffffff\"/></memory-map>";

impl Server {
    pub(crate) fn new(memory: Vec<(u32, Vec<u8>)>, manner: Manner) -> Self {
        let core = Arc::new(Core { memory: Mutex::new(memory), runs: AtomicBool::new(true), ..Core::default() });
        Self::at(0, core, manner)
    }

    /// Listens at that port, or any free one for 0.
    pub(crate) fn at(port: u16, core: Arc<Core>, manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let (ends, clients) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = std::thread::spawn({
            let (core, ends, clients) = (Arc::clone(&core), Arc::clone(&ends), Arc::clone(&clients));
            move || {
                for client in listener.incoming() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(client) = client else { return };
                    // An acknowledgement and an answer go out one after the other.
                    client.set_nodelay(true).expect("it is a TCP socket");
                    clients.lock().unwrap().push(client.try_clone().expect("a socket has two ends"));
                    core.visits.fetch_add(1, Ordering::SeqCst);
                    if manner.turns_away {
                        let _ = client.shutdown(std::net::Shutdown::Both);
                        continue;
                    }
                    let _ =
                        Session { core: &core, manner: &manner, client, acks: true, non_stop: false, sent: 0 }.serve();
                }
            }
        });
        Self { core, port, ends, clients, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        for client in self.clients.lock().unwrap().drain(..) {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Session<'a> {
    core: &'a Core,
    manner: &'a Manner,
    client: TcpStream,
    acks: bool,
    non_stop: bool,
    sent: u32,
}

impl Session<'_> {
    fn serve(&mut self) -> std::io::Result<()> {
        // QEMU tells of this stop by itself, when it was one.
        if self.manner.stops_on_connect && self.stop() {
            self.send(b"T02thread:01;")?;
        }
        if self.manner.stops_once {
            self.stop();
        }
        let mut inbox = VecDeque::new();
        let mut last = Vec::new();
        loop {
            let byte = next(&mut self.client, &mut inbox)?;
            if self.manner.stops_on_connect && self.core.runs.load(Ordering::SeqCst) {
                // QEMU takes any byte that comes while the core runs for an interruption, and for nothing else.
                self.stop();
                self.send(b"T02thread:01;")?;
                continue;
            }
            match byte {
                b'-' => self.frame(&last.clone(), false)?,
                // In non-stop mode there is no such interruption.
                3 if self.non_stop => {}
                _ if self.manner.is_mute || self.core.fell_silent.load(Ordering::SeqCst) => {}
                3 => {
                    self.stop();
                    self.send(b"T02thread:01;")?;
                }
                b'$' => {
                    let mut body = Vec::new();
                    loop {
                        match next(&mut self.client, &mut inbox)? {
                            b'#' => break,
                            byte => body.push(byte),
                        }
                    }
                    next(&mut self.client, &mut inbox)?;
                    next(&mut self.client, &mut inbox)?;
                    self.core.longest.fetch_max(body.len() as u32 + 4, Ordering::SeqCst);
                    if self.acks {
                        self.client.write_all(b"+")?;
                    }
                    let body = String::from_utf8(body).expect("what is asked is text");
                    if self.core.stops_next.swap(false, Ordering::SeqCst) {
                        self.stop();
                        self.client.write_all(b"%Stop:T05thread:01;#e7")?;
                    }
                    if let Some(answer) = self.answer(&body) {
                        last = answer.clone();
                        self.send(&answer)?;
                    }
                    if body == "QStartNoAckMode" {
                        self.acks = false;
                    }
                }
                _ => {}
            }
        }
    }

    /// Stops the core; whether it ran.
    fn stop(&self) -> bool {
        let ran = self.core.runs.swap(false, Ordering::SeqCst);
        self.core.halts.fetch_add(u32::from(ran), Ordering::SeqCst);
        ran
    }

    fn send(&mut self, body: &[u8]) -> std::io::Result<()> {
        self.sent += 1;
        let damages = self.manner.damages != 0 && self.sent.is_multiple_of(self.manner.damages);
        self.frame(body, damages)
    }

    fn frame(&mut self, body: &[u8], damaged: bool) -> std::io::Result<()> {
        let body = if self.manner.runs { with_runs(body) } else { body.to_vec() };
        self.core.longest.fetch_max(body.len() as u32 + 4, Ordering::SeqCst);
        let sum = body.iter().fold(u8::from(damaged), |sum, byte| sum.wrapping_add(*byte));
        let packet = [b"$", body.as_slice(), format!("#{sum:02x}").as_bytes()].concat();
        self.client.write_all(&packet)
    }

    fn answer(&mut self, question: &str) -> Option<Vec<u8>> {
        if let Some(says) = self.manner.says {
            return Some(says.to_vec());
        }
        let core = self.core;
        Some(match question.as_bytes() {
            // Strict servers do not know it in non-stop mode.
            [b'c', ..] if self.non_stop => Vec::new(),
            [b'c', ..] => {
                core.runs.store(true, Ordering::SeqCst);
                return None;
            }
            b"vCont;c" if self.non_stop => {
                core.runs.store(true, Ordering::SeqCst);
                b"OK".to_vec()
            }
            b"vStopped" if self.non_stop => b"OK".to_vec(),
            [b'Q', b'N', b'o', b'n', b'S', b't', b'o', b'p', b':', mode]
                if self.manner.offers.contains("QNonStop+") =>
            {
                self.non_stop = *mode == b'1';
                b"OK".to_vec()
            }
            b"D" => {
                if !matches!(self.manner.kind, Kind::OpenOcd(..)) {
                    core.runs.store(true, Ordering::SeqCst);
                }
                b"OK".to_vec()
            }
            b"?" if self.manner.kind == Kind::Rp2040js => b"S05".to_vec(),
            b"?" if self.manner.kind == Kind::OpenOcd("halt 1000\n", "mem_ap") => b"S05".to_vec(),
            b"qqemu.sstepbits" if self.manner.kind == Kind::Qemu => b"ENABLE=1,NOIRQ=2,NOTIMER=4".to_vec(),
            _ if question.starts_with("qRcmd,") => self.command(&question[6..]),
            b"?" if self.non_stop && core.runs.load(Ordering::SeqCst) => b"OK".to_vec(),
            b"?" if core.runs.load(Ordering::SeqCst) => b"S00".to_vec(),
            b"?" => format!("T{:02x}thread:01;", self.manner.signal).into(),
            b"QStartNoAckMode" => b"OK".to_vec(),
            [b'm', ..] => {
                core.reads.fetch_add(1, Ordering::SeqCst);
                let (start, size) = numbers(&question[1..]);
                let reads = core.reads.load(Ordering::SeqCst);
                let each = core.fails_each.load(Ordering::SeqCst);
                let fails = start < 0xE000_0000 && each != 0 && reads.is_multiple_of(each);
                let mut bytes = self.read(&question[1..]);
                if let Some(bytes) = bytes.as_mut().filter(|_| fails || self.is_in_hole(start, size)) {
                    bytes.fill(0);
                }
                bytes.map_or(b"E14".to_vec(), |bytes| {
                    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
                })
            }
            [b'x', ..] => {
                core.binary_reads.fetch_add(1, Ordering::SeqCst);
                let bytes = self.read(&question[1..]);
                bytes.map_or(b"E14".to_vec(), |bytes| {
                    let escaped = bytes.into_iter().flat_map(|byte| match byte {
                        b'#' | b'$' | b'}' | b'*' => vec![b'}', byte ^ 0x20],
                        _ => vec![byte],
                    });
                    std::iter::once(b'b').chain(escaped).collect()
                })
            }
            [b'M' | b'X' | b'G' | b'P' | b'Z' | b'z' | b's' | b'k' | b'R', ..] => {
                core.writes.fetch_add(1, Ordering::SeqCst);
                Vec::new()
            }
            _ if question.starts_with("qSupported") => {
                format!("PacketSize={:x};{}", self.manner.packet, self.manner.offers).into()
            }
            _ => {
                let document = if let Some(rest) = question.strip_prefix("qXfer:features:read:target.xml:") {
                    Some((self.manner.features, rest))
                } else {
                    question.strip_prefix("qXfer:memory-map:read::").map(|rest| (MAP, rest))
                };
                let Some((document, part)) = document else { return Some(Vec::new()) };
                let (offset, length) = numbers(part);
                let rest = &document.as_bytes()[(offset as usize).min(document.len())..];
                let length = (length as usize).min(rest.len());
                let letter = if length < rest.len() { b'm' } else { b'l' };
                [&[letter], &rest[..length]].concat()
            }
        })
    }

    /// A command of OpenOCD's, asked by `monitor`; its answers are digits.
    fn command(&self, digits: &str) -> Vec<u8> {
        let bytes: Vec<u8> =
            (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
        let text = match (String::from_utf8(bytes).unwrap().as_str(), self.manner.kind) {
            ("[target current] cget -type", Kind::OpenOcd(_, kind)) => format!("{kind}\n"),
            ("[target current] cget -event gdb-attach", Kind::OpenOcd(on_attach, _)) => on_attach.to_owned(),
            (command, Kind::OpenOcd(..)) if command.starts_with("[target current] read_memory ") => {
                let words: Vec<&str> = command.split(' ').skip(3).collect();
                let (width, count): (usize, u32) = (words[1].parse().unwrap(), words[2].parse().unwrap());
                let start = u32::from_str_radix(words[0].strip_prefix("0x").unwrap(), 16).unwrap();
                let size = count * width as u32 / 8;
                match self.read(&format!("{start:x},{size:x}")).filter(|_| !self.is_in_hole(start, size)) {
                    Some(bytes) => {
                        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte));
                        let words: Vec<String> =
                            bytes.chunks(width / 8).map(|bytes| format!("{:#x}", number(bytes))).collect();
                        words.join(" ") + "\n"
                    }
                    None => "read_memory: failed to read memory\n".to_owned(),
                }
            }
            _ => "Error: no such command\n".to_owned(),
        };
        text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }

    fn is_in_hole(&self, start: u32, size: u32) -> bool {
        let (first, end) = *self.core.hole.lock().unwrap();
        start < end && first < start + size
    }

    fn read(&self, part: &str) -> Option<Vec<u8>> {
        let (address, length) = numbers(part);
        std::thread::sleep(self.manner.byte_time * length);
        let core = self.core;
        let runs = core.runs.load(Ordering::SeqCst);
        if self.manner.stops_on_connect && runs {
            core.bad_reads.fetch_add(1, Ordering::SeqCst);
        }
        if !self.manner.reads_running && runs {
            core.bad_reads.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        if (0xE000_0000..0xE010_0000).contains(&address) {
            let word = match address {
                0xE000_ED00 => 0x410f_c241u32,
                0xE000_E018 => core.tick.fetch_add(u32::from(runs), Ordering::SeqCst),
                0xE000_ED30 => self.manner.dfsr,
                0xE000_EDF0 if self.manner.dhcsr.is_some() => self.manner.dhcsr.unwrap(),
                0xE000_EDF0 if self.manner.has_dhcsr => {
                    1 | u32::from(!runs) << 17 | u32::from(core.was_reset.swap(false, Ordering::SeqCst)) << 25
                }
                _ => 0,
            };
            let mut bytes = vec![0; length as usize];
            let count = bytes.len().min(4);
            bytes[..count].copy_from_slice(&word.to_le_bytes()[..count]);
            return Some(bytes);
        }
        core.memory.lock().unwrap().iter().find_map(|(start, bytes)| {
            let offset = address.checked_sub(*start)? as usize;
            bytes.get(offset..offset.checked_add(length as usize)?).map(<[u8]>::to_vec)
        })
    }
}

fn numbers(part: &str) -> (u32, u32) {
    let (first, second) = part.split_once(',').expect("two numbers");
    let number = |text| u32::from_str_radix(text, 16).expect("a number");
    (number(first), number(second))
}

fn next(client: &mut TcpStream, inbox: &mut VecDeque<u8>) -> std::io::Result<u8> {
    loop {
        if let Some(byte) = inbox.pop_front() {
            return Ok(byte);
        }
        let mut chunk = [0; 1024];
        match client.read(&mut chunk)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => inbox.extend(&chunk[..count]),
        }
    }
}

/// Four or more of one digit as that digit, a star, and how many more.
fn with_runs(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let byte = body[at];
        let same = body[at..].iter().take_while(|next| **next == byte).count().min(90);
        // The counts that would be `#`, `$`, `+` and `-` must not be sent.
        let more = (same - 1).min(5);
        if same >= 5 && byte.is_ascii_hexdigit() {
            out.extend([byte, b'*', more as u8 + 29]);
            at += more + 1;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    out
}
